"""A person's own arrays: .npz, .npy with labels, IDX pairs and folders of them."""

import gc
import gzip
import io
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.server import within
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.datasets import library, own
from mlptui.datasets.dataset import IMAGES, TABLE, Dataset
from mlptui.datasets.sources import arrays as reader
from mlptui.datasets.sources.source import Options
from mlptui.store.paths import Paths

NAME = "mine"
Save = Callable[..., Path]
RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (50, 6, 7), np.uint8)
LABELS = (np.arange(50) % 3).astype(np.int64)
NUMBERS = RNG.normal(size=(50, 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "theirs"
    made.mkdir()
    return made


@pytest.fixture
def save(folder: Path) -> Save:
    def act(name: str = "data.npz", **values: Any) -> Path:
        np.savez(folder / name, **values)
        return folder / name

    return act


def added(paths: Paths, source: Path, **options: Any) -> Dataset:
    own.add(paths, NAME, source, Options(**options))
    return library.load(paths, NAME)


def refused(paths: Paths, source: Path, **options: Any) -> str:
    sentences = set()
    for act in (
        lambda: own.look(source, Options(**options)),
        lambda: own.add(paths, NAME, source, Options(**options)),
        lambda: own.add(paths, NAME, source, Options(**options), copy=True),
    ):
        error = within(act, 3)
        assert isinstance(error, DataError), error
        sentences.add(re.sub("0x[0-9a-f]+", "0x", str(error)))
    assert not (paths.datasets / NAME).exists() and not list(paths.data.rglob(".tmp*"))
    sentence = sentences.pop()
    assert not sentences and sentence.isprintable() and len(sentence) < 600
    return sentence


def together(data: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """All rows, in an order of their own."""
    inputs = np.concatenate([data.train.inputs, data.test.inputs]).reshape(len(data.train) + len(data.test), -1)
    return sorted_rows(inputs, np.concatenate([data.train.targets, data.test.targets]))


def sorted_rows(inputs: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    order = np.lexsort([*inputs.T, targets])
    return inputs[order], targets[order]


def same_rows(data: Dataset, inputs: NDArray[Any], targets: NDArray[Any]) -> bool:
    wanted, classes = sorted_rows(np.asarray(inputs, np.float32).reshape(len(inputs), -1), targets)
    found, labels = together(data)
    return bool(np.allclose(found, wanted) and np.array_equal(labels, classes))


NAMES = [("x", "y"), ("X", "Y"), ("images", "labels"), ("inputs", "targets"), ("data", "target"), ("features", "label"),
         ("x_train", "y_train"), ("train_images", "train_labels"), ("arr_0", "arr_1")]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), NAMES)
def test_arrays_by_their_usual_names(paths: Paths, save: Save, x: str, y: str) -> None:
    data = added(paths, save(**{x: PIXELS, y: LABELS, "more": np.zeros(3)}))
    assert data.facts.kind == IMAGES and data.facts.shape == (1, 6, 7) and data.facts.classes == ("0", "1", "2")
    assert (len(data.train), len(data.test)) == (40, 10) and same_rows(data, PIXELS, LABELS)


@pytest.mark.parametrize(("x", "y"), [("x_test", "y_test"), ("X_test", "Y_test"), ("test_images", "test_labels")])
def test_a_test_part_is_used(paths: Paths, save: Save, x: str, y: str) -> None:
    data = added(paths, save(x_train=PIXELS, y_train=LABELS, **{x: PIXELS[:9], y: LABELS[:9]}))
    assert np.array_equal(data.train.inputs[:, 0], PIXELS) and np.array_equal(data.test.inputs[:, 0], PIXELS[:9])
    assert np.array_equal(data.test.targets, LABELS[:9])


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        (PIXELS, (1, 6, 7)),
        (PIXELS[:, None], (1, 6, 7)),
        (PIXELS[..., None], (1, 6, 7)),
        (np.repeat(PIXELS[:, None], 3, 1), (3, 6, 7)),
        (np.repeat(PIXELS[..., None], 3, 3), (3, 6, 7)),
        (PIXELS.astype(np.int64), (1, 6, 7)),
        (PIXELS.astype(np.float64), (1, 6, 7)),
        (PIXELS.astype(np.float32) / 255, (1, 6, 7)),
        (PIXELS.astype(">i2"), (1, 6, 7)),
        (np.asfortranarray(PIXELS), (1, 6, 7)),
        (PIXELS > 127, (1, 6, 7)),
    ],
)
def test_pictures_in_every_common_form(paths: Paths, save: Save, inputs: NDArray[Any], shape: tuple[int, ...]) -> None:
    data = added(paths, save(x=inputs, y=LABELS))
    assert data.facts.shape == shape and data.train.inputs.dtype == np.uint8
    wanted = PIXELS > 127 if inputs.dtype == bool else PIXELS
    assert same_rows(data, np.repeat(wanted[:, None], shape[0], 1), LABELS)


def test_floats_from_0_to_1_are_told(save: Save) -> None:
    seen = own.look(save(x=PIXELS / 255, y=LABELS))
    assert "pixels from 0 to 1 are kept as whole numbers from 0 to 255" in seen.warnings


@pytest.mark.parametrize("type_", [np.float64, np.float32, np.float16, np.int32, np.uint8, bool])
def test_rows_of_numbers_are_a_table(paths: Paths, save: Save, type_: Any) -> None:
    inputs = (NUMBERS * 50).astype(type_)
    data = added(paths, save(x=inputs, y=LABELS))
    assert data.facts.kind == TABLE and data.facts.shape == (4,) and same_rows(data, inputs, LABELS)
    assert [c.name for c in data.facts.columns] == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (np.array(["b", "a"] * 25), "", ("a", "b")),
        (np.arange(50) % 2 == 0, "", ("0", "1")),
        ((np.arange(50) % 2) * 1.0, "", ("0", "1")),
        (np.arange(50) % 2 - 1, "", ("-1", "0")),
        (np.arange(50) / 7, "", ()),
        (np.arange(50), "", tuple(map(str, range(50)))),
        (np.arange(50), "regression", ()),
        ((np.arange(50) % 3)[:, None], "", ("0", "1", "2")),
        (np.array([b"x", b"y"] * 25), "", None),
        (np.array([2**63, 1] * 25, np.uint64), "", None),
    ],
)
def test_labels_of_every_common_kind(paths: Paths, save: Save, labels: NDArray[Any], task: str, classes: Any) -> None:
    data = added(paths, save(x=NUMBERS, y=labels), task=task)
    assert data.facts.regression == (classes == ())
    if classes is not None:
        assert data.facts.classes == classes
    else:
        assert len(data.facts.classes) == 2


def test_many_whole_numbers_are_numbers_to_predict(paths: Paths, save: Save) -> None:
    source = save(x=np.zeros((300, 2)), y=np.arange(300))
    assert "taken as numbers to predict" in own.look(source).warnings[0]
    assert added(paths, source).facts.regression


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"x": PIXELS, "y": LABELS[:-1]}, "50 train samples but 49 labels"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, "there are no train samples"),
        ({"x": PIXELS}, "has the arrays x; expected are x_train and y_train"),
        ({}, "has the arrays none"),
        ({"\x1b[31m": PIXELS, "b": LABELS}, "expected are x_train"),
        ({"x": PIXELS, "y": np.eye(50)}, "the train labels have 2 dimensions where 1 is right"),
        ({"x": PIXELS, "y": np.array(5)}, "the train labels have 0 dimensions"),
        ({"x": np.zeros((5, 2, 2, 3, 3), np.uint8), "y": LABELS[:5]}, "neither rows [n, features] nor pictures [n, h, w]"),
        ({"x": np.zeros(50), "y": LABELS}, "neither rows [n, features]"),
        ({"x": np.zeros((50, 5, 5, 4), np.uint8), "y": LABELS}, "have neither 1 nor 3 channels"),
        ({"x": PIXELS * 1.5, "y": LABELS}, "are no pictures; they must be 0 to 255"),
        ({"x": PIXELS.astype(np.int16) - 1, "y": LABELS}, "are no pictures"),
        ({"x": PIXELS.astype(np.int32) * 300, "y": LABELS}, "are no pictures"),
        ({"x": np.where(NUMBERS > 1, np.nan, NUMBERS), "y": LABELS}, "some inputs are no finite float32"),
        ({"x": np.where(NUMBERS > 1, np.inf, NUMBERS), "y": LABELS}, "some inputs are no finite float32"),
        ({"x": NUMBERS, "y": np.where(LABELS > 1, np.nan, LABELS)}, "labels are not finite numbers"),
        ({"x": NUMBERS.astype(np.complex64), "y": LABELS}, "are no numbers"),
        ({"x": np.full((50, 2), "a"), "y": LABELS}, "are no numbers"),
        ({"x": np.full((50, 2), np.datetime64("2020-01-01")), "y": LABELS}, "are no numbers"),
        ({"x": NUMBERS, "y": np.zeros(50, np.int8)}, "all labels are the same (0)"),
        ({"x": NUMBERS, "y": np.zeros(50, "datetime64[s]")}, ""),
        ({"x": NUMBERS[:2], "y": LABELS[:2]}, "2 samples are too few"),
        ({"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:, 1:], "y_test": LABELS}, "test samples have the shape"),
        ({"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:3], "y_test": LABELS}, "3 test samples but 50 labels"),
        ({"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:0], "y_test": LABELS[:0]}, "there are no test samples"),
        ({"x": np.zeros((50, 0)), "y": LABELS}, ""),
        ({"x": np.zeros((50, 0, 3), np.uint8), "y": LABELS}, ""),
    ],
)
def test_arrays_that_do_not_fit_are_named(paths: Paths, save: Save, values: dict[str, Any], words: str) -> None:
    assert words in refused(paths, save(**values))


@pytest.mark.parametrize("case", ["nan", "inf", "huge"])
def test_pixels_and_tables_that_float32_cannot_hold_are_refused(paths: Paths, save: Save, case: str) -> None:
    value = {"nan": np.nan, "inf": np.inf, "huge": 1e300}[case]
    pixels = PIXELS.astype(np.float64)
    pixels[3, 2, 1] = value
    refused(paths, save(x=pixels, y=LABELS))


def test_numbers_beyond_float32_are_refused_or_kept_finite(paths: Paths, save: Save) -> None:
    numbers = NUMBERS.copy()
    numbers[4, 2] = 1e300
    source = save(x=numbers, y=LABELS)
    try:
        data = added(paths, source)
    except DataError:
        return
    assert np.isfinite(data.train.inputs).all() and np.isfinite(data.test.inputs).all()


# what must not be obeyed


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.place,))


def test_pickles_are_refused_without_running_them(paths: Paths, folder: Path, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    objects = np.array([Bomb(str(proof))] * 50, object)
    np.savez(folder / "o.npz", x=NUMBERS, y=objects)
    np.save(folder / "o.npy", objects)
    np.save(folder / "x.npy", NUMBERS)
    assert "o.npz is no archive of arrays that can be read" in refused(paths, folder / "o.npz")
    assert "o.npy is no array that can be read" in refused(paths, folder / "x.npy", labels=str(folder / "o.npy"))
    assert "x.npy" not in refused(paths, folder / "o.npy", labels=str(folder / "x.npy"))
    (folder / "p.npy").write_bytes(b"\x80\x04\x95" + b"x" * 50)
    assert "p.npy is no array that can be read" in refused(paths, folder / "p.npy", labels=str(folder / "x.npy"))
    assert not proof.exists()


def npy(shape: str, type_: str = "'|u1'", data: bytes = b"") -> bytes:
    head = f"{{'descr': {type_}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


HEADS = {
    "more than is there": npy("(1000,)", data=b"12"),
    "terabytes": npy("(10000000000000,)"),
    "beyond 64 bits": npy("(99999999999999999999999,)"),
    "negative": npy("(-5,)"),
    "text": npy("('a',)"),
    "none": npy("None"),
    "a call": npy("__import__('os').getcwd()"),
    "nested": npy("(" * 500 + ")" * 500),
    "objects": npy("(5,)", "'|O'"),
    "records": npy("(5,)", "[('a', '<i4'), ('b', '|O')]", b"x" * 60),
    "unknown type": npy("(5,)", "'zz'"),
    "magic only": b"\x93NUMPY",
    "version 9": b"\x93NUMPY\x09\x00" + b"x" * 100,
    "empty": b"",
    "noise": bytes(range(256)) * 9,
}


@pytest.mark.parametrize(
    ("case", "packed"),
    [(case, packed) for case in HEADS for packed in (True, False)],
)
def test_hostile_heads_of_arrays(paths: Paths, folder: Path, case: str, packed: bool) -> None:
    labels = folder / "labels.npy"
    np.save(labels, LABELS)
    if packed:
        with zipfile.ZipFile(folder / "a.npz", "w") as archive:
            archive.writestr("x.npy", HEADS[case])
            archive.write(labels, "y.npy")
        refused(paths, folder / "a.npz")
    else:
        (folder / "a.npy").write_bytes(HEADS[case])
        refused(paths, folder / "a.npy", labels=str(labels))


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
    paths: Paths, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "memory", lambda: 1 << 20)
    np.savez_compressed(folder / "bomb.npz", x=np.zeros((1000, 2000), np.uint8), y=np.arange(1000) % 2)
    assert (folder / "bomb.npz").stat().st_size < 1 << 16
    assert "bomb.npz unpacks to 2.01 MB, more than half of the memory" in refused(paths, folder / "bomb.npz")


@pytest.mark.parametrize(
    "case",
    ["a text", "empty", "cut", "no arrays", "a member with a path", "flipped"],
)
def test_archives_that_are_none(paths: Paths, folder: Path, save: Save, case: str) -> None:
    source = save("a.npz", x=NUMBERS, y=LABELS)
    whole = bytearray(source.read_bytes())
    match case:
        case "a text":
            source.write_bytes(b"hello" * 99)
        case "empty":
            source.write_bytes(b"")
        case "cut":
            source.write_bytes(whole[:-40])
        case "flipped":
            whole[300] ^= 1
            source.write_bytes(whole)
        case "no arrays":
            with zipfile.ZipFile(source, "w") as archive:
                archive.writestr("x", b"1")
                archive.writestr("y", b"2")
        case "a member with a path":
            with zipfile.ZipFile(source, "w") as archive:
                archive.writestr("../x.npy", b"1")
    refused(paths, source)
    assert os.listdir(folder) == ["a.npz"]


# .npy and folders of arrays


def test_two_npy_files(paths: Paths, folder: Path) -> None:
    np.save(folder / "in.npy", NUMBERS)
    np.save(folder / "out.npy", LABELS)
    data = added(paths, folder / "in.npy", labels=str(folder / "out.npy"))
    assert same_rows(data, NUMBERS, LABELS)
    library.remove(paths, NAME)
    assert "name the file of their labels with --labels" in refused(paths, folder / "in.npy")
    assert "is no file" in refused(paths, folder / "in.npy", labels=str(folder / "nothing.npy"))
    assert "--test needs a .npz or a folder" in refused(
        paths, folder / "in.npy", labels=str(folder / "out.npy"), test=str(folder / "in.npy")
    )


def test_a_folder_of_npy_files(paths: Paths, folder: Path) -> None:
    for name, values in (("x_train", PIXELS), ("y_train", LABELS), ("x_test", PIXELS[:5]), ("y_test", LABELS[:5])):
        np.save(folder / f"{name}.npy", values)
    data = added(paths, folder)
    assert np.array_equal(data.train.inputs[:, 0], PIXELS) and len(data.test) == 5


def idx(values: NDArray[Any]) -> bytes:
    code = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}[values.dtype.str]
    return bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files(paths: Paths, folder: Path, pack: Callable[[bytes], bytes]) -> None:
    images, labels = folder / "images-idx3-ubyte.gz", folder / "labels-idx1-ubyte.gz"
    images.write_bytes(pack(idx(PIXELS)))
    labels.write_bytes(pack(idx(LABELS.astype(np.uint8))))
    assert same_rows(added(paths, images, labels=str(labels)), PIXELS, LABELS)


def test_a_folder_of_four_idx_files(paths: Paths, folder: Path) -> None:
    for part, count in (("train", 50), ("t10k", 9)):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS[:count])))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS[:count].astype(np.uint8)))
    data = added(paths, folder)
    assert np.array_equal(data.train.inputs[:, 0], PIXELS) and len(data.test) == 9


@pytest.mark.parametrize("type_", ["|i1", ">i2", ">i4", ">f4", ">f8"])
def test_idx_files_of_other_numbers(paths: Paths, folder: Path, type_: str) -> None:
    inputs = (NUMBERS * 9).astype(type_)
    (folder / "a-idx2").write_bytes(idx(inputs))
    (folder / "b-idx1").write_bytes(idx(LABELS.astype(">i4")))
    assert same_rows(added(paths, folder / "a-idx2", labels=str(folder / "b-idx1")), inputs, LABELS)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\x08", b"\0\0\x08\x01", b"\0\0\x08\x03" + b"\xff" * 12, b"\0\0\x08\x00", b"\0\0\x08\x09" + b"\0" * 99,
     b"\1\0\x08\x01\0\0\0\1x", idx(PIXELS)[:-1], idx(PIXELS) + b"x", gzip.compress(idx(PIXELS))[:-5], b"\x1f\x8b" + b"x" * 99],
)  # fmt: skip
def test_idx_files_that_are_none(paths: Paths, folder: Path, data: bytes) -> None:
    (folder / "a-idx3").write_bytes(data)
    (folder / "b-idx1").write_bytes(idx(LABELS.astype(np.uint8)))
    assert "a-idx3" in refused(paths, folder / "a-idx3", labels=str(folder / "b-idx1"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("fifo", "link to itself", "device") for name in ("x.npz", "x.npy", "x-idx3-ubyte")],
)
def test_sources_that_are_no_files(paths: Paths, folder: Path, name: str, kind: str) -> None:
    source = folder / name
    if kind == "fifo":
        os.mkfifo(source)
    else:
        source.symlink_to(source if kind == "link to itself" else "/dev/zero")
    np.save(folder / "labels.npy", LABELS)
    try:
        refused(paths, source, labels=str(folder / "labels.npy"))
    finally:
        if kind == "fifo":
            os.close(os.open(source, os.O_RDWR | os.O_NONBLOCK))  # lets a waiting reader go


def test_an_empty_folder_and_one_of_other_things(paths: Paths, folder: Path) -> None:
    assert "has neither folders of pictures nor arrays" in refused(paths, folder)
    (folder / "x_train.npy").mkdir()
    (folder / "notes.md").write_text("hello")
    refused(paths, folder)


@pytest.mark.parametrize("name", ["notes.md", "x", "model.pt", "a.zip", "a\x1b[31m.bin"])
def test_files_of_other_kinds(paths: Paths, folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"PK\3\4hello")
    assert "is of no known kind; known are a folder of pictures a class, .npz" in refused(paths, folder / name)


@pytest.mark.parametrize("case", ["folder", "archive"])
def test_nothing_stays_open(folder: Path, case: str) -> None:
    (folder / "a").mkdir()
    (folder / "cut.npz").write_bytes(b"PK\3\4hello")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert within(lambda: own.look(folder if case == "folder" else folder / "cut.npz")) is not None
        gc.collect()
    assert not [w for w in seen if issubclass(w.category, ResourceWarning)]


# decoding


def test_memory_mapped_arrays_are_decoded_in_blocks(paths: Paths, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlptui.datasets.statistics.BLOCK", 1 << 10)
    many = RNG.integers(0, 256, (3000, 6, 7), np.uint8)
    np.save(folder / "in.npy", many)
    np.save(folder / "out.npy", np.arange(3000) % 7)
    assert same_rows(added(paths, folder / "in.npy", labels=str(folder / "out.npy")), many, np.arange(3000) % 7)


def test_changed_labels_are_noticed_at_decoding(paths: Paths, folder: Path) -> None:
    np.save(folder / "in.npy", NUMBERS)
    np.save(folder / "out.npy", LABELS)
    own.add(paths, NAME, folder / "in.npy", Options(labels=str(folder / "out.npy")))
    np.save(folder / "out.npy", LABELS[::-1].astype(np.int32))
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and "changed since it was added" in str(error)


def test_a_copy_needs_no_source(paths: Paths, save: Save) -> None:
    source = save(x=PIXELS, y=LABELS)
    own.add(paths, NAME, source, copy=True)
    source.unlink()
    assert same_rows(library.load(paths, NAME), PIXELS, LABELS)
    assert library.verify(paths, NAME) == "the SHA-256 of when it was decoded"


def test_what_is_looked_at_is_not_kept_in_memory_twice(paths: Paths, save: Save) -> None:
    assert io.BytesIO(save(x=PIXELS, y=LABELS).read_bytes()).read(2) == b"PK"
    own.look(save(x=PIXELS, y=LABELS))
    assert not paths.data.exists()
