"""`mlptui train`: the recipe from file and options, and the run that it starts."""

import json
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process.trainers import SMALL, Zygote, events, until_step

from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe, check
from mlptui.store import paths, recipes, rundir
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

Command = Callable[..., Any]
QUICK = ("--architecture", SMALL, "--batch-size", "600", "--validation", "0.5", "--threads", "1", "--device", "cpu")


def only_run() -> Run:
    (run,) = rundir.all_runs(paths.find())
    return run


def test_a_dry_run_prints_a_recipe_that_reads_back_to_itself_and_starts_nothing(mlptui: Command, tmp_path: Path) -> None:
    options = ("--optimizer", "adam", "--lr", "0.003", "--schedule", "cosine", "--epochs", "7", "--name", 'a "quoted" name')
    said = mlptui("train", "--dry-run", *options, "--architecture", "nn.Sequential(nn.Flatten(),\n  nn.Linear(784, 10))")
    file = tmp_path / "again.toml"
    file.write_text(said.out)

    again = mlptui("train", "--dry-run", "--recipe", str(file))

    assert (said.code, again.code) == (0, 0)
    assert again.out == said.out
    assert check(tomllib.loads(said.out)).optimizer.lr == 0.003
    assert rundir.all_runs(paths.find()) == []


def test_an_option_changes_one_knob_of_the_file_and_leaves_the_others(mlptui: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('epochs = 3\nseed = 9\n[optimizer]\nname = "adam"\nlr = 0.01\nweight_decay = 0.5\n')

    said = mlptui("train", "--dry-run", "--recipe", str(file), "--lr", "0.002", "--seed", "10")

    wanted = check(tomllib.loads(said.out))
    assert (wanted.optimizer.name, wanted.optimizer.lr, wanted.optimizer.weight_decay) == ("adam", 0.002, 0.5)
    assert (wanted.epochs, wanted.seed) == (3, 10)


def test_every_problem_of_a_recipe_is_told_at_once_each_on_its_line(mlptui: Command) -> None:
    said = mlptui(
        "train", "--lr", "-1", "--batch-size", "0", "--epochs", "many", "--device", "gpu9", "--validation", "2",
        "--architecture", "nn.Sequential(nn.Linaer(1, 2))", "--optimizer", "magic",
    )  # fmt: skip

    lines = said.err.splitlines()
    assert said.code == 2
    assert said.out == ""
    assert len(lines) == 7
    for path in ("optimizer.lr", "batch_size", "epochs", "device", "data.validation", "architecture", "optimizer.name"):
        assert sum(line.startswith(f"mlptui: {path}: ") for line in lines) == 1, path
    assert "line 1, column" in said.err
    assert "Linear" in said.err
    assert rundir.all_runs(paths.find()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs = ", "not valid TOML"),
        ("epoch = 3\n", "epoch: there is no such setting; did you mean epochs?"),
        ("[optimizer]\nlearning = 3\n", "optimizer.learning: there is no such setting"),
        ("format = 99\n", "made by a newer mlptui"),
        ('name = "\x1b[31m"\n', ""),
    ],
)
def test_a_recipe_file_that_is_wrong_is_wrong_usage_with_its_place(
    mlptui: Command, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(content)

    said = mlptui("train", "--recipe", str(file))

    assert said.code == 2
    assert message in said.err
    assert "\x1b" not in said.err


@pytest.mark.parametrize("path", ["/nowhere/my.toml", "/dev/zero", "/tmp"])
def test_a_recipe_file_that_cannot_be_read_is_one_sentence(mlptui: Command, path: str) -> None:
    said = mlptui("train", "--recipe", path)

    assert said.code == 2
    assert len(said.err.splitlines()) == 1


def test_data_that_is_not_here_is_a_failure_that_says_how_to_get_it(mlptui: Command) -> None:
    said = mlptui("train", "--data", "fashion-mnist")

    assert said.code == 1
    assert "mlptui data import fashion-mnist FOLDER" in said.err


def test_a_gpu_that_is_not_here_is_a_failure_before_anything_is_made(mlptui: Command) -> None:
    said = mlptui("train", "--device", "cuda:77")

    assert said.code == 1
    assert said.err.startswith("mlptui: cuda:77 is not here")
    assert rundir.all_runs(paths.find()) == []


@pytest.mark.process
def test_train_follows_the_run_to_its_end_one_line_an_epoch(mlptui: Command, trainers: Zygote) -> None:
    said = mlptui("train", *QUICK, "--epochs", "3")

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split()[:3] == ["epoch", "train", "loss"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    assert "started on cpu" in said.err
    assert "test accuracy" in said.err
    assert "finished" in said.err
    assert "\x1b" not in said.out + said.err


@pytest.mark.process
def test_train_as_json_gives_a_document_a_line_and_the_end(mlptui: Command, trainers: Zygote) -> None:
    said = mlptui("train", *QUICK, "--epochs", "2", "--json")

    kinds = [line["kind"] for line in said.lines]
    assert said.code == 0
    assert kinds[0] == "started"
    assert kinds.count("epoch") == 2
    assert said.lines[-1] == {"kind": "end", "run": only_run().id, "status": "finished", "reason": ""}


@pytest.mark.process
def test_a_detached_start_prints_the_run_and_returns_while_it_trains(mlptui: Command, trainers: Zygote) -> None:
    said = mlptui("train", *QUICK, "--epochs", "100000", "--detach", "--json")

    run = only_run()
    assert said.code == 0
    assert said.json == {"run": run.id, "folder": str(run.folder), "pid": run.state().pid}
    assert said.err == ""
    until_step(run, 5)
    assert run.verdict().trainer_alive


@pytest.mark.process
def test_a_detached_start_without_json_prints_the_id_alone(mlptui: Command, trainers: Zygote) -> None:
    said = mlptui("train", *QUICK, "--detach", "--name", "Night [shift] ./..")

    assert said.out == f"{only_run().id}\n"
    assert only_run().id[16:-5] == "night-shift"


@pytest.mark.process
@pytest.mark.parametrize(
    ("knobs", "code"),
    [
        (("--epochs", "1"), 0),
        (("--epochs", "30", "--lr", "1000", "--architecture",
          "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10))"), 1),
        (("--architecture", "nn.Sequential(nn.Flatten(), nn.Linear(700, 10))"), 1),
    ],
    ids=["finished", "diverged", "failed"],
)  # fmt: skip
def test_waiting_says_no_epochs_and_returns_the_runs_exit_code(
    mlptui: Command, trainers: Zygote, knobs: tuple[str, ...], code: int
) -> None:
    said = mlptui("train", *QUICK, *knobs, "--wait")

    assert said.code == code
    assert said.out == ""
    assert "Traceback" not in said.err
    if code:
        assert "layer" in said.err


@pytest.mark.process
def test_losses_that_are_no_numbers_are_printed_as_such(mlptui: Command, trainers: Zygote) -> None:
    deep = "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10))"
    knobs = ("--epochs", "8", "--lr", "1000", "--architecture", deep, "--on-divergence", "continue")
    said = mlptui("train", *QUICK, *knobs)

    assert said.code == 0
    assert said.out.splitlines()[-1].split()[1:3] == ["nan", "nan"]

    as_json = mlptui("runs", "follow", "last", "--json")
    epochs = [line for line in as_json.lines if line["kind"] == "epoch"]
    assert epochs[-1]["train_loss"] == "nan"
    assert read_rows(only_run().steps_file)[-1].step == 40
    assert mlptui("runs", "show", "last").code == 0
    assert mlptui("runs", "list").code == 0


@pytest.mark.process
def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back(
    mlptui: Command, trainers: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlptui.cli.following._wait", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        said = mlptui("train", *QUICK, "--epochs", "100000")
    finally:
        signal.signal(signal.SIGINT, before)

    run = only_run()
    assert said.code == 130
    assert said.err.splitlines()[-1] == f"detached; the run goes on. Come back with: mlptui runs follow {run.id}"
    until_step(run, 5)
    assert run.verdict().trainer_alive
    assert not events(run, Kind.STOPPED)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_is_not_lost_where_python_drops_its_exception(
    mlptui: Command, trainers: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mlptui.cli.following._wait", lambda _: Finalized() and None)
    before = signal.getsignal(signal.SIGINT)
    try:
        said = mlptui("train", *QUICK, "--epochs", "100000")
    finally:
        signal.signal(signal.SIGINT, before)
    assert said.code == 130 and "detached; the run goes on" in said.err


@pytest.mark.process
def test_the_recipe_of_a_run_starts_the_same_run_again(mlptui: Command, trainers: Zygote) -> None:
    mlptui("train", *QUICK, "--epochs", "2", "--wait", "--name", "first")
    first = only_run()
    mlptui("train", "--recipe", str(first.recipe_file), "--wait", "--name", "second")
    second = next(run for run in rundir.all_runs(paths.find()) if run != first)

    assert [row.loss for row in read_rows(second.steps_file)] == [row.loss for row in read_rows(first.steps_file)]
    assert recipes.read(second.recipe_file).model_copy(update={"name": "first"}) == recipes.read(first.recipe_file)
    assert isinstance(json.loads(mlptui("runs", "show", second.id, "--json").out)["recipe"], dict)
    assert isinstance(first.recipe(), Recipe)
