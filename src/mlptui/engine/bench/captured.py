"""What code prints while the bench runs it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlptui.core.text import safe

KEPT_OUTPUT = 4096  # characters of what code printed


class _Kept(io.TextIOBase):
    """Passes on what is written and keeps the end of it."""

    def __init__(self, onward: Any) -> None:
        self._onward = onward
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-KEPT_OUTPUT:] if len(text) < KEPT_OUTPUT else text[-KEPT_OUTPUT:]
        return int(self._onward.write(text))

    def flush(self) -> None:
        self._onward.flush()

    def lines(self) -> tuple[str, ...]:
        return tuple(safe(line, 300) for line in self.text.splitlines()[-20:])


@contextmanager
def captured() -> Iterator[_Kept]:
    """What code prints meanwhile goes where standard error goes, and its end is kept."""
    kept = _Kept(sys.stderr)
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = kept
    try:
        yield kept
    finally:
        sys.stdout, sys.stderr = before
