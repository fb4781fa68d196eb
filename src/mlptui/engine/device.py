"""The recipe's device as a torch device, and what torch can say of it."""

import os

import torch

from mlptui.core.errors import DeviceError
from mlptui.devices.cpu import CpuReader


def resolve(wanted: str) -> torch.device:
    """Raises DeviceError with the reason, never falls back silently.

    A GPU was chosen by UUID before this process started (`CUDA_VISIBLE_DEVICES`), so here it is always number 0.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if wanted == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("mps was asked for, but this torch or this machine has none; use --device cpu")
        return torch.device("mps")
    if wanted == "auto":
        if torch.cuda.is_available() and _has_kernels():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not torch.backends.cuda.is_built():
        raise DeviceError(
            f"{wanted} was asked for, but this torch {torch.__version__} is built without CUDA; use --device cpu"
        )
    if not torch.cuda.is_available() or not _has_kernels():
        raise DeviceError(
            f"{wanted} was asked for, but torch {torch.__version__} (CUDA {torch.version.cuda}) cannot use it: "
            "the driver is too old or the GPU's generation is no longer supported; compare with nvidia-smi"
        )
    return torch.device("cuda", 0)


def unused_gpu() -> str:
    """Why `auto` went to the CPU although the driver showed a GPU; empty where it showed none."""
    if "MLPTUI_GPU_INDEX" not in os.environ:
        return ""
    return (
        f"training on the CPU: the driver shows a GPU, but torch {torch.__version__} (CUDA {torch.version.cuda}) cannot "
        "use it; the driver is too old for this torch, or the GPU's generation is no longer supported"
    )


def _has_kernels() -> bool:
    """Whether this torch was built for the first GPU's generation (or carries code that the driver can translate for it)."""
    major, minor = torch.cuda.get_device_capability(0)
    built = [int(name.partition("_")[2].rstrip("af")) for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    return not built or major * 10 + minor >= min(built)


def describe(device: torch.device) -> str:
    if device.type == "cuda":
        asked = os.environ.get("MLPTUI_GPU_INDEX")
        return f"cuda:{asked if asked is not None else device.index or 0} {torch.cuda.get_device_name(device)}"
    return device.type


def free_memory(device: torch.device) -> int | None:
    """Bytes free on the device; None where nobody can say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return CpuReader().read().memory_available


def environment(device: torch.device, matmul: str, precision: str) -> dict[str, object]:
    """What must be equal for a resume to be bit-exact."""
    return {
        "torch": torch.__version__,
        "device": describe(device),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "matmul": matmul,
        "precision": precision,
    }


def differences(saved: dict[str, object], now: dict[str, object]) -> str:
    """Empty where a resume is bit-exact; else what differs: `threads 1 -> 8`."""
    found = [f"{name} {saved.get(name)} -> {value}" for name, value in now.items() if saved.get(name) != value]
    if str(now["device"]).startswith("cuda"):
        found.append("GPU kernels may add in another order")
    return ", ".join(found)
