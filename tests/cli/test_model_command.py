"""`mlptui model`: networks by name, text and file; the tree, the doctor, and the script that trains as the run did."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from math import isclose
from pathlib import Path
from typing import Any

import pytest
from process.trainers import Zygote, events, eventually, outcome, rows_without_wall, until_step

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.launch import begin
from mlptui.store import paths, rundir
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

Command = Callable[..., Any]
OWN = """
import torch
from torch import nn

print("[bold]hello[/bold] from the file")

class Net(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.flat = nn.Flatten()
        self.one = nn.Linear(784, hidden)
        self.drop = nn.Dropout(0.2)
        self.two = nn.LazyLinear(10)
    def forward(self, x):
        return self.two(self.drop(torch.relu(self.one(self.flat(x)))))

class Scale(nn.Module):
    def __init__(self, by=2.0):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))
    def forward(self, x):
        return x * self.by

def wrong():
    raise RuntimeError("[/] no \\x1b[2J network")
"""
COMMON = (
    "--data", "fashion-mnist-sample", "--validation", "0.5", "--batch-size", "400", "--threads", "1", "--device", "cpu",
    "--detach",
)  # fmt: skip
TIED = (
    "shared = nn.Linear(16, 16)\n"
    "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), shared, nn.Tanh(), shared, "
    "nn.Linear(16, 10))"
)
RECIPES = {
    "sgd": ("--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.9", "--nesterov", "--schedule", "step",
            "--step-epochs", "1", "--gamma", "0.3", "--clip-norm", "0.7", "--epochs", "2", "--seed", "7", "--architecture",
            "nn.Sequential(nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Dropout(0.4), nn.Linear(24, 10))"),
    "adam": ("--optimizer", "adam", "--schedule", "cosine", "--warmup-steps", "3", "--floor", "0.1", "--epochs", "2",
             "--weight-decay", "0.01", "--architecture", ZOO["lazy"].text),
    "adamw": ("--optimizer", "adamw", "--schedule", "one-cycle", "--epochs", "2", "--weight-decay", "0.1", "--normalise",
              "range", "--architecture", TIED),
    "rmsprop": ("--optimizer", "rmsprop", "--momentum", "0.5", "--warmup-steps", "4", "--epochs", "1", "--normalise", "none",
                "--lr", "0.0001", "--precision", "bfloat16", "--architecture", ZOO["lenet"].text),
    "own": ("--epochs", "1", "--seed", "9223372036854775807", "--architecture", "{own}:Net(hidden=20)"),
    "layers": ("--epochs", "1", "--architecture",
               'Scale = "{own}:Scale"\nnn.Sequential(nn.Flatten(), CenteredLayer(), nn.Linear(784, 10), Scale(by=0.5))'),
    "blocks": ("--epochs", "1", "--optimizer", "adam", "--architecture",
               'nn.Sequential(OrderedDict([("a b", nn.Flatten()), ("c", MLP(784, 16, 20)), '
               '("d", NestMLP()), ("e", nn.Linear(16, 10))]))'),
}  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "my nets" / "own.py"
    file.parent.mkdir()
    file.write_text(OWN)
    return file


def test_the_list_has_every_network_of_the_zoo(mlptui: Command) -> None:
    said = mlptui("model", "list")
    assert said.code == 0 and not said.err
    assert all(name in said.out for name in ZOO)
    documents = mlptui("model", "list", "--json").lines
    assert [d["name"] for d in documents] == list(ZOO)
    assert all(parse(d["text"]) and d["input"] for d in documents)


def test_a_network_is_shown_by_name_text_and_file_with_what_goes_in(mlptui: Command, own: Path, monkeypatch: Any) -> None:
    said = mlptui("model", "show", "--model", "nested")
    assert said.code == 0 and "block 3" in said.out and "309 parameters" in said.err
    document = mlptui("model", "show", "--model", "nested", "--json").json
    assert document["parameters"] == 309 and len(document["rows"]) == 23 == len(document["shapes"]["passed"])
    shallow = mlptui("model", "show", "--model", "nested", "--depth", "1")
    assert "block" not in shallow.out and "309 parameters" in shallow.err

    said = mlptui("model", "show", "--model", "nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))", "--input", "20")
    assert said.code == 0 and "18 parameters and 2 tensors without a size" in said.err and "[2, 8]" in said.out
    said = mlptui("model", "show", "--model", f"{own}:Net", "--data", "fashion-mnist-sample")
    assert said.code == 0 and "9,420 parameters" in said.err and "\x1b" not in said.out + said.err
    assert "hello" not in said.out
    monkeypatch.chdir(own.parent)
    document = mlptui("model", "show", "--model", "own.py:Net(hidden=3)", "--json").json
    assert document["parameters"] == 784 * 3 + 3 and document["unknown"] == 2
    # what does not fit is said with what would mend it
    said = mlptui("model", "show", "--model", "nn.Sequential(nn.Flatten(), nn.Linear(700, 10))")
    assert said.code == 1 and "set in_features to 784" in said.err
    said = mlptui("model", "check", "--model", "nn.Sequential(nn.Flatten(), nn.Linear(700, 10))")
    assert said.code == 1 and "in_features" in said.out


def test_the_doctor_returns_what_it_found(mlptui: Command) -> None:
    said = mlptui("model", "check", "--model", "mlp")
    assert said.code == 0 and "nothing found" in said.err
    said = mlptui("model", "check", "--model", "my-linear")
    assert said.code == 1 and "no-gradient" in said.out
    document = mlptui("model", "check", "--model", "centered", "--json")
    assert document.code == 1 and [f["code"] for f in document.json["findings"]] == ["mixing"]
    for name in ("centered-corrected", "my-linear-corrected", "fixed-hidden-corrected", "tied", "nested", "lenet"):
        assert mlptui("model", "check", "--model", name).code == 0, name
    said = mlptui(
        "model", "check", "--model", "nn.Sequential(nn.Flatten(), nn.Linear(784, 7))", "--data", "fashion-mnist-sample"
    )
    assert said.code == 1 and "10" in said.out


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("show", "--model", "lenett"), 2, "lenet"),
        (("show", "--model", "nn.Sequential(nn.Linear(1, 2)"), 2, ""),
        (("show", "--model", "nn.Sequential(nn.Linaer(1, 2))"), 2, "did you mean Linear"),
        (("show", "--model", ""), 2, ""),
        (("show", "--model", "none.py:Net"), 1, "there is no file"),
        (("show", "--model", "{own}:Nothing"), 1, "has no Nothing; it has Net"),
        (("show", "--model", "{own}:wrong"), 1, "line 25"),
        (("check", "--model", "{own}:wrong"), 1, "line 25"),
        (("show", "--input", "hello"), 2, "write the shape"),
        (("show", "--input", "0"), 2, "write the shape"),
        (("show", "--input", "4", "--data", "xor"), 2, "exclude each other"),
        (("show", "--data", "no-such-set"), 1, "no-such-set"),
        (("code", "--data", "fashion-mnist"), 1, "get it with"),
        (("show", "--model", "nn.Linear(10**6, 10**6)", "--input", "4"), 1, "are free"),
        (("show", "--model", "torchvision:resnett18"), 1, "did you mean resnet18"),
        (("code", "--run", "none", "--model", "mlp"), 2, "exclude each other"),
        (("code", "--run", "none"), 1, "there are no runs"),
        (("code", "--model", "mlp", "--shift", "2"), 2, "cannot shift"),
        (("code", "--model", "mlp", "--out", "{own}/x/train.py"), 2, "there is no folder"),
        (("code", "--model", "{own}:wrong", "--out", "{own}/x/train.py"), 2, "there is no folder"),
        (("list", "--model", "x"), 2, ""),
        (("bogus",), 2, ""),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    mlptui: Command, own: Path, words: tuple[str, ...], code: int, part: str
) -> None:
    said = mlptui("model", *(w.replace("{own}", str(own)) for w in words))
    assert (said.code, said.out) == (code, ""), said
    assert part in said.err and "Traceback" not in said.err and "\x1b" not in said.err
    lines = [line for line in said.err.splitlines() if line and not line.startswith(("usage:", " "))]
    assert len([line for line in lines if line.startswith("mlptui")]) == 1, said.err


DRIVER = """
import importlib.util, json, sys
found = {}
for name in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("train", name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    training, validation, test = module.data()
    model = module.begin(training)
    losses = [(epoch, step, loss.hex()) for epoch, step, loss in module.train(model, training)]
    found[name] = (losses, module.evaluate(model, *validation), module.evaluate(model, *test))
assert not [m for m in sys.modules if m.startswith("mlptui")]
print(json.dumps(found))
"""


def wait_finished(run: Run) -> None:
    eventually(lambda: run.state_file.exists() and not run.verdict().status.live, "the end")
    assert run.verdict().status is Status.FINISHED, (run.verdict(), run.log_tail(5))


def test_the_script_of_a_run_has_its_losses_bit_for_bit(mlptui: Command, trainers: Zygote, own: Path, tmp_path: Path) -> None:
    table = tmp_path / "houses.csv"
    chance = random.Random(1)
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["area", "town", "age", "price"])
        for i in range(90):
            writer.writerow(
                [f"{chance.uniform(20, 200):.2f}", chance.choice(["Ulm", "Bonn"]), i % 7, f"{chance.gauss(300, 40):.3f}"]
            )
    assert mlptui("data", "add", "houses", str(table)).code == 0
    recipes = {name: (*COMMON, *(w.replace("{own}", str(own)) for w in words)) for name, words in RECIPES.items()}
    for kind in ("standard", "range", "none"):
        recipes[f"table {kind}"] = (
            "--data", "houses", "--threads", "1", "--device", "cpu", "--detach", "--batch-size", "16", "--epochs",
            "2", "--lr", "0.003", "--optimizer", "adam", "--normalise", kind,
        )  # fmt: skip
    runs, scripts = {}, {}
    for name, words in recipes.items():
        said = mlptui("train", *words, "--name", name)
        assert said.code == 0, (name, said)
        runs[name] = Run(paths.find().runs / said.out.strip())
    for name, run in runs.items():
        wait_finished(run)
        scripts[name] = tmp_path / "scripts" / name / "train.py"
        scripts[name].parent.mkdir(parents=True)
        said = mlptui("model", "code", "--run", run.id, "--out", str(scripts[name]))
        assert (said.code, said.out) == (0, ""), (name, said)
        assert not re.search(r"(import|from) mlptui", scripts[name].read_text())
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    done = subprocess.run(
        [sys.executable, "-P", str(driver), *map(str, scripts.values())],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = {}
    for name, run in runs.items():
        rows = list(read_rows(run.steps_file))
        losses, valid, test = found[str(scripts[name])]
        expected = [[row.epoch - 1, row.step, float(row.loss).hex()] for row in rows]
        assert len(rows) > 5
        if losses != expected:
            wrong[name] = [(a, b) for a, b in zip(losses, expected, strict=False) if a != b][:2] or (
                len(losses),
                len(expected),
            )
        state = run.state()
        numbers = [float(n) for n in re.findall(r"(?:loss|accuracy|R2) (-?[\d.]+)", valid + test)]
        # evaluated in batches of another size
        if not (
            isclose(numbers[0], state.valid_loss, rel_tol=1e-4) and isclose(numbers[3], state.test_accuracy, abs_tol=1e-4)
        ):
            wrong[f"{name}, evaluated"] = (valid, state.valid_loss, test, state.test_accuracy)
    assert not wrong


def test_the_script_runs_as_it_is_and_prints_to_stdout_without_out(mlptui: Command, tmp_path: Path) -> None:
    said = mlptui("model", "code", "--model", "softmax-regression", "--epochs", "1")
    assert said.code == 0 and "--out FILE" in said.err
    compile(said.out, "train.py", "exec")
    file = tmp_path / 'odd "name" {x}.py'
    words = (
        "model",
        "code",
        "--model",
        "softmax-regression",
        "--epochs",
        "1",
        "--name",
        'a """ {b} \\ name',
        "--out",
        str(file),
    )
    assert mlptui(*words).code == 0
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.splitlines()[0].startswith("epoch 1: loss of the last batch") and "test loss" in done.stdout


def test_a_run_of_a_persons_file_goes_on_with_its_copy(mlptui: Command, trainers: Zygote, own: Path) -> None:
    words = (
        "--data",
        "fashion-mnist-sample",
        "--validation",
        "0.5",
        "--batch-size",
        "600",
        "--threads",
        "1",
        "--device",
        "cpu",
    )
    said = mlptui("train", *words, "--detach", "--epochs", "3", "--architecture", f"{own}:Net(hidden=8)", "--seed", "2")
    assert said.code == 0, said
    whole = Run(paths.find().runs / said.out.strip())
    wait_finished(whole)
    copies = list(whole.folder.rglob("*.py"))
    assert len(copies) == 1 and copies[0].read_text() == OWN and "own.py" in copies[0].name

    recipe = whole.recipe()
    for change in ("changed", "vanished"):
        own.write_text(OWN)
        run = rundir.create(paths.find(), recipe, change, "net", sources=begin._sources(parse(recipe.architecture)))
        pid = trainers.spawn(run, slow=0.02)
        until_step(run, 7)
        os.kill(pid, signal.SIGKILL)
        trainers.wait(pid)
        if change == "changed":
            own.write_text(OWN.replace("torch.relu", "torch.tanh").replace("0.2", "0.9"))
        else:
            own.unlink()
        begin.resume(run, {})
        eventually(lambda: events(run, Kind.RESUMED), "the resumption")  # noqa: B023
        wait_finished(run)
        assert events(run, Kind.RESUMED)[0]["exact"]
        assert rows_without_wall(run) == rows_without_wall(whole), change
        assert outcome(run)[0] == outcome(whole)[0]
    # the script of such a run needs the file; without it that is one sentence or a script that names the copy
    said = mlptui("model", "code", "--run", whole.id)
    assert said.code in (0, 1) and "Traceback" not in said.err
