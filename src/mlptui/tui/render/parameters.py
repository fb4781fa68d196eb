"""All tensors of a network as lines."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mlptui.core import text
from mlptui.core.parameters.messages import Numbers, TensorRow
from mlptui.core.text import number
from mlptui.tui.render.cells import ACCENT, CURSOR, DIM, PLAIN, STRONG, WARN, Glyphs, Line, fit, panel, wrapped

LEAST_PATH, MOST_PATH, LANES = 9, 48, 3


@dataclass(frozen=True)
class Table:
    """`first` is the first visible row; `sort` names a column."""

    rows: list[TensorRow]
    known: Callable[[TensorRow], Numbers | None]
    cursor: int
    first: int
    marked: list[str]
    title: str
    fact: str
    sort: str = ""
    descending: bool = False
    empty: tuple[str, ...] = ()
    foot: str = ""
    columns: "tuple[Column, ...]" = ()


def share(value: float | None) -> str:
    return "-" if value is None else "0 %" if value == 0 else "<1 %" if value < 0.01 else f"{value:.0%}".replace("%", " %")


def shape(row: TensorRow) -> str:
    return "?" if row.shape is None else str(list(row.shape))


def kind(row: TensorRow) -> str:
    if row.alias_of:
        return "alias"
    return {"parameter": "param", "plain tensor": "plain", "tensor": "tensor"}.get(row.tensor, "buffer")


def bins(counts: tuple[int, ...], glyphs: Glyphs) -> str:
    ramp = glyphs.ramp
    most = max(counts, default=0)
    return "".join(ramp[math.ceil(c / most * (len(ramp) - 1))] if most else ramp[0] for c in counts)


@dataclass(frozen=True)
class Column:
    """`wide` cells; `name` is what it is sorted by."""

    name: str
    head: str
    wide: int
    right: bool
    cell: Callable[[TensorRow, Numbers | None, Glyphs], str]


def _of(name: str, wide: int, field: Callable[[Numbers], float | None]) -> Column:
    return Column(name, name, wide, True, lambda r, n, g: number(field(n)) if n else "")


def _tick(row: TensorRow, glyphs: Glyphs) -> str:
    if row.tensor != "parameter":
        return ""
    return ("yes" if glyphs.ascii else "✓") if row.trainable else "frozen"


# in the order in which they come as there is room
COLUMNS = (
    Column("shape", "shape", 11, False, lambda r, n, g: shape(r)),
    _of("mean", 8, lambda n: n.mean),
    _of("std", 8, lambda n: n.deviation),
    Column("zeros", "zeros", 6, True, lambda r, n, g: share(n.zeros) if n else ""),
    _of("grad", 8, lambda n: n.gradient),
    Column("learns", "learns", 7, False, lambda r, n, g: _tick(r, g)),
    Column("", "histogram", 12, False, lambda r, n, g: bins(n.bins, g) if n else ""),
    _of("norm", 8, lambda n: n.norm),
    Column("update", "update", 8, True, lambda r, n, g: number(n.update) if n and n.update is not None else ""),
    Column("kind", "kind", 6, False, lambda r, n, g: kind(r)),
    _of("min", 8, lambda n: n.low),
    _of("max", 8, lambda n: n.high),
    Column("count", "count", 11, True, lambda r, n, g: f"{r.count:,}" if r.shape is not None else "?"),
    Column("bad", "nan inf", 8, True, lambda r, n, g: f"{n.bad:,}" if n and n.bad else ""),
    Column("dtype", "dtype", 8, False, lambda r, n, g: r.dtype),
    Column("device", "device", 7, False, lambda r, n, g: r.device),
    Column("drawn", "drawn", 20, False, lambda r, n, g: r.drawn),
)
COMPARED = (
    COLUMNS[0],
    _of("largest", 8, lambda n: n.largest),
    _of("relative", 9, lambda n: n.relative),
    _of("cosine", 8, lambda n: n.cosine),
    Column("changed", "changed", 8, True, lambda r, n, g: share(n.changed) if n else ""),
    *(column for column in COLUMNS if column.name in ("", "mean", "std", "norm", "min", "max", "count", "dtype")),
)
OF_FILES = tuple(column for column in COLUMNS if column.name not in ("grad", "update", "learns", "kind", "device", "drawn"))
ORDER = (
    "shape", "kind", "learns", "count", "mean", "std", "min", "max", "norm", "zeros", "bad", "", "grad", "update", "dtype",
    "device", "drawn",
)  # fmt: skip
SORTS = (
    "path",
    "shape",
    "kind",
    "count",
    "mean",
    "std",
    "min",
    "max",
    "norm",
    "zeros",
    "bad",
    "grad",
    "update",
    "learns",
    "dtype",
    "device",
    "drawn",
)
SORTS_COMPARED = (*(column.name for column in COMPARED[1:] if column.name), "path", "shape")


def chosen_columns(cells: int, rows: list[TensorRow], columns: tuple[Column, ...]) -> tuple[int, list[Column]]:
    """How many cells a path gets, and the columns beside it."""
    wish = max((len(row.path) for row in rows[:200]), default=LEAST_PATH) + 1
    path = max(LEAST_PATH, min(wish, MOST_PATH, cells // 3))
    room, found = cells - path - 3, []
    for column in columns:
        if room < column.wide + 2:
            break
        room -= column.wide + 2
        found.append(column)
    if columns is not COMPARED:
        found.sort(key=lambda c: ORDER.index(c.name))
    return path + max(0, min(room, wish - path)), found


def table(view: Table, cells: int, height: int, glyphs: Glyphs, focused: bool) -> list[Line]:
    inside = cells - 4
    if view.empty:
        lines: list[Line] = [[]]
        for sentence in view.empty:
            lines += [[(line, DIM)] for line in wrapped(sentence, inside)]
        return panel(view.title, [], lines, (cells, height), glyphs, focused)
    visible = height - 3 - (1 if view.foot else 0)
    margins = _margins(view.rows, view.first, view.first + visible, glyphs)
    lanes = len(margins[0]) if margins else 1
    path, columns = chosen_columns(inside - lanes, view.rows, view.columns or COLUMNS)
    arrow = ("v" if view.descending else "^") if glyphs.ascii else ("▼" if view.descending else "▲")
    head: Line = [(" " * (3 + lanes) + _cell("path" + (arrow if view.sort == "path" else ""), path, False), DIM)]
    for column in columns:
        name = column.head + (arrow if column.name and column.name == view.sort else "")
        head.append(
            ("  " + _cell(name, column.wide, column.right), STRONG if column.name and column.name == view.sort else DIM)
        )
    body: list[Line] = [head]
    for i, row in enumerate(view.rows[view.first : view.first + visible], view.first):
        body.append(_row(view, i, row, path, columns, margins[i - view.first], glyphs, focused))
    if view.foot:
        body += [[]] * (height - 3 - len(body))
        body.append([(text.cut(view.foot, inside), DIM)])
    return panel(view.title, [(view.fact, DIM)], body, (cells, height), glyphs, focused)


def _row(
    view: Table, i: int, row: TensorRow, path: int, columns: list[Column], margin: str, glyphs: Glyphs, focused: bool
) -> Line:
    here = i == view.cursor
    mark = " "
    if row.path in view.marked:  # in which order, because the first one's values stay when they are tied
        number = view.marked.index(row.path) + 1
        mark = str(number) if number <= 9 else "*" if glyphs.ascii else "•"
    known = view.known(row)
    line: Line = [
        (glyphs.point if here else "  ", ACCENT if here else PLAIN),
        (mark, WARN),
        (margin, ACCENT),
        (_cell(row.path, path, False), STRONG if here else PLAIN),
    ]
    if row.alias_of:
        rest = sum(c.wide + 2 for c in columns)
        line.append((fit([(f"  {shape(row).ljust(11)}  = {row.alias_of}", DIM)], rest)[0][0], DIM))
    else:
        for column in columns:
            value = column.cell(row, known, glyphs)
            role = (
                WARN
                if (column.name == "bad" and value) or value == "frozen"
                else DIM
                if column.name in ("kind", "drawn")
                else PLAIN
            )
            line.append(("  " + _cell(value, column.wide, column.right), role))
    if here and focused:  # a histogram turned inside out says the opposite
        picture = bins(known.bins, glyphs) if known else ""
        return [(words, PLAIN if picture and words.strip() == picture.strip() else CURSOR) for words, _ in line]
    return line


def _cell(value: str, wide: int, right: bool) -> str:
    shown = text.cut(value, wide)
    blank = " " * (wide - text.width(shown))
    return blank + shown if right else shown + blank


def _margins(rows: list[TensorRow], first: int, last: int, glyphs: Glyphs) -> list[str]:
    """Lines along the rows that are one tensor: where each begins, goes on, meets another name, ends; side by side."""
    begin, middle, through, end = "/+|\\" if glyphs.ascii else "╭├│╰"
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row.alias_of:
            groups.setdefault(row.alias_of, []).append(i)
    at = {row.path: i for i, row in enumerate(rows) if row.path in groups}
    spans = sorted(sorted({*members, *([at[path]] if path in at else [])}) for path, members in groups.items())
    lanes: list[int] = []  # the last row of each
    marks = [[" "] * LANES for _ in range(last - first)]
    for places in spans:
        if len(places) < 2:
            continue
        lane = next((n for n, ended in enumerate(lanes) if ended < places[0]), len(lanes))
        lanes[lane : lane + 1] = [places[-1]]
        lane = min(lane, LANES - 1)  # nobody can follow more lines than that; ends are to be seen all the same
        for i in range(max(first, places[0]), min(last, places[-1] + 1)):
            mark = begin if i == places[0] else end if i == places[-1] else middle if i in places else through
            if marks[i - first][lane] in (" ", through):
                marks[i - first][lane] = mark
    used = min(LANES, max(1, len(lanes)))
    return ["".join(reversed(line[:used])) for line in marks]
