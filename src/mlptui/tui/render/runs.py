"""The list of runs: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.core.status import Status
from mlptui.tui.render.cells import ACCENT, CURSOR, DIM, PLAIN, STRONG, Glyphs, Line, columns, panel
from mlptui.tui.render.words import status

NAMES = ["status", "run", "data", "model", "epoch", "valid", "loss", "age"]
RIGHT = {4, 5, 6, 7}


@dataclass(frozen=True)
class RunRow:
    """One run in the list; None is "not known"."""

    id: str
    status: Status
    reason: str = ""
    name: str = ""
    data: str = ""
    model: str = ""
    epoch: int = 0
    epochs: int = 0
    valid_accuracy: float | None = None
    score: str = "accuracy"
    valid_loss: float | None = None
    created: float = 0.0
    proof: str = ""


def widths(cells: int, epoch_cells: int) -> list[int]:
    """Column widths for a body of `cells` cells, `epoch_cells` of them for epochs; name, data and model share what is left."""
    fixed = [10, 0, 0, 0, epoch_cells, 6, 6, 6]
    room = cells - sum(fixed) - (len(fixed) - 1)
    name = max(8, room * 3 // 10)
    data = max(6, room * 3 // 10)
    fixed[1:4] = [name, data, max(0, room - name - data)]
    return fixed


def short_name(row: RunRow) -> str:
    return text.short_name(row.name, row.data, row.id)


def epochs(row: RunRow) -> str:
    return f"{row.epoch}/{row.epochs}"


def cells_of(row: RunRow, now: float, glyphs: Glyphs) -> list[str]:
    return [
        status(row.status, glyphs)[0],
        text.safe(short_name(row), 200),
        text.safe(row.data, 80),
        text.safe(row.model, 80),
        epochs(row),
        text.score(row.valid_accuracy, row.score),
        text.loss(row.valid_loss),
        text.age(now - row.created) if row.created else "-",
    ]


@dataclass(frozen=True)
class RunList:
    """What the view shows: rows from `first` on, the one under the cursor, and the filter."""

    rows: list[RunRow]
    cursor: int = 0
    first: int = 0
    now: float = 0.0
    filter: str = ""
    total: int = 0
    loaded: bool = True
    proving: str = ""


def draw(view: RunList, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    inner = cells - 4
    wide = widths(inner, min(11, max([7, *(len(epochs(row)) for row in view.rows)])))
    running = sum(row.status.live for row in view.rows)
    fact: Line = [(f"{len(view.rows):,} of {view.total:,}" if view.filter else f"{view.total:,}", DIM)]
    if running:
        fact.append((f" · {running} live", "good"))
    title = f"runs · filter: {view.filter}" if view.filter else "runs"
    body: list[Line] = [[(columns(NAMES, wide, RIGHT, " "), DIM)]]
    if not view.rows:
        body += _empty(view)
    for i, row in enumerate(view.rows[view.first : view.first + rows - 4], view.first):
        written = columns(cells_of(row, view.now, glyphs), wide, RIGHT, " ")
        if i == view.cursor:
            body.append([(written, CURSOR)])
        else:
            body.append([(written[: wide[0]], status(row.status, glyphs)[1]), (written[wide[0] :], PLAIN)])
    body += [[]] * (rows - 3 - len(body))
    chosen = view.rows[view.cursor] if view.cursor < len(view.rows) else None
    last: Line = []
    if chosen:
        told = text.safe(view.proving or chosen.proof or chosen.reason or chosen.data, 300)
        good = chosen.proof and not view.proving
        last = [(f"{chosen.id}  ", DIM), (told, ACCENT if view.proving else STRONG if good else DIM)]
    body.append(last)
    return panel(title, fact, body, (cells, rows), glyphs, focused)


def _empty(view: RunList) -> list[Line]:
    if not view.loaded:
        return [[], [("reading the runs ...", DIM)]]
    if view.filter:
        return [[], [(f"no run matches {view.filter!r}; escape clears the filter", PLAIN)]]
    return [
        [],
        [("no runs yet", PLAIN)],
        [],
        [("4 opens the training form, and r there starts the first run.", DIM)],
        [("From the command line: mlptui train", DIM)],
    ]


def text_of(row: RunRow) -> str:
    """What the filter looks at."""
    return f"{row.id} {row.name} {row.data} {row.model} {row.status} {row.proof}".lower()
