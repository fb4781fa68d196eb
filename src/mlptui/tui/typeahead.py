"""Keys one after the other: each finds the screen that the key before it made.

Textual gives every key at once to what has the focus as it arrives. Of keys that arrive together (a fast hand behind a slow
line) all would go to the list although the first one opened a dialog, and the letters of a name would act as commands.
"""

from collections import deque
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.timer import Timer
from textual.widgets import Input, TextArea

ROUNDS = 6  # through all queues, at most
PATIENCE = (
    0.5  # seconds after which the next key goes on although the one before is still at work, or was lost with its widget
)


class KeysInOrder(App[int]):
    """A key is done when all queues between the focus and the app have been passed without the focus moving."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.typed: deque[events.Key] = deque()
        self._turn = 0  # counts the keys that were handed on, so that a late answer about an earlier one means nothing
        self._at_work = False
        self._patience: Timer | None = None

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._at_work:
            self.typed.append(event)
            if self._patience is None:
                self._patience = self.set_timer(PATIENCE, partial(self._next, None))
        else:
            await self._hand_on(event)

    async def _hand_on(self, event: events.Key) -> None:
        if event.is_printable and isinstance(self.focused, Input | TextArea):  # text moves nothing
            await super().on_event(event)
            return
        self._turn += 1
        self._at_work = True
        target = self.focused or self.screen
        await super().on_event(event)
        self._round(self._turn, 1, None, target)

    def _round(self, turn: int, number: int, before: object, target: MessagePump) -> None:
        """Behind the key through the queues of `target` and all above it."""
        if turn != self._turn:
            return
        now = (self.screen, self.focused)
        if (number > 2 and now == before) or number > ROUNDS:
            self.call_later(self._next, turn)
            return
        above = [node for node in target.ancestors_with_self if node is not self]  # type: ignore[attr-defined]
        hop = partial(self._round_ended, turn, number, now)
        for node in reversed(above):
            hop = partial(_behind, node, self, hop)
        hop()

    def _round_ended(self, turn: int, number: int, before: object) -> None:
        self.call_later(self.call_later, self._round_again, turn, number, before)

    def _round_again(self, turn: int, number: int, before: object) -> None:
        self._round(turn, number + 1, before, self.focused or self.screen)

    async def _next(self, turn: int | None) -> None:
        if turn is not None and turn != self._turn:
            return
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
        self._at_work = False
        while self.typed and not self._at_work:
            await self._hand_on(self.typed.popleft())
        if self.typed:
            self._patience = self.set_timer(PATIENCE, partial(self._next, None))


def _behind(node: MessagePump, app: MessagePump, then: Any) -> None:
    """Run `then` when `node` has done what waits for it; one that is gone has nothing to do."""
    if not node.call_later(then):
        app.call_later(then)
