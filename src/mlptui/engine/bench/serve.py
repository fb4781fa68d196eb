"""The bench as a process: `python -m mlptui.engine.bench.serve ANSWERS FOLDER VIEWER`.

Requests come as JSON lines on standard input, answers go to the descriptor ANSWERS; both are pipes to the viewer. The end of
standard input is the end of the process, and so is the death of the viewer, whose pid is VIEWER. FOLDER keeps the weights
for a bench that comes after.
"""

import ctypes
import faulthandler
import gc
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlptui.core.bench import Answer

PR_SET_PDEATHSIG = 1
IDLE = 1.0  # seconds without a request after which garbage is collected


def main(words: list[str]) -> None:
    die_with(int(words[2]))
    answers = int(words[0])
    os.set_inheritable(answers, False)
    asked = os.dup(0)  # code that is looked at must find nothing to read on standard input
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    faulthandler.enable()
    here = os.getpid()
    os.register_at_fork(after_in_child=lambda: die_with(here))  # what code forks here does not outlive this
    bench = Bench(answers, Path(words[1]))
    signal.signal(signal.SIGINT, bench.interrupted)
    threading.Thread(target=bench.listen, args=(asked,), daemon=True).start()
    bench.work()


def die_with(parent: int) -> None:
    """On Linux the kernel ends this process when the thread that started it ends; elsewhere the end of the pipe does."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before
            os._exit(0)


class Bench:
    """One thread listens, so that cancelling and ending work at any moment; the main thread answers."""

    def __init__(self, answers: int, folder: Path) -> None:
        self._answers, self._folder = answers, folder
        self._queue: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._now = 0
        self._cancelled: set[int] = set()

    def listen(self, asked: int) -> None:
        with os.fdopen(asked, "rb") as stream:
            for line in stream:
                try:
                    message = json.loads(line)
                    if "cancel" in message:
                        self._cancelled.add(message["cancel"])
                        if self._now == message["cancel"]:
                            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    else:
                        self._queue.put((int(message["id"]), message["request"]))
                except (ValueError, TypeError, KeyError) as error:
                    print(f"not a message: {error!r}", file=sys.stderr)
        os._exit(0)

    def interrupted(self, *_: object) -> None:
        if self._now in self._cancelled:
            raise KeyboardInterrupt

    def tell(self, message: bytes) -> None:
        view = memoryview(message + b"\n")
        while view:
            view = view[os.write(self._answers, view) :]

    def work(self) -> None:
        import torch

        from mlptui.core.bench import REQUESTS, Answer, Refused, Sheet
        from mlptui.devices.cpu import usable_threads
        from mlptui.engine import weights
        from mlptui.engine.bench.workbench import Workbench
        from mlptui.store import paths

        torch.set_num_threads(max(1, usable_threads() // 2))  # what trains goes first
        workbench = Workbench(paths.find())
        warm_up()
        sys.dont_write_bytecode = True  # torch starts in half the time when it is kept; beside a person's files none is wanted
        gc.collect()
        gc.freeze()
        self.tell(b'{"ready":true}')
        gc.disable()  # a collection in mid-work costs a third of opening 10,000 modules; between requests it costs nobody
        collected = False
        while True:
            try:
                number, request = self._queue.get(timeout=None if collected else IDLE)
            except queue.Empty:
                gc.collect()
                collected = True
                continue
            collected = False
            before = workbench.states.copy()
            answer: Answer | None = None
            try:
                self._now = number
                if number not in self._cancelled:
                    answer = workbench.answer(REQUESTS.validate_python(request))
            except KeyboardInterrupt:  # it came when the answer was made already, or not begun
                pass
            except ValueError as error:
                answer = Refused(message=f"not a request: {str(error)[:200]}")
            finally:
                self._now = 0
            if answer is None and workbench.states.now is not before.now:
                answer = workbench.sheet()
            answer = answer or Refused(message="cancelled", cancelled=True)
            try:
                lines = list(in_lines(number, answer))
            except ValueError:  # names with half a character in them
                workbench.states.back_to(before)
                lines = list(in_lines(number, Refused(message="the network has names that cannot be written down")))
            for line in lines:
                self.tell(line)
            self._cancelled.discard(number)
            if isinstance(answer, Sheet):
                try:
                    weights.save(workbench.now.model, self._folder / "weights.safetensors", workbench.now.text)
                except Exception as error:
                    print(f"the weights were not kept: {error}", file=sys.stderr)


def warm_up() -> None:
    """Let torch load what it loads at first use (a second's work), where no cancelling can break it off in the middle."""
    import torch

    from mlptui.engine.doctor.evidence import gather
    from mlptui.engine.inspect.detail import measure
    from mlptui.engine.inspect.probe import probe

    model, inputs = torch.nn.Linear(2, 2), torch.ones(2, 2)
    probe(model, inputs)
    measure(model, inputs, ())
    gather(model, inputs, None, True, 2)


def in_lines(number: int, answer: "Answer") -> Iterator[bytes]:
    """The lines of an answer. Raises ValueError for text that JSON cannot hold."""
    from mlptui.core.bench import PART, PARTS

    if answer.kind in PARTS:
        name, items = PARTS[answer.kind]
        found = getattr(answer, name)
        if len(found) > PART:
            for start in range(0, len(found), PART):
                yield b'{"id":%d,"part":%s}' % (number, items.dump_json(found[start : start + PART]))
            answer = answer.model_copy(update={name: ()})
    yield b'{"id":%d,"answer":%s}' % (number, answer.model_dump_json().encode())  # not the adapter's: it has no NaN


if __name__ == "__main__":
    main(sys.argv[1:])
