"""Areas that are still to come: what they will do, and what works now."""

from collections.abc import Iterable

from textual.widget import Widget

from mlptui.tui.render import pages
from mlptui.tui.render.cells import Line
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.widgets.canvas import Canvas


class PageCanvas(Canvas, can_focus=True):
    DEFAULT_CSS = "PageCanvas { height: 1fr; }"

    def __init__(self, page: pages.Page) -> None:
        super().__init__()
        self.page = page

    def draw(self, width: int, height: int) -> list[Line]:
        return pages.draw(self.page, width, height, self.glyphs)


class PlannedScreen(AreaScreen):
    PAGE: pages.Page
    WORDS = "This area is a page until it is built; nothing on it pretends to work."

    def body(self) -> Iterable[Widget]:
        yield PageCanvas(self.PAGE)


class FilesScreen(PlannedScreen):
    NUMBER, NAME = 6, "Files"
    PAGE = pages.Page(
        "files",
        (
            "browse, verify, compare and load checkpoints",
            "open foreign .pt and .safetensors files safely",
            "export as PyTorch script, ONNX or TensorBoard logs",
        ),
        (
            ("mlptui paths", "where runs and data lie"),
            ("mlptui runs show last", "a run's checkpoints, best marked"),
            ("mlptui runs checkpoint last", "save one now"),
        ),
    )
