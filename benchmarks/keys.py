"""How long a key takes on the data screen while three downloads, a verification and a decoding go on.

Prediction, written before the first measurement: all of that happens in processes of their own at lower priority, so a key
takes what it takes otherwise, 5 to 15 ms, and the worst of 100 stays under 50 ms on two busy cores.
"""

import os
import statistics
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import command, home, press
from mlptui.datasets import jobs
from mlptui.datasets.catalog import ENTRIES
from mlptui.launch import data as launch
from mlptui.store.paths import Paths
from tests.datasets.server import Server, drip
from tests.terminal.screen import Terminal

PRESSES = 100
SETS = ("mnist", "kmnist", "qmnist")


def table(path: Path) -> None:
    """Enough rows that decoding them takes longer than the measurement."""
    rng = np.random.default_rng(0)
    np.savetxt(path, rng.random((60_000, 40)), delimiter=",", fmt="%.6f")


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    with home(options) as folder:
        os.environ["MLPTUI_HOME"] = str(folder)
        paths = Paths(folder, folder, folder)
        mirror = folder / "mirror"
        for name in SETS:
            (mirror / name).mkdir(parents=True)
            first = ENTRIES[name].files[0]
            (mirror / name / first.name).write_bytes(os.urandom(first.size or 10_000_000))
        table(folder / "rows.csv")
        command(folder, "data", "add", "rows", str(folder / "rows.csv"))
        with Server(mirror) as server:
            for name in SETS:
                server.always(f"/{name}/{ENTRIES[name].files[0].name}", drip(5_000, 0.01))
            viewer = Terminal(folder)
            viewer.wait_for("new run")
            viewer.press("1")
            viewer.wait_for("of 60,000")
            viewer.wait_until_quiet(1.0)
            alone = press(viewer, PRESSES)
            for name in SETS:
                launch.start(paths, "download", name, server.address)
            launch.start(paths, "decode", "rows")
            over = threading.Event()
            verifying = threading.Thread(target=_verify_again_and_again, args=(paths, over))
            verifying.start()
            viewer.wait_for("↓")
            busy = press(viewer, PRESSES)
            going = sorted(name for name, job in jobs.running(paths).items() if not job.ended)
            over.set()
            verifying.join()
            viewer.close()
            for name in (*SETS, "rows"):
                launch.cancel(paths, name)
                while jobs.working(paths, name) > 0:
                    time.sleep(0.02)
    assert set(SETS) <= set(going), going
    for what, delays in (("alone", alone), (f"beside three downloads, verifying and decoding ({len(going)} going)", busy)):
        yield {
            "what": f"a key on the data screen {what}: median, 95th and worst of {PRESSES}",
            "measured": ", ".join(f"{1000 * d:.0f}" for d in _summary(delays)) + " ms",
            "required": "<= 50 ms",
        }


def _summary(delays: list[float]) -> tuple[float, float, float]:
    return statistics.median(delays), statistics.quantiles(delays, n=20)[-1], max(delays)


def _verify_again_and_again(paths: Paths, over: threading.Event) -> None:
    while not over.is_set():
        launch.start(paths, "verify", "fashion-mnist")
        while jobs.working(paths, "fashion-mnist") > 0 and not over.wait(0.02):
            pass
