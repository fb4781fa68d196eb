"""A few lines to fill in, above an area: bringing files in, and adding one's own data."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from mlptui.core.errors import StorageError
from mlptui.core.text import safe, slug
from mlptui.store.atomic import read_regular
from mlptui.tui.background import Background
from mlptui.tui.render import pages
from mlptui.tui.render.cells import Line
from mlptui.tui.widgets.canvas import Canvas

LABEL = 12
WIDTH = 76
LOOK_TIMEOUT = 600.0


@dataclass(frozen=True)
class Field:
    """One line: what it is called, a hint while it is empty, and whether tab completes a path in it."""

    name: str
    hint: str
    path: bool = False


class _Line(Input):
    DEFAULT_CSS = """
    _Line { height: 1; border: none; padding: 0; background: $surface; width: 1fr; layer: lines; display: block; }
    _Line:focus { border: none; text-style: underline; }
    """

    def __init__(self, field: Field) -> None:
        super().__init__(compact=True, placeholder=field.hint, select_on_focus=False)
        self.field = field
        self.cursor_blink = False


class _Frame(Canvas):
    DEFAULT_CSS = "_Frame { layer: frame; }"

    def __init__(self, screen: "Prompt") -> None:
        super().__init__()
        self._prompt = screen

    def draw(self, width: int, height: int) -> list[Line]:
        prompt = self._prompt
        names = [field.name for field in prompt.FIELDS]
        return pages.prompt(prompt.title_text, names, prompt.told, prompt.answers(), (width, height), self.glyphs)


class Prompt(ModalScreen[dict[str, str]]):
    """Subclasses name their FIELDS and decide in `entered` what enter does; `told` are (sentence, role) below the lines."""

    title_text = ""
    FIELDS: tuple[Field, ...] = ()
    ROWS = 10
    LABEL = LABEL
    FIRST = 0  # the line that is typed into first
    CSS = """
    Prompt { layers: frame lines; }
    """

    def __init__(self, values: dict[str, str] | None = None) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []
        self._first = values or {}
        self._worker: Background | None = None

    def compose(self) -> ComposeResult:
        yield _Frame(self)
        for field in self.FIELDS:
            line = _Line(field)
            line.value = self._first.get(field.name, "")
            yield line

    def on_mount(self) -> None:
        import asyncio

        self.styles.background = "transparent"
        self._worker = Background("prompt", asyncio.get_running_loop(), lambda: self.is_running)
        self._place()
        self.lines[self.FIRST].focus()

    def on_resize(self, event: events.Resize) -> None:
        self._place()

    def _place(self) -> None:
        """The lines stand over the frame, each beside its name."""
        width, height = min(WIDTH, self.app.size.width), min(len(self.FIELDS) + self.ROWS + 4, self.app.size.height)
        left, top = (self.app.size.width - width) // 2, (self.app.size.height - height) // 2
        frame = self.query_one(_Frame)
        frame.styles.width, frame.styles.height = width, height
        frame.styles.position, frame.styles.offset = "absolute", (left, top)
        for i, line in enumerate(self.lines):
            line.styles.position, line.styles.offset = "absolute", (left + 2 + self.LABEL, top + 2 + i)
            line.styles.width = width - self.LABEL - 4

    @property
    def lines(self) -> list[_Line]:
        return list(self.query(_Line))

    def values(self) -> dict[str, str]:
        return {line.field.name: line.value.strip() for line in self.lines}

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "go on"), ("esc", "not now")]

    def entered(self) -> None:
        raise NotImplementedError

    def tell(self, *sentences: tuple[str, str]) -> None:
        self.told = [(safe(text, 2000), role) for text, role in sentences]
        self.query_one(_Frame).redraw()

    def work(self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]) -> bool:
        """In a thread of this screen; refused while the work before is under way."""

        def still_here(result: Any, error: Exception | None) -> None:
            if self.query(_Frame):
                done(result, error)

        return self._worker is not None and self._worker.submit(work, still_here)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.entered()

    def on_key(self, event: events.Key) -> None:
        focused = self.focused
        place = self.lines.index(focused) if isinstance(focused, _Line) else 0
        if event.key == "escape":
            event.stop()
            self.dismiss(None)
        elif event.key in ("down", "up", "shift+tab"):
            event.stop()
            event.prevent_default()
            self.lines[(place + (1 if event.key == "down" else -1)) % len(self.lines)].focus()
        elif event.key == "tab":
            event.stop()
            event.prevent_default()
            line = self.lines[place]
            if line.field.path and line.value:
                self._complete(line)
            else:
                self._next(line)

    def _next(self, line: _Line) -> None:
        self.lines[(self.lines.index(line) + 1) % len(self.lines)].focus()

    def _complete(self, line: _Line) -> None:
        typed = line.value

        def done(found: Any, error: Exception | None) -> None:
            if not found or line.value != typed:
                return
            names, begin = found
            if begin == os.path.expanduser(typed) and len(names) < 2:  # nothing is left to complete
                self._next(line)
                return
            if len(names) == 1 or len(begin) > len(typed):
                line.value = begin
                line.action_end()
            self.tell(("  ".join(names[:12]) if len(names) > 1 else "", "dim"))

        self.work(lambda: completed(typed), done)


def _home(path: str) -> Path:
    """A typed path, `~` being the home folder of whoever is known here."""
    return Path(os.path.expanduser(path))


def completed(typed: str) -> tuple[list[str], str]:
    """Names that go on from a typed path, and how far all of them agree."""
    path = _home(typed)
    folder, start = (path, "") if typed.endswith("/") else (path.parent, path.name)
    try:
        with os.scandir(folder) as entries:
            found = sorted(e.name + ("/" if e.is_dir() else "") for e in entries if e.name.startswith(start))
    except OSError:
        return [], typed
    found = [n for n in found if not n.startswith(".") or start.startswith(".")]
    if not found:
        return [], typed
    return found, f"{str(folder).rstrip('/')}/{common(found)}"


def common(names: list[str]) -> str:
    """What all names begin with."""
    first, last = min(names), max(names)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))]


def completions(typed: str) -> tuple[list[str], str]:
    """How a path to a Python file, or to a class or function in it, may go on, and how far all ways agree."""
    file, colon, start = typed.rpartition(":")
    if colon and file.endswith(".py"):
        try:
            module = ast.parse(read_regular(Path(os.path.expanduser(file)), 1 << 20))
        except (OSError, StorageError, ValueError, SyntaxError, RecursionError, MemoryError):
            return [], typed
        defined = [node.name for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        names = [name for name in defined if name.startswith(start)]
        return names, f"{file}:{common(names)}" if names else typed
    names, begin = completed(typed)
    shown = [name for name in names if name.endswith((".py", "/"))]
    if not shown:
        return [], typed
    folder = begin[: begin.rfind("/") + 1]
    return shown, folder + common(shown) + (":" if len(shown) == 1 and shown[0].endswith(".py") else "")


class ImportScreen(Prompt):
    """Where the files of a set lie."""

    FIELDS = (Field("from", "a folder with its files, or a packed set; tab completes", path=True),)
    ROWS = 4

    def __init__(self, name: str, files: tuple[str, ...]) -> None:
        super().__init__()
        self.title_text = f"import {name}"
        self.told = [(f"its files: {', '.join(files)}" if files else "a file made by 'mlptui data pack'", "dim")]

    def entered(self) -> None:
        path = self.values()["from"]

        def done(there: bool | None, error: Exception | None) -> None:
            if there:
                self.dismiss({"from": str(_home(path).absolute())})
            else:
                self.tell((f"{path} is not there", "bad"))

        if path:
            self.work(lambda: _home(path).exists(), done)


class AddScreen(Prompt):
    """One's own data: a look first, then a name."""

    title_text = "add your own data"
    FIELDS = (
        Field("path", "folder of pictures a class, .npz, .npy, IDX, .csv; tab completes", path=True),
        Field("name", "as it is to be called"),
        Field("label", "column of the label, for tables (the last one)"),
        Field("labels", "file of the labels, for .npy and IDX inputs", path=True),
        Field("test", "file or folder to test on (a fifth is held out)", path=True),
        Field("size", "edge in pixels, for pictures of different sizes (64)"),
        Field("task", "classes or regression (found out)"),
    )
    ROWS = 8

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, str] | None = None
        self._derived = ""  # the name that was made from the path
        self._looking = False
        self.told = [("enter looks at the data and says what it saw; nothing is copied", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [
            ("enter", "add it" if self._seen == self.values() else "look"),
            ("tab", "next, or complete"),
            ("esc", "not now"),
        ]

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one(_Frame).redraw()

    def entered(self) -> None:
        values = self.values()
        if self._looking:
            return
        if not values["path"]:
            self.tell(("type where the data are, then enter", "warn"))
            return
        if values["name"] in ("", self._derived):
            self.lines[1].value = self._derived = slug(Path(values["path"]).name.split(".")[0])
            values = self.values()
        self._looking = True
        adding = self._seen == values
        self.tell(("adding it ..." if adding else "looking ...", "dim"))

        def done(answer: tuple[int, str, str] | None, error: Exception | None) -> None:
            self._looking = False
            if answer is None or answer[0] != 0:
                why = answer[2].strip().removeprefix("mlptui: ") if answer else str(error)
                self.tell((why or "it ended without a word", "bad"))
                return
            if adding:
                self.dismiss(values)
                return
            seen = json.loads(answer[1])
            self._seen = values
            self.tell(
                *((line, "") for line in seen["seen"]),
                *((line, "warn") for line in seen["warnings"]),
                ("enter adds it under this name", "strong"),
            )

        words = command(values, look=not adding)
        if not self.work(lambda: _run(words), done):
            self._looking = False
            self.tell(("the folder is still being read; press enter again", "warn"))


def command(values: dict[str, str], look: bool) -> list[str]:
    """The words of `mlptui data add` for these values."""
    words = ["data", "add", "--json", *(["--dry-run"] if look else [])]
    for name in ("label", "labels", "test", "size", "task"):
        if values[name]:
            words.append(f"--{name}={_home(values[name]) if name in ('labels', 'test') else values[name]}")
    return [*words, "--", values["name"], str(_home(values["path"]))]


def _run(words: list[str]) -> tuple[int, str, str]:
    """The command line in a process of its own: reading data may take long and must not slow the keys."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlptui", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LOOK_TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
