"""The tree of layers: plain values, no torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from mlptui.core.architecture.blocks import BLOCKS
from mlptui.core.text import counted

Value = bool | int | float | str | None | tuple["Value", ...]

SEQUENTIAL = "Sequential"
CONTAINERS = (SEQUENTIAL, "MySequential")


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network. Identity is meaning: the same object in two places is one tied layer.

    `arguments` are as given, with their names; `children` only a container has, each with its name in the state_dict.
    A network that is not written in the language is one leaf, its kind a reference: `nets.py:MLP`, `torchvision:resnet18`.
    `ties` only a whole network has: parameters that are one with another layer's, ("4.weight", "2.weight").
    """

    kind: str
    arguments: tuple[tuple[str, Value], ...] = ()
    children: tuple[tuple[str, "Layer"], ...] = ()
    ties: tuple[tuple[str, str], ...] = ()

    @property
    def container(self) -> bool:
        return self.kind in CONTAINERS

    @property
    def reference(self) -> bool:
        return ":" in self.kind

    def argument(self, name: str) -> Value:
        return dict(self.arguments).get(name)

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Layer"]]:
        """Every place in the tree, depth first, tied layers once a place."""
        yield path, self
        for name, child in self.children:
            yield from child.walk((*path, name))


def same(one: Layer, other: Layer) -> bool:
    """Whether two trees describe the same network: layers, names, arguments and ties."""
    partner: dict[int, int] = {}

    def equal(a: Layer, b: Layer) -> bool:
        if id(a) in partner or id(b) in partner.values():
            return partner.get(id(a)) == id(b)
        partner[id(a)] = id(b)
        return (
            a.kind == b.kind
            and a.arguments == b.arguments
            and len(a.children) == len(b.children)
            and all(x == y and equal(c, d) for (x, c), (y, d) in zip(a.children, b.children, strict=True))
        )

    return one.ties == other.ties and equal(one, other)


def label(tree: Layer) -> str:
    """A few words for lists: `mlp 784-256-10` for a plain perceptron, else the class and the number of layers."""
    leaves = [layer for _, layer in tree.walk() if not layer.container]
    if tree.reference:
        return tree.kind.rpartition("/")[2]
    if leaves == [tree] and tree.kind in BLOCKS:
        return tree.kind
    linear_kinds = {"Linear", "LazyLinear"}
    linear = [layer for layer in leaves if layer.kind in linear_kinds]
    between = {"Flatten", "Dropout", "Identity", "BatchNorm1d", "LazyBatchNorm1d", "LayerNorm"}
    activations = {"ReLU", "Tanh", "Sigmoid", "GELU", "SiLU", "ELU", "SELU", "LeakyReLU", "Mish", "Softplus"}
    if linear and {layer.kind for layer in leaves} <= linear_kinds | between | activations:
        first = linear[0].argument("in_features")
        widths = [
            str(first) if first is not None else "?",
            *(str(x.argument("out_features")) for x in linear),
        ]
        return "mlp " + "-".join(widths) if len(widths) <= 6 else f"mlp {widths[0]}-…-{widths[-1]}"
    convolutional = any(layer.kind.startswith(("Conv", "LazyConv")) for layer in leaves)
    return f"{'convnet' if convolutional else tree.kind}, {counted(len(leaves), 'layer')}"


def parameter_count(tree: Layer) -> int | None:
    """Parameters of the network, tied ones once; None where the number cannot be told without building it."""
    counted: dict[tuple[int, str], int] = {}  # by layer and name
    of: dict[str, tuple[int, str]] = {}  # by path
    for place, layer in tree.walk():
        own = _own_parameters(layer)
        if own is None:
            return None
        for name, size in own.items():
            key = of[".".join((*place, name))] = (id(layer), name)
            counted[key] = size
    one_with: dict[tuple[int, str], tuple[int, str]] = {}
    for tied in tree.ties:
        if not set(tied) <= of.keys():
            return None
        gone, kept = of[tied[0]], of[tied[1]]
        while gone in one_with:
            gone = one_with[gone]
        while kept in one_with:
            kept = one_with[kept]
        if gone != kept:
            one_with[gone] = kept
            del counted[gone]
    return sum(counted.values())


_WITHOUT_PARAMETERS = frozenset(
    (
        *CONTAINERS, "Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "ReLU", "ReLU6",
        "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "Softplus", "Softmax", "LogSoftmax",
        "Hardtanh", "Hardswish", "Hardsigmoid", "MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d", "AdaptiveAvgPool1d",
        "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    )
)  # fmt: skip


def _own_parameters(layer: Layer) -> dict[str, int] | None:
    """How many numbers each has; None where that is not known here."""
    given = dict(layer.arguments)
    if layer.kind in _WITHOUT_PARAMETERS:
        return {}
    if layer.kind == "Linear":
        return _weight_and_bias(given["in_features"], given["out_features"], given)
    if layer.kind == "Conv2d" and "groups" not in given:
        inside, kernel = given["in_channels"], given["kernel_size"]
        pixels = inside * kernel * kernel if isinstance(inside, int) and isinstance(kernel, int) else None
        return _weight_and_bias(pixels, given["out_channels"], given)
    if layer.kind in ("BatchNorm1d", "BatchNorm2d") and set(given) <= {"num_features"}:
        features = given["num_features"]
        return {"weight": features, "bias": features} if isinstance(features, int) else None
    return None


def _weight_and_bias(inside: object, outside: object, given: dict[str, Value]) -> dict[str, int] | None:
    if not isinstance(inside, int) or not isinstance(outside, int):
        return None
    return {"weight": inside * outside} | ({"bias": outside} if given.get("bias", True) else {})
