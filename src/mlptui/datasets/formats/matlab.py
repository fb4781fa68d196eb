"""MATLAB 5 files (MathWorks, "MAT-File Format"): their numeric arrays, which is all that SVHN has."""

import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.store.atomic import read_regular, reason

COMPRESSED, MATRIX = 15, 14
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC = range(6, 16)  # array classes mxDOUBLE_CLASS to mxUINT64_CLASS


def arrays(path: Path, most: int) -> dict[str, NDArray[Any]]:
    """Every numeric array by name, in column-major order. At most `most` bytes are unpacked in all. Raises DataError."""
    where = safe(path.name, 120)
    try:
        data = read_regular(path, most)
    except OSError as error:
        raise DataError(f"{where}: {reason(error)}") from None
    except StorageError as error:
        raise DataError(safe(error, 300)) from None
    if len(data) < 128 or data[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise DataError(f"{where} is no MATLAB 5 file")
    if data[124:128] != b"\x00\x01IM":
        raise DataError(f"{where} is a MATLAB file of a big-endian machine, which is not supported")
    found: dict[str, NDArray[Any]] = {}
    room = most
    try:
        for outer, packed in _elements(memoryview(data)[128:]):
            kind, body = outer, packed
            if outer == COMPRESSED:
                plain = memoryview(zlib.decompressobj().decompress(packed, room + 1))
                room -= len(plain)
                if room < 0:
                    raise DataError(f"{where} unpacks to more than {most:,} bytes; it was not unpacked further")
                kind, body = next(_elements(plain))
            if kind == MATRIX:
                name, array = _matrix(body)
                if array is not None:
                    found[name] = array
    except (zlib.error, ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError(f"{where} is a damaged MATLAB file: {safe(error, 120)}") from None
    return found


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(type, body) of each data element; small ones carry their body within the tag."""
    at = 0
    while at + 8 <= len(data):
        tag = int.from_bytes(data[at : at + 4], "little")
        if tag >> 16:
            kind, count, begin = tag & 0xFFFF, tag >> 16, at + 4
            after = at + 8
        else:
            kind, count, begin = tag, int.from_bytes(data[at + 4 : at + 8], "little"), at + 8
            after = begin + count + (0 if kind == COMPRESSED else -count % 8)
        if begin + count > len(data):
            raise ValueError("an element is longer than the file")
        yield kind, data[begin : begin + count]
        at = after


def _matrix(body: memoryview) -> tuple[str, NDArray[Any] | None]:
    (_, flags), (_, extents), (_, name), *rest = _elements(body)
    shape = tuple(int(n) for n in np.frombuffer(extents, "<i4"))
    if flags[0] not in NUMERIC or not rest:
        return "", None
    kind, values = rest[0]
    array = np.frombuffer(values, "<" + TYPES[kind])
    if any(n < 0 for n in shape) or prod(shape) != len(array):
        raise ValueError("an array has not as many numbers as its shape")
    return bytes(name).decode("ascii", "replace"), array.reshape(shape, order="F")
