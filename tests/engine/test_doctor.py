"""The doctor finds what was planted and names its place, finds nothing in sound networks, and lives through any code."""

import gc
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import Check, Finding, Input, Open, Place, Report, Sheet
from mlptui.devices.cpu import CpuReader
from mlptui.engine import foreign
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.doctor.checks.common import Question
from mlptui.engine.doctor.examine import examine
from mlptui.engine.inspect import copies
from mlptui.store.paths import Paths

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")

Forward = Callable[[Any, torch.Tensor], Any]
Init = Callable[[Any], Any]
Counts = Callable[[int, int], int]
TABLE, PICTURE, SEQUENCE, WORDS = (20,), (1, 12, 12), (9, 16), (9,)


def two(self: Any) -> None:
    """Layers a and b: [n, 20] to [n, 32] to [n, 10]."""
    self.a, self.b = nn.Linear(20, 32), nn.Linear(32, 10)


def usual(self: Any, x: torch.Tensor) -> Any:
    return self.b(F.relu(self.a(x)))


def one(self: Any) -> None:
    """Layers a and b for a number to predict: [n, 20] to [n, 8] to [n, 1]."""
    self.a, self.b = nn.Linear(20, 8), nn.Linear(8, 1)


class Own(nn.Module):
    """A person's class, by what its __init__ and its forward do."""

    def __init__(self, forward: Forward = usual, *init: Init) -> None:
        super().__init__()
        for step in init or (two,):
            step(self)
        self._run = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self._run(self, x)


def own(forward: Forward = usual, *init: Init) -> Callable[[], nn.Module]:
    return lambda: Own(forward, *init)


def has(**attributes: Callable[[], Any]) -> Init:
    def init(self: Any) -> None:
        for name, make in attributes.items():
            setattr(self, name, make())

    return init


def stack(*layers: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(make() for make in layers))


def mlp(depth: int, width: int, act: Callable[[], nn.Module] = nn.ReLU, inputs: int = 20, outputs: int = 10) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else inputs, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def set_to(model: nn.Module, value: float, *names: str) -> nn.Module:
    """Every parameter whose name begins so is that number."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(names):
                parameter.fill_(value)
    return model


def spread(model: nn.Module, deviation: float) -> nn.Module:
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
    return model


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


def poisoned(model: nn.Module, tensor: str, value: float) -> nn.Module:
    with torch.no_grad():
        {**dict(model.named_parameters()), **dict(model.named_buffers())}[tensor].view(-1)[0] = value
    return model


def raises(error: BaseException) -> Callable[..., Any]:
    def run(*_: Any) -> Any:
        raise error

    return run


def under_no_grad(self: Any, x: torch.Tensor) -> Any:
    with torch.no_grad():
        hidden = F.relu(self.a(x))
    return self.b(hidden)


def only_while(training: bool) -> Forward:
    def forward(self: Any, x: torch.Tensor) -> Any:
        if self.training != training:
            raise ValueError("the other mode please")
        return usual(self, x)

    return forward


def batch_norm_stays(model: nn.Sequential) -> nn.Module:
    model[1].eval()
    return model


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM, classes: int = 5, **arguments: Any) -> None:
        super().__init__()
        self.rnn = kind(16, 12, **arguments)
        self.out = nn.Linear(24 if arguments.get("bidirectional") else 12, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0][:, -1])


@dataclass(frozen=True)
class Fault:
    """A network with one thing wrong, and the finding that tells it: its code ("": any), place and a word of its cause."""

    make: Callable[[], nn.Module]
    code: str
    place: Place | None
    word: str
    input: tuple[int, ...] = TABLE
    outputs: int = 10
    classes: bool = True
    says: str = ""
    also: frozenset[str] = field(default=frozenset())  # codes that may stand beside it


def also(*codes: str) -> frozenset[str]:
    return frozenset(codes)


NORMED = stack(lambda: nn.Linear(20, 32), lambda: nn.BatchNorm1d(32), nn.ReLU, lambda: nn.Linear(32, 10))
HEAD = stack(lambda: nn.Linear(20, 32), nn.ReLU, lambda: nn.Linear(32, 10))
FAULTS = {
    # parameters that do not learn
    ".data": Fault(own(lambda s, x: s.b(F.linear(x, s.a.weight.data, s.a.bias))), "no-gradient", ("a",), "reads .data"),
    "detach": Fault(own(lambda s, x: s.b(F.relu(s.a(x)).detach())), "no-gradient", ("a",), "detaches"),
    "part under no_grad": Fault(own(under_no_grad), "no-gradient", ("a",), "no_grad"),
    "all under no_grad": Fault(own(torch.no_grad()(usual)), "no-gradient", ("b",), "no_grad"),
    "all in inference mode": Fault(own(torch.inference_mode()(usual)), "no-gradient", ("a",), "output depends on it"),
    "through argmax": Fault(
        own(lambda s, x: s.b(F.one_hot(s.a(x).argmax(1), 32).float())), "no-gradient", ("a",), "output depends on it"
    ),
    "through a list": Fault(own(lambda s, x: s.b(torch.tensor(s.a(x).tolist()))), "no-gradient", ("a",), "depends on it"),
    "frozen layer": Fault(own(usual, two, lambda s: s.a.requires_grad_(False)), "frozen", ("a",), "requires_grad"),
    "unused parameter": Fault(own(usual, two, has(z=lambda: nn.Parameter(torch.ones(3)))), "unused", (), "not depend"),
    "unused linear": Fault(own(usual, two, has(z=lambda: nn.Linear(3, 3))), "unused", ("z",), "forward never calls it"),
    "unused ReLU": Fault(own(usual, two, has(z=nn.ReLU)), "unused", ("z",), "forward never calls it"),
    "result thrown away": Fault(
        own(lambda s, x: (s.z(x), usual(s, x))[1], two, has(z=lambda: nn.Linear(20, 3))), "unused", ("z",), "not depend"
    ),
    # what is no part of the network
    "plain tensor": Fault(
        own(lambda s, x: usual(s, x) + s.t, two, has(t=lambda: torch.ones(10))), "plain-tensor", (), "state_dict"
    ),
    "plain tensor in a list": Fault(
        own(lambda s, x: usual(s, x) + s.t[0], two, has(t=lambda: [torch.ones(10)])),
        "plain-tensor", (), ".to(device)", says="t[0]",
    ),
    "plain tensor in a dictionary": Fault(
        own(lambda s, x: usual(s, x) + s.t["k"], two, has(t=lambda: {"k": torch.ones(10)})),
        "plain-tensor", (), ".to(device)", says="t['k']",
    ),
    "parameter in a list": Fault(
        own(lambda s, x: usual(s, x) + s.t[0], two, has(t=lambda: [nn.Parameter(torch.ones(10))])),
        "plain-tensor", (), "state_dict", says="t[0]",
    ),
    "layers in a list": Fault(
        own(lambda s, x: s.b(s.hidden[0](s.a(x))), two, has(hidden=lambda: [nn.Linear(32, 32)])), "", (), "", says="hidden[0]"
    ),
    "layers in a dictionary": Fault(
        own(lambda s, x: s.b(s.hidden["k"](s.a(x))), two, has(hidden=lambda: {"k": nn.Linear(32, 32)})),
        "", (), "", says="hidden['k']",
    ),
    "all layers in a list": Fault(
        own(lambda s, x: s.both[1](F.relu(s.both[0](x))), has(both=lambda: [nn.Linear(20, 32), nn.Linear(32, 10)])),
        "", (), "", says="both[0]",
    ),
    "no parameters": Fault(stack(nn.Flatten, nn.ReLU), "no-parameters", (), "no parameters", (10,)),
    "everything frozen": Fault(
        own(usual, two, lambda s: s.requires_grad_(False)), "frozen", ("b",), "requires_grad", also=also("no-parameters")
    ),
    # beginnings
    "lazy": Fault(stack(lambda: nn.LazyLinear(8), nn.ReLU, lambda: nn.LazyLinear(10)), "lazy", ("2",), "first input"),
    "lazy batch norm": Fault(
        stack(lambda: nn.LazyLinear(8), nn.LazyBatchNorm1d, nn.ReLU, lambda: nn.Linear(8, 10)), "lazy", ("1",), "first input"
    ),
    "constant linear": Fault(lambda: set_to(mlp(1, 32, nn.Tanh), 0.1, "0.", "2."), "identical", ("0",), "stay equal"),
    "all zero": Fault(lambda: set_to(mlp(1, 32, nn.Tanh), 0.0, "0.", "2."), "identical", ("0",), "rank 0"),
    "constant convolution": Fault(
        lambda: set_to(conv_net(), 0.1, "0.", "2.", "6."), "identical", ("2",), "stay equal", PICTURE
    ),
    "dead ReLU": Fault(lambda: set_to(HEAD(), -100.0, "0.bias"), "dead-relu", ("1",), "above 0"),
    "dead ReLU of a convolution": Fault(
        lambda: set_to(conv_net(), -100.0, "0.bias"), "dead-relu", ("1",), "above 0", PICTURE
    ),
    "dead F.relu": Fault(own(usual, two, lambda s: set_to(s, -100.0, "a.bias")), "dead-relu", (), "above 0"),
    "dead clamp": Fault(
        own(lambda s, x: s.b(s.a(x).clamp(min=0)), two, lambda s: set_to(s, -100.0, "a.bias")), "dead-relu", (), "above 0"
    ),
    "dead ReLU6": Fault(lambda: set_to(mlp(1, 32, nn.ReLU6), -100.0, "0.bias"), "dead-relu", ("1",), "above 0"),
    "deep sigmoid": Fault(lambda: mlp(12, 32, nn.Sigmoid), "vanishing-gradient", ("0",), "multiplies the scale"),
    "tiny weights": Fault(lambda: spread(mlp(8, 32), 0.01), "vanishing-gradient", ("0",), "multiplies the scale"),
    "large weights": Fault(lambda: spread(mlp(8, 32), 3.0), "exploding-activation", ("16",), "multiplies the scale"),
    "far too tiny weights": Fault(lambda: spread(mlp(20, 32), 1e-6), "vanishing-gradient", ("0",), ""),
    "far too large weights": Fault(
        lambda: spread(mlp(12, 32), 1e6), "not-finite", None, "too large", also=also("exploding-activation")
    ),
    # what comes out
    "softmax last": Fault(stack(lambda: nn.Linear(20, 10), lambda: nn.Softmax(1)), "softmax", ("1",), "cross-entropy"),
    "softmax in forward": Fault(own(lambda s, x: F.softmax(usual(s, x), 1)), "softmax", (), "cross-entropy"),
    "softmax in float64": Fault(own(lambda s, x: F.softmax(usual(s, x), 1).double()), "softmax", (), "cross-entropy"),
    "too few outputs": Fault(lambda: mlp(1, 32, outputs=7), "outputs", ("2",), "last layer", says="10 classes"),
    "no Flatten": Fault(lambda: mlp(1, 32, inputs=12), "outputs", None, "", PICTURE, says="[31, 1, 12, 10]"),
    "squeezed": Fault(
        own(lambda s, x: usual(s, x).squeeze(1), one), "outputs", None, "", outputs=1, classes=False, says="[31]"
    ),
    "tuple": Fault(own(lambda s, x: (usual(s, x), s.a(x))), "outputs", None, "", says="([31, 10], [31, 32])"),
    "dictionary": Fault(own(lambda s, x: {"logits": usual(s, x)}), "outputs", None, "", says="logits"),
    "nothing": Fault(own(lambda s, x: None), "outputs", None, "", says="None", also=also("unused")),
    # layers that do not do what they seem to
    "dropout of everything": Fault(
        stack(lambda: nn.Linear(20, 32), lambda: nn.Dropout(1.0), lambda: nn.Linear(32, 10)), "dropout", ("1",), "p is 1"
    ),
    "dropout last": Fault(stack(lambda: nn.Linear(20, 10), nn.Dropout), "dropout", ("1",), "last layer"),
    "dropout always": Fault(own(lambda s, x: s.b(F.dropout(F.relu(s.a(x))))), "random", (), "self.training"),
    "batch norm that never learns": Fault(
        stack(lambda: nn.Linear(20, 32), lambda: nn.BatchNorm1d(32, momentum=0), lambda: nn.Linear(32, 10)),
        "batch-norm", ("1",), "momentum",
    ),
    "batch norm without statistics": Fault(
        stack(lambda: nn.Linear(20, 32), lambda: nn.BatchNorm1d(32, track_running_stats=False), lambda: nn.Linear(32, 10)),
        "mixing", (), "batch norm without running statistics",
    ),
    "batch norm stuck in evaluation": Fault(lambda: batch_norm_stays(NORMED()), "mode", ("1",), "training flag"),  # type: ignore[arg-type]
    # samples that meet
    "outer product": Fault(
        own(lambda s, x: (usual(s, x).squeeze(1) - x[:, :1]).mean(1, keepdim=True), one),
        "broadcast", (), "[31] and [31, 1] gave [31, 31]", outputs=1, classes=False, also=also("mixing"),
    ),
    "mean over the batch": Fault(own(lambda s, x: usual(s, x - x.mean())), "mixing", (), "first dimension"),
    "sum over the batch": Fault(own(lambda s, x: usual(s, x).sum(0)), "mixing", (), "over the batch", also=also("outputs")),
    "cumulated over the batch": Fault(own(lambda s, x: usual(s, x).cumsum(0)), "mixing", (), "first dimension"),
    "first sample in all": Fault(own(lambda s, x: usual(s, x + x[:1])), "mixing", (), "first dimension"),
    "batch taken for the sequence": Fault(Recurrent, "mixing", (), "first dimension", SEQUENCE, 5),
    # numbers that are none
    "nan in a weight": Fault(lambda: poisoned(HEAD(), "0.weight", torch.nan), "not-finite", ("0",), "spread"),
    "infinity in a weight": Fault(lambda: poisoned(HEAD(), "2.weight", torch.inf), "not-finite", ("2",), "spread"),
    "nan in a buffer": Fault(lambda: poisoned(NORMED(), "1.running_mean", torch.nan), "not-finite", ("1",), "spread"),
    "logarithm of zero": Fault(own(lambda s, x: s.b(torch.log(F.relu(s.a(x))))), "not-finite", ("b",), "logarithm"),
    "logarithm of zero at the end": Fault(own(lambda s, x: torch.log(F.relu(usual(s, x)))), "not-finite", (), "logarithm"),
    "logarithm of zero in evaluation": Fault(
        own(lambda s, x: usual(s, x) if s.training else s.b(torch.log(F.relu(s.a(x))))), "not-finite", None, "logarithm"
    ),
    "gradient of a root of zero": Fault(
        own(lambda s, x: s.b(torch.sqrt(s.a(x).square() * 0))), "not-finite", None, "", says="gradient"
    ),
    # what does not run
    "shape": Fault(stack(lambda: nn.Linear(20, 32), nn.ReLU, lambda: nn.Linear(31, 10)), "shape", ("2",), "[2, 32] came in"),
    "forward raises": Fault(own(raises(KeyError("missing"))), "", (), "KeyError"),
    "fails in training": Fault(own(only_while(False)), "fails", (), "the other mode please"),
    "fails in evaluation": Fault(own(only_while(True)), "", (), "the other mode please"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may try to download; and the random state is a known one."""
    monkeypatch.setattr(socket.socket, "connect", raises(OSError("a test tried to reach the network")))
    torch.manual_seed(0)


@pytest.fixture
def check(paths: Paths) -> Callable[..., Report]:
    """The report on a module; every sentence in it is told, and told in one line."""

    def run(model: nn.Module, shape: tuple[int, ...] = TABLE, outputs: int = 10, classes: bool = True) -> Report:
        report = examine(model, Input(shape=shape), Question(outputs, classes), paths)
        sentences_are_whole(report)
        return report

    return run


def sentences_are_whole(report: Report) -> None:
    for finding in report.findings:
        for sentence in (finding.says, finding.cause, finding.remedy, *([finding.fix.says] if finding.fix else [])):
            assert sentence
            assert sentence.isprintable(), repr(sentence)
            assert len(sentence) < 600


def told(report: Report) -> str:
    return "\n".join(f"[{f.code}] {'.'.join(f.place)}: {f.says}: {f.cause}: {f.remedy}" for f in report.findings)


# planted faults


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_at_its_place_with_its_cause(name: str, check: Callable[..., Report]) -> None:
    fault = FAULTS[name]

    report = check(fault.make(), fault.input, fault.outputs, fault.classes)

    assert any(is_told(fault, finding) for finding in report.findings), told(report) or report.why or "nothing was found"


def is_told(fault: Fault, finding: Finding) -> bool:
    return (
        (not fault.code or finding.code == fault.code)
        and (fault.place is None or finding.place == fault.place)
        and fault.word in finding.cause
        and fault.says in finding.says
    )


ALONE = [
    name
    for name, fault in FAULTS.items()
    if fault.code in ("unused", "frozen", "softmax", "dropout", "random", "batch-norm", "mode", "broadcast", "lazy", "shape")
    or fault.place is None
]


@pytest.mark.parametrize("name", ALONE)
def test_beside_a_planted_fault_nothing_else_is_blamed(name: str, check: Callable[..., Report]) -> None:
    fault = FAULTS[name]

    report = check(fault.make(), fault.input, fault.outputs, fault.classes)

    others = [f for f in report.findings if fault.code and f.code not in fault.also | {fault.code}]
    assert not others, told(report)


def test_many_findings_of_one_kind_are_one_sentence(check: Callable[..., Report]) -> None:
    report = check(mlp(30, 16, nn.GELU).requires_grad_(False))

    frozen = [f for f in report.findings if f.code == "frozen"]
    assert len(frozen) == 1, told(report)
    assert "31 places" in frozen[0].says


def test_a_last_layer_of_zeros_is_no_fault(check: Callable[..., Report]) -> None:
    report = check(set_to(mlp(2, 32), 0.0, "4."))

    assert not report.findings, told(report)


def test_equal_rows_that_part_in_the_first_step_are_no_fault(check: Callable[..., Report]) -> None:
    report = check(set_to(mlp(1, 32), 0.1, "0."))

    assert not report.findings, told(report)


def test_what_depends_on_the_wrong_size_of_a_layer_that_is_used_twice_gets_no_fix_that_breaks_it(paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="shared = nn.Linear(8, 8)\nnn.Sequential(nn.Linear(4, 8), shared, nn.ReLU(), shared)"))

    report = bench.answer(Check(input=Input(shape=(4,)), outputs=10))

    assert isinstance(report, Report)
    found = [f for f in report.findings if f.code == "outputs"]
    assert found
    assert all(f.fix is None or not after(bench, f, (4,), 10) for f in found)


def test_the_last_layer_is_the_one_whose_output_comes_out(check: Callable[..., Report]) -> None:
    def wrong(self: Any, x: torch.Tensor) -> Any:
        return self.b(F.relu(self.a(x))) + 0 * self.a(x).sum(1, keepdim=True)

    report = check(Own(wrong, has(a=lambda: nn.Linear(20, 32), b=lambda: nn.Linear(32, 7))))

    found = next(f for f in report.findings if f.code == "outputs")
    assert found.place != ("a",), told(report)
    assert found.fix is None or found.fix.change.place == ("b",)


# the zoo


CLEAN = {name: network for name, network in ZOO.items() if not network.flaw}
FLAWED = {name: network for name, network in ZOO.items() if network.flaw}
CLASSES = {"mlp": 10, "softmax-regression": 10, "dropout-mlp": 10, "batch-norm-mlp": 10, "lenet": 10, "mlp-module": 10,
           "my-sequential": 10, "nest-mlp": 16, "centered-corrected": 128}  # fmt: skip
NUMBERS = ("fixed-hidden-corrected", "nested", "tied", "my-linear-corrected")


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_found_in_a_sound_network_of_the_zoo(name: str, counts: Counts, paths: Paths) -> None:
    bench = Workbench(paths)
    outputs = CLASSES.get(name, int(name in NUMBERS))
    for seed in range(counts(2, 8)):
        bench.answer(Open(text=ZOO[name].text, seed=seed))
        report = bench.answer(Check(input=Input(shape=ZOO[name].input), outputs=outputs, classes=name not in NUMBERS))
        assert isinstance(report, Report)
        assert not report.findings, told(report)
        assert not report.why


EXPECTED = {
    "lazy": {("lazy", ("1",)), ("lazy", ("3",))},
    "fixed-hidden": {("plain-tensor", ()), ("mixing", ())},
    "chimera": {("plain-tensor", ("2",)), ("mixing", ("2",))},
    "centered": {("mixing", ("1",))},
    "my-linear": {("no-gradient", ("0",)), ("no-gradient", ("1",))},
}


@pytest.mark.parametrize("name", FLAWED)
def test_the_flaws_of_the_zoo_are_found(name: str, counts: Counts, paths: Paths) -> None:
    bench = Workbench(paths)
    for seed in range(counts(2, 8)):
        bench.answer(Open(text=ZOO[name].text, seed=seed))
        report = bench.answer(Check(input=Input(shape=ZOO[name].input)))
        assert isinstance(report, Report)
        sentences_are_whole(report)
        found = {(f.code, f.place) for f in report.findings}
        assert EXPECTED[name] <= found, told(report)
        assert {code for code, _ in found} <= {code for code, _ in EXPECTED[name]} | {"dead-relu"}, told(report)


# fixes


MENDABLE = {
    "softmax last": ("nn.Sequential(nn.Linear(20, 10), nn.Softmax(1))", "softmax", TABLE, 10),
    "softmax inside": (
        "nn.Sequential(nn.Linear(20, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 10), nn.Softmax(1)))", "softmax", TABLE, 10,
    ),
    "outputs": ("nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 7))", "outputs", TABLE, 10),
    "outputs of MySequential": ("MySequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 7))", "outputs", TABLE, 10),
    "one layer": ("nn.Linear(20, 7)", "outputs", TABLE, 10),
    "dropout p": ("nn.Sequential(nn.Linear(20, 32), nn.Dropout(1), nn.Linear(32, 10))", "dropout", TABLE, 10),
    "dropout p inplace": (
        "nn.Sequential(nn.Linear(20, 32), nn.Dropout(p=1.0, inplace=True), nn.Linear(32, 10))", "dropout", TABLE, 10,
    ),
    "dropout last": ("nn.Sequential(nn.Linear(20, 10), nn.Dropout(0.3))", "dropout", TABLE, 10),
    "momentum": (
        "nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32, momentum=0), nn.Linear(32, 10))", "batch-norm", TABLE, 10,
    ),
    "momentum of a picture": (
        "nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=0.0), nn.Flatten(), nn.Linear(400, 10))",
        "batch-norm", PICTURE, 10,
    ),
    "in_features": ("nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(31, 10))", "shape", TABLE, 10),
    "Flatten": ("nn.Sequential(nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 10))", "shape", PICTURE, 10),
    "Flatten of one layer": ("nn.Linear(144, 10)", "shape", PICTURE, 10),
    "in_channels": ("nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 10))", "shape", PICTURE, 10),
    "batch norm of another dimension": (
        "nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(400, 10))", "shape", PICTURE, 10,
    ),
    "batch norm of another width": (
        "nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(32, 10))", "shape", TABLE, 10,
    ),
    "layer norm of another width": (
        "nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(16), nn.Linear(32, 10))", "shape", TABLE, 10,
    ),
    "MyLinear": ("nn.Sequential(MyLinear(20, 64), MyLinear(64, 10))", "no-gradient", TABLE, 10),
    "MyLinear of another width": ("nn.Sequential(MyLinear(20, 64), nn.Linear(64, 16), MyLinear(8, 10))", "shape", TABLE, 10),
    "FixedHiddenMLP": ("FixedHiddenMLP()", "plain-tensor", TABLE, 1),
    "FixedHiddenMLP inside": ("nn.Sequential(nn.Linear(8, 20), FixedHiddenMLP())", "plain-tensor", (8,), 1),
}  # fmt: skip


def after(bench: Workbench, finding: Finding, shape: tuple[int, ...], outputs: int, classes: bool = True) -> str:
    """What is still wrong after the finding's fix was applied; the fix is undone then."""
    assert finding.fix is not None
    sheet = bench.answer(finding.fix.change)
    assert isinstance(sheet, Sheet), sheet
    report = bench.answer(Check(input=Input(shape=shape), outputs=outputs, classes=classes))
    assert isinstance(report, Report)
    return told(report) + report.why


@pytest.mark.parametrize("name", MENDABLE)
def test_applied_fixes_leave_nothing_to_find(name: str, paths: Paths) -> None:
    text, code, shape, outputs = MENDABLE[name]
    bench = Workbench(paths)
    assert isinstance(bench.answer(Open(text=text)), Sheet)
    wanted = Check(input=Input(shape=shape), outputs=outputs, classes=outputs > 1)

    report = bench.answer(wanted)
    assert isinstance(report, Report)
    assert any(f.code == code and f.fix for f in report.findings), told(report)
    for _ in range(4):
        fix = next((f.fix for f in report.findings if f.fix), None)
        if fix is None:
            break
        sheet = bench.answer(fix.change)
        assert isinstance(sheet, Sheet), sheet
        report = bench.answer(wanted)
        assert isinstance(report, Report)

    assert not report.findings, told(report)


@pytest.mark.parametrize("name", MENDABLE)
def test_one_fix_takes_its_own_finding_away(name: str, paths: Paths) -> None:
    text, _, shape, outputs = MENDABLE[name]
    bench = Workbench(paths)
    wanted = Check(input=Input(shape=shape), outputs=outputs, classes=outputs > 1)
    bench.answer(Open(text=text))
    first = bench.answer(wanted)
    assert isinstance(first, Report)

    for finding in [f for f in first.findings if f.fix]:
        bench.answer(Open(text=text))
        assert finding.fix is not None
        assert isinstance(bench.answer(finding.fix.change), Sheet)
        report = bench.answer(wanted)
        assert isinstance(report, Report)
        assert (finding.code, finding.place) not in {(f.code, f.place) for f in report.findings}, told(report)


@pytest.mark.parametrize("kind", ["MyLinear(20, 10)", "CenteredLayer()", "FixedHiddenMLP()"])
def test_a_block_that_d2l_gives_with_a_flaw_is_replaced_by_its_corrected_twin(kind: str, paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text=f"nn.Sequential(nn.Linear(20, 20), {kind})"))

    report = bench.answer(Check(input=Input(shape=TABLE)))

    assert isinstance(report, Report)
    flawed = [f for f in report.findings if f.code in ("no-gradient", "plain-tensor", "mixing")]
    assert flawed
    assert any(f.fix and "Corrected" in f.fix.change.text for f in flawed), told(report)


def test_a_finding_inside_of_a_block_of_ones_own_has_no_fix(paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="MLP(20, 256, 7)"))

    report = bench.answer(Check(input=Input(shape=TABLE), outputs=10))

    assert isinstance(report, Report)
    assert [(f.code, f.place, f.fix) for f in report.findings] == [("outputs", ("out",), None)]


# sound networks


class Residual(nn.Module):
    """Blocks that begin as the identity where `zero`."""

    def __init__(self, depth: int, zero: bool = False) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(20, 32), nn.Linear(32, 10)
        self.blocks = nn.ModuleList(mlp(1, 32, inputs=32, outputs=32) for _ in range(depth))
        if zero:
            for block in self.blocks:
                set_to(block, 0.0, "2.")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class ReZero(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(20, 20) for _ in range(4))
        self.scale, self.last = nn.Parameter(torch.zeros(4)), nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, layer in enumerate(self.layers):
            x = x + self.scale[i] * F.relu(layer(x))
        return self.last(x)


class Attention(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(16, width), nn.Linear(16, width), nn.Linear(16, width)
        self.out = nn.Linear(width, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = (self.q(x) @ self.k(x).transpose(1, 2) / 4).softmax(-1)
        return self.out((weights @ self.v(x)).mean(1))


class Encoder(nn.Module):
    def __init__(self, layers: int = 2, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.encoder(x).mean(1))


class LanguageModel(nn.Module):
    """Tied embedding and head, a causal mask with -inf as a buffer."""

    mask: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(50, 16), nn.Parameter(torch.zeros(1, 9, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(9))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(x) + self.position, mask=self.mask, is_causal=True))


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(100, 16, padding_idx=0), nn.GRU(16, 12, batch_first=True)
        self.out = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(self.embedding(x))[1][-1])


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner, self.pool = double_conv(1, 8), double_conv(8, 16), nn.MaxPool2d(2)
        self.up, self.join, self.out = nn.ConvTranspose2d(16, 8, 2, 2), double_conv(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = self.down(x)
        return self.out(self.join(torch.cat([self.up(self.inner(self.pool(left))), left], 1)))


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.mean, self.deviation = nn.Linear(20, 16), nn.Linear(16, 2), nn.Linear(16, 2)
        self.decoder = mlp(1, 16, inputs=2, outputs=20)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden = F.relu(self.first(x))
        mean, deviation = self.mean(hidden), self.deviation(hidden)
        drawn = mean + torch.randn_like(mean) * (deviation / 2).exp() if self.training else mean
        return self.decoder(drawn), mean, deviation


class TiedAutoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.bias = nn.Linear(20, 8), nn.Parameter(torch.zeros(20))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(F.relu(self.encoder(x)), self.encoder.weight.t(), self.bias)


class Prototypes(nn.Module):
    """Distances to learned points: as many as one of the doctor's batches has samples."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.points, self.out = nn.Parameter(torch.randn(points, 20)), nn.Linear(points, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out((-(x[:, None] - self.points[None]).square().mean(-1)).exp())


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts, self.gate = nn.ModuleList(nn.Linear(20, 10) for _ in range(4)), nn.Linear(20, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.gate(x).softmax(-1)
        return sum((weights[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts)), torch.zeros(()))


class Energy(nn.Module):
    """Gives the gradient of a scalar, as networks for forces and scores do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(2, 32, nn.SiLU, outputs=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.body(x).square().sum(), x, create_graph=True)[0]


class Symmetric(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.triu() + x.triu(1).T


def parametrised(layer: nn.Module) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def hidden_layer(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(32, 10))


def pruned() -> nn.Module:
    model = mlp(2, 32)
    prune.random_unstructured(model[0], "weight", 0.5)
    return model


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hidden_layer(nn.utils.weight_norm(nn.Linear(20, 32)))


def ran_once() -> nn.Module:
    """A network that keeps what its last forward made."""

    def keeps(self: Any, x: torch.Tensor) -> Any:
        self.hidden = self.a(x)
        return self.b(F.relu(self.hidden))

    model = Own(keeps)
    model(torch.zeros(3, 20))
    return model


def listed_again() -> nn.Module:
    body = nn.Sequential(nn.Linear(20, 32), nn.Linear(32, 10))
    return Own(lambda s, x: s.order[1](F.relu(s.order[0](x))), has(body=lambda: body, order=lambda: list(body)))


SOUND: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, bool]] = {
    "ten layers": (lambda: mlp(10, 64), TABLE, 10, True),
    "ten wide layers": (lambda: mlp(10, 256), TABLE, 10, True),
    "narrow": (lambda: mlp(2, 4), TABLE, 10, True),
    "as wide as the batch": (lambda: mlp(3, 31, inputs=31, outputs=31), (31,), 31, True),
    "GELU": (lambda: mlp(6, 32, nn.GELU), TABLE, 10, True),
    "tanh": (lambda: mlp(6, 32, nn.Tanh), TABLE, 10, True),
    "SELU": (lambda: mlp(6, 32, nn.SELU), TABLE, 10, True),
    "ReLU6": (lambda: mlp(6, 32, nn.ReLU6), TABLE, 10, True),
    "sigmoid": (lambda: mlp(3, 32, nn.Sigmoid), TABLE, 10, True),
    "ReLU last": (lambda: nn.Sequential(mlp(1, 32), nn.ReLU()), TABLE, 10, True),
    "linear regression": (lambda: nn.Linear(2, 1), (2,), 1, False),
    "several numbers": (lambda: nn.Linear(20, 3), TABLE, 3, False),
    "log-softmax": (lambda: nn.Sequential(mlp(1, 32), nn.LogSoftmax(1)), TABLE, 10, True),
    "softmax for numbers": (lambda: nn.Sequential(mlp(1, 32), nn.Softmax(1)), TABLE, 10, False),
    "residual": (lambda: Residual(8), TABLE, 10, True),
    "residual that begins as identity": (lambda: Residual(4, zero=True), TABLE, 10, True),
    "ReZero": (ReZero, TABLE, 10, True),
    "LSTM": (lambda: Recurrent(nn.LSTM, batch_first=True), SEQUENCE, 5, True),
    "GRU both ways": (
        lambda: Recurrent(nn.GRU, batch_first=True, num_layers=2, dropout=0.2, bidirectional=True), SEQUENCE, 5, True,
    ),
    "text": (Text, WORDS, 5, True),
    "attention": (Attention, SEQUENCE, 5, True),
    "attention as long as the batch": (lambda: Attention(31), (31, 16), 5, True),
    "transformer": (Encoder, SEQUENCE, 5, True),
    "transformer, norm first": (lambda: Encoder(6, True), SEQUENCE, 5, True),
    "language model": (LanguageModel, WORDS, 0, True),
    "U-net": (UNet, (1, 16, 16), 0, True),
    "autoencoder": (lambda: nn.Sequential(mlp(1, 8, outputs=8), mlp(1, 8, inputs=8, outputs=20)), TABLE, 20, False),
    "tied autoencoder": (TiedAutoencoder, TABLE, 20, False),
    "variational autoencoder": (Variational, TABLE, 0, False),
    "generator": (
        stack(
            lambda: nn.Unflatten(1, (20, 1, 1)), lambda: nn.ConvTranspose2d(20, 32, 4, bias=False), lambda: nn.BatchNorm2d(32),
            lambda: nn.ReLU(True), lambda: nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh,
        ), TABLE, 0, True,
    ),
    "discriminator": (
        stack(
            lambda: nn.Conv2d(1, 8, 4, 2, 1), lambda: nn.LeakyReLU(0.2, True), nn.Flatten, lambda: nn.Linear(288, 1),
            nn.Sigmoid,
        ), PICTURE, 1, False,
    ),
    "weight norm": (lambda: hidden_layer(parametrizations.weight_norm(nn.Linear(20, 32))), TABLE, 10, True),
    "weight norm of old": (old_weight_norm, TABLE, 10, True),
    "spectral norm": (lambda: hidden_layer(parametrizations.spectral_norm(nn.Linear(20, 32))), TABLE, 10, True),
    "orthogonal": (lambda: hidden_layer(parametrizations.orthogonal(nn.Linear(20, 32))), TABLE, 10, True),
    "parametrised": (stack(lambda: parametrised(nn.Linear(20, 20)), nn.ReLU, lambda: nn.Linear(20, 10)), TABLE, 10, True),
    "pruned": (pruned, TABLE, 10, True),
    "prototypes": (lambda: Prototypes(31), TABLE, 10, True),
    "experts": (Experts, TABLE, 10, True),
    "energy": (Energy, TABLE, 0, False),
    "group norm": (
        stack(lambda: nn.Conv2d(1, 8, 3), lambda: nn.GroupNorm(2, 8), nn.ReLU, nn.Flatten, lambda: nn.Linear(800, 10)),
        PICTURE, 10, True,
    ),
    "dropout as it should be": (own(lambda s, x: s.b(F.dropout(F.relu(s.a(x)), training=s.training))), TABLE, 10, True),
    "checkpointed": (own(lambda s, x: s.b(F.relu(checkpoint(s.a, x, use_reentrant=False)))), TABLE, 10, True),
    "functional": (
        own(lambda s, x: F.linear(F.relu(F.linear(x, s.a.weight, s.a.bias)), s.b.weight, s.b.bias)), TABLE, 10, True,
    ),
    "mapped over the samples": (own(lambda s, x: torch.func.vmap(lambda row: usual(s, row))(x)), TABLE, 10, True),
    "keeps what it made": (ran_once, TABLE, 10, True),
    "counts its calls": (
        own(lambda s, x: (s.calls.add_(1), usual(s, x))[1], two, lambda s: s.register_buffer("calls", torch.zeros(()))),
        TABLE, 10, True,
    ),
    "parameters listed again": (own(usual, two, lambda s: setattr(s, "mine", list(s.parameters()))), TABLE, 10, True),
    "layers listed again": (listed_again, TABLE, 10, True),
    "in evaluation": (lambda: NORMED().eval(), TABLE, 10, True),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_found_in_a_sound_network(name: str, counts: Counts, check: Callable[..., Report]) -> None:
    make, shape, outputs, classes = SOUND[name]
    for seed in range(counts(1, 3)):
        torch.manual_seed(seed)
        report = check(make(), shape, outputs, classes)
        assert not report.findings, told(report)
        assert not report.why


VISION = {
    "convnext_tiny": 32, "densenet121": 32, "efficientnet_b0": 32, "googlenet": 32, "mnasnet0_5": 32,
    "mobilenet_v2": 32, "mobilenet_v3_small": 32, "regnet_x_400mf": 32, "regnet_y_400mf": 32, "resnet18": 32,
    "shufflenet_v2_x0_5": 32, "squeezenet1_0": 64, "swin_t": 32,
}  # fmt: skip
OTHERS = {
    "r3d_18": (3, 4, 16, 16), "r2plus1d_18": (3, 4, 16, 16), "lraspp_mobilenet_v3_large": (3, 32, 32),
    "deeplabv3_mobilenet_v3_large": (3, 32, 32),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def light() -> Iterator[None]:
    """One thread, beside which others may work, and no memory left behind by large networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    gc.collect()


SLOW = {
    "swin_t", "r2plus1d_18", "r3d_18", "deeplabv3_mobilenet_v3_large", "googlenet", "convnext_tiny", "regnet_x_400mf",
    "densenet121", "efficientnet_b0", "lraspp_mobilenet_v3_large", "regnet_y_400mf",
}  # fmt: skip


@pytest.mark.parametrize("name", [*VISION, *OTHERS])
def test_nothing_is_found_in_the_networks_of_torchvision(
    name: str, check: Callable[..., Report], counts: Callable[[int, int], int]
) -> None:
    if name in SLOW and not counts(0, 1):
        pytest.skip("runs with --campaign")
    try:
        foreign.torchvision_names()
    except foreign.ForeignError as error:
        pytest.skip(str(error))
    shape = OTHERS.get(name) or (3, VISION[name], VISION[name])

    report = check(foreign.make(f"torchvision:{name}", {}), shape, 1000 if name in VISION else 0)

    assert not report.findings, told(report)
    assert not report.why


# whatever a person's code does


class Unspeakable(nn.Linear):
    def __repr__(self) -> str:
        raise ValueError("no repr")

    def extra_repr(self) -> str:
        raise ValueError("no extra_repr")


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no str")


class Key:
    def __repr__(self) -> str:
        raise ValueError("no repr")


def changes_its_weights(self: Any, x: torch.Tensor) -> Any:
    with torch.no_grad():
        self.a.weight.add_(0.01)
    return usual(self, x)


def backward_inside(self: Any, x: torch.Tensor) -> Any:
    output = usual(self, x)
    output.sum().backward(retain_graph=True)
    return output


def odd_names() -> nn.Module:
    model = nn.Sequential()
    model.add_module("a\n[bold]é\x1b[31m", nn.Linear(20, 32))
    model.add_module("b c", nn.ReLU())
    model.add_module("d\t", nn.Linear(32, 10))
    model.register_parameter("w\nx", nn.Parameter(torch.ones(2)))
    model.__dict__["t\nt"] = torch.ones(1)
    model.held = {"k\nk": torch.ones(1)}
    for layer in model.children():
        layer.requires_grad_(False)
    return model


WILD: dict[str, Callable[[], nn.Module]] = {
    "repr raises": stack(lambda: Unspeakable(20, 32), nn.ReLU, lambda: Unspeakable(32, 7)),
    "prints": own(lambda s, x: (print("hello"), usual(s, x))[1]),
    "raises without a message": own(raises(AssertionError())),
    "raises at length": own(raises(ValueError("x" * 10_000 + "\nsecond line\x1b[31m"))),
    "raises what has no words": own(raises(Mute())),
    "exits": own(raises(SystemExit(3))),
    "recurs": own(lambda s, x: s(x)),
    "backward inside": own(backward_inside),
    "writes into its input": own(lambda s, x: usual(s, x.mul_(2))),
    "changes its weights": own(changes_its_weights),
    "odd names": odd_names,
    "odd keys": own(usual, two, has(held=lambda: {Key(): torch.ones(1)})),
    "output with odd keys": own(lambda s, x: {Key(): usual(s, x)}),
    "two inputs": lambda: nn.Bilinear(20, 20, 10),
    "bool": own(lambda s, x: usual(s, x) > 0),
    "whole numbers": own(lambda s, x: usual(s, x).long()),
    "complex": own(lambda s, x: torch.fft.fft(usual(s, x))),
    "float64": own(lambda s, x: usual(s, x).double()),
    "bfloat16": own(lambda s, x: usual(s, x).bfloat16()),
    "sparse": own(lambda s, x: usual(s, x).to_sparse()),
    "empty": own(lambda s, x: usual(s, x)[:, :0]),
    "text as output": own(lambda s, x: "text"),
    "an object as output": own(lambda s, x: object()),
    "a list in a dictionary": own(lambda s, x: {"a": [usual(s, x), (s.a(x),)]}),
    "nested too deep": own(lambda s, x: [[[[usual(s, x)]]]]),
    "a recurrent layer alone": lambda: nn.LSTM(20, 10),
    "batch of two only": own(lambda s, x: usual(s, x).view(2, -1)),
    "holds a lock": own(usual, two, has(lock=threading.Lock)),
    "holds a generator": own(usual, two, has(generator=torch.Generator)),
    "on no device": lambda: nn.Linear(20, 10, device="meta"),
    "inside of itself": own(usual, two, lambda s: setattr(s.a, "loop", s.a)),
    "nothing in it": nn.Sequential,
}


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize(("outputs", "classes"), [(10, True), (0, True), (1, False)])
def test_any_code_gets_a_report(name: str, outputs: int, classes: bool, paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="nn.Linear(20, 10)"))
    assert bench.states.now is not None
    bench.states.now = replace(bench.states.now, model=WILD[name]())
    before = torch.get_rng_state()

    report = bench.answer(Check(input=Input(shape=TABLE), outputs=outputs, classes=classes))

    assert isinstance(report, Report), report
    sentences_are_whole(report)
    assert report.findings or report.why or report.checked
    assert report.why.isprintable()
    assert torch.equal(before, torch.get_rng_state())


def test_the_network_itself_is_left_as_it_was(check: Callable[..., Report]) -> None:
    model = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.Dropout(), nn.Linear(32, 10))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model[2].eval()

    check(model)

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [m.training for m in model.modules()] == [True, True, True, False, True]
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_two_reports_on_one_network_are_the_same(check: Callable[..., Report]) -> None:
    model = nn.Sequential(nn.Linear(20, 32), nn.Dropout(), nn.Sigmoid(), nn.Linear(32, 7), nn.Dropout(1.0))

    assert check(model) == check(model)


def test_a_network_that_memory_cannot_hold_twice_is_a_sentence(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="nn.Linear(20, 10)"))
    reading = CpuReader().read()
    monkeypatch.setattr(copies.CpuReader, "read", lambda self: replace(reading, memory_available=1000))

    report = bench.answer(Check(input=Input(shape=TABLE)))

    assert isinstance(report, Report)
    assert "free" in report.why
    assert not report.findings


def test_a_sample_of_too_many_numbers_is_a_sentence(paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="nn.Linear(20, 10)"))

    report = bench.answer(Check(input=Input(shape=(10**9,))))

    assert isinstance(report, Report)
    assert "too many numbers" in report.why


def test_without_a_shape_the_doctor_asks_for_one(paths: Paths) -> None:
    bench = Workbench(paths)
    bench.answer(Open(text="nn.Linear(20, 10)"))

    report = bench.answer(Check(input=Input()))

    assert isinstance(report, Report)
    assert "shape" in report.why


def test_a_slow_network_is_not_run_more_often_than_six_times(check: Callable[..., Report]) -> None:
    runs: list[int] = []

    def slow(self: Any, x: torch.Tensor) -> Any:
        runs.append(len(x))
        return usual(self, x)

    check(Own(slow))

    assert len(runs) <= 6
