"""What a person does to the tensors of the network on the bench: written, set, drawn, tied, trained, taken back."""

import math
from collections.abc import Callable
from pathlib import Path

from mlptui.core import bench
from mlptui.core.bench import Answer, Refused
from mlptui.core.parameters import changes
from mlptui.core.parameters.messages import (
    Clone,
    Cloned,
    Console,
    Export,
    Exported,
    Initialise,
    Put,
    Rule,
    Tie,
    Train,
)
from mlptui.core.text import counted, number
from mlptui.core.wire import Input
from mlptui.tui.dialogs.choosing import LineScreen, why_not
from mlptui.tui.dialogs.drawing import DrawScreen
from mlptui.tui.dialogs.modal import Told
from mlptui.tui.dialogs.writing import FORMS, WriteScreen
from mlptui.tui.form_state import FormState
from mlptui.tui.parameters_state import ParametersState
from mlptui.tui.screens.area import BenchScreen
from mlptui.tui.session import Session
from mlptui.tui.widgets.parameters import TensorCanvas

NOISE = 0.01


class ChangingScreen(BenchScreen):
    """Area 3 without its list: each `do_*` is a key. What lies in a file is only looked at."""

    form: FormState
    session: Session
    state: ParametersState
    entered: Callable[[], Input]
    telling: str = ""  # what is said when the next change is there

    @property
    def numbers(self) -> TensorCanvas:
        return self.query_one(TensorCanvas)

    def look(self) -> None:
        raise NotImplementedError

    def tell_refusal(self, answer: Refused) -> None:
        raise NotImplementedError

    def step(self, request: bench.Request, told: str = "") -> None:
        """A change; `told` is said when it is done."""
        if self._may_change():
            self.telling = told
            self.session.step(lambda: request)

    def _may_change(self) -> bool:
        if self.state.source:
            self.say("what lies in a file is not changed here; esc goes back to the network", bad=True)
        return not self.state.source

    def do_write(self, tried: dict[str, str] | None = None, problem: str = "") -> None:
        """Ask where to and how; what was tried before stands there with the reason why it was not done."""
        sheet, source, marked = self.session.sheet, self.state.source, tuple(self.state.marked)

        def given(values: dict[str, str] | None) -> None:
            if not values:
                return

            def done(answer: Answer) -> None:
                if isinstance(answer, Exported) and answer.compared:
                    self.say(f"{Path(answer.file).name}: {answer.compared}")
                elif isinstance(answer, Exported):
                    self.session.kept = sheet
                    self.say(f"written to {answer.file}; mlptui train --weights begins with it")
                elif isinstance(answer, Refused):
                    self.tell_refusal(answer)
                    if not answer.cancelled and self.app.screen is self:
                        self.do_write(values, answer.message)

            form = FORMS[values["as"]]
            alone = not marked and (form == "tensor" or values["to"].lower().endswith(".npy"))
            self.ask(Export(file=values["to"], paths=(here,) if alone else marked, form=form, source=source), done)

        here = self.state.path
        if self.state.listed is not None:
            self.app.push_screen(WriteScreen(len(marked), len(self.state.listed.rows), here, tried or {}, problem), given)

    def _put(self, action: str, numbers: tuple[float, ...] = ()) -> None:
        paths = self.state.chosen()
        if paths:
            self.step(Put(action=action, paths=paths, numbers=numbers))

    def do_freeze(self) -> None:
        chosen = set(self.state.chosen())
        rows = [row for row in (self.state.listed.rows if self.state.listed else ()) if row.path in chosen]
        self._put("freeze" if any(row.trainable for row in rows) else "thaw")

    def do_noise(self) -> None:
        self._put("noise", (NOISE,))

    def do_forget(self) -> None:
        rows = self.state.listed.rows if self.state.listed else ()
        paths = tuple(row.path for row in rows if row.gradient and not row.alias_of)
        if paths:
            self.step(Put(action="forget", paths=paths))
        else:
            self.say("there are no gradients; . makes them")

    def do_edit(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values:
                self.step(changes.read(values["value"], chosen))

        chosen = self.state.chosen()
        if chosen and self._may_change():
            what = chosen[0] if len(chosen) == 1 else f"{len(chosen)} tensors"
            self.app.push_screen(LineScreen(f"change {what}", "do", "fill 0", changes.EXAMPLES, why_not(changes.read)), given)

    def do_cell(self) -> None:
        row = self.state.row
        if row is None or row.shape is None or not self._may_change():
            return
        if self.state.show != "values" or self.state.gradient:
            self.state.show, self.state.gradient, self.state.viewed = "values", False, None
            self.look()
            return
        index = self.numbers.full_index()

        def check(text: str) -> str:
            try:
                float(text)
            except ValueError:
                return "a number, as 0.5, -1e-3, nan or inf"
            return ""

        def given(values: dict[str, str] | None) -> None:
            if values:
                at = f"[{', '.join(map(str, index))}]" if index else ""
                target = f"net{row.spelled}.data{at}"
                value = float(values["value"])
                text = repr(value) if math.isfinite(value) else f"float('{value}')"
                self.step(Console(text=f"{target} = {text}"))

        viewed, now = self.state.viewed, ""
        if viewed is not None and viewed.columns:
            at = (self.state.cell[0] - viewed.row) * viewed.columns + self.state.cell[1] - viewed.column
            now = repr(viewed.values[at]) if 0 <= at < len(viewed.values) else ""
        self.app.push_screen(LineScreen(f"{row.path}{list(index)}", "value", "0.5", "u takes it back", check, now), given)

    def do_draw(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values:
                rules = tuple(Rule(select=s, scheme=h) for s, h in DrawScreen.rules(values))
                self.step(Initialise(rules=rules, seed=int(values["seed"])))

        if not self._may_change():
            return
        chosen = self.state.chosen()
        what = ", ".join(chosen) if chosen else "*"
        seed = self.form.text("seed")
        weights = [row.path for row in self.state.rows if row.path.endswith("weight") and not row.alias_of]
        screen = DrawScreen(what, weights, seed if seed.isdecimal() else "0", self.entered(), self.ask)
        self.app.push_screen(screen, given)

    def do_tie(self) -> None:
        if len(self.state.marked) < 2:
            self.say("mark two or more parameters of one shape with space first", bad=True)
        else:
            self.step(Tie(paths=tuple(self.state.marked)))
            self.state.marked.clear()

    def do_untie(self) -> None:
        self.step(Tie(paths=self.state.chosen(), apart=True))

    def _number(self, name: str, usual: float) -> float:
        """A knob of the form; what it does not say rightly has its usual value."""
        try:
            return float(self.form.text(name))
        except ValueError:
            return usual

    def _train(self, steps: int) -> None:
        number = self._number
        self.step(
            Train(
                input=self.entered(),
                steps=steps,
                batch_size=min(4096, int(number("batch_size", 256))),
                optimizer=self.form.text("optimizer.name"),
                rate=number("optimizer.lr", 0.1),
                momentum=number("optimizer.momentum", 0.0),
                weight_decay=number("optimizer.weight_decay", 0.0),
            )
        )

    def do_gradients(self) -> None:
        self._train(0)

    def do_step(self) -> None:
        self._train(1)

    def do_steps(self) -> None:
        self._train(10)

    def do_undo(self) -> None:
        sheet = self.session.sheet
        self.step(bench.History(by=-1), f"undone: {sheet.undo}" if sheet and sheet.undo else "")

    def do_redo(self) -> None:
        sheet = self.session.sheet
        self.step(bench.History(by=1), f"again: {sheet.redo}" if sheet and sheet.redo else "")

    def do_clone(self) -> None:
        if not self._may_change():
            return

        def done(answer: Answer) -> None:
            if isinstance(answer, Cloned):
                pairs = zip(answer.first, answer.second, strict=True)
                numbers = [f"{number(a):>10} {number(b):>10}  {'=' if a == b else 'not equal'}" for a, b in pairs]
                more = answer.count - len(answer.first)
                lines = [*answer.words, "", "   network      clone", *numbers]
                lines += [f"   and {counted(more, 'more output')}"] if more else []
                self.app.push_screen(Told("cloned: built anew, its state_dict loaded", lines))
            elif isinstance(answer, Refused):
                self.tell_refusal(answer)

        self.ask(Clone(input=self.entered()), done)
