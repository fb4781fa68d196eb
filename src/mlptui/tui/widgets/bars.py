"""The frame of every screen: two rows above, one below; a notice that is longer than that row lies over the last ones."""

from mlptui.tui.desk import host
from mlptui.tui.keys import Key
from mlptui.tui.render import bars
from mlptui.tui.render.cells import Line
from mlptui.tui.widgets.canvas import Canvas


class TopBar(Canvas):
    """The name and the seven areas."""

    DEFAULT_CSS = "TopBar { height: 1; }"

    def __init__(self, present: int) -> None:
        super().__init__()
        self.present = present

    def draw(self, width: int, height: int) -> list[Line]:
        return [bars.areas(self.present, width, self.glyphs)]


class WorkbenchBar(Canvas):
    """What the next run will use, and what goes on."""

    DEFAULT_CSS = "WorkbenchBar { height: 1; }"

    def draw(self, width: int, height: int) -> list[Line]:
        desk = host(self).desk
        return [bars.workbench(list(desk.facts), desk.state, width, self.glyphs)]


class KeyBar(Canvas):
    """The keys of the panel in focus, or a notice."""

    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Key] = []

    def show_keys(self, keys: list[Key]) -> None:
        self.shown = [key for key in keys if key.footer][:5]
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        desk = host(self).desk
        named = [(desk.key_of(key), key.label) for key in self.shown]
        return [bars.keys(named, desk.notice, desk.notice_bad, width, self.glyphs)]


class LongNotice(Canvas):
    """A notice that does not fit into the last row, over the last rows of the area for as long as it is there."""

    DEFAULT_CSS = "LongNotice { layer: above; dock: bottom; height: 2; display: none; }"

    def show(self) -> None:
        desk, cells = host(self).desk, self.app.size.width
        lines = bars.long_notice(desk.notice, desk.notice_bad, cells, self.glyphs)
        self.display = bool(lines)
        if self.display:
            self.styles.height = len(lines)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        desk = host(self).desk
        lines = bars.long_notice(desk.notice, desk.notice_bad, width, self.glyphs)[:height]
        return lines + [bars.blank(width)] * (height - len(lines))
