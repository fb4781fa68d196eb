"""Parameters on the bench, in this process: all undone bit for bit, ties in model and text, steps as PyTorch's own."""

import copy
import itertools
import math
import random
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from mlptui.core import bench
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.tree import Layer, same
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import ANSWERS, REQUESTS, Change, History, Input, Materialise, Open, Refused, Request, Sheet
from mlptui.core.errors import ArchitectureError
from mlptui.core.parameters.messages import (
    Console,
    Export,
    Exported,
    Initialise,
    List,
    Listed,
    Measure,
    Measures,
    Preview,
    Previewed,
    Put,
    Rule,
    Said,
    Tie,
    Train,
    View,
    Viewed,
)
from mlptui.engine import weights
from mlptui.engine.bench import states
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.build import BuildError, build
from mlptui.engine.parameters import contents, passes, views
from mlptui.engine.parameters.tensors import tensors
from mlptui.engine.seeding import BENCH, mix, seed_step, seed_weights
from mlptui.store.paths import Paths

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")

FOUR = Input(shape=(4,))
STACK = "nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4))"
BATCH_NORM = "nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))"
DROPOUT = "nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 4), nn.Linear(4, 4))"
LAZY = "nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(4), nn.Linear(4, 4))"
TIED = f"net = {STACK}\nnet[4].weight = net[2].weight\nnet[5].bias = net[0].bias"
CONV = "nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(8, 3))"
SMALL: dict[str, tuple[str, tuple[int, ...]]] = {
    "stack": (STACK, (4,)),
    "tied parameters": (TIED, (4,)),
    "batch norm": (BATCH_NORM, (4,)),
    "dropout": (DROPOUT, (4,)),
    "lazy": (LAZY, (4,)),
    "lstm": ("nn.LSTM(3, 3)", (5, 3)),
    "convolutions": (CONV, (1, 4, 4)),
    "embedding": ("nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(12, 3), nn.Linear(3, 3))", (4,)),
    "nothing to learn": ("nn.Sequential(nn.ReLU(), nn.Flatten())", (4,)),
}
FROM_ZOO = (
    "tied", "lazy", "batch-norm-mlp", "dropout-mlp", "lenet", "fixed-hidden", "fixed-hidden-corrected", "mlp-module",
    "nest-mlp", "chimera", "nested", "my-linear", "my-linear-corrected", "my-sequential",
)  # fmt: skip
NETWORKS = SMALL | {name: (ZOO[name].text, ZOO[name].input) for name in FROM_ZOO}
OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))
        self.register_buffer("seen", torch.zeros(3))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.plain = torch.arange(4.0)
        self.listed = [torch.ones(2)]

    def forward(self, x):
        return self.second(self.first(x).relu() * self.scale) + self.plain
"""


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture
def workbench(paths: Paths) -> Workbench:
    return Workbench(paths)


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], str]:
    """Write a Python file; gives the text that opens its class Net."""

    def write(body: str) -> str:
        file = tmp_path / "code" / "nets.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(body)
        return f"{file}:Net"

    return write


# what tests say


def answered(workbench: Workbench, request: Request) -> bench.Answer:
    """The answer; request and answer go over the wire as they are."""
    assert repr(REQUESTS.validate_json(request.model_dump_json())) == repr(request)
    answer = workbench.answer(request)
    assert repr(ANSWERS.validate_json(answer.model_dump_json())) == repr(answer)  # nan is not equal to itself
    return answer


def done(workbench: Workbench, request: Request) -> Sheet:
    answer = answered(workbench, request)
    assert isinstance(answer, Sheet), answer
    return answer


def refused(workbench: Workbench, request: Request) -> str:
    """What a refusal says: one sentence, and nothing has changed."""
    before = record(workbench), history_of(workbench)
    answer = answered(workbench, request)
    assert isinstance(answer, Refused), (request, answer)
    assert answer.message and answer.message.isprintable() and len(answer.message) < 500
    assert not any("Traceback" in line for line in answer.output), answer.output
    assert (record(workbench), history_of(workbench)) == before
    return answer.message


def opened(workbench: Workbench, text: str, seed: int = 0) -> Sheet:
    return done(workbench, Open(text=text, seed=seed))


def undo(workbench: Workbench) -> Sheet:
    return done(workbench, History(by=-1))


def redo(workbench: Workbench) -> Sheet:
    return done(workbench, History(by=1))


def raw(tensor: torch.Tensor | None) -> tuple[object, ...] | None:
    """Type, shape and bytes; a hash of them says the same shorter."""
    if tensor is None or is_lazy(tensor):
        return None if tensor is None else ("lazy",)
    flat = tensor.detach().contiguous().reshape(-1)
    return tensor.dtype, tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def values(workbench: Workbench) -> dict[str, tuple[object, ...] | None]:
    return {path: raw(named.tensor) for path, named in tensors(workbench.now.model).items()}


def record(workbench: Workbench) -> tuple[Any, ...]:
    """All that undo brings back."""
    now = workbench.now
    held = {
        path: (n.kind, n.alias_of, raw(n.tensor), n.tensor.requires_grad, None if n.lazy else raw(n.tensor.grad))
        for path, n in tensors(now.model).items()
    }
    training = {
        p: {k: raw(v) if isinstance(v, torch.Tensor) else v for k, v in s.items()} for p, s in now.training.state.items()
    }
    drawn = {path: contents.drawn(n.tensor) for path, n in tensors(now.model).items()}
    return now.text, now.tree.ties, now.drawn, now.says, held, now.training.steps, training, drawn


def history_of(workbench: Workbench) -> tuple[list[str], list[str]]:
    return [s.says for s in workbench.states.past], [s.says for s in workbench.states.future]


def groups(model: nn.Module) -> list[list[str]]:
    """Names of one parameter, where it has several."""
    found: dict[int, list[str]] = {}
    for path, named in tensors(model).items():
        if named.kind == "parameter":
            found.setdefault(id(named.tensor), []).append(path)
    return sorted(names for names in found.values() if len(names) > 1)


def agree(workbench: Workbench) -> None:
    """Model, tree, text and sheet say the same of ties and sizes."""
    now, sheet = workbench.now, workbench.sheet()
    assert same(parse(now.text), now.tree), now.text
    with torch.random.fork_rng(devices=[]):
        anew = build(parse(now.text))
    assert groups(anew) == groups(now.model), now.text
    shapes = [{p: None if n.lazy else n.tensor.shape for p, n in tensors(m).items()} for m in (anew, now.model)]
    assert shapes[0] == shapes[1]
    assert sheet.parameters == sum(p.numel() for p in now.model.parameters() if not is_lazy(p))
    assert sheet.trainable == sum(p.numel() for p in now.model.parameters() if not is_lazy(p) and p.requires_grad)


def parameter(workbench: Workbench, path: str) -> torch.Tensor:
    return tensors(workbench.now.model)[path].tensor


# every request


def changes(workbench: Workbench, wanted: Input) -> list[Request]:
    """One of each kind of change that the network allows."""
    found = {path: n for path, n in tensors(workbench.now.model).items() if not n.lazy and "[" not in path}
    learning = [path for path, n in found.items() if n.kind == "parameter" and not n.alias_of]
    floats = [path for path, n in found.items() if n.tensor.is_floating_point() and not n.alias_of]
    some: list[Request] = []
    for path in (floats[-1:], floats):
        if path:
            every = tuple(path)
            some += [Put(action=a, paths=every, numbers=(0.5,), seed=3) for a in ("fill", "add", "scale", "noise")]
            some += [Put(action="clamp", paths=every, numbers=(-0.1, math.nan)), Put(action="forget", paths=every)]
            some += [Put(action="dtype", paths=every, source="bfloat16"), Put(action="fill", paths=every, numbers=(math.nan,))]
    if learning:
        every = tuple(learning)
        some += [Put(action="freeze", paths=every), Put(action="freeze", paths=every[:1]), Put(action="thaw", paths=every)]
        first = found[learning[0]]
        some += [Initialise(rules=(Rule(select=learning[0], scheme="normal(0, 2)"),), seed=7)]
        some += [Initialise(rules=(Rule(select=learning[0], scheme="constant(0.5)"), Rule(select="*", scheme="uniform")))]
        lines = ("{}.data.fill_(3)", "{} *= 2", "{}.requires_grad = False", "{}.grad = None", "nn.init.normal_({}, std=0.5)")
        some += [Console(text=line.format(f"net{first.spelled}")) for line in lines]
    square = [p for p in floats if found[p].tensor.dim() == 2 and len(set(found[p].tensor.shape)) == 1]
    some += [Put(action="transpose", paths=tuple(square))] if square else []
    for one, other in itertools.combinations(floats, 2):
        if found[one].tensor.shape == found[other].tensor.shape:
            some += [Put(action="copy", paths=(one,), source=other)]
            some += [Tie(paths=(one, other))] if {one, other} <= set(learning) else []
            break
    ties = workbench.now.tree.ties
    some += [Tie(paths=(ties[0][0],), apart=True)] if ties else []
    trained = [(0, "sgd", 0.0), (1, "sgd", 0.0), (2, "sgd", 0.9), (1, "adam", 0.0)]
    some += [Train(input=wanted, steps=n, optimizer=o, momentum=m, batch_size=8) for n, o, m in trained]
    return some


@pytest.mark.parametrize("name", NETWORKS)
def test_every_change_is_undone_and_done_again_bit_for_bit(name: str, workbench: Workbench) -> None:
    text, shape = NETWORKS[name]
    wanted = Input(shape=shape)
    opened(workbench, text)
    if any(n.lazy for n in tensors(workbench.now.model).values()):
        done(workbench, Materialise(input=wanted))
        agree(workbench)
    if workbench.now.tree.kind not in ("LSTM",):
        answered(workbench, Train(input=wanted, batch_size=8))  # with gradients to bring back
    first, digest = record(workbench), digest_of(workbench)
    for request in changes(workbench, wanted):
        answer = answered(workbench, request)
        if isinstance(answer, Refused):
            assert request.kind == "train" and not any("Traceback" in line for line in answer.output), (request, answer)
            assert record(workbench) == first
            continue
        assert isinstance(answer, Sheet) and answer.undo and not answer.redo
        agree(workbench)
        then, changed = record(workbench), digest_of(workbench)
        shown = undo(workbench)
        assert record(workbench) == first and digest_of(workbench) == digest and shown.redo == answer.undo
        assert (changed != digest) == ([v[2] for v in then[4].values()] != [v[2] for v in first[4].values()])
        assert redo(workbench).undo == answer.undo
        assert record(workbench) == then and digest_of(workbench) == changed
        undo(workbench)
        assert record(workbench) == first


def digest_of(workbench: Workbench) -> str:
    listed = answered(workbench, List())
    assert isinstance(listed, Listed)
    return listed.digest


def test_a_persons_own_network_is_changed_and_undone_too(workbench: Workbench, own: Callable[[str], str]) -> None:
    opened(workbench, own(OWN))
    first = record(workbench)
    assert first[4].keys() >= {"scale", "seen", "passing", "plain", "listed[0]", "first.weight"}
    for request in changes(workbench, FOUR):
        done(workbench, request)
        undo(workbench)
        assert record(workbench) == first, request
    for path in ("seen", "passing", "plain"):
        done(workbench, Put(action="fill", paths=(path,), numbers=(5.0,)))
        assert set(parameter(workbench, path).tolist()) == {5.0}
        assert "only parameters learn" in refused(workbench, Put(action="freeze", paths=("scale", path)))
    assert "read only" in refused(workbench, Put(action="fill", paths=("scale", "listed[0]"), numbers=(5.0,)))
    for _ in range(3):
        undo(workbench)
    assert record(workbench) == first


@pytest.mark.parametrize("name", NETWORKS)
def test_looking_at_parameters_changes_nothing(name: str, workbench: Workbench, tmp_path: Path) -> None:
    text, shape = NETWORKS[name]
    wanted = Input(shape=shape)
    opened(workbench, text)
    before, generator = record(workbench), torch.get_rng_state()
    listed = answered(workbench, List())
    assert isinstance(listed, Listed)
    known = tensors(workbench.now.model)
    assert [row.path for row in listed.rows] == list(known)
    for row in listed.rows:
        assert row.alias_of == known[row.path].alias_of and row.shape == (
            None if row.count == 0 else known[row.path].tensor.shape
        )
    state = workbench.now.model.state_dict()
    assert {r.path for r in listed.rows if r.listed in ("both", "state_dict")} == set(state)
    assert {r.path for r in listed.rows if r.listed == "both" and r.tensor == "parameter"} == {
        path for path, _ in workbench.now.model.named_parameters()
    }
    paths = tuple(row.path for row in listed.rows)
    measured = answered(workbench, Measure(paths=(*paths, "nowhere")))
    assert isinstance(measured, Measures) and [p for p, _ in measured.numbers] == [
        r.path for r in listed.rows if r.shape is not None
    ]
    sized = [row.path for row in listed.rows if row.shape is not None]
    for path in sized[:6]:
        for show in ("values", "heat", "histogram", "spectrum", "pictures"):
            seen = answered(workbench, View(path=path, show=show, input=wanted))
            assert isinstance(seen, Viewed) and (seen.why or seen.values or seen.bins)
        assert isinstance(answered(workbench, View(path=path, part="gradient")), Viewed)
        assert answered(workbench, View(path=path, show="uses", input=wanted)).kind in ("viewed", "refused")
        said = answered(workbench, Console(text=f"net{known[path].spelled}"))
        assert isinstance(said, Said) and said.path == (known[path].alias_of or path)
    if any(known[path].kind == "parameter" for path in sized):
        shown = answered(workbench, Preview(rules=(Rule(select="*", scheme="normal(0, 0.01)"),), input=wanted))
        assert isinstance(shown, Previewed) and shown.tensors
    exported = answered(workbench, Export(file=str(tmp_path / "w.safetensors")))
    assert isinstance(exported, Exported) and exported.size == (tmp_path / "w.safetensors").stat().st_size
    assert record(workbench) == before and history_of(workbench) == ([], [])
    assert torch.equal(torch.get_rng_state(), generator)


def test_only_the_chosen_tensors_change(workbench: Workbench) -> None:
    opened(workbench, BATCH_NORM)
    for action, numbers, source in (
        ("fill", (2.0,), ""), ("add", (2.0,), ""), ("scale", (2.0,), ""), ("noise", (2.0,), ""), ("clamp", (0.3, 0.4), ""),
        ("copy", (), "1.bias"), ("dtype", (), "float64"),
    ):  # fmt: skip
        before = values(workbench)
        paths = ("0.bias", "1.running_var")
        done(workbench, Put(action=action, paths=paths, numbers=numbers, source=source))
        after = values(workbench)
        assert {path for path in before if before[path] != after[path]} == set(paths), action
        undo(workbench)
    before = values(workbench)
    done(workbench, Initialise(rules=(Rule(select="BatchNorm1d.weight", scheme="uniform(1, 2)"),)))
    assert {path for path, value in values(workbench).items() if before[path] != value} == {"1.weight"}


def test_the_numbers_that_are_put_are_those_of_torch(workbench: Workbench) -> None:
    opened(workbench, STACK)
    old, other = parameter(workbench, "0.weight").detach().clone(), parameter(workbench, "2.weight").detach().clone()
    for request, wanted in (
        (Put(action="fill", paths=("0.weight",), numbers=(0.1,)), torch.full((4, 4), 0.1)),
        (Put(action="add", paths=("0.weight",), numbers=(0.1,)), old + 0.1),
        (Put(action="scale", paths=("0.weight",), numbers=(-3.0,)), old * -3),
        (Put(action="clamp", paths=("0.weight",), numbers=(-0.1, 0.2)), old.clamp(-0.1, 0.2)),
        (Put(action="clamp", paths=("0.weight",), numbers=(math.nan, 0.0)), old.clamp(max=0.0)),
        (Put(action="transpose", paths=("0.weight",)), old.T),
        (Put(action="copy", paths=("0.weight",), source="2.weight"), other),
        (Put(action="dtype", paths=("0.weight",), source="float64"), old.double()),
        (
            Console(text="net[0].weight.data[0, 0] = 100"),
            old.index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(100.0)),
        ),
        (Console(text="0.weight[:, 1] *= 2"), torch.cat([old[:, :1], old[:, 1:2] * 2, old[:, 2:]], 1)),
        (Console(text="net[0].weight.data = net[2].weight.T"), other.T),
    ):
        assert done(workbench, request).drawn is None
        assert raw(parameter(workbench, "0.weight")) == raw(wanted), request
        undo(workbench)
    noisy = [
        done(workbench, Put(action="noise", paths=("0.weight",), numbers=(0.5,), seed=s)) and record(workbench) for s in (1, 1)
    ]
    undo(workbench), undo(workbench)
    done(workbench, Put(action="noise", paths=("0.weight",), numbers=(0.5,), seed=1))
    assert record(workbench)[4] == noisy[0][4] != noisy[1][4]


def test_noise_is_unlike_what_is_drawn_unlike_itself_and_unlike_for_each_tensor(workbench: Workbench) -> None:
    """So that it breaks every symmetry."""
    opened(workbench, "nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 40))")
    both = ("0.weight", "1.weight")
    rules = tuple(Rule(select=path, scheme="normal(0, 1)") for path in both)
    done(workbench, Initialise(rules=rules))
    found = [{path: parameter(workbench, path).detach().flatten().clone() for path in both}]
    for _ in range(2):
        done(workbench, Put(action="noise", paths=(both[0],), numbers=(0.5,)))
        done(workbench, Put(action="noise", paths=(both[1],), numbers=(0.5,)))
        found.append({path: parameter(workbench, path).detach().flatten().clone() for path in both})
    added = [after[path] - before[path] for before, after in pairwise(found) for path in both]
    apart = torch.corrcoef(torch.stack([found[0][both[0]], *added]))
    assert float((apart - torch.eye(5)).abs().max()) < 0.15, "1,600 numbers: six deviations of chance"


REFUSED: list[tuple[str, Request]] = [
    ("needs a number", Put(action="fill", paths=("0.weight", "0.bias"))),
    ("no tensor 9.weight", Put(action="fill", paths=("0.weight", "9.weight"), numbers=(1.0,))),
    ("no tensor is chosen", Put(action="fill", paths=(), numbers=(1.0,))),
    ("floating point", Put(action="dtype", paths=("0.weight",), source="int8")),
    ("no type", Put(action="dtype", paths=("0.weight",), source="complex64")),
    ("no change", Put(action="explode", paths=("0.weight",))),
    ("[4, 4]", Put(action="copy", paths=("0.weight",), source="0.bias")),
    ("no tensor", Put(action="copy", paths=("0.weight",), source="nowhere")),
    ("square", Put(action="transpose", paths=("0.weight", "0.bias"))),
    ("lowest or a highest", Put(action="clamp", paths=("0.weight",))),
    ("lowest or a highest", Put(action="clamp", paths=("0.weight",), numbers=(math.nan, math.nan))),
    ("mark another", Tie(paths=("0.weight",))),
    ("mark another", Tie(paths=("0.weight", "0.weight"))),
    ("one shape", Tie(paths=("0.weight", "2.weight", "0.bias"))),
    ("no tensor", Tie(paths=("0.weight", "7.weight"))),
    ("nothing is tied", Tie(paths=("0.weight",), apart=True)),
    ("no parameter is meant", Initialise(rules=(Rule(select="nope", scheme="normal"),))),
    ("did you mean normal", Initialise(rules=(Rule(select="*", scheme="nrml"),))),
    ("0.bias", Initialise(rules=(Rule(select="*.weight", scheme="normal"), Rule(select="0.bias", scheme="orthogonal")))),
    ("normal(", Initialise(rules=(Rule(select="*.weight", scheme="normal("),))),
    ("there is no [9]", Console(text="net[9].weight.data = 1")),
    ("read", Console(text="net[0].weight = 1 2")),
    ("", Console(text="net[0].weight.data = net[0].bias.reshape(3, 1)")),
    ("", Console(text="net[0].weight.grad = 1")),
    ("", Console(text="net[0].weight = net[0].bias")),
    ("does not pass", Train(input=Input(shape=(5,)), steps=2)),
    ("what goes into", Train(input=Input(), steps=1)),
    ("no data set", Train(input=Input(data="nowhere"), steps=1)),
    ("up to", Train(input=FOUR, steps=5000)),
    ("up to", Train(input=FOUR, steps=-1)),
    ("up to", Train(input=FOUR, batch_size=0)),
    ("no tensor", View(path="nowhere")),
    ("no tensor", View(path="nowhere", show="uses", input=FOUR)),
    ("what goes into", View(path="0.weight", show="uses")),
]


@pytest.mark.parametrize(("words", "request_"), REFUSED)
def test_what_cannot_be_done_is_refused_with_a_sentence_and_leaves_all_as_it_was(
    words: str, request_: Request, workbench: Workbench
) -> None:
    opened(workbench, STACK)
    done(workbench, Train(input=FOUR, steps=1, momentum=0.5))
    done(workbench, Put(action="freeze", paths=("2.bias",)))
    done(workbench, Put(action="add", paths=("2.weight",), numbers=(1.0,)))
    undo(workbench)
    assert words in refused(workbench, request_)


def test_before_anything_is_open_parameters_are_refused(workbench: Workbench, tmp_path: Path) -> None:
    rules = (Rule(select="*", scheme="ones"),)
    for request in (
        List(), Measure(paths=("0.weight",)), View(path="0.weight"), Console(text="net[0]"),
        Put(action="freeze", paths=("a",)), Initialise(rules=rules), Preview(rules=rules), Tie(paths=("a", "b")),
        Train(input=FOUR), Export(file=str(tmp_path / "x")),
    ):  # fmt: skip
        answer = answered(workbench, request)
        assert isinstance(answer, Refused) and "open" in answer.message and not list(tmp_path.glob("x*"))


def test_lazy_tensors_are_refused_until_they_have_sizes(workbench: Workbench) -> None:
    opened(workbench, LAZY)
    for request in (
        Put(action="fill", paths=("1.weight",), numbers=(1.0,)),
        Put(action="fill", paths=("4.weight", "1.weight"), numbers=(1.0,)),
        Tie(paths=("4.weight", "1.weight")), Train(input=FOUR, steps=1), View(path="1.weight"),
        Console(text="net[1].weight.data[0] = 1"),
    ):  # fmt: skip
        assert "size" in refused(workbench, request)
    done(workbench, Put(action="fill", paths=("4.weight",), numbers=(1.0,)))
    done(workbench, Materialise(input=FOUR))
    assert parameter(workbench, "4.weight").sum() == 16
    done(workbench, Tie(paths=("4.weight", "3.weight")))
    agree(workbench)
    for _ in range(3):
        undo(workbench)
    assert is_lazy(parameter(workbench, "1.weight")) and workbench.sheet().drawn == 0


INTERRUPTED: list[Request] = [
    Put(action="fill", paths=("0.weight", "0.bias", "2.weight", "2.bias"), numbers=(1.0,)),
    Put(action="freeze", paths=("0.weight", "0.bias", "2.weight", "2.bias")),
    Initialise(rules=(Rule(select="*", scheme="uniform"),)),
    Train(input=FOUR, steps=2, momentum=0.9),
    Train(input=FOUR),
]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
@pytest.mark.parametrize("request_", INTERRUPTED, ids=lambda r: f"{r.kind} {getattr(r, 'action', '')}")
def test_what_is_broken_off_in_the_middle_leaves_all_as_it_was(
    request_: Request, error: type[BaseException], workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(workbench, STACK)
    done(workbench, Train(input=FOUR, steps=1, momentum=0.9))
    done(workbench, Put(action="fill", paths=("0.weight",), numbers=(3.0,)))
    undo(workbench)
    before, history, put = record(workbench), history_of(workbench), contents.put
    for calls in range(4):
        left = iter(range(calls))

        def fails(*given: Any, left: Any = left, **named: Any) -> None:
            if next(left, None) is None:
                raise error
            put(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(contents, "put", fails)
            answer = workbench.answer(request_)
        assert isinstance(answer, Refused) and answer.cancelled == (error is KeyboardInterrupt)
        assert record(workbench) == before and history_of(workbench) == history
    redo(workbench)
    assert parameter(workbench, "0.weight").sum() == 48


def test_the_seed_of_the_weights_is_known_until_they_are_changed_and_again_after_undo(workbench: Workbench) -> None:
    assert opened(workbench, STACK, seed=7).drawn == 7
    assert done(workbench, Train(input=FOUR)).drawn == 7  # gradients only
    for request in (
        Put(action="fill", paths=("0.weight",), numbers=(1.0,)), Put(action="freeze", paths=("0.weight",)),
        Console(text="net[0].bias += 1"), Train(input=FOUR, steps=1), Tie(paths=("0.weight", "2.weight")),
        Initialise(rules=(Rule(select="*", scheme="default"),)), Change(action="wrap", place=("0",)),
    ):  # fmt: skip
        assert done(workbench, request).drawn is None
        assert undo(workbench).drawn == 7
        assert redo(workbench).drawn is None
        undo(workbench)
    seed_weights(7)
    plain = build(parse(STACK))
    assert all(raw(parameter(workbench, path)) == raw(p) for path, p in plain.named_parameters())
    assert opened(workbench, STACK, seed=8).drawn == 8 and undo(workbench).drawn == 7


def test_every_change_of_numbers_has_a_digest_and_a_stamp_of_its_own(workbench: Workbench) -> None:
    opened(workbench, TIED)
    seen = [digest_of(workbench)]
    stamps = [{r.path: r.stamp for r in answered(workbench, List()).rows}]  # type: ignore[union-attr]
    for i in range(6):
        done(workbench, Put(action="add", paths=("2.weight",), numbers=(float(i + 1),)))
        seen.append(digest_of(workbench))
        stamps.append({r.path: r.stamp for r in answered(workbench, List()).rows})  # type: ignore[union-attr]
        assert stamps[-1]["2.weight"] == stamps[-1]["4.weight"] != stamps[-2]["2.weight"]
        assert stamps[-1]["0.weight"] == stamps[0]["0.weight"]
    assert len(set(seen)) == 7
    for wanted, stamp in zip(reversed(seen[:-1]), reversed(stamps[:-1]), strict=True):
        undo(workbench)
        assert digest_of(workbench) == wanted
        assert {r.path: r.stamp for r in answered(workbench, List()).rows} == stamp  # type: ignore[union-attr]


def test_memory_for_undo_is_bounded_and_the_oldest_states_go_first(workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))")
    workbench.states.memory = 3 * 1024 + 100
    records = [record(workbench)]
    for i in range(12):
        done(workbench, Put(action="fill", paths=("0.weight",), numbers=(float(i),)))
        records.append(record(workbench))
        assert sum(state.cost for state in workbench.states.past) <= workbench.states.memory
    assert [state.cost for state in workbench.states.past] == [1024] * 3
    for wanted in reversed(records[-4:-1]):
        undo(workbench)
        assert record(workbench) == wanted
    assert "nothing to undo" in refused(workbench, History(by=-1))
    for wanted in records[-3:]:
        redo(workbench)
        assert record(workbench) == wanted
    for _ in range(5):  # what costs nothing stays
        done(workbench, Put(action="freeze", paths=("0.weight",)))
        done(workbench, Put(action="thaw", paths=("0.weight",)))
    assert len(workbench.states.past) == 13
    workbench.states.memory = 0
    before = record(workbench)
    done(workbench, Put(action="fill", paths=("0.bias",), numbers=(1.0,)))
    assert len(workbench.states.past) == 1, "the last step can always be taken back"
    undo(workbench)
    assert record(workbench) == before


# walks


def some_request(workbench: Workbench, chance: random.Random, wanted: Input, structure: bool = True) -> Request:
    """Anything that a person may ask for next; much of it is refused."""
    known = {path: n for path, n in tensors(workbench.now.model).items() if not n.lazy}
    names = list(known) or ["0.weight"]
    learning = [path for path, n in known.items() if n.kind == "parameter"] or names
    path, some = chance.choice(names), tuple(chance.sample(names, chance.randint(1, min(3, len(names)))))
    kind = chance.choice(("put", "put", "console", "draw", "train", "tie", "untie", *["change"] * (4 if structure else 0)))
    if kind == "put":
        action = chance.choice(("fill", "add", "scale", "noise", "clamp", "freeze", "thaw", "forget", "transpose", "copy"))
        return Put(
            action=action, paths=some, numbers=(chance.uniform(-1, 1),), source=chance.choice(names), seed=chance.randint(0, 9)
        )
    if kind == "console":
        spelled = known[path].spelled if path in known else ".weight"
        line = chance.choice(
            ("{} += 1", "{}.data[0] = 7", "{}.requires_grad = False", "{}.requires_grad_()", "{}.grad = None", "{}")
        )
        return Console(text=line.format(f"net{spelled}"))
    if kind == "draw":
        scheme = chance.choice(("normal", "uniform(-1, 1)", "default", "zeros", "xavier_uniform", "0.5:1 0.5:N(0,1)"))
        return Initialise(
            rules=(Rule(select=chance.choice((path, "*.weight", "*", "Linear.bias")), scheme=scheme),),
            seed=chance.randint(0, 9),
        )
    if kind == "train":
        name = chance.choice(("sgd", "adam", "adamw", "rmsprop"))
        return Train(
            input=wanted,
            steps=chance.randint(0, 2),
            batch_size=4,
            optimizer=name,
            rate=0.01,
            momentum=chance.choice((0.0, 0.9)),
        )
    if kind == "tie":
        first = chance.choice(learning)
        alike = [p for p in learning if p in known and first in known and known[p].tensor.shape == known[first].tensor.shape]
        return Tie(paths=(first, *chance.sample(alike, min(len(alike), chance.randint(1, 2)))))
    if kind == "untie":
        return Tie(paths=(chance.choice([p for pair in workbench.now.tree.ties for p in pair] or names),), apart=True)
    places = [place for place, _ in workbench.now.tree.walk()]
    action = chance.choice(
        ("add", "insert", "inside", "delete", "duplicate", "up", "down", "out", "in", "wrap", "rename", "tie", "untie",
         "replace", "argument", "materialise")
    )  # fmt: skip
    if action == "materialise":
        return Materialise(input=wanted)
    made = chance.choice(("nn.Linear(4, 4)", "nn.ReLU()", "nn.BatchNorm1d(4)", "nn.Sequential(nn.Linear(4, 4), nn.Tanh())"))
    text = {"rename": chance.choice(("a", "block 1", "hidden", "7")), "argument": chance.choice(("bias=False", "bias=True"))}
    return Change(action=action, place=chance.choice(places), text=text.get(action, made), to=chance.choice(places))


def walk_there_and_back(workbench: Workbench, text: str, wanted: Input, chance: random.Random) -> None:
    opened(workbench, text)
    records, here = [record(workbench)], 0
    for _ in range(60):
        if chance.random() < 0.15:
            by = chance.choice((-1, 1))
            answer = workbench.answer(History(by=by))
            here += by if isinstance(answer, Sheet) else 0
            assert record(workbench) == records[here]
            continue
        request = some_request(workbench, chance, wanted)
        answer = workbench.answer(request)
        assert repr(ANSWERS.validate_json(answer.model_dump_json())) == repr(answer)
        if isinstance(answer, Sheet):
            del records[here + 1 :]
            records.append(record(workbench))
            here += 1
        assert record(workbench) == records[here], request
    assert len(workbench.states.past) == here
    for before in reversed(records[:here]):
        undo(workbench)
        assert record(workbench) == before
    assert "nothing to undo" in refused(workbench, History(by=-1))
    for after in records[1:]:
        redo(workbench)
        assert record(workbench) == after
    assert "nothing to redo" in refused(workbench, History(by=1))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "name",
    ["stack", "tied parameters", "batch norm", "dropout", "lazy", "embedding", "lstm", "convolutions", "tied", "own"],
)
def test_after_any_walk_undo_leads_back_to_the_first_bytes_and_redo_to_the_last(
    name: str, seed: int, workbench: Workbench, own: Callable[[str], str]
) -> None:
    text, shape = (own(OWN), (4,)) if name == "own" else NETWORKS[name]
    walk_there_and_back(workbench, text, Input(shape=shape), random.Random(f"{name} {seed}"))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["stack", "lazy", "dropout", "tied parameters"])
def test_tied_parameters_stand_in_model_and_text_after_every_step_of_the_builder(
    name: str, seed: int, workbench: Workbench
) -> None:
    text, shape = NETWORKS[name]
    chance, wanted = random.Random(f"ties {name} {seed}"), Input(shape=shape)
    opened(workbench, text)
    for _ in range(60):
        request = some_request(workbench, chance, wanted)
        if request.kind in ("tie", "change", "materialise"):
            workbench.answer(request)
            agree(workbench)
    while workbench.states.past:
        undo(workbench)
        agree(workbench)


# ties


def test_two_and_three_parameters_become_one_and_their_own_again(workbench: Workbench) -> None:
    opened(workbench, STACK)
    first, model = record(workbench), workbench.now.model
    one = parameter(workbench, "0.weight")
    shown = done(workbench, Tie(paths=("0.weight", "2.weight")))
    assert groups(model) == [["0.weight", "2.weight"]] and model.get_parameter("2.weight") is one
    assert shown.parameters == 80 - 16 and shown.text.endswith("net[2].weight = net[0].weight\n")
    assert "2.weight to 0.weight" in shown.undo
    assert done(workbench, Tie(paths=("0.weight", "4.weight", "5.weight"))).parameters == 80 - 48
    assert groups(model) == [["0.weight", "2.weight", "4.weight", "5.weight"]]
    agree(workbench)
    before = values(workbench)
    assert done(workbench, Tie(paths=("4.weight",), apart=True)).parameters == 80 - 32
    assert groups(model) == [["0.weight", "2.weight", "5.weight"]] and values(workbench) == before
    agree(workbench)
    done(workbench, Tie(paths=("0.weight",), apart=True))  # the first of them: the others stay one
    assert groups(model) == [["2.weight", "5.weight"]] and values(workbench) == before
    agree(workbench)
    assert done(workbench, Tie(paths=("5.weight",), apart=True)).parameters == 80
    assert not groups(model) and not workbench.now.tree.ties and "\nnet" not in workbench.now.text
    for _ in range(5):
        undo(workbench)
        agree(workbench)
    assert record(workbench) == first


def test_a_tie_that_stands_already_is_refused(workbench: Workbench) -> None:
    opened(workbench, TIED)
    assert "one already" in refused(workbench, Tie(paths=("2.weight", "4.weight")))
    opened(workbench, ZOO["tied"].text)
    assert "one already" in refused(workbench, Tie(paths=("2.weight", "4.weight")))
    assert "several places" in refused(workbench, Tie(paths=("4.weight",), apart=True))


def test_parameters_of_a_layer_at_two_places_are_tied_at_both(workbench: Workbench) -> None:
    opened(workbench, "shared = nn.Linear(4, 4)\nnn.Sequential(shared, nn.ReLU(), shared, nn.Linear(4, 4))")
    assert done(workbench, Tie(paths=("3.weight", "2.weight"))).parameters == 20 + 4
    assert groups(workbench.now.model) == [["0.bias", "2.bias"], ["0.weight", "2.weight", "3.weight"]]
    agree(workbench)
    done(workbench, Change(action="untie", place=("2",)))
    assert groups(workbench.now.model) == [["0.weight", "3.weight"]]
    agree(workbench)


def test_a_number_that_is_put_into_one_is_seen_through_all_names(workbench: Workbench) -> None:
    """d2l's check of tied layers, with parameters and with a layer."""
    shared = ZOO["tied"].text
    apart = (
        "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))"
    )
    for text in (shared, f"net = {apart}\nnet[4].weight = net[2].weight"):
        opened(workbench, text)
        before = answered(workbench, Console(text="net[2].weight.data[0] == net[4].weight.data[0]"))
        assert isinstance(before, Said) and "False" not in before.lines[0]
        done(workbench, Console(text="net[2].weight.data[0, 0] = 100"))
        model = workbench.now.model
        assert model.get_parameter("2.weight")[0, 0] == model.get_parameter("4.weight")[0, 0] == 100
        after = answered(workbench, Console(text="net[2].weight.data[0] == net[4].weight.data[0]"))
        assert after == before
        assert answered(workbench, Console(text="net[2].weight is net[4].weight")).lines == ("True",)  # type: ignore[union-attr]
        undo(workbench)
        assert model.get_parameter("4.weight")[0, 0] != 100
    opened(workbench, apart)
    apart_ = answered(workbench, Console(text="net[2].weight is net[4].weight"))
    assert isinstance(apart_, Said) and apart_.lines == ("False",)
    done(workbench, Console(text="net[4].weight = net[2].weight"))
    assert groups(workbench.now.model) == [["2.weight", "4.weight"]]
    agree(workbench)


def test_tied_parameters_are_trained_as_one_and_undone(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=("0.weight", "2.weight", "4.weight")))
    tied = record(workbench)
    done(workbench, Train(input=FOUR, steps=3, optimizer="adam"))
    trained = record(workbench)
    assert groups(workbench.now.model) == [["0.weight", "2.weight", "4.weight"]]
    assert values(workbench)["0.weight"] == values(workbench)["4.weight"] != tied[4]["0.weight"][2]
    done(workbench, Tie(paths=("2.weight",), apart=True))
    done(workbench, Train(input=FOUR, steps=1, optimizer="adam"))
    assert values(workbench)["0.weight"] == values(workbench)["4.weight"] != values(workbench)["2.weight"]
    undo(workbench), undo(workbench)
    assert record(workbench) == trained
    undo(workbench)
    assert record(workbench) == tied


@pytest.mark.parametrize(
    ("change", "ties"),
    [
        (Change(action="up", place=("4",)), [["2.weight", "3.weight"]]),
        (Change(action="down", place=("2",)), [["3.weight", "4.weight"]]),
        (Change(action="insert", place=("0",), text="nn.Tanh()"), [["3.weight", "5.weight"]]),
        (Change(action="wrap", place=("4",)), [["2.weight", "4.0.weight"]]),
        (Change(action="wrap", place=()), [["0.2.weight", "0.4.weight"]]),
        (Change(action="rename", place=("2",), text="block 1"), [["4.weight", "block 1.weight"]]),
        (Change(action="duplicate", place=("4",)), [["2.weight", "4.weight"]]),
        (Change(action="delete", place=("3",)), [["2.weight", "3.weight"]]),
        (Change(action="delete", place=("4",)), []),
        (Change(action="delete", place=("2",)), []),
        (Change(action="replace", place=("2",), text="nn.Linear(4, 4)"), []),
        (Change(action="argument", place=("4",), text="bias=False"), []),
        (Change(action="tie", place=("0",), to=("2",)), [["0.bias", "2.bias"], ["0.weight", "2.weight", "4.weight"]]),
        (Change(action="tie", place=("4",), to=("2",)), [["2.bias", "4.bias"], ["2.weight", "4.weight"]]),
        (Change(action="replace", place=(), text="nn.Linear(4, 4)"), []),
    ],
    ids=lambda x: f"{x.action} {'.'.join(x.place)}" if isinstance(x, Change) else "",
)
def test_ties_go_with_their_layers(change: Change, ties: list[list[str]], workbench: Workbench) -> None:
    opened(workbench, f"net = {STACK}\nnet[4].weight = net[2].weight")
    before = record(workbench)
    done(workbench, change)
    assert [sorted(group) for group in groups(workbench.now.model)] == ties
    agree(workbench)
    undo(workbench)
    assert record(workbench) == before
    agree(workbench)


@pytest.mark.parametrize("name", ["a b", "hidden", "7", "weight", "é", "x]y", "[0]", "a'b", "1e5", "net", "_"])
def test_layers_of_any_name_can_be_tied(name: str, workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)))")
    done(workbench, Change(action="rename", place=("1",), text=name))
    done(workbench, Tie(paths=("0.weight", f"{name}.0.weight")))
    assert len(groups(workbench.now.model)) == 1
    agree(workbench)


# ties in texts

NET = "net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))\n"
WRONG = [  # the bar stands where the complaint points
    ("no 4", NET + "|net[4].weight = net[0].weight"),
    ("no 4", NET + "net[0].weight = |net[4].weight"),
    ("no -4", NET + "|net[-4].weight = net[0].weight"),
    ("no 'x'", NET + '|net["x"].weight = net[0].weight'),
    ("no '0.weight'", NET + '|net["0.weight"].x = net[0].weight'),
    ("no True", NET + "|net[True].weight = net[2].weight"),
    ("no 1.0", NET + "|net[1.0].weight = net[2].weight"),
    ("no None", NET + "|net[None].weight = net[2].weight"),
    ("no (0,)", NET + "|net[(0,)].weight = net[2].weight"),
    ("numbers", NET + "|net[0][0].weight = net[2].weight"),
    ("numbers", NET + "net[2].weight = |net[0]['a'].weight"),
    ("slice", NET + "net[|0:1].weight = net[2].weight"),
    ("nothing is called 'x'", NET + "net[|x].weight = net[2].weight"),
    ("nothing is called 'x'", NET + "net[0].weight = net[|x].weight"),
    ("this (call)", NET + "net[|f()].weight = net[2].weight"),
    ("this (lambda)", NET + "net[|lambda: 0].weight = net[2].weight"),
    ("division by zero", NET + "net[|1 // 0].weight = net[2].weight"),
    ("arithmetic", NET + "net[|'a' + 'b'].weight = net[2].weight"),
    ("beyond", NET + "net[|99999999999999].weight = net[2].weight"),
    ("longer than", NET + f"net[|'{'x' * 300}'].weight = net[2].weight"),
    ("names parameters", NET + "|net[0] = net[2]"),
    ("names parameters", NET + "net[0].weight = |net[2]"),
    ("names parameters", NET + "net[0].weight = |net"),
    ("names parameters", NET + "|net[0]['weight'] = net[2].weight"),
    ("names parameters", NET + "|net[0].weight[0] = net[2].weight"),
    ("names parameters", NET + "net[0].weight = |net[2].weight[:]"),
    ("itself", NET + "|net[0].weight = net[0].weight"),
    ("itself", NET + "|net[0].weight = net[-3].weight"),
    ("itself", NET + "|net[0].weight = net['0'].weight"),
    ("can be tied", NET + "|other[0].weight = net[0].weight"),
    ("can be tied", NET + "net[0].weight = |other[0].weight"),
    ("can be tied", NET + "net[0].weight = |5"),
    ("can be tied", NET + "net[0].weight = |nn.Linear(4, 4).weight"),
    ("can be tied", NET + "net[0].weight = |torch.zeros(4, 4)"),
    ("can be tied", NET + "net[0].weight = |net[2].weight + 1"),
    ("can be tied", NET + "net[0].weight = |-net[2].weight"),
    ("can be tied", NET + "net[0].weight = |'net[2].weight'"),
    ("can be tied", NET + "net[0].weight = |[net[2].weight]"),
    ("can be tied", NET + "net[0].weight = (|lambda: net)"),
    ("can be tied", NET + "net[0].weight = (|x := 3)"),
    ("can be tied", NET + "net[0].weight = |net[2].weight.clone()"),
    ("can be tied", NET + "|net().weight = net[2].weight"),
    ("can be tied", "|net[0].weight = net[2].weight"),
    ("can be tied", NET.removeprefix("net = ") + "|net[0].weight = net[2].weight"),
    ("can be tied", "net = 5\n|net[0].weight = net[1].weight"),
    ("can be tied", "a = nn.Linear(4, 4)\nnet = nn.Sequential(a, a)\n|a.weight = net[0].weight"),
    ("can be tied", NET + "b = nn.Linear(4, 4)\n|net[0].weight = net[2].weight"),
    ("only expressions", NET + "|net[0].weight += net[2].weight"),
    ("only expressions", NET + "|net[0].weight: int = net[2].weight"),
    ("only expressions", NET + "|net[0].weight = net[2].weight = net[2].weight"),
    ("only expressions", NET + "|net[0].weight, net[0].bias = net[2].weight, net[2].bias"),
    ("only expressions", NET + "|del net[0].weight"),
    ("only layers", NET + "|net.apply(print)"),
    ("after the ties", NET + "net[0].weight = net[2].weight\n|nn.Linear(4, 4)"),
    ("after the ties", NET + "net[0].weight = net[2].weight\n|net"),
    ("after the ties", NET + "net[0].weight = net[2].weight\n\n# and\n|net = nn.Sequential(net, net)"),
    ("after the ties", NET + "net[0].weight = net[2].weight; |import os"),
    ("no 'ß'", 'net = nn.Sequential(OrderedDict([("é", nn.Linear(4, 4))]))\nnet["é"].weight = |net["ß"].weight'),
    ("no 7", "    " + NET + "    net[0].weight = |net[7].weight"),
    ("numbers", "net = MLP(8, 8, 8)\n|net[0].weight = net.out.weight"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "marked"), WRONG)
def test_a_wrong_tie_is_refused_where_it_stands(words: str, marked: str) -> None:
    before, _, after = marked.partition("|")
    with pytest.raises(ArchitectureError) as found:
        parse(before + after)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert words in found.value.message and (found.value.line, found.value.column) == (line, column), found.value


def test_too_many_ties_are_refused_at_the_one_too_many() -> None:
    base = "net = nn.Sequential(*[nn.Linear(1, 1) for _ in range(1002)])\n"
    lines = [f"net[{i}].weight = net[0].weight\n" for i in range(1, 1002)]
    assert len(parse(base + "".join(lines[:1000])).ties) == 1000
    with pytest.raises(ArchitectureError, match="too many ties") as found:
        parse(base + "".join(lines))
    assert (found.value.line, found.value.column) == (1002, 1)


@pytest.mark.parametrize(
    ("words", "tie"),
    [
        ("not of one shape", "net[0].weight = net[0].bias"),
        ("cannot be tied", "net[0].nothing = net[2].weight"),
        ("cannot be tied", "net[0].weight = net[1].weight"),
        ("cannot be tied", "net[0].weight.data = net[2].weight"),
        ("cannot be tied", "net[0].__class__ = net[2].__class__"),
        ("cannot be tied", "net.forward = net[0].forward"),
        ("cannot be tied", "net[0].in_features = net[2].in_features"),
        ("no size yet", "net[0].weight = net[3].weight"),
    ],
)
def test_a_tie_that_cannot_be_built_says_so(words: str, tie: str, workbench: Workbench) -> None:
    opened(workbench, STACK)
    text = "net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.LazyLinear(4))\n" + tie
    with pytest.raises(BuildError, match=words):
        build(parse(text))
    assert words in refused(workbench, Open(text=text))


def test_texts_with_ties_are_written_as_they_are_read_and_built_as_plain_python_does() -> None:
    text = (
        "shared = nn.Linear(4, 4)\n"
        'net = nn.Sequential(OrderedDict([("a b", nn.Linear(4, 4)), ("0", shared), '
        '("inner", nn.Sequential(shared, MLP(4, 4, 4)))]))\n'
        'net[0].weight = net["inner"][1].out.weight\n'
        "net.inner[-1].hidden.bias = net[1].bias\n"
    )
    tree = parse(text)
    assert tree.ties == (("a b.weight", "inner.1.out.weight"), ("inner.1.hidden.bias", "0.bias"))
    again = to_text(tree)
    assert same(parse(again), tree) and to_text(parse(again)) == again
    assert again.endswith('net["a b"].weight = net.inner[1].out.weight\nnet.inner[1].hidden.bias = net["0"].bias\n')
    for one in (build(tree), build(parse(again))):
        assert groups(one) == [
            ["0.bias", "inner.0.bias", "inner.1.hidden.bias"],
            ["0.weight", "inner.0.weight"],
            ["a b.weight", "inner.1.out.weight"],
        ]


@pytest.mark.parametrize("seed", range(40))
def test_any_ties_survive_text_and_building(seed: int) -> None:
    chance = random.Random(seed)
    layers = [Layer("Linear", (("in_features", 2), ("out_features", 2))) for _ in range(chance.randint(2, 6))]
    names = [chance.choice((str(i), f"block {i}", f"n{i}")) for i in range(len(layers))]
    inner = Layer("Sequential", (), tuple(zip(names, layers, strict=True)))
    tree = Layer("Sequential", (), (("0", inner), ("1", chance.choice([*layers, Layer("ReLU")]))))
    targets = chance.sample(names[1:], chance.randint(1, len(names) - 1))
    ties = tuple((f"0.{name}.weight", f"0.{names[0]}.weight") for name in targets)
    tree = Layer("Sequential", (), tree.children, ties)
    again = parse(to_text(tree))
    assert same(again, tree) and groups(build(again)) == groups(build(tree))
    together = {f"0.{names[0]}.weight", *(one for one, _ in ties)}
    assert any(together <= set(group) for group in groups(build(again)))


# gradients of what is used several times


def gradients_by_use(
    text: str, uses: dict[str, list[str]], shape: tuple[int, ...], paths: Paths
) -> dict[str, list[torch.Tensor]]:
    """For each tied parameter the gradients at the places of its use, from a network where each has a copy of its own."""
    seed_weights(0)
    model = build(parse(text))
    apart = nn.Sequential(*(copy.deepcopy(layer) for layer in model))
    outputs = apart(passes.batch_of(model, Input(shape=shape), 32, paths).inputs)
    outputs.square().mean().backward()
    return {path: [apart.get_parameter(use).grad.clone() for use in found] for path, found in uses.items()}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        (f"net = {STACK}\nnet[4].weight = net[2].weight", {"2.weight": ["2.weight", "4.weight"]}),
        (
            f"net = {STACK}\nnet[2].weight = net[0].weight\nnet[5].weight = net[0].weight",
            {"0.weight": ["0.weight", "2.weight", "5.weight"]},
        ),
        (ZOO["tied"].text, {"2.weight": ["2.weight", "4.weight"], "2.bias": ["2.bias", "4.bias"]}),
        (f"net = {STACK}\nnet[5].bias = net[0].bias", {"0.bias": ["0.bias", "5.bias"]}),
    ],
    ids=["two", "three", "one layer at two places", "biases"],
)
def test_the_gradient_of_a_tied_parameter_is_the_sum_over_its_uses(
    text: str, uses: dict[str, list[str]], workbench: Workbench, paths: Paths
) -> None:
    opened(workbench, text)
    done(workbench, Train(input=FOUR))
    wanted = gradients_by_use(text, uses, (4,), paths)
    for path, parts in wanted.items():
        seen = answered(workbench, View(path=path, show="uses", input=FOUR))
        assert isinstance(seen, Viewed) and not seen.why
        assert [use.norm for use in seen.uses] == pytest.approx([float(part.double().norm()) for part in parts], rel=1e-5)
        assert [use.place for use in seen.uses] == [name.rpartition(".")[0] for name in uses[path]]
        gradient = parameter(workbench, path).grad
        assert gradient is not None
        torch.testing.assert_close(gradient, sum(parts), rtol=1e-5, atol=1e-7)
        assert seen.norm == pytest.approx(float(gradient.double().norm())) and seen.difference < 1e-6
        for alias in uses[path][1:]:
            assert parameter(workbench, alias).grad is gradient
            other = answered(workbench, View(path=alias, show="uses", input=FOUR))
            assert isinstance(other, Viewed) and other.uses == seen.uses


def test_the_gradient_of_a_layer_that_is_called_twice_is_the_sum_over_its_calls(workbench: Workbench, paths: Paths) -> None:
    opened(workbench, "FixedHiddenMLP()")
    model, wanted = workbench.now.model, Input(shape=(20,))
    weight, bias = parameter(workbench, "linear.weight").detach(), parameter(workbench, "linear.bias").detach()
    copies = [(weight.clone().requires_grad_(), bias.clone().requires_grad_()) for _ in range(2)]
    x = F.linear(passes.batch_of(model, wanted, 32, paths).inputs, *copies[0])
    x = F.linear(F.relu(x @ parameter(workbench, "rand_weight") + 1), *copies[1])
    while x.abs().sum() > 1:
        x = x / 2
    x.sum().square().mean().backward()
    done(workbench, Train(input=wanted))
    for i, path in enumerate(("linear.weight", "linear.bias")):
        parts = [pair[i].grad for pair in copies]
        seen = answered(workbench, View(path=path, show="uses", input=wanted))
        assert isinstance(seen, Viewed) and [(use.place, use.call) for use in seen.uses] == [("linear", 1), ("linear", 2)]
        assert [use.norm for use in seen.uses] == pytest.approx([float(p.norm()) for p in parts if p is not None], rel=1e-4)
        torch.testing.assert_close(
            parameter(workbench, path).grad, sum(p for p in parts if p is not None), rtol=1e-4, atol=1e-6
        )
        assert seen.difference < 1e-6
    plain = answered(workbench, View(path="rand_weight", show="uses", input=wanted))
    assert isinstance(plain, Viewed) and plain.why


def test_constant_weights_stay_alike_until_noise_breaks_them(workbench: Workbench) -> None:
    """d2l's warning: units that begin alike and get the same gradients stay one unit."""
    opened(workbench, "nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))")
    rules = (Rule(select="*.weight", scheme="constant(0.5)"), Rule(select="*.bias", scheme="zeros"))
    done(workbench, Initialise(rules=rules))
    for _ in range(3):
        done(workbench, Train(input=FOUR, steps=10, rate=0.05))
        rows = parameter(workbench, "0.weight")
        assert all(raw(row) == raw(rows[0]) for row in rows) and len(set(rows[0].tolist())) > 1
        assert rank_of(workbench, "0.weight") == 1
    done(workbench, Put(action="noise", paths=("0.weight",), numbers=(0.01,)))
    assert rank_of(workbench, "0.weight") == 4
    done(workbench, Train(input=FOUR, steps=10, rate=0.05))
    rows = parameter(workbench, "0.weight")
    assert len({raw(row) for row in rows}) == 8
    undo(workbench), undo(workbench)
    assert rank_of(workbench, "0.weight") == 1


def rank_of(workbench: Workbench, path: str) -> int:
    seen = answered(workbench, View(path=path, show="spectrum"))
    assert isinstance(seen, Viewed) and not seen.why
    return seen.rank


# steps

PLAIN: dict[str, tuple[dict[str, Any], Callable[[Any], torch.optim.Optimizer]]] = {
    "sgd": ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.05, fused=True)),
    "momentum": ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, fused=True)),
    "decay": ({"optimizer": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1, fused=True)),
    "adam": ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.05, fused=True)),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1, fused=True),
    ),
    "rmsprop": ({"optimizer": "rmsprop", "momentum": 0.5}, lambda p: torch.optim.RMSprop(p, lr=0.05, momentum=0.5)),
}  # fmt: skip


def by_hand(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, wanted: Input, first: int, steps: int, paths: Paths
) -> None:
    """The steps as a person writes them, on the batches of the bench."""
    for step in range(first, first + max(1, steps)):
        batch = passes.batch_of(model, wanted, 16, paths, step)
        seed_step(mix(0, BENCH), step, torch.device("cpu"))
        model.zero_grad()
        outputs = model(batch.inputs)
        loss = outputs.square().mean() if batch.targets is None else F.cross_entropy(outputs, batch.targets)
        loss.backward()
        if optimizer:
            optimizer.step()


def assert_same(workbench: Workbench, plain: nn.Module) -> None:
    theirs = tensors(plain)
    for path, mine in tensors(workbench.now.model).items():
        assert raw(mine.tensor) == raw(theirs[path].tensor), path
        assert raw(mine.tensor.grad) == raw(theirs[path].tensor.grad), path


@pytest.mark.parametrize(
    "text", [STACK, TIED, BATCH_NORM, DROPOUT, "MLP(4, 8, 2)", CONV], ids=["mlp", "tied", "bn", "drop", "own", "conv"]
)
@pytest.mark.parametrize("name", PLAIN)
def test_steps_are_those_of_plain_pytorch_over_several_requests(
    name: str, text: str, workbench: Workbench, paths: Paths
) -> None:
    knobs, make = PLAIN[name]
    wanted = Input(shape=(1, 4, 4)) if text == CONV else FOUR
    opened(workbench, text)
    done(workbench, Put(action="freeze", paths=(next(iter(tensors(workbench.now.model))),)))
    frozen = next(iter(values(workbench).values()))
    plain = copy.deepcopy(workbench.now.model)
    optimizer = make([p for p in plain.parameters() if p.requires_grad])
    first = 0
    for steps in (1, 2, 3):
        shown = done(workbench, Train(input=wanted, steps=steps, batch_size=16, rate=0.05, **knobs))
        assert "loss" in shown.note
        by_hand(plain, optimizer, wanted, first, steps, paths)
        first += steps
        assert_same(workbench, plain)
    assert next(iter(values(workbench).values())) == frozen


@pytest.mark.parametrize("text", [STACK, TIED, BATCH_NORM, DROPOUT, "MLP(4, 8, 2)"], ids=["mlp", "tied", "bn", "drop", "own"])
def test_without_a_step_there_are_gradients_and_no_other_numbers(text: str, workbench: Workbench, paths: Paths) -> None:
    opened(workbench, text)
    before, plain = record(workbench), copy.deepcopy(workbench.now.model)
    done(workbench, Train(input=FOUR, steps=0, batch_size=16))
    by_hand(plain, None, FOUR, 0, 0, paths)
    assert_same(workbench, plain)
    for path, named in tensors(workbench.now.model).items():
        if named.kind == "parameter":
            assert raw(named.tensor) == before[4][path][2] and named.tensor.grad is not None
    undo(workbench)
    assert record(workbench) == before


def test_steps_on_a_data_set_are_those_of_plain_pytorch(workbench: Workbench, paths: Paths) -> None:
    opened(workbench, "nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10))")
    wanted, plain = Input(shape=(1, 28, 28), data="fashion-mnist-sample"), copy.deepcopy(workbench.now.model)
    assert passes.batch_of(plain, wanted, 16, paths).targets is not None
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, fused=True)
    for i in range(3):
        done(workbench, Train(input=wanted, steps=2, batch_size=16, rate=0.05, momentum=0.9))
        by_hand(plain, optimizer, wanted, 2 * i, 2, paths)
        assert_same(workbench, plain)


def test_frozen_parameters_do_not_move_and_keep_the_gradient_that_they_had(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Train(input=FOUR))
    frozen = ("0.weight", "2.bias")
    done(workbench, Put(action="freeze", paths=frozen))
    assert workbench.sheet().trainable == 80 - 20
    before = values(workbench)
    gradients = {path: parameter(workbench, path).grad.clone() for path in frozen}
    done(workbench, Train(input=FOUR, steps=3, optimizer="adam"))
    moved = {path for path, value in values(workbench).items() if value != before[path]}
    assert moved == set(before) - set(frozen)
    for path in frozen:  # as PyTorch leaves it
        assert not parameter(workbench, path).requires_grad and torch.equal(parameter(workbench, path).grad, gradients[path])
    done(workbench, Put(action="freeze", paths=tuple(before)))
    assert "frozen" in refused(workbench, Train(input=FOUR, steps=1))
    done(workbench, Put(action="thaw", paths=frozen))
    done(workbench, Train(input=FOUR, steps=1))
    assert values(workbench)["0.weight"] != before["0.weight"]


def test_the_statistics_of_batch_norm_move_with_a_step_and_come_back(workbench: Workbench) -> None:
    opened(workbench, BATCH_NORM)
    before = record(workbench)
    done(workbench, Train(input=FOUR, steps=3))
    assert parameter(workbench, "1.num_batches_tracked") == 3 and parameter(workbench, "1.running_mean").abs().sum() > 0
    undo(workbench)
    assert record(workbench) == before and parameter(workbench, "1.num_batches_tracked") == 0


@pytest.mark.parametrize("name", PLAIN)
def test_undo_of_a_step_brings_the_optimisers_state_back(name: str, workbench: Workbench) -> None:
    step = Train(input=FOUR, steps=1, batch_size=8, rate=0.05, **PLAIN[name][0])
    opened(workbench, STACK)
    done(workbench, step)
    done(workbench, step)
    straight = record(workbench)
    undo(workbench)
    undo(workbench)
    redo(workbench)
    done(workbench, step)
    assert record(workbench) == straight
    undo(workbench), undo(workbench)
    done(workbench, step.model_copy(update={"steps": 2}))
    assert record(workbench)[4:6] == straight[4:6] and record(workbench)[6] == straight[6]


def test_another_optimiser_begins_anew(workbench: Workbench, paths: Paths) -> None:
    opened(workbench, STACK)
    done(workbench, Train(input=FOUR, steps=2, batch_size=16, rate=0.05, momentum=0.9))
    plain = copy.deepcopy(workbench.now.model)
    done(workbench, Train(input=FOUR, steps=2, batch_size=16, rate=0.05, optimizer="adam"))
    by_hand(plain, torch.optim.Adam(plain.parameters(), lr=0.05, fused=True), FOUR, 2, 2, paths)
    assert_same(workbench, plain)


# files of weights


def exported(workbench: Workbench, file: Path) -> bytes:
    answer = answered(workbench, Export(file=str(file)))
    assert isinstance(answer, Exported)
    data = file.read_bytes()
    assert answer.size == len(data)
    return data


@pytest.mark.parametrize(
    "name", ["stack", "tied parameters", "batch norm", "convolutions", "lstm", "tied", "nest-mlp", "lenet"]
)
def test_exported_weights_are_taken_bit_for_bit(name: str, workbench: Workbench, tmp_path: Path) -> None:
    text, shape = NETWORKS[name]
    opened(workbench, text)
    answered(workbench, Train(input=Input(shape=shape), steps=2, batch_size=8))
    learning = [p for p, n in tensors(workbench.now.model).items() if n.kind == "parameter" and not n.alias_of]
    done(workbench, Put(action="freeze", paths=tuple(learning[::2])))
    done(workbench, Put(action="dtype", paths=tuple(learning[:1]), source="bfloat16"))
    done(workbench, Put(action="fill", paths=tuple(learning[-1:]), numbers=(math.nan,)))
    fresh = build(parse(workbench.now.text))
    weights.take(fresh, exported(workbench, tmp_path / "weights.safetensors"))
    mine, theirs = tensors(workbench.now.model), tensors(fresh)
    assert list(mine) == list(theirs) and groups(fresh) == groups(workbench.now.model)
    for path, named in mine.items():
        assert raw(named.tensor) == raw(theirs[path].tensor)
        assert named.tensor.requires_grad == theirs[path].tensor.requires_grad and theirs[path].alias_of == named.alias_of
    plain = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    assert {k: raw(v) for k, v in plain.items()} == {k: raw(v) for k, v in workbench.now.model.state_dict().items()}


def test_taken_weights_can_be_trained_at_once(workbench: Workbench, tmp_path: Path) -> None:
    opened(workbench, TIED)
    done(workbench, Put(action="freeze", paths=("0.weight",)))
    fresh = build(parse(workbench.now.text))
    weights.take(fresh, exported(workbench, tmp_path / "w"))
    fresh(torch.ones(2, 4)).sum().backward()
    torch.optim.SGD([p for p in fresh.parameters() if p.requires_grad], lr=0.1).step()
    assert fresh.get_parameter("2.weight") is fresh.get_parameter("4.weight") and fresh.get_parameter("0.weight").grad is None


def wrong_files() -> dict[str, tuple[str, bytes]]:
    model = build(parse(STACK))
    good = {name: t.clone() for name, t in model.state_dict().items()}
    save = safetensors.torch.save
    whole = save(good)
    return {
        "missing": ("lacks 2.bias", save({k: v for k, v in good.items() if k != "2.bias"})),
        "several missing": ("lacks 0.bias and 3 more", save({k: v for k, v in good.items() if k[0] in "45"})),
        "extra": ("has, and the network has not, 9.weight", save({**good, "9.weight": torch.ones(1)})),
        "other shape": ("2.weight is [3, 4] in the file, [4, 4] in the network", save({**good, "2.weight": torch.ones(3, 4)})),
        "flat": ("0.bias is [1, 4] in the file", save({**good, "0.bias": torch.ones(1, 4)})),
        "other network": ("lacks", weights.packed(build(parse(BATCH_NORM)), BATCH_NORM)),
        "empty": ("no weights in safetensors", b""),
        "garbage": ("no weights in safetensors", bytes(range(256)) * 9),
        "text": ("no weights in safetensors", b"nn.Sequential(nn.Linear(4, 4))"),
        "truncated": ("no weights in safetensors", whole[:-1]),
        "half": ("no weights in safetensors", whole[: len(whole) // 2]),
        "header only": ("no weights in safetensors", whole[:9]),
        "longer": ("no weights in safetensors", whole + b"\0"),
        "a pickle": ("no weights in safetensors", b"\x80\x02}q\x00."),
        "frozen is no JSON": ("no weights in safetensors", save(good, {weights.FROZEN: "nonsense"})),
    }


@pytest.mark.parametrize("name", wrong_files())
def test_wrong_files_of_weights_are_refused_with_one_sentence_and_nothing_is_taken(name: str) -> None:
    words, data = wrong_files()[name]
    model = build(parse(STACK))
    before = {path: raw(t) for path, t in model.state_dict().items()}
    with pytest.raises(BuildError) as found:
        weights.take(model, data)
    message = str(found.value)
    assert words in message and "\n" not in message and len(message) < 300
    assert {path: raw(t) for path, t in model.state_dict().items()} == before


def test_a_file_of_another_tools_freezes_nothing(tmp_path: Path) -> None:
    model = build(parse(STACK))
    model[0].weight.requires_grad_(False)
    weights.take(model, safetensors.torch.save({name: t.clone() for name, t in model.state_dict().items()}))
    assert not model[0].weight.requires_grad and model[0].bias.requires_grad


def test_the_file_that_is_begun_with_must_be_the_one_that_is_meant(tmp_path: Path) -> None:
    model, file = build(parse(STACK)), tmp_path / "w"
    with pytest.raises(BuildError, match="cannot be read"):
        weights.begin_with(model, file, "0" * 64)
    file.write_bytes(weights.packed(model, STACK))
    with pytest.raises(BuildError, match="damaged"):
        weights.begin_with(model, file, "0" * 64)


# what was wrong once


def assert_ties(workbench: Workbench, *wanted: list[str]) -> None:
    assert groups(workbench.now.model) == [*wanted]
    agree(workbench)


@pytest.mark.parametrize(
    ("change", "ties"),
    [
        (Change(action="delete", place=("0",)), [["1.weight", "3.weight"]]),
        (Change(action="replace", place=("0",), text="nn.ReLU()"), [["2.weight", "4.weight"]]),
        (Change(action="argument", place=("0",), text="bias=False"), [["2.weight", "4.weight"]]),
        (Change(action="delete", place=("2",)), [["0.weight", "3.weight"]]),
        (Change(action="wrap", place=("0",)), [["0.0.weight", "2.weight", "4.weight"]]),
        (
            Change(action="tie", place=("0",), to=("5",)),
            [["0.bias", "5.bias"], ["0.weight", "5.weight"], ["2.weight", "4.weight"]],
        ),
    ],
    ids=lambda x: f"{x.action} {'.'.join(x.place)}" if isinstance(x, Change) else "",
)
def test_without_one_of_three_the_others_stay_one(change: Change, ties: list[list[str]], workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=("0.weight", "2.weight", "4.weight")))
    before = record(workbench)
    done(workbench, change)
    assert_ties(workbench, *ties)
    undo(workbench)
    assert record(workbench) == before


def test_a_parameter_that_is_tied_twice_is_one_with_the_second_as_in_pytorch(workbench: Workbench) -> None:
    opened(workbench, STACK)
    for paths in (("2.weight", "4.weight"), ("4.weight", "5.weight"), ("0.weight", "4.weight")):
        done(workbench, Tie(paths=paths))
    assert_ties(workbench, ["0.weight", "4.weight"], ["2.weight", "5.weight"])


def test_ties_in_a_text_are_made_in_their_order() -> None:
    text = f"net = {STACK}\nnet[4].weight = net[2].weight\nnet[5].weight = net[4].weight\nnet[4].weight = net[0].weight"
    assert groups(build(parse(text))) == [["0.weight", "4.weight"], ["2.weight", "5.weight"]]


def test_untying_after_a_chain_leaves_no_tie(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=("2.weight", "4.weight")))
    done(workbench, Tie(paths=("0.weight", "2.weight")))
    assert_ties(workbench, ["0.weight", "2.weight"])
    done(workbench, Tie(paths=("0.weight",), apart=True))
    assert_ties(workbench)


def test_a_step_of_the_builder_ties_nothing(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=("0.weight", "4.weight")))
    done(workbench, Tie(paths=("2.weight", "4.weight")))
    done(workbench, Tie(paths=("2.weight",), apart=True))
    before = record(workbench)
    done(workbench, Change(action="add", place=("5",), text="nn.ReLU()"))
    assert groups(workbench.now.model) == []
    undo(workbench)
    assert record(workbench) == before


@pytest.mark.parametrize("paths", [("0.weight", "2.weight"), ("2.weight", "4.weight", "0.weight")], ids=len)
def test_all_that_are_tied_can_be_untied_at_once(paths: tuple[str, ...], workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=paths))
    done(workbench, Tie(paths=paths, apart=True))
    assert_ties(workbench)


@pytest.mark.parametrize("name", ["class", "None", "True", 'a"b', "a\\", "\ufb01"])
def test_layers_of_odd_names_can_be_tied_too(name: str, workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))")
    done(workbench, Change(action="rename", place=("0",), text=name))
    done(workbench, Tie(paths=(f"{name}.weight", "1.weight")))
    assert_ties(workbench, [f"{name}.weight", "1.weight"])


def test_what_is_made_is_of_the_present_tree_only(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Tie(paths=("0.weight", "2.weight")))
    assert set(workbench.now.made) <= {id(layer) for _, layer in workbench.now.tree.walk()}


@pytest.mark.parametrize("change", [("replace", "nn.Linear(4, 4)"), ("argument", "hidden_features=16")], ids=lambda c: c[0])
def test_a_root_with_ties_inside_can_be_changed(change: tuple[str, str], workbench: Workbench) -> None:
    opened(workbench, "net = MLP(8, 8, 8)\nnet.out.weight = net.hidden.weight")
    done(workbench, Change(action=change[0], place=(), text=change[1]))
    assert_ties(workbench)


def test_a_text_with_ties_keeps_them_in_the_place_of_the_network(workbench: Workbench) -> None:
    opened(workbench, STACK)
    done(workbench, Change(action="replace", place=(), text=TIED))
    assert_ties(workbench, ["0.bias", "5.bias"], ["2.weight", "4.weight"])


@pytest.mark.parametrize(
    "where",
    [
        "nowhere/w.safetensors",
        ".",
        "",
    ],
)
def test_a_file_that_cannot_be_written_is_refused_with_a_sentence(where: str, workbench: Workbench, tmp_path: Path) -> None:
    opened(workbench, STACK)
    assert "Error" not in refused(workbench, Export(file=str(tmp_path / where) if where else ""))


@pytest.mark.parametrize(
    "knobs", [{"optimizer": "lion"}, {"rate": 0.0}, {"rate": math.nan}, {"momentum": 1.0}, {"weight_decay": -1.0}], ids=str
)
def test_wrong_knobs_of_a_step_are_refused_with_a_sentence(knobs: dict[str, Any], workbench: Workbench) -> None:
    opened(workbench, STACK)
    assert "Error" not in refused(workbench, Train(input=FOUR, steps=1, **knobs))


@pytest.mark.parametrize(("path", "number"), [("0.weight", 1e300), ("1.num_batches_tracked", math.nan)])
def test_a_number_that_does_not_fit_is_refused_with_a_sentence(path: str, number: float, workbench: Workbench) -> None:
    opened(workbench, BATCH_NORM)
    assert "Error" not in refused(workbench, Put(action="fill", paths=(path,), numbers=(number,)))


@pytest.mark.parametrize("request_", [Tie(paths=()), Tie(paths=(), apart=True), Initialise(rules=())], ids=repr)
def test_nothing_at_all_is_refused_with_a_sentence(request_: Request, workbench: Workbench) -> None:
    opened(workbench, STACK)
    assert "Error" not in refused(workbench, request_)


@pytest.mark.parametrize("what", ["whole", "truth", "3", "[[1]]"])
def test_files_with_wrong_types_are_refused_with_a_sentence(what: str) -> None:
    model = build(parse(STACK))
    good = {name: t.clone() for name, t in model.state_dict().items()}
    before = {path: raw(t) for path, t in good.items()}
    if what in ("whole", "truth"):
        good["4.weight"] = torch.ones(4, 4, dtype=torch.int64 if what == "whole" else torch.bool)
        good["0.weight"] += 1
    about = {weights.FROZEN: what} if what[0] in "3[" else None
    with pytest.raises(BuildError):
        weights.take(model, safetensors.torch.save(good, about))
    assert {path: raw(t) for path, t in model.state_dict().items()} == before


def test_a_file_in_which_tied_parameters_differ_is_refused() -> None:
    with pytest.raises(BuildError):
        weights.take(build(parse(TIED)), weights.packed(build(parse(STACK)), STACK))


def test_a_network_that_comes_back_has_the_types_that_it_had(workbench: Workbench, paths: Paths, tmp_path: Path) -> None:
    opened(workbench, STACK)
    done(workbench, Put(action="dtype", paths=("0.weight", "2.bias"), source="bfloat16"))
    weights.save(workbench.now.model, tmp_path / "w", workbench.now.text)
    other = Workbench(paths)
    done(other, Open(text=workbench.now.text, weights=str(tmp_path / "w")))
    assert values(other) == values(workbench)


LISTS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.kept = [torch.zeros(2)]

    def forward(self, x):
        self.kept[0] += 1
        return self.linear(x)
"""


def test_undo_of_a_step_brings_back_what_stands_in_lists(workbench: Workbench, own: Callable[[str], str]) -> None:
    opened(workbench, own(LISTS))
    before = record(workbench)
    done(workbench, Train(input=FOUR, steps=1))
    undo(workbench)
    assert record(workbench) == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_steps_go_on_after_another_type(optimizer: str, workbench: Workbench) -> None:
    opened(workbench, SMALL["embedding"][0])
    step = Train(input=FOUR, steps=1, optimizer=optimizer, momentum=0.9 if optimizer == "sgd" else 0.0)
    done(workbench, step)
    done(workbench, Put(action="dtype", paths=tuple(values(workbench)), source="float64"))
    done(workbench, step)


@pytest.mark.parametrize(
    ("where", "request_"),
    [
        pytest.param((contents, "_set"), Put(action="fill", paths=("0.weight", "0.bias"), numbers=(1.0,)), id="numbers"),
        pytest.param((states, "replace"), Put(action="fill", paths=("0.weight",), numbers=(1.0,)), id="state"),
        pytest.param((contents, "_set"), History(by=-1), id="undo"),
        pytest.param((contents, "_set"), History(by=1), id="redo"),
    ],
)
def test_what_is_broken_off_at_any_moment_leaves_all_as_it_was(
    where: tuple[Any, str], request_: Request, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(workbench, STACK)
    for number in (1.0, 2.0):
        done(workbench, Train(input=FOUR, steps=1))
        done(workbench, Put(action="add", paths=("0.weight",), numbers=(number,)))
    undo(workbench)
    before, history = record(workbench), history_of(workbench)
    works, calls = getattr(where[0], where[1]), itertools.count()

    def breaks(*given: Any, **named: Any) -> Any:
        result = works(*given, **named)
        if next(calls) == 0:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(*where, breaks)
    answer = workbench.answer(request_)
    assert isinstance(answer, Refused) and answer.cancelled
    assert (record(workbench), history_of(workbench)) == (before, history)


def test_what_is_thawed_learns_beside_what_has_momentum_already(workbench: Workbench, paths: Paths) -> None:
    opened(workbench, STACK)
    done(workbench, Put(action="freeze", paths=("0.weight",)))
    step = Train(input=FOUR, steps=1, batch_size=16, rate=0.05, momentum=0.9)
    done(workbench, step)
    done(workbench, Put(action="thaw", paths=("0.weight",)))
    before = values(workbench)
    done(workbench, step)
    assert all(values(workbench)[path] != before[path] for path in before)


def test_the_spelling_in_the_list_is_read_by_the_console(workbench: Workbench) -> None:
    opened(workbench, "NestMLP()")
    listed = answered(workbench, List())
    assert isinstance(listed, Listed)
    for row in listed.rows:
        said = answered(workbench, Console(text=f"net{row.spelled}"))
        assert isinstance(said, Said) and said.path == row.path


# what networks of a person's own do


def net_of(own: Callable[[str], str], forward: str, more: str = "pass") -> str:
    """A network with the layer `lin`, this forward, and more in its constructor."""
    lines = ["super().__init__()", "self.lin = nn.Linear(4, 4)", more]
    made, passed = (textwrap.indent(part, " " * 8) for part in ("\n".join(lines), forward))
    init, call = "    def __init__(self):", "    def forward(self, x):"
    return own("\n".join(["from torch import nn", "", "class Net(nn.Module):", init, made, call, passed, ""]))


def seen(workbench: Workbench, request: View) -> Viewed:
    answer = answered(workbench, request)
    assert isinstance(answer, Viewed), answer
    return answer


def test_a_forward_may_leave_tensors_behind(workbench: Workbench, own: Callable[[str], str]) -> None:
    opened(workbench, net_of(own, "self.last = x\nself.seen = self.lin(x)\nreturn self.lin(x)"))
    for steps in (0, 1, 3):
        assert done(workbench, Train(input=FOUR, steps=steps)).note
    assert parameter(workbench, "lin.weight").grad is not None


def test_what_no_gradient_reaches_does_not_make_the_optimizer_forget(workbench: Workbench, own: Callable[[str], str]) -> None:
    """As when all steps are done at once."""
    text = net_of(own, "return self.lin(x)", "self.unused = nn.Linear(4, 4)")
    for optimizer, momentum in (("adam", 0.0), ("sgd", 0.9), ("rmsprop", 0.5)):
        train = {"input": FOUR, "optimizer": optimizer, "momentum": momentum, "rate": 0.01}
        opened(workbench, text)
        for _ in range(5):
            done(workbench, Train(steps=1, **train))
        one_by_one = values(workbench)
        opened(workbench, text)
        done(workbench, Train(steps=5, **train))
        assert values(workbench) == one_by_one, optimizer


def test_a_gradient_that_a_step_did_not_reach_is_gone_as_after_zero_grad(
    workbench: Workbench, own: Callable[[str], str]
) -> None:
    opened(
        workbench,
        net_of(
            own,
            "return self.other(x) if self.off else self.other(self.lin(x))",
            "self.off = False; self.other = nn.Linear(4, 4)",
        ),
    )
    done(workbench, Train(input=FOUR))
    assert parameter(workbench, "lin.weight").grad is not None
    workbench.now.model.off = True
    done(workbench, Train(input=FOUR))
    assert parameter(workbench, "lin.weight").grad is None and parameter(workbench, "other.weight").grad is not None


def test_tensors_that_no_state_dict_lists_go_with_the_weights(workbench: Workbench, tmp_path: Path) -> None:
    opened(workbench, ZOO["fixed-hidden"].text)
    done(workbench, Console(text="net.rand_weight.data[0, 0] = 5"))
    data = exported(workbench, tmp_path / "weights.safetensors")
    fresh = build(parse(workbench.now.text))
    weights.take(fresh, data)
    assert raw(fresh.rand_weight) == raw(workbench.now.model.rand_weight) and fresh.rand_weight[0, 0] == 5
    plain = build(parse(workbench.now.text))
    weights.take(plain, safetensors.torch.save(dict(fresh.state_dict())))  # a file as PyTorch makes it lacks them
    assert plain.rand_weight[0, 0] != 5 and raw(plain.linear.weight) == raw(fresh.linear.weight)


def test_numbers_are_added_in_the_tensors_own_type(workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))")
    done(workbench, Put(action="dtype", paths=("0.weight",), source="float64"))
    done(workbench, Put(action="fill", paths=("0.weight",), numbers=(0.0,)))
    done(workbench, Put(action="add", paths=("0.weight",), numbers=(0.1,)))
    assert parameter(workbench, "0.weight").tolist() == [[0.1, 0.1], [0.1, 0.1]]
    done(workbench, Put(action="add", paths=("1.num_batches_tracked",), numbers=(16_777_217.0,)))
    assert workbench.now.model[1].num_batches_tracked.item() == 16_777_217


def test_many_tensors_are_changed_at_once(workbench: Workbench) -> None:
    """In time that grows with their number and not with its square: 2,000 took half a minute."""
    opened(workbench, f"nn.Sequential({', '.join(['nn.Linear(1, 1)'] * 1000)})")
    begun = time.monotonic()
    done(workbench, Put(action="freeze", paths=tuple(tensors(workbench.now.model))))
    assert time.monotonic() - begun < 10 and not any(p.requires_grad for p in workbench.now.model.parameters())


def test_what_the_optimizer_keeps_is_seen(workbench: Workbench) -> None:
    opened(workbench, STACK)
    assert "no step" in seen(workbench, View(path="0.weight", show="optimizer")).why
    done(workbench, Train(input=FOUR, steps=2, optimizer="sgd"))
    assert "2 steps of sgd left nothing" in seen(workbench, View(path="0.weight", show="optimizer")).why
    done(workbench, Train(input=FOUR, steps=3, optimizer="adam"))
    found = seen(workbench, View(path="0.weight", show="optimizer"))
    state = workbench.now.training.state["0.weight"]
    assert [m.name for m in found.moments] == list(state) and {m.name: m.value for m in found.moments}["step"] == 3
    (second,) = (m.numbers for m in found.moments if m.name == "exp_avg_sq")
    assert second is not None and second.norm == pytest.approx(float(state["exp_avg_sq"].double().norm()))
    undo(workbench)
    assert "left nothing" in seen(workbench, View(path="0.weight", show="optimizer")).why


def test_a_heat_map_shows_what_is_not_finite_and_nothing_beside_it(workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(8, 8))")
    done(workbench, Console(text="net[0].weight[1, 1] = float('nan')"))
    done(workbench, Console(text="net[0].weight[5, 4] = float('inf')"))
    whole = seen(workbench, View(path="0.weight", show="heat", rows=8, columns=8))
    assert [i for i, v in enumerate(whole.values) if math.isnan(v)] == [9, 44]
    blocks = seen(workbench, View(path="0.weight", show="heat", rows=4, columns=4))
    assert [i for i, v in enumerate(blocks.values) if math.isnan(v)] == [0, 10]


def test_theory_is_said_only_of_numbers_that_it_allows(workbench: Workbench, own: Callable[[str], str]) -> None:
    opened(workbench, net_of(own, "return self.lin(x)", "nn.init.normal_(self.lin.weight, std=5)"))
    found = seen(workbench, View(path="lin.weight", show="histogram"))
    assert not found.theory and not found.drawn
    found = seen(workbench, View(path="lin.bias", show="histogram"))
    assert found.theory and "default" in found.drawn


def test_singular_values_that_would_take_long_are_not_begun(workbench: Workbench) -> None:
    opened(workbench, "nn.Sequential(nn.Linear(30000, 768, bias=False))")
    begun = time.monotonic()
    assert "too long" in seen(workbench, View(path="0.weight", show="spectrum")).why
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn, torch.bfloat16], ids=str)
def test_pictures_of_any_type_of_numbers(dtype: torch.dtype) -> None:
    kernels = torch.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2).to(torch.float32).clamp(max=9).to(dtype)
    model = nn.Module()
    model.register_buffer("kernels", kernels)
    model.register_buffer("rows", kernels.reshape(2, 12))
    for path, wanted in (
        ("kernels", View(path="kernels", show="pictures", rows=9)),
        ("rows", View(path="rows", show="pictures", rows=9, input=Input(shape=(3, 2, 2)))),
    ):
        found = views.view(model, wanted)
        assert (found.pictures, found.height, found.width, found.why) == (2, 2, 2, ""), path
        assert found.values == tuple(kernels.double().mean(1).flatten().tolist())
