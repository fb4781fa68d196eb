"""Samples of a data set as plain values for the screen. Imports numpy: only for background threads."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.text import safe
from mlptui.datasets.augment import Augmentation, apply
from mlptui.datasets.dataset import Dataset, Split
from mlptui.tui.render.data import Plot, Table
from mlptui.tui.render.pictures import Pixels, Sample

MOST_POINTS = 20_000


def part_of(data: Dataset, test: bool) -> Split:
    return data.test if test else data.train


def of_class(data: Dataset, test: bool, label: int | None, mixed: bool = False) -> NDArray[np.int64]:
    """Numbers of the samples of one class in their order; None: all, `mixed` as many sets are sorted by class."""
    targets = part_of(data, test).targets
    if label is not None:
        return np.flatnonzero(np.asarray(targets) == label)
    return mixture(len(targets)) if mixed else np.arange(len(targets))


@lru_cache(maxsize=4)
def mixture(size: int) -> NDArray[np.int64]:
    """All numbers below `size` in an order that is the same every time."""
    return np.random.Generator(np.random.PCG64(0)).permutation(size)


def label_of(data: Dataset, test: bool, index: int) -> str:
    target = part_of(data, test).targets[index]
    return safe(data.facts.classes[int(target)], 60) if data.facts.classes else f"{float(target):.4g}"


def pictures(data: Dataset, test: bool, chosen: NDArray[np.int64], size: tuple[int, int]) -> list[Sample]:
    """Samples `chosen`, each at most as large as `size` (cells wide, rows high); a row of cells is two rows of pixels."""
    images = part_of(data, test).inputs
    return [Sample(int(i), label_of(data, test, int(i)), to_pixels(images[i], size)) for i in chosen]


def to_pixels(image: NDArray[Any], size: tuple[int, int]) -> Pixels:
    """uint8 [channels, height, width] as rows of 0xRRGGBB, brought to `size`: smaller by means, larger by whole factors."""
    wide, high = size[0], 2 * size[1]
    _, height, width = image.shape
    factor = min(wide / width, high / height)
    if factor >= 2:
        scaled = image.repeat(int(factor), 1).repeat(int(factor), 2)
    elif factor < 1:
        scaled = shrunk(image, max(1, round(height * factor)), max(1, round(width * factor)))
    else:
        scaled = image
    red, green, blue = (scaled[min(c, len(scaled) - 1)].astype(np.int64) for c in range(3))
    return tuple(tuple(row) for row in ((red << 16) | (green << 8) | blue).tolist())


def shrunk(image: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    """Each pixel of the result is the mean of the rectangle that it covers."""
    values = image.astype(np.float64)
    for axis, extent in ((1, height), (2, width)):
        edges = np.arange(extent) * values.shape[axis] // extent
        sums = np.add.reduceat(values, edges, axis)
        counts = np.diff([*edges, values.shape[axis]])
        values = sums / counts.reshape([-1 if a == axis else 1 for a in range(3)])
    return values.round().astype(np.uint8)


def pixel_facts(data: Dataset, test: bool, index: int) -> list[str]:
    """What is to be said of one picture."""
    image = part_of(data, test).inputs[index]
    channels, height, width = image.shape
    facts = [
        f"sample {index:,} of {'test' if test else 'training'}",
        f"{width} x {height}, {'grey' if channels == 1 else 'colour'}",
        f"pixels {int(image.min())} to {int(image.max())}",
        f"mean {float(image.mean()):.1f}, deviation {float(image.std()):.1f}",
        f"black {float((image == 0).mean()):.0%}",
    ]
    if channels == 3:
        facts.append("mean of red, green, blue " + ", ".join(f"{float(c.mean()):.0f}" for c in image))
    return facts


def seen_by_network(
    data: Dataset, chosen: NDArray[np.int64], size: tuple[int, int], seed: int, epoch: int, moved: Augmentation, normalise: str
) -> tuple[list[Sample], list[Sample], str]:
    """Training pictures as they are and as the network gets them in an epoch, and the range of the numbers it gets."""
    images = np.stack([data.train.inputs[i] for i in chosen])
    theta = moved.draw(seed, epoch, chosen, (images.shape[2], images.shape[3]))
    after = apply(images, theta, moved) if moved else images.astype(np.float32)
    facts = data.facts
    numbers: NDArray[Any] = after / 255
    if normalise == "none":
        numbers = after
    elif normalise == "standard":
        mean, deviation = (np.array(v)[:, None, None] for v in (facts.mean, facts.deviation))
        numbers = (numbers - mean) / deviation
    words = f"numbers {float(numbers.min()):.2f} to {float(numbers.max()):.2f}, mean {float(numbers.mean()):.2f}"
    shown = [
        Sample(int(i), label_of(data, False, int(i)), to_pixels(picture.clip(0, 255).astype(np.uint8), size))
        for i, picture in zip(chosen, after, strict=True)
    ]
    return pictures(data, False, chosen, size), shown, words


def plot(data: Dataset, test: bool, size: tuple[int, int]) -> Plot:
    """Points of a set with two features by cell of a (cells, rows) picture."""
    wide, high = size
    part = part_of(data, test)
    chosen = mixture(len(part))[:MOST_POINTS]
    points, classes = np.asarray(part.inputs[chosen], np.float64), np.asarray(part.targets[chosen])
    named = data.facts.classes or ("points",)
    labels = classes.astype(np.int64) if data.facts.classes else np.zeros(len(points), np.int64)
    bounds = [(float(c.low), float(c.high)) for c in data.facts.columns]
    places = []
    for axis, extent in ((0, wide), (1, high)):
        low, high_bound = bounds[axis]
        span = (high_bound - low) or 1.0
        places.append(((points[:, axis] - low) / span * (extent - 1)).round().astype(np.int64).clip(0, extent - 1))
    counts = np.zeros((high, wide, len(named)), np.int64)
    np.add.at(counts, (high - 1 - places[1], places[0], labels), 1)
    most = np.where(counts.sum(2) > 0, counts.argmax(2), -1)
    cells = tuple(tuple(None if v < 0 else v for v in row) for row in most.tolist())
    names = data.facts.columns
    return Plot(cells, bounds[0], bounds[1], tuple(named), (names[0].name, names[1].name))


def table(data: Dataset, test: bool, chosen: NDArray[np.int64], skipped: int) -> Table:
    """Rows of a table as texts."""
    part = part_of(data, test)
    target = data.facts.target.name if data.facts.target else "class"
    names = (*(c.name for c in data.facts.columns), target)
    rows = tuple((*(f"{float(v):.4g}" for v in part.inputs[i]), label_of(data, test, int(i))) for i in chosen)
    return Table(names, rows, int(chosen[0]) if len(chosen) else 0, skipped)
