"""How far a download is, on stderr: one line that is written over on a terminal, one a phase elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlptui.core import text

if TYPE_CHECKING:
    from mlptui.datasets.jobs import Job, Work

INTERVAL = 0.25


def sentence(job: "Job") -> str:
    """A job in one line."""
    parts = [f"{job.name}: {job.phase}"]
    if job.total:
        parts.append(f"{text.size(job.done)} of {text.size(job.total)}, {job.done / job.total:.0%}")
    elif job.done:
        parts.append(text.size(job.done))
    if job.speed:
        parts.append(f"{text.size(job.speed)}/s")
    if job.left is not None and job.speed:
        parts.append(f"{text.duration(job.left)} left")
    if job.mirror:
        parts.append(job.mirror)
    return text.safe("  ".join(parts), 200)


class Told:
    """Shows one set's job while it is done in this process."""

    def __init__(self, places: Any, name: str) -> None:
        self.name = name
        self.live = sys.stderr.isatty()
        self._waiting = False
        self._failures = 0

    def waiting(self, why: str) -> None:
        if not self._waiting:
            print(text.safe(f"{self.name}: {why}; waiting for it"), file=sys.stderr, flush=True)
        self._waiting = True

    @contextmanager
    def following(self, work: "Work") -> Iterator[None]:
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(work, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            if self.live:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _watch(self, work: "Work", over: threading.Event) -> None:
        phase = ""
        while not over.wait(INTERVAL if phase else 0.05):
            job = work.job
            for failure in job.failures[self._failures :]:
                print(("\r\x1b[K" if self.live else "") + text.safe(f"{self.name}: {failure}"), file=sys.stderr, flush=True)
            self._failures = len(job.failures)
            if self.live:
                print("\r\x1b[K" + text.cut(sentence(job), 100), end="", file=sys.stderr, flush=True)
            elif job.phase != phase:
                print(sentence(job), file=sys.stderr, flush=True)
            phase = job.phase
