"""The data sets of this user: which there are, what state they are in, and how to get at their arrays."""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from mlptui.core.errors import DataError, MlptuiError
from mlptui.core.text import safe
from mlptui.datasets import catalog, prepared
from mlptui.datasets.catalog import ENTRIES, SAMPLE
from mlptui.datasets.dataset import IMAGES, TABLE, Dataset, Facts
from mlptui.datasets.entry import Entry
from mlptui.datasets.jobs import Busy, SetLock
from mlptui.datasets.prepared import Progress, Told, quiet
from mlptui.store.paths import Paths

WAIT = 0.2  # seconds between looks at a set that another process decodes
HERE, PARTLY, ABSENT, DAMAGED, ADDED = "here", "partly here", "not here", "damaged", "added"


@dataclass(frozen=True)
class State:
    """How a set stands. `share` of the download that is here already; `size` in bytes, on the disk or to download."""

    kind: str
    size: int = 0
    share: float = 0.0
    problem: str = ""

    @property
    def usable(self) -> bool:
        return self.kind in (HERE, ADDED)


def state(paths: Paths, name: str) -> State:
    """How a set stands, without reading its arrays. Never raises."""
    entry = ENTRIES.get(name)
    if catalog.always_here(name):
        return State(HERE, _packaged() if name == SAMPLE else 0)
    if not catalog.NAME.fullmatch(name):
        return State(ABSENT)
    place = catalog.folder(paths, name)
    try:
        description = prepared.read(place)
    except FileNotFoundError:
        if entry is None:
            return State(ABSENT)
        if catalog.raw(place, entry):
            return State(HERE, entry.decoded_size)
        have = downloaded(paths, entry)
        total = entry.download_size or have
        return State(PARTLY, total, min(0.99, have / total) if total else 0.0) if have else State(ABSENT, total)
    except DataError as error:
        return State(DAMAGED, 0, 0.0, str(error))
    if not description.arrays:
        return State(ADDED)
    problem = prepared.problem(place, description)
    return State(DAMAGED if problem else HERE, description.size, 1.0, problem)


def downloaded(paths: Paths, entry: Entry) -> int:
    """Bytes of the entry's files that a download brought so far."""
    place, total = catalog.downloads(paths, entry), 0
    for file in entry.files:
        for name in (file.name, f"{file.name}.part"):
            try:
                total += os.stat(place / name).st_size
            except OSError:
                pass
    return total


def _packaged() -> int:
    return sum(f.stat().st_size for f in catalog.SAMPLE_FOLDER.glob("*.gz"))


def facts(paths: Paths, name: str) -> Facts:
    """What is known of a set, here or not. Raises DataError for a name that means nothing, and for damage."""
    if not catalog.always_here(name):
        try:
            return prepared.read(catalog.folder(paths, name)).facts
        except FileNotFoundError:
            pass
    entry = ENTRIES.get(name)
    if entry is None:
        raise DataError(f"there is no data set {safe(name, 80)!r}; 'mlptui data list' shows all")
    if entry.format == "generated":
        return load(paths, name).facts
    return of_entry(entry)


def of_entry(entry: Entry) -> Facts:
    """What the catalog says."""
    kind = TABLE if entry.format == "generated" else IMAGES
    return Facts(
        entry.name, kind, entry.title, entry.shape, entry.classes, entry.train_size, entry.test_size,
        catalog.checksum(entry), entry.mean, entry.deviation, origin=entry.origin, licence=entry.licence, notes=entry.notes,
    )  # fmt: skip


def load(paths: Paths, name: str, told: Told = quiet, progress: Progress = quiet, thorough: bool | None = None) -> Dataset:
    """The arrays of a set, verified (see prepared.open_set). Raises DataError with a sentence that says what to do."""
    if catalog.always_here(name):
        if name == SAMPLE:
            from mlptui.datasets.decode import sample

            found: Dataset = sample(ENTRIES[name])
            return found
        from mlptui.datasets.generate import make

        return make(ENTRIES[name])
    place = catalog.folder(paths, name)
    if not catalog.is_here(paths, name):
        with contextlib.suppress(MlptuiError), SetLock(paths, name):
            pass  # whoever has the lock brings back what a killed writer put aside
    if not catalog.is_here(paths, name):
        raise DataError(absent(paths, name))
    if not decoded(place):
        _decode_once(paths, name, told, progress)
    try:
        return prepared.open_set(place, thorough, progress)
    except FileNotFoundError:
        raise DataError(absent(paths, name)) from None


def decoded(place: Path) -> bool:
    """Whether a set that is here has its arrays. Raises DataError for damage."""
    return (place / catalog.DESCRIPTION).exists() and bool(prepared.read(place).arrays)


def decode(paths: Paths, name: str, told: Told = quiet, progress: Progress = quiet) -> None:
    """Decode a set that is here but not in arrays yet; for the holder of its lock. Raises DataError."""
    place = catalog.folder(paths, name)
    if decoded(place):
        return
    if (place / catalog.DESCRIPTION).exists():
        from mlptui.datasets import own

        own.decode(paths, name, told, progress)
    else:
        from mlptui.datasets.importing import import_folder

        import_folder(paths, name, place, told)


def _decode_once(paths: Paths, name: str, told: Told, progress: Progress) -> None:
    """Decode under the set's lock; where another process does that already, wait for it."""
    while not decoded(catalog.folder(paths, name)):
        try:
            with SetLock(paths, name):
                decode(paths, name, told, progress)
        except Busy as error:
            told(f"waiting: {error}")
            time.sleep(WAIT)


def verify(paths: Paths, name: str, progress: Progress = quiet) -> str:
    """Read every byte of a set and compare. Returns what it was compared with; raises DataError for damage.

    Of a set that is not decoded yet only the state of its files is compared; the answer is empty then.
    """
    if catalog.always_here(name):
        load(paths, name)
        return "the hashes that mlptui carries" if name == SAMPLE else "nothing: it is made anew each time"
    if not catalog.is_here(paths, name):
        raise DataError(absent(paths, name))
    if not (catalog.folder(paths, name) / catalog.DESCRIPTION).exists():  # the files of an earlier version
        decode(paths, name, progress=progress)
    description = prepared.verify(catalog.folder(paths, name), progress)
    if not description.arrays:
        from mlptui.datasets import own

        own.check_unchanged(name, description)
        return ""
    entry = ENTRIES.get(name)
    if entry is not None and catalog.checksum(entry):
        from mlptui.datasets import checking

        if not checking.same_content(entry, prepared.open_set(catalog.folder(paths, name), thorough=False)):
            raise DataError(f"{name} is damaged: it is not the data of its origin; {prepared.mend(name)}")
        return "the SHA-256 of its origin"
    return "the SHA-256 of when it was decoded"


def absent(paths: Paths, name: str) -> str:
    """What to do about a set that is not here."""
    if name in ENTRIES:
        return (
            f"{name} is not in {paths.datasets}; get it with 'mlptui data download {name}', or from files with "
            f"'mlptui data import {name} FOLDER'"
        )
    return f"there is no data set {safe(name, 80)!r}; 'mlptui data list' shows all, 'mlptui data add' adds your own"


def check_removable(paths: Paths, name: str) -> None:
    """Raises DataError where there is nothing to remove."""
    if catalog.always_here(name):
        raise DataError(f"{name} is part of mlptui; there is nothing to remove")
    place = catalog.folder(paths, name)
    if not os.path.lexists(place) and not (name in ENTRIES and catalog.downloads(paths, ENTRIES[name]).exists()):
        raise DataError(f"{safe(name, 80)} is not in {paths.datasets}")


def remove(paths: Paths, name: str) -> None:
    """Delete a set and what was downloaded of it; files of a person's own that are only referred to stay. Raises DataError."""
    check_removable(paths, name)
    place = catalog.folder(paths, name)
    entry = ENTRIES.get(name)
    parts = catalog.downloads(paths, entry) if entry else None
    try:
        if os.path.lexists(place):
            away = paths.datasets / f".del-{name}~{os.getpid()}"
            os.rename(place, away)
            if away.is_dir() and not away.is_symlink():
                shutil.rmtree(away, ignore_errors=True)
            else:
                os.unlink(away)
        if entry and parts and parts.exists():
            with SetLock(paths, entry.key) if entry.key else contextlib.nullcontext():  # another set's download may be there
                others = [e for e in ENTRIES.values() if e.folder == entry.folder and e.name != name]
                if not any(catalog.is_here(paths, e.name) for e in others):
                    shutil.rmtree(parts, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{name} cannot be removed: {error.strerror}") from None
