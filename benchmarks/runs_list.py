"""1,000 runs: reading them all, and how long a key takes on the screen that lists them."""

import statistics
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import home
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.store import rundir, state
from mlptui.store.paths import Paths
from mlptui.tui.screens.runs import RunReader
from tests.terminal.screen import Terminal


def fill(folder: Path, count: int = 1000) -> None:
    paths = Paths(folder, folder, folder)
    for i in range(count):
        run = rundir.create(paths, Recipe(), f"run number {i}", "mlp 784-256-10", now=1_700_000_000 + 60 * i)
        ended = run.state().but(status=Status.FINISHED, pid=1, epoch=10, valid_accuracy=0.8 + i / 10_000, train_loss=0.3)
        state.write(run.state_file, ended)


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    with home() as folder:
        fill(folder)
        started = time.perf_counter()
        assert len(RunReader(Paths(folder, folder, folder)).read()) == 1000
        seconds = time.perf_counter() - started
        viewer = Terminal(folder)
        viewer.wait_for("new run")
        viewer.press("5")
        viewer.wait_for("1,000")
        viewer.wait_until_quiet(0.5)
        delays = []
        for _ in range(30):
            before = viewer.screen.display[-3]
            pressed = time.perf_counter()
            viewer.press("j")
            while viewer.screen.display[-3] == before:
                viewer.read(0.001)
            delays.append(time.perf_counter() - pressed)
            viewer.read(0.05)
        viewer.close()
    yield {"what": "reading 1,000 runs", "measured": f"{seconds:.2f} s", "required": "< 0.5 s"}
    yield {
        "what": "a key on the list of 1,000 runs, median and worst of 30",
        "measured": f"{statistics.median(delays) * 1000:.0f} ms, {max(delays) * 1000:.0f} ms",
        "required": "<= 50 ms",
    }
