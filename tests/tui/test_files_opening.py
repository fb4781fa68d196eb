"""Area 6 beside the list: files of others as trees, load plans, checkpoints onto the bench, with a real bench."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from mlptui.core.parameters.messages import Planned, PlanRow
from mlptui.core.status import Status
from mlptui.engine import codec
from mlptui.store import checkpoints, collection, rundir
from mlptui.store import state as states
from mlptui.tui.dialogs.plan import PlanScreen
from mlptui.tui.messages import PlanAsked, SaveAsked
from mlptui.tui.render import contents, plan
from mlptui.tui.render.cells import Glyphs
from mlptui.tui.screens.files import FilesScreen
from mlptui.tui.widgets.checkpoints import FilesCanvas
from mlptui.tui.widgets.contents import ContentsCanvas

from .conftest import screen_text, settle
from .test_model_screen import notice, press
from .test_params_screen import answered, at_params, rests
from .test_render import HOSTILE, exact

NET = "nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))"
SIZES = [(80, 24), (120, 40)]


def theirs(file: Path, inputs: int = 4, outputs: int = 2) -> nn.Module:
    """A checkpoint as Lightning and torch.compile leave one, with other names."""
    torch.manual_seed(7)
    net = nn.Sequential(nn.Linear(inputs, 3), nn.ReLU(), nn.Linear(3, outputs))
    state = {f"module._orig_mod.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 0.1}}, file)
    return net


async def open_file(pilot, file: Path) -> ContentsCanvas:
    app = pilot.app
    await press(pilot, "6")
    await settle(pilot, lambda: app.current_mode == "files" and app.screen.query_one(FilesCanvas).loaded)
    await press(pilot, "o")
    app.focused.value = str(file)
    await press(pilot, "enter")
    canvas = app.screen.query_one(ContentsCanvas)
    await settle(pilot, lambda: canvas._rows is not None or canvas._problem)
    return canvas


async def test_a_checkpoint_that_was_copied_out_is_opened_by_its_folder(make_app, kept, tmp_path) -> None:
    run = kept()
    place = collection.copy_out(collection.of_run(run)[0], tmp_path)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        canvas = await open_file(pilot, place)
        assert canvas.file == place / codec.MODEL and not canvas._problem
        await settle(pilot, lambda: "4 tensors" in screen_text(app))


async def test_after_a_plan_was_done_area_3_shows_the_network_and_the_plan_tells_its_keys(make_app, tmp_path) -> None:
    file = tmp_path / "theirs.pt"
    theirs(file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NET)
        app.params_screen.look_into(str(file))
        await rests(pilot)
        assert app.params_screen.state.source
        app.post_message(PlanAsked(str(file)))
        await settle(pilot, lambda: isinstance(app.screen, PlanScreen) and app.screen.planned, 60)
        await press(pilot, "question_mark")
        await settle(pilot, lambda: "help: load plan" in screen_text(app) and "Slice" in screen_text(app))
        await press(pilot, "escape", "enter")
        await settle(pilot, lambda: "loaded" in notice(app) and not app.params_screen.state.source, 60)
        await rests(pilot)
        assert app.params_screen.state.rows[0].path == "0.weight"


async def test_what_is_damaged_is_not_shown_as_something_else(make_app, kept) -> None:
    run = kept()
    model = run.checkpoints / checkpoints.name_of(7) / codec.MODEL
    model.write_bytes(model.read_bytes()[:-1])
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NET)
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        await press(pilot, "enter")
        await settle(
            pilot, lambda: "is damaged" in screen_text(app) and "esc goes back to the network" in screen_text(app), 60
        )
        assert app.params_screen.state.rows == [] and "0.weight" not in screen_text(app)
        await press(pilot, "escape")
        await settle(pilot, lambda: len(app.params_screen.state.rows) == 4, 60)


async def test_what_is_saved_or_comes_back_is_under_the_cursor(make_app, kept) -> None:
    kept(steps=(3, 5, 7))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NET)
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        canvas = app.screen.query_one(FilesCanvas)
        await press(pilot, "down", "s", *"mine", "enter")
        await settle(pilot, lambda: canvas.chosen and canvas.chosen.run == "mine", 60)
        await press(pilot, "down", "down", "d", "y")
        await settle(pilot, lambda: len(canvas.all) == 3)
        await press(pilot, "home", "u")
        await settle(pilot, lambda: len(canvas.all) == 4 and canvas.chosen.step == 5)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_file_that_wants_to_run_code_is_a_tree_that_says_so(make_app, tmp_path, size) -> None:
    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return os.system, (f"touch {tmp_path / 'pwned'}",)

    torch.save({"deep": {"w": torch.arange(6).reshape(2, 3)}, "evil": Evil(), "[/x]\x1b[31m": 1}, tmp_path / "evil.pt")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await open_file(pilot, tmp_path / "evil.pt")
        for words in ("wants to call posix.system", "not called: posix.system", "1 tensor, 6 numbers", "[/x]␛[31m"):
            await settle(pilot, lambda words=words: words in screen_text(app))
        await press(pilot, "v")
        await settle(pilot, lambda: "every member is as its checksum says" in screen_text(app))
        await press(pilot, "down", "enter")  # the dictionary closes
        await settle(pilot, lambda: "I64 [2, 3]" not in screen_text(app))
        await press(pilot, "enter", "down", "enter")  # and opens; its tensor is looked at
        await settle(pilot, lambda: app.current_mode == "params" and app.params_screen.state.path == "deep.w", 60)
        await settle(pilot, lambda: "evil.pt" in screen_text(app) and "[2, 3]" in screen_text(app), 60)
        await press(pilot, "6", "escape")
        await settle(pilot, lambda: "no checkpoints yet" in screen_text(app))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_file_is_compared_with_another_one_and_with_a_checkpoint(make_app, kept, tmp_path, size) -> None:
    run = kept()
    before, after = tmp_path / "a [1].pt", tmp_path / "b.safetensors"
    state = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).state_dict()
    torch.save(state, before)
    save_file({**{name: tensor + 1 for name, tensor in state.items()}, "more": torch.ones(3)}, after)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        for other, told in (
            (str(before), "changes from a [1].pt to b.safetensors"),
            (f"{run.id}/last", f"changes from step 7 of {run.id}"),
        ):
            app.screen.show_file(after)
            await settle(pilot, lambda: "more" in screen_text(app))
            await press(pilot, "equals_sign")
            await settle(pilot, lambda: "compare this file" in screen_text(app))
            await answered(pilot, other)
            await settle(pilot, lambda: app.current_mode == "params" and len(app.params_screen.state.numbers) == 4, 60)
            found = app.params_screen.state
            assert found.of.startswith(told) and "1 tensor not in both" in found.of
            if other == str(before):
                assert all(round(found.known(row).largest, 5) == 1 for row in found.rows)
            await press(pilot, "6")
        app.screen.show_file(after)
        await settle(pilot, lambda: "more" in screen_text(app))
        await press(pilot, "equals_sign")
        await settle(pilot, lambda: "compare this file" in screen_text(app))
        app.focused.value = "no such"
        await press(pilot, "enter")
        await settle(pilot, lambda: "no run is called 'no such'" in screen_text(app), 60)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_what_is_no_file_of_tensors_is_refused_with_a_sentence(make_app, tmp_path, size) -> None:
    app = make_app()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    async with app.run_test(size=size) as pilot:
        for name, words in (("notes.txt", "neither safetensors"), ("cut.pt", "cannot be read")):
            canvas = await open_file(pilot, tmp_path / name)
            await settle(pilot, lambda words=words: words.split()[0] in screen_text(app))
            assert words in canvas._problem
            await press(pilot, "enter", "t", "l", "v")
            assert app.is_running and app.current_mode == "files"
            await press(pilot, "escape")
        await open_file(pilot, tmp_path / "objects.npy")
        await settle(pilot, lambda: "wants to call" in screen_text(app))
        await press(pilot, "t")
        await settle(pilot, lambda: "no tensors to look at" in notice(app))
        await press(pilot, "o")
        app.focused.value = str(tmp_path / "nothing")
        await press(pilot, "enter")
        await settle(pilot, lambda: "there is no file" in screen_text(app))


async def test_a_plan_is_seen_changed_done_and_taken_back(make_app, tmp_path) -> None:
    """d2l's chapter on files, with a file of others: prefixes are found, another shape is sliced, u takes all back."""
    net = theirs(tmp_path / "theirs.pt", outputs=5)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, NET)
        await rests(pilot)
        before = app.session.sheet
        digest = app.params_screen.state.listed.digest
        await open_file(pilot, tmp_path / "theirs.pt")
        await press(pilot, "l")
        await settle(pilot, lambda: isinstance(app.screen, PlanScreen) and app.screen.planned is not None, 60)
        screen = app.screen
        assert [(row.target, row.state, row.action) for row in screen.planned.rows] == [
            ("0.weight", "renamed", "load"), ("0.bias", "renamed", "load"),
            ("2.weight", "other shape", "skip"), ("2.bias", "other shape", "skip"),
        ]  # fmt: skip
        assert "state_dict.module._orig_mod.0.weight" in screen_text(app)
        await press(pilot, "s")
        await settle(pilot, lambda: "only tensors of another shape are sliced" in screen_text(app))
        for _ in range(2):
            await press(pilot, "down")
        await press(pilot, "s")
        await settle(pilot, lambda: screen.planned.rows[2].action == "slice", 60)
        assert "the part that both have is taken" in screen_text(app)
        await press(pilot, "up", "space")
        await settle(pilot, lambda: screen.planned.rows[1].action == "skip", 60)
        assert app.session.sheet is before  # a plan changes nothing
        await press(pilot, "enter")
        await settle(pilot, lambda: not isinstance(app.screen, PlanScreen), 60)
        await settle(pilot, lambda: "2 tensors of theirs.pt loaded, 2 kept as they were" in notice(app), 60)
        file = tmp_path / "now.safetensors"
        app.post_message(SaveAsked("mine", "after the plan", lambda: None))
        await settle(pilot, lambda: "saved as mine/" in notice(app), 60)
        entry = collection.find(app.paths, "mine")
        held = codec.weights_of(entry.checkpoint.read(codec.MODEL))
        assert torch.equal(held["0.weight"], net[0].weight) and torch.equal(held["2.weight"], net[2].weight[:2])
        assert entry.about.note == "after the plan" and entry.checkpoint.manifest["architecture"].strip() == NET
        assert not file.exists()
        await press(pilot, "3")
        await rests(pilot)
        assert app.params_screen.state.listed.digest != digest
        await press(pilot, "u")
        await rests(pilot)
        assert app.params_screen.state.listed.digest == digest


async def test_a_tensor_is_mapped_by_hand_and_esc_loads_nothing(make_app, tmp_path) -> None:
    torch.save({"x": torch.ones(3, 4), "y": torch.zeros(3)}, tmp_path / "mydict")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NET)
        await open_file(pilot, tmp_path / "mydict")
        await press(pilot, "l")
        await settle(pilot, lambda: isinstance(app.screen, PlanScreen) and app.screen.planned is not None, 60)
        screen = app.screen
        await press(pilot, "enter")
        await settle(pilot, lambda: "nothing of the file fits" in screen_text(app))
        await press(pilot, "m")
        await answered(pilot, "x")
        await settle(pilot, lambda: screen.planned.rows[0].source == "x" and screen.planned.rows[0].action == "load", 60)
        edited = app.session.sheet.edited
        await press(pilot, "escape")
        await settle(pilot, lambda: not isinstance(app.screen, PlanScreen))
        assert app.session.sheet.edited == edited


@pytest.fixture
def kept(paths):
    """A run with checkpoints of NET, as training leaves it, whose data is the embedded sample."""

    def make(text: str = NET, steps: tuple[int, ...] = (7,)) -> rundir.Run:
        from mlptui.core.recipe import Recipe

        run = rundir.create(paths, Recipe(), "old", "mlp")
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        data = codec.encode_weights(net.state_dict())
        facts = {"run": run.id, "created": time.time(), "architecture": text, "why": "end", "metrics": {"valid_accuracy": 0.5}}
        for step in steps:
            checkpoints.commit(run.checkpoints, step, {codec.MODEL: data, codec.TRAINING: data}, facts)
        states.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1, epoch=1, epochs=1))
        return run

    return make


async def test_a_checkpoint_comes_onto_the_bench_with_its_own_network(make_app, kept) -> None:
    run = kept()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        await press(pilot, "l")
        await settle(pilot, lambda: "is on the bench; 2 network" in notice(app), 60)
        await settle(pilot, lambda: app.form.text("architecture").strip() == NET)
        assert app.session.sheet.drawn is None and not app.session.sheet.edited
        app.post_message(SaveAsked("copy", "", lambda: None))
        await settle(pilot, lambda: "saved as copy/" in notice(app), 60)
        one, other = (collection.find(app.paths, name).checkpoint for name in (run.id, "copy"))
        before, after = (codec.weights_of(made.read(codec.MODEL)) for made in (one, other))
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


async def test_a_checkpoint_of_a_persons_own_code_is_not_run_before_it_was_shown(make_app, kept, tmp_path) -> None:
    code = tmp_path / "nets.py"
    net = "nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom torch import nn\nMLP = lambda: {net}\n")
    kept(f"{code}:MLP")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        await press(pilot, "l")
        await settle(pilot, lambda: all(words in screen_text(app) for words in ("run this code?", "nets.py", "sha256")))
        await press(pilot, "n")
        assert not (tmp_path / "ran").exists()
        await press(pilot, "l")
        await settle(pilot, lambda: "run this code?" in screen_text(app))
        await press(pilot, "y")
        await settle(pilot, lambda: "is on the bench" in notice(app), 60)
        assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("key", "comes", "size"), [("l", "step 5 is on the bench", SIZES[0]), ("t", "step 5 on", SIZES[1])], ids=["load", "judge"]
)
async def test_of_a_damaged_checkpoint_the_newest_whole_one_is_offered_instead(make_app, kept, key, comes, size) -> None:
    run = kept(steps=(3, 5, 7))
    model = run.checkpoints / checkpoints.name_of(7) / codec.MODEL
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await press(pilot, "6")
        await settle(pilot, lambda: len(app.screen.query(FilesCanvas)) and app.screen.query_one(FilesCanvas).rows)
        await press(pilot, key)
        if key == "t":
            await settle(pilot, lambda: "judge old" in screen_text(app))
            await press(pilot, "enter")
        await settle(pilot, lambda: "step 7 is damaged" in screen_text(app) and "leave it" in screen_text(app), 60)
        assert "The newest whole one of this run is step 5." in screen_text(app)
        await press(pilot, "y")
        if key == "t":
            await settle(pilot, lambda: "judge old" in screen_text(app) and "step 5 on" in screen_text(app))
        else:
            await settle(pilot, lambda: comes in notice(app), 60)


async def test_names_that_cannot_be_are_said_before_anything_is_saved(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "6")
        await settle(pilot, lambda: isinstance(app.screen, FilesScreen))
        await press(pilot, "s")
        for name in ("", "../x", "last", "a" * 65, "[/x]"):
            app.focused.value = name
            await press(pilot, "enter")
            await settle(pilot, lambda: "a name has letters" in screen_text(app) or "means another thing" in screen_text(app))
        await press(pilot, "escape")
        assert not app.paths.saved.exists()


async def test_a_run_that_is_over_goes_on_only_with_more_epochs(make_app, make_run) -> None:
    make_run()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "5")
        await settle(pilot, lambda: app.current_mode == "runs" and app.runs_screen.canvas.rows)
        await press(pilot, "c")
        app.focused.value = "1"
        await press(pilot, "enter")
        await settle(pilot, lambda: "a number above the 1" in screen_text(app))
        app.focused.value = "4"
        await press(pilot, "tab")
        for rate in ("-1", "0", "abc", "1e9", "nan"):  # answered where it was typed
            app.focused.value = rate
            await press(pilot, "enter")
            await settle(pilot, lambda: "the learning rate is a number above 0" in screen_text(app))
        app.focused.value = "0.01"
        await press(pilot, "tab")
        for which in ("first", "-1", "[/x]"):
            app.focused.value = which
            await press(pilot, "enter")
            await settle(pilot, lambda: "from: last, best, or the number of a step" in screen_text(app))
        app.focused.value = ""
        await press(pilot, "enter")
        await settle(pilot, lambda: "has no checkpoints" in notice(app))
        assert len(rundir.all_runs(app.paths)) == 1 and app.current_mode == "runs", "what was typed next is for this list"


TEXT = st.sampled_from([*HOSTILE, "", "0.weight", "a" * 300])


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), st.integers(20, 200), st.integers(6, 60), st.booleans())
def test_trees_and_plans_fill_their_panels_exactly(names, cells, rows, ascii_only) -> None:
    glyphs = Glyphs(ascii=ascii_only)
    places = [
        contents.Place((one, other), other, one, i % 2 == 0, (None, True, False)[i % 3])
        for i, (one, other) in enumerate(names)
    ]
    refused = tuple(one for one, _ in names)
    for view in (
        contents.ContentsView("f", "npz", 3, "x", places, refused=refused),
        contents.ContentsView(str(refused), problem=str(refused) or "no"),
        contents.ContentsView("f"),
    ):
        exact(contents.draw(view, cells, rows, glyphs), cells, rows, glyphs)
    made = tuple(
        PlanRow(target=one, source=other, state=state, action=action, target_shape=(3, i), source_shape=(i,), difference=diff)
        for i, (one, other) in enumerate(names)
        for state, action, diff in (("same name", "load", 0.5), ("left over", "skip", None), ("other shape", "slice", 0.0))
    )
    for planned in (None, Planned(of="x", rows=made)):
        exact(plan.draw(plan.PlanView(planned, 1, 0, str(refused)), cells, rows, glyphs), cells, rows, glyphs)


async def test_marked_tensors_are_written_in_any_format_and_read_back(make_app, tmp_path) -> None:
    """d2l's `x2 == x`: a tensor, a dictionary, a whole state_dict."""
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_params(pilot, NET)
        for name, marks, count in (("all.pt", (), 4), ("one.npy", ("space",), 1), ("two.npz", ("down", "space"), 2)):
            await press(pilot, *marks, "w")
            await answered(pilot, str(tmp_path / name))
            words = f"{name}: read back: {count} of {count} tensor"
            await settle(pilot, lambda words=words: words in screen_text(app) and "bit for bit" in screen_text(app), 60)
    state = torch.load(tmp_path / "all.pt", weights_only=True)
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert np.array_equal(np.load(tmp_path / "one.npy"), state["0.weight"].numpy())
    with np.load(tmp_path / "two.npz") as arrays:
        assert sorted(arrays.files) == ["0.weight", "2.weight"]  # space goes on to the next row


async def test_a_list_and_a_dictionary_of_a_file_of_others_are_written_and_read_back(make_app, tmp_path) -> None:
    """d2l's `x-files` and `mydict`: a tensor, a list, a dictionary, from the network or from what is looked at."""
    file = tmp_path / "theirs.pt"
    torch.save([torch.arange(4), {"k": torch.zeros(2)}], file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_params(pilot, NET)
        app.params_screen.look_into(str(file))
        await rests(pilot)
        for name, form in (("list.pt", "list"), ("dict.safetensors", "dictionary")):
            await press(pilot, "w")
            app.focused.value = str(tmp_path / name)
            await press(pilot, "tab")
            await settle(pilot, lambda: app.focused.field.name == "as")  # once the folder was looked at
            for wrong in ("nonsense", "[/x]"):
                app.focused.value = wrong
                await press(pilot, "enter")
                await settle(pilot, lambda: "as: dictionary, list or tensor" in screen_text(app))
            app.focused.value = form
            await press(pilot, "enter")
            await settle(pilot, lambda name=name: f"{name}: read back: 2 of 2 tensors equal" in screen_text(app), 60)
        await press(pilot, "w")
        for name, why in (
            ("x.xyz", "the ending is one of"),
            ("no/such/x.pt", "there is no folder"),
            ("list.pt", "already; choose another name"),
        ):
            app.focused.value = str(tmp_path / name)
            await press(pilot, "enter")
            await settle(pilot, lambda why=why: why in screen_text(app))
        app.focused.value = str(tmp_path / "one.pt")
        await press(pilot, "tab")
        await settle(pilot, lambda: app.focused.field.name == "as")
        await press(pilot, *"tensor", "enter")  # alone: the one under the cursor
        await settle(pilot, lambda: "one.pt: read back: 1 of 1 tensor equal" in screen_text(app), 60)
        await press(pilot, "down", "w")
        app.focused.value = str(tmp_path / "two.npy")
        await press(pilot, "enter")
        await settle(pilot, lambda: "two.npy: read back: 1 of 1 tensor equal" in screen_text(app), 60)
        await press(pilot, "up", "M", "w")
        for name, form, why in (("x.npy", "", "and 2 are marked"), ("x.pt", "tensor", "and 2 are marked")):
            for line, value in zip(app.screen.lines, (str(tmp_path / name), form), strict=True):
                line.value = value
            await press(pilot, "enter")
            await settle(pilot, lambda why=why: why in screen_text(app))
    assert torch.equal(torch.load(tmp_path / "one.pt", weights_only=True), torch.arange(4))
    assert np.array_equal(np.load(tmp_path / "two.npy"), np.zeros(2, np.float32))
    one, other = torch.load(tmp_path / "list.pt", weights_only=True)
    assert torch.equal(one, torch.arange(4)) and torch.equal(other, torch.zeros(2))
    assert sorted(load_file(tmp_path / "dict.safetensors")) == ["0", "1.k"]
