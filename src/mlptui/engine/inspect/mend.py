"""The step of the builder that would let a shape pass a layer."""

import ast
import math
from collections.abc import Iterator

from torch import nn

from mlptui.core.bench import Change, Step
from mlptui.engine.blocks import MyLinear, MyLinearCorrected
from mlptui.engine.inspect.probe import Call

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


def fixes(call: Call) -> Iterator[Step]:
    """What would mend the layer of a call that failed, best first."""
    shape = _shape(call.inputs[0] if call.inputs else "")
    module = call.module
    if not shape:
        return

    def set_to(name: str, value: int) -> Step:
        return Step(says=f"set {name} to {value}", change=Change(action="argument", place=call.place, text=f"{name}={value}"))

    if isinstance(module, nn.Linear | MyLinear | MyLinearCorrected):
        wanted = module.in_features if isinstance(module, nn.Linear) else module.weight.shape[0]
        name = "in_features" if isinstance(module, nn.Linear) else "in_units"
        flat = math.prod(shape[1:])
        if len(shape) > 2 and (flat == wanted or len(shape) > 3):
            yield Step(says="put a Flatten before it", change=Change(action="insert", place=call.place, text="nn.Flatten()"))
        if shape[-1] != wanted:
            yield set_to(name, shape[-1])
    elif isinstance(module, CONVOLUTIONS) and len(shape) == module.weight.dim() and shape[1] != module.in_channels:
        if module.groups == 1:
            yield set_to("in_channels", shape[1])
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        kind = NORMS.get(len(shape))
        if kind and kind != type(module).__name__:
            change = Change(action="replace", place=call.place, text=f"nn.{kind}({shape[1]})")
            yield Step(says=f"make it {kind}({shape[1]})", change=change)
        elif len(shape) > 1 and shape[1] != module.num_features:
            yield set_to("num_features", shape[1])
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        yield set_to("normalized_shape", shape[-1])


def _shape(text: str) -> tuple[int, ...]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ()
    return tuple(found) if isinstance(found, list) and all(isinstance(n, int) for n in found) else ()
