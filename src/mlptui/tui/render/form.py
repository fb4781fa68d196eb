"""The form of a recipe: values to lines."""

from dataclasses import dataclass

from mlptui.core.text import safe
from mlptui.tui.render.cells import ACCENT, BAD, CURSOR, DIM, PLAIN, STRONG, Glyphs, Line, panel, rule

LABEL = 20
VALUE = 22
WIDE = 120


@dataclass(frozen=True)
class FormRow:
    """One knob: `hint` says what it means, `error` what is wrong with it, `changed` that it is not the default."""

    label: str
    value: str
    hint: str
    error: str = ""
    changed: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormView:
    rows: list[FormRow]
    cursor: int = 0
    first: int = 0
    problems: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    start_key: str = "r"


def draw(view: FormView, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    """The form; from 120 cells on what will run stands beside it."""
    side = min(64, cells * 2 // 5) if cells >= WIDE else 0
    main = cells - side
    count = sum(bool(row.error) for row in view.rows) + len(view.problems)
    fact: Line = [(f"{count} to mend", BAD)] if count else [(view.start_key, STRONG), (" starts the run", DIM)]
    body: list[Line] = [_row(row, i == view.cursor, VALUE, glyphs) for i, row in enumerate(view.rows)]
    here = view.rows[view.cursor]
    told = view.problems or ((here.error,) if here.error else (_told(here),))
    fits = rows - 3 - len(told)
    visible = body[view.first : view.first + fits]
    visible += [[]] * (fits - len(visible))
    visible += [rule(), *([(safe(line, 300), BAD if view.problems or here.error else PLAIN)] for line in told)]
    left = panel("new run", fact, visible, (main, rows), glyphs, focused)
    if not side:
        return left
    right = panel("what will run", [], [[(line, PLAIN)] for line in view.summary], (side, rows), glyphs)
    return [[*a, *b] for a, b in zip(left, right, strict=True)]


def _told(row: FormRow) -> str:
    """The row under the cursor in full, for the last line."""
    return f"{row.hint}  ({' | '.join(row.choices)})" if row.choices else row.hint


def _row(row: FormRow, here: bool, wide: int, glyphs: Glyphs) -> Line:
    value = f"{glyphs.text(safe(row.value, 2000)):<{wide}}"
    if len(value) > wide:
        value = value[: wide - 1] + glyphs.text("…")
    label = (glyphs.point if here else "  ") + f"{row.label:<{LABEL}}"
    role = CURSOR if here else ACCENT if row.changed else PLAIN
    hint = row.error or row.hint
    return [(label, STRONG if here else DIM), (value, role), ("  ", PLAIN), (hint, BAD if row.error else DIM)]
