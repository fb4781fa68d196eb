"""Which matrix product the CPU uses: the faster one, but never a less exact one, and choosing changes nothing."""

import copy

import pytest
import torch
from torch import nn

from mlptui.engine import matmul
from mlptui.engine.matmul import DEFAULT, ONEDNN
from mlptui.engine.objective import CrossEntropy, Objective

IMAGES, LABELS = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


class Bench:
    """Stands for the two products: how long each takes and how far each is from float64."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], error: dict[str, float]) -> None:
        self.now, self.kind = 0.0, DEFAULT
        self.seconds, self.error = seconds, error
        monkeypatch.setattr(matmul.torch.backends.mkldnn, "is_available", lambda: True)
        monkeypatch.setattr(matmul, "use", self.use)
        monkeypatch.setattr(matmul, "_outcome", self.outcome)
        monkeypatch.setattr(matmul.time, "perf_counter", lambda: self.now)

    def use(self, kind: str) -> None:
        self.kind = kind

    def outcome(self, model: nn.Module, _: Objective, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        if images.dtype == torch.float64:
            return [torch.ones(3, dtype=torch.float64)]
        self.now += self.seconds[self.kind]
        return [torch.ones(3) * (1 + self.error[self.kind])]


def test_choosing_leaves_the_model_and_the_random_state_bit_identical() -> None:
    model = network()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    chosen = matmul.choose(model, CrossEntropy(), IMAGES, LABELS)

    assert chosen in (DEFAULT, ONEDNN)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_the_choice_holds_for_the_process() -> None:
    chosen = matmul.choose(network(), CrossEntropy(), IMAGES, LABELS)

    assert torch.backends.mkldnn.matmul.fp32_precision == ("bf16" if chosen == ONEDNN else "none")


def test_the_product_that_is_faster_and_as_exact_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, {DEFAULT: 2.0, ONEDNN: 1.0}, {DEFAULT: 0.0, ONEDNN: 0.0})

    assert matmul.choose(network(), CrossEntropy(), IMAGES, LABELS) == ONEDNN
    assert bench.kind == ONEDNN


@pytest.mark.parametrize("error", [2**-8, 1e-4, float("nan"), float("inf")])
def test_a_faster_product_that_rounds_is_never_taken(monkeypatch: pytest.MonkeyPatch, error: float) -> None:
    bench = Bench(monkeypatch, {DEFAULT: 2.0, ONEDNN: 0.01}, {DEFAULT: 0.0, ONEDNN: error})

    assert matmul.choose(network(), CrossEntropy(), IMAGES, LABELS) == DEFAULT
    assert bench.kind == DEFAULT


def test_a_product_that_is_not_clearly_faster_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    Bench(monkeypatch, {DEFAULT: 1.0, ONEDNN: 0.98}, {DEFAULT: 0.0, ONEDNN: 0.0})

    assert matmul.choose(network(), CrossEntropy(), IMAGES, LABELS) == DEFAULT


def test_without_onednn_the_default_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul.torch.backends.mkldnn, "is_available", lambda: False)

    assert matmul.choose(network(), CrossEntropy(), IMAGES, LABELS) == DEFAULT


def test_what_was_chosen_here_is_as_exact_as_float32_is() -> None:
    torch.manual_seed(2)
    images, weight = torch.rand(64, 200), torch.rand(200, 50) - 0.5
    model = nn.Sequential(nn.Linear(200, 50))
    matmul.choose(model, CrossEntropy(), images, torch.arange(64) % 50)

    exact = images.double() @ weight.double()
    assert float(((images @ weight).double() - exact).norm() / exact.norm()) < 1e-5
