"""What a pickle would make, without making it: its operations are followed with plain values, nothing is imported or called.

Names of classes and functions become `Named`, calls `Called`, objects that lie outside `Outside`. Which operations there are
stands in Python's own `pickletools`, which also reads their arguments.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mlptui.core.text import safe
from mlptui.store.formats.contents import FormatError

OPERATIONS = 400_000  # about a second at worst; a state_dict of 10,000 tensors takes 370,000
WEIGHTS = {"GLOBAL": 5, "INST": 5, "STRING": 3, "UNICODE": 3, "TUPLE1": 2, "TUPLE2": 2, "TUPLE3": 2}  # others count once
BITS = 256  # of a whole number, which count as one operation; of a larger one only that it is there is kept
SIZE = 32 << 20
NAME = 200  # characters of a name that are kept
IMPORTS = 2_000
CALLS = 80_000  # a tensor takes two to four


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function by its name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclass(eq=False, slots=True)
class Called:
    """What a call would give; `state` is what would be put into it, `pairs` and `items` what it would be filled with."""

    what: Any
    arguments: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Outside:
    """An object that the pickle only refers to."""

    id: Any


@dataclass(eq=False, slots=True)
class Large:
    """A whole number of more than BITS."""


@dataclass(eq=False, slots=True)
class Map:
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Items:
    kind: str  # list, tuple, set
    items: list[Any] = field(default_factory=list)


_MARK = object()
_OPERATIONS: dict[bytes, Any] = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8",
    }
)  # fmt: skip


def follow(stream: BinaryIO, left: list[int], imports: dict[Named, None]) -> Any:
    """What one pickle would make; `left[0]` operations are allowed, and counted down, slow ones more than once.

    `imports` gets every name that reading it would import, wherever it stands: importing alone runs code, and what is called
    is imported first. Raises FormatError.
    """
    machine = _Machine(imports)
    act, read = machine.acts, stream.read
    try:
        while code := read(1):
            operation = _OPERATIONS[code]
            if operation.name == "STOP":
                return machine.last()
            argument = operation.arg.reader(stream) if operation.arg else None
            bits = argument.bit_length() if type(argument) is int else 0
            left[0] -= WEIGHTS.get(operation.name, 1) + bits // BITS
            if bits > BITS:
                argument = Large()
            if left[0] < 0:
                raise FormatError(f"its structure takes more than {OPERATIONS:,} operations")
            act[operation.name](argument)
    except FormatError:
        raise
    except Exception as error:  # readers and a stack that is empty raise what they like
        raise FormatError(f"its structure cannot be read: {safe(repr(error), 120)}") from None
    raise FormatError("its structure is cut off")


class _Machine:
    """`acts` has what each operation does with its argument."""

    def __init__(self, imports: dict[Named, None]) -> None:
        self.imports = imports
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._calls = 0
        stack, memo, push = self.stack, self.memo, self.stack.append

        def remember(key: Any) -> None:
            memo[int(key)] = stack[-1]

        def nothing(_: Any) -> None: ...

        self.acts: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_VALUES, push),
            **{name: self._pusher(value) for name, value in _CONSTANTS.items()},
            "EMPTY_LIST": lambda _: push(Items("list")),
            "EMPTY_TUPLE": lambda _: push(Items("tuple")),
            "EMPTY_SET": lambda _: push(Items("set")),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            **dict.fromkeys(("BINGET", "LONG_BINGET", "GET"), lambda key: push(memo[int(key)])),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT", "PUT"), remember),
            **dict.fromkeys(("PROTO", "FRAME"), nothing),
            **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), self._buffer),
            **dict.fromkeys(("EXT1", "EXT2", "EXT4"), lambda n: push(self._named("copyreg", f"extension {n}"))),
            **dict.fromkeys(("REDUCE", "NEWOBJ"), self._call),
            "MEMOIZE": lambda _: remember(len(memo)),
            "MARK": lambda _: push(_MARK),
            "EMPTY_DICT": lambda _: push(Map()),
            "TUPLE": lambda _: push(Items("tuple", self._marked())),
            "LIST": lambda _: push(Items("list", self._marked())),
            "FROZENSET": lambda _: push(Items("set", self._marked())),
            "DICT": lambda _: push(Map(_pairs(self._marked()))),
            "APPEND": lambda _: self._append([self._pop()]),
            "APPENDS": lambda _: self._append(self._marked()),
            "ADDITEMS": lambda _: self._append(self._marked()),
            "SETITEM": lambda _: self._set([self._pop(), self._pop()][::-1]),
            "SETITEMS": lambda _: self._set(self._marked()),
            "GLOBAL": lambda name: push(self._named(*str(name).split(" ", 1))),
            "INST": lambda name: self._called(self._named(*str(name).split(" ", 1)), Items("tuple", self._marked())),
            "STACK_GLOBAL": self._global,
            "NEWOBJ_EX": self._call_named,
            "OBJ": self._object,
            "BUILD": self._build,
            "BINPERSID": lambda _: push(Outside(self._pop())),
            "PERSID": lambda name: push(Outside(name)),
            "DUP": lambda _: push(stack[-1]),
            "POP": lambda _: (stack.pop(), None)[1],
            "POP_MARK": lambda _: (self._marked(), None)[1],
        }

    def _pusher(self, value: Any) -> Callable[[Any], None]:
        return lambda _: self.stack.append(value)

    def _tuple(self, count: int) -> None:
        self.stack.append(Items("tuple", [self._pop() for _ in range(count)][::-1]))

    def _call(self, _: Any) -> None:
        arguments = self._pop()
        self._called(self._pop(), arguments)

    def _call_named(self, _: Any) -> None:
        named, arguments = self._pop(), self._pop()
        self._called(self._pop(), Items("tuple", [arguments, named]))

    def _object(self, _: Any) -> None:
        what, *arguments = self._marked()
        self._called(what, Items("tuple", arguments))

    def _called(self, what: Any, arguments: Any, state: Any = None) -> None:
        self._calls += 1
        if self._calls > CALLS:
            raise FormatError(f"it would make more than {CALLS:,} calls")
        self.stack.append(Called(what, arguments, state))

    def _global(self, _: Any) -> None:
        what, module = self._pop(), self._pop()
        known = isinstance(module, str) and isinstance(what, str)
        self.stack.append(self._named(module, what) if known else self._named("", "a name that is computed"))

    def _named(self, module: str, name: str = "") -> Named:
        found = Named(module[:NAME], name[:NAME])
        self.imports.setdefault(found)
        if len(self.imports) > IMPORTS:
            raise FormatError(f"it would import more than {IMPORTS:,} names")
        return found

    def last(self) -> Any:
        """What STOP gives."""
        return self._pop()

    def _build(self, _: Any) -> None:
        state = self._pop()
        if isinstance(self.stack[-1], Called):
            self.stack[-1].state = state
        else:
            self._called(self._pop(), None, state)

    @staticmethod
    def _buffer(_: Any) -> None:
        raise FormatError("it refers to buffers that are not in the file")

    def _pop(self) -> Any:
        if self.stack[-1] is _MARK:
            raise FormatError("its structure makes no sense")
        return self.stack.pop()

    def _marked(self) -> list[Any]:
        found = []
        while (value := self.stack.pop()) is not _MARK:
            found.append(value)
        return found[::-1]

    def _append(self, found: list[Any]) -> None:
        into = self.stack[-1]
        if not isinstance(into, Items | Called):
            raise FormatError("its structure makes no sense")
        into.items.extend(found)

    def _set(self, found: list[Any]) -> None:
        into = self.stack[-1]
        if not isinstance(into, Map | Called):
            raise FormatError("its structure makes no sense")
        into.pairs.extend(_pairs(found))


def _pairs(found: list[Any]) -> list[tuple[Any, Any]]:
    if len(found) % 2:
        raise FormatError("its structure makes no sense")
    return list(zip(found[::2], found[1::2], strict=True))
