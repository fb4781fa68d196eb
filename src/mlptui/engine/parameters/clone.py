"""d2l's lesson on files: build the network anew, load the state_dict, send the same input through both, compare.

Source: Zhang et al., Dive into Deep Learning, section 6.6 (File I/O): `Y_clone == Y`.
"""

import math

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mlptui.core.architecture.parse import parse
from mlptui.core.parameters.messages import Cloned
from mlptui.core.text import safe
from mlptui.engine.build import build
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import copied, same_randomness
from mlptui.engine.inspect.places import spots
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named, same_bytes, tensors
from mlptui.engine.seeding import mix, seed_weights

NAMED = 6  # reasons that are told


def clone(model: nn.Module, text: str, seed: int, batch: torch.Tensor) -> Cloned:
    """Outputs of the network and of its clone, in evaluation mode and as they train. The network is left as it is.

    Raises ParameterError where the clone cannot be made or run.
    """
    if lazy := next((path for path, named in tensors(model).items() if named.lazy), ""):
        raise ParameterError(f"{safe(lazy, 100)} has no size yet; give the network an input first (! in area 2)")
    with same_randomness():
        twin = copied(model)
        try:
            seed_weights(mix(seed, 1))  # as another process would draw it
            other = build(parse(text))
            with torch.no_grad():
                other.eval()(batch)  # gives lazy layers their sizes
            other.load_state_dict(twin.state_dict())
        except Exception as error:
            raise ParameterError(f"the clone does not take the state_dict: {one_line(error)}") from None
        unsaved = _unsaved(twin, other)
        try:
            calm = _outputs(twin.eval(), batch, seed), _outputs(other.eval(), batch, seed)
            busy = _outputs(twin.train(), batch, seed + 1), _outputs(other.train(), batch, seed + 2)
            equal, largest = _compared(*calm)
            while_training, _ = _compared(*busy)
        except ParameterError:
            raise
        except Exception as error:
            raise ParameterError(f"the input does not pass: {one_line(error)}") from None
    reasons = [f"{safe(name, 100)} is a {kind}: no state_dict has it, so it was not saved" for name, kind in unsaved]
    count, training_count = (sum(part.numel() for part in parts) for parts in (calm[0], busy[0]))
    if equal == count and while_training < training_count:
        reasons += _drawing(twin)
    return Cloned(
        count=count,
        equal=equal,
        largest=largest,
        training_equal=while_training,
        training_count=training_count,
        reasons=tuple(reasons[:NAMED]),
        first=tuple(float(x) for x in calm[0][0].reshape(-1)[:4]),
        second=tuple(float(x) for x in calm[1][0].reshape(-1)[:4]),
    )


def _outputs(model: nn.Module, batch: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """All tensors of what the network gives, in tuples, lists and dictionaries, too; complex ones as pairs of real numbers.

    Raises ParameterError where there is none.
    """
    torch.manual_seed(mix(seed))
    with torch.no_grad():
        found = [part for part in tree_leaves(model(batch)) if isinstance(part, torch.Tensor)]
    if not found:
        raise ParameterError("what the network gives holds no tensor that could be compared")
    return [torch.view_as_real(part) if part.is_complex() else part for part in found]


def _compared(one: list[torch.Tensor], other: list[torch.Tensor]) -> tuple[int, float]:
    """How many numbers are equal (nan equals nan), and the largest difference."""
    if [part.shape for part in one] != [part.shape for part in other]:
        raise ParameterError("the clone gives tensors of other shapes")
    equal, largest = 0, 0.0
    for a, b in zip(one, other, strict=True):
        same = (a == b) | (a.isnan() & b.isnan())
        equal += int(same.sum())
        if a.numel():
            largest = max(largest, float(torch.where(same, 0.0, (a.double() - b.double()).abs()).nan_to_num(math.inf).max()))
    return equal, largest


def _unsaved(one: nn.Module, other: nn.Module) -> list[tuple[str, str]]:
    """What differs after loading, because no state_dict has it."""
    mine, theirs = tensors(one), tensors(other)

    def differs(path: str, named: Named) -> bool:
        there = theirs.get(path)
        return there is None or named.tensor.shape != there.tensor.shape or not same_bytes(named.tensor, there.tensor)

    kinds = ("plain tensor", "buffer, not saved")
    return [
        (path, named.kind) for path, named in mine.items() if named.kind in kinds and not named.lazy and differs(path, named)
    ]


def _drawing(model: nn.Module) -> list[str]:
    """Layers that draw random numbers while they train."""
    dropping = [s for s in spots(model) if "Dropout" in type(s.module).__name__ and getattr(s.module, "p", None)]
    if not dropping:
        return ["it draws random numbers while it trains"]
    return [f"{type(s.module).__name__} at {'.'.join(s.place) or 'the network'} is active while it trains" for s in dropping]
