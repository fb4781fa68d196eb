"""Files that a person copied by hand: brought in whole, or refused with one sentence and nothing changed."""

import errno
import gzip
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, checking, importing, library, prepared
from mlptui.datasets.catalog import ENTRIES, SAMPLE, SAMPLE_FOLDER
from mlptui.datasets.entry import Entry, File
from mlptui.datasets.formats import idx
from mlptui.datasets.formats.compressed import content
from mlptui.datasets.importing import import_folder
from mlptui.store.paths import Paths

NAME = "little"
FILES = [file.name for file in ENTRIES[SAMPLE].files]
PREPARED = ["set.json", *(f"{name}.npy" for name in prepared.ARRAYS)]


def little() -> Entry:
    """The sample under another name, so that imports are tested where the originals are not."""

    def packed(file: File) -> File:
        data = (SAMPLE_FOLDER / f"{file.name}.gz").read_bytes()
        return File(f"{file.name}.gz", len(data), "", sha256(data).hexdigest(), file.content)

    known = ENTRIES[SAMPLE]
    files = tuple(packed(file) for file in known.files)
    return replace(known, name=NAME, format="idx", files=files, mirrors=("https://example.invalid/",))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(catalog.ENTRIES, NAME, little())
    yield


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in FILES:
        (folder / f"{name}.gz").write_bytes((SAMPLE_FOLDER / f"{name}.gz").read_bytes())
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    """All files with their content, but for the memory of what was verified."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "verified.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def refused(paths: Paths, source: Path, name: str = NAME) -> str:
    before, started = everything(paths.data), time.monotonic()
    with pytest.raises(DataError) as caught:
        import_folder(paths, name, source)
    assert time.monotonic() - started < 3
    assert everything(paths.data) == before
    sentence = str(caught.value)
    assert sentence.isprintable() and len(sentence) < 600
    return sentence


def test_compressed_and_plain_files_are_brought_in(paths: Paths, source: Path) -> None:
    plain = source / FILES[2]
    plain.write_bytes(gzip.decompress((source / f"{FILES[2]}.gz").read_bytes()))
    (source / f"{FILES[2]}.gz").unlink()
    told: list[str] = []
    target = import_folder(paths, NAME, source, told.append)
    assert target == paths.datasets / NAME and sorted(os.listdir(target)) == sorted(PREPARED)
    data, sample = library.load(paths, NAME), library.load(paths, SAMPLE)
    assert np.array_equal(data.train.inputs, sample.train.inputs) and np.array_equal(data.test.targets, sample.test.targets)
    assert data.facts.sha256 == sample.facts.sha256
    assert told == [*(f"checking {name}{'' if name == FILES[2] else '.gz'}" for name in FILES), f"decoding {NAME}"]
    assert os.listdir(paths.datasets) == [NAME]


def test_a_second_import_changes_nothing(paths: Paths, source: Path) -> None:
    import_folder(paths, NAME, source)
    before = everything(paths.datasets)
    told: list[str] = []
    import_folder(paths, NAME, source, told.append)
    assert told == [f"{NAME} is here already and whole"]
    assert everything(paths.datasets) == before


def test_a_damaged_set_is_noticed_when_it_is_read_and_replaced_by_an_import(paths: Paths, source: Path) -> None:
    target = import_folder(paths, NAME, source)
    data = bytearray((target / "train-targets.npy").read_bytes())
    data[-1] ^= 1
    (target / "train-targets.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged: train-targets\.npy changed since it was written; 'mlptui data download"):
        library.load(paths, NAME)
    assert library.state(paths, NAME).kind == library.DAMAGED
    told: list[str] = []
    import_folder(paths, NAME, source, told.append)
    assert told[0] == f"{NAME} is here but damaged; it is replaced"
    assert len(library.load(paths, NAME).train) == 6000
    assert os.listdir(paths.datasets) == [NAME]


def test_a_flip_in_any_of_500_places_is_noticed(paths: Paths, source: Path) -> None:
    rng, entry = random.Random(37), little()
    for i, name in enumerate(FILES):
        whole = gzip.decompress((source / f"{name}.gz").read_bytes())
        for _ in range(125 if len(whole) < 100_000 else 20):
            hurt = bytearray(whole)
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
            (source / name).write_bytes(hurt)
            with pytest.raises(DataError):
                checking.check(paths, entry, entry.files[i], source / name)
        (source / name).unlink()


def test_a_flip_in_a_compressed_file_is_noticed(paths: Paths, source: Path) -> None:
    """In the few places of a gzip file that say nothing of its content a flip is let pass."""
    rng, entry = random.Random(38), little()
    path = source / f"{FILES[1]}.gz"
    whole = path.read_bytes()
    original = gzip.decompress(whole)
    for _ in range(500):
        hurt = bytearray(whole)
        hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        path.write_bytes(hurt)
        try:
            assert checking.check(paths, entry, entry.files[1], path) == sha256(hurt).hexdigest()
            assert content(path, len(original), exact=True) == original
        except DataError as error:
            assert str(error).isprintable() and len(str(error)) < 300


def bad_files() -> dict[str, bytes]:
    whole = (SAMPLE_FOLDER / f"{FILES[0]}.gz").read_bytes()
    plain = gzip.decompress(whole)
    size = len(plain)
    return {
        "empty": b"",
        "one byte": b"\x1f",
        "magic only": b"\x1f\x8b",
        "truncated gzip": whole[: len(whole) // 2],
        "gzip without its last byte": whole[:-1],
        "flipped gzip": whole[:5000] + bytes([whole[5000] ^ 0x55]) + whole[5001:],
        "no gzip": b"\x1f\x8b" + b"x" * 1000,
        "truncated": plain[: size // 2],
        "one byte short": plain[:-1],
        "one byte long": plain + b"\0",
        "labels instead of images": gzip.decompress((SAMPLE_FOLDER / f"{FILES[1]}.gz").read_bytes()),
        "other data of the same shape": plain[:16] + bytes(reversed(plain[16:])),
        "zeros": bytes(size),
        "other shape": idx.header((6000, 14, 56)) + plain[16:],
        "bomb": gzip.compress(bytes(200_000_000), 1),
        "bomb in a bomb": gzip.compress(gzip.compress(bytes(50_000_000), 1), 1),
        "too large": bytes(2 * size + 2000),
        "web page": b"<!DOCTYPE html><html>404</html>",
    }


BAD = bad_files() if SAMPLE_FOLDER.is_dir() else {}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_with_one_sentence(paths: Paths, source: Path, kind: str) -> None:
    (source / f"{FILES[0]}.gz").write_bytes(BAD[kind])
    assert FILES[0] in refused(paths, source)
    assert not os.listdir(paths.datasets)


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "dangling", "loop", "sparse", "zero", "missing"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_no_file_is_refused_at_once(paths: Paths, source: Path, tmp_path: Path, kind: str, suffix: str) -> None:
    (source / f"{FILES[0]}.gz").rename(tmp_path / "away.gz")
    path = source / f"{FILES[0]}{suffix}"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "away.gz")
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "loop":
            path.symlink_to(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "sparse":
            with path.open("wb") as stream:
                stream.truncate(1 << 40)
    assert FILES[0] in refused(paths, source)


@pytest.mark.parametrize(
    "name", ["gone", "a\nb", "\x1b]52;c;QQ==\x07", "[/]", "x" * 5000, "a\0b", "\udcff", "/dev/null", "/dev/zero", ""]
)
def test_a_folder_that_is_none_is_refused_whatever_its_name(paths: Paths, tmp_path: Path, name: str) -> None:
    place = tmp_path / name if name else tmp_path / "empty"
    if not name:
        place.mkdir()
    assert refused(paths, place)


def test_a_folder_of_any_name_can_hold_the_files(paths: Paths, source: Path, tmp_path: Path) -> None:
    strange = source.rename(tmp_path / "\x1b[2J [x] \n \udcff")
    assert import_folder(paths, NAME, strange).is_dir()


def test_the_sample_is_not_imported_and_other_names_are_not_known(paths: Paths, source: Path) -> None:
    assert "is part of mlptui" in refused(paths, source, SAMPLE)
    assert "there is no data set" in refused(paths, source, "../../x")


CALLS = ["mkdir", "open", "write", "posix_fallocate", "fsync", "rename"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", ["empty", "damaged", "partly"])
def test_a_disk_that_refuses_at_any_call_changes_nothing(
    paths: Paths, source: Path, monkeypatch: pytest.MonkeyPatch, call: str, state: str
) -> None:
    """Each call of this kind in turn: the old or the new set is there, whole, and nothing beside it."""
    if state == "empty":
        paths.datasets.mkdir(parents=True)
    else:
        target = import_folder(paths, NAME, source)
        (target / "train-targets.npy").write_bytes(b"damaged")
        (target / "notes.txt").write_text("mine")
        if state == "partly":
            (target / "train-inputs.npy").unlink()
    before, place, refused_once = everything(paths.data), 0, False
    while True:
        refusal = Refusal(paths, call, place)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refusal)
            try:
                import_folder(paths, NAME, source)
            except DataError as error:
                assert "the disk is full" in str(error) and refusal.failed
                refused_once = True
                beside = [name for name in os.listdir(paths.datasets) if name != NAME]
                assert not beside
                if everything(paths.data) != before:  # only what makes the last rename durable failed
                    assert call == "fsync" and prepared.verify(paths.datasets / NAME)
                    break
            else:
                break  # the calls are used up
        place += 1
    assert refused_once
    assert len(library.load(paths, NAME).train) == 6000 and os.listdir(paths.datasets) == [NAME]


class Refusal:
    """A system call that fails once, at its `place`-th use in the folder of the data sets (a lost memory is no failure)."""

    def __init__(self, paths: Paths, call: str, place: int) -> None:
        self.real: Callable[..., object] = getattr(os, call)
        self.call, self.place, self.failed = call, place, False
        self.inside = str(paths.datasets)

    def __call__(self, first: object, *rest: object, **named: object) -> object:
        path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
        below = path.startswith(f"{self.inside}/") or (path == self.inside and self.call == "fsync")
        counts = below and "verified.json" not in path
        counts = counts and (self.call != "open" or bool(int(str(rest[0])) & os.O_CREAT))
        if counts and not self.failed:
            if self.place == 0:
                self.failed = True
                raise OSError(errno.ENOSPC, "No space left on device")
            self.place -= 1
        return self.real(first, *rest, **named)


def test_a_disk_that_is_too_small_is_said(paths: Paths, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing.atomic, "free_space", lambda path: 1000)
    assert "1.00 kB are free" in refused(paths, source)


def test_two_files_of_one_set_are_not_enough(paths: Paths, source: Path) -> None:
    for name in FILES[:2]:
        (source / f"{name}.gz").unlink()
    sentence = refused(paths, source)
    assert f"lacks {FILES[0]}.gz, {FILES[1]}.gz" in sentence


def test_the_four_originals_are_brought_in(paths: Paths, fashion_mnist: Path) -> None:
    assert catalog.default(paths) == SAMPLE
    import_folder(paths, "fashion-mnist", fashion_mnist)
    data = library.load(paths, "fashion-mnist")
    assert data.train.inputs.shape == (60_000, 1, 28, 28) and np.bincount(data.test.targets).tolist() == [1000] * 10
    assert catalog.default(paths) == "fashion-mnist"
    assert data.facts.sha256 == catalog.checksum(ENTRIES["fashion-mnist"])


def test_the_sample_is_not_taken_for_the_whole_set(paths: Paths, source: Path) -> None:
    assert "is not the file of the origin" in refused(paths, source, "fashion-mnist")
