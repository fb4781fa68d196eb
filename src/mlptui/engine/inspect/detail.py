"""All about one layer: how it prints, its documentation and source, its tensors, and what a pass through it costs."""

import inspect
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.bench import Measured, Place, Tensor
from mlptui.core.text import safe
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import CopyError, copied, only_copies, same_randomness
from mlptui.engine.inspect.flow import first_tensor
from mlptui.engine.inspect.places import own_tensors, spots
from mlptui.engine.inspect.probe import Call, Tracer, in_evaluation

MAX_LINES = 400
BUDGET, REPEATS = 0.3, 50  # seconds and passes that a measurement may take


def printed(module: nn.Module) -> tuple[str, ...]:
    try:
        return _lines(repr(module))
    except Exception as error:
        return (f"(its repr raises {type(error).__name__}: {safe(one_line(error), 200)})",)


def documentation(module: nn.Module) -> tuple[str, ...]:
    """The class's own docstring; one that it only inherits from nn.Module says nothing."""
    text = type(module).__doc__
    return _lines(inspect.cleandoc(text)) if isinstance(text, str) else ()


def source(module: nn.Module) -> tuple[tuple[str, ...], str]:
    """The class's source and where it is from; empty where there is none (made at run time, compiled)."""
    cls = type(module)
    try:
        lines, first = inspect.getsourcelines(cls)
        file = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return (), cls.__module__
    return _lines("".join(lines)), f"{Path(file).name if file else cls.__module__}, line {first}"


def _lines(text: str) -> tuple[str, ...]:
    lines = [safe(line.expandtabs(4), 300) for line in text.splitlines()]
    return tuple(lines[:MAX_LINES]) + ((f"... {len(lines) - MAX_LINES:,} more lines",) if len(lines) > MAX_LINES else ())


def tensors(module: nn.Module, known: frozenset[int]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=safe(name, 100),
            kind=kind,
            shape="?" if is_lazy(tensor) else str(list(tensor.shape)),
            count=None if is_lazy(tensor) else tensor.numel(),
            dtype=str(tensor.dtype).removeprefix("torch."),
            trainable=tensor.requires_grad,
        )
        for name, tensor, kind in own_tensors(module, known)
    )


def measure(model: nn.Module, inputs: torch.Tensor, place: Place) -> Measured:
    """A pass through the layer at `place` with what reaches it, forward and backward, on a copy in training mode.

    Raises CopyError where it cannot be run.
    """
    with same_randomness(), only_copies(model):
        twin = copied(model)
        with Tracer(twin, keep=True) as tracer, torch.no_grad():
            try:
                in_evaluation(twin)(inputs)
            except CopyError:
                raise
            except (Exception, SystemExit) as error:
                if not any(call.place == place and call.done for call in tracer.calls):
                    raise CopyError(f"nothing reaches it: {one_line(error)}") from None
        call = next((c for c in reversed(tracer.calls) if c.place == place and c.done), None)
        if call is None:
            raise CopyError("the probe does not pass through it")
        for spot in spots(call.module):
            spot.module.training = True
        try:
            with torch.enable_grad():
                return _measured(call)
        except CopyError:
            raise
        except Exception as error:
            raise CopyError(f"it cannot be timed alone: {one_line(error)}") from None


def _measured(call: Call) -> Measured:
    given = [_leaf(value) for value in call.inputs]
    named = {name: _leaf(value) for name, value in call.named.items()}

    def run() -> Any:
        """On inputs that are no leaves, so that the layer may write into them."""
        return call.module(*map(_again, given), **{name: _again(value) for name, value in named.items()})

    kept: dict[int, int] = {}
    parameters = {p.data_ptr() for p in call.module.parameters() if not is_lazy(p)}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in parameters:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = first_tensor(run())
    if output is None:
        raise CopyError("its output is no tensor")
    forward, repeats = _median(run, lambda made: None)
    backward = None
    if output.requires_grad:
        gradient = torch.ones_like(output)

        def back(made: Any) -> None:
            tensor = first_tensor(made)
            assert tensor is not None
            tensor.backward(gradient)

        backward, _ = _median(run, back, timed_first=False)
    return Measured(
        forward=forward,
        backward=backward,
        output_bytes=output.numel() * output.element_size(),
        kept_bytes=sum(kept.values()),
        repeats=repeats,
    )


def _leaf(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().clone()
    return value.requires_grad_() if value.is_floating_point() else value


def _again(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _median(make: Callable[[], Any], use: Callable[[Any], None], timed_first: bool = True) -> tuple[float, int]:
    """Seconds of `make` (or of `use` on what it made): the median over as many repeats as fit into the budget."""
    use(make())
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < REPEATS and (time.perf_counter() - begun < BUDGET or len(times) < 3):
        start = time.perf_counter()
        made = make()
        between = time.perf_counter()
        use(made)
        times.append(between - start if timed_first else time.perf_counter() - between)
    return statistics.median(times), len(times)
