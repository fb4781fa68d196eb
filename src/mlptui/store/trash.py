"""What was removed and can be brought back until the viewer that removed it ends.

An entry is called NAME~PID-BOOT-XXXXXX, NAME being a run's id or RUN@STEP, PID who removed it, BOOT where that process runs.
What is said of a checkpoint lies beside it.
"""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from mlptui.store import abouts, atomic, host
from mlptui.store.paths import Paths

DAY = 86_400.0  # seconds that what nobody can bring back any more stays, for a person to look for
ELSEWHERE = 30 * DAY  # that what a process of another machine removed stays: whether that lives is not known here


def place(paths: Paths, name: str) -> Path:
    """Where a thing of this name goes. Raises StorageError."""
    return atomic.make_folder(paths.trash) / f"{name}~{os.getpid()}-{_boot()}-{secrets.token_hex(3)}"


def _boot() -> str:
    return host.boot_id().replace("-", "")[:12] or "0"


def name_of(entry: Path) -> str:
    """What it was called."""
    return entry.name.rpartition("~")[0]


def found(entry: Path) -> Path:
    """Where an entry is now: what it belongs to may have been given another name by another viewer."""
    if entry.exists():
        return entry
    ends = "~" + entry.name.rpartition("~")[2]
    try:
        with os.scandir(entry.parent) as entries:
            return next((Path(other.path) for other in entries if other.name.endswith(ends)), entry)
    except OSError:
        return entry


def steps_of(paths: Paths, run: str) -> list[str]:
    """The names of a run's removed checkpoints."""
    begins = f"{run}@"
    try:
        found = [Path(entry.path) for entry in os.scandir(paths.trash) if entry.name.startswith(begins)]
    except OSError:
        return []
    return [name_of(entry).removeprefix(begins) for entry in found]


def renamed(paths: Paths, run: str, new: str) -> None:
    """Removed checkpoints go with the run that has another name now. What cannot be moved stays."""
    try:
        entries = [Path(e.path) for e in os.scandir(paths.trash) if e.name.startswith(f"{run}@") and e.is_dir()]
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            abouts.move(entry, entry.with_name(new + entry.name.removeprefix(run)))


def discard(entry: Path) -> None:
    """Delete for good."""
    atomic.remove_folder_quietly(entry)
    atomic.unlink_quietly(abouts.file_of(entry))


def empty(paths: Paths, older_than: float = DAY) -> None:
    """Delete for good what was removed by processes that are gone; only what lies there for `older_than` seconds."""
    try:
        ages = [(entry, time.time() - entry.stat(follow_symlinks=False).st_ctime) for entry in os.scandir(paths.trash)]
    except OSError:
        return
    for entry, age in ages:
        pid, boot, *_ = (*entry.name.removesuffix(".about").rpartition("~")[2].split("-"), "")
        lives = pid.isdecimal() and host.process_start(int(pid)) is not None if boot == _boot() else age <= ELSEWHERE
        if age > older_than and not lives:
            atomic.unlink_quietly(Path(entry.path)) if entry.is_file(follow_symlinks=False) else discard(Path(entry.path))
