"""What the catalog says of a data set."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class File:
    """A file as its origin gives it. What is not known is 0 or empty.

    `size`, `md5` and `sha256` are of the file as it lies there; `content` is the SHA-256 of what a `.gz` unpacks to.
    """

    name: str
    size: int = 0
    md5: str = ""
    sha256: str = ""
    content: str = ""


@dataclass(frozen=True)
class Entry:
    """A data set. `format` says how its files are read (see decode.py); without files it is made or part of mlptui.

    `shape` is that of a sample. `key` names the folder of its files, which sets from one archive share. `mean` and
    `deviation` are given where runs of earlier versions used just these numbers.
    """

    name: str
    title: str
    format: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    train_size: int
    test_size: int
    origin: str
    licence: str
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    key: str = ""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return self.key or self.name

    @property
    def download_size(self) -> int:
        """Bytes to download, as far as they are known."""
        return sum(f.size for f in self.files)

    @property
    def decoded_size(self) -> int:
        """Bytes of the arrays of an image set."""
        return (self.train_size + self.test_size) * (prod(self.shape) + 1)

    @property
    def downloadable(self) -> bool:
        return bool(self.mirrors)
