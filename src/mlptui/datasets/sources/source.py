"""What every kind of a person's own data comes to."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets.dataset import Column, Facts, class_type
from mlptui.datasets.prepared import Progress, Writer
from mlptui.datasets.split import validation_split

MOST_CLASSES = 10_000
NAMED = 5


@dataclass(frozen=True)
class Options:
    """What a person says of their data. Empty or 0 is "find out".

    `label` is a column's name or number from 1, `labels` a file of labels beside PATH, `test` a file or folder like PATH
    with the samples to test on; without one `test_share` of the samples is held out at random. `size` is the edge that
    pictures are brought to. `task` is `classes` or `regression`; `header` is `yes` or `no`.
    """

    label: str = ""
    labels: str = ""
    test: str = ""
    test_share: float = 0.2
    size: int = 0
    task: str = ""
    header: str = ""


@dataclass
class Seen:
    """What a look found, in sentences: first what there is, then what is amiss but can be lived with."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


class Source(Protocol):
    """Data that were looked at and can be decoded. `facts` have no sizes or moments yet."""

    seen: Seen
    facts: Facts

    def write(self, writer: Writer, progress: Progress) -> None:
        """Fill the four arrays. Raises DataError."""
        ...


def facts_of(
    kind: str,
    classes: Iterable[str],
    shape: tuple[int, ...],
    sizes: tuple[int, int],
    columns: tuple[Column, ...] = (),
    target: Column | None = None,
) -> Facts:
    """What a look tells; `sizes` are those of training and test. The moments are not known before decoding."""
    return Facts("", kind, "", shape, tuple(classes), *sizes, "", (), (), columns=columns, target=target)


def named(facts: Facts, name: str, title: str, origin: str) -> Facts:
    return replace(facts, name=name, title=title, origin=origin, licence="your own")


def mark(paths: Iterable[Path]) -> str:
    """Names the state of files: their names, sizes and times. A file of a folder counts with its place in it."""
    machine = hashlib.sha256()
    for path in paths:
        try:
            found = sorted(_files(path)) if path.is_dir() else [(path.name, path)]
            for name, file in found:
                try:
                    facts = os.stat(file)
                    seen = f"{facts.st_size}\0{facts.st_mtime_ns}"
                except OSError:  # a link to nothing, say
                    seen = "?"
                machine.update(f"{name}\0{seen}\n".encode(errors="surrogateescape"))
        except OSError as error:
            raise DataError(f"{safe(path, 300)}: {error.strerror}") from None
    return machine.hexdigest()


def _files(folder: Path) -> Iterable[tuple[str, Path]]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            yield str(path.relative_to(folder)), path


def hold_out(size: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and for test, the same every time. Raises DataError where one would be empty."""
    if not 0 < share < 1:
        raise DataError(f"the test share must lie between 0 and 1, not {share:g}")
    train, test = validation_split(size, share, 0)
    if not len(train) or not len(test):
        raise DataError(f"{size:,} samples are too few to hold some out for the test; name a test file with --test")
    return train, test


def classes_of(labels: NDArray[Any], where: str) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Names of the classes in order, and the class of each sample. Whole numbers sort as numbers, all else as text."""
    values, places = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"{where}: all labels are the same ({safe(values[0], 60) if len(values) else 'none'})")
    if len(values) > MOST_CLASSES:
        raise DataError(
            f"{where}: {len(values):,} different labels are too many; is it a number to predict (--task regression)?"
        )
    return tuple(safe(v, 60) for v in values.tolist()), places.reshape(-1).astype(class_type(len(values)))


def memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def listing(names: list[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(safe(n, 80) for n in names[:NAMED]) + more
