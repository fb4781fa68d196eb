"""Drawing parameters anew: moments and shapes of what each scheme draws, seeds, which tensors a rule is for, refusals."""

import math
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import MlptuiError
from mlptui.core.parameters import schemes
from mlptui.core.parameters.messages import Rule
from mlptui.core.parameters.schemes import SCHEMES, SchemeError
from mlptui.engine.build import build
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.initialise import DRAWERS, chosen, draw, drawn
from mlptui.engine.parameters.tensors import same_bytes, tensors
from mlptui.engine.parameters.views import default_scheme

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
Z = 2.807  # of a normal distribution outside: 1 in 200 a side, 99 % for mean and deviation together
HALVES = "0.25:U(5,10) 0.5:0 0.25:U(-10,-5)"


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    """These networks are small; threads only wait for each other."""
    torch.set_num_threads(1)
    torch.manual_seed(11)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Processor time of this process; torch's loops over bad numbers are loops of Python."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def rules(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(select=select, scheme=scheme) for select, scheme in pairs)


def numbers(model: nn.Module, select: str, scheme: str, seed: int = 0) -> torch.Tensor:
    """What is drawn for the one tensor that `select` means."""
    ((_, _, data),) = draw(model, rules((select, scheme)), seed).drawn
    return data


def by_path(model: nn.Module, *pairs: tuple[str, str], seed: int = 0) -> dict[str, torch.Tensor]:
    return {named.path: data for named, _, data in draw(model, rules(*pairs), seed).drawn}


def small() -> nn.Module:
    return build(parse(
        "nn.Sequential(OrderedDict([('a', nn.Linear(8, 16)), "
        "('b', nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU())), "
        "('c', nn.Conv1d(1, 4, 3)), ('d', nn.Embedding(5, 3)), ('e', nn.Linear(16, 2, bias=False)), ('ab', nn.Linear(2, 2))]))"
    ))  # fmt: skip


# what is drawn

MOMENTS = [
    "uniform", "uniform(-3, 5)", "normal", "normal(3, 0.5)", "normal(0, 0.01)", "trunc_normal", "trunc_normal(0, 1, -1, 3)",
    "trunc_normal(1, 2, -1, 0)", "trunc_normal(0, 0.02, -0.04, 0.04)", "trunc_normal(0, 5, -1, 1)", "xavier_uniform",
    "xavier_uniform(2)",
    "xavier_normal", "xavier_normal(0.5)", "kaiming_uniform", "kaiming_uniform(mode=fan_out)",
    "kaiming_uniform(nonlinearity=tanh)",
    "kaiming_uniform(2.23606797749979)", "kaiming_normal", "kaiming_normal(0.2)", "kaiming_normal(nonlinearity=selu)",
    "kaiming_normal(nonlinearity=relu, mode=fan_out)",
    "kaiming_normal(nonlinearity=sigmoid)", "sparse(0.9)", "sparse(0.25, 2)", "default", HALVES, "0.5:N(0,1) 0.5:N(3,0.5)",
    "0.1:N(9,1) 0.9:U(-1,1)", "0.999:0 0.001:U(50,60)",
]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("text", MOMENTS)
def test_moments_are_those_of_theory(text: str, seed: int) -> None:
    model = nn.Linear(300, 200)
    ((named, scheme, data),) = draw(model, rules(("weight", text)), seed).drawn
    written = default_scheme(named) if text == "default" else text
    wanted = schemes.theory(schemes.read(written), tuple(data.shape))
    assert (
        wanted is not None
        and scheme == schemes.read(text)
        and data.shape == model.weight.shape
        and data.dtype == torch.float32
    )
    n, found = data.numel(), data.double()
    assert abs(float(found.mean()) - wanted.mean) < Z * wanted.deviation / math.sqrt(n)
    fourth = float(((found - wanted.mean) ** 4).mean())
    error = math.sqrt(max(fourth - wanted.deviation**4, 1e-30) / n) / (2 * wanted.deviation)
    assert abs(float(found.std()) - wanted.deviation) < Z * error


@pytest.mark.parametrize("text", [t for t in MOMENTS if "sparse" not in t and t != "default"])
def test_histograms_are_those_of_theory_by_chi_square(text: str) -> None:
    data = numbers(nn.Linear(300, 200), "weight", text, seed=4).double().reshape(-1)
    wanted = schemes.theory(schemes.read(text), (200, 300))
    assert wanted is not None
    inside = torch.linspace(float(data.min()), float(data.max()) + 1e-9, 31, dtype=torch.float64).tolist()
    edges = [-math.inf, *inside[1:-1], math.inf]
    shares = np.array([wanted.share(a, b) for a, b in pairwise(edges)])
    counts = np.histogram(data.numpy(), [-1e9, *inside[1:-1], 1e9])[0]
    assert shares.sum() == pytest.approx(1) and counts.sum() == len(data)
    usual = shares * len(data) > 5
    rest = ~usual
    observed = np.append(counts[usual], counts[rest].sum())
    hoped = np.append(shares[usual], shares[rest].sum()) * len(data)
    observed, hoped = observed[hoped > 1], hoped[hoped > 1]
    chi, freedom = float(((observed - hoped) ** 2 / hoped).sum()), max(1, len(hoped) - 1)
    assert chi < freedom + 3.5 * math.sqrt(2 * freedom) + 5


def test_bounds_are_kept() -> None:
    model = nn.Linear(300, 200)
    for text, low, high in (
        ("uniform(-3, 5)", -3, 5),
        ("trunc_normal(0, 1, -1, 0.5)", -1, 0.5),
        ("xavier_uniform", -math.sqrt(6 / 500), math.sqrt(6 / 500)),
    ):
        data = numbers(model, "weight", text)
        reach = 0.001 * (high - low)
        assert low <= float(data.min()) < low + reach and high - reach < float(data.max()) <= high + 1e-9
    assert set(numbers(model, "weight", "ones").unique().tolist()) == {1.0}
    assert set(numbers(model, "weight", "zeros").unique().tolist()) == {0.0}
    assert set(numbers(model, "weight", "constant(-42)").unique().tolist()) == {-42.0}
    assert set(numbers(model, "weight", "uniform(2, 2)").unique().tolist()) == {2.0}
    assert set(numbers(model, "weight", "normal(3, 0)").unique().tolist()) == {3.0}


def test_the_mixture_of_the_guide_has_its_parts_by_chi_square_and_exact_zeros() -> None:
    """d2l: uniform in -10..-5 and 5..10 with a quarter each, 0 else."""
    data = numbers(nn.Linear(400, 300), "weight", HALVES)
    n = data.numel()
    counts = [int((data > 0).sum()), int((data == 0).sum()), int((data < 0).sum())]
    assert (
        sum(counts) == n
        and bool((data[data > 0] >= 5).all())
        and bool((data[data < 0] <= -5).all())
        and float(data.abs().max()) <= 10
    )
    chi = sum((c - share * n) ** 2 / (share * n) for c, share in zip(counts, (0.25, 0.5, 0.25), strict=True))
    assert chi < 9.21  # 99 % of chi-square with two degrees of freedom
    for part in (data[data > 0].double(), -data[data < 0].double()):
        tenths = np.histogram(part.numpy(), 10, (5, 10))[0]
        assert ((tenths - len(part) / 10) ** 2 / (len(part) / 10)).sum() < 21.67  # 99 %, nine degrees


def test_matrices_at_right_angles() -> None:
    for inputs, outputs in ((30, 20), (20, 30), (25, 25)):
        for gain in (1.0, 2.5):
            data = numbers(nn.Linear(inputs, outputs), "weight", f"orthogonal({gain})").double()
            gram = data @ data.T if outputs <= inputs else data.T @ data
            assert torch.allclose(gram, gain**2 * torch.eye(min(inputs, outputs), dtype=torch.float64), atol=1e-5)
            assert torch.allclose(torch.linalg.svdvals(data), torch.tensor(gain, dtype=torch.float64), atol=1e-5)
    kernel = numbers(nn.Conv2d(3, 8, 3), "weight", "orthogonal").double().reshape(8, -1)
    assert torch.allclose(kernel @ kernel.T, torch.eye(8, dtype=torch.float64), atol=1e-5)


def test_eye_dirac_and_sparse() -> None:
    assert torch.equal(numbers(nn.Linear(5, 3), "weight", "eye"), torch.eye(3, 5))
    conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    conv.weight.data = numbers(conv, "weight", "dirac")
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(conv(x), x)
    grouped = numbers(nn.Conv1d(2, 4, 3), "weight", "dirac(2)")
    assert grouped.sum() == 4 and torch.equal(grouped[:2], grouped[2:])
    sparse = numbers(nn.Linear(40, 30), "weight", "sparse(0.71, 2)")
    assert set((sparse == 0).sum(0).tolist()) == {math.ceil(0.71 * 30)} and 1 < float(sparse[sparse != 0].std()) < 3
    assert not numbers(nn.Linear(4, 3), "weight", "sparse(1)").any() and numbers(nn.Linear(4, 3), "weight", "sparse(0)").all()


def test_each_scheme_of_torch_is_drawn_by_torchs_own_function() -> None:
    torchs = {name.removesuffix("_") for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")}
    assert torchs == set(DRAWERS) == set(SCHEMES) - {"default"}
    conv = nn.Conv1d(4, 6, 3)
    named = tensors(conv)["weight"]
    for name in DRAWERS:
        if name in ("eye", "sparse"):
            continue
        text = {"constant": "constant(3)", "dirac": "dirac(2)"}.get(name, name)
        got = drawn(named, schemes.read(text), 77)
        wanted = torch.empty(6, 4, 3)
        torch.manual_seed(77)
        getattr(nn.init, f"{name}_")(wanted, *({"constant": [3.0], "dirac": [2]}.get(name, [])))
        assert torch.equal(got, wanted), name


# seeds


@pytest.mark.parametrize(
    "text", ["normal", "uniform(-1, 1)", "xavier_uniform", "orthogonal", "sparse(0.5)", "trunc_normal", HALVES, "default"]
)
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(text: str) -> None:
    model = nn.Linear(30, 20)
    one = numbers(model, "weight", text, 7)
    torch.manual_seed(99)
    random.seed(5)
    assert same_bytes(one, numbers(model, "weight", text, 7)) and same_bytes(
        one, numbers(nn.Linear(30, 20), "weight", text, 7)
    )
    for seed in (8, 0, -1, 2**63, 10**30):
        assert not torch.equal(one, numbers(model, "weight", text, seed)), seed


def test_tensors_of_one_shape_are_drawn_differently() -> None:
    model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(5)])
    found = by_path(model, ("*.weight", "normal"))
    assert len(found) == 5 and len({data.numpy().tobytes() for data in found.values()}) == 5


def test_the_state_of_all_generators_is_as_before() -> None:
    model = small()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    for pairs in ([("*", "normal")], [("*", "default")], [("Linear", HALVES), ("*.bias", "zeros")]):
        try:
            draw(model, rules(*pairs), 5)  # type: ignore[arg-type]
        except MlptuiError:
            pass
    with pytest.raises(MlptuiError):
        draw(model, rules(("*", "normal"), ("a.bias", "eye")), 5)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


def test_a_rule_for_one_tensor_changes_nothing_that_another_one_gets() -> None:
    model = small()
    alone = by_path(model, ("*.weight", "xavier_uniform"))
    for more in (("a.bias", "normal"), ("d.weight", "constant(5)"), ("*.bias", "uniform"), ("BatchNorm1d", "ones")):
        for pairs in ((more, ("*.weight", "xavier_uniform")), (("*.weight", "xavier_uniform"), more)):
            found = by_path(model, *pairs)
            replaced = set(by_path(model, more)) if pairs[1] is more else set()
            for path in set(alone) - replaced:
                assert same_bytes(found[path], alone[path]), (pairs, path)
    for path, data in alone.items():
        assert same_bytes(by_path(model, (path, "xavier_uniform"))[path], data)


def test_drawing_leaves_the_network_as_it_is() -> None:
    model = small()
    before = {k: (v.clone(), v.data_ptr(), v._version) for k, v in model.state_dict(keep_vars=True).items()}
    found = draw(model, rules(("*.weight", "normal"), ("*.bias", "uniform")), 0).drawn
    for path, tensor in model.state_dict(keep_vars=True).items():
        assert torch.equal(tensor, before[path][0]) and (tensor.data_ptr(), tensor._version) == before[path][1:]
    assert all(data.data_ptr() != named.tensor.data_ptr() and not data.requires_grad for named, _, data in found)


# which tensors

ALL = [
    "a.weight",
    "a.bias",
    "b.0.weight",
    "b.0.bias",
    "b.1.weight",
    "b.1.bias",
    "c.weight",
    "c.bias",
    "d.weight",
    "e.weight",
    "ab.weight",
    "ab.bias",
]
LINEAR = ["a.weight", "a.bias", "b.0.weight", "b.0.bias", "e.weight", "ab.weight", "ab.bias"]
SELECTED = {
    "*": ALL, "a": ["a.weight", "a.bias"], "a.weight": ["a.weight"], " a.weight ": ["a.weight"],
    "b": [p for p in ALL if p.startswith("b.")], "b.0": ["b.0.weight", "b.0.bias"],
    "b.1": ["b.1.weight", "b.1.bias"], "*.bias": [p for p in ALL if p.endswith("bias")],
    "*.weight": [p for p in ALL if p.endswith("weight")], "b.*": [p for p in ALL if p.startswith("b.")],
    "a*": ["a.weight", "a.bias", "ab.weight", "ab.bias"], "?.weight": ["a.weight", "c.weight", "d.weight", "e.weight"],
    "[ac].bias": ["a.bias", "c.bias"], "Linear": LINEAR,
    "Linear.bias": ["a.bias", "b.0.bias", "ab.bias"], "Linear.weight": ["a.weight", "b.0.weight", "e.weight", "ab.weight"],
    "Linear.*": LINEAR, "Linear.w*": ["a.weight", "b.0.weight", "e.weight", "ab.weight"],
    "BatchNorm1d": ["b.1.weight", "b.1.bias"], "Conv1d.weight": ["c.weight"], "Embedding": ["d.weight"], "Sequential": ALL,
    "*.?.bias": ["b.0.bias", "b.1.bias"],
}  # fmt: skip


@pytest.mark.parametrize("select", SELECTED)
def test_rules_mean_paths_subtrees_classes_and_patterns(select: str) -> None:
    found, _ = chosen(small(), rules((select, "normal")))
    assert [named.path for named, _ in found] == SELECTED[select]
    assert all(scheme == schemes.read("normal") for _, scheme in found)


def test_of_several_rules_the_last_one_holds() -> None:
    found = {
        n.path: str(s)
        for n, s in chosen(
            small(), rules(("*", "normal"), ("*.bias", "zeros"), ("Linear", "ones"), ("a.bias", "constant(5)"))
        )[0]
    }
    assert (
        set(found) == set(ALL)
        and found["a.bias"] == "constant(val=5)"
        and found["b.1.bias"] == "zeros"
        and found["c.weight"] == "normal"
    )
    assert [found[path] for path in LINEAR if path != "a.bias"] == ["ones"] * 6


def test_patterns_pass_by_what_their_scheme_does_not_suit() -> None:
    assert set(by_path(small(), ("*", "xavier_uniform"))) == {p for p in ALL if p.endswith("weight") and p != "b.1.weight"}
    assert set(by_path(small(), ("*", "dirac"))) == {"c.weight"}
    assert set(by_path(small(), ("Linear", "orthogonal"))) == {"a.weight", "b.0.weight", "e.weight", "ab.weight"}


def test_the_guides_xavier_on_the_first_and_42_on_the_third_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    found = by_path(model, ("0.weight", "xavier_uniform"), ("2.weight", "constant(42)"))
    assert list(found) == ["0.weight", "2.weight"]
    assert float(found["0.weight"].abs().max()) <= math.sqrt(6 / 12) and found["0.weight"].unique().numel() == 32
    assert found["2.weight"].tolist() == [[42.0] * 8]


def test_a_tied_tensor_is_drawn_once_under_its_first_name() -> None:
    model = build(parse(ZOO["tied"].text))
    for select in ("4.weight", "2.weight"):
        ((named, _, data),) = draw(model, rules((select, "normal")), 3).drawn
        assert named.path == "2.weight" and same_bytes(data, numbers(model, "2.weight", "normal", 3))
    assert [named.path for named, _ in chosen(model, rules(("*.weight", "normal")))[0]] == ["0.weight", "2.weight", "6.weight"]


@pytest.mark.parametrize("name", [name for name in ZOO if name != "lazy"])
def test_every_network_of_the_zoo_is_drawn_by_one_rule(name: str) -> None:
    model = build(parse(ZOO[name].text))
    found = draw(model, rules(("*", "normal(0, 0.01)")), 0).drawn
    assert {id(named.tensor) for named, _, _ in found} == {id(p) for p in model.parameters()} and len(found) == len(
        {*model.parameters()}
    )
    assert all(data.shape == named.tensor.shape and data.dtype == named.tensor.dtype for named, _, data in found)


# types


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(
    "text", ["normal", "xavier_uniform", "orthogonal", HALVES, "constant(0.1)", "trunc_normal", "sparse(0.5)", "default"]
)
def test_parameters_of_other_types_keep_them(dtype: torch.dtype, text: str) -> None:
    model = nn.Linear(300, 200).to(dtype)
    ((named, _, data),) = draw(model, rules(("weight", text)), 1).drawn
    assert data.dtype == dtype and data.shape == (200, 300) and bool(data.isfinite().all())
    wanted = schemes.theory(schemes.read(default_scheme(named) if text == "default" else text), (200, 300))
    if wanted is not None and wanted.deviation:
        assert float(data.double().std()) == pytest.approx(wanted.deviation, rel=0.02)


def test_float64_is_drawn_in_float64() -> None:
    model = nn.Linear(300, 200).double()
    assert set(numbers(model, "weight", "constant(0.1)").unique().tolist()) == {0.1}
    assert not torch.equal(numbers(model, "weight", "normal"), numbers(model, "weight", "normal").float().double())
    far = numbers(model, "weight", "normal(1e9, 1)") - 1e9
    assert abs(float(far.mean())) < 0.02 and float(far.std()) == pytest.approx(1, rel=0.02)
    parts = numbers(model, "weight", "0.5:0.1 0.5:0.7")
    assert set(parts.unique().tolist()) == {0.1, 0.7}


def test_pytorchs_default_is_what_pytorch_draws() -> None:
    torch.manual_seed(0)
    for layer in (nn.Linear(300, 200), nn.Conv2d(30, 20, 5), nn.ConvTranspose1d(60, 40, 5), nn.Embedding(300, 100),
                  nn.LSTM(50, 40), nn.GRUCell(50, 60),
                  nn.BatchNorm2d(7), nn.LayerNorm([3, 4]), nn.GroupNorm(2, 6), nn.InstanceNorm1d(5, affine=True),
                  nn.RNN(40, 50, 2)):  # fmt: skip
        found = by_path(layer, ("*", "default"))
        assert set(found) == {name for name, _ in layer.named_parameters()}
        for path, data in found.items():
            own = layer.get_parameter(path).detach()
            if own.unique().numel() == 1:
                assert torch.equal(data, own)
                continue
            few = math.sqrt(own.numel())
            assert (
                abs(float(data.std() / own.std()) - 1) < 5 / few
                and abs(float(data.mean() - own.mean())) < 6 * float(own.std()) / few
            )
            if own.numel() > 500 and not isinstance(layer, nn.Embedding):
                assert float(data.abs().max()) == pytest.approx(float(own.abs().max()), rel=0.02)


def test_where_pytorchs_default_is_not_known_it_is_not_guessed() -> None:
    attention = nn.MultiheadAttention(8, 2)
    for path, named in tensors(attention).items():
        assert default_scheme(named) in ("", "zeros") or path == "out_proj.weight"
    for layer in (nn.Embedding(5, 3, padding_idx=1), nn.PReLU(), nn.Bilinear(2, 3, 4), attention):
        with pytest.raises(ParameterError, match="not known here"):
            draw(layer, rules((next(iter(tensors(layer))), "default")), 0)
    with pytest.warns(FutureWarning):
        normed = nn.utils.weight_norm(nn.Linear(3, 4))
    assert [default_scheme(named) for path, named in tensors(normed).items() if path.startswith("weight_")] == ["", ""]


# refusals

NO = [
    ("", "normal", "nothing"), ("  ", "normal", "nothing"), ("x", "normal", "no parameter is meant by x"),
    ("a.weigth", "normal", "did you mean a.weight?"), ("*.gamma", "normal", "no parameter"),
    ("linear", "normal", "did you mean Linear?"), ("Linear.gamma", "normal", "no parameter"),
    ("ReLU", "normal", "no parameter"), ("b.2", "normal", "no parameter"), ("b.1.running_mean", "normal", "no parameter"),
    ("[", "normal", "no parameter"), ("\x1b[31m", "normal", "no parameter"), ("a\nb", "normal", "no parameter"),
    ("*" * 60 + "x", "normal", "no parameter"), ("*a" * 40, "normal", "no parameter"), ("x" * 5000, "normal", "no parameter"),
    ("a.bias", "xavier_uniform", "weights with inputs and outputs"), ("a.bias", "kaiming_normal", "[16]"),
    ("a.bias", "orthogonal", "matrices"), ("a.bias", "eye", "matrices"), ("c.weight", "eye", "[4, 1, 3]"),
    ("c.weight", "sparse(0.5)", "matrices"), ("a.weight", "dirac", "convolutions"),
    ("*.bias", "xavier_normal", "weights with inputs"), ("BatchNorm1d", "eye", "matrices"),
    ("c.weight", "dirac(3)", "3 groups"), ("b.1", "orthogonal", "matrices"),
    ("a.weight", "nonsense", "there is no"), ("a.weight", "", "write how"), ("a.weight", "normal(0, -1)", "negative"),
    ("a.weight", "0.5:1 0.4:2", "add up to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("select", "scheme", "words"), NO, ids=lambda text: ascii(text)[1:30])
def test_a_refusal_says_why(select: str, scheme: str, words: str) -> None:
    model = small()
    with within(2), pytest.raises((ParameterError, SchemeError)) as caught:
        draw(model, rules(("*.weight", "normal"), (select, scheme)), 0)
    assert words in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_lazy_tensors_are_refused_with_a_sentence() -> None:
    model = build(parse(ZOO["lazy"].text))
    for select in ("1.weight", "*", "LazyLinear", "1", "*.bias"):
        with pytest.raises(ParameterError, match="has no size yet; give the network an input first"):
            draw(model, rules((select, "normal")), 0)
    half = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))
    assert set(by_path(half, ("*.weight", "normal"))) == {"1.weight"}


def test_tensors_of_other_kinds_are_refused_with_a_sentence() -> None:
    model = nn.Module()
    model.register_parameter("whole", nn.Parameter(torch.ones(3, dtype=torch.int64), requires_grad=False))
    model.register_parameter("complex_", nn.Parameter(torch.ones(3, dtype=torch.complex64)))
    model.register_parameter("empty", nn.Parameter(torch.ones(0, 3)))
    model.register_parameter("scalar", nn.Parameter(torch.tensor(2.0)))
    for path, scheme, words in (
        ("whole", "ones", "int64"),
        ("complex_", "normal", "complex64"),
        ("empty", "xavier_uniform", "holds no numbers"),
        ("scalar", "xavier_normal", "shape []"),
    ):
        with pytest.raises(ParameterError) as caught:
            draw(model, rules((path, scheme)), 0)
        assert words in str(caught.value)
    assert numbers(model, "scalar", "normal").shape == () and set(by_path(model, ("*", "ones"))) == {"scalar"}


def test_nothing_is_drawn_by_no_rule_or_in_a_network_without_parameters() -> None:
    assert not draw(small(), (), 0).drawn
    with pytest.raises(ParameterError):
        draw(nn.ReLU(), rules(("*", "normal")), 0)


@pytest.mark.parametrize("text", ["trunc_normal(5, 0.01)", "trunc_normal(1000)", "trunc_normal(-9, 0.001)"])
def test_a_bell_far_from_its_bounds_is_refused_and_torch_does_not_look_for_ever(text: str) -> None:
    with within(0.5), pytest.raises((ParameterError, SchemeError)):
        draw(nn.Linear(30, 20), rules(("weight", text)), 0)


def test_a_bell_without_any_width_is_refused_or_one_number() -> None:
    with within(1):
        try:
            assert set(numbers(nn.Linear(3, 2), "weight", "trunc_normal(0, 0)").unique().tolist()) == {0.0}
        except (ParameterError, SchemeError):
            pass
