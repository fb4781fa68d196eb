"""The frame that all areas share."""

from collections.abc import Iterable
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from mlptui.tui.keys import Key
from mlptui.tui.widgets.bars import KeyBar, TopBar, WorkbenchBar


class AreaScreen(Screen[None]):
    """An area: `NUMBER` in the top bar, `body` between the bars, `keys` of the panel in focus, `WORDS` for help."""

    NUMBER = 0
    NAME = ""
    WORDS = ""

    def compose(self) -> ComposeResult:
        yield TopBar(self.NUMBER)
        yield WorkbenchBar()
        yield from self.body()
        yield KeyBar()

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def panel_keys(self) -> list[Key]:
        """The keys that work in the panel in focus."""
        return []

    def on_mount(self) -> None:
        self.refresh_bars()

    def on_screen_resume(self, event: Any) -> None:
        self.refresh_bars()

    def refresh_bars(self) -> None:
        """Draw the rows around the body anew, where they changed."""
        if not self.is_mounted:
            return
        self.query_one(WorkbenchBar).redraw()
        self.query_one(KeyBar).show_keys(self.panel_keys())
