"""Keys that arrive together, as through a line that stalled: each must find what the one before it made."""

import time
from collections.abc import Callable

import pytest
from textual import events
from textual.pilot import Pilot

from mlptui.tui.app import MlptuiApp

from .conftest import screen_text

NAMES = {" ": "space", "-": "minus", "?": "question_mark"}


async def burst(pilot: Pilot[int], *keys: str) -> None:
    """All keys before the app has seen the first."""
    for key in keys:
        pilot.app.post_message(events.Key(NAMES.get(key, key), key if len(key) == 1 else None))
    await pilot.pause()


async def until(pilot: Pilot[int], holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.02)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_is_typed_behind_enter_goes_into_the_line_that_enter_opened(make_app, size) -> None:
    app: MlptuiApp = make_app()
    async with app.run_test(size=size) as pilot:
        await burst(pilot, "j", "j", "enter", "ctrl+u", "1", "2", "enter", "j", "enter", "ctrl+u", "3", "2", "enter")
        await until(pilot, lambda: app.form.text("batch_size") == "32")
        assert app.form.text("epochs") == "12"
        assert app.screen is app.train_screen and not app.train_screen.form.editing


async def test_an_area_and_its_dialog_and_the_text_for_it_come_in_one_block(make_app) -> None:
    app: MlptuiApp = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await burst(pilot, "2", "o", *"nest-mlp", "enter")
        await until(pilot, lambda: "NestMLP" in screen_text(app) and app.screen is app.model_screen)
        await burst(pilot, "5", "slash", *"no such run", "enter", "?", "escape", "4", "j")
        await until(pilot, lambda: app.screen is app.train_screen and app.train_screen.form.cursor == 1)
        await burst(pilot, "5")
        assert "no such run" in screen_text(app)


async def test_help_and_palette_take_what_is_typed_for_them(make_app) -> None:
    app: MlptuiApp = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await burst(pilot, "?", "q", "ctrl+p", *"devices", "escape", "escape", "7", "1")
        await until(pilot, lambda: app.current_mode == "data" and len(app.screen_stack) == 1)
        assert app.is_running


async def test_keys_go_on_when_the_widget_that_had_the_focus_is_gone(make_app) -> None:
    app: MlptuiApp = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(8):
            await burst(pilot, "?", "escape", "?", "escape", "1", "4")
        await until(pilot, lambda: app.current_mode == "train" and len(app.screen_stack) == 1)
        begun = time.monotonic()
        await burst(pilot, *"j" * 300)
        await until(pilot, lambda: app.train_screen.form.cursor == app.train_screen.form.row_count() - 1)
        assert time.monotonic() - begun < 10
