"""A process with torch loaded that forks trainers, benches and scripts: real processes that can be killed, without 4 to 8 s of
imports each.

Speaks one JSON document a line: {"spawn": {...}}, {"script": {...}} and {"bench": {...}} answer {"pid": n}, {"reap": pid}
answers {"code": n}. The three descriptors of a bench come through the socket whose number is the only argument.
One OpenMP thread only, because a pool of them does not survive a fork; no GPU, because its threads in autograd do not.
"""

import json
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "ftruncate", "truncate", "pwrite")


def warm_up() -> None:
    """Load all that a trainer loads before its first step, without starting autograd's threads."""
    import torch

    torch.set_num_threads(1)
    for make in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop):
        weight = torch.nn.Parameter(torch.ones(2))
        weight.grad = torch.ones(2)
        make([weight], lr=0.1).step()
    import mlptui.engine.conductor
    import mlptui.engine.trainer  # noqa: F401


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(number: int) -> None:
    """Die inside the storage call of this number, a write after half of its bytes."""
    seen = 0

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                if name == "write":
                    original(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                die()
            return original(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))


def die_at_step(number: int) -> None:
    """Die before the step of this number, counted in this process."""
    from mlptui.engine.session import Session

    seen = 0
    original = Session.prepare_step

    def prepare_step(session: Session) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            die()
        original(session)

    Session.prepare_step = prepare_step  # type: ignore[method-assign]


def slow_down(seconds: float) -> None:
    """Make every step take this long, so that a test can act in the middle of a run."""
    from mlptui.engine.session import Session

    original = Session.prepare_step

    def prepare_step(session: Session) -> None:
        time.sleep(seconds)
        original(session)

    Session.prepare_step = prepare_step  # type: ignore[method-assign]


def stall_saves(gate: str) -> None:
    """Hold every save before its last rename while the file `gate` exists; `gate`.reached says that one waits."""
    original = os.rename

    def rename(source: Any, target: Any) -> None:
        if Path(target).name.startswith("step-") and os.path.exists(gate):
            Path(gate + ".reached").touch()
            while os.path.exists(gate):
                time.sleep(0.005)
        original(source, target)

    os.rename = rename  # type: ignore[assignment]


def have_memory(size: int) -> None:
    """Let the trainer find only so many bytes free, so that data do not fit."""
    from mlptui.engine import device

    device.free_memory = lambda _: size


def always_the_default_product() -> None:
    """The choice of a matrix product is a measurement of time; runs that are compared must not differ by it."""
    from mlptui.engine import matmul

    def choose(*_: Any) -> str:
        matmul.use(matmul.DEFAULT)
        return matmul.DEFAULT

    matmul.choose = choose


def become_trainer(order: dict[str, Any]) -> int:
    os.setsid()
    os.environ["MLPTUI_HOME"] = order["home"]
    folder = Path(order["folder"])
    log = os.open(folder / "logs" / "rank-0.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    for name, act in (
        ("call", die_at_call),
        ("step", die_at_step),
        ("slow", slow_down),
        ("gate", stall_saves),
        ("memory", have_memory),
    ):
        if order.get(name):
            act(order[name])
    always_the_default_product()
    from mlptui.engine import trainer

    return trainer.main(folder)


def become_bench(order: dict[str, Any], descriptors: list[int]) -> None:
    """As launch.bench starts one; `descriptors` are its input, its output and where it answers."""
    while os.getppid() != order["viewer"]:  # until the process between the two has ended
        time.sleep(0.001)
    os.setsid()
    asked, output, answers = descriptors
    for source, target in ((asked, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(asked)
    os.close(output)
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(order["environment"])
    from mlptui.engine.bench import serve

    serve.main([str(answers), order["folder"], str(order["viewer"])])


def become_script(order: dict[str, Any]) -> int:
    """As `python FILE WORDS` in the root folder, without what this process has of the project."""
    said = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir("/")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlptui"]:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    sys.argv = [order["file"], *order["words"]]
    sys.path[:] = [folder for folder in sys.path if not Path(folder, "mlptui").exists()]
    runpy.run_path(order["file"], run_name="__main__")
    return 0


def fork_bench(order: dict[str, Any], descriptors: list[int]) -> int:
    """The bench becomes the viewer's own child: the process between the two ends, and the viewer takes up orphans."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.close(reading)
                os.close(writing)
                become_bench(order, descriptors)
                code = 0
            finally:
                os._exit(code)
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(between, 0)
    with os.fdopen(reading, "rb") as stream:
        return int(stream.read())


def serve(passing: socket.socket) -> None:
    warm_up()
    benches = False
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "spawn" in request or "script" in request:
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    code = become_trainer(request["spawn"]) if "spawn" in request else become_script(request["script"])
                except Exception:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    os._exit(code)
            print(json.dumps({"pid": pid}), flush=True)
        elif "bench" in request:
            if not benches:
                from mlptui.engine.bench import serve as bench
                from mlptui.engine.bench import workbench  # noqa: F401

                bench.warm_up()
                benches = True
            descriptors = socket.recv_fds(passing, 1, 3)[1]
            print(json.dumps({"pid": fork_bench(request["bench"], descriptors)}), flush=True)
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            status = os.waitpid(request["reap"], 0)[1]
            print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
