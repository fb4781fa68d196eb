"""Area 6: the checkpoints of real runs, by keys; and as lines at any size."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.widgets import Input

from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.core.text import safe
from mlptui.engine import codec
from mlptui.store import checkpoints, collection, rundir
from mlptui.store import state as states
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui.dialogs.writing import ExportScreen, WriteScreen
from mlptui.tui.render import files
from mlptui.tui.render.cells import Glyphs
from mlptui.tui.render.files import CheckpointRow, FileList, draw
from mlptui.tui.screens.files import FilesScreen
from mlptui.tui.widgets.checkpoints import FilesCanvas

from .conftest import screen_text, settle
from .test_render import HOSTILE, exact

NET = "nn.Sequential(nn.Linear(3, 2))"
SIZES = [(80, 24), (120, 40)]
UMASK = os.umask(0o022)
os.umask(UMASK)
GLYPHS = [Glyphs(), Glyphs(ascii=True), Glyphs(colourless=True)]


def tensors_of(step: int) -> bytes:
    import safetensors.torch
    import torch

    return safetensors.torch.save({"0.weight": torch.full((2, 3), float(step)), "0.bias": torch.zeros(2)})


@pytest.fixture
def trained(paths: Paths) -> Callable[..., Run]:
    """A run that has ended, with checkpoints of these validation accuracies by step."""

    def make(name: str, accuracies: dict[int, float]) -> Run:
        run = rundir.create(paths, Recipe(), name, "mlp")
        facts = {
            "run": run.id,
            "created": time.time() - 60,
            "architecture": "nn.Sequential(nn.Linear(3, 2))",
            "why": "end of epoch",
        }
        for step, accuracy in accuracies.items():
            data = tensors_of(step)
            measured = {"metrics": {"valid_accuracy": accuracy, "valid_loss": 1 - accuracy}, "epoch": step // 10}
            checkpoints.commit(run.checkpoints, step, {codec.MODEL: data, codec.TRAINING: data}, facts | measured)
        states.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1))
        return run

    return make


@pytest.fixture
def canvas(make_app) -> Callable:
    return lambda app: app.screen.query_one(FilesCanvas)


def shown(app) -> list[int]:
    return [row.step for row in app.screen.query_one(FilesCanvas).rows]


async def files_of(pilot, count: int) -> FilesCanvas:
    await pilot.press("6")
    app = pilot.app
    await settle(pilot, lambda: app.current_mode == "files" and len(app.screen.query_one(FilesCanvas).all) == count)
    return app.screen.query_one(FilesCanvas)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_nothing_yet_says_where_they_come_from(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("6")
        await settle(pilot, lambda: "no checkpoints yet" in screen_text(app))
        for key in ("enter", "p", "e", "v", "V", "c", "d"):
            app.desk.tell("")
            await pilot.press(key)
            await settle(pilot, lambda: "there is no checkpoint here" in screen_text(app))
        await pilot.press("u")
        await settle(pilot, lambda: "nothing to bring back" in screen_text(app))
        assert app.is_running and app.current_mode == "files"


@pytest.mark.parametrize("size", SIZES[:1], ids=str)
async def test_checkpoints_are_pinned_noted_filtered_and_told(make_app, trained, size) -> None:
    run = trained("one", {0: 0.1, 10: 0.9, 20: 0.8})
    trained("two", {5: 0.2, 15: 0.3})
    app = make_app()
    async with app.run_test(size=size) as pilot:
        view = await files_of(pilot, 5)
        text = screen_text(app)
        assert (
            text.count(" best one-") == text.count(" best two-") == 1
            and "nn.Sequential(nn.Linear(3, 2))" in text
            and "90.0 %" in text
        )
        while view.chosen.run != f"one-{run.id[-4:]}" or view.chosen.step != 10:
            await pilot.press("down")
        await pilot.press("p")
        await settle(pilot, lambda: view.chosen.pinned and " pin " in screen_text(app))
        await pilot.press("e")
        await settle(pilot, lambda: "a note on one-" in screen_text(app))
        await pilot.press(*"good [b]", "enter")
        await settle(pilot, lambda: view.chosen.note == "good [b]" and "good [b]" in screen_text(app))
        entry = collection.find(app.paths, f"{run.id}/10")
        assert (entry.about.pinned, entry.about.note) == (True, "good [b]")
        await pilot.press("d")
        await settle(pilot, lambda: "it is pinned" in screen_text(app))
        for words, steps in (("best", [15, 10]), ("pinned", [10]), ("one", [20, 10, 0]), ("good", [10]), ("nothing such", [])):
            await pilot.press("slash")
            await settle(pilot, lambda: "show only" in screen_text(app))
            await pilot.press("ctrl+u", *words, "enter")
            await settle(pilot, lambda steps=steps: sorted(shown(app)) == sorted(steps) and app.screen.is_current)
        assert "no checkpoint matches" in screen_text(app)
        await pilot.press("escape")
        assert len(shown(app)) == 5
        await pilot.press("p")
        # another program's pin is seen without a key
        collection.tell(collection.find(app.paths, f"{run.id}/0"), pinned=True)
        await settle(pilot, lambda: any(row.pinned and row.step == 0 for row in view.all))


def damage(run: Run, step: int, at: int = -1) -> None:
    file = run.checkpoints / checkpoints.name_of(step) / codec.MODEL
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_byte_is_verified_and_of_what_is_damaged_the_newest_whole_one_is_offered(make_app, trained, size) -> None:
    run = trained("one", {0: 0.1, 10: 0.9, 20: 0.8, 30: 0.7})
    damage(run, 30)
    damage(run, 20)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        view = await files_of(pilot, 4)
        await pilot.press("v")
        await settle(pilot, lambda: "is damaged" in screen_text(app) and "leave it" in screen_text(app))
        assert "model.safetensors: bytes 0 to" in screen_text(app) and "of this run is step 10." in screen_text(app)
        await pilot.press("n")
        await settle(pilot, lambda: view.cursor == 0 and " bad " in screen_text(app))
        await pilot.press("slash", *"step-0000000030", "enter")  # a filter that hides the whole one
        await settle(pilot, lambda: shown(app) == [30])
        await pilot.press("v")
        await settle(pilot, lambda: "leave it" in screen_text(app))
        await pilot.press("y")
        await settle(pilot, lambda: view.chosen.step == 10 and len(shown(app)) == 4)
        await pilot.press("V")
        await settle(pilot, lambda: "2 of 4 checkpoints are as they were written; the others say bad" in screen_text(app))
        assert [row.verified == "whole" for row in view.all] == [False, False, True, True]
        assert screen_text(app).count("✓") == 2


async def test_where_no_checkpoint_of_a_run_is_whole_that_is_said(make_app, trained) -> None:
    run = trained("one", {0: 0.1, 10: 0.9})
    trained("two", {5: 0.2})
    damage(run, 0)
    damage(run, 10)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        view = await files_of(pilot, 3)
        view.go_to(f"{run.id}/{checkpoints.name_of(10)}")
        await pilot.press("v")
        await settle(pilot, lambda: "is damaged, and no other of this run is whole" in screen_text(app))


async def test_deleted_ones_come_back_and_are_gone_when_the_viewer_ends(make_app, trained) -> None:
    run = trained("one", {0: 0.1, 10: 0.9, 20: 0.8})
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await files_of(pilot, 3)
        await pilot.press("j", "d")
        await settle(pilot, lambda: "delete this checkpoint?" in screen_text(app) and "best of its run" in screen_text(app))
        await pilot.press("n")
        assert shown(app) == [20, 10, 0]
        await pilot.press("d", "y")
        await settle(pilot, lambda: shown(app) == [20, 0])
        await pilot.press("u")
        await settle(pilot, lambda: shown(app) == [20, 10, 0])
        await pilot.press("home", "d", "y")
        await settle(pilot, lambda: shown(app) == [10, 0])
        (place,) = app.desk.removed_checkpoints
        assert place.is_dir()
    assert not place.exists() and [f.name for f in checkpoints.folders(run.checkpoints)] == [
        "step-0000000000",
        "step-0000000010",
    ]


async def test_one_is_copied_out_and_looked_into(make_app, trained, tmp_path: Path) -> None:
    run = trained("one", {0: 0.1, 10: 0.9})
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await files_of(pilot, 2)
        await pilot.press("c")
        await settle(pilot, lambda: "copy one-" in screen_text(app))
        await pilot.press(*str(tmp_path / "out"), "enter")
        copy = tmp_path / "out" / f"{run.id}-step-0000000010"
        await settle(pilot, copy.exists)
        assert checkpoints.load(copy).read(codec.MODEL) == tensors_of(10)
        await pilot.press("enter")
        await settle(pilot, lambda: app.current_mode == "params" and len(app.params_screen.state.rows) == 2, 60)
        await settle(pilot, lambda: "24.495" in screen_text(app), 60)
        assert f"step 10 of {run.id}" in screen_text(app)
        await pilot.press("6", "j", "enter")  # another one, when the area is there already
        await settle(pilot, lambda: "step 0 of " in screen_text(app), 60)


async def test_one_is_exported_by_its_ending_and_nothing_is_replaced_without_a_yes(make_app, trained, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    trained("one", {0: 0.1, 10: 0.9})
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        view = await files_of(pilot, 2)

        async def export(to: str, form: str = "") -> None:
            await pilot.press("x")
            await settle(pilot, lambda: isinstance(app.screen, ExportScreen))
            for line, value in zip(app.screen.lines, (to, form), strict=True):
                line.value = value
            await pilot.press("enter")

        for to, form, why in (
            ("", "", "the name of a file"),
            ("x.gif", "", "the ending is one of"),
            ("x", "zip", "as: script, tensorboard"),
            (str(tmp_path / "none" / "x.pt"), "", "there is no folder"),
        ):
            await export(to, form)
            await settle(pilot, lambda why=why: why in screen_text(app))
            await pilot.press("escape")
            await settle(pilot, lambda: isinstance(app.screen, FilesScreen))
        file = tmp_path / "one.safetensors"
        await export(str(file))
        await settle(pilot, lambda: "writing one.safetensors" in screen_text(app) and "esc stops" in screen_text(app))
        await settle(pilot, file.exists, 60)
        await settle(pilot, lambda: "2 of 2 tensors equal, bit for bit" in app.desk.notice and not view.exporter.doing)
        assert file.stat().st_mode & 0o777 == 0o666 & ~UMASK
        assert float(load_file(file)["0.weight"][0, 0]) == 10

        file = file.with_suffix(".csv")
        file.write_bytes(b"mine")
        for key, replaced in (("n", False), ("y", True)):
            await export(str(file))
            await settle(pilot, lambda: "is there already" in screen_text(app))
            await pilot.press("enter")  # says neither yes nor no
            assert file.read_bytes() == b"mine"
            await pilot.press(key)
            await settle(pilot, lambda: isinstance(app.screen, FilesScreen) and not view.exporter.doing, 60)
            assert (file.read_bytes() != b"mine") is replaced

        await export(str(tmp_path / "net.pt2"))  # what takes long is stopped, and leaves nothing
        await settle(pilot, lambda: "writing net.pt2" in screen_text(app))
        await pilot.press("escape")
        await settle(pilot, lambda: "the export was stopped" in app.desk.notice, 60)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["home", "one.csv", "one.safetensors"]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_two_steps_are_compared_tensor_by_tensor_the_largest_change_first(make_app, trained, size) -> None:
    run = trained("one", {0: 0.1, 10: 0.9, 20: 0.8})
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await files_of(pilot, 3)
        await pilot.press("equals_sign")
        await settle(pilot, lambda: app.current_mode == "params" and len(app.params_screen.state.rows) == 2, 60)
        state = app.params_screen.state
        await settle(pilot, lambda: state.rows[0].path == "0.weight" and len(state.numbers) == 2, 60)
        assert (state.path, state.sort, state.descending) == ("0.weight", "largest", True)
        weight, bias = (state.known(row) for row in state.rows)
        assert (weight.largest, weight.relative, round(weight.cosine, 12), weight.changed) == (10.0, 1.0, 1.0, 1.0)
        assert (bias.largest, bias.relative, bias.changed) == (0.0, 0.0, 0.0)
        text = screen_text(app)
        assert f"changes from step 10 to 20 of {run.id}" in text and "100 %" in text and "largest▼" in text
        assert "esc Back" in text
        await pilot.press("escape")
        await settle(pilot, lambda: app.current_mode == "files" and isinstance(app.screen, FilesScreen))
        await pilot.press("3")
        await settle(pilot, lambda: not state.source and state.listed is not None and not state.sort, 60)
        assert "largest" not in screen_text(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_steps_of_a_run_are_gone_through_and_tensor_and_view_stay(make_app, trained, size) -> None:
    trained("one", {0: 0.1, 10: 0.9, 20: 0.8, 30: 0.7})
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await files_of(pilot, 4)

        async def looked_at(*pressed: str, told: str) -> None:
            await pilot.press(*pressed)
            state = app.params_screen.state
            await settle(pilot, lambda: state.of.startswith(told) and state.viewed and state.viewed.path == state.path, 60)

        await looked_at("j", "enter", told="step 20 of")
        await pilot.press("j", "v", "v")
        state = app.params_screen.state
        tensor, view = state.path, state.show
        assert view != "values"
        for key, told in (("<", "step 10 of"), ("<", "step 0 of"), (">", "step 10 of"), (">", "step 20 of"), (">", "step 30")):
            await looked_at(key, told=told)
            assert (state.path, state.show) == (tensor, view)
        await pilot.press(">")
        await settle(pilot, lambda: "the last checkpoint of the run" in screen_text(app))
        await pilot.press("6")
        await looked_at("home", "j", "=", told="changes from step 10 to 20 of")
        for key, told in ((">", "changes from step 10 to 30 of"), ("<", "changes from step 10 to 20 of")):
            await looked_at(key, told=told)
        await pilot.press("escape")
        await settle(pilot, lambda: isinstance(app.screen, FilesScreen))
        await pilot.press("3", "<")
        await settle(pilot, lambda: "< and > go through a run's checkpoints" in screen_text(app), 60)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_list_is_sorted_by_any_column_and_what_is_not_known_stands_last(make_app, trained, size) -> None:
    trained("one", {0: 0.1, 10: 0.9, 20: 0.8})
    other = trained("two", {5: 0.3, 15: 0.2})
    (other.checkpoints / checkpoints.name_of(15) / checkpoints.MANIFEST).write_text("{}")  # nothing is known of it
    app = make_app()
    async with app.run_test(size=size) as pilot:
        view = await files_of(pilot, 5)
        view.go_to(f"{other.id}/{checkpoints.name_of(5)}")

        async def by(name: str) -> list[int]:
            await pilot.press("S")
            await settle(pilot, lambda: "sort by (now: " in screen_text(app))
            await pilot.press(*name, "enter")
            await settle(pilot, lambda: isinstance(app.screen, FilesScreen))
            assert view.cursor == 0, "the first ones are what a person sorts for"
            return shown(app)

        usual = shown(app)
        assert await by("valid") == [10, 20, 5, 0, 15] and "valid▼" in screen_text(app)
        assert await by("valid") == [0, 5, 20, 10, 15] and "valid▲" in screen_text(app)
        assert await by("loss") == [10, 20, 5, 0, 15] and "loss▲" in screen_text(app)
        assert await by("step") == [20, 15, 10, 5, 0]
        assert await by("epoch") == [20, 10, 0, 5, 15] or shown(app)[:2] == [20, 10]
        await pilot.press("escape")
        assert shown(app) == usual and view.sort == ""


names_ = st.text(max_size=80) | st.sampled_from(HOSTILE)
rows_ = st.builds(
    CheckpointRow,
    id=names_.map(lambda s: safe(s, 200)), run=names_, step=st.integers(0, 10**10), epoch=st.none() | st.integers(0, 10**6),
    valid=st.none() | st.floats(), loss=st.none() | st.floats(), score=st.sampled_from(["accuracy", "R2"]),
    size=st.integers(0, 10**15), created=st.floats(0, 2e9), best=st.booleans(), pinned=st.booleans(), note=names_,
    problem=st.just("") | names_, why=names_, architecture=names_, folder=names_,
    verified=st.sampled_from(["", "whole", "no\x1b"]),
    files=st.lists(st.tuples(names_, st.integers(0, 10**12), names_), max_size=3).map(tuple),
)  # fmt: skip


@given(st.lists(rows_, max_size=12), st.integers(40, 200), st.integers(8, 50), st.sampled_from(GLYPHS), names_, st.booleans())
@settings(derandomize=True, deadline=None, database=None, max_examples=100)
def test_any_list_can_be_drawn_at_any_size(rows, cells, height, glyphs, filter_, focused) -> None:
    for cursor in {0, max(0, len(rows) - 1)}:
        first = max(0, cursor - files.list_rows(height) + 1)
        view = FileList(rows, cursor, first, time.time(), safe(filter_, 100), len(rows), bool(rows), len(rows))
        exact(draw(view, cells, height, glyphs, focused), cells, height, glyphs)


@pytest.mark.parametrize("to", ["/tmp/" + "a" * 300 + ".pt", "/tmp/" + "a" * 300 + "/x.pt", "/tmp/\0.pt"])
async def test_a_path_that_cannot_be_looked_at_is_a_sentence(make_app, to) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for make in (lambda: ExportScreen("x", True), lambda: WriteScreen(0, 2, "w", {}, "")):
            answers: list[object] = []
            app.push_screen(make(), answers.append)
            await settle(pilot, lambda: isinstance(app.focused, Input))
            app.focused.value = to
            await pilot.press("enter", "enter")
            await settle(pilot, lambda answers=answers: answers or "there is no folder" in screen_text(app))
            if not answers:
                await pilot.press("escape")
            await settle(pilot, lambda: len(app.screen_stack) == 1)
