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
READY_TIMEOUT = 20.0


def start(paths: Paths, action: str, name: str, where: str = "") -> int:
    """Begin `action` (download, verify, import, decode) on the set `name`; returns when it holds the set, or has ended.

    Raises DataError.
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
        if not process.lives(pid) or _page_of(folder / f"{name}.json") == pid:
            return pid
        time.sleep(0.02)
    raise DataError(f"{action} of {safe(name, 80)} did not begin; its log is {log}")


def _page_of(path: Path) -> int:
    """The pid of the process whose page this is."""
    try:
        return int(json.loads(atomic.read_regular(path, 1 << 20))["pid"])
    except (OSError, StorageError, ValueError, TypeError, KeyError, RecursionError):
        return 0


def cancel(paths: Paths, name: str) -> bool:
    """Ask the process that works on a set to stop; False where none does, or it is not on this machine."""
    pid = lock.holder(paths.datasets / ".jobs" / f"{name}.lock")
    if not pid or pid < 0:
        return False
    try:
        os.kill(pid, signal.SIGTERM)  # the kernel just named it as the holder
    except OSError:
        return False
    return True
