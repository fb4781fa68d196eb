"""A recipe as a plain PyTorch script: the network, the data, the loop, and nothing of mlptui."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import literal, to_text
from mlptui.core.architecture.tree import Layer
from mlptui.core.errors import UsageError
from mlptui.core.recipe import Recipe
from mlptui.core.schedule import ONE_CYCLE_END, ONE_CYCLE_RISE, ONE_CYCLE_START
from mlptui.datasets.dataset import IMAGES, Dataset, Facts
from mlptui.engine import blocks, seeding

HEAD = '''\
"""{title}

Written by mlptui. Needs torch, numpy and {arrays} beside it{more}; run it with: python {name}
"""

import importlib.util
import inspect
import math
import random
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED, EPOCHS, BATCH_SIZE, LEARNING_RATE = {seed}, {epochs}, {batch_size}, {lr}
DEVICE = torch.device({device!r})
torch.set_num_threads({threads})
'''

ONEDNN = """\
torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # oneDNN's product instead of MKL's, as the run used it
"""

SEEDS = """
# Every random choice is a function of the seed and of where it is made, so that a run can be resumed exactly.
WEIGHTS, ORDER, STEP = {weights}, {order}, {step}
_MASK = (1 << 64) - 1


{mix}"""

DATA = '''

def data():
    """(inputs, targets) to train on, to validate on (None without a share) and to test on."""
    arrays = np.load(Path(__file__).parent / {arrays!r})
    share = {share}
    order = np.random.Generator(np.random.PCG64([SEED, 0x5A11D])).random(len(arrays["train_inputs"])).argsort(kind="stable")
    kept = round(len(order) * share)
    train, valid = np.sort(order[kept:]), np.sort(order[:kept])

    def part(split, rows=slice(None)):
        inputs = torch.from_numpy(arrays[f"{{split}}_inputs"][rows]).to(DEVICE)
        return inputs, targets(arrays[f"{{split}}_targets"][rows]).to(DEVICE)

    return part("train", train), part("train", valid) if kept else None, part("test")


{targets}

{normalise}'''

SEEDS_OF_OTHERS = """
    random.seed(mix(SEED, WEIGHTS))
    np.random.seed(mix(SEED, WEIGHTS) & 0xFFFFFFFF)"""

OWN = '''

def own(file, name):
    """A class or function in a Python file; what lies beside the file can be imported by it."""
    if file not in FILES:
        sys.path.append(str(Path(file).parent))
        spec = importlib.util.spec_from_file_location(f"file_{len(FILES)}", file)
        FILES[file] = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(FILES[file])
    return getattr(FILES[file], name)


FILES = {}
'''

TORCHVISION = '''

def of_torchvision(name):
    """One of torchvision's models, without weights."""
    from torchvision import models

    builder = models.get_model_builder(name)
    takes = inspect.signature(inspect.unwrap(builder)).parameters
    backbone = {"weights_backbone": None} if "weights_backbone" in takes else {}
    return lambda **given: builder(weights=None, **backbone, **given)
'''

NETWORK = """

def network():
{body}
"""

LOSS = {
    "cross-entropy": '''

def loss_of(outputs, targets):
    return F.cross_entropy(outputs, targets)


def score(outputs, targets):
    """Accuracy."""
    return (outputs.argmax(1) == targets).double().mean().item()
''',
    "mse": '''

def loss_of(outputs, targets):
    return F.mse_loss(outputs[:, 0], targets)


def score(outputs, targets):
    """R2."""
    error = (outputs[:, 0].double() - targets.double()).square().sum()
    return (1 - error / (targets.double() - targets.double().mean()).square().sum()).item()
''',
}

LOOP = '''

def rate(step, total, per_epoch):
    """The learning rate of a step, counted from 0."""
{rate}


def begin(training):
    """The network with its first weights."""
    torch.manual_seed(mix(SEED, WEIGHTS)){seeds}
    model = network(){probe}
    return model.to(DEVICE)


def train(model, training):
    """Yield (epoch, step, loss) of every training step."""
    optimizer = {optimizer}
    per_epoch = math.ceil(len(training[0]) / BATCH_SIZE)
    step = 0
    for epoch in range(EPOCHS):
        model.train()
        order = torch.randperm(len(training[0]), generator=torch.Generator().manual_seed(mix(SEED, ORDER, epoch)))
        for places in order.split(BATCH_SIZE):
            inputs = normalise(training[0].index_select(0, places.to(DEVICE)))
            targets = training[1].index_select(0, places.to(DEVICE))
            torch.manual_seed(mix(SEED, STEP, step))
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate(step, per_epoch * EPOCHS, per_epoch)
            {autocast}outputs = model(inputs)
            loss = loss_of(outputs.float(), targets)
            optimizer.zero_grad()
            loss.backward(){clip}
            optimizer.step()
            step += 1
            yield epoch, step, loss.item()


def evaluate(model, inputs, targets):
    model.eval()
    with torch.inference_mode(){autocast_evaluation}:
        outputs = torch.cat([model(normalise(part)).float() for part in inputs.split(1000)])
    return f"loss {{loss_of(outputs, targets).item():.4f}}, score {{score(outputs, targets):.4f}}"

'''


TRAIN = """

if __name__ == "__main__":
    training, validation, test = data()
    model = begin(training)
    per_epoch = math.ceil(len(training[0]) / BATCH_SIZE)
    for epoch, step, loss in train(model, training):
        if step % per_epoch == 0:
            told = f", validation {{evaluate(model, *validation)}}" if validation else ""
            print(f"epoch {{epoch + 1}}: loss of the last batch {{loss:.4f}}{{told}}")
    print(f"test {{evaluate(model, *test)}}")
    torch.save(model.state_dict(), {weights!r})
"""

JUDGE = """

if __name__ == "__main__":
    training, validation, test = data()
    model = begin(training)
    if sys.argv[1:] == ["train"]:  # anew, from the seed
        for epoch, step, loss in train(model, training):
            if step % math.ceil(len(training[0]) / BATCH_SIZE) == 0:
                print(f"epoch {{epoch + 1}}: loss of the last batch {{loss:.4f}}")
    else:
        model.load_state_dict(torch.load(Path(__file__).parent / {weights!r}, weights_only=True))
    print(f"test {{evaluate(model, *test)}}")
"""


@dataclass(frozen=True)
class Circumstances:
    """What a run found out by itself: the threads it had (0: one a core), whether it took oneDNN's product, its device."""

    threads: int = 0
    onednn: bool = False
    device: str = "cpu"


def script(recipe: Recipe, facts: Facts, circumstances: Circumstances, name: str = "train.py", trained: str = "") -> str:
    """The script. `recipe` is settled, `facts` are its data set's; `trained` is a file beside it with weights to judge.

    Raises UsageError for what a script cannot say.
    """
    if recipe.data.augments:
        raise UsageError("a script cannot shift, flip or crop as a run does; print it without these")
    if recipe.on_divergence == "skip":
        raise UsageError("a script cannot leave diverging steps out; print it with on_divergence = stop")
    tree = parse(recipe.architecture)
    arrays, stem = f"{facts.name}.npz", name.rpartition(".")[0] or name
    outside = references.files(tree)
    threads = circumstances.threads or recipe.threads or "torch.get_num_threads()"
    seeds = SEEDS_OF_OTHERS if outside else ""
    normalise, numbers = _normalise(recipe, facts), _targets(recipe, facts)
    more = "".join(f", and {file}" for file in outside)
    parts = [
        HEAD.format(
            title=f"{_plain(recipe.name or facts.name)}: {recipe.epochs} epochs of {recipe.optimizer.name}",
            arrays=_plain(arrays), more=_plain(more), name=_plain(name), seed=recipe.seed, epochs=recipe.epochs,
            batch_size=recipe.batch_size, lr=recipe.optimizer.lr, device=circumstances.device, threads=threads,
        ),
        ONEDNN if circumstances.onednn else "",
        SEEDS.format(weights=seeding.WEIGHTS, order=seeding.ORDER, step=seeding.STEP, mix=inspect.getsource(seeding.mix)),
        DATA.format(arrays=arrays, share=recipe.data.validation, targets=numbers, normalise=normalise),
        *_classes(tree),
        OWN if outside else "",
        TORCHVISION if any(references.split(layer.kind)[0] == references.TORCHVISION for _, layer in tree.walk()) else "",
        NETWORK.format(body=_body(tree)),
        LOSS[recipe.loss],
        LOOP.format(
            rate=_rate(recipe), seeds=seeds, probe=_probe(tree), optimizer=_optimizer(recipe), clip=_clip(recipe),
            autocast=_autocast(recipe), autocast_evaluation=_autocast(recipe, evaluation=True),
        ),
        (JUDGE if trained else TRAIN).format(weights=trained or f"{stem}.pt"),
    ]  # fmt: skip
    return "".join(parts)


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


def _body(tree: Layer) -> str:
    """The function's body: bindings of tied layers, then the network."""
    if tree.reference and not tree.ties:
        where, name = references.split(tree.kind)
        given = ", ".join(f"{n}={literal(v)}" for n, v in tree.arguments)
        if where == references.TORCHVISION:
            return f"    return of_torchvision({name!r})({given})"
        file = Path(where).expanduser().absolute()
        return (
            f"    sys.path.append({str(file.parent)!r})\n"
            f"    import {file.stem}\n\n    made = {file.stem}.{name}\n"
            f"    return made if isinstance(made, nn.Module) else made({given})"
        )
    text = to_text(tree, 100, inline=True)
    lines = text.splitlines()
    if tree.ties:
        lines.append("return net")
    else:
        first = ast.parse(text).body[-1].lineno - 1
        lines[first] = "return " + lines[first]
    for i, line in enumerate(lines):
        if own := re.fullmatch(r'(\w+) = "(.+\.py|torchvision):(\w+)"', line):  # code from elsewhere, by where it is
            if own[2] == references.TORCHVISION:
                lines[i] = f"{own[1]} = of_torchvision({own[3]!r})"
            else:
                lines[i] = f"{own[1]} = own({references.absolute(own[2])!r}, {own[3]!r})"
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
