"""The training loop, as a person would write it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from mlptui.engine.batches import Batch, Batches


class Pace(Protocol):
    """What stands beside the loop: commands, learning rate, clipping and records. See conductor.py."""

    def begin_step(self) -> bool:
        """Before each step; False ends the epoch early."""
        ...

    def autocast(self) -> AbstractContextManager[object]: ...

    def gradients_ready(self) -> None: ...

    def step_done(self, loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> None: ...


def train_epoch(model: nn.Module, batches: Iterable[Batch], optimizer: torch.optim.Optimizer, pace: Pace) -> bool:
    """One pass over the training set. Returns False where `pace` ended it early."""
    model.train()
    for images, labels in batches:
        if not pace.begin_step():
            return False
        with pace.autocast():
            scores = model(images)
        loss = F.cross_entropy(scores.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        pace.gradients_ready()
        optimizer.step()
        pace.step_done(loss, scores, labels)
    return True


def evaluate(model: nn.Module, batches: Batches, autocast: AbstractContextManager[object]) -> tuple[float, float]:
    """Mean loss and accuracy over all samples. Leaves the model's mode, buffers and the random state as they were."""
    was_training = model.training
    model.eval()
    losses, hits = [], []
    with torch.inference_mode(), autocast:
        for images, labels in batches.in_order():
            scores = model(images).float()
            losses.append(F.cross_entropy(scores, labels, reduction="sum"))
            hits.append((scores.argmax(1) == labels).sum())
    model.train(was_training)
    total, right = sum(torch.stack(losses).tolist()), sum(torch.stack(hits).tolist())
    return total / batches.size, right / batches.size
