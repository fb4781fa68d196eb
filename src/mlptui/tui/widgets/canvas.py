"""A widget that is nothing but lines, and sends to the terminal only the cells that changed."""

from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from mlptui.tui.desk import host
from mlptui.tui.render.cells import ROLES, Glyphs, Line

NEAR = 12  # unchanged cells that cost less to send again than to jump over (a move and a style are about 20 bytes)


class Canvas(Widget):
    """Subclasses give their lines in `draw`; `redraw` shows what became different since the last time."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"role--{role}" for role in ROLES}
    DEFAULT_CSS = """
    Canvas { background: transparent; }
    Canvas > .role--dim { text-style: dim; }
    Canvas > .role--strong { text-style: bold; }
    Canvas > .role--accent { color: $primary; text-style: bold; }
    Canvas > .role--good { color: $success; }
    Canvas > .role--warn { color: $warning; text-style: bold; }
    Canvas > .role--bad { color: $error; text-style: bold; }
    Canvas > .role--curve { color: $secondary; }
    Canvas > .role--cursor { text-style: reverse; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strips: list[Strip] = []
        self._styles_by_role: dict[str, Style] = {}

    @property
    def glyphs(self) -> Glyphs:
        return host(self).glyphs

    def draw(self, width: int, height: int) -> list[Line]:
        """The widget's lines, exactly `height` of exactly `width` cells."""
        raise NotImplementedError

    def lines(self, width: int, height: int) -> list[Line]:
        """What is shown of them."""
        return self.draw(width, height)

    def redraw(self) -> None:
        """Draw anew and mark the cells that differ; equal content sends nothing."""
        width, height = self.size
        if not self.is_mounted or width < 1 or height < 1:
            return
        strips = [self._strip(line) for line in self.lines(width, height)]
        before, self._strips = self._strips, strips
        if len(before) != len(strips):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, strips, strict=True)):
            for start, end in changed_spans(old, new):
                self.refresh(Region(start, y, end - start, 1))

    def render_line(self, y: int) -> Strip:
        if y >= len(self._strips):
            return Strip.blank(self.size.width, self.rich_style)
        return self._strips[y].adjust_cell_length(self.size.width, self.rich_style)

    def on_resize(self, event: events.Resize) -> None:
        self._strips = []
        self.redraw()

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_role = {}
        self._strips = []
        self.redraw()

    def _strip(self, line: Line) -> Strip:
        return Strip([Segment(text, self._style(role)) for text, role in line if text]).simplify()

    def _style(self, role: str) -> Style:
        if role.startswith("#"):  # a pixel pair: upper and lower colour
            return _pixel_style(role)
        if role not in self._styles_by_role:
            base = self.rich_style
            self._styles_by_role[role] = (
                base + self.get_component_rich_style(f"role--{role}", partial=True) if role in ROLES else base
            )
        return self._styles_by_role[role]


@lru_cache(maxsize=1 << 14)
def _pixel_style(role: str) -> Style:
    upper, _, lower = role.partition("/")
    return Style(color=upper, bgcolor=lower or None)


def changed_spans(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """The spans of cells that differ, each by its first cell and the one after its last; near ones are one."""
    if old == new:
        return []
    one, two = _cells(old), _cells(new)
    if len(one) != len(two) or old.cell_length != len(one) or new.cell_length != len(two):
        return [(0, max(old.cell_length, new.cell_length))]
    spans: list[tuple[int, int]] = []
    for i, (a, b) in enumerate(zip(one, two, strict=True)):
        if a == b:
            continue
        if spans and i - spans[-1][1] < NEAR:
            spans[-1] = (spans[-1][0], i + 1)
        else:
            spans.append((i, i + 1))
    return spans


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    return [(character, segment.style) for segment in strip for character in segment.text]
