"""Zip files with bounds: their table, where a stored member lies, and members that must be unpacked."""

import os
import re
import zipfile
import zlib
from typing import IO, BinaryIO

from mlptui.core.text import safe, size
from mlptui.store.formats.contents import FormatError

MAGIC = b"PK\x03\x04"
TABLE_LIMIT = 8 << 20  # of at most 180,000 members
MEMBER_LIMIT = 50_000  # half a second
READ_LIMIT = 1 << 30  # bytes of all members together that are read to verify them, or as many as the file has
_END_SIZE = 22
_END, _END_64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others zipfile reads without a bound


def opened(stream: BinaryIO) -> zipfile.ZipFile:
    """The archive, after a look at how large its table is. Raises FormatError, OSError."""
    whole = os.fstat(stream.fileno()).st_size
    stream.seek(max(0, whole - (1 << 16) - 128))
    tail = stream.read()
    last = len(tail) - _END_SIZE  # where zipfile looks first
    at = last if tail[last : last + 4] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    table = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if _LOCATOR in tail:  # then zipfile believes the larger record, whatever the smaller one says
        records = [m.start() for m in re.finditer(re.escape(_END_64), tail)]
        table = max((int.from_bytes(tail[i + 40 : i + 48], "little") for i in records), default=TABLE_LIMIT + 1)
    if table > TABLE_LIMIT:
        raise FormatError(f"its table has {size(table)}")
    stream.seek(0)
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, IndexError, UnicodeDecodeError) as error:
        raise FormatError(
            f"it begins as a zip file and cannot be read to its end; it may be cut off ({safe(error, 120)})"
        ) from None
    names = archive.namelist()
    if len(names) > MEMBER_LIMIT:
        raise FormatError(f"it has {len(names):,} members")
    if len(set(names)) != len(names):
        raise FormatError("a name stands twice in its table")
    if other := next((info for info in archive.infolist() if info.compress_type not in _PACKINGS), None):
        raise FormatError(f"{safe(other.filename, 80)} is packed in a way that neither NumPy nor PyTorch uses")
    return archive


def place(stream: BinaryIO, info: zipfile.ZipInfo, whole: int) -> tuple[int, int] | None:
    """First byte, and last byte + 1, of a member that is stored as it is; None for a compressed one. Raises FormatError."""
    if info.flag_bits & 1:
        raise FormatError(f"{safe(info.filename, 80)} is encrypted")
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    if info.compress_size != info.file_size:
        raise FormatError(f"the sizes of {safe(info.filename, 80)} do not agree")
    stream.seek(info.header_offset)
    head = stream.read(30)
    if head[:4] != MAGIC or len(head) < 30:
        raise FormatError(f"{safe(info.filename, 80)} is not where the table says")
    start = info.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    if start + info.file_size > whole:
        raise FormatError(f"{safe(info.filename, 80)} reaches beyond the end of the file")
    return start, start + info.file_size


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """A member to be read, with its checksum compared at its end. Raises FormatError."""
    try:
        return archive.open(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise FormatError(f"{safe(info.filename, 80)} cannot be unpacked: {safe(error, 120)}") from None


def damaged(stream: BinaryIO) -> str:
    """Read every member and compare it with its checksum; a sentence for the first that is not as it was, else "".

    Raises FormatError, OSError.
    """
    with opened(stream) as archive:
        total, whole = sum(info.file_size for info in archive.infolist()), os.fstat(stream.fileno()).st_size
        if total > max(READ_LIMIT, whole):
            raise FormatError(f"its members take {size(total)} when they are unpacked, too much to be verified")
        for info in archive.infolist():
            left = info.file_size
            try:
                with archive.open(info) as member:
                    while part := member.read(1 << 20):
                        left -= len(part)
                        if left < 0:
                            return f"{safe(info.filename, 80)} is larger than its table says"
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
                return f"{safe(info.filename, 80)}: {safe(error, 120)}"
    return ""
