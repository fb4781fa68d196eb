"""`mlptui data`: list, show, download, verify, import, pack, add and remove, for people and for scripts."""

import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.server import Server, cut, status
from process.trainers import make_run, recipe

from mlptui.datasets import catalog, jobs, library
from mlptui.datasets.catalog import ENTRIES, SAMPLE
from mlptui.store import paths

Command = Callable[..., Any]
ROWS = "".join(f"{i},{i % 5},{'yes' if i % 2 else 'no'}\n" for i in range(40))
HOSTILE = "evil\x1b[31m\x1b]0;title\x07\u202e[/x]"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    place = tmp_path / "theirs.csv"
    place.write_text("a,b,label\n" + ROWS)
    return place


@pytest.fixture
def mine(mlptui: Command, table: Path) -> str:
    assert mlptui("data", "add", "mine", str(table), "--copy").code == 0
    return "mine"


@pytest.fixture
def mirror(fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(fashion_mnist.parent) as server:
        yield server


def one_sentence(said: Any, code: int = 1) -> str:
    assert (said.code, said.out) == (code, "")
    assert len(said.err.splitlines()) == 1 and said.err.startswith("mlptui: ") and "\x1b" not in said.err
    assert "internal error" not in said.err
    return str(said.err)


# list and show


def test_the_list_has_the_catalog_and_then_the_own_sets(mlptui: Command, mine: str) -> None:
    rows = mlptui("data", "list", "--json").json
    assert [r["name"] for r in rows] == [*ENTRIES, "mine"]
    assert rows[-1].items() >= {"state": "here", "here": True, "train": 32, "test": 8, "kind": "table", "shape": [2]}.items()
    assert rows[-1]["folder"] == str(paths.find().datasets / "mine") and rows[-1]["classes"] == ["no", "yes"]
    said = mlptui("data", "list")
    assert said.code == 0 and said.err == "" and len(said.out.splitlines()) == len(rows) + 1
    assert said.out.splitlines()[0].split() == ["name", "state", "size", "train", "test", "what"]
    assert any(line.startswith("mine ") and " here " in line for line in said.out.splitlines())


def test_states_are_shown(mlptui: Command, table: Path, mine: str) -> None:
    mlptui("data", "add", "later", str(table))
    place = paths.find().datasets
    (place / "mine" / "test-inputs.npy").unlink()
    part = place / ".downloads" / "mnist" / "train-images-idx3-ubyte.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1_000_000))
    rows = {r["name"]: r for r in mlptui("data", "list", "--json").json}
    assert rows["later"]["state"] == "added" and rows["later"]["here"]
    assert (
        rows["mine"]["state"] == "damaged"
        and "test-inputs.npy is gone" in rows["mine"]["problem"]
        and not rows["mine"]["here"]
    )
    assert rows["mnist"]["state"] == "partly here" and 0 < rows["mnist"]["share"] < 0.1
    assert "partly here 9%" in mlptui("data", "list").out
    shown = mlptui("data", "show", "mine")
    assert shown.code == 0 and "problem     mine: test-inputs.npy is gone" in shown.out
    assert "state       partly here 9%" in mlptui("data", "show", "mnist").out


def test_a_description_that_is_damaged_is_a_state_and_no_traceback(mlptui: Command, mine: str) -> None:
    place = paths.find().datasets / "mine" / "set.json"
    place.write_bytes(place.read_bytes().replace(b"yes", b"yet"))
    row = mlptui("data", "list", "--json").json[-1]
    assert row["state"] == "damaged" and "checksum" in row["problem"]
    assert "damaged" in mlptui("data", "list").out
    assert "is damaged: its checksum does not match" in one_sentence(mlptui("data", "show", "mine"))


@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_set_of_the_catalog_can_be_shown(mlptui: Command, name: str) -> None:
    said = mlptui("data", "show", name)
    assert said.code == 0 and said.err == "" and f"name        {name}\n" in said.out
    assert ENTRIES[name].licence in said.out and ENTRIES[name].origin in said.out
    facts = mlptui("data", "show", name, "--json").json
    assert facts["name"] == name and facts["classes"] == list(ENTRIES[name].classes)
    assert facts["mirrors"] == list(ENTRIES[name].mirrors) and len(facts["files"]) == len(ENTRIES[name].files)


def test_an_own_set_is_shown_with_its_columns(mlptui: Command, mine: str, table: Path) -> None:
    said = mlptui("data", "show", "mine")
    assert "classes     2: no, yes" in said.out and "column      a: 0 to 37" in said.out and f"origin      {table}" in said.out
    facts = mlptui("data", "show", "mine", "--json").json
    assert [c["name"] for c in facts["columns"]] == ["a", "b"] and facts["licence"] == "your own" and facts["files"] == []


def test_foreign_words_never_reach_the_terminal_as_they_are(mlptui: Command, tmp_path: Path) -> None:
    source = tmp_path / f"{HOSTILE.replace('/', '')}.csv"
    source.write_text(f"{HOSTILE},{HOSTILE}2,label\n" + ROWS.replace("yes", HOSTILE))
    for words in (
        ("add", "mine", str(source)),
        ("show", "mine"),
        ("show", "mine", "--json"),
        ("list",),
        ("list", "--json"),
        ("show", HOSTILE),
        ("verify", HOSTILE),
        ("download", HOSTILE),
        ("import", HOSTILE, "/tmp"),
        ("import", HOSTILE),
        ("pack", HOSTILE, "/nowhere/x"),
        ("remove", HOSTILE, "--yes"),
        ("add", HOSTILE, str(source)),
        ("add", "other", str(source), "--label", HOSTILE),
        ("add", "other", f"/{HOSTILE}"),
        ("download", "mnist", "--mirror", HOSTILE),
    ):
        said = mlptui("data", *words)
        assert "\x1b" not in said.out + said.err and "\x07" not in said.out + said.err, words
        assert "internal error" not in said.err, said.err


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nosuch"),
        ("show", "../x"),
        ("verify", "nosuch"),
        ("verify", "mnist"),
        ("verify", "../../x"),
        ("download", "nosuch"),
        ("download", SAMPLE),
        ("download", "moons"),
        ("download", "mnist", "--mirror", "ftp://127.0.0.1/"),
        ("download", "mnist", "--mirror", "http://[bad"),
        ("import", "nosuch", "/tmp"),
        ("import", "/nowhere/x.tar"),
        ("import", "/tmp"),
        ("import", "mnist", "/nowhere"),
        ("import", SAMPLE, "/tmp"),
        ("pack", "mnist", "/nowhere/x.tar"),
        ("pack", SAMPLE, "/nowhere/x.tar"),
        ("add", "mine", "/nowhere.csv"),
        ("add", "mnist", "/etc"),
        ("add", "../x", "/etc/passwd"),
        ("add", "mine", "/etc/passwd"),
        ("add", "mine", "/dev/null"),
        ("remove", "nosuch", "--yes"),
        ("remove", SAMPLE, "--yes"),
        ("remove", "moons", "--yes"),
        ("remove", "../../x", "--yes"),
        ("add", "mine", "~nobody-of-this-name/x.csv"),
        ("import", "~nobody-of-this-name/x.tar"),
    ],
)
@pytest.mark.parametrize("machine", [False, True])
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(mlptui: Command, words: tuple[str, ...], machine: bool) -> None:
    said = mlptui("data", *words, *(["--json"] if machine else []))
    one_sentence(said)
    home = paths.find().data
    left = (
        [p for p in home.rglob("*") if ".jobs" not in p.parts and p.name not in ("datasets", ".downloads")]
        if home.exists()
        else []
    )
    assert [p for p in left if p.parent.name != ".downloads"] == []


@pytest.mark.parametrize("words", [(), ("nothing",), ("show",), ("download",), ("pack", "mnist"), ("add", "x"),
                                   ("add", "x", "y", "--task", "guess"), ("add", "x", "y", "--size", "large"),
                                   ("list", "--js")])  # fmt: skip
def test_wrong_usage_is_exit_code_2(mlptui: Command, words: tuple[str, ...]) -> None:
    said = mlptui("data", *words)
    assert said.code == 2 and said.out == "" and "usage:" in said.err
    assert not paths.find().data.exists()


def test_help_has_examples(mlptui: Command) -> None:
    said = mlptui("data", "--help")
    assert said.code == 0 and "resumes where it stopped" in said.out


def test_nothing_connects_unless_asked_to(mlptui: Command, mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def connect(*words: object, **_: object) -> None:
        asked.append(words)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    for words in (
        ("list",), ("show", "mnist"), ("show", "mine"), ("verify",), ("verify", SAMPLE),
        ("pack", "mine", str(tmp_path / "m.tar")), ("import", str(tmp_path / "m.tar")),
        ("import", "mnist", str(tmp_path)), ("remove", "mine", "--yes"),
    ):  # fmt: skip
        mlptui("data", *words)
    assert asked == []
    monkeypatch.setattr("mlptui.datasets.fetch.BACKOFF", (0.0,))
    assert "is there a network?" in mlptui("data", "download", "usps").err or asked
    assert asked


# download


@pytest.mark.process
def test_a_download_says_how_far_it_is_and_what_is_here(mlptui: Command, mirror: Server) -> None:
    said = mlptui("data", "download", "fashion-mnist", "--mirror", mirror.address)
    assert (said.code, said.out) == (0, "")
    assert "fashion-mnist is here: 60,000 samples to train on, 10,000 to test on" in said.err.splitlines()[-1]
    assert "\r" not in said.err and len(said.err.splitlines()) < 20
    again = mlptui("data", "download", "fashion-mnist", "--mirror", mirror.address, "--json")
    assert again.code == 0 and again.json["here"] and again.json["name"] == "fashion-mnist"
    assert len(mirror.requests) == 4
    assert mlptui("data", "verify", "fashion-mnist").out == "fashion-mnist: whole, compared with the SHA-256 of its origin\n"


def test_a_mirror_of_the_settings_is_used(mlptui: Command, mirror: Server) -> None:
    place = paths.find().settings
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f'mirror = "{mirror.address}"\n')
    mirror.always("*", status(404))
    assert "404" in one_sentence_of_many(mlptui("data", "download", "fashion-mnist"))
    assert {r.path for r in mirror.requests} == {f"{p}train-images-idx3-ubyte.gz" for p in ("/fashion-mnist/", "/")}


def one_sentence_of_many(said: Any) -> str:
    """The last line of what narrates; a failure."""
    assert (said.code, said.out) == (1, "") and "\x1b" not in said.err and "internal error" not in said.err
    return str(said.err.splitlines()[-1])


def test_what_a_failed_download_left_is_kept_and_told(mlptui: Command, mirror: Server) -> None:
    images = "/fashion-mnist/train-images-idx3-ubyte.gz"
    mirror.script(images, cut(1_000_000))
    mirror.always("*", status(404))
    said = mlptui("data", "download", "fashion-mnist", "--mirror", mirror.address)
    assert f"{mirror.place}: 404" in one_sentence_of_many(said)
    assert "partly here 3%" in mlptui("data", "list").out
    assert "mlptui data import fashion-mnist FOLDER" in said.err
    assert jobs.read(paths.find(), "fashion-mnist") is None  # who asked was told; no viewer needs to be


def test_one_of_several_that_fails_does_not_stop_the_others(mlptui: Command, mirror: Server) -> None:
    said = mlptui("data", "download", "usps", "fashion-mnist", "--mirror", mirror.address, "--json")
    assert said.code == 1 and [row["name"] for row in said.lines] == ["fashion-mnist"]
    assert "usps: " in said.err and "404" in said.err


def test_a_name_that_is_none_is_said_before_anything_is_downloaded(mlptui: Command, mirror: Server) -> None:
    said = mlptui("data", "download", "fashion-mnist", "nosuch", "--mirror", mirror.address)
    assert said.code == 1 and "there is no data set 'nosuch'" in said.err
    assert not mirror.requests


# verify


def test_all_that_is_here_is_verified(mlptui: Command, mine: str, table: Path) -> None:
    mlptui("data", "add", "other", str(table), "--copy")
    said = mlptui("data", "verify")
    assert said.out == "".join(f"{n}: whole, compared with the SHA-256 of when it was decoded\n" for n in ("mine", "other"))
    place = paths.find().datasets / "mine" / "train-inputs.npy"
    place.write_bytes(place.read_bytes()[:-1] + b"\x55")
    said = mlptui("data", "verify", "--json")
    assert said.code == 1 and [(r["name"], r["whole"]) for r in said.lines] == [("mine", False), ("other", True)]
    assert "train-inputs.npy changed since it was written" in said.lines[0]["outcome"]
    assert "train-inputs.npy changed" in one_sentence(mlptui("data", "verify", "mine"))


def test_the_sample_and_made_sets_can_be_verified(mlptui: Command) -> None:
    assert mlptui("data", "verify", SAMPLE, "moons").out.splitlines() == [
        f"{SAMPLE}: whole, compared with the hashes that mlptui carries",
        "moons: whole, compared with nothing: it is made anew each time",
    ]
    said = mlptui("data", "verify")
    assert (said.code, said.out) == (0, "") and "no data set is here but those that are part of mlptui" in said.err


# import and pack


def test_a_packed_set_goes_to_another_machine(
    mlptui: Command, mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "mine.tar"
    said = mlptui("data", "pack", "mine", str(target), "--json")
    assert said.code == 0 and said.json == {"name": "mine", "file": str(target), "size": target.stat().st_size}
    assert "is there already; give another name" in one_sentence(mlptui("data", "pack", "mine", str(target)))
    before = library.load(paths.find(), "mine")
    monkeypatch.setenv("MLPTUI_HOME", str(tmp_path / "elsewhere"))
    there = paths.find().datasets / "mine"
    assert mlptui("data", "import", str(target), "--json").json == {"name": "mine", "folder": str(there)}
    after = library.load(paths.find(), "mine")
    assert after.facts == before.facts and np.array_equal(after.train.inputs, before.train.inputs)


def test_packing_and_importing_speak_to_people(mlptui: Command, mine: str, tmp_path: Path) -> None:
    said = mlptui("data", "pack", "mine", str(tmp_path / "m.tar"))
    assert (said.code, said.out) == (0, "") and "elsewhere: mlptui data import m.tar" in said.err
    mlptui("data", "remove", "mine", "--yes")
    said = mlptui("data", "import", str(tmp_path / "m.tar"))
    assert (said.code, said.out) == (0, "") and f"mine is in {paths.find().datasets / 'mine'}" in said.err


# add


def test_adding_says_what_was_seen(mlptui: Command, table: Path) -> None:
    said = mlptui("data", "add", "mine", str(table))
    assert said.code == 0
    assert said.out.splitlines()[0] == "32 rows to train on, 8 to test on; label 'label': 2 classes: no, yes"
    assert f"mine is added; it stays in {table} and is decoded at first use. Train on it: mlptui train --data mine" in said.err
    assert "there is a data set mine already" in one_sentence(mlptui("data", "add", "mine", str(table)))
    assert 'name = "mine"' in mlptui("train", "--data", "mine", "--dry-run").out


def test_a_dry_run_only_looks(mlptui: Command, table: Path) -> None:
    said = mlptui("data", "add", "mine", str(table), "--dry-run", "--json")
    assert said.code == 0 and said.json["added"] is False and said.json["name"] == "mine" and said.json["warnings"] == []
    assert "2 classes: no, yes" in said.json["seen"][0]
    assert mlptui("data", "add", "mine", str(table), "--dry-run").out.splitlines() == said.json["seen"]
    assert not paths.find().data.exists()


@pytest.mark.parametrize("name", ["../x", "mnist", "A"])
def test_a_dry_run_looks_at_the_name_too(mlptui: Command, table: Path, name: str) -> None:
    assert mlptui("data", "add", name, str(table), "--dry-run").code == 1


def test_options_reach_the_reader(mlptui: Command, table: Path, tmp_path: Path) -> None:
    said = mlptui("data", "add", "one", str(table), "--label", "1", "--task", "regression", "--test-share", "0.5", "--json")
    assert "20 rows to train on, 20 to test on; label 'a': a number to predict" in said.json["seen"][0]
    said = mlptui("data", "add", "two", str(table), "--test", str(table), "--header", "yes", "--copy", "--json")
    assert "40 rows to train on, 40 to test on" in said.json["seen"][0] and said.json["added"]
    np.save(tmp_path / "x.npy", np.zeros((9, 2)))
    np.save(tmp_path / "y.npy", np.arange(9) % 2)
    said = mlptui("data", "add", "three", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy"))
    assert said.code == 0 and "2 classes: 0, 1" in said.out
    assert [r["name"] for r in mlptui("data", "list", "--json").json][len(ENTRIES) :] == ["one", "three", "two"]


def test_warnings_are_told(mlptui: Command, table: Path) -> None:
    table.write_text("a,b,label\n" + ROWS + "7,,yes\n8,9,\n")
    said = mlptui("data", "add", "mine", str(table))
    assert "warning: 1 row without a label left out" in said.out and "warning: missing values: b (1)" in said.out


# remove


def test_removing_asks_or_wants_yes(mlptui: Command, mine: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = mlptui("data", "remove", "mine")
    assert (said.code, said.out) == (2, "") and "needs --yes where nobody can be asked" in said.err
    place = paths.find().datasets / "mine"
    for answer, code in (("\n", 1), ("n\n", 1), ("maybe\n", 1), ("y\n", 0)):
        assert place.exists()
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert mlptui("data", "remove", "mine").code == code
    assert not place.exists() and table.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_was_removed_is_gone_and_nothing_else(mlptui: Command, mine: str, table: Path) -> None:
    mlptui("data", "add", "other", str(table), "--copy")
    said = mlptui("data", "remove", "mine", "--yes", "--json")
    assert said.code == 0 and said.json == {"name": "mine", "removed": True, "used_by": []}
    assert {p.name for p in paths.find().datasets.iterdir()} == {"other", ".jobs"}
    assert "mine is not in" in one_sentence(mlptui("data", "remove", "mine", "--yes"))
    assert mlptui("data", "remove", "other", "--yes").err == "other is removed\n"


def test_a_partial_download_can_be_removed(mlptui: Command) -> None:
    place = paths.find().datasets / ".downloads" / "mnist"
    place.mkdir(parents=True)
    (place / "train-images-idx3-ubyte.gz.part").write_bytes(bytes(99))
    assert mlptui("data", "remove", "mnist", "--yes").code == 0
    assert not place.exists()


def test_runs_that_need_the_set_are_named(mlptui: Command, mine: str) -> None:
    runs, wanted = [], recipe()
    for _ in range(5):
        run = make_run(wanted.model_copy(update={"data": wanted.data.model_copy(update={"name": "mine"})}))
        runs.append(run.id)
    said = mlptui("data", "remove", "mine", "--yes", "--json")
    assert said.code == 0 and sorted(said.json["used_by"]) == sorted(runs)
    assert (
        "mine is what these runs were trained on; they cannot be resumed without it: " in said.err and "and 2 more" in said.err
    )


@pytest.mark.parametrize("name", ["../../outside", "../../../outside"])
def test_a_name_that_leads_elsewhere_touches_nothing(mlptui: Command, name: str) -> None:
    home = paths.find().data
    (home / "datasets" / ".jobs").mkdir(parents=True)
    for place in (home / "outside.json", home.parent / "outside.json"):
        place.write_text("precious")
    assert mlptui("data", "remove", name, "--yes").code == 1
    assert all(p.read_text() == "precious" for p in (home / "outside.json", home.parent / "outside.json"))
    assert not (home / "outside.lock").exists() and not (home.parent / "outside.lock").exists()


def test_the_default_goes_back_to_the_sample(mlptui: Command, fashion_mnist: Path) -> None:
    mlptui("data", "import", "fashion-mnist", str(fashion_mnist))
    assert catalog.default(paths.find()) == "fashion-mnist"
    mlptui("data", "remove", "fashion-mnist", "--yes")
    assert catalog.default(paths.find()) == SAMPLE
    assert library.state(paths.find(), "fashion-mnist").kind == library.ABSENT
