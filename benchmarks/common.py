"""What the benchmarks share: a home of their own, runs of the real trainer, and medians."""

import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlptui.core.events import Event, Kind
from mlptui.store import rundir
from mlptui.store.eventlog import read_events
from mlptui.store.paths import Paths
from tests.terminal.screen import Terminal

DATA = Path(__file__).parents[2] / "shared" / "data" / "fashion-mnist"
PYTHON = sys.executable


def originals(options: Namespace) -> Path:
    """The folder with the original files; ends the program with a sentence where it is missing."""
    folder = options.data or DATA
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        raise SystemExit(f"{folder} has no Fashion-MNIST; give the folder with the four original files: --data FOLDER")
    return Path(folder)


@contextmanager
def home(options: Namespace | None = None) -> Iterator[Path]:
    """An empty MLPTUI_HOME, with Fashion-MNIST imported where `options` are given."""
    with tempfile.TemporaryDirectory(prefix="mlptui-bench-") as folder:
        if options is not None:
            command(Path(folder), "data", "import", "fashion-mnist", str(originals(options)))
        yield Path(folder)


def command(folder: Path, *words: str) -> str:
    """Run `mlptui WORDS` in this home and return its stdout."""
    environment = {**os.environ, "MLPTUI_HOME": str(folder)}
    done = subprocess.run([PYTHON, "-m", "mlptui", *words], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def train(folder: Path, *options: str) -> list[Event]:
    """A whole run by `mlptui train`; its events."""
    command(folder, "train", "--wait", *options)
    return read_events(rundir.all_runs(Paths(folder, folder, folder))[0].events_file)


def epoch_seconds(events: list[Event], skip: int = 1) -> float:
    """Wall seconds from one epoch's end to the next, the fastest: training, logging, evaluation and checkpoints."""
    ends = [event.mono for event in events if event.kind == Kind.EPOCH]
    return min(b - a for a, b in zip(ends[skip - 1 :], ends[skip:], strict=False))


def press(viewer: Terminal, count: int) -> list[float]:
    """Seconds from each of `count` moves of a cursor, four down and four up, to the changed screen."""
    delays = []
    for i in range(count):
        before = viewer.text()
        started = time.perf_counter()
        viewer.press("j" if i % 8 < 4 else "k")
        while viewer.text() == before:
            viewer.read(0.001)
        delays.append(time.perf_counter() - started)
        viewer.read(0.03)
    return delays
