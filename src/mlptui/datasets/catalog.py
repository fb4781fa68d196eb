"""The data sets that mlptui knows by name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlptui.core.errors import DataError
from mlptui.store.paths import Paths

SAMPLE = "fashion-mnist-sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """One IDX file: its name without `.gz`, the SHA-256 of its uncompressed content, and its shape."""

    name: str
    sha256: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """A data set: what it is, and its four files in the order train images, train labels, test images, test labels.

    `mean` and `deviation` are those of all training pixels as numbers from 0 to 1; a test computes them again.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    origin: str
    licence: str
    files: tuple[File, File, File, File]
    mean: float
    deviation: float

    @property
    def train_size(self) -> int:
        return self.files[0].shape[0]

    @property
    def test_size(self) -> int:
        return self.files[2].shape[0]


def _files(shapes: tuple[int, int], hashes: tuple[str, str, str, str]) -> tuple[File, File, File, File]:
    train, test = shapes
    return (
        File("train-images-idx3-ubyte", hashes[0], (train, 28, 28)),
        File("train-labels-idx1-ubyte", hashes[1], (train,)),
        File("t10k-images-idx3-ubyte", hashes[2], (test, 28, 28)),
        File("t10k-labels-idx1-ubyte", hashes[3], (test,)),
    )


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "fashion-mnist",
            "70,000 grey pictures of clothes, 28x28, 10 classes",
            FASHION_CLASSES,
            "https://github.com/zalandoresearch/fashion-mnist",
            "MIT",
            _files(
                (60_000, 10_000),
                (
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ),
            ),
            mean=0.28604,
            deviation=0.35302,
        ),
        Entry(
            SAMPLE,
            "7,000 pictures of Fashion-MNIST, part of mlptui itself",
            FASHION_CLASSES,
            "https://github.com/zalandoresearch/fashion-mnist",
            "MIT",
            _files(
                (6_000, 1_000),
                (
                    "4dacb9ae0024d8cb6eac80530189e031c4b5904e3489a9281c8e95feff1296da",
                    "6311f7fea607f4678c715eacea0870dc5edb5b34b3ab2f8409ca781bb97ef8ad",
                    "9d91c1573b43402c83c09cce94b26fe5f8cb66c4bf33cc77b5c326066b04b725",
                    "30699192c4682f9ba3805b2dc7460a5929cff3684e3c3da309205614845d4e8e",
                ),
            ),
            mean=0.28505,
            deviation=0.35282,
        ),
    )
}


def entry(name: str) -> Entry:
    """Raises DataError for a name that is not in the catalog."""
    if name not in ENTRIES:
        raise DataError(f"there is no data set {name[:80]!r}; known are {', '.join(ENTRIES)}")
    return ENTRIES[name]


def checksum(entry: Entry) -> str:
    """Names the data set's content: the hash over the hashes of its files."""
    return hashlib.sha256("".join(file.sha256 for file in entry.files).encode()).hexdigest()


def folder(paths: Paths, known: Entry) -> Path:
    return SAMPLE_FOLDER if known.name == SAMPLE else paths.datasets / known.name


def is_here(paths: Paths, known: Entry) -> bool:
    """Whether all files are there; their content is verified when they are read."""
    place = folder(paths, known)
    return all((place / f.name).is_file() or (place / f"{f.name}.gz").is_file() for f in known.files)


def default(paths: Paths) -> str:
    """Fashion-MNIST if it is here, else the sample."""
    return "fashion-mnist" if is_here(paths, ENTRIES["fashion-mnist"]) else SAMPLE
