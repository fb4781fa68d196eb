"""Data sets as values: what is known of one, and its arrays."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGES, TABLE = "images", "table"


@dataclass(frozen=True)
class Column:
    """One feature of a table over the training rows: moments and bounds as used, and how the values lie between them.

    `missing` counts cells that were empty in the source; `histogram` has equal bins from `low` to `high`.
    """

    name: str
    mean: float
    deviation: float
    low: float
    high: float
    missing: int = 0
    histogram: tuple[int, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What can be said of a data set without looking into its arrays.

    `shape` is that of one sample: (channels, height, width) or (features,). `classes` is empty for regression, where
    `target` describes the number to predict. `mean` and `deviation` are those of the training set: by channel as numbers
    from 0 to 1 for images, by column for tables. `counts` has the samples by class, for training and for test.
    `sha256` names the content.
    """

    name: str
    kind: str
    title: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    train_size: int
    test_size: int
    sha256: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()
    target: Column | None = None
    origin: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def regression(self) -> bool:
        return not self.classes

    @property
    def features(self) -> int:
        """Numbers that one sample has."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """What a network for this data must give for one sample."""
        return len(self.classes) or 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def facts_from(values: dict[str, Any]) -> Facts:
    """Raises TypeError, KeyError or ValueError where `values` are not those of `Facts.as_json`."""
    kept = {f.name: values[f.name] for f in fields(Facts) if f.name in values}
    kept["columns"] = tuple(_column(c) for c in kept.get("columns", ()))
    kept["target"] = _column(kept["target"]) if kept.get("target") else None
    for name in ("shape", "classes", "mean", "deviation", "train_counts", "test_counts", "notes"):
        kept[name] = tuple(kept.get(name, ()))
    found = Facts(**kept)
    numbers = (*found.shape, found.train_size, found.test_size, *found.train_counts, *found.test_counts)
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or not found.shape:
        raise ValueError("sizes must be whole numbers")
    if found.kind not in (IMAGES, TABLE) or len(found.shape) != (3 if found.kind == IMAGES else 1) or not all(found.shape):
        raise ValueError("kind or shape")
    texts = (found.name, found.title, found.sha256, found.origin, found.licence, *found.classes, *found.notes)
    if not all(isinstance(t, str) for t in texts):
        raise ValueError("words that are no text")
    moments = (*found.mean, *found.deviation)
    if not all(isinstance(m, float | int) and math.isfinite(m) for m in moments) or any(d <= 0 for d in found.deviation):
        raise ValueError("moments")
    if len(found.mean) != len(found.deviation) or bool(found.classes) == bool(found.target):
        raise ValueError("moments or targets")
    if any(counts and len(counts) != len(found.classes) for counts in (found.train_counts, found.test_counts)):
        raise ValueError("counts")
    return found


def _column(values: dict[str, Any]) -> Column:
    column = Column(**{**values, "histogram": tuple(values.get("histogram", ()))})
    numbers = (column.mean, column.deviation, column.low, column.high)
    counts = (column.missing, *column.histogram)
    if not (isinstance(column.name, str) and all(isinstance(n, float | int) and math.isfinite(n) for n in numbers)):
        raise ValueError("a column")
    if not all(isinstance(n, int) and n >= 0 for n in counts):
        raise ValueError("the counts of a column")
    return column


@dataclass(frozen=True)
class Split:
    """Samples and what is to be said of them, by rows.

    `inputs` is uint8 [n, channels, height, width] for images, float32 [n, features] for tables; `targets` is an integer
    array [n] of classes, or float32 [n] for regression. Both may be memory-mapped and are never written.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    facts: Facts
    train: Split
    test: Split

    @property
    def name(self) -> str:
        return self.facts.name


def class_type(classes: int) -> np.dtype[Any]:
    """The type that holds this many classes."""
    return np.dtype(np.uint8 if classes <= 256 else np.int32)
