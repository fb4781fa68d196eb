"""One sample through a network: statistics, heat map and numbers to lines."""

import math

from mlptui.core import text
from mlptui.core.architecture.place import dotted
from mlptui.core.bench import FlowSheet
from mlptui.tui.render import pictures
from mlptui.tui.render.cells import ACCENT, BAD, DIM, PLAIN, STRONG, Glyphs, Line, columns, wrapped

COLD, HOT, NOTHING = (0x30, 0x80, 0xFF), (0xFF, 0x90, 0x20), (0x14, 0x14, 0x18)


def flow(sheet: FlowSheet | None, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    """One sample through the network: each output's statistics, and the numbers of the layer under the cursor."""
    if sheet is None:
        return [[("running ...", DIM)]]
    lines: list[Line] = [[(text.cut(sheet.what, cells), STRONG)], [("N types numbers, ] is the next sample", DIM)]]
    if sheet.fault:
        lines += [[(line, BAD)] for line in wrapped(sheet.fault.message, cells)]
    here = next((c for c in reversed(sheet.calls) if c.place == sheet.place), None)
    if here is not None:
        lines += [[], [(f"{dotted(here.place) or 'the network'} {here.layer} gives {here.shape}", ACCENT)]]
        if here.mean is not None:
            lines.append(
                [(f"mean {number(here.mean)}  dev {number(here.deviation)}  zeros {text.percent(here.zeros)}", PLAIN)]
            )
            lines.append([(f"from {number(here.lowest)} to {number(here.highest)}", PLAIN)])
        if here.bad:
            lines.append([(f"{here.bad:,} of them nan or infinite", BAD)])
        if sheet.values:
            lines += [[], *_heat(sheet, cells, max(2, rows // 3), glyphs), *_numbers(sheet, cells, max(2, rows // 4))]
    lines += [[], [("layer by layer", DIM)]]
    wide = max(10, cells - 8 - 9 - 9 - 8)
    lines.append([(columns(["", "mean", "dev", "zeros"], [wide, 9, 9, 7], {1, 2, 3}, " "), DIM)])
    for call in sheet.calls:
        name = f"{dotted(call.place[-2:]) or '·'} {call.layer}"
        zeros = "-" if call.zeros is None else f"{call.zeros:.0%}"
        cellwords = [name, number(call.mean), number(call.deviation), zeros]
        role = BAD if call.bad else ACCENT if call.place == sheet.place else PLAIN
        lines.append([(columns(cellwords, [wide, 9, 9, 7], {1, 2, 3}, " "), role)])
    return lines


def number(value: float | None) -> str:
    """Four significant digits, short."""
    if value is None:
        return "-"
    if value and (abs(value) < 0.001 or abs(value) >= 99_999):
        return f"{value:.1e}"
    return f"{value:.4g}"


def _heat(sheet: FlowSheet, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    """Blue below zero, orange above, dark at it; without colours the shade is the size."""
    wide = sheet.columns if 0 < sheet.columns <= cells else cells
    finite = [abs(v) for v in sheet.values if math.isfinite(v)]
    scale = max(1, min(4, cells // wide)) if len(sheet.values) <= wide * rows // 2 else 1
    values = sheet.values[: wide * (rows * 2 // scale)]
    picture = heat_pixels(values, wide, max(finite, default=0.0) or 1.0, scale, glyphs)
    return pictures.lines(picture, glyphs) if picture else []


def heat_pixels(values: tuple[float, ...], wide: int, largest: float, scale: int, glyphs: Glyphs) -> pictures.Pixels:
    """Numbers, `wide` a row, as pixels `scale` times as large; `largest` is the strongest colour."""
    plain = glyphs.ascii or glyphs.colourless
    picture = []
    for start in range(0, len(values), wide):
        part = values[start : start + wide]
        pixels = tuple(_colour(v / largest, plain) for v in part for _ in range(scale))
        picture += [pixels + (0,) * (wide * scale - len(pixels))] * scale
    return tuple(picture)


def _colour(value: float, plain: bool) -> int:
    if math.isnan(value):
        return 0xFF0000
    size = math.pow(min(1.0, abs(value)), 0.7)
    if plain:
        return round(255 * size) * 0x010101
    end = HOT if value > 0 else COLD
    red, green, blue = (round(a + (b - a) * size) for a, b in zip(NOTHING, end, strict=True))
    return red << 16 | green << 8 | blue


def _numbers(sheet: FlowSheet, cells: int, rows: int) -> list[Line]:
    across = max(1, (cells + 1) // 10)
    wide = min(across, sheet.columns or 1)
    lines: list[Line] = []
    for start in range(0, min(len(sheet.values), wide * rows), wide):
        part = sheet.values[start : start + wide]
        lines.append([(" ".join(f"{number(v):>9}" for v in part), PLAIN)])
    shown = min(len(sheet.values), wide * rows)
    if sheet.count > shown:
        lines.append([(f"... {shown:,} of {sheet.count:,} numbers", DIM)])
    return lines
