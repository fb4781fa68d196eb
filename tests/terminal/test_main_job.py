"""From an empty home folder to a trained network, by keys alone, in a real terminal."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from process.trainers import make_run, recipe, zygote

from mlptui.core.status import Status
from mlptui.store import rundir
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(300)]

MLP = "nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))"


def only_run(home: Path) -> Run:
    (run,) = rundir.all_runs(Paths(home, home, home))
    return run


def wait_until(holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


@pytest.fixture
def long_run(home, monkeypatch) -> Iterator[Run]:
    """A run that trains for minutes, and has begun."""
    monkeypatch.setenv("MLPTUI_HOME", str(home))
    run = make_run(recipe(architecture=MLP, epochs=100_000, seed=3, batch_size=256, data__validation=0.1))
    zygote().spawn(run)
    wait_until(lambda: run.state().step > 0)
    yield run
    zygote().kill_leftovers()


def test_four_keys_at_most_lead_from_an_empty_home_to_a_trained_network(terminal, home) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    viewer.press("r")
    viewer.wait_for("starting")
    text = viewer.wait_for("finished", 120)
    assert viewer.keys <= 4
    assert re.search(r"train loss +0\.\d+", text)
    assert "epoch 10/10" in text
    state = only_run(home).state()
    assert state.status == Status.FINISHED
    assert state.test_accuracy is not None and state.test_accuracy > 0.7
    viewer.press("q")
    assert viewer.wait_end() == 0


def test_an_idle_viewer_sends_no_bytes(terminal) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    for key, wanted in (("", "new run"), ("5", "no runs yet"), ("1", "of 6,000")):
        viewer.press(*key)
        viewer.wait_for(wanted)
        viewer.wait_until_quiet(2.0)
        assert viewer.read(2.5) == b"", "longer than lists take until they are read again"


def test_a_live_training_screen_stays_within_two_kibibytes_a_second(terminal, long_run) -> None:
    run = long_run
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    viewer.read(3.0)
    before = run.state().step
    seconds = 6.0
    bytes_a_second = len(viewer.read(seconds)) / seconds
    assert run.state().step > before, "the run does not advance, so the number means nothing"
    assert 0 < bytes_a_second <= 2048


def test_a_killed_viewer_leaves_the_run_alone_and_the_next_one_finds_it(terminal, long_run) -> None:
    run = long_run
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    os.kill(viewer.pid, signal.SIGKILL)
    viewer.wait_end()
    step = run.state().step
    wait_until(lambda: run.state().step > step + 20)
    again = terminal()
    again.wait_for("esc watches it")
    again.press("5")
    again.wait_for("● running")
    again.press("\r")
    again.wait_for("smoothed")


def test_a_trainer_killed_under_the_viewer_is_shown_and_resumed_by_one_key(terminal, long_run) -> None:
    run = long_run
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    wait_until(lambda: (run.state().checkpoint_step or 0) > 0)
    os.kill(run.state().pid, signal.SIGKILL)
    killed = time.monotonic()
    text = viewer.wait_for("† killed", 10)
    assert time.monotonic() - killed < 3.0
    assert "last good checkpoint step-" in text.replace("\n", "") or "stopped: killed" in text
    viewer.press("r")
    viewer.wait_for("● running", 90)
    wait_until(lambda: run.verdict().status is Status.RUNNING)
    assert any(e.kind == "resumed" and e["exact"] for e in _events(run))


def _events(run: Run):
    from mlptui.store.eventlog import read_events

    return read_events(run.events_file)


def test_pause_step_rate_checkpoint_and_stop_by_keys(terminal, long_run) -> None:
    run = long_run
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    viewer.press(" ")
    viewer.wait_for("‖ paused")
    step = run.state().step
    viewer.press(".")
    wait_until(lambda: run.state().step == step + 1)
    viewer.press("[")
    viewer.wait_for("lr 0.05")
    viewer.press("c")
    wait_until(lambda: run.state().checkpoint_step == step + 1)
    viewer.press("s")
    viewer.wait_for("let it run")
    viewer.press("n")
    viewer.wait_for(lambda text: "let it run" not in text)
    assert run.state().status == Status.PAUSED
    viewer.press("s")
    viewer.wait_for("let it run")
    viewer.press("y")
    viewer.wait_for("■ stopped")
    assert run.state().status == Status.STOPPED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_signals_restore_the_terminal(terminal, number) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    os.kill(viewer.pid, number)
    assert viewer.wait_end() == 128 + number
    sent = bytes(viewer.sent)
    assert sent.rindex(b"\x1b[?1049l") > sent.rindex(b"\x1b[?1049h")
    assert b"\x1b[?25h" in sent[sent.rindex(b"\x1b[?1049h") :]
    assert b"Traceback" not in sent


def test_the_viewer_ends_when_its_terminal_is_gone(terminal) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    viewer.hang_up()
    deadline = time.monotonic() + 5
    while _lives(viewer.pid):
        assert time.monotonic() < deadline, "the viewer outlives its terminal"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def test_every_single_byte_and_random_streams_leave_the_viewer_alive(terminal, counts) -> None:
    import random

    viewer = terminal()
    viewer.wait_for("new run")
    noise = random.Random(5)
    forbidden = {0x03, 0x11, 0x1A, 0x71, 0x72, 0x0D, 0x10}  # ctrl+c, quit, suspend, run, enter, palette: they act
    for byte in range(256):
        if byte not in forbidden:
            viewer.child.send(bytes([byte]))
    for _ in range(counts(12, 1000)):
        stream = bytes(b for b in noise.randbytes(counts(2048, 65_536)) if b not in forbidden)
        for start in range(0, len(stream), 2048):  # a terminal takes no more than a page before somebody reads its answer
            viewer.child.send(stream[start : start + 2048])
            viewer.read(0.05)
    deadline = time.monotonic() + 90  # for all the keys that it has not answered yet
    while time.monotonic() < deadline:  # out of whatever they have opened; a text that was typed asks before it is lost
        viewer.press("\x1b")
        viewer.read(0.4)
        viewer.press("y", "5")
        viewer.read(0.2)
        assert viewer.child.isalive()
        if "[5 Runs]" in viewer.text():
            return
    raise AssertionError(f"no way back:\n{viewer.text()}")


def test_a_resize_storm_leaves_a_usable_screen(terminal, counts) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    for i in range(counts(200, 10_000)):
        viewer.child.setwinsize(1 + i % 30, 1 + (i * 7) % 120)
        viewer.read(0.01)
    viewer.child.setwinsize(24, 80)
    viewer.screen.resize(24, 80)
    viewer.press("5")
    viewer.wait_for(lambda text: "[5 Runs]" in text and "no runs yet" in text, 10)


def test_a_terminal_that_does_not_read_stops_neither_the_run_nor_the_viewer(terminal, long_run) -> None:
    run = long_run
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    for _ in range(20):  # each changes the whole screen, and nobody reads: as after Ctrl-S
        viewer.press("5", "4")
    for _ in range(3):
        step = run.state().step
        wait_until(lambda before=step: run.state().step > before + 20)
    assert run.verdict().trainer_alive
    assert viewer.child.isalive()
    viewer.wait_until_quiet(0.4)
    viewer.press("7")
    viewer.wait_for("[7 Devices]", 10)


@pytest.mark.parametrize(
    ("options", "environment", "bench"),
    [
        ({"term": "linux"}, {}, False),
        ({"term": "xterm"}, {"NO_COLOR": "1"}, True),
        ({"arguments": ("--ascii",)}, {}, False),
        ({"term": "vt100"}, {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, True),
    ],
    ids=["16 colours", "no colour", "ascii", "C locale"],
)
def test_poor_terminals_show_everything(terminal, options, environment, bench) -> None:
    """`bench`: the areas that need one, too, whose start takes longer than all the others."""
    viewer = terminal(**options, **environment)
    text = viewer.wait_for("new run")
    assert "[4 Train]" in text
    for key, wanted in (
        ("5", "no runs yet"),
        ("7", "memory"),
        ("6", "no checkpoints yet"),
        *((("3", "1.weight"), ("2", "203,530 parameters")) if bench else ()),
        ("1", "of 6,000"),
        ("4", "learning rate"),
    ):
        viewer.press(key)
        viewer.wait_for(wanted)
    sent = bytes(viewer.sent)
    assert b"\x1b[38;2;" not in sent, "24-bit colours were sent to a terminal that has none"
    if "NO_COLOR" in environment:
        assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", sent)
    if "--ascii" in options.get("arguments", ()) or "LANG" in environment:
        assert sent.isascii()


def test_a_dumb_terminal_is_refused_with_one_line(terminal) -> None:
    viewer = terminal(term="dumb")
    assert viewer.wait_end() == 2
    assert b"TERM=dumb" in bytes(viewer.sent)
    assert b"\x1b" not in bytes(viewer.sent)


BROKEN = """
import sys
from mlptui.tui.app import MlptuiApp
from mlptui.tui.screens import {module}

def broken(self, *_):
    raise RuntimeError("[/] a mistake of ours")

{module}.{name}.action_move = {module}.{name}.action_pause = broken
sys.argv = ["mlptui"]
from mlptui.cli.main import main
raise SystemExit(main())
"""


@pytest.mark.parametrize(
    ("area", "module", "name"), [("5", "runs", "RunsCanvas"), ("7", "devices", "DevicesCanvas"), ("4", "train", "FormCanvas")]
)
def test_a_mistake_of_ours_restores_the_terminal_and_leaves_one_line(terminal, home, area, module, name) -> None:
    viewer = terminal(program=("-c", BROKEN.format(module=module, name=name)))
    viewer.wait_for("new run")
    viewer.press(area)
    viewer.wait_for(f"[{area} ")
    viewer.press("j")
    assert viewer.wait_end() == 1
    after = bytes(viewer.sent).rpartition(b"\x1b[?1049l")[2]
    assert b"internal error" in after and b"Traceback" not in after
    assert "a mistake of ours" in (home / "errors.log").read_text()
