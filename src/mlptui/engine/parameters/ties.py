"""Parameters that are one: what a network's tree says of them, and what the network itself has."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from mlptui.core.architecture.tree import Layer
from mlptui.core.text import safe
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named, tensors


def names(ties: tuple[tuple[str, str], ...]) -> list[str]:
    return list(dict.fromkeys(path for pair in ties for path in pair))


def as_built(tree: Layer, model: torch.nn.Module, made: dict[int, torch.nn.Module], among: Iterable[str]) -> Layer:
    """The tree with the ties that its network has among these names: each to the first that is one with it."""
    wanted = {*among, *names(tree.ties)}
    if not wanted:
        return tree
    first: dict[int, Named] = {}
    slots: set[tuple[int, str]] = set()
    ties = []
    for named in tensors(model).values():
        slot = (id(named.module), named.name)
        if named.path not in wanted or slot in slots:
            continue
        slots.add(slot)
        kept = first.setdefault(id(named.tensor), named)
        if kept is not named:
            ties.append((named.path, kept.path))
    if tuple(ties) == tree.ties:
        return tree
    tied = replace(tree, ties=tuple(ties))
    made[id(tied)] = made.pop(id(tree), model)
    return tied


def apart(model: torch.nn.Module, tree: Layer, found: list[Named]) -> list[tuple[Named, torch.Tensor]]:
    """New parameters for names that are to be their own; where all of a group are, the first of them keeps what it has.

    Raises ParameterError.
    """
    tied = names(tree.ties)
    groups: dict[int, set[str]] = {}
    for named in tensors(model).values():
        if named.path in tied:
            groups.setdefault(id(named.tensor), set()).add(named.path)
    slots: list[tuple[Named, torch.Tensor]] = []
    for one in found:
        group = groups.get(id(one.tensor), set())
        if one.path not in tied or (len(group) < 2 and not any(other.tensor is one.tensor for other, _ in slots)):
            name = safe(one.path, 60)
            whole = f"{name} is of a layer that stands at several places; T in area 2 unties it"
            raise ParameterError(whole if one.alias_of else f"{name} cannot be untied: nothing is tied to it")
        group.discard(one.path)
        if group:
            slots.append((one, torch.nn.Parameter(one.tensor.detach().clone(), one.tensor.requires_grad)))
    return slots
