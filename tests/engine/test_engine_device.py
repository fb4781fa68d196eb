"""Devices by name, and what must be equal for a resume to be bit-exact."""

import pytest
import torch

from mlptui.core.errors import DeviceError
from mlptui.core.recipe import Optimizer
from mlptui.engine import device, optimisers

NOW = device.environment(torch.device("cpu"), "oneDNN", "float32")


def test_an_equal_environment_is_exact() -> None:
    assert device.differences(dict(NOW), dict(NOW)) == ""


@pytest.mark.parametrize("field", NOW)
def test_each_field_that_differs_is_named_with_both_values(field: str) -> None:
    saved = {**NOW, field: "other"}

    assert device.differences(saved, NOW) == f"{field} other -> {NOW[field]}"


@pytest.mark.parametrize("field", NOW)
def test_a_field_that_was_not_saved_is_a_difference(field: str) -> None:
    saved = {name: value for name, value in NOW.items() if name != field}

    assert field in device.differences(saved, NOW)


def test_several_differences_are_all_named() -> None:
    assert device.differences({**NOW, "threads": 1, "torch": "2.9"}, {**NOW, "threads": 8}) == (
        f"torch 2.9 -> {NOW['torch']}, threads 1 -> 8"
    )


def test_the_environment_holds_what_exactness_hangs_on() -> None:
    assert set(NOW) == {"torch", "device", "cpu", "threads", "matmul", "precision"}
    assert NOW["torch"] == torch.__version__
    assert NOW["threads"] == torch.get_num_threads()


def test_a_gpu_is_never_called_exact() -> None:
    there = {**NOW, "device": "cuda:0 NVIDIA H200"}

    assert "GPU" in device.differences(there, there)


def test_the_processor_is_always_there() -> None:
    assert device.resolve("cpu") == torch.device("cpu")
    assert device.describe(torch.device("cpu")) == "cpu"
    assert (device.free_memory(torch.device("cpu")) or 1) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:3", "GPU-1234"])
def test_a_gpu_that_cannot_be_used_is_a_sentence_and_never_the_processor(wanted: str) -> None:
    with pytest.raises(DeviceError, match=f"^{wanted} was asked for, but "):
        device.resolve(wanted)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this is a Mac")
def test_mps_that_is_not_here_is_a_sentence() -> None:
    with pytest.raises(DeviceError, match="mps was asked for"):
        device.resolve("mps")


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("rmsprop", torch.optim.RMSprop)],
)
def test_the_recipe_names_torchs_own_optimisers_with_its_knobs(wanted: str, kind: type[torch.optim.Optimizer]) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    momentum = 0.5 if wanted in ("sgd", "rmsprop") else 0.0

    made = optimisers.make(
        Optimizer(name=wanted, lr=0.3, momentum=momentum, weight_decay=0.02), [weight, frozen], torch.device("cpu")
    )

    assert type(made) is kind
    group = made.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.3, 0.02)
    assert group.get("momentum", 0.0) == momentum
    assert len(group["params"]) == 1
