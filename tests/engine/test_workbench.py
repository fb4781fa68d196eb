"""The workbench in this process: every request, history bit for bit, weights that stay, code of others, refusals."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core import bench
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.tree import same
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import (
    Change,
    Check,
    Compare,
    Flow,
    History,
    Input,
    Look,
    Materialise,
    Names,
    Open,
    Place,
    Probe,
    Refused,
    Sheet,
)
from mlptui.engine import weights
from mlptui.engine.bench import workbench as module
from mlptui.engine.bench.states import STEPS, State, States
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.build import build
from mlptui.engine.inspect import detail
from mlptui.store.paths import Paths

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")

MLP = "nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))"
FOUR = Input(shape=(4,))


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    """These networks are small; threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def workbench(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(detail, "BUDGET", 0.0)
    return Workbench(paths)


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Write a Python file; gives its path as a reference has it."""

    def write(body: str, name: str = "nets.py", folder: str = "code") -> str:
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("import torch\nfrom torch import nn\n" + body)
        return str(file)

    return write


def sheet(answer: bench.Answer) -> Sheet:
    assert isinstance(answer, Sheet), answer
    return answer


def refused(answer: bench.Answer) -> str:
    assert isinstance(answer, Refused), answer
    assert answer.message and "\n" not in answer.message and answer.message.isprintable() and len(answer.message) < 600
    assert not any("Traceback" in line for line in answer.output), answer.output
    return answer.message


def step(workbench: Workbench, action: str, place: Place = (), text: str = "", to: Place = ()) -> Sheet:
    return sheet(workbench.answer(Change(action=action, place=place, text=text, to=to)))


def snapshot(workbench: Workbench) -> tuple[str, dict[str, bytes | str]]:
    state = workbench.now.model.state_dict()
    return workbench.now.text, {k: "lazy" if is_lazy(t) else t.numpy().tobytes() for k, t in state.items()}


def consistent(workbench: Workbench, answer: Sheet) -> None:
    """Sheet, tree, text and model say the same."""
    now = workbench.now
    assert answer.text == now.text and same(parse(now.text), now.tree)
    assert answer.rows[0].place == () and answer.parameters == answer.rows[0].total
    for path, layer in now.tree.walk():
        assert now.model.get_submodule(".".join(path)) is now.made[id(layer)]
    assert answer.at in {row.place for row in answer.rows}
    assert bench.ANSWERS.validate_json(bench.ANSWERS.dump_json(answer)) == answer


# requests


def test_before_anything_is_open_all_but_opening_is_refused(workbench: Workbench) -> None:
    for request in (
        Change(action="delete", place=("0",)), History(by=-1), History(by=1), Materialise(input=FOUR),
        Look(place=(), input=FOUR), Flow(input=FOUR), Compare(text=MLP), Probe(input=FOUR), Check(input=FOUR),
    ):  # fmt: skip
        answer = workbench.answer(request)
        said = answer.why if isinstance(answer, bench.Shapes | bench.Report) else refused(answer)
        assert "open" in said or "nothing" in said


def test_opening_shows_the_network(workbench: Workbench) -> None:
    shown = sheet(workbench.answer(Open(text=MLP)))
    assert (shown.text, shown.label, shown.parameters, shown.trainable) == (MLP, "mlp 4-8-2", 58, 58)
    assert [row.layer for row in shown.rows] == ["Sequential", "Flatten", "Linear", "ReLU", "Linear"]
    assert not shown.undo and not shown.redo and shown.watched == () and shown.output == ()
    consistent(workbench, shown)


@pytest.mark.parametrize("name", ZOO)
def test_every_request_has_an_answer_for_every_network_of_the_zoo(name: str, workbench: Workbench) -> None:
    text, wanted = ZOO[name].text, Input(shape=ZOO[name].input)
    consistent(workbench, sheet(workbench.answer(Open(text=text))))
    before = snapshot(workbench)
    shapes = workbench.answer(Probe(input=wanted))
    assert shapes.kind == "shapes" and not shapes.why and shapes.fault is None
    assert len(shapes.passed) == len(workbench.sheet().rows)
    flow = workbench.answer(Flow(input=wanted, sample=3))
    assert flow.kind == "flow-sheet" and flow.fault is None and flow.calls and flow.count
    for row in workbench.sheet().rows:
        looked = workbench.answer(Look(place=row.place, input=wanted, measure=True))
        assert looked.kind == "detail" and looked.measured and not looked.why, looked
        assert looked.repr and looked.source and looked.origin
    report = workbench.answer(Check(input=wanted, outputs=10))
    assert report.kind == "report" and not report.why
    compared = workbench.answer(Compare(text=text))
    assert compared.kind == "compared" and all(equal for *_, equal in compared.rows)
    assert snapshot(workbench) == before and not workbench.states.past
    for answer in (shapes, flow, report, compared):
        assert bench.ANSWERS.validate_json(bench.ANSWERS.dump_json(answer)) == answer


def test_a_look_shows_arguments_tensors_and_source(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Linear(4, 8, bias=False), MyLinear(8, 2))"))
    one = workbench.answer(Look(place=("0",), input=FOUR))
    assert one.kind == "detail" and one.measured is None
    assert [(t.name, t.kind, t.shape, t.count) for t in one.tensors] == [("weight", "parameter", "[8, 4]", 32)]
    two = workbench.answer(Look(place=("1",), input=FOUR))
    assert two.kind == "detail" and two.source[0] == "class MyLinear(nn.Module):" and "forward" in two.documentation[0]
    assert "no layer 7.7" in refused(workbench.answer(Look(place=("7", "7"), input=FOUR)))


@pytest.mark.parametrize(
    ("text", "place", "shape"),
    [
        ("nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))", ("1",), (4,)),
        ("nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))", (), (4,)),
        ("nn.Sequential(nn.Sequential(nn.ELU(inplace=True)), nn.Dropout(0.5, inplace=True))", ("0",), (4,)),
        ("nn.TransformerEncoderLayer(8, 2)", ("self_attn",), (3, 8)),
        ("nn.TransformerEncoderLayer(8, 2, batch_first=True)", (), (3, 8)),
        ("nn.LSTM(3, 4)", (), (5, 3)),
        ("nn.Sequential(nn.Embedding(9, 3), nn.Flatten())", ("0",), (4,)),
        ("nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())", ("1",), (4,)),
        ("nn.Sequential(nn.Softmax(1), nn.LogSoftmax(1))", ("1",), (4,)),
        ("nn.Sequential(nn.Linear(4, 3, bias=False))", (), (4,)),
    ],
)
def test_any_layer_can_be_measured(text: str, place: Place, shape: tuple[int, ...], workbench: Workbench) -> None:
    workbench.answer(Open(text=text))
    found = workbench.answer(Look(place=place, input=Input(shape=shape), measure=True))
    assert found.kind == "detail" and not found.why, found
    assert found.measured and found.measured.forward > 0 and found.measured.repeats >= 3
    assert found.measured.output_bytes > 0 and (found.measured.backward or 1) > 0


def test_what_is_not_reached_cannot_be_measured_and_says_so(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 5), nn.ReLU())"))
    assert workbench.answer(Look(place=("0",), input=FOUR, measure=True)).measured  # type: ignore[union-attr]
    for place in (("1",), ("2",), ()):
        looked = workbench.answer(Look(place=place, input=FOUR, measure=True))
        assert looked.kind == "detail" and looked.measured is None and looked.why


def test_numbers_flow_as_they_were_typed(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.ReLU(), nn.Flatten())"))
    found = workbench.answer(Flow(input=FOUR, typed="1 -2, 3 nan", place=("0",)))
    assert found.kind == "flow-sheet" and found.calls[1].bad == 1 and found.calls[1].zeros == 0.25
    assert found.values[:3] == (1.0, 0.0, 3.0) and found.columns == 4 and found.count == 4 and found.calls[1].shape == "[1, 4]"
    nested = workbench.answer(Flow(input=FOUR, typed="[[1, 2], [3, 4]]", place=("0",)))
    assert nested.kind == "flow-sheet" and nested.calls[1].shape == "[1, 4]"
    for wrong in (
        "x",
        "1 2 x",
        "[1, [2]]",
        "[",
        "[]",
        "__import__('os')",
        "[1, 'a']",
        "(" * 5000,
        "{1}",
        "[None]",
        "1 [",
        "[1j]",
    ):
        refused(workbench.answer(Flow(input=FOUR, typed=wrong)))


def test_typed_numbers_for_an_embedding_are_whole(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(6, 1))"))
    found = workbench.answer(Flow(input=Input(shape=(2,)), typed="1 2"))
    assert found.kind == "flow-sheet" and found.fault is None and found.calls[-1].shape == "[1, 1]"
    outside = workbench.answer(Flow(input=Input(shape=(2,)), typed="1 99"))
    assert outside.kind == "flow-sheet" and outside.fault and outside.fault.place == ("0",)


def test_without_an_input_looks_ask_for_one(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    nothing = Input()
    assert "shape" in workbench.answer(Probe(input=nothing)).why  # type: ignore[union-attr]
    assert "shape" in workbench.answer(Check(input=nothing)).why  # type: ignore[union-attr]
    assert "shape" in refused(workbench.answer(Flow(input=nothing)))
    assert "shape" in workbench.answer(Look(place=(), input=nothing, measure=True)).why  # type: ignore[union-attr]
    assert workbench.answer(Probe(input=Input(data="no-such-data"))).why  # type: ignore[union-attr]
    assert "too many" in workbench.answer(Probe(input=Input(shape=(100_000, 100_000)))).why  # type: ignore[union-attr]
    assert workbench.answer(Probe(input=Input(shape=(-4,)))).kind in ("shapes", "refused")


def test_the_doctor_finds_no_randomness_where_a_layer_writes_into_its_input(workbench: Workbench) -> None:
    for text in ("nn.Sequential(nn.LeakyReLU(0.1, inplace=True), nn.Linear(4, 2))", "nn.Sequential(nn.ELU(inplace=True))"):
        workbench.answer(Open(text=text))
        report = workbench.answer(Check(input=FOUR, outputs=0))
        assert report.kind == "report" and not {"random", "mixing"} & {f.code for f in report.findings}


def test_the_doctors_fixes_can_be_made_and_end_the_finding(workbench: Workbench) -> None:
    for text, code in (
        ("nn.Sequential(nn.Linear(4, 9))", "outputs"),
        ("nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))", "softmax"),
        ("nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))", "dropout"),
        ("nn.Sequential(nn.Dropout(1.0), nn.Linear(4, 3))", "dropout"),
        ("nn.Sequential(nn.BatchNorm1d(4, momentum=0.0), nn.Linear(4, 3))", "batch-norm"),
        ("nn.Sequential(MyLinear(4, 5), nn.Linear(5, 3))", "no-gradient"),
        ("nn.Sequential(nn.Linear(4, 3), CenteredLayer())", "mixing"),
    ):
        workbench.answer(Open(text=text))
        report = workbench.answer(Check(input=FOUR, outputs=3))
        assert report.kind == "report"
        found = [f for f in report.findings if f.code == code]
        assert found and any(f.fix for f in found), (text, report.findings)
        fix = next(f.fix for f in found if f.fix)
        assert fix
        sheet(workbench.answer(fix.change))
        again = workbench.answer(Check(input=FOUR, outputs=3))
        assert again.kind == "report" and code not in {f.code for f in again.findings}, (text, again.findings)


def test_two_networks_stand_side_by_side(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    random_ = torch.get_rng_state()
    found = workbench.answer(Compare(text=MLP.replace("nn.ReLU()", "nn.ReLU(), nn.Dropout(0.1)")))
    assert found.kind == "compared" and found.parameters == 58 and torch.equal(torch.get_rng_state(), random_)
    assert [(a, b, equal) for a, _, b, _, equal in found.rows] == [
        ("", "", True), ("0", "0", True), ("1", "1", True), ("2", "2", True), ("", "3", False), ("3", "4", True),
    ]  # fmt: skip
    assert "there is no layer" in refused(workbench.answer(Compare(text="nn.Sequential(nn.Foo())")))
    refused(workbench.answer(Compare(text="nn.Linear(-1, 4)")))


def test_names_are_torchvisions(workbench: Workbench) -> None:
    found = workbench.answer(Names())
    assert (found.kind == "name-list" and "resnet18" in found.names) or found.kind == "refused"


# the builder

BUILDS: list[tuple[str, Place, str, Place, str, Place]] = [
    ("add", ("1",), "nn.Tanh()", (), "0:Flatten 1:Linear 2:Tanh 3:ReLU 4:Linear", ("2",)),
    ("add", (), "nn.Tanh()", (), "0:Flatten 1:Linear 2:ReLU 3:Linear 4:Tanh", ("4",)),
    ("insert", ("1",), "nn.Tanh()", (), "0:Flatten 1:Tanh 2:Linear 3:ReLU 4:Linear", ("1",)),
    ("insert", ("0",), "nn.Tanh()", (), "0:Tanh 1:Flatten 2:Linear 3:ReLU 4:Linear", ("0",)),
    ("insert", (), "nn.Tanh()", (), "0:Tanh 1:Flatten 2:Linear 3:ReLU 4:Linear", ("0",)),
    ("replace", ("2",), "nn.Tanh()", (), "0:Flatten 1:Linear 2:Tanh 3:Linear", ("2",)),
    ("arguments", ("1",), "4, 8, bias=False", (), "0:Flatten 1:Linear 2:ReLU 3:Linear", ("1",)),
    ("argument", ("1",), "bias=False", (), "0:Flatten 1:Linear 2:ReLU 3:Linear", ("1",)),
    ("rename", ("1",), "hidden", (), "0:Flatten hidden:Linear 2:ReLU 3:Linear", ("hidden",)),
    ("delete", ("2",), "", (), "0:Flatten 1:Linear 2:Linear", ("2",)),
    ("duplicate", ("2",), "", (), "0:Flatten 1:Linear 2:ReLU 3:ReLU 4:Linear", ("3",)),
    ("up", ("1",), "", (), "0:Linear 1:Flatten 2:ReLU 3:Linear", ("0",)),
    ("down", ("1",), "", (), "0:Flatten 1:ReLU 2:Linear 3:Linear", ("2",)),
    ("wrap", ("2",), "", (), "0:Flatten 1:Linear 2:Sequential 2.0:ReLU 3:Linear", ("2",)),
    ("tie", ("3",), "", ("1",), "0:Flatten 1:Linear 2:ReLU 3:Linear", ("3",)),
]  # fmt: skip


@pytest.mark.parametrize(("action", "place", "text", "to", "layers", "at"), BUILDS)
def test_each_step_of_the_builder(
    action: str, place: Place, text: str, to: Place, layers: str, at: Place, workbench: Workbench
) -> None:
    workbench.answer(Open(text=MLP))
    before, was = snapshot(workbench), dict(workbench.now.model.named_modules())
    shown = step(workbench, action, place, text, to)
    assert " ".join(f"{'.'.join(r.place)}:{r.layer}" for r in shown.rows[1:]) == layers and shown.at == at
    assert shown.undo and "\n" not in shown.undo and not shown.redo
    consistent(workbench, shown)
    kept = {id(module) for module in was.values()} & {id(module) for module in workbench.now.model.modules()}
    assert len(kept) >= 3
    assert sheet(workbench.answer(History(by=-1))).redo == shown.undo
    assert snapshot(workbench) == before and dict(workbench.now.model.named_modules()) == was


def test_untouched_layers_keep_their_very_tensors_and_new_ones_are_drawn(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    one, two = workbench.now.model[1].weight, workbench.now.model[3].weight
    step(workbench, "argument", ("3",), "out_features=5")
    step(workbench, "insert", ("1",), "nn.Linear(4, 4)")
    step(workbench, "wrap", ("2",))
    step(workbench, "rename", ("2",), "inner")
    model = workbench.now.model
    assert model.get_submodule("inner.0").weight is one and model.get_submodule("4").weight is not two
    assert model.get_submodule("4").weight.shape == (5, 8) and model.get_submodule("1").weight.abs().sum() > 0
    step(workbench, "tie", ("inner", "0"), to=("1",))
    assert model.get_submodule("inner.0").weight is one  # the state before
    assert workbench.now.model.get_submodule("inner.0") is workbench.now.model.get_submodule("1")
    step(workbench, "untie", ("inner", "0"))
    twins = [workbench.now.model.get_submodule(p).weight for p in ("1", "inner.0")]
    assert not torch.equal(*twins)
    shown = step(workbench, "duplicate", ("1",))
    assert not torch.equal(*(workbench.now.model.get_submodule(".".join(p)).weight for p in (("1",), shown.at)))


def test_the_same_steps_draw_the_same_weights_and_another_seed_others(paths: Paths) -> None:
    def run(seed: int, failing: bool = False) -> tuple[str, dict[str, bytes | str]]:
        workbench = Workbench(paths)
        workbench.answer(Open(text=MLP, seed=seed))
        if failing:
            refused(workbench.answer(Open(text="nn.Linear(-1, 2)", seed=99)))
            refused(workbench.answer(Compare(text="nn.Linear(-1, 2)")))
        torch.rand(3)
        step(workbench, "add", ("2",), "nn.Linear(8, 8)")
        step(workbench, "duplicate", ("3",))
        return snapshot(workbench)

    assert run(1) == run(1) == run(1, failing=True) != run(2)
    torch.manual_seed(0)
    assert run(1) == run(1)


REFUSALS: list[tuple[str, str, Place, str, Place]] = [
    (MLP, "delete", (), "", ()),
    (MLP, "delete", ("9",), "", ()),
    (MLP, "delete", ("1", "weight"), "", ()),
    (MLP, "explode", ("1",), "", ()),
    (MLP, "explode\x1b[2J", ("1",), "", ()),
    (MLP, "materialise", (), "", ()),
    (MLP, "add", ("1",), "", ()),
    (MLP, "add", ("1",), "nn.Foo()", ()),
    (MLP, "add", ("1",), "nn.Linear(-1, 2)", ()),
    (MLP, "add", ("1",), "import os", ()),
    (MLP, "add", ("1",), "nets.py:MLP", ()),
    (MLP, "inside", ("1",), "nn.ReLU()", ()),
    (MLP, "replace", ("1",), "3", ()),
    (MLP, "arguments", ("1",), "4", ()),
    (MLP, "arguments", ("1",), "4, 8) + nn.ReLU(", ()),
    (MLP, "arguments", ("1",), "4, 8)\nnn.ReLU(", ()),
    (MLP, "argument", ("1",), "widths=3", ()),
    (MLP, "argument", ("1",), "out_features=-3", ()),
    (MLP, "argument", ("1",), "out_features='x'", ()),
    (MLP, "argument", ("1",), "3", ()),
    (MLP, "argument", ("1",), "", ()),
    (MLP, "argument", ("1",), "a=" + "-" * 5000 + "1", ()),
    (MLP, "argument", (), "a=1", ()),
    (MLP, "rename", ("1",), "a.b", ()),
    (MLP, "rename", ("1",), "2", ()),
    (MLP, "rename", ("1",), "forward", ()),
    (MLP, "rename", ("1",), "training", ()),
    (MLP, "rename", ("1",), "n" * 300, ()),
    (MLP, "rename", (), "net", ()),
    (MLP, "tie", ("1",), "", ("1",)),
    (MLP, "tie", ("1",), "", ("9",)),
    (MLP, "tie", ("1",), "", ()),
    (MLP, "untie", ("1",), "", ()),
    (MLP, "up", ("0",), "", ()),
    (MLP, "down", ("3",), "", ()),
    (MLP, "out", ("1",), "", ()),
    (MLP, "in", ("1",), "", ()),
    ("torchvision:alexnet", "delete", ("0",), "", ()),
    ("nn.Sequential(nn.Sequential(" * 15 + "nn.ReLU()" + "))" * 15, "wrap", ("0",) * 30, "", ()),
]  # fmt: skip


@pytest.mark.parametrize(("network", "action", "place", "text", "to"), REFUSALS)
def test_a_step_that_has_no_meaning_is_refused_and_changes_nothing(
    network: str, action: str, place: Place, text: str, to: Place, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "alexnet" in network:
        monkeypatch.setattr(module.foreign, "make", lambda *_: nn.Linear(2, 2))
    sheet(workbench.answer(Open(text=network)))
    if action == "wrap":  # to the bound of the language
        sheet(workbench.answer(Change(action="wrap", place=place)))
        place = (*place, "0")
    before, states = snapshot(workbench), len(workbench.states.past)
    refused(workbench.answer(Change(action=action, place=place, text=text, to=to)))
    assert snapshot(workbench) == before and len(workbench.states.past) == states and not workbench.states.future


def test_a_step_that_main_memory_cannot_hold_is_refused_as_opening_it_is(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        def read(self) -> Any:
            return type("Reading", (), {"memory_available": 100_000_000})()

    monkeypatch.setattr(module, "CpuReader", Little)
    workbench.answer(Open(text=MLP))
    large = "nn.Linear(6000, 6000)"
    for request in (
        Open(text=large), Compare(text=large), Change(action="add", place=("1",), text=large),
        Change(action="argument", place=("1",), text="out_features=10000000"),
    ):  # fmt: skip
        assert "free" in refused(workbench.answer(request))


# history


def test_fifty_steps_are_undone_and_redone_bit_for_bit(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())"))
    seen = [(snapshot(workbench), id(workbench.now.model))]
    texts = ["nn.Linear(4, 4)", "nn.ReLU()", "MyLinear(4, 4)", "nn.BatchNorm1d(4)", "FixedHiddenMLPCorrected(4)"]
    for i in range(60):
        match i % 6:
            case 0 | 1 | 2:
                step(workbench, "add", ("0",), texts[i % 5])
            case 3:
                step(workbench, "duplicate", ("1",))
            case 4:
                step(workbench, "down", ("0",))
            case _:
                step(workbench, "delete", ("2",))
        seen.append((snapshot(workbench), id(workbench.now.model)))
    for by, wanted in ((-1, seen[-2::-1]), (1, seen[1:]), (-1, seen[-2::-1])):
        for expected in wanted:
            shown = sheet(workbench.answer(History(by=by)))
            assert (snapshot(workbench), id(workbench.now.model)) == expected
            consistent(workbench, shown)
        assert "nothing to" in refused(workbench.answer(History(by=by)))


def test_looking_between_the_steps_changes_no_state_of_the_history(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))"))
    first = snapshot(workbench)
    step(workbench, "add", ("0",), "nn.Linear(4, 4)")
    look = Look(place=("2",), input=FOUR, measure=True)
    for request in (Probe(input=FOUR), Check(input=FOUR, outputs=4), Flow(input=FOUR), look):
        workbench.answer(request)
    workbench.answer(History(by=-1))
    assert snapshot(workbench) == first


def test_a_step_after_undoing_drops_what_could_be_redone(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    step(workbench, "delete", ("2",))
    workbench.answer(History(by=-1))
    shown = step(workbench, "add", ("0",), "nn.Tanh()")
    assert not shown.redo and "redo" in refused(workbench.answer(History(by=1)))


def state(number: int, size: int = 0) -> State:
    return State(parse("nn.ReLU()"), nn.Linear(size, 1, bias=False) if size else nn.ReLU(), {}, str(number))


def test_the_history_has_at_most_a_hundred_steps_and_drops_the_oldest() -> None:
    states = States()
    for i in range(STEPS + 30):
        states.enter(state(i))
    assert [s.text for s in states.past] == [str(i) for i in range(29, STEPS + 29)]
    assert states.now and states.now.text == str(STEPS + 29)


def test_the_history_is_bounded_in_bytes_and_never_drops_the_present() -> None:
    states = States(memory=4000)
    for i in range(10):
        states.enter(state(i, 250))
        assert states.now and states.now.text == str(i)
    assert [s.text for s in states.past] == ["5", "6", "7", "8"]
    states.enter(state(10, 1_000_000))
    assert states.now.text == "10" and [s.text for s in states.past] == ["6", "7", "8", "9"]
    states.enter(state(11, 250))
    assert states.now.text == "11" and [s.text for s in states.past] == ["10"], "too large, but the last step"
    states.enter(state(12, 250))
    assert [s.text for s in states.past] == ["11"]
    while states.go(-1):
        pass
    assert states.now.text == "11" and [s.text for s in states.future] == ["12"]


def test_what_states_share_counts_once_and_what_the_present_holds_not_at_all() -> None:
    shared = nn.Linear(1000, 1, bias=False)
    states = States(memory=100)
    for i in range(20):
        states.enter(State(parse("nn.ReLU()"), nn.Sequential(shared, nn.ReLU()), {}, str(i)))
    assert len(states.past) == 19
    states.enter(state(20))
    assert [s.text for s in states.past] == ["19"]
    lazy = States(memory=10)
    for i in range(3):
        lazy.enter(State(parse("nn.ReLU()"), nn.LazyLinear(3), {}, str(i)))
    assert len(lazy.past) == 2


# texts and weights that stay


def test_another_text_keeps_what_fits_and_draws_the_rest(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    old = {k: t.clone() for k, t in workbench.now.model.state_dict().items()}
    shown = sheet(workbench.answer(Open(text=MLP.replace("8, 2", "8, 3"), keep=True, seed=7)))
    new = workbench.now.model.state_dict()
    assert torch.equal(new["1.weight"], old["1.weight"]) and torch.equal(new["1.bias"], old["1.bias"])
    assert new["3.weight"].shape == (3, 8) and shown.note == "2 tensors kept, 2 drawn anew" and shown.undo
    workbench.answer(History(by=-1))
    assert all(torch.equal(t, old[k]) for k, t in workbench.now.model.state_dict().items())


def test_layers_that_were_one_do_not_begin_alike_and_a_layer_is_kept_as_a_whole(workbench: Workbench) -> None:
    workbench.answer(Open(text=ZOO["tied"].text))
    old = {k: t.clone() for k, t in workbench.now.model.state_dict().items()}
    text = "nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))"
    shown = sheet(workbench.answer(Open(text=text, keep=True)))
    new = workbench.now.model.state_dict()
    assert torch.equal(new["2.weight"], old["2.weight"]) and torch.equal(new["2.bias"], old["2.bias"])
    assert not torch.equal(new["4.weight"], old["2.weight"]) and not torch.equal(new["4.bias"], old["2.bias"])
    assert not torch.equal(new["0.bias"], old["0.bias"]), "drawn for another width"
    assert shown.note == "2 tensors kept, 4 drawn anew"


def test_keeping_keeps_what_is_frozen_and_types(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    workbench.now.model[1].bias.requires_grad_(False)
    workbench.now.model[3].double()
    workbench.answer(Open(text=MLP + "  # the same", keep=True, seed=5))
    model = workbench.now.model
    assert not model[1].bias.requires_grad and model[1].weight.requires_grad and model[3].weight.dtype == torch.float64


def test_keeping_copies_and_does_not_share(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    before = snapshot(workbench)
    workbench.answer(Open(text=MLP + "  # the same", keep=True, seed=5))
    assert snapshot(workbench)[1] == before[1]
    with torch.no_grad():
        for p in workbench.now.model.parameters():
            p.fill_(7)
    workbench.answer(History(by=-1))
    assert snapshot(workbench) == before


def test_without_keeping_all_is_drawn_by_the_seed(workbench: Workbench) -> None:
    workbench.answer(Open(text=MLP))
    first = snapshot(workbench)
    workbench.answer(Open(text=MLP, seed=1))
    assert snapshot(workbench)[1] != first[1]
    workbench.answer(Open(text=MLP, seed=0))
    assert snapshot(workbench) == first


def test_keeping_with_lazy_layers_and_buffers(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LazyLinear(2))"))
    with torch.no_grad():
        workbench.now.model[1].running_mean.fill_(3)
    workbench.answer(Open(text="nn.Sequential(nn.LazyLinear(4), nn.BatchNorm1d(4), nn.Linear(4, 2))", keep=True))
    assert workbench.now.model[1].running_mean.tolist() == [3] * 4 and is_lazy(workbench.now.model[0].weight)


def test_weights_from_a_file(workbench: Workbench, tmp_path: Path) -> None:
    workbench.answer(Open(text=MLP))
    before, file = snapshot(workbench), tmp_path / "w.safetensors"
    assert weights.save(workbench.now.model, file, workbench.now.text)
    shown = sheet(workbench.answer(Open(text=MLP, seed=9, weights=str(file))))
    assert snapshot(workbench) == before and "4 tensors kept" in shown.note
    sheet(workbench.answer(Open(text=MLP, seed=9, weights=str(tmp_path / "none"))))
    assert snapshot(workbench)[1] != before[1]
    kept = snapshot(workbench)
    file.write_bytes(b"\xff" * 100)
    for damaged in (file, tmp_path):
        assert sheet(workbench.answer(Open(text=MLP, seed=9, weights=str(damaged)))).note.startswith("weights drawn anew: ")
    assert snapshot(workbench)[1] == kept[1]
    weights.save(workbench.now.model, file, "another text")
    assert sheet(workbench.answer(Open(text=MLP, seed=3, weights=str(file)))).note == "weights drawn anew"


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_is_kept_in_a_file(name: str, tmp_path: Path) -> None:
    model, other = build(parse(ZOO[name].text)), build(parse(ZOO[name].text))
    assert weights.save(model, tmp_path / "w", "net")
    weights.load(other, tmp_path / "w", "net")
    for (_, a), (_, b) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
        assert is_lazy(a) or torch.equal(a, b)


# lazy layers


def test_lazy_layers_get_their_sizes_and_the_text_has_them(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.LazyConv2d(4, 3, bias=False), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), "
                               "nn.LazyLinear(6), nn.LazyBatchNorm1d(momentum=0.2), nn.Linear(6, 2))"))  # fmt: skip
    sized = workbench.now.model[6].weight
    shown = sheet(workbench.answer(Materialise(input=Input(shape=(1, 6, 6)))))
    assert shown.text.replace("\n    ", "").replace("\n", "") == (
        "nn.Sequential(nn.Conv2d(1, 4, 3, bias=False),nn.BatchNorm2d(4),nn.ReLU(),nn.Flatten(),nn.Linear(64, 6),"
        "nn.BatchNorm1d(6, momentum=0.2),nn.Linear(6, 2),)"
    )
    assert shown.unknown == 0 and workbench.now.model[6].weight is sized and shown.undo == "materialise"
    assert workbench.now.model.training and all(m.training for m in workbench.now.model.modules())
    assert workbench.now.model[1].running_mean.tolist() == [0] * 4 and workbench.now.model[1].num_batches_tracked == 0
    consistent(workbench, shown)
    assert workbench.answer(Probe(input=Input(shape=(1, 6, 6)))).fault is None  # type: ignore[union-attr]
    assert "no layer waits" in refused(workbench.answer(Materialise(input=Input(shape=(1, 6, 6)))))
    before = snapshot(workbench)
    assert sheet(workbench.answer(History(by=-1))).unknown > 0
    workbench.answer(History(by=1))
    assert snapshot(workbench) == before
    step(workbench, "delete", ("2",))
    assert workbench.now.model[5].weight is sized


LAZY_KINDS = (
    "LazyConv1d(2, 3)", "LazyConv3d(2, 1)", "LazyConvTranspose2d(2, 3)", "LazyInstanceNorm2d()", "LazyLinear(3)",
    "LazyBatchNorm3d(affine=False)", "LazyInstanceNorm2d(affine=True)",
)  # fmt: skip


@pytest.mark.parametrize("kind", LAZY_KINDS)
def test_every_lazy_layer_materialises(kind: str, workbench: Workbench) -> None:
    workbench.answer(Open(text=f"nn.Sequential(nn.{kind})"))
    shape = (5, 4, 4, 4)[: {"1d": 2, "2d": 3, "3d": 4}.get(kind.partition("(")[0][-2:], 1)]
    shown = sheet(workbench.answer(Materialise(input=Input(shape=shape))))
    assert "Lazy" not in shown.text and shown.unknown == 0
    assert shown.rows[1].layer == kind.partition("(")[0].removeprefix("Lazy")
    consistent(workbench, shown)


def test_tied_lazy_layers_stay_tied_and_nested_ones_are_found(workbench: Workbench) -> None:
    workbench.answer(Open(text="s = nn.LazyLinear(4)\nnn.Sequential(s, MySequential(nn.LazyLinear(4)), s)"))
    shown = sheet(workbench.answer(Materialise(input=FOUR)))
    assert workbench.now.model.get_submodule("0") is workbench.now.model.get_submodule("2") and "Lazy" not in shown.text
    consistent(workbench, shown)
    single = sheet(workbench.answer(Open(text="nn.LazyLinear(3)"))) and sheet(workbench.answer(Materialise(input=FOUR)))
    assert single.text == "nn.Linear(4, 3)\n"


def test_lazy_layers_draw_the_same_weights_for_the_same_seed(paths: Paths) -> None:
    found = []
    for _ in range(2):
        workbench = Workbench(paths)
        workbench.answer(Open(text="nn.LazyLinear(3)", seed=4))
        torch.rand(2)
        workbench.answer(Materialise(input=FOUR))
        found.append(snapshot(workbench))
    assert found[0] == found[1]


def test_an_input_that_does_not_pass_leaves_lazy_layers_lazy(workbench: Workbench) -> None:
    workbench.answer(Open(text="nn.Sequential(nn.LazyLinear(3), nn.Linear(4, 2))"))
    before = snapshot(workbench)
    assert "does not pass" in refused(workbench.answer(Materialise(input=FOUR)))
    assert "shape" in refused(workbench.answer(Materialise(input=Input())))
    assert snapshot(workbench) == before and not workbench.states.past


LAZY = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.LazyLinear(3)
        self.b = nn.Linear(3, 2)
        self.b.weight.requires_grad_(False)
        self.n = nn.BatchNorm1d(2)
        self.n.eval()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.n(self.b(self.a(x)))
"""


def test_a_lazy_layer_inside_of_a_persons_own_block_gets_its_size(workbench: Workbench, script: Callable[..., str]) -> None:
    text = f"{script(LAZY)}:Net"
    sheet(workbench.answer(Open(text=text)))
    kept = workbench.now.model.get_parameter("b.weight").clone()
    shown = sheet(workbench.answer(Materialise(input=FOUR)))
    assert shown.unknown == 0 and shown.text == text
    model = workbench.now.model
    assert torch.equal(model.get_parameter("b.weight"), kept) and model.get_parameter("a.weight").shape == (3, 4)
    assert not model.get_parameter("b.weight").requires_grad
    assert model.training and model.get_submodule("b").training and not model.get_submodule("n").training
    assert sheet(workbench.answer(History(by=-1))).unknown == 2


# code of others


def test_a_persons_file_is_opened_and_shown(workbench: Workbench, script: Callable[..., str]) -> None:
    file = script('class Net(nn.Module):\n    """Mine."""\n    def __init__(self, n=3):\n        super().__init__()\n'
                  "        self.l = nn.Linear(4, n)\n    def forward(self, x):\n        return self.l(x)\n")  # fmt: skip
    shown = sheet(workbench.answer(Open(text=f"{file}:Net(n=5)")))
    assert shown.label == "nets.py:Net" and shown.parameters == 25 and shown.watched[0][0] == file
    looked = workbench.answer(Look(place=(), input=FOUR))
    assert looked.kind == "detail" and looked.source[:2] == ("class Net(nn.Module):", '    """Mine."""')
    assert looked.origin.startswith("nets.py, line 3") and looked.documentation == ("Mine.",)
    assert workbench.answer(Probe(input=FOUR)).passed[0].output == "[2, 5]"  # type: ignore[union-attr]
    assert "made by code" in refused(workbench.answer(Change(action="delete", place=("l",))))


def test_a_changed_file_is_read_anew_and_keeps_fitting_weights(workbench: Workbench, script: Callable[..., str]) -> None:
    body = "def net():\n    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, {}))\n"
    text = f"{script(body.format(2))}:net"
    workbench.answer(Open(text=text))
    kept = workbench.now.model[0].weight.clone()
    script(body.format(3))
    shown = sheet(workbench.answer(Open(text=text, keep=True, seed=8)))
    assert torch.equal(workbench.now.model[0].weight, kept) and workbench.now.model[1].weight.shape == (3, 4)
    assert "2 tensors kept, 2 drawn anew" in shown.note
    assert sheet(workbench.answer(History(by=-1))).rows[2].total == 10


BROKEN = {
    "syntax error": ("class Net(nn.Module:\n    pass\n", 3),
    "indentation": ("def net():\nreturn 3\n", 4),
    "exception": ("x = 1\nraise ValueError('two\\nlines')\n", 4),
    "exception without words": ("raise ValueError\n", 3),
    "missing module": ("import no_such_module_of_mine\n", 3),
    "exit": ("import sys\nsys.exit(3)\n", 4),
    "exit in words": ("raise SystemExit('bye')\n", 3),
    "exit in the constructor": ("import sys\nclass Net(nn.Module):\n    def __init__(self):\n        sys.exit(1)\n", 6),
    "exception in the constructor": ("class Net(nn.Module):\n    def __init__(self):\n        1 / 0\n", 5),
    "exception in a function": ("def Net():\n    return undefined\n", 4),
    "no super": ("class Net(nn.Module):\n    def __init__(self):\n        self.l = nn.Linear(2, 2)\n", 5),
    "wrong name": ("class Nett(nn.Module):\n    pass\n", 0),
    "nothing": ("", 0),
    "a number": ("Net = 3\n", 0),
    "None": ("Net = None\n", 0),
    "makes no network": ("def Net():\n    return 3\n", 0),
    "returns nothing": ("def Net():\n    pass\n", 0),
    "a class of nothing": ("class Net:\n    pass\n", 0),
    "needs an argument": ("class Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n", 0),
    "endless": ("def Net():\n    return Net()\n", 4),
    "a module": ("Net = nn\n", 0),
    "null byte": ("x = 1\x00\n", None),
    "its error cannot be printed": ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n", 5),
    "escape codes in an error": ("raise ValueError('\\x1b[2J\\x07 a\\u202eb')\n", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_line_and_the_network_stays(
    name: str, workbench: Workbench, script: Callable[..., str]
) -> None:
    body, line = BROKEN[name]
    workbench.answer(Open(text=MLP))
    before, folder = snapshot(workbench), list(sys.path)
    answer = workbench.answer(Open(text=f"{script(body)}:Net"))
    said = refused(answer)
    assert "nets.py" in said or "Net" in said
    assert line is None or (isinstance(answer, Refused) and answer.line == line), answer
    assert snapshot(workbench) == before and not workbench.states.past and len(sys.path) <= len(folder) + 1


def test_a_wrong_name_lists_what_there_is(workbench: Workbench, script: Callable[..., str]) -> None:
    file = script("class One(nn.Module): pass\nclass Two(nn.Module): pass\nthree = nn.ReLU()\nx = 3\n")
    said = refused(workbench.answer(Open(text=f"{file}:Net")))
    assert "One, Two, three" in said and "Linear" not in said
    assert "no file" in refused(workbench.answer(Open(text=f"{file}x.py:Net")))
    assert refused(workbench.answer(Open(text="/" + "x" * 5000 + ".py:Net")))


def test_a_file_with_dataclasses_and_late_annotations(workbench: Workbench, tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n"
        "@dataclass\nclass Size:\n    n: int = 3\n\ndef net(): return nn.Linear(Size().n, 2)\n"
    )
    assert sheet(workbench.answer(Open(text=f"{file}:net"))).parameters == 8


def test_a_helper_beside_the_file_is_read_anew_when_it_changes(workbench: Workbench, script: Callable[..., str]) -> None:
    body = "from helper_of_mine import WIDTH\nfrom pack_of_mine.deep import MORE\nnet = nn.Linear(4, WIDTH + MORE)\n"
    text = f"{script(body)}:net"
    script("", "__init__.py", "code/pack_of_mine")
    for width, more in ((3, 10), (5, 10), (5, 20)):
        script(f"WIDTH = {width}\n", "helper_of_mine.py")
        script(f"MORE = {more}\n", "deep.py", "code/pack_of_mine")
        assert sheet(workbench.answer(Open(text=text))).parameters == 5 * (width + more)


def test_two_folders_with_helpers_of_one_name(workbench: Workbench, script: Callable[..., str]) -> None:
    texts = []
    for folder, width in (("one", 3), ("two", 5)):
        script(f"WIDTH = {width}\n", "helper_of_both.py", folder)
        file = script("from helper_of_both import WIDTH\nnet = nn.Linear(4, WIDTH)\n", folder=folder)
        texts.append((f"{file}:net", width))
    for text, width in (*texts, *texts):
        assert sheet(workbench.answer(Open(text=text))).parameters == 5 * width


def test_a_file_named_like_one_of_pythons_stands_in_nobodys_place(workbench: Workbench, script: Callable[..., str]) -> None:
    import random

    script("raise ValueError('mine')\n", "random.py")
    file = script("import random\nnet = nn.Linear(4, random.randint(2, 2))\n", "json.py")
    assert sheet(workbench.answer(Open(text=f"{file}:net"))).parameters == 10
    assert sys.modules["random"] is random and "code" not in str(sys.modules.get("json"))


PRINTS = """
import sys
print('loading')
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 2)
        print('making', file=sys.stderr)
        print('\\x1b[2J' + 'long' * 3000)
        sys.stdout.write('no end')
        sys.stdout.flush()
    def forward(self, x):
        print('running')
        if x.shape[-1] == 5: sys.exit('out')
        if x.shape[-1] == 6: raise KeyboardInterrupt
        return self.l(x)
"""


def test_what_code_prints_is_kept_and_does_not_reach_standard_output(
    workbench: Workbench, script: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    shown = sheet(workbench.answer(Open(text=f"{script(PRINTS)}:Net")))
    assert shown.output and "no end" in shown.output[-1]
    assert all(line.isprintable() and len(line) <= 300 for line in shown.output)
    assert workbench.answer(Probe(input=FOUR)).kind == "shapes"
    assert (sys.stdout, sys.stderr) == before
    out, error = capfd.readouterr()
    assert out == "" and "loading" in error and "making" in error
    assert sheet(workbench.answer(Open(text=MLP))).output == ()


def test_code_that_exits_or_is_cancelled_does_not_end_the_bench(workbench: Workbench, script: Callable[..., str]) -> None:
    sheet(workbench.answer(Open(text=f"{script(PRINTS)}:Net")))
    five, six = Input(shape=(5,)), Input(shape=(6,))
    for request in (Probe(input=five), Flow(input=five), Check(input=five), Look(place=("l",), input=five, measure=True)):
        answer = workbench.answer(request)
        assert "out" in str(answer)
    for request in (Probe(input=six), Flow(input=six), Check(input=six), Look(place=("l",), input=six, measure=True)):
        answer = workbench.answer(request)
        assert isinstance(answer, Refused) and answer.cancelled
    assert workbench.answer(Probe(input=FOUR)).fault is None  # type: ignore[union-attr]


ODD = {
    "extra state": "    def get_extra_state(self): return {'a': 1}\n    def set_extra_state(self, state): self.a = state\n",
    "an expanded buffer": "    def late(self): self.register_buffer('m', torch.ones(1).expand(5))\n",
    "its repr raises": "    def extra_repr(self): raise ValueError('no')\n",
    "its repr is long": "    def extra_repr(self): return 'x' * 100000 + '\\n\\x1b[2J'\n",
    "its parameters are whole": "    def late(self): self.w = nn.Parameter(torch.ones(3).long(), requires_grad=False)\n",
    "complex parameters": "    def late(self): self.w = nn.Parameter(torch.ones(3, dtype=torch.complex64))\n",
    "an empty parameter": "    def late(self): self.w = nn.Parameter(torch.ones(0, 3))\n",
    "a scalar parameter": "    def late(self): self.w = nn.Parameter(torch.tensor(3.0))\n",
    "on meta": "    def late(self): self.w = nn.Linear(2, 2, device='meta')\n",
    "an unused lazy layer": "    def late(self): self.w = nn.LazyLinear(2)\n",
    "a sparse buffer": "    def late(self): self.register_buffer('s', torch.eye(3).to_sparse())\n",
    "half": "    def late(self): self.w = nn.Linear(2, 2).half()\n",
    "nan": "    def late(self): nn.init.constant_(self.l.weight, float('nan'))\n",
    "a name with spaces": "    def late(self): self.add_module('a b\\u202e', nn.ReLU())\n",
    "itself": "    def late(self): self.l.above = self\n",
    "a generator": "    def late(self): self.g = (i for i in range(3))\n",
    "a lambda": "    def late(self): self.f = lambda: 3\n",
    "an output that is none": "    def forward(self, x): return None\n",
    "a dictionary": "    def forward(self, x): return {1: self.l(x), (2, 3): [x]}\n",
    "an integer output": "    def forward(self, x): return self.l(x).argmax(1)\n",
    "no forward": "    forward = nn.Module.forward\n",
    "two arguments": "    def forward(self, x, y): return self.l(x)\n",
    "hooks": "    def late(self): self.l.register_forward_hook(lambda m, a, o: o * 2)\n",
    "no grad": "    def forward(self, x):\n        torch.set_grad_enabled(False)\n        return self.l(x)\n",
    "a recursion": "    def forward(self, x): return self.forward(x)\n",
    "an error without words": "    def forward(self, x): raise ValueError\n",
    "an error of many lines": "    def forward(self, x): raise ValueError('\\n\\n\\x1b[2Ja\\nb')\n",
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", ODD)
def test_odd_networks_are_looked_at_without_a_fault_of_the_bench(
    name: str, workbench: Workbench, script: Callable[..., str], tmp_path: Path
) -> None:
    body = ("class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.l = nn.Linear(4, 2)\n"
            "        self.late()\n    def late(self): pass\n    def forward(self, x): return self.l(x)\n")  # fmt: skip
    text = f"{script(body + ODD[name])}:Net"
    sheet(workbench.answer(Open(text=text)))
    grad = torch.is_grad_enabled()
    for request in (
        Probe(input=FOUR), Flow(input=FOUR), Check(input=FOUR, outputs=2), Look(place=(), input=FOUR, measure=True),
        Look(place=("l",), input=FOUR, measure=True), Compare(text=MLP), Compare(text=text), Open(text=text, keep=True),
        Open(text=text), History(by=-1),
    ):  # fmt: skip
        answer = workbench.answer(request)
        assert torch.is_grad_enabled() == grad, request.kind
        if isinstance(answer, Refused):
            assert not any("Traceback" in line for line in answer.output), (request.kind, answer)
        for line in bench.ANSWERS.dump_json(answer).decode().split("\\n"):
            assert "\x1b" not in line
        why = getattr(answer, "why", "") or getattr(answer, "message", "")
        assert "\n" not in why and why.isprintable(), why
    if name not in ("extra state", "on meta", "a sparse buffer", "itself"):  # torch or safetensors cannot
        weights.save(workbench.now.model, tmp_path / "w", "net")
        weights.load(workbench.now.model, tmp_path / "w", "net")
