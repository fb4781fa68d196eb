"""How numbers are drawn, as text: every scheme in several spellings and back, what is no scheme, and what theory says."""

import math
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.parameters import schemes
from mlptui.core.parameters.schemes import MAX_PARTS, MAX_TEXT, SCHEMES, TELLS, Scheme, SchemeError, Theory, read, theory

bounded = settings(derandomize=True, deadline=None, max_examples=200, database=None)
AT_ONCE = 0.1  # seconds of processor time
HALVES = "0.25:U(5,10) 0.5:0 0.25:U(-10,-5)"


# reading

SPELLED = {
    "default": ["default", "Default", " default ", "default()", "DEFAULT( )"],
    "uniform": ["uniform", "uniform_", "Uniform", "uniform(0, 1)", "U(0,1)", "u", "uniform(a=0, b=1)", "uniform(b=1.0)",
                "nn.init.uniform_", "init.uniform_(0.0, 1e0)", "uniform_ (b=1, a=0)"],
    "uniform(a=-1, b=2)": ["uniform(-1, 2)", "U(-1,2)", "u(-1.0, b=2)", "nn.init.uniform_(-1, 2)", "uniform(b=2, a=-1)"],
    "uniform(a=-0.5, b=0.5)": ["uniform(-.5, .5)", "U( -5e-1 , 5e-1 )", "uniform_(-0.5, 0.5)", "uniform(-0.5,\n0.5)"],
    "normal": ["normal", "N", "n(0,1)", "normal(0, 1)", "nn.init.normal_()", "init.normal_(std=1)", "normal(mean=0)"],
    "normal(std=0.01)": ["normal(0, 0.01)", "N(0, .01)", "normal(std=0.01)", "normal_(0, std=1e-2)",
                         "normal(std=0.01, mean=0)"],
    "normal(mean=3, std=0)": ["normal(3, 0)", "N(3,0)", "normal(mean=3.0, std=0)"],
    "trunc_normal": ["trunc_normal", "trunc_normal_", "trunc_normal(0, 1, -2, 2)", "nn.init.trunc_normal_(a=-2, b=2)"],
    "trunc_normal(std=0.02, a=-0.04, b=0.04)": ["trunc_normal(0, 0.02, -0.04, 0.04)", "trunc_normal_(std=.02, a=-.04, b=.04)"],
    "constant(val=42)": ["constant(42)", "constant(val=42)", "42", "42.0", "+42", "4.2e1", "const(42)",
                         "nn.init.constant_(42)", "0x2a"],
    "constant(val=-1.5)": ["constant(-1.5)", "-1.5", "const(-1.5)", "-15e-1"],
    "constant(val=0)": ["constant(0)", "0", ".0", "-0", "+0.0"],
    "ones": ["ones", "ones_", "one", "ONES()", "nn.init.ones_()"],
    "zeros": ["zeros", "zeros_", "zero", "init.zeros_()"],
    "eye": ["eye", "eye_", "nn.init.eye_()"],
    "dirac": ["dirac", "dirac_", "dirac(1)", "dirac(groups=1)", "nn.init.dirac_(groups=1.0)"],
    "dirac(groups=2)": ["dirac(2)", "dirac_(groups=2)"],
    "xavier_uniform": ["xavier_uniform", "xavier_uniform_", "glorot_uniform", "xavier_uniform(1)",
                       "nn.init.xavier_uniform_(gain=1.0)"],
    "xavier_uniform(gain=2)": ["xavier_uniform(2)", "Glorot_Uniform(gain=2)"],
    "xavier_normal": ["xavier_normal", "xavier_normal_", "glorot_normal", "xavier_normal(gain=1)"],
    "kaiming_uniform": ["kaiming_uniform", "kaiming_uniform_", "he_uniform", "kaiming_uniform(0, 'fan_in', 'leaky_relu')",
                        "kaiming_uniform(mode=fan_in)", 'nn.init.kaiming_uniform_(nonlinearity="leaky_relu", a=0)'],
    "kaiming_normal": ["kaiming_normal", "he_normal", "kaiming_normal_()", "kaiming_normal(0, fan_in)"],
    "kaiming_normal(mode=fan_out, nonlinearity=relu)": [
        "kaiming_normal(mode='fan_out', nonlinearity='relu')", "he_normal(0, fan_out, relu)",
        "kaiming_normal_(mode=fan_out, nonlinearity=relu)",
    ],
    "orthogonal": ["orthogonal", "orthogonal_", "orthogonal(1)", "nn.init.orthogonal_(gain=1)"],
    "orthogonal(gain=0.5)": ["orthogonal(0.5)", "orthogonal_(gain=.5)"],
    "sparse(sparsity=0.9)": ["sparse(0.9)", "sparse_(0.9)", "sparse(sparsity=0.9, std=0.01)",
                             "nn.init.sparse_(0.9, std=1e-2)"],
    "sparse(sparsity=0, std=1)": ["sparse(0, 1)", "sparse(std=1, sparsity=0)"],
    "0.25:U(5,10) 0.5:0 0.25:U(-10,-5)": [
        HALVES, "0.25 : u(5, 10)  .5: 0  2.5e-1:U( -10 , -5 )", " 0.25:U(5,10)\t0.5:0.0\n0.25:U(-10,-5) ",
    ],
    "1:3": ["1:3", "1.0 : 3.0"],
    "0.5:N(0,1) 0.5:n(3,0.5)": ["0.5:N(0,1) 0.5:N(3,0.5)", ".5:n(0,1) .5:n(3,.5)"],
    "0:1 1:2": ["0:1 1:2"],
}  # fmt: skip


def test_every_scheme_of_the_table_is_read_here() -> None:
    assert {read(text).name for text in SPELLED} == {*SCHEMES, "mixture"} and set(TELLS) == set(SCHEMES)


@pytest.mark.parametrize("canonical", SPELLED)
def test_a_scheme_is_the_same_in_each_spelling_and_comes_back_from_its_text(canonical: str) -> None:
    wanted = read(canonical)
    assert str(wanted) == canonical.replace("n(3", "N(3")
    for text in SPELLED[canonical]:
        found = read(text)
        assert found == wanted, text
        assert read(str(found)) == found and str(found).isprintable()


@pytest.mark.parametrize("name", SCHEMES)
def test_arguments_are_all_there_with_the_defaults_of_torch(name: str) -> None:
    needs = {"constant": "(7)", "sparse": "(0.5)"}.get(name, "")
    found = read(name + needs)
    assert [key for key, _ in found.arguments] == list(SCHEMES[name]) and not found.pieces
    for key, usual in SCHEMES[name].items():
        if usual is not None:
            assert dict(found.arguments)[key] == usual
            assert (found.word(key) if isinstance(usual, str) else found.argument(key)) == usual


def test_the_mixture_of_the_guide_has_its_parts_in_order() -> None:
    found = read(HALVES)
    assert [(p.share, p.kind, p.low, p.high) for p in found.pieces] == [
        (0.25, "U", 5, 10), (0.5, "", 0, 0), (0.25, "U", -10, -5),
    ]  # fmt: skip
    assert [(p.mean, p.variance) for p in found.pieces] == [(7.5, 25 / 12), (0, 0), (-7.5, 25 / 12)]


numbers = st.floats(-1e29, 1e29).filter(lambda x: x == float(f"{x:g}"))
few = st.integers(-799, 799).map(lambda i: i / 8)


@bounded
@given(few, few, st.sampled_from(["uniform", "normal", "trunc_normal"]))
def test_any_two_short_numbers_come_back(one: float, two: float, name: str) -> None:
    low, high = sorted((one, two))
    text = f"{name}({low}, {high})" if name == "uniform" else f"{name}({low}, {abs(high) + 1}, {low - 900}, {low + 900})"
    if name == "normal":
        text = f"normal({low}, {abs(high)})"
    found = read(text)
    assert read(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["normal(0, 0.0123456789)", "constant(0.1234567)", "uniform(-0.036084391824351615, 0.036084391824351615)", "16777217",
     "xavier_normal(1.66666666666)", "1:0.123456789", "0.5:U(0,0.123456789) 0.5:0"],
)  # fmt: skip
def test_long_numbers_come_back_whole(text: str) -> None:
    found = read(text)
    assert read(str(found)) == found


def test_thirds_come_back() -> None:
    found = read("0.33333333:1 0.33333333:2 0.33333334:3")
    assert read(str(found)) == found


@bounded
@given(numbers)
def test_a_number_alone_is_a_constant(number: float) -> None:
    assert read(repr(number) if number >= 0 else f"-{-number!r}") == Scheme("constant", (("val", number),))


# what is no scheme

WRONG = [
    "", "   ", "\t\n", "x", "norm", "gaussian", "normel(0, 1)", "xavier", "kaiming", "he", "random", "normal(", "normal)",
    "normal(0, 1",
    "normal 0 1", "normal[0, 1]", "normal{0}", "normal(0, 1) normal(0, 1)", "normal(0, 1);", "normal(0, 1, 2)",
    "uniform(0, 1, 2)", "ones(1)",
    "zeros(0)", "eye(3)", "constant", "constant()", "constant(1, 2)", "constant(x)", "constant('1')", "constant(True)",
    "constant(None)",
    "constant(nan)", "constant(inf)", "constant(1e31)", "constant(1e999)", "constant(-1e999)", "constant(1j)", "constant([1])",
    "constant(b'1')", "constant(...)", "constant({})", "constant(value=1)", "sparse", "sparse()", "sparse(2)", "sparse(-0.1)",
    "sparse(0.5, -1)", "normal(0, -1)", "normal(std=-0.001)", "normal(0, nan)", "normal(0, std=1, std=2)", "normal(0, mean=1)",
    "normal(mean=0, 1)", "normal(sigma=1)", "normal(*[0, 1])", "normal(**{'std': 1})", "normal(0 if 1 else 2)",
    "normal(lambda: 0)",
    "normal((x := 1))", "normal([i for i in (1,)])", "normal(f'{1}')", "normal(1 + 1)", "normal(2 ** 9)",
    "normal(__import__('os'))",
    "normal(open('/etc/passwd'))", "normal(os.system)", "normal(a.b)", "normal(().__class__)", "normal(-x)", "normal(0,, 1)",
    "normal(, 1)",
    "uniform(1, 0)", "uniform(a=5)", "uniform('a', 'b')", "uniform(fan_in, 1)", "trunc_normal(0, 1, 2, 2)",
    "trunc_normal(0, 1, 3, 2)",
    "trunc_normal(0, -1)", "dirac(0)", "dirac(-1)", "dirac(1.5)", "dirac('1')", "kaiming_normal(mode=fan)",
    "kaiming_normal(mode=1)",
    "kaiming_normal(nonlinearity=gelu)", "kaiming_normal(nonlinearity=[])", "kaiming_normal(0, [1])",
    "kaiming_normal('fan_in')",
    "kaiming_uniform(0, fan_in, relu, 1)", "kaiming_uniform(0, fan_in, ReLU)", "xavier_uniform(gain=relu)",
    "xavier_uniform(1, 2)",
    "orthogonal(x)", "mixture", "mixture(1)", "__import__('os').system('touch pwned')", "eval('1')", "exec('1')",
    "nn.normal_(0, 1)",
    "nn.init.kaiming(1)", "init.", "nn.init.", "os.system('ls')", "_normal", "normal__(", "9 9", "1, 2", "1 2", "1; 2",
    "1 if 2 else 3", "--1x",
    "1)(2", "1),(f(2", "+", "-", ".", "..", "1.2.3", "1e", "0x", "0b2", "1_", "5:", ":5", "0.5:", "0.5:1", "0.5:1 0.6:2",
    "1.5:1 -0.5:2", "1:x", "1:nan", "1:inf",
    "1:1e31", "x:1", "0.5:1,0.5:2", "0.5:1 and 0.5:2", "1:U", "1:U()", "1:U(1)", "1:U(1,2,3)", "1:U(2,1)", "1:U(a,b)",
    "1:N(0,-1)", "1:N(0)",
    "1:N(nan,1)", "1:N(0,inf)", "1:X(0,1)", "1:U(0,1", "1:U 0,1)", "1:U((0),1)", "1:normal(0,1)", "nan:1 1:2", "0.5:nan 0.5:1",
    "1e400:1", "0.5:1 0.5", "0.5:1 0.5:2 x",
    "0.5:1 0.5:__import__", "1::2", "1:2:3", "1:0x10", "1:1+1", "0.25:U(5;10) 0.75:0", "٣", "１２x", "½", "①", "normal(٣)",
    "normal\uff080, 1\uff09", "nörmal",
    "ｎormal", "\x00", "normal(\x00)", "1\x00", "normal\x1b[31m(0)", "\x1b[2J", "\u202enormal", "normal(\ud800)", "\ud800",
    "1:\ud800", "normal(0\u2028)x",
    "normal(" + "(" * 190 + ")" * 190 + ")", "normal(" + "-" * 380 + "1)", "normal(" + "[" * 195 + "]" * 195 + ")",
    "normal(" + "9" * 390 + ")", "1" + "0" * 398, "-" * MAX_TEXT, "(" * MAX_TEXT, "normal" * 66, "x" * (MAX_TEXT + 1),
    "1" * 100_000,
    "0.1:1 " * 10, "0.01:1 " * 57, " ".join([f"{1 / 9}:1"] * (MAX_PARTS + 1)), ":" * MAX_TEXT, "1:" * 200, "1 : " * 100,
    "a" * 399 + "(", "1" * 200 + " " * 199,
    "1:" + "U(" * 199, "normal(" + "0," * 190 + ")", "normal(" + ",".join(f"a{i}=1" for i in range(60)) + ")",
    "normal('" + "a" * 380 + "')",
    "normal(\n" * 40 + ")", "normal(0)\n normal(1)", "normal('''", "normal(\\", "normal(0 \\", "normal(')", "1:'", "#",
    "normal#", "1 # one", "normal(#)",
    "normal(0, 1)#", "normal(0:1)", "normal(0=1)", "normal(mean==0)", "normal(mean:=0)", "normal(await x)", "normal((yield))",
    "normal(print)", "normal(%s)", "normal({0.__class__})", "normal(1e-400j)", "normal(std=--1e31)", "normal(0, 1e30)",
    "uniform(-1e30, 0)",
]  # fmt: skip


def test_there_are_more_than_eighty_wrong_texts() -> None:
    assert len(set(WRONG)) == len(WRONG) > 80


def refusal(text: str) -> str:
    for again in (True, False):  # the first time Python may collect what other tests left
        began = time.process_time()
        with pytest.raises(SchemeError) as caught:
            read(text)
        if (took := time.process_time() - began) < AT_ONCE:
            break
        assert again, took
    said = str(caught.value)
    assert said and said.isprintable() and len(said) < 400, said
    return said


@pytest.mark.parametrize("text", WRONG, ids=lambda text: ascii(text)[1:40])
def test_what_is_no_scheme_is_refused_with_one_sentence(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize("text", ["0)#", "normal(0)#)", "1)  # ("])
def test_a_comment_is_no_argument(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("normel(0, 1)", "did you mean normal?"), ("Xavier_Unifrom", "did you mean xavier_uniform?"),
        ("constant", "constant(1)"),
        ("sparse", "sparse(0.9)"), ("normal(0, 1, 2)", "at most 2"), ("normal(sigma=1)", "mean, std"), ("eye(x=1)", "nothing"),
        ("kaiming_normal(mode=x)", "fan_in, fan_out"), ("normal(0, -1)", "negative"), ("0.5:1 0.4:2", "0.9"),
        ("uniform(2, 1)", "above"),
        ("normal(0, mean=1)", "mean twice"), ("dirac(1.5)", "whole number"), ("sparse(2)", "0 to 1"),
        ("1:U(2,1)", "lower number first"),
        ("1:N(0,-1)", "negative"), ("1:U(3)", "U(low,high)"), ("x" * 401, "too long"), ("", "write how to draw"),
        ("1:z", "'z'"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(text: str, words: str) -> None:
    assert words in refusal(text)


letters = st.sampled_from("normaluikdefst_()[]{},.:=+-*#'\"\\ \n\x00\x1bUN0123456789e٣é\ud800") | st.characters()


@bounded
@given(st.text(letters, max_size=60) | st.text(max_size=500))
def test_any_text_is_a_scheme_or_refused(text: str) -> None:
    try:
        found = read(text)
    except SchemeError as error:
        assert str(error).isprintable() and str(error)
    else:
        assert (str(found).isprintable() and theory(found, (3, 4)) is None) or theory(found, (3, 4))


@bounded
@given(st.sampled_from([*SCHEMES, "1:U", "0.5:N"]), st.text(letters, max_size=30))
def test_any_arguments_are_taken_or_refused(name: str, arguments: str) -> None:
    try:
        read(f"{name}({arguments})")
    except SchemeError as error:
        assert str(error).isprintable()


# theory

SHAPES = [(10,), (10, 20), (300, 7), (6, 3, 5, 5), (4, 2, 3)]
BELL = 1 / math.sqrt(2 * math.pi)


def density(part: tuple[float, str, float, float, float, float]) -> Callable[[float], float]:
    _, kind, one, two, least, most = part
    if kind == "U":
        return lambda x: 1 / (two - one) if one <= x <= two else 0.0
    return lambda x: BELL / two * math.exp(-0.5 * ((x - one) / two) ** 2) if least <= x <= most else 0.0


def integral(f: Callable[[float], float], low: float, high: float, steps: int = 4000) -> float:
    """Simpson's rule."""
    h = (high - low) / steps
    return h / 3 * sum(f(low + i * h) * (1 if i in (0, steps) else 4 if i % 2 else 2) for i in range(steps + 1))


def ends(part: tuple[float, str, float, float, float, float]) -> tuple[float, float]:
    _, kind, one, two, least, most = part
    return (one, two) if kind == "U" else (max(least, one - 12 * two), min(most, one + 12 * two))


def moments(parts: tuple[tuple[float, str, float, float, float, float], ...]) -> tuple[float, float]:
    """Mean and deviation by integration of the densities of the parts."""
    mass = mean = square = 0.0
    for part in parts:
        share, kind, one, two, *_ = part
        if kind == "" or (kind == "N" and two == 0) or (kind == "U" and one == two):
            mass, mean, square = mass + share, mean + share * one, square + share * one * one
            continue
        p = density(part)
        low, high = ends(part)
        total = integral(p, low, high)
        mass += share
        mean += share * integral(lambda x, p=p: x * p(x), low, high) / total
        square += share * integral(lambda x, p=p: x * x * p(x), low, high) / total
    assert mass == pytest.approx(1)
    return mean, math.sqrt(max(0.0, square - mean * mean))


PREDICTED = [
    "uniform", "uniform(-3, 5)", "uniform(2, 2)", "normal", "normal(3, 0.5)", "normal(1, 0)", "trunc_normal",
    "trunc_normal(0, 1, -1, 3)",
    "trunc_normal(1, 2, -1, 0)", "trunc_normal(0, 0.02, -0.04, 0.04)", "trunc_normal(0, 1, 2, 4)", "trunc_normal(0, 5, -1, 1)",
    "constant(3)", "ones", "zeros", "xavier_uniform", "xavier_uniform(2)", "xavier_normal", "xavier_normal(0.5)",
    "kaiming_uniform",
    "kaiming_uniform(mode=fan_out)", "kaiming_uniform(nonlinearity=tanh)", "kaiming_normal", "kaiming_normal(0.2)",
    "kaiming_normal(nonlinearity=selu)", "kaiming_normal(nonlinearity=linear, mode=fan_out)", "sparse(0.9)", "sparse(0.25, 2)",
    "sparse(0)",
    "sparse(1)", HALVES, "0.5:N(0,1) 0.5:N(3,0.5)", "0.2:N(1,0) 0.3:U(2,2) 0.5:U(-1,1)", "1:7", "0:9 1:U(0,1)",
]  # fmt: skip


def predicted(text: str) -> list[Theory]:
    """For each shape that the scheme suits."""
    found = [theory(read(text), shape) for shape in SHAPES]
    assert any(found)
    return [one for one in found if one]


@pytest.mark.parametrize("text", PREDICTED)
def test_mean_and_deviation_are_those_of_the_densities(text: str) -> None:
    for found in predicted(text):
        mean, deviation = moments(found.parts)
        scale = max(1e-3, deviation)
        assert found.mean == pytest.approx(mean, abs=1e-6 * scale) and found.deviation == pytest.approx(
            deviation, abs=1e-5 * scale
        )


@pytest.mark.parametrize("text", PREDICTED)
def test_shares_are_integrals_of_the_densities_and_add_up_to_one(text: str) -> None:
    for found in predicted(text):
        reach = 13 * max(found.deviation, *(part[3] for part in found.parts), 0.1)
        edges = [found.mean + reach * i / 500 for i in range(-500, 501)]
        shares = [found.share(low, high) for low, high in pairwise(edges)]
        assert math.fsum(shares) == pytest.approx(1, abs=1e-9) and all(0 <= share <= 1 + 1e-12 for share in shares)
        assert found.share(-math.inf, math.inf) == pytest.approx(1)
        for low, high in ((found.mean - found.deviation, found.mean + found.deviation / 3), (edges[480], edges[505])):
            wanted = 0.0
            for part in found.parts:
                share, kind, one, two, *_ = part
                if kind == "" or (kind == "N" and two == 0) or (kind == "U" and one == two):
                    wanted += share * (low <= one < high)
                else:
                    least, most = ends(part)
                    inside = (
                        integral(density(part), max(low, least), min(high, most)) if min(high, most) > max(low, least) else 0.0
                    )
                    wanted += share * inside / integral(density(part), least, most)
            assert found.share(low, high) == pytest.approx(wanted, abs=2e-3 if "U" in str(found.parts) else 1e-6)


@pytest.mark.parametrize(
    ("text", "shape", "mean", "deviation"),
    [
        ("uniform(-1, 1)", (5,), 0, 1 / math.sqrt(3)),
        ("xavier_uniform", (256, 784), 0, math.sqrt(2 / (256 + 784))),
        ("xavier_normal(2)", (6, 3, 5, 5), 0, 2 * math.sqrt(2 / (3 * 25 + 6 * 25))),
        ("kaiming_normal", (256, 784), 0, math.sqrt(2 / 784)),
        ("kaiming_normal(mode=fan_out)", (256, 784), 0, math.sqrt(2 / 256)),
        ("kaiming_uniform(2.23606797749979)", (256, 784), 0, math.sqrt(1 / 3 / 784)),
        ("kaiming_normal(nonlinearity=tanh)", (8, 2, 3, 3), 0, 5 / 3 / math.sqrt(18)),
        ("kaiming_normal(nonlinearity=sigmoid)", (8, 2), 0, 1 / math.sqrt(2)),
        ("kaiming_normal(nonlinearity=selu)", (8, 4), 0, 0.75 / 2),
        ("kaiming_normal(0.5, nonlinearity=conv2d)", (8, 4), 0, 1 / 2),
        ("sparse(0.9, 1)", (10, 3), 0, math.sqrt(0.1)),
        ("sparse(0.81, 1)", (10, 3), 0, math.sqrt(0.1)),
        (HALVES, (3,), 0, math.sqrt(0.5 * (25 / 12 + 56.25))),
        ("trunc_normal(0, 1, -1, 1)", (3,), 0, math.sqrt(1 - 2 * BELL * math.exp(-0.5) / math.erf(math.sqrt(0.5)))),
        ("trunc_normal(0, 1, 0, 1e9)", (3,), math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)),
        ("trunc_normal(4, 0, 0, 3)", (3,), 3, 0),
    ],
)
def test_closed_forms(text: str, shape: tuple[int, ...], mean: float, deviation: float) -> None:
    try:
        found = theory(read(text), shape)
    except SchemeError:
        assert text == "trunc_normal(4, 0, 0, 3)"
        return
    assert found is not None
    assert found.mean == pytest.approx(mean, abs=1e-9) and found.deviation == pytest.approx(deviation, rel=1e-8)


@pytest.mark.parametrize("name", ["default", "eye", "dirac", "orthogonal"])
def test_of_numbers_that_depend_on_each_other_nothing_is_said(name: str) -> None:
    assert [theory(read(name), shape) for shape in [(), *SHAPES]] == [None] * 6


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "sparse(0.5)"])
def test_a_vector_has_no_fans(name: str) -> None:
    assert theory(read(name), (10,)) is None and theory(read(name), ()) is None and schemes.fans((10,)) is None
    for empty in ((0, 0), (0, 5), (5, 0), (0, 3, 3)):
        found = theory(read(name), empty)
        assert found is None or (math.isfinite(found.deviation) and found.mean == 0)


@pytest.mark.parametrize(
    "text",
    ["trunc_normal(0, 1, 5, 6)", "trunc_normal(0, 1, -6, -5)", "trunc_normal(0, 1, 8, 9)", "trunc_normal(0, 1, -9, -8)"],
)
def test_the_far_tail_of_a_bell_has_its_mean_inside_of_its_ends(text: str) -> None:
    try:
        scheme = read(text)
    except SchemeError:
        return  # refused is fine, too
    found = theory(scheme, (3,))
    assert found is not None
    mean, deviation = moments(found.parts)
    assert found.mean == pytest.approx(mean, rel=1e-4) and found.deviation == pytest.approx(deviation, rel=1e-2)


@bounded
@given(few, few, few, few)
def test_moments_of_any_truncated_bell_are_inside_of_its_ends(mean: float, spread: float, one: float, two: float) -> None:
    low, high = sorted((one, two))
    if low == high:
        return
    try:
        found = theory(
            read(f"trunc_normal({mean}, {max(abs(spread), (high - low) / 4, abs(mean - low) / 3)}, {low}, {high})"), (3,)
        )
    except SchemeError:
        return
    assert found is not None and low <= found.mean <= high and 0 <= found.deviation <= (high - low) / 2
