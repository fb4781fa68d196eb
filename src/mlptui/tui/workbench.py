"""The viewer's side of its bench: requests one after the other, their limits in time, and a new bench when one dies."""

import asyncio
import contextvars
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlptui.core.bench import (
    ANSWERS,
    PARTS,
    Answer,
    Check,
    Compare,
    Flow,
    Look,
    Open,
    Probe,
    Refused,
    Request,
    Sheet,
)
from mlptui.core.parameters.messages import List, Measure, Preview, View
from mlptui.core.text import safe
from mlptui.launch.bench import BenchError, BenchProcess, sweep
from mlptui.store.paths import Paths
from mlptui.tui.background import Background

LIMITS = {
    "measure": 600.0,
    "view": 120.0,
    "list": 60.0,
    "train": 600.0,
    "open": 60.0,
    "names": 60.0,
    "check": 120.0,
    "materialise": 60.0,
}  # seconds by kind of request
LIMIT, START_LIMIT = 30.0, 90.0
GRACE = 2.0  # seconds that a cancelled request has to give way before the bench is ended
REOPEN = "reopen"
ASKED_FOR = "as you asked"
READY = "ready"
LOOKS = (Probe, Look, Flow, Check, Compare, List, Measure, View, Preview)
UNASKED = (List, Measure, View)
BY_ITSELF = (Probe, Look)  # and they run a person's own code, which may never end
SEEN = 1.0  # seconds after which what the bench does is told in the workbench line
RESTARTS, WITHIN = 3, 60.0  # a bench that dies so often in so many seconds is not started again by itself

Done = Callable[[Answer], None]


@dataclass
class Asked:
    """A request that waits or runs. Of one `group` only the newest is wanted."""

    number: int
    request: Request
    done: Done
    group: str
    sent: float = 0.0
    cancelled: float = 0.0
    late: bool = False


@dataclass
class Workbench:
    """Call everything from the event loop; `done` of each request is called there exactly once.

    `state` is one of: off, starting, ready, busy, gone. `changed` is called when it changes, `said` with a sentence for the
    person. After a death `reopened` gets the network as it came back; `ended_by_look` says whether running it was what killed.
    """

    paths: Paths
    changed: Callable[[], None] = lambda: None
    said: Callable[[str], None] = lambda _: None
    reopened: Callable[[Sheet], None] = lambda _: None
    state: str = "off"
    present: Sheet | None = None
    seed: int = 0
    ended_by_look: bool = False
    _queue: deque[Asked] = field(default_factory=deque)
    _running: Asked | None = None
    _process: BenchProcess | None = None
    _number: int = 0
    _begun: float = 0.0
    _deaths: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS))
    _worker: Background | None = None
    _writer: Background | None = None
    _closed: bool = False
    _comes_back: bool = True
    _outbox: deque[bytes] = field(default_factory=deque)

    def start(self) -> None:
        """Start the bench in the background; nothing where it runs already."""
        if self.state not in ("off", "gone"):
            return
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker, self._writer = (Background(name, loop, self._open) for name in ("bench", "bench writer"))
        self._begun = time.monotonic()
        self._turn("starting")
        context = contextvars.copy_context()  # Textual's timers need to know their app

        reader = _Reader()

        def heard(process: BenchProcess, line: bytes | None) -> None:  # in the bench's thread
            found = None if line is None else reader.read(line)
            if line is not None and found is None:
                return
            try:
                loop.call_soon_threadsafe(self._heard, process, found, context=context)
            except RuntimeError:  # the viewer has ended
                process.kill()

        def begin() -> BenchProcess:
            sweep(self.paths)
            return BenchProcess(self.paths, heard)

        def begun(process: BenchProcess | None, error: Exception | None) -> None:
            if process is None:
                self._turn("gone")
                self.said(str(error) if isinstance(error, BenchError) else f"the bench cannot be started: {error!r}")
                self._refuse_all(str(error))
            self._process = process

        self._worker.submit(begin, begun)

    def _open(self) -> bool:
        return not self._closed

    def stop(self) -> None:
        """The viewer ends; nothing is heard any more."""
        self._closed = True
        if self._process:
            self._process.kill()

    def restart(self) -> None:
        """End it; what it had comes back in a new one."""
        self._comes_back = True
        if self._process and self.state in ("ready", "busy", "starting"):
            self._deaths.clear()
            self._process.kill(ASKED_FOR)
        else:
            self.start()

    def ask(self, request: Request, done: Done, group: str = "") -> None:
        """Queue a request; an older one of the same group is cancelled. Starts the bench where there is none."""
        self._number += 1
        if group:
            for asked in [a for a in self._queue if a.group == group]:
                self._queue.remove(asked)
                asked.done(Refused(message="cancelled", cancelled=True))
            if self._running and self._running.group == group:
                self._cancel(self._running)
        if not isinstance(request, LOOKS):  # a change does not wait for looks at what it changes
            for asked in [a for a in self._queue if isinstance(a.request, LOOKS)]:
                self._queue.remove(asked)
                asked.done(Refused(message="cancelled", cancelled=True))
            if self._running and isinstance(self._running.request, LOOKS):
                self._cancel(self._running)
        self._queue.append(Asked(self._number, request, done, group))
        self.start()
        self._next()

    def cancel(self) -> bool:
        """Cancel what runs and what waits for a person; False where nothing does."""
        waiting = [asked for asked in self._queue if self._is_waited_for(asked)]
        if self.present is None:  # a bench that starts is not waited for by a key
            waiting = [asked for asked in waiting if not isinstance(asked.request, Open)]
        self._queue = deque(asked for asked in self._queue if asked not in waiting)
        for asked in waiting:
            asked.done(Refused(message="cancelled", cancelled=True))
        runs = self._running is not None and self._is_waited_for(self._running)
        if runs and self._running:
            self._cancel(self._running)
        return runs or bool(waiting)

    @staticmethod
    def _is_waited_for(asked: Asked) -> bool:
        """Not what brings the network back, nor what fills a screen by itself, unless a person sees that it takes long."""
        if isinstance(asked.request, BY_ITSELF):
            return bool(asked.sent) and time.monotonic() - asked.sent > SEEN
        return asked.group != REOPEN and not isinstance(asked.request, UNASKED)

    @property
    def busy_for(self) -> float:
        """Seconds that the present request has taken; 0 where none runs."""
        return time.monotonic() - self._running.sent if self._running else 0.0

    @property
    def doing(self) -> str:
        """What runs, in a word."""
        return self._running.request.kind if self._running else ""

    def tick(self) -> None:
        """To be called about every second: ends what takes too long."""
        now = time.monotonic()
        if self.state == "starting" and now - self._begun > START_LIMIT and self._process:
            self._process.kill(f"it did not start within {START_LIMIT:.0f} s; its log is {self._process.log}")
        asked = self._running
        if asked is None or self._process is None:
            return
        if asked.cancelled and now - asked.cancelled > GRACE:
            self._process.kill()
        elif not asked.cancelled and now - asked.sent > LIMITS.get(asked.request.kind, LIMIT):
            asked.late = True
            self._cancel(asked)

    # inside

    def _turn(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.changed()

    def _post(self, message: bytes) -> None:
        """Through a thread: a bench that does not read must not hold up the keys."""
        self._outbox.append(message)
        self._write()

    def _write(self) -> None:
        process = self._process
        if not self._outbox or process is None or self._writer is None:
            return
        lines = list(self._outbox)

        def send() -> None:
            for line in lines:
                process.send(line)

        if self._writer.submit(send, lambda *_: self._write()):
            self._outbox.clear()

    def _next(self) -> None:
        if self.state != "ready" or self._running or not self._queue:
            return
        asked = self._running = self._queue.popleft()
        asked.sent = time.monotonic()
        self._post(b'{"id":%d,"request":%s}' % (asked.number, asked.request.model_dump_json().encode()))
        self._turn("busy")

    def _cancel(self, asked: Asked) -> None:
        if not asked.cancelled:
            asked.cancelled = time.monotonic()
            self._post(json.dumps({"cancel": asked.number}).encode())

    def _heard(self, process: BenchProcess, message: tuple[int, Answer] | str | None) -> None:
        if self._closed or self._process not in (None, process):
            process.kill()
            return
        if message is None:
            self._died(process)
        elif isinstance(message, str):  # READY
            self._process = process
            opening = any(isinstance(waiting.request, Open) for waiting in self._queue)
            # a new bench gets the network that the one before had, with its weights where they were kept
            if self.present and self._comes_back and not opening:
                weights = str(process.folder / "weights.safetensors")
                request = Open(text=self.present.text, seed=self.seed, weights=weights)
                self._number += 1
                self._queue.appendleft(Asked(self._number, request, self._reopened, REOPEN))
            self._turn("ready")
            self._next()
        elif self._running and message[0] == self._running.number:
            asked, self._running = self._running, None
            self._turn("ready")
            try:
                self._answered(asked, message[1])
            finally:
                self._next()

    def _answered(self, asked: Asked, answer: Answer) -> None:
        if isinstance(answer, Sheet):
            self.present, self._comes_back = answer, True
            if isinstance(asked.request, Open):
                self.seed = asked.request.seed
        if asked.late and isinstance(answer, Refused):
            seconds = LIMITS.get(asked.request.kind, LIMIT)
            answer = answer.model_copy(
                update={"message": f"it took longer than {seconds:.0f} s and was ended", "cancelled": False}
            )
        asked.done(answer)

    def _died(self, process: BenchProcess) -> None:
        """Say what happened and start another one, but not for ever."""
        how, last = process.how(), [safe(line, 200) for line in process.last]
        asked, self._running, self._process = self._running, None, None
        self._outbox.clear()
        self._turn("gone")
        if asked and asked.cancelled:
            limit = LIMITS.get(asked.request.kind, LIMIT)
            how = f"it took longer than {limit:.0f} s" if asked.late else "it did not give way"
        self.ended_by_look = asked is not None and isinstance(asked.request, LOOKS) and process.why != ASKED_FOR
        if asked and asked.group == REOPEN:  # it kills whoever builds it
            self._comes_back = False
        self._deaths.append(time.monotonic())
        again = len(self._deaths) < RESTARTS or self._deaths[-1] - self._deaths[0] > WITHIN
        if again:
            self.start()
        else:
            self._refuse_all(f"the bench died {RESTARTS} times: {last[-1] if last else how}. Its log is {process.log}")
        self.said(f"the bench was ended: {how}" + ("; another one starts" if again else "; b starts another one"))
        if asked:
            asked.done(Refused(message=f"the bench was ended: {how}", output=tuple(last)))

    def _reopened(self, answer: Answer) -> None:
        if isinstance(answer, Sheet):
            self.reopened(answer)
        elif isinstance(answer, Refused) and not answer.cancelled:
            self.said(f"the network did not come back: {answer.message}")

    def _refuse_all(self, why: str) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        for asked in waiting:
            asked.done(Refused(message=why))


class _Reader:
    """Puts long answers together again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def read(self, line: bytes) -> tuple[int, Answer] | str | None:
        """An answer with the number of its request, READY once at the beginning; None for a part."""
        if line.startswith(b'{"ready"'):
            return READY
        head, _, body = line.partition(b',"answer":')
        if not body:
            self._parts.append(line.partition(b',"part":')[2][:-1])
            return None
        answer = ANSWERS.validate_json(body[:-1])
        parts, self._parts = self._parts, []
        if parts and answer.kind in PARTS:
            name, items = PARTS[answer.kind]
            together: list[Any] = []
            for part in parts:
                together += items.validate_json(part)
                time.sleep(0)  # the thread that answers keys may go first
            answer = answer.model_copy(update={name: tuple(together)})
        return int(head.removeprefix(b'{"id":')), answer
