"""What a step measured stays on the device until somebody looks, at most ten times a second."""

import math

import pytest
import torch

from mlptui.engine import meter
from mlptui.engine.meter import RING, Meter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(meter.time, "monotonic", lambda: now[0])
    return now


def record(into: Meter, loss: float, norm: float | None = None) -> None:
    into.record(torch.tensor(loss), torch.tensor(3), None if norm is None else torch.tensor(norm))


def test_rows_come_back_once_and_in_order(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    for number in range(5):
        record(measured, number, norm=10.0 * number)

    assert measured.fetch() == [[float(n), 3.0, 10.0 * n] for n in range(5)]
    assert measured.fetch() == []


def test_a_norm_that_was_not_measured_is_nan_also_where_an_earlier_one_stood(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    record(measured, 1.0, norm=7.0)
    measured.fetch()
    record(measured, 2.0)

    assert math.isnan(measured.fetch()[0][2])


def test_it_is_fetched_at_most_ten_times_a_second(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    fetches = 0
    for _ in range(1000):  # steps of 1 ms
        record(measured, 1.0)
        clock[0] += 0.001
        if measured.due:
            fetches += 1
            measured.fetch()

    assert 9 <= fetches <= 10


def test_a_full_ring_is_due_at_once_and_holds_every_step(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    for number in range(RING - 1):
        record(measured, number)
    assert not measured.due
    record(measured, RING - 1)

    assert measured.due
    assert [row[0] for row in measured.fetch()] == [float(n) for n in range(RING)]


def test_nothing_measured_is_never_due(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    clock[0] += 3600

    assert not measured.due


def test_losses_that_are_no_numbers_come_back_as_they_are(clock: list[float]) -> None:
    measured = Meter(torch.device("cpu"))
    record(measured, math.inf)
    record(measured, math.nan)

    first, second = measured.fetch()
    assert first[0] == math.inf
    assert math.isnan(second[0])
