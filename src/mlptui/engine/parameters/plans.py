"""Tensors of a file into a network, as a plan says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from mlptui.core.parameters import plan
from mlptui.core.parameters.messages import Plan, Planned, PlanRow
from mlptui.core.parameters.plan import LOAD, SLICE, Match
from mlptui.core.text import counted, safe
from mlptui.engine.parameters import contents, files, tensors
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named
from mlptui.store.paths import Paths

SAVED = ("parameter", "buffer", "tensor")  # the last in files


@dataclass(frozen=True)
class Drawn:
    """A plan with the tensors that it is about; `version` is another one when the file is."""

    of: str
    version: str
    matches: list[Match]
    targets: Mapping[str, Named]
    sources: Mapping[str, torch.Tensor]

    def new(self, match: Match) -> torch.Tensor:
        """What the network's tensor would hold: memory of its own, in its own type."""
        old, given = self.targets[match.target].tensor.detach(), self.sources[match.source].detach()
        if match.action == SLICE:
            part = plan.overlap(tuple(old.shape), tuple(given.shape))
            made = old.clone()
            made[part] = given[part].to(old.dtype)
            return made
        return given.to(old.dtype, copy=True).contiguous()

    @property
    def loaded(self) -> list[Match]:
        return [match for match in self.matches if match.action in (LOAD, SLICE)]


def draw(paths: Paths, model: nn.Module, request: Plan) -> Drawn:
    """The plan for this network. What has checksums in the file is compared with them.

    Raises ParameterError, UsageError, FormatError, CheckpointError, RunError.
    """
    if not files.is_there(paths, request.source):
        raise ParameterError(f"{safe(request.source, 200)} is no checkpoint, run or file of tensors that is there")
    version = hashlib.sha256(repr(files.version(paths, request.source)).encode()).hexdigest()
    if request.version not in ("", version):
        raise ParameterError(f"{safe(request.source, 200)} has changed since its plan was drawn; draw it again")
    folder, of = files.opened(paths, request.source)
    files.check(folder)
    given = {name: tensor.detach() for name, tensor in folder.named_parameters(remove_duplicate=False)}
    sources = {name: given[name] for name in folder.facts.order}
    known = tensors.tensors(model)
    targets = {
        name: named
        for name, named in known.items()
        if "[" not in named.name and ((named.kind in SAVED and not named.alias_of) or (not named.alias_of and name in sources))
    }
    if lazy := next((name for name, named in targets.items() if named.lazy), ""):
        raise ParameterError(f"{safe(lazy, 100)} has no size yet; give the network an input first (! in area 2)")
    mapped: dict[str, str] = {}
    same = set()
    for name, first in ((name, named.alias_of) for name, named in known.items() if named.alias_of and name in sources):
        if first not in sources:  # the file has what is one tensor here under its other name
            mapped.setdefault(first, name)
        elif tensors.same_bytes(sources[first], sources[name]):
            same.add(name)
    shapes = {name: tuple(t.shape) for name, t in sources.items() if name not in same}
    matches = plan.match(
        {name: tuple(named.tensor.shape) for name, named in targets.items()},
        shapes,
        mapped | dict(request.mapped),
        frozenset(request.skipped),
        frozenset(request.sliced),
    )
    return Drawn(of, version, matches, targets, sources)


def told(drawn: Drawn) -> Planned:
    """The plan in plain values, with what it would change."""
    return Planned(of=drawn.of, version=drawn.version, rows=tuple(_row(drawn, match) for match in drawn.matches))


def _row(drawn: Drawn, match: Match) -> PlanRow:
    old = drawn.targets[match.target].tensor.detach() if match.target else None
    given = drawn.sources[match.source] if match.source else None
    types = ""
    if old is not None and given is not None and old.dtype != given.dtype:
        types = " to ".join(str(t.dtype).removeprefix("torch.") for t in (given, old))
    difference = None
    if match.action in (LOAD, SLICE) and old is not None:
        new = drawn.new(match)
        difference = 0.0 if tensors.same_bytes(old, new) else files.difference(old, new)[0] or 5e-324
    return PlanRow(
        target=safe(match.target, 400),
        source=safe(match.source, 400),
        state=match.state,
        action=match.action,
        target_shape=() if old is None else tuple(old.shape),
        source_shape=() if given is None else tuple(given.shape),
        types=types,
        difference=difference,
    )


def put(drawn: Drawn) -> str:
    """Do it; what was done in words. Raises ParameterError where nothing fits."""
    loaded = drawn.loaded
    if not loaded:
        raise ParameterError(f"nothing of {safe(drawn.of, 100)} fits this network")
    new = [(drawn.targets[match.target], drawn.new(match)) for match in loaded]
    for named, data in new:
        contents.put(named.tensor, data)
    kept = sum(1 for match in drawn.matches if match.target) - len(loaded)
    left = sum(1 for match in drawn.matches if not match.target)
    more = (f", {kept} kept as they were" if kept else "") + (f", {left} of the file left over" if left else "")
    return f"{counted(len(loaded), 'tensor')} of {safe(drawn.of, 100)} loaded{more}"
