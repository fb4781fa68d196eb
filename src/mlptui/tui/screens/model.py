"""Area 2: the network on the bench as a tree, with what can be said of each layer, and the builder's keys."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from textual.containers import Horizontal
from textual.widget import Widget

from mlptui.core import bench
from mlptui.core.architecture import edit, known, references
from mlptui.core.architecture.place import dotted
from mlptui.core.architecture.printer import literal
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import Answer, Change, Place, Refused, Sheet
from mlptui.core.recipe import parsed
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.messages import NetworkChosen, Noticed
from mlptui.tui.model_state import ModelState, input_of, shape_typed
from mlptui.tui.render import model
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.screens.network import ArgumentsScreen, Choice, ChoiceScreen, EditScreen, LineScreen, is_network, layer_choices
from mlptui.tui.widgets.network import Asked, PaneCanvas, PlaceChanged, TreeCanvas

WIDE = 120
MEASURE_AFTER = 0.4  # seconds that the cursor rests on a layer before its pass is timed
WATCH = 1.0  # seconds between looks at a person's own file
TORCHVISION = "torchvision:"
ASKED = {"input": "input_asked"}


def _absolute(text: str) -> str:
    """A network in a person's own file, by the file's whole path."""
    tree = parsed(text)
    if not tree.reference or not references.files(tree):
        return text
    where, name = references.split(tree.kind)
    return f"{references.absolute(where)}:{name}" + text.strip()[len(tree.kind) :]


class ModelScreen(AreaScreen):
    NUMBER, NAME = 2, "Model"
    WORDS = (
        "The network that the next run trains. It lives in a process of its own, the bench; all looking is done on copies.\n"
        "enter opens and closes, or shows a layer's arguments; what you change shows at once, and u takes it back."
    )
    CSS = "ModelScreen Horizontal { height: 1fr; }"

    def __init__(self, form: FormState) -> None:
        super().__init__()
        self._form = form
        self.state = ModelState()
        self._opened = ""  # the text that the bench was last given
        self._seen = ""  # the form's text when this screen last looked
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
        fault = self.state.shapes.fault if self.state.shapes else None
        if fault and fault.fixes:  # the key that mends stands in the last row
            return [
                replace(key, footer=(key.footer and key.id != "model.input") or key.id == "model.fix") for key in keys.MODEL
            ]
        return keys.MODEL

    def on_mount(self) -> None:
        super().on_mount()
        self.network.focus()
        self.set_interval(WATCH, self._watch)
        self.sync()

    def on_screen_resume(self, event: object) -> None:
        super().on_screen_resume(event)
        self.sync()

    def on_resize(self, event: object) -> None:
        self._share_out()

    def on_descendant_focus(self, event: object) -> None:
        self._share_out()
        self.refresh_bars()

    def _share_out(self) -> None:
        """Who has the focus has the room, where there is not enough for both."""
        if not self.query(PaneCanvas):
            return
        width = self.app.size.width
        roomy = width >= WIDE
        beside = (width * 2 // 5) if roomy else (47 if self.pane.has_focus or self.pane.view not in ("layer",) else 32)
        self.pane.styles.width = beside

    # what the bench says

    def sync(self) -> None:
        """The form's network on the bench, and the data set's shape as its input."""
        text = self._form.text("architecture")
        if text != self._seen:
            self._seen = text
            if text != self._opened:
                self.open(text, chosen=True)
        elif self.state.sheet is not None and self._asked_input != self._input():
            self._probe()

    def _input(self) -> bench.Input:
        data = self._form.text("data.name")
        return input_of(self.state, self._form.data.shape, data if data in self._form.data_sets else "")

    def open(self, text: str, keep: bool = False, chosen: bool = False) -> None:
        """Give the bench another network; `chosen` where the form has it already."""
        before, self._opened = self._opened, text
        seed = int(self._form.text("seed")) if self._form.text("seed").isdecimal() else 0

        def done(answer: Answer) -> None:
            if isinstance(answer, Sheet):
                self._show(answer, tell=not chosen)
            elif isinstance(answer, Refused):
                self._opened = before if not chosen else text
                self._refused(answer)

        self._ask(bench.Open(text=text, seed=seed, keep=keep), done, "open")

    def reopened(self, sheet: Sheet) -> None:
        """A new bench has the network again."""
        self._show(sheet, tell=False)

    def _ask(self, request: bench.Request, done: Callable[[Answer], None], group: str = "") -> None:
        def here(answer: Answer) -> None:
            if self.query(PaneCanvas):  # none while the viewer ends
                done(answer)

        host(self).workbench.ask(request, here, group)

    def _refused(self, answer: Refused) -> None:
        if answer.cancelled:
            self._say("cancelled")
            return
        where = f"line {answer.line}: " if answer.line and "line" not in answer.message else ""
        self._say(where + answer.message, bad=True)
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

    def _show(self, sheet: Sheet, tell: bool = True) -> None:
        self.state.show(sheet)
        self._opened = sheet.text
        self.pane.notes = [f"it printed: {line}" for line in sheet.output[-3:]]
        self.network.follow()
        self.pane.redraw()
        if tell:
            self._seen = sheet.text
            self._tell_form(sheet.text)
        self._probe()

    def _tell_form(self, text: str) -> None:
        """The form parses the text too; of a large network that is better done in another thread first."""

        def done(_: object, error: Exception | None) -> None:
            if text == self._opened:
                self.post_message(NetworkChosen(text))

        if not host(self).background["network"].submit(lambda: parsed(text), done):
            self.post_message(NetworkChosen(text))

    def _changed(self, answer: Answer) -> None:
        """After a step of the builder, undo or redo."""
        if isinstance(answer, Sheet):
            self._show(answer)
        elif isinstance(answer, Refused):
            self._refused(answer)

    def _probe(self) -> None:
        self._asked_input = self._input()
        self.network.words = self._input_words()

        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Shapes):
                self.state.shapes = answer
                self.state.arrange()
                self.network.follow()
                self.refresh_bars()
                if answer.fault:
                    self._say(f"{dotted(answer.fault.place) or 'the network'}: {answer.fault.message}", bad=True)
                self._look()

        self._ask(bench.Probe(input=self._asked_input), done, "probe")

    def _input_words(self) -> str:
        wanted = self._input()
        return f"{wanted.data or 'input'} {list(wanted.shape)}"

    def _look(self) -> None:
        """Ask for what the view beside shows of the present layer."""
        state, view = self.state, self.pane.view
        self.pane.redraw()
        if state.sheet is None:
            return
        if view in ("layer", "source"):
            if state.detail is None or state.detail.place != state.place:
                self._ask(bench.Look(place=state.place, input=self._input()), self._looked, "look")
            self._measure_later()
        elif view == "flow":
            request = bench.Flow(input=self._input(), typed=state.numbers, sample=state.sample, place=state.place)
            self._ask(request, self._flowed, "look")
        elif view == "doctor" and state.report is None:
            self._examine()

    def _looked(self, answer: Answer) -> None:
        if isinstance(answer, bench.Detail):
            self.state.detail = answer
            self.pane.redraw()

    def _measure_later(self) -> None:
        """Time the layer's pass when the cursor rests on it."""
        place, sheet = self.state.place, self.state.sheet
        if self.state.detail and self.state.detail.place == place and (self.state.detail.measured or self.state.detail.why):
            return

        def measure() -> None:
            passed = self.state.passed
            if self.state.place == place and self.state.sheet is sheet and passed and passed.calls and self.is_current:
                self._ask(bench.Look(place=place, input=self._input(), measure=True), self._looked, "look")

        self.set_timer(MEASURE_AFTER, measure)

    def _flowed(self, answer: Answer) -> None:
        if isinstance(answer, bench.FlowSheet):
            self.state.flow = answer
        elif isinstance(answer, Refused) and not answer.cancelled:
            self._refused(answer)
        self.pane.redraw()

    def _examine(self) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Report):
                self.state.report = answer
                self.state.arrange()
                self.network.redraw()
                self.pane.redraw()
                count = len(answer.findings)
                self._say(
                    answer.why or (f"{count} findings" if count > 1 else "1 finding" if count else "nothing found"),
                    bad=bool(count),
                )
            elif isinstance(answer, Refused):
                self._refused(answer)

        wanted = self._input()
        outputs = (self._form.data.classes or 1) if wanted.data else 0
        self._ask(bench.Check(input=wanted, outputs=outputs, classes=bool(self._form.data.classes)), done, "check")

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
                self._say(f"{file} was saved; it is read again")
                self.open(sheet.text, keep=True)

        host(self).background["open"].submit(changed, done)

    # what a person asks

    def on_place_changed(self, message: PlaceChanged) -> None:
        message.stop()
        self.pane.top = 0
        self._look()

    def on_asked(self, message: Asked) -> None:
        message.stop()
        getattr(self, f"_{ASKED.get(message.action, message.action)}")()

    def _change(self, action: str, text: str = "", to: Place = (), place: Place | None = None) -> None:
        if self.state.sheet is None:
            return
        change = Change(action=action, place=self.state.place if place is None else place, text=text, to=to)
        self._ask(change, self._changed)

    def _delete(self) -> None:
        self._change("delete")

    def _up(self) -> None:
        self._change("up")

    def _down(self) -> None:
        self._change("down")

    def _out(self) -> None:
        self._change("out")

    def _in(self) -> None:
        self._change("in")

    def _wrap(self) -> None:
        self._change("wrap")

    def _duplicate(self) -> None:
        self._change("duplicate")

    def _untie(self) -> None:
        self._change("untie")

    def _undo(self) -> None:
        self._ask(bench.History(by=-1), self._changed)

    def _redo(self) -> None:
        self._ask(bench.History(by=1), self._changed)

    def _materialise(self) -> None:
        self._ask(bench.Materialise(input=self._input()), self._changed)

    def _mark(self) -> None:
        self.state.marked = None if self.state.marked == self.state.place else self.state.place
        self.state.arrange()
        self.network.redraw()

    def _tie(self) -> None:
        if self.state.marked is None:
            self._say("mark the layer that it is tied to first, with space", bad=True)
        else:
            self._change("tie", to=self.state.marked)

    def _fix(self) -> None:
        """What the fault or the finding here proposes."""
        steps = []
        if self.pane.view == "doctor" and self.state.report and self.state.report.findings:
            findings = self.state.report.findings
            chosen = findings[min(self.pane.finding, len(findings) - 1)]
            here = [f for f in findings if f.place == self.state.place]
            picked = chosen if self.pane.has_focus or not here else here[0]
            steps = [picked.fix] if picked.fix else []
        elif self.state.shapes and self.state.shapes.fault:
            steps = list(self.state.shapes.fault.fixes)
        if not steps:
            self._say("there is nothing to mend here by one key", bad=True)
            return
        step = steps[0]
        self._say(step.says)
        self._ask(step.change, self._changed)

    def _add(self, inside: bool = False) -> None:
        def chosen(value: str | None) -> None:
            action = "inside" if inside else "add"
            if not value:
                return
            kind = value.removesuffix("()").removeprefix("nn.")
            if value.endswith("()") and known.signature(kind):

                def given(values: dict[str, str] | None) -> None:
                    if values is not None:
                        self._change(action, f"{known.spelled(kind)}({values['text']})")

                self.app.push_screen(ArgumentsScreen(kind, {}), given)
            else:
                self._change(action, value)

        where = "at the end of this container" if inside else "after this layer"
        hint = "type to search, or a whole layer: nn.Linear(8, 4)"
        self.app.push_screen(ChoiceScreen(f"add {where}", hint, layer_choices(), is_network), chosen)

    def _inside(self) -> None:
        self._add(inside=True)

    def _arguments(self) -> None:
        """The form of the layer's own signature."""
        tree = self.state.tree()
        if tree is None:
            return
        try:
            layer = edit.at(tree, self.state.place)
        except edit.EditError:
            self._say("it is part of a block that makes its own layers; v shows its source", bad=True)
            return
        if not known.signature(layer.kind):
            self._say("e edits its arguments as text" if layer.reference else f"{layer.kind} takes no arguments")
            return

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self._change("arguments", values["text"])

        present = {name: literal(value) for name, value in layer.arguments}
        self.app.push_screen(ArgumentsScreen(layer.kind, present), given)

    def _rename(self) -> None:
        if not self.state.place:
            self._say("the whole network has no name of its own", bad=True)
            return

        def given(values: dict[str, str] | None) -> None:
            if values:
                self._change("rename", values["value"])

        def check(name: str) -> str:
            return "" if name and "." not in name else "a name without dots"

        told = "its name in the state_dict; others keep theirs"
        self.app.push_screen(LineScreen("rename the layer", "name", "hidden", told, check, self.state.place[-1]), given)

    def _edit(self) -> None:
        def given(text: str | None) -> None:
            if text and text != self._opened:
                self.open(text, keep=True)

        self.app.push_screen(EditScreen(self.state.sheet.text if self.state.sheet else self._opened), given)

    def _open(self) -> None:
        def given(value: str | None) -> None:
            if value:
                self._take(value)

        self.app.push_screen(self._networks("open a network"), given)

    def _take(self, value: str) -> None:
        """A network of the zoo brings its input; any other one is looked at with the data set's."""
        network = ZOO.get(value)
        usual = network.input if network is not None else (3, 224, 224) if value.startswith(TORCHVISION) else None
        if usual is not None:
            self.state.typed, self.state.borrowed = (None if usual == self._form.data.shape else usual), True
        elif self.state.borrowed:
            self.state.typed, self.state.borrowed = None, False
        if network is not None:
            self.open(network.text)
            return
        self.open(_absolute(value))

    def _networks(self, title: str) -> ChoiceScreen:
        """Networks by name; torchvision's names come from the bench when they are asked for."""
        choices = [Choice(name, network.about, name) for name, network in ZOO.items()]
        choices.append(Choice("torchvision", "its models by name, without weights: torchvision:resnet18", TORCHVISION))
        choices.append(
            Choice("your own file", "a class or function in a Python file: ~/nets.py:MLP or nets.py:make(hidden=256)", "./:")
        )
        screen = ChoiceScreen(title, "type to search, or path.py:Class, or nn.Sequential(...)", choices, is_network)
        asked = False

        def typed(text: str) -> None:
            nonlocal asked
            if text.startswith(TORCHVISION) and not asked:
                asked = True
                self._ask(bench.Names(), named)

        def named(answer: Answer) -> None:
            if isinstance(answer, bench.NameList) and screen.is_mounted:
                screen.choices = [*screen.choices, *(Choice(TORCHVISION + n, "", TORCHVISION + n) for n in answer.names)]
                screen.redraw()
            elif isinstance(answer, Refused):
                self._refused(answer)

        screen.asked = typed
        return screen

    def _compare(self) -> None:
        def given(value: str | None) -> None:
            if not value:
                return
            text = ZOO[value].text if value in ZOO else value
            self._see("compare")
            self._ask(bench.Compare(text=text), done, "compare")

        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Compared):
                self.state.compared = answer
                self.pane.redraw()
            elif isinstance(answer, Refused):
                self._refused(answer)

        self.app.push_screen(self._networks("compare with"), given)

    def _input_asked(self) -> None:
        def check(text: str) -> str:
            return "" if not text or shape_typed(text) else "write it as (1, 28, 28) or 784"

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.state.typed, self.state.borrowed = shape_typed(values["value"]), False
                self.state.flow = self.state.report = self.state.detail = None
                self._probe()

        shape = self._form.data.shape
        told = f"empty: {self._form.text('data.name')}, {list(shape)}; the batch is added to it"
        value = ", ".join(map(str, self.state.typed)) if self.state.typed else ""
        self.app.push_screen(LineScreen("what goes in", "shape", "(1, 28, 28)", told, check, value), given)

    def _filter(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.state.filter = values["value"]
                self.state.arrange()
                self.network.follow()

        told = "part of a path, class, argument or mark: conv, tied, out_features=10; empty: all"
        self.app.push_screen(LineScreen("show only", "layers", "Linear", told, lambda _: "", self.state.filter), given)

    def _jump(self) -> None:
        def check(text: str) -> str:
            return "" if self.state.find(text) is not None else "there is no such layer"

        def given(values: dict[str, str] | None) -> None:
            place = self.state.find(values["value"]) if values else None
            if place is not None:
                self.state.filter = ""
                self.state.go(place)
                self.network.follow()
                self._look()

        if self.state.sheet:
            told = 'each spelling: net[0][1][0], 0.block 1.0, [0]["block 1"][0].bias'
            self.app.push_screen(LineScreen("go to", "path", "net[0][1]", told, check), given)

    def _numbers(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.state.numbers, self.state.flow = values["value"], None
                self._see("flow")

        told = "1 2 3 4 5 or [[1, 2], [3, 4]]; empty: samples of the data set"
        line = LineScreen("numbers that go in", "numbers", "1 2 3 4 5", told, lambda _: "", self.state.numbers)
        self.app.push_screen(line, given)

    def _next_sample(self, by: int = 1) -> None:
        self.state.sample, self.state.numbers = max(0, self.state.sample + by), ""
        self._see("flow")

    def _sample_before(self) -> None:
        self._next_sample(-1)

    # views

    def _see(self, view: str) -> None:
        self.pane.show_view(view)
        self._share_out()
        self._look()

    def _view(self) -> None:
        self._see(model.VIEWS[(model.VIEWS.index(self.pane.view) + 1) % len(model.VIEWS)])

    def _flow(self) -> None:
        self._see("flow")

    def _doctor(self) -> None:
        self.state.report = None
        self._see("doctor")

    def _pane(self) -> None:
        self.pane.focus()

    def _back(self) -> None:
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
        self._say("the bench starts anew")

    def _clear(self) -> None:
        if host(self).workbench.cancel():
            return
        self.state.filter, self.state.marked = "", None
        self.state.arrange()
        self.network.follow()
        if self.pane.view != "layer":
            self._see("layer")

    def _say(self, text: str, bad: bool = False) -> None:
        self.post_message(Noticed(text, bad))
