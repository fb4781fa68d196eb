"""Tensors to a file that other programs read, and back through those programs' own libraries, with the comparison."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch

from mlptui.core.errors import MlptuiError
from mlptui.core.text import counted, safe
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters.tensors import Named, same_bytes
from mlptui.store import atomic

SAFETENSORS, PICKLED, NPY, NPZ = ".safetensors", (".pt", ".pth", ".bin", ".params"), ".npy", ".npz"
SUFFIXES = (SAFETENSORS, *PICKLED, NPY, NPZ)
Form = Literal["tensor", "list", "dict"]
Given = torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]


class ExportError(MlptuiError):
    """What cannot be written in that format, or did not come back as it was."""


@dataclass(frozen=True)
class Written:
    """A file with `size` bytes, whose `count` tensors came back bit for bit as they were given."""

    file: Path
    size: int
    count: int

    @property
    def words(self) -> str:
        """`x2 == x` in words."""
        return f"read back: {self.count} of {counted(self.count, 'tensor')} equal, bit for bit"


def saved(known: Mapping[str, Named]) -> tuple[dict[str, Named], str]:
    """What a state_dict has of a network's tensors, or all that a file has; and what is left out, in words."""
    there = {path: named for path, named in known.items() if named.kind in ("parameter", "buffer", "tensor")}
    left = [path for path in known if path not in there]
    more = f" and {len(left) - 3:,} more" if len(left) > 3 else ""
    return there, f"; not in a state_dict, so not written: {', '.join(left[:3])}{more}" if left else ""


def usual(file: Path, count: int) -> Form:
    """How so many tensors are held where nobody says: a .npy file has one alone, the others a dictionary."""
    return "tensor" if count == 1 and file.suffix.lower() == NPY else "dict"


def shaped(named: Mapping[str, torch.Tensor], form: Form) -> Given:
    """What is written: one tensor alone, a list of them, or a dictionary by their names. Raises ExportError."""
    if form == "tensor":
        if len(named) != 1:
            raise ExportError(f"one tensor is wanted, and {len(named)} are chosen")
        return next(iter(named.values()))
    return list(named.values()) if form == "list" else dict(named)


def write(file: Path, given: Given) -> Written:
    """Write in the format that the ending says; what does not read back as it was is not written. Raises ExportError."""
    suffix = file.suffix.lower()
    data = encode(suffix, given)
    try:
        before, after = flat(given), flat(read_back(suffix, data))
    except Exception as error:  # each library raises what it likes
        raise ExportError(f"it cannot be read back, so it is not written: {one_line(error)}") from None
    unequal = [name for name, one in before.items() if name not in after or not _same(one, after[name])]
    if unequal:
        raise ExportError(f"{safe(unequal[0], 80)} does not come back as it was, so nothing is written")
    try:
        atomic.replace(file, data, shared=True)
    except OSError as error:
        raise ExportError(f"{safe(str(file), 300)} cannot be written: {atomic.reason(error)}") from None
    return Written(file, len(data), len(before))


def encode(suffix: str, given: Given) -> bytes:
    """Raises ExportError."""
    try:
        if suffix in PICKLED or not suffix:
            stream = io.BytesIO()
            torch.save(_plain(given), stream)
            return stream.getvalue()
        if suffix == SAFETENSORS:
            return bytes(safetensors.torch.save({name: t.clone().contiguous() for name, t in flat(given).items()}))
        if suffix == NPY:
            if not isinstance(given, torch.Tensor):
                raise ExportError("a .npy file holds one tensor; .npz holds several")
            stream = io.BytesIO()
            np.save(stream, _array(given), allow_pickle=False)
            return stream.getvalue()
        if suffix == NPZ:
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:  # as np.savez, which has names of its own that no tensor may have
                for name, tensor in flat(given).items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asanyarray(_array(tensor)), allow_pickle=False)
            return stream.getvalue()
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"this cannot be written as {suffix}: {one_line(error)}") from None
    raise ExportError(f"no tensors are written as {safe(suffix, 20)!r}; use {', '.join(SUFFIXES)}")


def read_back(suffix: str, data: bytes) -> Given:
    """What the format's own library makes of the file. Raises what that raises."""
    if suffix == SAFETENSORS:
        return safetensors.torch.load(data)
    file = io.BytesIO(data)
    if suffix == NPY:
        return torch.from_numpy(np.load(file, allow_pickle=False))
    if suffix == NPZ:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return torch.load(file, weights_only=True)  # type: ignore[no-any-return]


def flat(given: Given) -> dict[str, torch.Tensor]:
    """By name: a tensor alone is `tensor`, those of a list are `0`, `1`, ..."""
    if isinstance(given, torch.Tensor):
        return {"tensor": given}
    if isinstance(given, Mapping):
        return dict(given)
    return {str(i): tensor for i, tensor in enumerate(given)}


def _plain(given: Given) -> Any:
    """Without what only a network needs: parameters become tensors, views lose what lies around them. Ties stay one."""
    made: dict[int, torch.Tensor] = {}

    def plain(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            made[id(tensor)] = tensor.detach().clone()
        return made[id(tensor)]

    if isinstance(given, torch.Tensor):
        return plain(given)
    if isinstance(given, Mapping):
        return {name: plain(tensor) for name, tensor in given.items()}
    return [plain(tensor) for tensor in given]


def _array(tensor: torch.Tensor) -> "np.ndarray[Any, Any]":
    if tensor.dtype == torch.bfloat16 or str(tensor.dtype).startswith("torch.float8"):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ExportError(f"NumPy has no {kind}; change the type first, or write .safetensors or .pt")
    return tensor.detach().cpu().contiguous().numpy()


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and same_bytes(one, other)
