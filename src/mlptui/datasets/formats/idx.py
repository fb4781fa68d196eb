"""IDX files (the format of MNIST, http://yann.lecun.com/exdb/mnist), plain or compressed, with bounds on everything."""

import hashlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets.formats.compressed import content

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST = 8 << 30  # bytes; a header that promises more is a broken one


def header(shape: tuple[int, ...], code: int = 0x08) -> bytes:
    return bytes([0, 0, code, len(shape)]) + b"".join(extent.to_bytes(4, "big") for extent in shape)


def size_of(shape: tuple[int, ...]) -> int:
    """Bytes of an uncompressed file of unsigned bytes."""
    return 4 + 4 * len(shape) + prod(shape)


def read(path: Path, shape: tuple[int, ...] | None = None, sha256: str = "", most: int = MOST) -> NDArray[Any]:
    """The array of an IDX file, plain or .gz, a view of what was read. Raises DataError with one sentence.

    Where `shape` is given, the file must have it and hold unsigned bytes; at most what that takes is unpacked. Where
    `sha256` is given, the uncompressed content must have that hash.
    """
    where = safe(path.name, 120)
    expected = size_of(shape) if shape else None
    data = content(path, expected or most, exact=expected is not None)
    found, code = parse_header(data, where)
    if shape and (found != shape or code != 0x08):
        raise DataError(f"{where} is no IDX file of shape {' x '.join(map(str, shape))}; is it another data set?")
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{where} is damaged: its SHA-256 is not that of the original; copy it again")
    type_ = np.dtype(TYPES[code])
    begin = 4 + 4 * len(found)
    needed = begin + prod(found) * type_.itemsize
    if len(data) != needed:
        raise DataError(f"{where} has {len(data):,} bytes where its header promises {needed:,}")
    return np.frombuffer(data, type_, offset=begin).reshape(found)


def parse_header(data: bytes, where: str) -> tuple[tuple[int, ...], int]:
    """Shape and type code. Raises DataError for what is no IDX file."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not 1 <= data[3] <= 4:
        raise DataError(f"{where} is no IDX file: it does not begin like one")
    if len(data) < 4 + 4 * data[3]:
        raise DataError(f"{where} is cut short: its header is not whole")
    return tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])), data[2]
