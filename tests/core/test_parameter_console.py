"""The language of the path console: what may be written and as what it is read, names of the state_dict, what is refused."""

import dataclasses
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.parameters import console
from mlptui.core.parameters.console import (
    MAX_TEXT,
    Assign,
    Call,
    ConsoleError,
    Constant,
    Expression,
    Function,
    Index,
    Initialise,
    Name,
    Operation,
    Path,
    Several,
    Show,
    Span,
    Statement,
    read,
    spelled_out,
)

bounded = settings(derandomize=True, deadline=None, max_examples=200, database=None)
SOON = 0.2  # seconds of processor time
PATHS = {
    "0.block 1.0.bias": '[0]["block 1"][0].bias', "0.block 1.0.weight": '[0]["block 1"][0].weight',
    "0.block 1.0": '[0]["block 1"][0]',
    "1.weight": "[1].weight", "1.bias": "[1].bias", "11.weight": "[11].weight", "hidden.weight": ".hidden.weight", "1": "[1]",
    "hidden": ".hidden",
    "weight": ".weight", "it's.bias": '["it\'s"].bias',
}  # fmt: skip


def path(*links: str | int | Name | Index | Call | Span) -> Path:
    made = {str: Name, int: lambda at: Index((at,)), Span: lambda span: Index((span,))}
    return Path(tuple(made[type(link)](link) if type(link) in made else link for link in links))  # type: ignore[operator, misc]


def plain(expression: Expression) -> Expression:
    """Without columns."""
    match expression:
        case Path(links):
            return Path(
                tuple(
                    Call(tuple(map(plain, k.arguments)), tuple((n, plain(v)) for n, v in k.named))
                    if isinstance(k, Call)
                    else k
                    for k in links
                )
            )
        case Several(items):
            return Several(tuple(map(plain, items)))
        case Operation(operator, left, right):
            return Operation(operator, plain(left), plain(right))
        case Function(name, arguments):
            return Function(name, tuple(map(plain, arguments)))
    return expression


def tree(text: str, paths: dict[str, str] | None = None, children: tuple[str, ...] = ()) -> Statement:
    match read(text, paths, children):
        case Show(expression):
            return Show(plain(expression))
        case Assign(target, operator, value):
            found = plain(target)
            assert isinstance(found, Path)
            return Assign(found, operator, plain(value))
        case Initialise(target, scheme):
            found = plain(target)
            assert isinstance(found, Path)
            return Initialise(found, scheme)
    raise AssertionError(text)


# what may be written

W, B = path(0, "weight"), path(2, "bias")
DATA = path(2, "weight", "data")
GOOD: dict[str, Statement] = {
    "net": Show(path()),
    "rgnet": Show(path()),
    "  net[0].weight\n": Show(W),
    "net[0].weight": Show(W),
    "[0].weight": Show(W),
    "[ 0 ].weight": Show(W),
    "[-1].weight": Show(path(-1, "weight")),
    "model[0].weight": Show(W),
    "net[2].bias.data": Show(path(2, "bias", "data")),
    'net["block 1"][0].bias': Show(path(Index(("block 1",)), 0, "bias")),
    "net['block 1'][0].bias": Show(path(Index(("block 1",)), 0, "bias")),
    '["block 1"][0].bias': Show(path(Index(("block 1",)), 0, "bias")),
    "net.hidden.weight": Show(path("hidden", "weight")),
    "hidden.weight": Show(path("weight")),  # the first word is the network's own, whatever it is
    "net;": Show(path()),
    "net[0].weight[0]": Show(path(0, "weight", 0)),
    "net[0].weight[-1, 3]": Show(path(0, "weight", Index((-1, 3), False))),
    "net[0].weight[0,]": Show(path(0, "weight", Index((0,), False))),
    "net[0].weight[()]": Show(path(0, "weight", Index((), False))),
    "net[0].weight[1:3]": Show(path(0, "weight", Span(1, 3, None))),
    "net[0].weight[:]": Show(path(0, "weight", Span(None, None, None))),
    "net[0].weight[-3::2]": Show(path(0, "weight", Span(-3, None, 2))),
    "net[0].weight[:, ::2]": Show(path(0, "weight", Index((Span(None, None, None), Span(None, None, 2)), False))),
    "net[0].weight[..., None]": Show(path(0, "weight", Index(("...", None), False))),
    "net[0].weight[...]": Show(path(0, "weight", Index(("...",)))),
    "net[0].weight[[0, -2]]": Show(path(0, "weight", Index(((0, -2),)))),
    "net[0].weight[:, [1, 2]]": Show(path(0, "weight", Index((Span(None, None, None), (1, 2)), False))),
    "net[0].weight[0:2][1]": Show(path(0, "weight", Span(0, 2, None), 1)),
    "net.state_dict()": Show(path("state_dict", Call())),
    "net[2].state_dict()": Show(path(2, "state_dict", Call())),
    "net.state_dict()['2.bias'].data": Show(path("state_dict", Call(), Index(("2.bias",)), "data")),
    "net[0].weight.mean()": Show(path(0, "weight", "mean", Call())),
    "net[0].weight.mean(0)": Show(path(0, "weight", "mean", Call((Constant(0),)))),
    "net[0].weight.sum(dim=(0, 1), keepdim=True)": Show(
        path(0, "weight", "sum", Call((), (("dim", Several((Constant(0), Constant(1)))), ("keepdim", Constant(True)))))
    ),
    "net[0].weight[0].abs().max()": Show(path(0, "weight", 0, "abs", Call(), "max", Call())),
    "type(net[2].bias)": Show(Function("type", (B,))),
    "len(net)": Show(Function("len", (path(),))),
    "print(net[2].bias)": Show(B),
    "print(net)": Show(path()),
    "list(net.parameters())": Show(path("parameters", Call())),
    "dict(net.named_parameters())": Show(path("named_parameters", Call())),
    "*net.named_parameters(),": Show(Several((path("named_parameters", Call()),))),
    "print(*[(name, param.shape) for name, param in net[0].named_parameters()])": Show(path(0, "named_parameters", Call())),
    "*[(name, param.shape) for name, param in net[0].named_parameters()]": Show(path(0, "named_parameters", Call())),
    "[(n, p.shape) for n, p in net.named_parameters()]": Show(path("named_parameters", Call())),
    "net[2].weight.grad == None": Show(Operation("==", path(2, "weight", "grad"), Constant(None))),
    "net[2].weight.grad is None": Show(Operation("is", path(2, "weight", "grad"), Constant(None))),
    "net[2].weight.grad is not None": Show(Operation("is not", path(2, "weight", "grad"), Constant(None))),
    "net[2].weight.data[0] == net[4].weight.data[0]": Show(
        Operation("==", path(2, "weight", "data", 0), path(4, "weight", "data", 0))
    ),
    "net[0].weight @ net[2].bias": Show(Operation("@", W, B)),
    "1 + 2 * 3 ** 2": Show(
        Operation("+", Constant(1), Operation("*", Constant(2), Operation("**", Constant(3), Constant(2))))
    ),
    "(1 - 2) / 3": Show(Operation("/", Operation("-", Constant(1), Constant(2)), Constant(3))),
    "-net[2].bias": Show(Operation("*", B, Constant(-1))),
    "-3": Show(Constant(-3)),
    "--3": Show(Constant(3)),
    "-2 ** 2": Show(Operation("*", Operation("**", Constant(2), Constant(2)), Constant(-1))),
    "1.5e-3": Show(Constant(0.0015)),
    "1_000": Show(Constant(1000)),
    "0x10": Show(Constant(16)),
    "1e400": Show(Constant(float("inf"))),
    "inf": Show(Constant(float("inf"))),
    "-inf": Show(Constant(float("-inf"))),
    "float('inf')": Show(Constant(float("inf"))),
    'float("-inf")': Show(Constant(float("-inf"))),
    "True": Show(Constant(True)),
    "None": Show(Constant(None)),
    "'words'": Show(Constant("words")),
    "(1, 2)": Show(Several((Constant(1), Constant(2)))),
    "[]": Show(Several(())),
    "torch.tensor([[1, 2], [3, 4]])": Show(
        Function("tensor", (Several((Several((Constant(1), Constant(2))), Several((Constant(3), Constant(4))))),))
    ),
    "net[2].bias < 0": Show(Operation("<", B, Constant(0))),
    "net[2].bias >= 0.5": Show(Operation(">=", B, Constant(0.5))),
    "net[2].bias != 0": Show(Operation("!=", B, Constant(0))),
    "net[2].weight.data[0, 0] = 100": Assign(path(2, "weight", "data", Index((0, 0), False)), "", Constant(100)),
    "net[2].weight.data[:] += 1": Assign(path(2, "weight", "data", Span(None, None, None)), "+", Constant(1)),
    "net[2].bias -= net[2].bias": Assign(B, "-", B),
    "net[2].bias *= -2": Assign(B, "*", Constant(-2)),
    "net[2].bias /= 3": Assign(B, "/", Constant(3)),
    "net[2].bias **= 2": Assign(B, "**", Constant(2)),
    "net[2].bias = [1, 2.5]": Assign(B, "", Several((Constant(1), Constant(2.5)))),
    "net[2].weight = net[0].weight": Assign(path(2, "weight"), "", W),
    "net[2].weight.grad = None": Assign(path(2, "weight", "grad"), "", Constant(None)),
    "net[2].weight.requires_grad = False": Assign(path(2, "weight", "requires_grad"), "", Constant(False)),
    "net[2].weight.data.fill_(1)": Show(path(2, "weight", "data", "fill_", Call((Constant(1),)))),
    "nn.init.normal_(net[0].weight, std=0.01)": Initialise(W, "normal(std=0.01)"),
    "init.normal_(net[0].weight, 0, 0.01)": Initialise(W, "normal(0, 0.01)"),
    "nn.init.xavier_uniform_(net[0].weight)": Initialise(W, "xavier_uniform()"),
    "nn.init.constant_(net[2].bias, 42)": Initialise(B, "constant(42)"),
    "nn.init.kaiming_normal_(net[0].weight, mode='fan_out', nonlinearity='relu')": Initialise(
        W, "kaiming_normal(mode='fan_out', nonlinearity='relu')"
    ),
    "nn.init.uniform_(net[0].weight, -10, 10)": Initialise(W, "uniform(-10, 10)"),
}


@pytest.mark.parametrize("text", GOOD)
def test_what_may_be_written_is_read_as_meant(text: str) -> None:
    assert tree(text) == GOOD[text]


def test_columns_count_from_one() -> None:
    found = read("1 + net[0].weight")
    assert isinstance(found, Show) and isinstance(found.expression, Operation)
    assert isinstance(found.expression.right, Path) and found.expression.right.column == 5
    with pytest.raises(ConsoleError) as caught:
        read("net[0].weight + (lambda: 1)")
    assert caught.value.column == 18


def test_a_child_of_the_network_may_begin_a_path() -> None:
    assert (
        tree("hidden.weight", None, ("hidden",))
        == tree("net.hidden.weight", None, ("hidden",))
        == Show(path("hidden", "weight"))
    )
    assert tree("hidden", None, ("hidden", "out")) == Show(path("hidden"))
    assert tree("weight[0]", None, ("weight",)) == Show(path("weight", 0))


@pytest.mark.parametrize("name", ["net"])
def test_a_child_with_the_networks_usual_name_is_a_child_and_no_more(name: str) -> None:
    paths = {f"{name}.0.weight": f".{name}[0].weight", "linear.weight": ".linear.weight"}
    wanted = Show(path(name, 0, "weight"))
    assert tree(f"{name}.0.weight", paths, (name, "linear")) == wanted
    assert tree("linear.weight", paths, (name, "linear")) == Show(path("linear", "weight"))


# names of the state_dict


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0.block 1.0.bias", 'net[0]["block 1"][0].bias'),
        ("0.block 1.0.bias[0]", 'net[0]["block 1"][0].bias[0]'),
        ("0.block 1.0.bias.data[0] = 3", 'net[0]["block 1"][0].bias.data[0] = 3'),
        ("0.block 1.0", 'net[0]["block 1"][0]'),
        ("1.weight", "net[1].weight"),
        ("  1.weight  ", "net[1].weight"),
        ("11.weight", "net[11].weight"),
        ("1", "net[1]"),
        ("1.weight + 1", "net[1].weight + 1"),
        ("1.weight+11.weight*1", "net[1].weight+net[11].weight*1"),
        ("(1.weight)", "(net[1].weight)"),
        ("-1.weight", "-net[1].weight"),
        ("1.weight.data[0, 1] = 1", "net[1].weight.data[0, 1] = 1"),
        ("1.bias = 1.bias", "net[1].bias = net[1].bias"),
        ("type(1.bias)", "type(net[1].bias)"),
        ("nn.init.normal_(1.weight, std=0.01)", "nn.init.normal_(net[1].weight, std=0.01)"),
        ("hidden.weight.mean()", "net.hidden.weight.mean()"),
        ("net.hidden.weight", "net.hidden.weight"),
        ("net[1].weight[1]", "net[1].weight[1]"),
        ('net["1.weight"]', 'net["1.weight"]'),
        ("net.state_dict()['1.weight']", "net.state_dict()['1.weight']"),
        ('net.state_dict()["0.block 1.0.bias"][0]', 'net.state_dict()["0.block 1.0.bias"][0]'),
        ("'0.block 1.0.bias'", "'0.block 1.0.bias'"),
        ("\"1.weight\" == '1.weight'", "\"1.weight\" == '1.weight'"),
        ('"it\'s 1.weight"', '"it\'s 1.weight"'),
        ("it's.bias", 'net["it\'s"].bias'),
        ("1.weights", "1.weights"),
        ("1.weight_", "1.weight_"),
        ("x1.weight", "x1.weight"),
        ("net.1.weight", "net.1.weight"),
        ("1.5 + 1", "1.5 + 1"),
        ("1.0", "1.0"),
        ("0.1.weight", "0.1.weight"),
        ("[0].weight", "net[0].weight"),
        ('["block 1"][0]', 'net["block 1"][0]'),
        ("[0, 1]", "[0, 1]"),
        ("[0.5]", "[0.5]"),
        ("1.bias + [1].weight", "net[1].bias + [1].weight"),
        ("weight", "weight"),
        ("weight + 1.weight", "weight + net[1].weight"),
        ("", ""),
    ],
)
def test_names_of_the_state_dict_are_spelled_out_and_strings_stay(text: str, same: str) -> None:
    assert spelled_out(text, PATHS)[0].strip() == same


@bounded
@given(st.text("'\"01.weight block[]()net+- ", max_size=40))
def test_nothing_in_quotes_is_replaced(text: str) -> None:
    inner = text.replace('"', "")
    assert spelled_out(f'net["{inner}"]', PATHS)[0] == f'net["{inner}"]'


@bounded
@given(st.text(max_size=80))
def test_without_names_only_a_first_bracket_is_touched(text: str) -> None:
    found, _ = spelled_out(text, {})
    assert found.replace("net", "") == text.replace("net", "") and len(found) - len(text) in (0, 3)


# what is refused

DEEP = {
    f"{opened} {n}": opened * n + "1" + closed * n
    for opened, closed in (("(", ")"), ("[", "]"), ("-", ""), ("net[", "]"), ("type(", ")"))
    for n in (50, 250, 660)
    if len(opened * n + closed * n) < MAX_TEXT and (n > 90 or opened == "net[")
}
LONG = {
    "sum": "+".join(["1"] * 990), "product of paths": "*".join(["net[0].weight"] * 140), "attributes": "net" + ".a" * 990,
    "indices": "net" + "[0]" * 600,
    "calls": "net" + ".a()" * 450, "list": "[" + "1," * 900 + "]", "names": "a" * 1999 + " b", "digits": "9" * 1999,
    "hexadecimal": "0x" + "f" * 1990,
    "float": "1" + "0" * 1500 + ".0e1 + (", "string": "'" + "a" * 1990 + "' % 1", "brackets": "(" * 1999, "closed": ")" * 1999,
    "quotes": "'" * 1999, "spaces": "x" + " " * 1990 + "x",
    "power": "**".join(["9"] * 600), "too long": "1" * (MAX_TEXT + 1), "far too long": "net[0]" * 100_000,
    "long": "a." * 999 + "1 2", "index list": "net[[" + "0," * 300 + "]]",
    "index tuple": "net[" + "0," * 17 + "]", "keywords": "net.mean(" + ",".join(f"a{i}=1" for i in range(230)) + ")",
    "comparisons": "1" + " < 1" * 450, "colons": "net[" + ":," * 17 + "]",
    "unary": "-" * 1998 + "1", "not": "not " * 490 + "1", "tilde": "~" * 1990 + "1", "lambdas": "lambda: " * 240 + "1",
    "stars": "*" * 1999, "bangs": "!" * 1999, "backslashes": "\\" * 1999,
    "f-strings": "f'{" * 600, "semicolons": ";" * 1999, "dots": "." * 1999, "commas": "net[" + "," * 1900 + "]",
    "at": "@" * 1999, "walruses": "(a:=" * 450, "ifs": "1 if 1 else " * 160 + "1",
}  # fmt: skip
HOSTILE = [
    # names that reach elsewhere
    "__import__('os').system('touch pwned')", "__import__", "__builtins__", "__builtins__['eval']", "__builtins__.eval('1')",
    "__name__", "__file__", "__class__",
    "net.__class__", "net.__dict__", "net.__init__()", "net.__class__.__mro__[1].__subclasses__()",
    "net.__getattribute__('x')", "net[0].__class__", "net[0].weight.__class__", "net[0].weight.__reduce__()",
    "net[0].weight.__setattr__('data', 1)", "net[0].weight.__array__()", "net[0].weight.data.__dict__ = 1",
    "net.__class__ = 1", "net.state_dict().__class__", "net.state_dict()['x'].__class__",
    "().__class__", "''.__class__", "(1).__class__", "[].__class__", "{}.__class__", "[].append(1)", "'a'.upper()",
    "'{0.__class__}'.format(net)", "(net).__doc__", "net.forward.__globals__",
    "net.forward.__code__", "net.__ｃlass__", "net.＿＿class__", "ｎet.__class__",
    "net.\N{MATHEMATICAL ITALIC SMALL A}__.__x__",
    "type(net).__mro__", "type(net).__bases__[0]", "type(net)(1)", "type('X', (), {})", "type(net)('x')", "len.__self__",
    "print.__self__", "net.__", "____", "__[0]",
    # functions of Python
    "eval('1')", "exec('import os')", "compile('1', '', 'eval')", "open('/etc/passwd')", "open('/etc/passwd').read()",
    "open('x', 'w')", "input()", "breakpoint()", "exit()", "quit()", "help()",
    "globals()", "locals()", "vars(net)", "dir(net)", "getattr(net, 'x')", "setattr(net, 'x', 1)", "delattr(net, 'x')",
    "hasattr(net, 'x')", "id(net)", "hash(net)", "repr(net)", "str(net)", "bytes(9)", "bytearray(9)",
    "int('9' * 9999)", "range(10 ** 9)", "list(range(9))", "sorted([1])", "map(type, [1])", "filter(None, [1])", "zip([1])",
    "iter(net)", "next(net)", "super()", "object()", "property(net)", "staticmethod(net)",
    "memoryview(b'x')", "sum([1])", "max(1, 2)", "abs(-1)", "callable(net)", "isinstance(net, int)", "chr(1)",
    "float('1e999')", "float(net)", "float('nan ')", "bool(1)", "set([1])", "frozenset()", "tuple([1])", "slice(1)",
    "eval ('1')", "(eval)('1')", "(lambda: eval)()('1')", "ｅval('1')", "eval.__call__('1')", "print(eval('1'))",
    "type(eval('1'))", "len(open('x'))", "[eval('1')]", "net[eval('1')]", "net[0].weight + eval('1')",
    "net[0].weight.mean(eval('1'))",
    "net[0].weight.mean(dim=eval('1'))", "net[0].weight = eval('1')", "net[0].weight[open('x')] = 1",
    "net[0].weight += open('x')", "torch.tensor(eval('1'))", "type()", "type(1, 2)", "len()", "len(1, 2)", "print()",
    "print(1, 2)",
    "print(net, end='')", "print(net, file=net)", "list()", "dict(a=1)", "dict()", "list(1, 2)", "torch.tensor(1, 2)([0])",
    "(torch.tensor)(1)(2)", "len(obj=net)", "type(*[1], *[2])", "len(**{})",
    # statements
    "import os", "import os; os.system('ls')", "from os import system", "import torch as net", "del net", "del net[0]",
    "del net[0].weight", "pass", "return net", "yield net", "(yield)", "(yield net)", "await net", "(await net)",
    "raise ValueError", "assert net",
    "assert 0", "global net", "nonlocal net", "break", "continue", "while True: pass", "while 1: net", "for i in net: pass",
    "for i in range(9): net", "if net: net", "if 1: pass", "with net: pass", "with open('x') as f: pass", "try: net",
    "def f(): pass",
    "async def f(): pass", "class A: pass", "class A(net): pass", "match net:", "type X = int", "net; net", "1;2",
    "a = 1; b = 2", "@net", "lambda: 1", "lambda x: x", "(lambda: net)()", "(lambda: 1)", "net[lambda: 0]",
    # assignments
    "net = 1", "x = 1", "a = b = 1", "net[0].weight = net[2].weight = 1", "a, b = 1, 2", "[a, b] = 1, 2",
    "net[0].weight, net[2].weight = 1, 2", "*a, b = net", "(net) = 1", "net: int", "net[0].weight: int = 1", "net.x: int",
    "1 = 2", "'a' = 1", "None = 1",
    "net() = 1", "net.mean() = 1", "net += 1", "net[0].weight @= 1", "net[0].weight %= 2", "net[0].weight //= 2",
    "net[0].weight <<= 2", "net[0].weight >>= 2", "net[0].weight &= 2", "net[0].weight |= 2", "net[0].weight ^= 2",
    "net[0].weight ++", "net[0].weight =",
    "net[0].weight == ", "= 1", "+= 1", "net[0].weight =+ 1", "net[0].weight =! 1", "net[0].weight := 1", "(x := 1)",
    "net[(x := 0)]", "[x := 1]", "(net[0].weight := 1)", "print(x := 1)", "net[0].weight.mean(x := 1)",
    "net[0].weight = (x := 1)", "net[0].weight = yield",
    "net[0].weight = lambda: 1", "net[0].weight = await x", "__x__ = 1", "net.__x__ = 1", "net[0].weight -> 1",
    # expressions
    "net and net", "net or net", "not net", "1 and 2", "~net", "+net", "+1", "1 if net else 2", "1 < 2 < 3",
    "net == net == net", "1 in [1]", "1 not in [1]", "net in net", "1 % 2", "1 // 2", "1 << 9", "1 >> 1", "1 & 1", "1 | 1",
    "1 ^ 1", "1j", "2j * 3", "b'1'", "b''",
    "...", "Ellipsis[0](1)(2)", "{}", "{1: 2}", "{1}", "{1, 2}", "{**net}", "{*net}", "f''", "f'{net}'", "f'{eval(1)}'",
    "f'{net!r:>{9}}'", "f'{1:>999999999}'", "rf'{net.__class__}'", "'%s' % net", "'a' 'b' % 1", "net[f'{0}']", "f'{(x:=1)}'",
    "{'a': net}['a']", "(i for i in net)",
    "[i for i in net]", "[i for i in [1]]", "{i for i in net}", "{i: i for i in net}",
    "[eval('1') for i in net.named_parameters()]", "[(a, b) for a, b in net.named_parameters()]",
    "[(name, param.data) for name, param in net.named_parameters()]",
    "[(name, param.shape) for name, param in net.named_parameters() if name]", "[(name, param.shape) for name, param in net]",
    "[(name, param.shape) for param, name in net.named_parameters()]",
    "[(name, param.shape) for name, param in net.named_parameters() for x in net]",
    "[(name, other.shape) for name, param in net.named_parameters()]",
    "[(name, param.shape, 1) for name, param in net.named_parameters()]",
    "[(name, param.shape) for name, *param in net.named_parameters()]",
    "[(name, param.shape) for x in net.named_parameters()]",
    "[(name, param.shape) async for name, param in net.named_parameters()]",
    "((name, param.shape) for name, param in net.named_parameters())",
    "[(name, param.__class__) for name, param in net.named_parameters()]",
    "[(name, param.shape) for name, param in eval('1')]",
    "[(name, param.shape) for name, param in (lambda: 1)()]", "[(name, param.shape) for name, param in print(net)]",
    "{name: param.shape for name, param in net.named_parameters()}", "[[1 for i in net] for j in net]", "[*[i for i in net]]",
    "print(*(i for i in net))",
    # calls and indices
    "net(1)", "net()", "net[0](1)", "net()()", "net.mean()()", "net.mean(*[1])", "net.mean(**{'dim': 0})", "net.mean(*net)",
    "net.mean(**net)", "net.mean(dim=0, 1)", "net.mean(1 for i in net)", "net.mean(lambda: 1)", "net.mean(f'{1}')",
    "net.mean({})",
    "net.mean(...)", "net.mean(net())", "(1)(2)", "'a'(1)", "[1](2)", "1[0]", "'a'[0]", "(1, 2)[0]", "[1, 2, 3][1]",
    "[1, 2][0:1]", "{}[0]", "(net, 1)[0]", "(1 + 2)[0]", "(net + 1)[0]", "(-net)[0]", "(1).real", "'a'.b", "(net + 1).mean()",
    "(net[0].weight * 2).sum()", "net[0.5]", "net[1.0]", "net[1e3]",
    "net[0:1.5]", "net[0.5:]", "net[::0.5]", "net[::0]", "net[::-1]", "net[0:9:-2]", "net[1:2:3:4]", "net[:'a']",
    "net['a':'b']", "net[True]", "net[False:]", "net[[True, False]]", "net[None:None:'a']", "net[1j]", "net[b'a']", "net[0][]",
    "net[]", "net[", "net]", "net[0", "net[[]]", "net[[[0]]]", "net[[0.5]]",
    "net[['a']]", "net[(0, 1), 2]", "net[{}]", "net[{0}]", "net[net]", "net[net[0].weight > 0]",
    "net[0].weight[net[0].weight > 0] = 1", "net[0 + 1]", "net[1 - 1]", "net[-x]", "net[--1]", "net[+1]", "net[~0]",
    "net[not 0]", "net[0 if 1 else 2]", "net[i]", "net[*[0]]", "net[0, *[1]]", "net[**x]", "net[x=1]",
    "net[(yield)]", "net['...']", "net[1099511627776]", "net[-1099511627776]", "net[99999999999999999999999]",
    "net[0:99999999999999999999]", "net[[1099511627776]]", "net[- 99999999999999999999:]", "net[len(net)]",
    # numbers
    "9" * 39, "-" + "9" * 39, "1e39", "-1e39", "1e308", "0x" + "f" * 40, "1e1000j", "9" * 400, "1_", "1__0", "0777", "0b3",
    "0o8", "0xg", "1e", "1.2.3", "1..2", "net[0].weight * 1e39", "net[0].weight = " + "9" * 50,
    "net[0].weight.mean(" + "9" * 50 + ")", "1 2", "1x", "0_", "1e+",
    # texts that are none
    "", " ", "\t", "\n", "\r\n", "\x00", "net\x00", "net\x00[0]", "net\n[0]", "net[0]\nnet[1]", "net\tx", "net\t[0]",
    "net\x0b[0]", "net\x0c[0]", "\x1b[31mnet", "net[0]\x1b[2J", "net\x07", "net\x7f", "net\x85x", "net\xa0[0]", "net\u2028[0]",
    "net\u2029x", "\u202enet", "net\u200b[0]", "\ufeffnet", "\ud800", "net['\ud800']", "net\udfff",
    "nеt.wеight()()", "net[０.5]", "net［0］", "net（0）", "net。weight", "net[‘a’]", "net[“a”]", "①", "½", "²", "net²", "🙂",
    "net.🙂", "'🙂", "net[0]🙂", "→", "net → 0", "∞", "π²", "1−2", "2×3", "net…",
    # half of something
    "net.", ".net", "net..x", "net[0]..weight", "net[0].", "net[0] .", "'", '"', "'''", '"""', "'a", '"a', "'a\"", "(", ")",
    "[", "{", "}", "net(", "net)", "net[0))", "((net)", "net]]", "\\", "net\\", "net \\ x", "$", "$net", "?", "?net", "!ls",
    "%time net", "`net`", "net`", "@", "#", "# comment", ":", ";", ",", ", net", "net ,, net", "=", "==", "->", ":=", "*",
    "**net",
    "net net", "net[0] net[1]", "net[0]weight", "net weight", "0.weight", "0.block 1.0.bias", "1.bias", "0.0.0", "block 1",
    "not", "in", "is", "if", "else", "for", "lambda", "class", "def", "import", "net is", "is net", "net is is net",
    "net not in", "net.class", "net.import", "net.None", "net.if.weight", "None.x()()", "True = False", "print net",
    "exec 'x'", "<net>", "net<", "<>", "1 <> 2", "net?.x", "net::x", "net->x", "net!x", "net!=", "a b c", "rm -rf /",
    "import('os')", "&& ls", "| cat", "$(ls)", "${x}", "; DROP TABLE", "<script>",
    # drawing
    "nn.init.normal_()", "nn.init.normal_(tensor=net[0].weight)", "nn.init.normal(net[0].weight)",
    "init.uniform(net[0].weight)", "nn.init.normal_(1)", "nn.init.normal_('net')", "nn.init.normal_(net(), 1)",
    "nn.init.normal_(*net)", "nn.init.normal_([net[0].weight])", "nn.init.normal_(eval('1'))", "nn.init.normal_(lambda: 1)",
    "nn.init.normal_(net.__class__)", "nn.init.normal_(net[0].weight + 1)", "nn.init.normal_(f'{1}')",
    "nn.init.normal_((net[0].weight, 1))", "init.normal_()", "nn.init.__class__()", "nn.init.normal_(net[0].weight)(1)",
    "nn.init.__x_(__y)", "init.x_(__import__)", "nn.init.x_(net[0.5])",
]  # fmt: skip
LANGUAGE = sorted({*HOSTILE, *LONG.values(), *DEEP.values()}, key=lambda text: (len(text), text))


def refusal(text: str, paths: dict[str, str] | None = None) -> str:
    for again in (True, False):  # the first time Python may collect what other tests left
        began = time.process_time()
        with pytest.raises(ConsoleError) as caught:
            read(text, paths)
        if (took := time.process_time() - began) < SOON:
            break
        assert again, took
    said = str(caught.value)
    assert said and said.isprintable() and len(said) < 400, said
    assert isinstance(caught.value.column, int) and caught.value.column >= 0
    return said


def test_there_are_more_than_two_hundred_hostile_texts() -> None:
    assert len(LANGUAGE) > 500


@pytest.mark.parametrize("text", LANGUAGE, ids=lambda text: ascii(text)[1:40])
def test_what_has_no_place_is_refused_with_one_sentence(text: str) -> None:
    refusal(text)


def test_it_is_refused_as_fast_where_names_of_the_state_dict_are_looked_for() -> None:
    for text in ["(" * 1999, "( " * 999, "- " * 999, *LONG.values(), *DEEP.values()]:
        refusal(text, PATHS)


def test_a_keyword_is_given_once() -> None:
    refusal("net[0].weight.mean(dim=0, dim=1)")


@pytest.mark.parametrize("text", ["nn.init.normal_(net[1].weight, **{'std': 1})", "nn.init.normal_(net[1].weight, **net)"])
def test_a_splat_is_no_way_to_draw(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(("text", "column"), [("1.weight + (lambda: 1)", 13), ("'\u00e4\u00e4' + (lambda: 1)", 9)])
def test_columns_are_those_of_the_text_that_was_typed(text: str, column: int) -> None:
    with pytest.raises(ConsoleError) as caught:
        read(text, PATHS)
    assert text[caught.value.column - 1 :].startswith("lambda") and caught.value.column == column


@pytest.mark.parametrize("text", ["'\\d'", "net['\\d']", "1if 2 else 3", "0x1for x in y"])
def test_nothing_is_warned_of(text: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read(text)
        except ConsoleError:
            pass
    assert not caught


# anything


def harmless(text: str, paths: dict[str, str] | None = None, children: tuple[str, ...] = ()) -> None:
    try:
        found = read(text, paths, children)
    except ConsoleError as error:
        assert str(error) and str(error).isprintable()
    else:
        assert isinstance(found, Show | Assign | Initialise)


WORDS = st.sampled_from(
    ["net", "0.block 1.0.bias", "1.weight", "[0]", '["block 1"]', ".weight", ".data", ".bias", ".grad",
     "(", ")", "[", "]", "{", "}", ",", ":",
     "=", "==", "+=", "+", "-", "*", "**", "/", "@", "<", " is ", " in ", " not ", " if ", " else ", " for ", "lambda ",
     "None", "True", "...", "1", "0",
     "0.5", "1e400", "'a'", '"', "'", "f'", "b'a'", "\\", "\n", "\x00", "type(", "len(", "print(", "torch.tensor(",
     "nn.init.normal_(", ".mean()",
     ".state_dict()", "dim=0", ":=", ";", "#", "_", "__class__", "eval(", "é", "٣", "\u202e", "\ud800", " ", "nan", "inf",
     "1j", "~", "%", "|", "&", "^", "!"]
)  # fmt: skip


@bounded
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    harmless(text)
    harmless(text, PATHS, ("hidden", "weight"))


@bounded
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_row_of_words_of_the_language_is_read_or_refused(text: str) -> None:
    harmless(text)
    harmless(text, PATHS, ("hidden", "net"))


@bounded
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_any_good_line_with_a_hole_or_a_stain_is_read_or_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 4)))
    harmless(text[:start] + data.draw(WORDS | st.text(max_size=3)) + text[end:], PATHS)


@bounded
@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=6), st.text(max_size=60))
def test_any_names_of_a_network_do_no_harm(names: dict[str, str], text: str) -> None:
    harmless(text, names, tuple(names))
    for name in names:
        harmless(name, names, tuple(names))


@pytest.mark.parametrize("text", GOOD)
def test_what_is_read_is_made_of_the_languages_parts_only(text: str) -> None:
    seen: list[object] = [tree(text)]
    while seen:
        one = seen.pop()
        if isinstance(one, tuple):
            seen.extend(one)
        elif dataclasses.is_dataclass(one):
            assert type(one).__module__ == console.__name__
            seen.extend(vars(one).values())
        else:
            assert one is None or isinstance(one, str | int | float | bool)
