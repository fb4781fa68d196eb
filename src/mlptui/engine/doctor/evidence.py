"""What one batch shows of a network: run in training mode on a copy, backward, and in evaluation mode twice."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mlptui.core.bench import Place
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import CopyError, copied, only_copies, same_randomness
from mlptui.engine.inspect.flow import first_tensor
from mlptui.engine.inspect.places import Spot, plain_tensors, registered, spots
from mlptui.engine.inspect.probe import Call, Tracer, described, in_evaluation

aten = torch.ops.aten
RECTIFIERS = {aten.relu.default, aten.relu_.default, aten.clamp_min.default, aten.threshold.default}
BOUNDED = {aten.hardtanh.default, aten.hardtanh_.default, aten.clamp.default}  # rectifiers where the lower bound is 0
ELEMENTWISE = {
    aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor, aten.maximum.default, aten.minimum.default,
    aten.add_.Tensor, aten.sub_.Tensor, aten.mul_.Tensor, aten.div_.Tensor,
}  # fmt: skip
PART = 3  # samples: few, so that what is averaged over them differs from the whole batch's
FEW = 8  # units; of fewer, all may well be 0 by chance


@dataclass(frozen=True)
class Spread:
    """An output's root mean square, and whether all of it is finite."""

    place: Place
    module: nn.Module
    size: float
    finite: bool


@dataclass
class Evidence:
    """`inputs` [n, ...] went in, `output` came out in training mode; gradients lie in `twin`'s parameters.

    `error` is the sentence of what failed, with the place; then what comes after it is not known.
    """

    twin: nn.Module
    spots: list[Spot]
    samples: int
    spreads: list[Spread] = field(default_factory=list)
    called: set[Place] = field(default_factory=set)
    dead: dict[Place, float] = field(default_factory=dict)
    stopped: bool = False
    outer: list[tuple[Place, str]] = field(default_factory=list)
    last: Place = ()
    last_output: Any = None
    output: Any = None
    evaluated: Any = None
    again: Any = None
    part: Any = None
    raw: str = ""
    single: bool = True
    numbers: bool = True
    blown: bool = False
    backward: bool = False
    error: str = ""
    at: Place = ()
    lazy: dict[Place, list[str]] = field(default_factory=dict)
    plain: dict[Place, list[str]] = field(default_factory=dict)
    known: frozenset[int] = frozenset()
    _trial: tuple[torch.Tensor, ...] = ()

    @property
    def whole(self) -> set[Place]:
        """Places of modules with parameters of which none got a gradient."""
        return {
            spot.place
            for spot in self.spots
            if spot.place and (own := list(spot.module.parameters())) and all(p.grad is None for p in own)
        }

    def moves(self, module: nn.Module, names: list[str]) -> bool:
        """Whether the output changes with these parameters of a module."""
        if not isinstance(self.evaluated, torch.Tensor):
            return False
        before = {name: module._parameters[name] for name in names}
        kept = {name: p.detach().clone() for name, p in before.items() if p is not None}
        try:
            with torch.no_grad(), same_randomness():
                for p in before.values():
                    assert p is not None
                    p.data.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(3)))
                torch.manual_seed(1)
                modes = [(spot.module, spot.module.training) for spot in self.spots]
                output = first_tensor(in_evaluation(self.twin)(*(t.clone() for t in self._trial)))
                for m, mode in modes:
                    m.training = mode
        except (Exception, SystemExit):
            return False
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    p = before[name]
                    assert p is not None
                    p.data.copy_(value)
        return output is not None and not torch.equal(output, self.evaluated)


class _Watch(TorchDispatchMode):
    """Sees operations that are not modules: rectifiers whose units never fire, and outer products by broadcasting."""

    def __init__(self, evidence: Evidence, tracer: Tracer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._evidence, self._tracer = evidence, tracer

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inner = self._tracer.innermost
        place = inner.place if inner else ()
        rectifies = func in RECTIFIERS or (func in BOUNDED and len(args) > 1 and args[1] == 0)
        if rectifies and isinstance(out, torch.Tensor) and out.dim() > 1 and out.numel():
            try:
                share = dead_share(out)
                self._evidence.stopped = self._evidence.stopped or share == 1
                if out.shape[1] >= FEW:
                    self._evidence.dead[place] = max(self._evidence.dead.get(place, 0.0), share)
            except RuntimeError:  # inside of vmap there are no numbers to be had
                pass
        elif func in ELEMENTWISE and len(args) > 1 and all(isinstance(a, torch.Tensor) for a in args[:2]):
            one, two, n = args[0].shape, args[1].shape, self._evidence.samples
            if (
                n in one
                and n in two
                and out.shape not in (one, two)
                and list(out.shape).count(n) > max(list(one).count(n), list(two).count(n))
            ):
                self._evidence.outer.append((place, f"{list(one)} and {list(two)} gave {list(out.shape)}"))
        return out


def dead_share(output: torch.Tensor) -> float:
    """The share of units (dimension 1: features or channels) that are 0 for every sample and position."""
    fired = output.detach().ne(0).transpose(0, 1).flatten(1).any(1)
    return 1 - fired.double().mean().item()


def gather(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor | None, classes: bool, outputs: int) -> Evidence:
    """Run the copy and note what happens. Raises CopyError."""
    with same_randomness(), only_copies(model), torch.enable_grad():
        torch.manual_seed(0)
        twin = copied(model)
        was = {spot.place: spot.module.training for spot in spots(twin)}
        evidence = Evidence(twin, spots(twin), len(inputs), _trial=(inputs,))
        evidence.known, known = registered(twin), registered(model)
        evidence.plain = {
            spot.place: [name for name, _ in plain_tensors(spot.module, known)]
            for spot in spots(model)
            if not type(spot.module).__module__.startswith(("torch.", "torchvision."))
        }
        _forward(evidence, inputs.clone())
        if evidence.error:
            return evidence
        try:
            _backward(evidence, targets, classes, outputs)
        except (Exception, SystemExit) as error:
            evidence.error = f"the backward pass fails: {one_line(error)}"
        in_evaluation(twin)
        with torch.no_grad():
            try:
                torch.manual_seed(1)
                raw = twin(inputs.clone())
                evidence.raw = described(raw)
                evidence.single = isinstance(raw, torch.Tensor)
                evidence.evaluated = first_tensor(raw)
                torch.manual_seed(2)
                evidence.again = first_tensor(twin(inputs.clone()))
                torch.manual_seed(1)
                backwards = inputs.flip(0)[:PART]  # other neighbours, and others before each sample
                evidence.part = first_tensor(twin(backwards.clone()))
            except (Exception, SystemExit) as error:
                evidence.error = f"in evaluation mode: {one_line(error)}"
        for spot in evidence.spots:
            spot.module.training = was[spot.place]
    return evidence


def _forward(evidence: Evidence, inputs: torch.Tensor) -> None:
    def seen(call: Call) -> None:
        evidence.called.add(call.place)
        if not call.module._modules:
            evidence.last, evidence.last_output = call.place, call.output
        tensor = first_tensor(call.output)
        if tensor is not None and tensor.numel() and (call.module._parameters or not call.module._modules):
            numbers = tensor.detach().double()
            try:
                size, finite = numbers.square().mean().sqrt().item(), bool(torch.isfinite(numbers).all())
            except RuntimeError:  # inside of vmap there are no numbers to be had
                return
            evidence.spreads.append(Spread(call.place, call.module, size, finite))

    if not any(spot.module.training for spot in evidence.spots):
        for spot in evidence.spots:
            spot.module.training = True
    with Tracer(evidence.twin, seen) as tracer, _Watch(evidence, tracer):
        try:
            evidence.output = evidence.twin(inputs)
        except CopyError:
            raise
        except (Exception, SystemExit) as error:
            stuck = tracer.culprit(error)
            evidence.error, evidence.at = f"in training mode: {one_line(error)}", stuck.place if stuck else ()


def _backward(evidence: Evidence, targets: torch.Tensor | None, classes: bool, outputs: int) -> None:
    """The gradient of the loss that a run would have; where that does not fit, of a random mixture of all outputs."""
    found = list(_floats(evidence.output))
    evidence.numbers = bool(found)
    if not any(tensor.requires_grad for tensor in found):
        return
    main, n = found[0], evidence.samples
    generator = torch.Generator().manual_seed(0)
    fits = targets is not None and targets.is_floating_point() != classes
    if classes and outputs > 1 and main.shape == (n, outputs):
        wanted = targets if fits and targets is not None else torch.randint(0, outputs, (n,), generator=generator)
        loss = F.cross_entropy(main.float(), wanted)
        loss = loss + sum(_mixture(tensor, generator) for tensor in found[1:] if tensor.requires_grad)
    elif not classes and main.shape == (n, 1):
        wanted = targets if fits and targets is not None else torch.randn(n, generator=generator)
        loss = F.mse_loss(main.flatten().float(), wanted.float())
        loss = loss + sum(_mixture(tensor, generator) for tensor in found[1:] if tensor.requires_grad)
    else:
        loss = sum((_mixture(t, generator) for t in found if t.requires_grad), torch.zeros(()))
    evidence.blown = not math.isfinite(loss.item())
    if loss.requires_grad and not evidence.blown:
        loss.backward()
        evidence.backward = True


def _floats(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _floats(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _floats(item)


def _mixture(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each output with a weight of its own, of the size of a mean's gradient: nothing cancels by symmetry."""
    mixed = (tensor.float() * torch.randn(tensor.shape, generator=generator)).sum()
    return mixed / math.sqrt(max(1, tensor.numel()))
