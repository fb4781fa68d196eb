"""Area 2 in a real terminal of 80x24: a network by keys alone, code that misbehaves, and the way to a run of the network."""

import re
from pathlib import Path

import pytest

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import ArchitectureError
from mlptui.store import rundir
from mlptui.store.paths import Paths

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(180)]

ESCAPE, CLEAR, LEFT = "\x1b", "\x15", "\x1b[D"
NETS = """
import os
from torch import nn

class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.only = nn.Linear(784, 10)
    def forward(self, x):
        return self.only(x.flatten(1))

def raises():
    raise LookupError("[red]nothing[/red] \\x1b[2J to be found")

def endless():
    while True:
        pass

def prints():
    for i in range(100_000):
        print("storm", i, "\\x1b[2J" * 20)
    return Good()

def leaves():
    os._exit(9)
"""


def at_model(viewer) -> None:
    viewer.wait_for("new run")
    viewer.press("2")
    viewer.wait_for("1 Linear(784, 256)")
    viewer.wait_for("bench ready")


def take(viewer, key: str, wanted: str, text: str) -> None:
    """Press a key that asks for a line, and answer it."""
    viewer.press(key)
    viewer.wait_for(wanted)
    if key == "n":  # what is there goes first: Textual handles ctrl+u later than characters that come with it
        viewer.press(CLEAR)
        viewer.wait_for("hidden")
    viewer.press(text)
    viewer.wait_for(lambda screen: text[-20:] in screen)
    viewer.press("\r")
    viewer.wait_for(lambda screen: wanted not in screen)
    if text == "nn.ReLU()":  # it has arguments that may be given
        viewer.wait_for("False if empty")
        viewer.press("\r")
        viewer.wait_for(lambda screen: "False if empty" not in screen)


def at(viewer, place: str) -> None:
    """Wait until the cursor's path is told below the tree."""
    viewer.wait_for(lambda screen: re.search(rf"^┃ {re.escape(place)}( {{3}}| ┃)", screen, re.M) is not None)


def test_the_nested_network_is_built_by_keys_alone(terminal) -> None:
    viewer = terminal()
    at_model(viewer)
    take(viewer, "o", "open a network", "nn.Sequential()")
    viewer.wait_for(" 0 parameters")
    take(viewer, "i", "what goes in", "4")
    viewer.wait_for("[4] typed")
    take(viewer, "A", "at the end of this container", "nn.Sequential()")
    at(viewer, "0")
    take(viewer, "A", "at the end of this container", "nn.Sequential()")
    at(viewer, "0.0")
    take(viewer, "A", "at the end of this container", "nn.Linear(4, 8)")
    at(viewer, "0.0.0")
    for i, layer in enumerate(("nn.ReLU()", "nn.Linear(8, 4)", "nn.ReLU()"), 1):
        take(viewer, "a", "after this layer", layer)
        at(viewer, f"0.0.{i}")
    viewer.press(LEFT)
    at(viewer, "0.0")
    take(viewer, "n", "rename the layer", "block 0")
    at(viewer, "0.block 0")
    for i in (1, 2, 3):
        viewer.press("c")
        at(viewer, f"0.{i}")
        take(viewer, "n", "rename the layer", f"block {i}")
        at(viewer, f"0.block {i}")
    viewer.press(LEFT)  # closes it
    viewer.press(LEFT)
    at(viewer, "0")
    take(viewer, "a", "after this layer", "nn.Linear(4, 1)")
    at(viewer, "1")
    screen = viewer.wait_for("309 parameters")
    assert "✗" not in screen
    viewer.press("v", "v", "v", "v")

    def shown(screen: str) -> str:
        """What stands in the panel on the right as a network's text, "" while it is not all there."""
        body = [line[line.rindex("│", 0, len(line) - 1) + 2 : -2] for line in screen.split("\n") if line.endswith("│")]
        try:
            return to_text(parse("".join(body)))
        except ArchitectureError:
            return ""

    viewer.wait_for(lambda screen: "5/6" in screen and shown(screen) == to_text(parse(ZOO["nested"].text)))
    viewer.press("q")
    assert viewer.wait_end() == 0


def test_code_that_misbehaves_costs_a_sentence_each_time(terminal, tmp_path: Path) -> None:
    nets = tmp_path / "nets.py"
    nets.write_text(NETS)
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    viewer = terminal()
    at_model(viewer)
    take(viewer, "o", "open a network", f"{tmp_path}/bad.py:f")
    viewer.wait_for("bad.py, line 2")
    take(viewer, "o", "open a network", f"{nets}:raises")
    screen = viewer.wait_for("LookupError")
    assert "nets.py, line 13" in screen and "[red]nothing[/red]" in screen
    take(viewer, "o", "open a network", f"{nets}:endless")
    viewer.wait_for("esc cancels", 10)
    viewer.press("j")
    at(viewer, "0")  # keys answer meanwhile
    viewer.press(ESCAPE)
    viewer.wait_for("cancelled", 5)
    viewer.wait_for("203,530 parameters")
    take(viewer, "o", "open a network", f"{nets}:prints")
    viewer.wait_for("7,850 parameters", 20)
    viewer.wait_for("it printed: storm 99999")
    take(viewer, "o", "open a network", f"{nets}:leaves")
    viewer.wait_for("exit code 9")
    viewer.wait_for("bench ready")
    viewer.wait_for("7,850 parameters")
    sent = bytes(viewer.sent)
    assert sent.count(b"\x1b[2J") <= 2
    # and the viewer goes on
    take(viewer, "o", "open a network", "nested")
    viewer.wait_for("309 parameters")
    viewer.press("q")
    assert viewer.wait_end() == 0


def test_a_network_is_chosen_examined_and_trained(terminal, home) -> None:
    viewer = terminal()
    at_model(viewer)
    take(viewer, "o", "open a network", "lenet")
    viewer.wait_for("61,706 parameters")
    viewer.press("d")
    viewer.wait_for(lambda screen: "nothing found" in screen or "finding" in screen)
    viewer.press("4")
    viewer.wait_for("new run")
    viewer.wait_for("61,706")
    viewer.press("r")
    viewer.wait_for("● running", 60)
    (run,) = rundir.all_runs(Paths(home, home, home))
    assert to_text(parse(run.recipe().architecture)) == to_text(parse(ZOO["lenet"].text))
    assert run.recipe().data.name == "fashion-mnist-sample"
    viewer.wait_for(lambda _: run.state().step > 0)
    viewer.press("2")
    viewer.wait_for("61,706 parameters")
    viewer.press("q")
    assert viewer.wait_end() == 0


def test_a_long_text_in_one_write_arrives_whole(terminal) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    viewer.press("2")
    viewer.wait_for("[2 Model]")
    for length in (90, 90, 1500):
        viewer.press("o")
        viewer.wait_for("type to search")
        viewer.press("nn.Sequential(" + "nn.ReLU(), " * ((length - 24) // 11) + "nn.ReLU6(9))")
        viewer.wait_for("nn.ReLU6(9))", 10)
        viewer.press(ESCAPE)  # while it is still at work with the text
        viewer.wait_for(lambda screen: "open a network" not in screen, 10)
    viewer.press("o")
    viewer.wait_for("type to search")
    viewer.press("nn.Sequential(" + "nn.ReLU(), " * 130 + "nn.ReLU6())\r")
    viewer.wait_for("Sequential, 131 layers")  # enter came with the text
