"""Area 5: all runs."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Input

from mlptui.core.errors import MlptuiError, RecipeError, StorageError
from mlptui.core.recipe import check
from mlptui.core.status import ENDED, Status
from mlptui.core.text import counted
from mlptui.devices.choice import environment
from mlptui.launch import prove
from mlptui.store import abouts, checkpoints, proof, rundir
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui import keys
from mlptui.tui.desk import host, work
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.dialogs.prompt import Field, Prompt
from mlptui.tui.keys import Key
from mlptui.tui.messages import ContinueAsked, Noticed, RunChosen
from mlptui.tui.render import runs
from mlptui.tui.render.cells import Line
from mlptui.tui.render.runs import RunRow
from mlptui.tui.screens.area import ListScreen
from mlptui.tui.widgets.cursor import CursorCanvas

PROVED = 100  # steps


class RunReader:
    """Reads all runs; those that have ended are read once and again only when their state changes."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[str, tuple[tuple[int, int], RunRow]] = {}

    def read(self) -> list[RunRow]:
        rows = []
        known: dict[str, tuple[tuple[int, int], RunRow]] = {}
        for run in rundir.all_runs(self._paths):
            mark = _mark(run)
            before = self._known.get(run.id)
            unchanged = before is not None and before[0] == mark and before[1].status in ENDED
            row = before[1] if before and unchanged else read_row(run)
            known[run.id] = (mark, row)
            rows.append(row)
        self._known = known
        return rows


def _mark(run: Run) -> tuple[int, int]:
    """Changes with the run's state, and with what was proved of it."""
    try:
        facts = os.stat(run.state_file)
    except OSError:
        return 0, 0
    try:
        proved = os.stat(run.folder / proof.FILE).st_mtime_ns
    except OSError:
        proved = 0
    return facts.st_mtime_ns + proved, facts.st_ino


def read_row(run: Run) -> RunRow:
    """One run as the list shows it; a run that cannot be read says why."""
    try:
        state = run.state()
        verdict = run.verdict(state)
    except StorageError as error:
        return RunRow(run.id, Status.UNKNOWN, str(error))
    return RunRow(
        run.id,
        verdict.status,
        verdict.reason,
        state.name,
        state.data,
        state.model,
        state.epoch,
        state.epochs,
        state.valid_accuracy,
        state.score,
        state.valid_loss,
        state.created,
        proof.badge(proved) if (proved := proof.read(run)) else "",
    )


class Filter(Input):
    DEFAULT_CSS = """
    Filter { layer: edit; display: none; height: 1; border: none; padding: 0; background: $surface; }
    Filter:focus { border: none; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, placeholder="type to filter, enter keeps it, escape clears it")
        self.cursor_blink = False


class ContinueScreen(Prompt):
    """What a run that goes on does otherwise; empty is as it was."""

    FIELDS = (
        Field("epochs", "in all, with those that are done"),
        Field("rate", "the learning rate as it was at the end"),
        Field("from", "its newest checkpoint; or best, or a step"),
    )
    ROWS = 4

    def __init__(self, row: RunRow) -> None:
        super().__init__({"epochs": str(2 * max(1, row.epochs))})
        self._done = row.epoch
        self.title_text = f"a new run that goes on from {runs.short_name(row)}"
        done = f"{row.epoch} of {row.epochs} epochs are done"
        self.told = [(f"{done}; with its weights and its optimiser's state, and a name of its own", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "start"), ("tab", "next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        changes: dict[str, Any] = {}
        if not values["epochs"].isdecimal() or int(values["epochs"]) <= self._done:
            self.tell((f"epochs in all: a number above the {self._done} that are done", "bad"))
            return
        changes["epochs"] = int(values["epochs"])
        if values["rate"]:
            try:
                changes["optimizer.lr"] = float(values["rate"])
                check({"optimizer": {"lr": changes["optimizer.lr"]}})
            except (ValueError, RecipeError):
                self.tell(("the learning rate is a number above 0, as 0.01", "bad"))
                return
        which = values["from"].lower().removeprefix("step-").replace(",", "")
        if which not in ("", "last", "best") and not (which.isascii() and which.isdecimal()):
            self.tell(("from: last, best, or the number of a step that has a checkpoint", "bad"))
            return
        self.dismiss({"from": which or "last", **changes})


class RunsCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.RUNS)
    DEFAULT_CSS = "RunsCanvas { layers: base edit; height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="runs")
        self.all: list[RunRow] = []
        self.rows: list[RunRow] = []
        self.loaded = False
        self.filter_text = ""
        self._proving = ""
        self._stop_proving = False

    def compose(self) -> ComposeResult:
        yield Filter()

    def row_count(self) -> int:
        return len(self.rows)

    def visible_rows(self) -> int:
        return self.size.height - 4

    def draw(self, width: int, height: int) -> list[Line]:
        view = runs.RunList(
            self.rows, self.cursor, self.first, time.time(), self.filter_text, len(self.all), self.loaded, self._proving
        )
        return runs.draw(view, width, height, self.glyphs, self.has_focus or self.query_one(Filter).display)

    def show_rows(self, rows: list[RunRow]) -> None:
        """New rows; the cursor stays on its run."""
        self.all, self.loaded = rows, True
        self._select()

    @property
    def chosen(self) -> RunRow | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def _select(self) -> None:
        before = self.chosen.id if self.chosen else None
        wanted = self.filter_text.lower()
        self.rows = [row for row in self.all if wanted in runs.text_of(row)] if wanted else self.all
        place = next((i for i, row in enumerate(self.rows) if row.id == before), self.cursor)
        self.place_cursor(place)

    # keys

    def action_attach(self) -> None:
        if self.chosen:
            self.post_message(RunChosen(Run(self._paths.runs / self.chosen.id)))

    def action_filter(self) -> None:
        editor = self.query_one(Filter)
        editor.styles.offset = (2, self.size.height - 2)
        editor.styles.width = self.size.width - 4
        editor.value = self.filter_text
        editor.display = True
        editor.focus()

    def action_continue(self) -> None:
        row = self.chosen
        if row is None:
            self.post_message(Noticed("there is no run here"))
            return
        if row.status.live:
            self.post_message(Noticed(f"{row.id} is {row.status}; it goes on by itself", bad=True))
            return
        if row.status.resumable and row.epoch < row.epochs:
            self.post_message(Noticed("it has not reached its end; enter, then r there resumes it as it is"))
            return
        run = Run(self._paths.runs / row.id)

        def given(values: dict[str, Any] | None) -> None:
            if values:
                self.post_message(ContinueAsked(run, values.pop("from"), values))

        self.app.push_screen(ContinueScreen(row), given)

    def action_prove(self) -> None:
        """Three short trainings in a folder of their own, in the background."""
        row = self.chosen
        if row is None or self._proving:
            self.post_message(Noticed("there is no run here" if row is None else "another proof is under way; esc stops it"))
            return
        run = Run(self._paths.runs / row.id)
        self._stop_proving = False

        def tell(words: str) -> None:
            def show() -> None:
                self._proving = f"{words} ... esc stops"
                self.redraw()

            self.app.call_from_thread(show)

        def act() -> proof.Proof:
            device = environment(run.recipe().device)
            return prove.prove(self._paths, run, PROVED, device, tell, lambda: self._stop_proving or not self.app.is_running)

        def done(found: proof.Proof | None, error: Exception | None) -> None:
            self._proving = ""
            if found is None:
                told = str(error) if isinstance(error, MlptuiError) else repr(error)
                self.post_message(Noticed(told, bad=True))
            else:
                self.post_message(Noticed(proof.words(found), bad=not found.exact))
            if isinstance(self.screen, RunsScreen):
                self.screen.reload()
            self.redraw()

        if host(self).background["prove"].submit(act, done):
            self._proving = "beginning ..."
            self.redraw()

    def action_clear(self) -> None:
        if self._proving:
            self._stop_proving = True
            return
        self.filter_text = ""
        self._select()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.display:
            self.filter_text = event.value.strip()
            self._select()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_filter()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self.query_one(Filter).display:
            event.stop()
            event.prevent_default()
            self.filter_text = ""
            self._close_filter()
            self._select()

    def _close_filter(self) -> None:
        self.query_one(Filter).display = False
        self.focus()
        self.redraw()

    @property
    def _paths(self) -> Paths:
        return host(self).paths

    def action_delete(self) -> None:
        row = self.chosen
        if row is None:
            return
        if row.status.live:
            self.post_message(Noticed(f"{row.id} is {row.status}; stop it first", bad=True))
            return

        run = Run(self._paths.runs / row.id)

        def answered(yes: bool | None) -> None:
            if yes:
                work(self, lambda: rundir.remove(self._paths, run), self._was_removed)

        def look() -> tuple[int, int, int]:
            folders = checkpoints.folders(run.checkpoints)
            followers = {child for folder in folders for child in abouts.children(folder)}
            return len(folders), sum(abouts.known(folder).pinned for folder in folders), len(followers)

        def ask(found: tuple[int, int, int]) -> None:
            count, pinned, followers = found
            told = f"{row.id}\nwith {counted(count, 'checkpoint')}"
            told += f", of which {pinned} {'is' if pinned == 1 else 'are'} pinned" if pinned else ""
            told += f"; {counted(followers, 'run')} went on from it" if followers else ""
            text = f"{told}. u brings it back until the viewer ends."
            self.app.push_screen(Question("delete this run?", text, "delete it", "keep it"), answered)

        work(self, look, ask)

    def _was_removed(self, place: Path) -> None:
        host(self).desk.removed.append(place)
        gone = place.name.rpartition("~")[0]
        self.show_rows([row for row in self.all if row.id != gone])
        self.post_message(Noticed(f"{gone} is deleted; u brings it back"))

    def action_undo(self) -> None:
        removed = host(self).desk.removed
        if not removed:
            self.post_message(Noticed("nothing to bring back"))
            return
        place = removed[-1]

        def restored(run: Run) -> None:
            removed.remove(place)
            self.show_rows(sorted([*self.all, read_row(run)], key=lambda row: row.id, reverse=True))
            self.post_message(Noticed(f"{run.id} is back"))

        work(self, lambda: rundir.restore(self._paths, place), restored)


class RunsScreen(ListScreen):
    NUMBER, NAME = 5, "Runs"
    LIST, READER = RunsCanvas, "runs"
    WORDS = "All runs of this data folder, newest first: those that this viewer started and all others."

    def __init__(self, paths: Paths) -> None:
        super().__init__()
        self._reader = RunReader(paths)

    def body(self) -> Iterable[Widget]:
        yield RunsCanvas()

    @property
    def canvas(self) -> RunsCanvas:
        return self.query_one(RunsCanvas)

    def panel_keys(self) -> list[Key]:
        return keys.RUNS

    def reads(self) -> list[Any]:
        return self._reader.read()

    def shows(self, rows: list[Any]) -> None:
        self.canvas.show_rows(rows)
