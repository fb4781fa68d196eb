"""The catalog and the library: what is said of a set is right, whatever lies in the data folder."""

import gzip
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.archives import content_of, fence, files_of, small
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, generate, importing, library, prepared, statistics
from mlptui.datasets.catalog import ENTRIES, SAMPLE
from mlptui.datasets.dataset import IMAGES, TABLE, Column, Facts, facts_from
from mlptui.datasets.entries import TABLE as ALL
from mlptui.datasets.entry import Entry
from mlptui.datasets.prepared import Writer
from mlptui.store.paths import Paths

DOWNLOADED = [name for name, entry in ENTRIES.items() if entry.downloadable]
MADE = ["blobs", "moons", "spirals", "xor"]
FOREIGN = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc",
    "x" * 5000,
    "\x1b[2J[/red]",
    "a\nb",
    "A",
    "a\0b",
    "\udcff",
    ".hidden",
    "-x",
    "é",
]
CLASSES = {
    "fashion-mnist": 10, "fashion-mnist-sample": 10, "mnist": 10, "kmnist": 10, "qmnist": 10, "usps": 10, "svhn": 10,
    "emnist-balanced": 47, "emnist-byclass": 62, "emnist-bymerge": 47, "emnist-letters": 26, "emnist-digits": 10,
    "emnist-mnist": 10, "cifar-10": 10, "cifar-100": 100, "stl-10": 10, "blobs": 2, "moons": 2, "spirals": 2, "xor": 2,
}  # fmt: skip


# the entries


def test_every_set_has_a_name_of_its_own_that_is_a_folder_name() -> None:
    assert len(ENTRIES) == len(ALL) and list(ENTRIES) == [entry.name for entry in ALL]
    assert set(ENTRIES) == set(CLASSES)
    assert all(catalog.NAME.fullmatch(name) and catalog.NAME.fullmatch(entry.folder) for name, entry in ENTRIES.items())


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_whole(name: str) -> None:
    entry = ENTRIES[name]
    assert len(entry.classes) == len(set(entry.classes)) == CLASSES[name]
    assert entry.train_size > 0 and entry.test_size > 0 and all(extent > 0 for extent in entry.shape)
    assert len(entry.shape) == (1 if name in MADE else 3)
    for text in (entry.title, entry.origin, entry.licence, *entry.classes, *entry.notes):
        assert text and text.isprintable() and len(text) < 200
    assert len(entry.mean) == len(entry.deviation) and len(entry.mean) in (0, entry.shape[0])
    assert entry.decoded_size >= (entry.train_size + entry.test_size) * 3


@pytest.mark.parametrize("name", ENTRIES)
def test_the_hashes_and_sizes_of_an_entry_have_the_right_form(name: str) -> None:
    for file in ENTRIES[name].files:
        assert file.name == Path(file.name).name and file.name.isprintable()
        for value, digits in ((file.md5, 32), (file.sha256, 64), (file.content, 64)):
            assert value == "" or (len(value) == digits and set(value) <= set("0123456789abcdef"))
        assert file.md5 or file.sha256 or file.content
        assert file.size >= 0 and (file.size > 0) == bool(file.sha256)
    names = [file.name for file in ENTRIES[name].files]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_addresses_are_folders_and_an_encrypted_one_comes_first_where_there_is_one(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.files and all(
        address.startswith(("https://", "http://")) and address.endswith("/") for address in entry.mirrors
    )
    assert len(set(entry.mirrors)) == len(entry.mirrors)
    kinds = [address.startswith("https://") for address in entry.mirrors]
    assert kinds == sorted(kinds, reverse=True)
    if not kinds[0]:  # what comes over an open line is recognised by more than a broken hash
        assert all(file.sha256 or file.content for file in entry.files)


def test_no_two_files_that_are_not_shared_have_one_hash() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for entry in ENTRIES.values():
        for file in entry.files:
            for value in filter(None, (file.md5, file.sha256, file.content)):
                assert seen.setdefault(value, (entry.folder, file.name)) == (entry.folder, file.name)


def test_the_emnist_splits_share_one_archive_and_nobody_else_shares() -> None:
    emnist = [entry for entry in ENTRIES.values() if entry.name.startswith("emnist-")]
    assert len(emnist) == 6 and len({(e.folder, e.files, e.mirrors) for e in emnist}) == 1
    others = [entry.folder for entry in ENTRIES.values() if entry not in emnist]
    assert len(set(others)) == len(others) and "emnist" not in others


def test_the_classes_of_emnist_are_in_the_order_of_its_mapping_files() -> None:
    """https://arxiv.org/abs/1702.05373: digits, capitals, small letters; 15 letters are merged with their capitals."""
    byclass, merged = ENTRIES["emnist-byclass"].classes, ENTRIES["emnist-bymerge"].classes
    assert "".join(byclass) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert "".join(merged) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt" == "".join(ENTRIES["emnist-balanced"].classes)


def test_the_checksum_names_the_content_where_it_is_known() -> None:
    known = {name: catalog.checksum(entry) for name, entry in ENTRIES.items()}
    assert {name for name, value in known.items() if value} == {"fashion-mnist", SAMPLE, "mnist"}
    assert len(set(known.values()) - {""}) == 3


# the library


def here(paths: Paths, name: str, entry: Entry | None = None) -> Path:
    """A set of that name in the data folder, without a download."""
    with Writer(paths.datasets, name) as writer:
        for part, count in (("train", 6), ("test", 3)):
            writer.put(f"{part}-inputs", np.zeros((count, 1, 2, 2), np.uint8))
            writer.put(f"{part}-targets", np.arange(count, dtype=np.uint8) % 3)
        classes = entry.classes if entry else ("a", "b", "c")
        return writer.commit(Facts(name, IMAGES, "t", (1, 2, 2), classes, 0, 0, "", (), ()))


def visible(paths: Paths) -> list[str]:
    """What lies in the data folder, without the locks of those who work there."""
    return [name for name in os.listdir(paths.datasets) if name != ".jobs"]


def test_an_empty_data_folder_has_the_whole_catalog_and_makes_nothing(paths: Paths) -> None:
    assert catalog.names(paths) == list(ENTRIES)
    states = {name: library.state(paths, name) for name in catalog.names(paths)}
    assert {name for name, state in states.items() if state.usable} == {SAMPLE, *MADE}
    assert all(states[name].kind == library.ABSENT and states[name].size == ENTRIES[name].download_size for name in DOWNLOADED)
    assert states[SAMPLE].size > 1_000_000
    assert not paths.data.exists()


def test_ones_own_sets_come_after_the_catalog_by_name(paths: Paths) -> None:
    here(paths, "zebra")
    here(paths, "ant")
    here(paths, "mnist", ENTRIES["mnist"])
    (paths.datasets / "Not-A-Name").mkdir()
    (paths.datasets / "empty").mkdir()
    (paths.datasets / "a-file").write_text("x")
    (paths.datasets / ".tmp-1-x").mkdir()
    (paths.datasets / "\x1b[2J").mkdir()
    assert catalog.names(paths) == [*ENTRIES, "ant", "zebra"]
    assert library.state(paths, "ant").kind == library.HERE == library.state(paths, "mnist").kind
    assert library.facts(paths, "ant").train_size == 6
    assert library.state(paths, "empty").kind == library.ABSENT


@pytest.mark.parametrize("name", FOREIGN)
def test_a_name_that_means_nothing_is_one_sentence_everywhere(paths: Paths, name: str) -> None:
    for ask in (library.facts, library.load, library.remove, catalog.is_here, catalog.folder):
        with pytest.raises(DataError) as caught:
            ask(paths, name)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    assert library.absent(paths, name).isprintable()
    assert not paths.data.exists()


@pytest.mark.parametrize("name", FOREIGN)
def test_the_state_of_a_name_that_means_nothing_is_absent(paths: Paths, name: str) -> None:
    assert library.state(paths, name).kind == library.ABSENT  # it says that it never raises


@pytest.mark.parametrize("name", DOWNLOADED)
def test_of_a_set_that_is_not_here_it_is_said_how_to_get_it(paths: Paths, name: str) -> None:
    with pytest.raises(DataError) as caught:
        library.load(paths, name)
    assert f"mlptui data download {name}" in str(caught.value) and f"mlptui data import {name} FOLDER" in str(caught.value)
    with pytest.raises(DataError, match=f"^{name} is not in "):
        library.remove(paths, name)
    with pytest.raises(DataError, match="mlptui data add"):
        library.load(paths, name + "-of-mine")
    assert (library.facts(paths, name).train_size, library.facts(paths, name).kind) == (ENTRIES[name].train_size, IMAGES)


@pytest.mark.parametrize("name", [SAMPLE, *MADE])
def test_what_is_part_of_the_program_is_here_and_cannot_be_removed(paths: Paths, name: str) -> None:
    assert catalog.is_here(paths, name) and library.state(paths, name).kind == library.HERE
    with pytest.raises(DataError, match="is part of mlptui; there is nothing to remove"):
        library.remove(paths, name)
    assert len(library.load(paths, name).train) == ENTRIES[name].train_size and not paths.data.exists()


def test_a_download_that_was_begun_is_partly_here(paths: Paths) -> None:
    entry = ENTRIES["cifar-10"]
    folder = catalog.downloads(paths, entry)
    folder.mkdir(parents=True)
    with (folder / f"{entry.files[0].name}.part").open("wb") as stream:
        stream.truncate(entry.download_size // 4)
    state = library.state(paths, "cifar-10")
    assert (state.kind, state.size, round(state.share, 3)) == (library.PARTLY, entry.download_size, 0.25)
    with (folder / entry.files[0].name).open("wb") as stream:
        stream.truncate(10 * entry.download_size)
    assert library.state(paths, "cifar-10").share == 0.99
    library.remove(paths, "cifar-10")
    assert library.state(paths, "cifar-10").kind == library.ABSENT and not folder.exists()


def test_the_shared_download_goes_with_the_last_split_that_is_here(paths: Paths) -> None:
    for split in ("letters", "digits"):
        here(paths, f"emnist-{split}", ENTRIES[f"emnist-{split}"])
    archive = catalog.downloads(paths, ENTRIES["emnist-digits"])
    archive.mkdir(parents=True)
    (archive / "gzip.zip").write_bytes(b"all six")
    library.remove(paths, "emnist-letters")
    assert (archive / "gzip.zip").exists() and not (paths.datasets / "emnist-letters").exists()
    library.remove(paths, "emnist-digits")
    assert not archive.exists() and not [n for n in os.listdir(paths.datasets) if n.startswith((".del", "emnist"))]


def test_what_is_removed_can_be_removed_whatever_became_of_it(paths: Paths) -> None:
    place = here(paths, "mine")
    (place / "set.json").write_bytes(b"damaged")
    (place / "folder" / "inner").mkdir(parents=True)
    assert library.state(paths, "mine").kind == library.DAMAGED
    library.remove(paths, "mine")
    assert os.listdir(paths.datasets) == []


@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_what_is_no_folder_is_removed_too_and_a_link_is_not_followed(paths: Paths, tmp_path: Path, kind: str) -> None:
    place = here(paths, "elsewhere").rename(tmp_path / "away")
    match kind:
        case "link":
            (paths.datasets / "mine").symlink_to(place)
        case "file":
            (paths.datasets / "mine").write_text("x")
        case "pipe":
            os.mkfifo(paths.datasets / "mine")
    with fence(1):
        library.remove(paths, "mine")
    assert os.listdir(paths.datasets) == [] and (place / "set.json").exists()


@pytest.mark.parametrize("what", ["a file", "a pipe", "a link to nothing"])
def test_a_data_folder_that_is_none_raises_nothing_but_sentences(paths: Paths, what: str) -> None:
    paths.data.mkdir(parents=True)
    match what:
        case "a file":
            paths.datasets.write_text("x")
        case "a pipe":
            os.mkfifo(paths.datasets)
        case _:
            paths.datasets.symlink_to(paths.data / "nowhere")
    assert catalog.names(paths) == list(ENTRIES) and catalog.default(paths) == SAMPLE
    assert not library.state(paths, "mnist").usable
    with pytest.raises(DataError):
        library.load(paths, "mnist")


# folders of earlier versions


def legacy(monkeypatch: pytest.MonkeyPatch) -> tuple[Entry, dict[str, bytes]]:
    """A set whose content is known, and its four files as earlier versions kept them: unpacked, beside each other."""
    entry = small("kmnist")
    plain = {n.removesuffix(".gz"): gzip.decompress(d) for n, d in files_of(entry).items()}
    known = tuple(
        replace(f, size=999, md5="", sha256="9" * 64, content=sha256(plain[f.name.removesuffix(".gz")]).hexdigest())
        for f in entry.files
    )
    entry = replace(entry, files=known)
    monkeypatch.setitem(catalog.ENTRIES, "kmnist", entry)
    return entry, plain


def test_a_folder_of_an_earlier_version_is_decoded_when_it_is_used(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, plain = legacy(monkeypatch)
    folder = paths.datasets / "kmnist"
    folder.mkdir(parents=True)
    for name, data in plain.items():
        (folder / name).write_bytes(data)
    assert catalog.is_here(paths, "kmnist") and library.state(paths, "kmnist").kind == library.HERE
    told: list[str] = []
    data = library.load(paths, "kmnist", told.append)
    assert "decoding kmnist" in told and np.array_equal(data.train.inputs, content_of(entry)[0][0])
    assert data.facts.sha256 == catalog.checksum(entry) == library.facts(paths, "kmnist").sha256
    assert visible(paths) == ["kmnist"] and "set.json" in os.listdir(folder)
    assert not [name for name in os.listdir(folder) if "ubyte" in name]
    told.clear()
    library.load(paths, "kmnist", told.append)
    assert not told


def test_a_damaged_folder_of_an_earlier_version_stays_as_it_is(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = legacy(monkeypatch)
    folder = paths.datasets / "kmnist"
    folder.mkdir(parents=True)
    for name, data in plain.items():
        (folder / name).write_bytes(data[:-1] + b"!" if name.startswith("t10k-images") else data)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is not the file of the origin"):
        library.load(paths, "kmnist")
    assert sorted(os.listdir(folder)) == sorted(plain) and visible(paths) == ["kmnist"]


def test_three_of_four_files_are_not_a_set(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = legacy(monkeypatch)
    folder = paths.datasets / "kmnist"
    folder.mkdir(parents=True)
    for name in list(plain)[:3]:
        (folder / name).write_bytes(plain[name])
    assert not catalog.is_here(paths, "kmnist") and library.state(paths, "kmnist").kind == library.ABSENT


def test_packing_a_known_content_in_another_way_changes_nothing(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, plain = legacy(monkeypatch)
    for level, name in enumerate(plain):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(plain[name], level))
    importing.import_folder(paths, "kmnist", tmp_path)
    assert library.load(paths, "kmnist").facts.sha256 == catalog.checksum(entry)


# sets that are made


@pytest.mark.parametrize("name", MADE)
def test_a_made_set_is_balanced_and_its_parts_are_different_points(name: str) -> None:
    entry, data = ENTRIES[name], generate.make(ENTRIES[name])
    assert (len(data.train), len(data.test)) == (entry.train_size, entry.test_size)
    for split in (data.train, data.test):
        assert split.inputs.dtype == np.float32 and split.inputs.shape[1:] == (2,) and split.targets.dtype == np.uint8
        assert np.bincount(split.targets).tolist() == [len(split) // 2] * 2 and np.isfinite(split.inputs).all()
    points = {tuple(p) for p in data.train.inputs.tolist()}
    assert len(points) > 0.99 * len(data.train)
    assert len(points & {tuple(p) for p in data.test.inputs.tolist()}) < 0.01 * len(data.test)
    facts = data.facts
    assert facts.kind == TABLE and facts.outputs == 2 and facts.features == 2 and [c.name for c in facts.columns] == ["x", "y"]
    assert np.allclose(facts.mean, data.train.inputs.astype(float).mean(0)) and facts.train_counts == (1000, 1000)


def test_made_sets_never_change() -> None:
    """Runs name their data by these; other points under the same name would be another training."""
    assert {name: generate.make(ENTRIES[name]).facts.sha256[:16] for name in MADE} == PINNED


PINNED = {
    "blobs": "0250bd1e3db9e70c",
    "moons": "8130fe063565a961",
    "spirals": "645e014ea9ebacd6",
    "xor": "aa80f9e87be5d581",
}


def test_another_process_makes_the_same_points() -> None:
    code = (
        "import numpy; numpy.random.seed(5)\nfrom mlptui.datasets import catalog, generate\n"
        "print(*[generate.make(catalog.ENTRIES[n]).facts.sha256 for n in ('blobs', 'moons', 'spirals', 'xor')])"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [generate.make(ENTRIES[name]).facts.sha256 for name in MADE]
    assert len(set(there)) == 4


@pytest.mark.parametrize("name", MADE)
def test_points_are_a_function_of_size_and_seed(name: str) -> None:
    points, classes = generate.points(name, 100, 3)
    again, _ = generate.points(name, 100, 3)
    assert np.array_equal(points, again) and classes.tolist() == [0, 1] * 50
    assert not np.array_equal(points, generate.points(name, 100, 4)[0])


def test_blobs_lie_on_two_sides_of_a_line() -> None:
    points, classes = generate.points("blobs", 2000, 0)
    side = points.sum(1) > 0
    assert (side == classes).mean() > 0.99
    assert np.allclose(points[classes == 1].mean(0), 2, atol=0.1) and np.allclose(points[classes == 0].std(0), 0.9, atol=0.05)


def test_moons_are_half_circles_around_two_centres() -> None:
    points, classes = generate.points("moons", 2000, 0)
    upper, lower = points[classes == 0], points[classes == 1]
    assert abs(np.linalg.norm(upper, axis=1).mean() - 1) < 0.02
    assert abs(np.linalg.norm(lower - [1, 0.5], axis=1).mean() - 1) < 0.02
    assert upper[:, 1].min() > -0.5 and lower[:, 1].max() < 1


def test_spirals_turn_one_and_three_quarter_times_and_lie_across_from_each_other() -> None:
    points, classes = generate.points("spirals", 4000, 0)
    radius = np.linalg.norm(points, axis=1)
    angle = np.arctan2(points[:, 0], points[:, 1])  # from the y axis, as the sine stands first
    away = (angle - 1.75 * 2 * np.pi * radius / 5 - np.pi * classes + np.pi) % (2 * np.pi) - np.pi
    middle, far = np.quantile(np.abs(away[radius > 2]), (0.5, 0.95))
    assert middle < 0.2 and far < 0.5 and radius.max() < 6


def test_xor_is_the_sign_of_the_product_with_a_gap() -> None:
    points, classes = generate.points("xor", 4000, 0)
    assert np.array_equal(points[:, 0] * points[:, 1] < 0, classes == 1)
    assert np.abs(points).min() >= 0.299 and np.abs(points).max() <= 5.001
    quadrants = (points[:, 0] > 0) * 2 + (points[:, 1] > 0)
    assert np.bincount(quadrants).min() > 800


# numbers about data


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (7, 1, 5, 4), (3, 3, 8, 8), (50, 2, 3, 1)])
def test_moments_of_pixels_are_those_of_numpy(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    pixels = images.astype(np.float64) / 255
    for block in (1, 100, 1 << 24):
        monkeypatch.setattr(statistics, "BLOCK", block)
        mean, deviation = statistics.pixel_moments(images)
        assert np.allclose(mean, pixels.mean((0, 2, 3)), rtol=0, atol=1e-12)
        wanted = pixels.std((0, 2, 3))
        assert np.allclose(deviation, np.where(wanted > 0, wanted, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_pictures_of_one_grey_keep_their_scale(value: int) -> None:
    mean, deviation = statistics.pixel_moments(np.full((40, 2, 9, 9), value, np.uint8))
    assert mean == pytest.approx((value / 255,) * 2) and deviation == (1.0, 1.0)


def test_a_column_is_described_as_numpy_does() -> None:
    values = np.random.default_rng(2).normal(3, 2, 1000).astype(np.float32)
    column = statistics.column("height", values, 5)
    exact = values.astype(np.float64)
    assert (column.mean, column.deviation) == pytest.approx((exact.mean(), exact.std()))
    assert (column.low, column.high, column.missing) == (exact.min(), exact.max(), 5)
    wanted, _ = np.histogram(exact, bins=statistics.BINS)
    assert np.abs(np.array(column.histogram) - wanted).sum() <= 2 and sum(column.histogram) == 1000


@pytest.mark.parametrize("value", [0.0, -7.5, 3e38, 1e-45])
def test_a_constant_column_keeps_its_scale_and_has_one_bin(value: float) -> None:
    column = statistics.column("same", np.full(20, value, np.float32))
    assert column.deviation == 1.0 and column.low == column.high == np.float32(value)
    assert column.histogram == (20, *[0] * (statistics.BINS - 1))


@settings(derandomize=True, deadline=None, max_examples=150, database=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40))
def test_any_finite_column_has_finite_numbers(values: list[float]) -> None:
    column = statistics.column("x", np.array(values, np.float32))
    assert np.isfinite([column.mean, column.deviation, column.low, column.high]).all() and column.deviation > 0
    assert sum(column.histogram) == len(values) and len(column.histogram) == statistics.BINS


@pytest.mark.parametrize("classes", [1, 3, 300])
def test_classes_are_counted_even_those_that_do_not_occur(classes: int) -> None:
    targets = np.zeros(5, np.uint8)
    assert statistics.class_counts(targets, classes) == (5, *[0] * (classes - 1))


# facts as JSON


def facts() -> Facts:
    column = Column("a", 0.5, 2.0, -1.0, 3.0, 2, (1, 2, 3))
    return Facts(
        "mine", TABLE, "title", (2,), (), 10, 5, "a" * 64, (0.5, 1.5), (2.0, 1.0), (), (), (column, replace(column, name="b")),
        replace(column, name="price"), "origin", "licence", ("note",),
    )  # fmt: skip


def values_of() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(facts().as_json()))
    return values


def test_facts_come_back_from_json_as_they_were() -> None:
    assert facts_from(values_of()) == facts()
    classes = facts_from({**values_of(), "unknown": 1, "target": None, "classes": ["a", "b"]})
    assert classes == replace(facts(), target=None, classes=("a", "b"))
    for name in MADE:
        made = generate.make(ENTRIES[name]).facts
        assert facts_from(json.loads(json.dumps(made.as_json()))) == made


ODD: list[Any] = [None, "x", -1, 1.5, [], [None], ["x"], [-1], [1.5], {}, {"name": 5}, [{}], [{"name": "x"}], True, "nan"]


@pytest.mark.parametrize("key", values_of())
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_damaged_value_is_one_of_three_errors_or_facts_that_can_be_used(key: str, value: Any) -> None:
    try:
        found = facts_from({**values_of(), key: value})
    except (TypeError, KeyError, ValueError):
        return
    assert found.features >= 0 and found.outputs > 0 and isinstance(found.regression, bool)
    json.dumps(found.as_json())


@pytest.mark.parametrize("key", [k for k in values_of() if k not in ("train_counts", "test_counts")])
def test_facts_without_what_they_need_are_refused_or_have_the_default(key: str) -> None:
    values = values_of()
    del values[key]
    if key in ("name", "kind", "title", "train_size", "test_size", "sha256", "shape", "target"):
        with pytest.raises((TypeError, KeyError, ValueError)):
            facts_from(values)
    elif key not in ("mean", "deviation"):
        assert getattr(facts_from(values), key) in ((), None, "")


def test_the_whole_of_a_description_survives_random_changes(paths: Paths) -> None:
    """Values swapped with each other, at random: a sentence or facts, never another error."""
    rng = random.Random(5)
    place = here(paths, "mine")
    for _ in range(200):
        values = values_of()
        first, second = rng.sample(list(values), 2)
        values[first], values[second] = values[second], values[first]
        try:
            facts_from(values)
        except (TypeError, KeyError, ValueError):
            pass
    assert prepared.verify(place)
