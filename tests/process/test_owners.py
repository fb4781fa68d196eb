"""One run, one trainer."""

import os
import signal

import pytest
from process.trainers import Zygote, events, eventually, make_run, recipe, step_of, until_step

from mlptui.core.errors import RunError
from mlptui.core.events import Kind
from mlptui.engine.trainer import LOCKED_OUT
from mlptui.launch import begin, process, trainer
from mlptui.store import host, lock

pytestmark = pytest.mark.process


def test_a_second_trainer_is_refused_with_host_and_process_of_the_first(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    first = trainers.spawn(run, slow=0.002)
    before = until_step(run, 5)

    assert trainers.wait(trainers.spawn(run)) == LOCKED_OUT

    assert run.log_tail(1) == [f"another trainer works on this run: process {first} on {host.host_name()}"]
    assert run.state().pid == first
    until_step(run, before + 20)
    assert len(events(run, Kind.STARTED)) == 1
    assert not events(run, Kind.RESUMED)


def test_of_many_trainers_at_once_exactly_one_wins(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    pids = [trainers.spawn(run, slow=0.002) for _ in range(8)]
    until_step(run, 5)
    eventually(lambda: sum(host.process_start(pid) is not None for pid in pids) == 1)

    winner = next(pid for pid in pids if host.process_start(pid) is not None)

    assert lock.holder(run.lock_file) == run.state().pid == winner
    assert [trainers.wait(pid) for pid in pids if pid != winner] == [LOCKED_OUT] * 7
    assert len(events(run, Kind.STARTED)) == 1


def test_the_lock_of_a_killed_trainer_is_free_at_once(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    pid = trainers.spawn(run, slow=0.002)
    until_step(run, 5)
    assert lock.holder(run.lock_file) == pid

    os.kill(pid, signal.SIGKILL)
    trainers.wait(pid)

    assert lock.holder(run.lock_file) == 0
    other = trainers.spawn(run, slow=0.002)
    eventually(lambda: lock.holder(run.lock_file) == other)
    eventually(lambda: events(run, Kind.RESUMED))


def test_starting_a_trainer_for_a_live_run_fails_with_one_sentence_that_names_its_owner(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=10_000))
    first = trainers.spawn(run, slow=0.002)
    until_step(run, 5)

    pid = trainer.start(run)  # a real one: it ends before it would import torch
    with pytest.raises(RunError, match=f"another trainer works on this run: process {first} on "):
        trainer.wait_until_ready(run, pid)
    with pytest.raises(RunError, match="is running"):
        begin.resume(run, {})

    process.reap()
    assert step_of(run) > 0


def test_a_run_that_cannot_start_says_why_in_one_sentence(trainers: Zygote) -> None:
    run = make_run(recipe(architecture="nn.Sequential(nn.Flatten(), nn.Linear(100, 10))"))

    assert trainers.wait(trainers.spawn(run)) == 1

    state = run.state()
    assert state.status == "failed"
    assert state.reason.startswith("layer 1, Linear(in_features=100")
    assert "got [2, 784]" in state.reason
    assert events(run)[-1].kind == Kind.FAILED


def test_a_network_that_no_memory_holds_is_refused_before_it_is_built(trainers: Zygote) -> None:
    run = make_run(recipe(architecture="nn.Sequential(nn.Flatten(), nn.LazyLinear(2000000000), nn.LazyLinear(10))"))

    assert trainers.wait(trainers.spawn(run)) == 1

    assert "parameters; training needs about" in run.state().reason


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"architecture": "nn.Sequential(nn.Flatten(), nn.Linear(784, 7))"}, "gives [2, 7]"),
        ({"architecture": "nn.Sequential(nn.Flatten(), nn.GroupNorm(0, 4))"}, "layer 1, GroupNorm(0, 4)"),
        ({"data__sha256": "0" * 64}, "is not the data that this run began with"),
        ({"architecture": "nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))"}, "no parameters"),
    ],
)
def test_a_recipe_that_makes_no_run_fails_with_its_reason(trainers: Zygote, knobs: dict[str, object], reason: str) -> None:
    wanted = recipe(**{name: value for name, value in knobs.items() if name != "data__sha256"})
    if "data__sha256" in knobs:
        wanted = wanted.model_copy(update={"data": wanted.data.model_copy(update={"sha256": knobs["data__sha256"]})})
    run = make_run(wanted)

    assert trainers.wait(trainers.spawn(run)) == 1

    assert reason in run.state().reason
    assert "\n" not in run.state().reason
