"""Architecture text to the tree of layers, read with `ast` and never executed."""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import NoReturn

from mlptui.core.architecture import known
from mlptui.core.architecture.blocks import FUNCTIONS
from mlptui.core.architecture.syntax import nearest, place_of, short, syntax_tree, what
from mlptui.core.architecture.tree import CONTAINERS, SEQUENTIAL, Layer, Value
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import ArchitectureError

MAX_TEXT = 65_536
MAX_PLACES = 10_000
MAX_DEPTH = 32
MAX_NUMBER = 2**31 - 1
MAX_STRING = 256
MAX_REPEATS = 10_000
MAX_TUPLE = 64
MAX_WORK = 60_000
MAX_TIES = 1000

Bound = Value | Layer
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
ALLOWED = (
    "allowed are nn.Sequential, the layers of torch.nn and of d2l, numbers and arithmetic, strings, tuples, "
    "names bound above, OrderedDict([...]) and repetition over range()"
)


REFERENCE = re.compile(r"((?:torchvision|[^\n\0:()\"'=]*\.py):([A-Za-z_][A-Za-z0-9_]*))(?:\s*\((.*)\))?", re.S)

FILE_ALONE = re.compile(r"[^\n\0:()\"'=]*\.py")
REFERENCE_BEGUN = re.compile(r"(?:torchvision|[^\n\0:()\"'=]*\.py):")


def parse(text: str) -> Layer:
    """The network that `text` describes: its last line, an expression or an assignment; or a reference to one.

    `nets.py:MLP(hidden=256)` is a class or function in a person's own file, `torchvision:resnet18` one of torchvision's.
    Raises ArchitectureError, with line and column, for everything but the calls, literals, names, arithmetic and
    repetition that the architecture language knows.
    """
    if len(text) > MAX_TEXT:
        raise ArchitectureError(f"the text has {len(text):,} characters; at most {MAX_TEXT:,} are allowed")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        begin = len(text) - len(text.lstrip())
        if named := REFERENCE.fullmatch(text, begin, len(text.rstrip())):
            return _Reader().reference(text, named)
        if FILE_ALONE.fullmatch(text, begin, len(text.rstrip())):
            raise ArchitectureError("name the class or function in it too, as in nets.py:MLP")
        if elsewhere := REFERENCE_BEGUN.match(text, begin):
            before = text[: elsewhere.end()]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            raise ArchitectureError("after the colon comes a class or function, as in nets.py:MLP", line, column)
        return _Reader().network(syntax_tree(text))
    except _RefusedError as refused:
        raise ArchitectureError(str(refused), *place_of(text, refused.node)) from None
    except RecursionError:
        raise ArchitectureError("the text is too deeply nested") from None


def named_arguments(text: str) -> tuple[tuple[str, Value], ...]:
    """The values of `a=1, b=(2, 3)`. Raises ArchitectureError."""
    if len(text) > MAX_TEXT:
        raise ArchitectureError("this is too long for the arguments of a layer")
    call = f"f({text})"
    try:
        match syntax_tree(call).body:
            case [ast.Expr(value=ast.Call(func=ast.Name("f"), args=[], keywords=given))]:
                return _Reader().named_values(given)
    except _RefusedError as refused:
        raise ArchitectureError(str(refused)) from None
    except RecursionError:
        raise ArchitectureError("the text is too deeply nested") from None
    raise ArchitectureError(f"write name=value: {short(text)!r}")


class _RefusedError(Exception):
    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.node = node


class _Reader:
    def __init__(self) -> None:
        self.names: dict[str, Bound] = {}
        self.repeats = 0
        self.work = 0

    def network(self, module: ast.Module) -> Layer:
        if not module.body:
            raise ArchitectureError("there is no network here; write for example nn.Sequential(nn.Linear(4, 1))")
        result: Bound = None
        ties: list[tuple[str, str]] = []
        for statement in module.body:
            match statement:
                case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target], value=value):
                    one, other = self.parameter(target, result), self.parameter(value, result)
                    if one == other or len(ties) >= MAX_TIES:
                        _refuse(statement, "a parameter is itself already" if one == other else "these are too many ties")
                    ties.append((one, other))
                case _:
                    if ties:
                        _refuse(statement, "after the ties of a network nothing else can stand")
                    result = self.statement(statement)
        if not isinstance(result, Layer):
            _refuse(module.body[-1], "the last line must be a layer, and it is not")
        _check_extent(result, module.body[-1])
        return replace(result, ties=tuple(ties)) if ties else result

    def parameter(self, node: ast.expr, network: Bound) -> str:
        """The name in the state_dict of `net[0]["block 1"].weight`, a parameter of the network that was bound last."""
        steps: list[ast.expr] = []
        inner = node
        while isinstance(inner, ast.Attribute | ast.Subscript):
            self.count(inner)
            steps.append(inner)
            inner = inner.value
        if not isinstance(inner, ast.Name) or not isinstance(network, Layer) or self.names.get(inner.id) is not network:
            _refuse(node, "here the parameters of the network above can be tied, as in net[4].weight = net[2].weight")
        if not steps or not isinstance(steps[0], ast.Attribute):
            _refuse(node, "a tie names parameters, as in net[4].weight = net[2].weight")
        names: list[str] = []
        layer: Layer | None = network
        for step in reversed(steps):
            names.append(self.child(step, layer))
            layer = dict(layer.children).get(names[-1]) if layer else None
        if any("." in name or not name.isprintable() for name in names):
            _refuse(node, "a name must be printable and without dots")
        return ".".join(names)

    def child(self, step: ast.expr, layer: Layer | None) -> str:
        if isinstance(step, ast.Attribute):
            return step.attr
        assert isinstance(step, ast.Subscript)
        at = self.value(step.slice)
        children = [name for name, _ in layer.children] if layer else []
        if isinstance(at, int) and not isinstance(at, bool) and -len(children) <= at < len(children):
            return children[at]
        if isinstance(at, str) and at in children:
            return at
        what_ = (
            f"{layer.kind} has no {short(repr(at))}" if layer and layer.container else "only Sequential's layers have numbers"
        )
        _refuse(step, what_)

    def reference(self, text: str, named: re.Match[str]) -> Layer:
        """A network elsewhere; its arguments are literals with their names, or none."""
        if not named[1].isprintable():
            raise ArchitectureError(f"a path has printable characters only: {short(named[1])}")
        blank = " " * len(named[1].encode())  # the call stands where it was typed, so that places in complaints are right
        start = named.start(1)
        module = syntax_tree(text[:start] + ("f" + blank[1:] if named[3] is not None else blank) + text[named.end(1) :])
        if named[3] is None:
            return Layer(named[1].strip())
        match module.body:
            case [ast.Expr(value=ast.Call(func=ast.Name(), args=[], keywords=given))]:
                return Layer(named[1].strip(), self.named_values(given))
        raise ArchitectureError(f"arguments of {short(named[1])} need their names, as in (hidden=256)")

    def named_values(self, given: list[ast.keyword]) -> tuple[tuple[str, Value], ...]:
        values: dict[str, Value] = {}
        for keyword in given:
            if keyword.arg is None:
                _refuse(keyword.value, "**arguments are not allowed")
            if keyword.arg in values:
                _refuse(keyword.value, f"{keyword.arg!r} stands here twice")
            values[keyword.arg] = self.value(keyword.value)
        return tuple(values.items())

    def statement(self, node: ast.stmt) -> Bound:
        match node:
            case ast.Expr(value=value):
                return self.bound(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name in ("nn", "torch", "range", "OrderedDict") or name.startswith("__"):
                    _refuse(node, f"the name {short(name)!r} cannot be bound")
                self.names[name] = self.bound(value)
                return self.names[name]
            case ast.Import() | ast.ImportFrom():
                _refuse(node, "imports are neither needed nor allowed; nn and OrderedDict are there already")
        _refuse(node, f"only expressions and 'name = ...' can stand here; {ALLOWED}")

    def count(self, node: ast.AST) -> None:
        """Bound what is read, repetitions included, so that no short text costs much time or memory."""
        self.work += 1
        if self.work > MAX_WORK:
            _refuse(node, "this network is too large to be written here")

    def bound(self, node: ast.expr) -> Bound:
        self.count(node)
        match node:
            case ast.Name(id=name):
                if name not in self.names:
                    _refuse(node, _unknown_name(name, list(self.names)))
                return self.names[name]
            case ast.Attribute(value=ast.Name("nn"), attr=name) if name in known.names():
                _refuse(node, _unknown_name(name, []))
            case ast.Call():
                return self.call(node)
        return self.value(node)

    def value(self, node: ast.expr) -> Value:
        self.count(node)
        match node:
            case ast.Constant(value=bool() | str() | None as constant):
                if isinstance(constant, str) and len(constant) > MAX_STRING:
                    _refuse(node, f"strings longer than {MAX_STRING} characters are not allowed")
                return constant
            case ast.Constant(value=int() | float() as number):
                return _bounded(node, number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _bounded(node, -self.number(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.number(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return self.arithmetic(node, self.number(left), op, self.number(right))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return self.together(node, elements)
            case ast.JoinedStr(values=parts):
                return self.formatted(node, parts)
            case ast.Name():
                bound = self.bound(node)
                if isinstance(bound, Layer):
                    _refuse(node, "a layer cannot stand here; a number, string or tuple can")
                return bound
        _refuse(node, f"{what(node)} cannot stand here; {ALLOWED}")

    def together(self, node: ast.expr, elements: list[ast.expr]) -> tuple[Value, ...]:
        """A tuple, bounded with all that is inside it, so that tuples of tuples cannot multiply without limit."""
        if len(elements) < MAX_TUPLE:
            result = tuple(self.value(element) for element in elements)
            if _extent(result) <= MAX_TUPLE:
                return result
        _refuse(node, f"tuples of more than {MAX_TUPLE} values are not allowed")

    def number(self, node: ast.expr) -> int | float:
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            _refuse(node, "arithmetic is for numbers only")
        return value

    def arithmetic(self, node: ast.BinOp, left: float, op: ast.operator, right: float) -> int | float:
        act = OPERATORS.get(type(op))
        if act is None:
            _refuse(node, "only + - * / // % and ** are allowed between numbers")
        if isinstance(op, ast.Pow) and (abs(right) > 64 or abs(left) > MAX_NUMBER):
            _refuse(node, "this power is too large")
        try:
            result = act(left, right)
        except (ZeroDivisionError, OverflowError):
            _refuse(node, "this division by zero or overflow has no value")
        if not isinstance(result, int | float):
            _refuse(node, "this power has no real value")
        return _bounded(node, result)

    def formatted(self, node: ast.JoinedStr, parts: list[ast.expr]) -> str:
        text = ""
        for part in parts:
            match part:
                case ast.Constant(value=str() as constant):
                    text += constant
                case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                    text += str(self.value(inner))
                case _:
                    _refuse(part, "only plain {name} is allowed in an f-string")
        if len(text) > MAX_STRING:
            _refuse(node, f"strings longer than {MAX_STRING} characters are not allowed")
        return text

    def own_layer(self, node: ast.Call, name: str, where: str) -> Layer:
        """A call of a name that stands for a person's own class or function: `Block = "nets.py:Block"`, `Block(width=8)`."""
        found = REFERENCE.fullmatch(where)
        if not found or found[3] is not None or not where.isprintable():
            _refuse(node, f'{short(name)} is a string; to be called it must name a class or function: "nets.py:Block"')
        if node.args:
            _refuse(node.args[0], f"arguments of {short(name)} need their names, as in {short(name)}(width=8)")
        return Layer(where, self.named_values(node.keywords))

    def call(self, node: ast.Call) -> Layer:
        if isinstance(node.func, ast.Name):
            own = self.names.get(node.func.id)
            if isinstance(own, str):
                return self.own_layer(node, node.func.id, own)
        kind = _called(node.func)
        if kind in CONTAINERS:
            return self.container(node, kind)
        if kind in FUNCTIONS:
            if node.args or node.keywords:
                _refuse(node, f"{kind} takes no arguments")
            return self.function(kind)
        if known.signature(kind) is None:
            close = nearest(kind, known.names())
            _refuse(
                node.func,
                f"there is no layer {short(kind)!r}" + (f"; did you mean {close}?" if close else f"; {ALLOWED}"),
            )
        return Layer(kind, self.arguments(node, kind))

    def arguments(self, node: ast.Call, kind: str) -> tuple[tuple[str, Value], ...]:
        rows = known.signature(kind) or ()
        declared = [str(row[0]) for row in rows]
        required = [str(row[0]) for row in rows if len(row) == 1]
        given: dict[str, Value] = {}
        for i, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred):
                _refuse(argument, f"*arguments are only allowed in Sequential, not in {kind}")
            if i >= len(declared):
                _refuse(
                    argument,
                    f"{kind} takes at most {len(declared)} arguments: {', '.join(declared) or 'none'}",
                )
            given[declared[i]] = self.value(argument)
        for keyword_ in node.keywords:
            name = keyword_.arg
            if name is None:
                _refuse(keyword_.value, "**arguments are not allowed")
            if name in ("device", "dtype"):
                _refuse(keyword_.value, f"{name} is set by the run, not in the architecture")
            if name not in declared:
                close = nearest(name, declared)
                hint = f"did you mean {close}?" if close else f"it takes {', '.join(declared) or 'none'}"
                _refuse(keyword_.value, f"{kind} has no argument {short(name)!r}; {hint}")
            if name in given:
                _refuse(keyword_.value, f"{kind} got {name!r} twice")
            given[name] = self.value(keyword_.value)
        missing = [name for name in required if name not in given]
        if missing:
            _refuse(node, f"{kind} needs {' and '.join(missing)}")
        return tuple((name, given[name]) for name in declared if name in given)

    def function(self, name: str) -> Layer:
        """What one of d2l's functions makes: new layers at each call."""
        return self.layer(_function(name))

    def container(self, node: ast.Call, kind: str) -> Layer:
        if node.keywords:
            _refuse(node.keywords[0].value, f"{kind} takes layers only, no named arguments")
        match node.args:
            case [
                ast.Call(func=ast.Name("OrderedDict") | ast.Attribute(ast.Name("collections"), "OrderedDict")) as ordered
            ] if kind == SEQUENTIAL:
                children = self.named_children(ordered)
            case arguments:
                children = tuple((str(i), child) for i, child in enumerate(self.layers(arguments)))
        return Layer(kind, (), children)

    def layers(self, nodes: list[ast.expr]) -> Iterator[Layer]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                for inner in self.repeated(node.value):
                    yield self.layer(inner)
            elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.List):
                _refuse(node, "write a star before the list: Sequential(*[...])")
            else:
                yield self.layer(node)

    def layer(self, node: ast.expr) -> Layer:
        bound = self.bound(node)
        if not isinstance(bound, Layer):
            _refuse(node, "a layer must stand here, such as nn.ReLU()")
        return bound

    def named_children(self, node: ast.Call) -> tuple[tuple[str, Layer], ...]:
        if node.keywords or len(node.args) != 1:
            _refuse(node, 'OrderedDict takes one list of pairs: OrderedDict([("name", layer), ...])')
        children: dict[str, Layer] = {}
        for pair in self.repeated(node.args[0]):
            if not isinstance(pair, ast.Tuple | ast.List) or len(pair.elts) != 2:
                _refuse(pair, 'each entry must be a pair ("name", layer)')
            name = self.value(pair.elts[0])
            if not isinstance(name, str) or not name or "." in name or not name.isprintable():
                _refuse(pair, "a name must be a printable string without dots")
            if name in children:
                _refuse(pair, f"the name {short(name)!r} stands here twice")
            children[name] = self.layer(pair.elts[1])
        return tuple(children.items())

    def repeated(self, node: ast.expr) -> Iterator[ast.expr]:
        """The element expressions of a list or of a comprehension over range, with its variable bound for each."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                for element in elements:
                    self.count(element)
                    if isinstance(element, ast.Starred):
                        yield from self.repeated(element.value)
                    else:
                        yield element
            case ast.ListComp(elt=element, generators=[generator]) | ast.GeneratorExp(elt=element, generators=[generator]):
                name, numbers = self.loop(generator)
                before = dict(self.names)
                for number in numbers:
                    self.names[name] = number
                    yield element
                self.names = before
            case _:
                _refuse(node, "a list or a repetition such as [nn.Linear(8, 8) for i in range(3)] must stand here")

    def loop(self, node: ast.comprehension) -> tuple[str, range]:
        match node:
            case ast.comprehension(
                target=ast.Name(id=name),
                iter=ast.Call(func=ast.Name(id="range"), args=arguments, keywords=[]),
                ifs=[],
                is_async=0,
            ) if 1 <= len(arguments) <= 3:
                bounds = [self.number(argument) for argument in arguments]
                if not all(isinstance(bound, int) for bound in bounds) or (len(bounds) == 3 and bounds[2] == 0):
                    _refuse(node.iter, "range() takes whole numbers, and a step that is not 0")
                numbers = range(*(int(bound) for bound in bounds))
                self.repeats += len(numbers)
                if self.repeats > MAX_REPEATS:
                    _refuse(node.iter, f"more than {MAX_REPEATS:,} repetitions are not allowed")
                return name, numbers
        _refuse(node.iter, "repetition is written as 'for i in range(n)', without conditions")


@cache
def _function(name: str) -> ast.expr:
    expression = syntax_tree(FUNCTIONS[name]).body[0]
    assert isinstance(expression, ast.Expr)
    return expression.value


def _extent(value: Value) -> int:
    return 1 + sum(map(_extent, value)) if isinstance(value, tuple) else 1


def _called(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id="nn"), attr=name):
            return name
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="torch"), attr="nn"), attr=name):
            return name
    match node:
        case ast.Attribute(value=ast.Name(id="F" | "functional" | "torch"), attr=name):
            like = nearest(name, known.names())
            hint = f": write {known.spelled(like)}() as a layer of its own" if like else ""
            _refuse(node, f"{short(name)} is a function, not a layer{hint}")
    _refuse(node, f"only layers can be called; {ALLOWED}")


def _unknown_name(name: str, bound: list[str]) -> str:
    if name in known.names() or name in FUNCTIONS:
        return f"{name} needs brackets: {known.spelled(name)}(...)"
    if name in ZOO or name.replace("_", "-") in ZOO:
        return f"{name} is a network of its own; open it by its name"
    close = nearest(name, bound)
    return f"nothing is called {short(name)!r} here" + (f"; did you mean {close}?" if close else "")


def _bounded(node: ast.expr, number: int | float) -> int | float:
    if isinstance(number, float) and not math.isfinite(number):
        _refuse(node, "this number is not finite")
    if abs(number) > MAX_NUMBER:
        _refuse(node, f"numbers beyond {MAX_NUMBER:,} are not allowed")
    return number


def _check_extent(tree: Layer, node: ast.stmt) -> None:
    """Bound depth and places; a tied layer counts in every place, so nested ties cannot multiply without limit."""
    measured: dict[int, tuple[int, int]] = {}

    def measure(layer: Layer, depth: int) -> tuple[int, int]:
        if depth > MAX_DEPTH:
            _refuse(node, f"more than {MAX_DEPTH} levels of nesting are not allowed")
        if id(layer) not in measured:
            inner = [measure(child, depth + 1) for _, child in layer.children]
            measured[id(layer)] = (1 + sum(p for p, _ in inner), 1 + max((d for _, d in inner), default=0))
        return measured[id(layer)]

    places, depth = measure(tree, 1)
    if places > MAX_PLACES:
        _refuse(node, f"the network has more than {MAX_PLACES:,} layers")
    if depth > MAX_DEPTH:
        _refuse(node, f"more than {MAX_DEPTH} levels of nesting are not allowed")


def _refuse(node: ast.AST, message: str) -> NoReturn:
    raise _RefusedError(node, message)
