"""Numbers that describe a tensor, over its finite values, computed in float64 piece by piece so that no copy is large."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

PIECE = 1 << 22  # numbers at a time


@dataclass(frozen=True)
class Statistics:
    """`deviation` is the population's; `zeros` a share of all numbers; `bad` counts nan and infinities."""

    count: int
    mean: float | None = None
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    norm: float | None = None
    zeros: float | None = None
    bad: int = 0


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Flat float64 pieces of any real tensor, booleans as 0 and 1, on the CPU; complex numbers as their magnitudes."""
    data = tensor.detach()
    if data.layout != torch.strided:
        data = data.to_dense()
    if data.is_quantized:
        data = data.dequantize()
    flat = data.reshape(-1)
    for start in range(0, flat.numel(), PIECE):
        piece = flat[start : start + PIECE]
        if piece.is_complex():
            piece = piece.abs()
        yield piece.to("cpu", torch.float64)


def measure(tensor: torch.Tensor) -> Statistics:
    """Two passes: sums first, squares around the mean second."""
    count = tensor.numel()
    if not count or tensor.is_meta:
        return Statistics(count)
    total, finite, zeros, low, high = 0.0, 0, 0, math.inf, -math.inf
    for piece in pieces(tensor):
        good = piece[torch.isfinite(piece)]
        zeros += int((piece == 0).sum())
        finite += good.numel()
        if good.numel():
            low, high = min(low, float(good.min())), max(high, float(good.max()))
            total += float(good.sum())
    if not finite:
        return Statistics(count, zeros=zeros / count, bad=count)
    mean, squares, power = total / finite, 0.0, 0.0
    if not math.isfinite(total):  # the sum of numbers near the largest there is
        mean = sum(float((p[torch.isfinite(p)] / finite).sum()) for p in pieces(tensor))
    largest = max(abs(low), abs(high)) or 1.0  # squares of very large and very small numbers are not numbers
    farthest = max(high - mean, mean - low) or 1.0
    farthest = farthest if math.isfinite(farthest) else largest
    for piece in pieces(tensor):
        good = piece[torch.isfinite(piece)]
        squares += float((good / farthest - mean / farthest).square().sum())
        power += float((good / largest).square().sum())
    return Statistics(
        count,
        mean,
        farthest * math.sqrt(squares / finite),
        low,
        high,
        largest * math.sqrt(power),
        zeros / count,
        count - finite,
    )


def histogram(tensor: torch.Tensor, low: float, high: float, bins: int) -> tuple[int, ...]:
    """How many finite numbers fall into each of `bins` equal steps from `low` to `high`, which belongs to the last one."""
    counts = torch.zeros(bins, dtype=torch.int64)
    if tensor.is_meta or not low / 2 < high / 2:
        if tensor.numel() and not tensor.is_meta:
            counts[bins // 2] = sum(int(torch.isfinite(piece).sum()) for piece in pieces(tensor))
        return tuple(counts.tolist())
    for piece in pieces(tensor):
        good = piece[torch.isfinite(piece)]
        place = ((good / 2 - low / 2) / (high / 2 - low / 2) * bins).floor().clamp_(0, bins - 1).long()
        counts += torch.bincount(place, minlength=bins)
    return tuple(counts.tolist())
