"""A person's own pictures: one folder a class, of every kind and size, whole or broken."""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.server import within
from PIL import Image

from mlptui.core.errors import DataError
from mlptui.datasets import library, own
from mlptui.datasets.dataset import IMAGES, Dataset
from mlptui.datasets.sources.source import Options
from mlptui.store.paths import Paths

NAME = "mine"
Put = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "theirs"
    made.mkdir()
    return made


@pytest.fixture
def put(root: Path) -> Put:
    """Write one picture below the root: pixels, or a PIL image."""

    def act(place: str, pixels: Any = 0, size: tuple[int, int] = (8, 6), mode: str = "L", **options: Any) -> Path:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image = pixels if isinstance(pixels, Image.Image) else Image.new(mode, size, pixels)
        image.save(path, **options)
        return path

    return act


@pytest.fixture
def ten(put: Put, root: Path) -> Path:
    """Two classes of ten grey pictures; the value of a pixel says which."""
    for i in range(10):
        put(f"cats/{i}.png", 10 + i)
        put(f"dogs/{i}.png", 200 + i)
    return root


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
        error = within(act)
        assert isinstance(error, DataError), error
        sentences.add(str(error))
    assert not (paths.datasets / NAME).exists() and not list(paths.data.rglob(".tmp*"))
    sentence = sentences.pop()
    assert not sentences and sentence.isprintable() and len(sentence) < 900
    return sentence


def shown(source: Path, **options: Any) -> own.Look:
    found: list[own.Look] = []
    assert within(lambda: found.append(own.look(source, Options(**options)))) is None
    assert all(line.isprintable() and len(line) < 900 for line in (*found[0].lines, *found[0].warnings))
    return found[0]


def values(data: Dataset) -> dict[str, set[int]]:
    """The pixel values by class."""
    found: dict[str, set[int]] = {name: set() for name in data.facts.classes}
    for part in (data.train, data.test):
        for picture, label in zip(part.inputs, part.targets, strict=True):
            found[data.facts.classes[label]].add(int(picture.max()))
    return found


def test_a_folder_a_class(paths: Paths, ten: Path) -> None:
    seen = shown(ten)
    assert seen.lines[0] == "pictures: 16 to train on, 4 to test on, 2 classes: cats, dogs"
    assert "grey, 8 x 6 pixels" in seen.lines and not seen.warnings
    data = added(paths, ten)
    assert data.facts.kind == IMAGES and data.facts.shape == (1, 6, 8) and data.facts.classes == ("cats", "dogs")
    assert values(data) == {"cats": set(range(10, 20)), "dogs": set(range(200, 210))}
    assert data.facts.licence == "your own" and data.train.inputs.dtype == data.train.targets.dtype == np.uint8


@pytest.mark.parametrize("train", ["train", "training"])
@pytest.mark.parametrize("test", ["test", "val", "valid", "validation"])
def test_folders_of_training_and_test(paths: Paths, put: Put, root: Path, train: str, test: str) -> None:
    for i in range(6):
        for j, name in enumerate(("a", "b")):
            put(f"{train}/{name}/{i}.png", 10 * j + i)
    for name in ("a", "b", "c"):
        put(f"{test}/{name}/x.png", 77)
    assert "left out, as training has no such class: c" in shown(root).warnings
    data = added(paths, root)
    assert (len(data.train), len(data.test)) == (12, 2) and data.test.inputs.max() == 77
    assert data.facts.classes == ("a", "b")


def test_a_folder_of_test_pictures_by_name(paths: Paths, ten: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("cats", "dogs"):
        (other / name).mkdir(parents=True)
        Image.new("L", (8, 6), 99).save(other / name / "x.png")
    data = added(paths, ten, test=str(other))
    assert (len(data.train), len(data.test)) == (20, 2)
    assert "No such file or directory" in refused(paths.__class__(*[tmp_path / "h"] * 3), ten, test=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "bmp", "gif", "webp", "pgm", "tif", "tiff"])
def test_formats(paths: Paths, put: Put, root: Path, ending: str) -> None:
    for i in range(4):
        put(f"a/{i}.{ending}", 20)
        put(f"b/{i}.{ending}", 220)
    found = values(added(paths, root))
    assert all(abs(v - 20) < 6 for v in found["a"]) and all(abs(v - 220) < 6 for v in found["b"])


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((6, 8), value, np.uint16))


MODES: dict[str, tuple[Callable[[int], Image.Image], int]] = {
    "1": (lambda v: Image.new("1", (8, 6), v > 127), 1),
    "L": (lambda v: Image.new("L", (8, 6), v), 1),
    "LA": (lambda v: Image.new("LA", (8, 6), (v, 128)), 1),
    "P grey": (lambda v: Image.new("L", (8, 6), v).convert("P"), 1),
    "P colour": (lambda v: Image.new("RGB", (8, 6), (v, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE), 3),
    "RGB": (lambda v: Image.new("RGB", (8, 6), (v, 0, 9)), 3),
    "RGBA": (lambda v: Image.new("RGBA", (8, 6), (v, 0, 9, 128)), 3),
    "16 bits": (lambda v: grey16(v * 257), 1),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes(paths: Paths, put: Put, root: Path, mode: str) -> None:
    make, channels = MODES[mode]
    for i in range(4):
        put(f"a/{i}.png", make(40))
        put(f"b/{i}.png", make(220))
    data = added(paths, root)
    assert data.facts.shape == (channels, 6, 8)
    assert values(data) == ({"a": {0}, "b": {255}} if mode == "1" else {"a": {40}, "b": {220}})


@pytest.mark.parametrize("type_", ["<u2", ">u2", "<i4", "<f4"])
def test_deep_tiffs(paths: Paths, root: Path, type_: str) -> None:
    """Microscopes write these; big-endian ones too."""
    for name, value in (("a", 40), ("b", 220)):
        (root / name).mkdir()
        for i in range(4):
            (root / name / f"{i}.tif").write_bytes(tiff(np.full((6, 8), value if "f" in type_ else value * 257, type_)))
    data = added(paths, root)
    assert data.facts.shape == (1, 6, 8) and values(data) == {"a": {40}, "b": {220}}


def tiff(pixels: Any) -> bytes:
    """One strip, written by hand, as PIL writes one byte order only."""
    order = "<" if pixels.dtype.byteorder in "<=|" else ">"
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = [(256, 8), (257, 6), (258, pixels.dtype.itemsize * 8), (259, 1), (262, 1), (273, 8 + 2 + 12 * 9 + 4),
            (277, 1), (279, pixels.nbytes), (339, kind)]  # fmt: skip
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + struct.pack(order + "H", len(tags))
    for tag, value in tags:
        out += struct.pack(order + "HHII", tag, 4, 1, value)
    return out + struct.pack(order + "I", 0) + pixels.tobytes()


def test_dark_16_bit_pictures_are_as_dark_as_their_neighbours(paths: Paths, put: Put, root: Path) -> None:
    for i in range(6):
        put(f"a/{i}.png", grey16(200))
        put(f"b/{i}.png", grey16(60_000))
    found = values(added(paths, root))
    assert max(found["a"]) < 5 and min(found["b"]) > 225


def test_grey_and_colour_together_are_colour(paths: Paths, put: Put, ten: Path) -> None:
    put("cats/red.png", (255, 0, 0), mode="RGB")
    data = added(paths, ten)
    assert data.facts.shape == (3, 6, 8) and "colour, 8 x 6 pixels" in shown(ten).lines


def test_different_sizes_are_told_and_brought_to_one(paths: Paths, put: Put, ten: Path) -> None:
    put("cats/large.png", 15, size=(300, 200))
    assert "2 different sizes; all are brought to 64 x 64 (--size says otherwise)" in shown(ten).warnings
    assert added(paths, ten).facts.shape == (1, 64, 64)
    library.remove(paths, NAME)
    assert added(paths, ten, size=10).facts.shape == (1, 10, 10)


@pytest.mark.parametrize("size", [-1, 1025, 10**9])
def test_sizes_that_cannot_be(paths: Paths, ten: Path, size: int) -> None:
    assert "pictures have an edge of 1 to 1024 pixels" in refused(paths, ten, size=size)


def test_one_very_large_size_needs_a_word(paths: Paths, put: Put, root: Path) -> None:
    for i in range(3):
        put(f"a/{i}.png", i, size=(2000, 1100))
        put(f"b/{i}.png", i, size=(2000, 1100))
    assert "pictures of 2000 x 1100 are too large; name an edge with --size" in refused(paths, root)
    assert added(paths, root, size=32).facts.shape == (1, 32, 32)


# what is broken


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """The head of a PNG that unpacks to gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")


def noise() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (6 * 9, 8 * 9), np.uint8)).save(out, "PNG")
    return out.getvalue()


BROKEN: dict[str, Callable[[Path], Any]] = {
    "empty": lambda p: p.write_bytes(b""),
    "a text": lambda p: p.write_text("hello"),
    "a directory": lambda p: p.mkdir(),
    "a fifo": os.mkfifo,
    "a link to nothing": lambda p: p.symlink_to(p.parent / "nothing"),
    "a link to itself": lambda p: p.symlink_to(p),
    "a device": lambda p: p.symlink_to("/dev/zero"),
    "cut short": lambda p: p.write_bytes(noise()[:900]),
    "head only": lambda p: p.write_bytes((p.parent / "0.png").read_bytes()[:40]),
    "a bomb": lambda p: p.write_bytes(bomb()),
    "a smaller bomb": lambda p: p.write_bytes(bomb(11_000, 9_500)),
    "no pixels": lambda p: p.write_bytes(bomb(0, 0)),
    "flipped": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff" * 200),
    "an EPS that would be run": lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_named_and_left_out(ten: Path, case: str) -> None:
    BROKEN[case](ten / "cats" / "x.png")
    seen = shown(ten)
    assert seen.lines[0].startswith("pictures: 16 to train on, 4 to test on")
    if case != "a directory":
        assert any(w.startswith("cannot be read and left out: cats/x.png (") for w in seen.warnings)


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_left_out_is_left_out_at_decoding_too(paths: Paths, ten: Path, case: str) -> None:
    BROKEN[case](ten / "cats" / "x.png")
    assert values(added(paths, ten)) == {"cats": set(range(10, 20)), "dogs": set(range(200, 210))}


def test_nothing_that_can_be_read_is_a_sentence(paths: Paths, root: Path) -> None:
    for name in ("a", "b"):
        (root / name).mkdir()
        for i in range(40):
            (root / name / f"\x1b[31m{i}.png").write_bytes(b"no")
    sentence = refused(paths, root)
    assert "no picture in" in sentence and "and 75 more" in sentence


def test_names_of_pictures_and_classes_are_shown_safely(paths: Paths, put: Put, root: Path) -> None:
    for i in range(4):
        put(f"\x1b[31mred/{i}.png", 1)
        put(f"[/red]/{i}.png", 2)
    os.mkdir(os.fsencode(root) + b"/caf\xe9")
    Image.new("L", (8, 6), 3).save(os.fsencode(root).decode(errors="surrogateescape") + "/caf\udce9/x.png")
    data = added(paths, root)
    assert all(c.isprintable() for c in data.facts.classes) and len(data.facts.classes) == 3
    shown(root)


def test_an_empty_class_is_told(put: Put, ten: Path) -> None:
    (ten / "birds").mkdir()
    seen = shown(ten)
    assert "no picture to train on: birds" in seen.warnings and "3 classes: birds, cats, dogs" in seen.lines[0]


@pytest.mark.parametrize("case", ["one class", "no class", "pictures without a class", "hidden", "empty classes"])
def test_folders_that_are_no_classes(paths: Paths, put: Put, root: Path, case: str) -> None:
    for i in range(4):
        match case:
            case "one class":
                put(f"a/{i}.png")
            case "pictures without a class":
                put(f"{i}.png")
            case "hidden":
                put(f".a/{i}.png")
                put(f".b/{i}.png")
            case "empty classes":
                (root / f"class-{i}").mkdir()
    refused(paths, root)


def test_other_files_are_passed_over(paths: Paths, ten: Path) -> None:
    (ten / "labels.csv").write_text("hello")
    (ten / "cats" / "Thumbs.db").write_bytes(b"x")
    (ten / ".hidden").mkdir()
    assert values(added(paths, ten))["cats"] == set(range(10, 20))


@pytest.mark.parametrize("target", ["..", ".", "self"])
def test_links_that_lead_in_a_circle_end(ten: Path, target: str) -> None:
    (ten / "cats" / "loop").symlink_to(target if target != "self" else ten)
    (ten / "loop").symlink_to(ten if target == "self" else target)
    assert within(lambda: own.look(ten)) is None


def test_a_class_may_be_called_train(paths: Paths, put: Put, root: Path) -> None:
    for i in range(5):
        for name in ("car", "train", "ship"):
            put(f"{name}/{i}.png", i)
    assert added(paths, root).facts.classes == ("car", "ship", "train")


# decoding


def test_a_picture_that_changed_is_refused_at_decoding(paths: Paths, put: Put, ten: Path) -> None:
    own.add(paths, NAME, ten)
    put("cats/3.png", 99, size=(9, 9))
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and "changed since it was added" in str(error)
    library.remove(paths, NAME)
    own.add(paths, NAME, ten)
    (ten / "dogs" / "3.png").unlink()
    assert "changed since it was added" in str(within(lambda: library.load(paths, NAME)))


def test_a_folder_that_is_gone_is_said(paths: Paths, ten: Path) -> None:
    own.add(paths, NAME, ten)
    ten.rename(ten.with_name("moved"))
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and "is not there any more, and it was never decoded" in str(error)


def test_a_copy_needs_no_pictures(paths: Paths, ten: Path) -> None:
    own.add(paths, NAME, ten, copy=True)
    ten.rename(ten.with_name("moved"))
    assert len(library.load(paths, NAME).train) == 16


def test_a_look_writes_nothing(paths: Paths, ten: Path) -> None:
    before = sorted(str(p) for p in ten.rglob("*"))
    shown(ten)
    assert not paths.data.exists() and sorted(str(p) for p in ten.rglob("*")) == before


def test_progress_is_told_to_the_end(ten: Path) -> None:
    told: list[tuple[int, int]] = []
    own.look(ten, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 20) for i in range(1, 21)]


def test_what_the_program_warns_of_is_as_before(put: Put, ten: Path) -> None:
    """Four threads change and restore the filters of warnings, which they share."""
    for i in range(200):
        put(f"cats/more-{i}.png", i)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        before = list(warnings.filters)
        for _ in range(5):
            own.look(ten)
        assert list(warnings.filters) == before
