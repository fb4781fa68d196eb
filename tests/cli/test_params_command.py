"""`mlptui params`: tensors of networks, files, checkpoints and runs; set, drawn, tied and compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from process.trainers import Zygote, eventually
from safetensors.torch import load_file, save_file

from mlptui.core.status import Status
from mlptui.store import paths, rundir

Command = Callable[..., Any]
TWO = "nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))"
COMMON = (
    "--data",
    "fashion-mnist-sample",
    "--epochs",
    "1",
    "--batch-size",
    "800",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--detach",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(3)
    tensors = {f"{i}.weight": torch.randn(3, 4, generator=generator) for i in range(11)}
    tensors["whole"] = torch.arange(6).reshape(2, 3)
    tensors["half"] = torch.tensor([0.5, float("nan"), float("-inf")], dtype=torch.bfloat16)
    tensors["none"] = torch.zeros(0, 3)
    tensors["one"] = torch.tensor(7.0)
    save_file(tensors, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_a_network_s_tensors_are_listed_as_pytorch_lists_them(mlptui: Command) -> None:
    said = mlptui("params", "list", "tied", "--json")
    rows = {row["path"]: row for row in said.lines}
    assert said.code == 0 and rows["4.weight"]["alias_of"] == "2.weight" and rows["2.weight"]["shape"] == [8, 8]
    assert rows["0.weight"]["spelled"] == "[0].weight" and rows["0.weight"]["drawn"] == "default"
    table = mlptui("params", "list", "tied")
    assert "= 2.weight" in table.out and table.out.splitlines()[0].startswith("path") and "sha256" in table.err
    assert mlptui("params", "list", "tied").err == table.err  # the seed is 0 where nothing else is said
    assert mlptui("params", "list", "tied", "--seed", "1").err != table.err


def test_a_file_is_listed_in_natural_order_with_true_statistics(mlptui: Command, file: Path) -> None:
    rows = {row["path"]: row for row in mlptui("params", "stats", str(file), "--json").lines}
    given = load_file(file)
    assert set(rows) == set(given)
    paths_ = list(rows)
    assert paths_.index("2.weight") < paths_.index("10.weight")
    for name in ("0.weight", "whole", "one"):
        values = given[name].double()
        assert rows[name]["mean"] == pytest.approx(float(values.mean()))
        assert rows[name]["deviation"] == pytest.approx(float(values.std(correction=0)))
    assert rows["half"]["bad"] == 2 and rows["half"]["mean"] == 0.5 and rows["none"]["mean"] is None
    assert rows["0.weight"]["drawn"] == "" and rows["0.weight"]["tensor"] == "tensor"
    few = mlptui("params", "stats", str(file), "--filter", "*.weight, std > 0.9", "--json").lines
    wanted = {n for n, t in given.items() if n.endswith("weight") and float(t.double().std(correction=0)) > 0.9}
    assert {row["path"] for row in few} == wanted and wanted


def test_numbers_are_shown_as_text_csv_json_and_arrays(mlptui: Command, file: Path, tmp_path: Path) -> None:
    given = load_file(file)["3.weight"]
    assert mlptui("params", "show", str(file), "3.weight").out.strip() == str(given)
    csv = mlptui("params", "show", str(file), "3.weight[1:]", "--csv").out.splitlines()
    assert [[float(word) for word in line.split(",")] for line in csv] == given[1:].tolist()
    one = mlptui("params", "show", str(file), "3.weight[0, 0]", "--json").json
    assert one["values"] == float(given[0, 0]) and one["shape"] == [] and one["dtype"] == "float32"
    said = mlptui("params", "show", str(file), "net['3'].weight", "--npy", str(tmp_path / "w.npy"))
    assert said.code == 0 and np.array_equal(np.load(tmp_path / "w.npy"), given.numpy())
    assert mlptui("params", "show", str(file), "half", "--npy", str(tmp_path / "h.npy")).code == 0
    assert mlptui("params", "show", "mlp", "type(net[1].bias)").out.strip() == "<class 'torch.nn.parameter.Parameter'>"
    assert mlptui("params", "show", "mlp", "net[1].weight.shape", "--json").code != 0


def test_what_is_drawn_and_set_is_written_and_trained_on(mlptui: Command, tmp_path: Path, trainers: Zygote) -> None:
    out, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    rules = ("--rule", "*.weight: normal(0, 0.01)", "--rule", "*.bias: zeros")
    assert mlptui("params", "init", "mlp", *rules, "--seed", "5", "--out", str(out)).code == 0
    drawn = load_file(out)
    assert 0.009 < float(drawn["1.weight"].std()) < 0.011 and not drawn["3.bias"].any()
    said = mlptui(
        "params", "set", str(out), "1.bias += 1", "1.weight.data[0, 0] = 100", "net['1'].bias.mean()", "--out", str(again)
    )
    assert said.code == 0 and said.out.strip() == "1.0"
    changed = load_file(again)
    assert changed["1.bias"].eq(1).all() and changed["1.weight"][0, 0] == 100
    assert torch.equal(changed["1.weight"].flatten()[1:], drawn["1.weight"].flatten()[1:])

    said = mlptui("params", "diff", str(out), str(again), "--json")
    differs = {row["path"]: row["differs"] for row in said.lines}
    assert said.code == 1 and differs == {"1.weight": "values", "1.bias": "values", "3.weight": "", "3.bias": ""}
    assert mlptui("params", "diff", str(out), str(out)).code == 0

    said = mlptui("train", "--architecture", "mlp", "--weights", str(again), *COMMON)
    assert said.code == 0, said.err
    (run,) = rundir.all_runs(paths.find())
    eventually(lambda: run.state().status == Status.FINISHED)
    start = mlptui("params", "diff", str(again), str(run.checkpoints / "step-0000000000"))
    assert start.code == 0 and start.out.count("none, bit for bit") == 4
    assert mlptui("params", "diff", str(again), "last").code == 1
    assert mlptui("params", "list", run.id).err.startswith("4 of 4 tensors")
    assert mlptui("params", "show", "last", "1.bias.shape").out.strip() == "torch.Size([256])"


def test_a_preview_draws_nothing_and_says_what_theory_says(mlptui: Command) -> None:
    rows = mlptui("params", "init", "mlp", "--rule", "Linear: xavier_uniform", "--preview", "--json").lines
    assert [row["path"] for row in rows] == ["1.weight", "3.weight"]
    for row in rows:
        assert row["deviation"] == pytest.approx(row["expected_deviation"], rel=0.05)


def test_ties_are_printed_as_text_and_kept_in_the_file(mlptui: Command, tmp_path: Path) -> None:
    out = tmp_path / "t.safetensors"
    said = mlptui("params", "tie", TWO, "2.weight", "0.weight", "--out", str(out))
    assert said.code == 0 and said.out.splitlines()[-1] == "net[2].weight = net[0].weight"
    held = load_file(out)
    assert torch.equal(held["0.weight"], held["2.weight"])
    listed = mlptui("params", "list", said.out, "--json").lines
    assert sum(bool(row["alias_of"]) for row in listed) == 1
    assert mlptui("params", "tie", TWO, "0.weight", "0.bias").code == 2
    assert "name the network" in mlptui("params", "tie", str(out), "0.weight", "2.weight").err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "nowhere.safetensors"), "that is there"),
        (("list", "./nowhere"), "that is there"),
        (("list", "mpl"), "did you mean mlp"),
        (("list", "mlp", "--filter", "std >"), "no condition"),
        (("show", "mlp", "net[9]"), "there is no [9]"),
        (("show", "mlp", "net[1].bias += 1"), "params set"),
        (("show", "mlp", "__import__('os')"), "a path begins at the network"),
        (("set", "mlp", "net[1].bias = 'x'"), "cannot be put into a tensor"),
        (("init", "mlp", "--rule", "normal(0, 1)"), "which: how"),
        (("init", "mlp", "--rule", "*: nromal"), "did you mean normal"),
        (("init", "mlp", "--rule", "7.weight: zeros"), "no parameter is meant by 7.weight"),
        (("diff", "mlp", "nowhere.safetensors"), "that is there"),
        (("show", "mlp", "1.weight", "--npy", "/nowhere/w.npy"), "cannot be written"),
        (("set", "mlp", "1.bias += 1", "--out", "/nowhere/w.safetensors"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(mlptui: Command, words: tuple[str, ...], says: str) -> None:
    said = mlptui("params", *words)
    assert said.code in (1, 2)
    assert says in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err, said.err


DAMAGES = (
    "empty", "cut in the header", "cut in the numbers", "longer", "a header of 2^60 bytes", "no header", "an offset outside",
    "overlapping", "a negative size", "a huge shape", "an unknown type",
)  # fmt: skip


def damaged(kind: str, data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])

    def put(changed: dict[str, Any]) -> bytes:
        head = json.dumps(changed).encode()
        return len(head).to_bytes(8, "little") + head + data[8 + length :]

    name = "0.weight"
    match kind:
        case "empty":
            return b""
        case "cut in the header":
            return data[: 8 + length // 2]
        case "cut in the numbers":
            return data[:-5]
        case "longer":
            return data + b"\0" * 8
        case "a header of 2^60 bytes":
            return (1 << 60).to_bytes(8, "little") + data[8:]
        case "no header":
            return b"\xff" * len(data)
        case "an offset outside":
            return put({**header, name: {**header[name], "data_offsets": [0, 1 << 40]}})
        case "overlapping":
            return put({**header, name: {**header[name], "data_offsets": header["1.weight"]["data_offsets"]}})
        case "a negative size":
            return put({**header, name: {**header[name], "shape": [-3, -4]}})
        case "a huge shape":
            return put({**header, name: {**header[name], "shape": [1 << 40, 1 << 40]}})
        case "an unknown type":
            return put({**header, name: {**header[name], "dtype": "F7"}})
    raise ValueError(kind)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_refused_with_a_sentence(mlptui: Command, file: Path, kind: str) -> None:
    file.write_bytes(damaged(kind, file.read_bytes()))
    for action in ("list", "stats"):
        said = mlptui("params", action, str(file))
        assert said.code == 1 and said.err.count("\n") == 1 and "Traceback" not in said.err and not said.out, (kind, said)


def test_names_that_no_network_can_have_are_listed_all_the_same(mlptui: Command, tmp_path: Path) -> None:
    save_file(
        {"": torch.ones(2), "a": torch.ones(3), "a.b": torch.ones(4), "x..y": torch.ones(5)}, tmp_path / "odd.safetensors"
    )
    said = mlptui("params", "list", str(tmp_path / "odd.safetensors"), "--json")
    assert said.code == 0
    shapes = {json.loads(line)["path"]: json.loads(line)["shape"] for line in said.out.splitlines()}
    assert shapes == {"tensor": [2], "a": [3], "a·b": [4], "x··y": [5]}


def test_names_in_a_file_cannot_reach_the_terminal_as_they_are(mlptui: Command, tmp_path: Path) -> None:
    save_file({"a\x1b[31mb.weight": torch.ones(2), "[/x]": torch.ones(2)}, tmp_path / "h.safetensors")
    for action in ("list", "stats"):
        said = mlptui("params", action, str(tmp_path / "h.safetensors"))
        assert said.code == 0 and "\x1b" not in said.out + said.err


def test_numbers_at_odd_places_in_a_file_are_read_right(mlptui: Command, tmp_path: Path) -> None:
    save_file({"b": torch.tensor([1, 2, 3], dtype=torch.int8), "w": torch.tensor([1.5, -2.0])}, tmp_path / "o.safetensors")
    data = (tmp_path / "o.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = json.dumps(json.loads(data[8 : 8 + length])).encode()
    head += b" " * (1 - len(head) % 2 + 2)  # an odd length, so that no float32 lies where torch could look
    (tmp_path / "o.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data[8 + length :])
    rows = {row["path"]: row for row in mlptui("params", "stats", str(tmp_path / "o.safetensors"), "--json").lines}
    assert (rows["w"]["mean"], rows["b"]["mean"]) == (-0.25, 2.0)
