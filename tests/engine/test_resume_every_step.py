"""A run of about 130 steps, taken up again at every one of them, ends bit for bit where the undisturbed one ends."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process.trainers import events, make_run, outcome, rows_without_wall

from mlptui.core.events import Kind, without_taken_back
from mlptui.core.recipe import MEAN_SQUARED, Recipe, check, nested
from mlptui.core.status import Status
from mlptui.datasets.dataset import IMAGES, Column, Dataset, Facts, Split
from mlptui.engine.conductor import Conductor
from mlptui.engine.loading import Loading
from mlptui.engine.recorder import Recorder
from mlptui.engine.stopping import StopRequest
from mlptui.store import checkpoints, recipes
from mlptui.store.eventlog import read_events
from mlptui.store.rundir import Run

NET = (
    "nn.Sequential(nn.Flatten(), nn.Linear(16, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.4), nn.Linear(10, 10), "
    "nn.Tanh(), nn.Linear(10, 3))"
)
# the last one predicts numbers, from pictures that are moved at random
OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer.lr": 0.3, "optimizer.momentum": 0.9, "optimizer.nesterov": True, "schedule.name": "cosine"},
    "adam": {"optimizer.name": "adam", "optimizer.lr": 0.03, "schedule.name": "one-cycle", "clip_norm": 0.5},
    "adamw": {"optimizer.name": "adamw", "optimizer.lr": 0.03, "optimizer.weight_decay": 0.1, "schedule.warmup_steps": 15},
    "rmsprop": {"optimizer.name": "rmsprop", "optimizer.lr": 0.01, "optimizer.momentum": 0.5, "schedule.name": "step"},
    "numbers": {
        "optimizer.lr": 0.05,
        "loss": "mse",
        "architecture": NET[:-3] + "1))",
        "data.shift": 1,
        "data.flip": True,
        "data.crop": 0.3,
    },
}
Counts = Callable[[int, int], int]
PATIENCE = {"sgd": 5, "adam": 11, "adamw": 12, "rmsprop": 12, "numbers": 6}


class MadeUp:
    """Stands for the thread that reads the data: 124 pictures of noise, of which 24 are for validation."""

    def __init__(self, loss: str) -> None:
        self.numbers = loss == MEAN_SQUARED

    def result(self) -> Dataset:
        random = np.random.default_rng(3)

        def split(count: int) -> Split:
            images = random.integers(0, 256, (count, 1, 4, 4), np.uint8)
            classes = random.integers(0, 3, count, np.uint8)
            return Split(images, classes * np.float32(70) + np.float32(500) if self.numbers else classes)

        classes, target = ("a", "b", "c"), Column("price", 570, 57, 500, 640)
        facts = Facts("made-up", IMAGES, "noise", (1, 4, 4), classes, 124, 20, "0" * 64, (0.5,), (0.3,))
        if self.numbers:
            facts = replace(facts, classes=(), target=target)
        return Dataset(facts, split(124), split(20))

    same = staticmethod(Loading.same)


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Memory where there is a file system of it: a thousand fsyncs prove nothing here."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    monkeypatch.setenv("MLPTUI_HOME", str(root))
    yield root
    shutil.rmtree(root)


def recipe_of(optimiser: str, **saving: int) -> Recipe:
    flat = {
        "architecture": NET, "data.name": "made-up", "data.validation": 24 / 124, "batch_size": 10, "epochs": 15, "seed": 11,
        "threads": 1, "device": "cpu", "patience": PATIENCE[optimiser], **OPTIMISERS[optimiser],
    }  # fmt: skip
    return check(nested({**flat, **{f"checkpoints.{name}": value for name, value in saving.items()}}))


def conduct(run: Run) -> Status:
    """Train the run in this process, as the trainer does."""
    recorder = Recorder(run)
    try:
        status, why = Conductor(run.recipe(), recorder, StopRequest(), MadeUp(run.recipe().loss)).run()  # type: ignore[arg-type]
        recorder.finish(status, why)
    finally:
        recorder.events.file.close()
        if recorder.steps:
            recorder.steps.file.close()
        recorder.lock.release()
    return status


def as_killed_at(straight: Run, step: int, recipe: Recipe, root: Path) -> Run:
    """The run as it lies there when it was killed at its end and only the checkpoint of this step is left."""
    run = Run(root / f"killed-{step}")
    for part in (run.control, run.checkpoints, run.log_file.parent):
        part.mkdir(parents=True)
    for file in (straight.state_file, straight.events_file, straight.steps_file):
        shutil.copy(file, run.folder)
    run.recipe_file.write_text(recipes.to_toml(recipe))
    name = checkpoints.name_of(step)
    shutil.copytree(straight.checkpoints / name, run.checkpoints / name)
    return run


def epochs(run: Run) -> list[dict[str, Any]]:
    """What the epochs' events say, without what the clock says."""
    timed = {"seconds", "samples_per_second", "evaluation_seconds"}
    kept = without_taken_back(read_events(run.events_file))
    return [{k: v for k, v in e.data.items() if k not in timed} for e in kept if e.kind == Kind.EPOCH]


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "numbers"])
def test_a_run_taken_up_at_any_step_ends_bit_for_bit(optimiser: str, fast_disk: Path, counts: Counts) -> None:
    first = ("sgd", "adam", "numbers").index(optimiser)  # each sees other steps; with --campaign all see each
    taken_up_at_any_step(optimiser, fast_disk, counts(first, 0), counts(6, 1))


@pytest.mark.parametrize("optimiser", [name for name in OPTIMISERS if name not in ("sgd", "adam", "numbers")])
def test_a_run_of_any_optimiser_taken_up_at_any_step_ends_bit_for_bit(optimiser: str, fast_disk: Path, campaign: None) -> None:
    taken_up_at_any_step(optimiser, fast_disk)


def taken_up_at_any_step(optimiser: str, fast_disk: Path, first: int = 0, apart: int = 1) -> None:
    """As the undisturbed one, whatever the step."""
    straight = make_run(recipe_of(optimiser, every_steps=1, keep=10_000))
    assert conduct(straight) is Status.FINISHED
    finished = events(straight, Kind.FINISHED)[0]
    steps = finished.step
    assert "no better validation loss" in finished["reason"]
    assert steps >= 100  # 130 on the machine where this was written
    assert [c.step for c in checkpoints.listed(straight.checkpoints)[0]] == list(range(steps + 1))
    wanted, wanted_rows, wanted_epochs = outcome(straight), rows_without_wall(straight), epochs(straight)
    assert [row.step for row in wanted_rows] == list(range(1, steps + 1))
    rarely = recipe_of(optimiser, every_epochs=0)

    for step in range(first, steps + 1, apart):
        run = as_killed_at(straight, step, rarely, fast_disk)

        assert conduct(run) is Status.FINISHED

        resumed = events(run, Kind.RESUMED)[0]
        assert (resumed.step, resumed["exact"]) == (step, True)
        assert rows_without_wall(run) == wanted_rows, step
        assert epochs(run) == wanted_epochs, step
        assert outcome(run) == wanted, step
        shutil.rmtree(run.folder)
