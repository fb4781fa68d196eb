"""From the start of `mlptui` to its first painted screen, in a pseudo terminal."""

import statistics
import time
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.common import home
from tests.terminal.screen import Terminal


def once() -> float:
    with home() as folder:
        started = time.perf_counter()
        viewer = Terminal(folder)
        while "learning rate" not in viewer.text():
            viewer.read(0.01)
        seconds = time.perf_counter() - started
        viewer.close()
        return seconds


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    once()
    times = [once() for _ in range(max(5, options.rounds))]
    yield {
        "what": "first paint",
        "measured": f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})",
        "required": "< 1 s",
    }
