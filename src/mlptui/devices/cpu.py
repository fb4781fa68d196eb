"""The processor and memory, from /proc; where there is no /proc, what the standard library knows."""

import math
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """One look. `usable` threads are those this process may use; `busy` is the share of all since the look before."""

    name: str
    cores: int | None
    threads: int
    usable: int
    load: tuple[float, float, float] | None
    busy: float | None
    memory_total: int | None
    memory_available: int | None


@dataclass(frozen=True)
class Times:
    """Jiffies since boot over all processors (proc_stat(5))."""

    busy: int
    total: int


def read_times() -> Times | None:
    try:
        fields = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return Times(sum(fields) - fields[3] - fields[4], sum(fields))


class CpuReader:
    """Reads the processor; keeps the previous counters so that `busy` is measured between two reads."""

    def __init__(self) -> None:
        self._times = read_times()
        self._name, self._cores = _model()

    def read(self) -> Cpu:
        before, self._times = self._times, read_times()
        busy = None
        if before and self._times and self._times.total > before.total:
            busy = (self._times.busy - before.busy) / (self._times.total - before.total)
        memory = _memory()
        return Cpu(
            self._name,
            self._cores,
            os.cpu_count() or 1,
            usable_threads(),
            _load(),
            busy,
            memory.get("MemTotal"),
            memory_available(memory.get("MemAvailable")),
        )


def usable_threads(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Processors this process may use: by its affinity, and by the CPU quota of its control groups, rounded up."""
    try:
        processors = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        processors = os.cpu_count() or 1
    quota = _cpu_quota(cgroups, own)
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _cpu_quota(cgroups: Path, own: Path) -> float | None:
    """The smallest CPU quota, in processors, of the control groups this process is in; None without one.

    Version 2: `cpu.max` holds "QUOTA PERIOD" or "max PERIOD" (kernel documentation, cgroup-v2, "CPU Interface Files").
    """
    found = []
    for folder in _control_groups(cgroups, own):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            pass  # no such group, no limit there ("max"), or not a control group
    return min(found, default=None)


def memory_available(
    free: int | None, cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Bytes that this process may still take: of the `free` ones, what the limits of its control groups leave.

    Version 2: `memory.max` less `memory.current`; pages of files that were not used lately (`inactive_file` in
    `memory.stat`) are given back when they are needed.
    """
    found = [] if free is None else [free]
    for folder in _control_groups(cgroups, own):
        try:
            limit, used = int((folder / "memory.max").read_text()), int((folder / "memory.current").read_text())
            rows = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
            found.append(max(0, limit - used + next((int(r[1]) for r in rows if r[0] == "inactive_file"), 0)))
        except (OSError, ValueError, IndexError):
            pass
    return min(found, default=None)


def _control_groups(cgroups: Path, own: Path) -> list[Path]:
    """The control groups (version 2) that this process is in, from its own one up."""
    try:
        path = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::")).strip("/")
    except (OSError, StopIteration):
        return []
    here = cgroups / path
    folders = [here, *here.parents]
    return folders[: folders.index(cgroups) + 1] if cgroups in folders else folders


def _load() -> tuple[float, float, float] | None:
    try:
        return os.getloadavg()
    except OSError:
        return None


def _model() -> tuple[str, int | None]:
    import platform

    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines()]
    except OSError:
        return platform.processor() or platform.machine(), None
    name = next((v.strip() for k, _, v in lines if k.strip() == "model name"), platform.machine())
    physical = "0"
    cores = set()
    for key, _, value in lines:
        if key.strip() == "physical id":
            physical = value.strip()
        elif key.strip() == "core id":
            cores.add((physical, value.strip()))
    return name, len(cores) or None


def _memory() -> dict[str, int]:
    try:
        rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
    except OSError:
        return {}
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) >= 2 and row[1].isdecimal()}
