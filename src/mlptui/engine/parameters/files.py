"""Tensors that lie in files, looked at without the network that they are of: nothing is built, no code is run."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
import torch
from torch import nn

from mlptui.core.text import safe
from mlptui.engine.codec import MODEL
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store import atomic, checkpoints, collection, rundir
from mlptui.store.checkpoints import MANIFEST, Checkpoint
from mlptui.store.paths import Paths

SUFFIX = ".safetensors"
DTYPES = {  # by their names in the file
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "U16": torch.uint16,
    "U32": torch.uint32, "U64": torch.uint64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


OF_A_RUN = re.compile(r"[^/:]+/(?:best|last|(?:step-)?[0-9]+)")  # as `mlptui checkpoints` names them
COPIED = 256 << 20  # bytes of a file that is not aligned, whose tensors are copied to be looked at


class TensorFile(nn.Module):
    """What a file holds below a dot in its names. It has no forward. `about` is what the file says of itself, at its root."""

    about: Mapping[str, str] = MappingProxyType({})


def is_there(paths: Paths, where: str) -> bool:
    """Whether `where` names a checkpoint's folder, a file of tensors, or a run (by its id, or `last`; `last/best`)."""
    try:
        path = Path(where).expanduser()
        return (
            where == "last"
            or (path / MANIFEST).is_file()
            or (path.suffix == SUFFIX and path.is_file())
            or _is_run(paths, where)
            or (bool(OF_A_RUN.fullmatch(where)) and not path.exists())
        )
    except (OSError, RuntimeError):  # the latter for ~nobody
        return False


def _is_run(paths: Paths, where: str) -> bool:
    return bool(where) and "/" not in where and (paths.runs / where).is_dir()


def opened(paths: Paths, where: str) -> tuple[TensorFile, str]:
    """The tensors, and what they are of in words. A file's numbers are read when they are looked at.

    Raises ParameterError, CheckpointError, RunError.
    """
    path = Path(where).expanduser()
    if (path / MANIFEST).is_file():
        checkpoint = checkpoints.load(path)
        return of_checkpoint(checkpoint), ", ".join(filter(None, (str(checkpoint.manifest.get("run", "")), checkpoint.name)))
    if path.suffix == SUFFIX:
        return of_file(path), path.name
    if OF_A_RUN.fullmatch(where):
        entry = collection.find(paths, where)
        if entry.checkpoint is None:
            raise ParameterError(entry.problem)
        return of_checkpoint(entry.checkpoint), f"{entry.run.id}, {entry.folder.name}"
    if where == "last" or _is_run(paths, where):
        run = rundir.find(paths, where)
        newest, _ = checkpoints.newest_verified(run.checkpoints)
        if newest is None:
            raise ParameterError(f"{run.id} has no checkpoint that can be read")
        return of_checkpoint(newest), f"{run.id}, {newest.name}"
    raise ParameterError(f"{safe(where, 200)} is no checkpoint, run or .safetensors file")


def version(paths: Paths, where: str) -> tuple[object, ...]:
    """Is the same as long as the same would be opened. Raises RunError."""
    path = Path(where).expanduser()
    if where == "last" or _is_run(paths, where):
        newest = checkpoints.newest(rundir.find(paths, where).checkpoints)
        if newest is None:
            return ()
        path = newest
    elif OF_A_RUN.fullmatch(where):
        path = collection.find(paths, where).folder
    found = (path / MANIFEST if path.is_dir() else path).stat()
    return (str(path), found.st_ino, found.st_size, found.st_mtime_ns)


def of_checkpoint(checkpoint: Checkpoint) -> TensorFile:
    """Verified by its SHA-256; names of one tensor are one."""
    data = checkpoint.read(MODEL)
    given = safetensors.torch.load(data)
    about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    aliases = {name: kept for name, kept in about.items() if kept in given and name not in given}
    return _folder([*given, *aliases], lambda name: given[aliases.get(name, name)], aliases, about)


def of_file(path: Path) -> TensorFile:
    """Its numbers stay in the file until they are read. Raises ParameterError, CheckpointError."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(8)
            head += file.read(min(int.from_bytes(head, "little"), checkpoints.HEADER_LIMIT))
        header = checkpoints.check_tensor_header(head, safe(path.name, 200), size)
        storage: Any = torch.UntypedStorage.from_file(str(path), False, size)
    except (OSError, RuntimeError) as error:
        reason = atomic.reason(error) if isinstance(error, OSError) else one_line(error)
        raise ParameterError(f"{safe(str(path), 300)} cannot be read: {reason}") from None

    def looking(dtype: torch.dtype, start: int, shape: list[int]) -> torch.Tensor:
        into: Any = torch.empty(0, dtype=dtype)
        found: torch.Tensor = into.set_(storage, start, tuple(shape))
        return found

    def tensor(name: str) -> torch.Tensor:
        entry, dtype = header[name], DTYPES[header[name]["dtype"]]
        begin, end = entry["data_offsets"]
        start = len(head) + begin
        if start % dtype.itemsize:  # torch can only look where numbers of that type may lie
            return looking(torch.uint8, start, [end - begin]).clone().view(dtype).reshape(entry["shape"])
        return looking(dtype, start // dtype.itemsize, entry["shape"])

    names = [name for name in header if name != "__metadata__"]
    if len(head) % 8 and size > COPIED:
        raise ParameterError(f"{safe(path.name, 100)} is not aligned to 8 bytes and too large to be copied for that")
    if unknown := next((name for name in names if header[name]["dtype"] not in DTYPES), ""):
        raise ParameterError(
            f"{safe(unknown, 100)} holds {safe(header[unknown]['dtype'], 20)}, which this torch does not know"
        )
    return _folder(names, tensor, {}, header.get("__metadata__") or {})


def _folder(
    names: Iterable[str], tensor: Callable[[str], torch.Tensor], aliases: dict[str, str], about: dict[str, str]
) -> TensorFile:
    root = TensorFile()
    root.about = about
    made: dict[str, nn.Parameter] = {}
    for name in sorted(names, key=_natural):
        *inside, last = name.split(".")
        module: nn.Module = root
        for part in inside:
            below = None if part in module._parameters else module._modules.setdefault(part, TensorFile())
            if below is None:
                break
            module = below
        else:
            below = module
        if below is None or not last or last in module._modules or last in module._parameters:
            raise ParameterError(f"{safe(name, 100)} is no name that a tensor of a network can have")
        kept = aliases.get(name, name)
        if kept not in made:
            made[kept] = nn.Parameter(tensor(kept), requires_grad=False)
            contents.loaded(made[kept])
        module._parameters[last] = made[kept]
    return root


def _natural(name: str) -> list[tuple[int, str]]:
    """`2.weight` before `10.weight`."""
    return [(int(part), "") if part.isascii() and part.isdecimal() else (-1, part) for part in name.split(".")]


def one(paths: Paths, where: str) -> torch.Tensor:
    """A tensor of a file: `w.safetensors:1.weight`. Raises ParameterError."""
    file, _, name = where.rpartition(":")
    model, told = opened(paths, file)
    held = dict(model.named_parameters(remove_duplicate=False))
    if name not in held:
        raise ParameterError(f"{safe(told, 100)} holds no tensor {safe(name, 100)}")
    return held[name].detach()


def difference(left: torch.Tensor, right: torch.Tensor) -> tuple[float, float, float, float]:
    """Largest absolute difference, that over the largest of `left`, cosine, and the share of numbers that differ.

    nan and nan are the same.
    """
    a, b = left.detach().double().reshape(-1), right.detach().double().reshape(-1)
    if not a.numel():
        return 0.0, 0.0, 1.0, 0.0
    same = (a == b) | (a.isnan() & b.isnan())
    largest = float(torch.where(same, 0.0, (a - b).abs()).max())
    norm, scale = float(a.norm() * b.norm()), float(a.abs().max())
    cosine = float(a @ b) / norm if norm else float("nan")
    relative = largest / scale if scale else float("inf") if largest else 0.0
    return largest, relative, cosine, float((~same).double().mean())
