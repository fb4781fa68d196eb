"""Start a trainer as a process of its own, which no terminal, viewer or hang-up can end."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlptui.core.errors import RunError
from mlptui.core.status import Status
from mlptui.launch import process
from mlptui.store import lock
from mlptui.store.rundir import Run

MODULE = "mlptui.engine.trainer"
READY_TIMEOUT = 60.0

# What a trainer's environment gets where the person has not set it.
# MALLOC_*: glibc gives large blocks back to the system after every use, and every step then pays for fresh pages:
# 10 to 25 % of a step of 784-256-10. These make it keep them. Other C libraries ignore them.
# GOMP_SPINCOUNT: OpenMP threads spin at each barrier, also for a thread that has no processor. An epoch of 784-256-10 on
# 2 cores, alone and beside one busy process: 0.54 and 2.7 s by default, 0.53 and 2.2 s with 5,000 spins, 0.66 s alone with
# 1,000, 1.0 and 0.8 s without spinning. Beside eight busy processes: over 60 s by default, 3 s with 2,000.
ENVIRONMENT = {
    "GOMP_SPINCOUNT": "5000",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def start(run: Run, extra: Mapping[str, str] | None = None) -> int:
    """Start the trainer of a run and return its pid at once. `extra` is added to its environment. Raises RunError."""
    environment = {**ENVIRONMENT, **process.inherited(), **(extra or {})}
    try:
        return process.start(MODULE, [str(run.folder)], run.folder, run.log_file, environment)
    except OSError as error:
        raise RunError(f"the trainer cannot be started: {error.strerror}") from None


def wait_until_ready(run: Run, pid: int, timeout: float = READY_TIMEOUT, idle: Callable[[], None] | None = None) -> None:
    """Return when the trainer `pid` holds the run. Raises RunError with the reason if it died first or took too long."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        state = run.state()
        if state.pid == pid:
            if state.status == Status.FAILED:
                raise RunError(state.reason)
            return
        if not process.lives(pid):
            tail = run.log_tail(3)
            owner = lock.read_owner(run.lock_file)
            raise RunError(
                "the trainer ended at once: " + (tail[-1] if tail else f"it left no message ({owner.host or 'no owner'})")
            )
        if idle:
            idle()
        time.sleep(0.02)
    raise RunError(f"the trainer did not answer within {timeout:.0f} s; its log is {run.log_file}")


def may_be_killed_at_logout(systemd_conf: str | None, lingering: bool | None) -> bool:
    """Whether logind ends this user's processes at logout: KillUserProcesses is on and lingering is off."""
    value = ""
    for line in (systemd_conf or "").splitlines():
        key, _, setting = line.strip().partition("=")
        if key.strip() == "KillUserProcesses":
            value = setting.strip().lower()
    return value in ("yes", "y", "true", "t", "1", "on") and lingering is False


def logout_warning() -> str:
    """One sentence if this host kills runs at logout, with what to do; empty otherwise."""
    try:
        configuration = "".join(
            p.read_text(errors="replace") + "\n"
            for p in [Path("/etc/systemd/logind.conf"), *sorted(Path("/etc/systemd/logind.conf.d").glob("*.conf"))]
            if p.is_file()
        )
        import getpass

        lingering = Path(f"/var/lib/systemd/linger/{getpass.getuser()}").exists()
    except (OSError, KeyError):
        return ""
    if may_be_killed_at_logout(configuration, lingering):
        return "this host ends your processes at logout, runs too; allow them with: loginctl enable-linger"
    return ""
