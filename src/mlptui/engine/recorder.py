"""What a trainer writes into its run's directory, and the thread that shows that it lives."""

import os
import threading
import time
from typing import Any

from mlptui.core.events import Kind
from mlptui.core.status import EXIT_CODES, Status
from mlptui.store import host, lock
from mlptui.store import state as states
from mlptui.store.atomic import reason
from mlptui.store.eventlog import EventWriter
from mlptui.store.rundir import Run
from mlptui.store.state import State
from mlptui.store.steps import Row, StepWriter

BEAT = 1.0


class Recorder:
    """Holds the run's lock, log and state. Creating it raises RunError where another trainer holds the lock.

    Nothing that the disk does afterwards raises: a full disk is `trouble`, a vanished folder sets `gone`.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        now = time.time()
        self.lock = lock.RunLock(run.lock_file, now)
        self.gone = False
        self.steps: StepWriter | None = None
        try:
            self.state = run.state()
        except Exception:  # a damaged state must not keep its run from going on
            self.state = State(run=run.id, created=now)
        self.state = self.state.but(
            status=Status.STARTING,
            host=host.host_name(),
            boot_id=host.boot_id(),
            pid=os.getpid(),
            pid_start=host.process_start(os.getpid()),
            oom_kills=host.oom_kills(),
            started=now,
            ended=None,
            exit_code=None,
            reason="",
            doing="starting",
        )
        self.events = EventWriter(run.events_file)
        self._guard = threading.Lock()  # short: the training waits for it
        self._writing = threading.Lock()  # as long as the disk takes
        self._ended = threading.Event()
        self._write_state()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._thread.start()

    def open_steps(self, after: int) -> None:
        self.steps = StepWriter(self.run.steps_file, after)

    def update(self, **changes: Any) -> None:
        """Change the state; it is written with the next heartbeat."""
        with self._guard:
            self.state = self.state.but(**changes)

    def show(self, **changes: Any) -> None:
        """Change the state and write it at once."""
        self.update(**changes)
        self._write_state()

    def event(self, kind: str, step: int, **data: Any) -> None:
        self.events.write(kind, step, **data)

    def rows(self, rows: list[Row]) -> None:
        if not self.steps:
            return
        self.steps.write(rows)
        file = self.steps.file
        if file.lost and not file.waiting:
            lost, file.lost = file.lost, 0
            self.event(Kind.GAP, self.state.step, records=lost)

    def sync(self) -> None:
        """Make everything logged so far durable, if the disk lets."""
        self.events.file.sync()
        if self.steps:
            self.steps.file.sync()

    def finish(self, status: Status, why: str) -> int:
        """The last act: the exit record. Returns the exit code."""
        code = EXIT_CODES[status]
        self._ended.set()
        self._thread.join()
        self.sync()
        self.show(status=status, reason=why, exit_code=code, ended=time.time(), doing="")
        return code

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            self.sync()
            self._write_state()

    def _write_state(self) -> None:
        files = [self.events.file, *([self.steps.file] if self.steps else [])]
        waiting = sum(file.waiting for file in files)
        trouble = next((file.trouble for file in files if file.trouble), "")
        with self._writing:
            with self._guard:
                self.state = self.state.but(beat=self.state.beat + 1, wall=time.time(), waiting=waiting, trouble=trouble)
                state = self.state
            try:
                states.write(self.run.state_file, state)
            except OSError as error:
                trouble = trouble or reason(error)
                self.gone = self.gone or not self.run.folder.exists()
            self.lock.say(beat=state.beat, waiting=waiting, trouble=trouble)
