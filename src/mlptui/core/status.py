"""What a run is, in one word and one glyph, for every view."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DIVERGED = "diverged"
    KILLED = "killed"
    UNKNOWN = "unknown"

    @property
    def live(self) -> bool:
        return self in LIVE

    @property
    def resumable(self) -> bool:
        """Whether the trainer is gone before its work was done, so that going on from a checkpoint makes sense."""
        return self in (Status.STOPPED, Status.FAILED, Status.KILLED)


LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.PAUSED})
ENDED = frozenset({Status.FINISHED, Status.STOPPED, Status.FAILED, Status.DIVERGED})

GLYPHS = {
    Status.STARTING: ("○", "o"),
    Status.RUNNING: ("●", "*"),
    Status.PAUSED: ("‖", "="),
    Status.FINISHED: ("✓", "+"),
    Status.STOPPED: ("■", "#"),
    Status.FAILED: ("✗", "x"),
    Status.DIVERGED: ("!", "!"),
    Status.KILLED: ("†", "k"),
    Status.UNKNOWN: ("?", "?"),
}

EXIT_CODES = {Status.FINISHED: 0, Status.STOPPED: 0, Status.FAILED: 1, Status.DIVERGED: 1}


@dataclass(frozen=True)
class Verdict:
    """A status as judged from outside, with the sentence that says why."""

    status: Status
    reason: str = ""
    trainer_alive: bool = False
