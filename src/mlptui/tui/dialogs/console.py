"""The path console: lines in PyTorch's spelling, and what they give."""

from typing import ClassVar

from textual import events

from mlptui.core.bench import Answer, Refused, Sheet
from mlptui.core.parameters.messages import Console, Said
from mlptui.tui.dialogs.prompt import Field, Prompt, common
from mlptui.tui.session import Session

ENDINGS = (
    "data", "grad", "shape", "dtype", "requires_grad", "mean()", "std()", "min()", "max()", "norm()", "numel()", "fill_(",
    "T",
)  # fmt: skip


class ConsoleScreen(Prompt):
    """Stays open; enter does a line, up and down bring earlier ones, tab completes."""

    FIELDS = (Field("net", "a path, or path = value"),)
    ROWS, LABEL = 14, 6
    title_text = "console"
    history: ClassVar[list[str]] = []  # of this viewer, whichever network there was

    def __init__(self, session: Session, names: list[str], source: str) -> None:
        super().__init__()
        self._session, self._names = session, names
        self._at = len(self.history)
        self.told = self._examples()
        self._source = source

    def _examples(self) -> list[tuple[str, str]]:
        """Lines that this network can take, in two columns."""
        spelled = [name for name in self._names if name.startswith("net")]
        weights = [name for name in spelled if name.endswith("weight")] or ["net[0].weight"]
        first, last = weights[0], weights[-1]
        bias = next((name for name in spelled if name.endswith("bias")), first)
        pairs = (
            (f"{first}.data[0, 0] = 100", f"{bias} += 1"),
            (f"{first}.mean()", f"type({bias})"),
            (f"{first}.grad", f"{first}.requires_grad = False"),
            (f"nn.init.zeros_({last})", "net.state_dict()"),
        )
        return [(f" {left:<36} {right}", "dim") for left, right in pairs]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "do it"), ("tab", "complete"), ("↑", "earlier lines"), ("esc", "back")]

    def entered(self) -> None:
        line = self.lines[0].value.strip()
        if not line:
            return
        if line in ("?", "help"):
            self.tell(*self._examples())
            self.lines[0].value = ""
            return
        self.history.append(line)
        self._at = len(self.history)
        self.tell(("...", "dim"))

        def done(answer: Answer) -> None:
            if not self.is_mounted:
                return
            if isinstance(answer, Said):
                self.tell((f" {line}", "strong"), *((f" {text}", "") for text in answer.lines))
                self.lines[0].value = ""
            elif isinstance(answer, Sheet):
                note = f": {answer.note}" if answer.note else ""
                self.tell((f" {line}", "strong"), (f"done{note}; u in the list takes it back", "good"))
                self.lines[0].value = ""
            elif isinstance(answer, Refused):
                where = " " * (answer.column - 1) + "^" if answer.column else ""
                self.tell((f" {line}", "strong"), *([(f" {where}", "bad")] if where else []), (answer.message, "bad"))

        self._session.step(lambda: Console(text=line, source=self._source), done)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down"):
            event.stop()
            event.prevent_default()
            self._at = max(0, min(len(self.history), self._at + (1 if event.key == "down" else -1)))
            self.lines[0].value = self.history[self._at] if self._at < len(self.history) else ""
            self.lines[0].action_end()
        elif event.key == "tab":
            event.stop()
            event.prevent_default()
            self._complete_path()  # other keys are Prompt's, whose on_key Textual calls by itself

    def _complete_path(self) -> None:
        """The word before the cursor as a path, in the spelling in which it was begun; after a tensor's name what it has."""
        line = self.lines[0]
        before, after = line.value[: line.cursor_position], line.value[line.cursor_position :]
        starts = [i for i in range(len(before) + 1) if i == 0 or before[i - 1] in " =(,+-*/<>"]
        for start in starts:
            word = before[start:]
            found = [name for name in self._names if name.startswith(word)] if word or len(starts) == 1 else []
            tensor, _, ending = word.rpartition(".")
            if not found and tensor in self._names:
                found = [f"{tensor}.{name}" for name in ENDINGS if name.startswith(ending)]
            if found == [word]:
                found = [f"{word}.{name}" for name in ENDINGS]
            if found:
                whole = common(found)
                line.value = before[:start] + whole + after
                line.cursor_position = start + len(whole)
                shown = "  ".join(found[:12]) + (f"  and {len(found) - 12} more" if len(found) > 12 else "")
                self.tell((shown if len(found) > 1 else "", "dim"))
                return
        self.tell(("nothing begins so", "dim"))
