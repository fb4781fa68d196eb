"""The trainer's epochs with a viewer on its live screen against without one, on all threads, alternating within one run."""

import statistics
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.common import command, home
from mlptui.core.events import Kind
from mlptui.store import rundir
from mlptui.store.eventlog import read_events
from mlptui.store.paths import Paths
from tests.terminal.screen import Terminal

WINDOW = 12.0


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    with home(options) as folder:
        command(folder, "train", "--data", "fashion-mnist", "--epochs", "10000", "--detach")
        run = rundir.all_runs(Paths(folder, folder, folder))[0]
        while run.state().epoch < 3:
            time.sleep(0.2)
        windows: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        sent = 0
        for turn in range(2 * max(3, options.rounds)):
            attached = turn % 2 == 0
            viewer = None
            if attached:
                viewer = Terminal(folder)
                viewer.wait_for("esc watches it")
                viewer.press("w")
                viewer.wait_for("running")
                viewer.read(2.0)
            started = time.monotonic()
            if viewer:
                sent += len(viewer.read(WINDOW))
            else:
                time.sleep(WINDOW)
            windows[attached].append((started, time.monotonic()))
            if viewer:
                viewer.close()
        command(folder, "runs", "stop", run.id)
        ends = [event.mono for event in read_events(run.events_file) if event.kind == Kind.EPOCH]
    spans = list(pairwise(ends))
    medians = {
        side: [statistics.median(b - a for a, b in spans if low <= a and b <= high) for low, high in found]
        for side, found in windows.items()
    }
    ratio = statistics.median(a / b for a, b in zip(medians[True], medians[False], strict=True))
    yield {
        "what": f"epoch with a viewer against without ({statistics.median(medians[True]):.3f} s an epoch)",
        "measured": f"{ratio:.3f}",
        "required": "<= 1.05",
    }
    yield {
        "what": "bytes a second to the terminal, live training screen at 80x24",
        "measured": f"{sent / WINDOW / len(windows[True]):.0f}",
        "required": "<= 2,048",
    }
