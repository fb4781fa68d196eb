"""Help and questions, above an area."""

from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from mlptui.tui.keys import APP, Key
from mlptui.tui.render import pages
from mlptui.tui.render.cells import Glyphs, Line, wrapped
from mlptui.tui.widgets.canvas import Canvas


class _Box(Canvas, can_focus=True):
    def __init__(self, lines: Any) -> None:
        super().__init__()
        self._lines = lines

    def draw(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = self._lines(width, height, self.glyphs)
        return lines


class HelpScreen(ModalScreen[None]):
    """The keys of the panel in focus, then those that work everywhere, unless it is a dialog's, where they do not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(15)", show=False),
        Binding("pageup", "scroll(-15)", show=False),
    ]
    CSS = """
    HelpScreen { align: center middle; background: transparent; }
    HelpScreen _Box { width: 80; height: 22; max-height: 100%; max-width: 100%; }
    """

    def __init__(self, title: str, keys: list[Key], words: str, key_of: Any, dialog: bool = False) -> None:
        super().__init__()
        self._heading, self._keys, self._words, self._key_of, self._dialog = title, keys, words, key_of, dialog
        self._first = self._beyond = 0

    def compose(self) -> ComposeResult:
        def lines(width: int, height: int, glyphs: Any) -> list[Line]:
            def told(keys: list[Key]) -> list[tuple[str, str, str]]:
                return [(self._key_of(key), key.label, key.help) for key in keys]

            areas = [key for key in APP if not key.id.startswith("area.")]
            everywhere = [("1 to 7", "Areas", "Data, Model, Params, Train, Runs, Files, Devices"), *told(areas)]
            own = [(self._heading, told(self._keys))] if self._keys else []
            groups = own if self._dialog else [*own, ("everywhere", everywhere)]
            shown = [(name, [k for k in keys if not k[1].startswith(("Page", "First", "Last"))]) for name, keys in groups]
            drawn, self._beyond = pages.help_page(
                f"help: {self._heading}", shown, self._words, (width, height), glyphs, self._first
            )
            return drawn

        lines(80, 22, Glyphs())
        box = _Box(lines)
        box.styles.height = 22 + self._beyond  # as many rows as it needs, where there are so many
        yield box

    def action_scroll(self, by: int) -> None:
        self._first = max(0, min(self._first + by, self._beyond))
        self.query_one(_Box).redraw()


class Question(ModalScreen[bool]):
    """One question before something that cannot simply be taken back; y is yes, n or escape is no. Enter, which one presses
    without reading, is neither."""

    CSS = "Question { align: center middle; background: transparent; } Question _Box { width: 64; max-width: 100%; }"

    def __init__(self, title: str, text: str, yes: str, no: str) -> None:
        super().__init__()
        self._heading, self._text, self._yes, self._no = title, text, yes, no

    def compose(self) -> ComposeResult:
        answers = [("y", self._yes), ("n", self._no)]
        box = _Box(lambda width, height, glyphs: pages.question(self._heading, self._text, answers, width, glyphs))
        box.styles.height = len(pages.question(self._heading, self._text, answers, 64, box.glyphs))
        yield box

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key == "y":
            self.dismiss(True)
        elif event.key in ("n", "escape", "q"):
            self.dismiss(False)


class Told(ModalScreen[None]):
    """Some lines to be read; escape or enter closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,space", "dismiss", "Close", show=False)]
    CSS = "Told { align: center middle; background: transparent; } Told _Box { width: 76; max-width: 100%; }"

    def __init__(self, title: str, lines: list[str]) -> None:
        super().__init__()
        self._heading, self._lines = title, lines

    def compose(self) -> ComposeResult:
        text = "\n".join(part for line in self._lines for part in ([line] if line.startswith(" ") else wrapped(line, 72)))
        box = _Box(lambda width, height, glyphs: pages.question(self._heading, text, [("esc", "close")], width, glyphs))
        box.styles.height = len(pages.question(self._heading, text, [("esc", "close")], 76, box.glyphs))
        yield box
