"""Seconds an epoch of `mlptui train` against the loops of loops.py, taking turns, on the same 50,000 images.

The rest of the training set, 10,000 images, is what `mlptui train` evaluates on after every epoch; the loops do not evaluate,
log or save. The first epoch of each process is left out. Each process counts with its fastest epoch, because on a shared
machine slower ones measure the neighbours; the ratio is the median over the rounds.
"""

import os
import statistics
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import PYTHON, epoch_seconds, home, originals, train

SIZE = 50_000
OURS = ("--data", "fashion-mnist", "--validation", str(1 / 6), "--seed", "1")


def loop(kind: str, options: Namespace, epochs: int) -> float:
    words = [PYTHON, "-m", "benchmarks.loops", kind, str(originals(options)), str(SIZE), str(epochs)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1], env=dict(os.environ)
    )
    return min(float(line) for line in done.stdout.split()[1:])


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    sides: dict[str, list[float]] = {"ours": [], "bfloat16": [], "bare": [], "handwritten": []}
    with home(options) as folder:
        for _ in range(options.rounds):
            sides["bare"].append(loop("bare", options, 9))
            sides["ours"].append(epoch_seconds(train(folder, *OURS, "--epochs", "9")))
            sides["handwritten"].append(loop("handwritten", options, 3))
            sides["bfloat16"].append(epoch_seconds(train(folder, *OURS, "--epochs", "9", "--precision", "bfloat16")))

    def ratio(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(sides[one], sides[other], strict=True))

    seconds = {name: statistics.median(values) for name, values in sides.items()}
    yield {
        "what": f"epoch against the hand-written loop ({seconds['ours']:.2f} s, {seconds['handwritten']:.2f} s)",
        "measured": f"1/{1 / ratio('ours', 'handwritten'):.1f}",
        "required": "<= 1/6",
    }
    yield {
        "what": f"epoch against a bare in-memory loop ({seconds['ours']:.2f} s, {seconds['bare']:.2f} s)",
        "measured": f"{ratio('ours', 'bare'):.2f}",
        "required": "<= 0.85 (AMD), <= 1.05 elsewhere",
    }
    yield {
        "what": f"bfloat16 epoch against the hand-written loop ({seconds['bfloat16']:.2f} s)",
        "measured": f"1/{1 / ratio('bfloat16', 'handwritten'):.1f}",
        "required": "<= 1/9",
    }
