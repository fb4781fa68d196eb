"""From `mlptui train` to the first row in its log, against `import torch` and one bare optimiser step, taking turns."""

import os
import statistics
import subprocess
import time
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.common import PYTHON, home
from mlptui.store import rundir
from mlptui.store.paths import Paths
from mlptui.store.steps import HEADER_SIZE

BARE = """
import torch
model = torch.nn.Linear(784, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.rand(256, 784)).sum().backward()
optimizer.step()
"""


def bare() -> float:
    started = time.perf_counter()
    subprocess.run([PYTHON, "-c", BARE], check=True)
    return time.perf_counter() - started


def ours() -> float:
    """Until the first row of steps.bin is on disk, which is up to 0.1 s after the first step."""
    with home() as folder:
        environment = {**os.environ, "MLPTUI_HOME": str(folder)}
        words = [PYTHON, "-m", "mlptui", "train", "--data", "fashion-mnist-sample", "--epochs", "1", "--wait"]
        started = time.perf_counter()
        process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
        seconds = None
        while seconds is None:
            assert process.poll() in (None, 0)
            for run in rundir.all_runs(Paths(folder, folder, folder)):
                if run.steps_file.exists() and run.steps_file.stat().st_size > HEADER_SIZE:
                    seconds = time.perf_counter() - started
            time.sleep(0.005)
        process.wait()
        return seconds


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    bare(), ours()
    pairs = [(bare(), ours()) for _ in range(max(3, options.rounds))]
    ratio = statistics.median(b / a for a, b in pairs)
    yield {
        "what": f"to the first training step ({statistics.median(b for _, b in pairs):.1f} s) against import torch and a step",
        "measured": f"{ratio:.2f}",
        "required": "<= 1.2",
    }
