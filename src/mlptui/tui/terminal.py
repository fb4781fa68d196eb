"""The terminal as it really is: what Textual 8.2 does not yet do itself, each with the upstream number.

Each of these has a test, and each can go when upstream has it.
"""

import codecs
import functools
import os
import signal
from typing import Any

from rich.segment import Segment
from textual.app import ScreenStackError
from textual.color import Color
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.filter import LineFilter
from textual.message import Message

from mlptui.core.text import ascii_only, safe

BACKLOG = 64


class SafeDriver(LinuxDriver):
    """Keys that are not UTF-8 become substitutes (textual #6456); a vanished terminal ends the app (textual #6690)."""

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
        """Drop keys while more wait than a person can have typed, so that the viewer answers at once after a flood."""
        if isinstance(message, Key) and self._waiting() > BACKLOG:
            return
        super().process_message(message)

    def _waiting(self) -> int:
        """Messages before the app, its screen and the focused widget. Each is read once: this is not their thread."""
        try:
            screen = self._app.screen
            pumps = (self._app, screen, screen.focused)
        except ScreenStackError:
            return 0
        return sum(pump.message_queue_size for pump in pumps if pump is not None)


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
