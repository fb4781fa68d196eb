"""Bring files that a person copied by hand into the data folder."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets import catalog, idx, images
from mlptui.store import atomic
from mlptui.store.paths import Paths


def import_folder(paths: Paths, name: str, source: Path, told: Callable[[str], None] = lambda _: None) -> Path:
    """Check the data set's files in `source` and put them into the data folder, all or none.

    They are kept uncompressed, which opens faster. Raises DataError with one sentence and changes nothing.
    """
    entry = catalog.entry(name)
    if name == catalog.SAMPLE:
        raise DataError(f"{name} is part of mlptui; there is nothing to import")
    if not os.path.isdir(source):  # unlike Path.is_dir it has an answer for every name
        raise DataError(f"{safe(source, 300)} is not a folder")
    found = {file: images.find(source, file) for file in entry.files}
    missing = [f"{file.name}.gz" for file, place in found.items() if place is None]
    if missing:
        raise DataError(f"{safe(source, 300)} lacks {', '.join(missing)}")
    target = catalog.folder(paths, entry)
    if catalog.is_here(paths, entry):
        try:
            images.load(paths, name)
        except DataError:
            told(f"{name} is here but damaged; it is replaced")
        else:
            told(f"{name} is here already and whole")
            return target
    contents: dict[str, bytes] = {}
    for file, place in found.items():
        assert place is not None
        told(f"checking {file.name}")
        contents[file.name] = idx.content(place, file)
    try:
        atomic.make_folder(paths.datasets)
        free = atomic.free_space(paths.datasets)
        needed = sum(map(len, contents.values()))
        if free < needed:
            raise DataError(f"{paths.datasets} has {free:,} bytes free; {name} needs {needed:,}")
        away = paths.datasets / f".del-{os.getpid()}-{secrets.token_hex(4)}"
        replaced = target.exists()
        if replaced:
            os.rename(target, away)
        try:
            atomic.commit_folder(paths.datasets, name, contents)
        except OSError:
            if replaced and not target.exists():
                os.rename(away, target)
            raise
        if replaced:
            atomic.remove_folder_quietly(away)
    except OSError as error:
        raise DataError(f"cannot write to {paths.datasets}: {atomic.reason(error)}") from None
    return target
