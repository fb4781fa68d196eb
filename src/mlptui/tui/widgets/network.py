"""The network as a tree, and the panel beside it."""

from textual.message import Message

from mlptui.core.architecture.place import dotted
from mlptui.tui import keys
from mlptui.tui.model_state import ModelState
from mlptui.tui.render import flow, model
from mlptui.tui.render.cells import DIM, Line, panel
from mlptui.tui.widgets.canvas import Canvas
from mlptui.tui.widgets.cursor import CursorCanvas


class Asked(Message):
    """A key was pressed for the layer under the cursor."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action = action


class PlaceChanged(Message):
    """The cursor came to another layer."""


class TreeCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.MODEL)
    DEFAULT_CSS = "TreeCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, state: ModelState) -> None:
        super().__init__(id="tree")
        self.state = state
        self.words = ""
        self.empty: tuple[str, ...] = ("the bench starts ...",)

    def row_count(self) -> int:
        return len(self.state.rows)

    def visible_rows(self) -> int:
        return self.size.height - 4

    def draw(self, width: int, height: int) -> list[Line]:
        state = self.state
        here = state.row
        crumb = f"{dotted(state.place)}   net{state.path}" if state.place else "the whole network"
        if state.filter:
            crumb = f"filter: {state.filter}   " + crumb
        if state.marked is not None:
            crumb += f"   marked: {dotted(state.marked) or 'the network'}"
        view = model.TreeView(
            state.rows,
            self.cursor,
            self.first,
            state.sheet.parameters if state.sheet else 0,
            model.fact(state.sheet, state.shapes),
            here.called if here and not state.place else "network",
            () if state.sheet else self.empty,
            crumb,
            self.words,
            state.widths,
        )
        return model.tree(view, width, height, self.glyphs, self.has_focus)

    def follow(self) -> None:
        """Put the cursor onto the present place and draw."""
        super().place_cursor(self.state.cursor)

    def place_cursor(self, row: int) -> None:
        super().place_cursor(row)
        rows = self.state.rows
        if rows and rows[self.cursor].row.place != self.state.place:
            self.state.place = rows[self.cursor].row.place
            self.redraw()
            self.post_message(PlaceChanged())

    def action_ask(self, action: str) -> None:
        self.post_message(Asked(action))

    def action_fold(self, closed: bool) -> None:
        """Left closes, or goes up; right opens, or goes in."""
        if not self.state.rows:
            return
        item = self.state.rows[self.cursor]
        place = item.row.place
        if item.open is None or item.open != closed:
            if closed and place:
                self.state.place = place[:-1]
                self.follow()
                self.post_message(PlaceChanged())
            elif not closed and item.open is not None:
                self.place_cursor(self.cursor + 1)
            return
        self.state.fold(place, closed)
        self.follow()

    def action_enter(self) -> None:
        """Enter: a container opens or closes, a layer shows its arguments."""
        if not self.state.rows:
            return
        item = self.state.rows[self.cursor]
        if item.open is None:
            self.post_message(Asked("arguments"))
        else:
            self.state.fold(item.row.place, item.open)
            self.follow()


class PaneCanvas(Canvas, can_focus=True):
    """One of several views of the network or of the layer under the cursor; scrolls."""

    BINDINGS = keys.bindings(keys.PANE)
    DEFAULT_CSS = "PaneCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, state: ModelState) -> None:
        super().__init__(id="pane")
        self.state = state
        self.view = "layer"
        self.top = 0
        self.finding = 0
        self.notes: list[str] = []
        self._height = 0

    def show_view(self, view: str) -> None:
        if view != self.view:
            self.view, self.top, self.finding = view, 0, 0
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        body = self._body(width - 4, height - 2) if width - 4 >= model.NARROWEST else []
        self._height = len(body)
        self.top = max(0, min(self.top, len(body) - (height - 2)))
        row = self.state.row
        title = self.view if self.view in ("doctor", "text", "compare") or row is None else f"{self.view}: {row.layer}"
        number = model.VIEWS.index(self.view) + 1
        more = len(body) - (height - 2)
        fact: Line = [(f"{number}/{len(model.VIEWS)}", DIM)]
        if more > 0:
            fact = [(f"line {self.top + 1} of {len(body)}  ", DIM), *fact]
        return panel(title, fact, body[self.top :], (width, height), self.glyphs, self.has_focus)

    def _body(self, cells: int, rows: int) -> list[Line]:
        state = self.state
        row = state.row
        if row is None or state.sheet is None:
            return [[(line, DIM)] for line in ([state.error] if state.error else [])]
        detail = state.detail if state.detail and state.detail.place == state.place else None
        match self.view:
            case "source":
                return model.source(detail, cells, self.glyphs)
            case "flow":
                return flow.flow(state.flow, cells, rows, self.glyphs)
            case "doctor":
                lines, starts = model.doctor(state.report, self.finding, cells, self.has_focus, self.glyphs)
                if starts and self.has_focus:
                    start = starts[min(self.finding, len(starts) - 1)]
                    self.top = max(0, min(self.top, start)) if start < self.top else max(self.top, start - rows + 6)
                return lines
            case "text":
                return model.written(state.sheet, cells, self.glyphs)
            case "compare":
                return model.compared(state.compared, state.sheet.parameters, cells, self.glyphs)
        fault = state.shapes.fault if state.shapes else None
        notes = [*self.notes, *([state.shapes.why] if state.shapes and state.shapes.why else [])]
        return model.layer(row, state.path, state.passed, detail, fault, notes, cells)

    def action_move(self, by: int) -> None:
        if self.view == "doctor" and self.state.report and self.state.report.findings and abs(by) == 1:
            self.finding = max(0, min(self.finding + by, len(self.state.report.findings) - 1))
            self.top = self.top if by > 0 else max(0, self.top - 4)
        else:
            self.top = max(0, min(self.top + by, self._height - 1))
        self.redraw()

    def action_move_page(self, by: int) -> None:
        self.action_move(by * max(2, self.size.height - 3))

    def action_ask(self, action: str) -> None:
        self.post_message(Asked(action))
