"""The training loop is the one that a person writes by hand, and looking changes nothing."""

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from engine.sessions import NORMALISE, Pace, bits, pictures, samples
from torch import nn
from torch.nn import functional as F

from mlptui.engine.batches import EVALUATION_BATCH, Normaliser, ResidentBatches
from mlptui.engine.loop import evaluate, train_epoch
from mlptui.engine.objective import CrossEntropy
from mlptui.engine.seeding import epoch_order, seed_step
from mlptui.engine.session import Session

Make = Callable[..., Session]


@pytest.mark.parametrize(
    "knobs",
    [
        {"optimizer__momentum": 0.9},
        {"optimizer__name": "adam", "optimizer__lr": 0.01},
        {"optimizer__name": "adamw", "optimizer__lr": 0.01, "optimizer__weight_decay": 0.1},
        {"optimizer__name": "rmsprop", "optimizer__lr": 0.01},
    ],
)
def test_training_equals_the_loop_written_by_hand_bit_for_bit(make_session: Make, knobs: dict[str, object]) -> None:
    session = make_session(**knobs)
    model = copy.deepcopy(session.model)
    plain = {"lr": session.recipe.optimizer.lr, "weight_decay": session.recipe.optimizer.weight_decay}
    optimizer: torch.optim.Optimizer
    match session.recipe.optimizer.name:
        case "sgd":
            optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, fused=True, **plain)
        case "adam":
            optimizer = torch.optim.Adam(model.parameters(), fused=True, **plain)
        case "adamw":
            optimizer = torch.optim.AdamW(model.parameters(), fused=True, **plain)
        case _:
            optimizer = torch.optim.RMSprop(model.parameters(), **plain)
    images, labels = pictures()
    images, labels = images[:48], labels[:48].long()

    pace = Pace(session)
    assert train_epoch(session.model, session.train.epoch(0), session.optimizer, session.objective, pace)

    losses = []
    model.train()
    for step, chosen in enumerate(epoch_order(5, 0, 48).split(16)):
        seed_step(5, step, torch.device("cpu"))
        loss = F.cross_entropy(model(NORMALISE(images[chosen])), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert pace.losses == losses
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, session.model.state_dict()[name]), name


def test_an_epoch_that_is_ended_early_says_so_and_takes_no_further_step(make_session: Make) -> None:
    session = make_session()
    pace = Pace(session, until=2)

    assert not train_epoch(session.model, session.train.epoch(0), session.optimizer, session.objective, pace)
    assert session.progress.step == len(pace.losses) == 2


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_model_buffers_mode_and_random_state_bit_identical(
    make_session: Make, train_to: Callable[[Session, int], list[float]], training: bool
) -> None:
    session = make_session()
    train_to(session, 4)
    session.model.train(training)
    gradients = [parameter.grad for parameter in session.model.parameters()]
    before, random = bits(session), torch.get_rng_state()
    assert session.valid

    evaluate(session.model, session.valid, session.objective, nullcontext())

    assert bits(session) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert session.model.training is training
    assert [parameter.grad for parameter in session.model.parameters()] == gradients


def test_evaluation_gives_mean_loss_and_accuracy_over_all_samples() -> None:
    images, labels = pictures(EVALUATION_BATCH + 17)
    batches = ResidentBatches(samples(images, labels), torch.device("cpu"), 8, 0, Normaliser())
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

    loss, accuracy = evaluate(model, batches, CrossEntropy(), nullcontext())

    scores = model(images / 255)
    assert loss == pytest.approx(F.cross_entropy(scores, labels.long()).item(), rel=1e-5)
    assert accuracy == (scores.argmax(1) == labels).sum().item() / len(labels)


def test_evaluating_between_the_steps_changes_no_later_step(
    make_session: Make, train_to: Callable[[Session, int], list[float]]
) -> None:
    straight, watched = make_session(), make_session()
    train_to(straight, 9)
    for step in range(1, 10):
        train_to(watched, step)
        assert watched.valid
        evaluate(watched.model, watched.valid, watched.objective, watched.autocast())
        torch.rand(5)

    assert bits(watched) == bits(straight)


def test_bfloat16_autocast_keeps_the_weights_in_float32(
    make_session: Make, train_to: Callable[[Session, int], list[float]]
) -> None:
    session = make_session(precision="bfloat16")
    losses = train_to(session, 6)

    assert {p.dtype for p in session.model.parameters()} == {torch.float32}
    assert all(math.isfinite(loss) for loss in losses)
    assert losses != train_to(make_session(), 6)
