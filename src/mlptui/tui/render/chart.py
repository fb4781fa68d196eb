"""A curve in braille dots (or ASCII), and a row of block elements."""

import math

from mlptui.core import text
from mlptui.core.series import Bucket, Series
from mlptui.tui.render.cells import BAD, CURVE, DIM, Glyphs, Line

AXIS = 8
# dots of a braille cell, by row from the top, left and right column (Unicode 3.0, block U+2800)
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def curve(series: Series, cells: int, rows: int, glyphs: Glyphs, log: bool = False) -> list[Line]:
    """The series over steps in `rows` lines of `cells` cells, with a value axis left and a step axis below.

    `log` scales the values by their logarithm where all are positive.
    A column shows the mean of its steps, joined to its neighbours; one with a value that is not finite shows `!` below.
    """
    plot_cells, plot_rows = max(4, cells - AXIS), max(1, rows - 1)
    across, down = (plot_cells, plot_rows) if glyphs.ascii else (plot_cells * 2, plot_rows * 4)
    _, found = series.columns(across)
    settled = found[:-1] if len(found) > 8 else found  # the last column still moves, and the axis should not
    means = [b.mean for b in settled if b.finite] or [b.mean for b in found if b.finite]
    if not means:
        lines: list[Line] = [[(" " * cells, "")] for _ in range(plot_rows)]
        if series.last_step:
            lines[plot_rows // 2] = [("no finite loss yet".center(cells), DIM)]
        return [*lines, _steps(series, cells, 0, glyphs)]
    log = log and min(means) > 0
    low, high = (min(means) * 0.98, max(means) * 1.02) if log else _rounded(min(means), max(means))
    picture = _ascii_dots if glyphs.ascii else _braille_dots
    drawn = picture(_spans(found, low, high, down, log), plot_cells, plot_rows)
    gaps = {i * plot_cells // across for i, bucket in enumerate(found) if bucket.gaps}
    corner, tick, side = ("|", "+", "|") if glyphs.ascii else ("│", "┤", "│")
    lines = []
    for i, row in enumerate(drawn):
        named = _short(high) if i == 0 else _short(low) if i == plot_rows - 1 and plot_rows > 1 else ""
        body = row.ljust(plot_cells)
        line: Line = [(f"{named:>{AXIS - 2}}" + (tick if named else side if i else corner) + " ", DIM), (body, CURVE)]
        if gaps and i == plot_rows - 1:
            line = [line[0], *_marked(body, gaps)]
        lines.append(line)
    return [*lines, _steps(series, cells, math.ceil(len(found) * plot_cells / across), glyphs)]


def ramp(values: list[float], cells: int, glyphs: Glyphs) -> str:
    """The last `cells` values as heights, scaled to their own range; NaN and inf as blanks."""
    shown = values[-cells:]
    finite = [v for v in shown if math.isfinite(v)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    steps = glyphs.ramp[1:]
    scale = (len(steps) - 1) / (high - low) if high > low else 0.0
    return "".join(steps[round((v - low) * scale)] if math.isfinite(v) else " " for v in shown)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Bounds on round numbers, so that the axis stands still while the data move a little."""
    if high <= low:
        pad = abs(high) * 0.1 or 1.0
        return low - pad, high + pad
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= 8:
            step *= factor
            break
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _short(value: float) -> str:
    """A bound in at most as many cells as the axis has."""
    return next(text for digits in (3, 2, 1) if len(text := f"{value:.{digits}g}") <= AXIS - 2 or digits == 1)


def _spans(found: list[Bucket], low: float, high: float, down: int, log: bool) -> list[tuple[int, int] | None]:
    """For each column the highest and lowest dot row of its line, counted from the top; None for a gap."""
    if log:
        low, high = math.log(low), math.log(high)
    scale = (down - 1) / (high - low)
    spans: list[tuple[int, int] | None] = []
    before: int | None = None
    for bucket in found:
        if not bucket.finite:
            spans.append(None)
            before = None
            continue
        value = math.log(bucket.mean) if log else bucket.mean
        row = max(0, min(down - 1, round((high - value) * scale)))
        start = row if before is None else before + (row > before) - (row < before)
        spans.append((min(start, row), max(start, row)))
        before = row
    return spans


def _braille_dots(spans: list[tuple[int, int] | None], cells: int, rows: int) -> list[str]:
    grid = [[0] * cells for _ in range(rows)]
    for x, span in enumerate(spans):
        for y in range(span[0], span[1] + 1) if span else ():
            grid[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + code) if code else " " for code in row) for row in grid]


def _ascii_dots(spans: list[tuple[int, int] | None], cells: int, rows: int) -> list[str]:
    grid = [[" "] * cells for _ in range(rows)]
    for x, span in enumerate(spans):
        for y in range(span[0], span[1] + 1) if span else ():
            grid[y][x] = "*"
    return ["".join(row) for row in grid]


def _marked(body: str, gaps: set[int]) -> Line:
    return [("!", BAD) if i in gaps else (c, CURVE) for i, c in enumerate(body)]


def _steps(series: Series, cells: int, plotted: int, glyphs: Glyphs) -> Line:
    """The first step, and the last one below the end of the curve, which takes `plotted` cells."""
    corner = "+ " if glyphs.ascii else "└ "
    left = " " * (AXIS - 2) + corner + "step 1"
    right = f"  {text.count(series.last_step)}" if series.last_step else ""
    return [((left + right.rjust(AXIS + plotted - len(left))).ljust(cells), DIM)]
