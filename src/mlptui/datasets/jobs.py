"""Work on one data set that takes long: a process of its own that says in a file how far it is.

Whoever works on a set holds the lock `datasets/.jobs/NAME.lock` and keeps `NAME.json` beside it up to date, so every viewer
sees it, and the same set is never worked on twice at once. The kernel names the lock's holder, so who is asked to stop is
never a stranger with an old number.
"""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.datasets import catalog, prepared
from mlptui.store import atomic, lock
from mlptui.store.paths import Paths

SAY_INTERVAL = 0.2
LIMIT = 1 << 18
TOLD = 8


@dataclass(frozen=True)
class Job:
    """What is being done to a set, or was last. `done` of `total` bytes; `began` is when it began.

    `failures` has a line a failed attempt; `error` says why the whole failed, empty where it did not or was cancelled;
    `said` is when it last
    told, `ended` when it stopped, 0 while it goes on.
    """

    name: str
    action: str
    phase: str = "starting"
    file: str = ""
    done: int = 0
    total: int = 0
    mirror: str = ""
    speed: float = 0.0
    failures: tuple[str, ...] = ()
    error: str = ""
    pid: int = 0
    began: float = 0.0
    said: float = 0.0
    ended: float = 0.0

    @property
    def share(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def left(self) -> float | None:
        """Seconds to go at the present speed; None where nobody can say."""
        return (self.total - self.done) / self.speed if self.total and self.speed > 0 else None


def _folder(paths: Paths) -> Path:
    return paths.datasets / ".jobs"


def lock_file(paths: Paths, name: str) -> Path:
    """Raises DataError for a name that could lead elsewhere."""
    catalog.folder(paths, name)
    return _folder(paths) / f"{name}.lock"


def _page(paths: Paths, name: str) -> Path:
    return _folder(paths) / f"{name}.json"


def working(paths: Paths, name: str) -> int:
    """The pid of the process that works on a set; 0 for none, -1 where it is on another machine or cannot be told."""
    found = lock.holder(lock_file(paths, name))
    return -1 if found is None else found


def read(paths: Paths, name: str) -> Job | None:
    """The job that goes on, or the last one; one that ended without saying so is shown as that. Never raises."""
    job = _read(paths, name)
    if job and not job.ended and not working(paths, name):
        job = _read(paths, name)  # it may have ended well between the two looks
        if job and not job.ended:
            return replace(job, ended=job.began or 1.0, error="it was ended in the middle; what it had is kept")
    return job


def _read(paths: Paths, name: str) -> Job | None:
    try:
        values = json.loads(atomic.read_regular(_page(paths, name), LIMIT))
        known = {f.name: values[f.name] for f in fields(Job) if f.name in values}
        known["failures"] = tuple(known.get("failures", ()))
        if all(_fits(f.name, known[f.name]) for f in fields(Job) if f.name in known):
            return Job(**known)
    except (OSError, StorageError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _fits(name: str, value: Any) -> bool:
    if name == "failures":
        return all(isinstance(v, str) for v in value)
    if name in ("done", "total", "pid"):
        return isinstance(value, int) and 0 <= value < 1 << 62
    if name in ("speed", "began", "said", "ended"):
        return isinstance(value, int | float) and 0 <= value < 1e15
    return isinstance(value, str)


def forget(paths: Paths, name: str) -> None:
    """Do not show the outcome of the last job any longer."""
    atomic.unlink_quietly(_page(paths, name))


def running(paths: Paths) -> dict[str, Job]:
    """All jobs that go on, and the failed ones that nobody has put away, by name of their set."""
    try:
        with os.scandir(_folder(paths)) as found:
            names = sorted(e.name.removesuffix(".json") for e in found if e.name.endswith(".json"))
    except OSError:
        return {}
    jobs = {name: read(paths, name) for name in names if not name.startswith(".")}
    return {name: job for name, job in jobs.items() if job is not None and (not job.ended or job.error)}


class Busy(DataError):
    """Another process works on the set; `pid` is its number (-1: not known)."""

    def __init__(self, name: str, pid: int) -> None:
        self.pid = pid
        super().__init__(f"another process{f' ({pid})' if pid > 0 else ''} works on {name}")


class SetLock:
    """`with SetLock(paths, name)`: nobody else works on this set. Raises Busy, and DataError where there are no locks.

    A process must not take the lock of a set that it holds already: closing the second handle would drop the first.
    """

    def __init__(self, paths: Paths, name: str) -> None:
        self.paths, self.name = paths, name

    def __enter__(self) -> Self:
        path = lock_file(self.paths, self.name)
        atomic.make_folder(path.parent)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataError(f"cannot write to {path.parent}: {atomic.reason(error)}") from None
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Busy(self.name, working(self.paths, self.name)) from None
        except OSError as error:
            os.close(self._fd)
            raise DataError(f"the file system of {path.parent} gives no locks ({error.strerror})") from None
        self._sweep()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        os.close(self._fd)

    def _sweep(self) -> None:
        """Remove what a killed holder of this lock left: only holders make such folders and files."""
        prepared.recover(self.paths.datasets, self.name)
        for folder, begins in (
            (self.paths.datasets, (f".tmp-{self.name}~", f".del-{self.name}~", f"{prepared.OLD}{self.name}~")),
            (_folder(self.paths), (f".{self.name}.json.",)),
        ):
            try:
                with os.scandir(folder) as found:
                    left = [Path(e.path) for e in found if e.name.startswith(begins)]
            except OSError:
                continue
            for path in left:
                if path.is_dir() and not path.is_symlink():
                    atomic.remove_folder_quietly(path)
                else:
                    atomic.unlink_quietly(path)


class Work(SetLock):
    """The holder's side of a job: `with Work(paths, name, action) as work`; `say` keeps the page up to date."""

    def __init__(self, paths: Paths, name: str, action: str, keep_failure: bool = True) -> None:
        """`keep_failure`: the page of a failed job stays, for viewers to show; not where somebody was told already."""
        super().__init__(paths, name)
        self.job, self._keep_failure = Job(name, action), keep_failure
        self._said_at = 0.0
        self._marks: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        super().__enter__()
        self._put(pid=os.getpid(), began=time.time())
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        cancelled = error is not None and not isinstance(error, Exception)
        why = "" if error is None or cancelled else safe(error, 1000) or type(error).__name__
        phase = "cancelled" if cancelled else "failed" if why else "done"
        self._put(phase=phase, error=why, ended=time.time(), speed=0.0)
        known = self.name in catalog.ENTRIES or catalog.is_here(self.paths, self.name)
        if known and (self._keep_failure or not why):
            self._write()
        else:
            forget(self.paths, self.name)  # a page of a set that nobody knows would stand for nothing
        super().__exit__(kind, error, trace)

    def phase(self, phase: str) -> None:
        """A new part of the work begins."""
        self._marks.clear()
        self._put(phase=phase, done=0, total=0, speed=0.0, mirror="", file="")
        self._write()

    def say(self, **facts: Any) -> None:
        """New facts; they reach the page a few times a second."""
        self._put(**facts)
        now = time.monotonic()
        if now - self._said_at >= SAY_INTERVAL:
            self._measure(now)
            self._write()
            self._said_at = now

    def _put(self, **facts: Any) -> None:
        self.job = replace(self.job, **facts)

    def _measure(self, now: float) -> None:
        """Bytes a second over the last few seconds."""
        if self._marks and self.job.done < self._marks[-1][1]:
            self._marks.clear()
        self._marks = [*(m for m in self._marks if now - m[0] < 5), (now, self.job.done)]
        first = self._marks[0]
        if now - first[0] > 0.1:
            self._put(speed=(self.job.done - first[1]) / (now - first[0]))

    def _write(self) -> None:
        self._put(said=time.time())
        try:
            atomic.replace(_page(self.paths, self.name), json.dumps(asdict(self.job)).encode(), durable=False)
        except OSError:
            pass  # a full disk must not end the work; the lock still says that it goes on
