"""The real program in real terminals: whatever happens to who started a run, the run goes on."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from process.trainers import events, eventually, outcome, rows_without_wall, step_of, until_step

from mlptui.core.events import Kind
from mlptui.core.recipe import check
from mlptui.core.status import Status
from mlptui.datasets.settle import settle
from mlptui.launch import begin, process, trainer
from mlptui.store import checkpoints, control, host, paths, rundir
from mlptui.store.follow import Follower
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

pytestmark = pytest.mark.process
PROGRAM = Path(sys.executable).with_name("mlptui")
SHADOWS = (
    "abc", "argparse", "ast", "asyncio", "collections", "copy", "dataclasses", "enum", "functools", "inspect", "json",
    "logging", "numpy", "os", "pickle", "random", "re", "signal", "socket", "subprocess", "threading", "time", "torch",
    "typing",
)  # fmt: skip
ENDLESS = ["train", "--epochs", "100000", "--batch-size", "600", "--checkpoint-epochs", "0", "--threads", "1"]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """End the trainers of this test, each by the pid that its run names and only if it still holds the run."""
    yield
    for run in (run for run in rundir.all_runs(paths.find()) if run.state_file.exists()):
        state = run.state()
        if host.process_start(state.pid) == state.pid_start and run.verdict(state).trainer_alive:
            os.kill(state.pid, signal.SIGKILL)
    process.reap()


def terminal(*words: str, cwd: Path | None = None) -> "pexpect.spawn[str]":
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not installed")
    return pexpect.spawn(
        str(PROGRAM), list(words), cwd=str(cwd) if cwd else None, env={**os.environ, "TERM": "xterm"}, encoding="utf-8",
        timeout=120,
    )  # fmt: skip


def newest_run() -> Run:
    return eventually(lambda: next(iter(rundir.all_runs(paths.find())), None), "a run")


def advances(run: Run) -> bool:
    return until_step(run, step_of(run) + 10) > 0


def test_a_run_outlives_every_end_of_its_terminals_and_starts_from_a_folder_full_of_traps(tmp_path: Path) -> None:
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in SHADOWS:
        (traps / f"{name}.py").write_text(f"raise SystemExit('the trap {name}.py was run')\n")
    starter = terminal(*ENDLESS, cwd=traps)
    starter.expect("train loss")  # the heading of the epochs
    run = newest_run()
    state = run.state()
    assert os.getsid(state.pid) == state.pid != starter.pid
    assert os.readlink(f"/proc/{state.pid}/cwd") == str(run.folder)
    assert os.readlink(f"/proc/{state.pid}/fd/0") == os.devnull
    assert os.readlink(f"/proc/{state.pid}/fd/1") == os.readlink(f"/proc/{state.pid}/fd/2") == str(run.log_file)

    starter.sendcontrol("c")
    starter.expect(f"detached; the run goes on. Come back with: mlptui runs follow {run.id}")
    starter.expect(pexpect.EOF)
    assert starter.wait() == 130
    assert advances(run)

    follower = terminal("runs", "follow", "last")
    follower.expect("train loss")
    os.killpg(follower.pid, signal.SIGSTOP)  # what ctrl+z does under a shell
    eventually(lambda: Path(f"/proc/{follower.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    assert advances(run)
    os.killpg(follower.pid, signal.SIGKILL)
    follower.expect(pexpect.EOF)
    assert advances(run)

    again = terminal("runs", "follow", "last")
    again.expect("train loss")
    again.close(force=True)  # the terminal is gone
    assert advances(run)
    follower.close()
    assert run.state().pid == state.pid
    assert [e.kind for e in events(run) if e.kind != Kind.EPOCH][:1] == [Kind.STARTED]
    assert not [line for line in run.log_tail(50) if "trap" in line]
    control.send(run, "stop")
    eventually(lambda: run.verdict().status is Status.STOPPED)


def test_a_run_outlives_the_kill_of_its_starters_group_and_the_hang_up_of_its_starters_terminal() -> None:
    killed = terminal(*ENDLESS, "--name", "killed")
    hung_up = terminal(*ENDLESS, "--name", "hung-up")
    eventually(lambda: len(rundir.all_runs(paths.find())) == 2)
    runs = rundir.all_runs(paths.find())
    eventually(lambda: all(run.state_file.exists() for run in runs))
    by_name = {run.state().name: run for run in runs}
    eventually(lambda: all(run.state().pid for run in runs))

    os.killpg(killed.pid, signal.SIGKILL)  # while its trainer still imports torch
    killed.expect(pexpect.EOF)
    killed.close()
    hung_up.expect("train loss")
    hung_up.close()

    assert not hung_up.isalive()
    for run in by_name.values():
        assert advances(run)
        assert run.verdict().status is Status.RUNNING
    assert set(by_name) == {"killed", "hung-up"}


def test_a_real_trainer_that_was_killed_is_shown_so_within_seconds_and_resumes_exactly_in_a_new_process() -> None:
    knobs = {"epochs": 15, "threads": 1, "device": "cpu", "optimizer": {"momentum": 0.9, "lr": 0.02}}
    recipe = settle(paths.find(), check(knobs))
    run, pid = begin.begin(paths.find(), recipe, {})
    trainer.wait_until_ready(run, pid)
    follower = Follower(run)
    until_step(run, 60)
    os.kill(pid, signal.SIGKILL)
    verdict = eventually(lambda: (v := follower.poll().verdict).status is Status.KILLED and v, "the word killed", 3)
    assert "killed" in verdict.reason
    assert checkpoints.newest_verified(run.checkpoints)[0]
    process.reap()
    # the same run as it would be if only its first checkpoint were left: taken up there, it is the undisturbed one
    twin = Run(run.folder.with_name(f"{run.id}-twin"))
    shutil.copytree(run.folder, twin.folder)
    for found in checkpoints.listed(twin.checkpoints)[0][1:]:
        shutil.rmtree(found.folder)

    for each in (run, twin):
        begin.resume(each, {})
    for each in (run, twin):
        eventually(lambda each=each: each.verdict().status is Status.FINISHED, "the end", 120)

    assert events(run, Kind.RESUMED)[0].step >= 22
    assert events(twin, Kind.RESUMED)[0].step == 0
    assert events(run, Kind.RESUMED)[0]["exact"]
    assert [row.step for row in read_rows(run.steps_file)] == list(range(1, 331))
    assert rows_without_wall(run) == rows_without_wall(twin)
    assert outcome(run) == outcome(twin)
