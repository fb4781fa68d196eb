"""NumPy's files by their headers: `.npy`, and `.npz`, which is a zip of them."""

import io
import warnings
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from mlptui.core.text import safe
from mlptui.store.formats import zips
from mlptui.store.formats.contents import Contents, FormatError, Node, dense, stored

HEAD = 1 << 16  # bytes; numpy itself takes headers of at most 10,000
PACKED = 5_000  # members that are unpacked for their headers: half a second
ARRAYS = 12_000  # whose headers are read: a second
USUAL, UNUSUAL = 200, 1 << 18  # bytes of a header, and those beyond that of all together, which cost much: half a second
NPY, NPZ = "npy", "npz"

_KINDS = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64", "u4": "U32",
    "u2": "U16", "u1": "U8", "b1": "BOOL", "c8": "C64", "c16": "C128",
}  # fmt: skip


def read(stream: BinaryIO, size: int) -> Contents:
    """Raises FormatError, OSError."""
    node, refused = _array(stream.read(min(HEAD, size)), size, 0, "", [UNUSUAL])
    return Contents(NPY, node, size, refused=refused)


def read_many(stream: BinaryIO, size: int, archive: zipfile.ZipFile) -> Contents:
    """Raises FormatError, OSError."""
    children: list[tuple[str, Node]] = []
    refused: tuple[str, ...] = ()
    many = len(archive.infolist())
    if many > ARRAYS:
        raise FormatError(f"it has {many:,} members, more than the {ARRAYS:,} arrays that are looked into")
    packed = sum(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    if packed > PACKED:
        raise FormatError(f"it has {packed:,} compressed members, more than the {PACKED:,} that are looked into")
    left = [UNUSUAL]
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if not info.filename.endswith(".npy"):
            children.append((name, Node("value", "no array")))
            continue
        place = zips.place(stream, info, size)
        if place is None:
            with zips.unpacked(archive, info) as member:
                head, offset, told = member.read(min(HEAD, info.file_size)), 0, info.filename
        else:
            stream.seek(place[0])
            head, offset, told = stream.read(min(HEAD, info.file_size)), place[0], ""
        node, more = _array(head, info.file_size, offset, told, left)
        children.append((name, node))
        refused = tuple(dict.fromkeys((*refused, *more)))
    return Contents(NPZ, Node("dict", children=tuple(children)), size, refused=refused)


def _array(head: bytes, size: int, offset: int, member: str, left: list[int]) -> tuple[Node, tuple[str, ...]]:
    """The array whose file of `size` bytes begins with `head`, at `offset` of the whole file; `left` is of UNUSUAL."""
    stream = io.BytesIO(head)
    try:
        version = npy.read_magic(stream)
        left[0] -= max(0, int.from_bytes(head[8 : 10 if version[0] == 1 else 12], "little") - USUAL)
        if left[0] < 0:
            raise FormatError("the headers of its arrays are too long to be looked into")
        read_header: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None and version == (3, 0):  # as the second, in UTF-8
            raise FormatError("it is of NumPy's format 3, which only arrays with named fields need")
        if read_header is None:
            raise FormatError(f"it is of NumPy's format {version[0]}.{version[1]}, which is not known here")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, fortran, dtype = read_header(stream)
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(f"its header cannot be read: {safe(error, 120)}") from None
    begins = stream.tell()
    if dtype.hasobject:
        return Node("object", "an array of Python objects: reading it would run code", call=True), ("numpy object array",)
    kind = _KINDS.get(dtype.str[1:])
    if kind is None:
        return Node("value", f"array of {safe(dtype, 60)}, {list(shape)}: no numbers that a tensor holds"), ()
    start = offset + begins
    tensor = stored(
        kind, tuple(shape), dense(shape, fortran), start, (start, offset + size),
        member=member, swapped=dtype.byteorder == (">" if np.little_endian else "<"),
    )  # fmt: skip
    if begins + tensor.size != size:
        raise FormatError(f"it has {size - begins:,} bytes of numbers, and its header says {tensor.size:,}")
    return Node("tensor", tensor=tensor), ()
