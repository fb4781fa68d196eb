"""The list of data sets."""

from textual.message import Message

from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.render import data
from mlptui.tui.render.cells import Line
from mlptui.tui.render.data import SetRow
from mlptui.tui.widgets.cursor import CursorCanvas

NARROW, WIDE, ROOMY = 38, 46, 116  # cells of the list, and of the terminal from which on it may be wide


class SetAction(Message):
    """A key was pressed for the set under the cursor."""

    def __init__(self, action: str, row: SetRow) -> None:
        super().__init__()
        self.action, self.row = action, row


class Moved(Message):
    """The cursor came to another set."""


class CatalogCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.DATA)
    DEFAULT_CSS = "CatalogCanvas { height: 1fr; width: 38; }"

    def __init__(self) -> None:
        super().__init__(id="catalog")
        self.rows: list[SetRow] = []
        self.loaded = False

    def on_resize(self, event: object) -> None:
        self.styles.width = NARROW if self.screen.size.width < ROOMY else WIDE
        super().on_resize(event)

    def row_count(self) -> int:
        return len(self.rows)

    def visible_rows(self) -> int:
        return self.size.height - 2

    def draw(self, width: int, height: int) -> list[Line]:
        facts = host(self).desk.facts
        view = data.Catalog(self.rows, self.cursor, self.first, facts[0] if facts else "", self.loaded)
        return data.catalog(view, width, height, self.glyphs, self.has_focus)

    @property
    def chosen(self) -> SetRow | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show_rows(self, rows: list[SetRow]) -> None:
        """New rows; the cursor stays on its set."""
        before = self.chosen.name if self.chosen else None
        self.rows, self.loaded = rows, True
        self.place_cursor(next((i for i, row in enumerate(rows) if row.name == before), self.cursor))

    def point_to(self, name: str) -> None:
        self.place_cursor(next((i for i, row in enumerate(self.rows) if row.name == name), self.cursor))

    def place_cursor(self, row: int) -> None:
        before = self.chosen.name if self.chosen else None
        super().place_cursor(row)
        if self.chosen and self.chosen.name != before:
            self.post_message(Moved())

    def action_ask(self, action: str) -> None:
        """The screen does what is asked for the set under the cursor."""
        if self.chosen or action == "add":
            self.post_message(SetAction(action, self.chosen or SetRow("", "")))
