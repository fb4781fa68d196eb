"""The networks that a person went through, for undo and redo."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from mlptui.core.architecture.tree import Layer
from mlptui.engine.parameters import contents
from mlptui.engine.parameters.contents import Held
from mlptui.engine.parameters.passes import Training

STEPS = 100
MEMORY = 1 << 30  # bytes of weights that are kept for undo; what two states share counts once


@dataclass
class State:
    """A network at one moment. `made` has the module of each layer of `tree` by identity; states share untouched modules.

    `says` names the step that led here; `origin` is the checkpoint that it came from as a whole, if it did; `watched` are the
    person's files and their times before they were read; `drawn` is the seed that a run would draw the same weights from, None
    where there is none; `edited` says that a person set some. `held` is what the tensors held when another state came after
    this one.
    """

    tree: Layer
    model: nn.Module
    made: dict[int, nn.Module]
    text: str
    says: str = ""
    note: str = ""
    watched: tuple[tuple[str, int], ...] = ()
    drawn: int | None = None
    edited: bool = False
    origin: str = ""
    training: Training = field(default_factory=Training)
    held: tuple[Held, ...] = ()
    cost: int = 0  # bytes that are kept for this state alone


@dataclass
class States:
    """At most STEPS states and about MEMORY bytes beside the present one; the oldest go first, and one is always there."""

    memory: int = MEMORY
    past: list[State] = field(default_factory=list)
    now: State | None = None
    future: list[State] = field(default_factory=list)

    def copy(self) -> "States":
        """The same moment, to come back to."""
        return States(self.memory, [*self.past], self.now, [*self.future])

    def enter(self, state: State) -> None:
        if self.now is not None:
            self._leave(self.now)
            self.past.append(self.now)
        self.now, self.future = state, []
        self._trim()

    def edit(self, says: str, act: Callable[[], dict[str, Any] | None], note: str = "", **changed: Any) -> None:
        """A step that changes what tensors hold, by `act`, and leaves the layers; all of it, or where it raises nothing.

        `act` may give more of the state that is different now.
        """
        assert self.now is not None
        before = self.now
        self._leave(before)
        try:
            more = act() or {}
            after = replace(
                before,
                **{
                    "says": says,
                    "note": note,
                    "drawn": None,
                    "edited": True,
                    "held": (),
                    "cost": 0,
                    "origin": "",
                    **changed,
                    **more,
                },
            )
        except BaseException:
            contents.restore(before.held)
            raise
        self.past.append(before)
        self.now, self.future = after, []
        self._trim()

    def go(self, by: int) -> bool:
        """One step back (-1) or forth (1); False where there is none."""
        source, target = (self.past, self.future) if by < 0 else (self.future, self.past)
        if not source or self.now is None:
            return False
        self._leave(self.now)
        target.append(self.now)
        self.now = source.pop()
        contents.restore(self.now.held)
        if by > 0:
            self._trim()
        return True

    def back_to(self, before: "States") -> None:
        """As if nothing had happened since `before` was copied."""
        if before.now is not None:  # also where the present one is the same: what was begun may have been broken off
            contents.restore(before.now.held)
        self.past, self.now, self.future = before.past, before.now, before.future

    @staticmethod
    def _leave(state: State) -> None:
        state.held = contents.hold(state.model)

    @property
    def origin(self) -> str:
        """The checkpoint that the present network was opened from, and whether anything was done since."""
        steps = [*self.past, *([self.now] if self.now else [])]
        opened = next((state for state in reversed(steps) if state.origin or state.says.startswith("open ")), None)
        if opened is None or not opened.origin:
            return ""
        return opened.origin + ("" if opened is self.now else ", changed since")

    def _trim(self) -> None:
        """The newest step's cost is what the present no longer holds; later steps can only make it less."""
        if self.past and self.now is not None:
            seen = {place for place, _ in contents.memory(contents.hold(self.now.model))}
            newest = self.past[-1]
            newest.cost = sum(size for place, size in dict(contents.memory(newest.held)).items() if place not in seen)
        del self.past[:-STEPS]
        total = sum(state.cost for state in self.past)
        while len(self.past) > 1 and total > self.memory:
            total -= self.past.pop(0).cost
