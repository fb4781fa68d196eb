"""What the language has beside torch.nn: d2l's classes and functions, networks from elsewhere; and what it refuses at once."""

from collections.abc import Callable

import pytest
from budget import in_time
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.architecture import known
from mlptui.core.architecture.blocks import BLOCKS, FUNCTIONS
from mlptui.core.architecture.layers import LAYERS
from mlptui.core.architecture.parse import MAX_TEXT, named_arguments, parse
from mlptui.core.architecture.printer import describe, to_text
from mlptui.core.architecture.tree import Layer, label, parameter_count, same
from mlptui.core.errors import ArchitectureError

bounded = settings(derandomize=True, deadline=None, max_examples=150, database=None)
AT_ONCE = 0.1  # seconds of processor time
SOON = 0.5  # the same for texts of the largest size


def flat(text: str) -> list[str]:
    return [f"{'.'.join(path)}:{describe(layer)}" for path, layer in parse(text).walk() if not layer.container]


# d2l's layers and functions

LAZY = ["0:LazyLinear(256)", "1:ReLU()", "2:LazyLinear(10)"]


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("nn.Sequential(nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10))", LAZY),
        (
            "nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())",
            ["0:NestMLP()", "1:Linear(16, 20)", "2:FixedHiddenMLP()"],
        ),
        ("MySequential(nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10))", LAZY),
        ("net = nn.Sequential(MyLinear(64, 8), MyLinear(8, 1))", ["0:MyLinear(64, 8)", "1:MyLinear(8, 1)"]),
        ("nn.Sequential(nn.LazyLinear(128), CenteredLayer())", ["0:LazyLinear(128)", "1:CenteredLayer()"]),
        ("MLP()", [":MLP()"]),
        ("net = MLP(hidden_features=32)", [":MLP(hidden_features=32)"]),
        ("MyLinear(5, 3)", [":MyLinear(5, 3)"]),
        ("torch.nn.Sequential(torch.nn.Flatten(), nn.Linear(784, 10))", ["0:Flatten()", "1:Linear(784, 10)"]),
        (
            "block1()",
            ["0:Linear(4, 8)", "1:ReLU()", "2:Linear(8, 4)", "3:ReLU()"],
        ),
    ],
)
def test_snippets_of_the_guide_are_read_as_they_stand(text: str, layers: list[str]) -> None:
    assert flat(text) == layers
    tree = parse(text)
    assert same(parse(to_text(tree)), tree)


def test_the_block_factory_names_its_blocks_and_makes_new_layers_at_each_call() -> None:
    tree = parse("rgnet = nn.Sequential(block2(), nn.Linear(4, 1))")
    assert [name for name, _ in tree.children[0][1].children] == ["block 0", "block 1", "block 2", "block 3"]
    assert len({id(layer) for _, layer in tree.walk()}) == 3 + 4 * 5
    two = parse("nn.Sequential(block1(), block1())")
    assert two.children[0][1] is not two.children[1][1]
    one = parse("b = block1()\nnn.Sequential(b, b)")
    assert one.children[0][1] is one.children[1][1]
    assert parameter_count(tree) == 4 * (4 * 8 + 8 + 8 * 4 + 4) + 5


def test_a_name_bound_to_a_block_does_not_change_what_the_factories_make() -> None:
    plain = parse("block2()")
    for before in ("block1 = nn.ReLU()", "i = 7", "OrderedDic = 3", "nn1 = 2"):
        assert same(parse(f"{before}\nblock2()"), plain)
    assert flat("i = 7\nnn.Sequential(block2(), nn.Linear(i, i))")[-1] == "1:Linear(7, 7)"


def test_the_tied_network_of_the_guide() -> None:
    tree = parse(
        "# We need to give the shared layer a name so that we can refer to its parameters\n"
        "shared = nn.LazyLinear(8)\n"
        "net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(),\n"
        "                    shared, nn.ReLU(),\n"
        "                    shared, nn.ReLU(),\n"
        "                    nn.LazyLinear(1))\n"
    )
    assert tree.children[2][1] is tree.children[4][1] and tree.children[0][1] is not tree.children[2][1]
    assert to_text(tree).startswith("shared = nn.LazyLinear(8)\n")


def test_a_sequential_by_hand_has_layers_by_number_only() -> None:
    tree = parse("MySequential(*[nn.Linear(4, 4) for i in range(3)], nn.ReLU())")
    assert [name for name, _ in tree.children] == ["0", "1", "2", "3"] and tree.container
    assert same(parse(to_text(tree)), tree) and to_text(tree).startswith("MySequential(")
    nested = parse("MySequential(MySequential(), nn.Sequential(OrderedDict([('a', MySequential(nn.ReLU()))])))")
    assert same(parse(to_text(nested)), nested)


def test_every_name_of_the_language_has_one_meaning() -> None:
    names = known.names()
    assert len(names) == len(set(names)) and not set(FUNCTIONS) & set(names) and not set(BLOCKS) & set(LAYERS)
    for kind in names:
        assert known.spelled(kind) in (kind, f"nn.{kind}")
        assert (known.signature(kind) is None) == (kind in ("Sequential", "MySequential"))
    assert set(known.USUAL) <= set(names)


def test_the_signatures_of_the_blocks_are_those_of_their_classes() -> None:
    import inspect

    from mlptui.engine import blocks

    for kind, rows in BLOCKS.items():
        cls = getattr(blocks, kind)
        declared = [] if cls.__init__ is blocks.nn.Module.__init__ else list(inspect.signature(cls).parameters.values())
        assert [(p.name,) if p.default is p.empty else (p.name, p.default) for p in declared] == list(rows), kind


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_block_is_read_and_printed_with_and_without_its_arguments(kind: str) -> None:
    rows = BLOCKS[kind]
    needed = [str(row[0]) for row in rows if len(row) == 1]
    for given_ in (needed, [str(row[0]) for row in rows]):
        tree = parse(f"{kind}({', '.join(f'{name}={i + 3}' for i, name in enumerate(given_))})")
        assert dict(tree.arguments) == {name: i + 3 for i, name in enumerate(given_)}
        assert same(parse(to_text(tree)), tree)
    positional = parse(f"{kind}({', '.join(str(i + 3) for i in range(len(rows)))})")
    assert [name for name, _ in positional.arguments] == [row[0] for row in rows]


# networks from elsewhere


@pytest.mark.parametrize(
    ("text", "kind", "arguments"),
    [
        ("nets.py:MLP", "nets.py:MLP", ()),
        ("  nets.py:MLP\n", "nets.py:MLP", ()),
        ("nets.py:MLP()", "nets.py:MLP", ()),
        ("nets.py:MLP(hidden=2)", "nets.py:MLP", (("hidden", 2),)),
        ("nets.py:MLP (hidden=2)", "nets.py:MLP", (("hidden", 2),)),
        ("nets.py:MLP(hidden = 2 ** 8, p=-0.5,)", "nets.py:MLP", (("hidden", 256), ("p", -0.5))),
        ("nets.py:MLP(\n  sizes=(1, [2, 3]),\n  name='a)b:(', flag=True, no=None\n)", "nets.py:MLP",
         (("sizes", (1, (2, 3))), ("name", "a)b:("), ("flag", True), ("no", None))),
        ("torchvision:resnet18(num_classes=10)", "torchvision:resnet18", (("num_classes", 10),)),
        ("torchvision:resnet18", "torchvision:resnet18", ()),
        ("/home/me/my nets/net 2.py:make_net", "/home/me/my nets/net 2.py:make_net", ()),
        ("~/nets.py:net", "~/nets.py:net", ()),
        ("../a/b.py:_A1", "../a/b.py:_A1", ()),
        ("größe.py:Netz", "größe.py:Netz", ()),
        ("a.py.py:A", "a.py.py:A", ()),
        ("nets.py:MLP(a='x.py:y')", "nets.py:MLP", (("a", "x.py:y"),)),
    ],
)  # fmt: skip
def test_a_reference_is_read_and_prints_back(text: str, kind: str, arguments: tuple[tuple[str, object], ...]) -> None:
    tree = parse(text)
    assert (tree.kind, tree.arguments, tree.children) == (kind, arguments, ()) and tree.reference and not tree.container
    assert same(parse(to_text(tree)), tree) and to_text(parse(to_text(tree))) == to_text(tree)
    assert parameter_count(tree) is None and "\n" not in label(tree)


def test_the_label_of_a_reference_is_its_file_without_the_folder() -> None:
    assert label(parse("/home/me/nets.py:MLP(hidden=2)")) == "nets.py:MLP"
    assert label(parse("torchvision:resnet18")) == "torchvision:resnet18"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31) + 1, 2**31 - 1)
    | st.floats(-(2.0**31) + 1, 2.0**31 - 1)
    | st.text(max_size=10)
    | st.sampled_from([")", "(", ").py:A(", "a.py:B", '"', "\\", "\n", "\x00", "\ud800", "#", "{x}"]),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
arguments_ = st.dictionaries(st.sampled_from(["a", "hidden", "größe", "x_1", "device", "dtype", "self"]), values, max_size=4)


@bounded
@given(st.sampled_from(["nets.py:MLP", "torchvision:resnet18", "/a b/c.py:d", "~/x.py:_"]), arguments_)
def test_any_arguments_of_a_reference_print_and_read_back(kind: str, given_: dict[str, object]) -> None:
    tree = Layer(kind, tuple(given_.items()))
    assert same(parse(to_text(tree)), tree), to_text(tree)


@bounded
@given(arguments_)
def test_any_named_arguments_are_read_as_they_print(given_: dict[str, object]) -> None:
    printed = to_text(Layer("a.py:b", tuple(given_.items()))).strip()
    assert named_arguments(printed[len("a.py:b(") : -1]) == tuple(given_.items())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("  ", ()),
        ("a=1", (("a", 1),)),
        ("a=1, b=(2, 3)", (("a", 1), ("b", (2, 3)))),
        ("a=[1, 2],", (("a", (1, 2)),)),
        ("a='x', b=None, c=True, d=-1.5", (("a", "x"), ("b", None), ("c", True), ("d", -1.5))),
        ("p=1/4", (("p", 0.25),)),
        ("a=1,\n b=2", (("a", 1), ("b", 2))),
    ],
)
def test_named_arguments_are_literals_by_name(text: str, found: tuple[tuple[str, object], ...]) -> None:
    assert named_arguments(text) == found


# what is wrong, refused at once with one sentence

WRONG_REFERENCES = [
    "nets.py:", "torchvision:", "\n\nnets.py:", "nets.py:1", "nets.py:a-b", "nets.py:a.b", "nets.py: MLP",
    "nets.py:MLP(",
    "nets.py:MLP)", "nets.py:MLP(1)", "nets.py:MLP(hidden=)", "nets.py:MLP(hidden=2", "nets.py:MLP(hidden=2))",
    "nets.py:MLP(hidden=2)(3)", "nets.py:MLP(a=1)(b=2)", "nets.py:MLP()()", "nets.py:MLP(hidden=2).cuda()",
    "nets.py:MLP(a=1, a=2)", "nets.py:MLP(**{})",
    "nets.py:MLP(*(1, 2))", "nets.py:MLP(a=nn.ReLU())", "nets.py:MLP(a=b)", "nets.py:MLP(a=open('x'))",
    "nets.py:MLP(a=lambda: 1)",
    "nets.py:MLP(a=1 if 1 else 2)", "nets.py:MLP(a={1: 2})", "nets.py:MLP(a={1})", "nets.py:MLP(a=b'x')",
    "nets.py:MLP(a=1j)",
    "nets.py:MLP(a=2**999999999)", "nets.py:MLP(a=9**9**9)", "nets.py:MLP(a=1/0)", "nets.py:MLP(a=1e999)",
    "nets.py:MLP(a=...)",
    "nets.py:MLP(a=(x:=3))", "nets.py:MLP(a=1)\nf(b=2)", "nets.py:MLP()\nnn.ReLU()", "nets.py:MLP\nnn.ReLU()",
    "nets.py:MLP nets.py:MLP", "nets.py:MLP, nets.py:MLP", "nets.py:MLP = 3", "nets.py:MLP(a=1) + 1",
    "nets.py:MLP; import os",
    "nets.py:MLP(a=__import__('os'))", "nets.py:MLP(a=f'{1:>99999999}')", "nets.py:MLP(a='" + "x" * 300 + "')",
    "nets.py:MLP(a=(" + "1, " * 70 + "))", "nets.py:MLP(a=" + "(" * 150 + "," + ")" * 150 + ")",
    "nets.py:MLP(a=" + "-" * 900 + "1)",
    "nets.py:MLP(a=" + "-" * 30_000 + "1)", "nets.py:MLP(a=" + "1+" * 30_000 + "1)",
    "nets.py:MLP(" + "a=1, " * 10_000 + ")",
    "nets.py:MLP(a=\x00)", "nets.py:\x00", "nets\x00.py:MLP", "nets.pyc:MLP", "nets.txt:MLP", "nets:MLP", "os:system",
    ":MLP",
    "torchvision.models:resnet18", "http://x/y.py:MLP", "torchvision:resnet18(10)",
    "torchvision:resnet18(num_classes=x)",
    "torchvision:é", "torchvision:__import__('os')", "nn.Sequential(torchvision:resnet18)", "x = nets.py:MLP",
    "nets.py:MLP(a=1)  # comment\n)", "\x1b[2Jnets.py:MLP", "a\u202eb.py:MLP", "a\ud800.py:MLP", "a\x07.py:MLP(a=1)",
    "a\u200b.py:MLP", "a\u2028b.py:MLP", "a\tb.py:MLP", "\x85.py:MLP",
]  # fmt: skip

WRONG_BLOCKS = [
    "block1", "block2", "block1(4)", "block2(n=3)", "block3()", "block1()()", "block1().children",
    "nn.Sequential(block1)",
    "nn.Sequential(*block1())", "nn.Sequential(*block2)", "MLP", "NestMLP", "MySequential", "MLP(1, 2, 3, 4)",
    "MLP(hidden=2)",
    "MLP(20, hidden_feature=2)", "MyLinear()", "MyLinear(3)", "MyLinear(1, 2, 3)", "MyLinear(units=2)",
    "MyLinear(in_units=2)",
    "CenteredLayer(3)", "FixedHiddenMLP(features=2, features=3)", "NestMLP(nn.ReLU())", "NestMLP(block1())",
    "MySequential(3)", "MySequential([nn.ReLU()])", "MySequential(nn.ReLU)", "MySequential(layers=nn.ReLU())",
    "MySequential(OrderedDict([('a', nn.ReLU())]))", "MySequential(*OrderedDict([('a', nn.ReLU())]))",
    "MySequential((nn.ReLU(), nn.ReLU()))", "MySequential(None)", "d2l.MLP()", "d2l.torch.MLP()", "import d2l\nMLP()",
    "MyLinear(64, 8, dtype=1)", "MyLinear(64, 8, device='cuda')", "MLP(in_features=MLP())", "MLP(**MLP())",
    "MyLinear(*(1, 2))",
    "nn = MLP()", "torch = 3\nMLP()", "range = 3\nMLP()", "OrderedDict = 3\nMLP()", "MLP() if True else MLP()",
    "[MLP()]",
    "(MLP(), MLP())", "{MLP()}", "MLP() + MLP()", "-MLP()", "not MLP()", "MLP()[0]", "MLP().hidden", "x = MLP()\nx()",
    "x = MLP()\nx.y", "x = MLP()\nMLP(x)", "x = MLP\nx()", "nn.Sequential(MLP(), 3)", "nn.Sequential(MLP(), 'MLP')",
    "nn.Sequential(MLP(), None)", "nn.Sequential(*MLP())", "nn.Sequential(**MLP())", "nn.Sequential(nn.Sequential)",
    "def block1(): return nn.ReLU()\nblock1()", "class MLP(nn.Module): pass\nMLP()", "net = Net()", "net(X)",
    "net.apply(init)",
    "X = torch.rand(2, 20)\nnet(X)", "torch.rand(2, 20)", "d2l.set_figsize()", "print(net)", "net[0].weight.data",
    "for name, p in net.named_parameters(): pass",
]  # fmt: skip

AFTER = (
    ".weight", "[0]", "(2)", " + 1", " @ 1", ".to('cuda')", " if 1 else 2", " is None", " for x in y", " as x", ":=3",
    "\x00", "\\",
    " and 1", "?", "$", ";x", " = 3", " 2",
)  # fmt: skip
FAMILIES = {
    f"{network}{tail}"
    for network in ("MLP()", "nn.Linear(4, 2)", "MySequential(nn.ReLU())", "nets.py:MLP(a=1)", "block2()")
    for tail in AFTER
}
TRUNCATED = {
    whole[:length]
    for whole in (
        "nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())",
        'nn.Sequential(OrderedDict([("block 1", MLP(20, 256))]))',
    )
    for length in range(1, len(whole))
}
LARGE = {
    "a reference and spaces": "torchvision:a" + " " * 65_000 + "!",
    "a reference, spaces, a bracket": "nets.py:a" + " " * 60_000 + "(" + " " * 5_000,
    "spaces before a reference": " " * 60_000 + "nets.py:",
    "a reference and many brackets": "nets.py:a(" + ")" * 60_000 + "x",
    "a reference and many pairs": "nets.py:a(" + "() " * 20_000 + "x",
    "a long file": "x" * 65_000 + ".py:",
    "many files": "x.py" * 16_000 + ":",
    "many files and colons": "x.py:" * 13_000,
    "many files in a row": "a.py:b " * 9_000,
    "a long class": "nets.py:" + "a" * 60_000 + "-",
    "many of the block factory": "nn.Sequential(" + "block2(), " * 6000 + ")",
    "many blocks": "nn.Sequential(" + "block1(), " * 6000 + ")",
    "repeated factory": "nn.Sequential(*[block2() for i in range(9000)])",
    "repeated blocks": "nn.Sequential(*[block1() for i in range(9999)])",
    "factories of factories": "nn.Sequential(*[nn.Sequential(*[block2() for j in range(90)]) for i in range(90)])",
    "many sequentials by hand": "MySequential(" * 2000 + ")" * 2000,
    "ties of factories": "b0 = block2()\n" + "".join(f"b{i + 1} = MySequential(b{i}, b{i})\n" for i in range(20)) + "b20",
    "many assignments": "x = MLP()\n" * 6000 + "x.y",
    "a reference too long": "nets.py:MLP(a='" + "x" * MAX_TEXT + "')",
    "arguments with spaces": "nets.py:MLP(a" + " " * 60_000 + "b)",
    "lines": "nets.py:MLP(" + "\n" * 60_000,
    "semicolons": "MLP();" * 10_000 + "?",
    "comments": "# nets.py:MLP\n" * 4_000,
    "commas": "nn.Sequential(" + "," * 60_000 + ")",
    "stars": "nn.Sequential(" + "*" * 60_000 + ")",
    "dots": "nn" + "." * 60_000,
    "quotes": '"' * 60_001,
    "f-strings": "nn.ReLU(" + "f'{" * 100 + "1" + "}'" * 100 + ")",
    "backslashes": "\\" * 60_000,
    "line ends": "\r" * 60_000,
    "tabs": "\t" * 60_000 + "?",
}


def refusal(read: Callable[[str], object], text: str, within: float) -> ArchitectureError:
    """What `read` raises, in time."""

    def caught() -> ArchitectureError:
        with pytest.raises(ArchitectureError) as found:
            read(text)
        return found.value

    return in_time(within, caught)


def refused(text: str, within: float = AT_ONCE) -> ArchitectureError:
    """The refusal: one printable sentence, at once, with a place that is in the text."""
    error = refusal(parse, text, within)
    assert error.message and "\n" not in error.message and error.message.isprintable() and len(error.message) < 600
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= error.line <= len(lines) + 1
    assert 1 <= error.column <= max(map(len, lines)) + 2
    return error


@pytest.mark.parametrize("text", WRONG_REFERENCES)
def test_a_wrong_reference_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("text", WRONG_BLOCKS)
def test_a_wrong_use_of_the_guides_layers_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("text", sorted(FAMILIES))
def test_nothing_may_follow_a_network(text: str) -> None:
    refused(text)


def test_every_beginning_of_a_network_is_refused() -> None:
    for text in sorted(TRUNCATED):
        refused(text)


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_is_refused_as_fast(name: str) -> None:
    refused(LARGE[name], SOON)


def test_the_corpus_is_large() -> None:
    assert len({*WRONG_REFERENCES, *WRONG_BLOCKS, *FAMILIES, *TRUNCATED, *LARGE.values()}) >= 300


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("nets.py:", 1, 9),
        ("\n\nnets.py:", 3, 9),
        ("  nets.py:(a=1)", 1, 11),
        ("nets.py:MLP(hidden=x)", 1, 20),
        ("  nets.py:MLP(a=1, a=2)", 1, 22),
        ("nets.py:MLP(\n  a=1,\n  b=y)", 3, 5),
        ("\n\nnets.py:MLP(b=y)", 3, 15),
        ("größe.py:MLP(b=y)", 1, 16),
        ("MLP(\n  20, hidden=3)", 2, 14),
        ("nn.Sequential(\n  block1(3))", 2, 3),
    ],
)
def test_a_complaint_about_a_reference_names_its_place(text: str, line: int, column: int) -> None:
    error = refused(text)
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MLP", "MLP(...)"),
        ("NestMPL()", "NestMLP"),
        ("MyLinear(3)", "units"),
        ("MLP(hidden_feature=3)", "hidden_features"),
        ("nets.py:MLP(3)", "names"),
        ("nets.py:", "class or function"),
        ("MySequential(layers=3)", "MySequential takes layers only"),
        ("block1", "block1("),
        ("block3()", "block"),
    ],
)
def test_a_refusal_says_what_was_probably_meant(text: str, said: str) -> None:
    assert said in refused(text).message


WRONG_ARGUMENTS = [
    "1", "a", "a=", "=1", "a==1", "a=1 b=2", "a=1; b=2", "a=1, a=2", "a=1)", "a=(1", "a=1)\ng(b=2", "a=1) + f(b=2",
    "a=1).x(b=2", "a=1)(b=2", "*a", "**a",
    "a=b", "a=nn.ReLU()", "a=1, 2", "a=1/0", "a=9**9**9", "a=1e999", "a=x.y", "a=[i for i in range(3)]", "a=lambda: 1",
    "a={}",
    "a:=1", "a=1 # it", "\x00", "a='\x00", "a='" + "x" * 300 + "'", "a=" + "-" * 450 + "x", "a=" + "-" * 900 + "1",
    "a=" + "-" * 3_000 + "1", "a=" + "-" * 30_000 + "1",
    "a=" + "(" * 300 + ")" * 300, "a=" + "(" * 150 + "1" + ",)" * 150,
    "a=" + "1+" * 900 + "x", "a=" + "1+" * 30_000 + "1", "a=" + "1+" * 100_000 + "1", "a='" + "x" * 1_000_000 + "'",
    " " * 1_000_000 + "a", "a=(" + "1, " * 100 + ")", "a=\ud800", "\ud800=1", "a-b=1", "a.b=1", "1=1", "class=1",
    "None=1",
    "a=1\nb=2", "a=f'{1!r}'", "a=(yield)", "a=await x", "a=1 if 1 else 2", "a=not 1", "a=1<2", "a=~1", "a=1<<2",
    "a=b''",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_ARGUMENTS, ids=range(len(WRONG_ARGUMENTS)))
def test_wrong_named_arguments_are_refused(text: str) -> None:
    message = refusal(named_arguments, text, SOON if len(text) > 10_000 else AT_ONCE).message
    assert message and "\n" not in message and message.isprintable() and len(message) < 600


@bounded
@given(st.text(max_size=40) | st.text("nets.py:MLP(a=1, )torchvision:block12 \n'\"#", max_size=60))
def test_any_text_is_read_or_refused_with_one_sentence(text: str) -> None:
    for read in (parse, named_arguments):
        try:
            read(text)
        except ArchitectureError as error:
            assert "\n" not in error.message and error.message.isprintable() and error.line >= 1 and error.column >= 1
