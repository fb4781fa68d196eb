"""What is said of a checkpoint, in `step-0000000010.about` beside its folder, which never changes after it was committed."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.store import atomic, sealed

LIMIT = 1 << 20  # bytes
JUDGED = 20  # judgements that are kept
LOCK = ".about-lock"
PATIENCE = 5.0  # seconds that a writer waits for another one
CANNOT_LOCK = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EISDIR)
OFTEN = 0.01  # seconds between two tries


@dataclass(frozen=True)
class Judged:
    """What evaluating it gave: mean loss and score over one part of a data set."""

    part: str
    data: str
    loss: float
    score: float
    score_name: str
    samples: int


@dataclass(frozen=True)
class About:
    """Whether a person pinned it, a note, how it was judged, and the runs that went on from it."""

    pinned: bool = False
    note: str = ""
    children: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()


def file_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.about")


def known(folder: Path) -> About:
    """What cannot be read is taken for a pin, so that nothing is lost by it."""
    try:
        return read(folder)
    except (OSError, StorageError):
        return About(pinned=True)


def read(folder: Path) -> About:
    """Raises OSError, StorageError where it is damaged."""
    try:
        found = sealed.read_document(atomic.read_regular(file_of(folder), LIMIT), "about")
    except FileNotFoundError:
        return About()
    children, judged = found.get("children", []), found.get("judged", [])
    return About(
        found.get("pinned") is True,
        str(found.get("note", "")),
        tuple(map(str, children)) if isinstance(children, list) else (),
        tuple(filter(None, map(_judged, judged))) if isinstance(judged, list) else (),
    )


def _judged(found: Any) -> Judged | None:
    try:
        loss, score = sealed.number(found["loss"]), sealed.number(found["score"])
        if loss is None or score is None:
            return None
        names = (str(found["part"]), str(found["data"])), (str(found["score_name"]), int(found["samples"]))
    except (KeyError, TypeError, ValueError):
        return None
    return Judged(*names[0], loss, score, *names[1])


def change(folder: Path, by: Callable[[About], About]) -> About:
    """Say something else of a checkpoint; two that do so at once wait for one another.

    Of a file that is damaged a copy is left; the checkpoint stays pinned until it is unpinned. Raises OSError, StorageError.
    """
    with locked(folder.parent):
        try:
            before = read(folder)
        except StorageError:
            before = known(folder)
            os.link(file_of(folder), file_of(folder).with_name(f"damaged-{folder.name}-{time.time_ns()}.about"))
        said = by(before)
        if said == About():
            forget(folder)
        else:
            atomic.replace(file_of(folder), sealed.document(asdict(said)))
        return said


def keep_judgement(folder: Path, judged: Judged) -> None:
    """Remember how a checkpoint was judged, in place of the same judgement before; where that cannot be written, it is not."""

    def by(before: About) -> About:
        others = tuple(one for one in before.judged if (one.part, one.data) != (judged.part, judged.data))
        return replace(before, judged=(*others, judged)[-JUDGED:])

    try:
        change(folder, by)
    except (OSError, StorageError):
        pass


def forget(folder: Path) -> None:
    """Raises OSError."""
    if file_of(folder).exists():
        file_of(folder).unlink(missing_ok=True)


def move(folder: Path, to: Path) -> None:
    """A checkpoint and what is said of it to another place, unless that is taken. Raises OSError."""
    if to.exists():
        raise FileExistsError(f"{to} exists")
    atomic.move(folder, to)
    if file_of(folder).exists():
        atomic.move(file_of(folder), file_of(to))


def bring_back(place: Path, to: Path) -> None:
    """As `move`, the other way round: what is said of it goes first, so that a checkpoint is never there without it."""
    if to.exists():
        raise FileExistsError(f"{to} exists")
    if file_of(place).exists():
        atomic.move(file_of(place), file_of(to))
    atomic.move(place, to)


def children(folder: Path) -> list[str]:
    """The runs that went on from this checkpoint and are still there."""
    runs = folder.parent.parent.parent
    return [run for run in known(folder).children if "/" not in run and (runs / run).is_dir()]


@contextmanager
def locked(parent: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Alone among those who pin, annotate and remove the checkpoints in a folder. Raises OSError, StorageError."""
    descriptor = _lock(os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), patience)
    if descriptor is None:  # network file systems lock only what can be written to
        descriptor = _lock(os.open(parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), patience)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, patience: float) -> int | None:
    """The descriptor when it is locked; None, and closed, where this file system cannot do that."""
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageError("another process changes what is said of it; try again") from None
                time.sleep(OFTEN)
    except OSError as error:
        os.close(descriptor)
        if error.errno in CANNOT_LOCK:
            return None
        raise
    except BaseException:
        os.close(descriptor)
        raise
