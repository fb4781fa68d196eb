"""IDX files (the format of MNIST, http://yann.lecun.com/exdb/mnist) to numpy arrays, with bounds on everything."""

import hashlib
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.datasets.catalog import File
from mlptui.store.atomic import read_regular, reason

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8


def header(shape: tuple[int, ...]) -> bytes:
    return bytes([0, 0, UNSIGNED_BYTE, len(shape)]) + b"".join(extent.to_bytes(4, "big") for extent in shape)


def size_of(file: File) -> int:
    """Bytes of the uncompressed file."""
    return 4 + 4 * len(file.shape) + prod(file.shape)


def content(path: Path, file: File) -> bytes:
    """The uncompressed, verified bytes of `path`, gzip or plain. Raises DataError with one sentence.

    Reads at most what the file may have: a larger one, a gzip bomb and a pipe are refused without being read through.
    """
    expected = size_of(file)
    where = safe(path.name, 120)
    try:
        data = read_regular(path, 2 * expected + 1024)
    except OSError as error:
        raise DataError(f"{where}: {reason(error)}") from None
    except StorageError as error:
        raise DataError(safe(error, 300)) from None
    if data.startswith(GZIP_MAGIC):
        data = _inflate(data, expected, where)
    if len(data) != expected:
        raise DataError(f"{where} has {len(data):,} bytes where {expected:,} are right; copy it again")
    if data[: 4 + 4 * len(file.shape)] != header(file.shape):
        raise DataError(f"{where} is no IDX file of shape {' x '.join(map(str, file.shape))}; is it another data set?")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DataError(f"{where} is damaged: its SHA-256 is not that of the original; copy it again")
    return data


def _inflate(data: bytes, expected: int, where: str) -> bytes:
    machine = zlib.decompressobj(wbits=31)
    try:
        result = machine.decompress(data, expected + 1)
    except zlib.error as error:
        raise DataError(f"{where} is a damaged gzip file: {error}") from None
    if len(result) > expected:
        raise DataError(f"{where} unpacks to more than the {expected:,} bytes that are right; it was not unpacked further")
    if not machine.eof:
        raise DataError(f"{where} is cut short: the gzip data ends after {len(result):,} of {expected:,} bytes")
    return result


def array(data: bytes, file: File) -> NDArray[np.uint8]:
    """Verified content as a uint8 array of the file's shape (a view, not a copy)."""
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(file.shape)).reshape(file.shape)
