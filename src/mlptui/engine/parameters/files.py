"""Tensors that lie in files, looked at without the network that they are of: nothing is built, no code is run."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import nn

from mlptui.core.text import counted, safe
from mlptui.engine.codec import MODEL
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store import checkpoints, collection
from mlptui.store.checkpoints import MANIFEST, Checkpoint
from mlptui.store.formats import opening
from mlptui.store.formats.contents import MAX_DEPTH, Stored
from mlptui.store.paths import Paths

SUFFIX = ".safetensors"
DTYPES = {  # by their names in the file
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "U16": torch.uint16,
    "U32": torch.uint32, "U64": torch.uint64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip


OF_A_RUN = re.compile(r"[^/:]+/(?:best|last|(?:step-)?[0-9]+)")  # as `mlptui checkpoints` names them
BETWEEN = ".."
FOLDERS = 50_000  # modules that are made for the names of a file; further names stand beside one another
COPIED = 1 << 30  # bytes of tensors in one file that can only be looked at as copies: compressed, or not aligned


class TensorFile(nn.Module):
    """What a file holds below a dot in its names. It has no forward.

    At its root `about` is what the file says of itself, and `order` has all names in the file's own order. Where it holds what
    changed between two others, `compare` measures a tensor before and after.
    """

    about: Mapping[str, str] = MappingProxyType({})
    order: tuple[str, ...] = ()
    left_out = 0  # tensors of the file that are not in it
    compare: "Callable[[str], Difference] | None" = None


def is_there(paths: Paths, where: str) -> bool:
    """Whether `where` names a checkpoint's folder, a file of tensors, or a run (by its id, or `last`; `last/best`)."""
    try:
        path = Path(where).expanduser()
        return (
            where == "last"
            or (path / MANIFEST).is_file()
            or opening.is_there(path)
            or _is_run(paths, where)
            or (bool(OF_A_RUN.fullmatch(where)) and not path.exists())
            or sides(paths, where) is not None
        )
    except (OSError, RuntimeError):  # the latter for ~nobody
        return False


def _is_run(paths: Paths, where: str) -> bool:
    return bool(where) and "/" not in where and any((folder / where).is_dir() for folder in (paths.runs, paths.saved))


def opened(paths: Paths, where: str) -> tuple[TensorFile, str]:
    """The tensors, and what they are of in words. A file's numbers are read when they are looked at.

    Raises ParameterError, CheckpointError, RunError.
    """
    if both := sides(paths, where):
        return _changes(*(opened(paths, one) for one in both))
    path = Path(where).expanduser()
    if (path / MANIFEST).is_file():
        checkpoint = checkpoints.load(path)
        owner = str(checkpoint.manifest.get("run", ""))
        if path.parent.name == "checkpoints":  # as it is called now; a copy elsewhere knows what it was called
            owner = path.absolute().parent.parent.name
        return of_checkpoint(checkpoint), _called(owner, checkpoint)
    if path.suffix == SUFFIX or path.is_file():
        found = of_file(path)
        more = f" without {counted(found.left_out, 'tensor')} of types that are not shown" if found.left_out else ""
        return found, safe(path.name, 200) + more
    if OF_A_RUN.fullmatch(where):
        entry = collection.find(paths, where)
        if entry.checkpoint is None:
            raise ParameterError(entry.problem)
        return of_checkpoint(entry.checkpoint), _called(entry.run.id, entry.checkpoint)
    if where == "last" or _is_run(paths, where):
        run = collection.owner(paths, where)
        newest, _ = checkpoints.newest_verified(run.checkpoints)
        if newest is None:
            raise ParameterError(f"{run.id} has no checkpoint that can be read")
        return of_checkpoint(newest), _called(run.id, newest)
    raise ParameterError(f"{safe(where, 200)} is no checkpoint, run or file of tensors")


def _called(owner: str, checkpoint: Checkpoint) -> str:
    return f"step {checkpoint.step:,} of {safe(owner, 100)}" if owner else checkpoint.name


def sides(paths: Paths, where: str) -> tuple[str, str] | None:
    """The two sources of `last/10..last/best`, what changed from the one to the other; None for anything else."""
    for at in (i for i in range(1, len(where) - 2) if where.startswith(BETWEEN, i)):
        one, other = where[:at], where[at + len(BETWEEN) :]
        if BETWEEN not in other and is_there(paths, one) and is_there(paths, other):
            return one, other
    return None


def _changes(before: tuple[TensorFile, str], after: tuple[TensorFile, str]) -> tuple[TensorFile, str]:
    """What was added to each tensor that both have in one shape. Raises ParameterError."""
    one, other = (dict(folder.named_parameters(remove_duplicate=False)) for folder, _ in (before, after))
    names = [name for name in one if name in other and one[name].shape == other[name].shape]
    if not names:
        raise ParameterError(f"{before[1]} and {after[1]} have no tensor of one name and shape")
    if sum(one[name].numel() * 8 for name in names) > COPIED:
        raise ParameterError("these are too large to be compared so; 'mlptui params diff' compares them")

    def change(name: str) -> torch.Tensor:
        wide = any(not t.dtype.is_floating_point or t.dtype.itemsize > 4 for t in (one[name], other[name]))
        kind = torch.float64 if wide else torch.float32
        return other[name].detach().to(kind) - one[name].detach().to(kind)

    (step, _, run), (later, _, same) = (told.partition(" of ") for _, told in (before, after))
    told = f"{step} to {later.removeprefix('step ')} of {run}" if run and run == same else f"{before[1]} to {after[1]}"
    made = _folder(names, change, {}, {})
    sides = {called: (one[name], other[name]) for called, name in zip(made.order, names, strict=True)}
    made.compare = lambda name: difference(*sides[name])
    apart = len(one.keys() | other.keys()) - len(names)
    return made, f"changes from {told}" + (f"; {counted(apart, 'tensor')} not in both, or of another shape" if apart else "")


def version(paths: Paths, where: str) -> tuple[object, ...]:
    """Is the same as long as the same would be opened. Raises RunError."""
    if both := sides(paths, where):
        return tuple(part for one in both for part in version(paths, one))
    path = Path(where).expanduser()
    if where == "last" or _is_run(paths, where):
        newest = checkpoints.newest(collection.owner(paths, where).checkpoints)
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
    """Its numbers stay in the file until they are read; types that cannot be shown are left out.

    Raises ParameterError, FormatError.
    """
    found = opening.read(path)
    reader = _Reader(path, found.size)
    every = found.tensors()
    given = {name: one for name, one in every.items() if one.dtype in DTYPES}
    if not given:
        raise ParameterError(f"{safe(path.name, 200)} holds no tensors that can be shown")
    first: dict[Stored, str] = {}  # of what lies in one place only once, as tied parameters do
    aliases = {name: first.setdefault(replace(one, learns=False), name) if one.count else name for name, one in given.items()}
    made = _folder(given, lambda name: reader.tensor(given[name]), aliases, dict(found.about))
    made.left_out = len(every) - len(given)
    return made


class _Reader:
    """Makes tensors that look into a file; of what lies there as torch cannot look at it, copies."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._copied = path, 0
        self._members: dict[str, torch.Tensor] = {}
        try:
            self._storage: Any = torch.UntypedStorage.from_file(str(path), False, size) if size else torch.UntypedStorage(0)
        except RuntimeError as error:
            raise ParameterError(f"{safe(str(path), 300)} cannot be read: {one_line(error)}") from None

    def tensor(self, one: Stored) -> torch.Tensor:
        dtype = DTYPES[one.dtype]
        if not one.count:
            return torch.empty(one.shape, dtype=dtype)
        if not one.member and not one.swapped and one.start % dtype.itemsize == 0:
            into: Any = torch.empty(0, dtype=dtype)
            looking: torch.Tensor = into.set_(self._storage, one.start // dtype.itemsize, one.shape, one.strides)
            return looking
        return self._copy(one, dtype)

    def _copy(self, one: Stored, dtype: torch.dtype) -> torch.Tensor:
        last = sum((extent - 1) * stride for extent, stride in zip(one.shape, one.strides, strict=True))
        length = (last + 1) * dtype.itemsize
        self._copied += length
        if self._copied > COPIED:
            raise ParameterError(
                f"{safe(self._path.name, 100)} is compressed or not aligned, and too large to be copied for that"
            )
        if one.member:
            if one.member not in self._members:
                data = opening.unpacked(self._path, one.member, one.storage[1])
                self._members[one.member] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            span = self._members[one.member][one.start : one.start + length].clone()
        else:
            bytes_: Any = torch.empty(0, dtype=torch.uint8)
            span = bytes_.set_(self._storage, one.start, (length,)).clone()
        if one.swapped:
            part = dtype.itemsize // (2 if dtype.is_complex else 1)
            span = span.reshape(-1, part).flip(1).reshape(-1)
        return span.view(dtype).as_strided(one.shape, one.strides)


def _folder(
    names: Iterable[str], tensor: Callable[[str], torch.Tensor], aliases: dict[str, str], about: dict[str, str]
) -> TensorFile:
    root = TensorFile()
    root.about = about
    names = list(names)
    called: dict[str, str] = {}
    room = [FOLDERS]
    made: dict[str, nn.Parameter] = {}
    for name in sorted(names, key=_natural):
        kept = aliases.get(name, name)
        if kept not in made:
            made[kept] = nn.Parameter(tensor(kept), requires_grad=False)
            contents.loaded(made[kept])
        parts = name.split(".")
        flat = [name.replace(".", "·") or "·"]
        usual = all(parts) and len(parts) <= MAX_DEPTH and _put(root, parts, made[kept], room)
        while not usual and not _put(root, flat, made[kept], room):
            flat = [f"{flat[0]}~"]
        called[name] = name if usual else flat[0]
    root.order = tuple(called[name] for name in names)
    return root


def _put(root: TensorFile, parts: list[str], tensor: nn.Parameter, room: list[int]) -> bool:
    """Whether there was place for that name; `room` counts the folders that may still be made."""
    *inside, last = parts
    module: nn.Module = root
    for part in inside:
        below = module._modules.get(part)
        if below is None:
            if part in module._parameters or not room[0]:
                return False
            room[0] -= 1
            below = module._modules[part] = TensorFile()
        module = below
    if last in module._modules or last in module._parameters:
        return False
    module._parameters[last] = tensor
    return True


def _natural(name: str) -> list[tuple[int, str]]:
    """`2.weight` before `10.weight`."""
    return [
        (int(part), "") if part.isascii() and part.isdecimal() and len(part) < 12 else (-1, part) for part in name.split(".")
    ]


def one(paths: Paths, where: str) -> torch.Tensor:
    """A tensor of a file: `w.safetensors:1.weight`. Raises ParameterError."""
    file, _, name = where.rpartition(":")
    model, told = opened(paths, file)
    held = dict(model.named_parameters(remove_duplicate=False))
    if name not in held:
        raise ParameterError(f"{safe(told, 100)} holds no tensor {safe(name, 100)}")
    return held[name].detach()


class Difference(NamedTuple):
    """Largest absolute difference, that over the largest of the first, cosine, and the share of numbers that differ."""

    largest: float
    relative: float
    cosine: float
    changed: float


def difference(left: torch.Tensor, right: torch.Tensor) -> Difference:
    """Of two tensors of one shape, in float64; nan and nan are the same."""
    a, b = left.detach().double().reshape(-1), right.detach().double().reshape(-1)
    if not a.numel():
        return Difference(0.0, 0.0, 1.0, 0.0)
    same = (a == b) | (a.isnan() & b.isnan())
    largest = float(torch.where(same, 0.0, (a - b).abs()).max())
    norm, scale = float(a.norm() * b.norm()), float(a.abs().max())
    cosine = float(a @ b) / norm if norm else float("nan")
    relative = largest / scale if scale else float("inf") if largest else 0.0
    return Difference(largest, relative, cosine, float((~same).double().mean()))
