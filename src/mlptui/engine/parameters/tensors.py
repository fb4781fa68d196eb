"""All tensors of a network by name, each name once, with what a list of them says before any number is read."""

import hashlib
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakTensorKeyDictionary

from mlptui.core.architecture.place import indexed
from mlptui.core.parameters.messages import TensorRow
from mlptui.core.text import safe
from mlptui.core.wire import Place
from mlptui.engine.inspect.places import own_tensors, registered, spots
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.files import TensorFile

DIGEST = 256 << 20  # bytes up to which a network is hashed in passing
_digests: Any = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Named:
    """A tensor under one of its names. `module` holds it as `name`; `place` is the module's, `holder` how that is spelled."""

    path: str
    spelled: str
    holder: str
    place: Place
    module: nn.Module
    name: str
    kind: str
    tensor: torch.Tensor
    alias_of: str

    @property
    def lazy(self) -> bool:
        return bool(is_lazy(self.tensor))


def tensors(model: nn.Module) -> dict[str, Named]:
    """By path, in the order of the tree. A module at two places gives its tensors two names, as in the state_dict."""
    found: dict[str, Named] = {}
    first: dict[int, str] = {}
    known = registered(model)
    children: dict[Place, list[str]] = {}
    here = spots(model, sys.maxsize) if isinstance(model, TensorFile) else spots(model)
    for spot in here:
        children[spot.place] = [name for name, child in spot.module._modules.items() if child is not None]
    for spot in here:
        if not (spot.module._parameters or spot.module._buffers or _may_hold(spot.module)):
            continue
        prefix = ".".join(spot.place)
        of_file = isinstance(model, TensorFile)
        spelled = _by_names(spot.place) if of_file else indexed(spot.place, children)
        for name, tensor, its in own_tensors(spot.module, known):
            kind = "tensor" if isinstance(spot.module, TensorFile) else its
            path = f"{prefix}.{name}" if prefix else name
            alias = first.setdefault(id(tensor), path)
            found[path] = Named(
                path,
                spelled + (_by_names((name,)) if of_file else f".{name}"),
                spelled,
                spot.place,
                spot.module,
                name,
                kind,
                tensor,
                alias if alias != path else "",
            )
    return found


def _by_names(place: Place) -> str:
    """In a file a number is a name: some layers hold no tensors, and so nothing counts there."""
    return "".join(f"[{name}]" if name.isascii() and name.isdecimal() else indexed((name,), {}) for name in place)


def _may_hold(module: nn.Module) -> bool:
    return not type(module).__module__.startswith("torch.nn")


def row(named: Named) -> TensorRow:
    tensor, lazy = named.tensor, named.lazy
    if named.kind == "parameter":
        listed = "state_dict" if named.alias_of else "both"
    else:
        listed = {"buffer": "state_dict", "tensor": "both"}.get(named.kind, "")
    return TensorRow.model_construct(
        path=safe(named.path, 400),
        spelled=safe(named.spelled, 400),
        tensor=named.kind,
        layer=safe(type(named.module).__name__, 80),
        shape=None if lazy else tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        device=str(tensor.device),
        count=0 if lazy else tensor.numel(),
        trainable=tensor.requires_grad and named.kind == "parameter",
        gradient=tensor.is_leaf and tensor.grad is not None,
        alias_of=safe(named.alias_of, 400),
        listed=listed,
        drawn=contents.drawn(tensor),
        stamp=contents.stamp(tensor),
    )


def sized(known: dict[str, Named], path: str) -> Named:
    """A tensor that holds numbers. Raises ParameterError."""
    named = known.get(path)
    if named is None:
        raise ParameterError(f"the network has no tensor {safe(path, 120)}")
    if named.lazy:
        raise ParameterError(f"{safe(path, 120)} has no size yet; give the network an input first (! in area 2)")
    return named


def digest(model: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors; "" for what is too large to be read in passing."""
    found = [n for n in tensors(model).values() if not n.lazy]
    if sum(n.tensor.numel() * n.tensor.element_size() for n in found) > DIGEST:
        return ""
    total = hashlib.sha256()
    for named in sorted(found, key=lambda n: n.path):  # a file has another order
        total.update(f"{named.path}\0{_digest(named.tensor)}\n".encode(errors="replace"))
    return total.hexdigest()


def _digest(tensor: torch.Tensor) -> str:
    stamp = contents.stamp(tensor)
    if _digests.get(tensor, (0, ""))[0] != stamp:
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            return "unread"
        data = tensor.detach().cpu().contiguous()
        flat = data.reshape(-1).view(torch.uint8) if data.numel() else data
        head = f"{tensor.dtype} {list(tensor.shape)}\0".encode()
        _digests[tensor] = (stamp, hashlib.sha256(head + (flat.numpy().tobytes() if data.numel() else b"")).hexdigest())
    return str(_digests[tensor][1])


def same_bytes(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of one type and shape hold the same bits."""
    if one.layout != torch.strided or one.is_meta or one.is_quantized:
        return False
    if not one.numel():
        return True
    first, second = (t.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for t in (one, other))
    return bool(torch.equal(first, second))
