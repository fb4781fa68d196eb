"""Each screen by its keys, at the sizes that people have."""

import pytest
from budget import in_time

from mlptui.core.status import Status
from mlptui.store import rundir
from mlptui.store import settings as preferences
from mlptui.tui import keys
from mlptui.tui.messages import Noticed, StartAsked

from .conftest import SIZES, screen_text, settle

AREAS = [
    ("1", "[1 Data]"),
    ("2", "[2 Model]"),
    ("3", "[3 Params]"),
    ("5", "[5 Runs]"),
    ("6", "[6 Files]"),
    ("7", "[7 Devices]"),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_seven_areas_are_on_the_digit_keys(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot, lambda: "new run" in screen_text(app))
        for key, wanted in [*AREAS, ("4", "[4 Train]")]:
            await pilot.press(key)
            await settle(pilot, lambda wanted=wanted: wanted in screen_text(app).split("\n")[0])
            lines = screen_text(app).split("\n")
            assert len(lines) == size[1]
            assert "fashion-mnist-sample · mlp 784-256-10 · 203,530 parameters · auto" in lines[1]
            assert lines[-1].rstrip().endswith("? Help")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_form_checks_as_one_types_and_shows_the_error_beside_the_field(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot, lambda: "starts the run" in screen_text(app))
        form = app.train_screen.form
        await pilot.press(*["down"] * 5, "enter", "backspace", "x")
        await settle(pilot, lambda: "should be a number" in screen_text(app))
        assert "1 to mend" in screen_text(app)
        row = next(line for line in screen_text(app).split("\n") if "learning rate" in line)
        assert "should be a number" in row
        await pilot.press("escape")
        await settle(pilot, lambda: "starts the run" in screen_text(app))
        assert form.state.text("optimizer.lr") == "0.1"
        await pilot.press("enter", *["backspace"] * 3, *"0.25", "enter")
        assert form.state.text("optimizer.lr") == "0.25"
        assert form.recipe is not None and form.recipe.optimizer.lr == 0.25
        await pilot.press("u")
        assert form.state.text("optimizer.lr") == "0.1"


async def test_all_errors_are_marked_at_once_and_a_start_is_refused(make_app, paths) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        form = app.train_screen.form
        form.state.set("epochs", "0")
        form.state.set("batch_size", "many")
        form.state.set("architecture", "nn.Linear(3)")
        form.check()
        await settle(pilot, lambda: "3 to mend" in screen_text(app))
        text = screen_text(app)
        assert "should be at least 1" in text and "should be a whole" in text and "line 1, column 1" in text
        await pilot.press("r")
        await settle(pilot, lambda: "mend what is marked first" in screen_text(app))
        assert rundir.all_runs(paths) == []


async def test_an_architecture_is_typed_on_one_line_and_named_in_the_workbench(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        form = app.train_screen.form
        await pilot.press("down", "enter", "ctrl+u")
        await pilot.press(*"nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))", "enter")
        await settle(pilot, lambda: "mlp 784-32-10 · 25,450 parameters" in screen_text(app))
        assert form.recipe is not None and "32" in form.recipe.architecture


async def test_a_list_that_does_not_fit_says_how_much_of_it_lies_above_and_below(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "starts the run" in screen_text(app))
        form = app.train_screen.form
        hidden = form.row_count() - form.visible_rows()
        assert hidden > 3
        assert f"━ {hidden} below ━" in screen_text(app)
        await pilot.press(*["down"] * (form.visible_rows() + 2))
        await settle(pilot, lambda: f"━ 3 above · {hidden - 3} below ━" in screen_text(app))


async def test_every_knob_of_the_recipe_is_in_the_form_and_turning_keeps_it_valid(make_app) -> None:
    from mlptui.core.recipe import fields

    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        form = app.train_screen.form
        assert {f.path for f in form.state.fields} == {f.path for f in fields()} - {"loss"}
        for _ in form.state.fields:
            if form.state.choices(form.path):
                before = form.state.text(form.path)
                await pilot.press("right")
                assert form.state.text(form.path) != before or len(form.state.choices(form.path)) == 1
                assert form.path not in form._errors or form.path.startswith("optimizer")
                await pilot.press("x")
                assert form.state.text(form.path) == form.state.default(form.path)
            await pilot.press("down")


async def test_choosing_adam_brings_its_usual_learning_rate(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = app.train_screen.form
        await pilot.press(*["down"] * 4, "right")
        assert form.recipe is not None and (form.recipe.optimizer.name, form.recipe.optimizer.lr) == ("adam", 0.001)


async def test_the_start_key_asks_for_exactly_the_recipe_of_the_form(make_app) -> None:
    app = make_app()
    asked = []
    app.on_start_asked = asked.append  # type: ignore[method-assign]
    async with app.run_test(
        size=(80, 24), message_hook=lambda m: asked.append(m) if isinstance(m, StartAsked) else None
    ) as pilot:
        await pilot.press(*["down"] * 2, "right", "r")
        await settle(pilot, lambda: bool(asked))
        assert asked[0].recipe == app.train_screen.form.recipe
        assert asked[0].recipe.epochs == 20


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_run_of_yesterday_is_watched_like_any_other(make_app, make_run, size) -> None:
    make_run("old", steps=60)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "✓ finished" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "smoothed" in screen_text(app))
        text = screen_text(app)
        assert "[4 Train]" in text and "0.0383" in text and "79.0 %" in text and "finished after" in text
        assert app.train_screen.live.view is not None and app.train_screen.live.view.loss.last_step == 60


async def test_keys_that_need_a_live_run_say_so(make_app, make_run) -> None:
    make_run("old")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "✓ finished" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "smoothed" in screen_text(app))
        for key in (" ", "c", "s", "["):
            await pilot.press("space" if key == " " else "left_square_bracket" if key == "[" else key)
            await settle(pilot, lambda: "needs a live one" in screen_text(app).split("\n")[-1])
            app.desk.tell("")
        await pilot.press("r")
        await settle(pilot, lambda: "only stopped, failed and killed runs can go on" in screen_text(app))


async def test_runs_are_listed_newest_first_filtered_deleted_and_brought_back(make_app, make_run, paths) -> None:
    for i, name in enumerate(("alpha", "beta", "gamma")):
        make_run(name, now=1_700_000_000 + 60 * i)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "gamma" in screen_text(app))
        text = screen_text(app)
        assert text.index("gamma") < text.index("beta") < text.index("alpha")
        await pilot.press("slash", *"bet", "enter")
        await settle(pilot, lambda: "1 of 3" in screen_text(app))
        assert "alpha" not in screen_text(app)
        await pilot.press("d")
        await settle(pilot, lambda: "delete this run?" in screen_text(app))
        await pilot.press("n")
        await settle(pilot, lambda: "delete this run?" not in screen_text(app))
        assert len(rundir.all_runs(paths)) == 3
        await pilot.press("d")
        await settle(pilot, lambda: "delete this run?" in screen_text(app))
        await pilot.press("y")
        await settle(pilot, lambda: len(rundir.all_runs(paths)) == 2)
        await settle(pilot, lambda: "u brings it back" in screen_text(app))
        await pilot.press("u")
        await settle(pilot, lambda: len(rundir.all_runs(paths)) == 3)
        await settle(pilot, lambda: "is back" in screen_text(app))
        await pilot.press("d", "y")
        await settle(pilot, lambda: len(rundir.all_runs(paths)) == 2)
        await settle(pilot, lambda: bool(app.desk.removed))
    assert list(paths.trash.iterdir()) == [], "the viewer has ended, so what was deleted is gone"


async def test_a_killed_run_is_listed_as_killed_and_cannot_be_deleted_while_live(make_app, make_run) -> None:
    make_run("dead", status=Status.RUNNING, pid=2**22 + 1, host=rundir.host.host_name(), boot_id=rundir.host.boot_id())
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "† killed" in screen_text(app))


async def test_an_empty_list_says_how_to_get_a_run(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "no runs yet" in screen_text(app))
        assert "mlptui train" in screen_text(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_devices_show_the_processor_and_enter_chooses_it(make_app, paths, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("7")
        await settle(pilot, lambda: "threads" in screen_text(app))
        assert "memory" in screen_text(app)
        await pilot.press("enter")
        await settle(pilot, lambda: "for the next run" in screen_text(app))
        assert app.train_screen.form.recipe is not None and app.train_screen.form.recipe.device == "cpu"
        await settle(pilot, lambda: preferences.read(paths.settings).device == "cpu")
        await pilot.press("enter")
        await settle(pilot, lambda: "for the next run" not in screen_text(app))
        assert app.train_screen.form.recipe.device == "auto"


async def test_help_lists_the_keys_of_the_panel_in_focus(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for area, table in (("4", keys.FORM), ("5", keys.RUNS), ("7", keys.DEVICES)):
            await pilot.press(area)
            await pilot.press("question_mark")
            await settle(pilot, lambda: "escape closes" in screen_text(app))
            for key in table:
                if key not in keys.MOVES:
                    assert key.label in screen_text(app), key
            await pilot.press("escape")
            await settle(pilot, lambda: "escape closes" not in screen_text(app))


async def test_the_palette_knows_every_action_of_the_panel(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        names = [command.title for command in app.get_system_commands(app.screen)]
        for key in [*keys.FORM, *keys.APP]:
            assert any(name.startswith(key.label) for name in names) or key.id == "palette"
        await pilot.press("ctrl+p")
        await settle(pilot, lambda: type(app.screen).__name__ == "CommandPalette")
        await pilot.press("escape")


async def test_keys_are_remapped_from_the_settings_and_shown_so(make_app) -> None:
    app = make_app(keys={"form.start": "f5", "no.such": "z"})
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "no action is called no.such" in screen_text(app))
        app.desk.tell("")
        await settle(pilot, lambda: "f5 starts the run" in screen_text(app))
        app.train_screen.form.state.set("epochs", "0")
        await pilot.press("r")
        await pilot.pause()
        assert app.desk.notice == ""
        await pilot.press("f5")
        await settle(pilot, lambda: "mend what is marked first" in screen_text(app))


def test_no_key_means_two_things_in_one_place() -> None:
    for panel in (keys.FORM, keys.LIVE, keys.RUNS, keys.DEVICES):
        used = [k for key in [*panel, *keys.APP] for k in key.keys.split(",")]
        assert len(used) == len(set(used)), sorted(k for k in used if used.count(k) > 1)
        assert sum(key.footer for key in panel) <= 5
    assert not any(k in ("ctrl+h", "ctrl+i", "ctrl+m", "ctrl+b", "ctrl+a") for t in keys.TABLE.values() for x in t
                   for k in x.keys.split(","))  # fmt: skip


async def test_every_theme_can_be_used_and_an_unknown_one_is_said(make_app, paths) -> None:
    app = make_app(theme="no-such-theme")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "there is no theme" in screen_text(app))
        for theme in app.available_themes:
            app.theme = theme
            await pilot.pause()
            assert "new run" in screen_text(app)
        assert preferences.read(paths.settings).theme == app.theme


@pytest.mark.parametrize("text", ["[/]", "[bold]x", "\x1b[31m", "\u202ex", "a\nb"], ids=range(5))
async def test_hostile_names_in_a_run_are_literal_and_keep_the_app_alive(make_app, make_run, text) -> None:
    make_run("evil", model=text, data=text, reason=text, device=text)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "✓ finished" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "smoothed" in screen_text(app))
        assert "\x1b" not in screen_text(app)


async def test_a_run_whose_folder_vanishes_is_said_so(make_app, make_run) -> None:
    import shutil

    run = make_run("gone")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "✓ finished" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "smoothed" in screen_text(app))
        shutil.rmtree(run.folder)
        await settle(pilot, lambda: "the run's folder is gone" in screen_text(app))


async def test_two_viewers_show_the_same_run(make_app, make_run) -> None:
    make_run("shared")
    for _ in range(2):
        app = make_app()
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("5")
            await settle(pilot, lambda app=app: "✓ finished" in screen_text(app))


async def test_a_thousand_runs_answer_a_key_within_fifty_milliseconds_of_work(make_app, make_run, paths) -> None:
    import shutil

    first = make_run("many", now=1_700_000_000)
    for i in range(999):
        shutil.copytree(first.folder, paths.runs / f"20240101-{i:06}-many-{i:04x}")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "1,000" in screen_text(app))
        canvas = app.runs_screen.canvas
        in_time(20 * 0.05, lambda: [canvas.action_move(1) for _ in range(20)])
        assert canvas.cursor in (20, 40, 60)


async def test_every_action_in_the_table_of_keys_exists_where_its_key_works(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for area, panels in (
            ("1", [keys.DATA, keys.LOOK]),
            ("4", [keys.FORM, keys.LIVE]),
            ("5", [keys.RUNS]),
            ("7", [keys.DEVICES]),
        ):
            await pilot.press(area)
            await pilot.pause()
            places = list(app.screen.walk_children())
            for key in [k for panel in panels for k in panel] + keys.APP:
                where, _, name = key.action.partition("(")[0].rpartition(".")
                nodes = [app.screen] if where == "screen" else [app, *places]
                assert any(hasattr(node, f"action_{name}") for node in nodes), key
        await pilot.press("4", "w")
        await settle(pilot, lambda: "no run is watched yet" in screen_text(app))


async def test_escape_goes_from_the_live_view_to_the_form_and_back(make_app, make_run) -> None:
    make_run("old")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await settle(pilot, lambda: "✓ finished" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "smoothed" in screen_text(app))
        await pilot.press("n")
        await settle(pilot, lambda: "new run" in screen_text(app))
        await pilot.press("w")
        await settle(pilot, lambda: "smoothed" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_a_notice_longer_than_a_row_lies_over_the_last_rows_and_goes_again(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("6")
        await settle(pilot, lambda: app.current_mode == "files")
        panel = app.screen.canvas.size
        words = " ".join(f"word{i}" for i in range(22))
        app.post_message(Noticed(words, bad=True))
        await settle(pilot, lambda: "word21" in screen_text(app) and "word0 " in screen_text(app))
        assert len(screen_text(app).split("\n")) == size[1] and app.screen.canvas.size == panel
        app.post_message(Noticed("short"))
        await settle(pilot, lambda: "short" in screen_text(app) and "word" not in screen_text(app))
        assert "? Help" in screen_text(app).split("\n")[-1]


async def test_a_notice_of_any_length_is_shown_to_its_end(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "new run" in screen_text(app))
        for length in (10, *range(66, 82), 160, 200):
            app.post_message(Noticed("x" * (length - 4) + " end"))
            await settle(pilot, lambda length=length: "x" * min(60, length - 4) + "" in screen_text(app))
            await settle(pilot, lambda: " end" in "\n".join(screen_text(app).split("\n")[-3:]))
            app.desk.tell("")
