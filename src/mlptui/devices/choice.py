"""From the device that a recipe asks for to the environment that its trainer gets."""

import os

from mlptui.core.errors import DeviceError
from mlptui.devices import gpu


def environment(wanted: str, gpus: gpu.Gpus | None = None) -> dict[str, str]:
    """Environment variables that make torch see exactly the wanted device.

    CUDA numbers GPUs by speed and NVML by bus, so a GPU is always handed over by its UUID. `auto` takes the GPU with the most
    free memory, and leaves the choice to torch where the driver shows none. Where somebody (Slurm, a person) has set
    CUDA_VISIBLE_DEVICES, `auto` and `cuda` stay within it. Raises DeviceError.
    """
    if wanted in ("cpu", "mps"):
        return {"CUDA_VISIBLE_DEVICES": ""}
    if wanted.startswith("MIG-"):
        return {"CUDA_VISIBLE_DEVICES": wanted}
    if wanted in ("auto", "cuda") and os.environ.get("CUDA_VISIBLE_DEVICES"):
        return {}
    found = gpu.read() if gpus is None else gpus
    if wanted == "auto":
        if not found.gpus:
            return {}
        return _only(max(found.gpus, key=lambda g: g.memory_free or 0))
    chosen = gpu.find(wanted, found)
    if chosen:
        return _only(chosen)
    there = ", ".join(f"cuda:{g.index}" for g in found.gpus)
    raise DeviceError(f"{wanted} is not here: " + (f"there are {there}" if there else found.reason))


def _only(chosen: gpu.Gpu) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": chosen.uuid, "MLPTUI_GPU_INDEX": str(chosen.index)}
