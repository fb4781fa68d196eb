"""Batches of images, made on the training device."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from mlptui.engine.seeding import epoch_order

Batch = tuple[torch.Tensor, torch.Tensor]
EVALUATION_BATCH = 1024


class Batches(Protocol):
    """Normalised images float32 [n, channels, height, width] and labels int64 [n], on the training device."""

    size: int

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The shuffled batches of an epoch (counted from 0), from `first_batch` on."""
        ...

    def in_order(self) -> Iterator[Batch]:
        """All samples once, in order, for evaluation."""
        ...


@dataclass(frozen=True)
class Normaliser:
    """uint8 pixels to float32: (pixel / 255 - mean) / deviation, in one multiplication and one addition."""

    mean: float = 0.0
    deviation: float = 1.0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(torch.float32).mul_(1 / (255 * self.deviation)).sub_(self.mean / self.deviation)


class ResidentBatches:
    """All samples stay on the device as uint8; a batch is gathered and normalised there."""

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        device: torch.device,
        batch_size: int,
        seed: int,
        normalise: Normaliser,
    ) -> None:
        self.normalise = normalise
        self.images = images.to(device)
        self.labels = labels.to(device, torch.int64)
        self.size = len(labels)
        self.batch_size = batch_size
        self.seed = seed

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        order = epoch_order(self.seed, epoch, self.size).to(self.images.device)
        for chosen in order.split(self.batch_size)[first_batch:]:
            yield self.normalise(self.images.index_select(0, chosen)), self.labels.index_select(0, chosen)

    def in_order(self) -> Iterator[Batch]:
        for images, labels in zip(self.images.split(EVALUATION_BATCH), self.labels.split(EVALUATION_BATCH), strict=True):
            yield self.normalise(images), labels


class StreamedBatches:
    """Samples stay in main memory; a thread gathers the next batches into pinned memory while the device works."""

    AHEAD = 3

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        device: torch.device,
        batch_size: int,
        seed: int,
        normalise: Normaliser,
    ) -> None:
        self.normalise = normalise
        self.images = images
        self.labels = labels.to(torch.int64)
        self.device = device
        self.size = len(labels)
        self.batch_size = batch_size
        self.seed = seed

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        yield from self._stream(epoch_order(self.seed, epoch, self.size).split(self.batch_size)[first_batch:])

    def in_order(self) -> Iterator[Batch]:
        yield from self._stream(torch.arange(self.size).split(EVALUATION_BATCH))

    def _stream(self, chosen: tuple[torch.Tensor, ...]) -> Iterator[Batch]:
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(self.AHEAD)
        abandoned = threading.Event()

        def put(item: Batch | BaseException | None) -> bool:
            while not abandoned.is_set():
                try:
                    ready.put(item, timeout=0.1)
                    return True
                except queue.Full:
                    continue
            return False

        def gather() -> None:
            pin = self.device.type == "cuda"
            try:
                for indices in chosen:
                    images, labels = self.images.index_select(0, indices), self.labels.index_select(0, indices)
                    if not put((images.pin_memory(), labels.pin_memory()) if pin else (images, labels)):
                        return
                put(None)
            except BaseException as error:
                put(error)

        worker = threading.Thread(target=gather, daemon=True, name="batches")
        worker.start()
        try:
            while True:
                item = ready.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                images, labels = item
                yield (
                    self.normalise(images.to(self.device, non_blocking=True)),
                    labels.to(self.device, non_blocking=True),
                )
        finally:
            abandoned.set()
            worker.join()


def make(
    images: torch.Tensor,
    labels: torch.Tensor,
    device: torch.device,
    batch_size: int,
    seed: int,
    normalise: Normaliser,
    free: int | None,
) -> Batches:
    """Resident batches where images take at most half of the `free` bytes of the device (None: unknown), else streamed."""
    fits = device.type == "cpu" or free is None or images.nbytes <= free // 2
    return (ResidentBatches if fits else StreamedBatches)(images, labels, device, batch_size, seed, normalise)
