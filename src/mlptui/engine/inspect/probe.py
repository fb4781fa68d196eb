"""Shapes and costs of every layer, from one batch through a copy."""

import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlptui.core.bench import Fault, Passed, Place
from mlptui.core.text import safe
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import CopyError, copied, only_copies, same_randomness
from mlptui.engine.inspect.places import Spot, spots

PROBE_SIZE = 2


@dataclass
class Call:
    """One call of the module at a place. `multiply_adds` are those of its own operations and of all that it calls."""

    place: Place
    module: nn.Module
    inputs: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    multiply_adds: int = 0
    done: bool = False


class _Counter(FlopCounterMode):
    """torch's own formulas; each count goes to `told` instead of to a table by name."""

    def __init__(self, told: Callable[[int], None]) -> None:
        super().__init__(display=False)
        self._told = told
        self.mod_tracker: Any = nullcontext()  # its own tracking breaks networks that differentiate in forward

    def _count_flops(self, func_packet: Any, out: Any, args: Any, kwargs: Any) -> Any:
        if func_packet in self.flop_registry:
            self._told(self.flop_registry[func_packet](*args, **kwargs, out_val=out))
        return out


@dataclass
class Tracer:
    """Watches a network run: every call with its place, inputs and output, in order of their beginning.

    A module that stands in several places is told apart by who calls it, and by the order of its calls. `seen` may look at
    each call when it ends. Use as a context manager around one forward pass.
    """

    model: nn.Module
    seen: Callable[[Call], None] = lambda _: None
    keep: bool = False
    count: bool = False
    calls: list[Call] = field(default_factory=list)
    total: int = 0
    raised: tuple[Call, BaseException | None] | None = None

    def __enter__(self) -> Self:
        found = spots(self.model)
        self._places: dict[int, list[Place]] = {}
        for spot in found:
            self._places.setdefault(id(spot.module), []).append(spot.place)
        self._turn: dict[tuple[int, Place], int] = {}
        self._open: list[Call] = []
        self._hooks: list[Any] = []
        for module in {id(s.module): s.module for s in found}.values():
            try:
                self._hooks.append(module.register_forward_pre_hook(self._enters, with_kwargs=True))
                self._hooks.append(module.register_forward_hook(self._leaves, always_call=True))
            except RuntimeError:  # compiled by torch.jit: it runs unseen
                pass
        self._counting = ExitStack()
        if self.count:
            self._counting.enter_context(_Counter(self._counted))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._counting.__exit__(kind, error, trace)
        for hook in self._hooks:
            hook.remove()

    def _place_of(self, module: nn.Module) -> Place:
        places = self._places[id(module)]
        if len(places) == 1:
            return places[0]
        above = self._open[-1].place if self._open else ()
        near = [p for p in places if p[:-1] == above] or [p for p in places if p[: len(above)] == above] or places
        turn = self._turn.get((id(module), above), 0)
        self._turn[id(module), above] = turn + 1
        return near[turn % len(near)]

    def _enters(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        place = self._place_of(module)
        if self.keep:
            call = Call(place, module, args, kwargs)
        else:
            call = Call(place, module, tuple(map(described, (*args, *kwargs.values()))))
        self.calls.append(call)
        self._open.append(call)

    def _leaves(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self._open or self._open[-1].module is not module:
            return
        call = self._open.pop()
        if output is None and sys.exception() is not None:  # it raised; the first that did is the innermost
            if self.raised is None or self.raised[1] is not sys.exception():
                self.raised = call, sys.exception()
            return
        call.output, call.done = output, True
        self.seen(call)
        if not self.keep:
            call.output = described(output)

    def _counted(self, operations: int) -> None:
        self.total += operations
        for call in self._open:
            call.multiply_adds += operations

    @property
    def innermost(self) -> Call | None:
        """The call that runs now."""
        return self._open[-1] if self._open else None

    def culprit(self, error: BaseException) -> Call | None:
        """The innermost call that an exception came out of."""
        return self.raised[0] if self.raised and self.raised[1] is error else None


def described(value: Any) -> str:
    """`[2, 10]` of a tensor, the same of those in tuples and dictionaries, else the type."""
    if isinstance(value, torch.Tensor):
        return str(list(value.shape))
    if isinstance(value, tuple | list) and len(value) <= 8:
        return "(" + ", ".join(map(described, value)) + ")"
    if isinstance(value, dict) and len(value) <= 8:
        shown = (f"{safe(k, 40) if isinstance(k, str | int) else type(k).__name__}: {described(v)}" for k, v in value.items())
        return "{" + ", ".join(shown) + "}"
    return type(value).__name__


@dataclass(frozen=True)
class Probed:
    """What passed through each spot (beside `spots(model)`), all multiply-adds, and the fault that ended it."""

    passed: list[Passed]
    multiply_adds: int
    fault: Fault | None
    faulty: Call | None = None


def probe(model: nn.Module, inputs: torch.Tensor) -> Probed:
    """Run `inputs` through a copy in evaluation mode. Raises CopyError where there can be no copy.

    Multiply-adds are half of what torch's FlopCounterMode counts (it counts a multiply-add as two).
    """
    with same_randomness(), only_copies(model):
        twin = in_evaluation(copied(model))
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # its one operation has no formula
        fault = None
        try:
            with Tracer(twin, count=True) as tracer, torch.no_grad():
                try:
                    twin(inputs)
                except CopyError:
                    raise
                except (Exception, SystemExit) as error:
                    fault = tracer.culprit(error) or Call((), twin, (described(inputs),))
                    message = one_line(error)
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
    by_place: dict[Place, list[Call]] = {}
    for call in tracer.calls:
        by_place.setdefault(call.place, []).append(call)
    told = None
    if fault is not None:
        told = Fault(place=fault.place, message=f"{', '.join(map(str, fault.inputs))} came in: {message}")
    return Probed([_passed(spot, by_place) for spot in spots(model)], tracer.total // 2, told, fault)


def in_evaluation(model: nn.Module) -> nn.Module:
    """`model.eval()`, which torch cannot do for a module inside of itself."""
    for spot in spots(model):
        spot.module.training = False
    return model


def _passed(spot: Spot, calls: dict[Place, list[Call]]) -> Passed:
    mine = calls.get(spot.place, [])
    if not mine:
        return Passed()
    last = mine[-1]
    return Passed(
        input=", ".join(map(str, last.inputs)),
        output=str(last.output) if last.done else "",
        multiply_adds=sum(call.multiply_adds for call in mine) // 2,
        calls=len(mine),
    )
