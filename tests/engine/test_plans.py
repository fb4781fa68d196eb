"""Tensors of files into a network by a plan: every byte arrives, undo takes it back, what is damaged changes nothing."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.bench import Answer, History, Open, Refused, Request, Save, Saved, Sheet
from mlptui.core.parameters.messages import Console, List, Load, Measure, Plan, Planned, PlanRow, Put, View
from mlptui.engine import codec
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.build import build
from mlptui.engine.parameters import sources
from mlptui.engine.parameters.tensors import tensors
from mlptui.store.paths import Paths

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")

NET = "nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))"
TIED = "net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))\nnet[2].weight = net[0].weight"
Bytes = dict[str, tuple[torch.dtype, bytes]]


@pytest.fixture
def workbench(paths: Paths) -> Workbench:
    made = Workbench(paths)
    answered(made, Open(text=NET))
    return made


@pytest.fixture
def theirs() -> dict[str, torch.Tensor]:
    """Another network's state, with numbers that no drawing gives."""
    torch.manual_seed(77)
    found = {name: torch.randn(t.shape).to(t.dtype) for name, t in build(parse(NET)).state_dict().items()}
    found["0.weight"][0, :3] = torch.tensor([math.nan, -0.0, math.inf])
    return found


def answered(workbench: Workbench, request: Request) -> Answer:
    answer = workbench.answer(request)
    assert not isinstance(answer, Refused), answer.message
    return answer


def planned(workbench: Workbench, plan: Plan) -> Planned:
    """The plan, after the look that asking for it changes nothing."""
    before = held(workbench)
    answer = answered(workbench, plan)
    assert isinstance(answer, Planned) and held(workbench) == before
    assert repr(Planned.model_validate_json(answer.model_dump_json())) == repr(answer)
    return answer


def load(workbench: Workbench, source: object, **more: Any) -> str:
    """What is said of it."""
    sheet = answered(workbench, Load(plan=Plan(source=str(source), **more)))
    assert isinstance(sheet, Sheet) and sheet.undo.startswith("load ")
    return sheet.note


def refused(workbench: Workbench, request: Request) -> str:
    """One sentence, and nothing has changed."""
    before, steps = held(workbench), len(workbench.states.past)
    answer = workbench.answer(request)
    assert isinstance(answer, Refused) and answer.message.isprintable() and "Error" not in answer.message, answer
    assert held(workbench) == before and len(workbench.states.past) == steps
    return answer.message


def bytes_of(state: dict[str, torch.Tensor]) -> Bytes:
    return {
        name: (t.dtype, t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()) for name, t in state.items()
    }


def held(workbench: Workbench) -> Bytes:
    return bytes_of({path: named.tensor for path, named in tensors(workbench.now.model).items() if not named.lazy})


def row(found: Planned, target: str) -> PlanRow:
    return next(row for row in found.rows if row.target == target)


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def written(state: dict[str, torch.Tensor], file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file(state, file)
    elif file.suffix == ".npz":
        np.savez(file, **{name: t.numpy() for name, t in state.items()})
    elif file.suffix == ".ckpt":
        torch.save({"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}}, file)
    else:
        torch.save(state, file)
    return file


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz", ".ckpt"])
def test_every_byte_arrives_and_undo_brings_every_byte_back(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    file, before = written(theirs, tmp_path / f"theirs{suffix}"), held(workbench)
    found = planned(workbench, Plan(source=str(file)))
    assert [r.action for r in found.rows] == ["load"] * 9 and {
        r.source.removeprefix("state_dict.") for r in found.rows
    } == theirs.keys()
    assert "9 tensors of theirs" in load(workbench, file) and held(workbench) == bytes_of(theirs)
    again = planned(workbench, Plan(source=str(file)))
    assert (again.coming, again.equal) == (0, 9), "nan equals nan, and 0 is not -0"
    answered(workbench, History(by=-1))
    assert held(workbench) == before
    answered(workbench, History(by=1))
    assert held(workbench) == bytes_of(theirs)
    file.unlink()
    assert held(workbench) == bytes_of(theirs), "they are the network's own now"


def test_they_are_the_networks_own_and_change_no_file(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    file = written(theirs, tmp_path / "theirs.safetensors")
    whole = file.read_bytes()
    load(workbench, file)
    answered(workbench, Put(action="fill", paths=("0.weight", "0.bias"), numbers=(9.0,)))
    assert file.read_bytes() == whole and all(p.requires_grad for p in workbench.now.model.parameters())


def test_the_plan_says_by_how_much_each_would_change(workbench: Workbench, tmp_path: Path) -> None:
    state = {name: t.clone() for name, t in workbench.now.model.state_dict().items()}
    state["3.bias"][1] += 0.5
    state["1.running_mean"] = -state["1.running_mean"]  # -0 for 0
    state["0.bias"][0] = math.nan
    found = planned(workbench, Plan(source=str(written(state, tmp_path / "w.pt"))))
    assert row(found, "3.bias").difference == pytest.approx(0.5) and row(found, "3.weight").difference == 0
    assert row(found, "1.running_mean").difference == 5e-324 and (found.coming, found.equal) == (3, 6)


def test_another_head_stays_or_takes_the_part_that_both_have(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = {f"module.{name}": t for name, t in theirs.items()} | {
        "module.3.weight": torch.ones(5, 3),
        "module.3.bias": torch.ones(5),
    }
    file, before = written(state, tmp_path / "w.pt"), workbench.now.model[3].weight.clone()
    found = planned(workbench, Plan(source=str(file)))
    assert (found.count("renamed"), found.count("other shape")) == (7, 2) and row(found, "3.weight").difference is None
    assert "6 tensors of w.pt loaded, 3 kept" in load(workbench, file, sliced=("3.weight",), skipped=("0.bias", "1.bias"))
    after = workbench.now.model[3].weight
    assert torch.equal(after[:, :3], torch.ones(2, 3)) and torch.equal(after[:, 3:], before[:, 3:])
    assert held(workbench)["0.weight"] == bytes_of(theirs)["0.weight"] != held(workbench)["0.bias"]
    assert held(workbench)["0.bias"] != bytes_of(theirs)["0.bias"]
    assert "number of dimensions" in refused(
        workbench, Plan(source=str(file), mapped=(("3.bias", "module.3.weight"),), sliced=("3.bias",))
    )


def test_a_map_names_what_no_rule_finds(workbench: Workbench, tmp_path: Path) -> None:
    file = written({"x": torch.full((6,), 3.0), "y": torch.ones(1)}, tmp_path / "w.safetensors")
    assert "nothing of w.safetensors fits" in refused(workbench, Load(plan=Plan(source=str(file))))
    note = load(workbench, file, mapped=(("0.bias", "x"),))
    assert "1 tensor of w.safetensors loaded, 8 kept as they were, 1 of the file left over" in note
    assert workbench.now.model[0].bias.tolist() == [3.0] * 6
    for mapped in (("0.bias", "no\x1b"), ("none", "x")):
        refused(workbench, Load(plan=Plan(source=str(file), mapped=(mapped,))))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_networks_type_stays_and_the_plan_says_so(workbench: Workbench, tmp_path: Path, dtype: torch.dtype) -> None:
    given = torch.linspace(-1, 1, 24).reshape(6, 4).to(dtype)
    file = written({"0.weight": given, "1.num_batches_tracked": torch.tensor(7.0)}, tmp_path / "w.pt")
    found = planned(workbench, Plan(source=str(file)))
    assert row(found, "0.weight").types == f"{str(dtype).removeprefix('torch.')} to float32"
    load(workbench, file)
    model = workbench.now.model
    assert model[0].weight.dtype == torch.float32 and torch.equal(model[0].weight.detach(), given.float())
    assert model[1].num_batches_tracked.dtype == torch.int64 and model[1].num_batches_tracked.item() == 7


def test_tied_parameters_stay_one_and_take_the_values_of_either_name(workbench: Workbench, tmp_path: Path) -> None:
    shared = torch.arange(16.0).reshape(4, 4)
    for name, tied in (("0.weight", {"0.weight": shared, "2.weight": shared}), ("2.weight", {"2.weight": shared})):
        answered(workbench, Open(text=TIED))
        file = tmp_path / "tied.pt"
        torch.save(tied | {"0.bias": torch.ones(4), "2.bias": torch.ones(4)}, file)
        load(workbench, file)
        model = workbench.now.model
        assert model[0].weight is model[2].weight, name
        assert torch.equal(model[0].weight.detach(), shared), f"the file has it as {name}"


def test_a_file_in_which_tied_parameters_differ_hides_none_of_them(workbench: Workbench, tmp_path: Path) -> None:
    """Only one can be loaded; the plan says where the other one is."""
    answered(workbench, Open(text=TIED))
    state = {"0.weight": torch.ones(4, 4), "2.weight": torch.zeros(4, 4), "0.bias": torch.ones(4), "2.bias": torch.ones(4)}
    found = planned(workbench, Plan(source=str(written(state, tmp_path / "w.pt"))))
    assert {r.source for r in found.rows} == state.keys()


def test_what_is_frozen_takes_values_and_stays_frozen(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    answered(workbench, Put(action="freeze", paths=("0.weight",)))
    load(workbench, written(theirs, tmp_path / "w.pt"))
    assert not workbench.now.model[0].weight.requires_grad and held(workbench) == bytes_of(theirs)


def test_a_network_without_sizes_is_refused(workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = written(theirs, tmp_path / "w.pt")
    answered(workbench, Open(text="nn.Sequential(nn.LazyLinear(6), nn.Linear(6, 2))"))
    for request in (Plan(source=str(file)), Load(plan=Plan(source=str(file)))):
        assert "has no size yet" in refused(workbench, request)


@pytest.mark.parametrize("name", ["w.pt", "w.npz"])
def test_one_flipped_byte_in_a_file_with_checksums_loads_nothing(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path, name: str
) -> None:
    file = written(theirs, tmp_path / name)
    flip(file, file.read_bytes().index(theirs["3.weight"].numpy().tobytes()) + 3)
    for request in (Plan(source=str(file)), Load(plan=Plan(source=str(file))), Open(text=NET, source=str(file))):
        assert "damaged" in refused(workbench, request)


def test_a_checkpoint_is_loaded_by_its_name_and_one_flipped_byte_refuses_it(workbench: Workbench, paths: Paths) -> None:
    answered(workbench, Open(text=NET, seed=5))
    drawn = held(workbench)
    saved = answered(workbench, Save(name="mine"))
    assert isinstance(saved, Saved) and saved.id == "mine/step-0000000001"
    for source in (saved.folder, "mine", "mine/1", "mine/last"):
        answered(workbench, Open(text=NET, seed=6))
        assert held(workbench) != drawn
        assert "9 tensors of step 1 of mine loaded" in load(workbench, source)
        assert held(workbench) == drawn
    answered(workbench, Open(text=NET, seed=6))
    flip(Path(saved.folder) / "model.safetensors", -1)
    for source in (saved.folder, "mine/1", "mine", f"{saved.folder}/model.safetensors"):
        assert "bytes 0 to 911 are not as they were written" in refused(workbench, Load(plan=Plan(source=source)))
    second = answered(workbench, Save(name="mine"))
    flip(Path(second.folder) / "model.safetensors", -1)
    third = answered(workbench, Save(name="mine"))
    for source in (second.folder, "mine/2", f"{second.folder}/model.safetensors"):
        said = refused(workbench, Load(plan=Plan(source=source)))
        assert said.endswith(f"the newest whole one is {third.id}"), said


def test_a_plan_is_done_only_to_the_file_that_it_was_drawn_for(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "w.safetensors"
    save_file(theirs, file)
    plan = Plan(source=str(file))
    drawn = plan.model_copy(update={"version": planned(workbench, plan).version})
    save_file({**theirs, "0.bias": torch.ones(6)}, file)
    before = held(workbench)
    assert "has changed since its plan was drawn" in refused(workbench, Load(plan=drawn))
    assert held(workbench) == before
    answered(workbench, Load(plan=plan.model_copy(update={"version": planned(workbench, plan).version})))


def test_what_is_called_otherwise_is_compared_with_its_counterpart(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    one, other = tmp_path / "one.safetensors", tmp_path / "other.pt"
    save_file(theirs, one)
    moved = {f"module.{name}": tensor + (1 if name == "3.bias" else 0) for name, tensor in theirs.items()}
    torch.save({"state_dict": moved | {"module.new": torch.ones(3)}}, other)
    listed = answered(workbench, List(source=f"{one}..{other}"))
    assert [row.path for row in listed.rows] == [*sorted(theirs)] and "9 with other names there" in listed.of
    assert "1 tensor not in both" in listed.of
    numbers = dict(answered(workbench, Measure(source=f"{one}..{other}", paths=tuple(theirs))).numbers)
    assert numbers["3.bias"].largest == pytest.approx(1, abs=1e-6) and numbers["3.bias"].changed == 1
    assert numbers["3.weight"].largest == 0


@pytest.mark.parametrize("make", [None, b"", b"import os\n" * 9, b"\x80\x02cos\nsystem\n(S'touch ran'\ntR."], ids=repr)
def test_what_is_no_file_of_tensors_is_one_sentence(workbench: Workbench, tmp_path: Path, make: bytes | None) -> None:
    file = tmp_path / "w.pt"
    if make is not None:
        file.write_bytes(make)
    refused(workbench, Load(plan=Plan(source=str(file))))
    refused(workbench, Open(text=NET, source=str(file)))


def test_a_network_opens_with_the_tensors_of_a_source(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """As the files screen does: all of it, or nothing."""
    some = written({n: t for n, t in theirs.items() if n[0] == "0"}, tmp_path / "some.pt")
    answer = workbench.answer(Open(text=NET, seed=3, source=str(some)))
    assert isinstance(answer, Refused) and "is missing; L loads what fits" in answer.message
    every = written(theirs, tmp_path / "w.pt")
    sheet = answered(workbench, Open(text=NET, seed=3, source=str(every)))
    assert isinstance(sheet, Sheet) and "of w.pt loaded" in sheet.note and "kept" not in sheet.note
    assert bytes_of(theirs).items() <= held(workbench).items()


def test_a_whole_network_of_other_names_is_matched_in_order(workbench: Workbench, tmp_path: Path) -> None:
    """A module of a person's own, as torch.save keeps its state_dict."""
    made = nn.ModuleDict({"fc": nn.Linear(4, 6), "norm": nn.BatchNorm1d(6), "head": nn.Linear(6, 2)})
    file = written(made.state_dict(), tmp_path / "w.pt")
    found = planned(workbench, Plan(source=str(file)))
    assert found.count("renamed") == 9 and [r.source for r in found.rows if r.target == "3.weight"] == ["head.weight"]
    load(workbench, file)
    assert [*bytes_of(workbench.now.model.state_dict()).values()] == [*bytes_of(made.state_dict()).values()]


def test_a_checkpoint_comes_onto_the_bench_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own network: lazy layers get their sizes from its data set; a tensor that is missing is said."""
    from mlptui.store import checkpoints

    monkeypatch.setenv("MLPTUI_HOME", str(tmp_path))
    text = "nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(10))"
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.ReLU(), nn.Linear(3, 10))
    state = net.state_dict()
    facts = {"architecture": text, "recipe": {"data": {"name": "fashion-mnist-sample"}}, "metrics": {}}
    for step, held in ((1, state), (2, {k: v for k, v in state.items() if k != "1.bias"})):
        checkpoints.commit(tmp_path, step, {codec.MODEL: codec.encode_weights(held)}, facts)
    bench_ = Workbench(Paths(tmp_path, tmp_path, tmp_path))
    whole = bench_.answer(Open(text=text, source=str(tmp_path / checkpoints.name_of(1))))
    assert isinstance(whole, Sheet) and not whole.unknown, whole
    held = bench_.now.model.state_dict()
    assert all(torch.equal(held[name], tensor) for name, tensor in state.items())
    part = bench_.answer(Open(text=text, source=str(tmp_path / checkpoints.name_of(2))))
    assert isinstance(part, Refused) and "1.bias is missing" in part.message
    assert all(torch.equal(bench_.now.model.state_dict()[name], tensor) for name, tensor in state.items())


def test_a_file_that_its_owner_cuts_off_while_it_is_looked_at_is_said_and_opened_again(
    workbench: Workbench, theirs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "w.safetensors"
    save_file({"big": torch.ones(500_000)}, file)
    answered(workbench, List(source=str(file)))
    look = Measure(paths=("big",), source=str(file))
    answered(workbench, look)
    with file.open("r+b") as stream:  # in place: the pages behind the mapping are gone
        stream.truncate(5000)
    for request in (look, View(path="big", source=str(file)), Console(text="big.sum()", source=str(file))):
        assert "was changed while it was looked at" in refused(workbench, request)
    save_file({"big": torch.zeros(7)}, file)
    assert "was changed" in refused(workbench, look), "until it was listed anew"
    answered(workbench, List(source=str(file)))
    answered(workbench, look)


def test_a_file_is_planned_into_what_lies_in_another_file(workbench: Workbench, tmp_path: Path) -> None:
    """As `mlptui params load FILE RUN` does: both are only tensors under names."""
    names = workbench.now.model.state_dict()
    save_file({f"module.{name}": torch.ones_like(t) for name, t in names.items()}, tmp_path / "ddp.safetensors")
    save_file(dict(names), tmp_path / "plain.safetensors")
    target = sources.opened(workbench.paths, str(tmp_path / "plain.safetensors"), "", 0)
    found = answered(target, Plan(source=str(tmp_path / "ddp.safetensors")))
    assert isinstance(found, Planned) and {row.state for row in found.rows} == {"renamed"} and len(found.rows) == len(names)


@pytest.mark.parametrize("path", ["0", "1.k", "[0]", "net[1].k", 'net["0"]'])
def test_what_a_list_in_a_file_holds_is_shown_by_its_path(path: str, paths: Paths, tmp_path: Path) -> None:
    torch.save([torch.arange(4), {"k": torch.arange(4)}], tmp_path / "x-files")
    opened = sources.opened(paths, str(tmp_path / "x-files"), "", 0)
    assert "tensor([0, 1, 2, 3])" in answered(opened, Console(text=path)).lines
