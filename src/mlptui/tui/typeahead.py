"""Keys one after the other: each finds the screen that the key before it made.

Textual gives every key at once to what has the focus as it arrives. Of keys that arrive together (a fast hand behind a slow
line) all would go to the list although the first one opened a dialog, and the letters of a name would act as commands.
"""

from collections import deque
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.timer import Timer
from textual.widgets import Input, TextArea

ROUNDS = 6  # through all queues, at most
PATIENCE = 0.5  # seconds that a key waits for the one before, which may be long at work
LOST = 0.02  # seconds between looks whether that one was lost with its widget


class KeysInOrder(App[int]):
    """A key is done when all queues between the focus and the app have been passed without the focus moving."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.typed: deque[events.Key] = deque()
        self._turn = 0  # counts the keys that were handed on, so that a late answer about an earlier one means nothing
        self._at_work = False
        self._waits_for: MessagePump = self
        self._watch: Timer | None = None
        self._watched = 0.0  # seconds

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._at_work:
            self.typed.append(event)
            if self._watch is None:
                self._watched = 0.0
                self._watch = self.set_interval(LOST, self._look_after)
        else:
            await self._hand_on(event)

    async def _look_after(self) -> None:
        self._watched += LOST
        if not self._waits_for.is_attached or self._watched > PATIENCE:
            await self._next(self._turn)

    async def _hand_on(self, event: events.Key) -> None:
        if event.is_printable and isinstance(self.focused, Input | TextArea):  # text moves nothing
            await super().on_event(event)
            return
        self._turn += 1
        self._at_work = True
        self._watched = 0.0
        target = self.focused or self.screen
        await super().on_event(event)
        self._round(self._turn, 1, None, target)

    def _round(self, turn: int, number: int, before: object, target: DOMNode) -> None:
        """Behind the key through the queues of `target` and all above it."""
        if turn != self._turn:
            return
        now = (self.screen, self.focused)
        if (number > 2 and now == before) or number > ROUNDS:
            self.call_later(self._next, turn)
            return
        above = [node for node in target.ancestors_with_self if node is not self]
        hop = partial(self._round_ended, turn, number, now)
        for node in reversed(above):
            hop = partial(self._behind, node, hop)
        hop()

    def _behind(self, node: MessagePump, then: Any) -> None:
        """Run `then` when `node` has done what waits for it; one that is gone has nothing to do."""
        self._waits_for = node
        if not node.call_later(then):
            self.call_later(then)

    def _round_ended(self, turn: int, number: int, before: object) -> None:
        self._waits_for = self
        self.call_later(self.call_later, self._round_again, turn, number, before)

    def _round_again(self, turn: int, number: int, before: object) -> None:
        self._round(turn, number + 1, before, self.focused or self.screen)

    async def _next(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._at_work = False
        while self.typed and not self._at_work:
            await self._hand_on(self.typed.popleft())
        if not self.typed and self._watch is not None:
            self._watch.stop()
            self._watch = None
