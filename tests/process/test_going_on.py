"""Runs that go on from another one's checkpoint: as if they had been one run, with other knobs, and tied to their parent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process.test_begin_with_weights import FROZEN, tensors_of, wanted, weights
from process.trainers import Zygote, events, make_run, outcome, recipe, rows_without_wall, tell, until_step

from mlptui.core.errors import CheckpointError, MlptuiError
from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.launch import begin, process, trainer
from mlptui.store import abouts, checkpoints, collection, host, paths, rundir, trash
from mlptui.store.rundir import Run

__all__ = ["weights"]
pytestmark = pytest.mark.process
STEPS = 5  # an epoch

GoOn = Callable[..., Run]


@pytest.fixture
def forked(trainers: Zygote, monkeypatch: pytest.MonkeyPatch) -> Zygote:
    """What is begun is forked from the warm process."""
    monkeypatch.setattr(trainer, "start", lambda run, extra=None: trainers.spawn(run))
    monkeypatch.setattr(process, "lives", lambda pid: host.process_start(pid) is not None)
    return trainers


@pytest.fixture
def go_on(forked: Zygote) -> GoOn:
    """Go on from a checkpoint of a run, and wait for the end; knobs as for `recipe`."""

    def go(run: Run, which: object = "last", **knobs: Any) -> Run:
        changes = {name.replace("__", "."): value for name, value in knobs.items()}
        made, pid = begin.go_on(paths.find(), entry(run, which), changes, lambda device: {})
        assert forked.wait(pid) == 0, made.state().reason
        return made

    return go


def entry(run: Run, which: object = "last") -> collection.Entry:
    return collection.find(paths.find(), f"{run.id}/{which}")


def trained(trainers: Zygote, **knobs: Any) -> Run:
    run = make_run(recipe(**knobs))
    assert trainers.wait(trainers.spawn(run)) == 0, run.state().reason
    return run


@pytest.mark.parametrize(
    "knobs",
    [
        {"optimizer__momentum": 0.9, "optimizer__nesterov": True, "optimizer__weight_decay": 0.01},
        {"optimizer__name": "adam", "optimizer__lr": 0.002},
    ],
    ids=["sgd with momentum", "adam"],
)
def test_two_epochs_and_two_more_are_four_bit_for_bit(forked: Zygote, go_on: GoOn, knobs: dict[str, Any]) -> None:
    straight, first = trained(forked, epochs=4, **knobs), trained(forked, epochs=2, **knobs)
    before = {file: file.read_bytes() for file in first.folder.rglob("*") if file.is_file() and file.suffix != ".about"}
    second = go_on(first, epochs=4)
    assert outcome(second) == outcome(straight)
    assert rows_without_wall(first) + rows_without_wall(second) == rows_without_wall(straight)
    assert [e["valid_loss"] for run in (first, second) for e in events(run, Kind.EPOCH)] == [
        e["valid_loss"] for e in events(straight, Kind.EPOCH)
    ]
    assert events(second, Kind.TESTED)[0].data == events(straight, Kind.TESTED)[0].data
    (told,) = events(second, Kind.RESUMED)
    parent = f"{first.id}/step-{2 * STEPS:010d}"
    assert (told["parent"], told["exact"], told["lost_steps"], told.step) == (parent, True, 0, 2 * STEPS)
    assert second.recipe().parent == parent and second.recipe() == straight.recipe().model_copy(update={"parent": parent})
    assert {file: file.read_bytes() for file in before} == before, "the parent is as it was"
    third = go_on(second, f"{2 * STEPS}", epochs=4)
    assert outcome(third) == outcome(straight), "from the copy of the parent's checkpoint, too"


def test_from_the_best_and_from_a_step_with_another_rate(forked: Zygote, go_on: GoOn) -> None:
    first = trained(forked, epochs=3, optimizer__momentum=0.9, optimizer__lr=0.05)
    best = entry(first, "best")
    assert best.best
    second = go_on(first, "best", epochs=4, optimizer__lr=0.01)
    assert second.recipe().parent == best.id and events(second, Kind.RESUMED)[0].step == best.step
    rows = rows_without_wall(second)
    assert [row.step for row in rows] == list(range(best.step + 1, 4 * STEPS + 1)) and {row.lr for row in rows} == {0.01}
    assert outcome(second, best.step)[0] == outcome(first, best.step)[0]
    begun = go_on(first, 0, epochs=3)
    assert outcome(begun)[0] == outcome(first)[0], "from the first step on it is the same run again"


def test_another_optimizer_begins_anew_with_its_usual_rate(forked: Zygote, go_on: GoOn) -> None:
    first = trained(forked, epochs=1, optimizer__momentum=0.9, optimizer__lr=0.3)
    second = go_on(first, epochs=2, optimizer__name="adam")
    made = second.recipe().optimizer
    assert (made.name, made.lr, made.momentum) == ("adam", 0.001, 0.0)
    tensors, rest = outcome(second)
    assert {name.rpartition(".")[2] for name in tensors if name.startswith("optimizer.0.")} == {
        "step",
        "exp_avg",
        "exp_avg_sq",
    }
    (told,) = events(second, Kind.RESUMED)
    assert (told["exact"], told["why"]) == (False, "adam begins anew"), "its state is not that of the run before"
    assert {row.lr for row in rows_without_wall(second)} == {0.001} and rest["groups"][0]["lr"] == 0.001
    assert go_on(second, epochs=3, optimizer__name="sgd").recipe().optimizer.lr == 0.1


def test_a_rate_that_a_person_turned_to_is_kept(forked: Zygote, go_on: GoOn) -> None:
    run = make_run(recipe(epochs=10_000, checkpoints__every_epochs=0))
    pid = forked.spawn(run, slow=0.005)
    until_step(run, 3)
    assert not tell(run, "set", 0.02)["refused"]
    assert tell(run, "stop").kind == Kind.COMMAND and forked.wait(pid) == 0
    step = entry(run).step
    second = go_on(run, epochs=step // STEPS + 2)
    assert second.recipe().optimizer.lr == 0.02 and {row.lr for row in rows_without_wall(second)} == {0.02}


@pytest.mark.parametrize("every", [0, 1], ids=["before its first checkpoint", "after one"])
def test_a_run_that_goes_on_is_killed_and_resumed_exactly(forked: Zygote, go_on: GoOn, every: int) -> None:
    first = trained(forked, epochs=1, optimizer__momentum=0.9)
    knobs = {"epochs": 3, "optimizer.lr": 0.02, "checkpoints.every_steps": every}
    straight = go_on(first, **knobs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "start", lambda run, extra=None: forked.spawn(run, step=4))
        broken, pid = begin.go_on(paths.find(), entry(first), knobs, lambda device: {})
        assert forked.wait(pid) == -9
    assert broken.verdict().status is Status.KILLED
    assert forked.wait(begin.resume(broken, {})) == 0
    assert outcome(broken) == outcome(straight) and rows_without_wall(broken) == rows_without_wall(straight)
    assert [e["exact"] for e in events(broken, Kind.RESUMED)] == [True, True]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epochs": 2}, "has 2 epochs done; ask for more"),
        ({"epochs": 1}, "has 2 epochs done"),
        ({"epochs": 4, "batch_size": 100}, "batch_size stays as it was"),
        ({"epochs": 4, "seed": 1}, "seed stays"),
        ({"epochs": 4, "data.validation": 0.1}, "data.validation stays"),
        ({"epochs": 4, "data.name": "mnist"}, "data.name stays"),
        ({"epochs": 4, "architecture": "nn.Linear(784, 10)"}, "architecture stays"),
        ({"epochs": 4, "loss": "mse"}, "loss stays"),
        ({"epochs": 4, "optimizer.lr": -1.0}, "."),
        ({"epochs": 4, "optimizer.name": "adam", "optimizer.momentum": 0.9}, "adam has no momentum"),
    ],
    ids=str,
)
def test_what_cannot_change_is_refused_before_anything_is_made(
    changes: dict[str, Any], says: str, done: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "start", lambda *_: pytest.fail("a trainer was started"))
    with pytest.raises(MlptuiError, match=says):
        begin.go_on(paths.find(), entry(done), changes, lambda device: {})
    assert [run.id for run in rundir.all_runs(paths.find())] == [done.id] and not list(done.checkpoints.glob("*.about"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, trained once for the tests that only look at it."""
    from process.trainers import zygote

    home = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPTUI_HOME", str(home))
        run = make_run(recipe(epochs=2, optimizer__momentum=0.9))
        assert zygote().wait(zygote().spawn(run)) == 0
    return run.folder


@pytest.fixture
def done(template: Path) -> Run:
    import shutil

    folder = paths.find().runs / template.name
    shutil.copytree(template, folder)
    return Run(folder)


def test_what_was_saved_by_hand_was_never_trained_and_does_not_go_on(done: Run) -> None:
    files = collection.files_of(entry(done))
    collection.save(paths.find(), "mine", {name: files[name] for name in files if name.endswith(".safetensors")}, {})
    with pytest.raises(MlptuiError) as caught:
        begin.go_on(
            paths.find(), collection.find(paths.find(), "mine"), {"epochs": 4}, lambda device: pytest.fail("it went on")
        )
    assert str(caught.value).isprintable()


def test_a_damaged_checkpoint_is_not_gone_on_from(done: Run) -> None:
    for name in ("model.safetensors", "training.safetensors", "checkpoint.json"):
        file = entry(done).folder / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        with pytest.raises(CheckpointError, match="damaged"):
            begin.go_on(paths.find(), entry(done), {"epochs": 4}, lambda device: pytest.fail("it went on"))
        file.write_bytes(whole)
    assert len(list(paths.find().runs.iterdir())) == 1


def test_what_a_run_went_on_from_stays_as_long_as_that_run(done: Run, go_on: GoOn) -> None:
    """Neither retention nor a person removes it."""
    parent = entry(done, STEPS)
    child = go_on(done, STEPS, epochs=3)
    assert abouts.children(parent.folder) == [child.id]
    with pytest.raises(CheckpointError, match=f"{child.id} went on from"):
        collection.remove(paths.find(), parent)
    good, _ = checkpoints.listed(done.checkpoints)
    assert parent.folder.name in checkpoints.kept(good, 2)
    collection.tell(parent, note="seen")
    collection.tell(parent, note="")
    assert abouts.children(parent.folder) == [child.id], "a note does not make it forget"
    other = go_on(done, STEPS, epochs=3)
    trash.discard(rundir.remove(paths.find(), child))
    assert abouts.children(parent.folder) == [other.id]
    trash.discard(rundir.remove(paths.find(), other))
    assert abouts.children(parent.folder) == []
    trash.discard(collection.remove(paths.find(), parent))
    assert not parent.folder.exists() and not list(done.checkpoints.glob("*.about"))


def test_retention_leaves_the_parents_checkpoint_and_removes_others(forked: Zygote, go_on: GoOn) -> None:
    """From the middle of an epoch, which it goes on with as the parent did."""
    run = trained(forked, data__validation=0.0, epochs=1, checkpoints__every_steps=1, checkpoints__keep=10)
    child = go_on(run, 4, epochs=1)
    gone = checkpoints.prune(run.checkpoints, 2)
    assert sorted(c.step for c in checkpoints.listed(run.checkpoints)[0]) == [0, 4, 9, 10] and len(gone) == 7
    assert child.recipe().parent == f"{run.id}/step-0000000004" and entry(run, 4).about.children == (child.id,)
    assert outcome(child)[0] == outcome(run)[0]


def test_frozen_weights_stay_frozen_and_given_weights_are_not_taken_again(weights: Path, forked: Zygote, go_on: GoOn) -> None:
    begun = {"epochs": 2, "checkpoints__every_steps": 0}
    first, pid = begin.begin(paths.find(), wanted(**begun), {}, weights)
    assert forked.wait(pid) == 0
    straight, pid = begin.begin(paths.find(), wanted(**begun | {"epochs": 4}), {}, weights)
    assert forked.wait(pid) == 0
    second = go_on(first, epochs=4)
    given, now = tensors_of(weights), outcome(second)[0]
    assert all(now[f"model.{name}"] == given[f"model.{name}"] for name in FROZEN)
    assert outcome(second) == outcome(straight)
    assert now["model.4.weight"] == now["model.6.weight"] != outcome(first)[0]["model.4.weight"]


def test_a_run_goes_on_by_the_command(done: Run, forked: Zygote, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice the epochs where no number is said."""
    from mlptui.cli.main import main

    assert main(["runs", "continue", done.id[-4:], "--from", "best", "--detach", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert forked.wait(told["pid"]) == 0
    made = rundir.find(paths.find(), told["run"])
    assert made.recipe().epochs == 4 and made.recipe().parent == told["parent"] == entry(done, "best").id
    for words, code in (
        (("--epochs", "1"), 1),
        (("--from", "77"), 1),
        (("--lr", "-1"), 2),
        (("--set", "seed=9"), 1),
        (("--set", "no.knob=1"), 2),
        (("--set", "x"), 2),
    ):
        assert main(["runs", "continue", done.id, *words]) == code, words
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("mlptui: ") and err.count("\n") == 1 and "internal" not in err
    assert len(list(paths.find().runs.iterdir())) == 2
