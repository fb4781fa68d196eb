"""One tensor in one view: a window of its numbers, a heat map, a histogram with theory, its singular values, pictures."""

import math
import re

import torch

from mlptui.core.parameters import schemes
from mlptui.core.parameters.messages import Numbers, View, Viewed
from mlptui.core.parameters.schemes import Theory
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.statistics import histogram, measure, pieces
from mlptui.engine.parameters.tensors import Named, sized, tensors

BINS, FEW_BINS, MOST_BINS = 40, 12, 160
WINDOW = 4096  # numbers of one view
LARGEST_WORK = 2e9  # rows x columns x the smaller of both, up to which singular values are computed: about a second
SINGULAR = 64
PICTURES, PIXELS = 40, 4096


def numbers(named: Named, update: float | None) -> Numbers:
    """What a list shows of a tensor."""
    gradient = named.tensor.grad if named.tensor.is_leaf else None
    more = {"gradient": None if gradient is None else measure(gradient).norm, "update": update}
    return measured(named.tensor, contents.stamp(named.tensor)).model_copy(update=more)


def measured(tensor: torch.Tensor, stamp: int = 0) -> Numbers:
    """Statistics with a small histogram."""
    found = measure(tensor)
    few: tuple[int, ...] = ()
    if found.low is not None and found.high is not None:
        few = histogram(tensor, found.low, found.high, FEW_BINS)
    return Numbers(
        stamp=stamp,
        mean=found.mean,
        deviation=found.deviation,
        low=found.low,
        high=found.high,
        norm=found.norm,
        zeros=found.zeros,
        bad=found.bad,
        bins=few,
    )


def view(model: torch.nn.Module, wanted: View) -> Viewed:
    """Everything but "uses", which needs a pass. Raises ParameterError."""
    named = sized(tensors(model), wanted.path)
    tensor = named.tensor.detach()
    if wanted.part == "gradient":
        gradient = named.tensor.grad if named.tensor.is_leaf else None
        if gradient is None:
            return Viewed(
                path=wanted.path,
                show=wanted.show,
                why="no gradient yet: . runs one batch forward and backward, without an update",
            )
        tensor = gradient.detach()
    base = Viewed(
        path=wanted.path,
        show=wanted.show,
        shape=tuple(tensor.shape),
        stamp=contents.stamp(named.tensor),
        drawn=contents.drawn(named.tensor) if wanted.part == "values" else "",
    )
    if not tensor.numel():
        return base.model_copy(update={"why": "this tensor holds no numbers"})
    if tensor.is_meta:
        return base.model_copy(update={"why": "this tensor is on the meta device; it has a shape and no numbers"})
    if wanted.show == "histogram":
        return base.model_copy(update=_histogram(named, tensor, base.drawn, wanted.columns))
    if wanted.show == "pictures":
        return base.model_copy(update=_pictures(model, named, tensor, wanted))
    matrix, update = _matrix(tensor, wanted.index)
    if wanted.show == "values" and tensor.dim() < 2:
        return base.model_copy(update=update | _line(matrix[0], wanted))
    if wanted.show == "spectrum":
        return base.model_copy(update=_spectrum(tensor))
    if wanted.show == "heat":
        return base.model_copy(update=update | _heat(matrix, wanted))
    return base.model_copy(update=update | _window(matrix, wanted))


def _matrix(tensor: torch.Tensor, index: tuple[int, ...]) -> tuple[torch.Tensor, dict[str, int]]:
    """The last two dimensions at `index` of those before; a vector is one row."""
    if tensor.dim() < 2:
        matrix = tensor.reshape(1, -1)
    else:
        for size, at in zip(tensor.shape[:-2], (*index, *([0] * tensor.dim())), strict=False):
            if not 0 <= at < size:
                raise ParameterError(f"index {at} is not from 0 to {size - 1}")
            tensor = tensor[at]
        matrix = tensor
    return matrix, {"height": matrix.shape[0], "width": matrix.shape[1]}


def _float(tensor: torch.Tensor) -> torch.Tensor:
    return torch.cat([*pieces(tensor)]).reshape(tensor.shape) if tensor.numel() else tensor.double()


def _line(vector: torch.Tensor, wanted: View) -> dict[str, object]:
    """Exactly from the number that is asked for, because what is shown goes on in lines."""
    column = max(0, min(wanted.column, len(vector) - 1))
    part = _float(vector[column : column + max(1, min(wanted.columns, WINDOW))])
    return {"row": 0, "column": column, "columns": len(part), "values": tuple(part.tolist())}


def _window(matrix: torch.Tensor, wanted: View) -> dict[str, object]:
    columns = max(1, min(wanted.columns, matrix.shape[1], WINDOW))
    rows = max(1, min(wanted.rows, matrix.shape[0], WINDOW // columns))
    row = max(0, min(wanted.row, matrix.shape[0] - rows))
    column = max(0, min(wanted.column, matrix.shape[1] - columns))
    part = _float(matrix[row : row + rows, column : column + columns])
    return {"row": row, "column": column, "columns": columns, "values": tuple(part.reshape(-1).tolist())}


def _heat(matrix: torch.Tensor, wanted: View) -> dict[str, object]:
    """Means of blocks, as many as there is room for; a single number where there is room for all."""
    rows, columns = min(wanted.rows, matrix.shape[0]), min(wanted.columns, matrix.shape[1])
    columns = max(1, min(columns, WINDOW))
    rows = max(1, min(rows, WINDOW // columns))
    means = torch.zeros(rows, columns, dtype=torch.float64)
    edges = [round(i * matrix.shape[1] / columns) for i in range(columns + 1)]
    cut = torch.tensor([edges[i + 1] - edges[i] for i in range(columns)], dtype=torch.float64)
    for i in range(rows):
        first, last = (round(j * matrix.shape[0] / rows) for j in (i, i + 1))
        line = _float(matrix[first:last]).mean(0)
        bad = ~line.isfinite()
        running, wrong = (torch.cat([torch.zeros(1), part.cumsum(0)]) for part in (line.masked_fill(bad, 0.0), bad.double()))
        means[i] = (running[edges[1:]] - running[edges[:-1]]) / cut
        means[i][wrong[edges[1:]] > wrong[edges[:-1]]] = math.nan
    return {"columns": columns, "values": tuple(means.reshape(-1).tolist()), "whole": (rows, columns) == tuple(matrix.shape)}


def _histogram(named: Named, tensor: torch.Tensor, how: str, most: int) -> dict[str, object]:
    """As many bins as there is room for, and as there are numbers for."""
    bins = max(10, min(most, MOST_BINS, 2 * math.isqrt(tensor.numel())))
    found = measure(tensor)
    if found.low is None or found.high is None:
        return {"why": "no number in here is finite"}
    low, high = found.low, found.high
    predicted = theory(named, how)
    if how == "default" and predicted is not None and not predicted.allows(low, high):
        how, predicted = "", None  # the network draws its layers itself
    if predicted is not None and predicted.deviation and low < high:
        low = min(low, predicted.mean - 3 * predicted.deviation) if _unbounded(predicted) else low
        high = max(high, predicted.mean + 3 * predicted.deviation) if _unbounded(predicted) else high
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / bins
    shares: tuple[float, ...] = ()
    if predicted is not None:
        shares = tuple(
            predicted.share(low + i * width, low + (i + 1) * width + (width * 1e-9 if i == bins - 1 else 0))
            for i in range(bins)
        )
    return {"bins": histogram(tensor, low, high, bins), "low": low, "high": high, "theory": shares, "drawn": told(named, how)}


def _unbounded(predicted: Theory) -> bool:
    return any(part[1] == "N" and math.isinf(part[4]) for part in predicted.parts)


def theory(named: Named, how: str) -> Theory | None:
    """What the way that a tensor was drawn says of its numbers; None where it says nothing."""
    scheme = default_scheme(named) if how == "default" else how
    return schemes.theory(schemes.read(scheme), tuple(named.tensor.shape)) if scheme else None


def told(named: Named, how: str) -> str:
    if how != "default":
        return how
    scheme = default_scheme(named)
    short = re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.4g}", scheme)
    return f"PyTorch's default, {short}" if scheme else ""


def default_scheme(named: Named) -> str:
    """What torch draws when it makes the layer, as one of the schemes; "" where that is not known here.

    Source: `reset_parameters` of torch.nn's Linear, _ConvNd, _NormBase, LayerNorm, Embedding, RNNBase. kaiming_uniform with
    a = sqrt(5), which Linear and the convolutions use, is uniform within 1 / sqrt(fan_in).
    """
    nn, module = torch.nn, named.module
    if named.kind != "parameter":
        return ""
    plain = (
        type(module).__module__ in ("torch.nn.modules.linear", "torch.nn.modules.conv")
        and type(module).__name__ != "NonDynamicallyQuantizableLinear"
    )
    if plain and isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and named.name in ("weight", "bias"):
        weight = module.weight
        flow = schemes.fans(tuple(weight.shape)) if isinstance(weight, torch.Tensor) else None
        bound = 1 / math.sqrt(flow[0]) if flow and flow[0] else 0.0
        return f"uniform({-bound!r}, {bound!r})"
    if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
        return "ones" if named.name == "weight" else "zeros"
    if isinstance(module, nn.Embedding) and named.name == "weight":
        return "normal" if module.padding_idx is None else ""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase) and module.hidden_size > 0:
        bound = 1 / math.sqrt(module.hidden_size)
        return f"uniform({-bound!r}, {bound!r})"
    return ""


def _spectrum(tensor: torch.Tensor) -> dict[str, object]:
    """Of a matrix [out, in * kernel]. The tolerance of the rank is torch.linalg.matrix_rank's: largest * longer side * eps."""
    if tensor.dim() < 2:
        return {"why": "singular values are for matrices"}
    matrix = tensor.reshape(tensor.shape[0], -1)
    if math.prod(matrix.shape) * min(matrix.shape) > LARGEST_WORK:
        return {"why": f"singular values of {matrix.shape[0]:,} x {matrix.shape[1]:,} numbers would take too long"}
    exact = _float(matrix)
    if not torch.isfinite(exact).all():
        return {"why": "there are nan or infinities in it"}
    values = torch.linalg.svdvals(exact)
    eps = torch.finfo(tensor.dtype).eps if tensor.is_floating_point() else torch.finfo(torch.float64).eps
    rank = int((values > values[0] * max(matrix.shape) * eps).sum()) if values.numel() and values[0] > 0 else 0
    return {
        "rank": rank,
        "height": matrix.shape[0],
        "width": matrix.shape[1],
        "columns": len(values),
        "values": tuple(values[:SINGULAR].tolist()),
        "low": float(values[-1]),
        "high": float(values[0]),
    }


def _pictures(model: torch.nn.Module, named: Named, tensor: torch.Tensor, wanted: View) -> dict[str, object]:
    """Rows of a weight as pictures of the input, or the kernels of a convolution."""
    if tensor.dim() == 4:
        height, width = int(tensor.shape[2]), int(tensor.shape[3])
    else:
        shape = wanted.input.shape
        if tensor.dim() != 2 or len(shape) not in (2, 3):
            return {"why": "pictures are for the weight [units, pixels] of a layer that sees pictures, or of a convolution"}
        height, width = shape[-2], shape[-1]
        pixels = math.prod(shape)
        if tensor.shape[1] != pixels:
            return {"why": f"its rows have {tensor.shape[1]:,} numbers; a picture {list(shape)} has {pixels:,}"}
    if not tensor.numel():
        return {"why": "there are no numbers in it"}
    if height * width > PIXELS:
        return {"why": f"pictures of {height} x {width} are too large to be drawn here"}
    first = max(0, min(wanted.row, tensor.shape[0] - 1))
    some = tensor[first : first + max(1, min(wanted.rows, PICTURES))]
    if tensor.dim() == 4 and tensor.shape[1] not in (1, 3):
        some = some[:, :1]
    drawn = _float(some).reshape(len(some), -1, height, width).mean(1)
    return {
        "row": first,
        "pictures": len(some),
        "height": height,
        "width": width,
        "columns": int(tensor.shape[0]),
        "values": tuple(drawn.reshape(-1).tolist()),
    }
