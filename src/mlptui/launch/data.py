"""Start long work on a data set as a process of its own, and end it."""

import json
import os
import signal
import time
from pathlib import Path

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.launch import process
from mlptui.store import atomic, lock
from mlptui.store.paths import Paths

MODULE = "mlptui.datasets.worker"
ACTIONS = ("download", "verify", "import", "decode", "remove")
READY_TIMEOUT = 20.0
BUSY = 3  # exit code of a worker that did not get the lock


def start(paths: Paths, action: str, name: str, where: str = "") -> int:
    """Begin one of ACTIONS on the set `name` and return the pid when its page is there, or it has ended well.

    Raises DataError with its reason where it could not begin.
    """
    folder = atomic.make_folder(paths.datasets / ".jobs")
    log = folder / f"{name}.log"
    try:
        atomic.unlink_quietly(log)
        pid = process.start(MODULE, [action, name, where], folder, log, process.inherited())
    except OSError as error:
        raise DataError(f"{action} cannot be started: {error.strerror}") from None
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        ended = not process.lives(pid)
        if _page(folder / f"{name}.json")[0] == pid:
            return pid
        if ended:
            code, said = process.exit_code(pid), _last_words(log)
            if code == 0 or (code is None and not said):
                return pid
            if code == BUSY:
                raise DataError(f"another process works on {safe(name, 80)} already")
            raise DataError(said or f"{action} of {safe(name, 80)} ended at once")
        time.sleep(0.02)
    raise DataError(f"{action} of {safe(name, 80)} did not begin; its log is {log}")


def _page(path: Path) -> tuple[int, str]:
    """The pid of the process whose page this is, and what it does; 0 where there is none."""
    try:
        values = json.loads(atomic.read_regular(path, 1 << 20))
        return int(values["pid"]), str(values["action"])
    except (OSError, StorageError, ValueError, TypeError, KeyError, RecursionError):
        return 0, ""


def _last_words(log: Path) -> str:
    try:
        lines = atomic.read_regular(log, 1 << 20).decode(errors="replace").splitlines()
    except (OSError, StorageError):
        return ""
    return safe(lines[-1], 1000) if lines else ""


def cancel(paths: Paths, name: str) -> bool:
    """Ask the process that works on a set to stop; False where none does, or it is not on this machine."""
    folder = paths.datasets / ".jobs"
    pid = lock.holder(folder / f"{name}.lock")
    owner, action = _page(folder / f"{name}.json")
    if not pid or pid < 0 or owner != pid or action not in ACTIONS:  # a trainer that decodes holds the lock as well
        return False
    try:
        os.kill(pid, signal.SIGTERM)  # the kernel just named it as the holder
    except OSError:
        return False
    return True
