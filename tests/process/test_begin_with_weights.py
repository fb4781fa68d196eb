"""Runs that begin with given weights: exactly those, what is frozen stays, and all of it again after a kill."""

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from process.trainers import Zygote, events, eventually, outcome, recipe, rows_without_wall, until_step
from safetensors.torch import load_file, save_file

from mlptui.cli.main import main
from mlptui.core.bench import Open
from mlptui.core.errors import RunError
from mlptui.core.events import Kind
from mlptui.core.parameters.messages import Export, Initialise, Put, Rule
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.engine.bench.workbench import Workbench
from mlptui.launch import begin, process, trainer
from mlptui.store import checkpoints, host, paths
from mlptui.store.rundir import Run

pytestmark = pytest.mark.process

TIED = (
    "net = nn.Sequential(nn.Flatten(), nn.Linear(784, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), "
    "nn.Dropout(0.3), nn.Linear(16, 16), nn.Linear(16, 10))\n"
    "net[6].weight = net[4].weight\n"
)
FROZEN = ("1.weight", "6.bias")


def wanted(**knobs: object) -> Recipe:
    return recipe(**{"architecture": TIED, "epochs": 8, "optimizer__momentum": 0.9, "checkpoints__every_steps": 2, **knobs})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """From the bench: drawn there, two parameters frozen."""
    bench, file = Workbench(paths.find()), tmp_path / "weights.safetensors"
    rules = (Rule(select="*.weight", scheme="normal(0, 0.05)"), Rule(select="*.bias", scheme="uniform(-0.1, 0.1)"))
    for request in (
        Open(text=TIED, seed=5),
        Initialise(rules=rules, seed=3),
        Put(action="freeze", paths=FROZEN),
        Put(action="fill", paths=("2.running_mean",), numbers=(0.25,)),
        Export(file=str(file)),
    ):
        assert bench.answer(request).kind in ("sheet", "exported")
    return file


@pytest.fixture
def forked(trainers: Zygote, monkeypatch: pytest.MonkeyPatch) -> Zygote:
    """What is begun is forked from the warm process."""
    monkeypatch.setattr(trainer, "start", lambda run, extra=None: trainers.spawn(run))
    monkeypatch.setattr(process, "lives", lambda pid: host.process_start(pid) is not None)
    return trainers


def tensors_of(file: Path) -> dict[str, bytes]:
    return {f"model.{name}": tensor.numpy().tobytes() for name, tensor in load_file(file).items()}


def model_at(run: Run, step: int) -> dict[str, bytes]:
    return {name: data for name, data in outcome(run, step)[0].items() if name.startswith("model.")}


def test_a_run_begins_with_the_weights_and_goes_on_exactly_after_kill_9(weights: Path, trainers: Zygote) -> None:
    """The one that is killed is begun and resumed in processes of their own."""
    given = tensors_of(weights)
    killed, _ = begin.begin(paths.find(), wanted(), {}, weights)
    until_step(killed, 5)
    os.kill(killed.state().pid, signal.SIGKILL)
    eventually(lambda: killed.verdict().status is Status.KILLED, "the death of the trainer")
    weights.unlink()  # the run has its own copy
    begin.resume(killed, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "start", lambda run, extra=None: trainers.spawn(run))
        straight, pid = begin.begin(paths.find(), wanted(), {}, killed.weights_file)
    assert trainers.wait(pid) == 0
    eventually(lambda: killed.verdict().status is Status.FINISHED, "the end of the run")

    assert model_at(straight, 0) == given and given["model.4.weight"] == given["model.6.weight"]
    assert killed.recipe().weights == hashlib.sha256(killed.weights_file.read_bytes()).hexdigest()
    assert [e["exact"] for e in events(killed, Kind.RESUMED)] == [True]
    assert outcome(killed) == outcome(straight) and rows_without_wall(killed) == rows_without_wall(straight)
    for run in (straight, killed):
        for entry in sorted(run.checkpoints.glob("step-*")):
            step = checkpoints.load(entry).step
            now = model_at(run, step)
            moved = {name for name in given if now[name] != given[name]}
            still = {f"model.{name}" for name in FROZEN}
            assert moved == (set(given) - still if step else set()), (entry, moved)


def test_weights_that_are_damaged_or_gone_or_another_networks_fail_the_run_with_a_sentence(
    weights: Path, forked: Zygote, tmp_path: Path
) -> None:
    run, pid = begin.begin(paths.find(), wanted(checkpoints__every_steps=1), {}, weights)
    until_step(run, 3)
    os.kill(pid, signal.SIGKILL)
    forked.wait(pid)
    whole = run.weights_file.read_bytes()
    for damaged, words in ((whole[:-4] + b"\0\0\0\0", "damaged"), (b"", "damaged"), (None, "cannot be read")):
        run.weights_file.unlink()
        if damaged is not None:
            run.weights_file.write_bytes(damaged)
        else:
            assert not run.weights_file.exists()
        assert forked.wait(begin.resume(run, {})) == 1
        state = run.state()
        assert state.status == Status.FAILED and words in state.reason and "\n" not in state.reason, state.reason
        run.weights_file.write_bytes(whole)
    assert forked.wait(begin.resume(run, {})) == 0
    assert run.verdict().status is Status.FINISHED

    others = load_file(weights)
    for name, words in (("7.weight", "7.weight"), ("9.weight", "9.weight")):
        changed = {**others, name: torch.ones(3, 3)}
        save_file({key: tensor.clone() for key, tensor in changed.items()}, tmp_path / "other.safetensors")
        wrong, pid = begin.begin(paths.find(), wanted(), {}, tmp_path / "other.safetensors")
        assert forked.wait(pid) == 1
        assert wrong.state().status == Status.FAILED and words in wrong.state().reason, wrong.state().reason


def test_a_run_with_weights_that_are_not_here_or_not_those_is_not_begun(weights: Path, forked: Zygote, tmp_path: Path) -> None:
    places = paths.find()
    with pytest.raises(RunError, match="there is no file"):
        begin.begin(places, wanted(), {}, tmp_path / "nowhere")
    with pytest.raises(RunError, match="cannot be read"):
        begin.begin(places, wanted(), {}, tmp_path)
    with pytest.raises(RunError, match="--weights"):
        begin.begin(places, wanted(weights="0" * 64), {})
    with pytest.raises(RunError, match="not the file of weights"):
        begin.begin(places, wanted(weights="0" * 64), {}, weights)
    assert not list(places.runs.glob("*"))


def test_the_recipe_of_such_a_run_begins_with_the_same_weights_again(
    weights: Path, forked: Zygote, capsys: pytest.CaptureFixture[str]
) -> None:
    first, pid = begin.begin(paths.find(), wanted(), {}, weights)
    assert forked.wait(pid) == 0
    weights.unlink()

    assert main(["train", "--recipe", str(first.recipe_file), "--detach", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    again = Run(Path(told["folder"]))
    assert forked.wait(told["pid"]) == 0

    assert again.folder != first.folder and again.weights_file.read_bytes() == first.weights_file.read_bytes()
    assert again.recipe() == first.recipe()
    assert model_at(again, 0) == model_at(first, 0) and outcome(again) == outcome(first)
    assert rows_without_wall(again) == rows_without_wall(first)

    first.weights_file.write_bytes(b"other")
    assert main(["train", "--recipe", str(first.recipe_file), "--detach"]) != 0
    assert "not the file of weights" in capsys.readouterr().err
