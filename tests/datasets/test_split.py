"""Which samples are kept for validation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.datasets.split import validation_split

bounded = settings(derandomize=True, deadline=None, max_examples=200, database=None)


@bounded
@given(st.integers(0, 500), st.floats(0, 0.9), st.integers(0, 2**63 - 1))
def test_every_sample_is_on_one_side_and_the_share_is_kept(size: int, share: float, seed: int) -> None:
    train, valid = validation_split(size, share, seed)
    assert len(valid) == round(size * share)
    assert np.array_equal(np.sort(np.concatenate([train, valid])), np.arange(size))
    assert np.all(np.diff(train) > 0) and np.all(np.diff(valid) > 0)
    again = validation_split(size, share, seed)
    assert np.array_equal(train, again[0]) and np.array_equal(valid, again[1])


@bounded
@given(st.integers(0, 2**63 - 2))
def test_another_seed_keeps_other_samples(seed: int) -> None:
    assert not np.array_equal(validation_split(1000, 0.1, seed)[1], validation_split(1000, 0.1, seed + 1)[1])


@bounded
@given(st.floats(0, 0.4), st.floats(0.41, 0.9))
def test_a_larger_share_adds_to_a_smaller_one(small: float, large: float) -> None:
    assert set(validation_split(300, small, 7)[1]) <= set(validation_split(300, large, 7)[1])


def test_the_split_of_the_design_never_changes() -> None:
    """Runs of earlier versions resume exactly only while these stay as they are."""
    _, valid = validation_split(60_000, 0.1, 0)
    assert len(valid) == 6000
    assert validation_split(20, 0.25, 0)[1].tolist() == [3, 6, 7, 9, 17]


def test_the_kept_samples_are_spread_evenly() -> None:
    _, valid = validation_split(60_000, 0.1, 3)
    counts = np.histogram(valid, bins=10, range=(0, 60_000))[0]
    assert counts.min() > 500 and counts.max() < 700
