"""Files of tensors that are damaged or hostile: refused with a sentence or read as far as they are plain, and nothing runs."""

import io
import json
import os
import pickle
import random
import re
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import in_time
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import tensor_file, with_header

from mlptui.core.text import safe
from mlptui.store.formats import opening, pickles
from mlptui.store.formats.contents import DTYPES, Contents, FormatError

MEGABYTE = 1 << 20
PEAK = 200 * MEGABYTE  # beside what a file of at most 40 MB takes itself
SECONDS, AT_THE_LIMITS = 1.0, 2.0  # of processor time; the latter for what takes all that is allowed, beside torch
ONE = {"w": ("F32", (1,))}
Tensors = dict[str, tuple[str, tuple[int, ...]]]
Make = Callable[[Path], "bytes | Path | None"]


@dataclass(frozen=True)
class Case:
    """`make` gives the bytes of a file, another path, or None when it wrote the file itself.

    `error` must be found in the sentence; without it the file is read, and `shows` is found in its places line by line.
    """

    make: bytes | Make
    error: str = ""
    tensors: Tensors = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    shows: str = ""
    notes: str = ""
    bomb: bool = False


def written(case: Case, path: Path) -> Path:
    found = case.make if isinstance(case.make, bytes) else case.make(path)
    if isinstance(found, Path):
        return found
    if found is not None:
        path.write_bytes(found)
    return path


def read(path: Path, seconds: float = SECONDS) -> Contents | str:
    """What the file holds or the sentence that refuses it, after a look at time, warnings and what would be shown."""

    def opened() -> Contents | str:
        try:
            found = opening.read(path)
            found.tensors()
            return found
        except FormatError as error:
            return str(error)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = in_time(seconds, opened)
    assert not told, "a warning is written over the screen"
    if isinstance(found, str):
        assert found.startswith(f"{safe(path.name, 200)} is refused: ") and len(found) < 500, found
        assert found.isprintable(), repr(found)
        return found
    for where, node in found.walk():
        assert node.text.isprintable() and len(node.text) < 1000, (where, node.text[:200])
    for name, one in found.tensors().items():
        assert one.dtype in DTYPES and all(type(n) is int and n >= 0 for n in (*one.shape, *one.strides, one.start)), name
        if not one.member and one.count:
            last = sum((extent - 1) * stride for extent, stride in zip(one.shape, one.strides, strict=True))
            assert one.start + (last + 1) * DTYPES[one.dtype] <= found.size, name
    return found


def judge(case: Case, path: Path) -> None:
    found = read(path, AT_THE_LIMITS if case.bomb else SECONDS)
    if case.error:
        assert isinstance(found, str), found.root
        assert re.search(case.error, found), found
        return
    assert isinstance(found, Contents), found
    assert set(case.refused) <= set(found.refused) and bool(case.refused) == bool(found.refused), found.refused
    assert {name: (one.dtype, one.shape) for name, one in found.tensors().items()} == case.tensors
    lines = "\n".join(f"{'/'.join(where)}: {node.text}" for where, node in found.walk())
    assert re.search(case.shows, lines), lines[:2000]
    assert re.search(case.notes, " ".join(found.notes))


# safetensors


def entry(start: Any = 0, stop: Any = 4, shape: Any = (1,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [start, stop]}


def tensors_of(header: Any, size: int = 4) -> bytes:
    return with_header(header if isinstance(header, bytes) else json.dumps(header).encode(), b"\0" * size)


def named(*names: str) -> bytes:
    """A float for each name."""
    return tensors_of({name: entry(4 * i, 4 * i + 4) for i, name in enumerate(names)}, 4 * len(names))


def floats(*names: str) -> Tensors:
    return dict.fromkeys(names, ("F32", (1,)))


NO_SENSE = "makes no sense"
SAFETENSORS = {
    "good": Case(named("w"), tensors=ONE),
    "a header without a file": Case(struct.pack("<Q", 2) + b"{", "header is larger"),
    "header of 2^63": Case(struct.pack("<Q", 1 << 63) + b"{}" + b"\0" * 90, "neither"),
    "header of 2^64 - 1": Case(b"\xff" * 8 + b"{}" + b"\0" * 90, "neither"),
    "header of 9 MB": Case(struct.pack("<Q", 9 << 20) + b"{}", "its header has 9.44 MB, more than the 8.39 MB"),
    "header of 8 MB that is not there": Case(struct.pack("<Q", 8 << 20) + b"{}", "header is larger"),
    "overlap": Case(tensors_of({"a": entry(), "b": entry()}), "overlap"),
    "hole": Case(tensors_of({"a": entry(), "b": entry(8, 12)}, 12), "holes"),
    "hole at the end": Case(tensors_of({"a": entry()}, 8), "holes"),
    "beyond the end": Case(tensors_of({"a": entry(0, 8, (2,))}), "cut off.* 4 bytes of .a. are not there"),
    "backwards": Case(tensors_of({"a": entry(4, 0)}), NO_SENSE),
    "offsets of floats": Case(tensors_of({"w": entry(0.0, 4.0)}), NO_SENSE),
    "offsets of truth": Case(tensors_of(b'{"w":{"dtype":"I8","shape":[1],"data_offsets":[false,true]}}', 1), NO_SENSE),
    "offsets without end": Case(tensors_of(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}'), NO_SENSE),
    "offsets that are no number": Case(tensors_of(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[NaN,NaN]}}'), NO_SENSE),
    "shape of a text": Case(tensors_of({"w": entry(shape="")}), NO_SENSE),
    "shape of a table": Case(tensors_of({"w": entry(shape={})}), NO_SENSE),
    "shape of truth": Case(tensors_of({"w": entry(shape=[True])}), NO_SENSE),
    "negative shape": Case(tensors_of({"w": entry(shape=(-1, -1))}), NO_SENSE),
    "huge shape": Case(tensors_of({"w": entry(shape=(2**62, 2**62))}), NO_SENSE),
    "huge shape of nothing": Case(tensors_of({"w": entry(0, 0, (2**63, 0))}, 0), NO_SENSE),
    "65 extents": Case(tensors_of({"w": entry(shape=(1,) * 65)}), NO_SENSE),
    "64 extents": Case(tensors_of({"w": entry(shape=(1,) * 64)}), tensors={"w": ("F32", (1,) * 64)}),
    "type unknown": Case(tensors_of({"w": entry(dtype="\x1b[31mF33")}), NO_SENSE),
    "name twice": Case(tensors_of(b'{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"w":1}'), "twice"),
    "key twice": Case(tensors_of(b'{"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'), "twice"),
    "deep lists": Case(tensors_of(b'{"a":' + b"[" * 99_999 + b"]" * 99_999 + b"}"), "cannot be read"),
    "deep tables": Case(tensors_of(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "cannot be read"),
    "no UTF-8": Case(tensors_of(b'{"\xff\xfe": 1}'), "cannot be read"),
    "a huge number": Case(tensors_of(b'{"a":' + b"9" * 5000 + b"}"), "cannot be read"),
    "millions of lists": Case(lambda _: tensors_of(b'{"a":[' + b"[]," * 2_700_000 + b"1]}"), NO_SENSE, bomb=True),
    "millions of tables": Case(lambda _: tensors_of(b'{"a":[' + b"{}," * 2_700_000 + b"1]}"), NO_SENSE, bomb=True),
    "too many tensors": Case(lambda _: tensors_of(b"{" + b",".join(b'"%d":0' % i for i in range(50_001)) + b"}"), "50,000"),
    "about is a list": Case(tensors_of({"__metadata__": [], "w": entry()}), "what it says of itself"),
    "about of numbers": Case(tensors_of({"__metadata__": {"a": 1}, "w": entry()}), "what it says of itself"),
    "names that lead away": Case(named("../../x", "/etc/passwd", ""), tensors=floats("../../x", "/etc/passwd", "tensor")),
    "names with codes and markup": Case(
        named("\x1b[31m", "[/x]", "[red]", "a\nb", "\u202e", "\ud800"),
        tensors=floats("\x1b[31m", "[/x]", "[red]", "a\nb", "\u202e", "\ud800"),
    ),
}  # fmt: skip


# NumPy


def npy(header: str, data: bytes = b"\0" * 4, version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + data


def head(shape: str = "(1,)", kind: str = "'<f4'", fortran: str = "False") -> str:
    return f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}}}"


def array(value: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


NPY = {
    "good": Case(array(np.ones((2, 3), "f4")), tensors={"tensor": ("F32", (2, 3))}),
    "no dimension": Case(array(np.float64(1)), tensors={"tensor": ("F64", ())}),
    "nothing": Case(array(np.ones((3, 0))), tensors={"tensor": ("F64", (3, 0))}),
    "foreign byte order": Case(array(np.ones(2, ">i2")), tensors={"tensor": ("I16", (2,))}),
    "complex": Case(array(np.ones(2, "c8")), tensors={"tensor": ("C64", (2,))}),
    "only the magic": Case(b"\x93NUMPY", "header cannot be read"),
    "format 9": Case(npy(head(), version=b"\x09\0"), "header cannot be read|format 9"),
    "format 2": Case(npy(head(), version=b"\2\0"), tensors={"tensor": ("F32", (1,))}),
    "format 3": Case(npy(head(), version=b"\3\0"), "format 3"),
    "header of 4 GB": Case(b"\x93NUMPY\2\0\xff\xff\xff\xff{}", "headers of its arrays are too long"),
    "header of 60 kB": Case(npy(head() + " " * 60_000), "header cannot be read"),
    "header is code": Case(
        lambda path: npy(f"__import__('os').system('touch {marker(path)}')"), "header cannot be read"
    ),
    "shape is code": Case(
        lambda path: npy(head(f"(__import__('os').system('touch {marker(path)}'),)")), "header cannot be read"
    ),
    "header is a list": Case(npy("[1]"), "header cannot be read"),
    "header with codes": Case(npy("['\x1b[31m']"), "header cannot be read"),
    "header lacks a key": Case(npy("{'descr': '<f4', 'shape': (1,)}"), "header cannot be read"),
    "header of Python 2": Case(npy(head("(1L,)")), tensors={"tensor": ("F32", (1,))}),
    "deep brackets": Case(npy("(" * 9000), "header cannot be read"),
    "deep signs": Case(npy("-" * 9000 + "1"), "header cannot be read"),
    "objects": Case(array(np.array([1, None], object)), refused=("numpy object array",), shows="Python objects"),
    "objects in a field": Case(array(np.zeros(1, [("a", "O")])), refused=("numpy object array",), shows="Python objects"),
    "fields": Case(array(np.zeros(2, [("a", "<f4"), ("\x1b[31m\n", "<i8")])), shows="no numbers that a tensor holds"),
    "texts": Case(array(np.array(["a", "bc"])), shows="no numbers that a tensor holds"),
    "dates": Case(array(np.zeros(2, "M8[s]")), shows="no numbers that a tensor holds"),
    "shape says more": Case(npy(head("(2,)")), "4 bytes of numbers, and its header says 8|beyond"),
    "shape says less": Case(npy(head("(0,)")), "4 bytes of numbers, and its header says 0"),
    "negative shape": Case(npy(head("(-1,)")), NO_SENSE),
    "two negative extents": Case(npy(head("(-1, -1)")), NO_SENSE),
    "shape of truth": Case(npy(head("(True,)")), NO_SENSE),
    "huge shape": Case(npy(head(f"({2**61}, {2**61})")), "beyond|bytes of numbers|no sense"),
    "huge shape of nothing": Case(npy(head(f"({2**63}, 0)"), b""), NO_SENSE),
    "a thousand extents": Case(npy(head("(" + "1," * 1000 + ")")), NO_SENSE),
    "unknown type": Case(npy(head(kind="'<q9'")), "header cannot be read"),
}  # fmt: skip


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def zeros(name: str, start: bytes, megabytes: int, kind: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind, compresslevel=1) as archive, archive.open(name, "w") as member:
        member.write(start)
        for _ in range(megabytes):
            member.write(b"\0" * MEGABYTE)
    return stream.getvalue()


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """`at` counts from the beginning of the first entry in the table."""
    begin = data.index(b"PK\1\2") + at
    return data[:begin] + value + data[begin + len(value) :]


def encrypted(data: bytes) -> bytes:
    return patched(data[:6] + b"\1" + data[7:], 8, b"\1")


def twice(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(name, content)
            archive.writestr(name, content)
    return stream.getvalue()


def large_table(path: Path) -> None:
    """A sparse file whose end names, in its 64-bit record alone, a table of 500 MB."""
    length = 500 * MEGABYTE
    with path.open("wb") as stream:
        stream.write(b"PK\3\4")
        stream.seek(length + 100)
        stream.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, length, 100))
        stream.write(b"PK\6\7" + struct.pack("<IQI", 0, length + 100, 1))
        stream.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 22, 100, 0))


def hidden_table(path: Path) -> None:
    """The same in the 32-bit record, where the mark of an end stands in the end itself."""
    length = 500 * MEGABYTE
    with path.open("wb") as stream:
        stream.write(b"PK\3\4")
        stream.seek(length + 100)
        stream.write(b"PK\5\6" + struct.pack("<HHHHI", 0, 0, 1, 1, length) + b"PK\5\6" + b"\0\0")


def many_members(path: Path) -> None:
    """300,000 entries that name one place."""
    one = zipped({"000000.npy": array(np.ones(1))})
    begin, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    row = one[begin:end]
    with path.open("wb") as stream:
        stream.write(one[:begin])
        for i in range(300_000):
            stream.write(row.replace(b"000000", b"%06d" % i))
        stream.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 300_000 * len(row), begin, 0))


FLOAT = array(np.ones(1, "f4"))
BOMB = npy(head(f"({256 << 18},)"), b"")
LONG_HEADER = head("(0,)", "[" + ",".join(f"('f{i}','<f4')" for i in range(600)) + "]")
LONG_HEADERS = {f"a{i}.npy": npy(LONG_HEADER, b"") for i in range(1_000)}

NPZ = {
    "good": Case(zipped({"w.npy": FLOAT}), tensors=ONE),
    "compressed": Case(zipped({"w.npy": FLOAT}, zipfile.ZIP_DEFLATED), tensors=ONE),
    "no arrays beside one": Case(zipped({"w.npy": FLOAT, "x.txt": b"x"}), tensors=ONE, shows="x.txt: no array"),
    "objects beside numbers": Case(
        zipped({"w.npy": FLOAT, "o.npy": array(np.array([None], object))}), tensors=ONE, refused=("numpy object array",)
    ),
    "names that lead away": Case(
        zipped({"../../x.npy": FLOAT, "/etc/y.npy": FLOAT}), tensors=floats("../../x", "/etc/y")
    ),
    "names with codes and markup": Case(
        zipped({"\x1b[31m.npy": FLOAT, "[/x].npy": FLOAT, "a\nb.npy": FLOAT}), tensors=floats("\x1b[31m", "[/x]", "a\nb")
    ),
    "member twice": Case(twice("w.npy", FLOAT), "twice"),
    "member that is no array": Case(zipped({"w.npy": b"text"}), "header cannot be read"),
    "member that is empty": Case(zipped({"w.npy": b""}), "header cannot be read"),
    "encrypted": Case(encrypted(zipped({"w.npy": FLOAT})), "encrypted"),
    "compressed and encrypted": Case(encrypted(zipped({"w.npy": FLOAT}, zipfile.ZIP_DEFLATED)), "encrypted"),
    "way of packing unknown": Case(patched(zipped({"w.npy": FLOAT}), 10, b"\x63\0"), "is packed in a way"),
    "not where the table says": Case(patched(zipped({"w.npy": FLOAT}), 42, struct.pack("<I", 7)), "not where"),
    "far from where the table says": Case(patched(zipped({"w.npy": FLOAT}), 42, struct.pack("<I", 1 << 31)), "not where"),
    "sizes do not agree": Case(patched(zipped({"w.npy": FLOAT}), 20, struct.pack("<I", 7)), "do not agree"),
    "larger than the file": Case(patched(zipped({"w.npy": FLOAT}), 20, struct.pack("<II", 9999, 9999)), "beyond the end"),
    "shorter than its array": Case(patched(zipped({"w.npy": FLOAT}), 20, struct.pack("<II", 130, 130)), "bytes of num|beyond"),
    "table elsewhere": Case(zipped({"w.npy": FLOAT})[:-6] + struct.pack("<IH", 1 << 31, 0), "."),
    "bomb of 256 MB": Case(
        lambda _: zeros("w.npy", BOMB, 256, zipfile.ZIP_DEFLATED), tensors={"w": ("F32", (256 << 18,))}, bomb=True
    ),
    "1,000 long headers": Case(lambda _: zipped(LONG_HEADERS, zipfile.ZIP_DEFLATED), "are too long", bomb=True),
    "bomb without a header": Case(lambda _: zeros("w.npy", b"", 256, zipfile.ZIP_DEFLATED), "header cannot", bomb=True),
    "bomb of bzip2": Case(lambda _: zeros("w.npy", BOMB, 16, zipfile.ZIP_BZIP2), "is packed in a way", bomb=True),
    "bomb of lzma": Case(lambda _: zeros("w.npy", BOMB, 16, zipfile.ZIP_LZMA), "is packed in a way", bomb=True),
    "table of 500 MB": Case(large_table, "table has", bomb=True),
    "hidden table of 500 MB": Case(hidden_table, "table has|cannot be read", bomb=True),
    "12,001 arrays": Case(lambda _: zipped({f"{i}.npy": npy(head()) for i in range(12_001)}), "more than the 12,000 arrays"),
    "300,000 members": Case(many_members, "members|table has", bomb=True),
    "two archives": Case(zipped({"a.npy": FLOAT}) + zipped({"b.npy": FLOAT}), tensors=floats("b")),
}  # fmt: skip


# PyTorch and pickles


def p(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    shape: tuple[int, ...] = (1,),
    strides: tuple[int, ...] = (1,),
    *,
    offset: int = 0,
    key: str = "0",
    storage: str = "torch\nFloatStorage",
    count: int = 1,
    more: bytes = b"\x89}",
) -> bytes:
    """Operations that make a tensor as torch.save writes it."""
    place = b"(" + text("storage") + f"c{storage}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + number(offset) + numbers(shape) + numbers(strides) + more + b"tR"


def table(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def archive(made: bytes, data: bytes = b"\0" * 4, **more: bytes) -> bytes:
    return zipped({"a/data.pkl": p(made), "a/data/0": data, **{f"a/{name}": value for name, value in more.items()}})


def one(**how: Any) -> bytes:
    """A file of one tensor `w`."""
    data = how.pop("data", b"\0" * 4)
    return archive(table(w=tensor(**how)), data)


MAGIC, SYSTEM = number(0x1950A86A20F9469CFC6C), table(little_endian=b"\x88")


def old(
    made: bytes | None = None,
    *,
    magic: bytes = MAGIC,
    version: bytes = number(1001),
    system: bytes = SYSTEM,
    keys: bytes = b"](" + text("0") + b"e",
    data: bytes = struct.pack("<Q", 1) + b"\0" * 4,
) -> bytes:
    """The older format of torch.save."""
    return b"".join(map(p, (magic, version, system, table(w=tensor()) if made is None else made, keys))) + data


def saved(make: Callable[[Any], Any], **how: Any) -> Make:
    """What torch itself saves; `make` gets torch."""

    def save(_: Path) -> bytes:
        import torch

        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(make(torch), stream, **how)
        return stream.getvalue()

    return save


def script(_: Path) -> bytes:
    import torch

    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), stream)
    return stream.getvalue()


def lightning(torch: Any) -> dict[str, Any]:
    import argparse
    import datetime
    from collections import OrderedDict, defaultdict

    model = torch.nn.Linear(2, 3)
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": OrderedDict(model.state_dict()),
        "optimizer_states": [torch.optim.Adam(model.parameters()).state_dict()],
        "loops": defaultdict(dict, fit={"n": 1}),
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_path": Path("/x/y.ckpt")}},
        "hyper_parameters": argparse.Namespace(lr=0.1, dims=(1, 2), when=datetime.timedelta(seconds=3)),
    }


def again(made: bytes, times: int) -> bytes:
    """A list that names one thing so often."""
    return p(made + b"q\x000(" + b"h\x00" * times + b"l")


def laughs(leaf: bytes = b"]", depth: int = 60, width: int = 10) -> bytes:
    steps = (b"0](" + b"h%c" % i * width + b"eq%c" % (i + 1) for i in range(depth))
    return p(leaf + b"q\x00" + b"".join(steps))


def deep_names(_: Path) -> bytes:
    """Places that each have a name of 60,000 characters."""
    made = b"](" + tensor() + b"q\1" + b"h\1" * 20_000 + b"e"
    for _ in range(60):
        made = b"}" + text("😀" * 999) + made + b"s"
    return zipped({"a/data.pkl": p(made), "a/data/0": b"\0" * 4})


def same_names(_: Path) -> bytes:
    """1,500 bytes in which 6,561 places have tensors that are all called `w`."""
    made = table(_parameters=table(w=tensor()))
    for i in range(8):
        made += b"q%c0" % i + table(**dict.fromkeys(("_modules", "_parameters", "_buffers"), b"h%c" % i))
    return archive(made)


SAME: Tensors = {"w" if n == 1 else f"w~{n}": ("F32", (1,)) for n in range(1, 3**8 + 1)}


def loop(_: Path) -> bytes:
    inside: list[Any] = []
    around = {"list": inside}
    inside.extend([around, inside])
    return pickle.dumps(around, 2)


MANY = pickles.OPERATIONS + 1
LONG_MODULE = text(b"a" * 2_000_000) + b"q\x000(" + b"".join(b"h\x00" + text(f"{i:04}") + b"\x93" for i in range(150)) + b"l"
PYTHON_2 = b"ccollections\nOrderedDict\n(](](" + text("w") + tensor() + b"eetR" + table(_metadata=b"}") + b"b"
MANY_TUPLES = b"}(" + b"(NNNNNtN" * 8_000 + b"u"
MIXED_KEYS = b"}(K\1" + tensor() + text("1") + tensor() + b"K\1K\2\x86" + tensor() + b"K\2K\1\x86" + tensor() + b"u"
LONG_KEYS = b"}(" + text("k" * 1500) + tensor() + text("k" * 1499 + "z") + tensor() + b"u"
REFUSED = "w: a tensor that is refused: "
PICKLES = {
    "nothing": Case(p(b"N"), shows=": None"),
    "only a protocol": Case(b"\x80\x02", "cut off"),
    "protocol 9": Case(b"\x80\x09N.", "neither"),
    "unknown operation": Case(p(b"\xff"), "structure cannot be read"),
    "empty stack": Case(p(b""), "structure cannot be read"),
    "empty stack, reduced": Case(p(b"R"), "structure cannot be read"),
    "a mark alone": Case(p(b"("), NO_SENSE),
    "a mark in a call": Case(p(b"(NR"), NO_SENSE),
    "memo that is not there": Case(p(b"h\x07"), "structure cannot be read"),
    "a pair without its value": Case(p(b"}(Nu"), NO_SENSE),
    "filled what cannot be filled": Case(p(b"N(Ne"), NO_SENSE),
    "text longer than the file": Case(p(b"X\xff\xff\xff\x7f"), "cut off"),
    "bytes of 2^63": Case(p(b"\x8e" + struct.pack("<Q", 1 << 63)), "structure cannot be read"),
    "number of negative length": Case(p(b"\x8b\xff\xff\xff\xff"), "structure cannot be read"),
    "buffers elsewhere": Case(b"\x80\x05\x97.", "buffers"),
    "a very large number": Case(p(table(n=number(1 << 40_000))), shows="n: a very large number"),
    "a very large number beside others": Case(p(table(n=number(1 << 40_000), m=b"K\1")), shows="m: 1"),
    "names with codes": Case(
        p(text("a\x1b[1m") + text("b\nc") + b"\x93"), refused=("a␛[1m.b␊c",), shows=": a␛"
    ),
    "codes in all": Case(
        p(table(**{"\x1b[31m": text("\x1b[31m"), "[/x]": b"cdatetime\ndate\n(" + b"ca\x1b[31m\nb\n)RtR"})),
        refused=("a␛[31m.b",),
    ),
    "lists 100,000 deep": Case(p(b"]" * 100_000 + b"a" * 99_999), shows="nested more than 64 deep", bomb=True),
    "tables 100,000 deep": Case(p(b"}K\1" * 100_000 + b"N" + b"s" * 100_000), shows="nested more than 64 deep", bomb=True),
    "calls 60,000 deep": Case(p(b"ca\nb\n" * 60_000 + b")" + b"R" * 60_000), refused=("a.b",), bomb=True),
    "tuples in tuples": Case(p(b")" + b"\x85" * 190_000), shows="nested more than 64 deep", bomb=True),
    "itself": Case(loop, shows="itself, again"),
    "laughs": Case(laughs(), "more places than can be shown", bomb=True),
    "laughs of tables": Case(laughs(b"}"), "more places than can be shown", bomb=True),
    "laughs of one": Case(laughs(width=1), shows="0/0/0", bomb=True),
    "too much of nothing": Case(p(b"N" * MANY), "operations", bomb=True),
    "too many names": Case(p(b"cos\nsystem\n0" * 390_000 + b"N"), "operations", bomb=True),
    "too many long numbers": Case(p((b"L" + b"9" * 4000 + b"L\n0") * 8_000 + b"N"), "operations", bomb=True),
    "too many texts": Case(p(b"S'ab'\n0" * 390_000 + b"N"), "operations", bomb=True),
    "too many lists": Case(p(b"]" * MANY), "operations", bomb=True),
    "too many calls": Case(p(b"ca\nb\nq\1" + b"h\1)R" * 90_000), "more than 80,000 calls", bomb=True),
    "a table of one key, often": Case(again(b"(" + b"NN" * 30_000 + b"d", 300), ".", bomb=True),
    "a call of many, often": Case(again(b"ca\nb\n(" + b"N" * 30_000 + b"tR", 3000), ".", bomb=True),
    "a long number, often": Case(again(number(1 << 13_600), 20_000), shows="a very large", bomb=True),
    "a number of 4 MB, often": Case(again(number(-(1 << 31_000_000)), 40_000), shows="a very large", bomb=True),
    "a key of 4 MB, often": Case(
        p(b"}(" + number(1 << 31_000_000) + b"q\0K\1" + b"h\0K\1" * 1_000 + b"u"), shows="a very", bomb=True
    ),
    "a long text, often": Case(again(text(b"a" * 1_000_000), 3000), shows="aaa'?…", bomb=True),
    "a long key, often": Case(again(b"}" + text("😀" * 999) + b"Ns", 38_000), shows="😀", bomb=True),
    "a long module of many names": Case(p(LONG_MODULE), refused=("a" * 199 + "…",), bomb=True),
    "a tensor of a long shape, often": Case(again(tensor((1,) * 30_000), 3000), shows=": a tensor that is refused", bomb=True),
    "40 MB": Case(lambda _: p(b"B" + struct.pack("<I", 40 << 20) + b"\0" * (40 << 20)), "32.*MB|33.*MB", bomb=True),
}  # fmt: skip
ZIPS = {
    "good": Case(one(), tensors=ONE),
    "no dimension": Case(one(shape=(), strides=()), tensors={"w": ("F32", ())}),
    "no structure": Case(zipped({"a/data/0": b""}), "neither of torch.save nor"),
    "other names": Case(zipped({"\x1b[31m": b"", "../../x": b""}), "neither of torch.save nor"),
    "structure too deep": Case(zipped({"a/b/data.pkl": p(b"N")}), "neither of torch.save nor"),
    "no numbers": Case(zipped({"a/data.pkl": p(table(w=tensor()))}), shows=REFUSED + "the numbers 0 are not"),
    "numbers elsewhere": Case(one(key="../../x\x1b[31m"), shows=REFUSED + "the numbers .* are not in the file"),
    "numbers that are the structure": Case(one(key="../data.pkl"), shows=REFUSED),
    "fewer numbers than said": Case(one(count=9, shape=(9,)), shows=REFUSED + ".*fewer"),
    "shape beyond its numbers": Case(one(shape=(9,)), shows=REFUSED + "it reaches beyond"),
    "place beyond its numbers": Case(one(offset=1), shows=REFUSED + "it reaches beyond"),
    "strides beyond its numbers": Case(one(shape=(2,), strides=(1 << 61,)), shows=REFUSED + "it reaches beyond"),
    "negative place": Case(one(offset=-1), shows=REFUSED + "its place makes no sense"),
    "negative stride": Case(one(shape=(2,), strides=(-1,)), shows=REFUSED + "its shape makes no sense"),
    "negative shape": Case(one(shape=(-1,)), shows=REFUSED + "its shape makes no sense"),
    "negative count": Case(one(count=-1), shows=REFUSED),
    "huge count": Case(one(count=1 << 59), shows=REFUSED + ".*fewer"),
    "huge shape": Case(one(shape=(1 << 61, 1 << 61), strides=(1, 1)), shows=REFUSED),
    "stride 0": Case(one(shape=(5,), strides=(0,)), shows=REFUSED + "its numbers share places"),
    "shared places": Case(
        one(shape=(2, 2), strides=(1, 1), count=3, data=b"\0" * 12), shows=REFUSED + "its numbers share places"
    ),
    "shape and strides of other length": Case(one(shape=(1, 1)), shows=REFUSED + "its shape makes no sense"),
    "type unknown": Case(
        one(storage="torch\nEvilStorage\x1b[31m"), refused=("torch.EvilStorage␛[31m",), shows=REFUSED + "it has numbers"
    ),
    "type of another module": Case(
        one(storage="evil\nFloatStorage"), refused=("evil.FloatStorage",), shows=REFUSED + "it has numbers of the type"
    ),
    "arguments missing": Case(archive(table(w=b"ctorch._utils\n_rebuild_tensor_v2\n)R")), shows=REFUSED),
    "arguments no tuple": Case(archive(table(w=b"ctorch._utils\n_rebuild_tensor_v2\nNR")), shows=REFUSED),
    "reference without sense": Case(archive(table(w=b"NQ")), shows="w: numbers without a shape"),
    "compressed numbers": Case(
        zipped({"a/data.pkl": p(table(w=tensor())), "a/data/0": b"\0" * 4}, zipfile.ZIP_DEFLATED), shows="compressed"
    ),
    "encrypted": Case(encrypted(one()), "encrypted"),
    "structure twice": Case(twice("a/data.pkl", p(b"N")), "twice"),
    "structure of 256 MB": Case(lambda _: zeros("a/data.pkl", b"", 256, zipfile.ZIP_DEFLATED), "structure takes", bomb=True),
    "structure of 256 MB that says 1,000 bytes": Case(
        lambda _: patched(zeros("a/data.pkl", b"", 256, zipfile.ZIP_DEFLATED), 24, struct.pack("<I", 1000)), ".", bomb=True
    ),
    "the same of bzip2": Case(
        lambda _: patched(zeros("a/data.pkl", b"", 16, zipfile.ZIP_BZIP2), 24, struct.pack("<I", 1000)),
        "is packed in a way", bomb=True,
    ),
    "structure damaged": Case(one().replace(b"FloatStorage", b"FloatSt\xffrage"), "CRC|checksum|cannot be read"),
    "byte order of another machine": Case(archive(table(w=tensor()), byteorder=b"big"), tensors=ONE),
    "byte order without sense": Case(archive(table(w=tensor()), byteorder=b"\x1b" * 99), tensors=ONE),
    "names that lead away": Case(archive(table(**{"../../x": tensor()})), tensors=floats("../../x")),
    "names with codes and markup": Case(
        archive(table(**{"\x1b[31m": tensor(), "[/x]": tensor(), "[red]": tensor()})),
        tensors=floats("\x1b[31m", "[/x]", "[red]"),
    ),
    "one name for thousands of tensors": Case(same_names, tensors=SAME, bomb=True),
    "laughs of tensors": Case(
        lambda _: zipped({"a/data.pkl": laughs(tensor()), "a/data/0": b"\0" * 4}), "more places than", bomb=True
    ),
    "deep names, often": Case(deep_names, "names of its tensors take more", bomb=True),
    "an offset of 4 MB, often": Case(
        lambda _: archive(again(tensor(offset=1 << 31_000_000), 1_000)), shows="its place makes no sense", bomb=True
    ),
    "a state_dict of Python 2": Case(archive(PYTHON_2), tensors=ONE),
    "8,000 keys that look the same": Case(
        lambda _: archive(MANY_TUPLES), shows="tuple of 5~8000", bomb=True
    ),
    "torch's own": Case(saved(lambda torch: {"w": torch.ones(1)}), tensors=ONE),
    "bfloat16": Case(saved(lambda torch: {"w": torch.ones(2, dtype=torch.bfloat16)}), tensors={"w": ("BF16", (2,))}),
    "float8": Case(saved(lambda torch: {"w": torch.ones(2).to(torch.float8_e5m2)}), tensors={"w": ("F8_E5M2", (2,))}),
    "complex": Case(saved(lambda torch: {"w": torch.ones(2, dtype=torch.cfloat)}), tensors={"w": ("C64", (2,))}),
    "sparse": Case(saved(lambda torch: {"w": torch.eye(3).to_sparse()}), shows="w: a sparse tensor"),
    "sparse rows": Case(saved(lambda torch: {"w": torch.eye(3).to_sparse_csr()}), shows="w: a sparse tensor"),
    "quantised": Case(saved(lambda torch: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)), shows="quantised"),
    "nested": Case(saved(lambda torch: {"w": torch.nested.nested_tensor([torch.ones(2)])}), shows="w: a nested tensor"),
    "meta": Case(saved(lambda torch: {"w": torch.ones(2, device="meta")}), shows="w: a tensor on the device meta"),
    "expanded": Case(saved(lambda torch: {"w": torch.ones(1).expand(5)}), shows=REFUSED + "its numbers share places"),
    "TorchScript": Case(
        script, refused=("__torch__.torch.nn.modules.linear.Linear",),
        tensors={"weight": ("F32", (3, 2)), "bias": ("F32", (3,))},
        notes="TorchScript",
    ),
    "a whole module": Case(
        saved(lambda torch: torch.nn.Sequential(torch.nn.Linear(2, 3))),
        refused=("torch.nn.modules.container.Sequential", "torch.nn.modules.linear.Linear"),
        tensors={"0.weight": ("F32", (3, 2)), "0.bias": ("F32", (3,))},
    ),
    "Lightning": Case(
        saved(lightning), refused=("argparse.Namespace",), shows="hyper_parameters/lr: 0.1",
        tensors={"state_dict.weight": ("F32", (3, 2)), "state_dict.bias": ("F32", (3,))},
    ),
}  # fmt: skip
OLD = {
    "good": Case(old(), tensors=ONE),
    "torch's own": Case(saved(lambda torch: {"w": torch.ones(1)}, _use_new_zipfile_serialization=False), tensors=ONE),
    "other magic": Case(old(magic=number(0x1950A86A20F9469CFC6D)), shows=": 119547037146038801333357"),
    "magic alone": Case(p(MAGIC), "cut off"),
    "version 1002": Case(old(version=number(1002)), "version"),
    "version without end": Case(old(version=text("1001")), "version"),
    "system of a list": Case(old(system=b"]"), "version"),
    "system with a key of bytes": Case(old(system=b"}\x96" + struct.pack("<Q", 1) + b"aNs"), "."),
    "keys of nothing": Case(old(keys=b"N"), "list of numbers"),
    "no keys": Case(old(keys=b"]"), shows=REFUSED + "the numbers 0 are not in the file"),
    "other key": Case(old(keys=b"](" + text("\x1b[31m") + b"e"), "nothing says"),
    "key of bytes": Case(old(keys=b"](\x96" + struct.pack("<Q", 1) + b"ae"), "."),
    "key of a list": Case(old(keys=b"](]e"), "."),
    "count of 2^63": Case(old(data=struct.pack("<Q", 1 << 63) + b"\0" * 4), "beyond the end"),
    "count of 2^64 - 1": Case(old(data=b"\xff" * 8 + b"\0" * 4), "beyond the end"),
    "count of nothing": Case(old(data=struct.pack("<Q", 0)), shows=REFUSED + "it reaches beyond"),
    "numbers missing": Case(old(data=b""), "beyond the end"),
    "300,000 keys": Case(lambda _: old(keys=b"](" + (text("0")) * 300_000 + b"e"), "list of numbers", bomb=True),
    "reference without sense": Case(old(table(w=b"NQ")), "."),
    "another byte order": Case(old(system=table(little_endian=b"\x89")), tensors=ONE),
}  # fmt: skip


# what is no file


def linked(target: Callable[[Path], Path]) -> Make:
    def link(path: Path) -> None:
        path.symlink_to(target(path))

    return link


def good_beside(path: Path) -> Path:
    other = path.with_name("good.pt")
    other.write_bytes(one())
    return other


def folder_called(name: str) -> Make:
    def make(path: Path) -> Path:
        other = path.with_name(name)
        other.mkdir()
        return other

    return make


def sparse(start: bytes) -> Make:
    def make(path: Path) -> None:
        with path.open("wb") as stream:
            stream.write(start)
            stream.truncate(1 << 40)

    return make


def unreadable(path: Path) -> None:
    if not os.geteuid():
        pytest.skip("root reads everything")
    path.write_bytes(one())
    path.chmod(0)


WIDE = tensors_of({"w": entry(0, 1 << 39, (1 << 37,))}, 0)
PLACES = {
    "empty": Case(b"", "it is empty"),
    "one byte": Case(b"\x80", "neither"),
    "text": Case(b"import os\n" * 9, "neither"),
    "a picture": Case(b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "neither"),
    "a script": Case(b"#!/bin/sh\ntouch /tmp/x\n", "neither"),
    "pickle of protocol 0": Case(b"cos\nsystem\n(S'ls'\ntR.", "neither"),
    "pipe": Case(os.mkfifo, "not a regular file"),
    "folder": Case(Path.mkdir, "not a regular file"),
    "folder with a line end": Case(folder_called("a\nb.pt"), "not a regular file"),
    "folder with codes": Case(folder_called("\x1b[31m[red].pt"), "not a regular file"),
    "device": Case(lambda _: Path("/dev/zero"), "not a regular file"),
    "link to a device": Case(linked(lambda _: Path("/dev/zero")), "not a regular file"),
    "link to a file": Case(linked(good_beside), tensors=ONE),
    "link to nothing": Case(linked(lambda path: path.with_name("nowhere")), "it is not there"),
    "link to itself": Case(linked(lambda path: path), "."),
    "nothing": Case(lambda path: path.with_name("nowhere.pt"), "it is not there"),
    "below a file": Case(lambda path: good_beside(path) / "x.pt", "."),
    "name with NUL": Case(lambda path: path.with_name("a\0b"), "NUL|null"),
    "name too long": Case(lambda path: path.with_name("a" * 5000), "."),
    "unreadable": Case(unreadable, "permission denied"),
    "sparse, of nothing": Case(sparse(b""), "neither", bomb=True),
    "sparse safetensors": Case(sparse(WIDE), "holes", bomb=True),
    "sparse zip": Case(sparse(one()), "cannot be read", bomb=True),
    "sparse pickle": Case(sparse(b"\x80\x02"), "structure cannot be read", bomb=True),
    "sparse text in a pickle": Case(sparse(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 39)), "structure takes", bomb=True),
    "sparse npy": Case(sparse(npy(head())), "bytes of numbers", bomb=True),
}  # fmt: skip

FAMILIES = {"places": PLACES, "safetensors": SAFETENSORS, "npy": NPY, "npz": NPZ, "pickle": PICKLES, "zip": ZIPS, "old": OLD}
CASES = {f"{family}: {name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}


@pytest.mark.parametrize(("made", "count"), [(MIXED_KEYS, 4), (LONG_KEYS, 2)], ids=["look", "begin"])
def test_no_tensor_is_lost_where_keys_are_shown_alike(tmp_path: Path, made: bytes, count: int) -> None:
    path = tmp_path / "keys.pt"
    path.write_bytes(archive(made))
    found = read(path)
    assert isinstance(found, Contents)
    assert len(found.tensors()) == count


LONG_TRACED = (
    "pickle: laughs",
    "pickle: laughs of tables",
    "npz: 300,000 members",
    "pickle: tuples in tuples",
)  # seconds each


def marker(path: Path) -> Path:
    return path.with_name("ran")


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_or_read_as_far_as_it_is_plain(
    tmp_path: Path, name: str, counts: Callable[[int, int], int]
) -> None:
    path = written(CASES[name], tmp_path / "hostile.pt")
    judge(CASES[name], path)
    assert not marker(path).exists()
    if CASES[name].bomb and not counts(0, 1):  # verifying reads it once more
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opening.is_there(path)
        try:
            assert opening.verify(path).isprintable()
        except FormatError as error:
            assert str(error).isprintable()


TRACED = [name for name, case in CASES.items() if case.bomb and name not in LONG_TRACED]


@pytest.mark.parametrize("name", TRACED[3::6])
def test_no_file_takes_much_memory(tmp_path: Path, name: str) -> None:
    takes_little_memory(tmp_path, name)


@pytest.mark.parametrize("name", TRACED)
def test_none_of_all_files_takes_much_memory(tmp_path: Path, name: str, campaign: None) -> None:
    takes_little_memory(tmp_path, name)


def takes_little_memory(tmp_path: Path, name: str) -> None:
    path = written(CASES[name], tmp_path / "hostile.pt")
    tracemalloc.start()
    try:
        opening.read(path)
    except FormatError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < PEAK + min(path.stat().st_size, 40 * MEGABYTE), f"{peak >> 20} MB"


# what a file would call


def touch(path: Path) -> str:
    return f"touch {marker(path)}"


def python(path: Path) -> str:
    return f"open({str(marker(path))!r}, 'w')"


def calls(path: Path) -> dict[str, tuple[bytes, str, bool]]:
    """Operations, a name that must be told, and whether pickle runs them here."""
    shell, code = text(touch(path)), text(python(path))
    system = b"cos\nsystem\n(" + shell + b"tR"
    strong = b"\x8c\x02os\x8c\x06system\x93"
    return {
        "reduce": (system, "os.system", True),
        "posix": (b"cposix\nsystem\n" + shell + b"\x85R", "posix.system", True),
        "eval": (b"cbuiltins\neval\n" + code + b"\x85R", "builtins.eval", True),
        "eval of Python 2": (b"c__builtin__\neval\n" + code + b"\x85R", "__builtin__.eval", True),
        "exec": (b"cbuiltins\nexec\n" + code + b"\x85R", "builtins.exec", True),
        "import": (b"cbuiltins\n__import__\n" + text("this") + b"\x85R", "builtins.__import__", False),
        "new": (b"csubprocess\nPopen\n](" + text("touch") + text(str(marker(path))) + b"e\x85\x81", "subprocess.Popen", False),
        "new by names": (b"csubprocess\nPopen\n)" + table(args=shell, shell=b"\x88") + b"\x92", "subprocess.Popen", False),
        "instance": (b"(" + shell + b"ios\nsystem\n", "os.system", True),
        "object": (b"(cos\nsystem\n" + shell + b"o", "os.system", True),
        "name on the stack": (strong + shell + b"\x85R", "os.system", True),
        "name with dots": (b"\x8c\x05torch\x8c\x08hub.load\x93" + shell + b"\x85R", "torch.hub.load", False),
        "extension": (b"\x82\x01" + shell + b"\x85R", "copyreg.extension 1", False),
        "state": (b"cevil\nThing\n)R" + table(x=shell) + b"b", "evil.Thing", False),
        "state of what is named": (b"cevil\nThing\n" + table(x=shell) + b"b", "evil.Thing", False),
        "made by getattr": (
            b"cbuiltins\ngetattr\ncbuiltins\n__import__\n" + text("os") + b"\x85R"
            + text("system") + b"\x86R" + shell + b"\x85R", "builtins.getattr", True,
        ),
        "run twice": (system + b"0" + system, "os.system", True),
        "thrown away": (system + b"0N", "os.system", True),
        "thrown away with a mark": (b"(" + system + b"1N", "os.system", True),
        "remembered only": (system + b"q\x070N", "os.system", True),
        "in a key": (b"}" + system + b"Ns", "os.system", True),
        "in a key of a tuple": (b"}" + system + b"\x85Ns", "os.system", True),
        "written over": (b"}" + text("a") + system + b"s" + text("a") + b"Ns", "os.system", True),
        "argument of what is plain": (b"cpathlib\nPosixPath\n(" + system + b"tR", "os.system", True),
        "fifth argument of what is plain": (b"ctorch\ndevice\n(NNNN" + system + b"tR", "os.system", True),
        "argument of a list": (b"cbuiltins\nlist\n(]" + system + b"tR", "os.system", True),
        "argument of a table": (b"ccollections\nOrderedDict\n(" + system + b"]tR", "os.system", True),
        "factory of a table": (b"ccollections\ndefaultdict\ncos\nsystem\n\x85R", "os.system", False),
        "state of a table": (b"ccollections\nOrderedDict\n)R" + table(x=system) + b"b", "os.system", True),
        "state that is written over": (b"ccollections\nOrderedDict\n)R" + table(x=system) + b"b}b", "os.system", True),
        "hooks of a tensor": (tensor(more=b"\x89" + system), "os.system", False),
        "shape of a tensor": (b"ctorch._utils\n_rebuild_tensor_v2\n(NK\0" + system + b")\x89}tR", "os.system", True),
        "hooks of a parameter": (
            b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88" + system + b"tR", "os.system", False,
        ),
        "class of a tensor": (
            b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\ncbuiltins\nint\n" + shell + b"\x85}tR", "os.system", True,
        ),
        "in a sparse tensor": (b"ctorch._utils\n_rebuild_sparse_tensor\n(" + system + b")tR", "os.system", True),
        "in a reference": (system + b"Q", "os.system", False),
        "below 70 lists": (b"(" * 70 + system + b"l" * 70, "os.system", True),
        "behind itself": (b"]q\x09(h\x09" + system + b"e", "os.system", True),
    }  # fmt: skip


CALLS = list(calls(Path("/nowhere")))


@pytest.mark.parametrize("name", CALLS)
def test_what_a_file_would_call_is_told_and_not_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.pt"
    made, told, _ = calls(path)[name]
    for data in (p(made), archive(table(w=tensor(), x=made)), old(table(w=tensor(), x=made))):
        path.write_bytes(data)
        found = read(path)
        assert not marker(path).exists()
        if isinstance(found, str):  # refused as a whole is well, too
            continue
        assert told in found.refused, (data[:2], found.refused)
        if found.format != "pickle":
            assert found.tensors()["w"].shape == (1,)


@pytest.mark.parametrize("part", ["magic", "version", "system", "keys"])
def test_a_call_beside_the_structure_of_the_older_format_is_told(tmp_path: Path, part: str) -> None:
    path = tmp_path / "hostile.pt"
    system = b"cos\nsystem\n(" + text(touch(path)) + b"tR0"
    plain = {"magic": MAGIC, "version": number(1001), "system": SYSTEM, "keys": b"](" + text("0") + b"e"}[part]
    path.write_bytes(old(**{part: system + plain}))
    found = read(path)
    assert isinstance(found, str) or "os.system" in found.refused
    assert not marker(path).exists()


@pytest.mark.parametrize("name", [name for name, (_, _, live) in calls(Path("/nowhere")).items() if live])
def test_the_calls_of_these_tests_are_real(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.pt"
    made, _, _ = calls(path)[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pickle.loads(p(made))
        except Exception:  # what comes after the call may fail
            pass
    assert marker(path).exists()


# random damage


def model(torch: Any) -> dict[str, Any]:
    weight = torch.arange(6.0).reshape(2, 3)
    return {
        "state": {"a.weight": weight, "tied": weight.t(), "half": torch.ones(2, dtype=torch.float16)},
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "step": [1, (2.5, "text", None, True, b"bytes")],
        "range": {(0, 1): torch.Size([1, 2])},
    }


def arrays(kind: Callable[..., None]) -> bytes:
    stream = io.BytesIO()
    kind(stream, a=np.arange(6.0).reshape(2, 3), b=np.ones(3, ">i2"), c=np.array("text"))
    return stream.getvalue()


WHOLE: dict[str, Make] = {
    "safetensors": lambda _: tensor_file(a=3, b=0, c=5),
    "npy": lambda _: array(np.arange(6.0).reshape(2, 3)),
    "npz": lambda _: arrays(np.savez),
    "npz, compressed": lambda _: arrays(np.savez_compressed),
    "torch": saved(model),
    "torch, older": saved(model, _use_new_zipfile_serialization=False),
    "pickle": lambda _: pickle.dumps({"a": [1, 2.5, None], "b": {"c": (1, b"x", "text", {3}, 1 << 70)}}, 4),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_is_cut_off_anywhere_is_refused(fast: Path, kind: str, counts: Callable[[int, int], int]) -> None:
    path = fast / "cut"
    whole = WHOLE[kind](path)
    assert isinstance(whole, bytes)
    path.write_bytes(whole)
    assert isinstance(read(path), Contents)
    step = max(1, len(whole) // counts(300, 100_000))
    for length in {*range(0, len(whole), step), *range(20), *range(len(whole) - 20, len(whole))}:
        path.write_bytes(whole[:length])
        assert isinstance(read(path), str), length


@pytest.mark.parametrize("kind", WHOLE)
def test_flipped_bits_give_a_sentence_or_a_file_that_is_sound(
    fast: Path, kind: str, counts: Callable[[int, int], int]
) -> None:
    path = fast / "flipped"
    whole = WHOLE[kind](path)
    assert isinstance(whole, bytes)
    rng = random.Random(f"flips of {kind}")
    for _ in range(counts(500, 50_000)):
        hurt = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        path.write_bytes(hurt)
        read(path)


@pytest.mark.parametrize("kind", WHOLE)
def test_exchanged_parts_give_a_sentence_or_a_file_that_is_sound(
    fast: Path, kind: str, counts: Callable[[int, int], int]
) -> None:
    path = fast / "exchanged"
    whole = WHOLE[kind](path)
    assert isinstance(whole, bytes)
    rng = random.Random(f"parts of {kind}")
    for _ in range(counts(200, 20_000)):
        begin, end, at = (rng.randrange(len(whole)) for _ in range(3))
        part = rng.choice((whole[begin : begin + 40], b"\xff" * rng.randint(1, 9), b"\0" * rng.randint(1, 9), b""))
        path.write_bytes(whole[:at] + part + whole[at + rng.choice((0, len(part), end % 40)) :])
        read(path)


OPERATIONS = st.sampled_from(
    [
        *(bytes([code]) for code in range(256)),
        *(b"(", b"(", b")", b"]", b"}", b"N", b"K\1", b"q\0", b"h\0", b"X\1\0\0\0a", b"cos\nsystem\n", b"R", b"\x81", b"b"),
        *(b"t", b"l", b"d", b"e", b"u", b"s", b"a", b"0", b"1", b"2", b"Q", b"o", b"(ios\nx\n", b"\x94", b"\x93", b"\x85"),
        *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"I1\n", b"L1L\n", b"F1\n", b"S'a'\n"),
        *(b"Va\n", b"Pa\n", b"p0\n", b"g0\n", b"\x8c\x01a", b"\x8a\x01\xff", b"U\1a", b"\x82\1", b"\x92", b"\x90"),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    "strategy", [st.binary(max_size=200), st.lists(OPERATIONS, max_size=60).map(b"".join)], ids=["bytes", "ops"]
)
def test_any_bytes_are_followed_or_refused(fast: Path, strategy: Any, counts: Callable[[int, int], int]) -> None:
    path = fast / "random"

    @settings(max_examples=counts(500, 50_000), deadline=None, database=None)
    @given(strategy)
    def follow(data: bytes) -> None:
        try:
            pickles.follow(io.BytesIO(data + b"."), [10_000], {})
        except FormatError as error:
            assert str(error).isprintable()
        path.write_bytes(p(data))
        read(path)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        follow()


def test_a_path_that_is_none_is_not_there() -> None:
    for odd in ("", "a\0b", "a" * 5000, "/dev/zero", "/", "~nobody/x", "\ud800"):
        assert not opening.is_there(Path(odd))
