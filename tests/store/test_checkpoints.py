"""Checkpoints: what was damaged is never used, and what is kept is what the recipe says."""

import errno
import json
import os
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from budget import in_time
from safetensors.numpy import load as load_tensors
from tensors import tensor_file, with_header

from mlptui.core.errors import CheckpointError, StorageError
from mlptui.store import checkpoints, sealed
from mlptui.store.checkpoints import check_tensor_header, commit, listed, newest_verified, prune
from mlptui.store.formats.safetensors import HEADER_LIMIT, TENSOR_LIMIT

NAMES = ("model.safetensors", "training.safetensors", "checkpoint.json")


def save(parent: Path, step: int, accuracy: float | None = None, loss: float | None = None) -> checkpoints.Checkpoint:
    files = {"model.safetensors": tensor_file(a=step, b=3), "training.safetensors": tensor_file(m=2 * step)}
    return commit(parent, step, files, {"metrics": {"valid_accuracy": accuracy, "valid_loss": loss}})


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    saved = commit(
        tmp_path,
        1200,
        {"model.safetensors": tensor_file(a=4)},
        {"metrics": {"valid_accuracy": 0.5, "valid_loss": float("nan")}, "epoch": 3},
    )
    found = checkpoints.load(saved.folder)
    assert (found.name, found.step, found.valid_accuracy, found.manifest["epoch"]) == ("step-0000001200", 1200, 0.5, 3)
    assert found.valid_loss is not None and found.valid_loss != found.valid_loss
    assert found.read("model.safetensors") == tensor_file(a=4)
    assert found.size == len(tensor_file(a=4))
    assert oct(saved.folder.stat().st_mode & 0o777) == "0o700"
    assert load_tensors(found.read("model.safetensors"))["a"].shape == (4,)


def test_2000_random_damages_are_noticed_and_the_one_before_is_used(fast: Path) -> None:
    originals = {}
    for step in (3, 4, 5):
        folder = save(fast, step).folder
        originals[step] = (folder, content(folder))
    rng = random.Random(13)
    noticed = 0
    for _ in range(2000):
        folder, whole = originals[5]
        name = rng.choice(NAMES)
        hurt = bytearray(whole[name])
        match rng.randrange(7):
            case 0:
                hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
            case 1:
                del hurt[rng.randrange(len(hurt)) :]
            case 2:
                hurt = bytearray(originals[4][1][name])
            case 3:
                start = rng.randrange(len(hurt))
                hole = hurt[start : start + rng.randint(1, 512)]
                hurt[start : start + len(hole)] = b"\0" * len(hole)
            case 4:
                hurt += rng.choice([b"\0", b"\n", rng.randbytes(rng.randint(1, 100))])
            case 5:
                i, j = rng.randrange(len(hurt)), rng.randrange(len(hurt))
                hurt[i], hurt[j] = hurt[j], hurt[i]
            case _:
                hurt = bytearray(whole[rng.choice([n for n in NAMES if n != name])])
        (folder / name).write_bytes(hurt)
        newest, passed = newest_verified(fast)
        assert newest is not None
        if bytes(hurt) == whole[name]:
            assert (newest.step, passed) == (5, [])
        else:
            noticed += 1
            assert newest.step == 4 and len(passed) == 1 and "step-0000000005" in passed[0]
            assert newest.read("model.safetensors") == originals[4][1]["model.safetensors"]
        (folder / name).write_bytes(whole[name])
    assert noticed > 1900
    assert newest_verified(fast)[0].step == 5  # type: ignore[union-attr]


def test_every_single_flipped_byte_is_noticed(fast: Path) -> None:
    save(fast, 1)
    folder = save(fast, 2).folder
    for name, whole in content(folder).items():
        for i in range(len(whole)):
            (folder / name).write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
            newest, passed = newest_verified(fast)
            assert newest and newest.step == 1 and len(passed) == 1, (name, i)
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "dangling", "device", "socket", "sparse", "missing", "unreadable"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, name: str) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2).folder / name
    (tmp_path / "copy").write_bytes(path.read_bytes())
    path.unlink()
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "copy")
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "device":
            if os.geteuid():
                pytest.skip("only root makes devices")
            try:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
            except OSError as error:
                pytest.skip(f"devices cannot be made here: {error}")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                here = os.getcwd()
                os.chdir(path.parent)  # a socket's path must be short
                try:
                    server.bind(name)
                finally:
                    os.chdir(here)
        case "sparse":
            with path.open("wb") as stream:
                stream.truncate(1 << 40)
        case "unreadable":
            if not os.geteuid():
                pytest.skip("root reads everything")
            path.write_bytes((tmp_path / "copy").read_bytes())
            path.chmod(0)
    started = time.monotonic()
    newest, passed = newest_verified(tmp_path)
    assert time.monotonic() - started < 1
    assert newest and newest.step == 1
    assert len(passed) == 1 and name in passed[0] and "\n" not in passed[0]


def test_names_that_are_no_checkpoints_are_not_listed(tmp_path: Path) -> None:
    folder = save(tmp_path, 7).folder
    for name in (".tmp-1-aa", ".del-1-bb", "damaged-step-0000000009-1-aa", "step-", "step-x", "step--1", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-0000000008").symlink_to(folder)
    (tmp_path / "step-0000000009").write_bytes(b"")
    found, bad = listed(tmp_path)
    assert ([c.step for c in found], bad) == ([7], [])
    assert listed(tmp_path / "missing") == ([], [])
    assert newest_verified(tmp_path / "missing") == (None, [])


def manifest(**changes: Any) -> dict[str, Any]:
    data = tensor_file(a=2)
    import hashlib

    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {"format": 1, "step": 1, "metrics": {}, "files": {"model.safetensors": entry}, **changes}


HOSTILE_MANIFESTS: dict[str, Any] = {
    "format no number": manifest(format="x"),
    "format infinite": manifest(format=float("inf")),
    "step missing": {k: v for k, v in manifest().items() if k != "step"},
    "step infinite": manifest(step=float("inf")),
    "step a list": manifest(step=[1]),
    "files missing": {k: v for k, v in manifest().items() if k != "files"},
    "files a list": manifest(files=["model.safetensors"]),
    "files a text": manifest(files="model"),
    "file without size": manifest(files={"model.safetensors": {"sha256": "0" * 64}}),
    "file without checksum": manifest(files={"model.safetensors": {"size": len(tensor_file(a=2))}}),
    "file of huge size": manifest(files={"model.safetensors": {"size": 10**30, "sha256": "0" * 64}}),
    "file of negative size": manifest(files={"model.safetensors": {"size": -1, "sha256": "0" * 64}}),
    "file of infinite size": manifest(files={"model.safetensors": {"size": float("inf"), "sha256": "0" * 64}}),
    "outside": manifest(files={"../../../etc/passwd": {"size": 9, "sha256": "0" * 64}}),
    "absolute": manifest(files={"/etc/passwd": {"size": 9, "sha256": "0" * 64}}),
    "NUL in a name": manifest(files={"a\0b": {"size": 9, "sha256": "0" * 64}}),
    "escape code in a name": manifest(files={"\x1b[2J": {"size": 9, "sha256": "0" * 64}}),
    "parent": manifest(files={"..": {"size": 9, "sha256": "0" * 64}}),
    "metrics a list": manifest(metrics=[]),
    "metrics a number": manifest(metrics=3),
}


@pytest.mark.parametrize("name", HOSTILE_MANIFESTS)
def test_a_sealed_manifest_without_sense_is_passed_over(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1)
    folder = tmp_path / "step-0000000002"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(tensor_file(a=2))
    values = HOSTILE_MANIFESTS[name]
    text = json.dumps(values, indent=1)[:-2]
    import hashlib

    seal = hashlib.sha256(text.encode()).hexdigest()
    (folder / "checkpoint.json").write_text(f'{text},\n "seal": "{seal}"\n}}\n')
    newest, passed = newest_verified(tmp_path)
    assert newest and newest.step == 1
    assert len(passed) == 1 and "step-0000000002" in passed[0]
    assert prune(tmp_path, 2) == []


def test_a_manifest_with_a_huge_accuracy_is_not_a_trap(tmp_path: Path) -> None:
    for step in range(1, 6):
        commit(tmp_path, step, {"model.safetensors": tensor_file(a=1)}, {"metrics": {"valid_accuracy": 10**400}})
    assert prune(tmp_path, 2) == ["step-0000000002", "step-0000000003"]


def entry(start: Any = 0, stop: Any = 4, shape: Any = (1,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [start, stop]}


def built(header: Any, data: bytes = b"\0" * 4) -> bytes:
    return with_header(json.dumps(header).encode(), data)


HOSTILE_HEADERS: dict[str, bytes] = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "length beyond the file": (2**63).to_bytes(8, "little") + b"{}",
    "length of all ones": b"\xff" * 8 + b"{}",
    "length of one too many": (3).to_bytes(8, "little") + b"{}",
    "length beyond the limit": with_header(b"{}".ljust(HEADER_LIMIT + 1), b""),
    "no JSON": with_header(b"{'a': 1}", b""),
    "no UTF-8": with_header(b'{"\xff\xfe": 1}', b""),
    "a list": with_header(b"[]", b""),
    "null": with_header(b"null", b""),
    "deep": with_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
    "deep objects": with_header(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b""),
    "too many tensors": with_header(b"{" + b",".join(b'"%d":0' % i for i in range(TENSOR_LIMIT + 1)) + b"}", b""),
    "a million tensors": with_header(b"{" + b",".join(b'"%x":0' % i for i in range(1_000_000)) + b"}", b""),
    "overlap": built({"a": entry(), "b": entry()}),
    "partial overlap": built({"a": entry(0, 4), "b": entry(2, 6)}, b"\0" * 6),
    "hole at the start": built({"a": entry(4, 8)}, b"\0" * 8),
    "hole between": built({"a": entry(0, 4), "b": entry(8, 12)}, b"\0" * 12),
    "hole at the end": built({"a": entry()}, b"\0" * 8),
    "data without tensors": built({}, b"\0" * 8),
    "beyond the end": built({"a": entry(0, 8, (2,))}),
    "negative shape": built({"a": entry(0, 4, (-1,))}),
    "two negative extents": built({"a": entry(0, 4, (-1, -1))}),
    "shape of a float": built({"a": entry(0, 4, (1.0,))}),
    "shape of text": built({"a": entry(0, 4, "1")}),
    "shape of nothing": built({"a": entry(0, 4, None)}),
    "huge shape": built({"a": entry(0, 4, (2**62, 2**62))}),
    "a hundred thousand extents": built({"a": entry(0, 4, (2**30,) * 80_000)}),
    "wrong size": built({"a": entry(0, 4, (2,))}),
    "unknown dtype": built({"a": entry(dtype="F33")}),
    "dtype a list": built({"a": entry(dtype=["F32"])}),
    "dtype too small": built({"a": entry(dtype="F64")}),
    "offsets backwards": built({"a": entry(4, 0)}),
    "offsets negative": built({"a": entry(-4, 0)}),
    "offsets infinite": with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}', b"\0" * 4),
    "offsets of text": built({"a": entry("0", "4")}),
    "three offsets": built({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}),
    "no offsets": built({"a": {"dtype": "F32", "shape": [1]}}),
    "no entry": built({"a": 3}),
    "huge number": with_header(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', b"\0" * 4),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_a_hostile_tensor_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    def refusal() -> str:
        with pytest.raises(CheckpointError) as caught:
            check_tensor_header(HOSTILE_HEADERS[name], "x.safetensors")
        return str(caught.value)

    said = in_time(1, refusal)
    assert said.startswith("x.safetensors is refused: ") and len(said) < 300
    with pytest.raises(StorageError, match="could not be read back"):
        commit(tmp_path, 1, {"x.safetensors": HOSTILE_HEADERS[name]}, {})
    assert list(tmp_path.iterdir()) == []
    forge(tmp_path, {"x.safetensors": HOSTILE_HEADERS[name]})
    found, passed = newest_verified(tmp_path)
    assert found is None and passed[0].startswith("step-0000000001 is damaged: x.safetensors is refused")


def forge(parent: Path, files: dict[str, bytes]) -> None:
    """A checkpoint as another program could make it: sealed, with right checksums, and with any content."""
    import hashlib

    entries = {name: {"size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for name, d in files.items()}
    folder = parent / "step-0000000001"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "checkpoint.json").write_bytes(sealed.document({"format": 1, "step": 1, "files": entries}))


def test_the_number_of_tensors_is_bounded() -> None:
    with pytest.raises(CheckpointError, match="more than 50,000 tensors"):
        check_tensor_header(HOSTILE_HEADERS["too many tensors"], "x")


def test_what_is_let_through_is_what_safetensors_reads() -> None:
    rng = random.Random(14)
    good = tensor_file(a=3, b=0, c=5)
    let_through = 0
    for _ in range(3000):
        hurt = bytearray(good)
        for _ in range(rng.randint(0, 2)):
            hurt[rng.randrange(8, len(hurt))] = rng.choice(b'0123456789[]{},:"abFIU\\ ')
        try:
            check_tensor_header(bytes(hurt), "x")
        except CheckpointError:
            continue
        try:
            load_tensors(bytes(hurt))
            let_through += 1
        except Exception as error:  # what it adds is strictness about names and duplicate keys, never about bounds
            assert "nvalid" in str(error) or "uplicate" in str(error) or "ata type" in str(error), error
    assert let_through > 500


def steps(parent: Path) -> list[int]:
    return [c.step for c in listed(parent)[0]]


def test_prune_keeps_the_first_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in range(10):
        save(tmp_path, step, accuracy=0.9 if step == 4 else 0.1 * (step % 3))
    assert prune(tmp_path, 3) == [f"step-{s:010}" for s in (1, 2, 3, 5, 6)]
    assert steps(tmp_path) == [0, 4, 7, 8, 9]
    assert prune(tmp_path, 3) == []
    assert sorted(os.listdir(tmp_path)) == [f"step-{s:010}" for s in (0, 4, 7, 8, 9)]


@pytest.mark.parametrize(
    ("judged", "wanted"),
    [
        ([(0.5, 1.0), (0.7, 1.0), (0.6, 0.1)], 2),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 0.95)], 2),
        ([(0.5, 1.0), (0.5, 1.0)], 1),
        ([(0.5, float("nan")), (0.5, 0.9)], 2),
        ([(0.5, None), (0.5, 0.9)], 2),
        ([(0.5, float("inf")), (0.5, 0.9), (0.5, float("nan"))], 2),
        ([(float("nan"), 0.1), (0.2, 0.9)], 2),
        ([(None, 0.1), (0.0, 0.9)], 2),
        ([(None, None), (None, None)], None),
    ],
)
def test_the_best_is_the_most_accurate_then_the_lowest_loss(
    tmp_path: Path, judged: list[tuple[float | None, float | None]], wanted: int | None
) -> None:
    for step, (accuracy, loss) in enumerate(judged, 1):
        save(tmp_path, step, accuracy, loss)
    found = checkpoints.best(listed(tmp_path)[0])
    assert (found.step if found else None) == wanted


def test_a_damaged_checkpoint_is_set_aside_and_kept(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    checkpoints.set_aside(tmp_path, "step-0000000002")
    checkpoints.set_aside(tmp_path, "step-0000000099")
    assert steps(tmp_path) == [1]
    (aside,) = (p for p in tmp_path.iterdir() if p.name.startswith("damaged-step-0000000002"))
    assert (aside / "model.safetensors").is_file()
    checkpoints.sweep(tmp_path)
    assert aside.is_dir()


def test_sweep_leaves_the_work_of_the_living_and_what_it_does_not_know(tmp_path: Path) -> None:
    kept = [f".tmp-{os.getppid()}-aa", ".tmp-x-aa", ".hidden", "notes"]
    gone = [".tmp-999999999-aa", ".del-999999999-bb", f".tmp-{os.getpid()}-cc"]
    for name in kept + gone:
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "file").write_bytes(b"x")
    checkpoints.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_sweep_never_leaves_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "photos"
    outside.mkdir()
    (outside / "mother.jpg").write_bytes(b"x")
    parent = tmp_path / "checkpoints"
    parent.mkdir()
    (parent / ".tmp-999999999-aa").symlink_to(outside)
    (parent / ".del-999999999-bb").mkdir()
    (parent / ".del-999999999-bb" / "link").symlink_to(outside)
    checkpoints.sweep(parent)
    assert (outside / "mother.jpg").read_bytes() == b"x"
    assert os.listdir(parent) == []


def test_a_file_that_was_replaced_after_it_was_listed_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (found,), _ = listed(tmp_path)
    (found.folder / "model.safetensors").write_bytes(tensor_file(a=1, b=4))
    with pytest.raises(CheckpointError, match=r"step-0000000001 is damaged: model\.safetensors"):
        found.read("model.safetensors")
    with pytest.raises(CheckpointError, match="has no other"):
        found.read("other")


def test_the_manifest_is_plain_json_for_other_tools(tmp_path: Path) -> None:
    folder = save(tmp_path, 1).folder
    plain = json.loads((folder / "checkpoint.json").read_text())
    assert plain["files"]["model.safetensors"]["size"] == (folder / "model.safetensors").stat().st_size
    assert sealed.read_document((folder / "checkpoint.json").read_bytes(), "it")["step"] == 1


def test_a_checkpoint_of_a_newer_version_is_neither_damaged_nor_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    folder = tmp_path / "step-0000000002"
    folder.mkdir()
    (folder / "checkpoint.json").write_bytes(sealed.document(manifest(format=2)))
    with pytest.raises(StorageError, match="made by a newer mlptui"):
        newest_verified(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
def test_a_disk_that_does_not_answer_now_does_not_make_a_checkpoint_damaged(tmp_path, monkeypatch, number) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)

    def refused(path: Path, limit: int) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("mlptui.store.atomic.read_regular", refused)
    with pytest.raises(StorageError, match="cannot be read now"):
        newest_verified(tmp_path)
