"""Area 2 by its keys, with a real bench: the tree, the builder, the views, and what the next run trains."""

import os
import re

import pytest
from textual import events
from textual.keys import _character_to_key

from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import Probe
from mlptui.tui import keys, workbench

from .conftest import screen_text, settle

SIZES = [(80, 24), (120, 40)]
CHARACTERS = {
    "space": " ",
    "colon": ":",
    "slash": "/",
    "exclamation_mark": "!",
    "less_than_sign": "<",
    "greater_than_sign": ">",
}
SMALL = "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))"
HOSTILE = '''
import sys
from torch import nn
print("[bold]loud[/bold] \\x1b[2J\\x1b]0;title\\x07 [/] \\u202e")
class Net(nn.Module):
    """[red]doc[/red] \\x1b[31m"""
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(784, width)
        self.add_module("[/x] \\x1b[2Jname", nn.ReLU())
        self.last = nn.Linear(width, 10)
    def forward(self, x):
        return self.last(self.first(x.flatten(1)))
Net.__name__ = "N[/b]\\x1b[5mt"
def wrong():
    raise ValueError("[/] \\x1b[2J no [link=x]")
'''


def idle(app) -> bool:
    """Whether nothing waits for the bench, and nobody will ask soon."""
    bench = app.workbench
    return bench.state == "ready" and not bench._running and not bench._queue


async def press(pilot, *pressed: str) -> None:
    """Press keys one after the other; Textual's own `press` waits 80 ms for each."""
    app = pilot.app
    for key in pressed:
        name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
        character = CHARACTERS.get(name, key if len(key) == 1 else None)
        app._driver.send_message(events.Key(name, character))
        for _ in range(4):  # from the app to the widget, from there to its screen, and what that says to the app
            await pilot._wait_for_screen()


async def at_model(pilot, text: str = SMALL) -> None:
    """Area 2 with a network whose shapes are known."""
    app = pilot.app
    await settle(pilot, lambda: "new run" in screen_text(app))
    app.form.set("architecture", text)
    await press(pilot, "2")
    await settle(pilot, lambda: app.model_screen.state.shapes is not None and idle(app), 60)


async def do(pilot, *pressed: str) -> None:
    """Press keys, then wait until the bench has nothing to do and what it said is shown."""
    await press(pilot, *pressed)
    await pilot.pause(0.02)
    await settle(pilot, lambda: idle(pilot.app), 60)
    await pilot.pause(0.02)


async def answered(pilot, text: str, *then: str) -> None:
    """Put a text into the line that has the focus, in place of what is there, and press enter."""
    line = pilot.app.focused
    line.value = ""
    line.insert_text_at_cursor(text)
    await pilot.pause(0.02)
    await do(pilot, "enter", *then)


def text_of(app) -> str:
    return app.model_screen.state.sheet.text


def places(app) -> list[str]:
    """The visible rows of the tree."""
    return [".".join(item.row.place) for item in app.model_screen.state.rows]


def layers(app) -> list[str]:
    return [row.layer for row in app.model_screen.state.sheet.rows[1:]]


def place(app) -> str:
    return ".".join(app.model_screen.state.place)


def notice(app) -> str:
    """The notice, which test_pilot.py looks for on the screen, or the last row."""
    return app.desk.notice or screen_text(app).split("\n")[-1]


def beside(app) -> str:
    """The text of the panel beside the tree."""
    left = app.model_screen.pane.region.x
    return "\n".join(line[left:] for line in screen_text(app).split("\n")[2:-1])


def in_tree(app) -> str:
    left = app.model_screen.pane.region.x
    return "\n".join(line[:left] for line in screen_text(app).split("\n")[2:-1])


async def to(pilot, path: str) -> None:
    await press(pilot, "colon")
    await answered(pilot, path)
    assert pilot.app.screen is pilot.app.model_screen


async def test_every_key_of_the_builder_does_what_it_says(make_app) -> None:
    app, size = make_app(), (80, 24)
    async with app.run_test(size=size) as pilot:
        await at_model(pilot)
        state = app.model_screen.state
        tree = in_tree(app)
        assert "12,730 parameters" in tree and "12,560" in tree and "170" in tree
        assert "[2 Model]" in screen_text(app) and "bench ready" in screen_text(app)
        assert all(len(line) == size[0] for line in screen_text(app).split("\n"))

        # add by the form of its arguments
        await do(pilot, "down", "down")
        assert place(app) == "1"
        await press(pilot, "a", *"Dropout")
        await settle(pilot, lambda: "add after this layer" in screen_text(app))
        await press(pilot, "enter")
        await settle(pilot, lambda: "0.5 if empty" in screen_text(app))
        assert type(app.screen).__name__ == "ArgumentsScreen"
        await press(pilot, *"2.5")
        await do(pilot, "enter")
        if type(app.screen).__name__ == "ArgumentsScreen":  # refused in the form, or by the layer
            await press(pilot, "escape")
        assert layers(app) == ["Flatten", "Linear", "ReLU", "Linear"]
        await do(pilot, "a", *"Dropout", "enter", *"0.25", "enter")
        assert layers(app) == ["Flatten", "Linear", "Dropout", "ReLU", "Linear"] and place(app) == "2"
        assert "p=0.25" in text_of(app) or "Dropout(0.25)" in text_of(app)
        # undo, redo
        await do(pilot, "u")
        assert text_of(app) == SMALL
        await do(pilot, "U")
        assert "Dropout" in text_of(app)
        await do(pilot, "u", "u")
        assert "nothing to undo" in notice(app) or "another" in notice(app) or text_of(app) == SMALL
        await do(pilot, "ctrl+r")
        assert "Dropout" in text_of(app)
        # a whole layer as text, and move it
        await to(pilot, "net[4]")
        assert place(app) == "4"
        await press(pilot, "a")
        await answered(pilot, "nn.Linear(10, 10)")
        assert layers(app)[-1] == "Linear" and place(app) == "5" and state.sheet.parameters == 12_840
        await do(pilot, "K")
        assert (
            place(app) == "4"
            and layers(app)[-2:] == ["Linear", "Linear"]
            and "(10, 10),\n    nn.Linear(16, 10)" in text_of(app)
        )
        assert state.shapes.fault is not None and "✗" in in_tree(app)
        await do(pilot, "J")
        assert place(app) == "5" and state.shapes.fault is None
        await do(pilot, "shift+up")
        assert place(app) == "4"
        await do(pilot, "shift+down")
        assert place(app) == "5"
        # wrap, out, in, inside
        await do(pilot, "w")
        assert place(app) == "5" and layers(app)[-2:] == ["Sequential", "Linear"]
        await press(pilot, "A")
        await settle(pilot, lambda: "at the end of this container" in screen_text(app))
        await answered(pilot, "nn.Softmax(1)")
        assert place(app) == "5.1" and layers(app)[-1] == "Softmax"
        await do(pilot, "less_than_sign")
        assert place(app) == "6"
        await do(pilot, "greater_than_sign")
        assert place(app) == "5.1"
        # delete
        await do(pilot, "x")
        assert "Softmax" not in text_of(app)
        await to(pilot, "5")
        await do(pilot, "x")
        assert layers(app) == ["Flatten", "Linear", "Dropout", "ReLU", "Linear"]
        # copy, rename
        await to(pilot, "3")
        await do(pilot, "c")
        assert place(app) == "4" and layers(app)[3:5] == ["ReLU", "ReLU"]
        await press(pilot, "n")
        await settle(pilot, lambda: "rename the layer" in screen_text(app))
        await answered(pilot, "a.b")
        assert "a name without dots" in screen_text(app)
        await answered(pilot, "act [/b]")
        assert place(app) == "act [/b]" and "act [/b]" in in_tree(app)
        await do(pilot, "u", "u")
        # tie
        await to(pilot, "1")
        await do(pilot, "c")
        assert place(app) == "2"
        await do(pilot, "t")
        assert "mark the layer" in notice(app)
        await do(pilot, "up", "space")
        assert "* 1 Linear" in in_tree(app) and state.marked == ("1",)
        await do(pilot, "down", "t")
        row = next(r for r in state.sheet.rows if r.place == ("2",))
        assert row.tied_to == ("1",) and "= 1" in in_tree(app) and state.sheet.parameters == 12_730
        await do(pilot, "T")
        assert next(r for r in state.sheet.rows if r.place == ("2",)).tied_to is None
        assert state.sheet.parameters == 12_730 + 12_560
        await do(pilot, "T")
        assert "not tied" in notice(app)
        await do(pilot, "escape")
        assert state.marked is None
        await do(pilot, "u", "u", "u")
        # arguments
        await to(pilot, "1")
        await press(pilot, "enter")
        await settle(pilot, lambda: type(app.screen).__name__ == "ArgumentsScreen")
        assert [line.value for line in app.screen.lines][:2] == ["784", "16"]
        app.screen.lines[1].value = "x y"
        await press(pilot, "enter")
        await pilot.pause(0.05)
        assert type(app.screen).__name__ == "ArgumentsScreen"
        app.screen.lines[1].value = "20"
        await do(pilot, "enter")
        assert "Linear(784, 20)" in text_of(app)
        assert state.shapes.fault.place == ("4",)
        # the misfit is marked, says so, and f mends it
        assert "✗" in in_tree(app) and "came in" in notice(app)
        await to(pilot, "4")
        assert "set in_features to 20" in re.sub(r"\s+", " ", beside(app))
        await do(pilot, "f")
        assert state.shapes.fault is None and "Linear(20, 10)" in text_of(app)
        await do(pilot, "f")
        assert "nothing to mend" in notice(app)
        # the whole is what the next run trains
        assert app.form.text("architecture") == text_of(app)
        recipe = app.form.check()[0]
        assert recipe is not None and recipe.architecture == text_of(app)


@pytest.mark.parametrize("size", SIZES[:1], ids=str)
async def test_the_text_editor_the_views_and_what_goes_in(make_app, size, tmp_path) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await at_model(pilot)
        screen, state = app.model_screen, app.model_screen.state
        # the editor
        await press(pilot, "e")
        await settle(pilot, lambda: "edit the network" in screen_text(app))
        area = app.screen.area
        area.text = "nn.Sequential(\n    nn.Flatten(),\n    nn.Linear(784, 32),\n    nn.Relu(),\n)"
        await settle(pilot, lambda: "line 4, column" in screen_text(app))
        shown = screen_text(app).split("\n")
        told = next(i for i, line in enumerate(shown) if "line 4, column" in line)
        assert shown[told - 1].index("^") == shown[told - 2].index("nn.Relu"), "\n".join(shown)
        assert "there is no layer 'Relu'; did you mean ReLU?" in shown[told]
        await press(pilot, "f2")
        await pilot.pause(0.05)
        assert type(app.screen).__name__ == "EditScreen" and area.cursor_location[0] == 3
        await press(pilot, "escape")
        await settle(pilot, lambda: "leave the text?" in screen_text(app))
        await press(pilot, "n")
        await settle(pilot, lambda: type(app.screen).__name__ == "EditScreen")
        area.text = "nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 7))"
        await do(pilot, "f2")
        assert "Linear(16, 7)" in text_of(app) and "16, 7" in app.form.text("architecture")
        await press(pilot, "e")
        await settle(pilot, lambda: "edit the network" in screen_text(app))
        app.screen.area.text = "nn.Sequential()"
        await press(pilot, "escape", "y")
        await settle(pilot, lambda: app.screen is screen)
        assert "Linear(16, 7)" in text_of(app)
        await press(pilot, "e", "escape")
        await settle(pilot, lambda: app.screen is screen)

        # the views go round
        seen = []
        for _ in range(6):
            await do(pilot, "v")
            seen.append(screen.pane.view)
            assert beside(app).strip()
        assert seen == ["source", "flow", "doctor", "text", "compare", "layer"]
        await to(pilot, "1")
        await settle(pilot, lambda: state.detail is not None and state.detail.measured is not None)
        assert "forward" in beside(app) and "weight" in beside(app) and "[16,784]" in beside(app).replace(" ", "")
        await do(pilot, "v")
        assert "class Linear(Module)" in "\n".join("".join(t for t, _ in line) for line in screen.pane._body(200, 10))
        await do(pilot, "escape")
        assert screen.pane.view == "layer"

        # doctor with the panel's keys
        await do(pilot, "d")
        await settle(pilot, lambda: state.report is not None)
        assert [f.code for f in state.report.findings] and "7" in beside(app)
        await do(pilot, "tab")
        assert (screen.pane.has_focus and "Go" in notice(app)) or "finding" in notice(app)
        fixes = [f.fix for f in state.report.findings]
        if fixes[0]:
            await do(pilot, "f")
            assert "Linear(16, 10)" in text_of(app)
            await do(pilot, "u")
            assert "Linear(16, 7)" in text_of(app)
            await do(pilot, "U")
        await do(pilot, "d")
        await do(pilot, "space")
        assert screen.pane.view == "text" and screen.pane.has_focus
        await do(pilot, "v")
        assert screen.pane.view == "compare"
        for key in ("down", "up", "pagedown", "pageup", "end", "home", "j", "k"):
            await do(pilot, key)
        await do(pilot, "tab")
        assert screen.network.has_focus
        await do(pilot, "tab", "escape")
        assert screen.network.has_focus

        # samples through the network, one after the other
        await do(pilot, "F")
        await settle(pilot, lambda: state.flow is not None)
        first = (state.flow.what, state.flow.values)
        assert "layer by layer" in "\n".join("".join(t for t, _ in line) for line in screen.pane._body(60, 30))
        await do(pilot, "right_square_bracket")
        assert state.flow.what != first[0]
        await do(pilot, "left_square_bracket", "left_square_bracket")
        assert (state.flow.what, state.flow.values) == first

        # another one beside it
        await press(pilot, "m")
        await settle(pilot, lambda: "compare with" in screen_text(app))
        await answered(pilot, "softmax-regression")
        await settle(pilot, lambda: state.compared is not None)
        assert screen.pane.view == "compare" and "7,850 parameters" in beside(app) and state.compared.parameters == 7_850

        # input typed
        await press(pilot, "i")
        await settle(pilot, lambda: "what goes in" in screen_text(app))
        await answered(pilot, "hello")
        assert "write it as" in screen_text(app)
        await answered(pilot, "1x14x56")
        assert state.shapes.fault is None and state.shapes.input.shape == (1, 14, 56) and state.shapes.input.data == ""
        await press(pilot, "i")
        await answered(pilot, "(1, 14, 14)")
        assert state.shapes.fault.place == ("1",)
        assert any("784" in line or "196" in line for line in beside(app).split("\n") + notice(app).split("\n"))
        await press(pilot, "i")
        await answered(pilot, "")
        assert state.shapes.fault is None and state.shapes.input.data == "fashion-mnist-sample"


async def test_folds_filter_paths_and_help(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot, ZOO["nested"].text)
        state = app.model_screen.state
        assert "309 parameters" in in_tree(app)
        await press(pilot, "i")
        await answered(pilot, "4")
        assert state.shapes.fault is None and state.shapes.input.shape == (4,)
        everything = places(app)
        assert len(everything) == len(state.sheet.rows) == 23
        await do(pilot, "z")
        assert places(app) == ["", "0", "1"]
        depths = []
        for _ in range(4):
            depths.append(len(places(app)))
            await do(pilot, "z")
        assert depths[:3] == [3, 7, 23]
        for spelling in ("net[0][1]", "0.block 1", '[0]["block 1"]', "rgnet[0][1][0].bias", "0.block 1.0.bias"):
            await to(pilot, spelling)
            assert place(app).startswith("0.block 1"), spelling
            assert app.model_screen.network.cursor == places(app).index(place(app))
        assert 'net[0]["block 1"][0]' in in_tree(app)
        await press(pilot, "colon")
        await answered(pilot, "net[0][9]")
        assert "there is no such layer" in screen_text(app)
        await press(pilot, "escape")
        await press(pilot, "slash")
        await answered(pilot, "block 2")
        assert places(app)[:3] == ["", "0", "0.block 2"] and len(places(app)) == 7
        assert "filter: block 2" in in_tree(app)
        await do(pilot, "home", "down", "down", "x")
        assert "block 2" not in text_of(app) and state.sheet.parameters == 309 - 76
        await do(pilot, "u")
        await do(pilot, "escape")
        assert len(places(app)) >= 7 and state.filter == ""
        await do(pilot, "home", "right")
        assert place(app) == "0"
        await do(pilot, "right", "right")
        assert place(app).startswith("0.")
        await do(pilot, *["left"] * 5)
        assert place(app) == "" and places(app) == [""]
        await do(pilot, "enter")
        assert places(app)[1] == "0"
        await do(pilot, "end")
        assert app.model_screen.network.cursor == len(places(app)) - 1
        await do(pilot, "pageup", "pagedown", "g", "G", "k", "j")
        for panel, listed in (("tab", keys.PANE), ("tab", keys.MODEL)):
            await do(pilot, panel)
            there = app.model_screen.pane if listed is keys.PANE else app.model_screen.network
            await settle(pilot, lambda there=there: there.has_focus)
            await press(pilot, "question_mark")
            await settle(pilot, lambda: "help: Model" in screen_text(app))
            seen = screen_text(app)
            pages = int(found[1]) if (found := re.search(r"of (\d+)", seen)) else 1
            for _ in range(pages * 3):
                await press(pilot, "pagedown")
                seen += screen_text(app)
            missing = [k.label for k in listed if k.label not in seen and not k.id.startswith("move.")]
            assert not missing, missing
            await press(pilot, "escape")
            await settle(pilot, lambda there=there: app.screen is app.model_screen and there.has_focus)


async def test_numbers_typed_go_through_the_centered_layer(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot, "CenteredLayer()")
        state = app.model_screen.state
        await press(pilot, "i")
        await answered(pilot, "5")
        await press(pilot, "N")
        await settle(pilot, lambda: "numbers that go in" in screen_text(app))
        await answered(pilot, "1 2 3 4 5")
        await settle(pilot, lambda: state.flow is not None)
        assert state.flow.values == (-2, -1, 0, 1, 2)
        assert re.search(r"-2 +-1 +0 +1 +│\n│ +2 +│", beside(app)), beside(app)
        await press(pilot, "N")
        await answered(pilot, "1 2 [x")
        assert "write numbers: 1 2 3 4 5" in screen_text(app)
        await press(pilot, "escape", "N")
        await answered(pilot, "[[1, 2, 3, 4, 5], [1, 1, 1, 1, 6]]")
        assert state.flow.columns == 5 and len(state.flow.values) == 10


async def test_lazy_layers_have_a_question_mark_until_they_get_sizes(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot, ZOO["lazy"].text)
        state = app.model_screen.state
        assert "? parameters" in in_tree(app) and re.search(r" \?\s", in_tree(app))
        assert "lazy" in in_tree(app)
        await do(pilot, "exclamation_mark")
        assert state.sheet.parameters == 203_530 and "203,530 parameters" in in_tree(app)
        assert "Linear(784, 256)" in text_of(app) and app.form.text("architecture") == text_of(app)
        await do(pilot, "exclamation_mark")
        assert "no layer waits" in notice(app)
        await do(pilot, "u")
        assert "LazyLinear(256)" in text_of(app) and "?" in in_tree(app)


async def test_the_zoo_torchvision_ones_own_file_and_its_mistakes(make_app, tmp_path) -> None:
    nets = tmp_path / "nets.py"
    nets.write_text(HOSTILE)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_model(pilot)
        screen, state = app.model_screen, app.model_screen.state
        # by name; a network of another shape brings its own input
        await press(pilot, "o")
        await settle(pilot, lambda: "open a network" in screen_text(app) and "lenet" in screen_text(app))
        await answered(pilot, "nested")
        assert state.sheet.parameters == 309 and state.shapes.input.shape == (4,) and state.shapes.fault is None
        await press(pilot, "o")
        await answered(pilot, "lenet")
        assert state.sheet.parameters == 61_706 and state.shapes.input.data == "fashion-mnist-sample"
        # a file: the path is completed
        await press(pilot, "o")
        app.focused.insert_text_at_cursor(f"{tmp_path}/ne")
        await press(pilot, "tab")
        await settle(pilot, lambda: app.focused.value == f"{nets}:")
        app.focused.insert_text_at_cursor("Net")
        await do(pilot, "enter")
        await settle(pilot, lambda: state.sheet.watched != ())
        text = screen_text(app)
        assert "\x1b" not in text and "\u202e" not in text and "N[/b]" in text and "[/x]" in text
        assert "[bold]loud[/bold]" in beside(app), beside(app)
        assert state.sheet.parameters == 784 * 4 + 4 + 50 and app.form.text("architecture") == text_of(app)
        await do(pilot, "v")
        await settle(pilot, lambda: state.detail is not None)
        assert "\x1b" not in screen_text(app)
        await do(pilot, "F")
        await do(pilot, "d")
        await settle(pilot, lambda: state.report is not None)
        await do(pilot, "v", "v")
        await do(pilot, "escape")
        # the builder says that it cannot
        for key in ("a", "A", "enter", "x", "n", "c", "w"):
            await do(pilot, "down", key)
            if app.screen is not screen:
                await do(pilot, "escape")
        assert state.sheet.parameters == 784 * 4 + 4 + 50
        # saved: read again, weights stay
        nets.write_text(HOSTILE.replace("width=4", "width=6"))
        os.utime(nets, ns=(1, 10**18))
        await settle(pilot, lambda: state.sheet.parameters == 784 * 6 + 6 + 70, 10)
        # saved with a mistake: said with its line, what was there stays; mended: read again
        nets.write_text(HOSTILE + "\ndef broken(:\n")
        os.utime(nets, ns=(2, 2 * 10**18))
        line = len(HOSTILE.split("\n")) + 1
        await settle(pilot, lambda: f"line {line}" in notice(app), 10)
        assert state.sheet.parameters == 784 * 6 + 6 + 70
        nets.write_text(HOSTILE.replace("width=4", "width=8"))
        os.utime(nets, ns=(3, 3 * 10**18))
        await settle(pilot, lambda: state.sheet.parameters == 784 * 8 + 8 + 90, 10)
        # what raises says where
        await press(pilot, "o")
        await answered(pilot, f"{nets}:wrong")
        assert f"line {HOSTILE[: HOSTILE.index('raise')].count(chr(10)) + 1}" in notice(app)
        assert "ValueError" in notice(app) or "[/]" in notice(app)
        await press(pilot, "o")
        await answered(pilot, f"{nets}:Nothing")
        assert "has no Nothing" in notice(app)
        await press(pilot, "o")
        await answered(pilot, f"{tmp_path}/none.py:Net")
        assert "there is no file" in notice(app)
        assert state.sheet.parameters == 784 * 8 + 8 + 90


async def test_what_the_form_has_and_what_the_bench_has_are_one(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot)
        state = app.model_screen.state
        await do(pilot, "end", "c", "f")
        built = text_of(app)
        assert built != SMALL
        await press(pilot, "4")
        await settle(pilot, lambda: "new run" in screen_text(app))
        assert app.form.check()[0].architecture == built
        app.form.set("architecture", "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))")
        await press(pilot, "2")
        await settle(pilot, lambda: state.sheet.parameters == 7_850 and idle(app))
        await press(pilot, "4")
        await settle(pilot, lambda: "new run" in screen_text(app))
        # one with a mistake: said, and the bench keeps what it has
        app.form.set("architecture", "nn.Sequential(nn.Linear(784, 10)")
        await press(pilot, "2")
        await settle(pilot, lambda: idle(app) and len(notice(app).strip()) > 5)
        await do(pilot, "e")
        await settle(pilot, lambda: "edit the network" in screen_text(app))
        await press(pilot, "escape")
        # undo in the form brings the one before back, here too
        await press(pilot, "4", "u")
        await settle(pilot, lambda: app.form.text("architecture").endswith("10))"))
        await press(pilot, "2")
        await settle(pilot, lambda: idle(app) and state.sheet.parameters == 7_850)
        assert app.form.text("architecture") == text_of(app)


async def test_a_long_request_is_cancelled_and_a_dead_bench_comes_back(make_app, tmp_path) -> None:
    nets = tmp_path / "nets.py"
    nets.write_text(
        "import os, time\nfrom torch import nn\ndef endless():\n    while True: pass\ndef dies():\n    os._exit(3)\n"
    )
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot)
        await press(pilot, "o")
        app.focused.insert_text_at_cursor(f"{nets}:endless")
        await press(pilot, "enter")
        await settle(pilot, lambda: "esc cancels" in screen_text(app), 10)
        await press(pilot, "down")  # the keys answer meanwhile
        assert place(app) == "0"
        await press(pilot, "escape")
        await settle(pilot, lambda: idle(app), 3)
        await settle(pilot, lambda: "cancelled" in notice(app), 3)
        assert text_of(app) == SMALL and app.form.text("architecture") == SMALL
        await press(pilot, "o")
        app.focused.insert_text_at_cursor(f"{nets}:dies")
        await press(pilot, "enter")
        await settle(pilot, lambda: "exit code 3" in screen_text(app), 20)
        await settle(pilot, lambda: idle(app) and app.workbench.state == "ready", 60)
        assert text_of(app) == SMALL
        await do(pilot, "end", "c")
        assert layers(app)[-2:] == ["Linear", "Linear"]
        before = app.workbench._process
        await press(pilot, "b")
        await settle(pilot, lambda: app.workbench._process not in (None, before), 10)
        await settle(pilot, lambda: idle(app), 60)
        assert layers(app)[-2:] == ["Linear", "Linear"]


SLOW = """
import time
from torch import nn
class Net(nn.Linear):
    def forward(self, x):
        time.sleep({})
        return super().forward(x)
"""


async def test_what_the_bench_looks_at_by_itself_keeps_nobody_in_a_panel(make_app, tmp_path, monkeypatch) -> None:
    nets = tmp_path / "nets.py"
    nets.write_text(SLOW.format(0.1))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot, f"{nets}:Net(in_features=4, out_features=2)")
        await press(pilot, "i")
        await answered(pilot, "4")
        screen = app.model_screen
        seen = workbench.SEEN
        monkeypatch.setattr(workbench, "SEEN", 60)  # however slow the machine, nobody has seen it
        for key in ("tab", "escape"):
            app.workbench.ask(Probe(input=screen.input()), lambda _: None, "probe")
            work = app.workbench._running or app.workbench._queue[-1]
            await press(pilot, "tab")
            assert screen.pane.has_focus
            await press(pilot, key)
            assert screen.network.has_focus and not work.cancelled
            await settle(pilot, lambda: idle(app))
        monkeypatch.setattr(workbench, "SEEN", seen)
        nets.write_text(SLOW.format(30))  # it is read again
        await press(pilot, "tab")
        await settle(pilot, lambda: "esc cancels" in screen_text(app), 20)
        await press(pilot, "escape")
        await settle(pilot, lambda: idle(app))
        assert screen.pane.has_focus, "what a person saw and ended was the work"


async def test_poor_terminals_any_size_and_nothing_before_the_bench(make_app, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "new run" in screen_text(app))
        app.form.set("architecture", ZOO["chimera"].text)
        await press(pilot, "2")
        # each key before there is a network
        for key in ("a", "A", "e", "o", "n", "i", "slash", "colon", "N", "m"):
            await press(pilot, key)
            await pilot.pause(0.01)
            if app.screen is not app.model_screen:
                await press(pilot, "escape")
                await pilot.pause(0.01)
            assert app.screen is app.model_screen, key
        for key in ("enter", "f", "z", "space", "t", "left", "right", "v", "F", "d", "v", "x", "w", "tab", "f", "enter"):
            await press(pilot, key)
        app.model_screen.network.focus()
        await settle(pilot, lambda: app.model_screen.state.sheet is not None, 60)
        await settle(pilot, lambda: idle(app), 60)
        await do(pilot, "i")
        await answered(pilot, "20")
        for keys_ in (("F",), ("d",), ("v",), ("v",), ("escape",)):
            await do(pilot, *keys_)
            text = screen_text(app)
            shown = ""
            for strip in app.screen._compositor.render_strips():
                segments = list(strip)
                for each in (f for f in app._filters if type(f).__name__ == "SafeText"):
                    segments = each.apply(segments, None)
                shown += "".join(segment.text for segment in segments)
            assert shown.isascii(), sorted({c for c in shown if not c.isascii()})
            assert "Sequential" in text or app.model_screen.pane.view != "layer"
        for width, height in ((1, 1), (3, 2), (20, 5), (79, 23), (121, 2), (160, 45), (40, 12), (80, 24)):
            await pilot.resize_terminal(width, height)
            await do(pilot, "v")
        await pilot.resize_terminal(80, 24)
        await do(pilot, "escape")
        assert "Sequential" in screen_text(app) and "parameters" in screen_text(app)
        for screen_key in ("a", "o", "e", "i", "n"):
            await press(pilot, screen_key)
            for width, height in ((1, 1), (10, 3), (80, 24)):
                await pilot.resize_terminal(width, height)
                await pilot.pause(0.02)
            await press(pilot, "escape")
            await settle(pilot, lambda: app.screen is app.model_screen)


async def test_pasted_text_with_markup_and_escapes_is_text_everywhere(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_model(pilot)
        for opener in ("o", "a", "i", "slash", "colon", "N", "e"):
            await press(pilot, opener)
            await pilot.pause(0.02)
            app.focused.post_message(events.Paste("[/red] \x1b[2J[link=http://x]é漢\u202e [bold"))
            await pilot.pause(0.05)
            await do(pilot, "f2" if opener == "e" else "enter")
            text = screen_text(app)
            assert "\x1b" not in text, opener
            for _ in range(3):
                if app.screen is not app.model_screen:
                    await press(pilot, "escape")
                    await pilot.pause(0.02)
                    if type(app.screen).__name__ == "Question":
                        await press(pilot, "y")
                        await pilot.pause(0.02)
            assert app.screen is app.model_screen, opener
        await do(pilot, "escape")
        assert text_of(app) == SMALL
