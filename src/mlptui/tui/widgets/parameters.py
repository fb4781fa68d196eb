"""The list of tensors, and the numbers of the one under the cursor."""

from textual.message import Message

from mlptui.core.parameters.messages import View
from mlptui.core.wire import Input
from mlptui.tui import keys
from mlptui.tui.parameters_state import ParametersState
from mlptui.tui.render import parameters, tensor
from mlptui.tui.render.cells import DIM, Line, panel
from mlptui.tui.widgets.canvas import Canvas
from mlptui.tui.widgets.cursor import CursorCanvas


class Asked(Message):
    """A key was pressed for the tensor under the cursor."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action = action


class TensorChanged(Message):
    """The cursor came to another tensor, or to other rows."""


class WindowChanged(Message):
    """Other numbers of the tensor are to be seen."""


class ListCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.PARAMS)
    DEFAULT_CSS = "ListCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, state: ParametersState) -> None:
        super().__init__(id="tensors")
        self.state = state
        self.empty: tuple[str, ...] = ("the bench starts ...",)

    def row_count(self) -> int:
        return len(self.state.rows)

    def visible_rows(self) -> int:
        return self.size.height - 3 - (1 if self._foot() else 0)

    def _foot(self) -> str:
        state = self.state
        parts = [state.of or state.source] if state.source else []
        if state.filter:
            parts.append(f"filter: {state.filter}")
        if state.sort and state.sort != state.usual_sort:
            parts.append(f"order: {state.sort}" + (", largest first" if state.descending else ""))
        if state.marked:
            parts.append(f"marked: {len(state.marked)}")
        if state.source:
            parts.append("read only")
        return "   ".join(parts)

    def draw(self, width: int, height: int) -> list[Line]:
        state = self.state
        listed = state.listed
        total = len(listed.rows) if listed else 0
        title = f"{len(state.rows):,} of {total:,} tensors" if state.filter else f"{total:,} tensor{'s' if total != 1 else ''}"
        empty = (
            () if state.rows else self.empty if not listed else (f"no tensor passes the filter {state.filter}; esc clears it",)
        )
        if listed and not total:
            empty = ("this network has no tensors",)
        view = parameters.Table(
            state.rows,
            state.known,
            self.cursor,
            self.first,
            state.marked,
            title if listed else "parameters",
            f"sha256 {listed.digest[:12]}" if listed and listed.digest else "",
            state.sort,
            state.descending,
            empty,
            self._foot(),
            parameters.COMPARED if listed and listed.compared else parameters.OF_FILES if state.source else parameters.COLUMNS,
        )
        return parameters.table(view, width, height, self.glyphs, self.has_focus)

    def follow(self) -> None:
        """Put the cursor onto the present tensor and draw."""
        super().place_cursor(self.state.place)

    def place_cursor(self, row: int) -> None:
        first = self.first
        super().place_cursor(row)
        rows = self.state.rows
        if rows and (rows[self.cursor].path != self.state.path or self.first != first):
            self.state.path, self.state.first = rows[self.cursor].path, False
            self.post_message(TensorChanged())

    def action_ask(self, action: str) -> None:
        self.post_message(Asked(action))


class TensorCanvas(Canvas, can_focus=True):
    """One tensor in one view; in the view of its numbers a cell has a cursor."""

    BINDINGS = keys.bindings(keys.NUMBERS)
    DEFAULT_CSS = "TensorCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, state: ParametersState) -> None:
        super().__init__(id="numbers")
        self.state = state
        self._window = (0, 0)
        self._of = ""  # the tensor that cell and window are of

    def draw(self, width: int, height: int) -> list[Line]:
        state = self.state
        row = state.row
        if row is None:
            return panel("numbers", [], [], (width, height), self.glyphs, self.has_focus)
        viewed = state.viewed
        number = state.shows.index(state.show) + 1
        at = ""
        if state.show == "values" and self.has_focus and row.shape:
            at = f"{list(self.full_index())}  "
        what = "gradient of " if state.gradient and state.show != "uses" else ""
        body = tensor.draw(
            row,
            state.known(row),
            viewed,
            state.show,
            state.cell,
            (width - 4, height - 2),
            self.glyphs,
            self.has_focus,
            state.gradient and state.show != "uses",
        )
        fact: Line = [(f"{at}{state.show} {number}/{len(state.shows)}", DIM)]
        return panel(f"{what}{row.path} · net{row.spelled}", fact, body, (width, height), self.glyphs, self.has_focus)

    def full_index(self) -> tuple[int, ...]:
        """The indices of the cell under the cursor."""
        self._turn()
        row = self.state.row
        shape = (row.shape if row else None) or ()
        if len(shape) < 2:
            return (self.state.cell[1],) if shape else ()
        before = (*self.state.index, *([0] * len(shape)))[: len(shape) - 2]
        return (*before, *self.state.cell)

    def request(self, entered: Input, batch_size: int) -> View | None:
        """What to ask the bench for, so that this panel is full."""
        self._turn()
        state, row = self.state, self.state.row
        if row is None or row.shape is None:
            return None
        cells, rows = max(1, self.size.width - 4), max(1, self.size.height - 2)
        high, wide = tensor.grid_size(cells, rows)
        top, left = self._window
        if state.show == "values" and len(row.shape) < 2:  # a vector goes on in the next line
            top, left, high, wide = 0, top * wide, 1, high * wide
        elif state.show == "heat":
            high, wide = tensor.heat_size(cells, rows)
        elif state.show == "histogram":
            wide = cells
        elif state.show == "pictures":
            size = row.shape[-2:] if len(row.shape) == 4 else entered.shape[-2:] if len(entered.shape) > 1 else (1, 1)
            high, top = tensor.picture_count(cells, rows, (size[0], size[1])), state.cell[0]
        return View(
            path=row.path,
            part="gradient" if state.gradient else "values",
            show=state.show,  # type: ignore[arg-type]
            index=state.index,
            row=top,
            column=left,
            rows=high,
            columns=wide,
            input=entered,
            batch_size=batch_size,
            source=state.source,
        )

    def reset(self) -> None:
        """From the beginning of the tensor."""
        self._of = ""
        self._turn()
        self.redraw()

    def _turn(self) -> None:
        """From the beginning where it is another tensor. A key may come before the list has told that it is."""
        if self._of != self.state.path or not self._of:
            self._of, self._window = self.state.path, (0, 0)
            self.state.cell, self.state.index, self.state.viewed = (0, 0), (), None

    def _extent(self) -> tuple[int, int]:
        row = self.state.row
        shape = (row.shape if row else None) or ()
        if self.state.show == "pictures":
            return (shape[0] if shape else 1, 1)
        return (1, shape[0] if shape else 1) if len(shape) < 2 else (shape[-2], shape[-1])

    def _go(self, down: int, across: int) -> None:
        self._turn()
        high, wide = self._extent()
        rows, columns = tensor.grid_size(max(1, self.size.width - 4), max(1, self.size.height - 2))
        row, column = self.state.cell
        if high == 1 and self.state.show == "values":
            down, across = 0, across + down * columns
        at = (max(0, min(row + down, high - 1)), max(0, min(column + across, wide - 1)))
        self.state.cell = at
        top, left = self._window
        if high == 1 and self.state.show == "values":
            at = divmod(at[1], columns)
        top = min(max(top, at[0] - rows + 1), at[0])
        left = min(max(left, at[1] - columns + 1), at[1])
        moved = (top, left) != self._window or self.state.show == "pictures"
        self._window = (top, left)
        self.redraw()
        if moved:
            self.post_message(WindowChanged())

    def action_move(self, by: int) -> None:
        self._go(by, 0)

    def action_move_page(self, by: int) -> None:
        self._go(by * max(1, self.size.height - 4), 0)

    def action_across(self, by: int) -> None:
        self._go(0, by)

    def action_deeper(self, by: int) -> None:
        """The next slice of the dimensions before the last two, the last of them turning fastest."""
        self._turn()
        row = self.state.row
        shape = (row.shape if row else None) or ()
        if len(shape) < 3:
            return
        before = [*self.state.index, *([0] * len(shape))][: len(shape) - 2]
        number = 0
        for size, at in zip(shape[:-2], before, strict=True):
            number = number * size + at
        total = 1
        for size in shape[:-2]:
            total *= size
        number = (number + by) % max(1, total)
        found: list[int] = []
        for size in reversed(shape[:-2]):
            number, at = divmod(number, size)
            found.insert(0, at)
        self.state.index = tuple(found)
        self.post_message(WindowChanged())

    def action_ask(self, action: str) -> None:
        self.post_message(Asked(action))

    def on_resize(self, event: object) -> None:
        super().on_resize(event)  # type: ignore[arg-type]
        self._go(0, 0)
        self.post_message(WindowChanged())
