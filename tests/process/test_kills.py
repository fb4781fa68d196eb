"""kill -9 at any moment: committed checkpoints stay whole, and the run that goes on ends bit for bit as undisturbed."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from process.trainers import Zygote, events, make_run, outcome, recipe, rows_without_wall, until_step

from mlptui.core.events import Kind, without_taken_back
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.devices.cpu import usable_threads
from mlptui.store import checkpoints, host
from mlptui.store.rundir import Run

pytestmark = pytest.mark.process

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer__momentum": 0.9, "optimizer__nesterov": True, "schedule__name": "cosine", "patience": 3},
    "adam": {"optimizer__name": "adam", "optimizer__lr": 0.003, "schedule__name": "one-cycle"},
    "adamw": {"optimizer__name": "adamw", "optimizer__lr": 0.003, "optimizer__weight_decay": 0.1, "clip_norm": 1.0},
    "rmsprop": {"optimizer__name": "rmsprop", "optimizer__lr": 0.001, "schedule__warmup_steps": 20, "patience": 2},
    "many-saves": {"optimizer__momentum": 0.5, "checkpoints__every_steps": 2, "schedule__name": "step"},
}
RUNS, KILLS = 4, 4  # for each recipe, and for each run


def wanted_recipe(name: str) -> Recipe:
    saving = {"checkpoints__every_steps": 7, "checkpoints__every_epochs": 2, "checkpoints__keep": 2}
    return recipe(epochs=12, schedule__step_epochs=3, **{**saving, **RECIPES[name]})


def epochs(run: Run) -> list[tuple[object, ...]]:
    told = ("epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr")
    return [(e.step, *(e[name] for name in told)) for e in without_taken_back(events(run)) if e.kind == Kind.EPOCH]


def end_abruptly(trainers: Zygote, run: Run, chance: random.Random) -> int:
    """Start a trainer and kill -9 it at a random moment: a step, a storage call, or a time. Its exit code."""
    kind = chance.choice(("call", "step", "time"))
    if kind == "call":
        return trainers.wait(trainers.spawn(run, call=chance.randint(1, 160)))
    if kind == "step":
        return trainers.wait(trainers.spawn(run, step=chance.randint(1, 20)))
    pid = trainers.spawn(run)
    deadline = time.monotonic() + chance.uniform(0, 0.25)
    while time.monotonic() < deadline and host.process_start(pid) is not None:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return trainers.wait(pid)


def assert_whole(run: Run) -> None:
    """Every checkpoint that is there is whole, and the newest that was called saved is among them or was followed by one."""
    acknowledged = max((e.step for e in events(run, Kind.CHECKPOINT)), default=-1)
    there = [entry.name for entry in os.scandir(run.checkpoints) if entry.name.startswith("step-")]
    for name in there:
        found = checkpoints.load(run.checkpoints / name)
        for file in found.manifest["files"]:
            found.read(file)
    newest, passed = checkpoints.newest_verified(run.checkpoints)
    assert not passed
    assert (newest.step if newest else -1) >= acknowledged


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_that_is_killed_at_random_moments_ends_bit_identical_and_loses_no_checkpoint(
    name: str, trainers: Zygote, counts: Callable[[int, int], int]
) -> None:
    straight = make_run(wanted_recipe(name))
    assert trainers.wait(trainers.spawn(straight)) == 0
    wanted, wanted_rows, wanted_epochs = outcome(straight), rows_without_wall(straight), epochs(straight)
    assert [row.step for row in wanted_rows] == list(range(1, len(wanted_rows) + 1))

    def survive(number: int) -> int:
        chance, killed = random.Random(f"{name} {number}"), 0
        run = make_run(wanted_recipe(name))
        for _ in range(KILLS):
            if run.verdict().status is Status.FINISHED:
                break
            killed += end_abruptly(trainers, run, chance) == -signal.SIGKILL
            assert_whole(run)
        if run.verdict().status is not Status.FINISHED:
            assert trainers.wait(trainers.spawn(run)) == 0

        assert outcome(run) == wanted, number
        assert rows_without_wall(run) == wanted_rows, number
        assert epochs(run) == wanted_epochs, number
        assert all(e["exact"] for e in events(run, Kind.RESUMED))
        assert not [entry.name for entry in os.scandir(run.checkpoints) if not entry.name.startswith("step-")]
        return killed

    with ThreadPoolExecutor(2) as both_cores:
        runs = counts(RUNS, 500)
        assert sum(both_cores.map(survive, range(runs))) >= runs


@pytest.mark.skipif(usable_threads() < 2, reason="this machine gives one processor only")
def test_with_two_threads_a_killed_run_ends_bit_identical_too(trainers: Zygote) -> None:
    def wanted() -> Recipe:
        net = "nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10))"
        return recipe(
            architecture=net, threads=2, batch_size=250, epochs=16, optimizer__momentum=0.9, checkpoints__every_steps=5
        )

    straight, killed = make_run(wanted()), make_run(wanted())
    undisturbed, first = (trainers.spawn(run) for run in (straight, killed))
    until_step(killed, 100)
    os.kill(first, signal.SIGKILL)
    assert trainers.wait(first) == -signal.SIGKILL
    assert trainers.wait(trainers.spawn(killed), 120) == 0
    assert trainers.wait(undisturbed, 120) == 0
    assert killed.state().threads == 2
    assert [e["exact"] for e in events(killed, Kind.RESUMED)] == [True]
    assert outcome(killed) == outcome(straight)
    assert rows_without_wall(killed) == rows_without_wall(straight)


@pytest.mark.parametrize("act", [lambda step: {"step": step}, lambda step: {"call": 40 * step}], ids=["step", "call"])
def test_a_killed_run_says_so_with_its_last_checkpoint(trainers: Zygote, act: Callable[[int], dict[str, int]]) -> None:
    run = make_run(recipe(epochs=20, checkpoints__every_steps=3))
    assert trainers.wait(trainers.spawn(run, **act(12))) == -signal.SIGKILL

    verdict = run.verdict()

    assert verdict.status is Status.KILLED
    assert "killed" in verdict.reason
    assert not verdict.trainer_alive
    newest, _ = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert newest.step > 0
