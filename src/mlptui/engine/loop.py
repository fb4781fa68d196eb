"""The training loop, as a person would write it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn

from mlptui.engine.batches import Batch, Batches
from mlptui.engine.objective import Objective


class Pace(Protocol):
    """What stands beside the loop: commands, learning rate, clipping and records. See conductor.py."""

    def begin_step(self) -> bool:
        """Before each step; False ends the epoch early."""
        ...

    def autocast(self) -> AbstractContextManager[object]: ...

    def gradients_ready(self) -> None: ...

    def step_done(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> None: ...


def train_epoch(
    model: nn.Module, batches: Iterable[Batch], optimizer: torch.optim.Optimizer, objective: Objective, pace: Pace
) -> bool:
    """One pass over the training set. Returns False where `pace` ended it early."""
    model.train()
    for inputs, targets in batches:
        if not pace.begin_step():
            return False
        with pace.autocast():
            outputs = model(inputs)
        outputs = outputs.float()
        loss = objective.loss(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        pace.gradients_ready()
        optimizer.step()
        pace.step_done(loss, outputs, targets)
    return True


def evaluate(
    model: nn.Module, batches: Batches, objective: Objective, autocast: AbstractContextManager[object]
) -> tuple[float, float]:
    """Mean loss and score over all samples. Leaves the model's mode, buffers and the random state as they were."""
    was_training = model.training
    model.eval()
    with torch.inference_mode(), autocast:
        tallies = [objective.tally(model(inputs).float(), targets) for inputs, targets in batches.in_order()]
    model.train(was_training)
    sums = [sum(column) for column in zip(*torch.stack(tallies).tolist(), strict=True)]
    return objective.judge(sums, batches.size)
