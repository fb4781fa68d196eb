"""Architecture text: what is read, how it prints back, and what is said about what cannot be read."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.architecture.layers import LAYERS
from mlptui.core.architecture.parse import MAX_DEPTH, MAX_TUPLE, parse
from mlptui.core.architecture.printer import describe, to_text
from mlptui.core.architecture.tree import Layer, label, same
from mlptui.core.errors import ArchitectureError

bounded = settings(derandomize=True, deadline=None, max_examples=150, database=None)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**31) + 1, 2**31 - 1)
    | st.floats(-(2.0**31) + 1, 2.0**31 - 1)
    | st.text(max_size=12)
    | st.sampled_from(["same", "a\nb", 'say "hi"', "back\\slash", "'", "\x00", "\ud800", "größe", "{x}", "\u2028", "\\"])
)
values = scalars | st.lists(scalars, max_size=3).map(tuple) | st.tuples(st.tuples(scalars, scalars), scalars)
names = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"]), min_size=1, max_size=6)
names = names.filter(lambda n: "." not in n and n.isprintable())


@st.composite
def leaves(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(sorted(LAYERS)))
    given_ = [(row[0], draw(values)) for row in LAYERS[kind] if len(row) == 1 or draw(st.booleans())]
    return Layer(kind, tuple(given_))


@st.composite
def networks(draw: st.DrawFn) -> Layer:
    """A tree whose children are drawn from a pool, so that layers and whole blocks are tied."""
    pool = draw(st.lists(leaves(), min_size=1, max_size=4))
    for _ in range(draw(st.integers(1, 4))):
        chosen = draw(st.lists(st.sampled_from(pool), max_size=4))
        numbered = [str(i) for i in range(len(chosen))]
        named = st.lists(names, min_size=len(chosen), max_size=len(chosen), unique=True)
        pool.append(Layer("Sequential", (), tuple(zip(draw(st.just(numbered) | named), chosen, strict=True))))
    return pool[-1]


@bounded
@given(networks())
def test_a_printed_network_reads_back_to_the_same_network(tree: Layer) -> None:
    again = parse(to_text(tree))
    assert same(tree, again), to_text(tree)
    assert to_text(again) == to_text(tree)


@bounded
@given(networks(), networks())
def test_same_tells_networks_apart_that_print_differently(one: Layer, other: Layer) -> None:
    assert same(one, other) == (to_text(one) == to_text(other))


def test_the_text_of_the_design_has_one_layer_in_two_places() -> None:
    tree = parse(
        "shared = nn.Linear(8, 8)\n"
        "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))"
    )
    places = [layer for _, layer in tree.walk()]
    assert [layer.kind for layer in places[1:]] == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert places[3] is places[5] and places[2] is not places[4]
    assert not same(tree, parse(to_text(tree).replace("shared,", "nn.Linear(8, 8),")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nn.Linear(2**3, 10 // 3)", [("Linear", (("in_features", 8), ("out_features", 3)))]),
        ("torch.nn.Linear(28*28, -(-7 % 4) + 2)", [("Linear", (("in_features", 784), ("out_features", 1)))]),
        ("n = 16\nm = n / 4\nnn.Dropout(p=m / 8)", [("Dropout", (("p", 0.5),))]),
        ("Linear(out_features=1, in_features=2)", [("Linear", (("in_features", 2), ("out_features", 1)))]),
        ("net = nn.ReLU(inplace=True)", [("ReLU", (("inplace", True),))]),
        ("  nn.Sequential(\n      nn.ReLU(),\n  )", [("Sequential", ()), ("ReLU", ())]),
        ("# a comment\nnn.Conv2d(1, 6, kernel_size=[5, 5])", None),
    ],
)
def test_arithmetic_names_and_keywords_are_read(text: str, expected: list[tuple[str, object]] | None) -> None:
    found = [(layer.kind, layer.arguments) for _, layer in parse(text).walk()]
    assert found == (expected or [("Conv2d", (("in_channels", 1), ("out_channels", 6), ("kernel_size", (5, 5))))])


def test_repetition_binds_its_variable_for_every_layer() -> None:
    tree = parse("nn.Sequential(nn.Flatten(), *[nn.Linear(2**(i + 1), 2**i) for i in range(3, 0, -1)], nn.ReLU())")
    assert [describe(layer) for _, layer in tree.walk()][1:] == [
        "Flatten()", "Linear(16, 8)", "Linear(8, 4)", "Linear(4, 2)", "ReLU()",
    ]  # fmt: skip


def test_repeated_layers_are_their_own_and_a_repeated_name_is_tied() -> None:
    own = parse("nn.Sequential(*[nn.Linear(4, 4) for i in range(3)])")
    tied = parse("x = nn.Linear(4, 4)\nnn.Sequential(*[x for i in range(3)])")
    assert len({id(child) for _, child in own.children}) == 3
    assert len({id(child) for _, child in tied.children}) == 1


def test_names_come_from_pairs_and_formatted_strings() -> None:
    tree = parse("nn.Sequential(OrderedDict([(f'block {i}', nn.Sequential(nn.Linear(4, 4), nn.ReLU())) for i in range(2)]))")
    assert [name for name, _ in tree.children] == ["block 0", "block 1"]
    assert [path for path, _ in tree.walk()][3] == ("block 0", "1")


def test_a_repetition_leaves_the_names_around_it_alone() -> None:
    tree = parse("i = 7\nnn.Sequential(*[nn.ReLU() for i in range(2)], nn.Linear(i, i))")
    assert describe(tree.children[2][1]) == "Linear(7, 7)"
    with pytest.raises(ArchitectureError, match="nothing is called 'j'"):
        parse("nn.Sequential(*[nn.ReLU() for j in range(2)], nn.Linear(j, j))")


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("nn.Sequential(\n    nn.Linear(4, 2),\n    nn.Liner(2, 1),\n)", 3, 5, "did you mean Linear?"),
        ("nn.Sequential(nn.Linear(4, out=2))", 1, 32, "Linear has no argument 'out'; it takes in_features"),
        ("nn.Sequential(nn.Linear(4, out_feature=2))", 1, 40, "did you mean out_features?"),
        ("nn.Linear(4)", 1, 1, "Linear needs out_features"),
        ("nn.Linear(1, 2, True, 4)", 1, 23, "at most 3 arguments: in_features, out_features, bias"),
        ("nn.Sequential(nn.ReLU(), hidden)", 1, 26, "nothing is called 'hidden' here"),
        ("nn.Sequential(nn.ReLU)", 1, 15, "ReLU needs brackets: nn.ReLU(...)"),
        ("Sequential(ReLU)", 1, 12, "ReLU needs brackets: nn.ReLU(...)"),
        ("x = 3\nx", 2, 1, "the last line must be a layer"),
        ("nn.Sequential([nn.ReLU()])", 1, 15, "write a star before the list"),
        ("nn.Linear(4, 2", 1, 10, "not valid Python"),
        ("import os\nnn.ReLU()", 1, 1, "imports are neither needed nor allowed"),
        ("nn.Linear(4, 2, dtype=3)", 1, 23, "dtype is set by the run"),
        ("nn.Sequential(OrderedDict([('a', nn.ReLU()), ('a', nn.ReLU())]))", 1, 46, "'a' stands here twice"),
        ("", 1, 1, "write for example nn.Sequential"),
        ("nn.Sequential(OrderedDict([('größe', nn.Foo())]))", 1, 38, "there is no layer 'Foo'"),
        ("    nn.Sequential(\n      nn.Foo())", 2, 7, "there is no layer 'Foo'"),
        ("    x = (\n    nn.Foo()", 1, 9, "not valid Python"),
        ("nn.Unflatten(1, 2) + 1", 1, 1, "allowed are nn.Sequential, the layers of torch.nn"),
    ],
)
def test_an_error_names_the_place_and_what_is_allowed(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        parse(text)
    assert said in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"line {line}, column {column}: ")


@bounded
@given(st.text(max_size=40) | st.text("nLi(.)[]*,=01\n '\"{}:f+-*/ aorange", max_size=60))
def test_any_text_is_a_network_or_one_architecture_error(text: str) -> None:
    try:
        parse(text)
    except ArchitectureError as error:
        assert error.line >= 1 and error.column >= 1
        assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))", "mlp 784-256-10"),
        ("nn.Sequential(nn.LazyLinear(256), nn.Tanh(), nn.Dropout(0.5), nn.Linear(256, 10))", "mlp ?-256-10"),
        ("nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())", "convnet, 2 layers"),
        ("nn.Embedding(4, 2)", "Embedding, 1 layer"),
    ],
)
def test_a_network_is_labelled_in_a_few_words(text: str, words: str) -> None:
    assert label(parse(text)) == words


def test_the_label_of_a_long_perceptron_is_short() -> None:
    text = "nn.Sequential(*[nn.Linear(9, 9) for i in range(50)])"
    assert label(parse(text)) == "mlp 9-…-9"


def test_floats_keep_every_bit_and_negative_zero_its_sign() -> None:
    tree = parse(to_text(Layer("Dropout", (("p", 0.1 + 0.2),))))
    assert tree.argument("p") == 0.30000000000000004
    zero = parse("nn.Dropout(-0.0)").argument("p")
    assert isinstance(zero, float) and math.copysign(1, zero) == -1


def test_the_deepest_network_that_is_read_prints_to_text_that_is_read() -> None:
    text = "t0 = 1\n" + "".join(f"t{i + 1} = (t{i},)\n" for i in range(MAX_TUPLE - 1))
    text += f"a0 = nn.Unflatten(1, t{MAX_TUPLE - 1})\n"
    text += "".join(f"a{i + 1} = nn.Sequential(OrderedDict([('b', a{i})]))\n" for i in range(MAX_DEPTH - 1))
    tree = parse(text)
    assert same(parse(to_text(tree)), tree)
    with pytest.raises(ArchitectureError, match="levels of nesting"):
        parse(text + f"nn.Sequential(a{MAX_DEPTH - 1})")
