"""Area 6: the checkpoints of all runs."""

import os
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget

from mlptui.core.errors import CheckpointError, MlptuiError, StorageError
from mlptui.core.text import counted, size
from mlptui.store import collection
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui import keys
from mlptui.tui.desk import host, work
from mlptui.tui.keys import Key
from mlptui.tui.messages import EvaluateAsked, LoadAsked, LookedInto, Noticed, PlanAsked, SaveAsked
from mlptui.tui.render import files
from mlptui.tui.render.cells import Line
from mlptui.tui.render.files import CheckpointRow
from mlptui.tui.screens.area import ListScreen
from mlptui.tui.screens.modal import Question
from mlptui.tui.screens.network import LineScreen
from mlptui.tui.screens.prompt import Field, Prompt
from mlptui.tui.widgets.contents import ContentsCanvas
from mlptui.tui.widgets.cursor import CursorCanvas

WIDE = 120  # columns from which on a file stands beside the checkpoints


class CheckpointReader:
    """Reads all checkpoints; those of a run whose folder of checkpoints is as it was are not read again."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[str, tuple[tuple[int, int], list[CheckpointRow]]] = {}

    def read(self) -> list[CheckpointRow]:
        known: dict[str, tuple[tuple[int, int], list[CheckpointRow]]] = {}
        for run in collection.owners(self._paths):
            mark = _mark(run.checkpoints)
            before = self._known.get(run.id)
            known[run.id] = before if before and before[0] == mark else (mark, rows_of(run))
        self._known = known
        return [row for _, rows in known.values() for row in rows]


def _mark(folder: Path) -> tuple[int, int]:
    """Changes with every checkpoint that comes or goes, and with what is said of one."""
    try:
        facts = os.stat(folder)
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_ino


def rows_of(run: Run) -> list[CheckpointRow]:
    """The checkpoints of one run as the list shows them."""
    try:
        state = run.state()
        name, score = state.name.removeprefix(f"{state.data}-"), state.score
    except StorageError:  # what was saved by hand has none
        name, score = "", "accuracy"
    short = f"{name}-{run.id.rpartition('-')[2]}" if name else run.id  # as in the list of runs
    return [_row(entry, short, score) for entry in collection.of_run(run)]


def _row(entry: Entry, run: str, score: str) -> CheckpointRow:
    known = entry.checkpoint
    manifest: dict[str, Any] = dict(known.manifest) if known else {}
    written = {name: (file.get("size"), file.get("sha256")) for name, file in manifest.get("files", {}).items()}
    created, epoch = manifest.get("created"), manifest.get("epoch")
    return CheckpointRow(
        id=entry.id,
        run=run,
        step=entry.step,
        epoch=epoch if isinstance(epoch, int) else None,
        valid=known.valid_accuracy if known else None,
        loss=known.valid_loss if known else None,
        score=score,
        size=entry.size,
        created=float(created) if isinstance(created, int | float) else 0.0,
        best=entry.best,
        pinned=entry.about.pinned,
        note=entry.about.note,
        problem=entry.problem,
        why=str(manifest.get("why", "")),
        architecture=str(manifest.get("architecture", "")),
        files=tuple((name, int(size or 0), str(sha)) for name, (size, sha) in written.items()),
        folder=str(entry.folder),
        saved=collection.is_saved(entry.run),
    )


def _same_run(one: CheckpointRow, other: CheckpointRow) -> bool:
    return one.id.partition("/")[0] == other.id.partition("/")[0]


def _why_no_name(name: str) -> str:
    try:
        collection.checked_name(name)
    except CheckpointError as error:
        return str(error)
    return ""


class SaveScreen(Prompt):
    """A name and a note for what is on the bench."""

    title_text = "save what is on the bench"
    FIELDS = (Field("name", "my-net"), Field("note", "what you want to remember of it"))
    ROWS = 4

    def __init__(self) -> None:
        super().__init__({})
        self.told = [("the network with its weights, as a checkpoint; the same name again is its next version", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "save"), ("tab", "next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        if why := _why_no_name(values["name"]):
            self.tell((why, "bad"))
        else:
            self.dismiss(values)


class OpenAsked(Message):
    """A person wants to name a file."""


class FilesCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.FILES)
    DEFAULT_CSS = "FilesCanvas { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="files")
        self.all: list[CheckpointRow] = []
        self.rows: list[CheckpointRow] = []
        self.loaded = False
        self.filter = ""
        self.marked = ""
        self.verified: dict[tuple[str, float], str] = {}  # by id and when it was made: "whole", or why it is not
        self._to_verify: deque[CheckpointRow] = deque()
        self._outcomes: list[bool] = []  # of those verified in a row, whether each was whole
        self._verifies = False

    def row_count(self) -> int:
        return len(self.rows)

    def visible_rows(self) -> int:
        return files.list_rows(self.size.height)

    def draw(self, width: int, height: int) -> list[Line]:
        waiting = len(self._to_verify) + self._verifies
        view = files.FileList(
            self.rows, self.cursor, self.first, time.time(), self.filter, len(self.all), self.loaded, waiting, self.marked
        )
        return files.draw(view, width, height, self.glyphs, self.has_focus)

    def show_rows(self, rows: list[CheckpointRow]) -> None:
        """New rows; the cursor stays on its checkpoint."""
        before = self.chosen.id if self.chosen else None
        judged = host(self).desk.judged
        self.all = [
            replace(
                row, verified=self.verified.get((row.id, row.created), ""), judged=tuple(judged.get(row.folder, {}).values())
            )
            for row in rows
        ]
        self.loaded = True
        wanted = self.filter.lower().split()
        self.rows = [row for row in self.all if all(word in files.text_of(row) for word in wanted)]
        self.place_cursor(next((i for i, row in enumerate(self.rows) if row.id == before), self.cursor))

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
        if not (row := self._here()) or not self._usable(row):
            return
        if row.architecture:
            self.post_message(LoadAsked(row.folder, row.architecture, f"{row.run}, step {row.step:,}"))
        else:
            self.post_message(
                Noticed("it does not say of which network it is; L loads it into the one on the bench", bad=True)
            )

    def action_test(self) -> None:
        if (row := self._here()) and self._usable(row):
            self.post_message(EvaluateAsked(row.folder, row.architecture, f"{row.run}, step {row.step:,}"))

    def action_mark(self) -> None:
        if row := self._here():
            self.marked = "" if self.marked == row.folder else row.folder
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
            return collection.spare(run, keep), keep

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
                self.post_message(SaveAsked(values["name"], values["note"], self._reload))

        self.app.push_screen(SaveScreen(), given)

    def action_rename(self) -> None:
        if not (row := self._here()):
            return

        def given(values: dict[str, str] | None) -> None:
            if values and values["value"] and values["value"] != row.run:
                work(self, lambda: collection.rename(self._paths, self._entry(row).run, values["value"]), renamed)

        def renamed(run: Run) -> None:
            self.post_message(Noticed(f"{row.run} is called {run.id} now"))
            self._reload()

        if not row.saved:
            self.post_message(Noticed("a run keeps its id; e writes a note on a checkpoint", bad=True))
            return
        told = "letters, digits, - _ and ."
        self.app.push_screen(LineScreen(f"another name for {row.run}", "name", row.run, told, _why_no_name, row.run), given)

    def _entry(self, row: CheckpointRow) -> Entry:
        return collection.exact(self._paths, row.id)

    def action_plan(self) -> None:
        if (row := self._here()) and self._usable(row):
            self.post_message(PlanAsked(row.folder))

    def _usable(self, row: CheckpointRow) -> bool:
        """Whether it can be loaded; else the newest good one of its run is named."""
        if not row.damaged:
            return True
        good = next((one for one in self.all if _same_run(one, row) and not one.damaged), None)
        self.post_message(Noticed(row.damaged + (f"; the newest good one is step {good.step:,}" if good else ""), bad=True))
        return False

    def action_open(self) -> None:
        self.post_message(OpenAsked())

    def action_pin(self) -> None:
        if row := self._here():
            self._tell(
                row,
                f"{row.run}, step {row.step:,}: {'not pinned any more' if row.pinned else 'pinned'}",
                pinned=not row.pinned,
            )

    def action_note(self) -> None:
        if not (row := self._here()):
            return

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self._tell(row, "noted" if values["value"] else "the note is gone", note=values["value"])

        told = "stands in this list and beside the checkpoint's folder; empty takes it away"
        title = f"a note on step {row.step:,} of {row.run}"
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

    def action_clear(self) -> None:
        if self._to_verify:
            self._to_verify.clear()
            self.post_message(Noticed("verifying ends with the one under way"))
            self.redraw()
            return
        self.filter = ""
        self.show_rows(self.all)

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

        title = f"copy step {row.step:,} of {row.run}"
        told = "a folder; the copy is verified, and looked into with o in area 3"
        self.app.push_screen(LineScreen(title, "to", "~/models", told, lambda _: ""), given)

    def action_verify(self) -> None:
        if row := self._here():
            self._verify([row])

    def action_verify_all(self) -> None:
        if self._here():
            self._verify(self.rows)

    def _verify(self, rows: list[CheckpointRow]) -> None:
        waiting = {row.id for row in self._to_verify}
        self._to_verify.extend(row for row in rows if row.id not in waiting)
        self._verify_next()

    def _verify_next(self) -> None:
        """One after the other, so that esc ends it soon."""
        if self._verifies:
            return
        if not self._to_verify:
            self._outcomes.clear()
            return
        row = self._to_verify.popleft()

        def look() -> tuple[str, str]:
            entry = collection.exact(self._paths, row.id)
            problem = collection.verify(entry)
            good = collection.newest_good(collection.of_run(entry.run), entry) if problem else None
            return problem, good.id if good else ""

        def done(found: tuple[str, str] | None, error: Exception | None) -> None:
            self._verifies = False
            if error or found is None:
                self.post_message(Noticed(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True))
            else:
                problem, good = found
                self.verified[row.id, row.created] = problem or "whole"
                self._outcomes.append(not problem)
                if problem:
                    instead = f"; the newest good one of this run is {good.rpartition('/')[2]}" if good else ""
                    self.post_message(Noticed(problem + instead, bad=True))
                elif not self._to_verify:
                    whole = sum(self._outcomes)
                    one = f"{row.run}, step {row.step:,}: every byte as it was written"
                    many = f"{whole:,} of {len(self._outcomes):,} checkpoints are as they were written"
                    self.post_message(Noticed(one if len(self._outcomes) == 1 else many))
            self.show_rows(self.all)
            self._verify_next()

        self._verifies = host(self).background["verify"].submit(look, done)
        self.redraw()

    def action_delete(self) -> None:
        if not (row := self._here()):
            return
        if row.pinned:
            self.post_message(Noticed("it is pinned; p takes the pin away first", bad=True))
            return

        def removed(place: Path) -> None:
            host(self).desk.removed_checkpoints.append(place)
            self.post_message(Noticed(f"step {row.step:,} of {row.run} is deleted; u brings it back"))
            self._reload()

        def answered(yes: bool | None) -> None:
            if yes:
                work(self, lambda: collection.remove(self._paths, collection.exact(self._paths, row.id)), removed)

        best = "It is the best of its run. " if row.best else ""
        text = f"step {row.step:,} of {row.run}\n{best}u brings it back until the viewer ends."
        self.app.push_screen(Question("delete this checkpoint?", text, "delete it", "keep it"), answered)

    def action_undo(self) -> None:
        removed = host(self).desk.removed_checkpoints
        if not removed:
            self.post_message(Noticed("nothing to bring back"))
            return
        place = removed[-1]

        def restored(name: str) -> None:
            removed.remove(place)
            self.post_message(Noticed(f"{name} is back"))
            self._reload()

        work(self, lambda: collection.restore(self._paths, place), restored)

    # what they share

    @property
    def _paths(self) -> Paths:
        return host(self).paths

    def _reload(self) -> None:
        screen = self.screen
        if isinstance(screen, FilesScreen):
            screen.reload()


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
        return keys.CONTENTS if self.query(ContentsCanvas) and self.contents.has_focus else keys.FILES

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

    def action_open(self) -> None:
        def check(typed: str) -> str:
            file = Path(os.path.expanduser(typed))
            if not typed:
                return "the path of a file; tab completes it"
            try:
                if file.is_dir():
                    return f"{file} is a folder; name a file in it"
                return "" if file.exists() else f"there is no file {file}"
            except (OSError, ValueError) as error:
                return f"{file} cannot be looked at: {error}"

        def given(values: dict[str, str] | None) -> None:
            if values and values["value"]:
                self.show_file(Path(os.path.expanduser(values["value"])))

        told = ".safetensors, .npy, .npz, .pt, .pth, .bin, .ckpt, d2l's files; nothing in it is run"
        before = str(self.contents.file or "")
        self.app.push_screen(LineScreen("open a file of tensors", "file", "~/model.pt", told, check, before, path=True), given)

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
