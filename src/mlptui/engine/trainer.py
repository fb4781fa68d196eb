"""The trainer process: one run from its recipe to its end. Start it as `python -P -m mlptui.engine.trainer RUN_FOLDER`.

Heavy imports come after the run has said that it is starting, so a viewer sees what the process is busy with.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

from mlptui.core.errors import MlptuiError, RunError
from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.core.text import safe
from mlptui.engine.recorder import Recorder
from mlptui.engine.stopping import StopRequest
from mlptui.store.control import LAST_STEP
from mlptui.store.rundir import Run

LOCKED_OUT = 3


def main(folder: Path) -> int:
    """Train the run in `folder`, anew or from its newest good checkpoint. Returns the exit code."""
    stop = StopRequest(after=int(os.environ.get(LAST_STEP) or 0))
    _set_signals(stop)
    run = Run(folder)
    try:
        recorder = Recorder(run)
    except RunError as error:
        print(error, file=sys.stderr, flush=True)
        return LOCKED_OUT
    try:
        from mlptui.engine.start import conduct

        status, why = conduct(run, recorder, stop)
    except MlptuiError as error:
        status, why = Status.FAILED, str(error)
    except Exception as error:
        traceback.print_exc()
        status, why = Status.FAILED, _sentence(error)
    if status is Status.FAILED:
        recorder.event(Kind.FAILED, recorder.state.step, reason=why)
    print(f"{status}: {why}", flush=True)
    return recorder.finish(status, why)


def _sentence(error: Exception) -> str:
    """A failure nobody foresaw, in one line; the traceback is in the run's log."""
    text = safe(str(error).strip().partition("\n")[0], 300)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory on the device; a smaller batch size needs less ({text})"
    return f"{type(error).__name__}: {text} (the whole message is in the run's log)"


def _set_signals(stop: StopRequest) -> None:
    for name in ("SIGHUP", "SIGPIPE", "SIGTTIN", "SIGTTOU"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)

    def asked(number: int, _: object) -> None:
        if stop.signals:
            os._exit(128 + number)
        stop.signals += 1
        stop.why = stop.why or signal.Signals(number).name

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
