"""Tiny files in the formats of the catalog's origins, whole ones and bombs, and a fence around who reads them."""

import bz2
import gzip
import io
import lzma
import resource
import signal
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.datasets.catalog import ENTRIES
from mlptui.datasets.entry import Entry

TRAIN, TEST = 6, 4
SHAPES = {
    "kmnist": (1, 5, 4), "qmnist": (1, 5, 4), "usps": (1, 3, 4), "cifar-10": (3, 2, 3), "cifar-100": (3, 5, 4),
    "svhn": (3, 5, 4), "stl-10": (3, 4, 4), "emnist-letters": (1, 28, 28), "emnist-balanced": (1, 28, 28),
}  # fmt: skip
Parts = tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]


class TooLong(BaseException):
    """Somebody took longer than the fence allows."""


@contextmanager
def fence(seconds: float = 10, megabytes: int = 256) -> Iterator[None]:
    """In here more time ends in TooLong, and more memory than is had now in MemoryError."""

    def late(*_: object) -> None:
        raise TooLong(f"more than {seconds} s")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    handler, left = signal.signal(signal.SIGALRM, late), signal.setitimer(signal.ITIMER_REAL, seconds)[0]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)


def small(name: str) -> Entry:
    """The entry of the catalog with few and small pictures; CIFAR-10's number of pictures a file is fixed."""
    sizes = (50_000, 10_000) if name == "cifar-10" else (TRAIN, TEST)
    return replace(ENTRIES[name], shape=SHAPES[name], train_size=sizes[0], test_size=sizes[1])


def content_of(entry: Entry) -> Parts:
    """Pictures [n, channels, height, width] and classes, the same ones every time."""
    rng = np.random.default_rng(8)

    def part(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        labels = (np.arange(count) * 7 + len(entry.classes) - 1) % len(entry.classes)
        return rng.integers(0, 256, (count, *entry.shape), np.uint8), labels.astype(np.uint8)

    return part(entry.train_size), part(entry.test_size)


def files_of(entry: Entry) -> dict[str, bytes]:
    """The entry's files as its origin would have them, with `content_of` in them."""
    return {
        "idx": _idx_files, "emnist": _emnist_files, "libsvm": _libsvm_files, "cifar-10": _cifar_files,
        "cifar-100": _cifar_files, "svhn": _svhn_files, "stl-10": _stl_files,
    }[entry.format](entry)  # fmt: skip


def idx(shape: tuple[int, ...], data: bytes, code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def _idx_files(entry: Entry) -> dict[str, bytes]:
    made = {}
    for i, (images, labels) in enumerate(content_of(entry)):
        of_images, of_labels = entry.files[2 * i : 2 * i + 2]
        made[of_images.name] = gzip.compress(idx((len(images), *entry.shape[1:]), images.tobytes()))
        if "-idx2-" in of_labels.name:
            table = np.zeros((len(labels), 8), ">i4")
            table[:, 0], table[:, 1:] = labels, 99
            made[of_labels.name] = gzip.compress(idx(table.shape, table.tobytes(), 0x0C))
        else:
            made[of_labels.name] = gzip.compress(idx((len(labels),), labels.tobytes()))
    return made


def emnist_members(entry: Entry) -> dict[str, bytes]:
    """EMNIST lies on its side, and its letters count from 1."""
    split, made = entry.name.removeprefix("emnist-"), {}
    for part, (images, labels) in zip(("train", "test"), content_of(entry), strict=True):
        turned = np.ascontiguousarray(images[:, 0].transpose(0, 2, 1))
        shown = labels + (split == "letters")
        made[f"gzip/emnist-{split}-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(turned.shape, turned.tobytes()))
        made[f"gzip/emnist-{split}-{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(shown.shape, shown.tobytes()))
    return made


def _emnist_files(entry: Entry) -> dict[str, bytes]:
    return {entry.files[0].name: zipped({"gzip/emnist-other-train.gz": b"another split", **emnist_members(entry)})}


def _libsvm_files(entry: Entry) -> dict[str, bytes]:
    return {f.name: bz2.compress(libsvm(*part)) for f, part in zip(entry.files, content_of(entry), strict=True)}


def libsvm(images: NDArray[np.uint8], labels: NDArray[Any]) -> bytes:
    """Sparse: a value of -1 is left out."""
    lines = []
    for image, label in zip(images.reshape(len(images), -1), labels, strict=True):
        pairs = [f"{i + 1}:{(value + 0.1) / 255 * 2 - 1:.6f}" for i, value in enumerate(image.tolist()) if value]
        lines.append(" ".join([str(int(label) + 1), *pairs]))
    return ("\n".join(lines) + "\n").encode()


def cifar_members(entry: Entry) -> dict[str, bytes]:
    (train, train_labels), (test, test_labels) = content_of(entry)

    def records(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
        coarse = [] if entry.format == "cifar-10" else [labels[:, None] % 20]
        return np.concatenate([*coarse, labels[:, None], images.reshape(len(images), -1)], 1).astype(np.uint8).tobytes()

    if entry.format == "cifar-100":
        made = {"train": records(train, train_labels), "test": records(test, test_labels), "fine_label_names.txt": b"apple\n"}
        return {f"cifar-100-binary/{k}{'' if '.' in k else '.bin'}": v for k, v in made.items()}
    step = 10_000
    made = {f"data_batch_{i + 1}": records(train[i * step :][:step], train_labels[i * step :][:step]) for i in range(5)}
    return {f"cifar-10-batches-bin/{k}.bin": v for k, v in {"test_batch": records(test, test_labels), **made}.items()}


def _cifar_files(entry: Entry) -> dict[str, bytes]:
    return {entry.files[0].name: tarred(cifar_members(entry))}


def stl_members(entry: Entry) -> dict[str, bytes]:
    made = {"stl10_binary/unlabeled_X.bin": bytes(1000)}
    for part, (images, labels) in zip(("train", "test"), content_of(entry), strict=True):
        made[f"stl10_binary/{part}_X.bin"] = np.ascontiguousarray(images.transpose(0, 1, 3, 2)).tobytes()
        made[f"stl10_binary/{part}_y.bin"] = (labels + 1).tobytes()
    return made


def _stl_files(entry: Entry) -> dict[str, bytes]:
    return {entry.files[0].name: tarred(stl_members(entry))}


def _svhn_files(entry: Entry) -> dict[str, bytes]:
    made = {}
    for file, (images, labels) in zip(entry.files, content_of(entry), strict=True):
        shown = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        made[file.name] = mat(packed(matrix("X", images.transpose(2, 3, 1, 0))), packed(matrix("y", shown, class_=6)))
    return made


# MATLAB 5 (MathWorks, "MAT-File Format")

KINDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
CLASSES = {"u1": 9, "f8": 6, "i4": 12, "f4": 7, "i1": 8}


def element(kind: int, body: bytes, length: int | None = None) -> bytes:
    """With its tag; up to four bytes go within it. `length` is what the tag says where that is a lie."""
    if len(body) <= 4 and length is None:
        return struct.pack("<HH", kind, len(body)) + body.ljust(4, b"\0")
    return struct.pack("<II", kind, len(body) if length is None else length) + body + bytes(-len(body) % 8)


def matrix(name: str, array: NDArray[Any], class_: int = 0, dims: tuple[int, ...] = ()) -> bytes:
    code = array.dtype.str[1:]
    return element(
        14,
        element(6, struct.pack("<II", class_ or CLASSES[code], 0))
        + element(5, struct.pack(f"<{len(dims or array.shape)}i", *(dims or array.shape)))
        + element(1, name.encode())
        + element(KINDS[code], array.tobytes(order="F")),
    )


def packed(body: bytes) -> bytes:
    data = zlib.compress(body)
    return struct.pack("<II", 15, len(data)) + data


def mat(*elements: bytes, mark: bytes = b"\x00\x01IM") -> bytes:
    return b"MATLAB 5.0 MAT-file, from a test".ljust(124) + mark + b"".join(elements)


# archives and bombs

Member = bytes | tuple[tarfile.TarInfo, bytes]


def tarred(members: dict[str, bytes], mode: str = "w:gz", *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for info, data in [*((member(n, data), data) for n, data in members.items()), *more]:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *more: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice, which is meant
        for name, data in [*members.items(), *more]:
            archive.writestr(name, data)
    return out.getvalue()


def zeros(megabytes: int, begin: bytes = b"") -> bytes:
    """A raw deflate stream of `begin` and many zeros, of a thousandth of their size."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = machine.compress(begin) + machine.flush(zlib.Z_FULL_FLUSH)
    block = machine.compress(bytes(1 << 20)) + machine.flush(zlib.Z_FULL_FLUSH)
    return first + block * megabytes + b"\x03\x00"


def gzip_bomb(megabytes: int, begin: bytes = b"") -> bytes:
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros(megabytes, begin) + bytes(8)


def xz_of_4_gib(data: bytes) -> bytes:
    """An xz file whose header asks for a dictionary of 4 GiB."""
    made = bytearray(lzma.compress(data, lzma.FORMAT_XZ, preset=0))
    size = (made[12] + 1) * 4
    assert made[14:16] == b"\x21\x01"  # LZMA2 with one byte of properties
    made[16] = 40
    made[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(made[12 : 12 + size - 4]))
    return bytes(made)
