"""Area 3: every tensor of the network on the bench, its numbers, and what can be done to them."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from textual.widget import Widget

from mlptui.core.bench import Answer, Refused, Sheet
from mlptui.core.parameters import filters
from mlptui.core.parameters.messages import (
    List,
    Listed,
    Measure,
    Measures,
    Viewed,
)
from mlptui.core.wire import Input
from mlptui.store import checkpoints, collection
from mlptui.tui import keys
from mlptui.tui.desk import host, while_running
from mlptui.tui.dialogs.choosing import Choice, ChoiceScreen, LineScreen, why_not
from mlptui.tui.dialogs.console import ConsoleScreen
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.parameters_state import ParametersState
from mlptui.tui.render.parameters import SORTS, SORTS_COMPARED
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.screens.changing import ChangingScreen
from mlptui.tui.session import Session
from mlptui.tui.widgets.parameters import Asked, ListCanvas, TensorCanvas, TensorChanged, WindowChanged

LOOK = "look at a tensor"  # the group of requests of which the newest goes before
READING = (  # the keys of the last row while a file is looked at, the first ones first
    "params.into", "params.clear", "numbers.back", "params.view", "params.earlier", "params.sort", "params.filter",
    "params.console", "params.open",
)  # fmt: skip
AGAIN = 3.0  # seconds between looks for a newer checkpoint of a run


class ParamsScreen(ChangingScreen):
    NUMBER, NAME = 3, "Params"
    PANEL = TensorCanvas
    WORDS = (
        "Every tensor of the network that the next run trains; what you change here is what the run begins with.\n"
        "enter goes into the numbers, : takes any path in PyTorch's spelling, i draws anew, u takes everything back."
    )
    CSS = "ParamsScreen ListCanvas { height: 45%; }"

    def __init__(self, form: FormState, session: Session, entered: Callable[[], Input]) -> None:
        super().__init__(form, session)
        self.form, self.session, self.entered = form, session, entered
        self.state = ParametersState()
        self._reading = 0  # lists that were asked for and are not there
        self._stale = True  # the list is of another network than the bench's
        self._came_from = ""  # the area that the present source was chosen in

    def body(self) -> Iterable[Widget]:
        yield ListCanvas(self.state)
        yield TensorCanvas(self.state)

    @property
    def tensors(self) -> ListCanvas:
        return self.query_one(ListCanvas)

    def panel_keys(self) -> list[Key]:
        known = keys.NUMBERS if self.numbers.has_focus else keys.PARAMS
        if not self.state.source:
            return known
        told = {"params.clear": "Back", "params.earlier": "Step before"}
        there = [replace(key, footer=key.id in READING, label=told.get(key.id, key.label)) for key in known]
        return sorted(there, key=lambda key: READING.index(key.id) if key.id in READING else len(READING))

    def on_mount(self) -> None:
        super().on_mount()
        self.tensors.focus()
        self.set_interval(AGAIN, while_running(self, self._again))
        if self.state.source:  # another area asked for it
            self.read()
        self.sync()

    def sync(self) -> None:
        """The form's network on the bench, and its list here."""
        if not self.session.sync() and self.session.sheet is not None and self._stale:
            self.read()

    def share_out(self) -> None:
        """The list has the rows that it needs, up to about half; who has the focus has more of them."""
        if not self.query(TensorCanvas):
            return
        room = self.app.size.height - 3
        most = room * (2 if self.numbers.has_focus else 11) // (5 if self.numbers.has_focus else 21)
        self.tensors.styles.height = max(5, min(len(self.state.rows) + 4, most))

    # what the bench says

    def shows(self, sheet: Sheet, run: bool) -> None:
        if self.state.source:
            if self.state.listed is None and not self._reading and self.query(TensorCanvas):
                self.read()  # it gave way to the network
            return
        self._stale = True
        if self.query(TensorCanvas) and self._seen:
            told, self.telling = self.telling, ""
            if told or sheet.note or sheet.undo:
                self.say(told or sheet.note or f"{sheet.undo}; u takes it back")
            self.read()

    @property
    def _seen(self) -> bool:
        """Whether this area is what a person looks at, also below a dialog."""
        areas = [screen for screen in self.app.screen_stack if isinstance(screen, AreaScreen)]
        return bool(areas) and areas[-1] is self

    def refused(self, answer: Refused) -> None:
        if not self.query(TensorCanvas) or not self._seen:
            return
        self.tell_refusal(answer)
        if self._stale and self.session.sheet is not None:  # this change took the place of the list that was asked for
            self.read()

    def tell_refusal(self, answer: Refused) -> None:
        self.telling = ""
        self.say("cancelled" if answer.cancelled else answer.message, bad=not answer.cancelled)
        if not answer.cancelled and len(answer.message) > self.app.size.width - 20:  # the last row cuts it
            self.state.viewed = Viewed(path=self.state.path, show=self.state.show, why=answer.message)
            self.numbers.redraw()
        elif self.state.viewed is not None and self.state.viewed.why:
            self.look()
        if self.state.listed is None:
            self.tensors.empty = (f"no network: {answer.message}", "2 opens another one")
            self.tensors.redraw()

    def read(self) -> None:
        """The list of the network, or of what is looked at instead."""
        source = self.state.source
        self._reading += 1

        def done(answer: Answer) -> None:
            self._reading -= 1
            if source != self.state.source:
                return
            if isinstance(answer, Listed):
                self._stale = False
                before = self.state.row
                self.state.take(answer)
                after = self.state.row
                if before is None or after is None or (before.path, before.shape) != (after.path, after.shape):
                    self.numbers.reset()
                self.share_out()
                self.tensors.follow()
                self.look()
            elif isinstance(answer, Refused) and not answer.cancelled and source:
                self.say(answer.message, bad=True)
                self.tensors.empty = (answer.message, "esc goes back to the network, o opens another one")
                self.tensors.redraw()
                self.numbers.reset()
            elif isinstance(answer, Refused) and not answer.cancelled:
                self.tell_refusal(answer)

        self.ask(List(source=source), done, "tensors")

    def look(self) -> None:
        """Ask for what the panel of numbers shows, then for statistics that are not known yet."""
        request = self.numbers.request(self.entered(), int(self._number("batch_size", 256)))
        self.numbers.redraw()
        if self._stale:
            return
        if request is None:
            self.measure()
            return

        def done(answer: Answer) -> None:
            if isinstance(answer, Refused) and answer.cancelled:
                return
            if isinstance(answer, Viewed):
                if answer.path == self.state.path and answer.show == self.state.show:
                    self.state.viewed = answer
            elif isinstance(answer, Refused):
                self.state.viewed = Viewed(path=self.state.path, show=self.state.show, why=answer.message)
            self.numbers.redraw()
            self.measure()

        self.ask(request, done, LOOK)

    def measure(self) -> None:
        """Statistics of what is on screen, then of the rest, some at a time; whatever else is looked at goes before."""
        wanted = self.state.unknown(self.tensors.first, max(1, self.tensors.visible_rows()))
        if not wanted or self._stale:
            return

        def done(answer: Answer) -> None:
            if not isinstance(answer, Measures):
                return
            self.state.numbers.update(answer.numbers)
            before = self.state.path
            if self.state.sort in filters.FIELDS or filters.needs_numbers(self.state.filter):
                self.state.arrange()
                self.tensors.follow()
            if self.state.path != before:  # it goes with the first row
                self.numbers.reset()
                self.look()
                return
            self.tensors.redraw()
            self.numbers.redraw()
            if answer.numbers:
                self.measure()

        self.ask(Measure(paths=wanted, source=self.state.source), done, LOOK)

    def look_into(self, source: str, tensor: str = "", came_from: str = "") -> None:
        """As `o` with this text, and the cursor on this tensor; when the area is there. Back goes to where one came from."""
        self._came_from = came_from
        if self.query(TensorCanvas):
            self._see(source)
        else:
            self.state.leave(source)
        self.state.path = tensor

    def _see(self, source: str) -> None:
        """The tensors of something else: "" is the network."""
        self.state.leave(source)
        self.refresh_bars()
        self.tensors.empty = ("reading ...",)
        self.numbers.reset()
        self.tensors.redraw()
        self.read()

    def _again(self) -> None:
        """A run that goes on has newer checkpoints."""
        file = self.state.listed is None or not self.state.listed.digest  # the numbers of a file are not read through
        if self.is_current and self.state.source and not file and not self._reading:
            self.read()

    # what a person does

    def on_tensor_changed(self, message: TensorChanged) -> None:
        message.stop()
        self.look()

    def on_window_changed(self, message: WindowChanged) -> None:
        message.stop()
        self.look()

    def on_asked(self, message: Asked) -> None:
        message.stop()
        getattr(self, f"do_{message.action}")()

    def do_open(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self._came_from = ""
                self._see(values["value"])

        told = "last (the newest run), last/best, a run's id, a checkpoint's folder, a file; esc goes back"
        self.app.push_screen(
            LineScreen("look at the tensors of", "what", "last", told, lambda _: "", self.state.source, path=True), given
        )

    def do_console(self) -> None:
        def close(_: dict[str, str] | None) -> None:
            self.tensors.follow()

        names = [row.path for row in self.state.listed.rows] if self.state.listed else []
        spelled = [f"net{row.spelled}" for row in self.state.listed.rows] if self.state.listed else []
        self.app.push_screen(ConsoleScreen(self.session, names + spelled, self.state.source), close)

    def do_earlier(self) -> None:
        self._scrub(-1)

    def do_later(self) -> None:
        self._scrub(1)

    def _scrub(self, by: int) -> None:
        """Another checkpoint of the run that is looked at; the tensor under the cursor and the view stay.

        Of a comparison the one that it is compared with stays, too.
        """
        source, paths = self.state.source, host(self).paths
        compared = self.state.listed is not None and self.state.listed.compared
        before, _, seen = source.rpartition("..") if compared else ("", "", source)
        hint = "< and > go through a run's checkpoints; enter in area 6 opens one"
        if not source:
            self.say(hint)
            return

        def look() -> str:
            path = Path(os.path.expanduser(seen))
            entry = None if path.is_dir() else collection.find(paths, seen)
            folder = entry.folder if entry else path
            steps = checkpoints.folders(folder.parent)
            at = steps.index(folder) + by
            return str(steps[at]) if 0 <= at < len(steps) else ""

        def found(folder: str | None, error: Exception | None) -> None:
            if source != self.state.source:
                return
            if error or folder is None:
                self.say(hint)
            elif not folder:
                self.say("this is the last checkpoint of the run" if by > 0 else "this is the first checkpoint of the run")
            else:
                tensor = self.state.path
                self.state.source = f"{before}..{folder}" if before else folder
                self.state.path = tensor
                self.read()

        host(self).background["files"].submit(look, found)

    def do_into(self) -> None:
        self.numbers.focus()
        self.look()

    def do_back(self) -> None:
        if not host(self).workbench.cancel():
            self.tensors.focus()

    def do_view(self) -> None:
        shows = self.state.shows
        self.state.show = shows[(shows.index(self.state.show) + 1) % len(shows)]
        self.state.viewed = None
        self.look()

    def do_part(self) -> None:
        self.state.gradient = not self.state.gradient
        self.state.viewed = None
        self.look()

    def do_mark(self) -> None:
        path = self.state.path
        if path in self.state.marked:
            self.state.marked.remove(path)
        elif path:
            self.state.marked.append(path)
        self.tensors.place_cursor(self.tensors.cursor + 1)
        self.tensors.redraw()

    def do_mark_all(self) -> None:
        shown = [row.path for row in self.state.rows]
        self.state.marked = [] if set(shown) <= set(self.state.marked) else shown
        self.tensors.redraw()

    def do_clear(self) -> None:
        if host(self).workbench.cancel():
            return
        state = self.state
        usual = state.usual_sort
        if state.source and not (state.filter or state.marked) and state.sort == usual:
            self._see("")
            if self._came_from:
                self.app.action_area(self._came_from)  # type: ignore[attr-defined]
            return
        state.filter, state.sort, state.descending = "", usual, bool(usual)
        self.state.marked.clear()
        self.state.arrange()
        self.tensors.follow()
        self.look()

    def do_filter(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.state.filter = values["value"]
                self.state.arrange()
                self.tensors.follow()
                self.numbers.reset()
                self.look()

        told = "*.weight, /^0\\./, Linear, buffer, frozen, alias, unsaved, std > 0.1, zeros > 50%; with commas: all of them"
        self.app.push_screen(
            LineScreen("show only", "tensors", "*.weight", told, why_not(filters.read), self.state.filter), given
        )

    def do_sort(self) -> None:
        def chosen(value: str | None) -> None:
            if not value:
                return
            same = value == self.state.sort
            self.state.descending = (
                not self.state.descending
                if same
                else value not in ("path", "shape", "kind", "learns", "dtype", "device", "drawn")
            )
            self.state.sort = value
            self.state.arrange()
            self.tensors.follow()
            self.measure()

        present = self.state.sort or ("as they lie in it" if self.state.source else "the network's order")
        columns = SORTS_COMPARED if self.state.listed and self.state.listed.compared else SORTS
        told = dict.fromkeys((self.state.sort,), "as it is now, turned round") | {"bad": "nan and infinities"}
        names = [Choice(name, told.get(name, ""), name) for name in columns]

        def check(text: str) -> str:
            return "" if text in columns else "no such column"

        screen = ChoiceScreen(f"sort by (now: {present})", "a column", names, check, paths=False)
        self.app.push_screen(screen, chosen)
