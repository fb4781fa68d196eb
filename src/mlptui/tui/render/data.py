"""Area 1, Data: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.tui.render import pictures
from mlptui.tui.render.cells import (
    ACCENT,
    BAD,
    CURSOR,
    CURVE,
    DIM,
    GOOD,
    PLAIN,
    STRONG,
    WARN,
    Glyphs,
    Line,
    Span,
    bar,
    panel,
    wrapped,
)
from mlptui.tui.render.pictures import Sample

STATE, SIZE, NUMBER, FEWEST_BINS = 10, 6, 8, 8
ROOMY = 46
MARKS = "o+x*#@%&"
CLASS_ROLES = (CURVE, WARN, GOOD, BAD, ACCENT)
TITLES = {"pictures": "images", "rows": "rows", "plot": "plot", "facts": "facts", "run": "run"}


@dataclass(frozen=True)
class Going:
    """What is being done to a set, or failed; `share` None where the end is not known."""

    phase: str
    file: str = ""
    done: int = 0
    total: int = 0
    speed: float = 0.0
    left: float | None = None
    mirror: str = ""
    failures: tuple[str, ...] = ()
    error: str = ""

    @property
    def share(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total else None


@dataclass(frozen=True)
class SetRow:
    """One data set in the list. `state` is one of here, partly here, not here, damaged, added."""

    name: str
    state: str
    share: float = 0.0
    size: int = 0
    title: str = ""
    problem: str = ""
    going: Going | None = None
    own: bool = False
    made: bool = False
    stamp: int = 0

    @property
    def usable(self) -> bool:
        return self.state in ("here", "added")


@dataclass(frozen=True)
class Catalog:
    rows: list[SetRow]
    cursor: int = 0
    first: int = 0
    chosen: str = ""
    loaded: bool = True


def state_words(row: SetRow, glyphs: Glyphs) -> Span:
    """A set's state in few cells, with a glyph that says the same."""
    going = row.going
    if going and not going.error:
        share = "" if going.share is None else f" {going.share:.0%}"
        return f"{'>' if glyphs.ascii else '↓'}{share or ' ' + going.phase}", ACCENT
    if row.state == "damaged":
        return "! damaged", BAD
    if going and not row.usable:
        return f"{'x' if glyphs.ascii else '✗'} failed", BAD
    if row.state == "partly here":
        return f"{'~' if glyphs.ascii else '◐'} {row.share:.0%}", WARN
    if row.usable:
        return f"{'+' if glyphs.ascii else '✓'} {row.state}", GOOD
    return f"{'-' if glyphs.ascii else '·'} not here", DIM


def catalog(view: Catalog, cells: int, rows: int, glyphs: Glyphs, focused: bool) -> list[Line]:
    body: list[Line] = []
    name = max(8, cells - 4 - STATE - SIZE - 4)
    for i, row in enumerate(view.rows[view.first : view.first + rows - 2], view.first):
        here = glyphs.point if i == view.cursor else "  "
        words, role = state_words(row, glyphs)
        mark = "*" if row.name == view.chosen else ""
        shown = text.cut(text.safe(row.name, 60), name - len(mark)) + mark
        line = f"{here}{shown:<{name}} {text.cut(words, STATE):<{STATE}} {rough(row.size):>{SIZE}}"
        if i == view.cursor and focused:
            body.append([(line, CURSOR)])
        else:
            strong = STRONG if i == view.cursor else PLAIN
            body.append(
                [(line[: 2 + name + 1], strong), (line[3 + name : 3 + name + STATE], role), (line[3 + name + STATE :], DIM)]
            )
    if not view.loaded:
        body = [[], [("looking at the data folder ...", DIM)]]
    here_now = sum(r.usable for r in view.rows)
    fact: Line = [(f"{here_now} of {len(view.rows)} here" + (", * next run" if cells >= ROOMY else ""), DIM)]
    return panel("data sets", fact, body, (cells, rows), glyphs, focused)


def rough(size: int) -> str:
    """Bytes with two digits in at most six cells: `12 MB`, `2.6 GB`."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.{0 if number >= 9.95 or unit == 'B' else 1}f} {unit}" if size else ""


@dataclass(frozen=True)
class ColumnRow:
    """One column of a table, or one channel: numbers as text, and how the values lie."""

    name: str
    mean: float
    deviation: float
    low: float
    high: float
    missing: int
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class FactSheet:
    """What is known of a set: (label, value) pairs, samples by class for training and test, columns of a table."""

    pairs: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    columns: tuple[ColumnRow, ...] = ()


def facts(sheet: FactSheet, cells: int, glyphs: Glyphs) -> list[Line]:
    body: list[Line] = []
    for label, value in sheet.pairs:
        for i, part in enumerate(wrapped(value, max(10, cells - 11))):
            body.append([(f"{label if i == 0 else '':<11}", DIM), (part, PLAIN)])
    if sheet.train_counts:
        body += [[], *counts(sheet, cells, glyphs)]
    elif sheet.classes:
        body += [[]] + [[(line, DIM)] for line in wrapped("classes: " + ", ".join(sheet.classes), cells)]
    if sheet.columns:
        body += [[], *columns(sheet.columns, cells, glyphs)]
    return body


def counts(sheet: FactSheet, cells: int, glyphs: Glyphs) -> list[Line]:
    """A bar a class, by its training samples; in two columns where they are many and there is room."""
    name = min(16, max(len(c) for c in sheet.classes))
    most = max(*sheet.train_counts, 1)
    wide = max(4, min(30, cells - name - 16))
    lines: list[Line] = [[(f"{'class':<{name}} {'train':>7} {'test':>6}", DIM)]]
    tests = sheet.test_counts or (0,) * len(sheet.classes)
    for label, train, test in zip(sheet.classes, sheet.train_counts, tests, strict=True):
        shown = text.cut(text.safe(label, 60), name)
        drawn = bar(train / most, wide - 1, glyphs)
        lines.append([(f"{shown:<{name}} {train:>7,} {test:>6,} ", PLAIN), (drawn, CURVE)])
    return lines


def columns(rows: tuple[ColumnRow, ...], cells: int, glyphs: Glyphs) -> list[Line]:
    """A line a column of the table: as many of its numbers as there is room for, and a small histogram."""
    name = min(18, max(6, *(len(r.name) for r in rows)), max(6, cells // 4))
    missing = any(r.missing for r in rows)
    room = cells - name - 1 - FEWEST_BINS - (9 if missing else 0)
    heads = ("mean", "deviat.", "least", "most")[: max(1, min(4, room // (NUMBER + 1)))]
    bins = cells - name - 1 - len(heads) * (NUMBER + 1) - (9 if missing else 0)
    head = f"{'column':<{name}}" + "".join(f" {h:>{NUMBER}}" for h in heads) + (f" {'missing':>8}" if missing else "")
    lines: list[Line] = [[(head, DIM)]]
    for row in rows:
        values = (row.mean, row.deviation, row.low, row.high)[: len(heads)]
        line = f"{text.cut(text.safe(row.name, 60), name):<{name}}" + "".join(f" {short(v):>{NUMBER}}" for v in values)
        line += f" {row.missing:>8,}" if missing else ""
        lines.append([(line + " ", PLAIN), (heights(row.histogram, bins, glyphs), CURVE)])
    return lines


def heights(histogram: tuple[int, ...], cells: int, glyphs: Glyphs) -> str:
    """A cell a bin, or two bins a cell where there is not the room."""
    if len(histogram) > cells:
        histogram = tuple(map(sum, zip(histogram[::2], histogram[1::2], strict=True)))
    ramp, most = glyphs.ramp, max(histogram, default=0)
    return "".join(ramp[0 if not n else 1 + round((len(ramp) - 2) * n / most)] for n in histogram) if most else ""


def short(value: float) -> str:
    """Four significant digits, whole numbers in full, fewer digits where they would not fit."""
    if 1e4 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return next(shown for digits in (4, 3, 2, 1) if len(shown := f"{value:.{digits}g}") <= NUMBER or digits == 1)


def going(job: Going, cells: int, glyphs: Glyphs) -> list[Line]:
    """A download or another long work: how far, how fast, from where, and what failed."""
    if job.error:
        first = job.error.partition(". ")[0] if job.failures else job.error  # the reasons follow, a line a mirror
        body: list[Line] = [[(line, BAD)] for line in wrapped(first, cells)]
    else:
        speed = f"  {text.size(job.speed)}/s" if job.speed else ""
        left = f"{text.duration(job.left)} left, " if job.left is not None else ""
        body = [[(job.phase, ACCENT), (f" {text.cut(text.safe(job.file, 80), max(8, cells - len(job.phase) - 2))}", PLAIN)]]
        if job.share is not None:
            side = "|" if glyphs.ascii else "▕"
            other = "|" if glyphs.ascii else "▏"
            body.append([(side, DIM), (bar(job.share, cells - 8, glyphs), GOOD), (other, DIM), (f" {job.share:>4.0%}", PLAIN)])
        of_all = f" of {text.size(job.total)}" if job.total else ""
        body.append([(f"{text.size(job.done)}{of_all}{speed}" if job.done or job.total else "", PLAIN)])
        if job.mirror:
            body.append([(f"{left}from {text.safe(job.mirror, 80)}", DIM)])
    for failure in job.failures[-4:]:
        body += [[("  " + line if i else line, WARN)] for i, line in enumerate(wrapped(failure, cells - 2))]
    return body


@dataclass(frozen=True)
class Plot:
    """Points in the plane by cell: (class, how many) or None, and the bounds of both axes."""

    cells: tuple[tuple[int | None, ...], ...]
    x: tuple[float, float]
    y: tuple[float, float]
    classes: tuple[str, ...]
    names: tuple[str, str] = ("x", "y")


def plot(view: Plot, cells: int, glyphs: Glyphs) -> list[Line]:
    """A mark and a colour for the class that is most frequent in each cell."""
    legend: Line = []
    for i, name in enumerate(view.classes[: len(MARKS)]):
        legend += [(f"{MARKS[i]} {text.safe(name, 20)}  ", CLASS_ROLES[i % len(CLASS_ROLES)])]
    body = [legend] if legend else []
    for y, row in enumerate(view.cells):
        bound = view.y[1] if y == 0 else view.y[0] if y == len(view.cells) - 1 else None
        line: Line = [(f"{short(bound) if bound is not None else '':>7} ", DIM)]
        for place in row:
            line.append((" ", PLAIN) if place is None else (MARKS[place % len(MARKS)], CLASS_ROLES[place % len(CLASS_ROLES)]))
        body.append(line)
    low, high = short(view.x[0]), short(view.x[1])
    body.append([(" " * 8 + low + high.rjust(max(1, len(view.cells[0]) - len(low))), DIM)])
    return body


@dataclass(frozen=True)
class Table:
    """Rows of a table as texts, the target last, with the number of the first one and of the column that comes first."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first: int
    skipped: int = 0


def table(view: Table, cells: int, glyphs: Glyphs, cursor: int, focused: bool) -> list[Line]:
    """As many columns as fit; the target always."""
    target = len(view.names) - 1
    widths = {target: _width(view, target)}
    number = max(3, len(f"{view.first + len(view.rows):,}"))
    room = cells - number - 3 - widths[target]
    shown: list[int] = []
    for i in range(view.skipped, target):
        widths[i] = _width(view, i)
        if room < widths[i] + 1:
            break
        room -= widths[i] + 1
        shown.append(i)
    shown.append(target)
    head = " ".join(text.cut(text.safe(view.names[i], 60), widths[i]).rjust(widths[i]) for i in shown)
    more = "<" * bool(view.skipped) + ">" * (len(shown) > 1 and shown[-2] < len(view.names) - 2)
    lines: list[Line] = [[(f"{'row':>{number}}  {head} {more}", DIM)]]
    for y, row in enumerate(view.rows):
        line = f"{view.first + y:>{number},}  " + " ".join(row[i].rjust(widths[i]) for i in shown)
        lines.append([(line, CURSOR if focused and y == cursor else PLAIN)])
    return lines


def _width(view: Table, column: int) -> int:
    return max(len(view.names[column][:14]), *(len(row[column]) for row in view.rows), 4)


@dataclass(frozen=True)
class Knob:
    """One choice for the next run, as the form has it."""

    label: str
    value: str
    hint: str
    changed: bool


def knobs(rows: list[Knob], cursor: int, cells: int, glyphs: Glyphs, focused: bool) -> list[Line]:
    body: list[Line] = []
    for i, row in enumerate(rows):
        here = i == cursor and focused
        role = CURSOR if here else ACCENT if row.changed else PLAIN
        body.append(
            [(f"{glyphs.point if here else '  '}{row.label:<17}", STRONG if here else DIM), (f"{row.value:<10}", role)]
        )
    if focused and rows:
        body += [[(line, DIM)] for line in wrapped(rows[cursor].hint, cells)[:2]]
    return body


def preview(before: list[Sample], after: list[Sample], size: tuple[int, int], cells: int, glyphs: Glyphs) -> list[Line]:
    """Pictures as they are, and below them as the network gets them."""
    fits = pictures.per_row(cells, size[0])
    return [
        *pictures.grid(before[:fits], -1, size, cells, glyphs, False)[:-1],
        [],
        *pictures.grid(after[:fits], -1, size, cells, glyphs, False)[:-1],
    ]


def views(names: tuple[str, ...], present: str) -> Line:
    """The titles of what the right panel can show, the present one in brackets and in style."""
    line: Line = []
    for name in names:
        title = TITLES[name]
        line.append((f"[{title}]" if name == present else f" {title} ", ACCENT if name == present else DIM))
    return line
