"""What a person is asked about a network: which one, its text, a layer's arguments, one line."""

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from mlptui.core.architecture import known
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.printer import literal, to_text
from mlptui.core.errors import ArchitectureError, UsageError
from mlptui.core.recipe import parsed
from mlptui.core.text import cut, safe
from mlptui.tui.desk import host
from mlptui.tui.dialogs.prompt import Field, Prompt, completions
from mlptui.tui.render.cells import ACCENT, BAD, CURSOR, DIM, PLAIN, STRONG, Line, panel
from mlptui.tui.widgets.canvas import Canvas


@dataclass(frozen=True)
class Choice:
    """One thing to choose: what it is called, what is said of it, and what is given back."""

    name: str
    about: str
    value: str


class _List(Canvas):
    DEFAULT_CSS = "_List { layer: frame; }"

    def __init__(self, screen: "ChoiceScreen") -> None:
        super().__init__()
        self._screen = screen

    def draw(self, width: int, height: int) -> list[Line]:
        return self._screen.lines(width, height)


class ChoiceScreen(ModalScreen[str]):
    """A line to type into, and below it what fits to it. What is typed can be the answer itself, if `accepts` says so.

    `accepts` gives "" for an answer, else why it is none. Tab completes a path, where `paths` can be an answer.
    """

    CSS = "ChoiceScreen { layers: frame lines; background: transparent; }"
    WIDTH, HEIGHT = 78, 22

    def __init__(
        self, title: str, hint: str, choices: list[Choice], accepts: Callable[[str], str], paths: bool = True
    ) -> None:
        super().__init__()
        self.paths = paths
        self._heading, self._hint, self.choices, self._accepts = title, hint, choices, accepts
        self.at = 0
        self._told, self._told_role = "", BAD
        self.asked: Callable[[str], None] = lambda _: None  # hears what is typed

    def compose(self) -> ComposeResult:
        yield _List(self)
        line = Input(compact=True, placeholder=self._hint, select_on_focus=False)
        line.cursor_blink = False
        yield line

    def on_mount(self) -> None:
        self._place()
        self.query_one(Input).focus()

    def on_resize(self, event: events.Resize) -> None:
        self._place()

    def _place(self) -> None:
        width, height = min(self.WIDTH, self.app.size.width), min(self.HEIGHT, self.app.size.height)
        left, top = (self.app.size.width - width) // 2, (self.app.size.height - height) // 2
        frame, line = self.query_one(_List), self.query_one(Input)
        frame.styles.width, frame.styles.height = width, height
        frame.styles.position, frame.styles.offset = "absolute", (left, top)
        line.styles.layer, line.styles.position, line.styles.offset = "lines", "absolute", (left + 2, top + 1)
        line.styles.width, line.styles.height = width - 4, 1

    @property
    def typed(self) -> str:
        return self.query_one(Input).value.strip()

    def found(self) -> list[Choice]:
        """Choices that fit: names that begin so first, then those that hold all words."""
        words = self.typed.lower().split()
        if not words:
            return self.choices
        first = [c for c in self.choices if c.name.lower().startswith(words[0])]
        rest = [c for c in self.choices if c not in first and all(w in f"{c.name} {c.about}".lower() for w in words)]
        return first + rest if len(words) == 1 else rest

    def lines(self, width: int, height: int) -> list[Line]:
        found = self.found()
        self.at = max(0, min(self.at, len(found) - 1))
        rows = height - 6
        first = max(0, min(self.at - rows // 2, len(found) - rows))
        room = self.WIDTH - 6 - max((len(c.about) for c in self.choices), default=0)
        wide = min(max(26, room), max((len(c.name) for c in self.choices), default=0))
        body: list[Line] = [[], []]
        for i, choice in enumerate(found[first : first + rows], first):
            name = f"{cut(choice.name, wide):<{wide}}"
            body.append([(name, CURSOR if i == self.at else STRONG), (f"  {choice.about}", DIM)])
        if not found:
            path = any(sign in self.typed for sign in "/:(")
            body.append([("enter takes what you typed; tab completes" if path else "nothing is called so", DIM)])
        body += [[]] * (rows + 2 - len(body))
        body.append([(self._told, self._told_role)])
        keys = [("enter", "take it"), *([("tab", "complete a path")] if self.paths else []), ("esc", "not now")]
        body.append([part for key, does in keys for part in ((f"{key} ", ACCENT), (f"{does}   ", PLAIN))])
        return panel(self._heading, [(f"{len(found):,}", DIM)], body, (width, height), self.query_one(_List).glyphs, True)

    def redraw(self) -> None:
        self.query_one(_List).redraw()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != event.input.value:  # more was typed since
            return
        self.at, self._told = 0, ""
        self.asked(self.typed)
        self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        found, typed = self.found(), self.typed
        why = self._accepts(typed) if typed else "type or choose something"
        if found and (why or any(c.name == typed for c in found)):
            choice = found[self.at]
            if choice.value.endswith(":"):  # a beginning, to be gone on with
                self.type(choice.value)
                return
            self.dismiss(choice.value)
        elif not why:
            self.dismiss(typed)
        else:
            self._told, self._told_role = safe(why, 300), BAD
            self.redraw()

    def type(self, text: str) -> None:
        line = self.query_one(Input)
        line.value = text
        line.action_end()

    def on_key(self, event: events.Key) -> None:
        moves = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}
        if event.key == "escape":
            event.stop()
            self.dismiss("")
        elif event.key in moves:
            event.stop()
            event.prevent_default()
            self.at += moves[event.key]
            self.redraw()
        elif event.key == "tab":
            event.stop()
            event.prevent_default()
            found = self.found()
            if "/" in self.typed or self.typed.startswith((".", "~")) or not found:
                self._complete()
            else:
                self.type(found[self.at].value if "\n" not in found[self.at].value else found[self.at].name)

    def _complete(self) -> None:
        """A path, or after a file's colon the classes and functions in it; a slow disk does not hold up the keys."""
        typed = self.typed

        def done(found: tuple[list[str], str] | None, error: Exception | None) -> None:
            if found is None or not self.is_mounted or self.typed != typed:
                return
            names, begin = found
            if len(begin) > len(typed):
                self.type(begin)
            self._told, self._told_role = "  ".join(names[:8]) if len(names) > 1 else "", DIM
            self.redraw()

        host(self).background["network"].submit(lambda: completions(typed), done)


def is_network(text: str) -> str:
    """Why a text is no network; empty where it is one."""
    try:
        parsed(text)
    except ArchitectureError as error:
        return error.message
    return ""


def layer_choices() -> list[Choice]:
    """Layers for the builder, the usual ones first, with their signatures."""
    every = [*known.USUAL, *sorted(name for name in known.names() if name not in known.USUAL)]
    found = [Choice(kind, signature_words(kind), f"{known.spelled(kind)}()") for kind in every]
    return [
        *found,
        Choice("block1", "d2l: Linear, ReLU, Linear, ReLU", "block1()"),
        Choice("block2", "d2l: four of block1", "block2()"),
    ]


def signature_words(kind: str) -> str:
    words = []
    for row in known.signature(kind) or ():
        words.append(str(row[0]) if len(row) == 1 else f"{row[0]}={literal(row[1])}")
    return ", ".join(words)


class LineScreen(Prompt):
    """One line: `check` gives "" for an answer, else why it is none. Tab completes a `path`."""

    ROWS = 4

    def __init__(
        self, title: str, name: str, hint: str, told: str, check: Callable[[str], str], value: str = "", path: bool = False
    ) -> None:
        self.FIELDS = (Field(name, hint, path),)
        super().__init__({name: value})
        self.title_text, self._check = title, check
        self.told = [(told, "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "take it"), ("esc", "cancel")]

    def on_mount(self) -> None:
        super().on_mount()
        self.lines[0].select_all()

    def entered(self) -> None:
        value = self.lines[0].value.strip()
        why = self._check(value)
        if why:
            self.tell((why, "bad"))
        else:
            self.dismiss({"value": value})


class ArgumentsScreen(Prompt):
    """A layer's own signature as lines; what is left empty has its default."""

    ROWS, LABEL = 4, 22

    def __init__(self, kind: str, given: dict[str, str]) -> None:
        rows = known.signature(kind) or ()
        self.FIELDS = tuple(Field(str(row[0]), "needed" if len(row) == 1 else f"{literal(row[1])} if empty") for row in rows)
        super().__init__(given)
        self.kind = kind
        self.title_text = kind
        self.told = [('numbers, True, None, "words" or (tuples)', "dim")]

    def text(self) -> str:
        """`in_features=4, out_features=8`."""
        return ", ".join(f"{name}={value}" for name, value in self.values().items() if value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._look()

    def _look(self) -> bool:
        try:
            layer = parse(f"{known.spelled(self.kind)}({self.text()})")
        except ArchitectureError as error:
            self.tell((error.message, "bad"))
            return False
        self.tell((to_text(layer).strip(), "good"))
        return True

    def entered(self) -> None:
        if self._look():
            self.dismiss({"text": self.text()})


def why_not(read: Callable[[str], object]) -> Callable[[str], str]:
    """What a dialog says of a text: why it cannot be read, or nothing."""

    def check(text: str) -> str:
        try:
            read(text)
        except UsageError as error:
            return str(error)
        return ""

    return check
