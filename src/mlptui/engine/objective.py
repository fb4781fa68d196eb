"""What a run makes small, and the score that people read beside it."""

from typing import Protocol

import torch
from torch.nn import functional as F

from mlptui.core.recipe import MEAN_SQUARED


class Objective(Protocol):
    """`outputs` are float32 [n, outputs] of the network, `targets` int64 [n] of classes or float32 [n] of numbers."""

    score: str

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over the batch, to be differentiated."""
        ...

    def points(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What this batch adds to the training score; over the number of samples it is their score."""
        ...

    def tally(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Sums over a batch of which `judge` makes loss and score."""
        ...

    def judge(self, sums: list[float], samples: int) -> tuple[float, float]:
        """Mean loss and score over all samples."""
        ...


class CrossEntropy:
    """Classes; the score is accuracy, the share of samples whose largest output is the right one."""

    score = "accuracy"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets)

    def points(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs.argmax(1) == targets).sum()

    def tally(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        total = F.cross_entropy(outputs, targets, reduction="sum")
        return torch.stack([total, (outputs.argmax(1) == targets).sum().to(total.dtype)])

    def judge(self, sums: list[float], samples: int) -> tuple[float, float]:
        return sums[0] / samples, sums[1] / samples


class MeanSquared:
    """Numbers; the score is R2 = 1 - squared error / squared distance from the mean (coefficient of determination).

    A training batch is measured against the `variance` of the whole training set, any other set against its own.
    """

    score = "R2"

    def __init__(self, variance: float) -> None:
        self.variance = max(variance, 1e-30)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(outputs[:, 0], targets)

    def points(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (1 - loss / self.variance) * len(targets)

    def tally(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        exact = torch.float32 if targets.device.type == "mps" else torch.float64
        known = targets.to(exact)
        return torch.stack([(outputs[:, 0].to(exact) - known).square().sum(), known.sum(), known.square().sum()])

    def judge(self, sums: list[float], samples: int) -> tuple[float, float]:
        error, total, squares = sums
        spread = squares - total * total / samples
        constant = spread <= 1e-12 * max(squares, 1e-30)  # what is left is rounding
        return error / samples, float("nan") if constant else 1 - error / spread


def make(loss: str, variance: float = 1.0) -> Objective:
    """By the recipe's name of the loss; `variance` is that of the training targets."""
    return MeanSquared(variance) if loss == MEAN_SQUARED else CrossEntropy()
