"""Looking without touching: copies of a network, and random states that are as before."""

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from mlptui.core.errors import MlptuiError
from mlptui.core.text import size
from mlptui.devices.cpu import CpuReader
from mlptui.engine.foreign import one_line


class CopyError(MlptuiError):
    """A network that cannot be looked at on a copy; says why."""


def copied(model: nn.Module) -> nn.Module:
    """A copy that shares no memory with the model, gradients left out. Raises CopyError."""
    tensors = [t for t in [*model.parameters(), *model.buffers()] if not is_lazy(t)]
    needed = sum(t.numel() * t.element_size() for t in tensors)
    free = CpuReader().read().memory_available
    if free is not None and 3 * needed > free:
        raise CopyError(f"looking needs a copy of {size(needed)} and room to work in; {size(free)} are free")
    memo: dict[int, object] = {}
    for module in model.modules():
        for held in vars(module).values():  # what hooks or a forward computed (weight_norm's weight) has no copy of its own
            if isinstance(held, torch.Tensor) and held.grad_fn is not None:
                memo[id(held)] = held.detach().clone()
        for buffer in module._buffers.values():
            if isinstance(buffer, UninitializedBuffer):  # torch cannot copy these itself
                made: Any = UninitializedBuffer
                memo[id(buffer)] = made(device=buffer.device, dtype=buffer.dtype)
    try:
        twin = copy.deepcopy(model, memo)
    except Exception as error:
        raise CopyError(f"the network cannot be copied, so it is not run: {one_line(error)}") from None
    mine = {*map(id, model.modules()), *_memory(model)}
    if any(id(m) in mine for m in twin.modules()) or mine & _memory(twin):
        raise CopyError("the network's copy shares memory with it, so it is not run")
    twin.zero_grad(set_to_none=True)
    return twin


def _memory(model: nn.Module) -> set[int]:
    """Where the tensors lie."""
    dense = [
        t for t in [*model.parameters(), *model.buffers()] if not is_lazy(t) and t.layout == torch.strided and not t.is_meta
    ]
    return {t.data_ptr() for t in dense if t.numel()}


@contextmanager
def only_copies(model: nn.Module) -> Iterator[None]:
    """Refuse to run the model's own layers: a copy reaches them through functions that it keeps, which are not copied."""
    own = {id(module) for module in model.modules()}

    def refuse(module: nn.Module, _: object) -> None:
        if id(module) in own:
            raise CopyError("it calls its layers through a function that it keeps, so it cannot be looked at on a copy")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def same_randomness() -> Iterator[None]:
    """Every generator that a network may draw from is afterwards as it was."""
    cpu, python = torch.get_rng_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    numpy = sys.modules.get("numpy")
    numbers = numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        random.setstate(python)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if numpy:
            numpy.random.set_state(numbers)
