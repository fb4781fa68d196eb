"""Lines of styled cells: what every view is made of. A line is spans of (text, role); roles become styles in the widget."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from mlptui.core.text import ascii_only, cut, safe, width

Span = tuple[str, str]
Line = list[Span]

PLAIN, DIM, STRONG, ACCENT, GOOD, WARN, BAD, CURVE, CURSOR = (
    "", "dim", "strong", "accent", "good", "warn", "bad", "curve", "cursor",
)  # fmt: skip
ROLES = (DIM, STRONG, ACCENT, GOOD, WARN, BAD, CURVE, CURSOR)


SHORTEST_TITLE = 8


@dataclass(frozen=True)
class Glyphs:
    """The characters that views draw with; `ascii` for terminals without UTF-8, `colourless` for those without colours."""

    ascii: bool = False
    colourless: bool = False

    def text(self, text: str) -> str:
        return ascii_only(text) if self.ascii else text

    @property
    def ramp(self) -> str:
        return " .:-=+*#" if self.ascii else " ▁▂▃▄▅▆▇█"

    @property
    def shades(self) -> str:
        """From black to white, for pictures where colours are not to be had."""
        return " .:-=+*#%@" if self.ascii else " ░▒▓█"

    @property
    def eighths(self) -> str:
        return "#" if self.ascii else "▏▎▍▌▋▊▉█"

    @property
    def point(self) -> str:
        return "> " if self.ascii else "› "

    def border(self, focused: bool) -> str:
        """Corners and sides: top left, top, top right, side, bottom left, bottom, bottom right, tee left, tee right."""
        if self.ascii:
            return "+=+|+=+++" if focused else "+-+|+-+++"
        return "┏━┓┃┗━┛┣┫" if focused else "┌─┐│└─┘├┤"

    @property
    def lines(self) -> str:
        """The horizontal ones of a border, in focus and out of it."""
        return self.border(True)[1] + self.border(False)[1]

    @property
    def lower_left(self) -> str:
        """What an edge below a list begins with, in focus and out of it."""
        return "".join(self.border(focused)[i] for focused in (True, False) for i in (4, 7))


def length(line: Line) -> int:
    return sum(width(text) for text, _ in line)


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def fit(line: Line, cells: int) -> Line:
    """The line with exactly `cells` cells: cut with an ellipsis, or filled with blanks."""
    used = length(line)
    if used < cells:
        return [*line, (" " * (cells - used), PLAIN)]
    if used == cells:
        return line
    result: Line = []
    left = cells
    for text, role in line:
        if width(text) < left:
            result.append((text, role))
            left -= width(text)
            continue
        taken = cut(text + " ", left)
        result.append((taken, role))
        left -= width(taken)
        break
    return [*result, (" " * left, PLAIN)] if left > 0 else result


def shown(line: Line, cells: int, glyphs: Glyphs) -> Line:
    """The line as it may reach a terminal: every text made safe, in the glyphs' alphabet, exactly `cells` cells wide."""
    fitted = fit([(glyphs.text(safe(text)), role) for text, role in line], cells)
    return [(text.replace("…", "~"), role) for text, role in fitted] if glyphs.ascii else fitted


def spread(left: Line, right: Line, cells: int) -> Line:
    """`left` and `right` at the two ends; the left gives way where both do not fit."""
    room = cells - length(right)
    return [*fit(left, room - 1), (" ", PLAIN), *right] if room > 1 else fit(left, cells)


def bar(share: float, cells: int, glyphs: Glyphs) -> str:
    """A horizontal bar with eighths of a cell."""
    steps = glyphs.eighths
    filled = max(0.0, min(1.0, share)) * cells
    whole = int(filled)
    rest = int((filled - whole) * len(steps)) if len(steps) > 1 else 0
    return (steps[-1] * whole + (steps[rest - 1] if rest else "")).ljust(cells)


def panel(
    title: str, fact: Line, body: list[Line], size: tuple[int, int], glyphs: Glyphs, focused: bool = False
) -> list[Line]:
    """A bordered panel of (width, height) with a title left and a fact right; a body line that is RULE divides it."""
    cells, rows = size
    corner = glyphs.border(focused)
    role = ACCENT if focused else DIM
    lines = [_edge(corner[0], corner[1], corner[2], title, fact, cells, role, glyphs)]
    for line in [*body[: rows - 2], *[[]] * max(0, rows - 2 - len(body))]:
        if line and line[0][1] == "rule":
            lines.append(_edge(corner[7], corner[1], corner[8], line[0][0], line[1:], cells, role, glyphs))
        else:
            lines.append([(corner[3] + " ", role), *shown(line, cells - 4, glyphs), (" " + corner[3], role)])
    lines.append([(corner[4] + corner[5] * (cells - 2) + corner[6], role)])
    return lines[:rows]


def with_hidden(lines: list[Line], row: int, above: int, below: int, glyphs: Glyphs) -> list[Line]:
    """A panel's lines; its first edge from line `row` on tells how many rows of a list are hidden above and below."""
    told = " · ".join(f"{count:,} {where}" for count, where in ((above, "above"), (below, "below")) if count > 0)
    at = next((y for y in range(row, len(lines)) if plain(lines[y])[:1] in glyphs.lower_left), None)
    if not told or at is None:
        return lines
    mark = f" {glyphs.text(told)} "
    edge = plain(lines[at])
    start = max(edge.rfind(border * (len(mark) + 1)) for border in glyphs.lines)
    if start < 0:
        return lines
    cells = [(character, role) for text, role in lines[at] for character in text]
    cells[start : start + len(mark)] = [(character, DIM) for character in mark]
    grouped = [("".join(c for c, _ in group), role) for role, group in groupby(cells, key=itemgetter(1))]
    return [*lines[:at], grouped, *lines[at + 1 :]]


def rule(title: str = "", *fact: Span) -> Line:
    """A line inside a panel that divides it, with a title and a fact of its own."""
    return [(title, "rule"), *fact]


def _edge(left: str, line: str, right: str, title: str, fact: Line, cells: int, role: str, glyphs: Glyphs) -> Line:
    fact = shown(fact, length(fact), glyphs) if fact else []
    end: Line = ([(" ", PLAIN), *fact, (" ", PLAIN)] if fact else []) + [(line + right, role)]
    beside = cells - length(end) - 4  # the title gives way to the fact, but not to nothing
    named = glyphs.text(cut(safe(title), beside if beside >= SHORTEST_TITLE else max(0, cells - 6)))
    start: Line = [(left, role)] + ([(" " + named + " ", STRONG)] if named else [])
    room = cells - length(start) - length(end)
    if room < 0:
        return [*shown(start, cells - 2, glyphs), (line + right, role)]
    return [*start, (line * room, role), *end]


def columns(cells: list[str], widths: list[int], right: set[int], gap: str = "  ") -> str:
    """Texts in columns of given widths, cut where too long; the columns in `right` aligned right."""
    parts = []
    for i, (text, wide) in enumerate(zip(cells, widths, strict=True)):
        shown = cut(text, wide)
        blank = " " * (wide - width(shown))
        parts.append(blank + shown if i in right else shown + blank)
    return gap.join(parts)


def end_of(path: str, cells: int) -> str:
    """Of a path or a name that is too long the end says more."""
    return path if len(path) <= cells else f"…{path[len(path) - cells + 1 :]}"


def fitted(line: str, cells: int) -> list[str]:
    """A line as it is where it fits, blanks and all; else wrapped."""
    return [line] if width(line) <= cells else wrapped(line, cells)


def wrapped(value: str, cells: int) -> list[str]:
    """Words in lines of at most `cells` cells; longer ones are cut hard."""
    lines = [""]
    words = safe(value, 2000).split(" ")
    for word in [w[i : i + cells] for w in words for i in range(0, max(1, len(w)), max(1, cells))]:
        if lines[-1] and width(lines[-1]) + 1 + width(word) > cells:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
