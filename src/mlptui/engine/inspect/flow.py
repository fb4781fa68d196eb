"""One sample through a copy of the network: what each layer makes of it."""

from typing import Any

import torch
from torch import nn

from mlptui.core.bench import Fault, FlowSheet, Passage, Place
from mlptui.core.text import safe
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import CopyError, copied, only_copies, same_randomness
from mlptui.engine.inspect.probe import Call, Tracer, described, in_evaluation

MAX_VALUES = 4096


def flow(model: nn.Module, inputs: torch.Tensor, words: str, place: Place) -> FlowSheet:
    """Statistics of every layer's output in evaluation mode, and the numbers that the layer at `place` gave last.

    Raises CopyError.
    """
    passages: list[tuple[Call, Passage]] = []
    shown: list[torch.Tensor] = []

    def seen(call: Call) -> None:
        passages.append((call, passage(call)))
        if call.place == place and (tensor := first_tensor(call.output)) is not None:
            shown[:] = [tensor.detach().clone()]

    fault = None
    with same_randomness(), only_copies(model):
        twin = in_evaluation(copied(model))
        with Tracer(twin, seen) as tracer, torch.no_grad():
            try:
                twin(inputs)
            except CopyError:
                raise
            except (Exception, SystemExit) as error:
                stuck = tracer.culprit(error)
                came = ", ".join(map(str, stuck.inputs)) if stuck else described(inputs)
                fault = Fault(place=stuck.place if stuck else (), message=f"{came} came in: {one_line(error)}")
    order = {id(call): i for i, call in enumerate(tracer.calls)}
    passages.sort(key=lambda pair: order[id(pair[0])])
    values, columns, count = grid(shown[0]) if shown else ((), 0, 0)
    return FlowSheet(
        what=words,
        calls=tuple(p for _, p in passages),
        place=place,
        values=values,
        columns=columns,
        count=count,
        fault=fault,
    )


def passage(call: Call) -> Passage:
    """The statistics of one output; without numbers (a dictionary, whole numbers as text) only its shape."""
    tensor = first_tensor(call.output)
    described_ = described(call.output)
    layer = safe(type(call.module).__name__, 100)
    if tensor is None or not tensor.numel():
        return Passage(place=call.place, layer=layer, shape=described_)
    numbers = tensor.detach().double() if not tensor.is_complex() else tensor.detach().abs().double()
    finite = numbers[torch.isfinite(numbers)]
    if not finite.numel():
        return Passage(place=call.place, layer=layer, shape=described_, bad=numbers.numel())
    return Passage(
        place=call.place,
        layer=layer,
        shape=described_,
        mean=finite.mean().item(),
        deviation=finite.std(correction=0).item(),
        lowest=finite.min().item(),
        highest=finite.max().item(),
        zeros=(numbers == 0).double().mean().item(),
        bad=numbers.numel() - finite.numel(),
    )


def first_tensor(value: Any) -> torch.Tensor | None:
    """The tensor that an output is, or the first that it holds."""
    if isinstance(value, torch.Tensor):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return next((found for item in inner if (found := first_tensor(item)) is not None), None)


def grid(tensor: torch.Tensor) -> tuple[tuple[float, ...], int, int]:
    """The first numbers, how many stand in a row, and how many there are."""
    flat = (
        tensor.reshape(-1)[:MAX_VALUES].double() if not tensor.is_complex() else tensor.abs().reshape(-1)[:MAX_VALUES].double()
    )
    return tuple(flat.tolist()), tensor.shape[-1] if tensor.dim() else 1, tensor.numel()
