"""Statistics and histograms of tensors of every kind against numpy's in float64 and wider."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.engine.parameters import statistics
from mlptui.engine.parameters.statistics import Statistics, histogram, measure, pieces

bounded = settings(derandomize=True, deadline=None, max_examples=120, database=None)
F64 = torch.float64
NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    """These tensors are small; threads only wait for each other."""
    torch.set_num_threads(1)
    torch.manual_seed(5)


def wide(tensor: torch.Tensor) -> np.ndarray:
    """Its numbers one after the other in long double, complex ones as magnitudes."""
    flat = tensor.detach().resolve_conj().resolve_neg()
    if flat.is_complex():
        flat = flat.abs()
    return flat.to(F64).contiguous().reshape(-1).numpy().astype(np.longdouble)


def expected(tensor: torch.Tensor) -> Statistics:
    numbers = wide(tensor)
    good = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Statistics(0)
    zeros, bad = float((numbers == 0).mean()), len(numbers) - len(good)
    if not len(good):
        return Statistics(len(numbers), zeros=zeros, bad=bad)
    norm = np.sqrt(np.square(good).sum())
    return Statistics(
        len(numbers), float(good.mean()), float(good.std()), float(good.min()), float(good.max()), float(norm), zeros, bad
    )


def check(tensor: torch.Tensor) -> None:
    found, wanted = measure(tensor), expected(tensor)
    assert (found.count, found.zeros, found.bad, found.low, found.high) == (
        wanted.count, wanted.zeros, wanted.bad, wanted.low, wanted.high,
    )  # fmt: skip
    if wanted.mean is None or wanted.deviation is None or wanted.low is None or wanted.high is None:
        assert found.mean is found.deviation is found.norm is None
        return
    scale = max(abs(wanted.low), abs(wanted.high))
    assert found.mean == pytest.approx(wanted.mean, rel=1e-12, abs=1e-13 * scale)
    assert found.deviation == pytest.approx(wanted.deviation, rel=1e-9, abs=1e-13 * scale)
    assert found.norm == pytest.approx(wanted.norm, rel=1e-12, abs=0)


def spoiled(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.clone().reshape(-1)
    flat[::7], flat[1::11], flat[2::13], flat[3::5] = NAN, INF, -INF, 0
    return flat.reshape(tensor.shape)


TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    "float32": lambda: torch.randn(64, 33),
    "float64": lambda: torch.randn(64, 33, dtype=F64) * 1e5 + 1e9,
    "bfloat16": lambda: torch.randn(64, 33).bfloat16(),
    "float16": lambda: torch.randn(64, 33).half(),
    "int8": lambda: torch.randint(-128, 128, (64, 33), dtype=torch.int8),
    "uint8": lambda: torch.randint(0, 256, (64, 33), dtype=torch.uint8),
    "int16": lambda: torch.randint(-9999, 9999, (64, 33), dtype=torch.int16),
    "int64": lambda: torch.randint(-(2**52), 2**52, (64, 33)),
    "bool": lambda: torch.rand(64, 33) > 0.3,
    "complex64": lambda: torch.randn(20, 3, dtype=torch.complex64),
    "complex128": lambda: torch.randn(20, 3, dtype=torch.complex128).conj(),
    "float8": lambda: torch.randn(64).to(torch.float8_e4m3fn),
    "0-d": lambda: torch.tensor(-3.5),
    "0-d nan": lambda: torch.tensor(NAN),
    "0-d whole": lambda: torch.tensor(7),
    "0-d zero": lambda: torch.tensor(0.0),
    "one number": lambda: torch.tensor([[2.5]]),
    "empty": lambda: torch.empty(0),
    "empty matrix": lambda: torch.empty(0, 5, dtype=torch.int64),
    "spoiled": lambda: spoiled(torch.randn(50, 9)),
    "spoiled float64": lambda: spoiled(torch.randn(50, 9, dtype=F64)),
    "spoiled bfloat16": lambda: spoiled(torch.randn(50, 9).bfloat16()),
    "all nan": lambda: torch.full((5,), NAN),
    "all inf": lambda: torch.tensor([INF, -INF, INF]),
    "one finite": lambda: torch.tensor([NAN, 2.0, INF]),
    "zeros": lambda: torch.zeros(4, 4),
    "minus zero": lambda: torch.tensor([-0.0, 0.0, 1.0]),
    "all the same": lambda: torch.full((100,), 0.1),
    "transposed": lambda: torch.randn(7, 9).T,
    "every other": lambda: torch.randn(7, 9)[::2, ::3],
    "expanded": lambda: torch.randn(1, 9).expand(7, 9),
    "channels last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "a parameter": lambda: torch.nn.Parameter(torch.randn(5, 5)),
    "far from zero": lambda: torch.randn(1000, dtype=F64) + 1e12,
    "1e300": lambda: torch.randn(100, dtype=F64) * 1e300,
    "1e-300": lambda: torch.randn(100, dtype=F64) * 1e-300,
    "largest": lambda: torch.tensor([1.7e308, -1.7e308, 1.7e308], dtype=F64),
    "all largest": lambda: torch.full((64,), 1.7e308, dtype=F64),
    "1e300 far from zero": lambda: torch.tensor([1e300, 1.0000001e300], dtype=F64),
    "large and small": lambda: torch.tensor([1e300, 1e-300, -1e150, 0], dtype=F64),
    "float32's largest": lambda: torch.tensor([3e38, 3e38, -3e38, 1e-45]),
    "sparse": lambda: torch.eye(5).to_sparse(),
}


@pytest.mark.parametrize("piece", [1 << 22, 10, 1])
@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_statistics_are_numpys(name: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = TENSORS[name]()
    if piece == 1 and tensor.numel() > 200:
        tensor = tensor.reshape(-1)[:200]
    monkeypatch.setattr(statistics, "PIECE", piece)
    if tensor.layout != torch.strided:
        assert measure(tensor) == measure(tensor.to_dense())
        return
    if name in ("largest", "all largest"):  # the norm is beyond float64
        found = measure(tensor)
        assert found.norm == INF or (found.norm is not None and found.norm > 1e308)
        assert found.deviation == pytest.approx(float(wide(tensor).std()), rel=1e-9, abs=1e295)
        assert found.mean == pytest.approx(float(wide(tensor).mean()), rel=1e-12)
        return
    version = tensor._version
    check(tensor)
    assert tensor._version == version


def test_a_tensor_without_numbers_has_a_count_only() -> None:
    assert measure(torch.empty(3, 4, device="meta")) == Statistics(12)
    assert measure(torch.empty(0, device="meta")) == measure(torch.empty(0)) == Statistics(0)
    assert histogram(torch.empty(3, device="meta"), 0, 1, 4) == (0, 0, 0, 0) == histogram(torch.empty(0), 0, 1, 4)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 95])
def test_pieces_are_all_of_it_once_and_no_longer_than_they_may_be(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PIECE", 10)
    tensor = torch.randn(size)
    found = [*pieces(tensor)]
    assert all(0 < len(piece) <= 10 and piece.dtype == F64 and piece.device.type == "cpu" for piece in found)
    assert torch.equal(torch.cat(found) if found else torch.empty(0, dtype=F64), tensor.double())


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e150, max_value=1e150)


@bounded
@given(st.lists(finite | st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1e-300, 5e-324]), max_size=40))
def test_statistics_of_any_numbers_are_numpys(numbers: list[float]) -> None:
    tensor = torch.tensor(numbers, dtype=F64)
    found, wanted = measure(tensor), expected(tensor)
    assert (found.count, found.zeros, found.bad, found.low, found.high) == (
        wanted.count, wanted.zeros, wanted.bad, wanted.low, wanted.high,
    )  # fmt: skip
    if wanted.low is None or wanted.high is None:
        return
    scale = max(abs(wanted.low), abs(wanted.high))
    assert found.mean == pytest.approx(wanted.mean, rel=1e-12, abs=1e-14 * scale + 1e-320)
    assert found.deviation == pytest.approx(wanted.deviation, rel=1e-6, abs=1e-13 * scale + 1e-320)
    assert found.norm == pytest.approx(wanted.norm, rel=1e-9, abs=0 if scale > 1e-290 else 1e-320)


@bounded
@given(st.lists(st.floats(width=32), max_size=40), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_statistics_of_any_short_floats_are_numpys(numbers: list[float], dtype: torch.dtype) -> None:
    check(torch.tensor(numbers, dtype=F64).to(torch.float32).to(dtype))


# histograms


def counted(tensor: torch.Tensor, low: float, high: float, bins: int) -> list[int]:
    numbers = wide(tensor)
    good = numbers[np.isfinite(numbers)]
    step = (np.longdouble(high) - np.longdouble(low)) / bins
    edges = [np.longdouble(low) + step * i for i in range(bins)] + [np.longdouble(high)]
    return [int(((good >= a) & ((good < b) | (i == bins - 1))).sum()) for i, (a, b) in enumerate(pairwise(edges))]


@pytest.mark.parametrize("piece", [1 << 22, 10])
@pytest.mark.parametrize("bins", [1, 12, 40])
@pytest.mark.parametrize("name", TENSORS)
def test_histograms_are_numpys(name: str, bins: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PIECE", piece)
    tensor = TENSORS[name]()
    found = measure(tensor)
    if found.low is None or found.high is None:
        assert sum(histogram(tensor, 0.0, 1.0, bins)) == 0
        return
    counts = histogram(tensor, found.low, found.high, bins)
    assert len(counts) == bins and sum(counts) == found.count - found.bad and all(type(n) is int and n >= 0 for n in counts)
    if found.low == found.high:
        assert counts[bins // 2] == found.count - found.bad
    elif tensor.layout == torch.strided:
        wanted = counted(tensor, found.low, found.high, bins)
        whole = not tensor.is_floating_point() and not tensor.is_complex()
        moved = sum(abs(a - b) for a, b in zip(counts, wanted, strict=True)) // 2  # on an edge, by rounding
        assert moved <= (len(wide(tensor)) // 50 if whole or tensor.element_size() < 4 else 2), (counts, wanted)


def test_edges_belong_to_the_step_above_and_the_last_to_the_last() -> None:
    tensor = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, NAN, INF, -INF])
    assert histogram(tensor, 0, 1, 4) == (1, 1, 1, 2)
    assert histogram(tensor, 0, 1, 1) == (5,)
    assert histogram(tensor, 0, 2, 4) == (2, 2, 1, 0)
    assert histogram(tensor, -1, 1, 2) == (0, 5)
    assert histogram(torch.full((3,), 2.0), 2, 2, 4) == (0, 0, 3, 0)


@bounded
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60), st.integers(1, 50))
def test_histograms_of_any_numbers_are_numpys(numbers: list[float], bins: int) -> None:
    tensor = torch.tensor(numbers)
    low, high = min(numbers), max(numbers)
    counts = histogram(tensor, low, high, bins)
    assert sum(counts) == len(numbers)
    if high - low > 1e-3:
        running, wanted = np.cumsum(counts), np.cumsum(np.histogram(np.array(numbers, dtype=np.float64), bins, (low, high))[0])
        near = np.abs(np.subtract.outer(np.linspace(low, high, bins + 1)[1:], np.array(numbers))).min(1) < 1e-9 * max(
            1.0, high, -low
        )
        assert all(a == b or edge for a, b, edge in zip(running, wanted, near, strict=True))


@bounded
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 40))
def test_a_histogram_of_two_numbers_of_any_size_counts_both(one: float, other: float, bins: int) -> None:
    low, high = sorted((one, other))
    counts = histogram(torch.tensor([one, other], dtype=F64), low, high, bins)
    assert sum(counts) == 2 and (low / 2 == high / 2 or bins == 1 or (counts[0] == counts[-1] == 1))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1e-310), (-1.5e308, 1.5e308), (1e300, 1.1e300), (1.0, math.nextafter(1.0, 2))]
)
def test_histograms_of_the_smallest_and_largest_steps(low: float, high: float) -> None:
    counts = histogram(torch.tensor([low, high, NAN], dtype=F64), low, high, 12)
    assert counts[0] == counts[-1] == 1 and sum(counts) == 2


def test_numbers_that_are_next_to_each_other_and_to_zero_are_counted() -> None:
    assert sum(histogram(torch.tensor([0.0, 5e-324, NAN], dtype=F64), 0.0, 5e-324, 12)) == 2
