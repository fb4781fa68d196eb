"""Small sessions over made-up pictures."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mlptui.core.recipe import Recipe, check, nested
from mlptui.engine.batches import Normaliser, Samples
from mlptui.engine.session import Session

CPU = torch.device("cpu")
SIDE, CLASSES, SAMPLES = 4, 3, 60
NORMALISE = Normaliser(1 / (255 * 0.4), 0.3 / 0.4)  # mean 0.3, deviation 0.4
NET = (
    "nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), "
    "nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3))"
)
TIED = (
    "shared = nn.Linear(8, 8)\n"
    "nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), shared, nn.ReLU(), shared, "
    "nn.Dropout(0.3), nn.LazyLinear(3))"
)


def pictures(count: int = SAMPLES, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 pictures [count, 1, 4, 4] and labels, with something to learn in them."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator, dtype=torch.uint8)
    images = torch.randint(0, 200, (count, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), 0, 0, labels.long()] = 255
    return images, labels


def samples(images: torch.Tensor, labels: torch.Tensor, rows: slice = slice(None)) -> Samples:
    """These rows of pictures and labels as the batches take them."""
    chosen = np.arange(len(images))[rows]
    return Samples(images.numpy(), labels.long()[rows], chosen)


def recipe_with(**knobs: Any) -> Recipe:
    """A recipe; knobs by path with `__` for the dot."""
    flat = {"architecture": NET, "batch_size": 16, "epochs": 3, "threads": 1, "device": "cpu", "seed": 5}
    return check(nested({**flat, **{name.replace("__", "."): value for name, value in knobs.items()}}))


@dataclass
class Pace:
    """The least that may stand beside the loop: randomness, learning rate and a log of losses."""

    session: Session
    losses: list[float] = field(default_factory=list)
    until: int = 10**9

    def begin_step(self) -> bool:
        if self.session.progress.step >= self.until:
            return False
        self.session.prepare_step()
        return True

    def autocast(self) -> AbstractContextManager[object]:
        return self.session.autocast()

    def gradients_ready(self) -> None:
        self.session.clip()

    def step_done(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.losses.append(loss.item())
        self.session.progress.step += 1


def bits(session: Session) -> dict[str, bytes]:
    """Everything that a step changes, as bytes."""
    tensors = {f"model.{name}": tensor.detach().numpy().tobytes() for name, tensor in session.model.state_dict().items()}
    for index, values in session.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            as_bytes = value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
            tensors[f"optimizer.{index}.{name}"] = as_bytes
    return tensors
