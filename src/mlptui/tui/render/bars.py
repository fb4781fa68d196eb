"""The first two rows and the last one of every screen."""

from mlptui.core.text import safe
from mlptui.tui.render.cells import ACCENT, DIM, PLAIN, STRONG, WARN, Glyphs, Line, end_of, length, shown, spread, wrapped

LONGEST = 4  # lines of a notice
AREAS = ("Data", "Model", "Params", "Train", "Runs", "Files", "Devices")


def areas(present: int, cells: int, glyphs: Glyphs) -> Line:
    """The program's name and its seven areas; the present one (from 1) in brackets and in style."""
    line: Line = [(" mlptui ", STRONG)]
    for i, name in enumerate(AREAS, 1):
        line.append((f"[{i} {name}]" if i == present else f" {i} {name} ", ACCENT if i == present else DIM))
    return shown(line, cells, glyphs)


def workbench(facts: list[str], state: str, cells: int, glyphs: Glyphs) -> Line:
    """What the next run will use, and on the right what goes on."""
    return shown(spread([(" " + safe(" · ".join(facts)), PLAIN)], [(safe(state) + " ", DIM)], cells), cells, glyphs)


def long_notice(notice: str, bad: bool, cells: int, glyphs: Glyphs) -> list[Line]:
    """All of a notice in at most LONGEST lines, where one line with its help at the end is too short for it; else nothing.

    Of one that is longer still its end is kept: there stands why.
    """
    if length([(f" {safe(notice)} ? Help ", PLAIN)]) <= cells:
        return []
    role = WARN if bad else STRONG
    lines = wrapped(safe(notice), max(10, cells - 2))
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 1], end_of(" ".join(lines[LONGEST - 1 :]), max(10, cells - 2))]
    return [shown([(f" {line}", role)], cells, glyphs) for line in lines]


def blank(cells: int) -> Line:
    return [(" " * cells, PLAIN)]


def keys(known: list[tuple[str, str]], notice: str, bad: bool, cells: int, glyphs: Glyphs) -> Line:
    """At most five keys with their labels and help at the end; a notice takes the place of the keys while it is there."""
    right: Line = [("? ", ACCENT), ("Help ", DIM)]
    if notice:
        return shown(spread([(" " + safe(notice), WARN if bad else STRONG)], right, cells), cells, glyphs)
    left: Line = []
    for key, label in known:
        entry: Line = [(f" {glyphs.text(key)} ", ACCENT), (f"{label} ", DIM)]
        if length(left) + length(entry) + length(right) < cells:
            left += entry
    return shown(spread(left, right, cells), cells, glyphs)
