"""200 trainers killed by `kill -9` while they save all the time: how many committed checkpoints are damaged."""

import os
import random
import signal
import time
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.common import command, home
from mlptui.core.errors import CheckpointError
from mlptui.store import checkpoints, lock, rundir
from mlptui.store.eventlog import read_events
from mlptui.store.paths import Paths

KILLS = 200


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    dice = random.Random(1)
    damaged = killed = lost = 0
    with home() as folder:
        words = ("train", "--data", "fashion-mnist-sample", "--epochs", "100000", "--checkpoint-steps", "1", "--threads", "1")
        command(folder, *words, "--detach")
        run = rundir.all_runs(Paths(folder, folder, folder))[0]
        while killed < KILLS:
            before = run.state().checkpoint_step or 0
            while (run.state().checkpoint_step or 0) <= before:
                time.sleep(0.01)
            time.sleep(dice.random() * 0.1)
            os.kill(run.state().pid, signal.SIGKILL)
            killed += 1
            while lock.holder(run.lock_file):
                time.sleep(0.005)
            good, bad = checkpoints.listed(run.checkpoints)
            damaged += len(bad)
            for one in good:
                try:
                    for name in one.manifest["files"]:
                        one.read(name)
                except CheckpointError:
                    damaged += 1
            said = [e["name"] for e in read_events(run.events_file) if e.kind == "checkpoint"]
            lost += bool(said) and max(said) > max(c.name for c in good)
            if killed < KILLS:
                command(folder, "runs", "resume", run.id)
        yield {
            "what": f"committed checkpoints damaged, or said to be saved and missing, by {KILLS} kills during saves",
            "measured": f"{damaged} damaged, {lost} missing",
            "required": "0",
        }
