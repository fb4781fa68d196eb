"""The doctor's checks: each looks at the evidence for one thing and yields findings, with path, cause and remedy."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.bench import Change, Finding, Place, Step
from mlptui.core.text import counted, safe
from mlptui.engine.doctor.evidence import Evidence
from mlptui.engine.inspect.places import Spot, hidden_modules

MANY = 4
DEAD = 0.9  # share of units that never fire, from which on a rectifier is called dead
GROWTH = 1e6  # how much larger or smaller than the first layers' the last layers' activations or gradients may be
SKIPPED = ("StochasticDepth", "DropPath")  # blocks without a way around them make one and do not call it
NORMS = (nn.modules.batchnorm._BatchNorm,)
DROPOUTS = (nn.modules.dropout._DropoutNd,)
Check = Callable[[Evidence, "Question"], Iterator[Finding]]


class Question:
    """What the network is for: `outputs` numbers a sample (0: not known), classes or a number."""

    def __init__(self, outputs: int = 0, classes: bool = True) -> None:
        self.outputs, self.classes = outputs, classes


def named(place: Place) -> str:
    return f"layer {safe('.'.join(place), 200)}" if place else "the network"


def listed(names: list[str]) -> str:
    """`weight and bias`; of many the first ones."""
    shown = [safe(name, 80) for name in names[:MANY]] + (["..."] if len(names) > MANY else [])
    return " and ".join(shown) if len(shown) < 3 else ", ".join(shown)


def one_or(names: list[str], one: str, more: str) -> str:
    return one if len(names) == 1 else more


def firsts(evidence: Evidence) -> Iterator[Spot]:
    """Each module once, at its first place."""
    return (spot for spot in evidence.spots if spot.place == spot.first)


# what can be seen without running


def plain(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for spot in firsts(evidence):
        names = evidence.plain.get(spot.place, [])
        if names:
            yield Finding(
                code="plain-tensor",
                place=spot.place,
                says=f"{listed(names)} of {named(spot.place)} {one_or(names, 'is a plain tensor', 'are plain tensors')}",
                cause="a tensor set as an attribute is no part of state_dict(), and .to(device) leaves it behind",
                remedy="register it: self.register_buffer(name, tensor), or nn.Parameter(tensor) if it is to learn",
            )


def hidden(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for spot in firsts(evidence):
        names = [name for name, _ in hidden_modules(spot.module, evidence.known)]
        if names:
            yield Finding(
                code="hidden",
                place=spot.place,
                says=f"{listed(names)} of {named(spot.place)} {'is' if len(names) == 1 else 'are'} no part of the network",
                cause="modules in a plain list or dictionary are not registered: their parameters neither learn nor are saved",
                remedy="hold them in an nn.ModuleList or nn.ModuleDict",
            )


def nothing_to_learn(evidence: Evidence, _: Question) -> Iterator[Finding]:
    if not any(p.requires_grad for p in evidence.twin.parameters()):
        some = any(True for _ in evidence.twin.parameters())
        yield Finding(
            code="no-parameters",
            place=(),
            says="there is nothing to train",
            cause="all parameters are frozen" if some else "the network has no parameters",
            remedy="unfreeze some" if some else "add a layer that learns, such as nn.Linear",
        )


def frozen(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for spot in firsts(evidence):
        names = [name for name, p in spot.module.named_parameters(recurse=False) if not p.requires_grad]
        if names:
            yield Finding(
                code="frozen",
                place=spot.place,
                says=f"{listed(names)} of {named(spot.place)} will not learn",
                cause="requires_grad is False",
                remedy="unfreeze it with requires_grad_(True), if it is to learn",
            )


def not_finite(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for spot in firsts(evidence):
        for name, tensor in [*spot.module._parameters.items(), *spot.module._buffers.items()]:
            if tensor is None or is_lazy(tensor) or not tensor.is_floating_point():
                continue
            wrong = ~torch.isfinite(tensor) if isinstance(tensor, nn.Parameter) else tensor.isnan()  # a mask may hold -inf
            if bool(wrong.any()):
                bad = int(wrong.sum())
                yield Finding(
                    code="not-finite",
                    place=spot.place,
                    says=f"{safe(name, 80)} of {named(spot.place)} has {counted(bad, 'value')} of nan or infinity",
                    cause="they spread to every output and every gradient",
                    remedy="initialise it anew, or load a checkpoint from before",
                )


def switched_off(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Dropout and batch norm that do not do what they seem to."""
    for spot in firsts(evidence):
        module, where = spot.module, named(spot.place)
        if isinstance(module, DROPOUTS) and module.p >= 1:
            yield Finding(
                code="dropout",
                place=spot.place,
                says=f"{where} leaves out everything",
                cause=f"p is {module.p:g}: in training nothing passes, and nothing before it learns",
                remedy="use a p below 1, 0.5 is usual",
                fix=Step(says="set p to 0.5", change=Change(action="argument", place=spot.place, text="p=0.5")),
            )
        if isinstance(module, NORMS) and module.track_running_stats and module.momentum == 0:
            yield Finding(
                code="batch-norm",
                place=spot.place,
                says=f"{where} never learns its statistics",
                cause="momentum is 0: in evaluation it still uses mean 0 and variance 1",
                remedy="use the usual momentum of 0.1",
                fix=Step(says="set momentum to 0.1", change=Change(action="argument", place=spot.place, text="momentum=0.1")),
            )
        if isinstance(module, (*NORMS, *DROPOUTS)) and evidence.twin.training and not module.training:
            yield Finding(
                code="mode",
                place=spot.place,
                says=f"{where} stays in evaluation mode while the network trains",
                cause="its own training flag is off",
                remedy="call train() on the whole network, or leave it if this is meant",
            )


def unfinished(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for place, names in evidence.lazy.items():
        yield Finding(
            code="lazy",
            place=place,
            says=f"{listed(names)} of {named(place)} {'has' if len(names) == 1 else 'have'} no size yet",
            cause="a lazy layer waits for its first input",
            remedy="! gives it the size that the input asks for; a run does so by itself",
        )


# what one batch shows


def failed(evidence: Evidence, _: Question) -> Iterator[Finding]:
    if evidence.error:
        yield Finding(
            code="fails",
            place=evidence.at,
            says=f"a batch does not pass {named(evidence.at)}",
            cause=evidence.error,
            remedy="mend this layer or the input first; the rest is not known until then",
        )


def bad_activations(evidence: Evidence, _: Question) -> Iterator[Finding]:
    if any(not torch.isfinite(p).all() for p in evidence.twin.parameters()):
        return  # named already
    first = next((s for s in evidence.spreads if not s.finite), None)
    place = first.place if first else None
    if place is None and (evidence.blown or _not_finite(evidence.evaluated)):
        place = ()
    if place is not None:
        mode = "" if first or evidence.blown else ", in evaluation mode only"
        yield Finding(
            code="not-finite",
            place=place,
            says=f"{named(place)} is the first that gives nan or infinity{mode}",
            cause="a division by zero, a logarithm of zero, or numbers too large for float32",
            remedy="look at what comes into it in the data flow",
        )


def _not_finite(output: object) -> bool:
    return isinstance(output, torch.Tensor) and output.is_floating_point() and not bool(torch.isfinite(output).all())


def bad_gradients(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Gradients that are not finite although all that was computed forward is."""
    if any(not s.finite for s in evidence.spreads) or not evidence.backward:
        return
    found = [
        s
        for s in firsts(evidence)
        if any(p.grad is not None and _not_finite(p.grad) for p in s.module._parameters.values() if p is not None)
    ]
    if found:
        yield Finding(
            code="not-finite",
            place=found[-1].place,
            says=f"the gradients of {named(found[-1].place)} are nan or infinite",
            cause="something behind it has no slope there, such as the root of 0, or a division by nearly 0",
            remedy="keep away from that point: sqrt(x + 1e-6), clamp(min=1e-6)",
        )


def no_gradient(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Parameters without a gradient: read as .data or detached, or not used at all."""
    if evidence.error or evidence.blown or not evidence.numbers or any(not s.finite for s in evidence.spreads):
        return
    for spot in firsts(evidence):
        if names := _without(spot):
            yield _ungraded(evidence, spot, names)


def _without(spot: Spot) -> list[str]:
    return [n for n, p in spot.module.named_parameters(recurse=False) if p.requires_grad and p.grad is None]


def _ungraded(evidence: Evidence, spot: Spot, names: list[str]) -> Finding:
    used = evidence.moves(spot.module, names)
    if used:
        cause = "the output depends on it, but forward reads .data, detaches it or runs under no_grad"
        remedy = "use the parameter itself in forward, without .data and detach()"
    else:
        cause = "the output does not depend on it" + ("" if spot.place in evidence.called else ": forward never calls it")
        remedy = "use it in forward, or take it out"
    return Finding(
        code="no-gradient" if used else "unused",
        place=spot.place,
        says=f"{listed(names)} of {named(spot.place)} get{'s' if len(names) == 1 else ''} no gradient",
        cause=cause,
        remedy=remedy,
    )


def unused(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Layers without parameters that forward never calls; those with parameters are found by their gradients."""
    if evidence.error:
        return
    told: set[Place] = set()
    for spot in firsts(evidence):
        if type(spot.module).__name__ in SKIPPED or any(spot.place[:i] in told for i in range(len(spot.place))):
            continue
        if spot.module._modules and spot.place and not _reached(evidence, spot) and not list(spot.module.parameters()):
            told.add(spot.place)
            yield _idle(spot)
            continue
        if spot.module._modules or list(spot.module.parameters()) or spot.place in evidence.called:
            continue
        if any(spot.place[:i] in evidence.whole for i in range(len(spot.place))):  # part of something unused
            continue
        if isinstance(spot.module, nn.Identity | nn.ModuleList | nn.ModuleDict | nn.Sequential):
            continue
        yield _idle(spot)


def _reached(evidence: Evidence, spot: Spot) -> bool:
    return any(place[: len(spot.place)] == spot.place for place in evidence.called)


def _idle(spot: Spot) -> Finding:
    return Finding(
        code="unused",
        place=spot.place,
        says=f"nothing uses {named(spot.place)}",
        cause="forward never calls it",
        remedy="use it in forward, or take it out",
    )


def identical(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for spot in firsts(evidence):
        for name, weight in spot.module.named_parameters(recurse=False):
            if is_lazy(weight) or weight.dim() < 2 or weight.shape[0] < 2 or weight.grad is None:
                continue
            alike = weight.detach().flatten(1)
            slopes = weight.grad.flatten(1)
            if bool((alike == alike[0]).all()) and bool(torch.allclose(slopes, slopes[0].expand_as(slopes), 1e-4, 1e-12)):
                yield Finding(
                    code="identical",
                    place=spot.place,
                    says=f"all {weight.shape[0]} units of {named(spot.place)} are the same",
                    cause=f"the rows of {name} are equal (rank {int(bool(alike.any()))}) and so are their gradients: "
                    "they stay equal however long it trains",
                    remedy="initialise the weight at random",
                )


def dead(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for place, share in evidence.dead.items():
        if share >= DEAD:
            yield Finding(
                code="dead-relu",
                place=place,
                says=f"{share:.0%} of the units of {named(place)} are 0 for all {evidence.samples} samples",
                cause="what comes in is never above 0; a unit that never fires gets no gradient",
                remedy="initialise the layer before it anew, lower the learning rate, or use LeakyReLU",
            )


def scales(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Activations and gradients that grow or shrink through the depth."""
    finite = [s for s in evidence.spreads if s.module._parameters and s.finite]
    weighted = [s for s in finite if s.size > 0]
    slopes = [(s.place, _slope(s.module)) for s in firsts(evidence)]
    sizes = [(place, size) for place, size in slopes if size is not None]
    if len(sizes) > 8 and not evidence.stopped and sum(size == 0 for _, size in sizes) > len(sizes) // 2 and sizes[-1][1] > 0:
        yield from _scale(0.0, sizes[0][0], "gradient", "gradients", "first layers'", "last layers'")
        return
    if len(weighted) >= 3:
        first, last = _ends([s.size for s in weighted])
        yield from _scale(last / first, weighted[-1].place, "activation", "activations", "last layers'", "first layers'")
    zero_head = bool(weighted) and all(not bool(p.any()) for p in weighted[-1].module._parameters.values() if p is not None)
    if len(sizes) >= 3 and not zero_head:
        first, last = _ends([size for _, size in sizes])
        if first > 0 < last:
            place = sizes[0][0]
            yield from _scale(first / last, place, "gradient", "gradients", "first layers'", "last layers'")


def _ends(values: list[float]) -> tuple[float, float]:
    quarter = max(1, len(values) // 4)
    return max(values[:quarter]), max(values[-quarter:])


def _slope(module: nn.Module) -> float | None:
    found = [p.grad for p in module._parameters.values() if p is not None and p.grad is not None and p.dim() > 1]
    return max((g.double().square().mean().sqrt().item() for g in found), default=None)


def _scale(ratio: float, place: Place, code: str, what: str, these: str, those: str) -> Iterator[Finding]:
    if not 1 / GROWTH <= ratio <= GROWTH:
        grows = ratio > 1 or math.isnan(ratio)
        yield Finding(
            code=f"{'exploding' if grows else 'vanishing'}-{code}",
            place=place,
            says=f"the {these} {what} are {f'{ratio:.0e} times' if ratio else 'nothing beside'} the {those}",
            cause="each layer multiplies the scale by about the same factor",
            remedy="use Xavier or Kaiming initialisation, normalisation layers, or other activations",
        )


# what comes out


def softmax(evidence: Evidence, question: Question) -> Iterator[Finding]:
    output = evidence.evaluated
    if not question.classes or not isinstance(output, torch.Tensor) or output.dim() != 2 or output.shape[1] < 2:
        return
    if not output.is_floating_point() or output.layout != torch.strided:
        return
    if bool((output >= 0).all()) and bool((output.float().sum(1) - 1).abs().max() < 1e-3):
        place = evidence.last
        module = {spot.place: spot.module for spot in evidence.spots}.get(place)
        own = isinstance(module, nn.Softmax)
        yield Finding(
            code="softmax",
            place=place if own else (),
            says="the outputs are probabilities already",
            cause="cross-entropy takes the softmax itself; twice, the gradients become small and the loss stays high",
            remedy="take the softmax away; the class with the largest number stays the same",
            fix=Step(says="delete the softmax", change=Change(action="delete", place=place)) if own else None,
        )


def output_size(evidence: Evidence, question: Question) -> Iterator[Finding]:
    n, output, k = evidence.samples, evidence.evaluated, question.outputs
    if evidence.error:
        return
    if not evidence.numbers:
        yield Finding(
            code="outputs",
            place=(),
            says=f"forward gives {evidence.raw}, which has no numbers to learn from",
            cause="a loss needs a tensor of floating point numbers",
            remedy="return the tensor itself from forward",
        )
        return
    if not k or (evidence.single and isinstance(output, torch.Tensor) and output.shape == (n, k)):
        return
    if isinstance(output, torch.Tensor) and output.dim() == 0:
        return  # mixing says it
    need = (
        f"{'1 class asks' if k == 1 else f'{k} classes ask'} for [{n}, {k}]"
        if question.classes
        else f"a number to predict asks for [{n}, 1]"
    )
    cause, remedy, fix, place = "the last layer does not have the size that the data ask for", "", None, evidence.last
    spot = next((s for s in evidence.spots if s.place == place), None)
    if not evidence.single:
        cause, remedy, place = "forward gives more than one tensor", "return the tensor of outputs alone", ()
    elif isinstance(output, torch.Tensor) and output.numel() == n * k:
        cause, remedy, place = "the numbers are right, their shape is not", f"end with .reshape(-1, {k})", ()
    elif isinstance(output, torch.Tensor) and output.dim() > 2:
        cause, remedy, place = (
            "the samples are not flat when they come to the last layer",
            "put a Flatten before the first Linear",
            (),
        )
    elif evidence.last_output is not evidence.output:
        place = ()
    elif (
        spot
        and isinstance(spot.module, nn.Linear)
        and isinstance(output, torch.Tensor)
        and spot.module.out_features == output.shape[-1]
    ):
        remedy = f"give the last layer {counted(k, 'output')}"
        change = Change(action="argument", place=place, text=f"out_features={k}")
        if sum(s.module is spot.module for s in evidence.spots) == 1:
            fix = Step(says=f"set out_features to {k}", change=change)
    yield Finding(
        code="outputs",
        place=place,
        says=f"the network gives {evidence.raw} for {n} samples; {need}",
        cause=cause,
        remedy=remedy or f"let the network give {counted(k, 'number')} a sample",
        fix=fix,
    )


def random_in_evaluation(evidence: Evidence, _: Question) -> Iterator[Finding]:
    one, two = evidence.evaluated, evidence.again
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor) and one.shape == two.shape and not _close(one, two):
        yield Finding(
            code="random",
            place=(),
            says="the same samples give other outputs each time, in evaluation mode too",
            cause="something random does not look at self.training, such as F.dropout(x)",
            remedy="use nn.Dropout, or F.dropout(x, training=self.training)",
        )


def mixing(evidence: Evidence, _: Question) -> Iterator[Finding]:
    whole, part, n = evidence.evaluated, evidence.part, evidence.samples
    if not isinstance(whole, torch.Tensor) or not isinstance(part, torch.Tensor) or n < 4 or _not_finite(whole):
        return
    if not _close(whole, evidence.again):
        return  # random anyway
    if whole.dim() == 0 or whole.shape[0] != n:
        yield Finding(
            code="mixing",
            place=(),
            says=f"{n} samples give an output of shape {list(whole.shape)}, whose first dimension is not the samples'",
            cause="forward sums or averages over the batch",
            remedy="keep the first dimension: sum over the others, as in x.sum(-1)",
        )
    elif part.dim() and not _close(whole.flip(0)[: len(part)], part):
        yield Finding(
            code="mixing",
            place=(),
            says="a sample's output depends on which other samples are in the batch, in evaluation mode too",
            cause="something works along the first dimension: X.mean(), batch norm without running statistics, "
            "an LSTM without batch_first",
            remedy="leave the first dimension to the samples: X.mean(-1, keepdim=True), batch_first=True",
        )


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.layout != torch.strided:
        return one.shape == two.shape
    finite = one.detach()[torch.isfinite(one)]
    scale = finite.abs().max().item() if finite.numel() else 0.0
    return bool(torch.allclose(one, two, rtol=1e-4, atol=1e-5 * max(scale, 1e-6), equal_nan=True))


def outer(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for place, what in dict(evidence.outer).items():
        yield Finding(
            code="broadcast",
            place=place,
            says=f"{named(place)} combines every sample with every other one",
            cause=f"{what}: the shapes only fit by broadcasting",
            remedy="give both the same shape first, with reshape, squeeze or unsqueeze",
        )


def last_dropout(evidence: Evidence, _: Question) -> Iterator[Finding]:
    spot = next((s for s in evidence.spots if s.place == evidence.last), None)
    if spot and isinstance(spot.module, DROPOUTS) and spot.module.p > 0:
        yield Finding(
            code="dropout",
            place=spot.place,
            says=f"{named(spot.place)} leaves out outputs",
            cause="it is the last layer: in training a part of the answers is 0",
            remedy="put it before the last Linear",
            fix=Step(says="delete it", change=Change(action="delete", place=spot.place)),
        )


CHECKS: tuple[Check, ...] = (
    failed, nothing_to_learn, hidden, not_finite, bad_activations, bad_gradients, output_size, softmax, no_gradient, unused,
    frozen, plain, identical, dead, scales, switched_off, last_dropout, mixing, random_in_evaluation, outer, unfinished,
)  # fmt: skip
