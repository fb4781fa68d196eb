"""Points in the plane for learning what a network can separate, after TensorFlow's Playground (its dataset.ts)."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlptui.datasets.dataset import TABLE, Column, Dataset, Facts, Split
from mlptui.datasets.entry import Entry
from mlptui.datasets.prepared import complete

SEED = 0
Points = NDArray[np.float64]


def points(name: str, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """`size` points float32 [size, 2], the two classes alternating, and their classes uint8 [size].

    numpy's PCG64 gives the same stream in every version (NEP 19); thousandths hide how libraries round sines.
    """
    random = np.random.Generator(np.random.PCG64([seed, 0xDA7A]))
    classes = np.arange(size, dtype=np.uint8) % 2
    return SHAPES[name](random, classes).round(3).astype(np.float32), classes


def _noise(random: np.random.Generator, size: int, deviation: float) -> Points:
    """Normal numbers [size, 2] from the uniform stream (Box & Muller 1958), which NEP 19 keeps the same."""
    first, second = 1 - random.random((size, 2)), random.random((size, 2))
    return np.asarray(deviation * np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second))


def _blobs(random: np.random.Generator, classes: NDArray[np.uint8]) -> Points:
    return np.asarray(np.where(classes, 2.0, -2.0)[:, None] + _noise(random, len(classes), 0.9))


def _moons(random: np.random.Generator, classes: NDArray[np.uint8]) -> Points:
    angle = np.pi * random.random(len(classes))
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    return np.asarray(np.where(classes[:, None], lower, upper) + _noise(random, len(classes), 0.1))


def _spirals(random: np.random.Generator, classes: NDArray[np.uint8]) -> Points:
    along = random.random(len(classes))
    angle = 1.75 * along * 2 * np.pi + np.pi * classes
    return np.asarray(5 * along[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1) + _noise(random, len(classes), 0.1))


def _xor(random: np.random.Generator, classes: NDArray[np.uint8]) -> Points:
    """Uniform in four squares of side 5 with a gap of 0.6; a point's class is whether its coordinates differ in sign."""
    size = 0.3 + 4.7 * random.random((len(classes), 2))
    side = np.where(random.random(len(classes)) < 0.5, 1.0, -1.0)
    return np.stack([size[:, 0] * side, size[:, 1] * side * np.where(classes, -1.0, 1.0)], 1)


SHAPES: dict[str, Callable[[np.random.Generator, NDArray[np.uint8]], Points]] = {
    "blobs": _blobs,
    "moons": _moons,
    "spirals": _spirals,
    "xor": _xor,
}


def make(entry: Entry) -> Dataset:
    """The data set of a generated entry; training and test points are different ones of the same kind."""
    train = Split(*points(entry.name, entry.train_size, SEED))
    test = Split(*points(entry.name, entry.test_size, SEED + 1))
    facts = Facts(
        entry.name, TABLE, entry.title, entry.shape, entry.classes, 0, 0, "", (), (),
        columns=(Column("x", 0, 1, 0, 0), Column("y", 0, 1, 0, 0)), origin=entry.origin, licence=entry.licence,
    )  # fmt: skip
    arrays = (train.inputs, train.targets, test.inputs, test.targets)
    sha256 = hashlib.sha256(b"".join(hashlib.sha256(a.tobytes()).digest() for a in arrays)).hexdigest()
    return Dataset(replace(complete(facts, *arrays), sha256=sha256), train, test)
