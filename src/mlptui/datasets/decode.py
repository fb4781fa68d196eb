"""From the files of a catalog entry to arrays in the data folder."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError, MlptuiError
from mlptui.core.text import safe
from mlptui.datasets import catalog
from mlptui.datasets.dataset import IMAGES, Facts, class_type
from mlptui.datasets.entry import Entry
from mlptui.datasets.formats import idx, matlab
from mlptui.datasets.formats.archive import tar_members, zip_member
from mlptui.datasets.formats.compressed import content, unpack
from mlptui.datasets.prepared import Told, Writer

Files = dict[str, Path]
OTHERS = 64 << 20  # bytes of members that are not wanted
UNLABELLED = 100_000 * 3 * 96 * 96  # of STL-10, which may come before what is wanted


def decode(parent: Path, entry: Entry, files: Files, sha256: str, told: Told) -> Path:
    """Write the set `entry.name` into the folder `parent` from its verified files (by name, as the entry has them).

    `sha256` names the content (empty: the hash of the arrays does). Raises DataError and leaves nothing.
    """
    told(f"decoding {entry.name}")
    facts = Facts(
        entry.name, IMAGES, entry.title, entry.shape, entry.classes, 0, 0, sha256, entry.mean, entry.deviation,
        origin=entry.origin, licence=entry.licence, notes=entry.notes,
    )  # fmt: skip
    with Writer(parent, entry.name) as writer:
        try:
            READERS[entry.format](entry, files, writer)
        except MlptuiError:
            raise
        except Exception as error:  # the files are those of the origin, so this is what nobody thought of
            raise DataError(f"{entry.name} cannot be decoded: {type(error).__name__}: {safe(error, 120)}") from None
        return writer.commit(facts)


def _sizes(entry: Entry) -> tuple[tuple[str, int], ...]:
    return (("train", entry.train_size), ("test", entry.test_size))


def _put(writer: Writer, part: str, entry: Entry, images: NDArray[Any], labels: NDArray[Any], where: str) -> None:
    """Both arrays of a part, after a look at what labels there are."""
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images):,} pictures and {len(labels):,} labels")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where}: labels of type {labels.dtype} are no classes")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < len(entry.classes)):
        raise DataError(f"{where}: labels from {labels.min()} to {labels.max()} where 0 to {len(entry.classes) - 1} are right")
    if images.shape[1:] != entry.shape:
        raise DataError(f"{where}: pictures of shape {list(images.shape[1:])} where {list(entry.shape)} is right")
    writer.put(f"{part}-inputs", np.ascontiguousarray(images, np.uint8))
    writer.put(f"{part}-targets", labels.astype(class_type(len(entry.classes))))


def _idx(entry: Entry, files: Files, writer: Writer) -> None:
    """Four files: images and labels for training, then for test. QMNIST's labels have eight columns, the class first."""
    for i, (part, size) in enumerate(_sizes(entry)):
        of_images, of_labels = entry.files[2 * i], entry.files[2 * i + 1]
        images = idx.read(files[of_images.name], (size, *entry.shape[1:]), of_images.content)
        if "-idx2-" in of_labels.name:
            labels = idx.read(files[of_labels.name], most=size * 64)
            if labels.ndim != 2 or not labels.shape[1]:
                raise DataError(f"{of_labels.name} has the shape {list(labels.shape)} where [{size}, 8] is right")
            labels = labels[:, 0]
        else:
            labels = idx.read(files[of_labels.name], (size,), of_labels.content)
        _put(writer, part, entry, images[:, None], labels, of_images.name)


def _emnist(entry: Entry, files: Files, writer: Writer) -> None:
    """Four .gz members of one zip; pictures lie on their side, and letters count from 1."""
    split, path = entry.name.removeprefix("emnist-"), files[entry.files[0].name]
    for part, size in _sizes(entry):
        arrays = []
        for what, shape in (("images-idx3", (size, 28, 28)), ("labels-idx1", (size,))):
            name = f"gzip/emnist-{split}-{part}-{what}-ubyte.gz"
            expected = idx.size_of(shape)
            data = unpack(zip_member(path, name, 2 * expected + 1024), "gzip", expected, name)
            if data[: 4 + 4 * len(shape)] != idx.header(shape) or len(data) != expected:
                raise DataError(f"{name} is no IDX file of shape {' x '.join(map(str, shape))}")
            arrays.append(np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape))
        images, labels = arrays
        _put(writer, part, entry, images.transpose(0, 2, 1)[:, None], labels - (split == "letters"), name)


def _libsvm(entry: Entry, files: Files, writer: Writer) -> None:
    """USPS: lines of a label from 1 and `place:value` with values from -1 to 1."""
    features = prod(entry.shape)
    for file, (part, size) in zip(entry.files, _sizes(entry), strict=True):
        lines = content(files[file.name], size * features * 32).splitlines()
        if len(lines) != size:
            raise DataError(f"{file.name} has {len(lines):,} lines where {size:,} are right")
        labels, images = np.empty(size, np.int64), np.full((size, features), -1.0)
        try:
            for row, line in enumerate(lines):
                label, *pairs = line.split()
                labels[row] = int(label) - 1
                for pair in pairs:
                    place, _, value = pair.partition(b":")
                    if not 1 <= int(place) <= features:
                        raise ValueError(f"feature {int(place)}")
                    images[row, int(place) - 1] = float(value)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{file.name}, line {row + 1}: {safe(error, 120)}") from None
        if not (np.abs(images) <= 1 + 1e-6).all():
            raise DataError(f"{file.name}: values beyond -1 to 1")
        pixels = ((images + 1) / 2 * 255).clip(0, 255).astype(np.uint8).reshape(size, *entry.shape)
        _put(writer, part, entry, pixels, labels, file.name)


def _cifar_10(entry: Entry, files: Files, writer: Writer) -> None:
    names = [f"cifar-10-batches-bin/{n}.bin" for n in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
    _cifar(entry, files, writer, dict.fromkeys(names, 10000), names[-1:], 1)


def _cifar_100(entry: Entry, files: Files, writer: Writer) -> None:
    wanted = {"cifar-100-binary/train.bin": entry.train_size, "cifar-100-binary/test.bin": entry.test_size}
    _cifar(entry, files, writer, wanted, ["cifar-100-binary/test.bin"], 2)


def _cifar(entry: Entry, files: Files, writer: Writer, rows: dict[str, int], test: list[str], label_bytes: int) -> None:
    """Records of label bytes (the last one is the class) and pixels by channel, row, column."""
    record = label_bytes + prod(entry.shape)
    found: dict[str, NDArray[np.uint8]] = {}
    for name, data in tar_members(files[entry.files[0].name], {n: c * record for n, c in rows.items()}, OTHERS):
        found[name] = np.frombuffer(data, np.uint8).reshape(rows[name], record)
    for part, names in (("train", [n for n in rows if n not in test]), ("test", test)):
        records = np.concatenate([found[n] for n in names])
        images = records[:, label_bytes:].reshape(-1, *entry.shape)
        _put(writer, part, entry, images, records[:, label_bytes - 1], names[0])


def _svhn(entry: Entry, files: Files, writer: Writer) -> None:
    """X uint8 [32, 32, 3, n] and y [n, 1], where a zero is written as class 10."""
    for file, (part, size) in zip(entry.files, _sizes(entry), strict=True):
        arrays = matlab.arrays(files[file.name], 2 * size * prod(entry.shape) + (1 << 20))
        if not {"X", "y"} <= set(arrays) or arrays["X"].ndim != 4 or arrays["X"].dtype != np.uint8:
            raise DataError(f"{file.name} lacks the arrays X and y of SVHN")
        labels = arrays["y"].reshape(-1)
        if not np.isin(labels, np.arange(1, 11)).all():
            raise DataError(f"{file.name}: labels that are not 1 to 10")
        _put(writer, part, entry, arrays["X"].transpose(3, 2, 0, 1), labels.astype(np.int64) % 10, file.name)


def _stl_10(entry: Entry, files: Files, writer: Writer) -> None:
    """Pixels by channel, column, row; labels from 1."""
    pixels = prod(entry.shape)
    wanted: dict[str, int] = {}
    for part, size in _sizes(entry):
        wanted |= {f"stl10_binary/{part}_X.bin": size * pixels, f"stl10_binary/{part}_y.bin": size}
    found = {}
    for name, data in tar_members(files[entry.files[0].name], wanted, UNLABELLED + OTHERS):
        found[name] = np.frombuffer(data, np.uint8)
    for part, size in _sizes(entry):
        images = found[f"stl10_binary/{part}_X.bin"].reshape(size, *entry.shape).transpose(0, 1, 3, 2)
        _put(writer, part, entry, images, found[f"stl10_binary/{part}_y.bin"].astype(np.int64) - 1, part)


READERS: dict[str, Callable[[Entry, Files, Writer], None]] = {
    "idx": _idx,
    "emnist": _emnist,
    "libsvm": _libsvm,
    "cifar-10": _cifar_10,
    "cifar-100": _cifar_100,
    "svhn": _svhn,
    "stl-10": _stl_10,
}


def sample(entry: Entry) -> Any:
    """The embedded sample, read and verified, without anything on the disk of the user."""
    from mlptui.datasets.dataset import Dataset, Split
    from mlptui.datasets.prepared import complete

    parts = []
    for i, (_, size) in enumerate(_sizes(entry)):
        arrays = []
        for file, shape in zip(entry.files[2 * i : 2 * i + 2], ((size, *entry.shape[1:]), (size,)), strict=True):
            arrays.append(idx.read(catalog.SAMPLE_FOLDER / f"{file.name}.gz", shape, file.content))
        parts.append(Split(arrays[0][:, None], arrays[1]))
    facts = Facts(
        entry.name, IMAGES, entry.title, entry.shape, entry.classes, 0, 0, catalog.checksum(entry), entry.mean,
        entry.deviation, origin=entry.origin, licence=entry.licence,
    )  # fmt: skip
    train, test = parts
    return Dataset(complete(facts, train.inputs, train.targets, test.inputs, test.targets), train, test)
