"""Commands to a running training: read between steps, applied once, each answered by an event."""

import time
from collections.abc import Callable

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.core.text import rate
from mlptui.engine.keeper import Keeper
from mlptui.engine.recorder import Recorder
from mlptui.engine.session import Session
from mlptui.engine.stopping import StopRequest
from mlptui.store.control import Command, Inbox
from mlptui.store.eventlog import read_events

POLL = 0.2
PAUSED_POLL = 0.05
MAX_STEPS = 1_000_000


class Orders:
    """Holds whether the run is paused. `go_on` is asked before every step."""

    def __init__(self, recorder: Recorder, session: Session, stop: StopRequest, keeper: Keeper) -> None:
        self.recorder, self.session, self.stop, self.keeper = recorder, session, stop, keeper
        answered = {str(e["id"]) for e in read_events(recorder.run.events_file) if e.kind == Kind.COMMAND}
        self.inbox = Inbox(recorder.run.control, opened=recorder.state.started, applied=answered)
        self.paused = False
        self.steps_allowed = 0
        self._next = 0.0
        self._idle = 0.0

    def go_on(self, flush: Callable[[], None]) -> bool:
        """Read commands when it is time, wait while the run is paused. False: stop before the next step.

        `flush` brings all measured rows to the log, which a pause and a checkpoint need.
        """
        now = time.monotonic()
        if now >= self._next:
            self._next = now + POLL
            self._attend(flush)
        if self.paused and not self.steps_allowed and not self._stopping:
            flush()
            self._show(Status.PAUSED)
            while self.paused and not self.steps_allowed and not self._stopping:
                time.sleep(PAUSED_POLL)
                before, now = now, time.monotonic()
                self._idle += now - before
                self._attend(flush)
        self._show(Status.PAUSED if self.paused else Status.RUNNING)
        self.steps_allowed = max(0, self.steps_allowed - 1)
        return not self._stopping

    def take_idle(self) -> float:
        """Seconds spent paused since this was last asked."""
        idle, self._idle = self._idle, 0.0
        return idle

    def _show(self, status: Status) -> None:
        if self.recorder.state.status != status:
            self.recorder.show(status=status)

    @property
    def _stopping(self) -> bool:
        if self.recorder.gone and not self.stop.why:
            self.stop.why = "the run's folder having vanished"
        if self.stop.after and self.session.progress.step >= self.stop.after and not self.stop.why:
            self.stop.why = "whoever started it"
        return bool(self.stop.why)

    def _attend(self, flush: Callable[[], None]) -> None:
        for command in self.inbox.take():
            refused = command.refused
            outcome = ""
            if not refused:
                try:
                    outcome = self._apply(command, flush)
                except (ValueError, OverflowError) as error:
                    refused = str(error)
            self.recorder.event(
                Kind.COMMAND, self.session.progress.step, id=command.id, command=command.name, value=command.value,
                who=command.who, refused=refused, outcome=outcome,
            )  # fmt: skip
            self.inbox.done(command)

    def _apply(self, command: Command, flush: Callable[[], None]) -> str:
        """Do it and say what was done. Raises ValueError with the reason where it cannot be done."""
        step = self.session.progress.step
        match command.name:
            case "pause":
                if self.paused and not self.steps_allowed:
                    raise ValueError("it is paused already")
                self.paused, self.steps_allowed = True, 0
                return f"paused after step {step:,}"
            case "resume":
                if not self.paused:
                    raise ValueError("it is not paused")
                self.paused, self.steps_allowed = False, 0
                return "goes on"
            case "stop":
                self.stop.why = command.who or "a command"
                return "stops after a checkpoint"
            case "checkpoint":
                flush()
                return self._checkpoint(step)
            case "step":
                count = 1 if command.value is None else int(command.value)
                if not self.paused:
                    raise ValueError("only a paused run can be stepped")
                if not 1 <= count <= MAX_STEPS:
                    raise ValueError(f"the number of steps must lie between 1 and {MAX_STEPS:,}")
                self.steps_allowed += count
                return f"{count:,} more"
        before, after = self.session.base_rate(step), command.value
        if after is None or not 0 < after <= 1e4:
            raise ValueError("the learning rate must lie above 0 and up to 10,000")
        self.session.turn_rate(step, after)
        self.recorder.event(Kind.KNOB, step, name="learning rate", before=before, lr=after)
        self.recorder.update(lr=self.session.rate(step))
        return f"learning rate {rate(before)} -> {rate(after)}"

    def _checkpoint(self, step: int) -> str:
        if self.keeper.saved_step == step:
            return f"step {step:,} is saved already"
        self.keeper.save(self.session, "asked for", wait=False)
        return f"saving step {step:,}"
