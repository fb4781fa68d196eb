"""Is a run's trainer alive? Four answers: alive, ended, dead, unknown; never from a missing end mark alone."""

import time

from mlptui.core import text
from mlptui.core.status import ENDED, Status, Verdict
from mlptui.store import host
from mlptui.store.state import State

START_GRACE = 60.0
STALL = 60.0


def judge(
    state: State,
    holder: int | None,
    *,
    now: float | None = None,
    here: str | None = None,
    boot: str | None = None,
    oom_kills: int | None = None,
    quiet: float = 0.0,
) -> Verdict:
    """What the run is, from its state and who holds its lock (`lock.holder`).

    `quiet` is how long, by the viewer's own monotonic clock, nothing of the run has moved; other hosts' and set-back
    clocks therefore cannot make a live run look dead.
    """
    now = time.time() if now is None else now
    here = host.host_name() if here is None else here
    boot = host.boot_id() if boot is None else boot
    status = Status(state.status)
    if holder:
        return _alive(state, status, quiet)
    if status in ENDED:
        return Verdict(status, state.reason)
    if holder is None:
        return Verdict(Status.UNKNOWN, "the lock of the run cannot be read")
    if not state.pid:
        waited = now - state.created
        if 0 <= waited < START_GRACE or (waited < 0 and quiet < START_GRACE):
            return Verdict(Status.STARTING, "waiting for the trainer")
        return Verdict(Status.FAILED, "the trainer never started")
    if state.host != here and quiet < 30:
        return Verdict(Status.UNKNOWN, f"may be alive on {state.host}; watching its heartbeat")
    if state.host != here:
        return Verdict(Status.UNKNOWN, f"no sign of life from {state.host} for {text.duration(quiet)}")
    return Verdict(Status.KILLED, _cause(state, boot, oom_kills))


def _alive(state: State, status: Status, quiet: float) -> Verdict:
    if status in ENDED:
        return Verdict(status, state.reason, trainer_alive=True)
    if status is Status.UNKNOWN or status is Status.KILLED:
        status = Status.RUNNING
    if quiet >= STALL and status is not Status.PAUSED:
        return Verdict(status, f"no progress for {text.duration(quiet)} (last: {state.doing or 'training'})", True)
    return Verdict(status, "", True)


def _cause(state: State, boot: str, oom_kills: int | None) -> str:
    if state.boot_id and boot and state.boot_id != boot:
        return "the machine restarted"
    now = host.oom_kills() if oom_kills is None else oom_kills
    if state.oom_kills is not None and now is not None and now > state.oom_kills:
        return "killed, out of memory"
    return "killed (out of memory?)"
