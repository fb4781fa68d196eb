"""A session's tensors as safetensors bytes and back. Ties are saved once; their other names stand in the metadata."""

import json
from dataclasses import asdict, fields
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mlptui.core.errors import CheckpointError
from mlptui.engine.session import Progress
from mlptui.store import checkpoints

MODEL, TRAINING = checkpoints.MODEL, "training.safetensors"


def encode(captured: dict[str, Any]) -> dict[str, bytes]:
    """The checkpoint's files: plain state_dict keys in one, everything else that exact resume needs in the other."""
    state = captured["optimizer"]["state"]
    tensors = {
        f"optimizer.{index}.{name}": value.detach().cpu().contiguous()
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }
    plain = {
        str(index): {name: value for name, value in values.items() if not isinstance(value, torch.Tensor)}
        for index, values in state.items()
    }
    tensors |= {f"random.{name}": state for name, state in captured["random"].items()}
    facts = {
        "optimizer_state": plain,
        "param_groups": captured["optimizer"]["param_groups"],
        "progress": _named(captured["progress"]),
    }
    return {
        MODEL: encode_weights(captured["model"]),
        TRAINING: save_tensors(tensors, metadata={"mlptui": json.dumps(facts)}),
    }


def encode_weights(state: dict[str, torch.Tensor]) -> bytes:
    """A state_dict as a safetensors file; ties are written once, their other names stand in the metadata."""
    weights, aliases = _untied(state)
    return bytes(save_tensors(weights, metadata={"format": "pt", **aliases}))


def decode(model_bytes: bytes, training_bytes: bytes) -> dict[str, Any]:
    """What `Session.capture` gave. The bytes must be verified already. Raises CheckpointError."""
    try:
        weights = weights_of(model_bytes)
        tensors = load_tensors(training_bytes)
        facts = json.loads(_metadata(training_bytes)["mlptui"])
        state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in facts["optimizer_state"].items()}
        for key, tensor in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == "optimizer":
                index, _, name = rest.partition(".")
                state.setdefault(int(index), {})[name] = tensor
        known = {f.name for f in fields(Progress)}
        progress = Progress(**{k: _unnamed(v) for k, v in facts["progress"].items() if k in known})
        groups = facts["param_groups"]
    except Exception as error:  # safetensors and json raise nine different types
        raise CheckpointError(f"the checkpoint's tensors cannot be read: {error}") from None
    return {
        "model": weights,
        "optimizer": {"state": state, "param_groups": groups},
        "progress": progress,
        "random": {name.partition(".")[2]: t for name, t in tensors.items() if name.startswith("random.")},
    }


def weights_of(model_bytes: bytes) -> dict[str, torch.Tensor]:
    """The state_dict in a checkpoint's verified bytes."""
    weights: dict[str, torch.Tensor] = load_tensors(model_bytes)
    return weights | {alias: weights[kept] for alias, kept in _metadata(model_bytes).items() if alias != "format"}


def _untied(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by their first name, and other names of the same tensor."""
    first: dict[tuple[object, ...], str] = {}
    weights: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            weights[name] = tensor.detach().cpu().contiguous()
    return weights, aliases


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    assert isinstance(found, dict)
    return found


def _named(progress: Progress) -> dict[str, Any]:
    return {k: repr(v) if isinstance(v, float) else v for k, v in asdict(progress).items()}


def _unnamed(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
