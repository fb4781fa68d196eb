"""What the live view knows of a run, gathered from the updates of a Follower."""

import math
import time
from collections import deque
from collections.abc import Callable

from mlptui.core.events import Event, Kind, without_taken_back
from mlptui.core.series import Series
from mlptui.core.status import Status, Verdict
from mlptui.store.follow import Update
from mlptui.store.rundir import Run
from mlptui.tui.render.live import Picture, Progress

RECENT_SECONDS = 64
EVENTS_KEPT = 500
LISTS_INTERVAL = 1.0  # seconds between new lines in table and events: short epochs would fill the line to the terminal


class RunView:
    """Takes updates in order and gives pictures. Knows nothing of files, widgets or threads."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = run
        self._clock = clock
        self._update: Update | None = None
        self._events: list[Event] = []
        self._epochs: list[Event] = []
        self._forget_rows()
        self._newest_at: float | None = None
        self._rate: float | None = None
        self.asked_rate: float | None = None
        self.recipe_rate: float | None = None
        self._shown_at = -math.inf
        self._shown: tuple[list[Event], list[Event]] = ([], [])
        self._rows_read = 0

    def _forget_rows(self) -> None:
        self.loss = Series()
        self._recent: deque[tuple[int, float, int]] = deque(maxlen=RECENT_SECONDS)
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=20)
        self._rows_read = 0

    @property
    def status(self) -> Status:
        return self._update.verdict.status if self._update else Status.STARTING

    @property
    def verdict(self) -> Verdict:
        return self._update.verdict if self._update else Verdict(Status.STARTING, "")

    @property
    def device(self) -> str:
        return self._update.state.device if self._update else ""

    @property
    def base_rate(self) -> float | None:
        """The learning rate that a command changes: one asked for and not answered yet, the last one set, the recipe's."""
        return self.asked_rate or self._rate or self.recipe_rate

    def take(self, update: Update) -> None:
        if update.restarted:
            self._forget_rows()
        self._update = update
        for row in update.rows:
            self.loss.add(row.step, row.loss)
            self._add_recent(int(row.wall), row.loss)
        self._rows_read += len(update.rows)
        if update.rows:
            self._newest_at = self._clock()
            self._arrivals.append((self._newest_at, update.rows[-1].step))
        for event in update.events:
            if event.kind == Kind.KNOB:
                self._rate = event.number("lr")
            if event.kind == Kind.COMMAND and event["command"] == "set":
                self.asked_rate = None
        if update.events:
            self._events = without_taken_back([*self._events, *update.events])
            self._epochs = [e for e in self._events if e.kind == Kind.EPOCH]
            others = [e for e in self._events if e.kind != Kind.EPOCH][-EVENTS_KEPT:]
            self._events = sorted([*self._epochs, *others], key=lambda e: e.seq)

    def _add_recent(self, second: int, loss: float) -> None:
        """Means over a second each, as many as the recent row shows."""
        if self._recent and self._recent[-1][0] == second:
            _, total, count = self._recent[-1]
            self._recent[-1] = (second, total + loss, count + 1)
        else:
            self._recent.append((second, loss, 1))

    def picture(self, name: str, load: str, keys: dict[str, str], log: bool = False) -> Picture:
        update = self._update
        if update is None:
            return Picture(
                name, Verdict(Status.STARTING, ""), Progress(doing="reading the run"), self.loss, keys=keys, log=log
            )
        state, now = update.state, self._clock()
        live = update.verdict.status.live
        trouble = state.trouble or (update.owner.trouble if live else "")
        waiting = max(state.waiting, update.owner.waiting if live else 0)
        if trouble:
            trouble = f"{trouble}; training goes on, {waiting:,} records are waiting"
        damaged = f"{update.damaged:,} damaged record{'s' if update.damaged > 1 else ''} left out" if update.damaged else ""
        reading = ""
        if update.more and state.step and self._rows_read < state.step * 0.9:
            reading = f"reading the log {self._rows_read / state.step:.0%}"
        progress = Progress(
            step=state.step,
            steps=state.steps,
            steps_per_epoch=state.steps_per_epoch,
            epochs=state.epochs,
            rate=state.lr,
            samples_per_second=state.samples_per_second,
            steps_per_second=self._speed(),
            elapsed=state.trained_seconds,
            newest=now - self._newest_at if self._newest_at is not None else None,
            device=state.device,
            load=load if live else "",
            checkpoint=state.checkpoint,
            doing=state.doing,
            trouble=trouble,
            note=update.problem or damaged,
            exact=state.exact,
            test_accuracy=state.test_accuracy,
            score=state.score,
        )
        recent = [total / count if math.isfinite(total) else math.nan for _, total, count in self._recent]
        if now - self._shown_at >= LISTS_INTERVAL or not live or not self._shown[1]:
            self._shown_at, self._shown = now, (self._epochs, self._events)
        epochs, events = self._shown
        return Picture(name, update.verdict, progress, self.loss, recent, epochs, events, reading, keys, log)

    def _speed(self) -> float | None:
        """Steps a second over the last looks."""
        if len(self._arrivals) < 2:
            return None
        (first, low), (last, high) = self._arrivals[0], self._arrivals[-1]
        return (high - low) / (last - first) if last > first else None
