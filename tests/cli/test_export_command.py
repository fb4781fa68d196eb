"""`mlptui export`: from a trained run to files that other programs read, each compared; nothing of a person's is replaced."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from process.trainers import Zygote, events, eventually, make_run, recipe, zygote
from safetensors.torch import load_file

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.store import checkpoints, paths
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

NORM = (
    "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 16), "
    "nn.Linear(16, 10))"
)
TIED = f"net = {NORM}\nnet[5].bias = net[1].bias"


@pytest.fixture
def run(trainers: Zygote) -> Run:
    made = make_run(recipe(epochs=2, architecture=TIED))
    assert trainers.wait(trainers.spawn(made)) == 0
    return made


def weights_of(run: Run, which: str = "") -> dict[str, torch.Tensor]:
    newest = sorted(run.checkpoints.glob("step-*"))[-1]
    found = load_file((run.checkpoints / which if which else newest) / "model.safetensors")
    return found | {"5.bias": found["1.bias"]}


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "m.npz"])
def test_all_tensors_of_a_run(mlptui, run: Run, tmp_path: Path, name: str) -> None:
    file, wanted = tmp_path / name, weights_of(run)
    said = mlptui("export", "last", str(file))
    assert (said.code, said.out) == (0, "") and "read back: 11 of 11 tensors equal, bit for bit" in said.err
    found = {
        ".safetensors": lambda: load_file(file),
        ".pt": lambda: torch.load(file, weights_only=True),
        ".npz": lambda: {n: torch.from_numpy(a) for n, a in np.load(file).items()},
    }[file.suffix]()
    assert found.keys() == wanted.keys() and all(
        torch.equal(found[n], wanted[n]) and found[n].dtype == wanted[n].dtype for n in found
    )


def test_a_state_dict_loads_into_plain_torch(mlptui, run: Run, tmp_path: Path) -> None:
    from torch import nn

    assert mlptui("export", "last/best", str(tmp_path / "m.pt")).code == 0
    plain = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 16), nn.Linear(16, 10)
    )
    plain[5].bias = plain[1].bias
    plain.load_state_dict(torch.load(tmp_path / "m.pt", weights_only=True))
    best = next(e for e in events(run, Kind.EPOCH) if e["valid_accuracy"] == run.state().best_accuracy)
    wanted = weights_of(run, checkpoints.name_of(best.step))
    assert all(torch.equal(t, wanted[n]) for n, t in plain.state_dict().items())


def test_chosen_tensors_in_the_form_that_is_asked_for(mlptui, run: Run, tmp_path: Path) -> None:
    wanted = weights_of(run)
    one = ("--tensor", "1.weight")
    assert mlptui("export", "last", str(tmp_path / "x.npy"), *one).code == 0
    assert np.array_equal(np.load(tmp_path / "x.npy"), wanted["1.weight"].numpy())
    for form, file in (("", "a.pt"), ("tensor", "b.pt"), ("list", "c.pt"), ("dict", "d.pt")):
        assert mlptui("export", "last", str(tmp_path / file), *one, *(("--form", form) if form else ())).code == 0
    a, b, c, d = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in "abcd")
    assert all(torch.equal(t, wanted["1.weight"]) for t in (a, b, c[0], d["1.weight"])) and (len(c), len(d)) == (1, 1)
    two = ("--tensor", "6.weight", "--tensor", "1.bias")
    said = mlptui("export", "last", str(tmp_path / "e.pt"), *two, "--form", "list", "--json")
    assert said.json == {"out": str(tmp_path / "e.pt"), "size": (tmp_path / "e.pt").stat().st_size, "tensors": 2, "equal": 2}
    six, bias = torch.load(tmp_path / "e.pt", weights_only=True)
    assert torch.equal(six, wanted["6.weight"]) and torch.equal(bias, wanted["1.bias"])
    for words in ((*two, "--form", "tensor"), ("--tensor", "no\x1b[2J")):
        said = mlptui("export", "last", str(tmp_path / "f.pt"), *words)
        assert said.code in (1, 2) and said.err.count("\n") == 1 and "\x1b" not in said.err and "internal" not in said.err
    assert mlptui("export", "last", str(tmp_path / "f.npy"), *two).code == 1 and not (tmp_path / "f.npy").exists()


def test_a_network_without_a_run_is_exported_as_it_is_drawn(mlptui, tmp_path: Path) -> None:
    text = "nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))"
    for seed, name in (("5", "a.safetensors"), ("5", "b.safetensors"), ("6", "c.safetensors")):
        assert mlptui("export", text, str(tmp_path / name), "--seed", seed).code == 0
    a, b, c = (load_file(tmp_path / f"{name}.safetensors") for name in "abc")
    assert all(torch.equal(a[n], b[n]) for n in a) and not torch.equal(a["0.weight"], c["0.weight"])
    said = mlptui("export", text, str(tmp_path / "n.pt2"))
    assert said.code == 2 and "--input" in said.err
    assert mlptui("export", text, str(tmp_path / "n.pt2"), "--input", "4").code == 0
    assert torch.export.load(str(tmp_path / "n.pt2")).module()(torch.ones(3, 4)).shape == (3, 2)


def test_a_network_of_a_run_runs_elsewhere(mlptui, run: Run, tmp_path: Path) -> None:
    """With onnxruntime and torch.export, on pictures of the run's own data set."""
    import onnxruntime

    told = mlptui("export", "last", str(tmp_path / "n.onnx"), "--json").json
    assert told["largest_difference"] <= 1e-4 and told["size"] == (tmp_path / "n.onnx").stat().st_size
    assert "run on the same inputs" in mlptui("export", "last", str(tmp_path / "n.pt2")).err
    x = torch.randn(5, 1, 28, 28)
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": x.numpy()})
    torch.testing.assert_close(
        torch.from_numpy(found), torch.export.load(str(tmp_path / "n.pt2")).module()(x).detach(), rtol=1e-4, atol=1e-5
    )


def test_what_was_measured(mlptui, run: Run, tmp_path: Path) -> None:
    rows = read_rows(run.steps_file)
    for words, file in (((), "a.csv"), (("--epochs",), "b.csv"), ((), "c.json")):
        assert mlptui("export", "last", str(tmp_path / file), *words).code == 0
    steps, epochs = (list(csv.DictReader((tmp_path / name).read_text().splitlines())) for name in ("a.csv", "b.csv"))
    assert [(int(s["step"]), float(s["loss"])) for s in steps] == [(row.step, row.loss) for row in rows]
    assert [float(e["valid_accuracy"]) for e in epochs] == [e["valid_accuracy"] for e in events(run, Kind.EPOCH)]
    assert [s["loss"] for s in json.loads((tmp_path / "c.json").read_text())["steps"]] == [row.loss for row in rows]
    told = mlptui("export", "last/best", str(tmp_path / "logs"), "--as", "tensorboard", "--json").json
    assert told["count"] >= 3 * len(rows) and list((tmp_path / "logs").glob("events.out.tfevents.*"))


def test_nothing_is_replaced_unless_asked_and_wrong_words_are_one_sentence(mlptui, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.pt"
    file.write_bytes(b"mine")
    for words in (
        ("last", str(file)), ("last", str(tmp_path), "--as", "script"), ("last", str(tmp_path / "none" / "m.pt")),
        ("nowhere", str(tmp_path / "x.csv")), ("last/nosuch", str(tmp_path / "x.csv")),
        ("nowhere/best", str(tmp_path / "x.pt")), ("last", str(tmp_path / "x.docx")),
        ("last/77", str(tmp_path / "x.onnx")), ("last", str(tmp_path / "x.onnx"), "--input", "a,b"),
        ("last", str(tmp_path / "x.pt2"), "--input", "3,3"), ("mlp", str(tmp_path / "x"), "--as", "script"),
    ):  # fmt: skip
        said = mlptui("export", *words)
        assert said.code in (1, 2) and said.out == "" and said.err.count("\n") == 1, (words, said)
        assert said.err.startswith("mlptui: ") and "internal" not in said.err, said.err
    assert list(tmp_path.glob("x*")) == [] and file.read_bytes() == b"mine"
    assert mlptui("export", "last", str(file), "--force").code == 0 and file.read_bytes() != b"mine"


def printed(folder: Path, *words: str) -> str:
    """The last line that the script prints (in a process without anything of this project: tests/terminal/test_files.py)."""
    return zygote().script(folder / "run.py", *words).splitlines()[-1]


def test_a_script_judges_the_weights_as_the_run_did_and_trains_them_anew(mlptui, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    said = mlptui("export", "last", str(folder), "--as", "script", "--json")
    assert said.code == 0 and sorted(said.json["files"]) == sorted(f.name for f in folder.iterdir())
    text = (folder / "run.py").read_text()
    assert not re.search(r"^\s*(import|from) mlptui", text, re.M)
    judged = mlptui("checkpoints", "evaluate", "last", "--json").json
    wanted = f"test loss {judged['loss']:.4f}, accuracy {judged['score']:.4f}"
    assert printed(folder) == wanted
    assert printed(folder, "train") == wanted, "the same training gives the same network"


OWN = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, x):
        return self.net(x)
"""


def trained(mlptui, *words: str) -> None:
    """A run of the command itself, which has ended."""
    usual = ("--epochs", "1", "--device", "cpu", "--threads", "1", "--data", "fashion-mnist-sample", "--detach")
    said = mlptui("train", *usual, *words)
    assert said.code == 0, said
    made = Run(paths.find().runs / said.out.strip())
    eventually(lambda: made.state_file.exists() and not made.verdict().status.live, "the end")
    assert made.verdict().status is Status.FINISHED, made.log_tail(5)


@pytest.mark.parametrize("name", ["nets.py", "random.py"])  # one of Python's own modules is called so
def test_a_script_takes_a_persons_own_file_along_as_the_run_had_it(
    mlptui, trainers: Zygote, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "mine" / name
    file.parent.mkdir()
    file.write_text(OWN)
    trained(mlptui, "--architecture", f"{file}:Net(hidden=6)")
    code = hashlib.sha256(file.read_bytes()).hexdigest()
    for words in (("checkpoints", "evaluate", "last"), ("export", "last", str(tmp_path / "n.pt2"))):
        asked = mlptui(*words)
        assert asked.code and "needs --yes" in asked.err and code in asked.err, "it is named, and not run"
        assert not (tmp_path / "n.pt2").exists()
        assert mlptui(*words, "--yes").code == 0
    file.write_text("raise RuntimeError('not as the run had it')")
    folder = tmp_path / "taken"
    said = mlptui("export", "last", str(folder), "--as", "script", "--json")
    assert said.code == 0 and f"own/{name}" in said.json["files"], said
    shutil.rmtree(file.parent)
    judged = mlptui("checkpoints", "evaluate", "last", "--json", "--yes").json
    assert printed(folder) == f"test loss {judged['loss']:.4f}, accuracy {judged['score']:.4f}"
    assert printed(folder, "train") == printed(folder)
    assert mlptui("export", "last/0", str(folder), "--as", "script", "--force").code == 0, "an export replaces itself"
    for mine in (folder / "mine.py", folder / "own" / "mine.py"):
        mine.write_text("years")
        said = mlptui("export", "last", str(folder), "--as", "script", "--force")
        assert said.code and mine.read_text() == "years"
        mine.unlink()


@pytest.mark.parametrize("knobs", [("--shift", "2", "--flip"), ("--on-divergence", "skip")], ids=" ".join)
def test_what_a_script_cannot_train_it_judges_all_the_same(
    mlptui, trainers: Zygote, tmp_path: Path, knobs: tuple[str, ...]
) -> None:
    trained(mlptui, "--architecture", "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))", *knobs)
    folder = tmp_path / "taken"
    assert mlptui("export", "last", str(folder), "--as", "script").code == 0
    text = (folder / "run.py").read_text()
    assert "It judges and does not train" in text and "def train(" not in text
    judged = mlptui("checkpoints", "evaluate", "last", "--json").json
    assert printed(folder) == f"test loss {judged['loss']:.4f}, accuracy {judged['score']:.4f}"


def test_a_network_that_cannot_be_exported_is_one_sentence(mlptui, tmp_path: Path) -> None:
    for name in ("n.onnx", "n.pt2"):
        said = mlptui("export", "fixed-hidden", str(tmp_path / name), "--input", "20")
        assert said.code == 1 and said.out == "" and said.err.count("\n") == 1, said
        assert "data-dependent" in said.err and "\x1b" not in said.err and not (tmp_path / name).exists()


def test_a_file_of_one_tensor_is_one_array(mlptui, tmp_path: Path) -> None:
    torch.save(torch.arange(4), tmp_path / "x-file")
    assert mlptui("export", str(tmp_path / "x-file"), str(tmp_path / "x.npy")).code == 0
    assert np.array_equal(np.load(tmp_path / "x.npy"), np.arange(4))


def test_what_a_state_dict_does_not_have_is_named_where_it_is_left_out(mlptui, tmp_path: Path) -> None:
    said = mlptui("export", "fixed-hidden", str(tmp_path / "m.pt"))
    assert said.code == 0 and "not in a state_dict, so not written: rand_weight" in said.err, said


def test_force_replaces_only_what_an_export_made(mlptui, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "thesis.tex").write_text("years")
    said = mlptui("export", "last", str(folder), "--as", "script", "--force")
    assert (folder / "work" / "thesis.tex").is_file(), "what is no export of ours is not deleted"
    assert said.code in (1, 2) and said.err.count("\n") == 1
    assert mlptui("export", "last", str(tmp_path / "s"), "--as", "script").code == 0
    assert mlptui("export", "last/best", str(tmp_path / "s"), "--as", "script", "--force").code == 0
    assert sorted(f.name for f in tmp_path.iterdir() if f.name != "home") == ["mine", "s"]


def test_a_script_is_renewed_in_the_folder_that_one_stands_in(
    mlptui, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mlptui("export", "last/0", str(tmp_path / "s"), "--as", "script").code == 0
    monkeypatch.chdir(tmp_path / "s")
    before = Path("model.pt").read_bytes()
    for words in ((".",), (str(tmp_path / "s") + "/",), ("../s",)):
        said = mlptui("export", "last/best", *words, "--as", "script", "--force")
        assert "internal" not in said.err and said.err.count("\n") == 1, (words, said)
        monkeypatch.chdir(tmp_path / "s")
    assert (tmp_path / "s" / "model.pt").read_bytes() != before
