"""torch's optimisers by their name in the recipe."""

from collections.abc import Iterable

import torch
from torch import nn

from mlptui.core.recipe import Optimizer


def make(recipe: Optimizer, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """The optimiser; fused where torch has a fused kernel for this device."""
    wanted = [p for p in parameters if p.requires_grad]
    fused = device.type in ("cpu", "cuda") and bool(wanted)
    match recipe.name:
        case "sgd":
            return torch.optim.SGD(
                wanted,
                lr=recipe.lr,
                momentum=recipe.momentum,
                nesterov=recipe.nesterov,
                weight_decay=recipe.weight_decay,
                fused=fused,
            )
        case "adam":
            return torch.optim.Adam(wanted, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(wanted, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(wanted, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
