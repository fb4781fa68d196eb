"""Status in words, glyphs and roles: the one vocabulary of every view."""

from mlptui.core.status import GLYPHS, Status
from mlptui.tui.render.cells import ACCENT, BAD, DIM, GOOD, WARN, Glyphs, Span

ROLE = {
    Status.STARTING: ACCENT,
    Status.RUNNING: GOOD,
    Status.PAUSED: WARN,
    Status.FINISHED: GOOD,
    Status.STOPPED: DIM,
    Status.FAILED: BAD,
    Status.DIVERGED: BAD,
    Status.KILLED: BAD,
    Status.UNKNOWN: WARN,
}


def status(value: Status, glyphs: Glyphs) -> Span:
    return f"{GLYPHS[value][glyphs.ascii]} {value}", ROLE[value]
