"""Start a bench as a child of this viewer, and talk to it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mlptui.core.bench import MAX_LINE
from mlptui.core.errors import MlptuiError
from mlptui.core.text import slug
from mlptui.launch.process import inherited
from mlptui.launch.trainer import ENVIRONMENT
from mlptui.store import atomic
from mlptui.store.paths import Paths

MODULE = "mlptui.engine.bench.serve"
LOG_SIZE = 1 << 20  # bytes of output that are kept, in two files of half of it
CHUNK = 1 << 16
CRASH_LINES = 200  # that a dump of all threads may take at the end of a log


class BenchError(MlptuiError):
    """The bench cannot be started."""


def folder_of(paths: Paths, viewer: int) -> Path:
    """Where one viewer's bench keeps its log and the weights of its network."""
    return paths.state / "benches" / f"{slug(socket.gethostname())}-{viewer}"


def sweep(paths: Paths) -> None:
    """Remove what benches of this machine's viewers that are gone left behind."""
    root = paths.state / "benches"
    if not root.is_dir() or not Path("/proc/self").exists():
        return
    for folder in root.iterdir():
        host, _, viewer = folder.name.rpartition("-")
        if host == slug(socket.gethostname()) and viewer.isdecimal() and not Path(f"/proc/{viewer}").exists():
            atomic.remove_folder_quietly(folder)


def start(answers: int, folder: Path) -> "subprocess.Popen[bytes]":
    """The process itself; it answers through the descriptor `answers`. Raises OSError."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, str(answers), str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(answers,),
        env={**ENVIRONMENT, **inherited(), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        bufsize=0,
    )


class BenchProcess:
    """A running bench. `heard` gets each line that it says, then None when it is gone; both in a thread of this object.

    Start it from a thread that lives as long as the viewer does: the kernel ends the bench with that thread.
    """

    def __init__(self, paths: Paths, heard: Callable[["BenchProcess", bytes | None], None]) -> None:
        self.folder = atomic.make_folder(folder_of(paths, os.getpid()))
        self.log = self.folder / "bench.log"
        self._heard = heard
        reading, writing = os.pipe()
        try:
            self._process = start(writing, self.folder)
        except OSError as error:
            os.close(reading)
            raise BenchError(f"the bench cannot be started: {error.strerror}") from None
        finally:
            os.close(writing)
        self.pid = self._process.pid
        self.last: list[str] = []  # the end of its log, when it is gone
        self.why = ""  # why this viewer ended it
        self._over = False
        self._lock = threading.Lock()
        self._drained = threading.Thread(target=self._drain, daemon=True)
        self._drained.start()
        threading.Thread(target=self._listen, args=(reading,), daemon=True).start()

    def send(self, line: bytes) -> None:
        """One message; lost where the bench is gone. May wait while its pipe is full, so not for the event loop."""
        try:
            with self._lock:
                assert self._process.stdin
                view = memoryview(line + b"\n")
                while view:
                    view = view[self._process.stdin.write(view) or 0 :]
        except (OSError, ValueError):
            pass

    def kill(self, why: str = "") -> None:
        """End it at once; `why` is told instead of the signal."""
        self.why = self.why or why
        if self._over:
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass

    def _last_words(self) -> list[str]:
        """The end of its log; of a crash the line that names it, and the first frames."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return []
        crashes = [i for i, line in enumerate(lines) if line.startswith("Fatal Python error")]
        if crashes and crashes[-1] > len(lines) - CRASH_LINES:
            return [line for line in lines[crashes[-1] :] if line.strip() and not line.startswith("Extension modules")][:5]
        return lines[-5:]

    def _listen(self, reading: int) -> None:
        rest = bytearray()
        with os.fdopen(reading, "rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                rest += chunk
                if len(rest) > MAX_LINE:
                    self.kill("its answer was too long")
                    break
                if b"\n" in chunk:
                    *lines, last = bytes(rest).split(b"\n")
                    rest = bytearray(last)
                    if not self._tell(lines):
                        break
        if hasattr(os, "waitid"):  # not on every system
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)  # from here on its number is nobody's to signal
        self._over = True
        self.code = self._process.wait()
        self._drained.join(1.0)
        self.last = self._last_words()
        with self._lock:
            for stream_ in (self._process.stdin, self._process.stdout):
                assert stream_
                try:
                    stream_.close()
                except OSError:
                    pass
        self._heard(self, None)

    def _tell(self, lines: list[bytes]) -> bool:
        """Pass lines on; what cannot be read ends the bench, as code may have written into its pipe."""
        try:
            for line in lines:
                self._heard(self, line)
        except Exception as error:
            self.kill(f"its answer could not be read ({type(error).__name__})")
            return False
        return True

    def _drain(self) -> None:
        """Its output into the log; of a flood only the end is kept."""
        size = self.log.stat().st_size if self.log.exists() else 0
        older = self.log.with_suffix(".old.log")
        while chunk := self._output():
            if size > LOG_SIZE // 2:
                size = 0
                try:
                    os.replace(self.log, older)
                except OSError:
                    pass
            try:
                with self.log.open("ab") as stream:
                    stream.write(chunk)
            except OSError:
                pass
            size += len(chunk)

    def _output(self) -> bytes:
        """The next piece of what it prints; empty at its end."""
        assert self._process.stdout
        try:
            return self._process.stdout.read(CHUNK) or b""
        except (OSError, ValueError):
            return b""

    def how(self) -> str:
        """How it ended, in words."""
        if self.why:
            return self.why
        if self.code < 0:
            name = signal.Signals(-self.code).name
            why = {"SIGSEGV": "segmentation fault", "SIGKILL": "killed; out of memory?", "SIGABRT": "aborted"}.get(name, name)
            return f"{why} ({name})" if why != name else name
        return f"it left with exit code {self.code}"
