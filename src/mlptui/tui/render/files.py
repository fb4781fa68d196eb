"""The checkpoints of all runs: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.tui.render.cells import (
    ACCENT,
    BAD,
    CURSOR,
    DIM,
    GOOD,
    PLAIN,
    STRONG,
    Glyphs,
    Line,
    columns,
    end_of,
    panel,
    rule,
    wrapped,
)

NAMES = ["", "run", "step", "epoch", "valid", "loss", "size", "age", "note"]
RIGHT = {2, 3, 4, 5, 6, 7}
FIXED = [6, 0, 9, 6, 6, 6, 8, 6, 0]
FACTS = 7  # lines below the list
LEAST = 12  # rows of a panel from which on they have room


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint; None is "not known". `verified` is "" where nobody looked, else "whole" or why not."""

    id: str
    run: str
    step: int
    epoch: int | None = None
    valid: float | None = None
    loss: float | None = None
    score: str = "accuracy"
    size: int = 0
    created: float = 0.0
    best: bool = False
    pinned: bool = False
    note: str = ""
    problem: str = ""
    why: str = ""
    architecture: str = ""
    data: str = ""
    files: tuple[tuple[str, int, str], ...] = ()
    folder: str = ""
    verified: str = ""
    saved: bool = False
    judged: tuple[str, ...] = ()
    trained: str = ""  # how, in words
    read: float = 0.0  # when it was verified, in seconds since the epoch

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return f"{self.run}, version {self.step:,}" if self.saved else f"{self.run}, step {self.step:,}"

    @property
    def damaged(self) -> str:
        return self.problem or (self.verified if self.verified != "whole" else "")


@dataclass(frozen=True)
class FileList:
    """What the view shows: rows from `first` on, the one under the cursor, the filter, and how many are to be verified."""

    rows: list[CheckpointRow]
    cursor: int = 0
    first: int = 0
    now: float = 0.0
    filter: str = ""
    total: int = 0
    loaded: bool = True
    verifying: int = 0
    marked: str = ""
    sort: str = ""  # a name of a column
    descending: bool = False
    doing: str = ""


def list_rows(rows: int) -> int:
    """Lines of the list in a panel of so many rows."""
    return max(1, rows - 3 - (FACTS + 1 if rows >= LEAST + FACTS else 0))


def marks(row: CheckpointRow, glyphs: Glyphs) -> tuple[str, str]:
    """What stands before a row, and its role."""
    if row.damaged:
        return "bad", BAD
    seen = ("v" if glyphs.ascii else "✓") if row.verified else " "
    return f"{seen} {'best' if row.best else ''}", GOOD if row.best or row.verified else PLAIN


def widths(cells: int, longest: int = 34) -> list[int]:
    """`longest` is the width of the longest name; what it does not need the notes have."""
    room = cells - sum(FIXED) - (len(FIXED) - 1)
    wide = [*FIXED]
    wide[1] = max(8, min(34, longest, room * 2 // 3))
    wide[8] = max(0, room - wide[1])
    return wide


def cells_of(row: CheckpointRow, now: float, glyphs: Glyphs) -> list[str]:
    pin = "pin " if row.pinned else ""
    return [
        marks(row, glyphs)[0],
        text.safe(row.run, 200),
        f"v{row.step}" if row.saved else f"{row.step:,}",
        "-" if row.epoch is None else f"{row.epoch}",
        text.score(row.valid, row.score),
        text.loss(row.loss),
        text.size(row.size) if row.size else "-",
        text.age(now - row.created) if row.created else "-",
        pin + text.safe(row.note.partition("\n")[0], 200),
    ]


def draw(view: FileList, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    wide = widths(cells - 4, 2 + max((text.width(text.safe(row.run, 60)) for row in view.rows), default=8))
    fact: Line = [(f"{len(view.rows):,} of {view.total:,}" if view.filter else f"{view.total:,}", DIM)]
    fact.append((f" · {text.size(sum(row.size for row in view.rows))}", DIM))
    if view.doing:
        fact.append((f" · {view.doing}, esc stops", ACCENT))
    if view.verifying:
        fact.append((f" · {view.verifying:,} to verify, esc stops", ACCENT))
    title = f"checkpoints · filter: {view.filter}" if view.filter else "checkpoints"
    arrow = ("v" if view.descending else "^") if glyphs.ascii else ("▼" if view.descending else "▲")
    heads = [name + arrow if name and name == view.sort else name for name in NAMES]
    body: list[Line] = [[(columns(heads, wide, RIGHT, " "), DIM)]]
    visible = list_rows(rows)
    if not view.rows:
        body += _empty(view)
    for i, row in enumerate(view.rows[view.first : view.first + visible], view.first):
        cells_ = cells_of(row, view.now, glyphs)
        if view.marked and row.folder == view.marked:
            cells_[1] = f"* {cells_[1]}"
        written = columns(cells_, wide, RIGHT, " ")
        if i == view.cursor:
            body.append([(written, CURSOR)])
        else:
            body.append([(written[: wide[0]], marks(row, glyphs)[1]), (written[wide[0] :], PLAIN)])
    chosen = view.rows[view.cursor] if view.cursor < len(view.rows) else None
    if chosen and rows >= LEAST + FACTS:
        told = facts(chosen, cells - 4, view.now)
        spare = max(0, min(visible - len(view.rows), len(told) - FACTS))  # rows that the list does not need
        body = body[: visible + 1 - spare] + [[]] * (visible + 1 - spare - len(body))
        body += [rule(chosen.title), *told[: FACTS + spare]]
    return panel(title, fact, body, (cells, rows), glyphs, focused)


def facts(row: CheckpointRow, cells: int, now: float = 0.0) -> list[Line]:
    """All that is known of one, what matters most first."""
    lines: list[Line] = []
    if row.damaged:
        lines += [[(line, BAD)] for line in wrapped(row.damaged, cells)[:2]]
    if row.note:
        lines += [[(line, STRONG)] for line in wrapped(row.note.replace("\n", " "), cells)[:2]]
    said = [word for word, holds in (("best of its run", row.best), ("pinned", row.pinned)) if holds]
    if row.verified == "whole":
        said.append("every byte as it was written" + (f", {text.age(now - row.read)} ago" if now - row.read >= 1 else ""))
    if said:
        lines.append([(" · ".join(said), GOOD)])
    if row.judged:
        told = wrapped(" · ".join(row.judged), max(10, cells - 9))[:3]
        lines += [[("judged   " if not i else " " * 9, DIM), (line, STRONG)] for i, line in enumerate(told)]
    made = ", ".join(filter(None, (text.moment(row.created), text.safe(row.why, 200))))
    known = [("network", row.architecture or "-"), ("trained", row.trained), ("made", made)]
    lines += [[(f"{name:<9}", DIM), (text.cut(text.safe(words, 500), cells - 9), PLAIN)] for name, words in known if words]
    lines.append([("folder   ", DIM), (end_of(text.safe(row.folder, 500), cells - 9), PLAIN)])
    if row.files:
        named = ", ".join(f"{text.safe(name, 40)} {text.size(size)}" for name, size, _ in row.files)
        lines.append([("files    ", DIM), (text.cut(named, cells - 9), PLAIN)])
        lines += [
            [("sha256   ", DIM), (text.cut(f"{sha} {text.safe(name, 40)}", cells - 9), DIM)] for name, _, sha in row.files
        ]
    return lines


def _empty(view: FileList) -> list[Line]:
    if not view.loaded:
        return [[], [("reading the checkpoints ...", DIM)]]
    if view.filter:
        return [[], [(f"no checkpoint matches {view.filter!r}; escape clears the filter", PLAIN)]]
    return [
        [],
        [("no checkpoints yet", PLAIN)],
        [],
        [("A run saves one at its beginning and after each epoch.", DIM)],
        [("4 opens the training form; r there starts a run.", DIM)],
        [("s saves what is on the bench, o opens any file of tensors.", DIM)],
    ]


def text_of(row: CheckpointRow) -> str:
    """What the filter looks at."""
    words = (
        "best" if row.best else "",
        "saved" if row.saved else "",
        "pinned" if row.pinned else "",
        "damaged" if row.damaged else "",
    )
    return " ".join((row.id, row.architecture, row.trained, row.note, *words)).lower()
