"""Pictures are moved on the training device exactly where the preview shows them, in training only."""

import numpy as np
import pytest
import torch
from engine.sessions import CPU

from mlptui.datasets.augment import Augmentation, apply
from mlptui.engine.augment import Augmenter
from mlptui.engine.batches import Batch, Normaliser, ResidentBatches, Samples, StreamedBatches
from mlptui.engine.seeding import epoch_order

KINDS = [
    Augmentation(shift=1),
    Augmentation(shift=4),
    Augmentation(shift=40),
    Augmentation(flip=True),
    Augmentation(shift=3, flip=True),
    Augmentation(crop=0.2),
    Augmentation(crop=0.9),
    Augmentation(shift=2, flip=True, crop=0.4),
]
SIZES = [(28, 28), (32, 32), (7, 12), (96, 96), (1, 1)]
nothing_else = Normaliser(1.0)


def noise(count: int, channels: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (count, channels, *size), np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("augmentation", KINDS, ids=str)
def test_the_device_moves_pixels_to_where_the_preview_shows_them(augmentation: Augmentation, size: tuple[int, int]) -> None:
    images, samples = noise(40, 3, size), np.arange(100, 140)
    found = Augmenter(augmentation, 9)(torch.from_numpy(images), 4, samples)
    shown = apply(images, augmentation.draw(9, 4, samples, size), augmentation)
    assert found.dtype == torch.float32 and found.shape == images.shape
    difference = np.abs(found.numpy() - shown)
    assert difference.max() < (0.5 if augmentation.smooth else 0.02)  # of 255 grey levels
    assert found.min() >= 0 and found.max() <= 255.001


def test_without_interpolation_pixels_stay_whole_numbers() -> None:
    images = torch.from_numpy(noise(64, 1, (28, 28)))
    found = Augmenter(Augmentation(shift=5, flip=True), 1)(images, 0, np.arange(64))
    assert torch.equal(found, found.round())


def test_moving_leaves_the_pictures_and_the_random_state() -> None:
    images, before = torch.from_numpy(noise(8, 3, (9, 9))), torch.get_rng_state()
    kept = images.clone()
    Augmenter(KINDS[-1], 1)(images, 0, np.arange(8))
    assert torch.equal(images, kept) and torch.equal(torch.get_rng_state(), before)


Either = ResidentBatches | StreamedBatches


def pair(augment: Augmenter, chosen: np.ndarray | None = None, batch: int = 7) -> list[Either]:
    images = noise(50, 3, (8, 6))
    chosen = np.arange(50) if chosen is None else chosen
    samples = Samples(images, torch.arange(50)[torch.from_numpy(chosen)], chosen)
    return [kind(samples, CPU, batch, 3, nothing_else, augment=augment) for kind in (ResidentBatches, StreamedBatches)]


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    assert len(one) == len(other) > 0
    for (inputs, targets), (others, their_targets) in zip(one, other, strict=True):
        assert torch.equal(inputs, others) and torch.equal(targets, their_targets)


@pytest.mark.parametrize("augmentation", KINDS, ids=str)
@pytest.mark.parametrize("first", [0, 3])
def test_streamed_and_resident_pictures_are_moved_alike(augmentation: Augmentation, first: int) -> None:
    resident, streamed = pair(Augmenter(augmentation, 5))
    for epoch in (0, 2):
        assert_same(list(resident.epoch(epoch, first)), list(streamed.epoch(epoch, first)))


def test_an_epoch_taken_up_in_the_middle_moves_its_pictures_as_the_whole_one_does() -> None:
    for batches in pair(Augmenter(KINDS[-1], 5)):
        assert_same(list(batches.epoch(1, 4)), list(batches.epoch(1))[4:])


def by_sample(batches: Either, epoch: int) -> dict[int, torch.Tensor]:
    return {int(t): x for inputs, targets in batches.epoch(epoch) for x, t in zip(inputs, targets, strict=True)}


def test_how_a_picture_is_moved_does_not_depend_on_batch_size_or_on_who_else_is_trained_on() -> None:
    augment = Augmenter(Augmentation(shift=2, flip=True), 5)  # without interpolation, so that sums come in one order
    whole = by_sample(pair(augment)[0], 1)
    for other in (pair(augment, batch=50)[0], pair(augment, batch=1)[1]):
        assert all(torch.equal(x, whole[i]) for i, x in by_sample(other, 1).items())
    part = by_sample(pair(augment, np.arange(10, 50, 3))[1], 1)
    assert len(part) == 14 and all(torch.equal(x, whole[i]) for i, x in part.items())


def test_every_epoch_moves_a_picture_anew() -> None:
    resident, _ = pair(Augmenter(KINDS[-1], 5))
    first, second = by_sample(resident, 0), by_sample(resident, 1)
    assert sum(torch.equal(first[i], second[i]) for i in first) < 3


@pytest.mark.parametrize("augmentation", KINDS, ids=str)
def test_what_is_evaluated_on_is_never_moved(augmentation: Augmentation) -> None:
    for batches in pair(Augmenter(augmentation, 5)):
        seen = torch.cat([inputs for inputs, _ in batches.in_order()])
        assert np.array_equal(seen.numpy(), noise(50, 3, (8, 6)))


def test_pictures_come_normalised_after_they_were_moved() -> None:
    """The black that comes in from outside is a black pixel, not a grey one."""
    samples = Samples(np.full((4, 1, 6, 6), 255, np.uint8), torch.arange(4), np.arange(4))
    normalise = Normaliser(1 / (255 * 0.4), 0.3 / 0.4)
    batches = ResidentBatches(samples, CPU, 4, 0, normalise, augment=Augmenter(Augmentation(shift=200), 1))
    ((inputs, _),) = batches.epoch(0)
    far = np.abs(Augmentation(shift=200).draw(1, 0, epoch_order(0, 0, 4).numpy(), (6, 6))[:, :, 2]).max(1) >= 2
    assert far.any()
    assert torch.allclose(inputs[torch.from_numpy(far)], torch.tensor(-0.3 / 0.4))
