"""What is exported comes back as it was, through the libraries of those who read it; what cannot be is one sentence."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import MlptuiError
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.engine.build import build
from mlptui.engine.export import programs, tensors
from mlptui.engine.export.tensors import ExportError
from mlptui.store import metrics, rundir
from mlptui.store.eventlog import EventWriter
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.store.steps import Row, StepWriter, read_rows

Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture
def some() -> Tensors:
    """Numbers that are easily lost: nan with a payload, -0, the smallest; views; types; nothing at all."""
    odd = torch.tensor([0x7FC0BEEF, -(1 << 31), 1, 0x7F800000], dtype=torch.int32).view(torch.float32)
    return {
        "0.weight": odd,
        "0.bias": torch.arange(12.0).reshape(3, 4).T,
        "1.half": torch.linspace(-1, 1, 7).half(),
        "1.double": torch.tensor([0.1, math.pi], dtype=torch.float64),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "nothing": torch.ones(0, 3),
        "learns": nn.Parameter(torch.ones(2)),
    }


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    raw = [t.detach().contiguous().reshape(-1).view(torch.uint8) if t.numel() else t for t in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*raw)


def npz(file: Path) -> Tensors:
    with np.load(file, allow_pickle=False) as found:
        return {name: torch.from_numpy(found[name]) for name in found.files}


READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": safetensors.torch.load_file,
    ".pt": lambda file: torch.load(file, weights_only=True),
    ".pth": lambda file: torch.load(file, weights_only=True),
    ".bin": lambda file: torch.load(file, weights_only=True),
    ".params": lambda file: torch.load(file, weights_only=True),
    ".npz": npz,
}


@pytest.mark.parametrize("suffix", READERS)
def test_a_dictionary_comes_back_bit_for_bit(some: Tensors, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x{suffix}"
    written = tensors.write(file, tensors.shaped(some, "dict"))
    found = READERS[suffix](file)
    assert found.keys() == some.keys() and all(same(t, found[name]) for name, t in some.items())
    assert written.count == 8 and written.size == file.stat().st_size
    assert written.words == "read back: 8 of 8 tensors equal, bit for bit"
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_a_list_and_a_tensor_alone_come_back_as_they_were(some: Tensors, tmp_path: Path) -> None:
    """`x2 == x`, as d2l saves them: torch.save(x), torch.save([x, y])."""
    x, y = torch.arange(4), torch.zeros(4)
    tensors.write(tmp_path / "x.pt", tensors.shaped({"x": x}, "tensor"))
    assert same(torch.load(tmp_path / "x.pt", weights_only=True), x)
    tensors.write(tmp_path / "x-file", tensors.shaped({"x": x, "y": y}, "list"))
    x2, y2 = torch.load(tmp_path / "x-file", weights_only=True)
    assert same(x2, x) and same(y2, y)
    for name in ("0.weight", "0.bias", "count", "nothing"):
        tensors.write(tmp_path / "one.npy", tensors.shaped({name: some[name]}, "tensor"))
        assert same(torch.from_numpy(np.load(tmp_path / "one.npy", allow_pickle=False)), some[name]), name
    assert tensors.write(tmp_path / "l.npz", tensors.shaped(some, "list")).count == 8 and sorted(
        npz(tmp_path / "l.npz")
    ) == list("01234567")


def test_plain_tensors_are_written_without_what_lies_around_them(tmp_path: Path) -> None:
    big = torch.zeros(1_000_000)
    assert tensors.write(tmp_path / "view.pt", {"part": big[:3], "grows": nn.Parameter(torch.ones(1))}).size < 4000
    found = torch.load(tmp_path / "view.pt", weights_only=True)
    assert type(found["grows"]) is torch.Tensor and not found["grows"].requires_grad


def test_ties_are_one_in_pt_and_whole_in_the_others(tmp_path: Path) -> None:
    tied = torch.ones(100)
    tensors.write(tmp_path / "t.pt", {"a": tied, "b": tied})
    found = torch.load(tmp_path / "t.pt", weights_only=True)
    assert found["a"].data_ptr() == found["b"].data_ptr()
    for suffix in (".safetensors", ".npz"):
        assert tensors.write(tmp_path / f"t{suffix}", {"a": tied, "b": tied}).count == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e5m2], ids=str)
def test_what_numpy_has_no_type_for_goes_elsewhere(tmp_path: Path, dtype: torch.dtype) -> None:
    given = {"w": torch.ones(3).to(dtype)}
    for name in ("x.npz", "x.npy"):
        with pytest.raises(ExportError, match="NumPy has no"):
            tensors.write(tmp_path / name, given if name == "x.npz" else given["w"])
    assert list(tmp_path.iterdir()) == []
    for name in ("x.pt", "x.safetensors"):
        assert tensors.write(tmp_path / name, given).count == 1


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a/b", "..", "日本\x1b[2J"])
def test_any_name_that_a_tensor_has_comes_back(tmp_path: Path, name: str) -> None:
    for suffix in (".npz", ".pt", ".safetensors"):
        file = tmp_path / f"x{suffix}"
        assert tensors.write(file, {name: torch.ones(2)}).words.startswith("read back: 1 of 1"), suffix
        assert list(READERS[suffix](file)) == [name]


def test_what_cannot_be_written_is_one_sentence_and_leaves_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    file.write_bytes(b"before")
    for path, given, says in (
        (file, {"a": torch.ones(1), "b": torch.ones(1)}, "one tensor"),
        (tmp_path / "x.docx", {"a": torch.ones(1)}, "no tensors are written as"),
        (tmp_path / "none" / "x.pt", {"a": torch.ones(1)}, "cannot be written"),
        (tmp_path, {"a": torch.ones(1)}, "cannot be written"),
    ):
        with pytest.raises(ExportError, match=says) as caught:
            tensors.write(path, given)
        assert str(caught.value).isprintable()
    with pytest.raises(ExportError, match="2 are chosen"):
        tensors.shaped({"a": torch.ones(1), "b": torch.ones(1)}, "tensor")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.npy"] and file.read_bytes() == b"before"


def test_what_does_not_come_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that writes another byte than it was given."""
    encode = tensors.encode
    monkeypatch.setattr(tensors, "encode", lambda suffix, given: encode(suffix, given)[:-1] + b"\x01")
    (tmp_path / "x.safetensors").write_bytes(b"before")
    with pytest.raises(ExportError, match="b does not come back as it was, so nothing is written"):
        tensors.write(tmp_path / "x.safetensors", {"a": torch.zeros(2), "b": torch.zeros(2)})
    assert (tmp_path / "x.safetensors").read_bytes() == b"before"


# programs

SMALL = {
    "mlp": ("nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))", (1, 4, 4)),
    "lenet": (ZOO["lenet"].text, ZOO["lenet"].input),
    "dropout": ("nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))", (16,)),
    "batch norm": ("nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))", (16,)),
    "tied": (ZOO["tied"].text, ZOO["tied"].input),
}


def network(name: str) -> tuple[nn.Module, torch.Tensor]:
    text, shape = SMALL[name]
    torch.manual_seed(3)
    model = build(parse(text))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
    return model, torch.randn(4, *shape)


def run(file: Path, inputs: torch.Tensor) -> torch.Tensor:
    """By the format's own library."""
    if file.suffix == ".pt2":
        found: torch.Tensor = torch.export.load(str(file)).module()(inputs)
        return found.detach()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["output"], {"input": inputs.numpy()})[0])


@pytest.mark.parametrize("suffix", programs.SUFFIXES)
@pytest.mark.parametrize("name", SMALL)
def test_a_program_computes_what_the_network_computes_for_any_number_of_samples(
    name: str, suffix: str, tmp_path: Path
) -> None:
    model, inputs = network(name)
    model.train()
    before, random = {n: t.clone() for n, t in model.state_dict().items()}, torch.get_rng_state()
    checked = programs.write(tmp_path / f"net{suffix}", model, inputs)
    assert model.training and all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state()), "a later dropout does not depend on an export"
    assert checked.size == checked.file.stat().st_size and checked.largest <= programs.CLOSE * 10
    assert [entry.name for entry in tmp_path.iterdir()] == [f"net{suffix}"]
    model.eval()
    for given in (inputs, inputs[:1], torch.cat([inputs, inputs * 2, inputs[:1]])):
        torch.testing.assert_close(run(checked.file, given), model(given).detach(), rtol=1e-5, atol=1e-5)
    assert np.array_equal(run(checked.file, inputs[:2]), run(checked.file, inputs[:2])), "nothing is left out at random"


class Branches(nn.Module):
    """What is computed depends on the numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.abs().sum() > 1:
            x = x / 2
        return x


class Random(nn.Module):
    """Another output each time, so that no file computes the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Fails(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("three\nlines \x1b[2J\nof it")


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@pytest.mark.parametrize(("suffix", "model"), [
    (".onnx", Branches()), (".pt2", Branches()), (".pt2", Random()), (".onnx", Fails()), (".pt2", Pair()), (".onnx", Pair())
])  # fmt: skip
def test_what_cannot_be_a_program_is_one_sentence_and_no_file(suffix: str, model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        programs.write(tmp_path / f"net{suffix}", model, torch.randn(4, 3))
    said = str(caught.value)
    assert said.isprintable() and len(said) < 500 and list(tmp_path.iterdir()) == [] and model.training
    assert "Traceback" not in said


def test_the_ending_says_the_format_however_it_is_written(tmp_path: Path) -> None:
    model, inputs = network("mlp")
    programs.write(tmp_path / "a.ONNX", model, inputs)
    assert not (tmp_path / "a.ONNX").read_bytes().startswith(b"PK")
    assert torch.allclose(run(tmp_path / "a.ONNX", inputs), model.eval()(inputs), atol=1e-5)


def test_outputs_that_are_not_finite_may_be_the_same(tmp_path: Path) -> None:
    class Infinite(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack((x.sum(1) * torch.inf, x.sum(1) * torch.nan), 1)

    checked = programs.write(tmp_path / "a.pt2", Infinite(), torch.ones(3, 4))
    assert checked.largest == 0.0 and "bit for bit" in checked.words


def test_a_program_is_not_written_where_there_is_no_folder(tmp_path: Path) -> None:
    model, inputs = network("mlp")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="cannot be written"):
        programs.write(tmp_path / "file" / "net.pt2", model, inputs)


# metrics


@pytest.fixture
def measured(paths: Paths) -> Run:
    """A run with a step's loss not finite, two epochs, and one that a resume took back."""
    run = rundir.create(paths, Recipe(), "x", "mlp 784-256-10")
    rows = [Row(i, 1000.5 + i, 0.1 / i, 2.5 / i, i / 8, math.nan if i % 3 else 1 / i, 1 + (i - 1) // 4) for i in range(1, 9)]
    rows[4] = rows[4]._replace(loss=math.nan)
    rows[5] = rows[5]._replace(loss=math.inf)
    StepWriter(run.steps_file).write(rows)
    log = EventWriter(run.events_file)
    known = {"train_accuracy": 0.5, "samples_per_second": 9.0, "seconds": 1.5, "lr": 0.1}
    log.write(Kind.EPOCH, 4, epoch=1, train_loss=2.0, valid_loss=None, valid_accuracy=None, **known)
    log.write(Kind.EPOCH, 8, epoch=2, train_loss=9.9, valid_loss=1.0, valid_accuracy=0.1, **known)
    log.write(Kind.RESUMED, 4)
    log.write(Kind.EPOCH, 8, epoch=2, train_loss=math.nan, valid_loss=1.25, valid_accuracy=0.75, **known)
    return run


def parsed(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_csv_has_every_step_exactly(measured: Run) -> None:
    lines, rows = parsed(metrics.as_csv(measured)), read_rows(measured.steps_file)
    assert len(lines) == len(rows) == 8
    for line, row in zip(lines, rows, strict=True):
        for name, value in row._asdict().items():
            assert (line[name] == "" and math.isnan(value)) or repr(float(line[name])) == repr(float(value)), name
    assert (lines[4]["loss"], lines[5]["loss"]) == ("nan", "inf")
    assert lines[0]["gradient_norm"] == "" and float(lines[2]["gradient_norm"]) == rows[2].gradient_norm


def test_csv_of_epochs_is_the_history_as_it_is_now(measured: Run) -> None:
    one, two = parsed(metrics.as_csv(measured, by_epoch=True))
    assert (one["epoch"], one["train_loss"], one["valid_loss"]) == ("1", "2.0", "")
    assert (two["epoch"], two["step"], two["train_loss"], two["valid_accuracy"]) == ("2", "8", "nan", "0.75")


def test_json_is_a_document_of_all_that_any_parser_takes(measured: Run) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(metrics.as_json(measured), parse_constant=refuse)
    assert found["run"] == measured.id and Recipe(**found["recipe"]) == measured.recipe()
    for step, row in zip(found["steps"], read_rows(measured.steps_file), strict=True):
        assert {n: repr(float(v)) for n, v in step.items()} == {n: repr(float(v)) for n, v in row._asdict().items()}
    assert [e["train_loss"] for e in found["epochs"]] == [2.0, "nan"] and [e["kind"] for e in found["events"]].count(
        "epoch"
    ) == 3


def scalars(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """What TensorBoard reads: (step, wall, value) by tag."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for file in folder.iterdir():
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
                found.setdefault(value.tag, []).append((event.step, event.wall_time, number))
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_the_same_numbers(measured: Run, tmp_path: Path) -> None:
    count = metrics.as_tensorboard(measured, tmp_path / "logs")
    found, rows = scalars(tmp_path / "logs"), read_rows(measured.steps_file)
    assert count == sum(map(len, found.values())) == 3 * 8 + 2 + 2 + 1 + 1
    for tag, values in (
        ("loss/train", [(r.step, r.wall, r.loss) for r in rows]),
        ("accuracy/train", [(r.step, r.wall, r.accuracy) for r in rows]),
        ("lr", [(r.step, r.wall, float(np.float32(r.lr))) for r in rows]),
        ("gradient_norm", [(r.step, r.wall, r.gradient_norm) for r in rows if not r.step % 3]),
    ):
        assert repr(found[tag]) == repr(values), tag
    assert [(step, value) for step, _, value in found["accuracy/valid"]] == [(8, 0.75)]
    assert [step for step, _, _ in found["loss/epoch"]] == [4, 8]


def test_terminalboard_reads_the_same_numbers(measured: Run, tmp_path: Path) -> None:
    from terminalboard.reader import LightReader

    count = metrics.as_tensorboard(measured, tmp_path / "logs" / measured.id)
    (run,) = LightReader(str(tmp_path / "logs")).poll().values()
    rows = read_rows(measured.steps_file)
    assert run.name == measured.id and count == sum(map(len, run.series.values()))
    found = run.series["loss/train"]
    assert repr(list(zip(found.steps, found.values, strict=True))) == repr([(r.step, r.loss) for r in rows])
    assert (run.series["accuracy/valid"].steps, run.series["accuracy/valid"].values) == ([8], [0.75])


def test_a_folder_that_cannot_be_made_is_one_sentence(measured: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MlptuiError, match="Not a directory"):
        metrics.as_tensorboard(measured, tmp_path / "file" / "logs")
