"""What was removed and can be brought back until the viewer that removed it ends.

An entry is called NAME~PID-XXXXXX, NAME being a run's id or RUN@STEP, and PID who removed it. What is said of a checkpoint
lies beside it.
"""

import os
import secrets
import time
from pathlib import Path

from mlptui.store import abouts, atomic, host
from mlptui.store.paths import Paths

DAY = 86_400.0  # seconds that what nobody can bring back any more stays, for a person to look for


def place(paths: Paths, name: str) -> Path:
    """Where a thing of this name goes. Raises StorageError."""
    return atomic.make_folder(paths.trash) / f"{name}~{os.getpid()}-{secrets.token_hex(3)}"


def name_of(entry: Path) -> str:
    """What it was called."""
    return entry.name.rpartition("~")[0]


def steps_of(paths: Paths, run: str) -> list[str]:
    """The names of a run's removed checkpoints."""
    begins = f"{run}@"
    try:
        found = [Path(entry.path) for entry in os.scandir(paths.trash) if entry.name.startswith(begins)]
    except OSError:
        return []
    return [name_of(entry).removeprefix(begins) for entry in found]


def renamed(paths: Paths, run: str, new: str) -> dict[Path, Path]:
    """Removed checkpoints go with the run that has another name now; where each was and is. What cannot be moved stays."""
    found: dict[Path, Path] = {}
    try:
        entries = [Path(e.path) for e in os.scandir(paths.trash) if e.name.startswith(f"{run}@") and e.is_dir()]
    except OSError:
        return found
    for entry in entries:
        other = entry.with_name(new + entry.name.removeprefix(run))
        try:
            abouts.move(entry, other)
            found[entry] = other
        except OSError:
            pass
    return found


def discard(entry: Path) -> None:
    """Delete for good."""
    atomic.remove_folder_quietly(entry)
    atomic.unlink_quietly(abouts.file_of(entry))


def empty(paths: Paths, older_than: float = DAY) -> None:
    """Delete for good what was removed by processes that are gone; only what lies there for `older_than` seconds."""
    try:
        entries = [e for e in os.scandir(paths.trash) if time.time() - e.stat(follow_symlinks=False).st_ctime > older_than]
    except OSError:
        return
    for entry in entries:
        owner = entry.name.removesuffix(".about").rpartition("~")[2].partition("-")[0]
        if not (owner.isdecimal() and host.process_start(int(owner)) is not None):
            atomic.unlink_quietly(Path(entry.path)) if entry.is_file(follow_symlinks=False) else discard(Path(entry.path))
