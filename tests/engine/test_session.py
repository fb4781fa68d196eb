"""A training in memory: what is captured is all that a step changes."""

from collections.abc import Callable

import pytest
import torch
from engine.sessions import bits

from mlptui.engine.session import Session

Make = Callable[..., Session]
TrainTo = Callable[[Session, int], list[float]]


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_restored_session_trains_on_bit_identically(make_session: Make, train_to: TrainTo, optimiser: str) -> None:
    momentum = 0.9 if optimiser in ("sgd", "rmsprop") else 0.0
    session = make_session(optimizer__name=optimiser, optimizer__momentum=momentum, optimizer__lr=0.01)
    train_to(session, 4)
    captured = session.capture()
    losses = train_to(session, 9)
    after = bits(session)
    torch.rand(11)

    session.restore(captured)

    assert session.progress.step == 4
    assert train_to(session, 9) == losses
    assert bits(session) == after


def test_a_capture_is_a_copy_that_training_and_restoring_do_not_touch(make_session: Make, train_to: TrainTo) -> None:
    session = make_session(optimizer__momentum=0.9)
    train_to(session, 4)
    captured = session.capture()
    before = {name: t.numpy().tobytes() for name, t in captured["model"].items()}
    momentum = {i: v["momentum_buffer"].numpy().tobytes() for i, v in captured["optimizer"]["state"].items()}

    train_to(session, 9)
    session.restore(captured)
    train_to(session, 9)

    assert {name: t.numpy().tobytes() for name, t in captured["model"].items()} == before
    assert {i: v["momentum_buffer"].numpy().tobytes() for i, v in captured["optimizer"]["state"].items()} == momentum
    assert captured["progress"].step == 4


def test_taking_a_capture_changes_nothing(make_session: Make, train_to: TrainTo) -> None:
    straight, watched = make_session(optimizer__momentum=0.9), make_session(optimizer__momentum=0.9)
    train_to(straight, 9)
    for step in range(10):
        train_to(watched, step)
        watched.capture()

    assert bits(watched) == bits(straight)


def test_a_learning_rate_that_is_turned_holds_from_its_step_on(make_session: Make) -> None:
    session = make_session(optimizer__lr=0.1)
    session.turn_rate(4, 0.02)
    session.turn_rate(6, 0.3)

    assert [session.rate(step) for step in range(8)] == [0.1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.3, 0.3]


def test_turning_the_rate_earlier_again_takes_later_turns_back(make_session: Make) -> None:
    session = make_session(optimizer__lr=0.1)
    session.turn_rate(6, 0.3)
    session.turn_rate(4, 0.02)
    session.turn_rate(4, 0.05)

    assert session.progress.knobs == [[4, 0.05]]


def test_a_turned_rate_is_the_base_that_the_schedule_multiplies(make_session: Make) -> None:
    session = make_session(optimizer__lr=0.1, schedule__name="step", schedule__step_epochs=1, schedule__gamma=0.5)
    session.turn_rate(3, 0.4)

    assert session.steps_per_epoch == 3
    assert [session.rate(step) for step in (0, 2, 3, 5, 6)] == [0.1, 0.1, 0.2, 0.2, 0.1]


def test_the_optimiser_gets_the_rate_of_the_step(make_session: Make, train_to: TrainTo) -> None:
    session = make_session(optimizer__lr=0.1, schedule__name="cosine")
    train_to(session, 5)

    assert session.optimizer.param_groups[0]["lr"] == session.rate(4) != session.rate(3)


def test_clipping_bounds_the_norm_of_all_gradients(make_session: Make) -> None:
    session = make_session(clip_norm=0.01)
    images, labels = next(iter(session.train.epoch(0)))
    torch.nn.functional.cross_entropy(session.model(images), labels).backward()

    before = session.clip()

    assert before is not None
    assert before > 0.01
    gradients = [p.grad for p in session.parameters if p.grad is not None]
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(0.01, rel=1e-3)


def test_the_norm_is_measured_only_at_its_steps_and_leaves_the_gradients(make_session: Make) -> None:
    session = make_session(gradient_norm_every=3)
    images, labels = next(iter(session.train.epoch(0)))
    torch.nn.functional.cross_entropy(session.model(images), labels).backward()
    before = [p.grad.clone() for p in session.parameters if p.grad is not None]
    measured = []
    for step in range(7):
        session.progress.step = step
        measured.append(session.clip() is not None)

    assert measured == [True, False, False, True, False, False, True]
    assert all(torch.equal(a, p.grad) for a, p in zip(before, session.parameters, strict=True) if p.grad is not None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_weight_that_is_no_number_is_noticed(make_session: Make, value: float) -> None:
    session = make_session()
    assert session.finite()
    with torch.no_grad():
        session.model.get_parameter("5.weight")[3, 4] = value

    assert not session.finite()


def test_weights_whose_squares_overflow_are_still_finite(make_session: Make) -> None:
    session = make_session()
    with torch.no_grad():
        session.model.get_parameter("5.weight")[3, 4] = -3e38

    assert session.finite()
