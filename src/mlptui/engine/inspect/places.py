"""A network's modules by place: what stands where, with ties, and what belongs to whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from mlptui.core.bench import Place, Row
from mlptui.core.text import safe

T = TypeVar("T")
MAX_PLACES = 20_000
MAX_ARGUMENTS = 400
HOLDERS = (torch.Tensor, list, tuple, dict)
TORCHS_OWN = frozenset(vars(nn.Module()))  # attributes that every module has


@dataclass(frozen=True)
class Spot:
    """A module at one place; `first` is the place where it stands for the first time."""

    place: Place
    module: nn.Module
    first: Place


def spots(model: nn.Module, most: int = MAX_PLACES) -> list[Spot]:
    """Every place, depth first, shared modules once a place; at most `most`, and a module inside of itself only once."""
    found: list[Spot] = []
    first: dict[int, Place] = {}

    def walk(module: nn.Module, place: Place, above: frozenset[int]) -> None:
        if len(found) >= most or id(module) in above:
            return
        found.append(Spot(place, module, first.setdefault(id(module), place)))
        inside = above | {id(module)} if module._modules else above
        for name, child in module._modules.items():
            if child is not None:
                walk(child, (*place, name), inside)

    walk(model, (), frozenset())
    return found


def lazy_names(module: nn.Module) -> list[str]:
    """The module's own parameters and buffers that have no size yet."""
    own = (*module._parameters.items(), *module._buffers.items())
    return [name for name, tensor in own if tensor is not None and is_lazy(tensor)]


def registered(model: nn.Module) -> frozenset[int]:
    """The identities of all that belongs to a network: parameters, buffers, modules."""
    return frozenset(map(id, [*model.parameters(), *model.buffers(), *model.modules()]))


def plain_tensors(module: nn.Module, known: frozenset[int] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors that are no part of the network, so that state_dict() and .to() pass them by. Also in lists and dictionaries.

    `known` is `registered(model)` of the whole network. What a forward computed and left behind is no state.
    """
    own = vars(module)
    held = [(name, own[name]) for name in own.keys() - TORCHS_OWN if isinstance(own[name], HOLDERS)]
    if not held:
        return
    known = registered(module) if known is None else known
    derived = {h.name for h in module._forward_pre_hooks.values() if hasattr(h, "name") and hasattr(h, "compute_weight")}
    for name, value in sorted(held, key=lambda pair: list(own).index(pair[0])):
        if name in derived:  # the old weight_norm's weight
            continue
        for path, tensor in _held(name, value, torch.Tensor):
            if id(tensor) not in known and (tensor.grad_fn is None or isinstance(tensor, nn.Parameter)):
                yield path, tensor


def hidden_modules(module: nn.Module, known: frozenset[int]) -> Iterator[tuple[str, nn.Module]]:
    """Modules in plain lists and dictionaries, which are no part of the network."""
    for name, value in vars(module).items():
        if name not in TORCHS_OWN and isinstance(value, list | tuple | dict):
            yield from ((path, m) for path, m in _held(name, value, nn.Module) if id(m) not in known)


def _held(name: str, value: Any, kind: type[T], depth: int = 0) -> Iterator[tuple[str, T]]:
    """What of a kind an attribute is or holds, two levels deep, with the words that reach it."""
    if isinstance(value, kind):
        yield name, value
    elif depth < 2 and isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _held(f"{name}[{i}]", item, kind, depth + 1)
    elif depth < 2 and isinstance(value, dict):
        for key, item in value.items():
            yield from _held(f"{name}[{_key(key)}]", item, kind, depth + 1)


def own_tensors(module: nn.Module, known: frozenset[int] | None = None) -> Iterator[tuple[str, torch.Tensor, str]]:
    """A module's own tensors with their names and kinds: parameter, buffer (saved or not), plain tensor."""
    yield from ((name, p, "parameter") for name, p in module._parameters.items() if p is not None)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield name, buffer, "buffer" + (", not saved" if name in module._non_persistent_buffers_set else "")
    yield from ((name, tensor, "plain tensor") for name, tensor in plain_tensors(module, known))


def _key(key: object) -> str:
    return repr(key) if isinstance(key, str | int) else type(key).__name__


def rows(model: nn.Module, given: dict[Place, str] | None = None) -> list[Row]:
    """One row a place. Totals count a subtree's parameters once, as `sum(p.numel() for p in module.parameters())` does.

    `given` has the arguments of places as they were written; else the module's own words stand.
    """
    given = given or {}
    found, known = spots(model), registered(model)
    inside: dict[int, set[torch.Tensor]] = {}
    above: set[int] = set()
    looped: set[int] = set()

    def tensors(module: nn.Module) -> set[torch.Tensor]:
        if id(module) in above:  # a module inside of itself
            looped.add(id(module))
            return set()
        if id(module) not in inside:
            above.add(id(module))
            own = {t for t in [*module._parameters.values(), *module._buffers.values()] if t is not None}
            inside[id(module)] = own.union(*(tensors(child) for child in module._modules.values() if child is not None))
            above.discard(id(module))
        return inside[id(module)]

    owner: dict[torch.Tensor, Place] = {}
    result = []
    for spot in found:
        place, module = spot.place, spot.module
        words = given[place] if place in given else arguments(module)
        if not module._parameters and not module._modules and not module._buffers:  # half of most networks
            tied = spot.first if spot.first != place else None
            layer = safe(type(module).__name__, 100)
            result.append(
                Row.model_construct(
                    place=place, layer=layer, arguments=words, tied_to=tied, marks=tuple(marks(spot, [], owner, known))
                )
            )
            continue
        mine = [p for p in module._parameters.values() if p is not None]
        new = [p for p in mine if owner.setdefault(p, spot.place) == spot.place]
        below = tensors(spot.module)
        if looped:
            below = {*spot.module.parameters(), *spot.module.buffers()}
        weights = [p for p in below if isinstance(p, nn.Parameter)]
        sized = [t for t in below if not is_lazy(t)]
        kinds = {(str(t.device), str(t.dtype).removeprefix("torch.")) for t in sized}
        free = {p.requires_grad for p in weights}
        result.append(
            Row.model_construct(
                place=spot.place,
                layer=safe(type(spot.module).__name__, 100),
                arguments=words,
                children=sum(child is not None for child in spot.module._modules.values()),
                own=sum(p.numel() for p in dict.fromkeys(new) if not is_lazy(p)),
                total=sum(p.numel() for p in weights if not is_lazy(p)),
                unknown=sum(is_lazy(p) for p in weights),
                buffers=sum(t.numel() for t in sized if not isinstance(t, nn.Parameter)),
                size=sum(t.numel() * t.element_size() for t in sized),
                device=", ".join(sorted({device for device, _ in kinds})),
                dtype=", ".join(sorted({dtype for _, dtype in kinds})),
                trainable="" if not free else "yes" if free == {True} else "no" if free == {False} else "part",
                tied_to=spot.first if spot.first != spot.place else None,
                marks=tuple(marks(spot, mine, owner, known)),
            )
        )
    return result


def marks(spot: Spot, mine: list[nn.Parameter], owner: dict[torch.Tensor, Place], known: frozenset[int]) -> Iterator[str]:
    """What a person should know of a module beside its numbers, in words."""
    module = spot.module
    if lazy_names(module):
        yield "lazy"
    if spot.first == spot.place:
        names = {p: name for name, p in module._parameters.items() if p is not None}
        for p, name in names.items():
            if owner[p] != spot.place:
                yield f"{safe(name, 80)} tied to {'.'.join(owner[p]) or 'the network'}"
    yield from (f"plain tensor {safe(name, 80)}" for name, _ in plain_tensors(module, known))
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
    total = trainable = lazy = 0
    for parameter in model.parameters():
        if is_lazy(parameter):
            lazy += 1
            continue
        number = parameter.numel()
        total += number
        trainable += number if parameter.requires_grad else 0
    return total, trainable, lazy
