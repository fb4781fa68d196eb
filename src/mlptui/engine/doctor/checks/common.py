"""What the checks share: the question, and how places and names are written."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from mlptui.core.bench import Finding, Place
from mlptui.core.text import safe
from mlptui.engine.doctor.evidence import Evidence
from mlptui.engine.inspect.places import Spot

MANY = 4  # names that are told one by one
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


def not_all_finite(output: object) -> bool:
    return isinstance(output, torch.Tensor) and output.is_floating_point() and not bool(torch.isfinite(output).all())
