"""The tree of layers as a torch module."""

from pathlib import Path
from types import ModuleType

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from mlptui.core.architecture.blocks import BLOCKS
from mlptui.core.architecture.printer import describe
from mlptui.core.architecture.tree import SEQUENTIAL, Layer
from mlptui.core.errors import MlptuiError
from mlptui.core.text import count, safe, size
from mlptui.engine import blocks, foreign
from mlptui.engine.foreign import ForeignError, one_line


class BuildError(MlptuiError):
    """The architecture is well-formed but cannot be built or does not fit its input; names the layer."""


def build(tree: Layer, made: dict[int, nn.Module] | None = None, kept: Path | None = None) -> nn.Module:
    """The module, with torch's own initialisation from the present random state. Tied layers are one object.

    `made` has the modules of layers by their identity: those in it are used as they are, new ones are put there.
    `kept` is a folder with a copy of the person's own file, where the network is from one.
    Raises BuildError.
    """
    made = {} if made is None else made
    loaded: dict[str, ModuleType] = {}

    def module(layer: Layer, path: str) -> nn.Module:
        if id(layer) not in made:
            made[id(layer)] = one(layer, path)
        return made[id(layer)]

    def one(layer: Layer, path: str) -> nn.Module:
        try:
            if layer.reference:
                return foreign.make(layer.kind, dict(layer.arguments), kept, loaded)
            if not layer.container:
                result = getattr(blocks if layer.kind in BLOCKS else nn, layer.kind)(**dict(layer.arguments))
                assert isinstance(result, nn.Module)
                return result
            sequential = nn.Sequential() if layer.kind == SEQUENTIAL else blocks.MySequential()
            for name, child in layer.children:
                sequential.add_module(name, module(child, f"{path}.{name}" if path else name))
            return sequential
        except (BuildError, ForeignError):
            raise
        except Exception as error:  # torch's constructors raise seven types, AssertionError and ZeroDivisionError too
            raise BuildError(f"layer {path or 'network'}, {safe(describe(layer), 200)}: {one_line(error)}") from None

    network = module(tree, "")
    for path, same_as in tree.ties:
        _tie(network, path, same_as)
    return network


def _tie(network: nn.Module, one: str, other: str) -> None:
    """The parameter `one` becomes the `other`. Raises BuildError."""
    try:
        holder, kept = network.get_submodule(one.rpartition(".")[0]), network.get_parameter(other)
        own = network.get_parameter(one)
    except AttributeError as error:
        raise BuildError(f"{safe(one, 80)} cannot be tied to {safe(other, 80)}: {one_line(error)}") from None
    lazy = isinstance(own, UninitializedParameter) or isinstance(kept, UninitializedParameter)
    if lazy or own.shape != kept.shape:
        shapes = "one of them has no size yet" if lazy else f"{list(own.shape)} and {list(kept.shape)} are not of one shape"
        raise BuildError(f"{safe(one, 80)} cannot be tied to {safe(other, 80)}: {shapes}")
    setattr(holder, one.rpartition(".")[2], kept)


def check_fits(tree: Layer, free: int | None, shape: tuple[int, ...]) -> None:
    """Refuse a network whose weights alone would not fit into `free` bytes, before any is allocated. Raises BuildError.

    `shape` is that of a batch of images, by which lazy layers get theirs.
    """
    if any(layer.reference for _, layer in tree.walk()):  # foreign code is not run twice
        return
    with torch.device("meta"):
        sketch = build(tree)
        if any(layer.kind.startswith("Lazy") for _, layer in tree.walk()):
            try:
                with torch.no_grad():
                    sketch.eval()(torch.zeros(shape))
            except Exception:  # a layer that cannot run on meta, or a wrong shape, of which `probe` speaks
                pass
    needed = sum(p.numel() * p.element_size() for p in sketch.parameters() if not isinstance(p, UninitializedParameter))
    if free is not None and 4 * needed > free:
        raise BuildError(
            f"the network has {count(needed // 4)} parameters; training needs about {size(4 * needed)}, {size(free)} are free"
        )


def probe(model: nn.Module, inputs: torch.Tensor, outputs: int, what: str = "") -> None:
    """Run one small batch through the model, which also gives lazy layers their shapes, and check what comes out.

    It must give `outputs` numbers a sample, for `what` the data has (by default as many classes).
    Raises BuildError that names the layer at fault with the shape that reached it.
    """
    where: list[tuple[str, str]] = []

    def entering(name: str):  # type: ignore[no-untyped-def]
        def hook(_: nn.Module, inputs: tuple[object, ...]) -> None:
            where.append((name, shape_of(inputs[0]) if inputs else "nothing"))

        return hook

    hooks = [m.register_forward_pre_hook(entering(n)) for n, m in model.named_modules() if not isinstance(m, nn.Sequential)]
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            output = model(inputs)
    except Exception as error:
        name, shape = where[-1] if where else ("", shape_of(inputs))
        faulty = dict(model.named_modules()).get(name, model)
        raise BuildError(f"layer {name or 'network'}, {short(faulty)}, got {shape}: {one_line(error)}") from None
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    if not isinstance(output, torch.Tensor) or output.shape != (len(inputs), outputs):
        raise BuildError(
            f"the network gives {shape_of(output)} for {len(inputs)} samples; "
            f"{what or f'{outputs} classes'} need{'s' if what else ''} [{len(inputs)}, {outputs}]"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise BuildError("the network has no parameters; there is nothing to train")


def shape_of(value: object) -> str:
    return str(list(value.shape)) if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def short(module: nn.Module) -> str:
    text = repr(module).partition("\n")[0]
    return text if len(text) <= 80 else type(module).__name__


def parameter_count(model: nn.Module) -> int:
    """Trainable and frozen parameters, tied ones once."""
    return sum(p.numel() for p in model.parameters())
