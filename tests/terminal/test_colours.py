"""Without colours nothing is coloured: the terminal's own foreground and background stay."""

import re

import pytest


@pytest.mark.terminal
def test_no_colour_reaches_a_terminal_that_wants_none(terminal) -> None:  # type: ignore[no-untyped-def]
    viewer = terminal(NO_COLOR="1", COLORTERM="truecolor")
    viewer.wait_for("new run")
    viewer.press("1")
    viewer.wait_for("of 6,000")
    codes = {code for found in re.findall(rb"\x1b\[([0-9;]*)m", bytes(viewer.sent)) for code in found.split(b";") if code}
    assert codes <= {b"0", b"1", b"2", b"4", b"7", b"39", b"49"}, sorted(codes)
