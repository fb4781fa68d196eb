"""Row 2 of the fault matrix: every system call of save, prune and sweep fails, or is the process's last."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from forks import exit_code, fork
from tensors import tensor_file

from mlptui.core.errors import StorageError
from mlptui.store import checkpoints

CALLS = [
    "open", "write", "fsync", "mkdir", "rename", "close", "statvfs", "unlink", "rmdir", "scandir", "fstat", "stat", "lstat",
]  # fmt: skip
CHANGES = ["write", "fsync", "mkdir", "rename", "unlink", "rmdir"]
ERRNOS = [
    errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ESTALE, errno.EINTR, errno.EMFILE,
]  # fmt: skip
FILES = {"model.safetensors": tensor_file(a=5), "training.safetensors": tensor_file(b=3, c=2)}


class Fault:
    """Counts the system calls and does `act` at the one with number `at` (and at all later ones if `sticky`)."""

    def __init__(self, at: int, act: Callable[[str], None], *, after: bool = False, sticky: bool = False) -> None:
        self.at, self.act, self.after, self.sticky = at, act, after, sticky
        self.count = 0
        self.seen: list[str] = []

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            self.seen.append(name)
            mine = self.count == self.at or (self.sticky and self.count > self.at)
            if not mine:
                return real(*arguments, **named)
            if (self.after and name in CHANGES) or name == "close":  # close(2) gives the descriptor back even when it fails
                with suppress(OSError):  # it may be refused, as unlink is for what is not there
                    real(*arguments, **named)
            return self.act(name)

        return call


@contextmanager
def faulty(fault: Fault) -> Iterator[Fault]:
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, fault.wrap(name, getattr(os, name)))
        yield fault


def refuse(number: int) -> Callable[[str], None]:
    def act(name: str) -> None:
        raise OSError(number, os.strerror(number))

    return act


def save(parent: Path, step: int, accuracy: float = 0.5) -> checkpoints.Checkpoint:
    return checkpoints.commit(parent, step, FILES, {"metrics": {"valid_accuracy": accuracy, "valid_loss": 1.0}})


def prepared(folder: Path, name: str) -> Path:
    """A folder with the checkpoints 1, 2, 3 and 4, of which 2 is the best."""
    parent = folder / name
    parent.mkdir()
    for step, accuracy in ((1, 0.1), (2, 0.9), (3, 0.3), (4, 0.4)):
        save(parent, step, accuracy)
    return parent


def verified(parent: Path) -> list[int]:
    """The steps of all listed checkpoints, every byte of them verified."""
    found, damaged = checkpoints.listed(parent)
    assert damaged == []
    for checkpoint in found:
        for name, data in FILES.items():
            assert checkpoint.read(name) == data
    newest, passed = checkpoints.newest_verified(parent)
    assert passed == [] and newest and newest.step == found[-1].step
    return [checkpoint.step for checkpoint in found]


def save_and_prune(parent: Path) -> bool:
    """What a trainer does: true if it was told that the checkpoint is saved."""
    try:
        save(parent, 5)
    except StorageError as error:
        assert str(error) and "Errno" not in str(error)
        return False
    checkpoints.prune(parent, 2)
    return True


def clean(parent: Path) -> list[str]:
    checkpoints.sweep(parent)
    return [name for name in os.listdir(parent) if not name.startswith("step-")]


def number_of_calls(parent: Path) -> int:
    with faulty(Fault(0, lambda name: None)) as fault:
        assert save_and_prune(parent)
    assert {"open", "write", "fsync", "mkdir", "rename", "close", "statvfs", "unlink", "rmdir", "scandir"} <= set(fault.seen)
    return fault.count


@pytest.mark.parametrize("number", ERRNOS, ids=[errno.errorcode[n] for n in ERRNOS])
def test_an_error_at_any_call_of_save_and_prune_harms_no_checkpoint(fast: Path, number: int) -> None:
    points = number_of_calls(prepared(fast, "count"))
    assert points >= 38
    for at in range(1, points + 1):
        parent = prepared(fast, f"at-{at}")
        with faulty(Fault(at, refuse(number))) as fault:
            told = save_and_prune(parent)
        assert fault.count >= at
        found = verified(parent)
        assert {1, 2, 4} <= set(found), fault.seen[at - 1]
        assert (5 in found) == told, fault.seen[at - 1]
        assert clean(parent) == [], fault.seen[at - 1]
        assert save(parent, 6) and verified(parent)[-1] == 6


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_call_that_worked_but_says_that_it_failed_harms_no_checkpoint(fast: Path, number: int) -> None:
    points = number_of_calls(prepared(fast, "count"))
    for at in range(1, points + 1):
        parent = prepared(fast, f"at-{at}")
        with faulty(Fault(at, refuse(number), after=True)) as fault:
            told = save_and_prune(parent)
        found = verified(parent)
        assert {1, 2, 4} <= set(found), fault.seen[at - 1]
        assert not told or 5 in found, fault.seen[at - 1]
        assert clean(parent) == [], fault.seen[at - 1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_stays_broken_from_any_call_on_harms_no_checkpoint(fast: Path, number: int) -> None:
    points = number_of_calls(prepared(fast, "count"))
    for at in range(1, points + 1):
        parent = prepared(fast, f"at-{at}")
        with faulty(Fault(at, refuse(number), sticky=True)):
            told = save_and_prune(parent)
        found = verified(parent)
        assert {1, 2, 4} <= set(found)
        assert not told or 5 in found
        assert clean(parent) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_any_call_harms_no_checkpoint(fast: Path, after: bool) -> None:
    points = number_of_calls(prepared(fast, "count"))
    saved = 0
    for at in range(1, points + 1):
        parent = prepared(fast, f"at-{at}")

        def work(parent: Path = parent, at: int = at) -> int:
            with faulty(Fault(at, lambda name: os._exit(9), after=after)):
                save_and_prune(parent)
            return 0

        assert exit_code(fork(work)) == 9, at
        found = verified(parent)
        assert {1, 2, 4} <= set(found)
        saved += 5 in found
        assert clean(parent) == []
        assert verified(parent) == found
        if 5 not in found:
            assert save(parent, 5).step == 5
    assert 0 < saved < points


def test_a_process_that_dies_at_any_call_of_the_sweep_harms_nothing(fast: Path) -> None:
    """Row 42: a second crash, during recovery."""
    for at in range(1, 40):
        parent = prepared(fast, f"at-{at}")
        for name in (".tmp-999999999-aa", ".del-999999999-bb"):
            (parent / name).mkdir()
            (parent / name / "model.safetensors").write_bytes(b"half")

        def work(parent: Path = parent, at: int = at) -> int:
            with faulty(Fault(at, lambda name: os._exit(9))):
                checkpoints.sweep(parent)
            return 0

        died = exit_code(fork(work)) == 9
        assert verified(parent) == [1, 2, 3, 4]
        assert clean(parent) == []
        if not died:
            break
    assert 8 < at < 39


def test_a_failed_save_of_a_step_that_exists_is_no_success(fast: Path) -> None:
    parent = prepared(fast, "p")
    for at in range(1, 12):
        with faulty(Fault(at, refuse(errno.EIO))), pytest.raises(StorageError):
            checkpoints.commit(parent, 4, FILES, {"metrics": {}, "epoch": 99})
    with pytest.raises(StorageError, match="step-0000000004 exists already"):
        save(parent, 4)
    assert verified(parent) == [1, 2, 3, 4]
    assert clean(parent) == []


def test_a_save_that_does_not_fit_says_what_it_needs(fast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints.atomic, "free_space", lambda path: 100)
    with pytest.raises(StorageError, match=r"needs .* B, 100 B free|needs .* kB, 100 B free"):
        save(fast, 1)
    assert os.listdir(fast) == []
