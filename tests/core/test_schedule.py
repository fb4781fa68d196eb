"""Schedules as functions of the step, against torch's own."""

import math
import warnings
from collections.abc import Callable

import pytest

from mlptui.core.recipe import Schedule
from mlptui.core.schedule import factor


def ours(schedule: Schedule, total: int, per_epoch: int = 1) -> list[float]:
    return [factor(schedule, step, total, per_epoch) for step in range(total)]


def of_torch(total: int, make: Callable[..., object]) -> list[float]:
    """The factors that a scheduler of torch gives with learning rate 1."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that optimizer.step() was not called
        for _ in range(total):
            found.append(optimizer.param_groups[0]["lr"])
            scheduler.step()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("total", "floor"), [(1, 0.0), (2, 0.0), (7, 0.1), (100, 0.0), (999, 0.01), (50, 1.0)])
def test_cosine_is_torchs(total: int, floor: float) -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    expected = of_torch(total, lambda o: CosineAnnealingLR(o, T_max=total, eta_min=floor))
    assert ours(Schedule(name="cosine", floor=floor), total) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("total", [7, 10, 33, 100, 1001])
def test_one_cycle_is_torchs(total: int) -> None:
    from torch.optim.lr_scheduler import OneCycleLR

    expected = of_torch(total, lambda o: OneCycleLR(o, max_lr=1.0, total_steps=total + 1, cycle_momentum=False))
    shorter = of_torch(total - 1, lambda o: OneCycleLR(o, max_lr=1.0, total_steps=total, cycle_momentum=False))
    found = ours(Schedule(name="one-cycle"), total)
    assert found[: total - 1] == pytest.approx(shorter, abs=1e-9)
    assert found[: total - 1] != pytest.approx(expected[: total - 1], abs=1e-9)
    assert found[-1] == pytest.approx(1 / 250_000)


@pytest.mark.parametrize(("every", "per_epoch", "gamma"), [(1, 1, 0.5), (3, 4, 0.1), (2, 7, 0.9), (1000, 1, 0.1)])
def test_step_is_torchs(every: int, per_epoch: int, gamma: float) -> None:
    from torch.optim.lr_scheduler import StepLR

    expected = of_torch(60, lambda o: StepLR(o, every * per_epoch, gamma))
    assert ours(Schedule(name="step", step_epochs=every, gamma=gamma), 60, per_epoch) == pytest.approx(expected)


def test_constant_is_one() -> None:
    assert set(ours(Schedule(), 50)) == {1.0}


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one-cycle"])
@pytest.mark.parametrize("warmup", [0, 1, 5, 10**9])
@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 6, 20])
def test_every_factor_is_positive_or_the_floor_and_at_most_one(name: str, warmup: int, total: int) -> None:
    schedule = Schedule.model_validate({"name": name, "warmup_steps": warmup, "step_epochs": 1, "gamma": 0.5})
    found = ours(schedule, total, 2)
    assert all(math.isfinite(f) and 0 < f <= 1 for f in found), found


def test_warm_up_rises_in_a_line_and_then_the_schedule_begins() -> None:
    found = ours(Schedule(name="cosine", warmup_steps=4), 24)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[4:] == pytest.approx(ours(Schedule(name="cosine"), 20))


def test_a_step_past_the_end_stays_at_the_end() -> None:
    for name in ("cosine", "one-cycle"):
        schedule = Schedule.model_validate({"name": name, "floor": 0.25})
        ends = {factor(schedule, step, 10, 5) for step in (10, 11, 500)}
        assert len(ends) == 1 and ends.pop() <= factor(schedule, 9, 10, 5)
