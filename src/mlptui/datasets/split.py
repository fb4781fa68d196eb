"""Which training samples are kept for validation."""

import numpy as np
from numpy.typing import NDArray


def validation_split(size: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices for training and for validation: a function of (size, share, seed) alone, each in ascending order.

    The order comes from numpy's PCG64, whose streams are stable between versions (NEP 19).
    """
    order = np.random.Generator(np.random.PCG64([seed, 0x5A11D])).random(size).argsort(kind="stable")
    kept = round(size * share)
    return np.sort(order[kept:]), np.sort(order[:kept])
