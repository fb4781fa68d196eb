"""Trainers and benches for tests: forked from one warm process where a fresh interpreter would prove nothing more."""

import atexit
import ctypes
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.tree import label
from mlptui.core.events import Event, Kind
from mlptui.core.recipe import Recipe, check, nested
from mlptui.datasets.settle import settle
from mlptui.engine import codec
from mlptui.launch.process import inherited
from mlptui.launch.trainer import ENVIRONMENT
from mlptui.store import checkpoints, control, host, paths, rundir
from mlptui.store.eventlog import read_events
from mlptui.store.rundir import Run
from mlptui.store.steps import Row, read_rows

Found = TypeVar("Found")
SMALL = "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))"
# an epoch of 5 steps over the sample: half of it is for validation, batches are large
QUICK = {"architecture": SMALL, "data.validation": 0.5, "batch_size": 600, "threads": 1, "device": "cpu"}


def eventually(condition: Callable[[], Found], what: str = "it", seconds: float = 60.0) -> Found:
    """What `condition` gives as soon as that is true; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


class Zygote:
    """The warm process, and the trainers and benches that it forked."""

    def __init__(self) -> None:
        alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
        self._passing, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("zygote.py")), str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
            text=True,
            env={**ENVIRONMENT, **os.environ, **alone},
        )
        theirs.close()
        self._guard = threading.Lock()
        self._living: set[int] = set()
        self._ready = False
        atexit.register(self.close)

    def spawn(self, run: Run, **faults: Any) -> int:
        """Fork a trainer for the run and return its pid."""
        order = {"folder": str(run.folder), "home": str(paths.find().data), **faults}
        pid = int(self._ask({"spawn": order})["pid"])
        self._living.add(pid)
        return pid

    def script(self, file: Path, *words: str) -> str:
        """What a plain PyTorch script prints; it must end well, and finds nothing of this project."""
        out = file.with_name(f"{file.name}.out")
        pid = int(self._ask({"script": {"file": str(file), "words": words, "out": str(out)}})["pid"])
        code = self.wait(pid, 120)
        said = out.read_text()
        out.unlink()
        assert code == 0, said
        return said

    def bench(self, answers: int, folder: Path) -> "Bench":
        """In place of launch.bench.start."""
        environment = {**ENVIRONMENT, **inherited()}
        order = {"folder": str(folder), "viewer": os.getpid(), "environment": environment}
        asked, output = os.pipe(), os.pipe()
        with self._guard:
            take_up_orphans(True)
            try:
                self._begin()
                self._send({"bench": order})
                socket.send_fds(self._passing, [b"."], [asked[0], output[1], answers])
                pid = int(self._heard()["pid"])
            finally:
                take_up_orphans(False)
        os.close(asked[0])
        os.close(output[1])
        return Bench(pid, os.fdopen(asked[1], "wb", buffering=0), os.fdopen(output[0], "rb", buffering=0))

    def wait(self, pid: int, seconds: float = 60.0) -> int:
        """The exit code of a trainer, negative for the signal that ended it."""
        eventually(lambda: host.process_start(pid) is None, f"the end of process {pid}", seconds)
        self._living.discard(pid)
        return int(self._ask({"reap": pid})["code"])

    def kill_leftovers(self) -> None:
        for pid in list(self._living):
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)

    def close(self) -> None:
        self.kill_leftovers()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._passing.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._guard:
            self._begin()
            self._send(request)
            return self._heard()

    def _begin(self) -> None:
        if not self._ready:
            assert self._heard()["ready"]
            self._ready = True

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass(frozen=True)
class Bench:
    """What launch.bench needs of a subprocess.Popen."""

    pid: int
    stdin: BinaryIO
    stdout: BinaryIO

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


PR_SET_CHILD_SUBREAPER = 36


def take_up_orphans(yes: bool) -> None:
    """Whether this process becomes the parent of its children's children when those end. On Linux only."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(yes))


@functools.cache
def zygote() -> Zygote:
    return Zygote()


def recipe(**knobs: Any) -> Recipe:
    """A small recipe over the sample; knobs by path with `__` for the dot: `optimizer__lr=0.1`."""
    flat = {**QUICK, **{name.replace("__", "."): value for name, value in knobs.items()}}
    return settle(paths.find(), check(nested(flat)))


def make_run(wanted: Recipe) -> Run:
    return rundir.create(paths.find(), wanted, "test", label(parse(wanted.architecture)))


def events(run: Run, *kinds: str) -> list[Event]:
    return [event for event in read_events(run.events_file) if not kinds or event.kind in kinds]


def tell(run: Run, command: str, value: float | None = None) -> Event:
    """Send a command and give the event that answers it."""
    return answer_to(run, control.send(run, command, value))


def answer_to(run: Run, command: str) -> Event:
    def answered() -> Event | None:
        return next((e for e in events(run, Kind.COMMAND) if e["id"] == command), None)

    return eventually(answered, f"the answer to {command}")


def until_step(run: Run, step: int) -> int:
    """Wait until the log has come to a step, and give the step that it has come to."""
    return eventually(lambda: (now := step_of(run)) >= step and now, f"step {step}")


def step_of(run: Run) -> int:
    """The newest step in the log."""
    return max((row.step for row in read_rows(run.steps_file)), default=0)


def rows_without_wall(run: Run) -> list[Row]:
    """Rows as they can be compared; NaN becomes -1, which no value is."""
    return [
        row._replace(wall=0.0, gradient_norm=-1.0 if row.gradient_norm != row.gradient_norm else row.gradient_norm)
        for row in read_rows(run.steps_file)
    ]


def outcome(run: Run, step: int | None = None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Weights, optimiser state and progress of the newest checkpoint (or the one at `step`), in comparable form."""
    if step is None:
        found = checkpoints.newest_verified(run.checkpoints)[0]
    else:
        found = checkpoints.load(run.checkpoints / checkpoints.name_of(step))
    assert found
    captured = codec.decode(found.read(codec.MODEL), found.read(codec.TRAINING))
    tensors = {f"model.{name}": tensor.numpy().tobytes() for name, tensor in captured["model"].items()}
    for index, values in captured["optimizer"]["state"].items():
        for name, value in values.items():
            plain = value.numpy().tobytes() if hasattr(value, "numpy") else repr(value).encode()
            tensors[f"optimizer.{index}.{name}"] = plain
    progress = vars(captured["progress"]) | {"trained_seconds": 0, "epoch_seconds": 0}
    return tensors, {**progress, "groups": captured["optimizer"]["param_groups"]}
