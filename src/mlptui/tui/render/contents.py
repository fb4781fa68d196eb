"""What a file of tensors holds, as a tree: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.tui.render.cells import ACCENT, BAD, CURSOR, DIM, PLAIN, STRONG, WARN, Glyphs, Line, end_of, panel, wrapped

FACTS = 3


@dataclass(frozen=True)
class Place:
    """A row of the tree: keys on the way, what stands there, and whether there is more below (None: nothing)."""

    path: tuple[str, ...]
    words: str
    name: str = ""  # of a tensor, as area 3 calls it
    call: bool = False
    open: bool | None = None


@dataclass(frozen=True)
class ContentsView:
    """The tree: `places` are those on screen, from row `first` on. `problem` says why there is none, `verified` what its
    checksums said, `tensors` how many can be looked at; `layers`: what it would call are only layers of torch.nn."""

    file: str
    format: str = ""
    size: int = 0
    summary: str = ""
    places: list[Place] | None = None
    tensors: int = 0
    refused: tuple[str, ...] = ()
    layers: bool = False
    notes: tuple[str, ...] = ()
    problem: str = ""
    cursor: int = 0
    first: int = 0
    verified: str = ""


def tree_rows(rows: int) -> int:
    """Lines of the tree in a panel of so many rows."""
    return max(1, rows - 2 - FACTS)


def draw(view: ContentsView, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    title = f"file: {view.file}"
    if view.problem:
        body: list[Line] = [[], *([(line, BAD)] for line in wrapped(view.problem, cells - 4)), [], [("esc goes back", DIM)]]
        return panel(title, [], body, (cells, rows), glyphs, focused)
    if view.places is None:
        return panel(title, [], [[], [("reading ...", DIM)]], (cells, rows), glyphs, focused)
    fact: Line = [(f"{view.format} · {text.size(view.size)}", DIM)]
    body = _facts(view, cells - 4)
    there = view.places[: tree_rows(rows)]
    widest = max((text.width(_before(place) + _key(place)) for place in there), default=0)
    column = min(widest + 2, 44, max((cells - 4) // 2, 16))  # where what stands at a place begins
    for i, place in enumerate(there, view.first):
        body.append(_row(place, i == view.cursor, cells - 4, column, glyphs))
    return panel(title, fact, body, (cells, rows), glyphs, focused)


def _facts(view: ContentsView, cells: int) -> list[Line]:
    """Always FACTS lines, so that the tree stands still."""
    lines: list[Line] = [[(view.summary or "no tensors", STRONG)]]
    if view.refused:
        what, role = ("a pickled network of ", WARN) if view.layers else ("wants to call ", BAD)
        lines.append([(what, role), (text.cut(", ".join(view.refused), cells - len(what)), role)])
        more = "its tensors can be read" if view.tensors else "it has no tensors"
        lines.append([(text.cut(f"nothing of it was called, and nothing will be; {more}", cells), DIM)])
    else:
        lines.append([("plain data: it calls nothing", DIM)])
        lines.append([(text.cut(view.notes[0], cells), WARN)] if view.notes else [])
    if view.verified:
        lines[2] = [(text.cut(view.verified, cells), DIM)]
    return lines[:FACTS]


def _before(place: Place) -> str:
    fold = "  " if place.open is None else "▾ " if place.open else "▸ "
    return "  " * min(len(place.path), 20) + fold


def _key(place: Place) -> str:
    return text.safe(place.path[-1], 300) if place.path else "the file"


def _row(place: Place, chosen: bool, cells: int, column: int, glyphs: Glyphs) -> Line:
    before = _before(place)
    name = before + end_of(_key(place), max(4, column - 2 - text.width(before)))  # of a long key the end tells more
    gap = " " * max(2, column - text.width(name))
    words = text.cut(text.safe(place.words, 300), max(4, cells - text.width(name + gap)))
    if chosen:
        return [(text.cut(f"{name}{gap}{words}".ljust(cells), cells), CURSOR)]
    role = BAD if place.call else ACCENT if place.name else DIM
    return [(glyphs.text(name), PLAIN), (gap, PLAIN), (words, role)]
