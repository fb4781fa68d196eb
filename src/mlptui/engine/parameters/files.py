"""Tensors that lie in files, looked at without the network that they are of: nothing is built, no code is run."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import nn

from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import CheckpointError, StorageError
from mlptui.core.parameters import plan
from mlptui.core.text import counted, safe
from mlptui.engine.codec import MODEL
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store import atomic, checkpoints, collection, rundir
from mlptui.store.checkpoints import MANIFEST, Checkpoint
from mlptui.store.collection import Entry
from mlptui.store.formats import opening
from mlptui.store.formats.contents import Stored, spelled
from mlptui.store.paths import Paths

SUFFIX = ".safetensors"
DTYPES = {  # by their names in the file
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "U16": torch.uint16,
    "U32": torch.uint32, "U64": torch.uint64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip


PART = re.compile(r"[\w-]{3,}")  # of a run's id
OF_A_RUN = re.compile(r"[^/:]+/(?:best|last|(?:step-)?[0-9]+)")  # as `mlptui checkpoints` names them
BETWEEN = ".."
FACTS = "mlptui.facts"  # where a module keeps them: an attribute with a dot, as no tensor in it is called
COPIED = 1 << 30  # bytes of tensors in one file that can only be looked at as copies: compressed, or not aligned
IN_MEMORY = 256 << 20  # bytes of a file that is read whole; a larger one is mapped, and must stay as it is while it is


@dataclass(frozen=True)
class Facts:
    """What is known of a file beside its tensors.

    `about` is what the file says of itself, `order` has all names in the file's own order, and `file` is that file where
    nothing was compared with checksums yet. `left_out` counts tensors of the file that are not shown. Where it is what changed
    between two others, `compare` measures a tensor before and after.
    """

    about: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    file: Path | None = None
    left_out: int = 0
    compare: "Callable[[str], Difference] | None" = None


class TensorFile(nn.Module):
    """What a file holds below a dot in its names. It has no forward."""

    @property
    def facts(self) -> Facts:
        """Of the file as a whole, at its root."""
        found: Facts = self.__dict__.get(FACTS) or Facts()
        return found

    def know(self, facts: Facts) -> None:
        self.__dict__[FACTS] = facts


def is_there(paths: Paths, where: str) -> bool:
    """Whether `where` names a checkpoint's folder, a file of tensors, or a run (by its id, or `last`; `last/best`); or two."""
    return _is_one(paths, where) or sides(paths, where) is not None


def _is_one(paths: Paths, where: str) -> bool:
    try:
        path = Path(where).expanduser()
        return (
            where == "last"
            or (path / MANIFEST).is_file()
            or opening.is_there(path)
            or _is_run(paths, where)
            or (bool(OF_A_RUN.fullmatch(where)) and not path.exists())
        )
    except (OSError, RuntimeError):  # the latter for ~nobody
        return False


def _is_run(paths: Paths, where: str) -> bool:
    """By its id or what was saved by that name, else by a part of an id, where no network is called so."""
    if not where or "/" in where:
        return False
    if any((folder / where).is_dir() for folder in (paths.runs, paths.saved)):
        return True
    return bool(PART.fullmatch(where)) and where not in ZOO and any(where in run.id for run in rundir.all_runs(paths))


def opened(paths: Paths, where: str) -> tuple[TensorFile, str]:
    """The tensors, and what they are of in words. A file's numbers are read when they are looked at.

    Raises ParameterError, CheckpointError, RunError.
    """
    if both := sides(paths, where):
        return _changes(*(opened(paths, one) for one in both))
    path = Path(where).expanduser()
    if (path / MANIFEST).is_file():
        return _verified(collection.at(path))
    if path.suffix == SUFFIX or path.is_file():
        if owner := checkpoints.of_file(path):
            if path.name == MODEL:
                return _verified(collection.at(path.parent))
            with collection.offering(collection.at(path.parent)):
                owner.read(path.name)
        found = of_file(path)
        more = f" without {_not_shown(found.facts.left_out)}" if found.facts.left_out else ""
        return found, safe(path.name, 200) + more
    if OF_A_RUN.fullmatch(where) or where == "last" or _is_run(paths, where):
        return _verified(collection.find(paths, where))
    raise ParameterError(f"{safe(where, 200)} is no checkpoint, run or file of tensors")


def _verified(entry: Entry) -> tuple[TensorFile, str]:
    """Raises CheckpointError, which names the newest whole one of the run where this one is damaged."""
    with collection.offering(entry):
        if entry.checkpoint is None:
            raise CheckpointError(entry.problem)
        checkpoint = entry.checkpoint
        owner = str(checkpoint.manifest.get("run", ""))
        if entry.folder.parent.name == "checkpoints":  # as it is called now; a copy elsewhere knows what it was called
            owner = entry.run.id
        return of_checkpoint(checkpoint), f"step {checkpoint.step:,} of {safe(owner, 100)}" if owner else checkpoint.name


def _not_shown(count: int) -> str:
    return f"{counted(count, 'tensor')} of types that are not shown"


def sides(paths: Paths, where: str) -> tuple[str, str] | None:
    """The two sources of `last/10..last/best`, what changed from the one to the other; None for anything else."""
    for at in (i for i in range(1, len(where) - 2) if where.startswith(BETWEEN, i)):
        one, other = where[:at], where[at + len(BETWEEN) :]
        if _is_one(paths, one) and _is_one(paths, other):
            return one, other
    return None


def _changes(before: tuple[TensorFile, str], after: tuple[TensorFile, str]) -> tuple[TensorFile, str]:
    """What was added to each tensor that both have in one shape. Raises ParameterError."""
    one, other = (dict(folder.named_parameters(remove_duplicate=False)) for folder, _ in (before, after))
    left_out = before[0].facts.left_out + after[0].facts.left_out
    pairs = matched(one, other)
    names = list(pairs)
    if not names:
        raise ParameterError(f"{before[1]} and {after[1]} have no tensors that belong together")
    if sum(one[name].numel() * 8 for name in names) > COPIED:
        raise ParameterError("these are too large to be compared so; 'mlptui params diff' compares them")

    def change(name: str) -> torch.Tensor:
        sides = one[name].detach(), other[pairs[name]].detach()
        wide = any(not t.dtype.is_floating_point or t.dtype.itemsize > 4 for t in sides)
        kind = torch.float64 if wide else torch.float32
        return sides[1].to(kind) - sides[0].to(kind)

    (step, _, run), (later, _, same) = (told.partition(" of ") for _, told in (before, after))
    told = f"{step} to {later.removeprefix('step ')} of {run}" if run and run == same else f"{before[1]} to {after[1]}"
    made = _folder(names, change, {}, {})
    sides = {called: (one[name], other[pairs[name]]) for called, name in zip(made.facts.order, names, strict=True)}
    made.know(replace(made.facts, compare=lambda name: difference(*sides[name])))
    apart = len((one.keys() - pairs.keys()) | (other.keys() - set(pairs.values())))
    renamed = sum(name != also for name, also in pairs.items())
    more = f"; {renamed} with other names there" if renamed else ""
    more += f"; {counted(apart, 'tensor')} not in both, or of another shape" if apart else ""
    return made, f"changes from {told}{more}" + (f"; {_not_shown(left_out)}" if left_out else "")


def matched(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The other's name for each tensor of the one that has its counterpart there, in one shape, found as for a load plan."""
    targets, sources = ({name: tuple(tensor.shape) for name, tensor in side.items()} for side in (one, other))
    return {found.target: found.source for found in plan.match(targets, sources) if found.action == plan.LOAD}


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
    return _mark(path / MANIFEST if path.is_dir() else path)


def _mark(file: Path) -> tuple[object, ...]:
    """Raises ParameterError."""
    try:
        found = file.stat()
    except OSError as error:
        raise ParameterError(f"{safe(str(file), 300)} cannot be read: {atomic.reason(error)}") from None
    return (str(file), found.st_ino, found.st_size, found.st_mtime_ns)


def is_mapped(paths: Paths, where: str) -> bool:
    """Whether what was opened may look into a file, which must not change meanwhile."""
    return any(Path(one).expanduser().is_file() for one in sides(paths, where) or (where,))


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
    made.know(replace(made.facts, left_out=len(every) - len(given), file=path))
    return made


_whole: set[tuple[object, ...]] = set()  # files that were compared with their checksums, as long as they stay as they were


def check(model: nn.Module) -> None:
    """Before tensors of a file leave it: compare all that has checksums in there with them.

    Raises FormatError, CheckpointError.
    """
    file = model.facts.file if isinstance(model, TensorFile) else None
    if file is None:
        return
    mark = _mark(file)
    if mark not in _whole:
        checkpoints.verify_file(file)
        _whole.add(mark)


class _Reader:
    """Makes tensors that look into a file; of what lies there as torch cannot look at it, copies."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._copied = path, 0
        self._members: dict[str, torch.Tensor] = {}
        self._storage: Any = self._read(size) if size <= IN_MEMORY else self._mapped(size)

    def _mapped(self, size: int) -> Any:
        try:
            return torch.UntypedStorage.from_file(str(self._path), False, size)
        except RuntimeError as error:
            raise ParameterError(f"{safe(str(self._path), 300)} cannot be read: {one_line(error)}") from None

    def _read(self, size: int) -> Any:
        try:
            with atomic.open_regular(self._path.resolve()) as stream:
                data = bytearray(stream.read(size))
        except (OSError, StorageError) as error:
            why = atomic.reason(error) if isinstance(error, OSError) else str(error)
            raise ParameterError(f"{safe(str(self._path), 300)} cannot be read: {why}") from None
        if len(data) < size:
            raise ParameterError(f"{safe(str(self._path), 300)} was changed while it was read; open it again")
        return torch.frombuffer(data, dtype=torch.uint8).untyped_storage() if data else torch.UntypedStorage(0)

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
        aligned = one.start % dtype.itemsize == 0
        if one.member:
            if one.member not in self._members:
                self._count(one.storage[1])
                data = opening.unpacked(self._path, one.member, one.storage[1])
                self._members[one.member] = torch.frombuffer(data, dtype=torch.uint8)
            span = self._members[one.member][one.start : one.start + length]
        else:
            bytes_: Any = torch.empty(0, dtype=torch.uint8)
            span = bytes_.set_(self._storage, one.start, (length,))
        if one.swapped or not aligned:
            self._count(length)
        if one.swapped:
            part = dtype.itemsize // (2 if dtype.is_complex else 1)
            span = span.reshape(-1, part).flip(1).reshape(-1)
        elif not aligned:
            span = span.clone()
        return span.view(dtype).as_strided(one.shape, one.strides)

    def _count(self, size: int) -> None:
        self._copied += size
        if self._copied > COPIED:
            raise ParameterError(
                f"{safe(self._path.name, 100)} is compressed or not aligned, and too large to be copied for that"
            )


def _folder(
    names: Iterable[str], tensor: Callable[[str], torch.Tensor], aliases: dict[str, str], about: dict[str, str]
) -> TensorFile:
    root = TensorFile()
    names = list(names)
    made: dict[str, nn.Parameter] = {}
    places = spelled(names)
    for name, (*inside, last) in places.items():
        kept = aliases.get(name, name)
        if kept not in made:
            made[kept] = nn.Parameter(tensor(kept), requires_grad=False)
            contents.loaded(made[kept])
        module: nn.Module = root
        for part in inside:
            module = module._modules.setdefault(part, TensorFile())  # type: ignore[assignment]
        module._parameters[last] = made[kept]
    root.know(Facts(about, tuple(".".join(places[name]) for name in names)))
    return root


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
    whole = left.dtype == right.dtype and left.dtype in (torch.int64, torch.uint64)
    if whole:  # float64 does not tell all of them apart
        same = left.detach().reshape(-1).view(torch.int64) == right.detach().reshape(-1).view(torch.int64)
    largest = float(torch.where(same, 0.0, (a - b).abs().clamp(min=1.0 if whole else 0.0)).max())
    norm, scale = float(a.norm() * b.norm()), float(a.abs().max())
    cosine = float(a @ b) / norm if norm else float("nan")
    relative = largest / scale if scale else float("inf") if largest else 0.0
    return Difference(largest, relative, cosine, float((~same).double().mean()))
