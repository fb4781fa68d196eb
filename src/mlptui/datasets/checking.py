"""Is a file the one that the catalog means?"""

import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.datasets import statistics, trusted
from mlptui.datasets.dataset import Dataset
from mlptui.datasets.entry import Entry, File
from mlptui.datasets.formats import idx
from mlptui.datasets.formats.compressed import GZIP
from mlptui.datasets.prepared import CHUNK, Progress, digest, quiet
from mlptui.store import atomic
from mlptui.store.paths import Paths


def check(paths: Paths, entry: Entry, file: File, path: Path, progress: Progress = quiet) -> str:
    """The SHA-256 of a file that is what its origin has; raises DataError for any other one.

    It may be the very file, by SHA-256 or MD5, or where its content is known the same content packed in another way.
    """
    where = safe(path.name, 120)
    try:
        with atomic.open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            most = max(file.size, content_limit(entry, file)) or 8 << 30
            if size > most:
                raise DataError(f"{where} has {size:,} bytes where at most {most:,} are right; is it another file?")
            found = digest(stream, progress, size)
            if file.sha256 and found == file.sha256:
                return found
            if file.content and _content_hash(stream, content_limit(entry, file)) == file.content:
                return found
            if not file.sha256 and file.md5 and _md5(stream) == file.md5:
                trusted.compare(paths, f"{entry.folder}/{file.name}", found)
                return found
    except OSError as error:
        raise DataError(f"{where}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise DataError(safe(error, 300)) from None
    raise DataError(f"{where} is not the file of the origin: {_difference(file, size, found)}")


def expected(paths: Paths, entry: Entry, file: File) -> str:
    """The SHA-256 of a file that was checked: what its origin says, or what was seen first."""
    return file.sha256 or trusted.known(paths).get(f"{entry.folder}/{file.name}", "")


def same_content(entry: Entry, data: Dataset) -> bool:
    """Whether the arrays of an IDX set are those of its origin: they are hashed in the form that they had there."""
    arrays = (data.train.inputs[:, 0], data.train.targets, data.test.inputs[:, 0], data.test.targets)
    for file, array in zip(entry.files, arrays, strict=True):
        machine = hashlib.sha256(idx.header(array.shape))
        for block in statistics.blocks(array):
            machine.update(block.tobytes())
        if machine.hexdigest() != file.content:
            return False
    return True


def _difference(file: File, size: int, found: str) -> str:
    if file.size and size != file.size:
        return f"it has {size:,} bytes where {file.size:,} are right"
    if file.sha256:
        return f"its SHA-256 is {found[:16]}... where {file.sha256[:16]}... is right"
    return f"its MD5 is not {file.md5}"


def content_limit(entry: Entry, file: File) -> int:
    """Bytes that an IDX file of the entry has uncompressed; 0 where that is not known."""
    if not file.content:
        return 0
    place = entry.files.index(file)
    size = entry.test_size if place >= 2 else entry.train_size
    return idx.size_of((size,) if place % 2 else (size, *entry.shape[1:]))


def _content_hash(stream: BinaryIO, most: int) -> str:
    """SHA-256 of what a gzip file unpacks to, or of a plain file; empty for more than `most` bytes and for damage."""
    stream.seek(0)
    machine = hashlib.sha256()
    first = stream.read(2)
    stream.seek(0)
    if first != GZIP:
        return digest(stream)
    packed, total = zlib.decompressobj(wbits=31), 0
    try:
        while chunk := packed.unconsumed_tail or stream.read(CHUNK):
            plain = packed.decompress(chunk, CHUNK)
            total += len(plain)
            if total > most:
                return ""
            machine.update(plain)
            if packed.eof:
                return machine.hexdigest()
    except zlib.error:
        return ""
    return ""


def _md5(stream: BinaryIO) -> str:
    stream.seek(0)
    machine = hashlib.md5(usedforsecurity=False)
    while chunk := stream.read(CHUNK):
        machine.update(chunk)
    return machine.hexdigest()
