"""What can be seen of a network without running it."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.bench import Change, Finding, Step
from mlptui.core.text import counted, safe
from mlptui.engine.doctor.checks.common import DROPOUTS, NORMS, Question, firsts, listed, named, one_or
from mlptui.engine.doctor.evidence import Evidence
from mlptui.engine.inspect.places import hidden_modules


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
