"""From a recipe to a session that can train: data, model, optimiser, and the state of an earlier process if there is one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlptui.core.errors import CheckpointError, DataError
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.datasets.dataset import Dataset, Split
from mlptui.datasets.split import validation_split
from mlptui.devices.cpu import usable_threads
from mlptui.engine.batches import Samples
from mlptui.engine.recorder import Recorder
from mlptui.store import checkpoints
from mlptui.store.eventlog import read_events


@dataclass(frozen=True)
class Splits:
    """Samples for training, validation (None: no share) and test."""

    train: Samples
    valid: Samples | None
    test: Samples


def split(data: Dataset, recipe: Recipe) -> Splits:
    """Numbers to predict are brought to mean 0 and deviation 1 where the recipe normalises so. Raises DataError where a
    part would be empty."""
    train, valid = validation_split(len(data.train), recipe.data.validation, recipe.seed)
    if not len(train):
        raise DataError("nothing is left to train on; make the validation share smaller")
    seen, unseen = targets(data, data.train, recipe), targets(data, data.test, recipe)

    def part(rows: NDArray[np.int64]) -> Samples:
        return Samples(data.train.inputs, seen[torch.from_numpy(rows)], rows)

    test = Samples(data.test.inputs, unseen, np.arange(len(data.test)))
    return Splits(part(train), part(valid) if len(valid) else None, test)


def targets(data: Dataset, part: Split, recipe: Recipe) -> torch.Tensor:
    if not data.facts.regression:
        return torch.from_numpy(np.asarray(part.targets, np.int64))
    numbers = np.array(part.targets, np.float64)
    if recipe.data.normalise == "standard" and data.facts.target:
        numbers = (numbers - data.facts.target.mean) / data.facts.target.deviation
    return torch.from_numpy(numbers.astype(np.float32))


@dataclass(frozen=True)
class Origin:
    """Where a session starts: the checkpoint it goes on from (None: anew)."""

    checkpoint: checkpoints.Checkpoint | None
    lost_steps: int = 0


def find_origin(recorder: Recorder) -> Origin:
    """The newest whole checkpoint; damaged ones are set aside and named in the log. Sweeps what dead writers left.

    Raises CheckpointError where there are checkpoints but none is whole, StorageError where one cannot be read now.
    """
    folder = recorder.run.checkpoints
    checkpoints.sweep(folder)
    found, passed = checkpoints.newest_verified(folder)
    if passed and not found:
        raise CheckpointError(f"no checkpoint of this run is whole, so it cannot go on: {passed[0]}")
    for sentence in passed:
        name = sentence.partition(" ")[0]
        recorder.event(Kind.CHECKPOINT_DAMAGED, found.step if found else 0, name=name, reason=sentence.partition(": ")[2])
        checkpoints.set_aside(folder, name)
    return Origin(found, max(0, recorder.state.step - found.step) if found else recorder.state.step)


def later_knobs(recorder: Recorder, step: int) -> list[list[float]]:
    """Learning rates that were set after `step` in the process that died; they are part of the run."""
    events = read_events(recorder.run.events_file)
    return [[e.step, float(e["lr"])] for e in events if e.kind == Kind.KNOB and e.step >= step and e["lr"]]


def thread_count(recipe: Recipe, saved: dict[str, Any]) -> int:
    """The recipe's, else the earlier process's (so that a resume is exact), else all this process may use."""
    usable = usable_threads()
    before = int(saved.get("threads", 0))
    return recipe.threads or (before if 0 < before <= usable else usable)
