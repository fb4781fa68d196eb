"""One tensor as lines: its numbers, a heat map, a histogram with theory, singular values, pictures, its gradient by uses."""

import math

from mlptui.core import text
from mlptui.core.parameters.messages import Drawn, Numbers, Previewed, TensorRow, Viewed
from mlptui.core.text import number
from mlptui.tui.render import pictures
from mlptui.tui.render.cells import ACCENT, BAD, CURSOR, CURVE, DIM, GOOD, PLAIN, STRONG, WARN, Glyphs, Line, bar, fit, wrapped
from mlptui.tui.render.flow import heat_pixels
from mlptui.tui.render.parameters import bins, shape, share

WIDE = 9  # cells of a number in the grid, gap included
FACTS = 30


def grid_size(cells: int, rows: int) -> tuple[int, int]:
    """Rows and columns of numbers that have room, facts beside them."""
    beside = FACTS + 2 if cells >= 64 else 0
    return max(1, rows - 1), max(1, (cells - beside - 6) // WIDE)


def draw(
    row: TensorRow,
    known: Numbers | None,
    viewed: Viewed | None,
    show: str,
    cell: tuple[int, int],
    size: tuple[int, int],
    glyphs: Glyphs,
    focused: bool,
    gradient: bool = False,
) -> list[Line]:
    cells, rows = size
    if row.shape is None:
        return [
            [(line, DIM)] for line in wrapped("This tensor has no size yet: ! in area 2 gives lazy layers their sizes.", cells)
        ]
    if viewed is None or viewed.path != row.path or viewed.show != show:
        return [[("...", DIM)], *facts(row, known, cells)]
    if viewed.why:
        return [*([(line, WARN)] for line in wrapped(viewed.why, cells)), [], *facts(row, known, cells)]
    match show:
        case "heat":
            return _heat(viewed, cells, rows, glyphs)
        case "histogram":
            return histogram(viewed.bins, viewed.theory, (viewed.low, viewed.high), cells, rows, glyphs, viewed.drawn)
        case "spectrum":
            return _spectrum(viewed, cells, rows, glyphs)
        case "pictures":
            return _pictures(viewed, cells, rows, glyphs)
        case "uses":
            return _uses(viewed, cells, glyphs)
        case "optimizer":
            return _moments(viewed, cells, glyphs)
    return _values(row, known, viewed, cell, cells, rows, focused, gradient)


def facts(row: TensorRow, known: Numbers | None, cells: int, gradient: bool = False) -> list[Line]:
    """All that a list says of a tensor, for where the list has no room; of its gradient only what that is."""
    if gradient:
        norm = number(known.gradient) if known else "-"
        return [[("gradient", STRONG)], [(f"of {row.path}", PLAIN)], [(shape(row), PLAIN)], [("norm ", DIM), (norm, PLAIN)]]
    lines: list[Line] = [
        [(row.tensor if row.tensor == "tensor" else f"{row.tensor} of {row.layer}", STRONG)],
        [(f"{shape(row)} {row.dtype} {row.device}", PLAIN)],
    ]
    if row.alias_of:
        lines.append([(f"one with {row.alias_of}", ACCENT)])
    if row.listed != "both":
        where = {"state_dict": "in state_dict, not in named_parameters", "": "in no state_dict: not saved, not moved"}
        if not row.alias_of or row.listed == "":
            lines.append([(where.get(row.listed, ""), WARN if row.listed == "" else DIM)])
    if row.tensor == "parameter" and not row.trainable:
        lines.append([("frozen", WARN)])
    if known:
        lines += [
            [("mean ", DIM), (number(known.mean).ljust(9), PLAIN), ("std ", DIM), (number(known.deviation), PLAIN)],
            [("min  ", DIM), (number(known.low).ljust(9), PLAIN), ("max ", DIM), (number(known.high), PLAIN)],
            [("norm ", DIM), (number(known.norm).ljust(9), PLAIN), ("zeros ", DIM), (share(known.zeros), PLAIN)],
        ]
        if known.bad:
            lines.append([(f"{known.bad:,} nan or infinite", BAD)])
        if known.gradient is not None:
            lines.append([("gradient's norm ", DIM), (number(known.gradient), PLAIN)])
        if known.update is not None:
            lines.append([("last step moved it by ", DIM), (f"{known.update:.2%}", PLAIN)])
    if row.drawn:
        lines.append([("drawn ", DIM), (text.cut(row.drawn, max(8, cells - 6)), PLAIN)])
    return lines


def _values(
    row: TensorRow,
    known: Numbers | None,
    viewed: Viewed,
    cell: tuple[int, int],
    cells: int,
    rows: int,
    focused: bool,
    gradient: bool,
) -> list[Line]:
    _, across = grid_size(cells, rows)
    across = max(1, min(across, viewed.columns))
    beside = facts(row, known, FACTS, gradient) if cells >= 64 else []
    first, left, wide = viewed.row, viewed.column, viewed.columns
    if vector := len(row.shape or ()) < 2:  # it goes on in the next line; a line is named by its first number
        first, left, wide = viewed.column // across, 0, across
        cell = divmod(cell[1], across)
    head: Line = [("     ", DIM)]
    for column in range(left, left + across):
        said = f"+{column}" if vector else f"{column}"
        head.append((f"{said:>{WIDE}}", STRONG if focused and column == cell[1] else DIM))
    lines: list[Line] = [head]
    for i in range(0, len(viewed.values), wide):
        at = first + i // wide
        line: Line = [(f"{at * across if vector else at:>5}", STRONG if focused and at == cell[0] else DIM)]
        for j, value in enumerate(viewed.values[i : i + across]):
            here = focused and (at, left + j) == cell
            role = CURSOR if here else BAD if not math.isfinite(value) else PLAIN
            line += [(" ", PLAIN), (f"{number(value):>{WIDE - 1}}", role)]
        lines.append(line)
    if not beside:
        return lines
    beside_it = cells - FACTS - 2
    both = max(len(lines), len(beside))
    lines += [[]] * (both - len(lines))
    beside += [[]] * (both - len(beside))
    return [[*fit(a, beside_it), ("  ", PLAIN), *b] for a, b in zip(lines, beside, strict=True)]


def heat_size(cells: int, rows: int) -> tuple[int, int]:
    """Rows and columns of a heat map that has room."""
    return max(2, (rows - 2) * 2), max(1, cells)


def _heat(viewed: Viewed, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    finite = [abs(v) for v in viewed.values if math.isfinite(v)]
    largest = max(finite, default=0.0) or 1.0
    down = max(1, len(viewed.values) // max(1, viewed.columns))
    block = f"{-(-viewed.height // down):,} x {-(-viewed.width // max(1, viewed.columns)):,}"
    what = "each number" if viewed.whole else f"means of blocks of about {block}"
    scale = max(1, min(4, cells // max(1, viewed.columns), heat_size(cells, rows)[0] // down))
    legend = "blue below 0, orange above" if not (glyphs.ascii or glyphs.colourless) else "the shade is the size"
    if len(finite) < len(viewed.values):
        legend += ", red: nan or infinite"
    head: Line = [(f"{what}; {legend}, strongest {number(max(finite, default=0.0))}", DIM)]
    return [head, *pictures.lines(heat_pixels(viewed.values, viewed.columns, largest, scale, glyphs), glyphs)]


def histogram(
    counts: tuple[int, ...],
    theory: tuple[float, ...],
    ends: tuple[float, float],
    cells: int,
    rows: int,
    glyphs: Glyphs,
    drawn: str,
) -> list[Line]:
    """Bars of counts; where theory says how many there should be, a mark at that height."""
    total = sum(counts) or 1
    wide = max(1, min(6, cells // max(1, len(counts))))
    step = max(1, -(-len(counts) * wide // max(1, cells)))  # bins that share a column where there is too little room
    heights = [sum(counts[i : i + step]) / total for i in range(0, len(counts), step)]
    expected = [sum(theory[i : i + step]) for i in range(0, len(theory), step)]
    most = max([*heights, *expected, 1e-12])
    tall = max(2, rows - 3)
    ramp = glyphs.ramp
    mark = "o" if glyphs.ascii else "•"
    lines: list[Line] = []
    for y in range(tall - 1, -1, -1):
        line: Line = []
        for i, height in enumerate(heights):
            level = height / most * tall
            fill = max(0.0, min(1.0, level - y))
            glyph = ramp[math.ceil(fill * (len(ramp) - 1)) if fill > 0.01 else 0]
            at = min(tall - 1, int(expected[i] / most * tall)) if expected and expected[i] > 0 else -1
            middle = wide // 2
            body = glyph * wide
            if at == y and (wide > 2 or i % 3 == 1):  # here and there, so that the bars behind can be seen
                line += [(body[:middle], CURVE), (mark, WARN), (body[middle + 1 :], CURVE)]
            else:
                line.append((body, CURVE))
        lines.append([span for span in line if span[0]])
    reach = wide * len(heights)
    low, high = number(ends[0]), number(ends[1])
    lines.append([(low + " " * max(1, reach - len(low) - len(high)) + high, DIM)])
    tallest = f"tallest bar {max(counts, default=0):,}"
    if theory:
        told = text.cut(f" what {drawn or 'theory'} gives", max(0, cells - len(tallest) - 4))
        lines.append([(f"{tallest}   "[:cells], DIM), (mark, WARN), (told, DIM)])
    else:
        lines.append([(text.cut(tallest + (f"; drawn {drawn}" if drawn else ""), cells), DIM)])
    return lines


def _spectrum(viewed: Viewed, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    most = min(viewed.height, viewed.width)
    full = "full" if viewed.rank == most else f"of {most:,} possible"
    condition = viewed.high / viewed.low if viewed.low > 0 else math.inf
    lines: list[Line] = [
        [("rank ", DIM), (f"{viewed.rank:,}", GOOD if viewed.rank == most else WARN), (f" {full}", DIM)],
        [("largest ", DIM), (number(viewed.high), PLAIN), ("  smallest ", DIM), (number(viewed.low), PLAIN)],
        [("condition ", DIM), (number(condition) if math.isfinite(condition) else "infinite", PLAIN)],
        [],
    ]
    wide = max(4, cells - 16)
    for i, value in enumerate(viewed.values[: max(1, rows - len(lines) - 1)]):
        lines.append(
            [(f"{i:>4} ", DIM), (bar(value / (viewed.high or 1.0), wide, glyphs), CURVE), (f" {number(value):>9}", PLAIN)]
        )
    rest = viewed.columns - min(len(viewed.values), max(1, rows - 5))
    if rest > 0:
        lines.append([(f"     and {rest:,} smaller ones", DIM)])
    return lines


def picture_count(cells: int, rows: int, size: tuple[int, int]) -> int:
    """Pictures of (height, width) pixels that have room."""
    high, wide = size
    if not wide or not high:
        return 1
    small = shrink(cells, rows, size)
    high, wide = -(-high // small), -(-wide // small)
    return max(1, pictures.per_row(cells, wide) * max(1, (rows - 1) // ((high + 1) // 2 + 1)))


def shrink(cells: int, rows: int, size: tuple[int, int]) -> int:
    """How many pixels along each side become one, so that a whole picture with its number has room."""
    high, wide = size
    small = 1
    while small < max(high, wide) and (-(-wide // small) > cells or (-(-high // small) + 1) // 2 + 1 > rows - 1):
        small += 1
    return small


def _pictures(viewed: Viewed, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    area = viewed.height * viewed.width
    samples = []
    small = shrink(cells, rows, (viewed.height, viewed.width))
    height, width = -(-viewed.height // small), -(-viewed.width // small)
    scale = max(1, min(4, 8 // max(1, width)))
    for i in range(viewed.pictures):
        values = means(viewed.values[i * area : (i + 1) * area], viewed.width, small)
        largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0) or 1.0
        pixels = heat_pixels(values, width, largest, scale, glyphs)
        samples.append(pictures.Sample(viewed.row + i, f"{viewed.row + i}", pixels))
    high, wide = height * scale, width * scale
    last = viewed.row + viewed.pictures - 1
    colours = "the shade is the size" if glyphs.ascii or glyphs.colourless else "orange above 0, blue below"
    many = f"units {viewed.row} to {last} of {viewed.columns:,}"
    means_of = f", means of {small} x {small} pixels" if small > 1 else ", each scaled by itself"
    head: Line = [(text.cut(f"{many}; {colours}{means_of}", cells), DIM)]
    return [head, *pictures.grid(samples, -1, (wide, (high + 1) // 2), cells, glyphs, False)]


def means(values: tuple[float, ...], wide: int, small: int) -> tuple[float, ...]:
    """Rows of `wide` numbers as means of `small` x `small` of them; what is left at the edges are means of fewer."""
    if small == 1:
        return values
    rows = [values[i : i + wide] for i in range(0, len(values), wide)]
    found = []
    for top in range(0, len(rows), small):
        for left in range(0, wide, small):
            block = [v for row in rows[top : top + small] for v in row[left : left + small]]
            found.append(sum(block) / len(block))
    return tuple(found)


def _uses(viewed: Viewed, cells: int, glyphs: Glyphs) -> list[Line]:
    if not viewed.uses:
        return [[("no layer used it in this pass", WARN)]]
    largest = max(use.norm for use in viewed.uses) or 1.0
    lines: list[Line] = [[(f"the gradient of one batch by its uses, on a copy; its norm is {number(viewed.norm)}", DIM)], []]
    wide = max(4, cells - 40)
    lines.append([(f"{'used by':<25}{'':<{wide}} {'norm':>10}", DIM)])
    for use in viewed.uses:
        name = text.cut(f"{use.place or 'the network'}, call {use.call}", 24)
        lines.append(
            [(f"{name:<25}", PLAIN), (bar(use.norm / largest, wide, glyphs), CURVE), (f" {number(use.norm):>10}", PLAIN)]
        )
    exact = viewed.difference <= 1e-5 * max(viewed.norm, 1e-30)
    words = "number by number the parts add up to .grad" if exact else "the parts do not add up to .grad"
    lines += [[], [(f"{words}; largest difference {number(viewed.difference)}", GOOD if exact else BAD)]]
    return lines


def _moments(viewed: Viewed, cells: int, glyphs: Glyphs) -> list[Line]:
    """What the optimiser keeps of the tensor, a line each."""
    lines: list[Line] = [[(text.cut(f"what the optimiser keeps of it: {viewed.drawn}", cells), DIM)], []]
    lines.append([(f"{'':<18}{'mean':>9}{'std':>9}{'min':>9}{'max':>9}{'norm':>9}"[:cells], DIM)])
    for moment in viewed.moments:
        line = f"{text.cut(moment.name, 17):<18}"
        if moment.numbers is None:
            lines.append([(f"{line}{number(moment.value):>9}"[:cells], PLAIN)])
            continue
        n = moment.numbers
        line += "".join(f"{number(v):>9}" for v in (n.mean, n.deviation, n.low, n.high, n.norm))
        picture = bins(n.bins, glyphs)
        lines.append([(line[:cells], PLAIN)] + ([("  " + picture, CURVE)] if len(line) + 2 + len(picture) <= cells else []))
    return lines


def preview(found: Previewed, cells: int, glyphs: Glyphs) -> list[tuple[str, str]]:
    """An initialisation before it happens: drawn against theory, then the deviations through the depth, now and then."""
    lines: list[tuple[str, str]] = []
    for one in found.tensors[:4]:
        lines.append((_drawn(one, glyphs), PLAIN))
    if found.count > 4:
        lines.append((f" and {found.count - 4} more tensors", DIM))
    if found.why:
        lines.append((found.why, WARN))
    if found.depth:
        lines.append((" " + f"{'std by depth':<24}{'outputs now':>12}  {'then':<9}{'gradients now':>14}  then", DIM))
        shown = found.depth if len(found.depth) <= 6 else (*found.depth[:3], *found.depth[-3:])
        for one_ in shown:
            name = text.cut(f"{one_.place} {one_.layer}", 23)
            forward = f"{number(one_.forward[0]):>12}  {number(one_.forward[1]):<9}"
            lines.append((f" {name:<24}{forward}{number(one_.backward[0]):>14}  {number(one_.backward[1]):<9}", PLAIN))
        if len(shown) < len(found.depth):
            lines.append((f" and {len(found.depth) - 6} layers in between", DIM))
    return lines


def _drawn(one: Drawn, glyphs: Glyphs) -> str:
    ramp = glyphs.ramp
    bins = [sum(one.bins[i : i + 4]) for i in range(0, len(one.bins), 4)]
    most = max([*bins, 1])
    picture = "".join(ramp[math.ceil(b / most * (len(ramp) - 1))] for b in bins)
    expected = "" if one.expected_deviation is None else f", theory {number(one.expected_deviation)}"
    return f" {text.cut(one.path, 18):<18} {picture}  mean {number(one.mean):<8} std {number(one.deviation)}{expected}"
