"""Commands to a running training: each is done once and answered by an event that says by whom."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process.trainers import (
    Zygote,
    answer_to,
    events,
    eventually,
    make_run,
    outcome,
    recipe,
    rows_without_wall,
    step_of,
    tell,
    until_step,
)

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.store import checkpoints, control, host
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

pytestmark = pytest.mark.process


@pytest.fixture
def training(trainers: Zygote) -> tuple[Run, int]:
    """A run that trains 200 steps a second for longer than any test, and its process."""
    run = make_run(recipe(epochs=10_000, checkpoints__every_epochs=0))
    pid = trainers.spawn(run, slow=0.005)
    until_step(run, 3)
    return run, pid


def status(run: Run) -> Status:
    return Status(run.state().status)


def test_a_paused_run_takes_no_step_until_it_is_told_and_then_as_many_as_it_is_told(
    trainers: Zygote, training: tuple[Run, int]
) -> None:
    run, pid = training
    paused = tell(run, "pause")
    eventually(lambda: status(run) is Status.PAUSED)

    assert not paused["refused"]
    assert paused["who"] == host.who()
    assert paused["outcome"] == f"paused after step {paused.step}"
    assert step_of(run) == paused.step

    stepped = tell(run, "step", 7)
    until_step(run, paused.step + 7)
    assert stepped.step == paused.step
    assert tell(run, "checkpoint").step == paused.step + 7
    assert status(run) is Status.PAUSED

    assert tell(run, "step")["outcome"] == "1 more"
    until_step(run, paused.step + 8)
    went_on = tell(run, "resume")
    assert went_on.step == paused.step + 8
    until_step(run, went_on.step + 20)
    eventually(lambda: status(run) is Status.RUNNING)
    assert run.verdict().status is Status.RUNNING

    stopped = tell(run, "stop")
    assert trainers.wait(pid) == 0
    assert not stopped["refused"]
    last = events(run)[-1]
    assert (last.kind, last["reason"]) == (Kind.STOPPED, f"asked by {host.who()}")
    newest, _ = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert newest.step == last.step == step_of(run)
    assert run.verdict().status is Status.STOPPED
    assert run.state().exit_code == 0
    assert [row.step for row in read_rows(run.steps_file)] == list(range(1, last.step + 1))
    assert not list(run.control.iterdir())


def test_a_run_that_is_told_to_go_on_in_the_middle_of_its_steps_is_a_running_one(training: tuple[Run, int]) -> None:
    run, _ = training
    paused = tell(run, "pause")
    tell(run, "step", 100_000)
    until_step(run, paused.step + 1)
    assert status(run) is Status.PAUSED

    assert not tell(run, "resume")["refused"]

    eventually(lambda: status(run) is Status.RUNNING, seconds=10)
    assert tell(run, "step")["refused"] == "only a paused run can be stepped"


def test_a_paused_run_can_be_stopped(trainers: Zygote, training: tuple[Run, int]) -> None:
    run, pid = training
    step = tell(run, "pause").step

    tell(run, "stop")

    assert trainers.wait(pid) == 0
    assert events(run, Kind.STOPPED)[0].step == step
    assert (run.checkpoints / checkpoints.name_of(step)).is_dir()


def test_a_learning_rate_holds_from_the_next_step_on(trainers: Zygote, training: tuple[Run, int]) -> None:
    run, _ = training

    answer = tell(run, "set", 0.025)
    until_step(run, answer.step + 5)

    knob = events(run, Kind.KNOB)[0]
    assert answer["outcome"] == "learning rate 0.1 -> 0.025"
    assert (knob.step, knob["before"], knob["lr"]) == (answer.step, 0.1, 0.025)
    rates = {row.step: row.lr for row in read_rows(run.steps_file)}
    assert {rate for step, rate in rates.items() if step <= answer.step} == {0.1}
    assert {rate for step, rate in rates.items() if step > answer.step} == {0.025}


def test_what_cannot_be_done_is_refused_with_its_reason(trainers: Zygote, training: tuple[Run, int]) -> None:
    run, _ = training
    refused = {
        ("resume", None): "it is not paused",
        ("step", 3.0): "only a paused run can be stepped",
        ("set", 0.0): "above 0",
        ("set", -0.1): "above 0",
        ("set", 10_001.0): "up to 10,000",
        ("set", float("nan")): "above 0",
        ("set", float("inf")): "above 0",
        ("set", None): "above 0",
    }
    for (command, value), reason in refused.items():
        assert reason in tell(run, command, value)["refused"], (command, value)
    tell(run, "pause")
    assert tell(run, "pause")["refused"] == "it is paused already"
    for steps in (0.0, -1.0, 1e9, float("inf"), float("nan"), 1e308):
        assert tell(run, "step", steps)["refused"], steps
    assert not tell(run, "checkpoint")["refused"]
    assert "saved already" in tell(run, "checkpoint")["outcome"]

    assert not events(run, Kind.KNOB)
    assert tell(run, "resume")["refused"] == ""
    assert status(run) is not Status.FAILED


NONSENSE = [
    b"",
    b"\xff\xfe",
    b"[]",
    b'{"command": "explode", "wall": 0}',
    b'{"command": ["stop"], "wall": 1e300}',
    b'{"command": "set", "value": "0.1", "wall": %d}',
    b'{"command": "set", "value": true, "wall": %d}',
    b'{"command": "set", "value": 1' + b"0" * 400 + b', "wall": %d}',
    b'{"command": "stop", "wall": "soon"}',
    b'{"command": "stop", "wall": NaN}',
    b'{"command": "stop", "wall": %d, "who": "' + b"x" * 5000 + b'"}',
    b"[" * 4000,
]


def test_a_command_file_that_makes_no_sense_is_refused_and_the_run_goes_on(training: tuple[Run, int]) -> None:
    run, _ = training
    for number, content in enumerate(NONSENSE):
        written = content.replace(b"%d", str(int(time.time()) + 1).encode())
        (run.control / f"{number}-bad.json").write_bytes(written)

        assert answer_to(run, f"{number}-bad")["refused"], content
        until_step(run, step_of(run) + 20)
        assert not list(run.control.iterdir())


def test_strange_things_in_the_control_folder_do_no_harm(trainers: Zygote, training: tuple[Run, int], tmp_path: Path) -> None:
    run, _ = training
    (tmp_path / "real").write_text(json.dumps({"command": "stop", "wall": time.time() + 1}))
    (run.control / "1-link.json").symlink_to(tmp_path / "real")
    (run.control / "2-folder.json").mkdir()
    os.mkfifo(run.control / "3-pipe.json")
    (run.control / ".4-hidden.json").write_text(json.dumps({"command": "stop", "wall": time.time() + 1}))

    assert all(answer_to(run, name)["refused"] for name in ("1-link", "2-folder", "3-pipe"))
    until_step(run, step_of(run) + 20)


def test_a_command_from_before_the_start_is_refused_as_too_old(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    stale = control.send(run, "stop")
    trainers.spawn(run, slow=0.005)

    assert answer_to(run, stale)["refused"] == "it is too old"
    until_step(run, 20)


def test_an_answered_command_that_was_left_behind_by_a_kill_is_not_done_again(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000, checkpoints__every_steps=1))
    pid = trainers.spawn(run, slow=0.005)
    until_step(run, 3)
    done = tell(run, "set", 0.03)
    os.kill(pid, signal.SIGKILL)
    trainers.wait(pid)
    name = f"{done['id']}.json"
    (run.control / name).write_text(json.dumps({"command": "set", "value": 0.03, "wall": time.time() + 60}))

    trainers.spawn(run, slow=0.005)
    eventually(lambda: events(run, Kind.RESUMED))
    eventually(lambda: not (run.control / name).exists())

    assert len([e for e in events(run, Kind.COMMAND) if e["id"] == done["id"]]) == 1


SENDER = """
import sys
from pathlib import Path
from mlptui.store import control
from mlptui.store.rundir import Run
for number in range(1, 31):
    print(control.send(Run(Path(sys.argv[1])), "set", number / int(sys.argv[2])))
"""


def test_two_senders_at_once_are_each_answered_once_and_by_name(trainers: Zygote, training: tuple[Run, int]) -> None:
    run, _ = training
    senders = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", SENDER, str(run.folder), divisor],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOGNAME": name},
        )
        for name, divisor in (("ada", "100"), ("bob", "1000"))
    ]
    sent = [sender.communicate()[0].split() for sender in senders]
    assert [len(ids) for ids in sent] == [30, 30]
    eventually(lambda: len(events(run, Kind.COMMAND)) >= 60)

    answers = events(run, Kind.COMMAND)

    assert sorted(e["id"] for e in answers) == sorted(sent[0] + sent[1])
    assert all(not e["refused"] for e in answers)
    for name, ids in zip(("ada", "bob"), sent, strict=True):
        assert [e["id"] for e in answers if e["who"] == f"{name}@{host.host_name()}"] == ids
    assert [e["lr"] for e in events(run, Kind.KNOB)] == [e["value"] for e in answers]


def test_a_checkpoint_that_was_asked_for_counts_every_step_of_its_epoch(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000, batch_size=60, checkpoints__every_epochs=0, checkpoints__keep=100))
    trainers.spawn(run, slow=0.005)
    until_step(run, 3)

    for _ in range(6):
        step = tell(run, "checkpoint").step
        eventually(lambda step=step: [e for e in events(run, Kind.CHECKPOINT) if e.step == step])
        assert outcome(run, step)[1]["samples"] == step % 50 * 60


def test_a_checkpoint_that_was_asked_for_has_every_row_before_it_even_if_the_run_is_killed_then(trainers: Zygote) -> None:
    wanted = recipe(epochs=40, checkpoints__every_epochs=0)
    straight, run = make_run(wanted), make_run(wanted)
    assert trainers.wait(trainers.spawn(straight)) == 0
    pid = trainers.spawn(run, slow=0.005)
    until_step(run, 3)

    asked = tell(run, "checkpoint")
    eventually(lambda: [e for e in events(run, Kind.CHECKPOINT) if e.step == asked.step])
    os.kill(pid, signal.SIGKILL)
    trainers.wait(pid)
    assert trainers.wait(trainers.spawn(run)) == 0

    assert events(run, Kind.RESUMED)[0].step == asked.step
    assert rows_without_wall(run) == rows_without_wall(straight)
    assert outcome(run) == outcome(straight)


def test_a_learning_rate_that_was_set_survives_a_kill_before_the_next_checkpoint_exactly(trainers: Zygote) -> None:
    wanted = recipe(epochs=12, optimizer__momentum=0.9, schedule__name="cosine", checkpoints__every_epochs=0)

    def turned(kill: bool) -> Run:
        """Pause, go to step 30 by single steps, turn the rate there, and let the run end; perhaps over a kill."""
        run = make_run(wanted)
        pid = trainers.spawn(run, slow=0.005)
        eventually(lambda: events(run, Kind.CHECKPOINT))
        paused = tell(run, "pause")
        assert paused.step < 30
        tell(run, "step", 30 - paused.step)
        until_step(run, 30)
        assert tell(run, "set", 0.37).step == 30
        if kill:
            tell(run, "step", 4)
            until_step(run, 34)
            os.kill(pid, signal.SIGKILL)
            trainers.wait(pid)
            pid = trainers.spawn(run)
        else:
            tell(run, "resume")
        assert trainers.wait(pid) == 0
        return run

    straight, killed = turned(kill=False), turned(kill=True)

    assert events(killed, Kind.RESUMED)[0].step == 0
    assert {row.lr for row in read_rows(straight.steps_file)[30:31]} == {row.lr for row in read_rows(killed.steps_file)[30:31]}
    assert rows_without_wall(killed) == rows_without_wall(straight)
    assert outcome(killed) == outcome(straight)
