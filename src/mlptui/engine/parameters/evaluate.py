"""What a line of the path console means for a network: PyTorch's own objects, reached through tables of what may be reached.

Nothing is looked up by a name that is not in a table here or one of the network's own, so no code of anybody runs.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.architecture.syntax import nearest, short
from mlptui.core.parameters.console import (
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
    read,
)
from mlptui.core.text import safe
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.places import plain_tensors, registered
from mlptui.engine.parameters.files import TensorFile
from mlptui.engine.parameters.tensors import Named, tensors

MAX_NUMBERS = 1 << 26  # of what a line computes on the way
MAX_LISTED = 4096
ATTRIBUTES = ("data", "grad", "shape", "dtype", "device", "requires_grad", "ndim", "T", "mT", "is_leaf", "itemsize", "nbytes")
METHODS = (
    "abs", "all", "amax", "amin", "any", "argmax", "argmin", "ceil", "clamp", "clone", "count_nonzero", "cpu", "cumsum",
    "detach", "diag", "diagonal", "dim", "double", "element_size", "eq", "exp", "flatten", "float", "floor", "flip",
    "int", "isfinite", "isinf", "isnan", "item", "log", "long", "max", "mean", "median", "min", "mul", "neg", "norm",
    "numel", "prod", "quantile", "reshape", "round", "sigmoid", "sign", "size", "sort", "sqrt", "square", "squeeze",
    "std", "sub", "sum", "t", "tanh", "tolist", "trace", "transpose", "tril", "triu", "unique", "unsqueeze", "var",
    "view",
)  # fmt: skip
WRITERS = ("fill_", "zero_", "add_", "sub_", "mul_", "div_", "clamp_", "copy_", "neg_", "abs_", "round_", "requires_grad_")
WALKS = (
    "named_parameters",
    "parameters",
    "named_buffers",
    "buffers",
    "state_dict",
    "named_children",
    "children",
    "named_modules",
)
VIEWS = ("T", "mT", "data")
VIEW_METHODS = ("t", "view", "detach", "flatten", "transpose", "squeeze", "unsqueeze", "diagonal", "reshape")
SMALL = (  # make no second tensor of the same size
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "dim", "element_size", "item", "max", "mean", "min",
    "norm", "numel", "prod", "size", "sum", "trace",
)  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "is": lambda a, b: a is b,
    "is not": lambda a, b: a is not b,
}


class StateDict(dict[str, torch.Tensor]):
    """Its tensors are read as PyTorch gives them: without gradients."""


@dataclass(frozen=True)
class Shown:
    """A value to be shown, and the tensor of the network that it is, where it is one as a whole."""

    value: object
    path: str = ""


@dataclass(frozen=True)
class Written:
    """New numbers for a tensor."""

    named: Named
    data: torch.Tensor


@dataclass(frozen=True)
class Flagged:
    """A tensor that is to learn, or not."""

    named: Named
    trainable: bool


@dataclass(frozen=True)
class Forgotten:
    """A tensor whose gradient goes."""

    named: Named


@dataclass(frozen=True)
class Tied:
    """Tensors that become one: `second` becomes the `first`."""

    first: Named
    second: Named


@dataclass(frozen=True)
class Drawn:
    """A tensor that is drawn anew by a scheme."""

    named: Named
    scheme: str


Meaning = Shown | Written | Flagged | Forgotten | Tied | Drawn


@dataclass(frozen=True)
class Spot:
    """Where a walk along a path has come to: an object, and the tensor of the network that it is or is in."""

    value: Any
    named: Named | None = None
    whole: bool = False


def evaluate(model: nn.Module, text: str) -> Meaning:
    """Raises ConsoleError, with a column where a place in the text is at fault."""
    return Evaluator(model).meaning(text)


class Evaluator:
    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.named = tensors(model)
        self._by_id: dict[int, Named] = {}
        for named in self.named.values():
            self._by_id.setdefault(id(named.tensor), named)

    def meaning(self, text: str) -> Meaning:
        paths = {named.path: named.spelled for named in self.named.values()}
        for named in self.named.values():  # the layers that hold something, too
            paths.setdefault(".".join(named.place), named.holder)
        own = {*self.model._modules, *self.model._parameters, *self.model._buffers}
        own |= {name for name, _ in plain_tensors(self.model)}
        line = read(text, paths, own)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if isinstance(line, Assign):
                    return self._assign(line)
                if isinstance(line, Initialise):
                    return Drawn(self._whole(line.target), line.scheme)
                return self._show(line)
        except ConsoleError:
            raise
        except MemoryError:
            raise ConsoleError("there is not enough memory for that") from None
        except Exception as error:  # torch raises what it likes, a person's own layers too
            raise ConsoleError(f"torch says: {one_line(error)}") from None

    # showing

    def _show(self, line: Show) -> Meaning:
        expression = line.expression
        if isinstance(expression, Path) and (written := self._writer(expression)):
            return written
        if isinstance(expression, Path):
            spot = self._walk(expression)
            whole = spot.named.path if spot.named and spot.whole else ""
            return Shown(spot.value, whole)
        return Shown(self._value(expression))

    def _value(self, expression: Expression) -> Any:
        match expression:
            case Constant(value):
                return value
            case Several(items):
                return [self._value(item) for item in items]
            case Path():
                return self._walk(expression).value
            case Function("type", (one,)):
                return type(self._value(one))
            case Function("len", (one,)):
                return self._length(self._value(one))
            case Function("tensor", (one,)):
                return torch.tensor(self._value(one))
            case Operation(operator, left, right):
                return self._operate(operator, self._value(left), self._value(right))
        raise ConsoleError("this cannot be computed")

    def _length(self, value: Any) -> int:
        own = getattr(type(value), "__len__", None)
        if isinstance(value, nn.Module) and own not in (nn.Sequential.__len__, nn.ModuleList.__len__, nn.ModuleDict.__len__):
            raise ConsoleError(f"a {type(value).__name__} has no length")
        return len(value)

    def _operate(self, operator: str, left: Any, right: Any) -> Any:
        if operator in ("is", "is not"):
            return OPERATORS[operator](left, right)
        for side in (left, right):
            if not isinstance(side, torch.Tensor | int | float) and operator not in ("==", "!="):
                raise ConsoleError(f"there is no {operator} for a {_called(side)}")
        if operator == "**" and isinstance(right, int | float) and (abs(right) > 64 or not isinstance(left, torch.Tensor)):
            if abs(right) > 1000 or (isinstance(left, int | float) and abs(left) > 1000):
                raise ConsoleError("this power is too large")
            left = float(left) if isinstance(left, int) else left
        for side in (left, right):
            if isinstance(side, torch.Tensor):
                _bounded(side.numel())
        if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
            if operator == "@":
                rows = left.numel() // max(1, left.shape[-1] if left.dim() else 1)
                columns = right.numel() // max(1, right.shape[-2] if right.dim() > 1 else right.numel())
                _bounded(rows * columns)
            else:
                _bounded(torch.Size(torch.broadcast_shapes(left.shape, right.shape)).numel())
        return OPERATORS[operator](left, right)

    # walking

    def _walk(self, path: Path) -> Spot:
        spot = Spot(self.model)
        links = list(path.links)
        while links:
            link = links.pop(0)
            call = links.pop(0) if isinstance(link, Name) and links and isinstance(links[0], Call) else None
            assert call is None or isinstance(call, Call)
            spot = self._step(spot, link, call, path.column)
        return spot

    def _step(self, spot: Spot, link: Name | Index | Call, call: Call | None, column: int) -> Spot:
        value = spot.value
        if isinstance(link, Call):
            raise ConsoleError(f"a {_called(value)} cannot be called here", column)
        if isinstance(value, nn.Module):
            return self._of_module(value, link, call, column)
        if isinstance(value, torch.Tensor):
            if isinstance(link, Name):
                return self._of_tensor(spot, link.name, call, column)
            return Spot(value[_torch_index(link)], spot.named)
        if isinstance(value, dict) and isinstance(link, Index) and link.single and isinstance(link.items[0], str):
            return self._found(value, link.items[0], column)
        if isinstance(value, list | tuple) and isinstance(link, Index) and link.single and isinstance(link.items[0], int):
            return self._spot(value[link.items[0]])
        if (
            isinstance(link, Name)
            and call is not None
            and isinstance(value, dict)
            and link.name in ("keys", "values", "items")
        ):
            return Spot(list(getattr(value, link.name)()))
        if isinstance(link, Name) and type(value).__module__ == "torch.return_types" and link.name in ("values", "indices"):
            return Spot(getattr(value, link.name))
        raise ConsoleError(f"a {_called(value)} has no {_told(link)}", column)

    def _found(self, known: dict[str, Any], name: str, column: int) -> Spot:
        if name not in known:
            close = nearest(name, known)
            raise ConsoleError(f"there is no {short(name)!r} in it" + (f"; did you mean {close!r}?" if close else ""), column)
        spot = self._spot(known[name])
        return replace(spot, value=spot.value.detach()) if isinstance(known, StateDict) and not is_lazy(spot.value) else spot

    def _spot(self, value: Any) -> Spot:
        named = self._by_id.get(id(value)) if isinstance(value, torch.Tensor) else None
        return Spot(value, named, whole=named is not None)

    def _of_module(self, module: nn.Module, link: Name | Index, call: Call | None, column: int) -> Spot:
        children = {name: child for name, child in module._modules.items() if child is not None}
        if isinstance(link, Index):
            if not link.single or not isinstance(link.items[0], int | str):
                raise ConsoleError("a layer's children have a number or a name", column)
            at = link.items[0]
            if isinstance(module, TensorFile) and str(at) in module._parameters:
                return self._spot(module._parameters[str(at)])
            if isinstance(at, str):
                if at not in children:
                    raise ConsoleError(_nothing(module, at, children), column)
                return Spot(children[at])
            if isinstance(module, TensorFile) and children:  # names are all that a file has: [3] is what the network had there
                if str(at) not in children:
                    raise ConsoleError(_nothing(module, str(at), children), column)
                return Spot(children[str(at)])
            if not -len(children) <= at < len(children):
                what = f"has {len(children)} layers" if children else "holds no layers"
                raise ConsoleError(f"there is no [{at}]: {type(module).__name__} {what}", column)
            return Spot(list(children.values())[at])
        name = link.name
        if call is not None:
            if name not in WALKS or call.arguments or call.named:
                if name == "apply":
                    raise ConsoleError("apply would run code; i in the list draws anew, nn.init.normal_() one", column)
                raise ConsoleError(f"of a layer one can call {', '.join(f'{w}()' for w in WALKS)}", column)
            return Spot(_walked(module, name))
        if name in children:
            return Spot(children[name])
        own = {**module._parameters, **module._buffers, **dict(plain_tensors(module, registered(self.model)))}
        if own.get(name) is not None:
            return self._spot(own[name])
        if name in own:
            return Spot(None)
        if name == "training":
            return Spot(module.training)
        if isinstance(held := vars(module).get(name), list | tuple | dict) and any(key.startswith(f"{name}[") for key in own):
            if isinstance(held, dict):
                return Spot({key: item for key, item in held.items() if isinstance(item, torch.Tensor)})
            return Spot([item if isinstance(item, torch.Tensor) else type(item).__name__ for item in held])
        raise ConsoleError(_nothing(module, name, {**children, **{k: v for k, v in own.items() if v is not None}}), column)

    def _of_tensor(self, spot: Spot, name: str, call: Call | None, column: int) -> Spot:
        tensor: torch.Tensor = spot.value
        if call is not None:
            if name in WRITERS:
                raise ConsoleError(f"{name} stands at the end of a line of its own", column)
            if name not in METHODS:
                close = nearest(name, METHODS)
                raise ConsoleError(
                    f"{short(name)}() is not known here" + (f"; did you mean {close}()?" if close else ""), column
                )
            if is_lazy(tensor):
                raise ConsoleError("this tensor has no size yet; give the network an input first (! in area 2)", column)
            given = [self._value(argument) for argument in call.arguments]
            named = {key: self._value(value) for key, value in call.named}
            data = tensor.detach()
            if name not in (*VIEW_METHODS, *SMALL):
                _bounded(data.numel())
            if name in ("mean", "std", "var", "norm", "quantile", "median") and not (
                data.is_floating_point() or data.is_complex()
            ):
                data = data.float()
            if name == "diag" and data.dim() == 1:
                _bounded((data.numel() + abs(int((*given, named.get("diagonal", 0))[0]))) ** 2)
            if name == "tolist" and data.numel() > MAX_LISTED:
                raise ConsoleError(f"a list of {data.numel():,} numbers is too long to be read; take a part of it")
            return Spot(getattr(data, name)(*given, **named), spot.named)
        if name not in ATTRIBUTES:
            close = nearest(name, (*ATTRIBUTES, *METHODS))
            hint = f"; did you mean {close}{'()' if close in METHODS else ''}?" if close else ""
            raise ConsoleError(f"a tensor has no {short(name)}{hint}", column)
        if is_lazy(tensor) and name not in ("requires_grad", "dtype", "device", "grad", "is_leaf"):
            raise ConsoleError("this tensor has no size yet; give the network an input first (! in area 2)", column)
        if name == "grad":
            return Spot(tensor.grad if tensor.is_leaf else None)
        if name == "data":
            return Spot(tensor.detach(), spot.named, spot.whole)
        return Spot(getattr(tensor, name), spot.named)

    # changing

    def _whole(self, path: Path) -> Named:
        spot = self._walk(path)
        if spot.named is None or not spot.whole:
            raise ConsoleError("name a whole tensor of the network, as net[0].weight", path.column)
        return self._sized(spot.named)

    def _sized(self, named: Named) -> Named:
        if named.lazy:
            raise ConsoleError(f"{safe(named.path, 80)} has no size yet; give the network an input first (! in area 2)")
        if "[" in named.name:
            raise ConsoleError(f"{safe(named.path, 80)} stands in a list of its layer; it can be read only")
        return named

    def _writer(self, path: Path) -> Meaning | None:
        """`net[0].weight.data.fill_(1)`, torch's methods that change in place; None for what is none of them."""
        match path.links[-2:]:
            case (Name(name), Call(arguments, named)) if name in WRITERS:
                pass
            case _:
                return None
        given = [self._value(argument) for argument in arguments]
        words = {key: self._value(value) for key, value in named}
        target = Path(path.links[:-2], path.column)
        if name == "requires_grad_":
            return Flagged(self._whole(target), bool(given[0]) if given else bool(words.get("requires_grad", True)))
        part = self._open(target)
        if name == "copy_" and given and isinstance(given[0], list):
            given[0] = torch.tensor(given[0])
        if isinstance(target.links[-1], Index) and any(isinstance(item, tuple) for item in target.links[-1].items):
            raise ConsoleError("a part chosen by a list is a copy; changing it would change nothing", path.column)
        changed = part.value.clone()
        getattr(changed, name)(*given, **words)
        return part.write(changed)

    def _assign(self, line: Assign) -> Meaning:
        links = line.target.links
        last = links[-1]
        if isinstance(last, Name) and last.name == "requires_grad":
            wanted = self._value(line.value)
            if not isinstance(wanted, bool) or line.operator:
                raise ConsoleError("requires_grad is True or False", line.target.column)
            return Flagged(self._whole(Path(links[:-1], line.target.column)), wanted)
        if isinstance(last, Name) and last.name == "grad":
            if line.operator or self._value(line.value) is not None:
                raise ConsoleError("gradients come from a step of the bench; only .grad = None can be set", line.target.column)
            return Forgotten(self._whole(Path(links[:-1], line.target.column)))
        if not line.operator and isinstance(line.value, Path) and isinstance(last, Name) and last.name != "data":
            here, there = self._walk(line.target), self._walk(line.value)
            if here.whole and there.whole and isinstance(there.value, nn.Parameter) and isinstance(here.value, nn.Parameter):
                assert here.named and there.named
                second = self._exact(line.target)
                return Tied(self._sized(there.named), second)
        value = self._value(line.value)
        if isinstance(value, list):
            value = torch.tensor(value)
        if not isinstance(value, torch.Tensor | int | float):
            raise ConsoleError(f"a {_called(value)} cannot be put into a tensor", line.target.column)
        part = self._open(line.target)
        if line.operator:
            value = self._operate(line.operator, part.value, value)
            if isinstance(value, torch.Tensor) and not torch.can_cast(value.dtype, part.parent.dtype):
                kinds = (str(t.dtype).removeprefix("torch.") for t in (value, part.parent))
                raise ConsoleError("the result is {}, the tensor holds {}".format(*kinds), line.target.column)
        return part.write(value)

    def _exact(self, path: Path) -> Named:
        """The very name that was typed, where a tensor has several."""
        module = self._walk(Path(path.links[:-1])).value
        name = path.links[-1]
        for named in self.named.values():
            if named.module is module and isinstance(name, Name) and named.name == name.name:
                return named
        raise ConsoleError("this cannot be tied", path.column)

    def _open(self, path: Path) -> "Part":
        links = list(path.links)
        for cut in range(1, len(links) + 1):
            if isinstance(links[cut - 1], Call) or (cut < len(links) and isinstance(links[cut], Call)):
                continue
            spot = self._walk(Path(tuple(links[:cut]), path.column))
            if spot.named is not None and spot.whole:
                return self._part(self._sized(spot.named), links[cut:], path.column)
        raise ConsoleError("only tensors of the network can be changed, as net[0].weight.data[0, 0] = 1", path.column)

    def _part(self, named: Named, links: list[Any], column: int) -> "Part":
        new = named.tensor.detach().clone(memory_format=torch.contiguous_format)
        parent, index = new, ...
        if links and isinstance(links[-1], Index):
            index = _torch_index(links.pop())
        while links:
            link = links.pop(0)
            call = links.pop(0) if links and isinstance(links[0], Call) else None
            if isinstance(link, Index):
                parent = parent[_torch_index(link)]
            elif isinstance(link, Name) and call is None and link.name in VIEWS:
                parent = parent if link.name == "data" else getattr(parent, link.name)
            elif isinstance(link, Name) and call is not None and link.name in VIEW_METHODS:
                named_values = {key: self._value(value) for key, value in call.named}
                parent = getattr(parent, link.name)(*(self._value(a) for a in call.arguments), **named_values)
            elif isinstance(link, Name) and link.name == "grad":
                raise ConsoleError("of a gradient only .grad = None can be done here; . in the list makes a new one", column)
            elif isinstance(link, Name) and link.name not in (*METHODS, *ATTRIBUTES):
                raise ConsoleError(f"{_told(link)} is not known here; change the tensor itself, or a part of it", column)
            else:
                raise ConsoleError(f"{_told(link)} is a copy; changing it would change nothing", column)
        if parent.untyped_storage().data_ptr() != new.untyped_storage().data_ptr() and parent.numel():
            raise ConsoleError("this is a copy; changing it would change nothing", column)
        return Part(named, new, parent, index)


@dataclass(frozen=True)
class Part:
    """A part of a tensor that is written to: `parent[index]`, where `parent` looks into `new`, a copy of its numbers."""

    named: Named
    new: torch.Tensor
    parent: torch.Tensor
    index: Any

    @property
    def value(self) -> Any:
        return self.parent[self.index]

    def write(self, value: Any) -> Written:
        self.parent[self.index] = value
        return Written(self.named, self.new)


def _torch_index(link: Index) -> Any:
    def item(one: int | str | Span | tuple[int, ...] | None) -> Any:
        if isinstance(one, Span):
            return slice(one.start, one.stop, one.step)
        if isinstance(one, tuple):
            return list(one)
        if isinstance(one, str):
            if one != "...":
                raise ConsoleError(f"a tensor has no {short(one)!r}; its indices are numbers")
            return ...
        return one

    found = tuple(item(one) for one in link.items)
    return found[0] if link.single else found


def _bounded(count: int) -> None:
    if count > MAX_NUMBERS:
        raise ConsoleError("these are too many numbers")


def _walked(module: nn.Module, name: str) -> Any:
    if name == "state_dict":
        held = module.state_dict(keep_vars=True).items()
        return StateDict({key: value for key, value in held if isinstance(value, torch.Tensor)})
    if name == "named_modules":
        return list(module.named_modules())
    walks: dict[str, Callable[[], Any]] = {
        "named_parameters": module.named_parameters,
        "named_buffers": module.named_buffers,
        "named_children": module.named_children,
        "parameters": module.parameters,
        "buffers": module.buffers,
        "children": module.children,
    }
    return list(walks[name]())


def _nothing(module: nn.Module, name: str, known: dict[str, Any]) -> str:
    close = nearest(name, known)
    there = ", ".join(list(known)[:12])
    hint = f"; did you mean {close}?" if close else f"; it has {there}" if there else "; it holds nothing"
    return f"{type(module).__name__} has no {short(name)!r}{hint}"


def _called(value: object) -> str:
    return "layer" if isinstance(value, nn.Module) else "tensor" if isinstance(value, torch.Tensor) else type(value).__name__


def _told(link: object) -> str:
    return f".{short(link.name)}" if isinstance(link, Name) else "such part" if isinstance(link, Index) else "call"
