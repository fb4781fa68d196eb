"""The path console's language: PyTorch's own spelling of a tensor and of what is done to it. Read with `ast`, never executed.

    net[2].weight.data[0, 0] = 100             0.block 1.0.bias                 net.state_dict()["2.bias"].data
    net[0].bias += 1                           net[0].weight[:, ::2].mean()     net[2].weight.data[0] == net[4].weight.data[0]
    nn.init.normal_(net[0].weight, std=0.01)   net[4].weight = net[2].weight    type(net[2].bias)

What the links of a path mean is for whoever has the network; here is only what may be written.
"""

import ast
import math
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from mlptui.core.architecture.syntax import short, what
from mlptui.core.errors import MlptuiError
from mlptui.core.text import safe

MAX_TEXT = 2000
MAX_NODES = 400
MAX_NUMBER = 1e38
ROOT = "net"


class ConsoleError(MlptuiError):
    """What was typed cannot be read or done; `column` counts from 1 where a place is at fault, else 0."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(safe(message, 600))
        self.column = column


@dataclass(frozen=True)
class Name:
    """`.weight`, or a child's name in `["block 1"]` is an Index with a string."""

    name: str


@dataclass(frozen=True)
class Span:
    """`start:stop:step` of an index."""

    start: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True)
class Index:
    """`[0]`, `["block 1"]`, `[0, 1:3]`, `[..., None]`."""

    items: tuple["int | str | Span | tuple[int, ...] | None", ...]  # None: a new axis; "..." is the string of three dots
    single: bool = True


@dataclass(frozen=True)
class Call:
    """`(...)` after a name."""

    arguments: tuple["Expression", ...] = ()
    named: tuple[tuple[str, "Expression"], ...] = ()


@dataclass(frozen=True)
class Path:
    """What is reached from the network link by link; () is the network."""

    links: tuple[Name | Index | Call, ...]
    column: int = 0


@dataclass(frozen=True)
class Constant:
    value: float | int | bool | str | None


@dataclass(frozen=True)
class Several:
    """A list or tuple of values."""

    items: tuple["Expression", ...]


@dataclass(frozen=True)
class Operation:
    """`left operator right`, where the operator is one of + - * / ** @ == != < <= > >= is."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class Function:
    """type(x), len(x), torch.tensor([...]): `name` without its module."""

    name: str
    arguments: tuple["Expression", ...]


Expression = Path | Constant | Several | Operation | Function


@dataclass(frozen=True)
class Show:
    expression: Expression


@dataclass(frozen=True)
class Assign:
    """`target = value`, or with an operator `target += value`."""

    target: Path
    operator: str
    value: Expression


@dataclass(frozen=True)
class Initialise:
    """`nn.init.normal_(net[0].weight, std=0.01)`: `scheme` is what it would be as a rule, `normal(std=0.01)`."""

    target: Path
    scheme: str


Statement = Show | Assign | Initialise
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@", ast.Eq: "==", ast.NotEq: "!=",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
FUNCTIONS = ("type", "len", "print", "list", "dict", "tensor")
_WORD = re.compile(r"[\w\"')\]]")
_NUMBER = re.compile(r"[\d.]+")


def read(text: str, paths: Mapping[str, str] | None = None, children: Collection[str] = ()) -> Statement:
    """What a line asks for. Raises ConsoleError.

    `paths` has for names as they stand in the state_dict (`0.block 1.0.bias`) the spelling by links from the network on
    (`[0]["block 1"][0].bias`); `children` are the network's own children and tensors, which may begin a path themselves.
    """
    if len(text) > MAX_TEXT:
        raise ConsoleError(f"this is too long; at most {MAX_TEXT:,} characters")
    if not text.strip():
        raise ConsoleError('type a path, as net[0].weight or 0.weight; "?" lists what can be done')
    if not all(c.isprintable() for c in text.strip()):
        raise ConsoleError("one line of printable characters, please")
    line, typed = spelled_out(text.strip(), paths or {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's own, about odd literals
            body = ast.parse(line).body
        if len(body) != 1:
            raise ConsoleError("one thing at a time, please")
        if sum(1 for _ in ast.walk(body[0])) > MAX_NODES:
            raise ConsoleError("this is too much for one line")
        return _Reader(frozenset(children)).statement(body[0])
    except SyntaxError as error:
        message, offset = f"this cannot be read: {short(error.msg or 'syntax')}", error.offset or 0
    except ConsoleError as error:
        message, offset = (
            str(error),
            len(line.encode()[: max(0, error.column - 1)].decode(errors="ignore")) + 1 if error.column else 0,
        )
    except (ValueError, RecursionError, MemoryError):
        message, offset = "this cannot be read", 0
    if offset:  # where it was typed
        offset = typed[min(offset, len(typed)) - 1] + 1 + len(text) - len(text.lstrip())
    raise ConsoleError(message, offset)


def spelled_out(text: str, paths: Mapping[str, str]) -> tuple[str, list[int]]:
    """The text with names of the state_dict as Python spells them, and where each of its characters was typed.

    `0.weight[0]` becomes `net[0].weight[0]`.
    """
    result, typed, position, quote = "", list[int](), 0, ""
    first, lengths = {name[0] for name in paths if name}, sorted({len(name) for name in paths if name}, reverse=True)
    while position < len(text):
        here, more = text[position], ""
        if quote:
            quote = "" if here == quote else quote
        elif here in "\"'":
            quote = here
        elif not result or not (_WORD.match(result[-1]) or result[-1] == "."):
            name = _longest(text, position, paths, lengths) if here in first else ""
            if name:
                here, more = f"{ROOT}{paths[name]}", name[1:]
            elif here == "[" and not result.strip() and _links(text[position:]):
                here = f"{ROOT}["
        result += here
        typed += [position] * len(here)
        position += 1 + len(more)
    return result, [*typed, len(text)]


def _links(text: str) -> bool:
    return re.match(r"""\[\s*(-?\d+|"[^"]*"|'[^']*')\s*\]""", text) is not None


def _longest(text: str, position: int, paths: Mapping[str, str], lengths: list[int]) -> str:
    """The longest known name that begins here. A number alone is a number, unless it is all that was typed."""
    for length in lengths:
        end = position + length
        found = text[position:end]
        if len(found) < length or found not in paths or (end < len(text) and (text[end].isalnum() or text[end] == "_")):
            continue
        if found == text or ("." in found and not _NUMBER.fullmatch(found)):
            return "" if found.isidentifier() else found
    return ""


class _Reader:
    def __init__(self, children: frozenset[str]) -> None:
        self._children = children

    def statement(self, node: ast.stmt) -> Statement:
        match node:
            case ast.Expr(value=ast.Call() as call) if (begun := self._initialise(call)) is not None:
                return begun
            case ast.Expr(value=value):
                return Show(self.expression(value))
            case ast.Assign(targets=[target], value=value):
                return Assign(self._target(target), "", self.expression(value))
            case ast.AugAssign(target=target, op=op, value=value):
                if type(op) not in OPERATORS or isinstance(op, ast.MatMult):
                    _refuse(node, "only = += -= *= /= and **= change values")
                return Assign(self._target(target), OPERATORS[type(op)], self.expression(value))
        _refuse(node, f"{what(node)} has no place here; type a path, or path = value")

    def _target(self, node: ast.expr) -> Path:
        if not isinstance(node, ast.Attribute | ast.Subscript):
            _refuse(node, "only tensors of the network can be assigned, as net[0].weight.data[0, 0] = 1")
        return self.path(node)

    def _initialise(self, call: ast.Call) -> Initialise | None:
        match call.func:
            case ast.Attribute(value=ast.Attribute(value=ast.Name("nn"), attr="init") | ast.Name("init"), attr=name):
                pass
            case _:
                return None
        if any(k.arg is None for k in call.keywords) or any(isinstance(a, ast.Starred) for a in call.args):
            _refuse(call, "* and ** have no place here")
        if not call.args or not name.endswith("_"):
            _refuse(call, "write nn.init.normal_(net[0].weight, std=0.01)")
        rest = [ast.unparse(a) for a in call.args[1:]] + [f"{k.arg}={ast.unparse(k.value)}" for k in call.keywords]
        return Initialise(self.path(call.args[0]), f"{name[:-1]}({', '.join(rest)})")

    def expression(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=bool() | None | str() | int() | float() as value):
                if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) <= MAX_NUMBER:
                    if isinstance(value, float) and math.isinf(value):
                        return Constant(value)
                    _refuse(node, "this number is too large")
                return Constant(value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.expression(operand)
                if isinstance(inner, Constant) and isinstance(inner.value, int | float) and not isinstance(inner.value, bool):
                    return Constant(-inner.value)
                return Operation("*", inner, Constant(-1))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return Operation(OPERATORS[type(op)], self.expression(left), self.expression(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
                return Operation(OPERATORS[type(op)], self.expression(left), self.expression(right))
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return Several(tuple(self.expression(item) for item in items))
            case ast.ListComp():
                return self._pairs(node)
            case ast.Starred(value=value):
                return self.expression(value)
            case ast.Call(func=ast.Name(name), args=arguments, keywords=[]) if name in FUNCTIONS and name != "tensor":
                given = tuple(self.expression(a) for a in arguments)
                if len(given) != 1:
                    _refuse(node, f"{name} takes one thing")
                return given[0] if name in ("print", "list", "dict") else Function(name, given)
            case ast.Call(func=ast.Attribute(value=ast.Name("torch"), attr="tensor"), args=[one], keywords=[]):
                return Function("tensor", (self.expression(one),))
            case ast.Name("nan" | "inf" as word):
                return Constant(float(word))
            case ast.Call(func=ast.Name("float"), args=[ast.Constant(value="nan" | "inf" | "-inf" as word)], keywords=[]):
                return Constant(float(str(word)))
            case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call():
                return self.path(node)
        _refuse(node, f"{what(node)} cannot stand here")

    def _pairs(self, node: ast.ListComp) -> Expression:
        """d2l's `[(name, param.shape) for name, param in net.named_parameters()]`, which is what showing them does anyway."""
        match node:
            case ast.ListComp(
                elt=ast.Tuple(elts=[ast.Name(one), ast.Attribute(value=ast.Name(two), attr="shape")]),
                generators=[
                    ast.comprehension(
                        target=ast.Tuple(elts=[ast.Name(first), ast.Name(second)]),
                        iter=ast.Call() as walked,
                        ifs=[],
                        is_async=0,
                    )
                ],
            ) if (one, two) == (first, second):
                return self.path(walked)
        _refuse(node, "of repetitions only [(name, param.shape) for name, param in net.named_parameters()] is known")

    def path(self, node: ast.expr) -> Path:
        links: list[Name | Index | Call] = []
        column = node.col_offset + 1
        while True:
            match node:
                case ast.Attribute(value=inner, attr=name):
                    links.append(Name(name))
                    node = inner
                case ast.Subscript(value=inner, slice=index):
                    links.append(self._index(index))
                    node = inner
                case ast.Call(func=ast.Attribute() as inner, args=arguments, keywords=named):
                    if any(k.arg is None for k in named) or any(isinstance(a, ast.Starred) for a in arguments):
                        _refuse(node, "* and ** have no place here")
                    if len({k.arg for k in named}) < len(named):
                        _refuse(node, "an argument stands here twice")
                    given = tuple(self.expression(a) for a in arguments)
                    links.append(Call(given, tuple((str(k.arg), self.expression(k.value)) for k in named)))
                    node = inner
                case ast.Name(name):
                    if name.startswith("__"):
                        _refuse(node, f"{short(name)} is not to be reached here")
                    if name in self._children and name != ROOT:  # as where `net = ...` stands before it
                        links.append(Name(name))
                    break
                case _:
                    _refuse(node, "a path begins at the network, as net[0].weight")
        links.reverse()
        for link in links:
            if isinstance(link, Name) and link.name.startswith("__"):
                _refuse(node, f"{short(link.name)} is not to be reached here")
        return Path(tuple(links), column)

    def _index(self, node: ast.expr) -> Index:
        several = isinstance(node, ast.Tuple)
        items = node.elts if isinstance(node, ast.Tuple) else [node]
        if len(items) > 16:
            _refuse(node, "these are too many indices")
        return Index(tuple(self._item(item) for item in items), not several)

    def _item(self, node: ast.expr) -> "int | str | Span | tuple[int, ...] | None":
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                bounds = [None if part is None else self._whole(part) for part in (lower, upper, step)]
                if bounds[2] is not None and bounds[2] < 1:
                    _refuse(node, "torch knows only steps from 1 on")
                return Span(*bounds)
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=value) if value is ...:
                return "..."
            case ast.Constant(value=str() as text):
                return text if text != "..." else _refuse(node, "this is no name")
            case ast.List(elts=items) if 0 < len(items) <= 256:
                return tuple(self._whole(item) for item in items)
        return self._whole(node)

    def _whole(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool) and abs(value) < 1 << 40:
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)) if not isinstance(value, bool):
                return -value if value < 1 << 40 else _refuse(node, "this index is too large")
        _refuse(node, "an index is a whole number, a slice such as 0:3, a list of numbers, or a name in quotes")


def _refuse(node: ast.AST, message: str) -> NoReturn:
    raise ConsoleError(message, getattr(node, "col_offset", -1) + 1)
