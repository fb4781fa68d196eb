"""Pixels to cells: two of them, one above the other, in a half block."""

from dataclasses import dataclass

from mlptui.core.text import cut
from mlptui.tui.render.cells import ACCENT, CURSOR, DIM, PLAIN, Glyphs, Line, fit, wrapped

Pixels = tuple[tuple[int, ...], ...]  # rows from the top, each pixel 0xRRGGBB
GAP = 1


@dataclass(frozen=True)
class Sample:
    """One picture as shown: its number in its part, what it is, and its pixels, already at the size wanted."""

    index: int
    label: str
    pixels: Pixels


def lines(pixels: Pixels, glyphs: Glyphs) -> list[Line]:
    """One line for two rows of pixels. Without colours each cell has the shade of its pixels' mean brightness."""
    rows = [*pixels, tuple([0] * len(pixels[0]))] if len(pixels) % 2 else list(pixels)
    half = _shaded if glyphs.ascii or glyphs.colourless else _coloured
    return [half(rows[i], rows[i + 1], glyphs) for i in range(0, len(rows), 2)]


def _coloured(upper: tuple[int, ...], lower: tuple[int, ...], glyphs: Glyphs) -> Line:
    line: Line = []
    for a, b in zip(upper, lower, strict=True):
        role = f"#{a:06x}/#{b:06x}"
        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + "▀", role)
        else:
            line.append(("▀", role))
    return line


def _shaded(upper: tuple[int, ...], lower: tuple[int, ...], glyphs: Glyphs) -> Line:
    shades = glyphs.shades
    light = [(_brightness(a) + _brightness(b)) / 2 for a, b in zip(upper, lower, strict=True)]
    return [("".join(shades[min(len(shades) - 1, int(v / 256 * len(shades)))] for v in light), PLAIN)]


def _brightness(pixel: int) -> float:
    """Luma of an RGB pixel, 0 to 255 (ITU-R BT.601)."""
    return 0.299 * (pixel >> 16) + 0.587 * (pixel >> 8 & 255) + 0.114 * (pixel & 255)


def grid(samples: list[Sample], cursor: int, size: tuple[int, int], cells: int, glyphs: Glyphs, focused: bool) -> list[Line]:
    """Samples of `size` (cells, rows) side by side with their labels below; `cursor` is the place of the chosen one."""
    wide, high = size
    across = per_row(cells, wide)
    body: list[Line] = []
    for first in range(0, len(samples), across):
        row = samples[first : first + across]
        pictures = [lines(s.pixels, glyphs) for s in row]
        for y in range(high):
            line: Line = []
            for picture in pictures:
                shown = picture[y] if y < len(picture) else []
                line += [*([(" " * GAP, PLAIN)] if line else []), *fit(shown, wide)]
            body.append(line)
        labels: Line = []
        for i, sample in enumerate(row, first):
            here = i == cursor and focused
            name = cut((glyphs.point if here else "") + sample.label, wide)
            labels += [*([(" " * GAP, PLAIN)] if labels else []), (name.ljust(wide), CURSOR if here else DIM)]
        body.append(labels)
    return body


def per_row(cells: int, wide: int) -> int:
    return max(1, (cells + GAP) // (wide + GAP))


def enlarged(sample: Sample, facts: list[str], glyphs: Glyphs, cells: int) -> list[Line]:
    """One picture with what is known of it: beside it where there is room, else below."""
    drawn = lines(sample.pixels, glyphs)
    wide = len(sample.pixels[0])
    head: Line = [(sample.label, ACCENT)]
    if cells - wide >= 26:
        told: list[Line] = [head, [], *([(fact, PLAIN)] for fact in facts)]
        rows = max(len(drawn), len(told))
        beside = [*drawn, *[[]] * (rows - len(drawn))]
        told += [[]] * (rows - len(told))
        return [[*fit(a, wide), ("  ", PLAIN), *b] for a, b in zip(beside, told, strict=True)]
    told = [[(line, DIM)] for line in wrapped(", ".join(facts[1:]), cells)]
    return [[(f"{sample.label}  ", ACCENT), ("  ".join(facts[:1]), PLAIN)], *drawn, *told]
