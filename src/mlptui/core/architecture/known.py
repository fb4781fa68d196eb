"""Which layers the language knows, and what they take."""

from mlptui.core.architecture.blocks import BLOCKS
from mlptui.core.architecture.layers import LAYERS
from mlptui.core.architecture.tree import CONTAINERS, SEQUENTIAL

Signature = tuple[tuple[object, ...], ...]


def signature(kind: str) -> Signature | None:
    """(name,) of a required and (name, default) of another argument, in order; None for what is not a leaf layer."""
    return LAYERS.get(kind, BLOCKS.get(kind))


def names() -> list[str]:
    """Every layer that can be called, containers included."""
    return [*LAYERS, *BLOCKS, *CONTAINERS]


def spelled(kind: str) -> str:
    """`nn.Linear` for torch's own, the bare name for others."""
    return f"nn.{kind}" if kind in LAYERS or kind == SEQUENTIAL else kind


# What a builder offers first, in the order of use.
USUAL = (
    "Linear", "ReLU", "Flatten", "Dropout", "BatchNorm1d", "Conv2d", "MaxPool2d", "BatchNorm2d", "AdaptiveAvgPool2d",
    "LazyLinear", "LazyConv2d", "Tanh", "Sigmoid", "GELU", "LeakyReLU", "LayerNorm", "Softmax", "Unflatten", "Embedding",
    "Identity", SEQUENTIAL,
)  # fmt: skip
