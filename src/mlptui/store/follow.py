"""Follow a run by reading its directory: the same for one that this program started, another's, and yesterday's."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mlptui.core.errors import StorageError
from mlptui.core.events import Event
from mlptui.core.status import Status, Verdict
from mlptui.store import lock
from mlptui.store.eventlog import EventReader
from mlptui.store.lock import Owner
from mlptui.store.rundir import Run
from mlptui.store.state import State
from mlptui.store.steps import Row, StepReader


@dataclass(frozen=True)
class Update:
    """What one look found. `restarted`: forget all rows given before; `more`: there is more to read at once."""

    state: State
    verdict: Verdict
    events: list[Event] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    restarted: bool = False
    more: bool = False
    damaged: int = 0
    owner: Owner = field(default_factory=Owner)
    problem: str = ""


class Follower:
    """Reads what is new at each `poll`; bounded work a call, and nothing that is on the disk makes it raise."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = run
        self._clock = clock
        self._events = EventReader(run.events_file)
        self._steps = StepReader(run.steps_file)
        self._state = State(run=run.id)
        self._moved: tuple[object, ...] = ()
        self._moved_at = clock()

    def poll(self) -> Update:
        problem = ""
        try:
            self._state = self.run.state()
            verdict = self.run.verdict(self._state, self._quiet())
            if verdict.status not in (Status.STARTING, Status.RUNNING, Status.PAUSED):
                self._state = self.run.state()
        except StorageError as error:
            gone = not self.run.folder.exists()
            problem = "the run's folder is gone" if gone else str(error)
            verdict = Verdict(Status.UNKNOWN, problem)
        rows: list[Row] = []
        restarted = False
        try:
            rows, restarted = self._steps.read()
        except StorageError as error:
            problem = problem or str(error)
        events = self._events.read()
        return Update(
            self._state,
            verdict,
            events,
            rows,
            restarted,
            bool(rows or events),
            self._steps.damaged + self._events.damaged,
            lock.read_owner(self.run.lock_file),
            problem,
        )

    def _quiet(self) -> float:
        """Seconds without a movement, by this process's own clock."""
        state = self._state
        moved = (state.step, state.doing, state.status) if state.status != Status.PAUSED else (state.beat,)
        if moved != self._moved:
            self._moved, self._moved_at = moved, self._clock()
        return self._clock() - self._moved_at
