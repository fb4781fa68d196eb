"""Drawing parameters anew, by torch.nn.init's own functions, each tensor from a random state of its own.

A tensor's numbers depend on the seed, on its place among the network's tensors and on its scheme only, so that a rule more or
less changes no other tensor.
"""

import fnmatch
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from mlptui.core.architecture.syntax import nearest
from mlptui.core.parameters import schemes
from mlptui.core.parameters.messages import Rule
from mlptui.core.parameters.schemes import Scheme
from mlptui.core.text import safe
from mlptui.engine.inspect.copies import same_randomness
from mlptui.engine.inspect.places import spots
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named, tensors
from mlptui.engine.parameters.views import default_scheme
from mlptui.engine.seeding import INITIAL, mix

init = nn.init
DRAWERS: dict[str, Callable[[torch.Tensor, Scheme], object]] = {
    "uniform": lambda t, s: init.uniform_(t, s.argument("a"), s.argument("b")),
    "normal": lambda t, s: init.normal_(t, s.argument("mean"), s.argument("std")),
    "trunc_normal": lambda t, s: init.trunc_normal_(
        t, s.argument("mean"), s.argument("std"), s.argument("a"), s.argument("b")
    ),
    "constant": lambda t, s: init.constant_(t, s.argument("val")),
    "ones": lambda t, _: init.ones_(t),
    "zeros": lambda t, _: init.zeros_(t),
    "eye": lambda t, _: init.eye_(t),
    "dirac": lambda t, s: init.dirac_(t, int(s.argument("groups"))),
    "xavier_uniform": lambda t, s: init.xavier_uniform_(t, s.argument("gain")),
    "xavier_normal": lambda t, s: init.xavier_normal_(t, s.argument("gain")),
    "kaiming_uniform": lambda t, s: init.kaiming_uniform_(t, s.argument("a"), s.word("mode"), s.word("nonlinearity")),  # type: ignore[arg-type]
    "kaiming_normal": lambda t, s: init.kaiming_normal_(t, s.argument("a"), s.word("mode"), s.word("nonlinearity")),  # type: ignore[arg-type]
    "orthogonal": lambda t, s: init.orthogonal_(t, s.argument("gain")),
    "sparse": lambda t, s: init.sparse_(t, s.argument("sparsity"), s.argument("std")),
}
SUITED = {  # dimensions that a scheme needs, for the sentence
    "eye": (2, 2, "matrices"),
    "dirac": (3, 5, "weights of convolutions"),
    "sparse": (2, 2, "matrices"),
    "orthogonal": (2, 99, "matrices"),
    "xavier_uniform": (2, 99, "weights with inputs and outputs"),
    "xavier_normal": (2, 99, "weights with inputs and outputs"),
    "kaiming_uniform": (2, 99, "weights with inputs and outputs"),
    "kaiming_normal": (2, 99, "weights with inputs and outputs"),
}


def chosen(model: nn.Module, rules: tuple[Rule, ...]) -> tuple[list[tuple[Named, Scheme]], list[Named]]:
    """Each parameter that a rule is for, once, with its scheme; of several rules the last one holds. Then those passed by.

    A rule with a pattern or a class passes by what its scheme does not suit (Xavier and biases); one that names a tensor does
    not. Raises SchemeError, ParameterError.
    """
    known = {path: named for path, named in tensors(model).items() if named.kind in ("parameter", "tensor")}
    found: dict[int, tuple[Named, Scheme]] = {}
    passed: dict[int, Named] = {}
    for rule in rules:
        scheme = schemes.read(rule.scheme)
        matches = select(model, rule.select, known)
        exact = rule.select in known
        suited = [named for named in matches if not unsuited(named, scheme)]
        for named in matches if exact else suited:
            if problem := unsuited(named, scheme):
                raise ParameterError(problem)
        if not suited:
            raise ParameterError(unsuited(matches[0], scheme))
        passed |= {id(named.tensor): named for named in matches}
        for named in suited:
            found[id(named.tensor)] = (known[named.alias_of or named.path], scheme)
    return list(found.values()), [named for key, named in passed.items() if key not in found]


def select(model: nn.Module, text: str, known: dict[str, Named]) -> list[Named]:
    """The parameters that `*`, `*.weight`, `0.block 1`, `Linear`, `Linear.bias` or a tensor's path means."""
    wanted = text.strip()
    if wanted.startswith(("nn.", "torch.nn.")):  # a class, as PyTorch spells it
        wanted = wanted.removeprefix("torch.").removeprefix("nn.")
    if wanted in known:
        return [known[wanted]]
    below = [named for path, named in known.items() if path.startswith(f"{wanted}.")]
    if below:
        return below
    classes = {type(spot.module).__name__ for spot in spots(model)}
    kind, _, name = wanted.partition(".")
    if kind in classes:
        of = [s.module for s in spots(model) if type(s.module).__name__ == kind]
        inside = {id(p) for module in of for key, p in module.named_parameters() if not name or fnmatch.fnmatchcase(key, name)}
        found = [named for named in known.values() if id(named.tensor) in inside]
    else:
        found = [named for path, named in known.items() if fnmatch.fnmatchcase(path, wanted)]
    if not found:
        close = nearest(wanted, [*known, *classes])
        hint = f"; did you mean {close}?" if close else "; write a path, a pattern as *.weight, or a class as Linear"
        raise ParameterError(f"no parameter is meant by {safe(wanted, 80) or 'nothing'}{hint}")
    return found


def unsuited(named: Named, scheme: Scheme) -> str:
    """Why a scheme cannot draw this tensor; "" where it can."""
    if named.lazy:
        return f"{safe(named.path, 80)} has no size yet; give the network an input first (! in area 2)"
    if not named.tensor.is_floating_point():
        return f"{safe(named.path, 80)} holds {str(named.tensor.dtype).removeprefix('torch.')}, not floating point numbers"
    least, most, words = SUITED.get(scheme.name, (0, 99, ""))
    if not least <= named.tensor.dim() <= most:
        return f"{scheme.name} is for {words}; {safe(named.path, 80)} has the shape {list(named.tensor.shape)}"
    if scheme.name == "dirac" and named.tensor.shape[0] % int(scheme.argument("groups")):
        return f"{named.tensor.shape[0]} outputs cannot be shared by {int(scheme.argument('groups'))} groups"
    if scheme.name == "default" and not default_scheme(named):
        return f"how {type(named.module).__name__} draws its {safe(named.name, 40)} is not known here; write a scheme"
    if not named.tensor.numel():
        return f"{safe(named.path, 80)} holds no numbers"
    return ""


@dataclass(frozen=True)
class Draw:
    """New numbers by tensor, and which tensors a rule meant that its scheme does not suit."""

    drawn: list[tuple[Named, Scheme, torch.Tensor]]
    passed: list[Named]


def draw(model: nn.Module, rules: tuple[Rule, ...], seed: int) -> Draw:
    """For all that the rules are for; the network stays as it is. Raises SchemeError, ParameterError."""
    order = {path: i for i, path in enumerate(tensors(model))}
    found, passed = chosen(model, rules)
    with same_randomness():
        return Draw([(n, s, drawn(n, s, mix(seed, INITIAL, order[n.path]))) for n, s in found], passed)


def drawn(named: Named, scheme: Scheme, seed: int) -> torch.Tensor:
    """A tensor of the same shape, type and device, drawn on the CPU. Leaves the global random state elsewhere."""
    exact = torch.float64 if named.tensor.dtype == torch.float64 else torch.float32
    tensor = torch.empty(named.tensor.shape, dtype=exact)
    torch.manual_seed(seed)
    if scheme.name == "default":
        scheme = schemes.read(default_scheme(named))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bounds far from the mean
        if scheme.name == "mixture":
            _mix(tensor, scheme)
        else:
            DRAWERS[scheme.name](tensor, scheme)
    return tensor.to(named.tensor.device, named.tensor.dtype)


def _mix(tensor: torch.Tensor, scheme: Scheme) -> None:
    """Each number from one piece, chosen with the piece's share."""
    which = torch.rand(tensor.shape)
    start = 0.0
    for i, piece in enumerate(scheme.pieces):
        end = math.inf if i == len(scheme.pieces) - 1 else start + piece.share
        numbers = torch.empty_like(tensor)
        if piece.kind == "U":
            numbers.uniform_(piece.low, piece.high)
        elif piece.kind == "N":
            numbers.normal_(piece.low, piece.high)
        else:
            numbers.fill_(piece.low)
        tensor.copy_(torch.where((which >= start) & (which < end), numbers, tensor))
        start = end
