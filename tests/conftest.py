"""What every test gets: a home of its own, and nothing of the machine that it runs on."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mlptui.store import paths as places
from mlptui.store.paths import Paths

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes start here: what they import is compiled once
sys.dont_write_bytecode = False
NUMBERS = count()
Counts = Callable[[int, int], int]
LEAKY = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "LINES", "CUDA_VISIBLE_DEVICES")
ORIGINALS = Path(__file__).parents[2] / "shared" / "data" / "fashion-mnist"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--campaign", action="store_true", help="repeat what hunts for rare faults at its full counts (hours)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--campaign"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Torch and ten thousand tests are here to stay: garbage is looked for among what the tests make."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counts:
    """`counts(usual, full)`: how often a test repeats, `full` with --campaign."""
    campaign = request.config.getoption("--campaign")
    return lambda usual, full: full if campaign else usual


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> None:
    """For tests that take long and have rarely found anything: they run with --campaign only."""
    if not request.config.getoption("--campaign"):
        pytest.skip("runs with --campaign")


@pytest.fixture(autouse=True)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A MLPTUI_HOME for this test alone, which is not there yet, and an environment without preferences.

    It is made by who writes there: a folder for each of ten thousand tests would cost as much as most of them.
    """
    for name in [n for n in os.environ if n.startswith(("MLPTUI_", "TEXTUAL")) or n in LEAKY]:
        monkeypatch.delenv(name)
    own = "tmp_path" in request.fixturenames
    folder = request.getfixturevalue("tmp_path") / "home" if own else tmp_path_factory.getbasetemp() / f"home-{next(NUMBERS)}"
    monkeypatch.setenv("MLPTUI_HOME", str(folder))
    yield folder
    if not own and folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def paths(home: Path) -> Paths:
    found = places.find()
    assert found.data == home
    return found


@pytest.fixture
def warm_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benches are forked from a process with torch loaded, where that can be done: each import costs a core for 4 s."""
    from process.trainers import zygote

    if sys.platform.startswith("linux"):
        monkeypatch.setattr("mlptui.launch.bench.start", lambda answers, folder: zygote().bench(answers, folder))


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder with the four original files of Fashion-MNIST."""
    if not all((ORIGINALS / f"{split}-{kind}-ubyte.gz").is_file() for split, kind in FILES):
        pytest.skip(f"the original files of Fashion-MNIST are not in {ORIGINALS}")
    return ORIGINALS


@pytest.fixture
def fashion_mirror(fashion_mnist: Path, tmp_path: Path) -> Iterator[Any]:
    """A local mirror that has Fashion-MNIST in a folder of its name (tests/datasets/server.py)."""
    from datasets.server import Server

    folder = tmp_path / "mirror" / "fashion-mnist"
    folder.mkdir(parents=True)
    for file in fashion_mnist.glob("*.gz"):
        (folder / file.name).write_bytes(file.read_bytes())
    with Server(folder.parent) as server:
        yield server


FILES = [(split, kind) for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
