"""Where tensors come from on the command line: a network, a checkpoint, a run's newest checkpoint, a file of tensors."""

from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from mlptui.core.architecture.tree import SEQUENTIAL, Layer
from mlptui.core.bench import Open, Refused
from mlptui.core.errors import MlptuiError
from mlptui.core.text import safe
from mlptui.engine import weights
from mlptui.engine.bench.states import State
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.codec import MODEL
from mlptui.engine.foreign import one_line
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store import atomic, checkpoints, rundir
from mlptui.store.checkpoints import Checkpoint
from mlptui.store.paths import Paths

MAX_FILE = 64 << 30
MANIFEST = "checkpoint.json"


class Folder(nn.Module):
    """What a file of tensors holds, by the dots in its names. It has no forward."""


def opened(paths: Paths, where: str, seed: int, text: str = "") -> Workbench:
    """A workbench with what `where` names: a folder or file, a run's id or `last`; else the network `text`, drawn from `seed`.

    Raises ParameterError, and whatever reading raises.
    """
    workbench = Workbench(paths)
    path = Path(where).expanduser()
    if (path / MANIFEST).is_file():
        return _checkpoint(workbench, checkpoints.load(path))
    if path.suffix == ".safetensors" and path.is_file():
        return _file(workbench, path)
    if where == "last" or (paths.runs / where).is_dir():
        run = rundir.find(paths, where)
        newest, _ = checkpoints.newest_verified(run.checkpoints)
        if newest is None:
            raise ParameterError(f"{run.id} has no checkpoint that can be read")
        return _checkpoint(workbench, newest)
    _open(workbench, text, seed)
    return workbench


def _open(workbench: Workbench, text: str, seed: int) -> None:
    answer = workbench.answer(Open(text=text, seed=seed))
    if isinstance(answer, Refused):
        raise ParameterError(answer.message)


def _checkpoint(workbench: Workbench, checkpoint: Checkpoint) -> Workbench:
    _open(workbench, str(checkpoint.manifest.get("architecture", "")), 0)
    weights.take(workbench.now.model, checkpoint.read(MODEL))
    return workbench


def _file(workbench: Workbench, path: Path) -> Workbench:
    try:
        given = safetensors.torch.load(atomic.read_regular(path, MAX_FILE))
    except (OSError, MlptuiError) as error:
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise ParameterError(f"{safe(str(path), 300)} cannot be read: {reason}") from None
    except Exception as error:
        raise ParameterError(f"{safe(str(path), 300)} is no file of tensors: {one_line(error)}") from None
    model = Folder()
    for name, tensor in sorted(given.items(), key=lambda pair: _natural(pair[0])):
        *inside, last = name.split(".")
        module: nn.Module = model
        for part in inside:
            if part not in module._modules:
                module.add_module(part, Folder())
            child = module._modules[part]
            assert child is not None
            module = child
        if not last or last in module._modules or last in module._parameters:
            raise ParameterError(f"{safe(name, 100)} is no name that a tensor of a network can have")
        parameter = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        contents.loaded(parameter)
        module._parameters[last] = parameter
    workbench.states.enter(State(Layer(SEQUENTIAL), model, {}, ""))
    return workbench


def _natural(name: str) -> list[tuple[int, str]]:
    """`2.weight` before `10.weight`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def difference(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float, float, float]:
    """Largest absolute difference, that over the largest of `one`, cosine, and the share of numbers that differ.

    nan and nan are the same.
    """
    a, b = one.detach().double().reshape(-1), other.detach().double().reshape(-1)
    if not a.numel():
        return 0.0, 0.0, 1.0, 0.0
    same = (a == b) | (a.isnan() & b.isnan())
    gap = torch.where(same, 0.0, (a - b).abs())
    largest = float(gap.max())
    norm = float(a.norm() * b.norm())
    scale = float(a.abs().max())
    cosine = float(a @ b) / norm if norm else float("nan")
    return largest, largest / scale if scale else float("inf") if largest else 0.0, cosine, float((~same).double().mean())
