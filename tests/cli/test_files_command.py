"""`mlptui files`: what is in any file, benign or hostile; codes of a terminal are never printed, and nothing is run."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

NASTY = "\x1b[2J\x07\x9b31m\u202e"


class Evil:
    """Would make a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.file),)


def clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    torch.save({"state_dict": {"0.weight": torch.ones(2, 3)}, "epoch": 7}, made / "good.pt")
    save_file({"w": torch.ones(4)}, made / "good.safetensors", {"format": "pt", NASTY: NASTY})
    np.savez(made / "good.npz", a=np.arange(3))
    torch.save({"w": torch.ones(2), "x": Evil(tmp_path / "ran")}, made / "evil.pt")
    torch.save({NASTY: torch.ones(2), "b": NASTY}, made / f"named{NASTY}.pt")
    (made / "text.pt").write_bytes(b"import os\n" * 9)
    (made / "notes.txt").write_text("no tensors")
    return made


def test_a_folder_is_listed_with_what_is_wrong_in_it(mlptui, folder: Path, tmp_path: Path) -> None:
    said = mlptui("files", "list", str(folder))
    assert said.code == 0 and clean(said.out) and clean(said.err)
    assert len(said.out.splitlines()) == 7 and "notes.txt" not in said.out
    assert "wants to call" in next(line for line in said.out.splitlines() if line.startswith("evil.pt"))
    assert "refused" in next(line for line in said.out.splitlines() if line.startswith("text.pt"))
    rows = {Path(row["file"]).name: row for row in mlptui("files", "list", str(folder), "--json").lines}
    assert sorted(name for name, row in rows.items() if row["problem"]) == ["text.pt"]
    assert sorted(name for name, row in rows.items() if row["calls"]) == ["evil.pt"]
    assert rows["good.npz"]["size"] == (folder / "good.npz").stat().st_size
    assert not (tmp_path / "ran").exists()
    (tmp_path / "empty").mkdir()
    said = mlptui("files", "list", str(tmp_path / "empty"))
    assert (said.code, said.out) == (0, "") and "no file of tensors" in said.err
    for nowhere in (tmp_path / f"no{NASTY}", folder / "good.pt"):
        said = mlptui("files", "list", str(nowhere))
        assert (said.code, said.out) == (2, "") and clean(said.err) and said.err.count("\n") == 1


def test_a_file_is_shown_as_a_tree(mlptui, folder: Path) -> None:
    said = mlptui("files", "show", str(folder / "good.pt"))
    assert said.code == 0 and "0.weight" in said.out and "epoch  7" in said.out
    shown = mlptui("files", "show", str(folder / "good.pt"), "--json").json
    (tensor,) = [place for place in shown["places"] if "shape" in place]
    assert tensor["path"] == ["state_dict", "0.weight"] and (tensor["dtype"], tensor["shape"]) == ("F32", [2, 3])
    assert (shown["calls"], shown["size"]) == ([], (folder / "good.pt").stat().st_size)


def test_only_the_first_places_are_shown_unless_all_are_asked_for(mlptui, folder: Path) -> None:
    save_file({f"t{i}": torch.ones(1) for i in range(300)}, folder / "many.safetensors")
    said = mlptui("files", "show", str(folder / "many.safetensors"))
    assert said.code == 0 and "more places" in said.err and "t299 " not in said.out
    said = mlptui("files", "show", str(folder / "many.safetensors"), "--all")
    assert said.err == "" and "t299 " in said.out


def test_what_would_be_called_is_named_and_not_called(mlptui, folder: Path, tmp_path: Path) -> None:
    said = mlptui("files", "show", str(folder / "evil.pt"))
    assert said.code == 1 and "posix.mkdir" in said.err and "nothing of that was called" in said.err and "[2]" in said.out
    said = mlptui("files", "show", str(folder / "evil.pt"), "--json")
    assert said.code == 1 and said.json["calls"] == ["posix.mkdir"]
    assert mlptui("files", "verify", str(folder / "evil.pt")).code == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", [f"named{NASTY}.pt", "good.safetensors"])
def test_codes_in_names_and_values_never_reach_the_terminal(mlptui, folder: Path, name: str) -> None:
    for words in (("show",), ("show", "--json"), ("verify",), ("verify", "--json")):
        said = mlptui("files", words[0], str(folder / name), *words[1:])
        assert said.code == 0 and clean(said.out) and clean(said.err), words
    paths = [place["path"] for place in mlptui("files", "show", str(folder / name), "--json").json["places"]]
    assert name == "good.safetensors" or [NASTY] in paths, "data say the name as it is"


def test_one_flipped_byte_is_found(mlptui, folder: Path) -> None:
    for name in ("good.pt", "good.npz"):
        said = mlptui("files", "verify", str(folder / name))
        assert said.code == 0 and "every member is as its checksum says" in said.out
    file = folder / "good.pt"
    data = bytearray(file.read_bytes())
    data[data.index(torch.ones(1).numpy().tobytes() * 6)] ^= 1
    file.write_bytes(data)
    said = mlptui("files", "verify", str(file))
    assert (said.code, said.out) == (1, "") and "good.pt is refused: it is damaged" in said.err
    assert mlptui("files", "show", str(file)).code == 0, "its structure is whole"
    assert "no checksums" in mlptui("files", "verify", str(folder / "good.safetensors"), "--json").json["found"]


def test_what_is_no_such_file_is_one_sentence(mlptui, folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "cut.pt").write_bytes((folder / "good.pt").read_bytes()[:200])
    for file in (folder / "text.pt", folder, tmp_path / "pipe.pt", tmp_path / "cut.pt", tmp_path / f"none{NASTY}.pt"):
        for act in ("show", "verify"):
            said = mlptui("files", act, str(file))
            assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1 and clean(said.err), (file, said)
            assert "is refused" in said.err and "internal error" not in said.err
