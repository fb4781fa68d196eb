"""The terminal as it really is: what Textual 8.2 does not yet do itself, each with the upstream number.

Each of these has a test, and each can go when upstream has it.
"""

import codecs
import functools
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.app import ScreenStackError
from textual.color import Color
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.filter import LineFilter
from textual.message import Message
from textual.widgets import Input, TextArea

from mlptui.core.text import ascii_only, safe

BACKLOG, TYPED = 64, 2000  # keys that may wait; of text for a line, as a paste that the terminal does not mark as one
LINE_RATE = 1800  # bytes a second that pictures of a live run may fill: 2 KiB/s, less what a key's answer needs


class SafeDriver(LinuxDriver):
    """Keys that are not UTF-8 become substitutes (textual #6456); a vanished terminal ends the app (textual #6690).

    Counts what it sends in `sent` (bytes), so that a moving picture can keep within the line's rate.
    """

    sent = 0
    _held = 0  # keys other than text that were let through while text waits

    def write(self, data: str) -> None:
        self.sent += len(data) if data.isascii() else len(data.encode(errors="replace"))
        super().write(data)

    def run_input_thread(self) -> None:
        module: Any = linux_driver
        original = module.getincrementaldecoder
        module.getincrementaldecoder = _tolerant
        try:
            super().run_input_thread()
        except OSError:
            self._app.call_later(self._app.exit)
        finally:
            module.getincrementaldecoder = original

    def process_message(self, message: Message) -> None:
        """Drop keys while more wait than a person can have typed, so that the viewer answers at once after a flood.

        Behind a long text come the keys that a person means for it: enter, or escape.
        """
        if isinstance(message, Key):
            if self._waiting() <= BACKLOG:
                self._held = 0
            elif not self._in_text() or self._held > BACKLOG:
                return
            self._held += not message.is_printable
        super().process_message(message)

    def _waiting(self) -> int:
        """Messages before the app, its screen and the focused widget. Each is read once: this is not their thread."""
        try:
            screen = self._app.screen
            pumps = (self._app, screen, screen.focused)
        except ScreenStackError:
            return 0
        return len(getattr(self._app, "typed", ())) + sum(pump.message_queue_size for pump in pumps if pump is not None)

    def _in_text(self) -> bool:
        """Whether text is being typed, and not too much of it at once."""
        try:
            return isinstance(self._app.screen.focused, Input | TextArea) and self._waiting() < TYPED
        except ScreenStackError:
            return False


def _tolerant(encoding: str) -> Any:
    return functools.partial(codecs.getincrementaldecoder(encoding), errors="replace")


class SafeText(LineFilter):
    """The second wall: whatever reaches the terminal as text holds no control character, and with `ascii` only 7 bits."""

    def __init__(self, ascii: bool) -> None:
        super().__init__()
        self.ascii = ascii

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [self._mended(segment) for segment in segments]

    def _mended(self, segment: Segment) -> Segment:
        text, style, control = segment
        if control or (text.isascii() and text.isprintable()):
            return segment
        shown = safe(text, len(text) + 1)
        if self.ascii:
            shown = ascii_only(shown)
        return Segment(shown, style) if shown != text else segment


class Pace:
    """Says when the line has had time for the picture before, so that a slow line is never filled."""

    def __init__(self, bytes_a_second: float = LINE_RATE, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = bytes_a_second, clock
        self._drawn_at, self._sent = -math.inf, 0

    def due(self, sent: int) -> bool:
        """Whether the next picture may be drawn, when the terminal was sent `sent` bytes in all; True counts as drawn."""
        now = self._clock()
        if now < self._drawn_at + (sent - self._sent) / self._rate:
            return False
        self._drawn_at, self._sent = now, sent
        return True


def cropped_update(update: ChopsUpdate, console: Console) -> str:
    """`ChopsUpdate.render_segments` that also leaves out what stands before a changed span.

    Textual 8.2 sends each changed row from the widget's left edge on ("TODO: crop to x extents"): more than half of the bytes
    of a live training screen, measured (1,775 against 776 bytes a second at 80x24).
    """
    parts: list[str] = []
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
            if strip is None or x >= x2 or end <= x1:
                continue
            # a double-width character must not be cut in half, so a strip with one is sent from its start
            first = max(x, x1) if sum(len(s.text) for s in strip) == strip.cell_length else x
            parts.append(Control.move_to(first, y).segment.text)
            parts.append(strip.crop(first - x, min(end, x2) - x).render(console))
    return "".join(parts)


ChopsUpdate.render_segments = cropped_update  # type: ignore[assignment,method-assign]


def end_on_signals(app: Any) -> None:
    """SIGTERM and SIGHUP end the app as `q` does, so that the terminal is restored. Call inside its event loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, functools.partial(app.exit, return_code=128 + number))


def terminal_is_gone(fd: int) -> bool:
    """Whether the terminal behind `fd` has been closed (its reads end at once, or it is no terminal any more)."""
    try:
        os.tcgetpgrp(fd)
    except OSError:
        return True
    return False
