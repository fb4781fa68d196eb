"""What is read of processor and GPUs: measured, or plainly absent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlptui.devices import cpu, gpu

PROGRAM = """
import sys
from mlptui.devices import gpu
{before}
seen = gpu.read()
assert "torch" not in sys.modules
print(len(seen.gpus), seen.reason, sep="|")
"""


def read_gpus(before: str = "") -> tuple[int, str]:
    """What a fresh process says, in which the library was not asked before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)], capture_output=True, text=True, check=True, timeout=60
    )
    count, _, reason = done.stdout.strip().partition("|")
    return int(count), reason


def test_gpus_are_read_or_one_line_says_why_not_and_how_to_check() -> None:
    count, reason = read_gpus()
    assert (count > 0) == (reason == "")
    assert count or ("nvidia-smi" in reason and "\n" not in reason and len(reason) < 200)


def test_without_the_library_one_line_says_so() -> None:
    count, reason = read_gpus("sys.modules['pynvml'] = None")
    assert (count, reason) == (0, "no NVIDIA GPU can be seen: the Python package nvidia-ml-py is not installed")


def test_a_driver_that_breaks_off_is_one_line() -> None:
    count, reason = read_gpus(
        "import pynvml\npynvml.nvmlInit = lambda: None\n"
        "def gone(): raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)\npynvml.nvmlSystemGetDriverVersion = gone"
    )
    assert count == 0 and "does not answer" in reason and "nvidia-smi" in reason


def test_a_driver_without_gpus_is_one_line() -> None:
    count, reason = read_gpus(
        "import pynvml\npynvml.nvmlInit = lambda: None\npynvml.nvmlSystemGetDriverVersion = lambda: b'580.1'\n"
        "pynvml.nvmlDeviceGetCount = lambda: 0"
    )
    assert (count, reason) == (0, "no NVIDIA GPU (driver 580.1 is there); check with: nvidia-smi -L")


def test_a_gpu_that_answers_nothing_is_listed_with_unknowns() -> None:
    program = (
        "import pynvml\n"
        "def no(*a, **k): raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)\n"
        "for name in dir(pynvml):\n"
        "    if name.startswith('nvmlDeviceGet'): setattr(pynvml, name, no)\n"
        "pynvml.nvmlInit = lambda: None\npynvml.nvmlSystemGetDriverVersion = lambda: '580.1'\n"
        "pynvml.nvmlDeviceGetCount = lambda: 1\npynvml.nvmlDeviceGetHandleByIndex = lambda i: i\n"
        "g = gpu.read().gpus[0]\n"
        "assert (g.name, g.uuid, g.memory_total) == ('unknown GPU', '', None)\n"
        "assert (g.power, g.utilisation, g.processes) == (None, None, ())"
    )
    assert read_gpus(program)[0] == 1


def test_reading_twice_gives_the_same_answer_at_once() -> None:
    first = gpu.read()
    started = time.monotonic()
    assert len(gpu.read().gpus) == len(first.gpus)
    assert time.monotonic() - started < 1


def test_the_processor_is_described() -> None:
    reader = cpu.CpuReader()
    seen = reader.read()
    assert seen.name and seen.threads == os.cpu_count() and 1 <= seen.usable <= seen.threads
    assert seen.cores is None or seen.cores >= 1
    if seen.memory_total is not None and seen.memory_available is not None:
        assert 0 < seen.memory_available <= seen.memory_total
    assert seen.load is None or len(seen.load) == 3


def test_load_is_measured_between_two_looks() -> None:
    before = cpu.read_times()
    assert before and 0 < before.busy <= before.total
    reader = cpu.CpuReader()
    busy = None
    deadline = time.monotonic() + 10
    while (
        not busy and time.monotonic() < deadline
    ):  # the kernel counts in ticks: between two near looks only an idle one may fall
        sum(range(200_000))
        busy = reader.read().busy
    assert busy is not None and 0 < busy <= 1


def test_a_process_may_be_held_to_fewer_threads() -> None:
    program = "import os\nfrom mlptui.devices import cpu\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    done = subprocess.run([sys.executable, "-c", program + "print(cpu.usable_threads())"], capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, None),
        ({"": "max 100000"}, None),
        ({"": "150000 100000"}, 2),
        ({"box/job": "max 100000", "box": "100000 100000"}, 1),
        ({"box/job": "50000 100000", "box": "400000 100000"}, 1),
        ({"box/job": "nonsense", "box": "1000"}, None),
        ({"box/job": "100000 0"}, None),
        ({"other": "100000 100000"}, None),
    ],
)
def test_a_containers_cpu_quota_bounds_the_threads(tmp_path: Path, limits: dict[str, str], expected: int | None) -> None:
    cgroups, own = tmp_path / "cgroup", tmp_path / "own"
    for name, text in limits.items():
        (cgroups / name).mkdir(parents=True, exist_ok=True)
        (cgroups / name / "cpu.max").write_text(text + "\n")
    own.write_text("1:cpu:/\n0::/box/job\n")
    allowed = len(os.sched_getaffinity(0))
    assert cpu.usable_threads(cgroups, own) == (allowed if expected is None else min(allowed, expected))


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert cpu.usable_threads(tmp_path, tmp_path / "missing") == len(os.sched_getaffinity(0))
