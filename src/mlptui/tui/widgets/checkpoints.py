"""The list of checkpoints, and what is done with the one under the cursor."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.message import Message

from mlptui.core.errors import MlptuiError
from mlptui.core.text import counted, size
from mlptui.store import collection
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui import keys
from mlptui.tui.checkpoint_rows import LARGEST_FIRST, SORTS, arranged
from mlptui.tui.desk import host, work
from mlptui.tui.dialogs.choosing import Choice, ChoiceScreen, LineScreen
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.dialogs.writing import SaveScreen, why_no_name
from mlptui.tui.exporting import Exporter
from mlptui.tui.messages import CodeAsked, EvaluateAsked, LoadAsked, LookedInto, Noticed, PlanAsked, SaveAsked
from mlptui.tui.render import files
from mlptui.tui.render.cells import Line
from mlptui.tui.render.files import CheckpointRow
from mlptui.tui.verifying import Verifier
from mlptui.tui.widgets.cursor import CursorCanvas

USUAL = "as they came"


def _no_column(typed: str) -> str:
    return "" if typed in (USUAL, *SORTS) else "no such column"


class OpenAsked(Message):
    """A person wants to name a file."""


class RowsChanged(Message):
    """What lies on the disk is not what the list shows any more."""


class FilesCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.FILES)
    DEFAULT_CSS = "FilesCanvas { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="files")
        self.all: list[CheckpointRow] = []
        self.rows: list[CheckpointRow] = []
        self.loaded = False
        self.filter = ""
        self.sort, self.descending = "", False
        self.marked = ""
        self.verifier = Verifier(self)
        self.exporter = Exporter(self, self._allowed)
        self._coming = ""  # the id of one that goes under the cursor when it is there

    def row_count(self) -> int:
        return len(self.rows)

    def visible_rows(self) -> int:
        return files.list_rows(self.size.height)

    def draw(self, width: int, height: int) -> list[Line]:
        view = files.FileList(
            self.rows,
            self.cursor,
            self.first,
            time.time(),
            self.filter,
            len(self.all),
            self.loaded,
            self.verifier.waiting,
            self.marked,
            self.sort,
            self.descending,
            self.exporter.doing,
        )
        return files.draw(view, width, height, self.glyphs, self.has_focus)

    def show_rows(self, rows: list[CheckpointRow]) -> None:
        """New rows; the cursor stays on its checkpoint."""
        before = self.chosen.id if self.chosen else None
        self.all = [self.verifier.marked(row) for row in rows]
        self.loaded = True
        wanted = self.filter.lower().split()
        found = [row for row in self.all if all(word in files.text_of(row) for word in wanted)]
        self.rows = arranged(found, self.sort, self.descending)
        if any(row.id == self._coming for row in self.rows):
            before, self._coming = self._coming, ""
        self.place_cursor(next((i for i, row in enumerate(self.rows) if row.id == before), self.cursor))

    def refresh_rows(self) -> None:
        """As they are, with what is known of them now."""
        self.show_rows(self.all)

    def go_to(self, id: str) -> None:
        """The cursor onto this checkpoint, also where a filter hides it."""
        if not any(row.id == id for row in self.rows):
            self.filter = ""
            self.show_rows(self.all)
        self.place_cursor(next((i for i, row in enumerate(self.rows) if row.id == id), self.cursor))

    @property
    def chosen(self) -> CheckpointRow | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def _here(self) -> CheckpointRow | None:
        """The one under the cursor; says so where there is none."""
        if self.chosen is None:
            self.post_message(Noticed("there is no checkpoint here"))
        return self.chosen

    # keys

    def action_look(self) -> None:
        if row := self._here():
            self.post_message(LookedInto(row.folder))

    def action_load(self) -> None:
        if not (row := self._whole(self.action_load)):
            return
        if row.architecture:
            self.post_message(LoadAsked(row.folder, row.architecture, row.title, self._refused(row, self.action_load)))
        else:
            self.post_message(
                Noticed("it does not say of which network it is; L loads it into the one on the bench", bad=True)
            )

    def _refused(self, row: CheckpointRow, act: Callable[[], None]) -> Callable[[str], None]:
        return lambda why: self.verifier.offer(row, act, why)

    def action_plan(self) -> None:
        if row := self._whole(self.action_plan):
            self.post_message(PlanAsked(row.folder))

    def action_test(self) -> None:
        if row := self._whole(self.action_test):
            refused = self._refused(row, self.action_test)
            self.post_message(EvaluateAsked(row.folder, row.architecture, row.title, row.data, refused, self._reload))

    def _whole(self, act: Callable[[], None]) -> CheckpointRow | None:
        """The one under the cursor; is it known to be damaged, the newest whole one of its run is offered to do `act` with."""
        row = self._here()
        if row and row.damaged:
            self.verifier.offer(row, act, row.damaged)
            return None
        return row

    def action_mark(self) -> None:
        if row := self._here():
            before = next((one for one in self.all if one.folder == self.marked), None)
            self.marked = "" if before is row else row.folder
            if before and self.marked:
                self.post_message(Noticed(f"marked instead of {before.title}; = on another one compares the two"))
            elif self.marked:
                self.post_message(Noticed("marked; = on another one shows what changed from this one to that"))
            self.redraw()

    def action_compare(self) -> None:
        """What changed from the marked checkpoint to this one; without a mark from the one before it in its run."""
        if not (row := self._here()):
            return
        before = self.marked
        if not before or before == row.folder:
            earlier = [one for one in self.all if _same_run(one, row) and one.step < row.step]
            if not earlier:
                self.post_message(Noticed("mark another checkpoint with space, then = here compares the two"))
                return
            before = max(earlier, key=lambda one: one.step).folder
        self.post_message(LookedInto(f"{before}..{row.folder}"))

    def action_retention(self) -> None:
        if not (row := self._here()):
            return

        def read() -> tuple[list[Entry], int]:
            run = self._entry(row).run
            keep = run.recipe().checkpoints.keep
            return [entry for entry, why in collection.retention(run, keep) if not why], keep

        def told(found: tuple[list[Entry], int]) -> None:
            spare, keep = found
            if not spare:
                self.post_message(Noticed(f"retention (the newest {keep}, best, first, pinned) leaves all of {row.run}"))
                return
            steps = ", ".join(f"{entry.step:,}" for entry in spare[:8]) + (" ..." if len(spare) > 8 else "")
            frees = size(sum(entry.size for entry in spare))
            text = f"steps {steps}: {frees}.\nThe newest {keep}, the best, the first and pinned ones stay."

            def answered(yes: bool | None) -> None:
                if yes:
                    work(self, lambda: remove(spare), removed)

            self.app.push_screen(
                Question(f"remove {counted(len(spare), 'checkpoint')} of {row.run}?", text, "remove", "keep"), answered
            )

        def remove(spare: list[Entry]) -> tuple[list[Path], str]:
            places: list[Path] = []
            for entry in spare:
                try:
                    places.append(collection.remove(self._paths, entry))
                except MlptuiError as error:  # those before it can be brought back all the same
                    return places, f"; {error}"
            return places, ""

        def removed(found: tuple[list[Path], str]) -> None:
            places, problem = found
            host(self).desk.removed_checkpoints.extend(places)
            told = f"{counted(len(places), 'checkpoint')} removed; u brings them back one by one{problem}"
            self.post_message(Noticed(told, bad=bool(problem)))
            self._reload()

        if row.saved:
            self.post_message(Noticed("what was saved by hand is never removed by itself; d removes it"))
            return
        work(self, read, told)

    def action_save(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values:
                self.post_message(SaveAsked(values["name"], values["note"], self._came))

        self.app.push_screen(SaveScreen(), given)

    def action_rename(self) -> None:
        if not (row := self._here()):
            return

        def given(values: dict[str, str] | None) -> None:
            if values and values["value"] and values["value"] != row.run:
                work(self, lambda: collection.rename(self._paths, self._entry(row).run, values["value"]), renamed)

        def renamed(run: Run) -> None:
            self.post_message(Noticed(f"{row.run} is called {run.id} now"))
            self._came(f"{run.id}/{row.id.partition('/')[2]}")

        if not row.saved:
            self.post_message(Noticed("a run keeps its id; e writes a note on a checkpoint", bad=True))
            return
        told = "letters, digits, - _ and ."
        self.app.push_screen(LineScreen(f"another name for {row.run}", "name", row.run, told, why_no_name, row.run), given)

    def _entry(self, row: CheckpointRow) -> Entry:
        return collection.exact(self._paths, row.id)

    def action_open(self) -> None:
        self.post_message(OpenAsked())

    def action_pin(self) -> None:
        if row := self._here():
            self._tell(
                row,
                f"{row.title}: {'not pinned any more' if row.pinned else 'pinned'}",
                pinned=not row.pinned,
            )

    def action_note(self) -> None:
        if not (row := self._here()):
            return

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self._tell(row, "noted" if values["value"] else "the note is gone", note=values["value"])

        told = "stands in this list and beside the checkpoint's folder; empty takes it away"
        title = f"a note on {row.title}"
        self.app.push_screen(LineScreen(title, "note", "what you want to remember of it", told, lambda _: "", row.note), given)

    def _tell(self, row: CheckpointRow, said: str, **changes: Any) -> None:
        def then(_: object) -> None:
            self.post_message(Noticed(said))
            self._reload()

        work(self, lambda: collection.tell(collection.exact(self._paths, row.id), **changes), then)

    def action_filter(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.filter = values["value"]
                self.show_rows(self.all)

        told = "parts of a run's name, a network, a note; best, pinned, damaged; several words: all of them"
        self.app.push_screen(LineScreen("show only", "checkpoints", "best", told, lambda _: "", self.filter), given)

    def action_sort(self) -> None:
        def chosen(value: str | None) -> None:
            if value is not None:
                self.descending = not self.descending if value == self.sort else value in LARGEST_FIRST
                self.sort = value
                self.refresh_rows()
                self.place_cursor(0)  # one sorts to see what is first

        told = {"": "what was saved by hand, then the newest run's", self.sort: "as it is now; turns it round"}
        names = [
            Choice(name or USUAL, told.get(name, "") if name or self.sort else "as it is now", name) for name in ("", *SORTS)
        ]
        screen = ChoiceScreen(f"sort by (now: {self.sort or USUAL})", "a column", names, _no_column, paths=False)
        screen.at = ["", *SORTS].index(self.sort)
        self.app.push_screen(screen, chosen)

    def action_clear(self) -> None:
        if self.exporter.stop():
            return
        if self.verifier.stop():
            self.post_message(Noticed("verifying ends with the one under way"))
            self.redraw()
            return
        if self.filter:
            self.filter = ""
        elif self.marked:
            self.marked = ""
        else:
            self.sort = ""
        self.refresh_rows()

    def action_copy(self) -> None:
        if not (row := self._here()):
            return

        def given(values: dict[str, str] | None) -> None:
            if values and values["value"]:
                where = Path(os.path.expanduser(values["value"]))
                work(
                    self,
                    lambda: collection.copy_out(collection.exact(self._paths, row.id), where),
                    lambda place: self.post_message(Noticed(f"copied to {place}")),
                )

        title = f"copy {row.title}"
        told = "a folder; the copy is verified, and looked into with o in area 3"
        self.app.push_screen(LineScreen(title, "to", "~/models", told, lambda _: ""), given)

    def action_export(self) -> None:
        if row := self._whole(self.action_export):
            self.exporter.ask(row)

    def _allowed(self, row: CheckpointRow, then: Callable[[], None]) -> None:
        self.post_message(CodeAsked(row.folder, row.architecture, row.title, then))

    def action_verify(self) -> None:
        if row := self._here():
            self.verifier.verify([row])

    def action_verify_all(self) -> None:
        if self._here():
            self.verifier.verify(self.rows)

    def action_delete(self) -> None:
        if not (row := self._here()):
            return
        if row.pinned:
            self.post_message(Noticed("it is pinned; p takes the pin away first", bad=True))
            return

        def removed(place: Path) -> None:
            host(self).desk.removed_checkpoints.append(place)
            self.post_message(Noticed(f"{row.title} is deleted; u brings it back"))
            self._reload()

        def answered(yes: bool | None) -> None:
            if yes:
                work(self, lambda: collection.remove(self._paths, collection.exact(self._paths, row.id)), removed)

        best = "It is the best of its run. " if row.best else ""
        text = f"{row.title}\n{best}u brings it back until the viewer ends."
        self.app.push_screen(Question("delete this checkpoint?", text, "delete it", "keep it"), answered)

    def action_undo(self) -> None:
        removed = host(self).desk.removed_checkpoints
        if not removed:
            self.post_message(Noticed("nothing to bring back"))
            return
        place = removed.pop()  # one that cannot be brought back stays in the trash, and the next u takes the one before it

        def restored(name: str) -> None:
            self.post_message(Noticed(f"{name} is back"))
            self._came(name)

        if not work(self, lambda: collection.restore(self._paths, place), restored):
            removed.append(place)

    # what they share

    @property
    def _paths(self) -> Paths:
        return host(self).paths

    def _came(self, id: str) -> None:
        """Another checkpoint is there, and under the cursor once it is read."""
        self._coming = id
        self._reload()

    def _reload(self) -> None:
        self.post_message(RowsChanged())


def _same_run(one: CheckpointRow, other: CheckpointRow) -> bool:
    return one.id.partition("/")[0] == other.id.partition("/")[0]
