"""Saving by hand, renaming, annotating, deleting and bringing back: an error or a kill at any system call loses nothing."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import fill, read_only
from forks import exit_code, fork
from tensors import tensor_file
from test_checkpoint_faults import ERRNOS, Fault, faulty, refuse

from mlptui.core.errors import MlptuiError
from mlptui.store import atomic, checkpoints, collection
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

FILES = {"model.safetensors": tensor_file(a=5)}
FACTS = {"metrics": {}, "architecture": "nn.Linear(2, 2)"}


def prepared(folder: Path) -> Paths:
    """Two names with two versions each; the first of `one` has a note."""
    paths = Paths(folder, folder, folder)
    for name in ("one", "two"):
        for _ in range(2):
            collection.save(paths, name, FILES, FACTS)
    collection.tell(collection.find(paths, "one/1"), note="keep me", pinned=False)
    return paths


def save(paths: Paths) -> None:
    collection.save(paths, "one", FILES, FACTS, "third")


def rename(paths: Paths) -> None:
    collection.rename(paths, Run(paths.saved / "two"), "three")


def note(paths: Paths) -> None:
    collection.tell(collection.find(paths, "one/1"), note="another", pinned=True)


def remove(paths: Paths) -> None:
    collection.remove(paths, collection.find(paths, "two/1"))


def bring_back(paths: Paths) -> None:
    collection.restore(paths, collection.remove(paths, collection.find(paths, "two/1")))


def went_on(paths: Paths) -> None:
    collection.went_on(collection.find(paths, "one/2"), Run(paths.runs / "child"))


OPERATIONS: list[Callable[[Paths], None]] = [save, rename, note, remove, bring_back, went_on]


def whole(paths: Paths) -> int:
    """How many checkpoints are there, in the list or in the trash, every byte of each verified."""
    entries = collection.everything(paths)
    assert all(not entry.problem and not collection.verify(entry) for entry in entries)
    in_trash = [checkpoints.load(place) for place in paths.trash.iterdir()] if paths.trash.is_dir() else []
    for one in in_trash:
        for name in one.manifest["files"]:
            one.read(name)
    return len(entries) + len(in_trash)


def intact(paths: Paths) -> None:
    """Nothing that was committed is lost, and what was said of it is the old or the new."""
    assert whole(paths) in (4, 5, 6)  # what was broken off may be done twice
    said = collection.find(paths, "one/1").about
    assert (said.note, said.pinned) in (("keep me", False), ("another", True))


def calls_of(tmp_path: Path, operation: Callable[[Paths], None]) -> int:
    paths = prepared(tmp_path / "counted")
    with faulty(Fault(0, refuse(5))) as fault:
        operation(paths)
    return fault.count


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_an_error_at_any_call_loses_nothing_and_is_a_sentence(fast: Path, operation, counts) -> None:
    calls = calls_of(fast, operation)
    assert calls > 3
    for at in range(1, calls + 1):
        for i, number in enumerate(ERRNOS[: counts(2, len(ERRNOS))]):
            paths = prepared(fast / f"{at}-{i}")
            with faulty(Fault(at, refuse(number), sticky=bool(at % 2))):
                try:
                    operation(paths)
                except MlptuiError as error:
                    assert str(error).isprintable()
                except OSError as error:
                    raise AssertionError(f"call {at}: {error!r} instead of a sentence") from error
            intact(paths)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_a_kill_at_any_call_loses_nothing(fast: Path, operation) -> None:
    for at in range(1, calls_of(fast, operation) + 1):
        paths = prepared(fast / f"killed-{at}")

        def work(paths: Paths = paths, at: int = at) -> int:
            with faulty(Fault(at, lambda _: os._exit(9), after=bool(at % 2))):
                operation(paths)
            return 0

        exit_code(fork(work))
        intact(paths)
        operation_again(paths, operation)


def operation_again(paths: Paths, operation: Callable[[Paths], None]) -> None:
    """What was broken off can be done again, or is done already."""
    try:
        operation(paths)
    except MlptuiError:
        assert operation in (rename, remove, bring_back)
    intact(paths)


def test_kills_at_random_moments_of_all_of_them(fast: Path, counts) -> None:
    """500 with --campaign. What the process said it had committed before it was killed is there, byte for byte."""
    chance = random.Random(6)

    def back(paths: Paths) -> None:
        collection.rename(paths, Run(paths.saved / "three"), "two")

    def retention(paths: Paths) -> None:
        parent = paths.runs / "trained" / "checkpoints"
        step = 10 + max((int(folder.name[5:]) for folder in checkpoints.folders(parent)), default=0)
        checkpoints.commit(parent, step, FILES, {"metrics": {"valid_accuracy": 1 / step}})
        checkpoints.prune(parent, keep=2)

    done: Counter[str] = Counter()
    for i in range(counts(40, 500)):
        paths = prepared(fast / f"r{i}")
        atomic.make_folder(paths.runs / "trained" / "checkpoints")
        told, tell = os.pipe()

        def work(paths: Paths = paths, seed: int = i, tell: int = tell) -> int:
            order = random.Random(seed)
            while True:
                operation = order.choice((*OPERATIONS, back, retention))
                try:
                    operation(paths)
                    os.write(tell, f"{operation.__name__}\n".encode())
                except MlptuiError:  # what it is about is in the trash, or has another name
                    pass

        pid = fork(work)
        os.close(tell)
        time.sleep(chance.random() * 0.05)  # the moment is what is random here; nothing is waited for
        os.kill(pid, signal.SIGKILL)
        exit_code(pid)
        with os.fdopen(told) as stream:
            committed = Counter(stream.read().split())
        done += committed
        trained = Run(paths.runs / "trained")
        kept, damaged = checkpoints.listed(trained.checkpoints)
        saved = whole(paths) - len(kept)
        assert not damaged and 4 + committed["save"] <= saved <= 5 + committed["save"]
        if last := 10 * committed["retention"]:
            assert {10, last} <= {one.step for one in kept}, "the best and the newest"
            assert len(kept) <= 4
        if committed["note"]:
            about = collection.find(paths, "one/1").about
            assert (about.note, about.pinned) == ("another", True)
    assert set(done) == {operation.__name__ for operation in (*OPERATIONS, back, retention)}, "each was done, and broken off"


def test_a_disk_that_is_full_at_random_moments_loses_nothing(small_disk: Path) -> None:
    """What was refused can be done once there is room."""
    chance, refused = random.Random(12), 0
    for i in range(500):
        home = small_disk / f"h{i}"
        paths, operation = prepared(home), chance.choice(OPERATIONS)
        ballast = fill(small_disk, 4096 * chance.randrange(6))
        try:
            operation(paths)
        except MlptuiError as error:
            refused += 1
            assert (str(error).isprintable() and "the disk is full" in str(error)) or "free" in str(error), error
        intact(paths)
        ballast.unlink()
        operation_again(paths, operation)
        shutil.rmtree(home)
    assert refused


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_a_read_only_file_system_is_said_and_loses_nothing(tmp_path: Path, operation) -> None:
    paths = prepared(tmp_path / "home")
    with read_only(paths.data):
        with pytest.raises(MlptuiError, match="read-only"):
            operation(paths)
        intact(paths)
    operation_again(paths, operation)


def test_retention_on_a_full_or_read_only_disk_loses_nothing_that_it_keeps(small_disk: Path, counts) -> None:
    chance = random.Random(3)
    for i in range(counts(10, 500)):
        parent = small_disk / f"r{i}"
        parent.mkdir()
        for step in range(1, 9):
            checkpoints.commit(parent, step, FILES, {"metrics": {"valid_accuracy": step % 5 / 5, "valid_loss": 1.0}})
        keeps = set(checkpoints.kept(checkpoints.listed(parent)[0], 2))
        ballast = fill(small_disk, 4096 * chance.randrange(3))
        if i % 2:
            with read_only(parent):
                assert checkpoints.prune(parent, 2) == [] and len(checkpoints.folders(parent)) == 8
        else:
            checkpoints.prune(parent, 2)
        there, damaged = checkpoints.listed(parent)
        assert keeps <= {one.name for one in there} and not damaged
        assert all(one.read("model.safetensors") for one in there)
        ballast.unlink()
        shutil.rmtree(parent)
