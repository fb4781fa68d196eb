"""`mlptui checkpoints`: listed, verified, pinned, annotated, copied out and removed; one trained run for all of it."""

import sys
from io import StringIO
from pathlib import Path

import pytest
from process.trainers import Zygote, make_run, recipe

from mlptui.store.rundir import Run


@pytest.fixture
def run(trainers: Zygote) -> Run:
    made = make_run(recipe(epochs=2))
    assert trainers.wait(trainers.spawn(made)) == 0
    return made


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_yet_is_said(mlptui) -> None:
    said = mlptui("checkpoints", "list")
    assert (said.code, said.out) == (0, "") and "no checkpoints yet" in said.err
    assert mlptui("checkpoints", "list", "--json").json == []
    assert mlptui("checkpoints", "verify").code == 0
    said = mlptui("checkpoints", "show", "last/best")
    assert (said.code, said.out) == (1, "") and "there are no runs" in said.err


def test_checkpoints_are_listed_shown_pinned_and_annotated(mlptui, run: Run) -> None:
    said = mlptui("checkpoints", "list")
    assert said.code == 0 and said.out.count(f"{run.id}/step-") == 3 and said.out.count(" best") == 1
    listed = mlptui("checkpoints", "list", "last", "--json").json
    assert [row["id"] for row in listed] == [f"{run.id}/{f.name}" for f in sorted(run.checkpoints.iterdir(), reverse=True)]
    assert all(row["size"] > 0 and row["damaged"] == "" and not row["pinned"] for row in listed)
    best = next(row for row in listed if row["best"])
    assert best["valid_accuracy"] == run.state().best_accuracy
    assert mlptui("checkpoints", "pin", "last/best").code == 0
    assert "\x1b" not in mlptui("checkpoints", "note", "last/best", "good \x1b[2J [/]").err
    shown = mlptui("checkpoints", "show", "last/best", "--json").json
    assert shown["pinned"] and shown["note"] == "good \x1b[2J [/]" and shown["manifest"]["step"] == best["step"]
    for words in (("show", "last/best"), ("list",)):
        out = mlptui("checkpoints", *words).out
        assert "pinned" in out and "good ␛[2J [/]" in out and "\x1b" not in out
    assert mlptui("checkpoints", "unpin", "last/best", "--json").json["pinned"] is False


def test_one_flipped_bit_is_told_with_what_to_use_instead(mlptui, run: Run) -> None:
    assert mlptui("checkpoints", "verify").err.endswith("3 checkpoints read, 0 damaged\n")
    newest, before = sorted(run.checkpoints.iterdir(), reverse=True)[:2]
    file = newest / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 4
    file.write_bytes(data)
    said = mlptui("checkpoints", "verify")
    assert said.code == 1 and "model.safetensors (checksum)" in said.out and f"{run.id}/{before.name}" in said.out
    (damaged,) = [row for row in mlptui("checkpoints", "verify", "--json").lines if row["damaged"]]
    assert damaged["id"] == f"{run.id}/{newest.name}" and damaged["newest_good"] == f"{run.id}/{before.name}"
    assert mlptui("checkpoints", "verify", f"last/{before.name}").code == 0
    said = mlptui("checkpoints", "copy", "last", "/nonexistent")
    assert said.code == 1 and "damaged" in said.err


def test_a_copy_can_be_looked_into_and_is_the_same(mlptui, run: Run, tmp_path: Path) -> None:
    place = mlptui("checkpoints", "copy", "last/best", str(tmp_path / "out"), "--json").json["copied"]
    said = mlptui("params", "diff", place, str(run.checkpoints / Path(place).name.removeprefix(f"{run.id}-")))
    assert said.code == 0 and "none, bit for bit" in said.out
    assert mlptui("params", "diff", place, "last/best").code == 0 and mlptui("params", "diff", "last/0", "last/best").code == 1
    said = mlptui("params", "list", "last/77")
    assert said.code == 1 and "has no checkpoint '77'" in said.err


def test_removing_asks_and_a_pin_protects(mlptui, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mlptui("checkpoints", "remove", "last/last").code == 2
    for answer, code, left in (("n\n", 1, 3), ("\n", 1, 3), ("y\n", 0, 2)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert mlptui("checkpoints", "remove", "last/last").code == code
        assert len(list(run.checkpoints.iterdir())) == left
    mlptui("checkpoints", "pin", "last/last")
    said = mlptui("checkpoints", "remove", "last/last", "--yes")
    assert said.code == 1 and "is pinned; unpin it first" in said.err
