"""Work that may wait for a disk, a driver or a process, in daemon threads that the viewer never waits for."""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """One thread for one purpose. `submit` is refused while the work before is still running, so nothing piles up."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, wanted: Callable[[], bool]) -> None:
        """`wanted` is False when whoever asks is on its way out and has no widgets left to show an answer on."""
        self._loop, self._wanted = loop, wanted
        self._context = contextvars.copy_context()  # Textual's timers need to know their app
        self._jobs: queue.Queue[tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]] = queue.Queue()
        self.busy = False
        threading.Thread(target=self._run, daemon=True, name=name).start()

    def submit(self, work: Callable[[], T], done: Callable[[T | None, Exception | None], None]) -> bool:
        """Do `work` in the thread, then call `done` with its result or its error in the event loop."""
        if self.busy:
            return False
        self.busy = True
        self._jobs.put((work, done))
        return True

    def _run(self) -> None:
        while True:
            work, done = self._jobs.get()
            result, error = None, None
            try:
                result = work()
            except Exception as problem:
                error = problem
            try:
                self._loop.call_soon_threadsafe(self._finish, done, result, error, context=self._context)
            except RuntimeError:  # the viewer has ended
                return

    def _finish(self, done: Callable[[Any, Exception | None], None], result: Any, error: Exception | None) -> None:
        self.busy = False
        if self._wanted():
            done(result, error)
