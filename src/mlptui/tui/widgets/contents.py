"""A file of tensors as a tree under a cursor."""

from pathlib import Path

from textual.message import Message

from mlptui.core.errors import MlptuiError
from mlptui.store import checkpoints
from mlptui.store.formats import opening
from mlptui.store.formats.contents import Contents, Node, summary
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.messages import CompareAsked, LookedInto, Noticed, PlanAsked
from mlptui.tui.render import contents
from mlptui.tui.render.cells import Line
from mlptui.tui.render.contents import Place
from mlptui.tui.widgets.cursor import CursorCanvas

Where = tuple[tuple[str, ...], Node]
Names = dict[tuple[str, ...], str]
Seen = tuple[Contents, str, set[tuple[str, ...]], Names]  # with a summary, the places that begin open, names in area 3
OPEN = 400  # places up to which a tree begins unfolded


NEED_TENSORS = frozenset({"contents.tensors", "contents.plan", "contents.compare"})
NEED_FILE = NEED_TENSORS | {"contents.into", "contents.verify"}


class ContentsRead(Message):
    """What is in the file is known, or why it is refused."""


class ContentsCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.CONTENTS)
    DEFAULT_CSS = "ContentsCanvas { height: 1fr; width: 1fr; display: none; }"

    def __init__(self) -> None:
        super().__init__(id="contents")
        self.file: Path | None = None
        self._found: Contents | None = None
        self._problem = self._verified = self._summary = ""
        self._names: Names = {}
        self._open: set[tuple[str, ...]] = set()
        self._rows: list[Where] | None = None

    def show(self, file: Path) -> None:
        """Read the file's structure, and show it."""
        self.file, self._found, self._problem, self._verified, self._rows, self._names = file, None, "", "", None, {}
        self.cursor = self.first = 0
        self.redraw()

        def read() -> Seen:
            made = opening.read(file)
            every = list(made.walk())
            unfolded = {path for path, node in every if node.children and (len(every) <= OPEN or not path)}
            return made, summary(made), unfolded, made.looked_at()

        def done(found: Seen | None, error: Exception | None) -> None:
            if self.file != file:
                return
            if found is None:
                self._problem = str(error) if isinstance(error, MlptuiError) else repr(error)
            else:
                self._found, self._summary, self._open, self._names = found
                self._arrange()
            self.redraw()
            self.post_message(ContentsRead())

        if not host(self).background["files"].submit(read, done):
            self.set_timer(0.1, lambda: self.show(file) if self.file == file else None)

    def _arrange(self) -> None:
        assert self._found is not None
        rows: list[Where] = []
        waiting: list[Where] = [((), self._found.root)]
        while waiting:
            path, node = waiting.pop()
            rows.append((path, node))
            if path in self._open:
                waiting.extend(((*path, key), child) for key, child in reversed(node.children))
        self._rows = rows

    def _place(self, row: Where) -> Place:
        path, node = row
        return Place(path, node.words, self._names.get(path, ""), node.call, path in self._open if node.children else None)

    @property
    def idle(self) -> frozenset[str]:
        """The keys that have nothing to do here."""
        return NEED_FILE if self._found is None else frozenset() if self._names else NEED_TENSORS

    def row_count(self) -> int:
        return len(self._rows or ())

    def visible_rows(self) -> int:
        return contents.tree_rows(self.size.height)

    def draw(self, width: int, height: int) -> list[Line]:
        found = self._found
        there = None if self._rows is None else self._rows[self.first : self.first + self.visible_rows()]
        view = contents.ContentsView(
            file=str(self.file or ""), format=found.format if found else "", size=found.size if found else 0,
            summary=self._summary, places=None if there is None else [self._place(row) for row in there],
            tensors=len(self._names), refused=found.refused if found else (), layers=bool(found and found.only_layers),
            notes=found.notes if found else (), problem=self._problem, cursor=self.cursor, first=self.first,
            verified=self._verified,
        )  # fmt: skip
        return contents.draw(view, width, height, self.glyphs, self.has_focus)

    @property
    def chosen(self) -> Place | None:
        rows = self._rows or []
        return self._place(rows[self.cursor]) if self.cursor < len(rows) else None

    # keys

    def action_into(self) -> None:
        """A tensor is looked at in area 3; anything with places below it opens or closes."""
        place = self.chosen
        if place is None or self.file is None:
            return
        if place.name:
            self.post_message(LookedInto(str(self.file), place.name))
        elif place.open is not None:
            self._open.symmetric_difference_update({place.path})
            self._arrange()
            self.place_cursor(self.cursor)
        elif place.call:
            self.post_message(Noticed("that would be called by a reader that trusts the file; here it is only named"))
        elif self._rows is not None and self._rows[self.cursor][1].tensor is not None:
            self.post_message(Noticed("numbers of this type are not shown"))

    def action_tensors(self) -> None:
        if self._found is not None and self.file is not None and self._names:
            self.post_message(LookedInto(str(self.file)))
        else:
            self.post_message(Noticed("there are no tensors to look at"))

    def action_plan(self) -> None:
        if self._found is not None and self.file is not None and self._names:
            self.post_message(PlanAsked(str(self.file)))
        else:
            self.post_message(Noticed("there are no tensors to load"))

    def action_compare(self) -> None:
        if self._found is not None and self.file is not None and self._names:
            self.post_message(CompareAsked(str(self.file)))
        else:
            self.post_message(Noticed("there are no tensors to compare"))

    def action_verify(self) -> None:
        file = self.file
        if file is None or self._found is None:
            return

        def verified(said: str | None, error: Exception | None) -> None:
            if self.file == file:
                self._verified = said or (str(error) if isinstance(error, MlptuiError) else repr(error))
                self.redraw()

        if host(self).background["verify"].submit(lambda: checkpoints.verify_file(file), verified):
            self._verified = "comparing with the checksums ..."
            self.redraw()
        else:
            self.post_message(Noticed("the work before is not done yet", bad=True))
