"""A training in memory: model, optimiser and position, without any file."""

import copy
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mlptui.core.recipe import Recipe
from mlptui.core.schedule import factor
from mlptui.engine.batches import Batches
from mlptui.engine.objective import CrossEntropy, Objective
from mlptui.engine.seeding import seed_step


@dataclass
class Progress:
    """Where a training stands; all of it is saved. `step` counts finished steps; sums are over the present epoch."""

    step: int = 0
    loss_sum: float = 0.0
    hits: float = 0.0
    samples: int = 0
    best_loss: float = math.inf
    best_accuracy: float = -math.inf
    bad_epochs: int = 0
    trained_seconds: float = 0.0
    epoch_seconds: float = 0.0
    knobs: list[list[float]] = field(default_factory=list)


class Session:
    """What a run trains. `knobs` are [step, learning rate] pairs: from that step (from 0) on the base rate is that one."""

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        train: Batches,
        valid: Batches | None,
        device: torch.device,
        objective: Objective | None = None,
    ) -> None:
        self.recipe, self.model, self.optimizer = recipe, model, optimizer
        self.objective: Objective = objective or CrossEntropy()
        self.train, self.valid, self.device = train, valid, device
        self.progress = Progress()
        self.steps_per_epoch = max(1, math.ceil(train.size / recipe.batch_size))
        self.steps = self.steps_per_epoch * recipe.epochs
        self.parameters = [p for p in model.parameters() if p.requires_grad]

    @property
    def epoch(self) -> int:
        """The present epoch, from 0."""
        return self.progress.step // self.steps_per_epoch

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def base_rate(self, step: int) -> float:
        rate = self.recipe.optimizer.lr
        for since, value in self.progress.knobs:
            if since <= step:
                rate = value
        return rate

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.base_rate(step) * factor(self.recipe.schedule, step, self.steps, self.steps_per_epoch)

    def turn_rate(self, step: int, value: float) -> None:
        """Set the base learning rate from `step` on."""
        self.progress.knobs = [*(k for k in self.progress.knobs if k[0] < step), [step, value]]

    def prepare_step(self) -> None:
        """Random state and learning rate of the step that comes; both are functions of its number."""
        step = self.progress.step
        seed_step(self.recipe.seed, step, self.device)
        rate = self.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def clip(self) -> torch.Tensor | None:
        """Clip if the recipe says so; the norm of all gradients where this step is measured."""
        measured = self.recipe.gradient_norm_every and self.progress.step % self.recipe.gradient_norm_every == 0
        if self.recipe.clip_norm:
            return nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        if measured:
            return nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        return None

    def drop_bad_gradients(self) -> bool:
        """Whether a gradient was not finite. All are taken away then, so the optimiser's step changes nothing."""
        if _finite([p.grad for p in self.parameters if p.grad is not None]):
            return False
        self.optimizer.zero_grad()
        return True

    def finite(self) -> bool:
        """Whether every weight and buffer is finite."""
        return _finite([*self.model.parameters(), *(b for b in self.model.buffers() if b.is_floating_point())])

    def capture(self) -> dict[str, Any]:
        """A copy of all that a step changes, on the device; tied tensors stay tied in it."""
        copies: dict[tuple[object, ...], torch.Tensor] = {}

        def copied(tensor: torch.Tensor) -> torch.Tensor:
            place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            if place not in copies or not tensor.numel():
                copies[place] = tensor.detach().clone()
            return copies[place]

        return {
            "model": {name: copied(tensor) for name, tensor in self.model.state_dict().items()},
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "progress": copy.deepcopy(self.progress),
            "random": random_state(),
        }

    def restore(self, captured: dict[str, Any]) -> None:
        self.model.load_state_dict(captured["model"])
        self.optimizer.load_state_dict(copy.deepcopy(captured["optimizer"]))
        self.progress = copy.deepcopy(captured["progress"])
        restore_random_state(captured.get("random", {}))


def _finite(tensors: list[torch.Tensor]) -> bool:
    """Whether every value is finite. Squares of finite ones can overflow; then the largest one decides."""
    norms = (nn.utils.get_total_norm(tensors, norm_type=kind) for kind in (2.0, math.inf))
    return any(bool(torch.isfinite(norm)) for norm in norms)


def random_state() -> dict[str, torch.Tensor]:
    """torch's own generators. Steps seed themselves; this is for layers that draw outside of steps."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_state(states: dict[str, torch.Tensor]) -> None:
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])
