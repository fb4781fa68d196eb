"""What the keys of area 2 do to the network: each asks what is needed and gives the bench one step."""

import ast
from typing import TYPE_CHECKING

from mlptui.core import bench
from mlptui.core.architecture import edit, known, references
from mlptui.core.architecture.printer import literal
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.bench import Answer, Change, Place, Refused, Step, shape_typed
from mlptui.core.recipe import parsed
from mlptui.tui.dialogs.choosing import ArgumentsScreen, Choice, ChoiceScreen, LineScreen, is_network, layer_choices
from mlptui.tui.dialogs.editor import EditScreen

if TYPE_CHECKING:
    from mlptui.tui.screens.model import ModelScreen

TORCHVISION = f"{references.TORCHVISION}:"


def numbers_problem(text: str) -> str:
    """Why these are no numbers; empty where they are, or where there are none."""
    try:
        if text.startswith(("[", "(")):
            ast.literal_eval(text)
        else:
            [float(word) for word in text.replace(",", " ").split()]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return "write numbers: 1 2 3 4 5, or [[1, 2], [3, 4]]"
    return ""


class Builder:
    """The builder's keys, by the names that tui/keys.py has for them."""

    def __init__(self, screen: "ModelScreen") -> None:
        self.screen = screen

    def change(self, action: str, text: str = "", to: Place = ()) -> None:
        """One step at the present place, as it is when the step is made."""
        state = self.screen.state
        if state.sheet is not None:
            self.screen.session.step(lambda: Change(action=action, place=state.place, text=text, to=to))

    def delete(self) -> None:
        self.change("delete")

    def up(self) -> None:
        self.change("up")

    def down(self) -> None:
        self.change("down")

    def out(self) -> None:
        self.change("out")

    def in_(self) -> None:
        self.change("in")

    def wrap(self) -> None:
        self.change("wrap")

    def duplicate(self) -> None:
        self.change("duplicate")

    def untie(self) -> None:
        self.change("untie")

    def undo(self) -> None:
        sheet = self.screen.state.sheet
        if sheet and sheet.undo:
            self.screen.say(f"undone: {sheet.undo}")
        self.screen.session.step(lambda: bench.History(by=-1))

    def redo(self) -> None:
        self.screen.session.step(lambda: bench.History(by=1))

    def materialise(self) -> None:
        self.screen.session.step(lambda: bench.Materialise(input=self.screen.input()))

    def mark(self) -> None:
        self.screen.state.marked = None if self.screen.state.marked == self.screen.state.place else self.screen.state.place
        self.screen.state.arrange()
        self.screen.network.redraw()

    def tie(self) -> None:
        if self.screen.state.marked is None:
            self.screen.say("mark the layer that it is tied to first, with space", bad=True)
        else:
            self.change("tie", to=self.screen.state.marked)

    def steps(self) -> list[Step]:
        """What the fault or the finding here proposes."""
        steps: list[Step] = []
        if self.screen.pane.view == "doctor" and self.screen.state.report and self.screen.state.report.findings:
            findings = self.screen.state.report.findings
            chosen = findings[min(self.screen.pane.finding, len(findings) - 1)]
            here = [f for f in findings if f.place == self.screen.state.place]
            picked = chosen if self.screen.pane.has_focus or not here else here[0]
            steps = [picked.fix] if picked.fix else []
        elif self.screen.state.shapes and self.screen.state.shapes.fault:
            steps = list(self.screen.state.shapes.fault.fixes)
        return steps

    def fix(self) -> None:
        steps = self.steps()
        if not steps:
            self.screen.say("there is nothing to mend here by one key", bad=True)
            return
        step = steps[0]
        self.screen.say(step.says)
        self.screen.session.step(lambda: step.change)

    def add(self, inside: bool = False) -> None:
        def chosen(value: str | None) -> None:
            action = "inside" if inside else "add"
            if not value:
                return
            kind = value.removesuffix("()").removeprefix("nn.")
            if value.endswith("()") and known.signature(kind):

                def given(values: dict[str, str] | None) -> None:
                    if values is not None:
                        self.change(action, f"{known.spelled(kind)}({values['text']})")

                self.screen.app.push_screen(ArgumentsScreen(kind, self._known(kind)), given)
            else:
                self.change(action, value)

        where = "at the end of this container" if inside else "after this layer"
        hint = "type to search, or a whole layer: nn.Linear(8, 4)"
        self.screen.app.push_screen(ChoiceScreen(f"add {where}", hint, layer_choices(), is_network), chosen)

    def _known(self, kind: str) -> dict[str, str]:
        """The size that a new layer takes, where the layer before it gives one."""
        passed = self.screen.state.passed
        sizes = passed.output.strip("[]").split(", ") if passed and passed.output.startswith("[") else []
        place = {"in_features": -1, "in_channels": 1, "num_features": 1, "normalized_shape": -1}
        names = [str(row[0]) for row in known.signature(kind) or () if len(row) == 1]
        return {name: sizes[place[name]] for name in names if name in place and len(sizes) > 1}

    def inside(self) -> None:
        self.add(inside=True)

    def arguments(self) -> None:
        """The form of the layer's own signature."""
        tree = self.screen.state.tree()
        if tree is None:
            return
        try:
            layer = edit.at(tree, self.screen.state.place)
        except edit.EditError:
            self.screen.say("it is part of a block that makes its own layers; v shows its source", bad=True)
            return
        if not known.signature(layer.kind):
            self.screen.say("e edits its arguments as text" if layer.reference else f"{layer.kind} takes no arguments")
            return

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.change("arguments", values["text"])

        present = {name: literal(value) for name, value in layer.arguments}
        self.screen.app.push_screen(ArgumentsScreen(layer.kind, present), given)

    def rename(self) -> None:
        if not self.screen.state.place:
            self.screen.say("the whole network has no name of its own", bad=True)
            return

        def given(values: dict[str, str] | None) -> None:
            if values:
                self.change("rename", values["value"])

        def check(name: str) -> str:
            return "" if name and "." not in name else "a name without dots"

        told = "its name in the state_dict; others keep theirs"
        self.screen.app.push_screen(
            LineScreen("rename the layer", "name", "hidden", told, check, self.screen.state.place[-1]), given
        )

    def edit(self) -> None:
        self._write(self.screen.state.sheet.text if self.screen.state.sheet else self.screen.session.opened)

    def _write(self, text: str, why: str = "") -> None:
        """The editor; a text that the bench refuses comes back with the reason."""

        def given(typed: str | None) -> None:
            if typed and typed != self.screen.session.opened:
                whole = references.resolved(typed, parsed(typed))
                self.screen.session.open(whole, keep=True, failed=lambda refused: self._write(typed, refused.message))

        self.screen.app.push_screen(EditScreen(text, why), given)

    def open_other(self) -> None:
        def given(value: str | None) -> None:
            if value:
                self.take(value)

        self.screen.app.push_screen(self.networks("open a network"), given)

    def take(self, value: str) -> None:
        """A network of the zoo brings its input; any other one is looked at with the data set's."""
        network = ZOO.get(value)
        usual = network.input if network is not None else (3, 224, 224) if value.startswith(TORCHVISION) else None
        if usual is not None:
            self.screen.state.typed, self.screen.state.borrowed = (
                (None if usual == self.screen.form.data.shape else usual),
                True,
            )
        elif self.screen.state.borrowed:
            self.screen.state.typed, self.screen.state.borrowed = None, False
        if network is not None:
            self.screen.session.open(network.text)
            return
        self.screen.session.open(references.resolved(value, parsed(value)))

    def networks(self, title: str) -> ChoiceScreen:
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
                self.screen.ask(bench.Names(), named)

        def named(answer: Answer) -> None:
            if isinstance(answer, bench.NameList) and screen.is_mounted:
                screen.choices = [*screen.choices, *(Choice(TORCHVISION + n, "", TORCHVISION + n) for n in answer.names)]
                screen.redraw()
            elif isinstance(answer, Refused):
                self.screen.refused(answer)

        screen.asked = typed
        return screen

    def compare(self) -> None:
        def given(value: str | None) -> None:
            if not value:
                return
            text = ZOO[value].text if value in ZOO else value
            self.screen.see("compare")
            self.screen.ask(bench.Compare(text=text), done, "compare")

        def done(answer: Answer) -> None:
            if isinstance(answer, bench.Compared):
                self.screen.state.compared = answer
                self.screen.pane.redraw()
            elif isinstance(answer, Refused):
                self.screen.refused(answer)

        self.screen.app.push_screen(self.networks("compare with"), given)

    def input(self) -> None:
        def check(text: str) -> str:
            return "" if not text or shape_typed(text) else "write it as (1, 28, 28) or 784"

        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.screen.state.typed, self.screen.state.borrowed = shape_typed(values["value"]), False
                self.screen.state.flow = self.screen.state.report = self.screen.state.detail = None
                self.screen.probe()

        shape = self.screen.form.data.shape
        told = f"empty: {self.screen.form.text('data.name')}, {list(shape)}; the batch is added to it"
        value = ", ".join(map(str, self.screen.state.typed)) if self.screen.state.typed else ""
        self.screen.app.push_screen(LineScreen("what goes in", "shape", "(1, 28, 28)", told, check, value), given)

    def filter(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.screen.state.filter = values["value"]
                self.screen.state.arrange()
                self.screen.network.follow()

        told = "part of a path, class, argument or mark: conv, tied, out_features=10; empty: all"
        self.screen.app.push_screen(
            LineScreen("show only", "layers", "Linear", told, lambda _: "", self.screen.state.filter), given
        )

    def jump(self) -> None:
        def check(text: str) -> str:
            return "" if self.screen.state.find(text) is not None else "there is no such layer"

        def given(values: dict[str, str] | None) -> None:
            place = self.screen.state.find(values["value"]) if values else None
            if place is not None:
                self.screen.state.filter = ""
                self.screen.state.go(place)
                self.screen.network.follow()
                self.screen.look()

        if self.screen.state.sheet:
            told = 'each spelling: net[0][1][0], 0.block 1.0, [0]["block 1"][0].bias'
            self.screen.app.push_screen(LineScreen("go to", "path", "net[0][1]", told, check), given)

    def numbers(self) -> None:
        def given(values: dict[str, str] | None) -> None:
            if values is not None:
                self.screen.state.numbers, self.screen.state.flow = values["value"], None
                self.screen.see("flow")

        told = "1 2 3 4 5 or [[1, 2], [3, 4]]; empty: samples of the data set"
        line = LineScreen("numbers that go in", "numbers", "1 2 3 4 5", told, numbers_problem, self.screen.state.numbers)
        self.screen.app.push_screen(line, given)

    def next_sample(self, by: int = 1) -> None:
        self.screen.state.sample, self.screen.state.numbers = max(0, self.screen.state.sample + by), ""
        self.screen.see("flow")

    def sample_before(self) -> None:
        self.next_sample(-1)
