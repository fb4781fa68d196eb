"""What a data set looks like in numbers; in blocks, so that a set may be larger than memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.datasets.dataset import Column

BLOCK = 1 << 24  # bytes looked at in one go
BINS = 16


def blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def pixel_moments(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel of uint8 [n, channels, height, width] as numbers from 0 to 1, from exact counts."""
    counts = np.zeros((images.shape[1], 256), np.int64)
    for block in blocks(images):
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(np.ascontiguousarray(block[:, channel]).reshape(-1), minlength=256)
    values = np.arange(256) / 255
    total = counts.sum(1)
    mean = counts @ values / total
    deviation = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
    return tuple(mean.tolist()), tuple((_usable(d)) for d in deviation.tolist())


def class_counts(targets: NDArray[Any], classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(np.asarray(targets, np.int64), minlength=classes).tolist())


def column(name: str, values: NDArray[Any], missing: int = 0) -> Column:
    """Moments, bounds and histogram of one column, finite numbers [n]."""
    exact = np.asarray(values, np.float64)
    if not len(exact):
        return Column(name, 0.0, 1.0, 0.0, 0.0, missing, (0,) * BINS)
    low, high = float(exact.min()), float(exact.max())
    if high > low:
        places = ((exact - low) * (BINS / (high - low))).astype(np.int64).clip(0, BINS - 1)
        histogram = tuple(np.bincount(places, minlength=BINS).tolist())
    else:
        histogram = (len(exact), *[0] * (BINS - 1))
    return Column(name, float(exact.mean()), _usable(float(exact.std())), low, high, missing, histogram)


def columns(table: NDArray[Any], named: list[tuple[str, int]]) -> tuple[Column, ...]:
    """`column` for every column of [n, columns] in two passes over blocks of rows; `named` has (name, missing cells)."""
    width = table.shape[1]
    origin = np.asarray(table[0], np.float64)  # moments about the first row, so that large means cost no digits
    total, squares = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for block in blocks(table):
        exact = np.asarray(block, np.float64)
        low, high = np.minimum(low, exact.min(0)), np.maximum(high, exact.max(0))
        exact = exact - origin
        total += exact.sum(0)
        squares += (exact * exact).sum(0)
    mean = total / len(table)
    deviation = np.sqrt(np.maximum(squares / len(table) - mean**2, 0))
    extent = np.where(high > low, high - low, 1.0)
    histograms = np.zeros(width * BINS, np.int64)
    for block in blocks(table):
        bins = ((np.asarray(block, np.float64) - low) * (BINS / extent)).astype(np.int64).clip(0, BINS - 1)
        histograms += np.bincount((bins + np.arange(width) * BINS).reshape(-1), minlength=width * BINS)
    found = zip(named, mean + origin, deviation, low, high, histograms.reshape(width, BINS), strict=True)
    return tuple(
        Column(name, float(m), _usable(float(d)), float(least), float(most), missing, tuple(h.tolist()))
        for (name, missing), m, d, least, most, h in found
    )


def _usable(deviation: float) -> float:
    """What one may divide by: a constant column keeps its scale."""
    return deviation if deviation > 1e-12 else 1.0
