"""Area 6: the checkpoints of all runs, and files of tensors of others."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textual.containers import Horizontal
from textual.widget import Widget

from mlptui.core.errors import MlptuiError
from mlptui.store import checkpoints, collection
from mlptui.store.paths import Paths
from mlptui.tui import keys
from mlptui.tui.checkpoint_rows import CheckpointReader
from mlptui.tui.desk import host
from mlptui.tui.dialogs.choosing import LineScreen
from mlptui.tui.keys import Key
from mlptui.tui.messages import CompareAsked, LookedInto
from mlptui.tui.screens.area import ListScreen
from mlptui.tui.widgets.checkpoints import FilesCanvas, OpenAsked, RowsChanged
from mlptui.tui.widgets.contents import ContentsCanvas, ContentsRead

WIDE = 120  # columns from which on a file stands beside the checkpoints


class FilesScreen(ListScreen):
    CSS = "FilesScreen Horizontal { height: 1fr; }"
    NUMBER, NAME = 6, "Files"
    LIST, READER = FilesCanvas, "files"
    WORDS = (
        "All checkpoints of all runs, the newest run first. l puts one onto the bench, enter looks into it in area 3; a\n"
        "pinned one is never removed by its run; v reads every byte and compares it with what was written. o opens any other\n"
        "file of tensors as a tree (.safetensors, .npy, .npz, what torch.save wrote), and runs nothing of what is in it."
    )

    def __init__(self, paths: Paths) -> None:
        super().__init__()
        self._reader = CheckpointReader(paths)

    def body(self) -> Iterable[Widget]:
        with Horizontal():
            yield FilesCanvas()
            yield ContentsCanvas()

    @property
    def canvas(self) -> FilesCanvas:
        return self.query_one(FilesCanvas)

    @property
    def contents(self) -> ContentsCanvas:
        return self.query_one(ContentsCanvas)

    def panel_keys(self) -> list[Key]:
        if not (self.query(ContentsCanvas) and self.contents.has_focus):
            return keys.FILES
        return [key for key in keys.CONTENTS if key.id not in self.contents.idle]

    def on_descendant_focus(self, event: object) -> None:
        self.refresh_bars()

    def on_resize(self, event: object) -> None:
        self._share_out()

    def _share_out(self) -> None:
        """Both side by side where there is room, else the file alone."""
        opened = self.contents.file is not None
        self.contents.display = opened
        self.canvas.display = not opened or self.app.size.width >= WIDE

    def on_open_asked(self, message: OpenAsked) -> None:
        message.stop()
        self.action_open()

    def on_contents_read(self, message: ContentsRead) -> None:
        message.stop()
        self.refresh_bars()

    def on_rows_changed(self, message: RowsChanged) -> None:
        message.stop()
        self.reload()

    def action_open(self) -> None:
        def check(typed: str) -> str:
            file = Path(os.path.expanduser(typed))
            if not typed:
                return "the path of a file; tab completes it"
            try:
                if checkpoints.weights_in(file).is_dir():
                    return f"{file} is a folder without a checkpoint; name a file in it"
                return "" if file.exists() else f"there is no file {file}"
            except (OSError, ValueError) as error:
                return f"{file} cannot be looked at: {error}"

        def given(values: dict[str, str] | None) -> None:
            if values and values["value"]:
                self.show_file(checkpoints.weights_in(Path(os.path.abspath(os.path.expanduser(values["value"])))))

        told = ".safetensors, .npy, .npz, .pt, .pth, .bin, .ckpt, d2l's files; nothing in it is run"
        before = str(self.contents.file or "")
        self.app.push_screen(LineScreen("open a file of tensors", "file", "~/model.pt", told, check, before, path=True), given)

    def on_compare_asked(self, message: CompareAsked) -> None:
        message.stop()

        def given(values: dict[str, str] | None) -> None:
            if values:
                before = Path(os.path.expanduser(values["value"]))
                source = str(before.absolute()) if before.exists() else values["value"]
                self.post_message(LookedInto(f"{os.path.normpath(source)}..{message.source}"))

        def check(typed: str) -> str:
            try:
                if typed and not Path(os.path.expanduser(typed)).exists():
                    collection.find(host(self).paths, typed)
            except (MlptuiError, OSError, ValueError) as error:
                return str(error)
            return "" if typed else "with what? a file, a folder, or RUN/STEP"

        told = "another file, a checkpoint's folder, or RUN/best, RUN/STEP; area 3 then shows what changed from it to this one"
        marked = self.canvas.marked
        self.app.push_screen(LineScreen("compare this file", "with", "~/before.pt", told, check, marked, path=True), given)

    def show_file(self, file: Path) -> None:
        self.contents.show(file)
        self._share_out()
        self.contents.focus()

    def action_back(self) -> None:
        self.contents.file = None
        self._share_out()
        self.canvas.focus()

    def reads(self) -> list[Any]:
        return self._reader.read()

    def shows(self, rows: list[Any]) -> None:
        self.canvas.show_rows(rows)
