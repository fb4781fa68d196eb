"""Area 2: the network on the bench as a tree, with what can be said of each layer, and the builder's keys."""

import os
from collections.abc import Iterable
from dataclasses import replace

from textual.containers import Horizontal
from textual.widget import Widget

from mlptui.core import bench
from mlptui.core.architecture.place import dotted
from mlptui.core.architecture.tree import CONTAINERS
from mlptui.core.bench import Answer, Refused, Sheet
from mlptui.tui import keys
from mlptui.tui.desk import host, while_running
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.model_state import ModelState, input_of
from mlptui.tui.render import model
from mlptui.tui.screens.area import BenchScreen
from mlptui.tui.screens.builder import Builder
from mlptui.tui.session import Session
from mlptui.tui.widgets.network import Asked, PaneCanvas, PlaceChanged, TreeCanvas

WIDE, NARROW = 120, 70  # cells from which on both panels have room, and below which only one has
READING, BESIDE = 47, 32  # cells of the panel beside the tree, in between
MEASURE_AFTER = 0.4  # seconds that the cursor rests on a layer before its pass is timed
WATCH = 1.0  # seconds between looks at a person's own file
ASKED = {"in": "in_", "open": "open_other"}  # actions whose names mean something else already


class ModelScreen(BenchScreen):
    NUMBER, NAME = 2, "Model"
    PANEL = PaneCanvas
    WORDS = (
        "The network that the next run trains. It lives in a process of its own, the bench; all looking is done on copies.\n"
        "enter opens and closes, or shows a layer's arguments; what you change shows at once, and u takes it back."
    )
    CSS = "ModelScreen Horizontal { height: 1fr; }"

    def __init__(self, form: FormState, session: Session) -> None:
        super().__init__(form, session)
        self.state = ModelState()
        self.builder = Builder(self)
        self._asked_input: bench.Input | None = None
        self._read: dict[str, int] = {}  # own files and their times as they were read last

    def body(self) -> Iterable[Widget]:
        with Horizontal():
            yield TreeCanvas(self.state)
            yield PaneCanvas(self.state)

    @property
    def network(self) -> TreeCanvas:
        return self.query_one(TreeCanvas)

    @property
    def pane(self) -> PaneCanvas:
        return self.query_one(PaneCanvas)

    def panel_keys(self) -> list[Key]:
        if self.pane.has_focus:
            return keys.PANE
        if self.builder.steps():  # the key that mends stands in the last row
            return [
                replace(key, footer=(key.footer and key.id != "model.input") or key.id == "model.fix") for key in keys.MODEL
            ]
        return keys.MODEL

    def on_mount(self) -> None:
        super().on_mount()
        self.network.focus()
        self.set_interval(WATCH, while_running(self, self._watch))
        self.sync()

    def share_out(self) -> None:
        """Who has the focus has the room, where there is not enough for both."""
        if not self.query(PaneCanvas):
            return
        width = self.app.size.width
        if width >= WIDE:
            beside = width * 2 // 5
        elif width < NARROW:
            beside = width if self.pane.has_focus else 0
        else:
            beside = READING if self.pane.has_focus or self.pane.view != "layer" else BESIDE
        self.pane.styles.width = beside

    # what the bench says

    def sync(self) -> None:
        """The form's network on the bench, and the data set's shape as its input."""
        if not self.session.sync() and self.state.sheet is not None and self._asked_input != self.input():
            self.probe()

    def input(self) -> bench.Input:
        data = self.form.text("data.name")
        return input_of(self.state, self.form.data.shape, data if data in self.form.data_sets else "")

    def refused(self, answer: Refused) -> None:
        if not self.query(PaneCanvas):
            return
        if answer.cancelled:
            self.say("cancelled")
            return
        where = f"line {answer.line}: " if answer.line and "line" not in answer.message else ""
        self.say(where + answer.message, bad=True)
        self.state.error = answer.message
        if self.state.sheet is None:
            self.network.empty = (
                f"not opened: {where}{answer.message}",
                "",
                *answer.output[-6:],
                "",
                "o opens another network, e edits this one, b starts another bench",
            )
            self.network.redraw()

    def shows(self, sheet: Sheet, run: bool) -> None:
        """The network is another one, or changed. What ended the bench by running is not run again by itself."""
        self.state.show(sheet)
        if not self.query(PaneCanvas):
            return
        self.pane.notes = [f"it printed: {line}" for line in sheet.output[-3:]]
        if len(sheet.rows) == 1 and sheet.rows[0].layer in CONTAINERS:
            self.pane.notes.append("it is empty: a adds the first layer, o opens another network")
        if host(self).desk.notice_bad:
            host(self).desk.tell("")
        self.network.follow()
        self.pane.redraw()
        if run and self.is_current:
            self.probe()
        elif run:
            self._asked_input = None  # when this screen is seen again
        else:
            why = "not run again by itself, because running it ended the bench; i runs it"
            self.state.shapes = bench.Shapes(input=self.input(), why=why)
            self.state.report, self.state.flow = bench.Report(why=why), bench.FlowSheet(what=why)
            self.pane.redraw()

    def probe(self) -> None:
        self._asked_input = self.input()
        self.network.words = self._input_words()

        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Shapes):
                self.state.shapes = answer
                self.state.arrange()
                self.network.follow()
                self.refresh_bars()
                if answer.fault:
                    self.say(f"{dotted(answer.fault.place) or 'the network'}: {answer.fault.message}", bad=True)
                self.look()
            elif isinstance(answer, Refused) and not answer.cancelled:
                self.refused(answer)
                self.pane.notes = [f"not run: {answer.message}"]
                self.pane.redraw()

        self.ask(bench.Probe(input=self._asked_input), done, "probe")

    def _input_words(self) -> str:
        wanted = self.input()
        return f"{list(wanted.shape)}" if wanted.data else f"{list(wanted.shape)} typed"

    def look(self) -> None:
        """Ask for what the view beside shows of the present layer."""
        state, view = self.state, self.pane.view
        self.pane.redraw()
        if state.sheet is None:
            return
        if view in ("layer", "source"):
            if state.detail is None or state.detail.place != state.place:
                self.ask(bench.Look(place=state.place, input=self.input()), self._looked, "look")
            self._measure_later()
        elif view == "flow":
            request = bench.Flow(input=self.input(), typed=state.numbers, sample=state.sample, place=state.place)
            self.ask(request, self._flowed, "look")
        elif view == "doctor" and state.report is None:
            self._examine()

    def _looked(self, answer: Answer) -> None:
        if isinstance(answer, bench.Detail):
            self.state.detail = answer
            self.pane.redraw()
        elif isinstance(answer, Refused) and not answer.cancelled:
            self.refused(answer)

    def _measure_later(self) -> None:
        """Time the layer's pass when the cursor rests on it."""
        place, sheet = self.state.place, self.state.sheet
        if self.state.detail and self.state.detail.place == place and (self.state.detail.measured or self.state.detail.why):
            return

        def measure() -> None:
            passed = self.state.passed
            if self.state.place == place and self.state.sheet is sheet and passed and passed.calls and self.is_current:
                self.ask(bench.Look(place=place, input=self.input(), measure=True), self._looked, "look")

        self.set_timer(MEASURE_AFTER, while_running(self, measure))

    def _flowed(self, answer: Answer) -> None:
        if isinstance(answer, bench.FlowSheet):
            self.state.flow = answer
        elif isinstance(answer, Refused) and not answer.cancelled:
            self.state.numbers = ""
            self.refused(answer)
        if isinstance(answer, Refused) and self.state.flow is None:
            self.state.flow = bench.FlowSheet(what=f"not run: {answer.message}; F tries again")
        self.pane.redraw()

    def _examine(self) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Report):
                self.state.report = answer
                self.state.arrange()
                self.network.redraw()
                self.pane.redraw()
                count = len(answer.findings)
                self.say(
                    answer.why or (f"{count} findings" if count > 1 else "1 finding" if count else "nothing found"),
                    bad=bool(count),
                )
            elif isinstance(answer, Refused):
                self.refused(answer)
                self.state.report = bench.Report(why=f"not examined: {answer.message}; d tries again")
                self.pane.redraw()

        wanted = self.input()
        outputs = (self.form.data.classes or 1) if wanted.data else 0
        self.ask(bench.Check(input=wanted, outputs=outputs, classes=bool(self.form.data.classes)), done, "check")

    def _watch(self) -> None:
        """Read a person's own file again when it was saved."""
        sheet = self.state.sheet
        if sheet is None or not sheet.watched or not self.is_current:
            return
        watched = sheet.watched

        def changed() -> tuple[str, int]:
            for file, before in watched:
                try:
                    now = os.stat(file).st_mtime_ns
                except OSError:
                    continue
                if now not in (before, self._read.get(file)):
                    return file, now
            return "", 0

        def done(found: tuple[str, int] | None, error: Exception | None) -> None:
            file, now = found or ("", 0)
            if file and self.state.sheet is sheet:
                self._read[file] = now  # also where reading fails: it is tried again when it is saved again
                self.say(f"{file} was saved; it is read again")
                self.session.open(sheet.text, keep=True)

        host(self).background["open"].submit(changed, done)

    # what a person asks

    def on_place_changed(self, message: PlaceChanged) -> None:
        message.stop()
        self.pane.top = 0
        self.look()

    def on_asked(self, message: Asked) -> None:
        message.stop()
        name = ASKED.get(message.action, message.action)
        act = getattr(self.builder, name, None) or getattr(self, f"_{name}")
        act()

    # views

    def see(self, view: str) -> None:
        self.pane.show_view(view)
        self.share_out()
        self.look()

    def _view(self) -> None:
        self.see(model.VIEWS[(model.VIEWS.index(self.pane.view) + 1) % len(model.VIEWS)])

    def _flow(self) -> None:
        self.see("flow")

    def _doctor(self) -> None:
        self.state.report = None
        self.see("doctor")

    def _pane(self) -> None:
        self.pane.focus()

    def _back(self) -> None:
        if not host(self).workbench.cancel():
            self.network.focus()

    def _enter(self) -> None:
        """From a finding to its layer."""
        report = self.state.report
        if self.pane.view == "doctor" and report and report.findings:
            self.state.go(report.findings[min(self.pane.finding, len(report.findings) - 1)].place)
            self.network.follow()
        self.network.focus()

    def _depth(self) -> None:
        if self.state.sheet:
            self.state.turn_depth()
            self.network.follow()

    def _bench(self) -> None:
        host(self).workbench.restart()
        self.say("the bench starts anew")

    def _clear(self) -> None:
        if host(self).workbench.cancel():
            return
        self.state.filter, self.state.marked = "", None
        self.state.arrange()
        self.network.follow()
        if self.pane.view != "layer":
            self.see("layer")
