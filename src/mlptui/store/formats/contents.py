"""What a file of tensors holds, as plain values: a tree of tensors, other values, and what the file would call."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mlptui.core.errors import MlptuiError
from mlptui.core.text import counted, safe, size

MAX_NODES = 200_000
MAX_DEPTH = 64
MAX_DIMENSIONS = 64

# Bytes of one number, by the names that safetensors gives to types.
DTYPES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "U16": 2, "U32": 4, "U64": 8,
    "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "F8_E8M0": 1, "C64": 8, "C128": 16,
}  # fmt: skip

LAYER = re.compile(r"torch\.nn\.(?:modules\.\w+\.[A-Z]\w*|parameter\.\w+)")
SHOWN = frozenset(DTYPES) - {"F8_E8M0", "C64", "C128"}  # types whose numbers can be looked at
NAMES = 16 << 20  # characters of the names of all tensors together, where they lie deep in keys that are long
FOLDERS = 50_000  # modules that are made for the names of a file; further names stand beside one another


class FormatError(MlptuiError):
    """A file that is not read, and why."""


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in its file.

    `start` is the byte of its first number, from the beginning of the file, or of the unpacked `member` where that is
    compressed; `strides` count numbers; `storage` are the first and the last byte + 1 of all that it may use.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int
    storage: tuple[int, int]
    member: str = ""
    swapped: bool = False
    learns: bool = False

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return self.count * DTYPES[self.dtype]


@dataclass(frozen=True)
class Node:
    """A place in the tree. `text` is a value as it is shown; `call` says that the file would call this."""

    kind: Literal["dict", "list", "tuple", "tensor", "value", "object"]
    text: str = ""
    children: tuple[tuple[str, "Node"], ...] = ()
    tensor: Stored | None = None
    call: bool = False

    @property
    def words(self) -> str:
        """What it is in a few words: `F32 [784, 256]`, `dict of 4`, a value, a call that is not made."""
        if self.tensor is not None:
            return f"{self.tensor.dtype} {list(self.tensor.shape)}" + ("  learns" if self.tensor.learns else "")
        if self.kind in ("dict", "list", "tuple"):
            return f"{self.kind} of {len(self.children):,}"
        return f"not called: {self.text}" if self.call else self.text


@dataclass(frozen=True)
class Contents:
    """`refused` has what is no plain data: names of what the file would call, first seen first. `about` is the file's own."""

    format: str
    root: Node
    size: int
    refused: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def only_layers(self) -> bool:
        """Whether all that it would call are classes of torch.nn: a network was pickled as a whole, which does no harm."""
        return bool(self.refused) and all(LAYER.fullmatch(name) for name in self.refused)

    def stored(self) -> list[Stored]:
        """All tensors, without their names."""
        found, waiting = [], [self.root]
        while waiting:
            node = waiting.pop()
            if node.tensor is not None:
                found.append(node.tensor)
            waiting.extend(child for _, child in reversed(node.children))
        return found

    def check_names(self) -> None:
        """Raises FormatError where the names of all tensors would take more than NAMES."""
        taken = 0
        waiting = [(self.root, 0)]
        while waiting:
            node, length = waiting.pop()
            taken += length if node.tensor is not None else 0
            if taken > NAMES:
                raise FormatError(f"the names of its tensors take more than {size(NAMES)}")
            waiting.extend((child, length + len(key) + 1) for key, child in node.children)

    def tensors(self) -> dict[str, Stored]:
        """By path: the keys on the way, joined by dots; a name that is there already gets a number behind it.

        Those of a pickled nn.Module are called as in its state_dict.
        """
        return {name: stored for _, name, stored in self._named()}

    def looked_at(self) -> dict[tuple[str, ...], str]:
        """What each tensor that can be looked at is called then, by its place."""
        names = {path: name for path, name, stored in self._named() if stored.dtype in SHOWN}
        parts = spelled(names.values())
        return {path: ".".join(parts[name]) for path, name in names.items()}

    def _named(self) -> Iterator[tuple[tuple[str, ...], str, Stored]]:
        found: set[str] = set()
        seen: dict[str, int] = {}
        for path, node in self.walk():
            if node.tensor is not None:
                name = given = name_of(path)
                while name in found:
                    seen[given] = seen.get(given, 1) + 1
                    name = f"{given}~{seen[given]}"
                found.add(name)
                yield path, name, node.tensor

    def walk(self) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Every place, parents first."""
        waiting: list[tuple[tuple[str, ...], Node]] = [((), self.root)]
        while waiting:
            path, node = waiting.pop()
            yield path, node
            waiting.extend(((*path, key), child) for key, child in reversed(node.children))


def name_of(path: tuple[str, ...]) -> str:
    """The name of the tensor at this place."""
    if len(path) > 1 and path[-2] in ("_parameters", "_buffers"):
        path = tuple(part for part in path if part not in ("_modules", "_parameters", "_buffers"))
    return ".".join(path) or "tensor"


def spelled(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Where each name stands in a tree of modules: at its parts between dots, or where that is no place of its own, as one
    part with `·` for its dots."""
    leaves: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()

    def take(parts: tuple[str, ...]) -> bool:
        if parts in leaves or parts in folders:
            return False
        new = []
        for i in range(len(parts) - 1, 0, -1):
            if parts[:i] in folders:  # then all above it are, too
                break
            if parts[:i] in leaves:
                return False
            new.append(parts[:i])
        if len(folders) + len(new) > FOLDERS:
            return False
        folders.update(new)
        leaves.add(parts)
        return True

    found = {}
    tries: dict[str, int] = {}
    for name in sorted(names, key=_natural):
        parts = tuple(name.split("."))
        if not (all(parts) and len(parts) <= MAX_DEPTH and take(parts)):
            alone = name.replace(".", "·") or "·"
            parts = (alone,)
            while not take(parts):
                tries[alone] = tries.get(alone, 1) + 1
                parts = (f"{alone}~{tries[alone]}",)
        found[name] = parts
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """`2.weight` before `10.weight`."""
    return [
        (int(part), "") if part.isascii() and part.isdecimal() and len(part) < 12 else (-1, part) for part in name.split(".")
    ]


def stored(
    dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], start: int, storage: tuple[int, int], **more: object
) -> Stored:
    """A tensor that lies within its storage, each number in a place of its own. Raises FormatError."""
    if dtype not in DTYPES:
        raise FormatError(f"{safe(dtype, 30)} is no type of numbers that is known here")
    if len(shape) > MAX_DIMENSIONS or len(shape) != len(strides):
        raise FormatError("its shape makes no sense")
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in (*shape, *strides)):
        raise FormatError("its shape makes no sense")
    found = Stored(dtype, shape, strides, start, storage, **more)  # type: ignore[arg-type]
    if not found.count:
        return found
    last = sum((extent - 1) * stride for extent, stride in zip(shape, strides, strict=True))
    if start < storage[0] or start + (last + 1) * DTYPES[dtype] > storage[1]:
        raise FormatError("it reaches beyond what is stored")
    steps = sorted((stride, extent) for extent, stride in zip(shape, strides, strict=True) if extent > 1)
    reach = 0
    for stride, extent in steps:
        if stride <= reach:
            raise FormatError("its numbers share places")
        reach += (extent - 1) * stride
    return found


def dense(shape: tuple[int, ...], fortran: bool = False) -> tuple[int, ...]:
    """The strides of numbers that lie one behind the other."""
    order = range(len(shape)) if fortran else reversed(range(len(shape)))
    strides, step = [0] * len(shape), 1
    for i in order:
        strides[i] = step
        step *= max(1, shape[i])
    return tuple(strides)


def summary(contents: Contents) -> str:
    """`12 tensors, 203,530 numbers, float32`."""
    found = contents.stored()
    kinds = ", ".join(dict.fromkeys(one.dtype for one in found))
    return ", ".join(
        filter(None, (counted(len(found), "tensor"), counted(sum(one.count for one in found), "number"), kinds[:60]))
    )
