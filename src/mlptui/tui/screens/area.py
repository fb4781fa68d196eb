"""The frame that all areas share."""

from collections.abc import Callable, Iterable
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from mlptui.core import bench
from mlptui.core.bench import Answer
from mlptui.tui.desk import host, while_running
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.messages import Noticed
from mlptui.tui.session import Session
from mlptui.tui.widgets.bars import KeyBar, LongNotice, TopBar, WorkbenchBar


class AreaScreen(Screen[None]):
    """An area: `NUMBER` in the top bar, `body` between the bars, `keys` of the panel in focus, `WORDS` for help."""

    DEFAULT_CSS = "AreaScreen { layers: default above; }"
    NUMBER = 0
    NAME = ""
    WORDS = ""

    def compose(self) -> ComposeResult:
        yield TopBar(self.NUMBER)
        yield WorkbenchBar()
        yield from self.body()
        yield KeyBar()
        yield LongNotice()

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def panel_keys(self) -> list[Key]:
        """The keys that work in the panel in focus."""
        return []

    def on_mount(self) -> None:
        self.refresh_bars()

    def on_screen_resume(self, event: Any) -> None:
        self.refresh_bars()

    @property
    def on_top(self) -> bool:
        """Whether nothing lies above it; what moves below a dialog is sent whole to the terminal."""
        return self.is_attached and self.app.screen is self

    def refresh_bars(self) -> None:
        """Draw the rows around the body anew, where they changed."""
        if not self.is_mounted:
            return
        self.query_one(WorkbenchBar).redraw()
        self.query_one(KeyBar).show_keys(self.panel_keys())
        self.query_one(LongNotice).show()


class ListScreen(AreaScreen):
    """An area with one list of what lies on the disk, read again every INTERVAL seconds in the thread READER."""

    LIST: type[Widget]
    READER = ""  # the thread that reads
    INTERVAL = 2.0

    def __init__(self) -> None:
        super().__init__()
        self._again = False  # asked for while it was being read

    def reads(self) -> list[Any]:
        """The rows; in the thread. Raises what it likes."""
        raise NotImplementedError

    def shows(self, rows: list[Any]) -> None:
        raise NotImplementedError

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(self.LIST).focus()
        self.reload()
        self.set_interval(self.INTERVAL, while_running(self, self._tick))

    def on_screen_resume(self, event: Any) -> None:
        super().on_screen_resume(event)
        self.reload()

    def _tick(self) -> None:
        if self.on_top:
            self.reload()

    def reload(self) -> None:
        """Read what is there; asked for while that is under way, once more after it."""

        def done(rows: list[Any] | None, error: Exception | None) -> None:
            if error:
                self.post_message(Noticed(f"{self.NAME} cannot be read: {error}", bad=True))
            elif rows is not None and self.query(self.LIST):
                self.shows(rows)
            if self._again:
                self._again = False
                self.reload()

        if not host(self).background[self.READER].submit(self.reads, done):
            self._again = True


class BenchScreen(AreaScreen):
    """An area about the network on the bench, in two panels that share the room. `PANEL` is there until the viewer ends."""

    PANEL: type[Widget]

    def __init__(self, form: FormState, session: Session) -> None:
        super().__init__()
        self.form, self.session = form, session

    def sync(self) -> None:
        """The form's network on the bench, and what it says here."""
        raise NotImplementedError

    def share_out(self) -> None:
        """Give the panels their sizes."""
        raise NotImplementedError

    def on_screen_resume(self, event: Any) -> None:
        super().on_screen_resume(event)
        self.sync()

    def on_resize(self, event: object) -> None:
        self.share_out()

    def on_descendant_focus(self, event: object) -> None:
        self.share_out()
        self.refresh_bars()

    def ask(self, request: bench.Request, done: Callable[[Answer], None], group: str = "") -> None:
        """Ask the bench; nobody hears the answer when the viewer has ended."""

        def here(answer: Answer) -> None:
            if self.query(self.PANEL):
                done(answer)

        host(self).workbench.ask(request, here, group)

    def say(self, text: str, bad: bool = False) -> None:
        self.post_message(Noticed(text, bad))
