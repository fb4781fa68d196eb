"""Area 3 by its keys, with a real bench: d2l's section on parameters, changes and their way back, views, filters."""

import math
import os
import re
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.parameters.messages import Put, Train
from mlptui.core.wire import Input
from mlptui.engine.build import build
from mlptui.engine.parameters import passes
from mlptui.engine.parameters.tensors import tensors
from mlptui.engine.seeding import INITIAL, mix, seed_weights
from mlptui.tui import keys
from mlptui.tui.dialogs.console import ConsoleScreen
from mlptui.tui.messages import StartAsked
from mlptui.tui.parameters_state import SHOWS
from mlptui.tui.render import tensor
from mlptui.tui.widgets.parameters import TensorChanged

from .conftest import screen_text, settle
from .test_model_screen import idle, notice, press

D2L = "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))"
SQUARE = "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))"
NORM = "nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10))"


def built(text: str, seed: int = 0) -> nn.Module:
    """The network that the bench has, made here."""
    seed_weights(seed)
    return build(parse(text))


async def rests(pilot) -> None:
    """Wait until the bench has nothing to do, what it said is shown, and that asks for nothing more."""
    for _ in range(2):
        await settle(pilot, lambda: idle(pilot.app), 60)
        for _ in range(4):
            await pilot._wait_for_screen()
    await settle(pilot, lambda: idle(pilot.app), 60)


async def do(pilot, *pressed: str) -> None:
    """Press keys and let the bench do what it is asked for."""
    for key in pressed:
        await press(pilot, key)
        if key in ("enter", "escape", "tab"):  # the panels change their sizes, and ask for other numbers
            await rests(pilot)
    await rests(pilot)


async def answered(pilot, text: str, *then: str) -> None:
    """Put a text into the line that has the focus, in place of what is there, and press enter."""
    line = pilot.app.focused
    line.value = ""
    line.insert_text_at_cursor(text)
    await do(pilot, "enter", *then)


def rows(app) -> list[str]:
    return [row.path for row in app.params_screen.state.rows]


async def at_params(pilot, text: str) -> None:
    """Area 3 with this network."""
    app = pilot.app
    await settle(pilot, lambda: "new run" in screen_text(app))
    await opened(pilot, text)


async def opened(pilot, text: str) -> None:
    """Another network, by way of the form."""
    app = pilot.app
    app.form.set("architecture", text)
    await press(pilot, "4", "3")
    wanted = list(tensors(built(text)))
    screen = app.params_screen
    await settle(pilot, lambda: idle(app) and not screen._stale and rows(app) == wanted and screen_rests(app), 60)


def screen_rests(app) -> bool:
    """Whether the panels have the places that they are to have, and all statistics are there."""
    state = app.params_screen.state
    return not state.unknown(0, len(state.rows)) and app.params_screen.tensors.size.height > 0


async def given(pilot, shape: str) -> None:
    """What goes into the network, told in area 2."""
    await press(pilot, "2", "i")
    await settle(pilot, lambda: "what goes in" in screen_text(pilot.app))
    await answered(pilot, shape)
    await do(pilot, "3")


async def said(pilot, line: str) -> list[str]:
    """What the console answers to a line, as it stands on the screen."""
    app = pilot.app
    await answered(pilot, line)
    told = [text for text, _ in app.screen.told]
    shown = screen_text(app)
    width = app.screen.query_one("_Frame").size.width - 4
    for text in told[:6]:
        assert text.strip()[: width - 1] in shown or len(text) > width, (text, shown)
    return [text.removeprefix(" ") for text in told[1:]]


async def at(pilot, path: str) -> None:
    """The cursor onto a tensor."""
    app = pilot.app
    if not app.params_screen.tensors.has_focus:
        await do(pilot, "escape")
    await do(pilot, "home", *["down"] * rows(app).index(path))
    assert app.params_screen.state.path == path


def line_of(app, path: str) -> str:
    """A tensor's line in the list."""
    return next(line for line in screen_text(app).split("\n") if re.search(rf"[ ╭├│╰›]{re.escape(path)} ", line))


def below(app) -> list[str]:
    """The lines of the lower panel, without its border."""
    region = app.params_screen.numbers.region
    return [line[2:-2] for line in screen_text(app).split("\n")[region.y + 1 : region.bottom - 1]]


def grid(app) -> list[list[float]]:
    """The numbers that stand in the lower panel."""
    size, viewed = app.params_screen.numbers.size, app.params_screen.state.viewed
    across = min(tensor.grid_size(size.width - 4, size.height - 2)[1], viewed.columns)
    found = [line[5 : 5 + 9 * across].split() for line in below(app)[1:] if re.match(r" *\d+ ", line[:6])]
    return [[float(word) for word in words] for words in found if words]


def shows(app, wanted: torch.Tensor) -> None:
    """The lower panel has exactly these numbers, and draws them."""
    viewed = app.params_screen.state.viewed
    matrix = wanted.detach().reshape(1, -1) if wanted.dim() < 2 else wanted.detach()
    part = matrix[viewed.row : viewed.row + len(viewed.values) // viewed.columns, viewed.column :][:, : viewed.columns]
    assert viewed.values == pytest.approx(part.double().flatten().tolist(), rel=0, abs=0, nan_ok=True)
    drawn = grid(app)
    assert drawn
    for line, exact in zip(drawn, part.tolist(), strict=False):
        for number, value in zip(line, exact, strict=False):
            close = math.isclose(number, value, rel_tol=6e-3, abs_tol=6e-5)
            assert close or (math.isnan(value) and math.isnan(number)), (number, value)


async def test_d2l_access_to_parameters_by_the_console(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, D2L)
        net = built(D2L)
        shows(app, net[0].weight)
        assert "4 tensors" in screen_text(app) and "[3 Params]" in screen_text(app)
        assert re.search(r"0\.bias +\[8\]", line_of(app, "0.bias"))
        await do(pilot, "colon")
        assert type(app.screen).__name__ == "ConsoleScreen"
        for line, wanted in (
            ("net[2].state_dict()", [f"{k}  {' '.join(repr(v).split())}" for k, v in net[2].state_dict().items()]),
            ("net[0].state_dict()", ["weight  [8, 4], float32", f"bias  {' '.join(repr(net[0].bias.data).split())}"]),
            ("type(net[2].bias)", [str(type(net[2].bias))]),
            ("net[2].bias.data", [repr(net[2].bias.data)]),
            ("net[2].weight.grad == None", ["True"]),
            ("net[2].weight.grad is None", ["True"]),
            (
                "*[(name, param.shape) for name, param in net[0].named_parameters()]",
                ["weight  [8, 4], float32", "bias  [8], float32"],
            ),
            (
                "print(*[(name, param.shape) for name, param in net.named_parameters()])",
                ["0.weight  [8, 4], float32", "0.bias  [8], float32", "2.weight  [1, 8], float32", "2.bias  [1], float32"],
            ),
            ("net.state_dict()['2.bias'].data", [repr(net[2].bias.data)]),
            ("net[0].weight.data", repr(net[0].weight.data).split("\n")),
            ("0.weight.mean()", [str(net[0].weight.mean().item())]),
            ("net[0].weight[0, :2]", repr(net[0].weight.data[0, :2]).split("\n")),
            ("net[0].weight.data[:, 1].sum() * 2 + 1", [str((net[0].weight.data[:, 1].sum() * 2 + 1).item())]),
            ("len(net)", ["3"]),
        ):
            assert await said(pilot, line) == wanted, line
            assert app.focused.value == ""
        bias = await said(pilot, "net[2].bias")
        assert any(repr(net[2].bias.data) in text or f"{net[2].bias.item():.4f}" in text for text in bias)
        # a mistake: the line stays, with the place
        for wrong in (
            "net[2].biass",
            "net[9]",
            "net[0].weight = ",
            "import os",
            "net[0].weight.__class__",
            "open('x')",
            "(" * 50,
        ):
            answer = await said(pilot, wrong)
            assert answer and app.focused.value == wrong, wrong
            assert app.screen.told[-1][1] == "bad", wrong
        assert any("did you mean" in text or "it has weight, bias" in text for text in await said(pilot, "net[2].biass"))
        # earlier lines
        app.focused.value = ""
        await press(pilot, "up")
        assert app.focused.value == "net[2].biass"
        for _ in range(6):
            await press(pilot, "up")
        for _ in range(99):
            await press(pilot, "up")
        assert app.focused.value == ConsoleScreen.history[0]
        for _ in range(120):
            await press(pilot, "down")
        assert app.focused.value == ""
        # completion: as far as all ways agree, then what there is
        await press(pilot, *"net[2].b", "tab")
        assert app.focused.value == "net[2].bias"
        await press(pilot, "tab")
        assert app.focused.value == "net[2].bias." and "requires_grad" in screen_text(app)
        await press(pilot, *"gr", "tab")
        assert app.focused.value == "net[2].bias.grad"
        app.focused.value = ""
        await press(pilot, "tab")
        assert "0.weight" in screen_text(app)
        await press(pilot, *"2", "tab")
        assert app.focused.value == "2." and "2.weight  2.bias" in screen_text(app)
        await press(pilot, *"w", "tab")
        assert app.focused.value == "2.weight"
        app.focused.value = "torch.tensor(1) + net[0].w"
        app.focused.action_end()
        await press(pilot, "tab")
        assert app.focused.value == "torch.tensor(1) + net[0].weight"
        app.focused.value = "xyz"
        app.focused.action_end()
        await press(pilot, "tab")
        assert "nothing begins so" in screen_text(app)
        app.focused.value = "?"
        await do(pilot, "enter")
        assert "net[0].bias += 1" in screen_text(app)
        app.focused.value = ""
        await do(pilot, "enter")
        # esc leaves it, its lines are there again
        await do(pilot, "escape")
        assert app.screen is app.params_screen and app.params_screen.tensors.has_focus
        await do(pilot, "colon", "up")
        assert app.focused.value and app.focused.value == ConsoleScreen.history[-1]
        await do(pilot, "escape")

        # net[2].weight.data[0, 0] = 100, seen in the list and the numbers
        await at(pilot, "2.weight")
        await do(pilot, "colon")
        answer = await said(pilot, "net[2].weight.data[0, 0] = 100")
        assert "u" in answer[0] and "done" in answer[0]
        assert await said(pilot, "net[2].weight.data[0, 0]") == ["100.0"]
        await do(pilot, "escape")
        with torch.no_grad():
            net[2].weight[0, 0] = 100
        shows(app, net[2].weight)
        assert "100" in "".join(below(app)[1:2])
        await do(pilot, "u")
        shows(app, built(D2L)[2].weight)
        await do(pilot, "U")
        shows(app, net[2].weight)

        # nested blocks
        await opened(pilot, ZOO["nested"].text)
        rgnet = built(ZOO["nested"].text)
        await do(pilot, "colon")
        assert await said(pilot, "rgnet[0][1][0].bias.data") == repr(rgnet[0][1][0].bias.data).split("\n")
        assert await said(pilot, "0.block 1.0.bias") == await said(pilot, 'net[0]["block 1"][0].bias')
        assert await said(pilot, 'net.state_dict()["0.block 1.0.bias"].data') == repr(rgnet[0][1][0].bias.data).split("\n")
        walk = await said(pilot, "rgnet")
        assert walk[0] == "Sequential(" and "(block 0): Sequential(" in walk[2]
        await do(pilot, "escape")
        # a network of another shape while the numbers have the focus
        await do(pilot, "end", "enter", "right")
        await opened(pilot, "nn.Sequential()")
        assert "this network has no tensors" in screen_text(app)
        await press(pilot, "escape")
        for key in (
            "enter",
            "e",
            "f",
            "r",
            "i",
            "escape",
            "full_stop",
            "n",
            "v",
            "d",
            "space",
            "t",
            "T",
            "s",
            "escape",
            "u",
            "U",
        ):
            await do(pilot, key)
        if app.screen is not app.params_screen:
            await do(pilot, "escape")
        await opened(pilot, "nn.Sequential(nn.ReLU())")
        assert "this network has no tensors" in screen_text(app)
        await do(pilot, "colon")
        assert await said(pilot, "net.state_dict()") in (["{}"], [])
        await do(pilot, "escape")


async def test_initialising_with_a_preview_gives_what_torch_draws(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, D2L)
        await given(pilot, "4")
        net = built(D2L)
        order = list(tensors(net))

        def drawn(path: str, draw, *arguments: object, seed: int = 0) -> torch.Tensor:
            found = torch.empty_like(net.get_parameter(path))
            torch.manual_seed(mix(seed, INITIAL, order.index(path)))
            with torch.no_grad():
                draw(found, *arguments)
            return found

        async def draw(how: str, biases: str = "", which: str = "*", more: str = "", seed: str = "0") -> None:
            await do(pilot, "i")
            await settle(pilot, lambda: type(app.screen).__name__ == "DrawScreen" and app.focused is app.screen.lines[1])
            for line, value in zip(app.screen.lines, (which, how, biases, more, seed), strict=True):
                line.value = value
            await pilot.pause(0.02)
            before = app.session.sheet
            await do(pilot, "enter")
            assert app.session.sheet is before, "a preview changes nothing"

        async def has(path: str, wanted: torch.Tensor) -> None:
            await at(pilot, path)
            shows(app, wanted)

        # normal(0, 0.01), biases 0
        await draw("normal(0, 0.01)", "zeros")
        text = screen_text(app)
        assert "std by depth" in text and "theory 0.0100" in text and "0 Linear" in text
        await do(pilot, "enter")
        assert app.screen is app.params_screen and "4 tensors drawn with seed 0" in notice(app)
        await has("0.weight", drawn("0.weight", nn.init.normal_, 0, 0.01))
        await has("2.weight", drawn("2.weight", nn.init.normal_, 0, 0.01))
        await has("0.bias", torch.zeros(8))
        assert "normal(std=0.01)" not in "".join(below(app)) and "zeros" in "".join(below(app))
        # constant(1)
        await draw("constant(1)", "zeros")
        await do(pilot, "enter")
        await has("0.weight", torch.ones(8, 4))
        await has("2.bias", torch.zeros(1))
        # Xavier on the first layer, 42 on the last
        await draw("", "", "", "0.weight: xavier_uniform; 2.weight: constant(42)")
        await do(pilot, "enter")
        assert "2 tensors drawn" in notice(app)
        await has("0.weight", drawn("0.weight", nn.init.xavier_uniform_))
        await has("2.weight", torch.full((1, 8), 42.0))
        await has("0.bias", torch.zeros(8))
        # the mixture of d2l's own initialiser
        await draw("0.25:U(5,10) 0.5:0 0.25:U(-10,-5)", which="0.weight", seed="7")
        assert re.search(r"theory 5\.", screen_text(app))
        await do(pilot, "enter")
        state = app.params_screen.state
        await at(pilot, "0.weight")
        mixed = torch.tensor(state.viewed.values)
        assert ((mixed == 0) | ((mixed.abs() >= 5) & (mixed.abs() <= 10))).all() and len(mixed.unique()) > 4
        assert f" {(mixed == 0).double().mean():.0%}".replace("%", " %") in line_of(app, "0.weight")
        # the way back, all of it, bit for bit
        digests = [state.listed.digest]
        for _ in range(4):
            await do(pilot, "u")
            digests.append(state.listed.digest)
        assert len(set(digests)) == 5
        await has("0.weight", built(D2L)[0].weight)
        await do(pilot, "u")
        assert "nothing to undo" in notice(app)
        for digest in digests[3::-1]:
            await do(pilot, "U")
            assert state.listed.digest == digest
        await do(pilot, "U")
        assert "nothing to redo" in notice(app)
        # what is wrong is said, and the dialog stays
        for how, words in (
            ("nornal(0, 1)", "did you mean normal"),
            ("normal(0, -1)", "negative"),
            ("0.5:1 0.2:2", "add up to 1"),
            ("constant", "needs val"),
            ("eval('1')", "there is no"),
        ):
            await draw(how)
            assert words in re.sub(r"[\s┃│]+", " ", screen_text(app)), (how, screen_text(app))
            assert type(app.screen).__name__ == "DrawScreen"
            await do(pilot, "escape")
        await draw("xavier_uniform", which="0.bias")
        assert "xavier_uniform is for" in screen_text(app)
        app.screen.lines[0].value = "9.weight"
        await do(pilot, "enter")
        assert "no parameter is meant by 9.weight" in screen_text(app)
        app.screen.lines[4].value = "x"
        await do(pilot, "enter")
        assert "the seed is a whole number" in screen_text(app)
        # tab completes a scheme, then goes on
        app.screen.lines[1].focus()
        app.screen.lines[1].value = "xav"
        await press(pilot, "tab")
        assert "xavier_uniform" in screen_text(app) and "xavier_normal" in screen_text(app)
        app.screen.lines[1].value = "orth"
        await press(pilot, "tab")
        assert app.screen.lines[1].value == "orthogonal"
        await press(pilot, "tab")
        assert app.focused is app.screen.lines[2]
        await do(pilot, "escape")

        # one number
        await do(pilot, "escape", "home")
        await draw("default", "default")
        await do(pilot, "enter")
        start = state.listed.digest
        await at(pilot, "0.weight")
        await do(pilot, "enter", "down", "right", "right", "enter")
        assert "0.weight[1, 2]" in screen_text(app)
        assert float(app.focused.value) == pytest.approx(state.viewed.values[1 * state.viewed.columns + 2])
        for wrong in ("abc", "", "1 2", "[b]"):
            await answered(pilot, wrong)
            assert "a number, as 0.5" in screen_text(app), wrong
        await answered(pilot, "-1e-3")
        assert state.viewed.values[1 * state.viewed.columns + 2] == pytest.approx(-1e-3)
        assert app.params_screen.numbers.has_focus and state.cell == (1, 2)
        for typed, wanted in (("nan", math.nan), ("inf", math.inf), ("-inf", -math.inf), ("7", 7.0)):
            await do(pilot, "enter")
            await answered(pilot, typed)
            assert state.viewed.values[1 * state.viewed.columns + 2] == pytest.approx(wanted, nan_ok=True), typed
        await do(pilot, "u")
        assert "-inf" in below(app)[2] and state.known(state.row).bad == 1
        await do(pilot, *["u"] * 4)
        assert state.listed.digest == start

        # typed changes
        await do(pilot, "escape")
        for typed, wanted in (
            ("fill 3", torch.full((8, 4), 3.0)),
            ("add -1", torch.full((8, 4), 2.0)),
            ("scale 0.5", torch.ones(8, 4)),
            ("clamp 0 0.25", torch.full((8, 4), 0.25)),
        ):
            await do(pilot, "e")
            await answered(pilot, typed)
            assert app.screen is app.params_screen
            shows(app, wanted)
        for typed, words in (
            ("", "say what to do"),
            ("fil 3", "one of fill 0"),
            ("fill", "one number"),
            ("fill x", "takes numbers"),
            ("clamp 1", "two numbers"),
            ("copy", "say what"),
            ("transpose 1", "no number"),
        ):
            await do(pilot, "e")
            await answered(pilot, typed)
            assert words in screen_text(app), (typed, screen_text(app))
            await do(pilot, "escape")
        for typed, words in (
            ("copy 9.weight", "no tensor 9.weight"),
            ("transpose", "square"),
            ("copy 0.bias", "is [8]"),
            ("dtype x", "no type x"),
        ):
            await do(pilot, "e")
            await answered(pilot, typed)
            assert words in notice(app), (typed, notice(app))
        await do(pilot, "e")
        await answered(pilot, "dtype float16")
        assert "float16" in "".join(below(app))
        await do(pilot, *["u"] * 5)
        assert state.listed.digest == start


async def test_ties_gradients_and_uses(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, SQUARE)
        await given(pilot, "4")
        state = app.params_screen.state
        net = built(SQUARE)
        # tie by keys; what is written under one name is there under the other
        await do(pilot, "t")
        assert "mark two or more" in notice(app)
        await at(pilot, "2.weight")
        await do(pilot, "space")
        assert "marked: 1" in screen_text(app) and " 1 2.weight" in line_of(app, "2.weight") and state.path == "2.bias"
        await at(pilot, "4.weight")
        await do(pilot, "space", "t")
        assert "net[4].weight = net[2].weight" in app.form.text("architecture")
        assert "= 2.weight" in line_of(app, "4.weight")
        assert line_of(app, "2.weight")[5] == "╭" and line_of(app, "4.weight")[5] == "╰" and line_of(app, "2.bias")[5] == "│"
        await do(pilot, "colon")
        assert "True, True, True" in " ".join(await said(pilot, "net[2].weight.data[0] == net[4].weight.data[0]"))
        await said(pilot, "net[2].weight.data[0, 0] = 100")
        assert await said(pilot, "net[4].weight.data[0, 0]") == ["100.0"]
        assert await said(pilot, "net[4].weight is net[2].weight") == ["True"]
        await do(pilot, "escape")
        with torch.no_grad():
            net[2].weight[0, 0] = 100
        net[4].weight = net[2].weight
        for path in ("2.weight", "4.weight"):
            await at(pilot, path)
            shows(app, net[2].weight)
        assert "one with 2.weight" in "".join(below(app))
        await do(pilot, "u")
        net = built(SQUARE)
        net[4].weight = net[2].weight
        shows(app, net[2].weight)

        # gradients: those of torch on the same batch
        await at(pilot, "4.weight")
        await do(pilot, "d")
        assert "no gradient yet" in "".join(below(app))
        await do(pilot, "full_stop")
        assert "gradients of one batch: loss" in notice(app)
        batch = passes.batch_of(net, Input(shape=(4,)), 256, app.paths)
        loss = net(batch.inputs).square().mean()
        loss.backward()
        assert f"loss {loss.item():.4g}" in notice(app)
        found = torch.tensor(state.viewed.values, dtype=torch.float64).reshape(-1, state.viewed.columns)
        wanted = net[2].weight.grad[: len(found), : state.viewed.columns].double()
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-8)
        assert f"{net[2].weight.grad.norm().item():.4f}" in line_of(app, "2.weight")
        # by uses: two layers use it, the parts add up
        while state.show != "uses":
            await do(pilot, "v")
        uses = "\n".join(below(app))
        assert "2, call 1" in uses and "4, call 1" in uses and "the parts add up to .grad" in uses and "norm" in uses
        assert len(state.viewed.uses) == 2
        await do(pilot, "v", "v", "d")
        assert state.show == "values" and not state.gradient
        # forget
        await do(pilot, "Z")
        assert not any(row.gradient for row in state.listed.rows)
        await do(pilot, "Z")
        assert "there are no gradients" in notice(app)
        # steps of the form's optimiser
        before = state.listed.digest
        await do(pilot, "n")
        assert "1 step of sgd" in notice(app) and state.listed.digest != before
        await do(pilot, "N")
        assert "10 steps of sgd: loss" in notice(app)
        assert state.known(state.row).update > 0
        await do(pilot, "u", "u")
        assert state.listed.digest == before
        # frozen: it stays while the others learn
        await do(pilot, "escape")
        await at(pilot, "0.weight")
        await do(pilot, "f")
        assert "frozen" in line_of(app, "0.weight") and not state.row.trainable
        await do(pilot, "n")
        shows(app, built(SQUARE)[0].weight)
        assert state.listed.digest != before
        await do(pilot, "f")
        assert state.row.trainable
        # values of its own again
        await do(pilot, "escape")
        await at(pilot, "4.weight")
        await do(pilot, "T")
        assert not any(row.alias_of for row in state.listed.rows)
        assert "net[4].weight" not in app.form.text("architecture")
        await do(pilot, "T")
        assert "not tied" in notice(app) or "its own" in notice(app) or "tied" in notice(app)

        # d2l's shared layer stands under two names
        await opened(pilot, ZOO["tied"].text)
        assert "= 2.weight" in line_of(app, "4.weight") and "= 2.bias" in line_of(app, "4.bias")
        await do(pilot, "colon")
        await said(pilot, "net[2].weight.data[0, 0] = 100")
        assert "True, True, True" in " ".join(await said(pilot, "net[2].weight.data[0] == net[4].weight.data[0]"))
        await do(pilot, "escape")

        # whatever the size of the terminal
        for width, height in ((40, 12), (120, 40), (20, 6), (3, 3), (80, 24)):
            await pilot.resize_terminal(width, height)
            for key in ("enter", "v", "v", "escape", "home", "end", "pageup", "escape"):
                await do(pilot, key)
            await settle(pilot, lambda w=width, h=height: [len(line) for line in screen_text(app).split("\n")] == [w] * h)
        await pilot.resize_terminal(40, 12)
        await pilot.pause(0.05)
        assert re.search(r"│ +0 +-?\d", screen_text(app)) or state.show != "values"
        for opener in ("i", "e", "colon", "slash", "s", "question_mark"):
            await do(pilot, opener)
            assert app.screen is not app.params_screen, opener
            await do(pilot, "escape")
            assert app.screen is app.params_screen, opener


async def test_the_list_is_filtered_sorted_marked_and_esc_goes_back_step_by_step(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, NORM)
        state, screen = app.params_screen.state, app.params_screen
        every = rows(app)
        assert every == list(tensors(built(NORM)))

        async def only(text: str) -> list[str]:
            await do(pilot, "slash")
            await answered(pilot, text)
            assert app.screen is screen, screen_text(app)
            if text:
                assert f"{len(rows(app))} of 9 tensors" in screen_text(app)
                assert not rows(app) or f"filter: {text}" in screen_text(app)
            return rows(app)

        assert await only("*.weight") == ["1.weight", "2.weight", "4.weight"]
        assert await only("/^2\\./") == [p for p in every if p.startswith("2.")]
        assert await only("Linear") == ["1.weight", "1.bias", "4.weight", "4.bias"]
        assert await only("buffer") == ["2.running_mean", "2.running_var", "2.num_batches_tracked"]
        assert await only("*.weight, count > 100") == ["1.weight"]
        assert await only("std > 0.1") == [p for p in every if (n := state.numbers.get(p)) and (n.deviation or 0) > 0.1]
        assert await only("zeros > 50%") == ["2.bias", "2.running_mean", "2.num_batches_tracked"]
        assert await only("int64") == ["2.num_batches_tracked"]
        assert await only("nothing at all") == []
        assert "no tensor passes the filter" in screen_text(app) and "esc clears it" in screen_text(app)
        await do(pilot, "enter", "v", "e", "f", "space", "M", "escape")
        assert app.screen is screen
        assert await only("") == every
        for wrong, words in (
            ("/(/", "not a regular expression"),
            ("/(a+)+$/", "repeats too much"),
            ("stdd > 1", "did you mean std"),
            ("std > x", "is no number"),
            ("x" * 400, "too long"),
        ):
            await do(pilot, "slash")
            await answered(pilot, wrong)
            assert words in screen_text(app), wrong
            await do(pilot, "escape")
            assert app.screen is screen and rows(app) == every

        # the order
        async def by(name: str) -> list[str]:
            await press(pilot, "s")
            await settle(pilot, lambda: "sort by" in screen_text(app))
            await answered(pilot, name)
            assert app.screen is screen
            return rows(app)

        def known(path: str, name: str) -> float:
            return getattr(state.numbers[path], name)

        for name, fact in (("mean", "mean"), ("std", "deviation"), ("max", "high"), ("norm", "norm"), ("zeros", "zeros")):
            down = await by(name)
            values = [known(p, fact) for p in down]
            assert values == sorted(values, reverse=True), name
            assert f"{name}▼" in screen_text(app) or name in ("max", "zeros")
            values = [known(p, fact) for p in await by(name)]
            assert values == sorted(values), name
            assert f"{name}▲" in screen_text(app) or name in ("max", "zeros")
        assert (await by("count"))[0] == "1.weight"
        assert await by("path") == sorted(every)
        assert await by("path") == sorted(every, reverse=True)
        await by("grad")
        await by("update")
        # unknown ones stand at the end, whichever way
        await do(pilot, "escape")
        assert rows(app) == every and state.sort == ""
        # marks, and what is done to all of them
        await do(pilot, "slash")
        await answered(pilot, "*.weight")
        await do(pilot, "M")
        assert state.marked == ["1.weight", "2.weight", "4.weight"] and "marked: 3" in screen_text(app)
        await do(pilot, "e")
        assert "change 3 tensors" in screen_text(app)
        await answered(pilot, "fill 0.5")
        assert [known(p, "mean") for p in rows(app)] == [0.5, 0.5, 0.5]
        await do(pilot, "f")
        assert [row.path for row in state.listed.rows if row.tensor == "parameter" and not row.trainable] == state.marked
        assert screen_text(app).count("frozen") >= 3
        await do(pilot, "f", "r")
        assert known("1.weight", "deviation") > 0
        await do(pilot, "u", "u", "u", "u")
        assert known("1.weight", "mean") != 0.5 and all(
            row.trainable for row in state.listed.rows if row.tensor == "parameter"
        )
        await do(pilot, "M")
        assert state.marked == []
        await do(pilot, "space", "space")
        assert state.marked == ["1.weight", "2.weight"]
        await do(pilot, "home", "space")
        assert state.marked == ["2.weight"]
        # esc: numbers, then the list; filter and marks and order go together
        await do(pilot, "enter")
        assert screen.numbers.has_focus
        await do(pilot, "escape")
        assert screen.tensors.has_focus and state.filter == "*.weight" and state.marked
        await do(pilot, "escape")
        assert state.filter == "" and state.marked == [] and rows(app) == every
        await do(pilot, "tab")
        assert screen.numbers.has_focus
        await do(pilot, "tab")
        assert screen.tensors.has_focus

        # the views of each tensor
        while state.show != "values":
            await do(pilot, "v")
        for path in every:
            await at(pilot, path)
            seen = []
            for _ in SHOWS:
                seen.append(state.show)
                assert any(line.strip() for line in below(app)), (path, state.show)
                assert f"{state.show} {SHOWS.index(state.show) + 1}/{len(SHOWS)}" in screen_text(app)
                await do(pilot, "v")
            assert seen == list(SHOWS)
        await at(pilot, "1.weight")
        await do(pilot, "v", "v", "v")
        assert "rank" in below(app)[0] and "8 full" in below(app)[0]
        expected = torch.linalg.svdvals(built(NORM)[1].weight.detach().double())
        assert list(state.viewed.values) == pytest.approx(expected.tolist(), rel=1e-4)
        await do(pilot, "v")
        assert below(app)[0].startswith("units 0 to") and "of 8;" in below(app)[0]
        await do(pilot, *["v"] * (len(SHOWS) - SHOWS.index(state.show)))
        # the cursor among the numbers
        await do(pilot, "enter", "end", "L", "L")
        net = built(NORM)
        shows(app, net[1].weight)
        assert state.cell == (7, 20) and "[7, 20]" in screen_text(app)
        for key in ("G", "g", "home", "H", "h", "l", "j", "k", "pageup", "pagedown", "right_square_bracket"):
            await do(pilot, key)
        for _ in range(90):
            await press(pilot, "L")
        await do(pilot, "L")
        assert state.cell[1] == 783
        shows(app, net[1].weight)
        await do(pilot, "enter")
        assert f"1.weight[{state.cell[0]}, 783]" in screen_text(app)
        await answered(pilot, "5")
        await do(pilot, "escape", "colon")
        assert await said(pilot, f"net[1].weight.data[{state.cell[0]}, 783]") == ["5.0"]
        await do(pilot, "escape", "u")
        # slices of a convolution
        await opened(pilot, "nn.Sequential(nn.Conv2d(2, 3, 3))")
        conv = built("nn.Sequential(nn.Conv2d(2, 3, 3))")
        shows(app, conv[0].weight[0, 0])
        await do(pilot, "enter", "right_square_bracket")
        assert state.index == (0, 1)
        shows(app, conv[0].weight[0, 1])
        await do(pilot, "left_square_bracket", "left_square_bracket")
        assert state.index == (2, 1)
        shows(app, conv[0].weight[2, 1])
        await do(pilot, "down", "right", "enter")
        assert "0.weight[2, 1, 1, 1]" in screen_text(app)
        await answered(pilot, "9")
        with torch.no_grad():
            conv[0].weight[2, 1, 1, 1] = 9
        shows(app, conv[0].weight[2, 1])


def state_of(app) -> tuple:
    """All that a key may change."""
    screen, state = app.params_screen, app.params_screen.state
    shown = (app.screen is screen, type(app.screen).__name__, screen.focused and screen.focused.id, state.path, state.cell)
    return (*shown, state.show, state.gradient, tuple(state.marked), state.listed.digest, notice(app), screen_text(app))


async def every_key_of(pilot, listed: list[keys.Key], begin: tuple[str, ...]) -> list[str]:
    """Press each key of a panel, leave what it opened; gives the ids of those that changed nothing."""
    app, idle_ones = pilot.app, []
    for key in listed:
        name = key.keys.split(",")[0]
        if begin and not app.params_screen.tensors.has_focus:
            await do(pilot, "escape")
        await press(pilot, *begin)
        await settle(pilot, lambda: idle(app), 60)
        before = state_of(app)
        await do(pilot, name)
        assert app._exception is None and app.is_running, key.id
        if state_of(app) == before:
            idle_ones.append(key.id)
        while app.screen is not app.params_screen:
            await do(pilot, "escape")
        assert app.screen is app.params_screen, key.id
    return idle_ones


async def test_every_key_does_something_on_every_kind_of_network(make_app, counts) -> None:
    app, every = make_app(), ("d2l", "lazy", "tied", "fixed-hidden", "batch-norm")
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, D2L)
        for name, text in (
            ("d2l", D2L),
            ("tied", ZOO["tied"].text),
            ("lazy", ZOO["lazy"].text),
            ("fixed-hidden", ZOO["fixed-hidden"].text),
            ("batch-norm", NORM),
        ):
            if name not in every[: counts(2, len(every))]:
                continue
            await opened(pilot, text)
            if name in ("d2l", "tied"):
                await given(pilot, "4")
            elif name == "fixed-hidden":
                await given(pilot, "20")
            else:
                await given(pilot, "")
            digest = app.params_screen.state.listed.digest
            nothing = await every_key_of(pilot, keys.PARAMS, ("home", "down"))
            if name == "d2l":  # before them nothing was marked, tied, filtered or undone
                assert set(nothing) <= {"params.clear", "params.later", "move.page_up"}, nothing
            await do(pilot, "escape", "home", "enter")
            nothing = await every_key_of(pilot, keys.NUMBERS, ())
            if name == "d2l":
                assert set(nothing) <= {
                    "numbers.deeper",
                    "numbers.shallower",
                    "move.up",
                    "move.page_up",
                    "move.first",
                    "numbers.left",
                    "numbers.page_left",
                    "numbers.earlier",
                    "numbers.later",
                }, nothing
            if not app.params_screen.tensors.has_focus:
                await do(pilot, "escape")
            assert app.params_screen.tensors.has_focus
            # and the same as at the beginning, by u alone
            while app.session.sheet.undo and not app.session.sheet.undo.startswith("open "):
                await do(pilot, "u")
            assert to_text(parse(app.session.sheet.text)) == to_text(parse(text))
            assert app.params_screen.state.listed.digest == digest
            if name == "lazy":
                assert "?" in line_of(app, "1.weight")
                await at(pilot, "1.weight")
                assert "This tensor has no size yet" in " ".join(below(app))
            if name == "fixed-hidden":
                await do(pilot, "slash")
                await answered(pilot, "plain")
                assert rows(app) == ["rand_weight"] and "in no state_dict" in "".join(below(app))
                await do(pilot, "escape")


async def test_the_bench_is_killed_and_the_values_come_back(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, SQUARE)
        state = app.params_screen.state
        await do(pilot, "colon")
        await said(pilot, "net[2].weight.data[0, 0] = 100")
        await said(pilot, "net[4].weight = net[2].weight")
        await do(pilot, "escape")
        await do(pilot, "escape")
        await at(pilot, "0.weight")
        await do(pilot, "f")
        before, listed = state.listed.digest, [(r.path, r.alias_of, r.trainable) for r in state.listed.rows]
        await do(pilot, "colon")
        process = app.workbench._process
        os.kill(process.pid, signal.SIGKILL)
        await settle(pilot, lambda: app.workbench._process is not process and idle(app) and not app.params_screen._stale, 60)
        assert type(app.screen).__name__ == "ConsoleScreen"
        assert await said(pilot, "net[4].weight.data[0, 0]") == ["100.0"]
        await do(pilot, "escape")
        assert state.listed.digest == before
        assert [(r.path, r.alias_of, r.trainable) for r in state.listed.rows] == listed
        assert state.path == "0.weight"
        shows(app, built(SQUARE)[0].weight)
        await at(pilot, "4.weight")
        assert state.viewed.values[0] == 100 and "= 2.weight" in line_of(app, "4.weight")


async def test_a_run_begins_with_what_is_still_under_way_and_with_the_seed_that_is_shown(make_app, monkeypatch) -> None:
    app = make_app()
    begun: list[dict[str, torch.Tensor] | None] = []
    monkeypatch.setattr(app.run_work, "_start", lambda recipe, file: begun.append(load_file(file) if file else None))
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, D2L)
        form = app.train_screen.form
        app.form.set("data.name", "blobs")  # anything that a recipe can be made of
        form.check()
        assert form.recipe is not None

        def start() -> None:
            app.on_start_asked(StartAsked(form.recipe))

        start()
        await settle(pilot, lambda: len(begun) == 1)
        assert begun == [None], "drawn from the seed, as the run does itself"
        # two changes that the bench has not answered yet
        app.session.step(lambda: Train(input=Input(shape=(4,)), steps=200))
        app.session.step(lambda: Put(action="fill", paths=("2.bias",), numbers=(42.0,)))
        start()
        await settle(pilot, lambda: len(begun) == 2, 60)
        assert begun[1] is not None and begun[1]["2.bias"].tolist() == [42.0]
        assert not torch.equal(begun[1]["0.weight"], built(D2L)[0].weight)
        # another seed: what nobody touched is drawn anew, and shown so
        await do(pilot, "u", "u")
        app.form.set("seed", "7")
        form.check()
        digest = app.params_screen.state.listed.digest
        await press(pilot, "4", "3")
        await settle(pilot, lambda: idle(app) and app.session.sheet.drawn == 7, 60)
        await settle(pilot, lambda: app.params_screen.state.listed.digest != digest)


async def test_keys_behind_one_another_leave_no_old_numbers(make_app) -> None:
    """Also where the second one is refused while the list for the first one is on its way."""
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, D2L)
        screen = app.params_screen
        before = screen.state.listed.digest
        await do(pilot, "r")
        assert screen.state.listed.digest != before
        for _ in range(3):
            screen.do_undo()
        await settle(pilot, lambda: idle(app) and not screen._stale and screen.state.listed.digest == before, 60)
        await settle(pilot, lambda: screen.state.viewed is not None and all(map(screen.state.known, screen.state.rows)))


async def test_a_cell_is_kept_when_the_list_tells_late_that_the_tensor_is_another_one(make_app) -> None:
    """On a machine at its limit the message of the list comes behind the keys: they must not go to another number."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NORM)
        state, screen = app.params_screen.state, app.params_screen
        await at(pilot, "1.weight")
        await do(pilot, "enter", "l", "l", "j")
        assert state.cell == (1, 2)
        screen.tensors.post_message(TensorChanged())
        await rests(pilot)
        assert state.cell == (1, 2) and "[1, 2]" in screen_text(app)
        # the list is elsewhere, and has not told it yet
        state.path = "1.bias"
        screen.numbers.action_across(1)
        assert screen.numbers.full_index() == (1,)
        await rests(pilot)


async def test_a_file_that_stays_as_it_is_keeps_its_statistics(make_app, tmp_path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, D2L)
        screen = app.params_screen
        save_file(built(D2L).state_dict(), file := tmp_path / "w.safetensors")
        screen._see(str(file))
        await settle(pilot, lambda: len(screen.state.rows) == 4 and all(map(screen.state.known, screen.state.rows)), 60)
        stamps = [row.stamp for row in screen.state.rows]
        screen.read()
        await settle(pilot, lambda: idle(app) and not screen._reading)
        assert [row.stamp for row in screen.state.rows] == stamps and all(map(screen.state.known, screen.state.rows))
        changed = {name: tensor + 1 for name, tensor in built(D2L).state_dict().items()}
        save_file(changed, file)
        screen.read()
        await settle(pilot, lambda: idle(app) and [row.stamp for row in screen.state.rows] != stamps)


async def test_esc_before_the_bench_is_ready_stops_nothing(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3", "escape", "escape", "2", "escape", "3")
        await settle(pilot, lambda: len(app.params_screen.state.rows) == 4, 60)
        assert "no network" not in screen_text(app)


async def test_what_was_set_is_asked_for_before_it_is_lost_and_can_be_written(make_app, tmp_path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, D2L)
        await do(pilot, "r")
        for key in ("q", "ctrl+q"):
            await press(pilot, key)
            await settle(pilot, lambda: "leave?" in screen_text(app))
            await press(pilot, "n")
            assert app.screen is app.params_screen and not app._exit
        (tmp_path / "there.safetensors").write_bytes(b"mine")
        for name, wanted in (
            ("there", "is there already"),
            ("", "the name of a file"),
            ("no/such/folder/w", "there is no folder"),
        ):
            await do(pilot, "w")
            await answered(pilot, str(tmp_path / name) if name else "")
            await settle(pilot, lambda wanted=wanted: wanted in screen_text(app).replace("\n", " "))
            await do(pilot, *["escape"] * (app.screen is not app.params_screen))
        assert (tmp_path / "there.safetensors").read_bytes() == b"mine"
        await do(pilot, "w")
        await answered(pilot, str(tmp_path / "w"))
        await settle(pilot, (tmp_path / "w.safetensors").exists)
        written = load_file(tmp_path / "w.safetensors")
        assert not torch.equal(written["0.weight"], built(D2L)[0].weight) and len(written) == 4
        # the file, looked at, has the digest of the bench; esc leads back
        digest = app.params_screen.state.listed.digest
        app.params_screen.look_into(str(tmp_path / "w.safetensors"))
        await rests(pilot)
        assert "read only" in screen_text(app) and "Edit" not in screen_text(app).split("\n")[-1]
        for key in ("e", "i", "f", "r"):
            await do(pilot, key)
            assert app.screen is app.params_screen and "is not changed here" in notice(app)
        assert tensors_digest(tmp_path / "w.safetensors") == digest
        await do(pilot, "escape")
        assert app.params_screen.state.source == "" and app.params_screen.state.listed.digest == digest
        await press(pilot, "q")
        await settle(pilot, lambda: app._exit)


def tensors_digest(file) -> str:
    from mlptui.engine.parameters.files import of_file
    from mlptui.engine.parameters.tensors import digest

    return digest(of_file(file))
