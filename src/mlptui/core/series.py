"""A metric over steps, summarised in bounded memory."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """What is known of `width` successive steps. `low > high` where no value was finite."""

    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    finite: int = 0
    gaps: int = 0

    @property
    def mean(self) -> float:
        return self.total / self.finite if self.finite else math.nan

    def add(self, value: float) -> None:
        if math.isfinite(value):
            self.low = min(self.low, value)
            self.high = max(self.high, value)
            self.total += value
            self.finite += 1
        else:
            self.gaps += 1

    def merge(self, other: "Bucket") -> None:
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.total += other.total
        self.finite += other.finite
        self.gaps += other.gaps


class Series:
    """Values by step, first step 1, kept as at most `capacity` buckets of a width that is a power of two.

    When the buckets run out each two become one, so memory and drawing time do not grow with the run, minima and maxima
    are exact, and a drawn column changes only while its own steps arrive. NaN and inf count as gaps and are never averaged.
    """

    def __init__(self, capacity: int = 2048, memory: float = 0.98) -> None:
        self.capacity = capacity
        self.memory = memory
        self.width = 1
        self.buckets: list[Bucket] = []
        self.last_step = 0
        self.last = math.nan
        self.best = math.inf
        self.best_step = 0
        self.first_gap: int | None = None
        self._average = 0.0
        self._weight = 0.0

    def __len__(self) -> int:
        return self.last_step

    @property
    def smoothed(self) -> float:
        """Exponential moving average with bias correction (Adam's: Kingma & Ba 2015, section 3)."""
        return self._average / self._weight if self._weight else math.nan

    def add(self, step: int, value: float) -> None:
        """One value. Steps count from 1 and must not fall."""
        index = (step - 1) // self.width
        while index >= self.capacity:
            self._halve()
            index = (step - 1) // self.width
        while len(self.buckets) <= index:
            self.buckets.append(Bucket())
        self.buckets[index].add(value)
        self.last_step, self.last = step, value
        if math.isfinite(value):
            self._average = self.memory * self._average + (1 - self.memory) * value
            self._weight = self.memory * self._weight + (1 - self.memory)
            if value < self.best:
                self.best, self.best_step = value, step
        elif self.first_gap is None:
            self.first_gap = step

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        for step, value in points:
            self.add(step, value)

    def columns(self, wanted: int) -> tuple[int, list[Bucket]]:
        """At most `wanted` columns for the whole series and how many steps each holds (a power of two times the bucket)."""
        factor = 1
        while -(-len(self.buckets) // factor) > max(1, wanted):
            factor *= 2
        if factor == 1:
            return self.width, self.buckets
        return self.width * factor, [_merged(self.buckets[i : i + factor]) for i in range(0, len(self.buckets), factor)]

    def _halve(self) -> None:
        self.buckets = [_merged(self.buckets[i : i + 2]) for i in range(0, len(self.buckets), 2)]
        self.width *= 2


def _merged(buckets: list[Bucket]) -> Bucket:
    result = Bucket()
    for bucket in buckets:
        result.merge(bucket)
    return result
