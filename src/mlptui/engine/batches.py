"""Batches, made on the training device."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mlptui.datasets.dataset import IMAGES, Facts
from mlptui.engine.augment import Augmenter
from mlptui.engine.seeding import epoch_order

Batch = tuple[torch.Tensor, torch.Tensor]
EVALUATION_BATCH = 1024
EVALUATION_BYTES = 64 << 20
BLOCK = 64 << 20
AHEAD = 3
READERS = 8


class Batches(Protocol):
    """Normalised inputs float32 [n, ...] and targets (int64 classes or float32 numbers) [n], on the training device."""

    size: int

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The shuffled batches of an epoch (counted from 0), from `first_batch` on."""
        ...

    def in_order(self) -> Iterator[Batch]:
        """All samples once, in order, for evaluation."""
        ...


@dataclass(frozen=True)
class Samples:
    """Part of a data set: rows `chosen` of `inputs` (memory-mapped, perhaps larger than memory), and their targets."""

    inputs: NDArray[Any]
    targets: torch.Tensor
    chosen: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        return len(self.chosen) * self.inputs[:1].nbytes


Scale = float | torch.Tensor


@dataclass(frozen=True)
class Normaliser:
    """(input - before) * scale - after, in float32. For pixels by mean and deviation: one product and one difference."""

    scale: Scale = 1 / 255
    after: Scale = 0.0
    before: Scale | None = None

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        numbers = inputs.to(torch.float32, copy=True)
        if self.before is not None:
            numbers.sub_(self.before)
        return numbers.mul_(self.scale).sub_(self.after)

    def to(self, device: torch.device) -> "Normaliser":
        return Normaliser(
            _moved(self.scale, device),
            _moved(self.after, device),
            None if self.before is None else _moved(self.before, device),
        )


def _moved(scale: Scale, device: torch.device) -> Scale:
    return scale.to(device) if isinstance(scale, torch.Tensor) else scale


def normaliser(facts: Facts, kind: str) -> Normaliser:
    """`standard`: mean 0 and deviation 1 by channel or column; `range`: 0 to 1; `none`: the numbers as they are."""
    if kind == "none":
        return Normaliser(1.0)
    if facts.kind == IMAGES:
        if kind == "range":
            return Normaliser()
        if len(facts.mean) == 1:
            return Normaliser(1 / (255 * facts.deviation[0]), facts.mean[0] / facts.deviation[0])
        mean, deviation = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (facts.mean, facts.deviation))
        return Normaliser((1 / (255 * deviation)).float(), (mean / deviation).float())
    low, high = (torch.tensor([getattr(c, n) for c in facts.columns], dtype=torch.float64) for n in ("low", "high"))
    if kind == "range":
        extent = torch.where(high > low, high - low, torch.ones_like(low))
        return Normaliser((1 / extent).float(), 0.0, low.float())
    mean, deviation = (torch.tensor(v, dtype=torch.float64) for v in (facts.mean, facts.deviation))
    return Normaliser((1 / deviation).float(), 0.0, mean.float())


class _Shuffled:
    """What both kinds share: the order of an epoch, and what is done to a batch on the device."""

    def __init__(
        self,
        samples: Samples,
        device: torch.device,
        batch_size: int,
        seed: int,
        normalise: Normaliser,
        augment: Augmenter | None = None,
    ) -> None:
        self.samples, self.device, self.batch_size, self.seed = samples, device, batch_size, seed
        self.normalise, self.augment = normalise.to(device), augment
        self.size = len(samples.chosen)
        self.evaluation_batch = max(1, min(EVALUATION_BATCH, EVALUATION_BYTES // max(1, 4 * samples.inputs[:1].size)))

    def _order(self, epoch: int, first_batch: int) -> tuple[torch.Tensor, ...]:
        order: tuple[torch.Tensor, ...] = epoch_order(self.seed, epoch, self.size).split(self.batch_size)
        return order[first_batch:]

    def _prepared(self, inputs: torch.Tensor, epoch: int, places: torch.Tensor) -> torch.Tensor:
        """Training inputs on the device as the network gets them; `places` are int64 on the CPU."""
        if self.augment:
            inputs = self.augment(inputs, epoch, self.samples.chosen[places.numpy()])
        return self.normalise(inputs)


class ResidentBatches(_Shuffled):
    """All samples stay on the device as they are stored; a batch is gathered and normalised there."""

    def __init__(self, samples: Samples, device: torch.device, *rest: Any, **more: Any) -> None:
        super().__init__(samples, device, *rest, **more)
        first = torch.from_numpy(samples.inputs[samples.chosen[:1]])
        self.inputs = torch.empty((self.size, *first.shape[1:]), dtype=first.dtype, device=device)
        rows = max(1, BLOCK // max(1, first.nbytes))
        for start in range(0, self.size, rows):  # in blocks, so that a GPU's worth of data never stands in main memory too
            block = samples.inputs[samples.chosen[start : start + rows]]
            self.inputs[start : start + rows] = torch.from_numpy(block)
        self.targets = samples.targets.to(device)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        for places in self._order(epoch, first_batch):
            there = places.to(self.device)
            inputs = self._prepared(self.inputs.index_select(0, there), epoch, places)
            yield inputs, self.targets.index_select(0, there)

    def in_order(self) -> Iterator[Batch]:
        pieces = zip(self.inputs.split(self.evaluation_batch), self.targets.split(self.evaluation_batch), strict=True)
        for inputs, targets in pieces:
            yield self.normalise(inputs), targets


class StreamedBatches(_Shuffled):
    """Samples stay where they lie, in main memory or on the disk; threads gather the next batches while the device works.

    The rows of a batch are read in ascending order by several threads, so that a disk has more than one thing to do.
    """

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        for places, inputs, targets in self._stream(self._order(epoch, first_batch)):
            yield self._prepared(inputs, epoch, places), targets

    def in_order(self) -> Iterator[Batch]:
        for _, inputs, targets in self._stream(torch.arange(self.size).split(self.evaluation_batch)):
            yield self.normalise(inputs), targets

    def _stream(self, order: tuple[torch.Tensor, ...]) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        ready: queue.Queue[tuple[torch.Tensor, torch.Tensor, torch.Tensor] | BaseException | None] = queue.Queue(AHEAD)
        abandoned = threading.Event()

        def put(item: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | BaseException | None) -> bool:
            while not abandoned.is_set():
                try:
                    ready.put(item, timeout=0.1)
                    return True
                except queue.Full:
                    continue
            return False

        def work() -> None:
            pin = self.device.type == "cuda"
            try:
                with ThreadPoolExecutor(READERS, "rows") as pool:
                    for places in order:
                        inputs = torch.from_numpy(gather(self.samples.inputs, self.samples.chosen[places.numpy()], pool))
                        targets = self.samples.targets.index_select(0, places)
                        if pin:
                            inputs, targets = inputs.pin_memory(), targets.pin_memory()
                        if not put((places, inputs, targets)):
                            return
                put(None)
            except BaseException as error:
                put(error)

        worker = threading.Thread(target=work, daemon=True, name="batches")
        worker.start()
        try:
            while True:
                item = ready.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                places, inputs, targets = item
                yield places, inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
        finally:
            abandoned.set()
            worker.join()


def gather(array: NDArray[Any], rows: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[Any]:
    """`array[rows]`, read in ascending order by the threads of `pool` (numpy's `take` runs without the interpreter lock)."""
    ascending = np.argsort(rows, kind="stable")
    result = np.empty((len(rows), *array.shape[1:]), array.dtype)
    pieces = np.array_split(ascending, min(READERS, max(1, len(rows) // 16)))

    def read(places: NDArray[np.int64]) -> None:
        result[places] = array.take(rows[places], axis=0)

    if len(pieces) == 1:
        read(pieces[0])
    else:
        list(pool.map(read, pieces))
    return result


def make(
    samples: Samples,
    device: torch.device,
    batch_size: int,
    seed: int,
    normalise: Normaliser,
    free: int | None,
    augment: Augmenter | None = None,
) -> Batches:
    """Resident batches where inputs take at most half of the `free` bytes of the device (None: unknown), else streamed."""
    fits = free is None or samples.nbytes <= free // 2
    return (ResidentBatches if fits else StreamedBatches)(samples, device, batch_size, seed, normalise, augment=augment)
