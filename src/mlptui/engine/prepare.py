"""From a recipe to a session that can train: data, model, optimiser, and the state of an earlier process if there is one."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlptui.core.errors import CheckpointError, DataError, MlptuiError
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.datasets import images as datasets
from mlptui.datasets.split import validation_split
from mlptui.devices.cpu import usable_threads
from mlptui.engine.recorder import Recorder
from mlptui.store import checkpoints, paths
from mlptui.store.eventlog import read_events


class Loading(threading.Thread):
    """Reads and verifies the data set while the main thread imports torch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(daemon=True, name="data")
        self.recipe = recipe
        self.data: datasets.Images | None = None
        self.error: MlptuiError | None = None

    def run(self) -> None:
        try:
            self.data = datasets.load(paths.find(), self.recipe.data.name)
        except MlptuiError as error:
            self.error = error
        except Exception as error:
            self.error = DataError(f"{self.recipe.data.name} cannot be read: {type(error).__name__}: {error}")

    def result(self) -> datasets.Images:
        """Raises DataError."""
        self.join()
        if self.error:
            raise self.error
        assert self.data is not None
        wanted = self.recipe.data.sha256
        if wanted and wanted != self.data.sha256:
            raise DataError(f"{self.data.name} is not the data that this run began with (its checksum differs)")
        return self.data


@dataclass(frozen=True)
class Splits:
    """uint8 images and labels for training, validation (None: no share) and test."""

    train: datasets.Split
    valid: datasets.Split | None
    test: datasets.Split


def split(data: datasets.Images, recipe: Recipe) -> Splits:
    """Raises DataError where a part would be empty."""
    train, valid = validation_split(len(data.train), recipe.data.validation, recipe.seed)
    if not len(train):
        raise DataError("nothing is left to train on; make the validation share smaller")

    def part(indices: np.ndarray[Any, np.dtype[np.int64]]) -> datasets.Split:
        return datasets.Split(data.train.images[indices], data.train.labels[indices])

    return Splits(part(train), part(valid) if len(valid) else None, data.test)


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
