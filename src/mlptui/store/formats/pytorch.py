"""What `torch.save` writes, read without unpickling: a zip file with `data.pkl`, or the older stream of five pickles."""

import io
import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, BinaryIO

from mlptui.core.text import counted, safe, size
from mlptui.store.formats import pickles, zips
from mlptui.store.formats.contents import (
    DTYPES,
    MAX_DEPTH,
    MAX_DIMENSIONS,
    MAX_NODES,
    Contents,
    FormatError,
    Node,
    stored,
)
from mlptui.store.formats.pickles import Called, Items, Large, Map, Named, Outside

ZIP, LEGACY, PICKLE, SCRIPT = "PyTorch (zip)", "PyTorch (before 1.6)", "pickle", "TorchScript"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
RECORDS = 200_000
INSIDE = 3  # what holds others costs as much as so many plain values
KEY = 1_000  # characters of a key that are kept

# torch/storage.py names one class for each type
STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "LongStorage": "I64",
    "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8", "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64", "ComplexDoubleStorage": "C128", "UntypedStorage": "U8",
}  # fmt: skip
TYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint8": "U8", "bool": "BOOL", "uint16": "U16", "uint32": "U32", "uint64": "U64", "complex64": "C64",
    "complex128": "C128", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip

# What these do is known, and none of it runs anything of the file's choice. All else is named as what the file would call.
_REBUILD = {f"torch._utils._rebuild_{name}" for name in ("tensor", "tensor_v2", "tensor_v3")}
_PARAMETER = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_OTHER_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the device meta, without numbers",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._tensor._rebuild_from_type_v2": "a tensor of a class of its own",
}
_MAPS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "collections.Counter", "__builtin__.dict"}
_LISTS = {
    "torch.Size": "tuple", "builtins.set": "list", "builtins.list": "list", "builtins.tuple": "tuple",
    "__builtin__.set": "list", "builtins.frozenset": "list",
}  # fmt: skip
_PLAIN = {
    "torch.device", "builtins.complex", "builtins.bytearray", "builtins.range", "builtins.slice", "pathlib.PosixPath",
    "pathlib._local.PosixPath", "datetime.timedelta", "datetime.datetime", "datetime.date", "decimal.Decimal", "uuid.UUID",
    "fractions.Fraction", "_codecs.encode",
}  # fmt: skip
_KINDS = {f"builtins.{name}" for name in ("int", "float", "str", "bool", "bytes", "object")}  # as factories
_WORDS = {"torch.serialization._get_layout", "torch.strided", "torch.sparse_coo", "torch.sparse_csr"} | {
    f"torch.{name}" for name in (*TYPES, "qint8", "quint8", "qint32", "per_tensor_affine", "per_channel_affine")
}
_STORAGES = {
    f"{module}.{name}"
    for module in ("torch", "torch.storage", "torch.cuda")
    for name in (*STORAGES, "QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage")
}
_KNOWN = _REBUILD | _PARAMETER | {*_OTHER_TENSORS} | _MAPS | {*_LISTS} | _PLAIN | _KINDS | _WORDS | _STORAGES

Locate = Callable[[str, str, int], tuple[int, int]]  # of a storage: key, type, count; gives its first byte and last + 1


def read_zip(stream: BinaryIO, whole: int, archive: zipfile.ZipFile) -> Contents:
    """Raises FormatError, OSError."""
    infos = {info.filename: info for info in archive.infolist()}
    main = next((name for name in infos if name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)), "")
    if not main and any(name.rpartition("/")[2] == "archive_format" for name in infos):
        raise FormatError("it is a program of torch.export (.pt2), which only torch.export.load reads")
    if not main:
        some = ", ".join(safe(name, 40) for name in list(infos)[:4])
        raise FormatError(f"it is a zip file, but neither of torch.save nor of NumPy: {some}")
    folder = main.removesuffix("data.pkl")
    if infos[main].file_size > pickles.SIZE:
        raise FormatError(f"its structure takes {size(infos[main].file_size)}")
    order = f"{folder}byteorder"
    swapped = False
    if order in infos and infos[order].file_size <= 16:
        with zips.unpacked(archive, infos[order]) as member:
            swapped = member.read(16) == b"big"

    def locate(key: str, kind: str, count: int) -> tuple[int, int]:
        info = infos.get(f"{folder}data/{key}")
        if info is None:
            raise FormatError(f"the numbers {safe(key, 40)} are not in the file")
        found = zips.place(stream, info, whole)
        if found is None:
            raise FormatError("its numbers are compressed, which torch.save never does")
        if found[1] - found[0] < count * DTYPES[kind]:
            raise FormatError(f"the numbers {safe(key, 40)} are fewer than the structure says")
        return found

    imports: dict[Named, None] = {}
    with zips.unpacked(archive, infos[main]) as member:
        made = pickles.follow(io.BytesIO(member.read(pickles.SIZE + 1)), [pickles.OPERATIONS], imports)
    code = any(name.startswith(f"{folder}code/") for name in infos)
    notes = ("it has code of its own (TorchScript), which is not looked at",) if code else ()
    return _contents(SCRIPT if code else ZIP, made, locate, whole, swapped, notes, imports)


def read_stream(stream: BinaryIO, whole: int) -> Contents:
    """The older format, or a plain pickle. Raises FormatError, OSError."""
    left = [pickles.OPERATIONS]
    bounded: Any = _Bounded(stream, pickles.SIZE)
    imports: dict[Named, None] = {}
    first = pickles.follow(bounded, left, imports)
    if first != LEGACY_MAGIC:
        return _contents(PICKLE, first, _nowhere, whole, False, (), imports)
    version, system = pickles.follow(bounded, left, imports), pickles.follow(bounded, left, imports)
    if version != 1001 or not isinstance(system, Map):
        raise FormatError("it is of a version of PyTorch's older format that is not known here")
    swapped = dict(system.pairs).get("little_endian") is False
    made = pickles.follow(bounded, left, imports)
    keys = pickles.follow(bounded, left, imports)
    if not isinstance(keys, Items) or len(keys.items) > RECORDS:
        raise FormatError("its list of numbers cannot be read")
    kinds = _kinds_of_storages(made)
    places: dict[str, tuple[int, int]] = {}
    at = stream.tell()
    for key in keys.items:
        stream.seek(at)
        count = int.from_bytes(stream.read(8), "little")
        if key not in kinds:
            raise FormatError(f"nothing says of what type the numbers {safe(key, 40)} are")
        end = at + 8 + count * DTYPES[kinds[key]]
        if end > whole:
            raise FormatError("its numbers reach beyond the end of the file")
        places[key], at = (at + 8, end), end

    def locate(key: str, kind: str, count: int) -> tuple[int, int]:
        if key not in places:
            raise FormatError(f"the numbers {safe(key, 40)} are not in the file")
        return places[key]

    return _contents(LEGACY, made, locate, whole, swapped, (), imports)


class _Bounded:
    """The first bytes of a stream; a pickle that wants more is read no further."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left = stream, limit
        self._size = os.fstat(stream.fileno()).st_size

    def _take(self, found: bytes) -> bytes:
        self._left -= len(found)
        if self._left < 0:
            raise FormatError(f"its structure takes more than {size(pickles.SIZE)}")
        return found

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise FormatError(f"its structure takes more than {size(pickles.SIZE)}, or is cut off")
        return self._take(self._stream.read(count))

    def readline(self) -> bytes:
        return self._take(self._stream.readline(self._left + 1))

    def tell(self) -> int:
        return self._stream.tell()


def _nowhere(key: str, kind: str, count: int) -> tuple[int, int]:
    raise FormatError("its numbers are not in the file")


def _contents(
    what: str, made: Any, locate: Locate, whole: int, swapped: bool, notes: tuple[str, ...], imports: Iterable[Named]
) -> Contents:
    refused = tuple(safe(name, 200) for name in imports if str(name) not in _KNOWN)
    return Contents(what, _Reader(locate, swapped).node(made), whole, refused=refused, notes=notes)


def _kinds_of_storages(made: Any) -> dict[str, str]:
    """The type of each storage that something refers to."""
    kinds: dict[str, str] = {}
    waiting, seen = [made], set()
    while waiting:
        value = waiting.pop()
        if not isinstance(value, Items | Map | Called | Outside) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Outside):
            key, kind, _ = _storage(value)
            kinds[key] = kind
        elif isinstance(value, Items):
            waiting.extend(value.items)
        elif isinstance(value, Map):
            waiting.extend(part for pair in value.pairs for part in pair)
        else:
            waiting.extend((value.arguments, value.state, *value.items, *(part for pair in value.pairs for part in pair)))
    return kinds


def _storage(found: Any) -> tuple[str, str, int]:
    """Key, type and count of what a reference to a storage names."""
    parts = found.id.items if isinstance(found, Outside) and isinstance(found.id, Items) else ()
    if len(parts) < 5 or parts[0] != "storage" or not isinstance(parts[1], Named) or not isinstance(parts[4], int):
        raise FormatError("it refers to numbers in a way that is not known here")
    kind = STORAGES.get(parts[1].name, "") if parts[1].module in ("torch", "torch.storage", "torch.cuda") else ""
    if not kind:
        raise FormatError(f"it has numbers of the type {safe(parts[1], 60)}, which is not known here")
    if not isinstance(parts[2], str) or not 0 <= parts[4] < 1 << 60:
        raise FormatError("it refers to numbers in a way that is not known here")
    return parts[2], kind, parts[4]


class _Reader:
    """What a pickle would make, as a tree. What is referred to often counts often, so that no small file takes long."""

    def __init__(self, locate: Locate, swapped: bool) -> None:
        self._locate, self._swapped = locate, swapped
        self._places: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._left = MAX_NODES
        self._short: dict[str, str] = {}

    def _count(self, places: int) -> None:
        self._left -= places
        if self._left < 0:
            raise FormatError(
                f"it has more places than can be shown; {MAX_NODES:,} numbers, or {MAX_NODES // INSIDE:,} tables"
            )

    def node(self, value: Any, above: tuple[int, ...] = ()) -> Node:
        holds = isinstance(value, Items | Map | Called)
        self._count(INSIDE if holds else 1)
        if holds:
            if id(value) in above:
                return Node("value", "itself, again")
            if len(above) >= MAX_DEPTH:
                return Node("value", f"nested more than {MAX_DEPTH} deep")
            above = (*above, id(value))
        match value:
            case Map(pairs):
                return self._map(pairs, above)
            case Items(kind, items):
                return self._list("tuple" if kind == "tuple" else "list", items, above)
            case Called():
                return self._called(value, above)
        return Node("value", _short(value))

    def _map(self, pairs: list[tuple[Any, Any]], above: tuple[int, ...]) -> Node:
        self._count(len(pairs))
        last: dict[Any, tuple[str, Any]] = {}
        for key, value in pairs:
            same = key if isinstance(key, str | int | float | bytes | None) else id(key)
            last[type(key), same] = (self._key(key), value)
        found: dict[str, Node] = {}
        seen: dict[str, int] = {}
        for name, value in last.values():
            unique = name
            while unique in found:
                seen[name] = seen.get(name, 1) + 1
                unique = f"{name}~{seen[name]}"
            found[unique] = self.node(value, above)
        return Node("dict", children=tuple(found.items()))

    def _key(self, value: Any) -> str:
        if not isinstance(value, str):
            return _short(value)
        return value if len(value) <= KEY else self._short.setdefault(value, f"{value[: KEY - 1]}…")

    def _list(self, kind: Any, items: list[Any], above: tuple[int, ...]) -> Node:
        return Node(kind, children=tuple((str(i), self.node(item, above)) for i, item in enumerate(items)))

    def _called(self, value: Called, above: tuple[int, ...]) -> Node:
        name = str(value.what) if isinstance(value.what, Named) else "what it made itself"
        arguments = value.arguments.items if isinstance(value.arguments, Items) else []
        self._count(len(arguments))
        if name in _REBUILD:
            return self._tensor(arguments, name.endswith("v3"))
        if name in _PARAMETER and arguments and isinstance(arguments[0], Called):
            inner = self.node(arguments[0], above)
            learns = len(arguments) > 1 and arguments[1] is True
            return inner if inner.tensor is None else Node("tensor", tensor=replace(inner.tensor, learns=learns))
        if name in _OTHER_TENSORS:
            return Node("value", f"{_OTHER_TENSORS[name]}, which is not shown")
        if name in _MAPS:  # torch puts versions of layers beside the tensors of a state_dict, as the state
            given = arguments[-1] if arguments and isinstance(arguments[-1], Map | Items) else None
            return self._map([*self._as_pairs(given), *value.pairs], above)
        if name in _LISTS:
            given = arguments[0] if arguments and isinstance(arguments[0], Items) else Items("list")
            return self._list(_LISTS[name], given.items, above)
        shown = ", ".join(_short(argument) for argument in arguments[:4])
        if name in _KNOWN:
            return Node("value", safe(f"{name.rpartition('.')[2]}({shown})", 300))
        return Node("object", f"{safe(name, 100)}({safe(shown, 200)})", self._parts(value, arguments, above), call=True)

    def _parts(self, value: Called, arguments: list[Any], above: tuple[int, ...]) -> tuple[tuple[str, Node], ...]:
        """What a call that is not made would be given, as far as there is something to see in it."""
        parts = [(str(i), argument) for i, argument in enumerate(arguments) if isinstance(argument, Items | Map | Called)]
        if isinstance(value.state, Map):
            self._count(len(value.state.pairs))
            parts += [(self._key(key), item) for key, item in value.state.pairs]
        elif value.state is not None:
            parts.append(("state", value.state))
        self._count(len(value.pairs))
        parts += [(str(i), item) for i, item in enumerate(value.items)]
        parts += [(self._key(key), item) for key, item in value.pairs]
        return tuple((key, self.node(item, above)) for key, item in parts)

    def _as_pairs(self, given: Any) -> list[tuple[Any, Any]]:
        if isinstance(given, Map):
            return given.pairs
        found = given.items if isinstance(given, Items) else []
        self._count(len(found))
        return [(one.items[0], one.items[1]) for one in found if isinstance(one, Items) and len(one.items) == 2]

    def _tensor(self, arguments: list[Any], typed: bool) -> Node:
        """(storage, offset, shape, strides, requires_grad, hooks), and in version 3 the type behind them."""
        try:
            where, offset, shape, strides, *more = arguments
            key, kind, count = _storage(where)
            if max(len(shape.items), len(strides.items)) > MAX_DIMENSIONS:
                raise FormatError("its shape makes no sense")
            if (key, kind, count) not in self._places:
                self._places[key, kind, count] = self._locate(key, kind, count)
            span = self._places[key, kind, count]
            if typed:
                kind = next(TYPES[one.name] for one in more if isinstance(one, Named) and one.module == "torch")
            if not typed and len(more) > 2 and more[2] is not None and not (isinstance(more[2], Map) and not more[2].pairs):
                raise FormatError("it is a view that is negated or conjugated when it is read")
            if type(offset) is not int or offset < 0:
                raise FormatError("its place makes no sense")
            begin = span[0] + offset * DTYPES[kind]
            learns = bool(more) and more[0] is True
            sizes = tuple(shape.items), tuple(strides.items)
            found = stored(kind, *sizes, begin, span, swapped=self._swapped, learns=learns)
        except FormatError as error:
            return Node("value", f"a tensor that is refused: {error}")
        except (ValueError, AttributeError, StopIteration, KeyError, TypeError):
            return Node("value", "a tensor that is refused: what it is made of makes no sense")
        return Node("tensor", tensor=found)


def _short(value: Any) -> str:
    """A value in a few words."""
    match value:
        case Items("tuple", items) if len(items) <= 4 and all(isinstance(item, int | float | None) for item in items):
            return f"({', '.join(map(_short, items))})"
        case Items(kind, items):
            return f"{kind} of {len(items)}"
        case Map(pairs):
            return f"dict of {len(pairs)}"
        case Called(what):
            return safe(f"{what}(...)" if isinstance(what, Named) else "(...)", 200)
        case Outside():
            return "numbers without a shape"
        case bytes() | bytearray():
            return counted(len(value), "byte")
        case Large():
            return "a very large number"
        case str():
            return _quoted(value)
    return safe(value, 200)


@lru_cache(maxsize=4096)
def _quoted(value: str) -> str:
    """The same text may stand in a file very often."""
    return safe(repr(value[:200]) + ("…" if len(value) > 200 else ""), 300)
