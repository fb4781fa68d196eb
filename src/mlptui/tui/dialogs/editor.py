"""A network as text, in an editor that checks it as one types."""

import ast
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import TextArea

from mlptui.core.architecture.parse import MAX_TEXT
from mlptui.core.architecture.tree import Layer, label
from mlptui.core.errors import ArchitectureError
from mlptui.core.recipe import parsed
from mlptui.core.text import safe
from mlptui.tui.desk import host
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.render.cells import ACCENT, BAD, DIM, GOOD, PLAIN, STRONG, WARN, Line, panel, wrapped
from mlptui.tui.widgets.canvas import Canvas


class _Told(Canvas):
    DEFAULT_CSS = "_Told { height: 5; }"

    def __init__(self, screen: "EditScreen") -> None:
        super().__init__()
        self._screen = screen

    def draw(self, width: int, height: int) -> list[Line]:
        return self._screen.told(width, height)


class _Area(TextArea):
    """Takes no paste that makes the text longer than a network's may be: laying it out would hold up the keys."""

    async def _on_paste(self, event: events.Paste) -> None:
        if len(self.text) + len(event.text) > MAX_TEXT:
            event.stop()
            event.prevent_default()
            self.app.bell()
            return
        await super()._on_paste(event)


class EditScreen(ModalScreen[str]):
    """The architecture as text, checked as it is typed: below, the line at fault with a mark under the place."""

    CSS = """
    EditScreen { background: $background; }
    EditScreen TextArea { height: 1fr; border: none; padding: 0 1; }
    EditScreen TextArea:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+s", "use", show=False, priority=True),
        Binding("escape", "leave", show=False, priority=True),
        Binding("ctrl+a", "all", show=False, priority=True),
    ]

    def __init__(self, text: str, why: str = "") -> None:
        super().__init__()
        self._first = text
        self._error: ArchitectureError | None = None
        self._tree: Layer | None = None
        self._why = safe(why, 500)  # why the bench refused this text
        self._checking = self._again = False

    def compose(self) -> ComposeResult:
        area = _Area(self._first, show_line_numbers=True, tab_behavior="indent", soft_wrap=True)
        area.cursor_blink = False
        yield area
        yield _Told(self)

    @property
    def area(self) -> TextArea:
        return self.query_one(TextArea)

    def on_mount(self) -> None:
        self.area.focus()
        self.area.move_cursor(self.area.document.end)
        self._check()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self.area.text != self._first:
            self._why = ""
        self._check()

    def action_all(self) -> None:
        self.area.select_all()

    def _check(self) -> None:
        """Parse what is there, in another thread: a large network takes longer than a key may."""
        if self._checking:
            self._again = True
            return
        text = self.area.text

        def done(tree: Layer | None, error: Exception | None) -> None:
            self._checking = False
            if not self.is_mounted:
                return
            self._tree = tree
            self._error = error if isinstance(error, ArchitectureError) else None
            self.query_one(_Told).redraw()
            if self._again:
                self._again = False
                self._check()

        self._checking = host(self).background["edit"].submit(lambda: parsed(text), done)

    def told(self, width: int, height: int) -> list[Line]:
        glyphs = self.query_one(_Told).glyphs
        body: list[Line] = []
        inner = width - 4
        if self._error is not None:
            error = self._error
            line = (self.area.text.split("\n") or [""])[min(error.line, self.area.document.line_count) - 1]
            start = max(0, min(error.column - 1 - inner // 2, len(line) - inner))
            place = f"line {error.line}, column {error.column}: "
            body = [
                [(f"{line[start : start + inner]}", PLAIN)],
                [(" " * (error.column - 1 - start) + "^", BAD)],
                [(place, DIM), (error.message, BAD)],
            ]
        elif self._why:
            body = [[(part, BAD)] for part in wrapped(self._why, inner)]
        elif self._tree is not None:
            unused = unused_lines(self.area.text)
            more = f"line {unused[0]} is not used: the last line is the network" if unused else ""
            body = [[("✓ ", GOOD), (label(self._tree), STRONG)], [(more, WARN)]]
        keys: Line = [
            part
            for key, does in (("f2", "use it"), ("esc", "leave"), ("ctrl+a", "all"), ("ctrl+z", "undo"))
            for part in ((f"{key} ", ACCENT), (f"{does}  ", PLAIN))
        ]
        return panel("edit the network", keys, body, (width, height), glyphs, True)

    def action_use(self) -> None:
        """Give the text back, or go to the place at fault."""
        try:
            parsed(self.area.text)
        except ArchitectureError as error:
            self._error = error
            self.area.move_cursor((error.line - 1, error.column - 1))
            self.app.bell()
            self.query_one(_Told).redraw()
        else:
            self.dismiss(self.area.text)

    def action_leave(self) -> None:
        if self.area.text == self._first:
            self.dismiss("")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss("")

        self.app.push_screen(Question("leave the text?", "What you typed is lost.", "leave it", "go on"), answered)


def unused_lines(text: str) -> list[int]:
    """Lines before the last whose value nothing takes."""
    try:
        return [node.lineno for node in ast.parse(text).body[:-1] if isinstance(node, ast.Expr)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
