"""A file of tensors as a tree under a cursor."""

from pathlib import Path

from mlptui.core.errors import MlptuiError
from mlptui.store.formats import opening
from mlptui.store.formats.contents import Contents, Node, name_of, summary
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.messages import CompareAsked, LookedInto, Noticed, PlanAsked
from mlptui.tui.render import contents
from mlptui.tui.render.cells import Line
from mlptui.tui.render.contents import Place
from mlptui.tui.widgets.cursor import CursorCanvas

Seen = tuple[
    Contents, str, set[tuple[str, ...]], bool
]  # with a summary, the places that begin open, and whether there are tensors
OPEN = 400  # places up to which a tree begins unfolded


class ContentsCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.CONTENTS)
    DEFAULT_CSS = "ContentsCanvas { height: 1fr; width: 1fr; display: none; }"

    def __init__(self) -> None:
        super().__init__(id="contents")
        self.file: Path | None = None
        self._found: Contents | None = None
        self._problem = self._verified = self._summary = ""
        self._tensors = False
        self._open: set[tuple[str, ...]] = set()
        self._places: list[Place] | None = None

    def show(self, file: Path) -> None:
        """Read the file's structure, and show it."""
        self.file, self._found, self._problem, self._verified, self._places = file, None, "", "", None
        self.cursor = self.first = 0
        self.redraw()

        def read() -> Seen:
            made = opening.read(file)
            every = list(made.walk())
            unfolded = {path for path, node in every if node.children and (len(every) <= OPEN or not path)}
            return made, summary(made), unfolded, any(node.tensor for _, node in every)

        def done(found: Seen | None, error: Exception | None) -> None:
            if self.file != file:
                return
            if found is None:
                self._problem = str(error) if isinstance(error, MlptuiError) else repr(error)
            else:
                self._found, self._summary, self._open, self._tensors = found
                self._arrange()
            self.redraw()

        if not host(self).background["files"].submit(read, done):
            self.set_timer(0.1, lambda: self.show(file) if self.file == file else None)

    def _arrange(self) -> None:
        assert self._found is not None
        places: list[Place] = []

        def add(path: tuple[str, ...], node: Node) -> None:
            unfolded = path in self._open if node.children else None
            name = name_of(path) if node.tensor is not None else ""
            places.append(Place(path, node.words, name, node.call, unfolded))
            if unfolded:
                for key, child in node.children:
                    add((*path, key), child)

        add((), self._found.root)
        self._places = places

    def row_count(self) -> int:
        return len(self._places or ())

    def visible_rows(self) -> int:
        return contents.tree_rows(self.size.height)

    def draw(self, width: int, height: int) -> list[Line]:
        found = self._found
        view = contents.ContentsView(
            file=str(self.file or ""), format=found.format if found else "", size=found.size if found else 0,
            summary=self._summary, places=self._places, refused=found.refused if found else (),
            notes=found.notes if found else (), problem=self._problem, cursor=self.cursor, first=self.first,
            verified=self._verified,
        )  # fmt: skip
        return contents.draw(view, width, height, self.glyphs, self.has_focus)

    @property
    def chosen(self) -> Place | None:
        places = self._places or []
        return places[self.cursor] if self.cursor < len(places) else None

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

    def action_tensors(self) -> None:
        if self._found is not None and self.file is not None and self._tensors:
            self.post_message(LookedInto(str(self.file)))
        else:
            self.post_message(Noticed("there are no tensors to look at"))

    def action_plan(self) -> None:
        if self._found is not None and self.file is not None and self._tensors:
            self.post_message(PlanAsked(str(self.file)))
        else:
            self.post_message(Noticed("there are no tensors to load"))

    def action_compare(self) -> None:
        if self._found is not None and self.file is not None and self._tensors:
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

        if host(self).background["verify"].submit(lambda: opening.verify(file), verified):
            self._verified = "comparing with the checksums ..."
            self.redraw()
        else:
            self.post_message(Noticed("the work before is not done yet", bad=True))
