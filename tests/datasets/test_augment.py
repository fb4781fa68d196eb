"""Chance that is counted: what happens to a picture is a function of seed, epoch and sample alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.datasets.augment import Augmentation, apply

SIZE = (28, 20)
MANY = np.arange(20_000, dtype=np.int64)
bounded = settings(derandomize=True, deadline=None, max_examples=100, database=None)
everything = Augmentation(shift=3, flip=True, crop=0.4)


def noise(count: int = 8, channels: int = 3, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, channels, *size), np.uint8)


def moved(augmentation: Augmentation, images: np.ndarray, seed: int = 1, epoch: int = 0) -> np.ndarray:
    theta = augmentation.draw(seed, epoch, np.arange(len(images)), (images.shape[2], images.shape[3]))
    return apply(images, theta, augmentation)


@bounded
@given(
    st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.lists(st.integers(0, 10**12), min_size=1, max_size=20), st.randoms()
)
def test_a_sample_is_moved_alike_whatever_else_is_in_its_batch(seed: int, epoch: int, samples: list[int], random) -> None:  # type: ignore[no-untyped-def]
    together = everything.draw(seed, epoch, np.array(samples), SIZE)
    order = list(range(len(samples)))
    random.shuffle(order)
    assert np.array_equal(everything.draw(seed, epoch, np.array(samples)[order], SIZE), together[order])
    for i in (0, len(samples) - 1):
        assert np.array_equal(everything.draw(seed, epoch, np.array(samples[i : i + 1]), SIZE)[0], together[i])


def test_other_seeds_epochs_and_samples_are_moved_otherwise() -> None:
    base = everything.draw(5, 2, MANY[:1000], SIZE)
    for other in (
        everything.draw(6, 2, MANY[:1000], SIZE),
        everything.draw(5, 3, MANY[:1000], SIZE),
        everything.draw(5, 2, MANY[1:1001], SIZE),
        everything.draw(2, 5, MANY[:1000], SIZE),
    ):
        same = (base == other).all((1, 2)).mean()
        assert same < 0.01


def test_numpys_own_random_state_is_neither_used_nor_changed() -> None:
    np.random.seed(3)
    first = everything.draw(1, 1, MANY[:50], SIZE)
    np.random.seed(4)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    assert np.array_equal(everything.draw(1, 1, MANY[:50], SIZE), first)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_the_draws_of_the_design_never_change() -> None:
    """Runs that augment resume exactly only while these stay as they are."""
    theta = everything.draw(7, 3, np.array([0, 1, 59_999]), (28, 28))
    assert np.allclose(theta[:, [0, 1, 0, 1], [0, 1, 2, 2]], PINNED, rtol=0, atol=1e-6)
    assert not theta[:, [0, 1], [1, 0]].any()


PINNED = [
    [-0.970930, 0.970930, 0.159459, 0.166026],
    [-0.816383, 0.816383, 0.023865, -0.131631],
    [-0.962336, 0.962336, 0.201990, -0.202094],
]


def test_without_anything_asked_for_every_picture_stays_as_it_is() -> None:
    nothing = Augmentation()
    theta = nothing.draw(1, 1, MANY[:10], SIZE)
    assert not nothing and not nothing.smooth
    assert np.array_equal(theta, np.broadcast_to(np.array([[1, 0, 0], [0, 1, 0]], np.float32), (10, 2, 3)))
    assert np.array_equal(moved(nothing, noise()), noise())
    assert all((Augmentation(shift=1), Augmentation(flip=True), Augmentation(crop=0.1)))
    assert everything.draw(1, 1, MANY[:0], SIZE).shape == (0, 2, 3)


@pytest.mark.parametrize("shift", [1, 2, 5, 1024])
def test_a_shift_goes_every_whole_number_of_pixels_up_to_its_bound_as_often_and_no_further(shift: int) -> None:
    theta = Augmentation(shift=shift).draw(3, 0, MANY, SIZE)
    for axis, extent in ((0, SIZE[1]), (1, SIZE[0])):
        pixels = theta[:, axis, 2].astype(np.float64) * extent / 2
        whole = np.rint(pixels)
        assert np.abs(pixels - whole).max() < 1e-3 and np.abs(whole).max() == shift
        counts = np.bincount(whole.astype(int) + shift, minlength=2 * shift + 1)
        expected = len(MANY) / (2 * shift + 1)
        assert np.abs(counts - expected).max() < 6 * np.sqrt(expected)
    assert abs(np.corrcoef(theta[:, 0, 2], theta[:, 1, 2])[0, 1]) < 0.03
    assert np.array_equal(theta[:, :, :2], np.broadcast_to(np.eye(2, dtype=np.float32), (len(MANY), 2, 2)))


def test_half_of_all_pictures_are_mirrored_independently_of_how_they_are_shifted() -> None:
    theta = Augmentation(shift=4, flip=True).draw(3, 0, MANY, SIZE)
    mirrored = theta[:, 0, 0] < 0
    assert abs(mirrored.mean() - 0.5) < 0.015 and np.abs(theta[:, 0, 0]).min() == 1
    assert abs(np.corrcoef(mirrored, theta[:, 0, 2])[0, 1]) < 0.03
    again = Augmentation(shift=4, flip=True).draw(3, 1, MANY, SIZE)[:, 0, 0] < 0
    assert abs(np.corrcoef(mirrored, again)[0, 1]) < 0.03
    neighbours = np.corrcoef(mirrored[:-1], mirrored[1:])[0, 1]
    assert abs(neighbours) < 0.03


@pytest.mark.parametrize("crop", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_stays_within_the_picture_and_cuts_no_more_than_asked(crop: float, flip: bool) -> None:
    theta = Augmentation(flip=flip, crop=crop).draw(3, 0, MANY, SIZE).astype(np.float64)
    scale = np.abs(theta[:, 0, 0])
    assert np.array_equal(scale, theta[:, 1, 1])  # as much in both directions, so that nothing is distorted
    assert scale.min() >= 1 - crop - 1e-6 and scale.max() <= 1 and scale.min() < 1 - 0.99 * crop
    for axis in (0, 1):
        assert (np.abs(theta[:, axis, 2]) + scale).max() <= 1 + 1e-6
    assert (theta[:, 0, 1] == 0).all() and (theta[:, 1, 0] == 0).all()


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (0, 1), (-3, 2), (19, -27), (20, 0), (0, 28), (500, -500)])
def test_a_shifted_picture_is_the_one_moved_by_hand_with_black_coming_in(dx: int, dy: int) -> None:
    images = noise(1)
    height, width = SIZE
    theta = np.array([[[1, 0, 2 * dx / width], [0, 1, 2 * dy / height]]], np.float32)
    wanted = np.zeros_like(images)
    for y in range(height):
        for x in range(width):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                wanted[0, :, y, x] = images[0, :, y + dy, x + dx]
    assert np.array_equal(apply(images, theta, Augmentation(shift=1)), wanted)
    assert np.abs(apply(images, theta, Augmentation(shift=1, crop=0.1)) - wanted).max() < 0.01


def test_a_mirrored_picture_is_the_one_turned_by_hand() -> None:
    images = noise(64)
    theta = Augmentation(flip=True).draw(1, 0, np.arange(64), SIZE)
    found = apply(images, theta, Augmentation(shift=1))
    for i in range(64):
        assert np.array_equal(found[i], images[i][:, :, ::-1] if theta[i, 0, 0] < 0 else images[i])


def test_a_cropped_picture_is_what_it_was_cut_from_stretched() -> None:
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8) * 2, (1, 1, 100, 100)).copy()
    theta = np.array([[[0.5, 0, 0.25], [0, 0.5, -0.4]]], np.float32)  # from 37.5 % to 87.5 % of the width
    found = apply(ramp, theta, Augmentation(shift=1, crop=0.1))
    assert np.allclose(found[0, 0], 2 * (37.5 + 0.5 * (np.arange(100) + 0.5) - 0.5), atol=1e-3)
    turned = apply(ramp.transpose(0, 1, 3, 2).copy(), theta[:, ::-1, [1, 0, 2]], Augmentation(shift=1, crop=0.1))
    assert np.allclose(turned, found.transpose(0, 1, 3, 2), atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
@pytest.mark.parametrize("augmentation", [everything, Augmentation(shift=30), Augmentation(crop=0.9)], ids=str)
def test_the_smallest_pictures_are_moved_too(size: tuple[int, int], augmentation: Augmentation) -> None:
    found = moved(augmentation, noise(50, 1, size))
    assert found.shape == (50, 1, *size) and found.dtype == np.float32
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 255


def test_the_pictures_themselves_are_never_written() -> None:
    images = noise()
    images.flags.writeable = False
    before = images.copy()
    moved(everything, images)
    assert np.array_equal(images, before)
