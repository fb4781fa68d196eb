"""A canvas with a cursor that moves over rows."""

from mlptui.tui.render.cells import Line, with_hidden
from mlptui.tui.widgets.canvas import Canvas


class CursorCanvas(Canvas, can_focus=True):
    """Keeps `cursor` and `first` (the first visible row) in bounds. Subclasses say how many rows there are and fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self.first = 0

    def row_count(self) -> int:
        raise NotImplementedError

    def visible_rows(self) -> int:
        raise NotImplementedError

    def lines(self, width: int, height: int) -> list[Line]:
        visible = max(0, self.visible_rows())  # a terminal of one row has room for fewer than none
        below = self.row_count() - self.first - visible
        return with_hidden(self.draw(width, height), visible + 1, self.first, below, self.glyphs)

    def place_cursor(self, row: int) -> None:
        self.cursor = max(0, min(row, self.row_count() - 1))
        visible = max(1, self.visible_rows())
        self.first = max(0, min(self.first, self.cursor, max(0, self.row_count() - visible)))
        if self.cursor >= self.first + visible:
            self.first = self.cursor - visible + 1
        self.redraw()

    def on_resize(self, event: object) -> None:
        self._strips = []
        self.place_cursor(self.cursor)

    def action_move(self, by: int) -> None:
        self.place_cursor(self.cursor + by)

    def action_move_page(self, by: int) -> None:
        self.place_cursor(self.cursor + by * max(1, self.visible_rows() - 1))
