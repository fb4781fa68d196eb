"""Arrays: `.npz`, `.npy` with its labels, and IDX files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.core.text import safe, size
from mlptui.datasets.dataset import IMAGES, TABLE, Column, Facts
from mlptui.datasets.formats import idx
from mlptui.datasets.prepared import Progress, Writer
from mlptui.datasets.sources.source import Options, Seen, classes_of, facts_of, hold_out, listing, memory
from mlptui.datasets.statistics import blocks
from mlptui.store import atomic

INPUTS = ("x", "X", "images", "inputs", "data", "features", "arr_0")
TARGETS = ("y", "Y", "labels", "targets", "label", "target", "arr_1")
NAMES = {
    "train": (("x_train", "X_train", "train_images", "train_x", "train_inputs", *INPUTS),
              ("y_train", "Y_train", "train_labels", "train_y", "train_targets", *TARGETS)),
    "test": (("x_test", "X_test", "test_images", "test_x", "test_inputs"),
             ("y_test", "Y_test", "test_labels", "test_y", "test_targets")),
}  # fmt: skip
MANY_VALUES = 100

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass
class Arrays:
    """Inputs as given, with the rows of each part and the targets of all."""

    parts: dict[str, tuple[NDArray[Any], NDArray[np.int64], NDArray[Any]]]
    facts: Facts
    channels_last: bool = False
    unit: bool = False
    seen: Seen = field(default_factory=Seen)

    def write(self, writer: Writer, progress: Progress) -> None:
        total, done = sum(len(rows) for _, rows, _ in self.parts.values()), 0
        for part, (inputs, rows, targets) in self.parts.items():
            pictures = self.facts.kind == IMAGES
            shape = self.facts.shape
            out = writer.array(f"{part}-inputs", (len(rows), *shape), np.dtype(np.uint8 if pictures else np.float32))
            at = 0
            for chosen in blocks(rows) if inputs[:1].nbytes < 64 else np.array_split(rows, max(1, len(rows) // 256)):
                block = inputs[chosen]
                if pictures:
                    block = self._pixels(block)
                out[at : at + len(chosen)] = block
                at += len(chosen)
                done += len(chosen)
                progress(done, total)
            writer.put(f"{part}-targets", targets)

    def _pixels(self, block: NDArray[Any]) -> NDArray[np.uint8]:
        if block.ndim == 3:
            block = block[:, None]
        elif self.channels_last:
            block = block.transpose(0, 3, 1, 2)
        if self.unit:
            block = np.rint(np.asarray(block, np.float32) * 255)
        return block.astype(np.uint8)


def picture_shape(inputs: NDArray[Any], channels_last: bool) -> tuple[int, ...]:
    """(channels, height, width) of pictures [n, h, w], [n, h, w, channels] or [n, channels, h, w]."""
    if inputs.ndim == 3:
        return (1, *inputs.shape[1:])
    return (inputs.shape[3], *inputs.shape[1:3]) if channels_last else tuple(inputs.shape[1:])


def look(path: Path, options: Options, progress: Progress) -> Arrays:
    """Raises DataError for what is no pair of inputs and targets."""
    if path.suffix.lower() == ".npz":
        found = _npz(path)
    elif path.is_dir():
        found = _folder(path)
    else:
        if not options.labels:
            raise DataError(f"{safe(path.name, 120)} has inputs only; name the file of their labels with --labels")
        found = {"train": (_one(path), _one(Path(options.labels)))}
        if options.test:
            raise DataError("--test needs a .npz or a folder with inputs and labels; or leave it out to hold some out")
    return judge(found, options, path.name)


def judge(found: dict[str, Pair], options: Options, where: str) -> Arrays:
    """What kind of data a pair of arrays is, or two."""
    where, seen = safe(where, 120), Seen()
    for part, (inputs, targets) in found.items():
        if targets.ndim == 2 and targets.shape[1] == 1:
            found[part] = (inputs, targets[:, 0])
        elif targets.ndim != 1:
            raise DataError(f"{where}: the {part} labels have {targets.ndim} dimensions where 1 is right")
        if len(inputs) != len(targets):
            raise DataError(f"{where}: {len(inputs):,} {part} samples but {len(targets):,} labels")
        if not inputs.size:
            raise DataError(f"{where}: there are no {part} samples, or nothing in them: {list(inputs.shape)}")
        if inputs.shape[1:] != found["train"][0].shape[1:]:
            raise DataError(f"{where}: test samples have the shape {list(inputs.shape[1:])}, training ones another")
    inputs, targets = found["train"]
    rows = {part: np.arange(len(pair[1])) for part, pair in found.items()}
    if "test" not in found:
        rows["train"], rows["test"] = hold_out(len(targets), options.test_share)
        found["test"] = found["train"]
        seen.lines.append(f"{len(rows['test']):,} samples ({options.test_share:.0%}) held out for the test, always the same")
    joined = np.concatenate([found[p][1][rows[p]] for p in ("train", "test")])
    joined, classes = _targets(joined, options, where, seen)
    cut = len(rows["train"])
    made = {"train": joined[:cut], "test": joined[cut:]}
    source = _inputs(inputs, classes, (len(rows["train"]), len(rows["test"])), where, seen)
    source.parts = {part: (found[part][0], rows[part], made[part]) for part in ("train", "test")}
    what = f"{len(classes)} classes: {listing(list(classes))}" if classes else "a number to predict"
    seen.lines.insert(0, f"{len(rows['train']):,} samples to train on, {len(rows['test']):,} to test on, {what}")
    seen.lines.append(f"inputs {inputs.dtype}{list(inputs.shape)}, labels {targets.dtype}{list(targets.shape)}")
    source.seen = seen
    return source


def _targets(values: NDArray[Any], options: Options, where: str, seen: Seen) -> tuple[NDArray[Any], tuple[str, ...]]:
    number = values.dtype.kind in "fiub"
    if number and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{where}: {int((~np.isfinite(values)).sum()):,} labels are not finite numbers")
    whole = number and (values.dtype.kind != "f" or bool((values == np.round(values)).all()))
    many = whole and len(np.unique(values)) > MANY_VALUES
    regression = options.task == "regression" or (not options.task and number and (not whole or many))
    if regression:
        if not number:
            raise DataError(f"{where}: the labels are text, which cannot be predicted as numbers")
        if many and not options.task:
            seen.warn(
                "the labels are whole numbers of many values, taken as numbers to predict (--task classes says otherwise)"
            )
        return values.astype(np.float32), ()
    classes, places = classes_of(values.astype(np.int64) if whole else values, where)
    return places, classes


def _inputs(inputs: NDArray[Any], classes: tuple[str, ...], sizes: tuple[int, int], where: str, seen: Seen) -> Arrays:
    if inputs.dtype.kind not in "fiub":
        raise DataError(f"{where}: inputs of type {inputs.dtype} are no numbers")
    target = None if classes else Column("target", 0, 1, 0, 0)
    if inputs.ndim == 2:
        for block in blocks(inputs):
            with np.errstate(over="ignore"):
                finite = bool(np.isfinite(block.astype(np.float32)).all())
            if not finite:
                raise DataError(
                    f"{where}: some inputs are no finite float32; mend them, or write them as CSV with empty cells"
                )
        columns = tuple(Column(f"x{i}", 0, 1, 0, 0) for i in range(inputs.shape[1]))
        return Arrays({}, facts_of(TABLE, classes, inputs.shape[1:], sizes, columns, target))
    if inputs.ndim not in (3, 4):
        raise DataError(f"{where}: inputs of shape {list(inputs.shape)} are neither rows [n, features] nor pictures [n, h, w]")
    last = inputs.ndim == 4 and inputs.shape[3] in (1, 3) and inputs.shape[1] not in (1, 3)
    if inputs.ndim == 4 and not last and inputs.shape[1] not in (1, 3):
        raise DataError(f"{where}: pictures of shape {list(inputs.shape[1:])} have neither 1 nor 3 channels")
    low, high = _bounds(inputs)
    unit = inputs.dtype.kind == "f" and low >= 0 and high <= 1
    if unit:
        seen.warn("pixels from 0 to 1 are kept as whole numbers from 0 to 255")
    elif low < 0 or high > 255 or (inputs.dtype.kind == "f" and not _whole(inputs)):
        raise DataError(
            f"{where}: pixels from {low:g} to {high:g} are no pictures; they must be 0 to 255, or 0 to 1 as floats"
        )
    return Arrays({}, facts_of(IMAGES, classes, picture_shape(inputs, last), sizes, target=target), last, unit)


def _bounds(inputs: NDArray[Any]) -> tuple[float, float]:
    if inputs.dtype == np.uint8:
        return 0.0, 255.0
    found = [(float(b.min()), float(b.max())) for b in blocks(inputs)]
    return min(f[0] for f in found), max(f[1] for f in found)


def _whole(inputs: NDArray[Any]) -> bool:
    return all(bool((b == np.round(b)).all()) for b in blocks(inputs))


def _one(path: Path) -> NDArray[Any]:
    """One array of a `.npy` file (mapped) or an IDX file. Raises DataError."""
    where = safe(path.name, 120)
    if not path.is_file():
        raise DataError(f"{safe(path, 300)} is no file")
    if path.suffix.lower() != ".npy":
        return idx.read(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises OverflowError, SyntaxError and more for what is no head of an array
        raise DataError(f"{where} is no array that can be read: {safe(error, 160)}") from None
    return np.asarray(array) if array.nbytes < 1 << 20 else array


def _npz(path: Path) -> dict[str, Pair]:
    where = safe(path.name, 120)
    try:
        with atomic.open_regular(path) as stream, np.load(stream, allow_pickle=False) as archive:
            needed, room = sum(info.file_size for info in archive.zip.infolist()), memory() // 2
            if needed > room:
                raise DataError(f"{where} unpacks to {size(needed)}, more than half of the memory; give it as .npy files")
            return _pairs(list(archive.files), lambda name: archive[name], where)
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise nine kinds for damaged archives
        raise DataError(f"{where} is no archive of arrays that can be read: {safe(error, 160)}") from None


def _folder(path: Path) -> dict[str, Pair]:
    """`.npy` files by their usual names, or the four files of an IDX set."""
    files = {f.stem: f for f in sorted(path.glob("*.npy"))}
    if files:
        return _pairs(list(files), lambda name: _one(files[name]), path.name)
    found: dict[str, Pair] = {}
    for part, begins in (("train", ("train",)), ("test", ("t10k", "test"))):
        pair = []
        for what in ("images", "labels"):
            known = [f for f in sorted(path.glob(f"*{what}*idx*")) if f.name.startswith(begins)]
            if known:
                pair.append(idx.read(known[0]))
        if len(pair) == 2:
            found[part] = (pair[0], pair[1])
    if "train" not in found:
        raise DataError(f"{safe(path, 300)} has neither folders of pictures nor arrays (x_train.npy, ... or IDX files)")
    return found


def _pairs(names: list[str], read: Any, where: str) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for part, (inputs, targets) in NAMES.items():
        x, y = (next((n for n in wanted if n in names), None) for wanted in (inputs, targets))
        if x and y:
            pair = (read(x), read(y))
            if not all(isinstance(array, np.ndarray) for array in pair):
                raise DataError(f"{safe(where, 120)}: {listing([x, y])} are no arrays")
            found[part] = pair
    if "train" not in found:
        raise DataError(
            f"{safe(where, 120)} has the arrays {listing(names) or 'none'}; expected are x_train and y_train (and x_test, "
            "y_test), or x and y"
        )
    return found
