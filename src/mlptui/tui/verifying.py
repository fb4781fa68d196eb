"""Reading checkpoints byte by byte beside the event loop; where one is damaged the newest whole one is offered."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from textual.app import App
from textual.message import Message

from mlptui.core.errors import MlptuiError
from mlptui.core.text import counted
from mlptui.store import collection
from mlptui.tui.desk import host
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.messages import Noticed
from mlptui.tui.render.files import CheckpointRow


@dataclass(frozen=True)
class _Found:
    """`problem` is "" where every byte is as written; `good` is the id of the newest whole one of its run, "" for none."""

    problem: str
    good: str


class List(Protocol):
    """The list of checkpoints, as this needs it."""

    @property
    def app(self) -> App[object]: ...

    def post_message(self, message: Message) -> bool: ...

    def refresh_rows(self) -> None: ...

    def go_to(self, id: str) -> None: ...


class Verifier:
    """One checkpoint after the other, so that `stop` ends it soon."""

    def __init__(self, rows: List) -> None:
        self._list = rows
        self._known: dict[tuple[str, float], tuple[str, float]] = {}  # what was found and when, by id and when it was made
        self._queue: deque[CheckpointRow] = deque()
        self._outcomes: list[bool] = []  # of those verified in a row, whether each was whole
        self._running = False

    def marked(self, row: CheckpointRow) -> CheckpointRow:
        """The row with what is known of its bytes."""
        verified, read = self._known.get((row.id, row.created), ("", 0.0))
        return replace(row, verified=verified, read=read)

    @property
    def waiting(self) -> int:
        return len(self._queue) + self._running

    def stop(self) -> bool:
        """Leave those that are not begun; False where there are none."""
        stopped = bool(self._queue)
        self._queue.clear()
        return stopped

    def verify(self, rows: list[CheckpointRow]) -> None:
        waiting = {row.id for row in self._queue}
        self._queue.extend(row for row in rows if row.id not in waiting)
        self._next()

    def offer(self, row: CheckpointRow, then: Callable[[], None], otherwise: str) -> None:
        """Read one that could not be used; is it damaged, ask whether to go to the newest whole one and do `then` there.

        `otherwise` is said where it is not damaged.
        """

        def found(result: _Found) -> None:
            if result.problem:
                self._ask(row, result, "take that one instead", then)
            else:
                self._tell(otherwise, bad=True)

        if not self._look(row, found):
            self._tell(otherwise, bad=True)

    def _tell(self, text: str, bad: bool = False) -> None:
        self._list.post_message(Noticed(text, bad))

    def _look(self, row: CheckpointRow, then: Callable[[_Found], None]) -> bool:
        """False while another one is read."""
        paths = host(self._list).paths

        def look() -> _Found:
            entry = collection.exact(paths, row.id)
            problem = collection.verify(entry)
            good = collection.newest_good(collection.of_run(entry.run), entry) if problem else None
            return _Found(problem, good.id if good else "")

        def done(result: _Found | None, error: Exception | None) -> None:
            self._running = False
            if result is None:
                self._tell(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True)
            else:
                self._known[row.id, row.created] = (result.problem or "whole", time.time())
                then(result)
            self._list.refresh_rows()
            self._next()

        began = host(self._list).background["verify"].submit(look, done)
        self._running = self._running or began
        return began

    def _next(self) -> None:
        if self._running:
            return
        if not self._queue:
            self._outcomes.clear()
            return
        row = self._queue.popleft()

        def found(result: _Found) -> None:
            self._outcomes.append(not result.problem)
            if not self._queue:
                self._sum_up(row, result)

        if not self._look(row, found):
            self._queue.clear()
            self._tell("the work before is not done yet", bad=True)
        self._list.refresh_rows()

    def _sum_up(self, row: CheckpointRow, last: _Found) -> None:
        whole, many = sum(self._outcomes), len(self._outcomes)
        if many > 1:
            said = f"{whole:,} of {counted(many, 'checkpoint')} are as they were written"
            self._tell(said if whole == many else f"{said}; the others say bad", bad=whole < many)
        elif last.problem:
            self._ask(row, last, "go to that one", lambda: None)
        else:
            self._tell(f"{row.title}: every byte as it was written")

    def _ask(self, row: CheckpointRow, found: _Found, yes: str, then: Callable[[], None]) -> None:
        if not found.good:
            others = "version of it" if row.saved else "of this run"
            self._tell(f"{row.title} is damaged, and no other {others} is whole", bad=True)
            return

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._list.go_to(found.good)
                then()

        good = int(found.good.rpartition("-")[2])
        text = f"{found.problem}.\nThe newest whole one of this run is {'version' if row.saved else 'step'} {good:,}."
        question = Question(f"{row.title} is damaged", text, yes, "leave it")
        self._list.app.push_screen(question, answered)
