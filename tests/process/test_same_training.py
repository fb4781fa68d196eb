"""What does not belong to the recipe does not change the training; what a trainer does is what a person writes by hand."""

import math
from typing import Any

import pytest
import torch
from process.trainers import Zygote, events, make_run, outcome, recipe, rows_without_wall
from safetensors.torch import load_file, load_model
from torch import nn
from torch.nn import functional as F

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.datasets import library
from mlptui.datasets.split import validation_split
from mlptui.engine.seeding import epoch_order, seed_step
from mlptui.store import checkpoints, paths
from mlptui.store.follow import Follower
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

pytestmark = pytest.mark.process


def trained(trainers: Zygote, viewers: int = 0, memory: int = 0, **knobs: Any) -> Run:
    run = make_run(recipe(**{"epochs": 6, "optimizer__momentum": 0.9, **knobs}))
    pid = trainers.spawn(run, memory=memory)
    followers = [Follower(run) for _ in range(viewers)]
    while followers and run.state().status in ("starting", "running"):
        for follower in followers:
            follower.poll()
    assert trainers.wait(pid) == 0
    return run


@pytest.mark.parametrize(
    "looked_at",
    [
        {"checkpoints__every_epochs": 0, "gradient_norm_every": 0, "on_divergence": "continue"},
        {"checkpoints__every_epochs": 3, "checkpoints__keep": 2, "patience": 100, "viewers": 1},
        {"checkpoints__every_minutes": 0.0001, "name": "another name", "on_divergence": "skip"},
        {"checkpoints__every_steps": 1, "gradient_norm_every": 1, "viewers": 3},
    ],
    ids=str,
)
def test_saving_measuring_and_watching_leave_the_weights_bit_identical(trainers: Zygote, looked_at: dict[str, Any]) -> None:
    plain, other = trained(trainers), trained(trainers, **looked_at)

    assert outcome(other)[0] == outcome(plain)[0]
    assert [row.loss for row in read_rows(other.steps_file)] == [row.loss for row in read_rows(plain.steps_file)]


@pytest.mark.parametrize("moved", [{}, {"data__shift": 2, "data__flip": True, "data__crop": 0.2}], ids=["plain", "augmented"])
def test_a_set_larger_than_memory_trains_to_the_same_weights(trainers: Zygote, moved: dict[str, Any]) -> None:
    """Its rows are streamed from the file; the order and every number stay, also over a kill and a resume."""
    plain, streamed = trained(trainers, **moved), trained(trainers, memory=1_000_000, **moved)
    assert outcome(streamed)[0] == outcome(plain)[0]
    assert [row.loss for row in read_rows(streamed.steps_file)] == [row.loss for row in read_rows(plain.steps_file)]
    killed = make_run(recipe(epochs=6, optimizer__momentum=0.9, checkpoints__every_steps=4, **moved))
    trainers.wait(trainers.spawn(killed, memory=1_000_000, step=18))
    assert trainers.wait(trainers.spawn(killed)) == 0
    assert outcome(killed)[0] == outcome(plain)[0]


def test_another_seed_is_another_training(trainers: Zygote) -> None:
    assert outcome(trained(trainers, seed=1))[0] != outcome(trained(trainers))[0]


def test_the_trainer_does_what_the_loop_written_by_hand_does_bit_for_bit(trainers: Zygote) -> None:
    run = trained(trainers, epochs=2, optimizer__weight_decay=0.01)
    data = library.load(paths.find(), run.recipe().data.name)
    chosen, _ = validation_split(len(data.train), 0.5, 0)
    pixels, labels = torch.from_numpy(data.train.inputs[chosen]), torch.from_numpy(data.train.targets[chosen]).long()
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))
    model.load_state_dict(load_file(run.checkpoints / checkpoints.name_of(0) / "model.safetensors"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, fused=True)
    (mean,), (deviation,) = data.facts.mean, data.facts.deviation
    scale, shift = 1 / (255 * deviation), mean / deviation
    threads, losses, step = torch.get_num_threads(), [], 0
    torch.set_num_threads(1)
    for epoch in range(2):
        for batch in epoch_order(0, epoch, len(labels)).split(600):
            seed_step(0, step, torch.device("cpu"))
            loss = F.cross_entropy(model(pixels[batch].float().mul_(scale).sub_(shift)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
    torch.set_num_threads(threads)

    reached = load_file(run.checkpoints / checkpoints.name_of(step) / "model.safetensors")

    assert all(torch.equal(tensor, reached[name]) for name, tensor in model.state_dict().items())
    assert [row.loss for row in read_rows(run.steps_file)] == losses


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_tied_lazy_net_trains_saves_and_loads_into_plain_torch(trainers: Zygote) -> None:
    text = (
        "shared = nn.Linear(16, 16)\n"
        "nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), shared, nn.ReLU(), shared, "
        "nn.LazyLinear(10))"
    )
    run = trained(trainers, architecture=text)
    shared = nn.Linear(16, 16)
    plain = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), shared, nn.ReLU(), shared, nn.Linear(16, 10)
    )
    newest, _ = checkpoints.newest_verified(run.checkpoints)
    assert newest

    load_model(plain, newest.folder / "model.safetensors")

    data = library.load(paths.find(), run.recipe().data.name).test
    pixels = torch.from_numpy(data.inputs.copy()).float() / 255
    info = newest.manifest["normalisation"]
    scores = plain.eval()((pixels - info["mean"][0]) / info["deviation"][0])
    accuracy = (scores.argmax(1) == torch.from_numpy(data.targets.copy())).float().mean().item()
    assert accuracy == pytest.approx(events(run, Kind.TESTED)[0]["test_accuracy"], abs=0.002)
    assert run.state().parameters == sum(p.numel() for p in plain.parameters())


def test_a_run_that_diverges_names_the_layer_and_keeps_its_last_finite_weights(trainers: Zygote) -> None:
    net = "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10))"
    run = make_run(recipe(architecture=net, optimizer__lr=1000.0, epochs=50))

    assert trainers.wait(trainers.spawn(run)) == 1

    state, told = run.state(), events(run, Kind.DIVERGED)[0]
    assert state.status == Status.DIVERGED
    assert f"diverged at step {told.step}" in state.reason
    assert "layer" in told["reason"]
    newest, damaged = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert not damaged
    assert newest.step == told["last_good"] < told.step
    assert newest.manifest["finite"]
    weights = load_file(newest.folder / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    rows = read_rows(run.steps_file)
    assert rows[-1].step == told.step
    assert not math.isfinite(rows[-1].loss)
    assert all(math.isfinite(row.loss) for row in rows[:-1])


def test_a_run_that_shall_go_on_when_it_diverges_does_so_and_its_rows_hold_the_nan(trainers: Zygote) -> None:
    net = "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10))"
    run = make_run(recipe(architecture=net, optimizer__lr=1000.0, epochs=8, on_divergence="continue"))

    assert trainers.wait(trainers.spawn(run)) == 0

    rows = read_rows(run.steps_file)
    assert [row.step for row in rows] == list(range(1, 41))
    assert math.isnan(rows[-1].loss)
    assert run.verdict().status is Status.FINISHED
    assert str(events(run, Kind.EPOCH)[-1]["train_loss"]) == "nan"
    assert len(events(run, Kind.EPOCH)) == 8


def test_a_run_that_leaves_out_bad_steps_says_so_and_keeps_finite_weights(trainers: Zygote) -> None:
    net = "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10))"
    run = make_run(recipe(architecture=net, optimizer__lr=1000.0, epochs=12, on_divergence="skip"))

    assert trainers.wait(trainers.spawn(run)) == 0

    told = [e for e in events(run, Kind.WARNING) if "left out" in str(e["message"])]
    assert told
    assert len(told) <= 20
    assert [row.step for row in read_rows(run.steps_file)] == list(range(1, 61))
    newest, damaged = checkpoints.newest_verified(run.checkpoints)
    assert newest
    assert not damaged
    assert newest.step == 60
    assert all(torch.isfinite(t).all() for t in load_file(newest.folder / "model.safetensors").values())


def test_early_stopping_ends_the_run_as_finished_with_its_reason(trainers: Zygote) -> None:
    run = make_run(recipe(epochs=300, optimizer__lr=0.5, patience=2))

    assert trainers.wait(trainers.spawn(run)) == 0

    assert "no better validation loss for 2 epochs" in run.state().reason
    losses = [e["valid_loss"] for e in events(run, Kind.EPOCH)]
    assert len(losses) < 300
    assert min(losses) == losses[-3]
    assert rows_without_wall(run)[-1].step == len(losses) * 5
