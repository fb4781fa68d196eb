"""The form before it is drawn: what it offers fits the data that were chosen, and what it runs is what it shows."""

import pytest
import torch

from mlptui.core.architecture.parse import parse
from mlptui.core.recipe import CROSS_ENTROPY, MEAN_SQUARED
from mlptui.engine import build
from mlptui.tui.form_state import SAMPLE, DataSet, FormState

SETS = {
    "fashion-mnist-sample": SAMPLE,
    "cifar": DataSet(50_000, (3, 32, 32), 100),
    "points": DataSet(2_000, (2,), 2),
    "prices": DataSet(400, (13,), 0),
}
PICTURES = [(1, 28, 28), (3, 32, 32), (3, 96, 96), (1, 16, 16), (1, 12, 12), (2, 13, 12), (3, 15, 31), (1, 11, 40)]
SHAPES = [*PICTURES, (1, 1, 1), (2,), (784,)]


def form(chosen: str = "") -> FormState:
    state = FormState(dict(SETS), "fashion-mnist-sample")
    if chosen:
        state.set("data.name", chosen)
    return state


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [0, 1, 10])
def test_every_network_that_is_offered_fits_the_data(shape: tuple[int, ...], classes: int) -> None:
    offered = DataSet(100, shape, classes).architectures()
    assert len(set(offered)) == len(offered) == (4 if len(shape) == 3 and min(shape[1:]) >= 12 else 3)
    for text in offered:
        build.probe(build.build(parse(text)), torch.zeros(2, *shape), classes or 1)


@pytest.mark.parametrize("name", SETS)
def test_choosing_data_brings_a_network_and_a_loss_that_fit(name: str) -> None:
    state = form(name)
    recipe, errors, rest = state.check()
    assert recipe and not errors and not rest
    assert recipe.data.name == name and recipe.loss == (CROSS_ENTROPY if SETS[name].classes else MEAN_SQUARED)
    build.probe(build.build(parse(recipe.architecture)), torch.zeros(2, *SETS[name].shape), SETS[name].classes or 1)
    assert state.choices("data.name") == tuple(SETS)
    assert state.choices("architecture")[0] == state.text("architecture")


def test_a_network_of_ones_own_stays_when_the_data_change_and_undo_takes_both_back() -> None:
    state = form()
    state.set("architecture", "nn.Sequential(nn.Flatten(), nn.LazyLinear(10))")
    state.set("data.name", "points")
    assert "LazyLinear" in state.text("architecture")
    assert state.undo() and state.text("data.name") == "fashion-mnist-sample"
    assert state.undo() and state.text("architecture") == SAMPLE.architectures()[0]
    assert not state.undo()


def test_data_that_are_gone_are_taken_for_a_set_like_the_sample() -> None:
    state = form("cifar")
    del state.data_sets["cifar"]
    assert state.data == SAMPLE and state.summary(state.check()[0])


@pytest.mark.parametrize(("path", "text"), [("data.shift", "2"), ("data.flip", "true"), ("data.crop", "0.3")])
def test_augmentation_is_set_in_the_form_and_named_as_its_option(path: str, text: str) -> None:
    state = form("cifar")
    state.set(path, text)
    recipe, errors, _ = state.check()
    assert recipe and not errors and recipe.data.augments
    assert any(path.partition(".")[2] in line for line in state.summary(recipe) if "--" in line)


def test_another_default_does_not_change_what_the_next_run_trains_on() -> None:
    """A set that was downloaded meanwhile becomes the default of the command line, so the choice must be said there."""
    small = DataSet(6_000, (1, 28, 28), 10)
    form = FormState({"fashion-mnist-sample": small}, "fashion-mnist-sample")
    form.set_data_sets({"fashion-mnist": small, "fashion-mnist-sample": small}, "fashion-mnist")
    recipe, errors, problems = form.check()
    assert recipe is not None and recipe.data.name == "fashion-mnist-sample" and not errors and not problems
    assert "    --data fashion-mnist-sample" in form.summary(recipe)
    form.set("data.name", "fashion-mnist")
    assert "data.name" not in form.texts
