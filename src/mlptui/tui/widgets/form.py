"""The training form: rows with a cursor, edited in place."""

from textual import events
from textual.app import ComposeResult
from textual.widgets import Input

from mlptui.core.recipe import Recipe
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.form_state import FormState, one_line
from mlptui.tui.messages import DataChosen, Noticed, StartAsked
from mlptui.tui.render import form
from mlptui.tui.render.cells import Line
from mlptui.tui.widgets.cursor import CursorCanvas


class Editor(Input):
    """One line of text over the value that is edited; enter keeps it, escape does not."""

    DEFAULT_CSS = """
    Editor { layer: edit; display: none; height: 1; border: none; padding: 0; background: $surface; text-style: underline; }
    Editor:focus { border: none; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.cursor_blink = False


class FormCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.FORM)
    DEFAULT_CSS = "FormCanvas { layers: base edit; height: 1fr; }"

    def __init__(self, state: FormState) -> None:
        super().__init__(id="form")
        self.state = state
        self.recipe: Recipe | None = None
        self._errors: dict[str, str] = {}
        self._problems: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield Editor()

    def on_mount(self) -> None:
        self.check()

    @property
    def editor(self) -> Editor:
        return self.query_one(Editor)

    @property
    def editing(self) -> bool:
        return bool(self.editor.display)

    def row_count(self) -> int:
        return len(self.state.fields)

    def visible_rows(self) -> int:
        return self.size.height - 3 - max(1, len(self._problems))

    def draw(self, width: int, height: int) -> list[Line]:
        view = form.FormView(
            self.state.rows(self._errors),
            self.cursor,
            self.first,
            self._problems,
            self.state.summary(self.recipe),
            host(self).desk.key_of(keys.FORM[0]),
        )
        return form.draw(view, width, height, self.glyphs, self.has_focus or self.editing)

    def check(self, trial: dict[str, str] | None = None) -> None:
        """Check all values (with `trial` in place of some), show what is wrong beside each, and tell what will run."""
        self.recipe, self._errors, self._problems = self.state.check(trial)
        self.redraw()
        if trial is None:
            self.post_message(DataChosen(self.state.facts(self.recipe)))

    @property
    def path(self) -> str:
        return self.state.fields[self.cursor].path

    def use_device(self, device: str) -> None:
        self.state.set("device", device)
        self.check()

    # keys

    def action_start(self) -> None:
        self.check()
        if self.recipe is None:
            first = next((i for i, f in enumerate(self.state.fields) if f.path in self._errors), self.cursor)
            self.place_cursor(first)
            self.post_message(Noticed("mend what is marked first", bad=True))
            return
        self.post_message(StartAsked(self.recipe))

    def action_edit(self) -> None:
        text = self.state.text(self.path)
        editor = self.editor
        editor.value = one_line(text) if self.path == "architecture" else text
        self._place_editor()
        editor.display = True
        editor.focus()
        editor.action_end()
        host(self).desk.tell("enter keeps the value, escape does not")

    def _place_editor(self) -> None:
        left = 2 + 2 + form.LABEL
        main = self.size.width - (min(64, self.size.width * 2 // 5) if self.size.width >= form.WIDE else 0)
        wide = main - left - 2 if self.path == "architecture" else form.VALUE
        self.editor.styles.offset = (left, 1 + self.cursor - self.first)
        self.editor.styles.width = wide

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.editing:
            self.check({self.path: event.value.strip()})

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.state.set(self.path, event.value.strip())
        self._close_editor()

    def on_key(self, event: events.Key) -> None:
        if not self.editing:
            return
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self._close_editor()
        elif event.key in ("up", "down"):
            event.stop()
            self.state.set(self.path, self.editor.value.strip())
            self._close_editor()
            self.action_move(1 if event.key == "down" else -1)

    def _close_editor(self) -> None:
        self.editor.display = False
        self.focus()
        host(self).desk.tell("")
        self.check()

    def on_resize(self, event: object) -> None:
        super().on_resize(event)
        if self.editing:
            self._place_editor()

    def action_turn(self, by: int) -> None:
        text = self.state.turned(self.path, by)
        if text is None:
            self.action_edit()
            return
        self.state.set(self.path, text)
        self.check()

    def action_default(self) -> None:
        self.state.set(self.path, self.state.default(self.path))
        self.check()

    def action_undo(self) -> None:
        if self.state.undo():
            self.check()
        else:
            self.post_message(Noticed("nothing to undo"))
