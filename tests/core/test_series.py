"""Metrics over steps in bounded memory, against the plain sums over all values."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.series import Bucket, Series

bounded = settings(derandomize=True, deadline=None, max_examples=200, database=None)

# whole numbers, so that sums are exact in every order
points = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.integers(-(2**20), 2**20).map(float) | st.sampled_from([math.nan, math.inf, -math.inf]),
    ),
    max_size=300,
)


def with_steps(gaps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    step, result = 0, []
    for gap, value in gaps:
        step += gap
        result.append((step, value))
    return result


def facts(values: list[float]) -> tuple[object, ...]:
    finite = [v for v in values if math.isfinite(v)]
    return (
        min(finite, default=math.inf),
        max(finite, default=-math.inf),
        sum(finite),
        len(finite),
        len(values) - len(finite),
    )


def of_bucket(bucket: Bucket) -> tuple[object, ...]:
    return bucket.low, bucket.high, bucket.total, bucket.finite, bucket.gaps


@bounded
@given(points, st.integers(1, 40))
def test_every_bucket_is_the_sum_over_its_own_steps(gaps: list[tuple[int, float]], capacity: int) -> None:
    given_ = with_steps(gaps)
    series = Series(capacity)
    series.extend(given_)
    assert len(series.buckets) <= capacity
    assert series.width & (series.width - 1) == 0
    for i, bucket in enumerate(series.buckets):
        own = [v for step, v in given_ if i * series.width < step <= (i + 1) * series.width]
        assert of_bucket(bucket) == facts(own)
    assert sum(b.finite + b.gaps for b in series.buckets) == len(given_)


@bounded
@given(points, st.integers(1, 40), st.integers(0, 50))
def test_columns_cover_all_steps_in_at_most_the_wanted_number(
    gaps: list[tuple[int, float]], capacity: int, wanted: int
) -> None:
    given_ = with_steps(gaps)
    series = Series(capacity)
    series.extend(given_)
    before = [of_bucket(b) for b in series.buckets]
    width, columns = series.columns(wanted)
    assert len(columns) <= max(1, wanted)
    assert width % series.width == 0
    for i, column in enumerate(columns):
        assert of_bucket(column) == facts([v for step, v in given_ if i * width < step <= (i + 1) * width])
    assert sum(c.finite for c in columns) == sum(b.finite for b in series.buckets)
    assert [of_bucket(b) for b in series.buckets] == before


@bounded
@given(points)
def test_last_best_and_first_gap_are_those_of_the_plain_list(gaps: list[tuple[int, float]]) -> None:
    given_ = with_steps(gaps)
    series = Series(8)
    series.extend(given_)
    finite = [(v, step) for step, v in given_ if math.isfinite(v)]
    assert (series.best, series.best_step) == (min(finite) if finite else (math.inf, 0))
    assert series.first_gap == next((step for step, v in given_ if not math.isfinite(v)), None)
    assert len(series) == (given_[-1][0] if given_ else 0)
    assert repr(series.last) == repr(given_[-1][1] if given_ else math.nan)


@bounded
@given(points)
def test_gaps_are_never_averaged(gaps: list[tuple[int, float]]) -> None:
    given_ = with_steps(gaps)
    all_, finite = Series(16), Series(16)
    all_.extend(given_)
    finite.extend(p for p in given_ if math.isfinite(p[1]))
    assert repr(all_.smoothed) == repr(finite.smoothed)
    for bucket in all_.buckets:
        assert math.isfinite(bucket.mean) == bool(bucket.finite)
        assert not bucket.finite or bucket.low <= bucket.mean <= bucket.high


def test_the_average_is_the_bias_corrected_one() -> None:
    series = Series(memory=0.9)
    series.extend([(1, 5.0)])
    assert math.isclose(series.smoothed, 5.0)
    series.extend([(2, 1.0)])
    assert math.isclose(series.smoothed, (0.9 * 0.1 * 5 + 0.1 * 1) / (1 - 0.9**2))


def test_an_empty_series_has_no_numbers() -> None:
    series = Series()
    assert math.isnan(series.smoothed) and math.isnan(series.last)
    assert series.columns(10) == (1, [])
    series.add(1, math.nan)
    assert [of_bucket(b) for b in series.columns(10)[1]] == [facts([math.nan])]


def test_a_million_steps_stay_in_the_capacity() -> None:
    series = Series(64)
    for step in range(1, 2_000_001, 1000):
        series.add(step, float(step))
    assert len(series.buckets) <= 64
    assert min(b.low for b in series.buckets) == 1.0
    assert max(b.high for b in series.buckets) == 1_999_001.0


def test_a_column_changes_only_while_its_own_steps_arrive() -> None:
    series = Series(1024)
    seen: dict[tuple[int, int], tuple[object, ...]] = {}
    for step in range(1, 500):
        series.add(step, float(step % 7))
        width, columns = series.columns(16)
        for i, column in enumerate(columns[:-1]):
            assert seen.setdefault((width, i), of_bucket(column)) == of_bucket(column)
