"""NVIDIA GPUs by NVML, which opens no CUDA context. No driver, no library and no GPU are normal answers."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class GpuProcess:
    pid: int
    user: str
    name: str
    memory: int | None


@dataclass(frozen=True)
class Gpu:
    """One look at one GPU; None is "the driver does not say". Bytes, shares of one, degrees Celsius, watts."""

    index: int
    uuid: str
    name: str
    memory_total: int | None
    memory_used: int | None
    utilisation: float | None
    temperature: int | None
    power: float | None
    power_limit: float | None
    performance_state: str
    processes: tuple[GpuProcess, ...]

    @property
    def memory_free(self) -> int | None:
        return None if self.memory_total is None or self.memory_used is None else self.memory_total - self.memory_used


@dataclass(frozen=True)
class Gpus:
    """All GPUs; where there are none, `reason` says in one line why and how to check."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    reason: str = ""


def read() -> Gpus:
    """What NVML says now. Never raises."""
    nvml, reason = _library()
    if nvml is None:
        return Gpus(reason=reason)
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        seen = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        return Gpus(reason=f"the NVIDIA driver does not answer ({error}); check with: nvidia-smi")
    found = tuple(gpu for gpu in seen if gpu)
    if not found:
        return Gpus(driver=driver, reason=f"no NVIDIA GPU (driver {driver} is there); check with: nvidia-smi -L")
    return Gpus(found, driver)


def find(wanted: str, gpus: Gpus) -> Gpu | None:
    """The GPU that `cuda`, `cuda:N` (NVML's index) or a UUID (or its beginning, if only one has it) names."""
    for gpu in gpus.gpus:
        if wanted in ("cuda", f"cuda:{gpu.index}", gpu.uuid):
            return gpu
    begun = [gpu for gpu in gpus.gpus if wanted.startswith("GPU-") and gpu.uuid.startswith(wanted)]
    return begun[0] if len(begun) == 1 else None


@cache
def _library() -> tuple[Any, str]:
    try:
        import pynvml
    except ImportError:
        return None, "no NVIDIA GPU can be seen: the Python package nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA driver ({error}); check with: nvidia-smi"
    return pynvml, ""


def _gpu(nvml: Any, index: int) -> Gpu | None:
    """One GPU; None for one that has fallen off the bus, which must not hide the others."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return None

    def ask(question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(handle, *arguments)
        except nvml.NVMLError:
            return None

    memory = ask(nvml.nvmlDeviceGetMemoryInfo)
    rates = ask(nvml.nvmlDeviceGetUtilizationRates)
    power = ask(nvml.nvmlDeviceGetPowerUsage)
    limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit)
    state = ask(nvml.nvmlDeviceGetPerformanceState)
    running = [
        *(ask(nvml.nvmlDeviceGetComputeRunningProcesses) or []),
        *(ask(nvml.nvmlDeviceGetGraphicsRunningProcesses) or []),
    ]
    return Gpu(
        index,
        _text(ask(nvml.nvmlDeviceGetUUID) or ""),
        _text(ask(nvml.nvmlDeviceGetName) or "unknown GPU"),
        memory and int(memory.total),
        memory and int(memory.used),
        rates and rates.gpu / 100,
        ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        power and power / 1000,
        limit and limit / 1000,
        "" if state is None else f"P{state}",
        tuple(_process(p.pid, getattr(p, "usedGpuMemory", None)) for p in {p.pid: p for p in running}.values()),
    )


def _process(pid: int, memory: int | None) -> GpuProcess:
    try:
        user = _user(os.stat(f"/proc/{pid}").st_uid)
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        user, name = "?", "?"
    return GpuProcess(pid, user, name, memory)


@cache
def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
