"""Saves checkpoints beside the training: the copy is taken between two steps, the writing happens in a thread."""

import math
import threading
import time
import traceback
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.engine import codec
from mlptui.engine.recorder import Recorder
from mlptui.engine.session import Session
from mlptui.store import checkpoints


class Keeper:
    """Knows when a checkpoint is due and writes at most one at a time."""

    def __init__(self, recipe: Recipe, recorder: Recorder, facts: dict[str, Any]) -> None:
        self.rules = recipe.checkpoints
        self.recorder = recorder
        self.facts = facts
        self.saved_step = -1
        self.problem = ""
        self.saved_at = time.monotonic()
        self._writing: threading.Thread | None = None
        best = checkpoints.best(checkpoints.listed(recorder.run.checkpoints)[0])
        self._best = (-(best.valid_accuracy or 0), best.valid_loss or 0) if best else (math.inf, math.inf)

    def due_in_epoch(self, step: int) -> bool:
        by_steps = self.rules.every_steps and step % self.rules.every_steps == 0
        by_time = self.rules.every_minutes and time.monotonic() - self.saved_at >= 60 * self.rules.every_minutes
        return bool(step != self.saved_step and (by_steps or by_time))

    def due_after_epoch(self, epochs_done: int, step: int) -> bool:
        by_epochs = self.rules.every_epochs and epochs_done % self.rules.every_epochs == 0
        return bool(by_epochs) or self.due_in_epoch(step)

    def save(self, session: Session, why: str, metrics: dict[str, float | None] | None = None, wait: bool = False) -> None:
        """Save the session as it is now. What goes wrong becomes an event; the earlier checkpoints stay."""
        step = session.progress.step
        self.wait()
        if step == self.saved_step:
            return
        self.saved_step, self.saved_at = step, time.monotonic()
        captured = session.capture()
        finite = session.finite()
        self._writing = threading.Thread(
            target=self._write, args=(captured, step, session.epoch, why, metrics or {}, finite), name="checkpoint"
        )
        self._writing.start()
        if wait:
            self.wait()

    def ensure(self, session: Session, why: str) -> bool:
        """Wait for what is being written, and save now if the present step is not on disk yet. True if it is in the end."""
        self.wait()
        self.save(session, why, wait=True)
        return self.saved_step == session.progress.step

    def wait(self) -> None:
        if self._writing:
            self._writing.join()
            self._writing = None

    def _write(
        self, captured: dict[str, Any], step: int, epoch: int, why: str, metrics: dict[str, float | None], finite: bool
    ) -> None:
        recorder = self.recorder
        started = time.monotonic()
        recorder.sync()
        try:
            facts = {
                "run": recorder.run.id,
                "epoch": epoch,
                "why": why,
                "created": time.time(),
                "finite": finite,
                "metrics": metrics,
                **self.facts,
            }
            saved = checkpoints.commit(recorder.run.checkpoints, step, codec.encode(captured), facts)
        except Exception as error:  # also what allocators and drivers raise; a thread must not die unheard
            self.saved_step = -1
            self.problem = str(error) or "out of memory"
            if not isinstance(error, StorageError):
                traceback.print_exc()
                self.problem = f"{type(error).__name__}: {self.problem.partition(chr(10))[0]}"
            recorder.event(Kind.CHECKPOINT_FAILED, step, reason=self.problem)
            return
        score = saved.valid_accuracy or 0
        judged = (0.0 if math.isnan(score) else -score, saved.valid_loss or 0)  # without a score the loss decides
        best = saved.valid_accuracy is not None and judged < self._best
        if best:
            self._best = judged
            recorder.update(best_accuracy=saved.valid_accuracy, best_step=step)
        checkpoints.prune(recorder.run.checkpoints, self.rules.keep)
        recorder.show(checkpoint=saved.name, checkpoint_step=step)
        recorder.event(
            Kind.CHECKPOINT, step, name=saved.name, why=why, size=saved.size, best=best,
            valid_accuracy=saved.valid_accuracy, score=recorder.state.score, seconds=round(time.monotonic() - started, 4),
        )  # fmt: skip
