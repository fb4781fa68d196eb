"""A load plan: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.core.parameters.messages import Planned, PlanRow
from mlptui.core.parameters.plan import LEFT, LOAD, MISSING, OTHER_SHAPE, RENAMED, SLICE
from mlptui.tui.render.cells import ACCENT, BAD, CURSOR, DIM, GOOD, PLAIN, WARN, Glyphs, Line, columns, end_of, panel, wrapped

NAMES = ["the network", "shape", "", "the file", "shape", "changes"]
RIGHT = {5}
FACTS = 3


@dataclass(frozen=True)
class PlanView:
    """`busy` while the bench thinks; `problem` is its refusal."""

    planned: Planned | None
    cursor: int = 0
    first: int = 0
    problem: str = ""
    busy: bool = False


def plan_rows(rows: int) -> int:
    return max(1, rows - 3 - FACTS)


def widths(cells: int) -> list[int]:
    """Of the first columns as there is room: in narrow terminals the file's shape and the changes give way to the names."""
    for wide in ([0, 13, 8, 0, 13, 9], [0, 11, 7, 0, 11, 7], [0, 10, 7, 0]):
        room = cells - sum(wide) - len(wide) + 1
        if room >= 24:
            break
    wide[0] = max(8, room * 2 // 5)
    wide[3] = max(8, room - wide[0])
    return wide


def action(row: PlanRow) -> tuple[str, str]:
    """What happens to a row, and its role."""
    if row.state == LEFT:
        return "left", DIM
    if row.state == MISSING:
        return "missing", WARN
    if row.action == SLICE:
        return "slice", ACCENT
    if row.action == LOAD:
        return ("renamed", ACCENT) if row.state == RENAMED else ("load", GOOD)
    return ("shape", BAD) if row.state == OTHER_SHAPE else ("skip", WARN)


def cells_of(row: PlanRow) -> list[str]:
    change = "" if row.difference is None else "equal" if row.difference == 0 else text.number(row.difference)
    return [
        text.safe(row.target, 300) or "-",
        _shape(row.target_shape) if row.target else "",
        action(row)[0],
        text.safe(row.source, 300) or "-",
        _shape(row.source_shape) if row.source else "",
        change,
    ]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "number"


def draw(view: PlanView, cells: int, rows: int, glyphs: Glyphs) -> list[Line]:
    planned = view.planned
    if planned is None:
        words = view.problem or "the bench reads the file and compares ..."
        role = BAD if view.problem else DIM
        body: list[Line] = [[], *([(line, role)] for line in wrapped(words, cells - 4)), [], [("esc goes back", DIM)]]
        return panel("load plan", [], body, (cells, rows), glyphs, True)
    wide = widths(cells - 4)
    many = len(wide)
    body = [[(columns(NAMES[:many], wide, RIGHT, " "), DIM)]]
    visible = plan_rows(rows)
    starts = sum(wide[:2]) + 2
    for i, row in enumerate(planned.rows[view.first : view.first + visible], view.first):
        cells_ = cells_of(row)
        cells_[0], cells_[3] = end_of(cells_[0], wide[0]), end_of(cells_[3], wide[3])
        written = columns(cells_[:many], wide, RIGHT, " ")
        if i == view.cursor:
            body.append([(written, CURSOR)])
        else:
            end = starts + wide[2]
            body.append([(written[:starts], PLAIN), (written[starts:end], action(row)[1]), (written[end:], PLAIN)])
    body += [[]] * (visible + 1 - len(body))
    body.append([(what(planned, view.cursor), DIM)])
    body.append([(text.cut(view.problem, cells - 4), BAD)] if view.problem else [(summary(planned, cells - 4), PLAIN)])
    keys = (("enter", "load"), ("space", "skip"), ("s", "slice"), ("m", "map"), ("esc", "back"), ("?", "help"))
    body.append([part for key, does in keys for part in ((f"{key} ", ACCENT), (f"{does}   ", PLAIN))])
    fact: Line = [("... " if view.busy else "", ACCENT), (f"{planned.coming + planned.equal} of {_wanted(planned)} come", DIM)]
    return panel(f"load plan: {text.safe(planned.of, 200)}", fact, body, (cells, rows), glyphs, True)


def _wanted(planned: Planned) -> str:
    return text.counted(sum(1 for row in planned.rows if row.target), "tensor")


def summary(planned: Planned, cells: int = 200) -> str:
    """What enter would do, in so many cells."""
    if not planned.coming:
        return "nothing would change" + (f": {planned.equal} are equal already, bit for bit" if planned.equal else "")
    parts = [f"enter changes {text.counted(planned.coming, 'tensor')}"]
    if planned.equal:
        parts.append(f"{planned.equal} equal already")
    if sliced := sum(1 for row in planned.rows if row.action == SLICE):
        parts.append(f"{sliced} sliced")
    for state, words in ((MISSING, "missing"), (OTHER_SHAPE, "of another shape"), (LEFT, "left over")):
        count = sum(1 for row in planned.rows if row.state == state and row.action != SLICE)
        if count:
            parts.append(f"{count} {words}")
    told = ", ".join(parts)
    return text.cut(f"{told}; u takes it back" if text.width(told) + 18 <= cells else told, cells)


def what(planned: Planned, cursor: int) -> str:
    """The row under the cursor in a sentence."""
    if cursor >= len(planned.rows):
        return ""
    row = planned.rows[cursor]
    if row.state == LEFT:
        return f"file {list(row.source_shape)}: the network has no place for it; m on a tensor maps it there"
    if row.state == MISSING:
        return "the file has nothing for it: it stays as it is; m maps a tensor of the file"
    shapes = f"file {list(row.source_shape)}, network {list(row.target_shape)}"
    if row.action == SLICE:
        return f"{shapes}: the part that both have is taken"
    if row.state == OTHER_SHAPE:
        same = len(row.source_shape) == len(row.target_shape)
        return f"{shapes}: " + ("s takes the part that both have" if same else "it cannot go there")
    types = f", {row.types}" if row.types else ""
    if row.action != LOAD:
        return "stays as it is; space loads it again"
    if row.source == row.target:
        return "comes as it is" + types
    return f"{text.safe(row.source, 300)} goes to {text.safe(row.target, 300)}{types}"
