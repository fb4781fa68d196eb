"""A recipe as a plain PyTorch script: the network, the data, the loop, and nothing of mlptui."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import literal, to_text
from mlptui.core.architecture.tree import Layer
from mlptui.core.errors import UsageError
from mlptui.core.recipe import Recipe
from mlptui.core.schedule import ONE_CYCLE_END, ONE_CYCLE_RISE, ONE_CYCLE_START
from mlptui.datasets.dataset import IMAGES, Dataset, Facts
from mlptui.engine import blocks, seeding
from mlptui.engine.export import template


@dataclass(frozen=True)
class Circumstances:
    """What a run found out by itself: the threads it had (0: one a core), whether it took oneDNN's product, its device."""

    threads: int = 0
    onednn: bool = False
    device: str = "cpu"


def script(
    recipe: Recipe,
    facts: Facts,
    circumstances: Circumstances,
    name: str = "train.py",
    trained: str = "",
    beside: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The script. `recipe` is settled, `facts` are its data set's; `trained` is a file beside it with weights to judge.

    `beside` has the names of copies that lie beside the script, by a person's files as the network's text has them; others are
    imported from where they are. What a script cannot train as a run does it only judges. Raises UsageError where that is all.
    """
    cannot = cannot_train(recipe)
    if cannot and not trained:
        raise UsageError(f"a script cannot {cannot}; print it without that")
    tree = parse(recipe.architecture)
    arrays, stem = f"{facts.name}.npz", name.rpartition(".")[0] or name
    outside = references.files(tree)
    threads = circumstances.threads or recipe.threads or "torch.get_num_threads()"
    seeds = template.SEEDS_OF_OTHERS if outside else ""
    normalise, numbers = _normalise(recipe, facts), _targets(recipe, facts)
    more = "".join(f", and {beside.get(file, file)}" for file in outside)
    only = f"\n\nIt judges and does not train: it cannot {cannot}." if cannot else ""
    torchvision = any(references.split(layer.kind)[0] == references.TORCHVISION for _, layer in tree.walk())
    autocast, evaluating = _autocast(recipe), _autocast(recipe, evaluation=True)
    main = template.ONLY_JUDGE if cannot else template.JUDGE if trained else template.TRAIN
    parts = [
        template.HEAD.format(
            title=f"{_plain(recipe.name or facts.name)}: {recipe.epochs} epochs of {recipe.optimizer.name}",
            arrays=_plain(arrays), more=_plain(more), name=_plain(name), only=only, seed=recipe.seed, epochs=recipe.epochs,
            batch_size=recipe.batch_size, lr=recipe.optimizer.lr, device=circumstances.device, threads=threads,
        ),
        template.ONEDNN if circumstances.onednn else "",
        template.SEEDS.format(
            weights=seeding.WEIGHTS, order=seeding.ORDER, step=seeding.STEP, mix=inspect.getsource(seeding.mix)
        ),
        template.DATA.format(arrays=arrays, share=recipe.data.validation, targets=numbers, normalise=normalise),
        *_classes(tree),
        template.OWN if outside else "",
        template.TORCHVISION if torchvision else "",
        template.NETWORK.format(body=_body(tree, beside)),
        template.LOSS[recipe.loss],
        template.BEGIN.format(seeds=seeds, probe=_probe(tree)),
        "" if cannot else template.TRAINING.format(
            rate=_rate(recipe), optimizer=_optimizer(recipe), clip=_clip(recipe), autocast=autocast
        ),
        template.EVALUATE.format(autocast_evaluation=evaluating),
        main.format(weights=trained or f"{stem}.pt"),
    ]  # fmt: skip
    return "".join(parts)


def cannot_train(recipe: Recipe) -> str:
    """What a run does and a script cannot, as a verb; "" where it can train as the run does."""
    if recipe.data.augments:
        return "shift, flip or crop as a run does"
    if recipe.parent:
        return f"go on from another run's checkpoint ({_plain(recipe.parent)})"
    if recipe.weights:
        return "begin with weights that it was given"
    if recipe.on_divergence == "skip":
        return "leave diverging steps out (on_divergence = skip)"
    return ""


def _plain(text: str) -> str:
    """Words for a docstring: nothing in them ends or escapes it."""
    return "".join(c if c.isprintable() and c not in '"\\' else "_" for c in text)


def write_arrays(data: Dataset, file: Path) -> None:
    """What the script reads: the stored numbers, as they are. Raises OSError."""
    import numpy as np

    np.savez(
        file,
        train_inputs=data.train.inputs,
        train_targets=data.train.targets,
        test_inputs=data.test.inputs,
        test_targets=data.test.targets,
    )


def _classes(tree: Layer) -> Iterator[str]:
    """The sources of d2l's classes that the network uses."""
    for kind in dict.fromkeys(layer.kind for _, layer in tree.walk()):
        if hasattr(blocks, kind):
            yield "\n\n" + inspect.getsource(getattr(blocks, kind))


def _body(tree: Layer, beside: Mapping[str, str]) -> str:
    """The function's body: bindings of tied layers, then the network."""

    def own(file: str, name: str) -> str:
        place = f"Path(__file__).parent / {beside[file]!r}" if file in beside else repr(references.absolute(file))
        return f"own({place}, {name!r})"

    if tree.reference and not tree.ties:
        where, name = references.split(tree.kind)
        given = ", ".join(f"{n}={literal(v)}" for n, v in tree.arguments)
        if where == references.TORCHVISION:
            return f"    return of_torchvision({name!r})({given})"
        return f"    made = {own(where, name)}\n    return made if isinstance(made, nn.Module) else made({given})"
    text = to_text(tree, 100, inline=True)
    lines = text.splitlines()
    if tree.ties:
        lines.append("return net")
    else:
        first = ast.parse(text).body[-1].lineno - 1
        lines[first] = "return " + lines[first]
    for i, line in enumerate(lines):
        if bound := re.fullmatch(r'(\w+) = "(.+\.py|torchvision):(\w+)"', line):  # code from elsewhere, by where it is
            outside = bound[2] == references.TORCHVISION
            lines[i] = f"{bound[1]} = " + (f"of_torchvision({bound[3]!r})" if outside else own(bound[2], bound[3]))
    return "\n".join("    " + line if line else "" for line in lines)


def _targets(recipe: Recipe, facts: Facts) -> str:
    if not facts.regression:
        return "def targets(found):\n    return torch.from_numpy(found.astype(np.int64))\n"
    if recipe.data.normalise == "standard" and facts.target:
        return (
            "def targets(found):\n    # brought to mean 0 and deviation 1 of the training set\n"
            f"    return torch.from_numpy(((found.astype(np.float64) - {facts.target.mean!r}) / {facts.target.deviation!r})"
            ".astype(np.float32))\n"
        )
    return "def targets(found):\n    return torch.from_numpy(found.astype(np.float32))\n"


def _normalise(recipe: Recipe, facts: Facts) -> str:
    """The same products and differences, in the same order, as engine.batches.normaliser."""
    kind = recipe.data.normalise
    head = 'def normalise(inputs):\n    """Stored numbers as the network gets them."""\n'
    if kind == "none":
        return head + "    return inputs.to(torch.float32, copy=True).mul_(1.0).sub_(0.0)\n"
    if facts.kind == IMAGES and kind == "range":
        return head + "    return inputs.to(torch.float32, copy=True).mul_(1 / 255).sub_(0.0)\n"
    if facts.kind == IMAGES and len(facts.mean) == 1:
        return (
            f"MEAN, DEVIATION = {facts.mean[0]!r}, {facts.deviation[0]!r}\n\n\n"
            + head
            + "    return inputs.to(torch.float32, copy=True).mul_(1 / (255 * DEVIATION)).sub_(MEAN / DEVIATION)\n"
        )
    if facts.kind == IMAGES:
        return (
            f"MEAN, DEVIATION = torch.tensor([{facts.mean!r}, {facts.deviation!r}], dtype=torch.float64)[:, :, None, None]\n"
            "SCALE, AFTER = (1 / (255 * DEVIATION)).float().to(DEVICE), (MEAN / DEVIATION).float().to(DEVICE)\n\n\n"
            + head
            + "    return inputs.to(torch.float32, copy=True).mul_(SCALE).sub_(AFTER)\n"
        )
    if kind == "range":
        low, high = tuple(c.low for c in facts.columns), tuple(c.high for c in facts.columns)
        made = (
            f"LOW, HIGH = (torch.tensor(v, dtype=torch.float64) for v in ({low!r}, {high!r}))\n"
            "EXTENT = torch.where(HIGH > LOW, HIGH - LOW, torch.ones_like(LOW))\n"
            "BEFORE, SCALE = LOW.float().to(DEVICE), (1 / EXTENT).float().to(DEVICE)\n\n\n"
        )
    else:
        mean, deviation = tuple(c.mean for c in facts.columns), tuple(c.deviation for c in facts.columns)
        made = (
            f"MEAN, DEVIATION = (torch.tensor(v, dtype=torch.float64) for v in ({mean!r}, {deviation!r}))\n"
            "BEFORE, SCALE = MEAN.float().to(DEVICE), (1 / DEVIATION).float().to(DEVICE)\n\n\n"
        )
    return made + head + "    return inputs.to(torch.float32, copy=True).sub_(BEFORE).mul_(SCALE).sub_(0.0)\n"


def _probe(tree: Layer) -> str:
    lazy = any(layer.kind.startswith("Lazy") for _, layer in tree.walk())
    if not lazy and not tree.reference:
        return ""
    return (
        "\n    model.eval()"
        "\n    with torch.no_grad():"
        "\n        model(normalise(training[0][:2]).cpu())  # gives lazy layers their sizes"
    )


def _optimizer(recipe: Recipe) -> str:
    wanted = recipe.optimizer
    parameters = "[p for p in model.parameters() if p.requires_grad]"
    decay = f", weight_decay={wanted.weight_decay}"
    match wanted.name:
        case "sgd":
            more = f", momentum={wanted.momentum}, nesterov={wanted.nesterov}{decay}, fused=DEVICE.type in ('cpu', 'cuda')"
            return f"torch.optim.SGD({parameters}, lr=LEARNING_RATE{more})"
        case "rmsprop":
            return f"torch.optim.RMSprop({parameters}, lr=LEARNING_RATE, momentum={wanted.momentum}{decay})"
    kind = {"adam": "Adam", "adamw": "AdamW"}[wanted.name]
    return f"torch.optim.{kind}({parameters}, lr=LEARNING_RATE{decay}, fused=DEVICE.type in ('cpu', 'cuda'))"


def _clip(recipe: Recipe) -> str:
    if not recipe.clip_norm:
        return ""
    return f"\n            nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], {recipe.clip_norm})"


def _autocast(recipe: Recipe, evaluation: bool = False) -> str:
    if recipe.precision != "bfloat16":
        return ""
    if evaluation:
        return ", torch.autocast(DEVICE.type, torch.bfloat16)"
    return "with torch.autocast(DEVICE.type, torch.bfloat16):\n                "


def _rate(recipe: Recipe) -> str:
    """core.schedule.factor for this recipe alone."""
    schedule = recipe.schedule
    lines = []
    if schedule.warmup_steps or schedule.name in ("cosine", "one-cycle"):
        lines.append(f"    warmup = min({schedule.warmup_steps}, max(0, total - 1))")
        lines += ["    if step < warmup:", "        return (step + 1) / (warmup + 1)"]
        lines.append("    done, length = step - warmup, max(1, total - warmup)")
    else:
        lines.append("    done = step")
    cosine = "{end} + ({start} - {end}) * 0.5 * (1 + math.cos(math.pi * min(1.0, {share})))"
    match schedule.name:
        case "constant":
            lines.append("    return 1.0")
        case "step":
            lines.append(f"    return {schedule.gamma} ** (done // max(1, {schedule.step_epochs} * per_epoch))")
        case "cosine":
            lines.append("    return " + cosine.format(start=1.0, end=schedule.floor, share="done / length"))
        case "one-cycle":
            lines.append(f"    top = max(1.0, {ONE_CYCLE_RISE} * length - 1)")
            lines.append("    if done <= top:")
            lines.append("        return " + cosine.format(start=ONE_CYCLE_START, end=1.0, share="done / top"))
            falling = cosine.format(start=1.0, end=ONE_CYCLE_END, share="(done - top) / max(1.0, length - 1 - top)")
            lines.append("    return " + falling)
    return "\n".join(lines)
