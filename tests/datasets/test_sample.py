"""The embedded sample: real, balanced, small, and made from the originals."""

import ast
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from mlptui.core.errors import DataError
from mlptui.core.recipe import check
from mlptui.datasets import catalog, library, settle
from mlptui.datasets.catalog import ENTRIES, SAMPLE, SAMPLE_FOLDER
from mlptui.store.paths import Paths

TOOL = Path(__file__).parents[2] / "tools" / "make_sample.py"


def test_the_sample_has_6000_and_1000_pictures_of_ten_classes_each_as_often(paths: Paths) -> None:
    data = library.load(paths, SAMPLE)
    assert data.train.inputs.shape == (6000, 1, 28, 28) and data.test.inputs.shape == (1000, 1, 28, 28)
    assert data.train.inputs.dtype == data.train.targets.dtype == np.uint8
    assert np.bincount(data.train.targets).tolist() == [600] * 10
    assert np.bincount(data.test.targets).tolist() == [100] * 10
    assert len(data.facts.classes) == 10 and (len(data.train), len(data.test)) == (6000, 1000)
    assert data.train.inputs.std() > 50


def test_no_picture_stands_in_both_halves(paths: Paths) -> None:
    data = library.load(paths, SAMPLE)
    train = {picture.tobytes() for picture in data.train.inputs}
    assert len(train) > 5990
    assert not any(picture.tobytes() in train for picture in data.test.inputs)


def test_the_sample_has_at_most_three_million_bytes_and_its_licence() -> None:
    files = [SAMPLE_FOLDER / f"{file.name}.gz" for file in ENTRIES[SAMPLE].files]
    assert sum(file.stat().st_size for file in files) <= 3_000_000
    assert sum(file.stat().st_size for file in SAMPLE_FOLDER.iterdir()) <= 3_000_000
    assert "MIT" in (SAMPLE_FOLDER / "LICENSE").read_text() and "Zalando" in (SAMPLE_FOLDER / "LICENSE").read_text()


def test_the_hashes_of_the_catalog_are_those_of_the_files() -> None:
    for file in ENTRIES[SAMPLE].files:
        content = gzip.decompress((SAMPLE_FOLDER / f"{file.name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == file.content


def test_mean_and_deviation_are_those_of_the_pixels(paths: Paths) -> None:
    data = library.load(paths, SAMPLE)
    pixels = data.train.inputs.astype(np.float64) / 255
    (mean,), (deviation,) = data.facts.mean, data.facts.deviation
    assert abs(pixels.mean() - mean) < 1e-5 and abs(pixels.std() - deviation) < 1e-5


def test_mean_and_deviation_of_the_whole_set_are_those_of_its_pixels(fashion_mnist: Path) -> None:
    known = ENTRIES["fashion-mnist"]
    raw = gzip.decompress((fashion_mnist / known.files[0].name).read_bytes())
    counts = np.bincount(np.frombuffer(raw, np.uint8, offset=16), minlength=256)
    values = np.arange(256) / 255
    mean = float((counts * values).sum() / counts.sum())
    deviation = float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
    assert abs(mean - known.mean[0]) < 1e-5 and abs(deviation - known.deviation[0]) < 1e-5


def test_the_tool_makes_the_sample_from_the_originals(fashion_mnist: Path) -> None:
    """The tool's own choice, without the compressor that it needs to write (zopfli)."""
    wanted = ("SPLITS", "block_of_each_class", "idx")
    tree = ast.parse(TOOL.read_text())
    kept = [
        node for node in tree.body
        if getattr(node, "name", None) in wanted
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in wanted)
    ]  # fmt: skip
    tool: dict[str, object] = {"np": np}
    exec(compile(ast.Module(kept, []), str(TOOL), "exec"), tool)
    choose, idx, splits = tool["block_of_each_class"], tool["idx"], tool["SPLITS"]
    for split, (block, count) in splits.items():  # type: ignore[attr-defined]
        raw = {
            kind: np.frombuffer(
                gzip.decompress((fashion_mnist / f"{split}-{kind}-ubyte.gz").read_bytes()), np.uint8, offset=offset
            )
            for kind, offset in (("images-idx3", 16), ("labels-idx1", 8))
        }
        chosen = choose(raw["labels-idx1"], block, count)  # type: ignore[operator]
        for kind, array in (
            ("images-idx3", raw["images-idx3"].reshape(-1, 28, 28)[chosen]),
            ("labels-idx1", raw["labels-idx1"][chosen]),
        ):
            made = idx(array)  # type: ignore[operator]
            assert made == gzip.decompress((SAMPLE_FOLDER / f"{split}-{kind}-ubyte.gz").read_bytes())


def test_the_catalog_knows_its_names(paths: Paths) -> None:
    assert catalog.is_here(paths, SAMPLE) and catalog.default(paths) == SAMPLE
    assert catalog.checksum(ENTRIES[SAMPLE]) != catalog.checksum(ENTRIES["fashion-mnist"])
    for name in ("cifar-99", "", "../x", "\x1b[2J", "x" * 5000):
        with pytest.raises(DataError, match="there is no data set") as caught:
            catalog.entry(name)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_a_recipe_is_settled_on_the_data_that_is_here(paths: Paths) -> None:
    settled = settle.settle(paths, check({}))
    assert (settled.data.name, settled.data.sha256) == (SAMPLE, library.load(paths, SAMPLE).facts.sha256)
    with pytest.raises(DataError, match=r"mlptui data download fashion-mnist.*mlptui data import fashion-mnist FOLDER"):
        settle.settle(paths, check({"data": {"name": "fashion-mnist"}}))
    with pytest.raises(DataError, match="there is no data set 'cifar-99'"):
        settle.settle(paths, check({"data": {"name": "cifar-99"}}))
    with pytest.raises(DataError, match=r"mlptui data download fashion-mnist.*mlptui data import fashion-mnist FOLDER"):
        library.load(paths, "fashion-mnist")
