"""A data set in the data folder: arrays that are memory-mapped, and a sealed description of them.

`datasets/NAME/set.json` holds the facts, and for each array its type, shape, length and SHA-256; the arrays are plain
`.npy` files, so numpy opens them without mlptui. The folder appears by one rename when all of it is on the disk.
"""

import contextlib
import hashlib
import io
import math
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe, size
from mlptui.datasets import catalog, statistics
from mlptui.datasets.catalog import DESCRIPTION
from mlptui.datasets.dataset import IMAGES, Column, Dataset, Facts, Split, facts_from
from mlptui.store import atomic, sealed

FORMAT = 1
VERIFIED = "verified.json"
OLD = ".old-"  # a set that is about to be replaced
ARRAYS = ("train-inputs", "train-targets", "test-inputs", "test-targets")
TYPES = ("|u1", "<i4", "<f4")
LIMIT = 16 << 20
CHUNK = 1 << 20
THOROUGH = 1 << 30  # sets up to this size are hashed whole at each start of a run; larger ones when a file changed

Told = Callable[[str], None]
Progress = Callable[[int, int], None]


def quiet(*_: object) -> None:
    """For those who do not want to be told."""


@dataclass(frozen=True)
class Array:
    """One file: its numpy type, shape, length in bytes and SHA-256."""

    type: str
    shape: tuple[int, ...]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Description:
    facts: Facts
    arrays: dict[str, Array]
    source: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(a.bytes for a in self.arrays.values())


def read(folder: Path) -> Description:
    """Raises FileNotFoundError where there is none, DataError where it is damaged or newer than this program."""
    name = safe(folder.name, 80)
    try:
        values = sealed.read_document(atomic.read_regular(folder / DESCRIPTION, LIMIT), DESCRIPTION)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{name}: {DESCRIPTION}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise DataError(f"{name}: {error}; {mend(name)}") from None
    if isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise DataError(f"{name} was prepared by a newer mlptui (format {values['format']}); this one reads up to {FORMAT}")
    try:
        arrays = {str(k): Array(**{**v, "shape": tuple(v["shape"])}) for k, v in values["arrays"].items()}
        description = Description(facts_from(values["facts"]), arrays, dict(values.get("source", {})))
        _fits(description)
        return description
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{name}: {DESCRIPTION} makes no sense ({error}); {mend(name)}") from None


def _fits(description: Description) -> None:
    """Facts and arrays speak of the same thing. Raises ValueError."""
    facts, arrays = description.facts, description.arrays
    for name, array in arrays.items():
        whole = all(isinstance(n, int) and n >= 0 for n in (*array.shape, array.bytes))
        if array.type not in TYPES or not whole or not isinstance(array.sha256, str):
            raise ValueError(f"the description of {safe(name, 40)}")
    if not arrays:
        return
    if set(arrays) != set(ARRAYS):
        raise ValueError("not the four arrays of a set")
    classes = ("|u1", "<i4") if facts.classes else ("<f4",)
    for part, count in (("train", facts.train_size), ("test", facts.test_size)):
        inputs, targets = arrays[f"{part}-inputs"], arrays[f"{part}-targets"]
        if inputs.shape != (count, *facts.shape) or targets.shape != (count,) or not count:
            raise ValueError(f"the shapes of {part}")
        if inputs.type != ("|u1" if facts.kind == IMAGES else "<f4") or targets.type not in classes:
            raise ValueError(f"the types of {part}")
    channels = facts.shape[0]
    if len(facts.mean) != channels or (facts.kind != IMAGES and len(facts.columns) != channels):
        raise ValueError("the moments")


def mend(name: str) -> str:
    """What to do about a damaged set."""
    if name in catalog.ENTRIES:
        return f"'mlptui data download {name}' gets it again, or 'mlptui data import {name} FOLDER'"
    return f"'mlptui data remove {name}', then add it again"


class Writer:
    """Makes a data set's folder; nothing is seen of it before `commit`, and nothing is left where that is not reached.

    To be used by who holds the set's lock (jobs.py): the next holder sweeps what a killed one left.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.parent, self.name = parent, name
        self.arrays: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> "Writer":
        atomic.make_folder(self.parent)
        self.folder = self.parent / f".tmp-{self.name}~{os.getpid()}-{secrets.token_hex(4)}"
        try:
            os.mkdir(self.folder, 0o700)
        except OSError as error:
            raise DataError(f"cannot write to {self.parent}: {atomic.reason(error)}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.arrays.clear()
        if self.folder.exists():
            atomic.remove_folder_quietly(self.folder)

    def array(self, name: str, shape: tuple[int, ...], type_: np.dtype[Any]) -> NDArray[Any]:
        """An array to fill. Its room on the disk is taken at once, so that a full disk is an error here and no signal."""
        if type_.str not in TYPES:
            raise TypeError(f"{name} of type {type_} could not be opened again")
        if not shape[0]:
            raise DataError(f"{self.name}: {name} has no samples")
        header = header_of(type_, shape)
        path = self.folder / f"{name}.npy"
        total = len(header) + int(np.prod(shape, dtype=np.int64)) * type_.itemsize
        try:
            atomic.write_new(path, header, durable=False)
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(fd, 0, total)
                else:
                    os.ftruncate(fd, total)
            finally:
                os.close(fd)
        except OSError as error:
            raise DataError(f"{self.name} needs {size(total)} in {self.parent}: {atomic.reason(error)}") from None
        self.arrays[name] = np.memmap(path, type_, "r+", len(header), shape)
        return self.arrays[name]

    def put(self, name: str, values: NDArray[Any]) -> None:
        """A whole array at once."""
        self.array(name, values.shape, values.dtype)[:] = values

    def commit(self, facts: Facts, source: dict[str, Any] | None = None) -> Path:
        """Complete the facts with what only the arrays tell, make all durable and show it under its name.

        A folder of that name is replaced. Raises DataError.
        """
        try:
            described = {name: self._seal(name) for name in self.arrays}
            facts = complete(facts, *(self.arrays[n] for n in ARRAYS))
            if not facts.sha256:
                hashes = "".join(described[name].sha256 for name in ARRAYS)
                facts = replace(facts, sha256=hashlib.sha256(hashes.encode()).hexdigest())
            return write_description(self.folder, self.parent, self.name, Description(facts, described, source or {}))
        except OSError as error:
            raise DataError(f"cannot write {self.name} to {self.parent}: {atomic.reason(error)}") from None

    def _seal(self, name: str) -> Array:
        array = self.arrays[name]
        assert isinstance(array, np.memmap)
        array.flush()
        path = self.folder / f"{name}.npy"
        with atomic.open_regular(path) as stream:
            os.fsync(stream.fileno())
            return Array(array.dtype.str, array.shape, os.fstat(stream.fileno()).st_size, digest(stream))


def write_description(folder: Path, parent: Path, name: str, description: Description) -> Path:
    """Seal a temporary folder and move it to its name; one of that name goes away first, and comes back on failure."""
    values = {
        "format": FORMAT,
        "facts": description.facts.as_json(),
        "arrays": {k: vars(a) for k, a in description.arrays.items()},
        "source": description.source,
    }
    atomic.write_new(folder / DESCRIPTION, sealed.document(values))
    atomic.fsync_folder(folder)
    final, away = parent / name, parent / f"{OLD}{name}~{os.getpid()}-{secrets.token_hex(4)}"
    replaced = final.exists() or final.is_symlink()
    if replaced:
        os.rename(final, away)
    try:
        os.rename(folder, final)
    except OSError:
        if replaced:
            os.rename(away, final)
        raise
    with contextlib.suppress(OSError):  # the set is there; should a power cut take it back, the one before is gone as well
        atomic.fsync_folder(parent)
    if replaced:
        atomic.remove_folder_quietly(away)
    return final


def recover(parent: Path, name: str) -> None:
    """Bring back what a writer that was killed between two renames had put aside. For when the set is not there."""
    try:
        with os.scandir(parent) as found:
            aside = [e.path for e in found if e.name.startswith(f"{OLD}{name}~")]
        if aside and not os.path.lexists(parent / name):
            os.rename(aside[0], parent / name)
    except OSError:
        pass


def complete(facts: Facts, inputs: NDArray[Any], targets: NDArray[Any], _: NDArray[Any], test: NDArray[Any]) -> Facts:
    """The facts with sizes, counts and moments from the arrays, where they are not known already."""
    found: dict[str, Any] = {"train_size": len(targets), "test_size": len(test), "shape": tuple(inputs.shape[1:])}
    if facts.regression:
        found["target"] = statistics.column(facts.target.name if facts.target else "target", targets)
    else:
        found["train_counts"] = statistics.class_counts(targets, len(facts.classes))
        found["test_counts"] = statistics.class_counts(test, len(facts.classes))
    if facts.kind == IMAGES:
        if not facts.mean:
            found["mean"], found["deviation"] = statistics.pixel_moments(inputs)
    else:
        named = facts.columns or tuple(Column(f"x{i}", 0, 1, 0, 0) for i in range(inputs.shape[1]))
        columns = statistics.columns(inputs, [(c.name, c.missing) for c in named])
        found["columns"] = columns
        found["mean"], found["deviation"] = tuple(c.mean for c in columns), tuple(c.deviation for c in columns)
    return replace(facts, **found)


def header_of(type_: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The beginning of a `.npy` file of this type and shape (numpy's format 1.0, rows first)."""
    out = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(type_), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, described)
    return out.getvalue()


def digest(stream: Any, progress: Progress = quiet, total: int = 0) -> str:
    """SHA-256 of all that a binary stream has; `progress` hears of bytes done and `total`."""
    machine, buffer, done = hashlib.sha256(), bytearray(CHUNK), 0
    view = memoryview(buffer)
    stream.seek(0)
    while count := stream.readinto(buffer):
        machine.update(view[:count])
        done += count
        progress(done, total)
    return machine.hexdigest()


def verify(folder: Path, progress: Progress = quiet) -> Description:
    """Read every byte and compare. What comes out is remembered beside the arrays.

    Raises DataError that names the file that changed, FileNotFoundError if no set is here.
    """
    description = read(folder)
    done, marks = 0, {}
    for name, array in description.arrays.items():
        path = folder / f"{name}.npy"
        with _open(folder.name, path, array) as stream:
            marks[name] = _mark(stream)
            before = done
            try:
                found = digest(stream, lambda n, _: progress(before + n, description.size))  # noqa: B023
            except OSError as error:
                raise DataError(f"{safe(folder.name, 80)}: {path.name}: {atomic.reason(error)}; {mend(folder.name)}") from None
        done += array.bytes
        if found != array.sha256:
            _remember(folder, {"damaged": path.name})
            raise DataError(
                f"{safe(folder.name, 80)} is damaged: {path.name} changed since it was written; {mend(folder.name)}"
            )
    _remember(folder, {"marks": marks})
    return description


def _remember(folder: Path, outcome: dict[str, Any]) -> None:
    try:
        atomic.replace(folder / VERIFIED, sealed.document(outcome), durable=False)
    except OSError:
        pass  # only a memory of work that can be done again


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        return sealed.read_document(atomic.read_regular(folder / VERIFIED, LIMIT), VERIFIED)
    except (OSError, StorageError):
        return {}


def problem(folder: Path, description: Description) -> str:
    """What is visibly wrong with the arrays without reading them: files gone, of another length, or found damaged before."""
    if damaged := _remembered(folder).get("damaged"):
        return f"{safe(damaged, 80)} changed since it was written"
    for name, array in description.arrays.items():
        try:
            _open(folder.name, folder / f"{name}.npy", array).close()
        except DataError as error:
            return str(error)
    return ""


def open_set(folder: Path, thorough: bool | None = None, progress: Progress = quiet) -> Dataset:
    """The data set with its arrays mapped. `thorough`: read and compare every byte first (None: unless it is large and
    unchanged since that was done last). Raises DataError; FileNotFoundError where there is none."""
    description = read(folder)
    if set(description.arrays) != set(ARRAYS):
        raise DataError(f"{safe(folder.name, 80)} is not decoded yet")
    if thorough is None:
        thorough = description.size <= THOROUGH or not unchanged(folder, description)
    if thorough:
        verify(folder, progress)
    arrays = {}
    for name, array in description.arrays.items():
        path = folder / f"{name}.npy"
        arrays[name] = map_array(folder.name, name, path, array)
    train = Split(arrays["train-inputs"], arrays["train-targets"])
    test = Split(arrays["test-inputs"], arrays["test-targets"])
    classes = len(description.facts.classes)
    if classes and thorough and not all(int(p.targets.min()) >= 0 and int(p.targets.max()) < classes for p in (train, test)):
        raise DataError(f"{safe(folder.name, 80)} has labels beyond its {classes} classes; {mend(folder.name)}")
    return Dataset(description.facts, train, test)


def unchanged(folder: Path, description: Description) -> bool:
    """Whether every file still has the mark that it had when it was verified last."""
    marks = _remembered(folder).get("marks", {})
    try:
        for name, array in description.arrays.items():
            with _open(folder.name, folder / f"{name}.npy", array) as stream:
                if _mark(stream) != marks.get(name):
                    return False
    except (DataError, AttributeError):
        return False
    return True


def map_array(set_name: str, name: str, path: Path, array: Array) -> NDArray[Any]:
    """Map one file read-only after checking that its beginning is what its description says. Raises DataError."""
    if array.type not in TYPES:
        raise DataError(f"{safe(set_name, 80)}: {name} has the unknown type {safe(array.type, 20)}")
    type_ = np.dtype(array.type)
    header = header_of(type_, array.shape)
    if len(header) + math.prod(array.shape) * type_.itemsize != array.bytes:
        raise DataError(f"{safe(set_name, 80)}: {name} is described larger than its file; {mend(set_name)}")
    with _open(set_name, path, array) as stream:
        if stream.read(len(header)) != header:
            raise DataError(f"{safe(set_name, 80)}: {path.name} does not begin as it should; {mend(set_name)}")
        return np.memmap(stream, type_, "r", len(header), array.shape)


def _open(set_name: str, path: Path, array: Array) -> Any:
    what = safe(set_name, 80)
    try:
        stream = atomic.open_regular(path)
    except FileNotFoundError:
        raise DataError(f"{what}: {safe(path.name, 80)} is gone; {mend(what)}") from None
    except OSError as error:
        raise DataError(f"{what}: {safe(path.name, 80)}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise DataError(f"{what}: {error}") from None
    length = os.fstat(stream.fileno()).st_size
    if length != array.bytes:
        stream.close()
        raise DataError(
            f"{what} is damaged: {safe(path.name, 80)} has {length:,} bytes where {array.bytes:,} are right; {mend(what)}"
        )
    return stream


def _mark(stream: Any) -> list[int]:
    facts = os.fstat(stream.fileno())
    return [facts.st_size, facts.st_mtime_ns, facts.st_ino]
