"""Where a training left the finite numbers: the step, the layer, and the weights before it."""

from collections.abc import Callable

import pytest
import torch
from engine.sessions import NET, NORMALISE, bits, pictures
from torch import nn

from mlptui.engine.divergence import locate
from mlptui.engine.seeding import epoch_order
from mlptui.engine.session import Session

Make = Callable[..., Session]
TrainTo = Callable[[Session, int], list[float]]


class Poisoned(nn.Module):
    """Answers one certain picture with NaN or infinity: in its output, or only in the gradient."""

    def __init__(self, picture: torch.Tensor, value: float, where: str) -> None:
        super().__init__()
        self.picture, self.value, self.where = picture.flatten(), value, where
        self.weight = nn.Parameter(torch.ones(16))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hit = images.eq(self.picture).all(1, keepdim=True)
        if self.where == "output":
            return images * self.weight + torch.where(hit, self.value, 0.0)
        # the value of the root is finite at 0, its slope is not
        distance = torch.where(hit, 0.0, 1.0) * self.weight.sum() ** 2
        return images * self.weight + distance.sqrt() * 1e-3


def poisoned(make: Make, index: int, value: float, where: str) -> tuple[Session, int]:
    """A session that goes wrong at the sample of this index, and the step (from 1) at which that comes."""
    images, _ = pictures()
    torch.manual_seed(4)
    trap = Poisoned(NORMALISE(images[index : index + 1]), value, where)
    model = nn.Sequential(nn.Flatten(), trap, nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    session = make(model, batch_size=1, epochs=1, seed=index)
    return session, epoch_order(index, 0, 48).tolist().index(index) + 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_found_at_its_step_and_layer_wherever_it_comes(make_session: Make, value: float) -> None:
    for index in range(25):
        session, step = poisoned(make_session, index, value, "output")
        before = session.capture()

        found = locate(session, before, 48)

        assert found.step == step
        assert found.what.startswith("output of layer 1 (Poisoned")
        assert session.progress.step == step - 1
        assert session.finite()


def test_a_gradient_that_is_no_number_is_found_at_its_step_and_layer(make_session: Make) -> None:
    for index in range(10):
        session, step = poisoned(make_session, index, 0.0, "gradient")

        found = locate(session, session.capture(), 48)

        assert found.step == step
        assert found.what.startswith("gradient of layer 1 (Poisoned")
        assert session.progress.step == step - 1
        assert session.finite()


def test_a_learning_rate_that_is_far_too_large_is_blamed_with_its_number(make_session: Make, train_to: TrainTo) -> None:
    net = "nn.Sequential(nn.Flatten(), nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 3))"
    session = make_session(architecture=net, optimizer__lr=1e4, epochs=40)
    before = session.capture()
    losses: list[float] = []
    while not losses or losses[-1] - losses[-1] == 0:
        losses += train_to(session, session.progress.step + 1)
    seen = session.progress.step

    found = locate(session, before, seen)

    assert 1 < found.step <= seen
    assert "layer" in found.what
    assert session.finite()
    assert session.progress.step == found.step - 1


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        (
            "nn.Sequential(nn.Flatten(), *[nn.LeakyReLU(1e9) for _ in range(6)], nn.Linear(16, 3))",
            "output of layer 5 (LeakyReLU",
        ),
        ("nn.Sequential(nn.CrossMapLRN2d(3, 0.0, 0.75, 0), nn.Flatten(), nn.Linear(16, 3))", "output of layer 0 (CrossMap"),
    ],
)
def test_nets_that_cannot_stay_finite_are_told_by_their_first_such_layer(
    make_session: Make, architecture: str, layer: str
) -> None:
    session = make_session(architecture=architecture, optimizer__lr=100.0)

    found = locate(session, session.capture(), 6)

    assert layer in found.what
    assert session.finite()


def test_the_last_good_state_is_the_one_that_training_had_there(make_session: Make, train_to: TrainTo) -> None:
    session, step = poisoned(make_session, 3, float("nan"), "output")
    straight, _ = poisoned(make_session, 3, float("nan"), "output")
    train_to(straight, step - 1)

    locate(session, session.capture(), step)

    assert bits(session) == bits(straight)


def test_a_rate_that_was_turned_after_the_capture_is_replayed_too(make_session: Make, train_to: TrainTo) -> None:
    session = make_session(architecture=NET.replace("nn.BatchNorm1d(12), ", ""), epochs=100, optimizer__lr=0.01)
    train_to(session, 4)
    before = session.capture()
    train_to(session, 6)
    session.turn_rate(6, 1e38)
    losses: list[float] = []
    while not losses or losses[-1] - losses[-1] == 0:
        losses += train_to(session, session.progress.step + 1)

    found = locate(session, before, session.progress.step)

    assert found.step >= 7
    assert "layer" in found.what
    assert session.finite()
    assert session.rate(6) == 1e38


def test_a_fault_that_does_not_come_back_is_told_honestly(make_session: Make, train_to: TrainTo) -> None:
    session = make_session()
    before = session.capture()
    train_to(session, 5)

    found = locate(session, before, 5)

    assert "did not find" in found.what
    assert session.progress.step == 0
