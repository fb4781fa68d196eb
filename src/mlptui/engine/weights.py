"""Weights from one network into another, and to a file and back."""

import hashlib
import json
import os
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.text import counted, safe
from mlptui.engine.build import BuildError
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.files import TensorFile
from mlptui.engine.parameters.tensors import same_bytes, tensors
from mlptui.store import atomic

OF = "network"  # the file's metadata: SHA-256 of the architecture's text
FROZEN = "frozen"  # and the names of parameters that do not learn
LARGEST = 256 << 20  # bytes of a network whose weights are kept for the case that the bench dies


def transplant(old: nn.Module, new: nn.Module) -> str:
    """Copy every tensor whose name and shape fit; says how many did not.

    A layer of PyTorch keeps all that it has or nothing, because it draws its bias by the width of its weight. What was one
    tensor and is two goes to the first of them: two layers that begin alike learn alike. Types and what is frozen stay, too.
    """
    given, own = _tensors(old), _tensors(new)
    for place, layer in new.named_modules():
        names = [name for name in (f"{place}.{name}".lstrip(".") for name, _ in _own_tensors(layer)) if name in own]
        if type(layer).__module__.startswith("torch.nn.") and not all(_fits(name, own, given) for name in names):
            for name in names:
                given.pop(name, None)
    taken: dict[int, int] = {}
    for name in [name for name in given if name in own]:
        if taken.setdefault(id(given[name]), id(own[name])) != id(own[name]):
            del given[name]
    note = _fill(new, given, types=True)
    for name, tensor in own.items():
        if name in given and tensor.is_floating_point() and tensor.is_leaf:
            tensor.requires_grad_(given[name].requires_grad)
    return note


def _own_tensors(layer: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]


def _fits(name: str, own: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> bool:
    return name in given and given[name].shape == own[name].shape


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state_dict's tensors that have a size, then those that it does not list; a network's own extra state is left out."""
    saved = {name: t for name, t in model.state_dict(keep_vars=True).items() if isinstance(t, torch.Tensor) and not is_lazy(t)}
    return saved | _unsaved(model)


def _unsaved(model: nn.Module) -> dict[str, torch.Tensor]:
    """Plain tensors and buffers that are not saved: a run draws them itself, but a person may have set them."""
    kinds = ("plain tensor", "buffer, not saved")
    return {path: n.tensor for path, n in tensors(model).items() if n.kind in kinds and "[" not in n.name and not n.lazy}


def _fill(model: nn.Module, given: dict[str, torch.Tensor], types: bool = False) -> str:
    """Copy what fits; with `types` the tensors get those that the given ones have, too."""
    kept = 0
    own = _tensors(model)
    with torch.no_grad():
        for name, tensor in own.items():
            if _fits(name, own, given):
                try:
                    if types and tensor.is_floating_point() == given[name].is_floating_point():
                        tensor.data = tensor.data.to(given[name].dtype)
                    tensor.copy_(given[name])
                    contents.loaded(tensor)
                    kept += 1
                except RuntimeError:  # a tensor whose elements share memory cannot be written
                    pass
    fresh = len(own) - kept
    return f"{counted(kept, 'tensor')} kept" + (f", {fresh} drawn anew" if fresh else "")


def save(model: nn.Module, file: Path, text: str) -> bool:
    """The state_dict as it is now, for `load` after a crash; False where it is too large. Raises OSError, StorageError."""
    if sum(t.numel() * t.element_size() for t in _tensors(model).values()) > LARGEST:
        atomic.unlink_quietly(file)
        return False
    write(file, packed(model, text))
    return True


def packed(model: nn.Module, text: str) -> bytes:
    """A safetensors file of the state_dict, tensors with several names under each of them, and of what is frozen.

    `text` is the network's, so that nobody takes these weights for another one's.
    """
    held = {name: t.detach() for name, t in _tensors(model).items() if t.layout == torch.strided}
    about = {OF: text_sum(text)}
    if isinstance(model, TensorFile):  # of a file only the file knows what learns
        about |= {FROZEN: model.facts.about[FROZEN]} if FROZEN in model.facts.about else {}
    else:
        about[FROZEN] = json.dumps([name for name, p in model.named_parameters() if not p.requires_grad])
    return safetensors.torch.save({name: t.clone().contiguous() for name, t in held.items()}, about)


def write(file: Path, data: bytes) -> None:
    """Raises OSError, StorageError."""
    atomic.replace(file, data, durable=False, shared=True)


def load(model: nn.Module, file: Path, text: str) -> str:
    """Fill a network that came back with the weights that were kept of it; says how many were, or why none."""
    try:
        data = atomic.read_regular(file, 2 * LARGEST + os.sysconf("SC_PAGE_SIZE"))
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        if header["__metadata__"][OF] != text_sum(text):
            return "weights drawn anew"
        note = _fill(model, safetensors.torch.load(data), types=True)
        freeze(model, json.loads(header["__metadata__"].get(FROZEN, "[]")))
        return note
    except Exception as error:
        why = "" if isinstance(error, FileNotFoundError) else f": {one_line(error)}"
        return f"weights drawn anew{why}"


def begin_with(model: nn.Module, file: Path, sha256: str) -> None:
    """Put exactly the tensors of a file into the network, bit for bit, and freeze what the file says is frozen.

    Raises BuildError for a file that is not the one meant, or that is of another network.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BuildError(f"the weights to begin with cannot be read: {atomic.reason(error)}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BuildError("the file of the weights to begin with is damaged: its SHA-256 is not that of the recipe")
    take(model, data)
    if not any(p.requires_grad for p in model.parameters()):
        raise BuildError("all parameters are frozen in the weights to begin with; there is nothing to train")


def take(model: nn.Module, data: bytes) -> None:
    """As `begin_with`, from the bytes of a safetensors file. Raises BuildError."""
    try:
        given = safetensors.torch.load(data)
        about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        frozen = json.loads(about.get(FROZEN, "null"))
        if frozen is not None and not (isinstance(frozen, list) and all(isinstance(name, str) for name in frozen)):
            raise ValueError("what it says of frozen parameters is no list of names")
    except Exception as error:
        raise BuildError(f"these are no weights in safetensors: {one_line(error)}") from None
    own, unsaved = _tensors(model), _unsaved(model)
    given |= {name: given[kept] for name, kept in about.items() if name in own and name not in given and kept in given}  # ties
    own = {name: tensor for name, tensor in own.items() if name in given or name not in unsaved}
    for words, names in (("lacks", own.keys() - given.keys()), ("has, and the network has not,", given.keys() - own.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BuildError(f"the file of weights {words} {safe(min(names), 80)}{more}")
    for name, tensor in own.items():
        if tensor.shape != given[name].shape:
            shapes = f"{list(given[name].shape)} in the file, {list(tensor.shape)} in the network"
            raise BuildError(f"{safe(name, 80)} is {shapes}")
        if tensor.is_floating_point() != given[name].is_floating_point():
            raise BuildError(f"{safe(name, 80)} is {_type(given[name])} in the file, {_type(tensor)} in the network")
    first: dict[int, str] = {}
    for name, tensor in own.items():
        one = first.setdefault(id(tensor), name)
        if one != name and not same_bytes(given[one], given[name]):
            raise BuildError(f"{safe(one, 80)} and {safe(name, 80)} are one in the network, and differ in the file")
    for name, tensor in own.items():
        tensor.data = given[name]
        contents.loaded(tensor)
    if frozen is not None:
        freeze(model, frozen)


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def freeze(model: nn.Module, names: list[str]) -> None:
    """Exactly these parameters do not learn, of those that can."""
    frozen = set(names)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(name not in frozen)


def text_sum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
