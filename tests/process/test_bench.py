"""The bench as a process: what user code may do to it, and what the viewer does then."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mlptui.core.bench import (
    Answer,
    Change,
    Detail,
    Flow,
    FlowSheet,
    History,
    Input,
    Look,
    Open,
    Probe,
    Refused,
    Shapes,
    Sheet,
)
from mlptui.launch import bench as launching
from mlptui.store.paths import Paths
from mlptui.tui import workbench
from mlptui.tui.workbench import Workbench

pytestmark = pytest.mark.process

FIRST = "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))"
NUMBERS = Flow(input=Input(shape=(784,)), typed=" ".join(map(str, range(784))), place=())
NETS = """
import ctypes, os, signal, sys, time
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)
    def forward(self, x):
        return self.inner(x)

class InForward(Good):
    def __init__(self, what=""):
        super().__init__()
        self.what = what
    def forward(self, x):
        globals()[self.what]()
        return x

def endless():
    while True:
        pass

def sleeps():
    time.sleep(1000)

def in_c():
    big = torch.ones(20000, 20000)
    while True:
        big = big @ big

def stubborn():
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass

def deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(0.01)

def leaves():
    os._exit(7)

def exits():
    print("last words")
    sys.exit(5)

def segfault():
    print("before the fault")
    ctypes.string_at(0)

def aborts():
    os.abort()

def too_much():
    return [bytearray(1 << 40) for _ in range(4)]

def tensor_too_much():
    return torch.empty(1 << 46)

def base():
    raise BaseException("neither [/] nor \\x1b[2J")

def own_base():
    class Stop(BaseException):
        pass
    raise Stop("stop it")

def interrupts():
    raise KeyboardInterrupt

def asks():
    return input("your name? ")

def late():
    import beside
    return Good()

def reads():
    assert sys.stdin.read() == "" and os.read(0, 10) == b""
    return Good()

def prints():
    for i in range(300_000):
        print("storm", i, "x" * 60)
    sys.stdout.write("y" * 5_000_000)
    os.write(1, b"raw" * 1000)
    os.write(2, b"\\xff\\x1b[2J" * 1000)
    return Good()

def halves():
    made = Good()
    made.add_module("half \\ud800", nn.ReLU())
    return made

def closes():
    os.closerange(3, 256)
    return Good()

def closes_standard():
    os.closerange(0, 3)
    return Good()

def garbage():
    for i in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{i}").startswith("pipe:"):
                os.write(i, b'{"id":1,"answer":{"kind":"nothing"}}\\nnot json\\n{"ready": 5}\\n\\xff\\n')
        except OSError:
            pass
    return Good()

def forks():
    if os.fork() == 0:
        time.sleep(1000)
    return Good()

def child_comes_back():
    os.fork()
    return Good()

def threads():
    import threading
    threading.Thread(target=endless).start()
    return Good()

def chdirs():
    os.chdir("/")
    os.environ.clear()
    sys.path.clear()
    sys.modules.pop("json", None)
    sys.stdout = sys.stderr = None
    return Good()

def recursion():
    return recursion()

def signals():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return Good()
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    file = tmp_path / "nets.py"
    file.write_text(NETS)
    (tmp_path / "beside.py").write_text("")
    return file


class Desk:
    """A workbench on this loop, and what it said. `ask` waits for the answer as the viewer would, ticking meanwhile."""

    def __init__(self, paths: Paths) -> None:
        self.said: list[str] = []
        self.reopened: list[Sheet] = []
        self.bench = Workbench(paths, said=self.said.append, reopened=self.reopened.append)
        self.late = 0.0  # the longest that this loop was held up

    async def until(self, holds: Callable[[], Any], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"it did not come true; {self.bench.state}, {self.said}"
            self.bench.tick()
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.late = max(self.late, time.monotonic() - before - 0.01)

    async def ask(self, request: Any, seconds: float = 60) -> Answer:
        got: list[Answer] = []
        self.bench.ask(request, got.append)
        await self.until(lambda: got, seconds)
        assert len(got) == 1
        return got[0]

    async def open(self, text: str = FIRST, **more: Any) -> Answer:
        return await self.ask(Open(text=text, **more))

    async def rest(self) -> None:
        await self.until(lambda: self.bench.state == "ready" and not self.bench._queue and not self.bench._running, 60)

    @property
    def pid(self) -> int:
        assert self.bench._process
        return self.bench._process.pid


@contextlib.asynccontextmanager
async def desk(paths: Paths) -> AsyncIterator[Desk]:
    made = Desk(paths)
    process = None
    try:
        yield made
    finally:
        process = made.bench._process
        made.bench.stop()
        if process:
            deadline = time.monotonic() + 10
            while alive(process.pid) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            assert not alive(process.pid), "the bench outlives its viewer"


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("warm_bench")
async def test_requests_are_answered_in_order_and_what_user_code_does_is_a_sentence(paths, nets, monkeypatch) -> None:
    monkeypatch.setenv("MLPTUI_HOME", str(paths.data))
    async with desk(paths) as d:
        order: list[Any] = []
        assert d.bench.state == "off"
        d.bench.ask(Open(text=FIRST), lambda a: order.append(("open", a)))
        for i in range(3):
            d.bench.ask(Probe(input=Input(shape=(1, 28, 28))), lambda a, i=i: order.append((i, a)))
        for i in range(5):
            d.bench.ask(Look(place=(str(i % 4),), input=Input()), lambda a, i=i: order.append((f"look {i}", a)), "look")
        assert d.bench.state == "starting"
        await d.until(lambda: len(order) == 9, 60)
        cancelled = [what for what, a in order if isinstance(a, Refused) and a.cancelled]
        answered = [what for what, a in order if not isinstance(a, Refused)]
        assert cancelled == ["look 0", "look 1", "look 2", "look 3"]
        assert answered == ["open", 0, 1, 2, "look 4"]
        assert order[-1][1].place == ("0",)
        assert not d.said
        pid = d.pid

        async def refused(name: str) -> str:
            answer = await d.open(f"{nets}:{name}")
            assert isinstance(answer, Refused), (name, answer)
            assert not answer.cancelled or name == "interrupts"
            return answer.message

        line = NETS[: NETS.index("sys.exit(5)")].count("\n") + 1
        assert f"line {line}" in await refused("exits")
        assert "EOF" in await refused("asks")
        assert "emory" in await refused("too_much")
        assert "memory" in await refused("tensor_too_much")
        assert "recursion" in (await refused("recursion")).lower()
        assert isinstance(await d.open(f"{nets}:reads"), Sheet)
        assert isinstance(await d.open(f"{nets}:late"), Sheet)
        assert not list(nets.parent.glob("__pycache__"))
        assert "names" in await refused("halves")
        assert "has no nothing" in await refused("nothing")
        assert (await refused("interrupts")) == "cancelled"
        assert d.pid == pid
        # typed answers to a network without parameters, long answers in parts
        big = "nn.Sequential(*[nn.Linear(8, 8) for i in range(4999)], *[nn.ReLU() for i in range(5000)])"
        sheet = await d.open(big)
        assert isinstance(sheet, Sheet) and len(sheet.rows) == 10_000 and sheet.rows[9_999].layer == "ReLU"
        assert len({row.place for row in sheet.rows}) == 10_000
        shapes = await d.ask(Probe(input=Input(shape=(8,))))
        assert isinstance(shapes, Shapes) and len(shapes.passed) == 10_000 and shapes.fault is None
        assert all(p.calls == 1 for p in shapes.passed)
        d.late = 0.0
        back = await d.ask(History(by=-1))
        assert isinstance(back, Sheet) and len(back.rows) == 2 and back.text.endswith(":late")
        assert d.late < 0.5


@pytest.mark.usefixtures("campaign")
async def test_any_exception_of_user_code_and_any_line_of_garbage_leave_the_bench_alive(paths, nets) -> None:
    async with desk(paths) as d:
        assert isinstance(await d.open(FIRST), Sheet)
        pid = d.pid
        unknown = b'{"id":9998,"request":{"kind":"unknown"}}'
        for line in (unknown, b'{"cancel":12345}', b"", b"not json", b"\xff\xfe", b'{"id":9999}', b"[1, 2]"):
            d.bench._process.send(line)
            assert isinstance(await d.ask(Open(text=FIRST), 10), Sheet)
            assert d.pid == pid and not d.said, (line, d.said)
        for name in ("base", "own_base"):
            answer = await d.open(f"{nets}:{name}")
            assert isinstance(answer, Refused) and ("Stop" in answer.message or "neither" in answer.message), answer
            assert "\x1b" not in answer.message
        assert d.pid == pid, f"the bench died of an exception: {d.said}"


@pytest.mark.usefixtures("campaign")
async def test_a_print_storm_fills_no_disk_and_holds_nobody_up(paths, nets) -> None:
    async with desk(paths) as d:
        await d.open()
        pid, d.late = d.pid, 0.0
        sheet = await d.open(f"{nets}:prints")
        assert isinstance(sheet, Sheet) and d.pid == pid
        assert all("\x1b" not in line and len(line) <= 300 for line in sheet.output) and len(sheet.output) <= 20
        await d.rest()
        folder = launching.folder_of(paths, os.getpid())
        assert sum(f.stat().st_size for f in folder.glob("*.log")) < 1.1e6
        assert d.late < 0.3, f"the loop was held up for {d.late:.2f} s"
        # what changes the process's own state
        for name in ("closes_standard", "chdirs", "threads"):
            answer = await d.open(f"{nets}:{name}")
            assert isinstance(answer, Sheet), (name, answer, d.said)
            assert isinstance(await d.ask(Probe(input=Input(shape=(4,)))), Shapes)
        assert isinstance(await d.open(), Sheet)
        assert d.pid == pid and not d.said


@pytest.mark.usefixtures("warm_bench")
async def test_cancelling_is_quick_and_what_does_not_give_way_is_ended_and_comes_back(paths, nets, monkeypatch) -> None:
    monkeypatch.setattr(workbench, "GRACE", 0.4)
    monkeypatch.setattr(workbench, "RESTARTS", 10)
    async with desk(paths) as d:
        await d.open(seed=3)
        changed = await d.ask(Change(action="add", place=("3",), text="nn.Linear(10, 10)"))
        assert isinstance(changed, Sheet)
        before = await d.ask(NUMBERS)
        assert isinstance(before, FlowSheet) and len(before.values) == 10
        pid = d.pid

        async def cancelled(request: Any) -> tuple[Refused, float]:
            got: list[Answer] = []
            d.bench.ask(request, got.append)
            await d.until(lambda: d.bench.state == "busy")
            await asyncio.sleep(0.3)  # until the code runs; nothing tells
            await d.until(d.bench.cancel)  # what it looks at by itself can be ended once that is seen to take long
            begun = time.monotonic()
            await d.until(lambda: got, 10)
            assert isinstance(got[0], Refused)
            return got[0], time.monotonic() - begun

        for name in ("endless", "sleeps"):
            answer, took = await cancelled(Open(text=f"{nets}:{name}"))
            assert answer.cancelled and took < 0.4 and d.pid == pid, (name, answer, took)
        assert isinstance(await d.open(f'{nets}:InForward(what="endless")'), Sheet)
        answer, took = await cancelled(Probe(input=Input(shape=(4,))))
        assert took < 1 and d.pid == pid
        back = await d.ask(History(by=-1))
        assert isinstance(back, Sheet) and back.text == changed.text
        assert await d.ask(NUMBERS) == before
        # a limit in time
        monkeypatch.setitem(workbench.LIMITS, "open", 0.6)
        late = await d.open(f"{nets}:endless")
        assert isinstance(late, Refused) and not late.cancelled and "longer than 1 s and was ended" in late.message
        assert d.pid == pid
        monkeypatch.setitem(workbench.LIMITS, "open", 60)
        # what ignores it
        for name in ("stubborn", "deaf"):
            d.said.clear()
            answer, took = await cancelled(Open(text=f"{nets}:{name}"))
            assert took < 2 and "did not give way" in answer.message, (name, answer)
            assert d.said and "another one starts" in d.said[0]
            await d.rest()
            assert d.pid != pid
            pid = d.pid
            assert d.reopened and d.reopened[-1].text == changed.text
            assert await d.ask(NUMBERS) == before, "the weights are others"
        # a handler that user code took away
        assert isinstance(await d.open(f"{nets}:signals"), Sheet)
        await d.open(changed.text)
        answer, took = await cancelled(Open(text=f"{nets}:endless"))
        assert took < 2
        await d.rest()
        assert isinstance(await d.ask(NUMBERS), FlowSheet)


@pytest.mark.usefixtures("campaign")
async def test_cancelling_in_the_middle_of_an_import_of_torchs_breaks_nothing(paths) -> None:
    async with desk(paths) as d:
        data = Input(shape=(1, 28, 28))
        await d.open()
        for i in range(14):
            got: list[Answer] = []
            d.bench.ask(Look(place=("1",), input=data, measure=True) if i % 2 else Probe(input=data), got.append, "look")
            await d.until(lambda: d.bench.state == "busy")
            await asyncio.sleep(0.03 + 0.06 * i)  # until it is in the middle of it; nothing tells
            d.bench.ask(Flow(input=data, place=()), lambda _: None, "look")  # the newest of a group cancels the one before
            await d.until(lambda: got)  # noqa: B023
        shapes = await d.ask(Probe(input=data))
        assert isinstance(shapes, Shapes) and not shapes.why and not shapes.fault and shapes.passed[1].calls == 1
        detail = await d.ask(Look(place=("1",), input=data, measure=True))
        assert isinstance(detail, Detail) and detail.measured and not detail.why, detail.why


@pytest.mark.usefixtures("warm_bench")
async def test_every_kind_of_death_is_said_and_the_network_comes_back_bit_for_bit(paths, nets, monkeypatch) -> None:
    monkeypatch.setattr(workbench, "RESTARTS", 100)
    async with desk(paths) as d:
        await d.open(seed=11)
        await d.ask(Change(action="duplicate", place=("1",)))
        await d.ask(Change(action="delete", place=("1",)))  # what is left is not what a fresh start would draw
        before = await d.ask(NUMBERS)
        assert isinstance(before, FlowSheet)
        for name, words in (
            ("leaves", "exit code 7"),
            ("segfault", "segmentation fault"),
            ("aborts", "SIGABRT"),
        ):
            d.said.clear()
            d.reopened.clear()
            answer = await d.open(f"{nets}:{name}")
            assert isinstance(answer, Refused) and words in answer.message, answer
            if name == "segfault":
                assert any("Segmentation" in line or "nets.py" in line for line in answer.output), answer.output
            assert len(d.said) == 1 and words in d.said[0]
            waiting = await d.ask(NUMBERS)  # asked while it comes back: after the network is there
            assert waiting == before, name
            assert len(d.reopened) == 1


@pytest.mark.usefixtures("campaign")
async def test_code_that_writes_or_closes_the_descriptors_of_the_bench_costs_only_the_bench(paths, nets, monkeypatch) -> None:
    monkeypatch.setattr(workbench, "GRACE", 0.4)
    monkeypatch.setattr(workbench, "RESTARTS", 100)
    for kind in ("open", "flow"):
        monkeypatch.setitem(workbench.LIMITS, kind, 5.0)
    async with desk(paths) as d:
        await d.open()
        before = await d.ask(NUMBERS)
        for name in ("closes", "garbage"):
            await d.ask(Open(text=f"{nets}:{name}"), 20)
            await d.open(FIRST, seed=0)
            assert await d.ask(NUMBERS, 20) == before, name
        answer = await d.ask(Open(text=f"{nets}:forks"), 20)
        assert isinstance(answer, Sheet)
        family = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and session(int(p.name)) == d.pid]
        assert len(family) == 2
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in family):
        assert time.monotonic() < deadline, "a child of the bench outlives the viewer's end"
        await asyncio.sleep(0.01)


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


@pytest.mark.usefixtures("campaign")
async def test_three_deaths_in_a_row_are_enough_and_a_person_can_start_it_again(paths, nets) -> None:
    async with desk(paths) as d:
        opened = await d.open()
        before = await d.ask(NUMBERS)
        for i in range(3):
            if i:
                await d.rest()
            answer = await d.open(f"{nets}:leaves")
            assert isinstance(answer, Refused)
        assert d.bench.state == "gone"
        assert "b starts another one" in d.said[-1] and sum("another one starts" in s for s in d.said) == 2
        await asyncio.sleep(0.1)
        assert d.bench.state == "gone" and d.bench._process is None
        d.reopened.clear()
        d.bench.restart()
        await d.rest()
        assert d.reopened and d.reopened[-1].text == opened.text, "the network did not come back"
        assert await d.ask(NUMBERS) == before


VIEWER = """
import asyncio, sys
from mlptui.core.bench import Open, Probe, Input
from mlptui.store import paths
from mlptui.tui.workbench import Workbench

async def main():
    bench = Workbench(paths.find())
    done = asyncio.Event()
    bench.ask(Open(text=sys.argv[1]), lambda a: None)
    if len(sys.argv) > 2:
        bench.ask(Open(text=sys.argv[2]), lambda a: None)
    while bench._process is None or bench._queue or (len(sys.argv) == 2 and bench._running):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    print(bench._process.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_the_bench_ends_with_a_viewer_that_is_killed_whatever_it_does_and_the_next_one_clears_up(paths, nets) -> None:
    viewers = [
        subprocess.Popen(
            [sys.executable, "-c", VIEWER, FIRST, *([f"{nets}:{what}"] if what else [])], stdout=subprocess.PIPE, text=True
        )
        for what in ("", "stubborn", "in_c", "child_comes_back")
    ]
    try:
        benches = [int(viewer.stdout.readline()) for viewer in viewers]
        assert all(alive(pid) for pid in benches)
        family = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and session(int(p.name)) in benches]
        assert len(family) >= 5
    finally:
        for viewer in viewers:
            viewer.kill()
            viewer.wait()
            viewer.stdout.close()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in benches):
        assert time.monotonic() < deadline, [alive(pid) for pid in benches]
        time.sleep(0.01)
    left = [launching.folder_of(paths, viewer.pid) for viewer in viewers]
    assert all(folder.is_dir() for folder in left)
    mine = launching.folder_of(paths, os.getpid())
    mine.mkdir(parents=True)
    (mine.parent / "not a number").mkdir()
    launching.sweep(paths)
    assert not any(folder.exists() for folder in left)
    assert mine.is_dir() and (mine.parent / "not a number").is_dir()
    try:
        time.sleep(0)
        deadline = time.monotonic() + 3
        while any(alive(pid) for pid in family):
            assert time.monotonic() < deadline, "a process that user code forked off outlives the viewer"
            time.sleep(0.01)
    finally:
        for pid in family:
            if alive(pid) and session(pid) in benches:
                os.kill(pid, signal.SIGKILL)
