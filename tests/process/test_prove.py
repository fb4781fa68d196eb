"""The proof that resuming is exact: trained twice and killed for it, kept beside the run, believed only as it was written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from process.trainers import Zygote, eventually, make_run, recipe, step_of
from safetensors.torch import save

from mlptui.cli.main import main
from mlptui.core.errors import CheckpointError, RunError
from mlptui.core.status import Status
from mlptui.launch import process, prove, trainer
from mlptui.store import checkpoints, host, lock, paths, proof, recipes
from mlptui.store import state as states
from mlptui.store.checkpoints import Checkpoint, name_of
from mlptui.store.control import LAST_STEP
from mlptui.store.proof import Proof
from mlptui.store.rundir import Run
from mlptui.store.steps import Row

pytestmark = pytest.mark.process

Start = Callable[..., int]


@pytest.fixture
def started(trainers: Zygote, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Run, int]]:
    """Trainers come from the warm process, ten steps of them take a while; those that were started."""
    made: list[tuple[Run, int]] = []

    def start(run: Run, extra: object = None) -> int:
        pid = trainers.spawn(run, slow=0.01)
        made.append((run, pid))
        return pid

    def lives(pid: int) -> bool:
        """A killed process is gone before its last thread lets go of the lock; waitpid, which this replaces, waits for it."""
        folder = next(run for run, known in made if known == pid)
        return host.process_start(pid) is not None or lock.holder(folder.lock_file) == pid

    monkeypatch.setattr(trainer, "start", start)
    monkeypatch.setattr(process, "lives", lives)
    return made


@pytest.fixture
def run(trainers: Zygote) -> Run:
    made = make_run(recipe(epochs=2, optimizer__name="adam", checkpoints__every_steps=3))
    assert trainers.wait(trainers.spawn(made)) == 0
    return made


def nothing_is_left(started: list[tuple[Run, int]]) -> None:
    folder = paths.find().state / "proofs"
    assert not folder.exists() or list(folder.iterdir()) == []
    for _, pid in started:
        eventually(lambda pid=pid: host.process_start(pid) is None, f"the end of {pid}")


def files_of(run: Run) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in run.folder.rglob("*") if file.is_file() and file.name != proof.FILE}


def test_a_runs_resume_is_proved_exact(run: Run, started: list[tuple[Run, int]], capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(run)
    assert proof.read(run) is None
    assert main(["runs", "prove", "last", "--steps", "100", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["exact"], told["steps"], told["differs"]) == (True, 10, "") and 5 <= told["killed"] < 10
    assert all(len(one) == 64 for one in told["sums"]) and len(started) >= 3
    found = proof.read(run)
    assert found and found.exact and found.sums == tuple(told["sums"])
    nothing_is_left(started)
    assert files_of(run) == before, "the run itself is as it was"
    assert main(["runs", "show", "last"]) == 0
    assert "resume exact: 10 steps straight, and with a kill after step" in capsys.readouterr().out
    assert main(["runs", "prove", "last", "--steps", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 6, "never fewer than were asked for; the kill is in the middle"
    for words in (("--steps", "1"), ("--steps", "-5")):
        assert main(["runs", "prove", "last", *words]) == 2


def test_a_resume_that_is_not_exact_is_told(
    run: Run, started: list[tuple[Run, int]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trainer that goes on with another rate than it had begun with."""
    start: Start = trainer.start

    def wrong(made: Run, extra: object = None) -> int:
        if len(started) and started[-1][0] == made:
            old = made.recipe()
            rate = old.optimizer.model_copy(update={"lr": 0.05})
            made.recipe_file.write_text(recipes.to_toml(old.model_copy(update={"optimizer": rate})))
        return start(made, extra)

    monkeypatch.setattr(trainer, "start", wrong)
    assert main(["runs", "prove", "last", "--steps", "10"]) == 1
    said = capsys.readouterr().out
    found = proof.read(run)
    assert found and not found.exact and found.differs == f"the log of step {found.killed + 1}" and found.sums == ("", "")
    assert f"resume not exact: {found.differs}" in said
    nothing_is_left(started)


@pytest.mark.parametrize("part", [1, 2, 3], ids=["straight", "before the kill", "resumed"])
@pytest.mark.parametrize("how", ["asked", "ctrl-c"])
def test_stopping_it_leaves_no_process_and_no_folder(run: Run, started: list[tuple[Run, int]], part: int, how: str) -> None:
    def stop() -> bool:
        late = len(started) == part and (part == 3 or step_of(started[-1][0]) >= 1)
        if late and how == "ctrl-c":
            raise KeyboardInterrupt
        return late

    with pytest.raises(KeyboardInterrupt if how == "ctrl-c" else RunError):
        prove.prove(paths.find(), run, 100_000, {}, lambda _: None, stop)
    assert len(started) == part
    nothing_is_left(started)
    assert proof.read(run) is None


def test_a_training_that_fails_proves_nothing(run: Run, started: list[tuple[Run, int]]) -> None:
    data = run.recipe().data.model_copy(update={"name": "no-such-set"})
    run.recipe_file.write_text(recipes.to_toml(run.recipe().model_copy(update={"data": data})))
    with pytest.raises(RunError, match="ended before step 10: ") as caught:
        prove.prove(paths.find(), run, 10, {}, lambda _: None, lambda: False)
    assert "no-such-set" in str(caught.value) and str(caught.value).isprintable()
    nothing_is_left(started)


def test_a_run_of_one_step_says_that_it_cannot_be_proved(run: Run, started: list[tuple[Run, int]]) -> None:
    states.write(run.state_file, run.state().but(steps=1))
    with pytest.raises(RunError, match="has one step"):
        prove.prove(paths.find(), run, 10, {}, lambda _: None, lambda: False)
    assert not started


def test_a_trainer_that_is_left_alone_ends_after_the_last_step_whatever_its_schedule_is(trainers: Zygote) -> None:
    made = make_run(recipe(epochs=100_000, schedule__name="cosine"))
    pid = trainer.start(made, {LAST_STEP: "7"})
    eventually(lambda: not process.lives(pid), "its end", 60)
    state = made.state()
    assert (state.status, state.step) == (Status.STOPPED, 7) and checkpoints.newest(made.checkpoints).name == name_of(7)


def test_what_a_dead_one_left_is_swept_and_a_living_ones_stays(run: Run, started: list[tuple[Run, int]]) -> None:
    import os

    folder = paths.find().state / "proofs"
    dead, living = folder / "999999999-abcd" / "runs", folder / f"{os.getppid()}-abcd" / "runs"
    for one in (dead, living):
        one.mkdir(parents=True)
    with pytest.raises(RunError):
        prove.prove(paths.find(), run, 10, {}, lambda _: None, lambda: True)
    assert not dead.parent.exists() and living.exists()


def test_a_proof_with_one_flipped_byte_is_not_believed(run: Run) -> None:
    made = Proof(10, 5, "", 1000.0, "torch 2", ("a" * 64, "b" * 64))
    proof.keep(run, made)
    file = run.folder / proof.FILE
    whole = file.read_bytes()
    assert proof.read(run) == made
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert proof.read(run) is None, place
    for other in (b"", b"{}", whole[:-1], whole * 2, b"\xff" * 99):
        file.write_bytes(other)
        assert proof.read(run) is None, other
    file.unlink()
    file.mkdir()
    assert proof.read(run) is None


# what the comparison sees, by hand


def made(folder: Path, weights: dict[str, torch.Tensor] | None = None, alias: str = "0.weight", **facts: Any) -> Checkpoint:
    weights = weights or {"0.weight": torch.ones(3), "0.bias": torch.zeros(2)}
    told = {"progress": {"step": 5, "loss_sum": "0.1", "trained_seconds": 1.0}, "param_groups": [{"lr": 0.1}], **facts}
    files = {
        "model.safetensors": save(weights, {"format": "pt", "2.weight": alias}),
        "training.safetensors": save({"optimizer.0.exp_avg": torch.ones(3)}, {"mlptui": json.dumps(told)}),
    }
    folder.mkdir(parents=True)
    return checkpoints.commit(folder, 5, files, {"run": folder.name})


def test_equal_checkpoints_differ_in_nothing_but_time(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    other = made(tmp_path / "other", progress={"loss_sum": "0.1", "step": 5, "trained_seconds": 99.0})
    differs, sums = proof.difference(one, other)
    assert differs == "" and len(set(sums)) == 2 and all(len(s) == 64 for s in sums)
    assert proof.difference(other, one) == ("", sums), "the sums say what was compared"


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        (
            {"weights": {"0.weight": torch.tensor([1, 1, 1.0000001]), "0.bias": torch.zeros(2)}},
            "0.weight in model.safetensors",
        ),
        ({"weights": {"0.weight": torch.ones(3), "0.bias": torch.tensor([0.0, -0.0])}}, "0.bias in model.safetensors"),
        ({"weights": {"0.weight": torch.ones(3), "0.bias": torch.zeros(1, 2)}}, "0.bias in model.safetensors"),
        ({"weights": {"0.weight": torch.ones(3), "0.bias": torch.zeros(2, dtype=torch.int32)}}, "0.bias in"),
        ({"weights": {"0.weight": torch.ones(3)}}, "0.bias in model.safetensors"),
        (
            {"weights": {"0.weight": torch.ones(3), "0.bias": torch.zeros(2), "x\x1b": torch.ones(1)}},
            "x␛ in model.safetensors",
        ),
        ({"alias": "0.bias"}, "2.weight in model.safetensors"),
        ({"param_groups": [{"lr": 0.1000001}]}, "param_groups in training.safetensors"),
        ({"progress": {"step": 5, "loss_sum": "0.2", "trained_seconds": 1.0}}, "progress in training.safetensors"),
        ({"optimizer_state": {"0": {"step": 1}}}, "optimizer_state in training.safetensors"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_planted_difference_is_named(planted: dict[str, Any], says: str, tmp_path: Path) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other", **planted)
    for pair in ((one, other), (other, one)):
        differs, sums = proof.difference(*pair)
        assert says in differs and sums == ("", "")


def test_a_damaged_checkpoint_proves_nothing(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    file = other.folder / "training.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(CheckpointError, match="damaged"):
        proof.difference(one, other)


def test_the_first_row_that_differs_is_named() -> None:
    nan = float("nan")
    rows = [Row(i, 100.0 + i, 0.1, 2.0 / i, 0.5, nan if i % 2 else 1.0, 1) for i in range(1, 7)]
    later = [row._replace(wall=row.wall + 50) for row in rows]
    assert proof.first_row(rows, later, 6) == ""
    for name, value in (("loss", 0.1), ("accuracy", 0.4), ("gradient_norm", 3.0), ("lr", 0.2), ("epoch", 2), ("loss", nan)):
        changed = [*later[:3], later[3]._replace(**{name: value}), *later[4:]]
        assert proof.first_row(rows, changed, 6) == "the log of step 4", name
        assert proof.first_row(rows, changed, 3) == ""
    assert proof.first_row(rows, later[:4], 6) == "the log ends after step 4"
    assert proof.first_row(rows, [*later, later[-1]._replace(step=7)], 6) == ""
