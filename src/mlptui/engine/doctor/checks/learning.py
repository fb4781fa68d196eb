"""What a forward and a backward pass show: what fails, what gets no gradient, what is dead, what explodes or vanishes."""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.bench import Finding, Place
from mlptui.engine.doctor.checks.common import Question, firsts, listed, named, not_all_finite
from mlptui.engine.doctor.evidence import Evidence
from mlptui.engine.inspect.places import Spot

DEAD = 0.9  # share of units that never fire, from which on a rectifier is called dead
GROWTH = 1e6  # how much larger or smaller than the first layers' the last layers' activations or gradients may be
SKIPPED = ("StochasticDepth", "DropPath")  # blocks without a way around them make one and do not call it


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
    if place is None and (evidence.blown or not_all_finite(evidence.evaluated)):
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


def bad_gradients(evidence: Evidence, _: Question) -> Iterator[Finding]:
    """Gradients that are not finite although all that was computed forward is."""
    if any(not s.finite for s in evidence.spreads) or not evidence.backward:
        return
    found = [
        s
        for s in firsts(evidence)
        if any(p.grad is not None and not_all_finite(p.grad) for p in s.module._parameters.values() if p is not None)
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
