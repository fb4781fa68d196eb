"""Bring files that a person copied by hand into the data folder."""

import hashlib
import os
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.core.text import safe, size
from mlptui.datasets import catalog, checking, prepared
from mlptui.datasets.decode import decode
from mlptui.datasets.entry import Entry, File
from mlptui.datasets.prepared import Progress, Told, quiet
from mlptui.store import atomic
from mlptui.store.paths import Paths


def import_folder(paths: Paths, name: str, source: Path, told: Told = quiet, progress: Progress = quiet) -> Path:
    """Check the data set's files in `source` and decode them into the data folder, all or none.

    Raises DataError with one sentence and changes nothing.
    """
    entry = catalog.entry(name)
    if not entry.files or name == catalog.SAMPLE:
        raise DataError(f"{name} is part of mlptui; there is nothing to import")
    if not os.path.isdir(source):  # unlike Path.is_dir it has an answer for every name
        raise DataError(f"{safe(source, 300)} is not a folder")
    found = {file: find(source, file) for file in entry.files}
    missing = [file.name for file, place in found.items() if place is None]
    if missing:
        raise DataError(f"{safe(source, 300)} lacks {', '.join(missing)}")
    target = catalog.folder(paths, name)
    if (target / catalog.DESCRIPTION).exists():
        try:
            prepared.verify(target)
        except DataError:
            told(f"{name} is here but damaged; it is replaced")
        else:
            told(f"{name} is here already and whole")
            return target
    return bring(paths, entry, {f: p for f, p in found.items() if p is not None}, told, progress)


def bring(
    paths: Paths, entry: Entry, files: dict[File, Path], told: Told, progress: Progress = quiet, checked: bool = False
) -> Path:
    """Check all files of an entry (unless that was done just now), then decode them. Raises DataError."""
    need_room(paths, entry.name, entry.decoded_size)
    hashes = []
    for file, path in files.items():
        if checked:
            hashes.append(checking.expected(paths, entry, file))
            continue
        told(f"checking {path.name}")
        hashes.append(checking.check(paths, entry, file, path, progress))
    sha256 = catalog.checksum(entry) or hashlib.sha256((entry.name + "".join(hashes)).encode()).hexdigest()
    return decode(paths.datasets, entry, {file.name: path for file, path in files.items()}, sha256, told)


def find(folder: Path, file: File) -> Path | None:
    """The file as its origin names it, or unpacked."""
    for candidate in (folder / file.name, folder / file.name.removesuffix(".gz")):
        if candidate.exists() or candidate.is_symlink():
            return candidate
    return None


def need_room(paths: Paths, name: str, needed: int) -> None:
    """Raises DataError where the disk has not so many bytes free."""
    atomic.make_folder(paths.datasets)
    try:
        free = atomic.free_space(paths.datasets)
    except OSError as error:
        raise DataError(f"{paths.datasets}: {atomic.reason(error)}") from None
    if free < needed:
        raise DataError(f"{name} needs {size(needed)}, {size(free)} are free in {paths.datasets}")
