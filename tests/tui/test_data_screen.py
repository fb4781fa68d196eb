"""Area 1 by its keys: the catalog, what a set holds, getting one, adding one's own, and what the next run does with it."""

import csv
import json
import random
from pathlib import Path

import pytest
from datasets import server as mirrors

from mlptui.datasets import catalog, jobs, library, own
from mlptui.datasets.sources.source import Options
from mlptui.store.paths import Paths

from .conftest import screen_text, settle

SIZES = [(80, 24), (120, 40)]


async def at_data(pilot, *keys: str) -> None:
    """Go to area 1 and wait until the sample's pictures are there."""
    app = pilot.app
    await settle(pilot, lambda: "new run" in screen_text(app))
    await pilot.press("1")
    await settle(pilot, lambda: "of 6,000" in screen_text(app))
    for key in keys:
        await pilot.press(key)


async def to_set(pilot, name: str) -> None:
    app = pilot.app
    app.screen.catalog.point_to(name)
    await settle(pilot, lambda: app.screen.look.one is not None and app.screen.look.one.name == name)


def right(app) -> str:
    """The text of the right panel."""
    return "\n".join(line[38:] for line in screen_text(app).split("\n")[2:-1])


def write_table(path: Path, rows: int = 60) -> Path:
    chance = random.Random(1)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["area", "town", "[/red]\x1b[2Jx", "price"])
        for i in range(rows):
            area = chance.uniform(20, 200)
            writer.writerow([f"{area:.2f}", chance.choice(["Ulm", "Bonn"]), "" if i % 7 == 0 else i, f"{area * 3.3:.3f}"])
    return path


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_set_of_the_catalog_is_listed_with_its_state_and_size(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await at_data(pilot)
        seen = ""
        for _ in range(3):
            seen += screen_text(app)
            await pilot.press("pagedown")
        rows = {row.name: row for row in app.screen.catalog.rows}
        assert set(rows) == set(catalog.ENTRIES)
        assert all(name[:12] in seen for name in rows)
        assert "· not here" in seen and "✓ here" in seen and "562 MB" in seen
        assert all(len(line) == size[0] for line in screen_text(app).split("\n"))


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_pictures_are_paged_filtered_by_class_enlarged_and_of_both_parts(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await at_data(pilot, "space")
        look = app.screen.look
        await settle(pilot, lambda: look.has_focus)
        first = [s.index for s in look._shown.samples]
        assert len(set(first)) == len(first) >= 6 and len({s.label for s in look._shown.samples}) >= 3
        await pilot.press("pagedown")
        await settle(pilot, lambda: f"training: {len(first) + 1} to" in right(app))
        assert not {s.index for s in look._shown.samples} & set(first)
        await pilot.press("right_square_bracket")
        await settle(pilot, lambda: "training, T-shirt/top: 1 to" in right(app))
        assert {s.label for s in look._shown.samples} == {"T-shirt/top"}
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settle(pilot, lambda: "training, ankle boot: 1 to" in right(app))
        await pilot.press("t")
        await settle(pilot, lambda: "test, ankle boot: 1 to" in right(app))
        await pilot.press("right", "enter")
        await settle(pilot, lambda: "deviation" in right(app) and "pixels 0 to" in right(app))
        assert len(look._shown.samples) == 1
        assert f"sample {look._shown.samples[0].index} of test" in right(app)
        await pilot.press("escape", "escape")
        await settle(pilot, lambda: app.screen.catalog.has_focus)


async def test_the_pictures_on_the_screen_are_those_of_the_set(make_app, paths) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot, "space", "enter")
        look = app.screen.look
        await settle(pilot, lambda: look.large and len(look._shown.samples) == 1)
        shown = look._shown.samples[0]
        image = library.load(paths, catalog.SAMPLE).train.inputs[shown.index, 0]
        assert [[p & 255 for p in row] for row in shown.pixels] == image.tolist()


async def test_facts_have_a_bar_for_each_class(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot, "space", "space")
        await settle(pilot, lambda: "[facts]" in right(app))
        await pilot.press("pagedown")
        text = right(app)
        for name in catalog.ENTRIES[catalog.SAMPLE].classes:
            assert name in text
        assert text.count("█") > 50 and "600" in text


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_two_features_are_a_plot_and_rows(make_app, size) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await at_data(pilot)
        await to_set(pilot, "spirals")
        await settle(pilot, lambda: "training: 2,000 points" in right(app))
        text = right(app)
        assert text.count("o") > 20 and text.count("+") > 20
        await pilot.press("space", "space")
        await settle(pilot, lambda: "of 2,000" in right(app) and "class" in right(app))


async def test_a_table_of_ones_own_is_looked_at_added_shown_and_trained(make_app, paths, tmp_path) -> None:
    table = write_table(tmp_path / "houses.csv")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_data(pilot, "a")
        await settle(pilot, lambda: "add your own data" in screen_text(app))
        app.screen.lines[0].value = str(table)
        await pilot.press("enter")
        await settle(pilot, lambda: "a number to predict" in screen_text(app))
        assert "missing values" in screen_text(app) and "add it" in screen_text(app)
        assert not (paths.datasets / "houses").exists()
        await pilot.press("enter")
        await settle(pilot, lambda: getattr(app.screen, "NAME", "") == "Data" and "houses is added" in screen_text(app))
        await settle(pilot, lambda: app.screen.catalog.chosen is not None and app.screen.catalog.chosen.name == "houses")
        await pilot.press("d")
        await settle(pilot, lambda: "of 48" in right(app))
        text = screen_text(app)
        assert "area" in text and "town=Ulm" in text and "\x1b" not in text
        await pilot.press("enter")
        await settle(pilot, lambda: "houses" in screen_text(app).split("\n")[1])
        recipe = app.form.check()[0]
        assert recipe is not None and recipe.loss == "mse" and recipe.data.name == "houses"
        assert recipe.architecture.endswith("nn.Linear(256, 1))")


async def test_a_look_that_fails_says_why_and_adds_nothing(make_app, paths, tmp_path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n1,2,3\n")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot, "a")
        await settle(pilot, lambda: "add your own data" in screen_text(app))
        app.screen.lines[0].value = str(tmp_path / "bad.csv")
        await pilot.press("enter")
        await settle(pilot, lambda: "line 3" in screen_text(app))
        await pilot.press("escape")
        await settle(pilot, lambda: getattr(app.screen, "NAME", "") == "Data")
        assert catalog.names(paths) == list(catalog.ENTRIES)


async def test_what_the_network_sees_follows_the_knobs_and_the_epoch(make_app) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_data(pilot, "space", "space", "space")
        look = app.screen.look
        await settle(pilot, lambda: "[run]" in right(app) and len(look._shown.samples) > 1)
        before = [s.pixels for s in look._shown.after]
        assert before == [s.pixels for s in look._shown.samples]
        await pilot.press("down", "down", "right", "right")
        await settle(pilot, lambda: app.form.text("data.shift") == "2")
        await settle(pilot, lambda: [s.pixels for s in look._shown.after] != before)
        moved = [s.pixels for s in look._shown.after]
        await pilot.press("r")
        await settle(pilot, lambda: [s.pixels for s in look._shown.after] not in (before, moved))
        recipe = app.form.check()[0]
        assert recipe is not None and recipe.data.shift == 2


async def test_a_download_is_cancelled_goes_on_is_verified_and_deleted(make_app, make_run, paths, fashion_mirror) -> None:
    big = "/fashion-mnist/train-images-idx3-ubyte.gz"
    fashion_mirror.script(big, mirrors.drip(200_000, 0.05))
    app = make_app(mirror=fashion_mirror.address)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot)
        await to_set(pilot, "fashion-mnist")
        await pilot.press("enter")
        await settle(pilot, lambda: "d downloads it" in screen_text(app))
        await pilot.press("d")
        await settle(pilot, lambda: "downloading" in right(app) and "MB/s" in right(app) and "127.0.0.1" in right(app))
        await pilot.press("c")
        await settle(pilot, lambda: "◐" in screen_text(app), 5)
        part = paths.datasets / ".downloads" / "fashion-mnist" / "train-images-idx3-ubyte.gz.part"
        reached = part.stat().st_size
        assert reached > 0
        await pilot.press("d")
        await settle(pilot, lambda: "of 60,000" in right(app), 60)
        assert fashion_mirror.starts(big) == [0, reached]
        assert not (paths.datasets / ".downloads" / "fashion-mnist").exists()
        await settle(pilot, lambda: not app.screen._going)  # a set is there a moment before its job has ended
        await pilot.press("v")
        await settle(pilot, lambda: "every byte was compared" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: screen_text(app).split("\n")[1].startswith(" fashion-mnist ·"))
        run = make_run(data="fashion-mnist")
        await pilot.press("x")
        await settle(pilot, lambda: "delete this data set?" in screen_text(app))
        assert run.id in screen_text(app)
        await pilot.press("y")
        await settle(pilot, lambda: "the next run trains on fashion-mnist-sample" in screen_text(app))
        assert not catalog.is_here(paths, "fashion-mnist")
        assert app.form.text("data.name") == catalog.SAMPLE


async def test_knobs_of_pictures_do_not_block_a_table(make_app, paths, tmp_path) -> None:
    small_set(paths, tmp_path)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot, "space", "space", "space", *["down"] * 4, "right")
        await settle(pilot, lambda: app.form.text("data.crop") != "0.0")
        await pilot.press("escape")
        await to_set(pilot, "houses")
        await settle(pilot, lambda: "[run]" in right(app) and "validation share" in right(app))
        assert "crop" not in right(app)
        await pilot.press("enter")
        await settle(pilot, lambda: app.form.text("data.name") == "houses")
        recipe, errors, problems = app.form.check()
        assert recipe is not None and recipe.data.crop == 0 and not errors and not problems
        await pilot.press("up", "enter")
        app.form.set("data.name", catalog.SAMPLE)
        recipe, _, _ = app.form.check()
        assert recipe is not None and recipe.data.crop > 0


async def test_choosing_a_set_leads_to_the_form_although_a_run_was_watched(make_app, make_run) -> None:
    run = make_run()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "new run" in screen_text(app))
        app.train_screen.watch_run(run)
        await settle(pilot, lambda: "✓ finished" in screen_text(app) and "New run" in screen_text(app).split("\n")[-1])
        await pilot.press("1")
        await settle(pilot, lambda: "of 6,000" in screen_text(app))
        await to_set(pilot, "xor")
        await pilot.press("enter", "4")
        await settle(pilot, lambda: "new run" in screen_text(app) and "xor" in screen_text(app).split("\n")[1])


async def test_a_download_that_fails_has_a_line_a_mirror_and_keeps_what_came(make_app, paths, tmp_path) -> None:
    with mirrors.Server(tmp_path) as server:
        app = make_app(mirror=server.address)
        async with app.run_test(size=(80, 24)) as pilot:
            await at_data(pilot)
            await to_set(pilot, "mnist")
            await pilot.press("d")
            await settle(pilot, lambda: "✗ failed" in screen_text(app), 30)
            assert "404" in right(app) and "d tries again" in right(app)
            await pilot.press("escape")
            await settle(pilot, lambda: "✗ failed" not in screen_text(app))


async def test_no_connection_is_made_by_looking(make_app, monkeypatch, tmp_path) -> None:
    with mirrors.Server(tmp_path) as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, server.address)
        app = make_app()
        async with app.run_test(size=(80, 24)) as pilot:
            await at_data(pilot)
            for name in catalog.ENTRIES:
                await to_set(pilot, name)
            await pilot.press("space", "space", "space")
        assert server.requests == []


def small_set(paths: Paths, tmp_path: Path, name: str = "houses") -> None:
    own.add(paths, name, write_table(tmp_path / f"{name}.csv"), Options(), copy=True)


async def test_a_damaged_set_is_marked_and_is_not_trained_on(make_app, paths, tmp_path) -> None:
    small_set(paths, tmp_path)
    place = paths.datasets / "houses" / "train-inputs.npy"
    place.write_bytes(place.read_bytes()[:-1] + b"\x7f")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot)
        await to_set(pilot, "houses")
        await pilot.press("v")
        await settle(pilot, lambda: "! damaged" in screen_text(app) or "✗ failed" in screen_text(app))
        await settle(pilot, lambda: "train-inputs.npy changed" in " ".join(right(app).split()))
        await pilot.press("escape")
        await settle(pilot, lambda: "! damaged" in screen_text(app))
        await pilot.press("enter")
        await settle(pilot, lambda: "damaged" in screen_text(app).split("\n")[-1])
        assert app.form.text("data.name") == catalog.SAMPLE


async def test_foreign_text_is_shown_as_text(make_app, paths, tmp_path) -> None:
    small_set(paths, tmp_path)
    page = jobs._page(paths, "mnist")
    page.parent.mkdir(parents=True, exist_ok=True)
    hostile = "[/red]\x1b[2J\u202e" * 20
    page.write_text(json.dumps({"name": "mnist", "action": "download", "error": hostile, "failures": [hostile], "ended": 1.0}))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot)
        await to_set(pilot, "houses")
        await settle(pilot, lambda: "of 48" in right(app))
        await pilot.press("space", "space")
        assert "\x1b" not in screen_text(app)
        await pilot.press("escape")
        await to_set(pilot, "mnist")
        await settle(pilot, lambda: "[/red]" in right(app))
        assert "\x1b" not in screen_text(app) and "\u202e" not in screen_text(app)
        assert all(len(line) == 80 for line in screen_text(app).split("\n"))


@pytest.mark.parametrize("colours", [{"ascii_only": True}, {}], ids=["ascii", "plain"])
async def test_pictures_have_shades_without_colours(make_app, monkeypatch, colours) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(**colours)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_data(pilot)
        text = right(app)
        assert "▀" not in text
        assert len(set(text) & set("@%#*+=" if colours else "░▒▓█")) >= 3
