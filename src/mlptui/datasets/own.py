"""A person's own data: looked at, added by reference, decoded at first use."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets import catalog, prepared
from mlptui.datasets.dataset import Facts
from mlptui.datasets.jobs import SetLock
from mlptui.datasets.prepared import Description, Progress, Told, Writer, quiet
from mlptui.datasets.sources import arrays, folder, table
from mlptui.datasets.sources.source import Options, Source, mark, named
from mlptui.store import atomic
from mlptui.store.paths import Paths

PLAIN = Options()


@dataclass(frozen=True)
class Look:
    """What was seen of data before they are added: sentences, warnings, and the facts as far as they are known."""

    facts: Facts
    lines: tuple[str, ...]
    warnings: tuple[str, ...]


def look(path: Path, options: Options = PLAIN, progress: Progress = quiet) -> Look:
    """Read the data and say what they are; nothing is written. Raises DataError with one sentence."""
    source = _source(path, options, progress)
    return Look(source.facts, tuple(source.seen.lines), tuple(source.seen.warnings))


def _source(path: Path, options: Options, progress: Progress) -> Source:
    if options.task not in ("", "classes", "regression"):
        raise DataError(f"the task is classes or regression, not {safe(options.task, 40)!r}")
    if not 0 <= options.size <= folder.LARGEST_EDGE:
        raise DataError(f"pictures have an edge of 1 to {folder.LARGEST_EDGE} pixels, not {options.size}")
    name = path.name.lower()
    path = Path(os.path.realpath(path))  # a person's own files may be links; those in the data folder may not
    options = _changed(options, os.path.realpath)
    try:
        if path.is_dir():
            with os.scandir(path) as found:
                by_class = any(e.is_dir() and not e.name.startswith(".") for e in found)
            if by_class:
                return folder.look(path, options, progress)
            return arrays.look(path, options, progress)
        if not path.exists():
            raise DataError(f"{safe(path, 300)} is not there")
        if name.endswith(table.ENDINGS):
            return table.look(path, options, progress)
        if name.endswith((".npz", ".npy")) or "idx" in name:
            return arrays.look(path, options, progress)
    except OSError as error:
        raise DataError(f"{safe(path, 300)}: {error.strerror or error}") from None
    raise DataError(
        f"{safe(path, 300)} is of no known kind; known are a folder of pictures a class, .npz, .npy, IDX files and .csv"
    )


def check_name(paths: Paths, name: str) -> None:
    """Raises DataError for a name that a new set cannot have."""
    place = catalog.folder(paths, name)
    if name in catalog.ENTRIES:
        raise DataError(f"{name} is a name of the catalog; choose another one")
    if place.exists():
        raise DataError(f"there is a data set {name} already; choose another name, or 'mlptui data remove {name}' first")


def add(
    paths: Paths,
    name: str,
    path: Path,
    options: Options = PLAIN,
    copy: bool = False,
    progress: Progress = quiet,
) -> Look:
    """Look at data, then give them a name. They stay where they are and are decoded at first use, or now with `copy`.

    Raises DataError with one sentence and changes nothing.
    """
    check_name(paths, name)
    path = path.absolute()
    source = _source(path, options, progress)
    facts = named(source.facts, name, safe(source.seen.lines[0], 200), safe(path, 300))
    origin = {"path": str(path), "options": asdict(_changed(options, os.path.abspath)), "mark": mark(_origins(path, options))}
    try:
        with SetLock(paths, name), Writer(paths.datasets, name) as writer:
            check_name(paths, name)  # again: another process may have added it meanwhile
            if copy:
                source.write(writer, progress)
                writer.commit(facts, origin)
            else:
                prepared.write_description(writer.folder, paths.datasets, name, Description(facts, {}, origin))
    except OSError as error:
        raise DataError(f"cannot write to {paths.datasets}: {atomic.reason(error)}") from None
    return Look(facts, tuple(source.seen.lines), tuple(source.seen.warnings))


def check_unchanged(name: str, description: Description) -> tuple[Path, Options]:
    """Where the data of a set that is not decoded yet lie, and what was said of them. Raises DataError where they changed."""
    path, options = Path(str(description.source["path"])), Options(**description.source["options"])
    for origin in _origins(path, options):
        if not origin.exists():
            raise DataError(f"{name}: {safe(origin, 300)} is not there any more, and it was never decoded")
    if mark(_origins(path, options)) != description.source["mark"]:
        raise DataError(
            f"{name}: {safe(path, 300)} changed since it was added; 'mlptui data remove {name}', then add it again"
        )
    return path, options


def decode(paths: Paths, name: str, told: Told, progress: Progress) -> Path:
    """Decode a set that was added by reference; afterwards its source is not needed any more. Raises DataError."""
    description = prepared.read(catalog.folder(paths, name))
    path, options = check_unchanged(name, description)
    told(f"decoding {name} from {safe(path, 300)}")
    source = _source(path, options, quiet)
    with Writer(paths.datasets, name) as writer:
        source.write(writer, progress)
        known = description.facts
        return writer.commit(named(source.facts, name, known.title, known.origin), description.source)


def _origins(path: Path, options: Options) -> list[Path]:
    return [path, *(Path(p) for p in (options.labels, options.test) if p)]


def _changed(options: Options, change: Callable[[str], str]) -> Options:
    """The options with the names of files changed, where there are any."""
    labels, test = (change(p) if p else "" for p in (options.labels, options.test))
    return replace(options, labels=labels, test=test)
