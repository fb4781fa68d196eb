"""What reaches the terminal: only changed cells, the same picture as a full draw, and never faster than the line's rate."""

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from mlptui.tui.terminal import LINE_RATE, Pace
from mlptui.tui.widgets.canvas import changed_spans

WIDTH = 40
CONSOLE = Console(width=WIDTH, force_terminal=True, color_system="standard")
STYLES = [Style(), Style(bold=True), Style(color="red"), Style(dim=True, color="cyan")]

narrow = st.text("ab 01⣇▇│", min_size=1, max_size=12)
wide = st.text("ab漢字0", min_size=1, max_size=8)


def lines(text: st.SearchStrategy[str]) -> st.SearchStrategy[Strip]:
    return st.lists(st.builds(Segment, text, st.sampled_from(STYLES), st.none()), max_size=8).map(
        lambda segments: Strip(segments).adjust_cell_length(WIDTH, Style())
    )


def screen_after(*sent: str) -> list[tuple[str, bool, str]]:
    screen = pyte.Screen(WIDTH, 2)
    stream = pyte.Stream(screen)
    for text in sent:
        stream.feed(text)
    return [(cell.data, cell.bold, cell.fg) for cell in (screen.buffer[0][x] for x in range(WIDTH))]


def update(strip: Strip, spans: list[tuple[int, int]]) -> str:
    return ChopsUpdate([{0: strip}], [(0, a, b) for a, b in spans], [[WIDTH]]).render_segments(CONSOLE)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.one_of(st.tuples(lines(narrow), lines(narrow)), st.tuples(lines(wide), lines(wide))))
def test_changed_spans_lead_from_the_old_picture_to_the_new_one(pair) -> None:
    old, new = pair
    spans = changed_spans(old, new)
    full_old, full_new = (update(strip, [(0, WIDTH)]) for strip in pair)
    assert screen_after(full_old, update(new, spans)) == screen_after(full_new)


@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(lines(wide), st.integers(0, WIDTH - 1))
def test_a_span_that_begins_inside_a_wide_character_does_not_cut_it(strip, start) -> None:
    full = update(strip, [(0, WIDTH)])
    assert screen_after(full, update(strip, [(start, WIDTH)])) == screen_after(full)


def test_one_changed_digit_costs_a_jump_and_that_digit() -> None:
    old, new = (Strip([Segment("│ loss ", STYLES[3]), Segment(digits.ljust(33), STYLES[0])]) for digits in ("0.314", "0.324"))
    (span,) = changed_spans(old, new)
    assert span == (10, 11)
    sent = update(new, [span])
    assert "2" in sent and "loss" not in sent and len(sent) < 20


def test_far_changes_are_two_spans_and_near_ones_one() -> None:
    def strip(*at: int) -> Strip:
        return Strip([Segment("".join("x" if i in at else "." for i in range(WIDTH)))])

    assert changed_spans(strip(), strip(1, 30)) == [(1, 2), (30, 31)]
    assert changed_spans(strip(), strip(1, 9)) == [(1, 10)]
    assert changed_spans(strip(3), strip(3)) == []


def test_no_picture_is_due_before_the_line_has_carried_the_one_before() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    sent, drawn, seconds, picture = 0, 0, 60.0, 3000
    while now[0] < seconds:
        if pace.due(sent):
            sent += picture
            drawn += 1
        now[0] += 0.5
    assert (drawn - 1) * picture <= LINE_RATE * seconds
    assert drawn >= 0.8 * LINE_RATE * seconds / picture


def test_small_pictures_are_always_due() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    for sent in range(0, 50_000, 800):
        assert pace.due(sent)
        now[0] += 0.5
