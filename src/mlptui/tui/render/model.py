"""The network as a tree, and what stands beside it: values to lines."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mlptui.core import text
from mlptui.core.architecture.place import dotted
from mlptui.core.bench import Compared, Detail, Fault, Passed, Report, Row, Shapes, Sheet
from mlptui.tui.render.cells import (
    ACCENT,
    BAD,
    CURSOR,
    DIM,
    GOOD,
    PLAIN,
    STRONG,
    WARN,
    Glyphs,
    Line,
    bar,
    columns,
    fit,
    length,
    panel,
    spread,
    wrapped,
)  # fmt: skip

MARKUP = re.compile(r":\w+(?::\w+)*:`([^`<]*)[^`]*`")
INDENT, SHORTEST = 2, 16  # cells of a level, and those that a name has at least
NARROWEST = 16  # cells inside of a panel below which nothing can be told
SHARE = 8
VIEWS = ("layer", "source", "flow", "doctor", "text", "compare")


class TreeRow(NamedTuple):
    """One visible place. `open` is None for a leaf; `findings` are the doctor's here; `idle`: the probe never called it."""

    row: Row
    passed: Passed | None
    open: bool | None
    marked: bool = False
    fault: bool = False
    findings: int = 0
    idle: bool = False


@dataclass(frozen=True)
class Widths:
    """Cells that the widest name, output and number of parameters take."""

    name: int = 26
    output: int = 6
    params: int = 6


def widths(rows: list[TreeRow]) -> Widths:
    """An estimate that costs little for 10,000 rows: the first row has the largest number."""
    return Widths(
        max((INDENT * min(len(r.row.place), 8) + len(r.row.layer) + len(r.row.arguments) + 10 for r in rows), default=26),
        max((len(shape(words)) for words in {r.passed.output for r in rows if r.passed}), default=6),
        len(rows[0].row.amount) if rows else 6,
    )


@dataclass(frozen=True)
class TreeView:
    rows: list[TreeRow]
    cursor: int
    first: int
    total: int
    fact: Line
    title: str = "network"
    empty: tuple[str, ...] = ()
    breadcrumb: str = ""
    input: str = ""
    widths: Widths = Widths()


def rough(number: int) -> str:
    """Large counts with three digits: `406 k`, `1.81 G`."""
    if number < 100_000:
        return f"{number:,}"
    value = float(number)
    for unit in ("k", "M", "G", "T"):
        value /= 1000
        if value < 999.5 or unit == "T":
            break
    return f"{value:.0f} {unit}" if value >= 99.5 else f"{value:.3g} {unit}"


def shape(words: str) -> str:
    return words.replace(", ", ",")


def tree(view: TreeView, cells: int, rows: int, glyphs: Glyphs, focused: bool) -> list[Line]:
    """The tree; the wider it is, the more columns it has."""
    inner = cells - 4
    if inner < NARROWEST:
        return panel("", [], [], (cells, rows), glyphs, focused)
    if view.empty:
        body: list[Line] = [[], *([(line, PLAIN)] for part in view.empty for line in (wrapped(part, inner) if part else [""]))]
        return panel(view.title, view.fact, body, (cells, rows), glyphs, focused)
    kinds = _columns(view, inner)
    head: Line = [(f"{'layer':<{inner - sum(w + 2 for _, w in kinds)}}", DIM)]
    for name, wide in kinds:
        head.append(("  " + (f"{name:<{wide}}" if name in LEFT else f"{name:>{wide}}"), DIM))
    body = [head]
    visible = rows - 4
    for i, row in enumerate(view.rows[view.first : view.first + visible], view.first):
        body.append(_row(row, view.total, kinds, inner, i == view.cursor, glyphs))
    body += [[]] * (visible + 1 - len(body))
    room = max(inner // 3, inner - text.width(view.breadcrumb) - 2)  # the input gives way to where one is, but not wholly
    body.append(spread([(view.breadcrumb, DIM)], [(text.cut(view.input, room), DIM)], inner))
    return panel(view.title, view.fact, body, (cells, rows), glyphs, focused)


LEFT = ("share", "output", "dtype")


def _columns(view: TreeView, inner: int) -> list[tuple[str, int]]:
    """Which columns there is room for beside the names, and how wide they are."""
    kinds = [("params", min(max(6, view.widths.params), inner // 2))]
    room = inner - SHORTEST - kinds[0][1] - 2
    output = max(6, min(view.widths.output, 18, room - 2))
    if room >= output + 2:
        kinds.append(("output", output))
        room -= output + 2 + max(0, min(view.widths.name, 44) - SHORTEST)  # names come before more columns
    wanted = (
        ("share", SHARE),
        ("mult-adds", 9),
        ("size", 8),
        ("learns", 6),
        ("dtype", 8),
        ("device", 6),
    )
    for name, wide in wanted:
        if room - wide - 2 < 0:
            break
        room -= wide + 2
        kinds.append((name, wide))
    order = ("output", "params", "share", "mult-adds", "size", "learns", "dtype", "device")
    return sorted(kinds, key=lambda kind: order.index(kind[0]))


def _row(item: TreeRow, total: int, kinds: list[tuple[str, int]], inner: int, here: bool, glyphs: Glyphs) -> Line:
    row = item.row
    values = {
        "output": shape(item.passed.output) if item.passed else "",
        "params": row.amount,
        "share": "",
        "mult-adds": rough(item.passed.multiply_adds) if item.passed and item.passed.calls else "-",
        "size": text.size(row.size) if row.size else "-",
        "learns": row.trainable or "-",
        "dtype": row.dtype or "-",
        "device": row.device or "-",
    }
    if item.passed and not item.passed.output:
        values["output"] = "?" if item.fault or not item.passed.calls else "-"
    tail: Line = []
    for name, wide in kinds:
        if name == "share":
            tail += [("  ", PLAIN), (bar(row.total / total if total else 0.0, wide, glyphs), ACCENT)]
            continue
        value = text.cut(values[name], wide)
        role = WARN if name == "params" and row.unknown else PLAIN if row.total or name == "output" else DIM
        tail.append(("  " + (f"{value:<{wide}}" if name in LEFT else f"{value:>{wide}}"), role))
    return [*_name(item, inner - length(tail), here, glyphs), *tail]


def _name(item: TreeRow, cells: int, here: bool, glyphs: Glyphs) -> Line:
    row = item.row
    depth = len(row.place)
    fold = "  " if item.open is None else "▾ " if item.open else "▸ "
    flag = "x " if item.fault else "! " if item.findings else "* " if item.marked else ""
    flag = flag.replace("x ", "✗ ")
    line: Line = [(" " * (INDENT * min(depth, 8)) + fold, DIM)]
    if flag:
        line.append((flag, BAD if item.fault else WARN if item.findings else ACCENT))
    role = CURSOR if here else BAD if item.fault else PLAIN
    name = f"{row.place[-1]} " if row.place else ""
    line.append((name, CURSOR if here else STRONG))
    line.append((row.called, role))
    words = [f"= {dotted(row.tied_to)}" if row.tied_to is not None else "", *row.marks]
    if item.idle:
        words.append("not called")
    if item.passed and item.passed.calls > 1:
        words.append(f"×{item.passed.calls}")
    told = ", ".join(w for w in words if w)
    if told:
        line.append((f" {told}", WARN))
    return fit(line, cells)


# beside the tree


def layer(
    row: Row, path: str, passed: Passed | None, detail: Detail | None, fault: Fault | None, notes: list[str], cells: int
) -> list[Line]:
    """One layer: what it is, what goes through it, its tensors, what it costs. `path` is its place in brackets."""
    lines: list[Line] = [[(line, STRONG)] for line in wrapped(row.called, cells)]
    if row.place:
        lines.append([(text.cut(f"{dotted(row.place)}  {path}", cells), DIM)])
    if fault is not None and fault.place == row.place:
        lines += [[], *([(line, BAD)] for line in wrapped(fault.message, cells))]
        for i, step in enumerate(fault.fixes):
            lines.append([("f  " if i == 0 else "   ", ACCENT), (step.says, PLAIN)])
        if not fault.fixes:
            lines.append([("i  ", ACCENT), ("another input", PLAIN)])
    facts = []
    if passed and passed.calls:
        facts += [("input", passed.input), ("output", passed.output or "-")]
        if passed.calls > 1:
            facts.append(("called", f"{passed.calls} times"))
    elif passed:
        facts.append(("input", "the probe does not come here"))
    if row.tied_to is not None:
        facts.append(("tied to", dotted(row.tied_to) or "the network"))
    facts.append(("parameters", row.amount + (f", {row.own:,} own" if row.own and row.own != row.total else "")))
    if row.buffers:
        facts.append(("in buffers", f"{row.buffers:,}"))
    if row.size:
        facts.append(("size", text.size(row.size)))
        facts.append(("on", f"{row.device}, {row.dtype}"))
    if passed and passed.multiply_adds:
        facts.append(("mult-adds", f"{passed.multiply_adds:,} for both samples"))
    if row.trainable in ("no", "part"):
        facts.append(("learns", row.trainable))
    lines.append([])
    for name, value in facts:
        first, *rest = wrapped(value, max(8, cells - 12))
        lines.append([(f"{name:<12}", DIM), (first, PLAIN)])
        lines += [[(" " * 12 + more, PLAIN)] for more in rest]
    for mark in row.marks:
        lines += [[(line, WARN)] for line in wrapped(mark + _meaning(mark), cells)]
    if detail is not None and detail.place == row.place:
        lines += _tensors(detail, cells)
        lines += _cost(detail, cells)
    lines += [[], *([(line, WARN)] for note in notes for line in wrapped(note, cells))] if notes else []
    return lines


def _meaning(mark: str) -> str:
    if mark.startswith("plain tensor"):
        return ": not saved, not moved"
    if mark == "lazy":
        return ": no size yet; ! gives it one"
    return ""


def _tensors(detail: Detail, cells: int) -> list[Line]:
    if not detail.tensors:
        return []
    lines: list[Line] = [[]]
    wide = max(len(t.name) for t in detail.tensors)
    wide = min(wide, max(6, cells - 24))
    for tensor in detail.tensors:
        count = "?" if tensor.count is None else f"{tensor.count:,}"
        words = columns([tensor.name, shape(tensor.shape), count], [wide, 10, 7], {2}, " ")
        line: Line = [(words, PLAIN)]
        if tensor.kind != "parameter":
            line.append((f" {tensor.kind}", WARN if tensor.kind == "plain tensor" else DIM))
        elif not tensor.trainable:
            line.append((" frozen", WARN))
        else:
            line.append((f" {tensor.dtype}" if length(line) + len(tensor.dtype) < cells else "", DIM))
        lines.append(line)
    return lines


def _cost(detail: Detail, cells: int) -> list[Line]:
    if detail.measured is None:
        return [[], *([(line, DIM)] for line in wrapped(detail.why, cells))] if detail.why else []
    cost = detail.measured
    backward = duration(cost.backward) if cost.backward is not None else "-"
    return [
        [],
        [("forward     ", DIM), (duration(cost.forward), PLAIN)],
        [("backward    ", DIM), (backward, PLAIN)],
        [("output      ", DIM), (text.size(cost.output_bytes), PLAIN)],
        [("kept for it ", DIM), (text.size(cost.kept_bytes), PLAIN)],
        [(f"median of {cost.repeats} passes", DIM)],
    ]


def duration(seconds: float) -> str:
    """Short times: `9.1 µs`, `1.20 ms`."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return text.duration(seconds)


def source(detail: Detail | None, cells: int, glyphs: Glyphs) -> list[Line]:
    """How it prints, its documentation and its source."""
    if detail is None:
        return [[("reading ...", DIM)]]
    parts = [("repr", detail.repr), ("documentation", detail.documentation)]
    parts.append((f"source, {detail.origin}" if detail.source else "no source to be had", detail.source))
    lines: list[Line] = []
    for title, written_ in parts:
        if written_ or title.startswith("no"):
            lines += [*([[]] if lines else []), [(title, ACCENT)]]
            split = _prose if title == "documentation" else _hard
            lines += [[(part, PLAIN)] for line in written_ for part in split(line, cells)]
    return lines


def doctor(report: Report | None, cursor: int, cells: int, focused: bool, glyphs: Glyphs) -> tuple[list[Line], list[int]]:
    """Findings with cause and remedy, and the line at which each begins."""
    if report is None:
        return [[("examining ...", DIM)]], []
    if report.why:
        return [[(line, WARN)] for line in wrapped(report.why, cells)], []
    head: list[Line] = [*([(line, DIM)] for line in wrapped(f"one batch on a copy: {report.checked}", cells)), []]
    if not report.findings:
        return [*head, [("✓ nothing found", GOOD)]], []
    lines, starts = head, []
    for i, finding in enumerate(report.findings):
        starts.append(len(lines))
        here = focused and i == cursor
        first, *rest = wrapped(finding.says, cells - 2)
        lines.append([("› " if here else "! ", WARN), (first, CURSOR if here else STRONG)])
        lines += [[("  " + line, STRONG)] for line in rest]
        for word, said in (("cause  ", finding.cause), ("to do  ", finding.remedy)):
            first, *rest = wrapped(said, cells - 9)
            lines += [[("  " + word, DIM), (first, PLAIN)], *([(" " * 9 + line, PLAIN)] for line in rest)]
        if finding.fix:
            lines.append([("  f      ", ACCENT), (text.cut(finding.fix.says, cells - 9), PLAIN)])
        lines.append([])
    return lines, starts


def written(sheet: Sheet | None, cells: int, glyphs: Glyphs) -> list[Line]:
    """The architecture as text, and what code printed."""
    if sheet is None:
        return []
    lines: list[Line] = []
    for line in sheet.text.splitlines():
        lines += [[(part, PLAIN)] for part in _hard(line, cells)]
    if sheet.note:
        lines += [[], [(sheet.note, DIM)]]
    if sheet.output:
        lines += [[], [("it printed", DIM)], *([(line, PLAIN)] for line in sheet.output)]
    return lines


def _prose(line: str, cells: int) -> list[str]:
    """A line of documentation, broken between words under its own indent, without the marks of reStructuredText."""
    plain = MARKUP.sub(r"\1", line).replace("``", "").replace("\\", "")
    indent = len(plain) - len(plain.lstrip())
    return [" " * indent + part for part in wrapped(plain.strip(), max(8, cells - indent))]


def _hard(line: str, cells: int) -> list[str]:
    return [line[i : i + cells] for i in range(0, max(1, len(line)), max(1, cells))]


def compared(found: Compared | None, mine: int, cells: int, glyphs: Glyphs) -> list[Line]:
    """This network left, the other one right; what differs is marked by sign and role."""
    if found is None:
        return [[("m chooses another network to stand beside this one", DIM)]]
    half = (cells - 3) // 2
    lines: list[Line] = [
        [(text.cut("this one", half).ljust(half), STRONG), ("   ", PLAIN), (text.cut(found.label, half), STRONG)],
        [(f"{mine:,} parameters".ljust(half), DIM), ("   ", PLAIN), (f"{found.parameters:,} parameters", DIM)],
        [],
    ]
    for left, a, right, b, same in found.rows:
        sign = "   " if same else " ≠ " if a and b else " < " if a else " > "
        one = text.cut(" " * left.count(".") + (left.rpartition(".")[2] + " " if left else "") + a, half).ljust(half)
        two = text.cut(" " * right.count(".") + (right.rpartition(".")[2] + " " if right else "") + b, half)
        role = PLAIN if same else WARN
        lines.append([(one, role), (sign, WARN), (two, role)])
    return lines


def fact(sheet: Sheet | None, shapes: Shapes | None) -> Line:
    """What stands right in the tree's border: all parameters, and whether the input passes."""
    if sheet is None:
        return []
    total = f"{sheet.parameters:,}" + ("+?" if sheet.unknown else "")
    line: Line = [(f"{total} parameters", STRONG)]
    if shapes and (shapes.fault or shapes.why):
        line = [("✗ ", BAD), *line]
    return line
