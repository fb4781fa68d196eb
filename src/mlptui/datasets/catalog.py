"""The data sets that mlptui knows by name."""

import hashlib
import os
import re
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets.entries import TABLE
from mlptui.datasets.entry import Entry
from mlptui.store.paths import Paths

SAMPLE = "fashion-mnist-sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
DEFAULT = "fashion-mnist"
DESCRIPTION = "set.json"  # in the folder of a set that is here
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")


ENTRIES: dict[str, Entry] = {entry.name: entry for entry in TABLE}


def entry(name: str) -> Entry:
    """Raises DataError for a name that is not in the catalog."""
    if name not in ENTRIES:
        raise DataError(f"there is no data set {safe(name, 80)!r} in the catalog; 'mlptui data list' shows all")
    return ENTRIES[name]


def always_here(name: str) -> bool:
    """Whether the set is part of mlptui or made by it."""
    return name in ENTRIES and not ENTRIES[name].downloadable


def names(paths: Paths) -> list[str]:
    """The catalog's sets in its order, then a person's own by name."""
    try:
        with os.scandir(paths.datasets) as found:
            there = sorted(e.name for e in found if NAME.fullmatch(e.name) and e.is_dir())
    except OSError:
        there = []
    return [*ENTRIES, *(n for n in there if n not in ENTRIES and (paths.datasets / n / DESCRIPTION).exists())]


def is_here(paths: Paths, name: str) -> bool:
    """Whether a set can be used; its content is verified when it is read."""
    if always_here(name):
        return True
    place = folder(paths, name)
    return (place / DESCRIPTION).is_file() or (name in ENTRIES and raw(place, ENTRIES[name]))


def raw(place: Path, entry: Entry) -> bool:
    """Whether the folder holds the original files, as earlier versions kept them."""
    return entry.format == "idx" and all((place / f.name.removesuffix(".gz")).is_file() for f in entry.files)


def default(paths: Paths) -> str:
    """Fashion-MNIST if it is here, else the sample."""
    return DEFAULT if is_here(paths, DEFAULT) else SAMPLE


def checksum(entry: Entry) -> str:
    """Names the content of a set whose files are known by their content: the hash over their hashes. Empty otherwise."""
    hashes = [file.content for file in entry.files]
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if hashes and all(hashes) else ""


def folder(paths: Paths, name: str) -> Path:
    """Where a set lies when it is here. Raises DataError for a name that could lead elsewhere."""
    if not NAME.fullmatch(name):
        raise DataError(f"{safe(name, 80)!r} is no name of a data set: use lower case letters, digits, '.', '_' and '-'")
    return SAMPLE_FOLDER if name == SAMPLE else paths.datasets / name


def downloads(paths: Paths, entry: Entry) -> Path:
    """Where its files are gathered until they are decoded."""
    return paths.datasets / ".downloads" / entry.folder
