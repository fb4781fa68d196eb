"""Sessions that are trained in this process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from engine.sessions import CLASSES, CPU, NORMALISE, Pace, pictures, recipe_with, samples
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.engine import batches, build, matmul, optimisers
from mlptui.engine.loop import train_epoch
from mlptui.engine.seeding import seed_weights
from mlptui.engine.session import Session


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """Threads, matrix product and random state of this process survive each test."""
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(random)
    matmul.use(matmul.DEFAULT)


@pytest.fixture
def make_session() -> Callable[..., Session]:
    """A session by its recipe's knobs; `model` takes the place of the architecture."""

    def make(model: nn.Module | None = None, **knobs: Any) -> Session:
        recipe = recipe_with(**knobs)
        images, labels = pictures()
        if model is None:
            seed_weights(recipe.seed)
            model = build.build(parse(recipe.architecture))
            build.probe(model, NORMALISE(images[:2]), CLASSES)

        def stay(part: slice) -> batches.Batches:
            return batches.make(samples(images, labels, part), CPU, recipe.batch_size, recipe.seed, NORMALISE, None)

        optimizer = optimisers.make(recipe.optimizer, model.parameters(), CPU)
        return Session(recipe, model, optimizer, stay(slice(0, 48)), stay(slice(48, None)), CPU)

    return make


@pytest.fixture
def train_to() -> Callable[[Session, int], list[float]]:
    """Train a session until a step, over epochs; gives the losses."""

    def train(session: Session, step: int) -> list[float]:
        pace = Pace(session, until=step)
        while session.progress.step < step:
            first = session.progress.step % session.steps_per_epoch
            train_epoch(session.model, session.train.epoch(session.epoch, first), session.optimizer, session.objective, pace)
        return pace.losses

    return train
