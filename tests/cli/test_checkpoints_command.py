"""`mlptui checkpoints`: listed, verified, pinned, annotated, copied out, removed, saved, renamed and judged."""

import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from process.trainers import Zygote, events, make_run, recipe
from safetensors.torch import load_file
from torch.nn import functional as F

from mlptui.core.bench import Evaluate, Judgement, Open, Save, Saved
from mlptui.core.events import Kind
from mlptui.core.parameters.messages import Load, Plan
from mlptui.datasets import library
from mlptui.engine.bench.workbench import Workbench
from mlptui.store import checkpoints, collection, paths
from mlptui.store.rundir import Run


@pytest.fixture
def run(trainers: Zygote) -> Run:
    made = make_run(recipe(epochs=2))
    assert trainers.wait(trainers.spawn(made)) == 0
    return made


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_yet_is_said(mlptui) -> None:
    said = mlptui("checkpoints", "list")
    assert (said.code, said.out) == (0, "") and "no checkpoints yet" in said.err
    assert mlptui("checkpoints", "list", "--json").json == []
    assert mlptui("checkpoints", "verify").code == 0
    said = mlptui("checkpoints", "show", "last/best")
    assert (said.code, said.out) == (1, "") and "there are no runs" in said.err


def test_checkpoints_are_listed_shown_pinned_and_annotated(mlptui, run: Run) -> None:
    said = mlptui("checkpoints", "list")
    assert said.code == 0 and said.out.count(f"{run.id}/step-") == 3 and said.out.count(" best") == 1
    listed = mlptui("checkpoints", "list", "last", "--json").json
    assert [row["id"] for row in listed] == [f"{run.id}/{f.name}" for f in sorted(run.checkpoints.iterdir(), reverse=True)]
    assert all(row["size"] > 0 and row["damaged"] == "" and not row["pinned"] for row in listed)
    best = next(row for row in listed if row["best"])
    assert best["valid_accuracy"] == run.state().best_accuracy
    assert mlptui("checkpoints", "pin", "last/best").code == 0
    assert "\x1b" not in mlptui("checkpoints", "note", "last/best", "good \x1b[2J [/]").err
    shown = mlptui("checkpoints", "show", "last/best", "--json").json
    assert shown["pinned"] and shown["note"] == "good \x1b[2J [/]" and shown["manifest"]["step"] == best["step"]
    for words in (("show", "last/best"), ("list",)):
        out = mlptui("checkpoints", *words).out
        assert "pinned" in out and "good ␛[2J [/]" in out and "\x1b" not in out
    assert mlptui("checkpoints", "unpin", "last/best", "--json").json["pinned"] is False


def test_checkpoints_are_sorted_the_best_the_largest_or_the_newest_first(mlptui, run: Run) -> None:
    def by(*words: str) -> list[int]:
        return [row["step"] for row in mlptui("checkpoints", "list", "--json", *words).json]

    steps = by()
    reached = {e.step: e["valid_accuracy"] for e in events(run, Kind.EPOCH)}
    assert by("--sort", "step") == sorted(steps, reverse=True) and by("--sort", "step", "--reverse") == sorted(steps)
    assert by("--sort", "valid") == [*sorted(reached, key=reached.get, reverse=True), 0], "the first one was not judged"
    assert by("--sort", "valid", "--reverse") == [*sorted(reached, key=reached.get), 0]
    assert by("--sort", "date") == steps and by("--reverse") == steps[::-1]
    assert mlptui("checkpoints", "list", "--sort", "colour").code == 2


def test_one_flipped_bit_is_told_with_what_to_use_instead(mlptui, run: Run) -> None:
    assert mlptui("checkpoints", "verify").err.endswith("3 checkpoints read, 0 damaged\n")
    newest, before = sorted(run.checkpoints.iterdir(), reverse=True)[:2]
    file = newest / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 4
    file.write_bytes(data)
    said = mlptui("checkpoints", "verify")
    assert said.code == 1 and "model.safetensors: bytes" in said.out and f"{run.id}/{before.name}" in said.out
    (damaged,) = [row for row in mlptui("checkpoints", "verify", "--json").lines if row["damaged"]]
    assert damaged["id"] == f"{run.id}/{newest.name}" and damaged["newest_good"] == f"{run.id}/{before.name}"
    assert mlptui("checkpoints", "verify", f"last/{before.name}").code == 0
    for words in (
        ("checkpoints", "copy", "last", "/nonexistent"),
        ("checkpoints", "evaluate", "last"),
        ("export", "last", str(run.folder / "x"), "--as", "script"),
        ("runs", "continue", "last", "--epochs", "9"),
    ):
        said = mlptui(*words)
        assert said.code == 1 and "damaged" in said.err and f"the newest whole one is {run.id}/{before.name}" in said.err, (
            words
        )


def test_a_copy_is_shown_as_what_it_is_a_copy_of(mlptui, run: Run, tmp_path: Path) -> None:
    assert mlptui("checkpoints", "copy", "last/last", str(tmp_path / "out")).code == 0
    (copy,) = (tmp_path / "out").iterdir()
    shown = mlptui("checkpoints", "show", str(copy), "--json").json
    assert shown["manifest"] == mlptui("checkpoints", "show", "last/last", "--json").json["manifest"]
    said = mlptui("checkpoints", "show", str(copy))
    assert said.code == 0 and f"{shown['manifest']['step']:,}" in said.out
    (copy / "checkpoint.json").write_bytes(b"")
    said = mlptui("checkpoints", "show", str(copy))
    assert "internal error" not in said.err


def test_a_copy_can_be_looked_into_and_is_the_same(mlptui, run: Run, tmp_path: Path) -> None:
    place = mlptui("checkpoints", "copy", "last/best", str(tmp_path / "out"), "--json").json["copied"]
    said = mlptui("params", "diff", place, str(run.checkpoints / Path(place).name.removeprefix(f"{run.id}-")))
    assert said.code == 0 and "none, bit for bit" in said.out
    assert mlptui("params", "diff", place, "last/best").code == 0 and mlptui("params", "diff", "last/0", "last/best").code == 1
    said = mlptui("params", "list", "last/77")
    assert said.code == 1 and "has no checkpoint '77'" in said.err


def test_removing_asks_and_a_pin_protects(mlptui, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mlptui("checkpoints", "remove", "last/last").code == 2
    for answer, code, left in (("n\n", 1, 3), ("\n", 1, 3), ("y\n", 0, 2)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert mlptui("checkpoints", "remove", "last/last").code == code
        assert len(list(run.checkpoints.iterdir())) == left
    mlptui("checkpoints", "pin", "last/last")
    said = mlptui("checkpoints", "remove", "last/last", "--yes")
    assert said.code == 1 and "is pinned; unpin it first" in said.err


def test_retention_says_what_it_would_free_asks_and_leaves_what_it_must(mlptui, trainers: Zygote) -> None:
    made = make_run(recipe(epochs=6, checkpoints__keep=10))
    assert trainers.wait(trainers.spawn(made)) == 0
    steps = [folder.name for folder in checkpoints.folders(made.checkpoints)]
    assert len(steps) == 7
    assert mlptui("checkpoints", "prune", "last", "--dry-run").err == "0 checkpoints would go, 0 B\n"
    mlptui("checkpoints", "pin", f"last/{steps[2]}")
    best = next(row["id"].partition("/")[2] for row in mlptui("checkpoints", "list", "--json").json if row["best"])
    stay = {steps[0], steps[2], best, *steps[-2:]}

    told = mlptui("checkpoints", "prune", "last", "--keep", "1", "--dry-run", "--json").json
    assert set(told["keeps"]) == stay and told["keeps"][steps[2]] == "pinned" and told["keeps"][steps[0]] == "the first"
    assert set(told["removes"]) == set(steps) - stay
    assert told["frees"] == sum(checkpoints.load(made.checkpoints / name).size for name in told["removes"]) > 0
    said = mlptui("checkpoints", "prune", "last", "--keep", "1", "--dry-run")
    assert said.out.count(" goes") == len(told["removes"]) and "would go" in said.err
    assert mlptui("checkpoints", "prune", "last", "--keep", "1").code == 2, "nobody can be asked"
    for keep in ("0", "-3"):
        refused = mlptui("checkpoints", "prune", "last", "--keep", keep, "--yes")
        assert refused.code == 2 and f"at least 1, not {keep}" in refused.err
    assert [folder.name for folder in checkpoints.folders(made.checkpoints)] == steps

    said = mlptui("checkpoints", "prune", "last", "--keep", "1", "--yes")
    assert said.code == 0 and "removed" in said.err
    assert {folder.name for folder in checkpoints.folders(made.checkpoints)} == stay
    assert mlptui("checkpoints", "verify").code == 0


# saved by hand


def one_sentence(said, code: int = 1) -> str:
    assert (said.code, said.out) == (code, "") and said.err.count("\n") == 1, said
    assert said.err[:-1].isprintable() and "internal error" not in said.err
    return str(said.err)


def test_a_network_is_saved_under_a_name_version_by_version(mlptui, tmp_path: Path) -> None:
    text = "nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))"
    first = mlptui("checkpoints", "save", "my-net", text, "--note", " as drawn \x1b[2J", "--seed", "3", "--json").json
    assert first["id"] == "my-net/step-0000000001" and (Path(first["folder"]) / "model.safetensors").is_file()
    assert mlptui("params", "init", text, "--rule", "*.weight: ones", "--out", str(tmp_path / "w.safetensors")).code == 0
    said = mlptui("checkpoints", "save", "my-net", text, "--weights", str(tmp_path / "w.safetensors"))
    assert said.code == 0 and "saved as my-net/step-0000000002" in said.err
    rows = mlptui("checkpoints", "list", "my-net", "--json").lines[0]
    assert [(row["step"], row["note"], row["damaged"]) for row in rows] == [(2, "", ""), (1, "as drawn \x1b[2J", "")]
    assert "\x1b" not in mlptui("checkpoints", "list").out and "my-net/step-0000000002" in mlptui("checkpoints", "list").out
    assert mlptui("params", "diff", "my-net/1", text, "--seed", "3").code in (0, 1)
    drawn = load_file(Path(first["folder"]) / "model.safetensors")
    assert mlptui("export", text, str(tmp_path / "drawn.safetensors"), "--seed", "3").code == 0
    assert all(torch.equal(t, drawn[n]) for n, t in load_file(tmp_path / "drawn.safetensors").items())
    assert mlptui("params", "diff", "my-net", str(tmp_path / "w.safetensors")).code == 0, "the newest of the name"
    assert mlptui("checkpoints", "verify").code == 0 and mlptui("checkpoints", "pin", "my-net/1").code == 0
    assert "is pinned" in one_sentence(mlptui("checkpoints", "remove", "my-net/1", "--yes"))
    assert mlptui("checkpoints", "remove", "my-net/2", "--yes").code == 0
    assert [row["step"] for row in mlptui("checkpoints", "list", "my-net", "--json").json] == [1]


def test_a_file_and_a_checkpoint_of_a_run_are_saved_bit_for_bit(mlptui, run: Run, tmp_path: Path) -> None:
    assert mlptui("export", "last/best", str(tmp_path / "w.pt")).code == 0
    for name, source in (("of-file", str(tmp_path / "w.pt")), ("of-run", "last/best"), ("again", "of-run")):
        assert mlptui("checkpoints", "save", name, source).code == 0
        assert mlptui("params", "diff", name, "last/best").code == 0


@pytest.mark.parametrize(
    "name", ["", "last", "best", "../x", "a/b", ".hidden", "-x", "x" * 65, "\x1b[2J", "日本", "a b", "a\nb"]
)
def test_a_name_that_no_folder_should_have_is_refused(mlptui, name: str) -> None:
    assert mlptui("checkpoints", "save", " good\n", "nn.Linear(2, 2)").code == 0, "what surrounds a name is no part of it"
    for words in (("save", f" {name}", "nn.Linear(2, 2)"), ("rename", "good", f" {name}")):
        said = mlptui("checkpoints", *words)
        assert said.code in (1, 2) and one_sentence(said, said.code)
    assert [entry.name for entry in paths.find().saved.iterdir()] == ["good"]


def test_what_has_no_sizes_or_is_no_network_is_not_saved(mlptui, tmp_path: Path) -> None:
    for network in ("nn.LazyLinear(3)", "no-such-net", str(tmp_path / "none.safetensors"), "nn.Linear(2"):
        said = mlptui("checkpoints", "save", "x", network)
        one_sentence(said, said.code)
        assert said.code in (1, 2)
    one_sentence(mlptui("checkpoints", "save", "x", "nn.Linear(2, 2)", "--weights", "nowhere"), 2)
    assert mlptui("checkpoints", "list", "--json").json == []


def test_a_saved_name_is_changed_and_a_runs_is_not(mlptui, run: Run) -> None:
    for name in ("one", "two"):
        assert mlptui("checkpoints", "save", name, "nn.Linear(2, 2)", "--note", name).code == 0
    assert "is there already" in one_sentence(mlptui("checkpoints", "rename", "one", "two"))
    assert "keeps its id" in one_sentence(mlptui("checkpoints", "rename", run.id, "mine"))
    assert "a run is called" in one_sentence(mlptui("checkpoints", "save", run.id, "nn.Linear(2, 2)"), 2)
    assert "is there already" in one_sentence(mlptui("checkpoints", "rename", "one", run.id))
    one_sentence(mlptui("checkpoints", "rename", "nowhere", "x"))
    assert mlptui("checkpoints", "rename", "one", "three", "--json").json == {"name": "three"}
    assert mlptui("checkpoints", "show", "three", "--json").json["note"] == "one"
    assert mlptui("checkpoints", "show", "one").code == 1 and mlptui("checkpoints", "verify").code == 0


# judged


def test_a_judgement_is_the_runs_own_to_the_last_digit(mlptui, run: Run) -> None:
    (tested,) = events(run, Kind.TESTED)
    found = mlptui("checkpoints", "evaluate", "last", "--json").json
    assert (found["loss"], found["score"]) == (tested["test_loss"], tested["test_accuracy"])
    assert (found["part"], found["same_data"], found["score_name"]) == ("test", True, "accuracy")
    for epoch in events(run, Kind.EPOCH):
        found = mlptui("checkpoints", "evaluate", f"last/{epoch.step}", "--part", "validation", "--json").json
        assert (found["loss"], found["score"]) == (epoch["valid_loss"], epoch["valid_accuracy"])
    train, valid = (mlptui("checkpoints", "evaluate", "last", "--part", p, "--json").json for p in ("train", "validation"))
    assert train["samples"] + valid["samples"] == len(library.load(paths.find(), train["data"]).train)
    said = mlptui("checkpoints", "evaluate", "last/best")
    assert said.code == 0 and said.out.startswith("fashion-mnist-sample, test, ") and "accuracy" in said.out
    assert mlptui("checkpoints", "evaluate", "last", "--part", "all").code == 2


def test_another_set_is_judged_where_it_fits(mlptui, run: Run, tmp_path: Path) -> None:
    """With the mean and the deviation that the network was trained with, not with the other set's own."""
    chance = np.random.default_rng(1)
    inputs, labels = chance.integers(0, 90, (200, 28, 28), np.uint8), np.arange(200) % 10
    np.savez(tmp_path / "a.npz", x_train=inputs[:100], y_train=labels[:100], x_test=inputs[100:], y_test=labels[100:])
    assert mlptui("data", "add", "other", str(tmp_path / "a.npz")).code == 0
    found = mlptui("checkpoints", "evaluate", "last", "--data", "other", "--json").json
    assert (found["samples"], found["same_data"], found["data"]) == (100, False, "other")
    newest = checkpoints.newest_verified(run.checkpoints)[0]
    assert newest
    w, info = load_file(newest.folder / "model.safetensors"), newest.manifest["normalisation"]
    x = (torch.from_numpy(inputs[100:]).float() / 255 - info["mean"][0]) / info["deviation"][0]
    outputs = F.linear(F.linear(x.flatten(1), w["1.weight"], w["1.bias"]).relu(), w["4.weight"], w["4.bias"])
    wanted = torch.from_numpy(labels[100:])
    assert found["loss"] == pytest.approx(F.cross_entropy(outputs, wanted).item(), rel=1e-5)
    assert found["score"] == pytest.approx((outputs.argmax(1) == wanted).double().mean().item(), abs=0.011)


def test_a_set_that_does_not_fit_is_one_sentence(mlptui, run: Run, tmp_path: Path) -> None:
    small, labels = np.zeros((60, 8, 8), np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "small.npz", inputs=small, labels=labels)
    np.savez(tmp_path / "few.npz", inputs=np.zeros((60, 28, 28), np.uint8), labels=labels % 3)
    (tmp_path / "table.csv").write_text("a,b,y\n" + "".join(f"{i},{i % 7},{i * 0.37}\n" for i in range(60)))
    for name in ("small.npz", "few.npz", "table.csv"):
        assert mlptui("data", "add", name.partition(".")[0], str(tmp_path / name)).code == 0, name
    for name in ("small", "few", "table", "nowhere", "\x1b[2J"):
        one_sentence(mlptui("checkpoints", "evaluate", "last", "--data", name))


def test_numbers_that_are_predicted_are_judged_as_the_run_judged_them(mlptui, trainers: Zygote, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,b,y\n" + "".join(f"{i % 13},{i % 7},{(i % 13) * 2 + i % 7 + 100}\n" for i in range(200))
    )
    assert mlptui("data", "add", "numbers", str(tmp_path / "t.csv"), "--copy").code == 0
    for normalise in ("standard", "range"):
        net = "nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))"
        knobs = {"data__name": "numbers", "architecture": net, "loss": "mse", "batch_size": 20, "optimizer__lr": 0.001}
        run = make_run(recipe(epochs=1, data__normalise=normalise, **knobs))
        assert trainers.wait(trainers.spawn(run)) == 0, run.state().reason
        (tested,) = events(run, Kind.TESTED)
        found = mlptui("checkpoints", "evaluate", run.id, "--json").json
        assert (found["loss"], found["score"], found["score_name"]) == (tested["test_loss"], tested["test_accuracy"], "R2")
    one_sentence(mlptui("checkpoints", "evaluate", "last", "--data", "fashion-mnist-sample"))


def test_a_damaged_one_and_one_that_was_never_trained_are_not_judged(mlptui, run: Run) -> None:
    assert mlptui("checkpoints", "save", "mine", "mlp").code == 0
    assert "does not say what it was trained on" in one_sentence(mlptui("checkpoints", "evaluate", "mine"))
    judged = mlptui("checkpoints", "evaluate", "mine", "--data", "fashion-mnist-sample", "--json").json
    assert judged["score_name"] == "accuracy" and 0 <= judged["score"] < 0.4, "its weights were drawn, not learnt"
    (kept,) = collection.find(paths.find(), "mine").about.judged
    assert (kept.part, kept.data, kept.score) == (judged["part"], "fashion-mnist-sample", judged["score"])
    file = sorted(run.checkpoints.iterdir())[-1] / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    assert "damaged" in one_sentence(mlptui("checkpoints", "evaluate", "last"))


def test_what_the_bench_saves_with_a_recipe_is_judged_like_the_run(run: Run) -> None:
    bench, wanted = Workbench(paths.find()), run.recipe()
    for request in (Open(text=wanted.architecture), Load(plan=Plan(source="last"))):
        assert bench.answer(request).kind == "sheet"
    saved = bench.answer(Save(name="mine", recipe=wanted.model_dump_json()))
    assert isinstance(saved, Saved)
    found = bench.answer(Evaluate(folder=saved.folder))
    assert isinstance(found, Judgement), found
    (tested,) = events(run, Kind.TESTED)
    assert (found.loss, found.score) == (tested["test_loss"], tested["test_accuracy"])
