"""Real trainers."""

from collections.abc import Iterator

import pytest
from process.trainers import Zygote, zygote


@pytest.fixture
def trainers() -> Iterator[Zygote]:
    """The warm process that forks trainers; those that a test leaves behind are ended with it."""
    yield zygote()
    zygote().kill_leftovers()
