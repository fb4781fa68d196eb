"""What is said of a checkpoint: by many at once, against retention, and what of it is believed."""

import fcntl
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from forks import exit_code, fork
from tensors import tensor_file

from mlptui.core.errors import StorageError
from mlptui.store import abouts, checkpoints, sealed
from mlptui.store.abouts import JUDGED, About, Judged

FILES = {"model.safetensors": tensor_file(a=5)}


def committed(parent: Path, step: int) -> Path:
    facts = {"metrics": {"valid_accuracy": 1 / step, "valid_loss": 1.0}}
    return checkpoints.commit(parent, step, FILES, facts).folder


def judged(data: str, loss: float = 0.5) -> Judged:
    return Judged("test", data, loss, 0.75, "accuracy", 100)


def test_what_many_say_at_once_is_all_kept(tmp_path: Path) -> None:
    folder = committed(tmp_path, 1)

    def work(who: int) -> int:
        for i in range(20):
            abouts.change(folder, lambda before, i=i: replace(before, children=(*before.children, f"{who}-{i}")))  # type: ignore[misc]
        return 0

    pids = [fork(lambda who=who: work(who)) for who in range(4)]  # type: ignore[misc]
    assert [exit_code(pid) for pid in pids] == [0] * 4
    assert sorted(abouts.read(folder).children) == sorted(f"{who}-{i}" for who in range(4) for i in range(20))
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == [], "no lock file lies about"


def test_a_lock_that_somebody_keeps_is_waited_for_and_said(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StorageError, match="another process"), abouts.locked(tmp_path, patience=0.05):
        pass
    os.close(descriptor)
    with abouts.locked(tmp_path, patience=0.05):
        pass


def test_where_folders_cannot_be_locked_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, where what is locked must be open for writing."""
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(9, "Bad file descriptor")
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = committed(tmp_path, 1)
    assert abouts.change(folder, lambda before: replace(before, note="x")).note == "x"
    with abouts.locked(tmp_path), pytest.raises(StorageError), abouts.locked(tmp_path, patience=0.02):
        pass
    assert len(checkpoints.folders(tmp_path)) == 1


def test_a_pin_that_comes_while_retention_thinks_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [committed(tmp_path, step) for step in range(1, 8)]
    real = checkpoints.kept

    def kept(found: list[checkpoints.Checkpoint], keep: int) -> dict[str, str]:
        staying = real(found, keep)
        abouts.change(folders[2], lambda before: replace(before, pinned=True))
        return staying

    monkeypatch.setattr(checkpoints, "kept", kept)
    gone = checkpoints.prune(tmp_path, keep=1)
    assert folders[2].is_dir() and folders[2].name not in gone and len(gone) >= 3
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix == ".about") == [f"{folders[2].name}.about"]


def test_what_was_said_of_one_that_is_gone_is_not_said_of_the_next(tmp_path: Path) -> None:
    folder = committed(tmp_path, 1)
    abouts.change(folder, lambda before: replace(before, pinned=True, note="of the first"))
    os.rename(folder, tmp_path / "away")
    assert abouts.known(committed(tmp_path, 1)) == About()


def test_the_same_judgement_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = committed(tmp_path, 1)
    for i in range(JUDGED + 5):
        abouts.keep_judgement(folder, judged(f"set-{i}"))
    abouts.keep_judgement(folder, judged("set-24", math.nan))
    found = abouts.read(folder).judged
    assert [one.data for one in found] == [f"set-{i}" for i in range(5, JUDGED + 5)]
    assert math.isnan(found[-1].loss)
    os.rename(folder, tmp_path / "away")  # nowhere to be kept is no failure of judging
    abouts.keep_judgement(tmp_path / "none" / "step-0000000001", judged("x"))


@pytest.mark.parametrize(
    "said",
    [
        {"judged": [{"part": "test"}]},
        {"judged": 3},
        {"judged": [None, [1]]},
        {"children": 5},
        {"pinned": "yes"},
        {"note": None},
    ],
    ids=str,
)
def test_odd_things_in_it_are_not_believed(tmp_path: Path, said: dict[str, object]) -> None:
    folder = committed(tmp_path, 1)
    abouts.file_of(folder).write_bytes(sealed.document(said))
    found = abouts.known(folder)
    assert not found.pinned and found.judged == () and found.children == ()


def test_what_is_damaged_is_taken_for_a_pin_until_it_is_unpinned(tmp_path: Path) -> None:
    folder = committed(tmp_path, 1)
    abouts.change(folder, lambda before: replace(before, note="mine"))
    with abouts.file_of(folder).open("ab") as stream:
        stream.write(b"x")
    damaged = abouts.file_of(folder).read_bytes()
    assert abouts.known(folder).pinned

    abouts.change(folder, lambda before: replace(before, note="another"))
    assert abouts.read(folder) == About(pinned=True, note="another")
    abouts.change(folder, lambda before: replace(before, pinned=False, note=""))
    assert abouts.read(folder) == About() and not abouts.file_of(folder).exists()
    assert [file.read_bytes() for file in tmp_path.glob("damaged-*.about")] == [damaged]
    assert checkpoints.folders(tmp_path) == [folder]


def test_what_a_dead_process_wanted_to_say_is_swept_when_it_is_old(tmp_path: Path) -> None:
    committed(tmp_path, 1)
    old, new, living = (tmp_path / f".step-0000000001.about.{pid}-ab" for pid in (999999999, 999999998, os.getppid()))
    for file in (old, new, living):
        file.write_bytes(b"part")
    for file in (old, living):
        os.utime(file, (1e9, 1e9))
    checkpoints.sweep(tmp_path)
    assert not old.exists() and new.exists() and living.exists()
