"""What is put into a network to look at it: samples of a data set as a run would give them, typed numbers, or random ones."""

import ast
import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from mlptui.core.bench import Input
from mlptui.core.errors import MlptuiError
from mlptui.core.recipe import Recipe
from mlptui.core.text import safe
from mlptui.datasets import library
from mlptui.datasets.dataset import Dataset
from mlptui.engine.batches import normaliser
from mlptui.engine.prepare import targets
from mlptui.store.paths import Paths

MAX_NUMBERS = 1 << 20


class InputError(MlptuiError):
    """What was typed or asked for cannot be put into a network."""


@dataclass(frozen=True)
class Batch:
    """Inputs [n, *shape], targets [n] where the data has them (int64 classes or float32 numbers), and words for both."""

    inputs: torch.Tensor
    targets: torch.Tensor | None
    words: str


@lru_cache(maxsize=2)
def _opened(paths: Paths, name: str, sha256: str) -> Dataset:
    return library.load(paths, name, thorough=False)


def batch(model: nn.Module, wanted: Input, size: int, paths: Paths, first: int = 0) -> Batch:
    """`size` samples from the `first` on: of the data set where one is named and its samples have that shape, else random.

    Raises InputError, DataError.
    """
    if not wanted.shape and not wanted.data:
        raise InputError("what goes into the network? type the shape of a sample, as (1, 28, 28)")
    if wanted.data:
        data = _opened(paths, wanted.data, library.facts(paths, wanted.data).sha256)
        if not wanted.shape or data.facts.shape == wanted.shape:
            start = min(first, max(0, len(data.train) - size))
            inputs = normaliser(data.facts, "standard")(torch.from_numpy(np.array(data.train.inputs[start : start + size])))
            seen = targets(data, data.train, Recipe())[start : start + size]
            label = ""
            if data.facts.classes:
                label = data.facts.classes[int(seen[0])]
            return Batch(inputs, seen, f"{wanted.data}, sample {start:,}" + (f", {label}" if label else ""))
    if math.prod(wanted.shape) * size > MAX_NUMBERS * 64:
        raise InputError(f"{size} samples of {list(wanted.shape)} are too many numbers to look at")
    return Batch(random(model, (size, *wanted.shape), first), None, f"random numbers {list(wanted.shape)}")


def random(model: nn.Module, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Standard normal numbers from a generator of their own; whole numbers where the network begins with an Embedding."""
    generator = torch.Generator().manual_seed(seed)
    if known := _takes_indices(model):
        return torch.randint(0, known, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def _takes_indices(model: nn.Module) -> int:
    """How many indices a network that begins with an Embedding knows; 0 for one that takes numbers."""
    first = next((m for m in model.modules() if not m._modules), model)
    return first.num_embeddings if isinstance(first, nn.Embedding | nn.EmbeddingBag) else 0


def typed(model: nn.Module, text: str, shape: tuple[int, ...]) -> torch.Tensor:
    """`1 2 3 4 5`, `[[1, 2], [3, 4]]`: numbers as a tensor [1, *shape] where they are as many, else as they were typed.

    Raises InputError.
    """
    text = text.strip()
    if len(text) > 100_000:
        raise InputError("that is too long to be typed")
    try:
        if text.startswith(("[", "(")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python's own, about odd literals
                values = torch.tensor(ast.literal_eval(text))
        else:
            values = torch.tensor([float(word) for word in text.replace(",", " ").split()])
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, RuntimeError, OverflowError):
        raise InputError(f"these are not numbers: {safe(text, 80)!r}; write 1 2 3 4 5, or [[1, 2], [3, 4]]") from None
    if values.is_complex():
        raise InputError("complex numbers cannot go in")
    if not values.numel():
        raise InputError("write at least one number")
    values = values.long() if _takes_indices(model) else values.float()
    return values.reshape(1, *shape) if shape and values.numel() == math.prod(shape) else values


def length(paths: Paths, name: str) -> int:
    """Training samples of a data set. Raises DataError."""
    return len(_opened(paths, name, library.facts(paths, name).sha256).train)
