"""One batch forward and backward through a copy of the network, and what can be learned from that."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from mlptui.core.parameters.messages import Depth, Train, Use, View, Viewed
from mlptui.core.recipe import CROSS_ENTROPY, MEAN_SQUARED, Optimizer
from mlptui.core.text import safe
from mlptui.core.wire import Input
from mlptui.engine import objective, optimisers
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect import inputs
from mlptui.engine.inspect.copies import copied, only_copies, same_randomness
from mlptui.engine.inspect.inputs import Batch
from mlptui.engine.inspect.places import spots
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named, tensors
from mlptui.engine.seeding import BENCH, mix, seed_step
from mlptui.store.paths import Paths

CPU = torch.device("cpu")
MAX_STEPS, MAX_BATCH = 1000, 4096
DEPTHS = 400  # layers of a preview


@dataclass(frozen=True)
class Training:
    """Where the steps of the bench have come to: how many, and the optimiser's state by the paths of its parameters."""

    steps: int = 0
    optimizer: str = ""
    state: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """What one or more steps did: a copy of the network with gradients and new numbers, the losses, and where training is.

    `moved` is the norm of the last update over the norm before it, by the paths of parameters.
    """

    twin: nn.Module
    losses: tuple[float, ...]
    training: Training
    goal: str
    moved: dict[str, float]


def batch_of(model: nn.Module, wanted: Input, size: int, paths: Paths, step: int = 0) -> Batch:
    """The `step`-th batch of the data, from the beginning again at its end; random numbers without a data set."""
    if not wanted.data:
        return inputs.batch(model, wanted, size, paths, step)
    return inputs.batch(model, wanted, size, paths, step * size % max(1, inputs.length(paths, wanted.data) - size + 1))


def loss_of(outputs: object, batch: Batch) -> tuple[torch.Tensor, str]:
    """The mean loss and its name; without targets the mean square of the outputs. Raises ParameterError."""
    if not isinstance(outputs, torch.Tensor) or not outputs.is_floating_point():
        raise ParameterError("the network gives no floating point numbers, so there is no loss to differentiate")
    if batch.targets is None:
        return outputs.square().mean(), "mean square of the outputs"
    classes = not batch.targets.is_floating_point()
    if classes and (outputs.dim() != 2 or outputs.shape[1] <= int(batch.targets.max())):
        least = int(batch.targets.max()) + 1
        raise ParameterError(
            f"the network gives {list(outputs.shape)}; {least} or more classes need [{len(outputs)}, {least}]"
        )
    if not classes and outputs.numel() != batch.targets.numel():
        raise ParameterError(f"the network gives {list(outputs.shape)}; one number a sample is wanted")
    goal = objective.make(CROSS_ENTROPY if classes else MEAN_SQUARED, 1.0)
    return goal.loss(outputs, batch.targets), "cross-entropy" if classes else "mean squared error"


def _forward(model: nn.Module, twin: nn.Module, batch: Batch) -> tuple[torch.Tensor, str]:
    """Raises ParameterError."""
    try:
        with only_copies(model):
            return loss_of(twin(batch.inputs), batch)
    except ParameterError:
        raise
    except Exception as error:
        raise ParameterError(
            f"the batch {list(batch.inputs.shape)} does not pass: {one_line(error)}; i in area 2 gives another input"
        ) from None


def train(model: nn.Module, wanted: Train, before: Training, paths: Paths, seed: int) -> Pass:
    """Gradients of one batch; or `steps` updates, each on the next batch, going on from where training was.

    Raises ParameterError, CopyError, InputError.
    """
    if not 0 <= wanted.steps <= MAX_STEPS or not 1 <= wanted.batch_size <= MAX_BATCH:
        raise ParameterError(f"up to {MAX_STEPS:,} steps of up to {MAX_BATCH:,} samples are done on the bench")
    if any(named.lazy for named in tensors(model).values()):
        raise ParameterError("some layers wait for their sizes; give the network an input first (! in area 2)")
    twin = copied(model)
    parameters = {path: n.tensor for path, n in tensors(twin).items() if n.kind == "parameter" and not n.alias_of}
    learning = {path: p for path, p in parameters.items() if p.requires_grad}
    if not learning:
        raise ParameterError("no parameter learns: all are frozen, or there is none")
    optimizer = None
    if wanted.steps:
        optimizer = _optimizer(wanted, learning, before)
    losses, goal = [], ""
    moved: dict[str, float] = {}
    with same_randomness(), torch.enable_grad():
        for number in range(max(1, wanted.steps)):
            batch = batch_of(model, wanted.input, wanted.batch_size, paths, before.steps + number)
            seed_step(mix(seed, BENCH), before.steps + number, CPU)
            twin.zero_grad(set_to_none=True)
            loss, goal = _forward(model, twin, batch)
            if loss.grad_fn is None:
                raise ParameterError("nothing that learns leads to the loss, so there are no gradients")
            try:
                loss.backward()
            except Exception as error:
                raise ParameterError(f"the backward pass fails: {one_line(error)}") from None
            losses.append(float(loss.detach()))
            if optimizer is not None:
                last = number == wanted.steps - 1
                before_it = {path: p.detach().clone() for path, p in learning.items()} if last else {}
                optimizer.step()
                moved = {path: _share(p.detach(), before_it[path]) for path, p in learning.items()} if last else {}
    training = before
    if optimizer is not None:
        paths_of = {id(p): path for path, p in learning.items()}
        state = {paths_of[id(p)]: dict(values) for p, values in optimizer.state.items()}
        training = Training(before.steps + wanted.steps, _told(wanted), state)
    return Pass(twin, tuple(losses), training, goal, moved)


def _share(now: torch.Tensor, before: torch.Tensor) -> float:
    norm, change = float(before.double().norm()), float((now.double() - before.double()).norm())
    return change / norm if norm else math.inf if change else 0.0


def _told(wanted: Train) -> str:
    return f"{wanted.optimizer}, momentum {wanted.momentum:g}" if wanted.momentum else wanted.optimizer


def _optimizer(wanted: Train, learning: dict[str, nn.Parameter | torch.Tensor], before: Training) -> torch.optim.Optimizer:
    try:
        recipe = Optimizer.model_validate(
            {
                "name": wanted.optimizer,
                "lr": wanted.rate,
                "momentum": wanted.momentum if wanted.optimizer in ("sgd", "rmsprop") else 0.0,
                "weight_decay": wanted.weight_decay,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParameterError(f"{first['loc'][0] if first['loc'] else 'optimizer'}: {first['msg']}") from None
    optimizer = optimisers.make(recipe, learning.values(), CPU)  # type: ignore[arg-type]
    kept = {path: before.state[path] for path in learning if path in before.state}
    if before.optimizer == _told(wanted) and all(_continues(kept[path], learning[path]) for path in kept):
        if kept and wanted.optimizer == "sgd":  # its fused step takes all or none; zeros are what none means
            kept |= {path: {"momentum_buffer": torch.zeros_like(p)} for path, p in learning.items() if path not in kept}
        for path, values in kept.items():
            copy = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in values.items()}
            optimizer.state[learning[path]] = copy
    return optimizer


def _continues(kept: dict[str, Any], parameter: torch.Tensor) -> bool:
    """Whether an optimiser's state is still that of a parameter; where one is not, all begin anew."""
    moments = [v for v in kept.values() if isinstance(v, torch.Tensor) and v.dim() > 0]
    return all(v.shape == parameter.shape and v.dtype == parameter.dtype for v in moments)


def uses(model: nn.Module, wanted: View, paths: Paths, seed: int, step: int) -> Viewed:
    """The gradient of a parameter by its uses: each use gets a copy of it, and the copy's gradient is that use's part.

    Raises ParameterError, CopyError.
    """
    path, twin, whole = wanted.path, copied(model), copied(model)
    batch = batch_of(model, wanted.input, max(1, min(wanted.batch_size, MAX_BATCH)), paths, step)
    found = tensors(twin)
    target = found[path].tensor
    if not target.requires_grad:
        why = (
            "it is frozen, so it has no gradient"
            if found[path].kind == "parameter"
            else f"a {found[path].kind} does not learn"
        )
        return Viewed(path=path, show="uses", why=why)
    parts: list[tuple[str, int, torch.Tensor]] = []
    hooks = []
    holders = {(id(n.module), n.name): n for n in found.values() if n.tensor is target}
    for holder in holders.values():
        stands = [".".join(s.place) for s in spots(twin) if s.module is holder.module]
        hooks += _split(holder, target, stands, parts)
    with same_randomness(), torch.enable_grad():
        for one in (twin, whole):
            seed_step(mix(seed, BENCH), step, CPU)
            loss, _ = _forward(model, one, batch)
            loss.backward()
    for hook in hooks:
        hook.remove()
    gradient = tensors(whole)[path].tensor.grad
    if gradient is None:
        return Viewed(path=path, show="uses", why="nothing leads from it to the loss, so it has no gradient")
    total = sum((p.grad.double() for *_, p in parts if p.grad is not None), torch.zeros_like(gradient, dtype=torch.float64))
    if target.grad is not None:  # used past its layers, by a person's own code
        total = total + target.grad.double()
    found_uses = [
        Use(place=safe(place, 200), call=call, norm=float(p.grad.double().norm()) if p.grad is not None else 0.0)
        for place, call, p in parts
    ]
    if target.grad is not None:
        found_uses.append(Use(place="elsewhere", call=1, norm=float(target.grad.double().norm())))
    return Viewed(
        path=path,
        show="uses",
        shape=tuple(gradient.shape),
        uses=tuple(found_uses),
        norm=float(gradient.double().norm()),
        difference=float((total - gradient.double()).abs().max()) if gradient.numel() else 0.0,
    )


def _split(holder: Named, target: torch.Tensor, stands: list[str], parts: list[tuple[str, int, torch.Tensor]]) -> list[Any]:
    """While a call of the module lasts, a copy stands in for the parameter."""
    calls = 0

    def enters(module: nn.Module, _: object) -> None:
        nonlocal calls
        calls += 1
        place = stands[(calls - 1) % len(stands)]
        own = nn.Parameter(target.detach().clone())
        parts.append((place, (calls - 1) // len(stands) + 1, own))
        module._parameters[holder.name] = own

    def leaves(module: nn.Module, *_: object) -> None:
        assert isinstance(target, nn.Parameter)
        module._parameters[holder.name] = target

    return [
        holder.module.register_forward_pre_hook(enters),
        holder.module.register_forward_hook(leaves, always_call=True),
    ]


def depth(model: nn.Module, batch: Batch, change: Callable[[nn.Module], None]) -> list[Depth]:
    """Deviations of each layer's outputs and of the gradients that reach them: as the network is, and after `change`.

    Raises ParameterError, CopyError.
    """
    found: list[dict[str, Any]] = []
    for number, act in enumerate((None, change)):
        twin = copied(model)
        if act is not None:
            act(twin)
        names = {
            id(spot.module): (".".join(spot.place), type(spot.module).__name__)
            for spot in reversed(spots(twin))
            if not spot.module._modules
        }
        calls: list[dict[str, Any]] = []
        hooks = [m.register_forward_hook(_watch(names, calls)) for m in twin.modules() if id(m) in names]
        with same_randomness(), torch.enable_grad():
            seed_step(0, 0, CPU)
            for p in twin.parameters():
                p.requires_grad_(p.is_floating_point())
            loss, _ = _forward(model, twin, batch)
            if loss.grad_fn is not None:
                loss.backward()
        for hook in hooks:
            hook.remove()
        if number == 0:
            found = calls
        else:
            return [
                Depth(
                    place=safe(a["place"], 200),
                    layer=safe(a["layer"], 80),
                    forward=(a["forward"], b["forward"]),
                    backward=(a.get("backward"), b.get("backward")),
                )
                for a, b in zip(found, calls, strict=False)
            ]
    return []


def _watch(names: dict[int, tuple[str, str]], calls: list[dict[str, Any]]) -> Callable[..., None]:
    def seen(module: nn.Module, _: object, output: object) -> None:
        if len(calls) >= DEPTHS or not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return
        place, layer = names[id(module)]
        entry: dict[str, Any] = {"place": place, "layer": layer, "forward": _deviation(output)}
        calls.append(entry)
        if output.requires_grad:
            output.register_hook(lambda gradient: entry.__setitem__("backward", _deviation(gradient)))

    return seen


def _deviation(tensor: torch.Tensor) -> float:
    return float(tensor.detach().double().std(correction=0)) if tensor.numel() else 0.0
