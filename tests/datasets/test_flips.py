"""One flipped bit in the real Fashion-MNIST, anywhere, is noticed before anybody trains on it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mlptui.core.errors import DataError
from mlptui.datasets import checking, library, prepared
from mlptui.datasets.catalog import ENTRIES
from mlptui.datasets.importing import import_folder
from mlptui.store.paths import Paths

NAME = "fashion-mnist"


def flip(path: Path, chance: random.Random) -> Callable[[], None]:
    """Flip one random bit in place; gives what takes it back."""
    place, bit = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)

    def turn() -> None:
        with path.open("r+b") as stream:
            stream.seek(place)
            (byte,) = stream.read(1)
            stream.seek(place)
            stream.write(bytes([byte ^ bit]))

    turn()
    return turn


@pytest.mark.parametrize("place", range(4))
def test_flips_in_the_files_of_the_origin(paths: Paths, fashion_mnist: Path, tmp_path: Path, counts, place: int) -> None:
    entry = ENTRIES[NAME]
    file = entry.files[place]
    copy = tmp_path / file.name
    copy.write_bytes((fashion_mnist / file.name).read_bytes())
    checking.check(paths, entry, file, copy)
    chance = random.Random(place)
    header = range(4, 8)  # the time in gzip's header, and its two bytes on the system: no part of the content
    for _ in range(counts((5, 60, 20, 60)[place], 125)):
        back = flip(copy, chance)
        try:
            checking.check(paths, entry, file, copy)
        except DataError as error:
            assert str(error).isprintable()
        else:
            changed = [
                i
                for i, (a, b) in enumerate(zip((fashion_mnist / file.name).read_bytes(), copy.read_bytes(), strict=True))
                if a != b
            ]
            assert set(changed) <= {*header, 8, 9, 3}, f"a flip at byte {changed} was not noticed"
        back()


def test_flips_in_the_arrays_are_noticed_when_a_run_opens_them(paths: Paths, fashion_mnist: Path, counts) -> None:
    place = import_folder(paths, NAME, fashion_mnist)
    chance = random.Random(9)
    files = [place / f"{name}.npy" for name in prepared.ARRAYS] + [place / "set.json"]
    for number in range(counts(50, 500)):
        file = files[number % len(files)]
        back = flip(file, chance)
        with pytest.raises(DataError):
            library.load(paths, NAME)
        back()
    (place / "verified.json").unlink(missing_ok=True)
    assert len(library.load(paths, NAME).train) == 60_000
