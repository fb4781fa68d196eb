"""Initialising: which tensors, how, and what that would give, before it happens."""

from collections.abc import Callable
from typing import Any

from textual.widgets import Input

from mlptui.core import bench
from mlptui.core.bench import Answer, Refused
from mlptui.core.parameters import schemes
from mlptui.core.parameters.messages import Preview, Previewed, Rule
from mlptui.core.parameters.schemes import SchemeError
from mlptui.core.wire import Input as Entered
from mlptui.tui.desk import host
from mlptui.tui.dialogs.prompt import Field, Prompt
from mlptui.tui.render import tensor

Ask = Callable[[bench.Request, Callable[[Answer], None], str], None]
SCHEMES = (
    (" normal(0, 0.01)    xavier_uniform   kaiming_normal(nonlinearity=relu)", "dim"),
    (" constant(1)        zeros            orthogonal   trunc_normal   default", "dim"),
    (" 0.25:U(5,10) 0.5:0 0.25:U(-10,-5)   a mixture: share:what, three of them", "dim"),
)


class DrawScreen(Prompt):
    """Enter previews, enter again draws."""

    title_text = "initialise"
    FIELDS: tuple[Field, ...] = (
        Field("tensors", "a path, *.weight, Linear, Linear.bias; with commas"),
        Field("how", "normal(0, 0.01) or another one; tab completes"),
        Field("biases", "how biases are drawn; empty: as above, if it suits"),
        Field("more", "such as 0.weight: xavier_uniform; 2.weight: constant(42)"),
        Field("seed", "0 if empty"),
    )
    ROWS, FIRST = 15, 1

    def __init__(self, what: str, weights: list[str], seed: str, entered: Entered, ask: Ask) -> None:
        if weights:
            more = Field("more", f"such as {weights[0]}: xavier_uniform; {weights[-1]}: constant(42)")
            self.FIELDS = tuple(more if field.name == "more" else field for field in self.FIELDS)
        super().__init__({"tensors": what, "seed": seed})
        self._entered, self._ask = entered, ask
        self._previewed: dict[str, str] | None = None
        self.told = list(SCHEMES)

    def values(self) -> dict[str, str]:
        found = super().values()
        return {**found, "seed": found["seed"] or "0"}

    def answers(self) -> list[tuple[str, str]]:
        return [
            ("enter", "draw it" if self._previewed == self.values() else "preview"),
            ("tab", "next, or complete"),
            ("esc", "not now"),
        ]

    @staticmethod
    def rules(values: dict[str, str]) -> list[tuple[str, str]]:
        """(which, how) in their order. Raises SchemeError."""
        names = [name.strip() for name in values["tensors"].split(",") if name.strip()]
        found = [(name, values["how"]) for name in names] if values["how"] else []
        if values["biases"]:
            found += [(_biases(name), values["biases"]) for name in names]
        for part in values["more"].split(";"):
            if part.strip():
                which, colon, how = part.partition(":")
                if not colon:
                    raise SchemeError(f"write which: how, as 0.weight: xavier_uniform, not {part.strip()!r}")
                found.append((which.strip(), how.strip()))
        return found

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.tell(*self.told)

    def entered(self) -> None:
        values = self.values()
        try:
            rules = self.rules(values)
            if not rules:
                raise SchemeError("say how, as normal(0, 0.01)")
            if not values["seed"].isdecimal() or len(values["seed"]) > 18:
                raise SchemeError("the seed is a whole number")
            for _, how in rules:
                schemes.read(how)
        except SchemeError as error:
            self.tell((str(error), "bad"))
            return
        if self._previewed == values:
            self.dismiss(values)
            return
        self.tell(("drawing a preview ...", "dim"))

        def done(answer: Answer) -> None:
            if not self.is_mounted:
                return
            if isinstance(answer, Previewed):
                self._previewed = values
                self.tell(*tensor.preview(answer, self.size.width, host(self).glyphs))
            elif isinstance(answer, Refused):
                self.tell((answer.message, "bad"))

        wanted = tuple(Rule(select=which, scheme=how) for which, how in rules)
        self._ask(Preview(rules=wanted, seed=int(values["seed"]), input=self._entered), done, "preview")

    def _next(self, line: Any) -> None:
        """Tab completes a scheme's name first."""
        value = line.value.strip()
        if self.lines.index(line) in (1, 2) and value and "(" not in value:
            names = [name for name in schemes.SCHEMES if name.startswith(value)]
            if names and names != [value]:
                line.value = names[0] if len(names) == 1 else value
                line.action_end()
                self.tell(*((f" {name:<16} {schemes.TELLS[name]}", "dim") for name in names))
                return
        super()._next(line)


def _biases(name: str) -> str:
    """The biases among what `name` means, or beside it."""
    if name.endswith("weight"):
        return f"{name.removesuffix('weight')}bias"
    return name if name.endswith("bias") else f"{name}bias" if name.endswith("*") else f"{name}.bias"
