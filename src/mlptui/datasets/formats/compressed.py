"""The bytes of a file that may be compressed, never more of them than are wanted."""

import bz2
import lzma
import zlib
from pathlib import Path
from typing import Any

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.store.atomic import read_regular, reason

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
XZ_MEMORY = 256 << 20


def content(path: Path, most: int, *, exact: bool = False) -> bytes:
    """The bytes of `path`, unpacked if they are gzip, bzip2 or xz. Raises DataError with one sentence.

    At most `most` bytes are unpacked, and not many more are read; with `exact` it must be just so many. A pipe, a link
    and a larger file are refused without being read through.
    """
    where = safe(path.name, 120)
    try:
        data = read_regular(path, 2 * most + 1024)
    except FileNotFoundError:
        raise DataError(f"{where} is not there") from None
    except OSError as error:
        raise DataError(f"{where}: {reason(error)}") from None
    except StorageError as error:
        raise DataError(safe(error, 300)) from None
    kind = kind_of(data)
    if kind:
        data = unpack(data, kind, most, where)
    if len(data) > most:
        raise DataError(f"{where} has {len(data):,} bytes where at most {most:,} are right")
    if exact and len(data) != most:
        raise DataError(f"{where} has {len(data):,} bytes where {most:,} are right; copy it again")
    return data


def kind_of(data: bytes) -> str:
    """`gzip`, `bzip2`, `xz` or nothing, by the first bytes."""
    for name, magic in (("gzip", GZIP), ("bzip2", BZIP2), ("xz", XZ)):
        if data.startswith(magic):
            return name
    return ""


def unpack(data: bytes, kind: str, most: int, where: str) -> bytes:
    """All members of a packed file, one after the other (as `cat`, bgzip and pbzip2 make them)."""
    parts, room = [], most
    while data:
        machine = _machine(kind)
        try:
            part: bytes = machine.decompress(data, room + 1)
        except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
            raise DataError(f"{where} is a damaged {kind} file: {safe(error, 120)}") from None
        room -= len(part)
        if room < 0:
            raise DataError(f"{where} unpacks to more than the {most:,} bytes that are right; it was not unpacked further")
        parts.append(part)
        if not machine.eof:
            raise DataError(f"{where} is cut short: the {kind} data end after {most - room:,} bytes")
        data = machine.unused_data.lstrip(b"\0")  # some pad to whole blocks
    return b"".join(parts)


def _machine(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(memlimit=XZ_MEMORY)
