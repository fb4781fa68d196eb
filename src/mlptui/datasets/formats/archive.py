"""Members of tar and zip archives, read one at a time by their known names and never written anywhere.

So no member can leave a folder, follow a link or be a device; what remains to bound is how much there is.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets.formats.compressed import GZIP

MOST_MEMBERS = 100_000
MOST_WORDS = 1 << 16
WORDS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
MOST_RATIO = 1_100  # deflate reaches 1,032 to 1 (zlib's own figure); more is no honest archive


class Bounded(tarfile.TarInfo):
    """Headers that hold names and words are read whole by tarfile, however long they say that they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in WORDS and self.size > MOST_WORDS:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a sparse member")
        made: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return made


def tar_members(path: Path, wanted: dict[str, int], others: int) -> Iterator[tuple[str, bytes]]:
    """The plain files among `wanted` (name to its right size), in the archive's order; gzip or not packed.

    Stops reading when all were found. At most `others` bytes of other members are passed over. Raises DataError for what
    is missing, of another size, or no archive.
    """
    where, left = safe(path.name, 120), dict(wanted)
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == GZIP
        with tarfile.open(path, "r|gz" if packed else "r|", tarinfo=Bounded) as archive:
            for count, member in enumerate(archive):
                if count > MOST_MEMBERS:
                    raise DataError(f"{where} has more than {MOST_MEMBERS:,} members; it was not read further")
                name = member.name.removeprefix("./")
                if name not in left:
                    others -= member.size
                    if others < 0:
                        raise DataError(f"{where}: {safe(name, 80)} of {member.size:,} bytes does not belong there")
                    continue
                expected = left.pop(name)
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise DataError(f"{where}: {safe(name, 80)} is no plain file")
                if member.size != expected:
                    raise DataError(f"{where}: {safe(name, 80)} has {member.size:,} bytes where {expected:,} are right")
                data = content.read(expected)
                if len(data) != expected:
                    raise DataError(f"{where} is cut short in {safe(name, 80)}")
                yield name, data
                if not left:
                    return
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
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
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{where}: {safe(name, 80)} is packed in a way that is not used for data sets")
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
