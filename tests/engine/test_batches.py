"""Batches: the same ones in the same order wherever the pictures lie."""

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from engine.sessions import samples

from mlptui.engine.batches import EVALUATION_BATCH, Batch, Normaliser, ResidentBatches, Samples, StreamedBatches, make
from mlptui.engine.seeding import epoch_order, mix, seed_step

CPU = torch.device("cpu")
NORMALISE = Normaliser(1 / (255 * 0.353), 0.286 / 0.353)


def pair(count: int = 50, batch: int = 8, seed: int = 3) -> tuple[ResidentBatches, StreamedBatches]:
    images = torch.arange(count * 4, dtype=torch.int32).remainder(256).to(torch.uint8).view(count, 1, 2, 2)
    labels = torch.arange(count, dtype=torch.uint8)
    arguments = (samples(images, labels), CPU, batch, seed, NORMALISE)
    return ResidentBatches(*arguments), StreamedBatches(*arguments)


def assert_same(one: Iterable[Batch], other: Iterable[Batch]) -> int:
    count = 0
    for (images, labels), (others, their_labels) in zip(one, other, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, their_labels)
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        count += 1
    return count


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.mark.parametrize("epoch", [0, 1, 17])
@pytest.mark.parametrize("first", [0, 3, 6, 7])
@pytest.mark.usefixtures("no_thread_left")
def test_streamed_batches_are_the_resident_ones_in_the_same_order(epoch: int, first: int) -> None:
    resident, streamed = pair()

    assert assert_same(resident.epoch(epoch, first), streamed.epoch(epoch, first)) == 7 - first


@pytest.mark.usefixtures("no_thread_left")
def test_streamed_samples_in_order_are_the_resident_ones() -> None:
    resident, streamed = pair(count=2 * EVALUATION_BATCH + 5)

    assert assert_same(resident.in_order(), streamed.in_order()) == 3
    assert torch.cat([labels for _, labels in streamed.in_order()]).tolist() == [i % 256 for i in range(resident.size)]


def test_an_epoch_has_every_sample_once() -> None:
    resident, _ = pair()

    assert sorted(torch.cat([labels for _, labels in resident.epoch(4)]).tolist()) == list(range(50))


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    first = epoch_order(3, 2, 50)
    torch.manual_seed(99)
    torch.rand(7)
    epoch_order(3, 1, 50)

    assert torch.equal(epoch_order(3, 2, 50), first)
    assert not torch.equal(epoch_order(3, 3, 50), first)
    assert not torch.equal(epoch_order(4, 2, 50), first)


def test_asking_for_an_order_leaves_the_random_state() -> None:
    before = torch.get_rng_state()
    epoch_order(3, 2, 50)

    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_that_begins_in_the_middle_is_the_end_of_the_whole_one() -> None:
    resident, _ = pair()

    assert_same(resident.epoch(5, 4), list(resident.epoch(5))[4:])


@pytest.mark.usefixtures("no_thread_left")
@pytest.mark.parametrize("taken", [0, 1, 5])
def test_an_abandoned_stream_leaves_no_thread(taken: int) -> None:
    _, streamed = pair(count=200)
    stream = streamed.epoch(0)
    for _ in range(taken):
        next(stream)

    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_thread_left")
def test_an_error_in_the_gathering_thread_reaches_the_loop() -> None:
    _, streamed = pair()
    streamed.samples = Samples(streamed.samples.inputs, streamed.samples.targets, np.arange(50) + 10)  # 10 that are not there

    with pytest.raises((IndexError, RuntimeError)):
        list(streamed.epoch(0))


def test_normalised_pixels_are_those_of_the_textbook_formula_and_the_pictures_stay_bytes() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    wanted = (images.double() / 255 - 0.286) / 0.353

    assert (NORMALISE(images).double() - wanted).abs().max() < 1e-6
    assert images.dtype == torch.uint8
    assert torch.allclose(Normaliser()(images), images / 255, atol=1e-7)


def test_pictures_stay_on_a_device_only_where_they_take_at_most_half_of_what_is_free() -> None:
    images, labels = torch.zeros(10, 1, 4, 4, dtype=torch.uint8), torch.zeros(10, dtype=torch.uint8)
    cuda = torch.device("cuda")

    assert isinstance(make(samples(images, labels), cuda, 4, 0, NORMALISE, 2 * images.nbytes - 1), StreamedBatches)
    assert isinstance(make(samples(images, labels), torch.device("meta"), 4, 0, NORMALISE, 2 * images.nbytes), ResidentBatches)
    assert isinstance(make(samples(images, labels), CPU, 4, 0, NORMALISE, 1), StreamedBatches)
    assert isinstance(make(samples(images, labels), CPU, 4, 0, NORMALISE, None), ResidentBatches)


def test_seeds_of_different_places_differ() -> None:
    places = {mix(seed, kind, number) for seed in range(5) for kind in range(4) for number in range(200)}

    assert len(places) == 5 * 4 * 200
    assert all(0 <= place < 2**63 for place in places)
    assert mix(2**63 - 1, 10**12) >= 0


def test_dropout_is_a_function_of_seed_and_step() -> None:
    def dropped(seed: int, step: int) -> torch.Tensor:
        seed_step(seed, step, CPU)
        return torch.nn.functional.dropout(torch.ones(200), 0.5)

    first = dropped(1, 10)
    torch.rand(3)

    assert torch.equal(dropped(1, 10), first)
    assert not torch.equal(dropped(1, 11), first)
    assert not torch.equal(dropped(2, 10), first)
