"""What a network's tensors hold, as a value that one can come back to.

Numbers are never changed in place: a change puts another tensor of numbers into a parameter (`.data`), and the one before
stays as it was for whoever holds it. So holding costs no copy, and coming back is exact, bit for bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakTensorKeyDictionary

from mlptui.engine.inspect.places import plain_tensors, registered

_numbers = count(1)
_stamps: Any = WeakTensorKeyDictionary()
_drawn: Any = WeakTensorKeyDictionary()


def stamp(tensor: torch.Tensor) -> int:
    """A number that changes with what the tensor holds; no two contents have the same one."""
    if tensor not in _stamps:
        _stamps[tensor] = next(_numbers)
    return int(_stamps[tensor])


def drawn(tensor: torch.Tensor) -> str:
    """How the tensor's numbers were drawn, as a scheme's text; "default": its layer drew them and they were not touched."""
    return str(_drawn.get(tensor, "default"))


def loaded(tensor: torch.Tensor) -> None:
    """The numbers came from elsewhere."""
    _drawn[tensor] = ""
    _stamps[tensor] = next(_numbers)


@dataclass(frozen=True)
class Held:
    """One tensor of one module, and what it held: numbers that share memory with it, whether it learns, its gradient."""

    module: nn.Module
    name: str
    tensor: torch.Tensor
    data: torch.Tensor
    trainable: bool
    gradient: torch.Tensor | None
    stamp: int
    drawn: str


def hold(model: nn.Module) -> tuple[Held, ...]:
    """All that `restore` needs. Lazy tensors hold nothing."""
    return tuple(
        Held(
            module,
            name,
            tensor,
            tensor.detach(),
            tensor.requires_grad,
            tensor.grad if tensor.is_leaf else None,
            stamp(tensor),
            drawn(tensor),
        )
        for module, name, tensor in slots(model)
        if not is_lazy(tensor)
    )


def slots(model: nn.Module) -> Iterator[tuple[nn.Module, str, torch.Tensor]]:
    """Every tensor that a module of the network holds by a name of its own."""
    known = registered(model)
    for module in model.modules():
        yield from ((module, name, p) for name, p in module._parameters.items() if p is not None)
        yield from ((module, name, b) for name, b in module._buffers.items() if b is not None)
        yield from ((module, name, t) for name, t in plain_tensors(module, known) if "[" not in name)


def restore(held: tuple[Held, ...]) -> None:
    """Every tensor in its place, holding what it held."""
    for one in held:
        if one.name in one.module._parameters and one.module._parameters[one.name] is not one.tensor:
            setattr(one.module, one.name, one.tensor)
        if _stamps.get(one.tensor) != one.stamp:
            _stamps.pop(one.tensor, None)  # first, as in `put`
            _set(one.tensor, one.data, one.trainable, one.gradient)
            _stamps[one.tensor] = one.stamp
            _drawn[one.tensor] = one.drawn


def put(
    tensor: torch.Tensor,
    data: torch.Tensor | None = None,
    *,
    trainable: bool | None = None,
    gradient: torch.Tensor | None = None,
    forget: bool = False,
    how: str = "",
) -> None:
    """Other numbers into a tensor (memory of their own), or another flag, or another gradient; `forget` leaves it without one.

    `how` is the scheme that the numbers were drawn by. New numbers keep the gradient where it still fits.
    """
    kept = None if forget else (gradient if gradient is not None else tensor.grad if tensor.is_leaf else None)
    new = tensor.detach() if data is None else data
    if kept is not None and (kept.shape != new.shape or kept.dtype != new.dtype):
        kept = None
    flag = tensor.requires_grad if trainable is None else trainable
    _stamps.pop(tensor, None)  # first, so that what is broken off here is known to hold something else
    _set(tensor, new, flag and (new.dtype.is_floating_point or new.dtype.is_complex), kept)
    _stamps[tensor] = next(_numbers)
    if data is not None:
        _drawn[tensor] = how


def _set(tensor: torch.Tensor, data: torch.Tensor, trainable: bool, gradient: torch.Tensor | None) -> None:
    if not tensor.is_leaf:
        tensor.data = data
        return
    tensor.grad = None
    tensor.requires_grad_(False)  # whole numbers cannot learn, so the flag must not stand when they come
    tensor.data = data
    tensor.requires_grad_(trainable)
    tensor.grad = gradient


def memory(held: tuple[Held, ...]) -> Iterator[tuple[int, int]]:
    """(where it lies, bytes) of all that is held."""
    for one in held:
        for tensor in (one.data, one.gradient):
            if tensor is not None and tensor.layout == torch.strided and not tensor.is_meta:
                yield tensor.data_ptr(), tensor.numel() * tensor.element_size()
