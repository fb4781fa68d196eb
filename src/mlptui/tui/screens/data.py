"""Area 1: all data sets, and what the one under the cursor holds."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from textual.containers import Horizontal
from textual.widget import Widget

from mlptui.core.errors import MlptuiError
from mlptui.launch import data as launch
from mlptui.store import rundir
from mlptui.tui import keys, set_view
from mlptui.tui.desk import host, while_running
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.dialogs.prompt import AddScreen, ImportScreen
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.messages import DataUseAsked, Noticed, SetRemoved, SetsFound
from mlptui.tui.render.data import FactSheet, SetRow
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.set_view import OneSet, Sets
from mlptui.tui.widgets.catalog import CatalogCanvas, Moved, SetAction
from mlptui.tui.widgets.look import LookCanvas, ViewChanged

INTERVAL = 0.5
SLOW = 4
LAST_ROW = {  # the keys that do something in each view
    "pictures": ("look.view", "look.enlarge", "look.class", "look.part", "look.back"),
    "rows": ("look.view", "look.right", "look.class", "look.part", "look.back"),
    "plot": ("look.view", "look.part", "look.back"),
    "facts": ("look.view", "look.back"),
    "run": ("look.view", "look.right", "look.again", "look.back"),
}
DONE = {
    "download": "is here; enter trains on it",
    "verify": "is whole: every byte was compared",
    "import": "is here; enter trains on it",
    "decode": "is decoded",
    "remove": "is deleted",
}


class DataScreen(AreaScreen):
    NUMBER, NAME = 1, "Data"
    WORDS = (
        "Left the data sets, right what the one under the cursor holds. Downloads are processes of their own: they go on\n"
        "when this viewer ends, and resume where they stopped."
    )
    CSS = "DataScreen Horizontal { height: 1fr; }"

    def __init__(self, form: FormState, form_changed: Callable[[], None]) -> None:
        super().__init__()
        self._form, self._form_changed = form, form_changed
        self._ticks = 0
        self._going: dict[str, tuple[str, int]] = {}  # what was asked for here and its process, by name of the set
        self._asked: deque[tuple[str, str, str]] = deque()
        self._opened: dict[str, tuple[SetRow, OneSet]] = {}
        self._point_to = form.text("data.name")  # where the cursor goes when the sets are known

    def body(self) -> Iterable[Widget]:
        with Horizontal():
            yield CatalogCanvas()
            yield LookCanvas(self._form, self._form_changed)

    @property
    def catalog(self) -> CatalogCanvas:
        return self.query_one(CatalogCanvas)

    @property
    def look(self) -> LookCanvas:
        return self.query_one(LookCanvas)

    def panel_keys(self) -> list[Key]:
        if not self.look.has_focus:
            return keys.DATA
        shown = LAST_ROW[self.look.view]
        return [replace(key, footer=key.id in shown) for key in keys.LOOK]

    def on_mount(self) -> None:
        super().on_mount()
        self.catalog.focus()
        self.reload()
        self.set_interval(INTERVAL, while_running(self, self._tick))

    def on_screen_resume(self, event: object) -> None:
        super().on_screen_resume(event)
        self.reload()

    def on_descendant_focus(self, event: object) -> None:
        self.refresh_bars()

    def on_view_changed(self, message: ViewChanged) -> None:
        message.stop()
        self.refresh_bars()

    def action_look(self) -> None:
        self.look.focus()

    # what is there

    def _tick(self) -> None:
        """Twice a second while something goes on, every other second otherwise; covered only while something was asked."""
        self._ticks += 1
        busy = bool(self._going) or (self.on_top and any(r.going and not r.going.error for r in self.catalog.rows))
        if busy or (self.on_top and self._ticks % SLOW == 0):
            self.reload()

    def reload(self) -> None:
        paths = host(self).paths

        def done(found: Sets | None, error: Exception | None) -> None:
            if error:
                self.post_message(Noticed(f"the data folder cannot be read: {error}", bad=True))
            if found is not None and self.query(LookCanvas):  # none while the viewer ends
                # what was asked for in the meantime is another process's
                same = {name: end for name, end in found.ended.items() if self._going.get(name, ("", 0))[1] == watched[name]}
                self._show(replace(found, ended=same))

        watched = {name: pid for name, (_, pid) in self._going.items()}
        host(self).background["sets"].submit(lambda: set_view.read_sets(paths, watched), done)

    def _show(self, found: Sets) -> None:
        self.post_message(SetsFound(found.usable, found.default))
        self.catalog.show_rows(found.rows)
        if any(row.name == self._point_to for row in found.rows):
            self.catalog.point_to(self._point_to)
            self._point_to = ""
        self._tell_ends(found.ended)
        self._open()

    def _tell_ends(self, ended: dict[str, tuple[str, str]]) -> None:
        """Say what became of the jobs that were begun here."""
        for name, (phase, why) in ended.items():
            action, _ = self._going.pop(name, ("", 0))
            self._opened.pop(name, None)
            if not action:
                continue
            if phase == "done":
                self._say(f"{name} {DONE[action]}")
                if action == "remove":
                    self.post_message(SetRemoved(name))
            elif phase == "cancelled":
                self._say(f"{action} of {name} is cancelled" + ("; d goes on from there" if action == "download" else ""))
            else:
                self._say(why if why.startswith(name) else f"{name}: {why}", bad=True)

    def on_moved(self, message: Moved) -> None:
        message.stop()
        self._open()

    def _open(self) -> None:
        """Open the set under the cursor in the background; what was opened before is shown at once."""
        row = self.catalog.chosen
        if row is None:
            return
        before, one = self._opened.get(row.name, (None, None))
        fresh = before is not None and (before.state, before.stamp, before.problem) == (row.state, row.stamp, row.problem)
        self.look.show_set(row, one)
        if fresh:
            return
        paths = host(self).paths

        def done(opened: OneSet | None, error: Exception | None) -> None:
            if error:
                opened = OneSet(row.name, FactSheet(), None, None, repr(error))
            if opened is not None:
                self._opened[row.name] = (row, opened)
            if self.query(LookCanvas):
                self._open()

        host(self).background["open"].submit(lambda: set_view.open_one(paths, row), done)

    # what a person asks

    def on_set_action(self, message: SetAction) -> None:
        message.stop()
        getattr(self, f"_{message.action}")(message.row)

    def _use(self, row: SetRow) -> None:
        if row.usable:
            self.post_message(DataUseAsked(row.name))
        elif row.going and not row.going.error:
            self._say(f"{row.name} is not here yet; {row.going.phase}", bad=True)
        else:
            what = "damaged; d gets it again" if row.state == "damaged" else "not here; d downloads it, i imports it"
            self._say(f"{row.name} is {what}", bad=True)

    def _download(self, row: SetRow) -> None:
        if row.state == "added":
            self._start("decode", row.name)
        elif row.made or row.state == "here":
            self._say(f"{row.name} is here already")
        elif row.own:
            self._say(f"{row.name} is your own; add it again from its source", bad=True)
        else:
            self._start("download", row.name, host(self).preferences.mirror)

    def _verify(self, row: SetRow) -> None:
        if row.made:
            self._say(f"{row.name} is part of mlptui and compared whenever it is read")
        elif row.state in ("here", "damaged"):
            self._start("verify", row.name)
        else:
            self._say(f"{row.name} is {row.state}; there is nothing to verify", bad=True)

    def _start(self, action: str, name: str, where: str = "") -> None:
        """Start a process for this; several at once, begun one after the other."""
        if any(row.name == name and row.going and not row.going.error for row in self.catalog.rows):
            self._say(f"{name} is being worked on already; c cancels that", bad=True)
            return
        self._asked.append((action, name, where))
        self._say(f"{action} of {name} begins ...")
        self._next()

    def _next(self) -> None:
        if not self._asked:
            return
        action, name, where = self._asked[0]
        paths = host(self).paths

        def done(pid: int | None, error: Exception | None) -> None:
            self._asked.popleft()
            if error:
                self._say(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True)
            else:
                self._going[name] = (action, pid or 0)
            self.reload()
            self._next()

        host(self).background["jobs"].submit(lambda: launch.start(paths, action, name, where), done)

    def _cancel(self, row: SetRow) -> None:
        paths = host(self).paths
        self._do(lambda: launch.cancel(paths, row.name), lambda sent: self._cancelled(row, sent))

    def _cancelled(self, row: SetRow, sent: bool) -> None:
        self._say(f"{row.name} is being cancelled; d goes on from there" if sent else f"nothing is being done to {row.name}")

    def _dismiss(self, row: SetRow) -> None:
        if row.going and row.going.error:
            paths = host(self).paths

            def forget() -> None:
                from mlptui.datasets import jobs

                jobs.forget(paths, row.name)

            self._do(forget, lambda _: self.reload())

    def _delete(self, row: SetRow) -> None:
        if row.made:
            self._say(f"{row.name} is part of mlptui; there is nothing to delete", bad=True)
            return
        if row.state == "not here":
            self._say(f"{row.name} is not here", bad=True)
            return
        paths = host(self).paths
        self._do(lambda: rundir.using(paths, row.name), lambda used: self._ask_delete(row, used))

    def _ask_delete(self, row: SetRow, used: list[str]) -> None:

        def answered(yes: bool | None) -> None:
            if yes:
                self._start("remove", row.name)

        text = f"{row.name} goes from the data folder.\nThis cannot be undone. "
        text += "Your own files stay where they are." if row.own else "It can be downloaded again."
        if used:
            more = f"\nand {len(used) - 2} more" if len(used) > 2 else ""
            text += "\n\nRuns that were trained on it; they cannot be resumed without it:\n" + "\n".join(used[:2]) + more
        self.app.push_screen(Question("delete this data set?", text, "delete it", "keep it"), answered)

    def _bring(self, row: SetRow) -> None:
        if row.made or row.own:
            self._say(f"{row.name} has no files to import", bad=True)
            return
        from mlptui.datasets.catalog import ENTRIES

        def answered(values: dict[str, str] | None) -> None:
            if values:
                self._start("import", row.name, values["from"])

        self.app.push_screen(ImportScreen(row.name, tuple(f.name for f in ENTRIES[row.name].files)), answered)

    def _add(self, row: SetRow) -> None:
        def answered(values: dict[str, str] | None) -> None:
            if values:
                self._say(f"{values['name']} is added; enter trains on it, d decodes it now")
                self._point_to = values["name"]
                self.reload()

        self.app.push_screen(AddScreen(), answered)

    # helpers

    def _say(self, text: str, bad: bool = False) -> None:
        self.post_message(Noticed(text, bad))

    def _do(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        def done(result: Any, error: Exception | None) -> None:
            if error:
                self._say(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True)
            else:
                then(result)

        if not host(self).background["commands"].submit(work, done):
            self._say("the work before is not done yet", bad=True)
