"""The parts of a script, with places for what a recipe says; braces that are the script's own are doubled."""

HEAD = '''\
"""{title}

Written by mlptui. Needs torch, numpy and {arrays} beside it{more}; run it with: python {name}{only}
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
        sys.dont_write_bytecode = True
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
    "cross-entropy": """

def loss_of(outputs, targets):
    return F.cross_entropy(outputs, targets)


def score(outputs, targets):
    return f"accuracy {(outputs.argmax(1) == targets).double().mean().item():.4f}"
""",
    "mse": """

def loss_of(outputs, targets):
    return F.mse_loss(outputs[:, 0], targets)


def score(outputs, targets):
    error = (outputs[:, 0].double() - targets.double()).square().sum()
    return f"R2 {(1 - error / (targets.double() - targets.double().mean()).square().sum()).item():.4f}"
""",
}

BEGIN = '''

def begin(training):
    """The network with its first weights."""
    torch.manual_seed(mix(SEED, WEIGHTS)){seeds}
    model = network(){probe}
    return model.to(DEVICE)
'''

TRAINING = '''

def rate(step, total, per_epoch):
    """The learning rate of a step, counted from 0."""
{rate}


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
'''

EVALUATE = """

def evaluate(model, inputs, targets):
    model.eval()
    with torch.inference_mode(){autocast_evaluation}:
        outputs = torch.cat([model(normalise(part)).float() for part in inputs.split(1000)])
    return f"loss {{loss_of(outputs, targets).item():.4f}}, {{score(outputs, targets)}}"
"""

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

ONLY_JUDGE = """

if __name__ == "__main__":
    training, validation, test = data()
    model = begin(training)
    model.load_state_dict(torch.load(Path(__file__).parent / {weights!r}, weights_only=True))
    print(f"test {{evaluate(model, *test)}}")
"""
