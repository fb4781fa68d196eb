"""A set as one file, for machines without a network: an uncompressed tar of its description and its arrays.

Nothing of the archive's own names, modes or links is used: the members are read by the names that a data set has, each
compared with the SHA-256 in the sealed description, and of catalog sets whose content is known that is compared too.
"""

import hashlib
import os
import tarfile
from pathlib import Path
from typing import IO, Any

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe
from mlptui.datasets import catalog, checking, importing, library, prepared, trusted
from mlptui.datasets.catalog import DESCRIPTION, ENTRIES
from mlptui.datasets.formats.archive import Bounded
from mlptui.datasets.jobs import Work
from mlptui.datasets.prepared import CHUNK, LIMIT, Progress, quiet
from mlptui.store import atomic, sealed
from mlptui.store.paths import Paths


def pack(paths: Paths, name: str, target: Path, progress: Progress = quiet) -> Path:
    """Verify the set, then write it to `target`, which must not exist. Raises DataError."""
    if catalog.always_here(name):
        raise DataError(f"{name} is part of mlptui; every machine has it")
    if not catalog.is_here(paths, name):
        raise DataError(library.absent(paths, name))
    library.load(paths, name, thorough=True)
    folder = catalog.folder(paths, name)
    description = prepared.read(folder)
    inside = [folder / f"{array}.npy" for array in description.arrays]
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    done = 0
    try:
        with temporary.open("xb") as stream, tarfile.open(fileobj=stream, mode="w") as archive:
            for path in (folder / DESCRIPTION, *inside):
                with atomic.open_regular(path) as content:
                    member = tarfile.TarInfo(f"{name}/{path.name}")
                    member.size = os.fstat(content.fileno()).st_size
                    archive.addfile(member, content)
                    done += member.size
                    progress(done, description.size)
            stream.flush()
            os.fsync(stream.fileno())
        _appear(temporary, target)
    except FileExistsError:
        raise DataError(f"{safe(target, 300)} is there already; give another name") from None
    except OSError as error:
        raise DataError(f"cannot write {safe(target, 300)}: {atomic.reason(error)}") from None
    finally:
        atomic.unlink_quietly(temporary)
    return target


def _appear(temporary: Path, target: Path) -> None:
    """Give the file its name unless that is taken. Raises FileExistsError."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # FAT has no links
        if target.exists() or target.is_symlink():
            raise FileExistsError from None
        os.rename(temporary, target)


def unpack(paths: Paths, source: Path, name: str = "") -> str:
    """Bring a packed set into the data folder, all or nothing, and return its name. Raises DataError.

    `name` may say which set it must be.
    """
    where = safe(source.name, 120)
    try:
        with atomic.open_regular(source) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=Bounded) as archive:
            return _unpack(paths, where, archive, name)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{where} is no packed data set: {safe(error, 120)}") from None
    except FileNotFoundError:
        raise DataError(f"{safe(source, 300)} is not there") from None
    except OSError as error:
        raise DataError(f"{where}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise DataError(safe(error, 300)) from None


def _unpack(paths: Paths, where: str, archive: tarfile.TarFile, wanted: str) -> str:
    member = archive.next()
    name, _, first = member.name.partition("/") if member else ("", "", "")
    if member is None or first != DESCRIPTION or not member.isreg() or not catalog.NAME.fullmatch(name):
        raise DataError(f"{where} is no packed data set: it does not begin with {DESCRIPTION}")
    if member.size > LIMIT:
        raise DataError(f"{where}: its {DESCRIPTION} is too large")
    if wanted and name != wanted:
        raise DataError(f"{where} holds {name}, not {safe(wanted, 80)}")
    if catalog.always_here(name):
        raise DataError(f"{where} holds {name}, which is part of mlptui")
    stream = archive.extractfile(member)
    assert stream is not None
    sealed_text = stream.read(LIMIT)
    if name not in ENTRIES and (catalog.folder(paths, name) / DESCRIPTION).exists():
        if _content(sealed_text) == prepared.read(catalog.folder(paths, name)).facts.sha256:
            return name  # it is here already
        raise DataError(
            f"{where} holds {name}, and there is a set of your own with that name; 'mlptui data remove {name}' first"
        )
    with Work(paths, name, "import") as work:
        work.phase("unpacking")
        _receive(paths, where, archive, name, sealed_text, work)
    return name


def _content(sealed_text: bytes) -> str:
    """What a packed description says that it holds; nothing where it says nothing."""
    try:
        return str(sealed.read_document(sealed_text, DESCRIPTION)["facts"]["sha256"])
    except (StorageError, KeyError, TypeError):
        return ""


def _receive(paths: Paths, where: str, archive: tarfile.TarFile, name: str, sealed_text: bytes, work: Work) -> None:
    """The rest of the archive into a folder that appears when all of it is right."""
    temporary = atomic.make_folder(paths.datasets) / f".tmp-{name}~{os.getpid()}-pack"
    try:
        os.mkdir(temporary, 0o700)
        atomic.write_new(temporary / DESCRIPTION, sealed_text)
        sealed.read_document(sealed_text, f"{where}: {DESCRIPTION}")
        description = prepared.read(temporary)
        if set(description.arrays) != set(prepared.ARRAYS):
            raise DataError(f"{where} is no packed data set: its description lacks the arrays")
        if description.facts.name != name:
            raise DataError(f"{where}: its description is of another set")
        importing.need_room(paths, name, description.size)
        left = {f"{name}/{n}.npy": (n, a) for n, a in description.arrays.items()}
        done = 0
        while left and (member := archive.next()) is not None:
            if member.name not in left or not member.isreg():
                raise DataError(f"{where}: {safe(member.name, 80)} does not belong there")
            array_name, array = left.pop(member.name)
            if member.size != array.bytes:
                raise DataError(f"{where}: {safe(member.name, 80)} has {member.size:,} bytes where {array.bytes:,} are right")
            content = archive.extractfile(member)
            assert content is not None
            _copy(content, temporary / f"{array_name}.npy")
            done += member.size
            work.say(done=done, total=description.size)
        if left:
            raise DataError(f"{where} is cut short: it lacks {', '.join(sorted(left))}")
        try:
            prepared.open_set(temporary, thorough=True)
            checked = prepared.read(temporary)
        except DataError as error:
            raise DataError(f"{where} is damaged: {str(error).partition(';')[0].partition(': ')[2] or error}") from None
        _matches_origin(paths, name, temporary, checked.facts.sha256, where)
        atomic.unlink_quietly(temporary / DESCRIPTION)
        prepared.write_description(temporary, paths.datasets, name, checked)
    except DataError as error:
        raise DataError(str(error).replace(temporary.name, where)) from None
    finally:
        atomic.remove_folder_quietly(temporary)


def _matches_origin(paths: Paths, name: str, folder: Path, sha256: str, where: str) -> None:
    """Whether a set that says that it is one of the catalog's is, as far as can be known here. Raises DataError."""
    entry = ENTRIES.get(name)
    if entry is None:
        return
    data = prepared.open_set(folder, thorough=False)
    facts = data.facts
    if (facts.shape, len(facts.classes), facts.train_size, facts.test_size) != (
        entry.shape, len(entry.classes), entry.train_size, entry.test_size,
    ):  # fmt: skip
        raise DataError(f"{where} is not the {name} of its origin: its sizes are others")
    if not catalog.checksum(entry):  # the arrays of the first pack or download are believed, and compared from then on
        hashes = "".join(a.sha256 for _, a in sorted(prepared.read(folder).arrays.items()))
        trusted.compare(paths, f"{name}/arrays", hashlib.sha256(hashes.encode()).hexdigest())
        return
    if sha256 != catalog.checksum(entry) or not checking.same_content(entry, data):
        raise DataError(f"{where} is not the {name} of its origin")


def _copy(source: IO[bytes], target: Path) -> None:
    fd: Any = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while data := source.read(CHUNK):
            atomic.write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
