"""Full disk, read-only folder, vanished folder: the run says so, trains on if it can, and what was committed stays."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from process.trainers import Zygote, events, eventually, make_run, recipe, step_of, tell, until_step

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.store import checkpoints, host, lock
from mlptui.store.follow import Follower
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

pytestmark = pytest.mark.process


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """The home on a file system of 3 MB."""
    if os.getuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    home.mkdir()
    mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(home))
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is free."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as stream:
        for block in (65_536, 4096, 1):
            try:
                while stream.write(b"x" * block) == block:
                    pass
            except OSError:
                pass
    return filler


def training(trainers: Zygote, **knobs: object) -> tuple[Run, int]:
    run = make_run(recipe(**{"epochs": 10_000, "checkpoints__every_epochs": 0, **knobs}))
    pid = trainers.spawn(run, slow=0.002)
    until_step(run, 10)
    return run, pid


def test_a_run_on_a_disk_that_fills_up_trains_on_says_so_and_loses_no_row(trainers: Zygote, small_disk: Path) -> None:
    run, pid = training(trainers, checkpoints__every_steps=100)
    eventually(lambda: len(events(run, Kind.CHECKPOINT)) >= 2)
    follower = Follower(run)
    filler = fill(small_disk)

    eventually(lambda: lock.read_owner(run.lock_file).trouble, "trouble", seconds=10)
    assert lock.read_owner(run.lock_file).trouble == "the disk is full"
    eventually(lambda: follower.poll().owner.trouble == "the disk is full")
    waiting = eventually(lambda: lock.read_owner(run.lock_file).waiting)
    eventually(lambda: lock.read_owner(run.lock_file).waiting > waiting + 300, "training on")
    full_at = step_of(run)
    assert run.verdict().trainer_alive
    newest, damaged = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert not damaged

    filler.unlink()

    eventually(lambda: lock.read_owner(run.lock_file).trouble == "", "the end of the trouble")
    until_step(run, full_at + 300)
    failed = eventually(lambda: events(run, Kind.CHECKPOINT_FAILED))
    assert failed[0]["reason"] == "the disk is full" or "free" in failed[0]["reason"]
    assert failed[0].step > newest.step
    eventually(lambda: [e for e in events(run, Kind.CHECKPOINT) if e.step > failed[-1].step], "a checkpoint again")
    tell(run, "stop")
    assert trainers.wait(pid) == 0
    rows = [row.step for row in read_rows(run.steps_file)]
    assert rows == list(range(1, len(rows) + 1))
    assert [e.seq for e in events(run)] == list(range(1, len(events(run)) + 1))
    assert not events(run, Kind.GAP)
    assert run.verdict().status is Status.STOPPED
    assert not [entry.name for entry in os.scandir(run.checkpoints) if entry.name.startswith(".")]
    assert checkpoints.newest_verified(run.checkpoints)[1] == []


def test_a_run_that_is_killed_on_a_full_disk_goes_on_when_there_is_space(trainers: Zygote, small_disk: Path) -> None:
    run, pid = training(trainers, checkpoints__every_steps=50)
    eventually(lambda: len(events(run, Kind.CHECKPOINT)) >= 2)
    filler = fill(small_disk)
    eventually(lambda: lock.read_owner(run.lock_file).waiting > 100)
    os.kill(pid, 9)
    trainers.wait(pid)
    newest, damaged = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert not damaged
    filler.unlink()

    pid = trainers.spawn(run, slow=0.002)
    resumed = eventually(lambda: events(run, Kind.RESUMED))[0]
    until_step(run, newest.step + 100)
    tell(run, "stop")

    assert trainers.wait(pid) == 0
    assert resumed.step == newest.step
    rows = [row.step for row in read_rows(run.steps_file)]
    assert rows == list(range(1, len(rows) + 1))


def test_a_trainer_that_starts_on_a_full_disk_ends_with_a_sentence_and_damages_nothing(
    trainers: Zygote, small_disk: Path
) -> None:
    run, pid = training(trainers, checkpoints__every_steps=50)
    eventually(lambda: len(events(run, Kind.CHECKPOINT)) >= 2)
    os.kill(pid, 9)
    trainers.wait(pid)
    fill(small_disk)
    before, _ = checkpoints.newest_verified(run.checkpoints)

    pid = trainers.spawn(run, slow=0.002)
    eventually(lambda: host.process_start(pid) is None or lock.read_owner(run.lock_file).trouble)

    after, damaged = checkpoints.newest_verified(run.checkpoints)
    assert before
    assert after
    assert (after.step, damaged) == (before.step, [])


def test_a_run_whose_folder_is_deleted_ends_cleanly_by_itself(trainers: Zygote) -> None:
    run, pid = training(trainers, checkpoints__every_steps=50)
    follower = Follower(run)
    follower.poll()
    away = run.folder.with_name("away")
    run.folder.rename(away)
    shutil.rmtree(away)

    assert trainers.wait(pid, seconds=15) == 0
    assert not run.folder.exists()
    update = follower.poll()
    assert update.problem == "the run's folder is gone"
    assert update.verdict.status is Status.UNKNOWN


def test_a_paused_run_whose_folder_is_moved_away_ends_too_and_keeps_its_checkpoints(trainers: Zygote) -> None:
    run, pid = training(trainers, checkpoints__every_steps=50)
    tell(run, "pause")
    away = Run(run.folder.with_name("away"))

    run.folder.rename(away.folder)

    assert trainers.wait(pid, seconds=15) == 0
    assert not run.folder.exists()
    assert checkpoints.newest_verified(away.checkpoints)[1] == []
    stopped = events(away, Kind.STOPPED)[0]
    assert stopped["reason"] == "asked by the run's folder having vanished"


def test_a_run_whose_folder_becomes_read_only_trains_on_and_says_so(trainers: Zygote, small_disk: Path) -> None:
    run, pid = training(trainers, checkpoints__every_steps=100)
    mount("--bind", str(run.folder), str(run.folder))
    try:
        mount("-o", "remount,bind,ro", str(run.folder))
        eventually(lambda: lock.read_owner(run.lock_file).trouble == "the file system is read-only", seconds=10)
        step = step_of(run)
        failed = eventually(lambda: events(run, Kind.CHECKPOINT_FAILED))
        assert failed[0]["reason"] == "the file system is read-only"
        until_step(run, step + 200)
    finally:
        subprocess.run(["umount", "--lazy", str(run.folder)], check=True)

    eventually(lambda: lock.read_owner(run.lock_file).trouble == "")
    eventually(lambda: events(run, Kind.CHECKPOINT)[-1].step > failed[-1].step)
    tell(run, "stop")
    assert trainers.wait(pid) == 0
    rows = [row.step for row in read_rows(run.steps_file)]
    assert rows == list(range(1, len(rows) + 1))


def test_a_damaged_newest_checkpoint_is_named_set_aside_and_the_one_before_it_is_used(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=12, checkpoints__every_steps=4, checkpoints__every_epochs=0))
    straight = make_run(run.recipe())
    assert trainers.wait(trainers.spawn(straight)) == 0
    trainers.wait(trainers.spawn(run, step=24))
    newest, _ = checkpoints.newest_verified(run.checkpoints)
    assert newest
    file = newest.folder / "training.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    assert trainers.wait(trainers.spawn(run)) == 0

    told = events(run, Kind.CHECKPOINT_DAMAGED)[0]
    assert told["name"] == newest.name
    assert "training.safetensors" in told["reason"]
    assert "not as they were written" in told["reason"]
    assert events(run, Kind.RESUMED)[0].step == newest.step - 4
    assert [e.name for e in os.scandir(run.checkpoints) if e.name.startswith(f"damaged-{newest.name}")]
    assert [row.loss for row in read_rows(run.steps_file)] == [row.loss for row in read_rows(straight.steps_file)]
