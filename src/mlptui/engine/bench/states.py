"""The networks that a person went through, for undo and redo."""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.architecture.tree import Layer

STEPS = 100
MEMORY = 1 << 30  # bytes of weights that are kept for undo; what two states share counts once


@dataclass(frozen=True)
class State:
    """A network at one moment. `made` has the module of each layer of `tree` by identity; states share untouched modules.

    `says` names the step that led here; `watched` are the person's files and their times before they were read.
    """

    tree: Layer
    model: nn.Module
    made: dict[int, nn.Module]
    text: str
    says: str = ""
    note: str = ""
    watched: tuple[tuple[str, int], ...] = ()


@dataclass
class States:
    """At most STEPS states and about MEMORY bytes beside the present one; the oldest go first."""

    memory: int = MEMORY
    past: list[State] = field(default_factory=list)
    now: State | None = None
    future: list[State] = field(default_factory=list)

    def copy(self) -> "States":
        """The same moment, to come back to."""
        return States(self.memory, [*self.past], self.now, [*self.future])

    def enter(self, state: State) -> None:
        if self.now is not None:
            self.past.append(self.now)
        self.now, self.future = state, []
        del self.past[:-STEPS]
        while self.past and self._bytes() > self.memory:
            del self.past[0]

    def go(self, by: int) -> bool:
        """One step back (-1) or forth (1); False where there is none."""
        source, target = (self.past, self.future) if by < 0 else (self.future, self.past)
        if not source or self.now is None:
            return False
        target.append(self.now)
        self.now = source.pop()
        return True

    def _bytes(self) -> int:
        """Of tensors that only other states than the present one hold."""
        seen: set[torch.Tensor] = set(_tensors(self.now)) if self.now else set()
        total = 0
        for state in self.past:
            for tensor in _tensors(state):
                if tensor not in seen:
                    seen.add(tensor)
                    total += tensor.numel() * tensor.element_size()
        return total


def _tensors(state: State) -> list[torch.Tensor]:
    return [t for t in [*state.model.parameters(), *state.model.buffers()] if not is_lazy(t)]
