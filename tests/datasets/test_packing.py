"""A set as one file: what was packed is what comes out, and anything else is refused and leaves nothing."""

import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.server import within

from mlptui.core.errors import DataError, StorageError
from mlptui.datasets import catalog, library, packing, prepared
from mlptui.datasets.catalog import DESCRIPTION, ENTRIES, SAMPLE, SAMPLE_FOLDER
from mlptui.datasets.dataset import IMAGES, Facts
from mlptui.datasets.importing import import_folder
from mlptui.datasets.prepared import ARRAYS, Writer
from mlptui.store import atomic, sealed
from mlptui.store.paths import Paths

NAME = "mine"
MEMBERS = [DESCRIPTION, *(f"{name}.npy" for name in ARRAYS)]


def elsewhere(paths: Paths) -> Paths:
    """Another machine."""
    place = paths.data.parent / "elsewhere"
    return Paths(place, place, place)


def make(paths: Paths, name: str = NAME, seed: int = 0) -> Path:
    """A little set of pictures."""
    rng = np.random.default_rng(seed)
    with Writer(paths.datasets, name) as writer:
        for part, count in (("train", 40), ("test", 9)):
            writer.put(f"{part}-inputs", rng.integers(0, 256, (count, 1, 6, 7), np.uint8))
            writer.put(f"{part}-targets", rng.integers(0, 3, count).astype(np.uint8))
        return writer.commit(Facts(name, IMAGES, "noise", (1, 6, 7), ("a", "b", "c"), 0, 0, "", (), ()))


@dataclass
class Member:
    """One member of a tar as it will be written."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    size: int = -1

    def write(self, archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(self.name)
        info.type, info.linkname, info.mode = self.kind, self.link, 0o4777
        info.size = len(self.data) if self.size < 0 else self.size
        archive.addfile(info, io.BytesIO(self.data) if self.data else None)


@pytest.fixture
def packed(paths: Paths, tmp_path: Path) -> Path:
    make(paths)
    return packing.pack(paths, NAME, tmp_path / "mine.tar")


def members(path: Path) -> list[Member]:
    with tarfile.open(path) as archive:
        return [Member(m.name, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]


def write(path: Path, wanted: list[Member]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member in wanted:
            member.write(archive)
    return path


def lie(member: Member, change: Callable[[dict[str, Any]], None]) -> Member:
    """A description changed and sealed again."""
    values = sealed.read_document(member.data, "it")
    change(values)
    return Member(member.name, sealed.document(values))


def everything(folder: Path) -> list[str]:
    """All but the locks and pages of jobs, and what is only remembered."""
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if ".jobs" not in p.parts)
    return [p for p in found if p != "datasets" and not p.endswith("verified.json")]


def refused(paths: Paths, source: Path, name: str = "") -> str:
    """The sentence; nothing is left of it."""
    there = elsewhere(paths)
    before, outside = everything(there.data), everything(paths.data)
    error = within(lambda: packing.unpack(there, source, name))
    assert error is not None, "it was accepted"
    assert isinstance(error, DataError | StorageError)
    assert str(error).isprintable() and 0 < len(str(error)) < 500
    assert everything(there.data) == before and everything(paths.data) == outside
    return str(error)


def test_what_was_packed_is_what_comes_out(paths: Paths, packed: Path) -> None:
    there = elsewhere(paths)
    assert packing.unpack(there, packed) == NAME
    one, other = library.load(paths, NAME), library.load(there, NAME)
    assert one.facts == other.facts
    for part in ("train", "test"):
        for what in ("inputs", "targets"):
            assert np.array_equal(getattr(getattr(one, part), what), getattr(getattr(other, part), what))
    assert everything(there.datasets) == sorted([NAME, *(f"{NAME}/{m}" for m in MEMBERS)])
    assert [m.name for m in members(packed)] == [f"{NAME}/{m}" for m in MEMBERS]
    assert os.stat(there.datasets / NAME / "train-inputs.npy").st_mode & 0o077 == 0


def test_a_pack_of_a_pack_is_the_same_file(paths: Paths, packed: Path, tmp_path: Path) -> None:
    there = elsewhere(paths)
    packing.unpack(there, packed)
    again = packing.pack(there, NAME, tmp_path / "again.tar")
    assert again.read_bytes() == packed.read_bytes()


def test_any_tar_program_can_read_it(packed: Path, tmp_path: Path) -> None:
    with tarfile.open(packed, "r:") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert np.load(tmp_path / "out" / NAME / "train-inputs.npy").shape == (40, 1, 6, 7)


def test_a_set_of_the_catalog_goes_round(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ENTRIES[SAMPLE]
    files = tuple(replace(f, name=f"{f.name}.gz") for f in known.files)
    monkeypatch.setitem(catalog.ENTRIES, "little", replace(known, name="little", format="idx", files=files, mirrors=("x",)))
    import_folder(paths, "little", SAMPLE_FOLDER)
    there = elsewhere(paths)
    assert packing.unpack(there, packing.pack(paths, "little", tmp_path / "l.tar"), "little") == "little"
    assert library.verify(there, "little") == "the SHA-256 of its origin"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (SAMPLE, "part of mlptui; every machine has it"),
        ("moons", "part of mlptui"),
        ("mnist", "mnist is not in"),
        ("nosuch", "there is no data set 'nosuch'"),
        ("../mine", "is no name of a data set"),
    ],
)
def test_what_cannot_be_packed_is_said(paths: Paths, tmp_path: Path, name: str, words: str) -> None:
    error = within(lambda: packing.pack(paths, name, tmp_path / "x.tar"))
    assert isinstance(error, DataError) and words in str(error)
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob(".*"))


def test_a_damaged_set_is_not_packed(paths: Paths, tmp_path: Path) -> None:
    place = make(paths) / "test-targets.npy"
    place.write_bytes(place.read_bytes()[:-1] + b"\x77")
    error = within(lambda: packing.pack(paths, NAME, tmp_path / "x.tar"))
    assert "is damaged: test-targets.npy changed" in str(error) and not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to nothing", "fifo"])
def test_nothing_is_written_over(paths: Paths, tmp_path: Path, kind: str) -> None:
    make(paths)
    target, other = tmp_path / "x.tar", tmp_path / "other"
    other.write_bytes(b"precious")
    match kind:
        case "file":
            target.write_bytes(b"precious")
        case "folder":
            target.mkdir()
        case "fifo":
            os.mkfifo(target)
        case _:
            target.symlink_to(other if kind == "link" else tmp_path / "nothing")
    error = within(lambda: packing.pack(paths, NAME, target))
    assert isinstance(error, DataError) and "is there already; give another name" in str(error)
    assert other.read_bytes() == b"precious" and not (tmp_path / "nothing").exists()
    assert [n for n in os.listdir(tmp_path) if n.startswith(".")] == []


def test_a_folder_that_is_not_there_is_said(paths: Paths, tmp_path: Path) -> None:
    make(paths)
    error = within(lambda: packing.pack(paths, NAME, tmp_path / "nowhere" / "x.tar"))
    assert isinstance(error, DataError) and "cannot write" in str(error)


def test_a_full_disk_leaves_nothing(paths: Paths, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = within(lambda: packing.pack(paths, NAME, tmp_path / "x.tar"))
    assert isinstance(error, DataError) and "the disk is full" in str(error)
    assert [n for n in os.listdir(tmp_path) if "x.tar" in n] == []
    assert "the disk is full" in refused(paths, packed)


def test_it_can_be_written_to_a_file_system_without_links(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(paths)

    def link(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert packing.pack(paths, NAME, tmp_path / "x.tar").exists()


def test_a_disk_without_room_is_said_first(paths: Paths, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "free_space", lambda _: 100)
    assert "mine needs 2.62 kB, 100 B are free in" in refused(paths, packed)


# hostile packs


def hostile(found: list[Member]) -> dict[str, list[Member]]:
    description, arrays = found[0], found[1:]
    one, rest = arrays[0], arrays[1:]

    def but(place: str, **changes: Any) -> list[Member]:
        return [replace(m, **changes) if m.name == f"{NAME}/{place}" else m for m in found]

    def lied(change: Callable[[dict[str, Any]], None]) -> list[Member]:
        return [lie(description, change), *arrays]

    def fact(**values: Any) -> list[Member]:
        return lied(lambda v: v["facts"].update(values))

    def array(**values: Any) -> list[Member]:
        return lied(lambda v: v["arrays"]["train-inputs"].update(values))

    return {
        "nothing": [],
        "no description": arrays,
        "description last": [*arrays, description],
        "description only": [description],
        "an array missing": [description, *rest],
        "an array twice": [description, one, one, *rest],
        "description twice": [description, *arrays[:3], description, arrays[3]],
        "a member too many in the middle": [description, Member(f"{NAME}/run.sh", b"rm -rf"), *arrays],
        "a name that leads up": but("train-inputs.npy", name=f"{NAME}/../../evil"),
        "an absolute name": but("train-inputs.npy", name="/tmp/mlptui-evil"),
        "a name with a line feed": but("train-inputs.npy", name=f"{NAME}/a\nb\x1b[31m"),
        "a name in another folder": but("train-inputs.npy", name="other/train-inputs.npy"),
        "a name with a dot": but("train-inputs.npy", name=f"./{NAME}/train-inputs.npy"),
        "set name that leads up": [Member(m.name.replace(NAME, ".."), m.data) for m in found],
        "set name in capitals": [Member(m.name.replace(NAME, "MINE"), m.data) for m in found],
        "set name of two levels": [Member(m.name.replace(NAME, "a/b"), m.data) for m in found],
        "set name with escape codes": [Member(m.name.replace(NAME, "\x1b[31m"), m.data) for m in found],
        "empty set name": [Member(m.name.replace(NAME, ""), m.data) for m in found],
        "set name of the sample": [Member(m.name.replace(NAME, SAMPLE), m.data) for m in found],
        "set name of another set": [Member(m.name.replace(NAME, "yours"), m.data) for m in found],
        "description as a link": but(DESCRIPTION, kind=tarfile.SYMTYPE, link="/etc/passwd", data=b""),
        "array as a link": but("train-inputs.npy", kind=tarfile.SYMTYPE, link="/etc/passwd", data=b""),
        "array as a hard link": but("test-inputs.npy", kind=tarfile.LNKTYPE, link=f"{NAME}/train-inputs.npy", data=b""),
        "array as a device": but("train-inputs.npy", kind=tarfile.CHRTYPE, data=b""),
        "array as a pipe": but("train-inputs.npy", kind=tarfile.FIFOTYPE, data=b""),
        "array as a folder": but("train-inputs.npy", kind=tarfile.DIRTYPE, data=b""),
        "folder first": [Member(NAME, kind=tarfile.DIRTYPE), *found],
        "array too long": but("train-inputs.npy", data=one.data + b"x"),
        "array too short": but("train-inputs.npy", data=one.data[:-1]),
        "array empty": but("train-inputs.npy", data=b""),
        "arrays exchanged": [description, replace(one, data=arrays[2].data), arrays[1], replace(arrays[2], data=one.data)],
        "description empty": but(DESCRIPTION, data=b""),
        "description of nonsense": but(DESCRIPTION, data=b"{}"),
        "description not sealed": but(DESCRIPTION, data=description.data.replace(b"noise", b"voice")),
        "description nested deeply": but(DESCRIPTION, data=sealed_text("[" * 100_000)),
        "description of 20 MB": but(DESCRIPTION, data=b" " * (20 << 20)),
        "other format": lied(lambda v: v.update(format=99)),
        "no arrays": lied(lambda v: v.update(arrays={})),
        "arrays a list": lied(lambda v: v.update(arrays=[])),
        "no facts": lied(lambda v: v.pop("facts")),
        "facts of another set": fact(name="yours"),
        "one array too many": lied(lambda v: v["arrays"].update({"../evil": v["arrays"]["train-inputs"]})),
        "one array less": lied(lambda v: v["arrays"].pop("test-targets")),
        "a wrong hash": array(sha256="0" * 64),
        "a wrong size": array(bytes=10**15),
        "a negative size": array(bytes=-1),
    }


def sealed_text(text: str) -> bytes:
    return f'{text},\n "seal": "{hashlib.sha256(text.encode()).hexdigest()}"\n}}\n'.encode()


EMPTY = sealed.document({"facts": {}, "arrays": {"train-inputs": {}, "test-targets": 0}})
HOSTILE = list(hostile([Member(f"{NAME}/{m}", EMPTY) for m in MEMBERS]))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_pack_is_refused_and_leaves_nothing(paths: Paths, packed: Path, tmp_path: Path, case: str) -> None:
    refused(paths, write(tmp_path / "hostile.tar", hostile(members(packed))[case]))
    assert not Path("/tmp/mlptui-evil").exists()


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "more classes in the data": lambda v: v["facts"].update(classes=["a", "b"]),
    "sizes": lambda v: v["facts"].update(train_size=10**9),
    "test size": lambda v: v["facts"].update(test_size=3),
    "shape": lambda v: v["facts"].update(shape=[1, 28, 28]),
    "a table": lambda v: v["facts"].update(kind="table"),
    "regression": lambda v: v["facts"].update(classes=[]),
    "classes that are no text": lambda v: v["facts"].update(classes=[1, None, {}]),
    "moments that are no numbers": lambda v: v["facts"].update(mean=["x"], deviation=[None]),
    "a deviation of zero": lambda v: v["facts"].update(deviation=[0.0]),
    "two channels of moments": lambda v: v["facts"].update(mean=[0.1, 0.1], deviation=[0.1, 0.1]),
    "an array's type": lambda v: v["arrays"]["train-inputs"].update(type="|O"),
    "an array's shape": lambda v: v["arrays"]["train-inputs"].update(shape=[40, 1, 7, 6]),
    "an array's shape in text": lambda v: v["arrays"]["train-inputs"].update(shape=["x"]),
    "an array's negative shape": lambda v: v["arrays"]["train-inputs"].update(shape=[-40, 1, -6, 7]),
    "a size in text": lambda v: v["arrays"]["train-inputs"].update(bytes="many"),
    "a size as a list": lambda v: v["arrays"]["train-inputs"].update(bytes=[]),
    "a hash as a number": lambda v: v["arrays"]["train-inputs"].update(sha256=5),
    "a column of nonsense": lambda v: v["facts"].update(columns=[{"name": 5}]),
    "counts": lambda v: v["facts"].update(train_counts=[1]),
    "a source that is no object": lambda v: v.update(source=5),
}


@pytest.mark.parametrize("case", LIES)
def test_a_sealed_description_that_lies_is_refused(paths: Paths, packed: Path, tmp_path: Path, case: str) -> None:
    description, *arrays = members(packed)
    refused(paths, write(tmp_path / "lie.tar", [lie(description, LIES[case]), *arrays]))


def test_a_flip_in_any_of_100_places_is_noticed_or_changes_nothing(paths: Paths, packed: Path, tmp_path: Path) -> None:
    """In the headers of a tar there are places that say nothing: modes, owners, padding."""
    rng, whole, good = random.Random(3), packed.read_bytes(), library.load(paths, NAME)
    source, there, noticed = tmp_path / "flipped.tar", elsewhere(paths), 0
    for _ in range(100):
        hurt = bytearray(whole)
        hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        source.write_bytes(hurt)
        error = within(lambda: packing.unpack(there, source))
        if error is not None:
            noticed += 1
            assert str(error).isprintable() and everything(there.data) == []
            continue
        found = library.load(there, NAME)
        assert found.facts == good.facts and np.array_equal(found.train.inputs, good.train.inputs)
        library.remove(there, NAME)
    assert noticed > 20


def test_a_pack_cut_short_anywhere_is_refused(paths: Paths, packed: Path, tmp_path: Path) -> None:
    whole, source = packed.read_bytes(), tmp_path / "cut.tar"
    with tarfile.open(packed) as archive:
        end = max(m.offset_data + m.size for m in archive)
    for length in (*range(0, end, 512), *(random.Random(4).randrange(end) for _ in range(30)), end - 1):
        source.write_bytes(whole[:length])
        refused(paths, source)


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\0" * 10240, b"\x1f\x8b" + b"x" * 600, b"PK\3\4" * 200, b"A" * 100_000, random.Random(5).randbytes(5000)],
    ids=["empty", "a byte", "zeros", "gzip", "zip", "letters", "noise"],
)
def test_what_is_no_tar_is_refused(paths: Paths, tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "no.tar"
    source.write_bytes(data)
    assert "no.tar is no packed data set" in refused(paths, source)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_compressed_pack_is_refused(paths: Paths, packed: Path, tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "mine.tar.x"
    with tarfile.open(source, f"w:{suffix}") as archive:
        for member in members(packed):
            member.write(archive)
    refused(paths, source)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "link", "nothing", "link to itself"])
def test_what_is_no_file_is_refused(paths: Paths, packed: Path, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "it"
    match kind:
        case "fifo":
            os.mkfifo(source)
        case "folder":
            source.mkdir()
        case "device":
            source = Path("/dev/zero")
        case "link":
            source.symlink_to(packed)
        case "link to itself":
            source.symlink_to(source)
    refused(paths, source)


def test_claims_of_huge_sizes_take_no_memory_and_no_time(paths: Paths, packed: Path, tmp_path: Path) -> None:
    description, *arrays = members(packed)
    claim = write(tmp_path / "claim.tar", [description, replace(arrays[0], size=8 << 30, data=b""), *arrays[1:]])
    assert "bytes where" in refused(paths, claim)

    def huge(values: dict[str, Any]) -> None:
        values["arrays"]["train-inputs"].update(bytes=128 + 42 * (1 << 50), shape=[1 << 50, 1, 6, 7])
        values["arrays"]["train-targets"].update(bytes=128 + (1 << 50), shape=[1 << 50])
        values["facts"].update(train_size=1 << 50)

    refused(paths, write(tmp_path / "huge.tar", [lie(description, huge), *arrays]))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE])
def test_headers_of_headers_are_no_way_in(paths: Paths, packed: Path, tmp_path: Path, kind: bytes) -> None:
    source = write(tmp_path / "x.tar", [Member("x", b"9 path=x\n" * 1000, kind), *members(packed)])
    refused(paths, source)


def test_it_must_be_the_set_that_was_asked_for(paths: Paths, packed: Path) -> None:
    assert "mine.tar holds mine, not yours" in refused(paths, packed, "yours")
    assert packing.unpack(elsewhere(paths), packed, NAME) == NAME


@pytest.mark.parametrize("sha256", ["", "true"])
def test_foreign_arrays_are_not_taken_for_a_set_of_the_catalog(paths: Paths, tmp_path: Path, sha256: str) -> None:
    """Sealed, in itself whole, and in shape and hash as it should be; only the pixels are others."""
    entry = ENTRIES["fashion-mnist"]
    there = elsewhere(paths)
    rng = np.random.default_rng(1)
    with Writer(there.datasets, entry.name) as writer:
        for part, count in (("train", 60), ("test", 10)):
            writer.put(f"{part}-inputs", rng.integers(0, 256, (count, 1, 28, 28), np.uint8))
            writer.put(f"{part}-targets", np.arange(count, dtype=np.uint8) % 10)
        facts = replace(library.of_entry(entry), sha256=catalog.checksum(entry) if sha256 else "5" * 64)
        writer.commit(facts)
    folder = there.datasets / entry.name
    source = write(tmp_path / "f.tar", [Member(f"{entry.name}/{m}", (folder / m).read_bytes()) for m in MEMBERS])
    error = within(lambda: packing.unpack(paths, source))
    assert "f.tar is not the fashion-mnist of its origin" in str(error)
    assert everything(paths.data) == []


@pytest.fixture
def own(paths: Paths) -> Iterator[Path]:
    there = elsewhere(paths)
    yield make(there, seed=1)


def test_a_set_of_the_same_name_is_not_replaced(paths: Paths, packed: Path, own: Path) -> None:
    before = (own / "train-inputs.npy").read_bytes()
    error = within(lambda: packing.unpack(elsewhere(paths), packed))
    assert (own / "train-inputs.npy").read_bytes() == before
    assert isinstance(error, DataError)


def test_the_same_set_again_is_no_error(paths: Paths, packed: Path) -> None:
    for _ in range(2):
        assert packing.unpack(elsewhere(paths), packed) == NAME
    assert len(library.load(elsewhere(paths), NAME).train) == 40


def test_a_refused_pack_leaves_the_set_that_is_here(paths: Paths, packed: Path, tmp_path: Path, own: Path) -> None:
    before = {p.name: p.read_bytes() for p in own.iterdir()}
    description, *arrays = members(packed)
    refused(paths, write(tmp_path / "less.tar", [description, *arrays[:-1]]))
    assert {p.name: p.read_bytes() for p in own.iterdir()} == before


def test_what_is_in_the_description_can_be_read_by_people(packed: Path) -> None:
    values = json.loads(members(packed)[0].data)
    assert values["facts"]["classes"] == ["a", "b", "c"] and values["format"] == prepared.FORMAT
