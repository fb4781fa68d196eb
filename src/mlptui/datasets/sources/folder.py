"""A folder of pictures, one folder a class (torchvision's ImageFolder), perhaps below `train` and `test`."""

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets.dataset import IMAGES, Facts, class_type
from mlptui.datasets.prepared import Progress, Writer
from mlptui.datasets.sources.source import Options, Seen, facts_of, hold_out, listing

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")
MOST_PIXELS = 100_000_000
MIXED_EDGE = 64
LARGEST_EDGE = 1024
READERS = 4
DEEP, UNIT = "F, 16 bits", "F, 0 to 1"  # floats beyond 255, and up to 1
GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F", DEEP, UNIT}


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Without Pillow's warnings of what is odd in a picture; set once, as the filters are those of all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Picture:
    path: Path
    label: int


@dataclass
class ImageFolder:
    """Pictures that can be read, by part, and what they are brought to: (channels, height, width)."""

    train: list[Picture]
    test: list[Picture]
    shape: tuple[int, int, int]
    scale: float
    facts: Facts
    seen: Seen = field(default_factory=Seen)

    @_unwarned()
    def write(self, writer: Writer, progress: Progress) -> None:
        total = len(self.train) + len(self.test)
        type_ = class_type(len(self.facts.classes))
        done = 0
        for part, pictures in (("train", self.train), ("test", self.test)):
            images = writer.array(f"{part}-inputs", (len(pictures), *self.shape), np.dtype(np.uint8))
            writer.put(f"{part}-targets", np.array([p.label for p in pictures], type_))
            for i, pixels in enumerate(_in_threads(lambda p: _decode(p.path, self.shape, self.scale), pictures)):
                if isinstance(pixels, DataError):
                    raise pixels
                images[i] = pixels
                done += 1
                progress(done, total)


@_unwarned()
def look(folder: Path, options: Options, progress: Progress) -> ImageFolder:
    """Read every picture once. Those that cannot be read are named and left out. Raises DataError."""
    train_folder = next((folder / n for n in TRAIN if (folder / n).is_dir() and _subfolders(folder / n)), folder)
    test_folder = Path(options.test) if options.test else next((folder / n for n in TEST if (folder / n).is_dir()), None)
    if train_folder == folder:
        test_folder = Path(options.test) if options.test else None
    names = _subfolders(train_folder)
    train = _pictures(train_folder, names)
    if len(names) < 2 or not train:
        raise DataError(f"{safe(train_folder, 300)} has no two folders of pictures; each class needs a folder of its own")
    test = _pictures(test_folder, names) if test_folder else []
    seen = Seen()
    if test_folder:
        other = sorted(set(_subfolders(test_folder)) - set(names))
        if other:
            seen.warn(f"left out, as training has no such class: {listing(other)}")
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    unreadable: list[str] = []
    kept: dict[str, list[Picture]] = {"train": [], "test": []}
    total, done = len(train) + len(test), 0
    for part, pictures in (("train", train), ("test", test)):
        for picture, found in zip(pictures, _in_threads(lambda p: _inspect(p.path), pictures), strict=True):
            done += 1
            progress(done, total)
            if isinstance(found, DataError):
                unreadable.append(f"{picture.path.parent.name}/{picture.path.name} ({found})")
                continue
            sizes[found[0]] += 1
            modes[found[1]] += 1
            kept[part].append(picture)
    if unreadable:
        seen.warn(f"cannot be read and left out: {listing(unreadable)}")
    if not kept["train"]:
        raise DataError(f"no picture in {safe(train_folder, 300)} can be read: {listing(unreadable)}")
    if not kept["test"]:
        rows = hold_out(len(kept["train"]), options.test_share)
        kept["train"], kept["test"] = ([kept["train"][i] for i in r] for r in rows)
        seen.lines.append(
            f"{len(kept['test']):,} pictures ({options.test_share:.0%}) are held out for the test, always the same"
        )
    shape = _shape(sizes, modes, options, seen)
    sizes_of_parts = (len(kept["train"]), len(kept["test"]))
    counts = Counter(p.label for p in kept["train"])
    empty = [name for i, name in enumerate(names) if not counts[i]]
    if empty:
        seen.warn(f"no picture to train on: {listing(empty)}")
    words = f"{len(kept['train']):,} to train on, {len(kept['test']):,} to test on, {len(names)} classes: {listing(names)}"
    seen.lines.insert(0, f"pictures: {words}")
    return ImageFolder(
        kept["train"],
        kept["test"],
        shape,
        _scale(modes),
        facts_of(IMAGES, (safe(n, 60) for n in names), shape, sizes_of_parts),
        seen,
    )


def _scale(modes: Counter[str]) -> float:
    """What brings floats to 0 to 255, the same for all pictures."""
    if modes[DEEP]:
        return 1 / 257
    return 255.0 if modes[UNIT] and not modes["F"] else 1.0


def _shape(sizes: Counter[tuple[int, int]], modes: Counter[str], options: Options, seen: Seen) -> tuple[int, int, int]:
    (height, width), same = sizes.most_common(1)[0]
    if options.size:
        height = width = options.size
    elif same != sizes.total():
        height = width = MIXED_EDGE
    if max(height, width) > LARGEST_EDGE:
        raise DataError(f"pictures of {width} x {height} are too large; name an edge with --size, such as --size 224")
    channels = 1 if set(modes) <= GREY else 3
    seen.lines.append(f"{'grey' if channels == 1 else 'colour'}, {width} x {height} pixels")
    if len(sizes) > 1 or (height, width) not in sizes:
        seen.warn(f"{len(sizes)} different sizes; all are brought to {width} x {height} (--size says otherwise)")
    return channels, height, width


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"{safe(folder, 300)}: {error.strerror}") from None


def _pictures(folder: Path, classes: list[str]) -> list[Picture]:
    found = []
    for label, name in enumerate(classes):
        for above, below, files in os.walk(folder / name):
            below.sort()
            found += [Picture(Path(above, f), label) for f in sorted(files) if Path(f).suffix.lower() in ENDINGS]
    return found


def _in_threads(work: Callable[[Picture], Any], pictures: list[Picture]) -> Any:
    """Results in order; Pillow decodes without the interpreter lock. Only a few are under way, so memory stays small."""
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(pictures), 64):
            yield from pool.map(work, pictures[start : start + 64])


def _open(path: Path) -> Any:
    from PIL import Image

    if not path.is_file():
        raise DataError("it is no plain file")
    image = Image.open(path, formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise DataError(f"{image.width:,} x {image.height:,} pixels are too many")
    return image


def _guarded(work: Callable[[], Any]) -> Any:
    """Whatever Pillow raises for a damaged picture as a DataError that is returned: many kinds, SyntaxError among them."""
    try:
        return work()
    except DataError as error:
        return error
    except Exception as error:
        unknown = type(error).__name__ == "UnidentifiedImageError"
        return DataError("no picture of a known kind" if unknown else safe(error, 100) or type(error).__name__)


def _inspect(path: Path) -> Any:
    """((height, width), mode) of a picture that can be read to its end; a DataError for another one."""

    def work() -> Any:
        with _open(path) as image:
            image.load()
            mode = image.mode
            if mode in ("P", "PA"):
                mode = "RGB" if _coloured(image) else "L"
            elif mode == "F":
                most = float(np.nanmax(np.asarray(image)))
                mode = DEEP if most > 255 else UNIT if most <= 1 else mode
            return (image.height, image.width), mode

    return _guarded(work)


def _coloured(image: Any) -> bool:
    pixels = np.asarray(image.convert("RGB"))
    return bool((pixels[..., 0] != pixels[..., 1]).any() or (pixels[..., 1] != pixels[..., 2]).any())


def _decode(path: Path, shape: tuple[int, int, int], scale: float) -> NDArray[np.uint8] | DataError:
    def work() -> NDArray[np.uint8]:
        from PIL import Image

        channels, height, width = shape
        with _open(path) as opened:
            image = opened
            if image.mode == "F" or image.mode.startswith("I"):  # 16 bits: to the upper eight
                wide = np.asarray(image, np.float64) * (scale if image.mode == "F" else 1 / 257)
                image = Image.fromarray(np.nan_to_num(wide).clip(0, 255).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
            pixels = np.asarray(image, np.uint8)
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)

    found: NDArray[np.uint8] | DataError = _guarded(work)
    return DataError(f"{safe(path, 300)}: {found}") if isinstance(found, DataError) else found
