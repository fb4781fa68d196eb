"""Signals to the trainer: SIGTERM stops after saving, a second one ends at once, a hang-up is nothing."""

import os
import signal
from pathlib import Path

import pytest
from process.trainers import Zygote, events, eventually, make_run, outcome, recipe, rows_without_wall, step_of, until_step

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.store import checkpoints, host
from mlptui.store.follow import Follower

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_saves_and_stops_after_its_step(trainers: Zygote, number: signal.Signals) -> None:
    run = make_run(recipe(epochs=10_000, checkpoints__every_epochs=0))
    pid = trainers.spawn(run, slow=0.002)
    until_step(run, 5)

    os.kill(pid, number)

    assert trainers.wait(pid) == 0
    last = events(run)[-1]
    assert (last.kind, last["reason"]) == (Kind.STOPPED, f"asked by {number.name}")
    newest, _ = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert newest.step == last.step == step_of(run)
    assert run.verdict().status is Status.STOPPED


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE, signal.SIGTTIN, signal.SIGTTOU])
def test_signals_of_terminals_are_ignored(trainers: Zygote, number: signal.Signals) -> None:
    run = make_run(recipe(epochs=10_000))
    pid = trainers.spawn(run, slow=0.002)
    before = until_step(run, 5)

    for _ in range(5):
        os.kill(pid, number)

    until_step(run, before + 20)
    assert run.verdict().status is Status.RUNNING


def test_a_signal_before_the_first_step_stops_the_run_too(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    pid = trainers.spawn(run, slow=0.002)
    eventually(lambda: run.state().pid == pid)

    os.kill(pid, signal.SIGTERM)

    assert trainers.wait(pid) == 0
    assert run.verdict().status is Status.STOPPED
    assert checkpoints.newest_verified(run.checkpoints)[0]


def test_a_second_signal_in_mid_save_ends_at_once_and_keeps_what_was_committed(trainers: Zygote, tmp_path: Path) -> None:
    wanted = recipe(epochs=12, checkpoints__every_steps=3, checkpoints__every_epochs=0)
    straight, run = make_run(wanted), make_run(wanted)
    assert trainers.wait(trainers.spawn(straight)) == 0
    gate = tmp_path / "gate"
    pid = trainers.spawn(run, slow=0.002, gate=str(gate))
    eventually(lambda: len(events(run, Kind.CHECKPOINT)) >= 3)
    gate.touch()
    eventually(Path(f"{gate}.reached").exists)
    saved = events(run, Kind.CHECKPOINT)[-1].step

    os.kill(pid, signal.SIGTERM)
    eventually(lambda: signal.SIGTERM not in pending(pid))
    assert host.process_start(pid) is not None
    eventually(lambda: ended_by_another(pid))

    assert trainers.wait(pid) == 128 + signal.SIGTERM
    newest, damaged = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert (newest.step, damaged) == (saved, [])
    assert run.verdict().status is Status.KILLED
    assert [entry.name for entry in os.scandir(run.checkpoints) if entry.name.startswith(".tmp-")]
    gate.unlink()
    assert trainers.wait(trainers.spawn(run)) == 0
    assert not [entry.name for entry in os.scandir(run.checkpoints) if entry.name.startswith(".")]
    assert outcome(run) == outcome(straight)
    assert rows_without_wall(run) == rows_without_wall(straight)


def ended_by_another(pid: int) -> bool:
    """Send SIGTERM again; more than once, because a signal that comes before Python has taken the last one is lost."""
    if host.process_start(pid) is None:
        return True
    os.kill(pid, signal.SIGTERM)
    return False


def pending(pid: int) -> set[int]:
    """Signals that the process was sent and has not yet taken."""
    lines = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    mask = int(lines["SigPnd"], 16) | int(lines["ShdPnd"], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_a_signal_in_mid_save_waits_for_the_save(trainers: Zygote, tmp_path: Path) -> None:
    run = make_run(recipe(epochs=10_000, checkpoints__every_steps=3, checkpoints__every_epochs=0))
    gate = tmp_path / "gate"
    pid = trainers.spawn(run, slow=0.002, gate=str(gate))
    eventually(lambda: events(run, Kind.CHECKPOINT))
    gate.touch()
    eventually(Path(f"{gate}.reached").exists)

    os.kill(pid, signal.SIGTERM)
    gate.unlink()

    assert trainers.wait(pid) == 0
    assert run.verdict().status is Status.STOPPED
    assert checkpoints.newest_verified(run.checkpoints)[1] == []
    assert not [entry.name for entry in os.scandir(run.checkpoints) if entry.name.startswith(".")]


def test_a_trainer_that_hangs_is_shown_with_no_progress_by_the_viewers_own_clock(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    pid = trainers.spawn(run, slow=0.002)
    until_step(run, 5)
    now = [1000.0]
    follower = Follower(run, clock=lambda: now[0])
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    while follower.poll().more:
        pass

    now[0] += 59
    assert follower.poll().verdict.reason == ""
    now[0] += 2
    verdict = follower.poll().verdict

    assert verdict.status is Status.RUNNING
    assert verdict.trainer_alive
    assert verdict.reason.startswith("no progress for 1 min 01 s")
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: follower.poll().verdict.reason == "")
