"""2,000 checkpoints of 100 runs: reading them all, the first time and again."""

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import home
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.store import checkpoints, rundir, state
from mlptui.store.paths import Paths
from mlptui.tui.screens.files import CheckpointReader

RUNS, EACH = 100, 20
EMPTY = (2).to_bytes(8, "little") + b"{}"  # a safetensors file without tensors


def fill(folder: Path) -> None:
    paths = Paths(folder, folder, folder)
    for i in range(RUNS):
        run = rundir.create(paths, Recipe(), f"run number {i}", "mlp 784-256-10", now=1_700_000_000 + 60 * i)
        state.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1))
        for step in range(EACH):
            facts = {"run": run.id, "epoch": step, "created": time.time(), "metrics": {"valid_accuracy": 0.5 + step / 100}}
            checkpoints.commit(run.checkpoints, step, {"model.safetensors": EMPTY, "training.safetensors": EMPTY}, facts)


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    with home() as folder:
        fill(folder)
        reader = CheckpointReader(Paths(folder, folder, folder))
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            assert len(reader.read()) == RUNS * EACH
            seconds.append(time.perf_counter() - started)
    yield {"what": "reading 2,000 checkpoints", "measured": f"{seconds[0]:.2f} s", "required": "< 0.5 s"}
    yield {"what": "again, with nothing changed", "measured": f"{seconds[1] * 1000:.0f} ms", "required": "-"}
