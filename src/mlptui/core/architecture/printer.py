"""The tree of layers back to text that `parse` reads to the same tree."""

from itertools import groupby

from mlptui.core.architecture import known
from mlptui.core.architecture.blocks import FUNCTIONS
from mlptui.core.architecture.place import indexed
from mlptui.core.architecture.tree import Layer

WIDTH = 88
RESERVED = ("nn", "torch", "range", "OrderedDict", "collections", "_", "net")
MANY = 8  # equal layers in a row from which on they are written as a repetition


def to_text(tree: Layer, width: int = WIDTH, inline: bool = False) -> str:
    """The architecture in PyTorch's own words; layers used more than once are bound to names first (that is tying).

    `inline` binds them where they stand first, as Python can and the language cannot: then they are made in that order.
    """
    uses: dict[int, int] = {}
    order: list[Layer] = []

    def visit(layer: Layer) -> None:
        uses[id(layer)] = uses.get(id(layer), 0) + 1
        if uses[id(layer)] == 1:
            for _, child in layer.children:
                visit(child)
            order.append(layer)

    visit(tree)
    shared = [layer for layer in order if uses[id(layer)] > 1]
    names = {id(layer): "shared" if len(shared) == 1 else f"shared{i}" for i, layer in enumerate(shared)}
    calls = {} if tree.reference and not tree.ties else _calls(order, set(names.values()))
    texts = _Texts(names, calls, width, inline)
    lines = [f"{name} = {_quoted(kind)}" for kind, name in calls.items()]
    lines += [] if inline else [f"{names[id(layer)]} = {texts.expression(layer, 0, own=True)}" for layer in shared]
    network = texts.expression(tree, 0)
    ties = [f"net{spelled(tree, one)} = net{spelled(tree, other)}" for one, other in tree.ties]
    return "\n".join([*lines, f"net = {network}" if ties else network, *ties]) + "\n"


def spelled(tree: Layer, path: str) -> str:
    """`[0]["block 1"][0].weight` for the parameter 0.block 1.0.weight, as Python reaches it from the network."""
    children: dict[tuple[str, ...], list[str]] = {}
    names = tuple(path.split("."))
    layer: Layer | None = tree
    for i, name in enumerate(names):
        if layer is None or not layer.container:
            break
        children[names[:i]] = [child for child, _ in layer.children]
        layer = dict(layer.children).get(name)
    return indexed(names[:-1], children) + f".{names[-1]}"


def _calls(layers: list[Layer], taken: set[str]) -> dict[str, str]:
    """Names for the classes and functions of a person's own files, by where they are."""
    taken = taken.union(known.names(), FUNCTIONS, RESERVED)
    names: dict[str, str] = {}
    for kind in dict.fromkeys(layer.kind for layer in layers if layer.reference):
        name = kind.rpartition(":")[2]
        while name in taken:
            name += "_"
        taken.add(name)
        names[kind] = name
    return names


def describe(layer: Layer) -> str:
    """One layer without its children: `Linear(784, 256)`; a reference without arguments has no brackets."""
    return layer.kind if layer.reference and not layer.arguments else f"{layer.kind}({_arguments(layer)})"


class _Texts:
    """Layers as text, with the names of tied ones and of a person's own classes."""

    def __init__(self, names: dict[int, str], calls: dict[str, str], width: int, inline: bool) -> None:
        self.names, self.calls, self.width = names, calls, width
        self.unbound = set(names) if inline else set()

    def expression(self, layer: Layer, indent: int, own: bool = False) -> str:
        if id(layer) in self.unbound and not own:
            self.unbound.discard(id(layer))
            return f"({self.names[id(layer)]} := {self.expression(layer, indent, own=True)})"
        if id(layer) in self.names and not own:
            return self.names[id(layer)]
        if layer.kind in self.calls:
            return f"{self.calls[layer.kind]}({_arguments(layer)})"
        if not layer.container:
            return describe(layer) if layer.reference else f"{known.spelled(layer.kind)}({_arguments(layer)})"
        numbered = all(name == str(i) for i, (name, _) in enumerate(layer.children))
        open_, close = (f"{known.spelled(layer.kind)}(", ")")
        if not numbered:
            open_, close = open_ + "OrderedDict([", "])" + close
        inner = indent + 4
        parts = []
        for name, child in layer.children:
            text = self.expression(child, inner)
            parts.append(text if numbered else f"({_quoted(name)}, {text})")
        if numbered:
            parts = _repeated(parts, set(self.names.values()))
        flat = open_ + ", ".join(parts) + close
        if "\n" not in flat and len(flat) + indent <= self.width:
            return flat
        pad = " " * inner
        return open_ + "\n" + "".join(f"{pad}{part},\n" for part in parts) + " " * indent + close


def _repeated(parts: list[str], tied: set[str]) -> list[str]:
    """Many equal layers in a row as one repetition; tied ones are not equal but the same, and stay."""
    shorter: list[str] = []
    for text, group in groupby(parts):
        number = sum(1 for _ in group)
        many = number >= MANY and text not in tied and "\n" not in text
        shorter += [f"*[{text} for _ in range({number})]"] if many else [text] * number
    return shorter


def _arguments(layer: Layer) -> str:
    declared = [row[0] for row in known.signature(layer.kind) or ()]
    shown: list[str] = []
    positional = True
    for i, (name, value) in enumerate(layer.arguments):
        positional = positional and i < len(declared) and declared[i] == name and i < 3 and not isinstance(value, bool)
        shown.append(literal(value) if positional else f"{name}={literal(value)}")
    return ", ".join(shown)


def literal(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(literal(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def _quoted(text: str) -> str:
    shown = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown) + '"'
