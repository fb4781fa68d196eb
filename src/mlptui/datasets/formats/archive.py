"""Members of tar and zip archives, read one at a time by their known names and never written anywhere.

So no member can leave a folder, follow a link or be a device; what remains to bound is how much there is.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mlptui.core.errors import DataError
from mlptui.core.text import safe

MOST_MEMBERS = 100_000
MOST_RATIO = 1_100  # deflate reaches 1,032 to 1 (zlib's own figure); more is no honest archive


def tar_members(path: Path, wanted: dict[str, int]) -> Iterator[tuple[str, IO[bytes]]]:
    """Streams of the plain files among `wanted` (name to its right size, 0: any up to 1 MiB), in the archive's order.

    Stops reading when all were found. Raises DataError for what is missing, of another size, or no archive.
    """
    where, left = safe(path.name, 120), dict(wanted)
    try:
        with tarfile.open(path, "r|*") as archive:
            for count, member in enumerate(archive):
                if count > MOST_MEMBERS:
                    raise DataError(f"{where} has more than {MOST_MEMBERS:,} members; it was not read further")
                name = member.name.removeprefix("./")
                if name not in left:
                    continue
                expected = left.pop(name)
                if not member.isreg():
                    raise DataError(f"{where}: {safe(name, 80)} is no plain file")
                _right_size(where, name, member.size, expected)
                stream = archive.extractfile(member)
                assert stream is not None
                yield name, stream
                if not left:
                    return
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{where} is a damaged archive: {safe(error, 160)}") from None
    raise DataError(f"{where} lacks {', '.join(safe(n, 80) for n in left)}")


def zip_member(path: Path, name: str, most: int) -> bytes:
    """One plain member of a zip archive, at most `most` bytes. Raises DataError."""
    where = safe(path.name, 120)
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > MOST_MEMBERS:
                raise DataError(f"{where} has more than {MOST_MEMBERS:,} members; it was not read")
            try:
                member = archive.getinfo(name)
            except KeyError:
                raise DataError(f"{where} lacks {safe(name, 80)}") from None
            if member.flag_bits & 1:
                raise DataError(f"{where}: {safe(name, 80)} is encrypted")
            if member.file_size > most:
                raise DataError(
                    f"{where}: {safe(name, 80)} says it has {member.file_size:,} bytes, {most:,} at most are right"
                )
            if member.file_size > MOST_RATIO * max(1, member.compress_size):
                raise DataError(f"{where}: {safe(name, 80)} is packed tighter than is possible; it was not unpacked")
            with archive.open(member) as stream:
                data = stream.read(most + 1)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, zlib.error, ValueError) as error:
        raise DataError(f"{where} is a damaged archive: {safe(error, 160)}") from None
    if len(data) > most:
        raise DataError(f"{where}: {safe(name, 80)} has more than the {most:,} bytes that are right")
    return data


def _right_size(where: str, name: str, found: int, expected: int) -> None:
    if (expected and found != expected) or found > max(expected, 1 << 20):
        right = f"{expected:,} are right" if expected else "1 MiB at most is right"
        raise DataError(f"{where}: {safe(name, 80)} has {found:,} bytes where {right}")


def read_exactly(stream: IO[bytes], count: int, what: str) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise DataError(f"{what} is cut short")
    return data
