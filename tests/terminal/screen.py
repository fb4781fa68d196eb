"""The real program in a pseudo terminal, its bytes counted and its screen read."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

SGR_ROOM = 4096


class TooManyColours(pyte.Screen):
    """pyte without its complaint about private SGR sequences that Textual sends when it asks for the key protocol."""

    def select_graphic_rendition(self, *attributes, **kwargs) -> None:  # type: ignore[no-untyped-def]
        if not kwargs.get("private"):
            super().select_graphic_rendition(*attributes)


class Terminal:
    """`mlptui` on a pty of `columns` x `rows`. Every byte that it sends is kept in `sent`."""

    def __init__(
        self,
        home: Path,
        columns: int = 80,
        rows: int = 24,
        arguments: tuple[str, ...] = (),
        term: str = "xterm-256color",
        program: tuple[str, ...] = ("-m", "mlptui"),
        **env: str,
    ) -> None:
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")}
        environment |= {"MLPTUI_HOME": str(home), "TERM": term, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore", **env}
        self.columns, self.rows = columns, rows
        self.screen = TooManyColours(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.sent = bytearray()
        self.keys = 0
        self.gone = False
        self.child = pexpect.spawn(
            sys.executable,
            [*program, *arguments],
            env=environment,
            dimensions=(rows, columns),
            timeout=60,
            cwd=str(home),
        )
        self.child.delaybeforesend = None  # pexpect waits 50 ms before each key otherwise

    @property
    def pid(self) -> int:
        return int(self.child.pid)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            self.child.send(key)

    def read(self, seconds: float) -> bytes:
        """What arrives within `seconds`."""
        deadline = time.monotonic() + seconds
        got = bytearray()
        while (left := deadline - time.monotonic()) > 0:
            try:
                block = self.child.read_nonblocking(65_536, timeout=max(0.01, left))
            except pexpect.TIMEOUT:
                break
            except pexpect.EOF:
                break
            got += block
            self.stream.feed(block)
        self.sent += got
        return bytes(got)

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 60) -> str:
        """Read until the screen holds `wanted`; returns the screen."""
        holds = wanted if callable(wanted) else lambda text: wanted in text
        deadline = time.monotonic() + seconds
        while not holds(self.text()):
            if time.monotonic() > deadline or not (self.read(0.02) or self.child.isalive()):
                raise AssertionError(f"{wanted!r} did not come:\n{self.text()}")
        return self.text()

    def wait_until_quiet(self, seconds: float = 1.2, limit: float = 30) -> None:
        """Read until nothing has arrived for `seconds`."""
        deadline = time.monotonic() + limit
        while self.read(seconds):
            assert time.monotonic() < deadline, f"the terminal never came to rest:\n{self.text()}"

    def wait_end(self, seconds: float = 20) -> int | None:
        """Read to the end; returns the exit code (None: ended by a signal)."""
        deadline = time.monotonic() + seconds
        while self.child.isalive():
            assert time.monotonic() < deadline, f"the viewer does not end:\n{self.text()}"
            self.read(0.1)
        self.read(0.2)
        status = self.child.exitstatus
        return None if status is None else int(status)

    def hang_up(self) -> None:
        """Take the terminal away, as a dropped connection does."""
        self.child.ptyproc.fileobj.close()
        self.gone = True

    def close(self) -> None:
        if not self.gone:
            self.child.close(force=True)
            return
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self.child.closed = True
        self.child.ptyproc.closed = True
