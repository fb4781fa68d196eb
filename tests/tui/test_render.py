"""Views are pure: values in, lines of exactly the asked width and height out, whatever the text in them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.events import Event
from mlptui.core.series import Series
from mlptui.core.status import Status, Verdict
from mlptui.core.text import safe, width
from mlptui.tui.render import bars, chart, devices, form, live, pages, runs
from mlptui.tui.render.cells import Glyphs, Line, fit, length, panel, plain, rule, spread, with_hidden
from mlptui.tui.render.devices import DeviceBlock, DeviceList, Process
from mlptui.tui.render.form import FormRow, FormView
from mlptui.tui.render.live import Picture, Progress
from mlptui.tui.render.runs import RunList, RunRow

GLYPHS = [Glyphs(False), Glyphs(True)]
SIZES = [(80, 24), (80, 21), (120, 40), (160, 45), (40, 12), (20, 8)]
HOSTILE = [
    "plain", "", "[Linear]", "[/]",
    "[/x]", "[bold]x[/bold]", "\x1b[31mred", "\x1b]52;c;ZXZpbA==\x07", "a\nb", "a\rb", "tab\there",
    "\x9b31m", "\u202eevil", "\u2066x\u2069", "\u2028line", "\ud800", "e\u0301\u0301\u0301",
    "漢字漢字", "👩‍👩‍👧‍👦", "\x00", "\x7f", "x" * 5000,
    "\\[", "$(rm -rf)", "{app.exit}", "@click=app.quit",
]  # fmt: skip


def exact(lines: list[Line], cells: int, rows: int, glyphs: Glyphs) -> None:
    assert len(lines) == rows
    for line in lines:
        assert length(line) == cells, (length(line), plain(line))
        text = plain(line)
        assert text.isprintable() or all(c.isprintable() for c in text), repr(text)
        if glyphs.ascii:
            assert text.isascii(), text


def picture(
    text: str = "name", status: Status = Status.RUNNING, steps: int = 100, bad_step: int = 0, **changes: object
) -> Picture:
    series = Series()
    for i in range(1, steps + 1):
        series.add(i, math.nan if i == bad_step else 2.3 / i)
    epoch = Event("epoch", 10, {"epoch": 1, "train_loss": 0.5, "valid_loss": "nan", "train_accuracy": 0.5,
                                "valid_accuracy": None,
                                "samples_per_second": 1e6, "seconds": 0.1}, 1)  # fmt: skip
    events = [
        epoch,
        Event("warning", 3, {"message": text}, 2, 1e9),
        Event("command", 3, {"command": text, "who": text}, 3, 1e9),
    ]
    values = {"step": steps, "steps": 1000, "steps_per_epoch": 100, "epochs": 10, "rate": 0.1, "samples_per_second": 231_000.0,
              "device": text, "doing": text, "checkpoint": text, "newest": 0.4, **changes}  # fmt: skip
    return Picture(
        safe(text), Verdict(status, safe(text), status.live), Progress(**values), series, [1.0, 0.5], [epoch], events
    )


@pytest.mark.parametrize("glyphs", GLYPHS, ids=["unicode", "ascii"])
@pytest.mark.parametrize(("cells", "rows"), SIZES)
@pytest.mark.parametrize("status", list(Status))
def test_the_live_view_fills_its_place_for_every_status(cells: int, rows: int, status: Status, glyphs: Glyphs) -> None:
    exact(live.draw(picture(status=status), cells, rows, glyphs), cells, rows, glyphs)


@pytest.mark.parametrize("glyphs", GLYPHS, ids=["unicode", "ascii"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_in_its_row_in_every_view(text: str, glyphs: Glyphs) -> None:
    for cells, rows in ((80, 21), (160, 42)):
        exact(live.draw(picture(text), cells, rows, glyphs), cells, rows, glyphs)
        exact(live.draw(picture(text, Status.KILLED, trouble=text, note=safe(text)), cells, rows, glyphs), cells, rows, glyphs)
        row = RunRow(text, Status.FAILED, text, text, text, text, 1, 2, 0.5, math.nan, 1.0)
        for filter_ in ("", safe(text, 60)):
            exact(runs.draw(RunList([row], 0, 0, 2.0, filter_, 1), cells, rows, glyphs), cells, rows, glyphs)
        block = DeviceBlock("cuda:0", text, text, 1, 2, 0.5, (Process(1, text, text, None),), text)
        exact(devices.draw(DeviceList((block,), text, 0, text, safe(text, 20)), cells, rows, glyphs), cells, rows, glyphs)
        view = FormView([FormRow("label", text, text, safe(text)), FormRow("other", text, text)], 0, 0, (text,))
        exact(form.draw(view, cells, rows, glyphs), cells, rows, glyphs)
        exact([bars.keys([("x", "Key")], safe(text), True, cells, glyphs)], cells, 1, glyphs)


@given(st.text(max_size=200), st.integers(1, 60))
@settings(derandomize=True, deadline=None, database=None, max_examples=300)
def test_fit_gives_exactly_the_cells_asked_for(text: str, cells: int) -> None:
    assert length(fit([(safe(text), ""), (safe(text[::-1]), "dim")], cells)) == cells
    assert length(spread([(safe(text), "")], [("right", "")], max(cells, 8))) == max(cells, 8)


def test_a_view_says_what_is_going_on() -> None:
    text = "\n".join(plain(line) for line in live.draw(picture("fashion-7f3a"), 80, 21, Glyphs()))
    assert "● running" in text and "newest now" in text
    assert "231,000 samples/s" in text and "lr 0.1" in text
    assert "best 0.0230 at step 100" in text
    assert "epoch 2/10" in text


def test_a_killed_run_names_its_last_good_checkpoint_and_the_key() -> None:
    shown = Picture("x", Verdict(Status.KILLED, "killed (out of memory?)"), Progress(step=70, checkpoint="step-0000000064"),
                    Series(),
                    keys={"resume": "r"})  # fmt: skip
    text = "\n".join(plain(line) for line in live.draw(shown, 160, 40, Glyphs()))
    assert "stopped: killed (out of memory?) at step 70; last good checkpoint step-0000000064; r resumes it" in text


def test_a_value_that_is_not_finite_is_a_gap_with_a_mark() -> None:
    text = [plain(line) for line in live.draw(picture(steps=60, bad_step=30), 80, 24, Glyphs())]
    assert any("! the loss was not finite at step 30" in line for line in text)
    lowest = next(i for i, line in enumerate(text) if "└ step 1" in line) - 1
    assert "!" in text[lowest]


def test_a_disk_that_refuses_is_said_on_the_live_view() -> None:
    shown = live.draw(picture(trouble="the disk is full; training goes on, 12 records are waiting"), 80, 24, Glyphs())
    assert any("storage: the disk is full" in plain(line) for line in shown)


@pytest.mark.parametrize("glyphs", GLYPHS, ids=["unicode", "ascii"])
def test_the_curve_falls_from_top_left_to_bottom_right(glyphs: Glyphs) -> None:
    series = Series()
    series.extend((i, 100.0 - i) for i in range(1, 101))
    lines = [plain(line)[chart.AXIS :] for line in chart.curve(series, 60, 10, glyphs)][:-1]
    columns = [next((y for y, line in enumerate(lines) if line[x : x + 1].strip()), None) for x in range(60)]
    drawn = [y for y in columns if y is not None]
    assert drawn == sorted(drawn) and drawn[0] == 0 and drawn[-1] >= len(lines) - 2


@pytest.mark.parametrize("log", [False, True])
@given(values=st.lists(st.one_of(st.floats(width=32), st.floats(1e-6, 10)), max_size=300))
@settings(derandomize=True, deadline=None, database=None, max_examples=150)
def test_any_series_can_be_drawn(log: bool, values: list[float]) -> None:
    series = Series(capacity=64)
    series.extend(enumerate(values, 1))
    for glyphs in GLYPHS:
        exact([fit(line, 50) for line in chart.curve(series, 50, 6, glyphs, log)], 50, 6, glyphs)


def test_a_standing_axis_lets_only_the_tip_of_the_curve_change() -> None:
    """Bytes to the terminal follow from this: old columns stay as they are while new steps arrive."""
    series = Series()
    series.extend((i, 2.0 + 0.1 * math.sin(i)) for i in range(1, 901))
    before = [plain(line) for line in chart.curve(series, 76, 8, Glyphs())]
    series.extend((i, 2.0 + 0.1 * math.sin(i)) for i in range(901, 941))
    after = [plain(line) for line in chart.curve(series, 76, 8, Glyphs())]
    changed = sum(a != b for one, two in zip(before[:-1], after[:-1], strict=True) for a, b in zip(one, two, strict=True))
    assert 0 < changed < 40


def test_the_recent_row_scales_to_its_own_range() -> None:
    assert chart.ramp([3.0, 2.0, 1.0], 10, Glyphs()) == "█▅▁" or chart.ramp([3.0, 2.0, 1.0], 10, Glyphs()) == "█▄▁"
    assert chart.ramp([1.0, math.nan, 0.0], 10, Glyphs())[1] == " "
    assert chart.ramp([], 10, Glyphs()) == ""


@pytest.mark.parametrize("present", range(1, 8))
def test_all_seven_areas_fit_eighty_columns_and_the_present_one_is_in_brackets(present: int) -> None:
    text = plain(bars.areas(present, 80, Glyphs()))
    assert f"[{present} {bars.AREAS[present - 1]}]" in text
    assert all(f"{i} {name}" in text for i, name in enumerate(bars.AREAS, 1))
    assert width(text) == 80 and "…" not in text


def test_a_panel_in_focus_differs_by_glyph_not_by_colour_alone() -> None:
    for glyphs in GLYPHS:
        quiet, focused = (
            [plain(line) for line in panel("title", [("fact", "")], [[("x", "")], rule("more")], (30, 6), glyphs, f)]
            for f in (False, True)
        )
        assert quiet != focused
        assert "title" in quiet[0] and "fact" in quiet[0] and "more" in quiet[2]


@given(
    st.text(max_size=80) | st.sampled_from(HOSTILE),
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(20, 90),
    st.booleans(),
    st.sampled_from(GLYPHS),
)
@settings(derandomize=True, deadline=None, database=None, max_examples=200)
def test_what_a_list_hides_is_told_in_the_edge_below_it(title, above, below, cells, focused, glyphs) -> None:
    told = [f"{count:,} {where}" for count, where in ((above, "above"), (below, "below")) if count]
    rows = [[(f"row {i}", "")] for i in range(4)]
    for foot in ([], [rule(title, ("fact", "")), [("a detail", "")]]):
        before = panel(title, [], rows + foot, (cells, 6 + len(foot)), glyphs, focused)
        after = with_hidden(before, 5, above, below, glyphs)
        exact(after, cells, 6 + len(foot), glyphs)
        assert [*after[:5], *after[6:]] == [*before[:5], *before[6:]]
        room = cells - len(told) * 15 - (0 if not foot else width(glyphs.text(safe(title))) + 10)
        if told and room > 0:
            assert all(word in plain(after[5]) for word in told)
        if not told:
            assert after == before


def test_help_and_questions_fit_their_boxes() -> None:
    lines, _ = pages.help_page("help", [("here", [("x", "Label", "what " * 50)])], "words", (78, 20), Glyphs())
    exact(lines, 78, 20, Glyphs())
    exact(pages.question("title", "text\nmore", [("y", "yes"), ("n", "no")], 60, Glyphs()), 60, 6, Glyphs())


@given(st.text(max_size=400) | st.sampled_from(HOSTILE), st.booleans(), st.integers(20, 200), st.sampled_from(GLYPHS))
@settings(derandomize=True, deadline=None, database=None, max_examples=200)
def test_a_notice_that_does_not_fit_into_the_last_row_has_lines_of_its_own(notice, bad, cells, glyphs) -> None:
    lines = bars.long_notice(notice, bad, cells, glyphs)
    exact(lines, cells, len(lines), glyphs)
    assert len(lines) <= bars.LONGEST
    if not lines:
        assert glyphs.text(safe(notice)).strip() in plain(bars.keys([], notice, bad, cells, glyphs))


def test_a_long_notice_is_shown_to_its_end() -> None:
    words = " ".join(f"word{i}" for i in range(30))
    lines = [plain(line).strip() for line in bars.long_notice(words, True, 80, Glyphs())]
    assert " ".join(lines) == words and len(lines) == 3


def test_of_a_notice_about_a_very_long_path_the_reason_is_shown() -> None:
    lines = [plain(line) for line in bars.long_notice(f"/tmp/{'a' * 600}.pt: File name too long", True, 80, Glyphs())]
    assert len(lines) == bars.LONGEST
    assert lines[0].startswith(" /tmp/aaa") and lines[-1].rstrip().endswith("aaa.pt: File name too long")
