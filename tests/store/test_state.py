"""state.json: whole, or refused with a sentence; and of the kinds that views rely on."""

import json
import math
import os
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mlptui.core.errors import StorageError
from mlptui.core.status import Status
from mlptui.store import state as states
from mlptui.store.state import State

WEIRD: list[Any] = [
    None, True, 0, -1, 7, 2**80, 10**400, 0.5, math.nan, math.inf, -math.inf, "", "x", "nan", "\x1b[2J", "\ud800", [], [1], {},
    {"a": 1}, "9" * 5000,
]  # fmt: skip


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = State(
        run="r", status=Status.PAUSED, pid=4, pid_start=9, wall=1.5, train_loss=0.25, valid_loss=None, exact=False, step=12,
        threads=2, name="größe \x1b \ud800", ended=3.0,
    )  # fmt: skip
    states.write(tmp_path / "state.json", state)
    assert states.read(tmp_path / "state.json") == state


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_comes_back(tmp_path: Path, value: float) -> None:
    states.write(tmp_path / "s", State(train_loss=value))
    assert repr(states.read(tmp_path / "s").train_loss) == repr(value)
    assert "NaN" not in (tmp_path / "s").read_text() and "Infinity" not in (tmp_path / "s").read_text()


@pytest.mark.parametrize("name", [f.name for f in fields(State)])
def test_no_value_of_a_field_raises_or_comes_through_as_another_kind(tmp_path: Path, name: str) -> None:
    kinds = {f.name: f.type for f in fields(State)}
    accepted = 0
    for value in WEIRD:
        (tmp_path / "s").write_text(json.dumps({"status": "running", name: value}))
        try:
            read = states.read(tmp_path / "s")
        except StorageError as error:
            assert "\n" not in str(error)
            continue
        accepted += 1
        for field, kind in kinds.items():
            assert isinstance(getattr(read, field), kind), (value, field)  # type: ignore[arg-type]
    assert accepted >= 1 or name == "status"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"null", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"status": "dancing"}', "cannot be read"),
        (b"[" * 60_000, "cannot be read"),
        (b'{"format": 2, "status": "running"}', "made by a newer mlptui"),
        (b" " * 70_000, "more than the"),
    ],
    ids=range(10),
)
def test_a_state_without_sense_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(StorageError, match=said):
        states.read(tmp_path / "state.json")


def test_what_is_newer_within_the_format_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s").write_text('{"status": "running", "mood": "good", "step": 3}')
    assert states.read(tmp_path / "s").step == 3


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(StorageError):
            states.read(tmp_path / name)


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "s"
    states.write(path, State(step=0, reason="x" * 0))
    done = threading.Event()

    def write() -> None:
        for step in range(1, 400):
            states.write(path, State(step=step, reason="x" * (step * 37 % 5000)))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while not done.is_set():
        state = states.read(path)
        assert len(state.reason) == state.step * 37 % 5000 and state.step >= seen
        seen = state.step
    thread.join()
    assert os.listdir(tmp_path) == ["s"]
