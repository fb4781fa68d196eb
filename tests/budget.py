"""Bounds on processor time that hold on a slow or busy machine too: they grow with what plain work takes there and then."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
OBJECTS = 40_000
USUAL = 0.02  # seconds for as many on a processor that is busy with nothing else, where the bounds were set
TRIES = 3  # a collection of garbage may fall into one of them


def in_time(seconds: float, work: Callable[[], Found]) -> Found:
    """What `work` gives, which takes at most so many seconds of processor time at one of some tries."""
    for _ in range(TRIES):
        started = time.process_time()
        found = work()
        taken = time.process_time() - started
        if taken < seconds or taken < seconds * _plain_work() / USUAL:
            return found
    raise AssertionError(f"it took {taken:.2f} s of processor time, {seconds:g} are allowed")


def _plain_work() -> float:
    """Seconds of processor time for some thousands of objects, as readers and parsers make them."""
    started = time.process_time()
    made = [{"number": i, "pair": (i, str(i))} for i in range(OBJECTS)]
    del made
    return time.process_time() - started
