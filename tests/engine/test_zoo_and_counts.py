"""The zoo against modules written by hand; counts, shapes and costs against torch's own; looking changes nothing."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.tree import same
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import Change, Input, Open, Probe, Row
from mlptui.core.errors import MlptuiError
from mlptui.engine import foreign
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.build import build
from mlptui.engine.doctor.checks.common import Question
from mlptui.engine.doctor.examine import examine
from mlptui.engine.inspect import detail, inputs, places
from mlptui.engine.inspect.copies import CopyError, copied
from mlptui.engine.inspect.flow import flow
from mlptui.engine.inspect.probe import probe
from mlptui.store.paths import Paths

pytestmark = [
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature"),
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated"),
]


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    """These networks are small; threads only wait for each other."""
    torch.set_num_threads(1)


# the guide's classes, written out again


class MLP(nn.Module):
    def __init__(self, a: int = 20, b: int = 256, c: int = 10) -> None:
        super().__init__()
        self.hidden = nn.Linear(a, b)
        self.out = nn.Linear(b, c)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.out(F.relu(self.hidden(X)))


class MySequential(nn.Module):
    def __init__(self, *args: nn.Module) -> None:
        super().__init__()
        for idx, module in enumerate(args):
            self.add_module(str(idx), module)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        for module in self.children():
            X = module(X)
        return X


class FixedHiddenMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rand_weight = torch.rand((20, 20))
        self.linear = nn.Linear(20, 20)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = self.linear(X)
        X = F.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X /= 2
        return X.sum()


class FixedHiddenMLPCorrected(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rand_weight", torch.rand((20, 20)))
        self.linear = nn.Linear(20, 20)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        rows = []
        for x in self.linear(F.relu(self.linear(X) @ self.get_buffer("rand_weight") + 1)):
            y = x
            while y.abs().sum() > 1:
                y = y / 2
            rows.append(y.sum())
        return torch.stack(rows)[:, None]


class NestMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, 16)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.linear(self.net(X))


class CenteredLayer(nn.Module):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - X.mean()


class CenteredLayerCorrected(nn.Module):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - X.mean(dim=1, keepdim=True)


class MyLinear(nn.Module):
    def __init__(self, in_units: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units))
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return F.relu(torch.matmul(X, self.weight.data) + self.bias.data)


class MyLinearCorrected(MyLinear):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return F.relu(torch.matmul(X, self.weight) + self.bias)


def block1() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())


def block2() -> nn.Module:
    net = nn.Sequential()
    for i in range(4):
        net.add_module(f"block {i}", block1())
    return net


def tied() -> nn.Module:
    shared = nn.Linear(8, 8)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip


BY_HAND: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)),
    "softmax-regression": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "dropout-mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(256, 10),
    ),
    "batch-norm-mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(),
        nn.Linear(256, 10),
    ),
    "lenet": lenet,
    "lazy": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10)),
    "autoencoder": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 784), nn.Unflatten(1, (1, 28, 28))
    ),
    "mlp-module": MLP,
    "my-sequential": lambda: MySequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)),
    "fixed-hidden": FixedHiddenMLP,
    "fixed-hidden-corrected": FixedHiddenMLPCorrected,
    "nest-mlp": NestMLP,
    "chimera": lambda: nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP()),
    "nested": lambda: nn.Sequential(block2(), nn.Linear(4, 1)),
    "tied": tied,
    "centered": lambda: nn.Sequential(nn.Linear(8, 128), CenteredLayer()),
    "centered-corrected": lambda: nn.Sequential(nn.Linear(8, 128), CenteredLayerCorrected()),
    "my-linear": lambda: nn.Sequential(MyLinear(64, 8), MyLinear(8, 1)),
    "my-linear-corrected": lambda: nn.Sequential(MyLinearCorrected(64, 8), MyLinearCorrected(8, 1)),
}  # fmt: skip


def shapes(model: nn.Module) -> dict[str, object]:
    return {name: "?" if is_lazy(t) else tuple(t.shape) for name, t in model.state_dict().items()}


def test_every_network_of_the_zoo_is_written_here() -> None:
    assert list(BY_HAND) == list(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_zoo_is_the_one_written_by_hand(name: str) -> None:
    network = ZOO[name]
    tree = parse(network.text)
    assert same(parse(to_text(tree)), tree)
    model, other = build(tree), BY_HAND[name]()
    assert repr(model) == repr(other)
    assert list(shapes(model).items()) == list(shapes(other).items())
    assert [n for n, _ in model.named_modules(remove_duplicate=False)] == [".".join(path) for path, _ in tree.walk()] or any(
        not layer.container and list(model.get_submodule(".".join(path)).children()) for path, layer in tree.walk()
    )


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_zoo_computes_what_the_one_written_by_hand_does(name: str) -> None:
    """With the weights of the other one, and in training too; the seed makes dropout the same."""
    network = ZOO[name]
    batch = torch.randn(5, *network.input, generator=torch.Generator().manual_seed(1))
    model, other = build(parse(network.text)), BY_HAND[name]()
    other(batch), model(batch)
    other.load_state_dict(model.state_dict())
    for mine, theirs in zip(model.modules(), other.modules(), strict=True):
        for key, tensor in places.plain_tensors(mine):
            setattr(theirs, key, tensor.clone())
    for training in (False, True):
        outputs = []
        for one in (model.train(training), other.train(training)):
            torch.manual_seed(3)
            outputs.append(one(batch.clone()))
        assert torch.allclose(*outputs, atol=1e-6)


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_zoo_passes_the_probe_and_its_flaw_is_found(name: str, paths: Paths) -> None:
    network = ZOO[name]
    torch.manual_seed(0)  # of a hundred draws of `nested` a few are truly dead
    model = build(parse(network.text))
    wanted = Input(shape=network.input)
    assert probe(model, inputs.batch(model, wanted, 2, paths).inputs).fault is None
    found = {finding.code for finding in examine(model, wanted, Question(), paths).findings}
    assert bool(found) == bool(network.flaw), found


# counts


class Holder(nn.Module):
    """Parameters, buffers and plain tensors of its own, ties by parameter and by module, and a module that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer("seen", torch.zeros(2, 2))
        self.register_buffer("unsaved", torch.zeros(7), persistent=False)
        self.register_parameter("absent", None)
        self.register_buffer("gone", None)
        self.plain = torch.ones(11)
        self.several = [torch.ones(2), 3, torch.ones(3)]
        self.by_name = {"a": torch.ones(1)}
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.c = nn.Sequential(self.a, nn.ModuleDict({"again": self.a, "own": nn.Linear(4, 2, bias=False)}))
        self.none: nn.Module | None = None
        self.own_scale = self.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x)).sum(1) * self.scale.sum()


class Twice(nn.Module):
    """One parameter under two names, in itself and in a child."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, 4))
        self.v = self.w
        self.inner = nn.Linear(4, 3, bias=False)
        self.inner.weight = self.w


class InItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(5))
        self.part = nn.Linear(2, 2)
        self.part.above = self  # type: ignore[assignment]


def frozen_in_part() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    return model


def halves() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3).half(), nn.Linear(3, 3).double(), nn.Embedding(4, 3, device="meta"))


def normed(how: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        where = nn.utils if how.startswith("old_") else nn.utils.parametrizations
        return nn.Sequential(nn.Linear(6, 5), getattr(where, how.removeprefix("old_"))(nn.Linear(5, 4)))

    return make


NORMED = ("weight_norm", "spectral_norm", "orthogonal", "old_weight_norm", "old_spectral_norm")
MODELS: dict[str, Callable[[], nn.Module]] = {
    **BY_HAND,
    "holder": Holder,
    "twice": Twice,
    "in itself": InItself,
    "empty": nn.Sequential,
    "a list": lambda: nn.ModuleList([nn.Linear(2, 2), nn.ParameterList([torch.ones(2), torch.ones(3)])]),
    "frozen in part": frozen_in_part,
    "halves": halves,
    "lstm": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "transformer": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, batch_first=True), 2, enable_nested_tensor=False
    ),
    "lazy norm": lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Linear(3, 3)),
    **{how: normed(how) for how in NORMED},
}  # fmt: skip


def known(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if not is_lazy(p))


def check_counts(model: nn.Module) -> list[Row]:
    rows = places.rows(model)
    spots = places.spots(model)
    assert [row.place for row in rows] == [spot.place for spot in spots]
    for row, spot in zip(rows, spots, strict=True):
        assert row.total == known(spot.module), row.place
        assert row.unknown == sum(is_lazy(p) for p in spot.module.parameters()), row.place
        assert row.buffers == sum(b.numel() for b in spot.module.buffers() if not is_lazy(b)), row.place
        held = [t for t in [*spot.module.parameters(), *spot.module.buffers()] if not is_lazy(t)]
        assert row.size == sum(t.numel() * t.element_size() for t in held), row.place
        assert row.children == sum(child is not None for child in spot.module._modules.values())
        flags = {p.requires_grad for p in spot.module.parameters()}
        assert row.trainable == ("" if not flags else "part" if len(flags) == 2 else "yes" if flags == {True} else "no")
        assert (row.tied_to is None) == (spot.first == spot.place)
    assert sum(row.own for row in rows) == rows[0].total == known(model)
    total, trainable, unknown = places.parameter_total(model)
    assert (total, unknown) == (rows[0].total, rows[0].unknown)
    assert trainable == sum(p.numel() for p in model.parameters() if p.requires_grad and not is_lazy(p))
    return rows


@pytest.mark.parametrize("name", MODELS)
def test_counts_are_those_of_torch_for_the_network_and_every_part(name: str) -> None:
    check_counts(MODELS[name]())


def marked(model: nn.Module) -> dict[str, tuple[str, ...]]:
    return {".".join(row.place): row.marks for row in places.rows(model) if row.marks}


def test_ties_are_named_by_the_place_that_comes_first() -> None:
    rows = {".".join(row.place): row for row in check_counts(tied())}
    assert rows["4"].tied_to == ("2",) and rows["4"].own == 0 and rows["4"].total == 72 and rows["2"].own == 72
    rows = {".".join(row.place): row for row in check_counts(Holder())}
    assert rows["c.0"].tied_to == rows["c.1.again"].tied_to == ("a",) and rows["b"].own == 4 and rows["b"].tied_to is None
    assert "weight tied to a" in rows["b"].marks and rows[""].own == 3
    assert "weight tied to the network" in marked(Twice())["inner"]


def test_plain_tensors_are_marked_and_what_is_derived_or_registered_is_not() -> None:
    assert [m for m in marked(Holder())[""] if "plain" in m] == [
        f"plain tensor {name}" for name in ("plain", "several[0]", "several[2]", "by_name['a']")
    ]
    assert marked(FixedHiddenMLP())[""] == ("plain tensor rand_weight",)
    for name in ("fixed-hidden-corrected", "lstm", "attention", "transformer", *NORMED, "batch-norm-mlp", "tied", "lazy"):
        found = [mark for marks in marked(MODELS[name]()).values() for mark in marks if "plain" in mark]
        assert not found, (name, found)


def test_lazy_frozen_and_parametrised_layers_are_marked() -> None:
    assert marked(BY_HAND["lazy"]()) == {"1": ("lazy",), "3": ("lazy",)}
    assert set(marked(MODELS["lazy norm"]())) == {"0", "1"}
    assert marked(frozen_in_part()) == {"0": ("frozen",)}
    for how in NORMED:
        assert any(mark.startswith("parametrised") for mark in marked(normed(how)())["1"]), how


def test_a_module_without_affine_parameters_and_a_lazy_buffer_count() -> None:
    rows = check_counts(nn.Sequential(nn.LazyBatchNorm1d(affine=False), nn.BatchNorm1d(4, affine=False)))
    assert rows[0].total == 0 and "lazy" in rows[1].marks


# shapes and costs


def reference_flops(model: nn.Module, batch: torch.Tensor) -> int:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


def check_costs(model: nn.Module, batch: torch.Tensor) -> None:
    found = probe(model, batch)
    assert found.fault is None, found.fault
    assert found.multiply_adds == reference_flops(copy.deepcopy(model).eval(), batch) // 2
    rows = places.rows(model)
    assert len(found.passed) == len(rows)
    assert found.passed[0].multiply_adds == found.multiply_adds and found.passed[0].calls == 1
    below: dict[tuple[str, ...], int] = {}
    for row, passed in zip(rows, found.passed, strict=True):
        if row.place:
            below[row.place[:-1]] = below.get(row.place[:-1], 0) + passed.multiply_adds
    for row, passed in zip(rows, found.passed, strict=True):
        assert below.get(row.place, 0) <= passed.multiply_adds or not passed.calls, row.place


@pytest.mark.parametrize("name", ZOO)
def test_multiply_adds_are_half_of_what_torch_counts(name: str) -> None:
    network = ZOO[name]
    torch.manual_seed(2)
    check_costs(build(parse(network.text)), torch.randn(2, *network.input))


def test_the_costs_of_known_layers_are_those_of_the_book() -> None:
    found = probe(lenet(), torch.zeros(1, 1, 28, 28))
    conv1, conv2 = 28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25
    assert [p.multiply_adds for p in found.passed] == [
        conv1 + conv2 + 400 * 120 + 120 * 84 + 840, conv1, 0, 0, conv2, 0, 0, 0, 400 * 120, 0, 120 * 84, 0, 840,
    ]  # fmt: skip
    assert [(p.input, p.output) for p in found.passed[1:4]] == [
        ("[1, 1, 28, 28]", "[1, 6, 28, 28]"),
        ("[1, 6, 28, 28]", "[1, 6, 28, 28]"),
        ("[1, 6, 28, 28]", "[1, 6, 14, 14]"),
    ]
    assert probe(MySequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)), torch.zeros(3, 20)).multiply_adds == 3 * 7680


def test_a_shared_layer_is_counted_in_each_of_its_places_with_its_own_calls() -> None:
    found = probe(tied(), torch.zeros(2, 4))
    assert [p.calls for p in found.passed] == [1] * 8
    assert found.passed[3].multiply_adds == found.passed[5].multiply_adds == 2 * 64
    twice = probe(FixedHiddenMLP(), torch.zeros(2, 20))
    assert twice.passed[1].calls == 2 and twice.passed[1].multiply_adds == 2 * 2 * 400
    assert twice.multiply_adds == 3 * 2 * 400


class Catches(nn.Module):
    """Goes on after a layer of it has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.bad = nn.Linear(9, 9)
        self.good = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            self.bad(x)
        except RuntimeError:
            pass
        return F.linear(self.good(x), torch.ones(2, 3))


def test_a_layer_that_failed_and_was_left_is_not_counted_for_what_came_after() -> None:
    found = probe(Catches(), torch.zeros(2, 4))
    assert found.fault is None
    assert [p.multiply_adds for p in found.passed] == [2 * 12 + 2 * 6, 0, 2 * 12]
    assert not found.passed[1].output and found.passed[2].output == "[2, 3]"


class CatchesThenFails(Catches):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        super().forward(x)
        raise ValueError("the network itself")


def test_the_fault_is_of_who_failed_not_of_whom_it_had_caught() -> None:
    found = probe(CatchesThenFails(), torch.zeros(2, 4))
    assert found.fault and found.fault.place == () and "the network itself" in found.fault.message


def test_attention_is_counted_without_its_fast_path_and_the_fast_path_stays_on() -> None:
    fast = torch.backends.mha.get_fastpath_enabled()
    model = MODELS["transformer"]().eval()
    check_costs(model, torch.zeros(2, 5, 8))
    assert torch.backends.mha.get_fastpath_enabled() == fast


class Interrupts(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt


def test_an_interrupted_probe_leaves_torch_as_it_was(paths: Paths) -> None:
    fast, state, enabled = torch.backends.mha.get_fastpath_enabled(), torch.get_rng_state(), torch.is_grad_enabled()
    torch.backends.mha.set_fastpath_enabled(True)
    try:
        for look in (look for what, look in looks(paths, ()).items() if what != "rows"):
            with pytest.raises(KeyboardInterrupt):
                look(Interrupts(), (4,))
            assert torch.backends.mha.get_fastpath_enabled() and torch.is_grad_enabled() == enabled
            assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


# torchvision's models

VISION = {
    "alexnet": 64, "squeezenet1_0": 64, "squeezenet1_1": 64, "resnet18": 32, "resnet34": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "mobilenet_v3_large": 32, "shufflenet_v2_x0_5": 32, "shufflenet_v2_x1_0": 32, "mnasnet0_5": 32,
    "mnasnet1_0": 32, "efficientnet_b0": 32, "regnet_x_400mf": 32, "convnext_tiny": 32, "swin_t": 32, "vit_b_32": 224,
    "lraspp_mobilenet_v3_large": 32, "googlenet": 32, "resnext50_32x4d": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def vision() -> None:
    try:
        foreign.torchvision_names()
    except foreign.ForeignError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("vision")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", VISION)
def test_torchvisions_models_are_counted_as_torch_counts_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for init in ("kaiming_normal_", "kaiming_uniform_", "trunc_normal_", "normal_", "uniform_", "xavier_uniform_"):
        monkeypatch.setattr(nn.init, init, lambda tensor, *_, **__: tensor)  # drawing takes most of the time
    model = foreign.make(f"torchvision:{name}", {})
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()  # no denormal numbers, which are slow
    check_counts(model)
    check_costs(model, torch.zeros(1, 3, VISION[name], VISION[name]))


@pytest.mark.usefixtures("vision")
def test_torchvisions_names_and_arguments() -> None:
    names = foreign.torchvision_names()
    assert set(VISION) <= set(names) and not any(name.startswith("quantized") for name in names)
    model = foreign.make("torchvision:mobilenet_v3_small", {"num_classes": 7})
    assert probe(model, torch.zeros(1, 3, 32, 32)).passed[0].output == "[1, 7]"
    for kind, arguments, said in (
        ("torchvision:resnet81", {}, "did you mean resnet18"),
        ("torchvision:nothing_like_it", {}, "no model"),
        ("torchvision:resnet18", {"num_class": 3}, "num_class"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "never downloaded"),
        ("torchvision:resnet18", {"num_classes": -1}, "torchvision:resnet18"),
        ("torchvision:_utils", {}, "no model"),
    ):
        with pytest.raises(foreign.ForeignError, match=said):
            foreign.make(kind, arguments)


# looking leaves all as it was


class Mutates(nn.Module):
    """A network whose forward changes itself in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.plain = torch.zeros(4)
        self.kept: list[torch.Tensor] = []
        self.number = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.plain.add_(1)
        self.number += 1
        self.kept.append(x)
        self.linear.weight.data.mul_(0.9)
        self.train(not self.training)
        if self.number == 1:
            self.more = nn.Linear(4, 4)
        x.mul_(2)
        return self.linear(x) + torch.rand(4) * random.random() * np.random.rand()


class DrawsWhenCopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def __deepcopy__(self, memo: dict[int, Any]) -> "DrawsWhenCopied":
        other = DrawsWhenCopied()
        other.load_state_dict(self.state_dict())
        random.random()
        return other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class ReturnsItself(nn.Module):
    """Its copy is itself, so that looking at the copy would be looking at it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def __deepcopy__(self, memo: dict[int, Any]) -> "ReturnsItself":
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.linear(x)


class SharesWhenCopied(nn.Linear):
    """Its copy has the same tensors."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "SharesWhenCopied":
        other = SharesWhenCopied(self.in_features, self.out_features)
        other.weight, other.bias = self.weight, self.bias
        return other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight.data.mul_(0.5)
        return super().forward(x)


class Remembers(nn.Module):
    """Keeps an output with its graph, which torch does not copy by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.last = self.linear(torch.ones(1, 4))
        self.all = [self.last]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = self.linear(x)
        self.all.append(self.last)
        return self.last


class UnusedLazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.never = nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def modes() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Sequential(nn.BatchNorm1d(4)))
    model[1].eval()
    return model


def graded() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    model[:2](torch.ones(3, 4)).sum().backward()
    return model


UNTOUCHED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[str, ...]]] = {
    **{name: (BY_HAND[name], ZOO[name].input, ()) for name in ZOO},
    "mutates": (Mutates, (4,), ("linear",)),
    "draws when copied": (DrawsWhenCopied, (4,), ("linear",)),
    "returns itself": (ReturnsItself, (4,), ("linear",)),
    "shares when copied": (lambda: nn.Sequential(SharesWhenCopied(4, 4)), (4,), ("0",)),
    "unused lazy": (UnusedLazy, (4,), ("linear",)),
    "modes": (modes, (4,), ("3",)),
    "remembers": (Remembers, (4,), ("linear",)),
    "graded": (graded, (4,), ("1",)),
    "fails": (lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(5, 5)), (4,), ("1",)),
    "holder": (Holder, (4,), ("a",)),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.5), nn.RReLU(), nn.Linear(4, 4), nn.AlphaDropout()), (4,), ("0",)),
    "in place": (lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4), nn.ELU(inplace=True)), (4,), ("2",)),
    "lazy norm": (lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU()), (3, 8, 8), ("1",)),
    **{how: (normed(how), (6,), ("1",)) for how in NORMED},
    "lstm": (lambda: nn.LSTM(3, 4), (5, 3), ()),
    "transformer": (MODELS["transformer"], (5, 8), ("layers", "0", "self_attn")),
}  # fmt: skip


REFUSED = ("fails", "returns itself", "shares when copied", "remembers")  # where a look may end with a sentence


def bytes_of(tensor: torch.Tensor | None) -> object:
    if tensor is None or is_lazy(tensor):
        return None if tensor is None else "lazy"
    return tensor.dtype, tuple(tensor.shape), tensor.detach().clone().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def everything(model: nn.Module) -> list[object]:
    """All that a look could change."""
    seen: list[object] = []
    for spot in places.spots(model):
        module = spot.module
        seen += [spot.place, type(module), module.training, id(module)]
        own = {name: p for name, p in module._parameters.items() if p is not None}
        seen += [(name, id(p), bytes_of(p), bytes_of(p.grad), p.requires_grad) for name, p in own.items()]
        seen += [(name, id(b), bytes_of(b)) for name, b in module._buffers.items() if b is not None]
        seen += [(name, id(t), bytes_of(t)) for name, t in places.plain_tensors(module)]
        seen += [sorted(k for k in vars(module)), len(module._forward_hooks), len(module._forward_pre_hooks)]
        seen += [(k, v) for k, v in vars(module).items() if isinstance(v, int | float | str)]
    seen += [bytes_of(torch.get_rng_state()), random.getstate(), str(np.random.get_state()), torch.is_grad_enabled()]
    return [*seen, torch.backends.mha.get_fastpath_enabled()]


def looks(paths: Paths, place: tuple[str, ...]) -> dict[str, Callable[[nn.Module, tuple[int, ...]], object]]:
    def batch(model: nn.Module, shape: tuple[int, ...], size: int = 2) -> torch.Tensor:
        return inputs.batch(model, Input(shape=shape), size, paths).inputs

    return {
        "probe": lambda model, shape: probe(model, batch(model, shape)),
        "flow": lambda model, shape: flow(model, batch(model, shape, 1), "", place),
        "measure": lambda model, shape: detail.measure(model, batch(model, shape), place),
        "examine": lambda model, shape: examine(model, Input(shape=shape), Question(3), paths),
        "rows": lambda model, shape: places.rows(model),
    }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(detail, "BUDGET", 0.0)
    yield


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore:Error detected in")
@pytest.mark.parametrize("name", UNTOUCHED)
def test_looking_leaves_the_network_and_all_random_states_bit_for_bit(name: str, paths: Paths) -> None:
    make, shape, place = UNTOUCHED[name]
    torch.manual_seed(5)
    model = make()
    for what, look in looks(paths, place).items():
        before = everything(model)
        try:
            look(model, shape)
        except MlptuiError as error:
            assert str(error) and "\n" not in str(error)
            assert name in REFUSED, f"{what} of {name}: {error}"
        assert everything(model) == before, f"{what} of {name}"


def test_a_second_look_sees_the_same() -> None:
    batch = torch.randn(2, 4)
    for model in (Mutates(), modes(), graded()):
        one, two = (probe(model, batch.clone()) for _ in range(2))
        assert one.passed == two.passed and one.multiply_adds == two.multiply_adds


def test_a_copy_shares_no_memory_with_the_network() -> None:
    for name in ("mlp-module", "fixed-hidden", "tied", "batch-norm-mlp", "weight_norm", "spectral_norm", "lstm", "holder"):
        model = MODELS[name]()
        twin = copied(model)

        def memory(one: nn.Module) -> set[int]:
            tensors = [t for m in one.modules() for _, t, _ in places.own_tensors(m)]
            return {t.untyped_storage().data_ptr() for t in tensors}

        assert not memory(model) & memory(twin), name
        assert repr(twin) == repr(model)
        assert all(p.grad is None for p in twin.parameters())


class Uncopyable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        import threading

        self.linear = nn.Linear(4, 4)
        self.lock = threading.Lock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@pytest.mark.parametrize("what", ["probe", "flow", "measure", "examine"])
def test_what_cannot_be_copied_says_why_and_is_not_run(what: str, paths: Paths) -> None:
    with pytest.raises(CopyError, match="cannot be copied") as caught:
        looks(paths, ("linear",))[what](Uncopyable(), (4,))
    assert "\n" not in str(caught.value) and "lock" in str(caught.value)


def test_a_network_too_large_for_a_copy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlptui.engine.inspect import copies

    class Little:
        def read(self) -> Any:
            return type("Reading", (), {"memory_available": 1000})()

    monkeypatch.setattr(copies, "CpuReader", Little)
    with pytest.raises(CopyError, match="needs a copy of"):
        copied(nn.Linear(100, 100))


# faults and what mends them

FAULTS = {
    "linear": ("nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 2))", (4,), ("2",)),
    "first linear": ("nn.Sequential(nn.Linear(5, 8), nn.ReLU())", (4,), ("0",)),
    "a single linear": ("nn.Linear(5, 8)", (4,), ()),
    "linear by name": ("nn.Sequential(OrderedDict([('a', nn.ReLU()), ('b', nn.Linear(5, 8))]))", (4,), ("b",)),
    "linear in a block": ("nn.Sequential(nn.Sequential(nn.Linear(4, 8)), nn.Sequential(nn.Linear(9, 2)))", (4,), ("1", "0")),
    "linear by hand": ("nn.Sequential(MyLinear(4, 8), MyLinear(9, 2))", (4,), ("1",)),
    "corrected by hand": ("nn.Sequential(MyLinearCorrected(5, 8))", (4,), ("0",)),
    "conv": ("nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(3, 6, 3))", (1, 12, 12), ("2",)),
    "first conv": ("nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU())", (3, 12, 12), ("0",)),
    "conv1d": ("nn.Sequential(nn.Conv1d(1, 6, 3), nn.ReLU())", (3, 12), ("0",)),
    "conv3d": ("nn.Sequential(nn.Conv3d(1, 6, 3), nn.ReLU())", (3, 6, 6, 6), ("0",)),
    "batch norm": ("nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(9))", (4,), ("1",)),
    "batch norm of pictures": ("nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(3))", (1, 12, 12), ("1",)),
    "batch norm 1d of pictures": ("nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm1d(6))", (1, 12, 12), ("1",)),
    "batch norm 2d of features": ("nn.Sequential(nn.Linear(4, 8), nn.BatchNorm2d(8))", (4,), ("1",)),
    "batch norm 3d of pictures": ("nn.Sequential(nn.BatchNorm3d(3))", (1, 12, 12), ("0",)),
    "lazy batch norm of pictures": ("nn.Sequential(nn.LazyBatchNorm1d())", (1, 12, 12), ("0",)),
    "flatten missing": ("nn.Sequential(nn.Linear(784, 10))", (1, 28, 28), ("0",)),
    "flatten missing, single layer": ("nn.Linear(784, 10)", (1, 28, 28), ()),
    "flatten missing after conv": ("nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Linear(1152, 10))", (1, 28, 28), ("2",)),
    "flatten missing, by name": ("nn.Sequential(OrderedDict([('l', nn.Linear(784, 10))]))", (1, 28, 28), ("l",)),
    "flatten missing, one channel less": ("nn.Sequential(nn.Linear(784, 10))", (28, 28), ("0",)),
    "flatten missing in a tied block": (
        "b = nn.Sequential(nn.Linear(36, 36), nn.Unflatten(1, (1, 6, 6)))\nnn.Sequential(b, b)", (1, 6, 6), ("0", "0")
    ),
    "flatten missing and another size": ("nn.Sequential(nn.Linear(100, 10))", (1, 28, 28), ("0",)),
    "layer norm": ("nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(9))", (4,), ("1",)),
    "layer norm as a tuple": ("nn.Sequential(nn.LayerNorm((9,)))", (4,), ("0",)),
    "layer norm of pictures": ("nn.Sequential(nn.LayerNorm(9))", (1, 12, 12), ("0",)),
    "nested guide": ("nn.Sequential(block2(), nn.Linear(5, 1))", (4,), ("1",)),
    "by hand": ("MySequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 2))", (4,), ("2",)),
    "flatten missing by hand": ("MySequential(nn.ReLU(), nn.Linear(144, 2))", (1, 12, 12), ("1",)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_marks_its_layer_and_the_first_fix_lets_the_input_pass(name: str, paths: Paths) -> None:
    text, shape, place = FAULTS[name]
    workbench = Workbench(paths)
    workbench.answer(Open(text=text))
    wanted = Probe(input=Input(shape=shape))
    shown = workbench.answer(wanted)
    assert shown.kind == "shapes" and shown.fault is not None and not shown.why
    assert shown.fault.place == place and shown.fault.fixes, shown.fault
    for _ in range(2 if "another size" in name else 1):
        assert shown.fault
        assert workbench.answer(shown.fault.fixes[0].change).kind == "sheet"
        shown = workbench.answer(wanted)
        assert shown.kind == "shapes"
    assert shown.fault is None, shown.fault


@pytest.mark.parametrize("name", FAULTS)
def test_every_fix_that_is_offered_can_be_made(name: str, paths: Paths) -> None:
    text, shape, _ = FAULTS[name]
    workbench = Workbench(paths)
    workbench.answer(Open(text=text))
    shown = workbench.answer(Probe(input=Input(shape=shape)))
    assert shown.kind == "shapes" and shown.fault
    for step in shown.fault.fixes:
        workbench.answer(Open(text=text))
        changed = workbench.answer(step.change)
        assert changed.kind == "sheet" and step.says and "\n" not in step.says, changed


def test_what_passed_before_the_fault_is_shown_and_what_comes_after_is_empty() -> None:
    found = probe(nn.Sequential(nn.Linear(4, 8), nn.Linear(9, 2), nn.Linear(2, 2)), torch.zeros(2, 4))
    assert [(p.input, p.output, p.calls) for p in found.passed] == [
        ("[2, 4]", "", 1), ("[2, 4]", "[2, 8]", 1), ("[2, 8]", "", 1), ("", "", 0),
    ]  # fmt: skip
    assert found.fault and found.fault.message.startswith("[2, 8] came in: ") and found.multiply_adds == 2 * 32


def test_a_fault_inside_of_a_block_marks_the_inner_layer_without_a_fix(paths: Paths) -> None:
    workbench = Workbench(paths)
    workbench.answer(Open(text="nn.Sequential(NestMLP(in_features=21), nn.ReLU())"))
    shown = workbench.answer(Probe(input=Input(shape=(20,))))
    assert shown.kind == "shapes" and shown.fault
    assert shown.fault.place == ("0", "net", "0") and shown.fault.fixes == ()


def test_the_doctors_fix_for_a_misfit_is_the_probes(paths: Paths) -> None:
    model = build(parse("nn.Sequential(nn.Linear(4, 8), nn.Linear(9, 2))"))
    report = examine(model, Input(shape=(4,)), Question(), paths)
    assert [(f.code, f.place) for f in report.findings] == [("shape", ("1",))]
    assert report.findings[0].fix and report.findings[0].fix.change == Change(
        action="argument", place=("1",), text="in_features=8"
    )
