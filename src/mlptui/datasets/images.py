"""Data sets as arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, idx
from mlptui.store.paths import Paths


@dataclass(frozen=True)
class Split:
    """Images uint8 [n, channels, height, width] and labels uint8 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Images:
    """A data set in memory. `sha256` names its content: the hash over the hashes of its files."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    sha256: str
    mean: float
    deviation: float


def load(paths: Paths, name: str) -> Images:
    """Read and verify a data set. Raises DataError with a sentence that says what to do."""
    entry = catalog.entry(name)
    if not catalog.is_here(paths, entry):
        raise DataError(
            f"{name} is not in {paths.datasets}; import it with 'mlptui data import {name} FOLDER' or use {catalog.SAMPLE}"
        )
    folder = catalog.folder(paths, entry)
    arrays = []
    for file in entry.files:
        found = find(folder, file)
        if found is None:
            raise DataError(f"{name}: {file.name} is gone from {folder}")
        arrays.append(idx.array(idx.content(found, file), file))
    train_images, train_labels, test_images, test_labels = arrays
    return Images(
        name,
        entry.classes,
        Split(train_images[:, None], train_labels),
        Split(test_images[:, None], test_labels),
        catalog.checksum(entry),
        entry.mean,
        entry.deviation,
    )


def find(folder: Path, file: catalog.File) -> Path | None:
    """The file or its `.gz` in a folder."""
    for candidate in (folder / file.name, folder / f"{file.name}.gz"):
        if candidate.exists() or candidate.is_symlink():
            return candidate
    return None
