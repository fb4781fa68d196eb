"""`mlptui export` as a process of its own, for a viewer, which loads neither torch nor the exporters."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from mlptui.core.errors import RunError
from mlptui.core.text import safe
from mlptui.launch import process

POLL = 0.05
PATIENCE = 10.0  # seconds that it has to take back what it began


def export(words: Sequence[str], stop: Callable[[], bool]) -> str:
    """What the command says when it is done. `stop` is asked now and then.

    Raises RunError with the command's own sentence where it does not succeed, and where it was stopped.
    """
    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlptui", "export", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=process.inherited(),
                start_new_session=True,
            )
        except OSError as error:
            raise RunError(f"the export cannot be started: {error.strerror}") from None
        stopped = False
        while child.poll() is None:
            if stop():
                stopped = True
                _end(child)
            else:
                time.sleep(POLL)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if stopped and child.returncode:
        raise RunError("the export was stopped")
    told = safe(lines[-1].removeprefix("mlptui: "), 500) if lines else ""
    if child.returncode:
        raise RunError(told or f"the export ended with exit code {child.returncode}")
    return told


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        child.wait(PATIENCE)
        return
    child.kill()
    child.wait()
