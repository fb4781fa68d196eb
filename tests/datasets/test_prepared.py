"""A set in the data folder: what was written is what is read, and whatever became of it is noticed."""

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, library, prepared
from mlptui.datasets.dataset import IMAGES, TABLE, Column, Facts
from mlptui.datasets.jobs import SetLock
from mlptui.datasets.prepared import ARRAYS, Writer, open_set, read, unchanged, verify
from mlptui.store import sealed
from mlptui.store.paths import Paths

NAME = "little"
FILES = [f"{name}.npy" for name in ARRAYS]
PICTURES = Facts(NAME, IMAGES, "noise", (3, 4, 5), ("a", "b", "c"), 0, 0, "", (), ())
NUMBERS = Facts(NAME, TABLE, "noise", (2,), (), 0, 0, "", (), (), target=Column("price", 0, 1, 0, 0))
Arrays = dict[str, NDArray[Any]]


def pictures(train: int = 7, test: int = 4, seed: int = 1) -> Arrays:
    rng = np.random.default_rng(seed)
    made: Arrays = {}
    for part, count in (("train", train), ("test", test)):
        made[f"{part}-inputs"] = rng.integers(0, 256, (count, 3, 4, 5), np.uint8)
        made[f"{part}-targets"] = (np.arange(count) % 3).astype(np.uint8)
    return made


def numbers(train: int = 50, test: int = 9) -> Arrays:
    rng = np.random.default_rng(2)
    made: Arrays = {}
    for part, count in (("train", train), ("test", test)):
        made[f"{part}-inputs"] = rng.normal(5, 3, (count, 2)).astype(np.float32)
        made[f"{part}-targets"] = rng.normal(-100, 20, count).astype(np.float32)
    return made


def put(parent: Path, arrays: Arrays | None = None, facts: Facts = PICTURES, name: str = NAME) -> Path:
    with Writer(parent, name) as writer:
        for key, values in (pictures() if arrays is None else arrays).items():
            writer.put(key, values)
        return writer.commit(facts, {"from": "a test"})


@pytest.fixture
def folder(paths: Paths) -> Path:
    return put(paths.datasets)


def refused(act: Callable[[], object], within: float = 1) -> str:
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        act()
    assert time.monotonic() - started < within
    sentence = str(caught.value)
    assert sentence.isprintable() and 0 < len(sentence) < 600
    return sentence


# round trips


def test_pictures_come_back_as_they_were_written_with_all_that_they_tell(paths: Paths) -> None:
    arrays = pictures()
    place = put(paths.datasets, arrays)
    data = open_set(place)
    assert place == paths.datasets / NAME and sorted(os.listdir(place)) == sorted(["set.json", "verified.json", *FILES])
    for part, split in (("train", data.train), ("test", data.test)):
        assert np.array_equal(split.inputs, arrays[f"{part}-inputs"]) and split.inputs.dtype == np.uint8
        assert np.array_equal(split.targets, arrays[f"{part}-targets"]) and split.targets.dtype == np.uint8
    facts, pixels = data.facts, arrays["train-inputs"] / 255
    assert (facts.train_size, facts.test_size, facts.shape) == (7, 4, (3, 4, 5))
    assert facts.train_counts == (3, 2, 2) and facts.test_counts == (2, 1, 1)
    assert np.allclose(facts.mean, pixels.mean((0, 2, 3)), atol=1e-12)
    assert np.allclose(facts.deviation, pixels.std((0, 2, 3)), atol=1e-12)
    assert len(facts.sha256) == 64 and read(place).source == {"from": "a test"}
    assert read(place).size == sum((place / file).stat().st_size for file in FILES)


def test_a_table_of_numbers_comes_back_with_its_columns_and_its_target(paths: Paths) -> None:
    arrays = numbers()
    data = open_set(put(paths.datasets, arrays, NUMBERS))
    assert all(
        np.array_equal(a, arrays[n]) for n, a in (("train-inputs", data.train.inputs), ("test-targets", data.test.targets))
    )
    assert data.train.inputs.dtype == data.train.targets.dtype == np.float32
    facts, target = data.facts, data.facts.target
    assert facts.regression and facts.outputs == 1 and facts.features == 2 and not facts.train_counts
    assert [c.name for c in facts.columns] == ["x0", "x1"]
    exact = arrays["train-inputs"].astype(np.float64)
    assert np.allclose(facts.mean, exact.mean(0)) and np.allclose(facts.deviation, exact.std(0))
    assert (
        target
        and target.name == "price"
        and (target.low, target.high)
        == (
            arrays["train-targets"].min(),
            arrays["train-targets"].max(),
        )
    )
    assert sum(target.histogram) == 50 == sum(facts.columns[0].histogram)


@pytest.mark.parametrize(("classes", "type_"), [(2, np.uint8), (256, np.uint8), (257, np.int32)])
def test_classes_of_a_table_are_kept_in_the_least_type_that_holds_them(paths: Paths, classes: int, type_: type) -> None:
    from mlptui.datasets.dataset import class_type

    arrays = numbers(classes + 3, classes)
    for part in ("train", "test"):
        targets = np.arange(len(arrays[f"{part}-inputs"])) % classes
        arrays[f"{part}-targets"] = targets.astype(class_type(classes))
    facts = replace(NUMBERS, classes=tuple(map(str, range(classes))), target=None)
    data = open_set(put(paths.datasets, arrays, facts))
    assert data.train.targets.dtype == type_ and int(data.train.targets.max()) == classes - 1
    assert data.facts.test_counts == (1,) * classes


def test_the_arrays_open_in_plain_numpy_and_cannot_be_written_through(folder: Path) -> None:
    for name, array in pictures().items():
        assert np.array_equal(np.load(folder / f"{name}.npy", allow_pickle=False), array)
    data = open_set(folder)
    with pytest.raises(ValueError, match="read-only"):
        data.train.inputs[0] = 0
    assert verify(folder)


def test_the_same_arrays_have_the_same_name_and_others_another(paths: Paths) -> None:
    names = [
        open_set(put(paths.datasets, pictures(seed=seed), name=f"set-{i}")).facts.sha256 for i, seed in enumerate((1, 1, 2))
    ]
    assert names[0] == names[1] != names[2]
    assert open_set(put(paths.datasets, facts=replace(PICTURES, sha256="5" * 64))).facts.sha256 == "5" * 64


def test_who_has_a_set_open_keeps_it_while_it_is_replaced(paths: Paths, folder: Path) -> None:
    data = open_set(folder)
    put(paths.datasets, pictures(seed=9))
    assert np.array_equal(data.train.inputs, pictures()["train-inputs"])
    assert np.array_equal(open_set(folder).train.inputs, pictures(seed=9)["train-inputs"])
    assert os.listdir(paths.datasets) == [NAME]


# damage


def test_one_flipped_bit_anywhere_is_noticed(folder: Path) -> None:
    rng = random.Random(41)
    whole = {name: (folder / name).read_bytes() for name in (*FILES, "set.json")}
    places = [(name, at) for name, data in whole.items() for at in range(len(data))]
    for name, at in rng.sample(places, 500):
        hurt = bytearray(whole[name])
        hurt[at] ^= 1 << rng.randrange(8)
        (folder / name).write_bytes(hurt)
        for look in (lambda: open_set(folder, thorough=True), lambda: open_set(folder), lambda: verify(folder)):
            assert ("set.json" if name == "set.json" else name) in refused(look)
        (folder / name).write_bytes(whole[name])
    assert verify(folder) and prepared.problem(folder, read(folder)) == ""


def test_every_bit_of_the_headers_is_compared_even_without_reading_the_rest(folder: Path) -> None:
    for file in FILES:
        whole = (folder / file).read_bytes()
        for at in range(128):
            (folder / file).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            assert "does not begin as it should" in refused(lambda: open_set(folder, thorough=False))
        (folder / file).write_bytes(whole)
    assert open_set(folder, thorough=False)


@pytest.mark.parametrize("thorough", [True, False, None])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[:10], lambda d: b"", lambda d: d + b"\0", None])
def test_a_file_of_another_length_is_noticed(
    paths: Paths, folder: Path, file: str, change: Callable[[bytes], bytes] | None, thorough: bool | None
) -> None:
    verify(folder)
    if change:
        (folder / file).write_bytes(change((folder / file).read_bytes()))
    else:
        (folder / file).unlink()
    said = refused(lambda: open_set(folder, thorough))
    assert file in said and "mlptui data remove" in said
    assert file in prepared.problem(folder, read(folder))
    assert library.state(paths, NAME).kind == library.DAMAGED


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n", b"\xff" * 100, b"[" * 100_000, bytes(1 << 20), b'{\n "seal": ""\n}\n'])
def test_a_description_that_is_none_is_one_sentence(paths: Paths, folder: Path, data: bytes) -> None:
    (folder / "set.json").write_bytes(data)
    assert "set.json is damaged" in refused(lambda: open_set(folder))
    assert library.state(paths, NAME).kind == library.DAMAGED


def test_a_set_that_is_not_there_is_told_apart(paths: Paths) -> None:
    for look in (open_set, verify, read):
        with pytest.raises(FileNotFoundError):
            look(paths.datasets / "nothing")


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "fifo": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "link to itself": lambda path, away: path.symlink_to(away),
    "dangling link": lambda path, _: path.symlink_to(path.parent / "nowhere"),
    "endless": lambda path, _: path.symlink_to("/dev/zero"),
    "loop": lambda path, _: path.symlink_to(path),
    "socket": lambda path, _: bind(path),
}


def bind(path: Path) -> None:
    """A socket of this name (which may be longer than the kernel takes)."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", [*FILES, "set.json"])
def test_what_is_no_plain_file_is_refused_at_once(paths: Paths, folder: Path, tmp_path: Path, file: str, kind: str) -> None:
    away = (folder / file).rename(tmp_path / "away")
    KINDS[kind](folder / file, away)
    for thorough in (True, False, None):
        assert file in refused(lambda thorough=thorough: open_set(folder, thorough))  # type: ignore[misc]
    assert library.state(paths, NAME).kind == library.DAMAGED


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_that_is_no_plain_file_hinders_nothing(folder: Path, tmp_path: Path, kind: str) -> None:
    away = tmp_path / "away"
    away.write_bytes(b"mine")
    KINDS[kind](folder / "verified.json", away)
    started = time.monotonic()
    assert len(open_set(folder).train) == 7
    assert time.monotonic() - started < 1 and away.read_bytes() == b"mine"


def test_a_set_of_a_newer_program_is_said_to_be_one(paths: Paths, folder: Path) -> None:
    rewrite(folder, lambda v: v.update(format=2, arrays="in another way"))
    assert "prepared by a newer mlptui (format 2); this one reads up to 1" in refused(lambda: open_set(folder))
    assert "newer" in library.state(paths, NAME).problem


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the description and seal it anew, as somebody would who means harm or whose program is wrong."""
    values = sealed.read_document((folder / "set.json").read_bytes(), "set.json")
    change(values)
    (folder / "set.json").write_bytes(sealed.document(values))


def of_array(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda v: v["arrays"]["train-inputs"].update(changes)


def of_facts(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda v: v["facts"].update(changes)


NONSENSE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no arrays": lambda v: v.pop("arrays"),
    "no facts": lambda v: v.pop("facts"),
    "arrays a list": lambda v: v.update(arrays=[1]),
    "arrays of numbers": lambda v: v.update(arrays=dict.fromkeys(ARRAYS, 5)),
    "an array too few": lambda v: v["arrays"].pop("test-targets"),
    "an array too many": lambda v: v["arrays"].update(more=v["arrays"]["train-inputs"]),
    "facts a list": lambda v: v.update(facts=[]),
    "source a number": lambda v: v.update(source=5),
    "unknown key": of_array(path="/dev/zero"),
    "file elsewhere": lambda v: v["arrays"].update({"../../x": v["arrays"].pop("train-inputs")}),
    "type of objects": of_array(type="|O"),
    "type unknown": of_array(type="<f8"),
    "type with escape codes": of_array(type="\x1b[2J[/red]"),
    "type a number": of_array(type=5),
    "type a list": of_array(type=["|u1"]),
    "shape a text": of_array(shape="7345"),
    "shape of texts": of_array(shape=["7", "3", "4", "5"]),
    "shape none": of_array(shape=None),
    "shape negative": of_array(shape=[-7, 3, -4, 5]),
    "shape with fractions": of_array(shape=[7.0, 3, 4, 5]),
    "shape huge": of_array(shape=[10**30, 3, 4, 5]),
    "shape of another set": of_array(shape=[7, 5, 4, 3]),
    "shape of truths": of_array(shape=[True, 3, 4, 5]),
    "length a text": of_array(bytes="548"),
    "length none": of_array(bytes=None),
    "length a fraction": of_array(bytes=548.5),
    "length negative": of_array(bytes=-1),
    "hash a number": of_array(sha256=5),
    "hash empty": of_array(sha256=""),
    "no name": lambda v: v["facts"].pop("name"),
    "sizes of texts": of_facts(train_size="7"),
    "sizes negative": of_facts(test_size=-1),
    "other sizes": of_facts(train_size=8),
    "no shape": of_facts(shape=[]),
    "facts of another shape": of_facts(shape=[5, 4, 3]),
    "kind unknown": of_facts(kind="sounds"),
    "moments of texts": of_facts(mean=["0.5"] * 3),
    "moments not finite": of_facts(mean=["nan"] * 3),
    "moments too few": of_facts(mean=[0.5]),
    "columns a number": of_facts(columns=5),
    "columns of numbers": of_facts(columns=[5]),
    "columns unknown": of_facts(columns=[{"name": "x", "colour": 1}]),
    "target a number": of_facts(target=5),
    "classes a number": of_facts(classes=5),
    "classes of numbers": of_facts(classes=[1, 2, 3]),
    "counts of texts": of_facts(train_counts=["3", "2", "2"]),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_description_whose_seal_is_right_but_makes_no_sense_is_refused(folder: Path, kind: str) -> None:
    rewrite(folder, NONSENSE[kind])
    refused(lambda: open_set(folder, thorough=True))
    if not kind.startswith("hash"):
        refused(lambda: open_set(folder, thorough=False))


# writing


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, DataError, SystemExit])
def test_a_set_that_was_not_finished_leaves_nothing(paths: Paths, folder: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), Writer(paths.datasets, NAME) as writer:
        writer.put("train-inputs", pictures()["train-inputs"])
        raise error
    assert os.listdir(paths.datasets) == [NAME] and verify(folder)


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_a_rename_that_fails_leaves_the_old_set_and_nothing_else(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, replaced: bool, which: int
) -> None:
    if replaced:
        put(paths.datasets)
    real, seen = os.rename, []

    def rename(source: Any, target: Any) -> None:
        seen.append(source)
        if len(seen) == 1 + (which if replaced else 0):
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        assert "input/output error" in refused(lambda: put(paths.datasets, pictures(seed=3)))
    assert os.listdir(paths.datasets) == ([NAME] if replaced else [])
    if replaced:
        assert np.array_equal(open_set(paths.datasets / NAME).train.inputs, pictures()["train-inputs"])
    assert np.array_equal(open_set(put(paths.datasets, pictures(seed=3))).train.inputs, pictures(seed=3)["train-inputs"])


def test_more_than_the_disk_holds_is_a_sentence_before_anything_is_written(paths: Paths) -> None:
    def much() -> None:
        with Writer(paths.datasets, NAME) as writer:
            writer.array("train-inputs", (1 << 20, 1 << 40), np.dtype(np.uint8))

    assert refused(much).startswith(f"{NAME} needs 1153 PB in ")
    assert os.listdir(paths.datasets) == []


def test_a_part_without_samples_is_refused(paths: Paths) -> None:
    assert "test-inputs has no samples" in refused(lambda: put(paths.datasets, pictures(test=0)))
    assert os.listdir(paths.datasets) == []


@pytest.mark.parametrize("type_", [np.float64, np.int64, np.uint16, np.bool_])
def test_what_could_not_be_opened_again_is_not_written(paths: Paths, type_: type) -> None:
    arrays = numbers()
    arrays["train-targets"] = (np.arange(50) % 2).astype(type_)
    with pytest.raises((DataError, TypeError, ValueError, AssertionError)):
        put(paths.datasets, arrays, NUMBERS)
    assert os.listdir(paths.datasets) == []


KILLED = """
import os, sys, numpy as np
from pathlib import Path
from mlptui.datasets.prepared import Writer
with Writer(Path(sys.argv[1]), "little") as writer:
    writer.array("train-inputs", (1000, 3, 4, 5), np.dtype("u1"))[:500] = 7
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_of_a_writer_that_was_killed_nothing_is_seen_and_the_next_one_succeeds(paths: Paths) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(paths.datasets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    with child:
        assert child.stdout and int(child.stdout.readline()) == child.pid
        child.send_signal(signal.SIGKILL)
    assert not (paths.datasets / NAME).exists() and NAME not in catalog.names(paths)
    assert library.state(paths, NAME).kind == library.ABSENT
    with SetLock(paths, NAME):
        assert os.listdir(paths.datasets) == [".jobs"]
        assert len(open_set(put(paths.datasets)).train) == 7


KILLED_RENAMING = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from datasets.test_prepared import pictures, put
left, real = [int(sys.argv[2])], os.rename
def rename(source, target):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.rename = rename
put(Path(sys.argv[1]), pictures(seed=3))
"""


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_set_that_is_replaced_is_there_whole_whenever_its_writer_is_killed(paths: Paths, renames: int) -> None:
    """The old one or the new one, after the next one to work on it has swept."""
    put(paths.datasets)
    tests = str(Path(__file__).parents[1])
    words = [sys.executable, "-c", KILLED_RENAMING, str(paths.datasets), str(renames), tests]
    assert subprocess.run(words, check=False, timeout=60).returncode == (0 if renames == 2 else -signal.SIGKILL)
    with SetLock(paths, NAME):
        found = open_set(paths.datasets / NAME).train.inputs
    assert any(np.array_equal(found, pictures(seed=seed)["train-inputs"]) for seed in (1, 3))
    assert sorted(os.listdir(paths.datasets)) == [".jobs", NAME]


# what was verified is remembered


def test_a_verification_is_remembered_until_a_file_changes(folder: Path) -> None:
    description = read(folder)
    assert not unchanged(folder, description)
    verify(folder)
    assert unchanged(folder, description)
    for file in FILES:
        facts = (folder / file).stat()
        os.utime(folder / file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
        assert not unchanged(folder, description)
        verify(folder)
        copy = folder / "copy"
        copy.write_bytes((folder / file).read_bytes())
        os.utime(copy, ns=(facts.st_atime_ns, (folder / file).stat().st_mtime_ns))
        copy.rename(folder / file)  # the same bytes and time, but another file
        assert not unchanged(folder, description)
        verify(folder)
        assert unchanged(folder, description)


@pytest.mark.parametrize(
    "memory", [b"", b"{}", b"[" * 50_000, sealed.document({"marks": 5}), sealed.document({"marks": {"x": 1}})]
)
def test_a_damaged_memory_means_looking_again(folder: Path, memory: bytes) -> None:
    verify(folder)
    (folder / "verified.json").write_bytes(memory)
    assert not unchanged(folder, read(folder))
    assert len(open_set(folder).train) == 7 and unchanged(folder, read(folder))


def test_a_large_set_is_read_whole_only_when_a_file_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "THOROUGH", 0)
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    open_set(folder, progress=progress)
    total = read(folder).size
    assert seen[-1] == (total, total) and [done for done, _ in seen] == sorted(done for done, _ in seen)
    seen.clear()
    open_set(folder, progress=progress)
    assert not seen
    path = folder / FILES[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert f"{FILES[0]} changed since it was written" in refused(lambda: open_set(folder, progress=progress))
    assert seen


def test_damage_that_was_found_is_shown_until_it_is_mended(paths: Paths, folder: Path) -> None:
    path = folder / FILES[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert library.state(paths, NAME).kind == library.HERE  # its length is right, and nobody looked
    refused(lambda: verify(folder))
    state = library.state(paths, NAME)
    assert state.kind == library.DAMAGED and FILES[2] in state.problem
    path.write_bytes(whole)
    verify(folder)
    assert library.state(paths, NAME).kind == library.HERE
