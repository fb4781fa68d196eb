"""Area 3 in a real terminal of 80x24: weights that a person sets by keys are those that the run begins with, bit for bit."""

import re

import pytest
import torch
from safetensors.torch import load_file

from mlptui.core.architecture.parse import parse
from mlptui.core.status import Status
from mlptui.engine import codec, weights
from mlptui.engine.build import build
from mlptui.engine.parameters import tensors
from mlptui.store import checkpoints, rundir
from mlptui.store.paths import Paths

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(180)]

ESCAPE, CLEAR, DOWN, TAB = "\x1b", "\x15", "\x1b[B", "\t"
NET = (
    "nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 10))"
)


def told(viewer, line: str, *answers: str) -> None:
    """A line of the console, and what it answers."""
    viewer.press(line)
    viewer.wait_for(lambda screen: re.search(rf"net +{re.escape(line)} ", screen) is not None)
    viewer.press("\r")
    for answer in answers:
        viewer.wait_for(
            lambda screen, answer=answer: re.search(rf"net +{re.escape(line)} ", screen) is None and answer in screen
        )


def in_line(viewer, name: str) -> None:
    """Wait until a line of a dialog has the focus: it is underlined, or has the cursor."""

    def has_it(screen: str) -> bool:
        number = next((i for i, line in enumerate(screen.split("\n")) if re.search(rf"┃ {name} ", line)), None)
        cells = viewer.screen.buffer[number].values() if number is not None else ()
        return any(cell.underscore or cell.reverse for cell in cells)

    viewer.wait_for(has_it, 10)


def at(viewer, path: str) -> None:
    """The cursor onto a tensor, from the first one on."""
    viewer.press("g")
    viewer.wait_for(lambda screen: re.search(r"› .{2}1\.weight ", screen) is not None)
    for name in [f"{layer}.{kind}" for layer in "1356" for kind in ("weight", "bias")]:
        viewer.wait_for(lambda screen, name=name: re.search(rf"› .{{2}}{re.escape(name)} ", screen) is not None)
        if name == path:
            return
        viewer.press("j")


def test_what_is_set_by_keys_is_what_the_run_begins_with(terminal, home) -> None:
    viewer = terminal()
    viewer.wait_for("new run")
    viewer.press("2")
    viewer.wait_for("bench ready")
    viewer.press("o")
    viewer.wait_for("open a network")
    viewer.press(NET)
    viewer.wait_for("Linear(8, 10))")
    viewer.press("\r")
    viewer.wait_for(lambda screen: "open a network" not in screen and "6,514 parameters" in screen)
    viewer.press("3")
    viewer.wait_for("8 tensors")
    drawn = re.search(r"sha256 (\w{12})", viewer.wait_for("sha256"))[1]

    # initialise, preview first
    viewer.press("M")
    viewer.wait_for("marked: 8")
    viewer.press("i")
    viewer.wait_for("tab next, or complete")
    in_line(viewer, "how")
    viewer.press("normal(0, 0.05)")
    viewer.wait_for(lambda screen: re.search(r"how +normal\(0, 0\.05\) ", screen) is not None)
    viewer.press(TAB)
    in_line(viewer, "biases")
    viewer.press("zeros")
    viewer.wait_for(lambda screen: re.search(r"biases +zeros ", screen) is not None)
    viewer.press("\r")
    viewer.wait_for("theory 0.0500")
    viewer.wait_for("enter draw it")
    viewer.press("\r")
    viewer.wait_for("8 tensors drawn with seed 0")
    viewer.press(ESCAPE)
    viewer.wait_for(lambda screen: "marked" not in screen)

    # one number through the console, one in its cell
    viewer.press(":")
    viewer.wait_for("earlier lines")
    told(viewer, "net[3].weight.data[0, 0] = 100", "done")
    told(viewer, "net[3].weight.data[0, 0]", " 100.0 ")
    viewer.press(ESCAPE)
    viewer.wait_for(lambda screen: "earlier lines" not in screen)
    at(viewer, "6.bias")
    viewer.press("\r")
    viewer.wait_for("[0]  values 1/7")
    viewer.press("l", "l")
    viewer.wait_for("[2]  values 1/7")
    viewer.press("\r")
    viewer.wait_for("6.bias[2]")
    viewer.press(CLEAR)
    viewer.wait_for(lambda screen: re.search(r"value +0\.5 ", screen) is not None)
    viewer.press("-0.25")
    viewer.wait_for(lambda screen: re.search(r"value +-0\.25 ", screen) is not None)
    viewer.press("\r")
    viewer.wait_for("-0.2500")
    viewer.press(ESCAPE)
    viewer.wait_for("enter Into")

    # tie two, freeze one
    at(viewer, "3.weight")
    viewer.press(" ")
    viewer.wait_for("marked: 1")
    at(viewer, "5.weight")
    viewer.press(" ")
    viewer.wait_for("marked: 2")
    viewer.press("t")
    viewer.wait_for(lambda screen: "= 3.weight" in screen and "marked" not in screen)
    at(viewer, "1.weight")
    before = re.search(r"sha256 (\w{12})", viewer.text())[1]
    viewer.press("f")
    screen = viewer.wait_for(lambda screen: "frozen" in screen and f"sha256 {before}" in screen and "-0.2500" not in screen)
    digest = re.search(r"sha256 (\w{12})", screen)[1]
    shown = [float(number) for number in re.search(r"^. +0((?: +-?[\d.]+(?:e-\d)?){4}) ", screen, re.M)[1].split()]
    assert digest != drawn

    # and train it
    viewer.press("4")
    viewer.wait_for("new run")
    viewer.press("j", "j")
    viewer.wait_for("› epochs")
    viewer.press("\r", CLEAR, "1", "\r")
    viewer.wait_for(lambda screen: re.search(r"› epochs +1 ", screen) is not None)
    viewer.press("r")
    viewer.wait_for("finished", 120)
    viewer.press("q")
    assert viewer.wait_end() == 0

    (run,) = rundir.all_runs(Paths(home, home, home))
    assert run.state().status == Status.FINISHED
    net = build(parse(run.recipe().architecture))
    weights.begin_with(net, run.weights_file, run.recipe().weights)
    assert tensors.digest(net)[:12] == digest
    assert net[5].weight is net[3].weight and not net[1].weight.requires_grad
    assert net[3].weight[0, 0] == 100 and net[6].bias[2] == -0.25 and net[6].bias.count_nonzero() == 1
    assert torch.allclose(net[1].weight[0, : len(shown)], torch.tensor(shown), atol=6e-5)
    assert net[1].weight.std().item() == pytest.approx(0.05, rel=0.05)

    def model_of(entry) -> dict[str, bytes]:
        found = checkpoints.load(entry)
        captured = codec.decode(found.read(codec.MODEL), found.read(codec.TRAINING))
        return {name: tensor.numpy().tobytes() for name, tensor in captured["model"].items()}

    given = {name: tensor.numpy().tobytes() for name, tensor in load_file(run.weights_file).items()}
    assert given == {name: tensor.detach().numpy().tobytes() for name, tensor in net.state_dict().items()}
    first = model_of(run.checkpoints / checkpoints.name_of(0))
    assert first == given
    last = model_of(checkpoints.newest_verified(run.checkpoints)[0].folder)
    assert last["1.weight"] == given["1.weight"] and last["3.weight"] == last["5.weight"] != given["3.weight"]
    assert all(last[name] != given[name] for name in given if name != "1.weight")
