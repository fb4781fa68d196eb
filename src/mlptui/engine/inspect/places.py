"""A network's modules by place: what stands where, with ties, and what belongs to whom."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from mlptui.core.bench import Place, Row
from mlptui.core.text import safe

MAX_PLACES = 20_000
MAX_ARGUMENTS = 400


@dataclass(frozen=True)
class Spot:
    """A module at one place; `first` is the place where it stands for the first time."""

    place: Place
    module: nn.Module
    first: Place


def spots(model: nn.Module) -> list[Spot]:
    """Every place, depth first, shared modules once a place; at most MAX_PLACES, and a module inside of itself only once."""
    found: list[Spot] = []
    first: dict[int, Place] = {}

    def walk(module: nn.Module, place: Place, above: frozenset[int]) -> None:
        if len(found) >= MAX_PLACES or id(module) in above:
            return
        found.append(Spot(place, module, first.setdefault(id(module), place)))
        inside = above | {id(module)} if module._modules else above
        for name, child in module._modules.items():
            if child is not None:
                walk(child, (*place, name), inside)

    walk(model, (), frozenset())
    return found


def plain_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors that are neither parameters nor buffers, so that state_dict() and .to() pass them by. Also in lists and dicts."""
    derived = {h.name for h in module._forward_pre_hooks.values() if hasattr(h, "name") and hasattr(h, "compute_weight")}
    for name, value in vars(module).items():
        if name in ("_parameters", "_buffers", "_modules") or name in derived:  # derived: the old weight_norm's weight
            continue
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, list | tuple):
            yield from ((f"{name}[{i}]", item) for i, item in enumerate(value) if isinstance(item, torch.Tensor))
        elif isinstance(value, dict):
            yield from ((f"{name}[{key!r}]", item) for key, item in value.items() if isinstance(item, torch.Tensor))


def own_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor, str]]:
    """A module's own tensors with their names and kinds: parameter, buffer (saved or not), plain tensor."""
    yield from ((name, p, "parameter") for name, p in module._parameters.items() if p is not None)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield name, buffer, "buffer" + (", not saved" if name in module._non_persistent_buffers_set else "")
    yield from ((name, tensor, "plain tensor") for name, tensor in plain_tensors(module))


def rows(model: nn.Module) -> list[Row]:
    """One row a place. Totals count each parameter of a subtree once, as `sum(p.numel() for p in module.parameters())` does."""
    found = spots(model)
    inside: dict[int, set[torch.Tensor]] = {}

    def tensors(module: nn.Module) -> set[torch.Tensor]:
        if id(module) not in inside:
            inside[id(module)] = set()  # a module inside of itself adds nothing
            own = {t for t in [*module._parameters.values(), *module._buffers.values()] if t is not None}
            inside[id(module)] = own.union(*(tensors(child) for child in module._modules.values() if child is not None))
        return inside[id(module)]

    owner: dict[torch.Tensor, Place] = {}
    result = []
    for spot in found:
        mine = [p for p in spot.module._parameters.values() if p is not None]
        new = [p for p in mine if owner.setdefault(p, spot.place) == spot.place]
        below = tensors(spot.module)
        weights = [p for p in below if isinstance(p, nn.Parameter)]
        known = [t for t in below if not is_lazy(t)]
        kinds = {(str(t.device), str(t.dtype).removeprefix("torch.")) for t in known}
        free = {p.requires_grad for p in weights}
        result.append(
            Row(
                place=tuple(safe(name, 200) for name in spot.place),
                layer=safe(type(spot.module).__name__, 100),
                arguments=arguments(spot.module),
                children=sum(child is not None for child in spot.module._modules.values()),
                own=sum(p.numel() for p in dict.fromkeys(new) if not is_lazy(p)),
                total=sum(p.numel() for p in weights if not is_lazy(p)),
                unknown=sum(is_lazy(p) for p in weights),
                buffers=sum(t.numel() for t in known if not isinstance(t, nn.Parameter)),
                size=sum(t.numel() * t.element_size() for t in known),
                device=", ".join(sorted({device for device, _ in kinds})),
                dtype=", ".join(sorted({dtype for _, dtype in kinds})),
                trainable="" if not free else "yes" if free == {True} else "no" if free == {False} else "part",
                tied_to=spot.first if spot.first != spot.place else None,
                marks=tuple(marks(spot, mine, owner)),
            )
        )
    return result


def marks(spot: Spot, mine: list[nn.Parameter], owner: dict[torch.Tensor, Place]) -> Iterator[str]:
    """What a person should know of a module beside its numbers, in words."""
    module = spot.module
    if any(is_lazy(t) for t in [*mine, *module._buffers.values()] if t is not None):
        yield "lazy"
    if spot.first == spot.place:
        names = {p: name for name, p in module._parameters.items() if p is not None}
        for p, name in names.items():
            if owner[p] != spot.place:
                yield f"{safe(name, 80)} tied to {'.'.join(owner[p]) or 'the network'}"
    yield from (f"plain tensor {safe(name, 80)}" for name, _ in plain_tensors(module))
    if parametrize.is_parametrized(module):
        yield f"parametrised {', '.join(safe(name, 80) for name in module.parametrizations)}"  # type: ignore[union-attr]
    elif any(hasattr(hook, "compute_weight") for hook in module._forward_pre_hooks.values()):
        yield "parametrised (hook)"
    if mine and all(not p.requires_grad for p in mine):
        yield "frozen"


def arguments(module: nn.Module) -> str:
    """`in_features=784, out_features=256, bias=True`, as the module itself prints it; a person's own may raise."""
    try:
        return safe(" ".join(str(module.extra_repr()).split()), MAX_ARGUMENTS)
    except Exception as error:
        return f"(its extra_repr raises {type(error).__name__})"


def parameter_total(model: nn.Module) -> tuple[int, int, int]:
    """All parameters, the trainable ones, and how many tensors have no size yet."""
    known = [p for p in model.parameters() if not is_lazy(p)]
    lazy = sum(is_lazy(p) for p in model.parameters())
    return sum(p.numel() for p in known), sum(p.numel() for p in known if p.requires_grad), lazy
