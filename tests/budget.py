"""Bounds on processor time that hold on a slow or busy machine too: they grow with what a loop of plain Python takes."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
LOOP = 300_000
USUAL = 0.025  # seconds for the loop on a processor that is busy with nothing else, where the bounds were set
TRIES = 3  # a collection of garbage may fall into one of them


def in_time(seconds: float, work: Callable[[], Found]) -> Found:
    """What `work` gives, which takes at most so many seconds of processor time at one of some tries."""
    for _ in range(TRIES):
        started = time.process_time()
        found = work()
        taken = time.process_time() - started
        if taken < seconds * max(1.0, _loop() / USUAL if taken > seconds else 1.0):
            return found
    raise AssertionError(f"it took {taken:.2f} s of processor time, {seconds:g} are allowed")


def _loop() -> float:
    started, total = time.process_time(), 0
    for i in range(LOOP):
        total += i
    return time.process_time() - started
