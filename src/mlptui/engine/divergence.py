"""Where a training left the finite numbers: the last steps are replayed exactly, watching every layer."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from mlptui.engine.session import Session


@dataclass(frozen=True)
class Diagnosis:
    """`step` counts from 1. `last_good` is the captured session after the last step whose weights were all finite."""

    step: int
    what: str
    last_good: dict[str, Any]


def locate(session: Session, before: dict[str, Any], seen_at: int) -> Diagnosis:
    """Replay from `before` (a capture with finite weights) until something is not finite, at the latest at step `seen_at`.

    Randomness is counted, so the replay takes the same batches and drops the same units, at the learning rates that were
    set since. The session ends in the state `last_good`.
    """
    before = {**before, "progress": replace(before["progress"], knobs=session.progress.knobs)}
    session.restore(before)
    good = before
    session.model.train()
    while session.progress.step < seen_at:
        step = session.progress.step
        fault = _step(session)
        if fault:
            session.restore(good)
            return Diagnosis(step + 1, fault, good)
        session.progress.step += 1
        good = session.capture()
    session.restore(before)
    return Diagnosis(seen_at, "a replay did not find the layer (the device adds in another order each time)", before)


def _step(session: Session) -> str:
    """One step; empty, or a sentence about the first thing that was not finite."""
    step = session.progress.step
    inputs, targets = next(iter(session.train.epoch(step // session.steps_per_epoch, step % session.steps_per_epoch)))
    faults: list[str] = []
    hooks = [m.register_forward_hook(_watch(n, faults)) for n, m in session.model.named_modules() if not list(m.children())]
    try:
        session.prepare_step()
        with session.autocast():
            outputs = session.model(inputs)
        loss = session.objective.loss(outputs.float(), targets)
    finally:
        for hook in hooks:
            hook.remove()
    if faults:
        return faults[0]
    if not torch.isfinite(loss):
        return "the loss itself, while every layer's output was finite"
    session.optimizer.zero_grad()
    loss.backward()
    for name, parameter in reversed(list(session.model.named_parameters())):
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"gradient of {_layer(session.model, name)}"
    session.clip()
    session.optimizer.step()
    for name, parameter in session.model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"weights of {_layer(session.model, name)} after the step (learning rate {session.rate(step):.4g})"
    return ""


def _watch(name: str, faults: list[str]):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
            faults.append(f"output of layer {name or 'network'} ({module})")

    return hook


def _layer(model: nn.Module, parameter: str) -> str:
    path, _, name = parameter.rpartition(".")
    return f"layer {path or 'network'} ({model.get_submodule(path)}), {name}"
