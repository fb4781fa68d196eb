"""Structure of large files: a sparse safetensors file of 20 GB with 10,000 tensors, and a state_dict of 10,000 tensors.

Prediction, written before the first measurement: JSON and 10,000 values of the header take 0.15 s and 20 MB; following 350,000
operations of a pickle 0.6 s.
"""

import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import home
from benchmarks.params import sparse

READ = """
import sys, time
from pathlib import Path
from mlptui.store.formats import opening
from mlptui.store.formats.contents import summary
def peak():  # of this program alone; what getrusage says begins with its parent's
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
started = time.perf_counter()
found = opening.read(Path(sys.argv[1]))
words = summary(found)
seconds = time.perf_counter() - started
print(seconds, (peak() - before) / 1024, words)
"""


def timed(file: Path) -> tuple[float, float, str]:
    """Seconds, megabytes that the process grew by, and what it said."""
    said = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=True).stdout
    seconds, memory, words = said.split(" ", 2)
    return float(seconds), float(memory), words.strip()


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    import torch

    with home() as folder:
        sparse(folder / "large.safetensors")
        seconds, memory, _ = min(timed(folder / "large.safetensors") for _ in range(3))
        yield {"what": "a sparse safetensors file of 20 GB, listed", "measured": f"{seconds:.2f} s", "required": "< 0.3 s"}
        yield {"what": "and the memory that it takes", "measured": f"{memory:.0f} MB", "required": "< 60 MB"}
        torch.save({f"layer{i}.weight": torch.ones(2, 2) for i in range(10_000)}, folder / "many.pt")
        seconds, memory, _ = min(timed(folder / "many.pt") for _ in range(3))
        yield {"what": "a .pt of 10,000 tensors, listed", "measured": f"{seconds:.2f} s, {memory:.0f} MB", "required": "-"}
