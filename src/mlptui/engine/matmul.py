"""Which matrix product the CPU uses: torch's default (MKL) or oneDNN, measured on the net's own shapes.

On AMD CPUs MKL is slower than oneDNN, which `torch.backends.mkldnn.matmul.fp32_precision = "bf16"` selects. On CPUs
without AMX that stays float32; with AMX it rounds to bfloat16, which the comparison of errors notices.
"""

import copy
import time
from typing import Any

import torch
from torch import nn

from mlptui.engine.objective import Objective

DEFAULT, ONEDNN = "default", "oneDNN"
REPEATS = 40
AS_EXACT = 4.0
FASTER = 0.97


def use(kind: str) -> None:
    """Switch this process to one of the two. Without oneDNN only DEFAULT has an effect."""
    if torch.backends.mkldnn.is_available():
        setting: Any = torch.backends.mkldnn
        setting.matmul.fp32_precision = "bf16" if kind == ONEDNN else "none"


def choose(model: nn.Module, objective: Objective, inputs: torch.Tensor, targets: torch.Tensor) -> str:
    """Measure both on one batch (the model is left as it is), switch to the better one and return its name.

    oneDNN is taken only where it is faster and its output and gradients are as close to float64 as the default's.
    """
    if not torch.backends.mkldnn.is_available():
        return DEFAULT
    trial = copy.deepcopy(model).train(False)
    exact = _outcome(copy.deepcopy(trial).double(), objective, inputs.double(), targets)
    seconds, errors = {DEFAULT: float("inf"), ONEDNN: float("inf")}, {}
    for kind in (DEFAULT, ONEDNN):
        use(kind)
        errors[kind] = _distance(_outcome(trial, objective, inputs, targets), exact)
    for _ in range(REPEATS):
        for kind in (DEFAULT, ONEDNN):
            use(kind)
            started = time.perf_counter()
            _outcome(trial, objective, inputs, targets)
            seconds[kind] = min(seconds[kind], time.perf_counter() - started)
    better = seconds[ONEDNN] < FASTER * seconds[DEFAULT] and errors[ONEDNN] <= max(AS_EXACT * errors[DEFAULT], 1e-6)
    chosen = ONEDNN if better else DEFAULT
    use(chosen)
    return chosen


def _outcome(model: nn.Module, objective: Objective, inputs: torch.Tensor, targets: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    outputs = model(inputs)
    objective.loss(outputs, targets if not targets.is_floating_point() else targets.to(outputs.dtype)).backward()
    return [outputs.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def _distance(found: list[torch.Tensor], exact: list[torch.Tensor]) -> float:
    """The largest relative error of any tensor, by norm."""
    return max(float((f.double() - e).norm() / e.norm().clamp_min(1e-30)) for f, e in zip(found, exact, strict=True))
