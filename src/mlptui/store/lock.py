"""One trainer a run: a POSIX record lock on the run's `lock` file.

POSIX (fcntl) locks are what NFS carries to its server (Linux emulates even flock(2) with them there), they die with their
process however it dies, and a viewer can ask who holds them without taking them. Their trap: closing *any* descriptor of
the file drops the lock, so in the trainer only RunLock ever opens it. The file also holds one page that the holder
overwrites in place (no new block is needed), so it can still speak when the disk is full.
"""

import fcntl
import json
import os
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlptui.core.errors import RunError, StorageError
from mlptui.store import host
from mlptui.store.atomic import read_regular

PAGE = 4096


@dataclass(frozen=True)
class Owner:
    """What the holder says of itself. `beat` grows while it lives; `trouble` is a sentence while the disk refuses."""

    host: str = ""
    pid: int = 0
    since: float = 0.0
    beat: int = 0
    waiting: int = 0
    trouble: str = ""


_KINDS: dict[str, Any] = {"host": str, "pid": int, "since": float, "beat": int, "waiting": int, "trouble": str}


class RunLock:
    """The writer's lock; held from `RunLock(path)` until `release` or the end of the process."""

    def __init__(self, path: Path, since: float) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = read_owner(path)
            os.close(self.fd)
            raise RunError(
                f"another trainer works on this run: process {owner.pid} on {owner.host or 'an unknown host'}"
            ) from None
        except OSError as error:
            os.close(self.fd)
            raise RunError(
                f"the file system of {path.parent} gives no locks ({error.strerror}); keep runs on another one"
            ) from None
        self.owner = Owner(host.host_name(), os.getpid(), since)
        self.say()

    def say(self, **changes: Any) -> None:
        """Overwrite the page; a disk that refuses even this is ignored (the lock itself still speaks)."""
        self.owner = Owner(**{**asdict(self.owner), **changes})
        page = json.dumps(asdict(self.owner)).encode()[:PAGE].ljust(PAGE)
        try:
            os.pwrite(self.fd, page, 0)
        except OSError:
            pass

    def release(self) -> None:
        os.close(self.fd)


def read_owner(path: Path) -> Owner:
    """The holder's own words; empty where there are none."""
    try:
        values = json.loads(read_regular(path, PAGE))
        known = {k: v for k, v in values.items() if isinstance(v, _KINDS.get(k, ()))}
        return Owner(**known)
    except (OSError, StorageError, ValueError, AttributeError, RecursionError):
        return Owner()


def holder(path: Path) -> int | None:
    """The pid that holds the lock (-1 where the system does not name it), 0 for nobody, None where it cannot be asked.

    Must not be called in the process that holds it: the answer would be 0, and closing the file drops the lock.
    """
    linux = sys.platform.startswith("linux")
    layout = "hhqqi4x" if linux else "qqihh"
    request = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if linux else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    except OSError:
        return None
    try:
        answer = struct.unpack(layout, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(layout, *request)))
    except OSError:
        return None
    finally:
        os.close(fd)
    kind, pid = (answer[0], answer[4]) if linux else (answer[3], answer[2])
    if kind == fcntl.F_UNLCK:
        return 0
    return pid if pid > 0 else -1
