"""From an empty home folder over a bad line to a run on Fashion-MNIST, by keys alone, in a real terminal."""

import os
import re
import signal

import pytest
from datasets import server as mirrors

from mlptui.core.status import Status
from mlptui.datasets import catalog, library
from mlptui.store import rundir
from mlptui.store.paths import Paths

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(300)]
BIG = "/fashion-mnist/train-images-idx3-ubyte.gz"


def test_a_set_comes_over_a_line_that_drops_is_verified_looked_at_and_trained_on(terminal, home, fashion_mirror) -> None:
    dropped_at = int(0.4 * len(fashion_mirror.content(BIG)))
    fashion_mirror.script(BIG, mirrors.reset(dropped_at))
    (home / "settings.toml").write_text(f'bench = "need"\nmirror = "{fashion_mirror.address}"\n')
    viewer = terminal()
    viewer.wait_for("new run")
    viewer.press("1")
    viewer.wait_for("of 6,000")
    viewer.press("g")
    viewer.wait_for("4 files, 30.9 MB")
    viewer.press("d")
    viewer.wait_for("is here; enter trains on it")
    viewer.wait_for("of 60,000")
    starts = fashion_mirror.starts(BIG)
    assert len(starts) == 2 and starts[0] == 0 and 0 < starts[1] <= dropped_at
    viewer.press("v")
    viewer.wait_for("every byte was compared")
    paths = Paths(home, home, home)
    assert library.verify(paths, "fashion-mnist") == "the SHA-256 of its origin"
    assert {p.name for p in (home / "datasets").iterdir()} == {"fashion-mnist", ".jobs", ".downloads"}
    assert not list((home / "datasets" / ".downloads").iterdir())
    viewer.press(" ")
    viewer.wait_for("space View")
    viewer.press("]")
    viewer.wait_for("training, T-shirt/top: 1 to")
    assert viewer.text().count("▀") > 300
    viewer.press("\x1b")
    viewer.wait_for("enter Use")
    viewer.press("\r")
    viewer.wait_for("fashion-mnist ·")
    viewer.press("4")
    viewer.wait_for("new run")
    viewer.press("j", "j", "\r", "\x15", "3", "\r")  # epochs
    viewer.wait_for(lambda text: re.search(r"epochs +3\b", text) is not None)
    viewer.press("r")
    text = viewer.wait_for("finished", 180)
    assert re.search(r"test accuracy 8\d\.\d %", text)
    (run,) = rundir.all_runs(paths)
    state = run.state()
    assert state.status == Status.FINISHED and state.data == "fashion-mnist"
    assert run.recipe().data.sha256 == catalog.checksum(catalog.ENTRIES["fashion-mnist"])
    viewer.press("q")
    assert viewer.wait_end() == 0


def test_a_download_goes_on_when_its_viewer_is_killed_and_the_next_viewer_shows_it(terminal, home, fashion_mirror) -> None:
    fashion_mirror.script(BIG, mirrors.drip(400_000, 0.05))
    (home / "settings.toml").write_text(f'bench = "need"\nmirror = "{fashion_mirror.address}"\n')
    first = terminal()
    first.wait_for("new run")
    first.press("1")
    first.wait_for("of 6,000")
    first.press("g")
    first.wait_for("4 files, 30.9 MB")
    first.press("d")
    first.wait_for("downloading")
    os.kill(first.pid, signal.SIGKILL)
    second = terminal()
    second.wait_for("new run")
    second.press("1")
    second.wait_for("of 6,000")
    second.press("g")
    second.wait_for("of 60,000", 60)
    assert fashion_mirror.starts(BIG) == [0]
    second.press("q")
    assert second.wait_end() == 0


@pytest.mark.parametrize(("term", "colours"), [("xterm-256color", b"38;5;"), ("linux", b"\x1b[")])
def test_pictures_are_drawn_in_the_colours_that_there_are(terminal, home, term: str, colours: bytes) -> None:
    viewer = terminal(term=term)
    viewer.wait_for("new run")
    viewer.press("1")
    viewer.wait_for("of 6,000")
    viewer.wait_until_quiet()
    assert colours in bytes(viewer.sent)
    if term == "linux":
        assert b"38;5;" not in bytes(viewer.sent) and b"38;2;" not in bytes(viewer.sent)
    viewer.press("q")
    assert viewer.wait_end() == 0
