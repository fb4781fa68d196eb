"""Values of the console as lines of text."""

import itertools

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.text import safe

LINES, WIDTH = 60, 200
FEW = 8  # numbers of a tensor among other things that are written out


def lines(value: object, most: int = LINES) -> tuple[str, ...]:
    """As Python would print it, at most `most` lines."""
    if isinstance(value, list | tuple) and value and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        found = [
            f"{safe(str(name) or '(the network)', 100)}  {_short(item, 0)}" for name, item in itertools.islice(value, most)
        ]
    elif isinstance(value, dict):
        found = [f"{safe(str(name), 100)}  {_short(item)}" for name, item in itertools.islice(value.items(), most)]
    elif isinstance(value, list) and any(isinstance(v, torch.Tensor | nn.Module) for v in value):
        found = [_short(item) for item in value[:most]]
    elif isinstance(value, torch.Tensor):
        found = _tensor(value)
    else:
        found = (_module(value) if isinstance(value, nn.Module) else str(repr(value))).splitlines()
    rest = (len(value) if isinstance(value, list | tuple | dict) else len(found)) - most
    shown = [safe(line, WIDTH) for line in found[:most]]
    return (*shown, f"and {rest:,} more") if rest > 0 else tuple(shown)


def _module(module: nn.Module) -> str:
    try:
        return repr(module)
    except Exception as error:  # a person's own extra_repr
        return f"{type(module).__name__} (its extra_repr raises {type(error).__name__})"


def _short(item: object, few: int = FEW) -> str:
    """In one line; a tensor with more than `few` numbers by its shape."""
    if isinstance(item, torch.Tensor):
        if is_lazy(item):
            return f"no size yet, {str(item.dtype).removeprefix('torch.')}"
        if item.numel() <= few and not item.is_meta:
            return " ".join(torch.Tensor.__repr__(item.detach().cpu()).split())  # type: ignore[no-untyped-call]
        return f"{list(item.shape)}, {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, nn.Module):
        return _module(item).splitlines()[0]
    return safe(repr(item), 120)


def _tensor(value: torch.Tensor) -> list[str]:
    if is_lazy(value):
        return ["a parameter without a size yet"]
    if value.is_meta:
        return [f"tensor(..., device='meta', size={list(value.shape)})"]
    if value.dim() == 0:
        return [str(value.item())]
    return str(torch.Tensor.__repr__(value.detach().cpu())).splitlines()  # type: ignore[no-untyped-call]
