"""Long work on a data set in a process of its own: `python -P -m mlptui.datasets.worker ACTION NAME [WHERE]`.

It outlives the viewer that started it, as a trainer does. SIGTERM cancels it within a second and keeps what it has.
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from mlptui.core.errors import MlptuiError
from mlptui.datasets import getting, importing, jobs, library, packing
from mlptui.datasets.jobs import Busy, Work
from mlptui.store import paths
from mlptui.store.paths import Paths

NICE = 15  # below the viewer, which has 10


class Cancelled(BaseException):
    """Somebody asked this process to stop."""

    def __str__(self) -> str:
        return "cancelled; what it had is kept"


def _progress(work: Work, phase: str) -> Callable[[int, int], None]:
    work.phase(phase)
    return lambda done, total: work.say(done=done, total=total)


def _download(places: Paths, name: str, where: str) -> None:
    getting.download(places, name, where)


def _verify(places: Paths, name: str, where: str) -> None:
    with Work(places, name, "verify") as work:
        library.verify(places, name, _progress(work, "verifying"))


def _import(places: Paths, name: str, where: str) -> None:
    if not Path(where).is_dir():
        packing.unpack(places, Path(where), name)
        return
    with Work(places, name, "import") as work:
        importing.import_folder(places, name, Path(where), progress=_progress(work, "importing"))


def _decode(places: Paths, name: str, where: str) -> None:
    with Work(places, name, "decode") as work:
        library.decode(places, name, progress=_progress(work, "decoding"))


def _remove(places: Paths, name: str, where: str) -> None:
    library.check_removable(places, name)
    with Work(places, name, "remove"):
        library.remove(places, name)


ACTIONS: dict[str, Callable[[Paths, str, str], None]] = {
    "download": _download,
    "verify": _verify,
    "import": _import,
    "decode": _decode,
    "remove": _remove,
}


def _tell(places: Paths, name: str, action: str, why: MlptuiError) -> None:
    """Put a reason onto the set's page that came before the work had one."""
    job = jobs.read(places, name)
    if job and job.pid == os.getpid():
        return
    with contextlib.suppress(MlptuiError), Work(places, name, action):
        raise why


def main(words: list[str]) -> int:
    action, name, where = (*words, "")[:3]

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; what is cleaned up now must not be broken off
        raise Cancelled

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(NICE)
    places = paths.find()
    try:
        ACTIONS[action](places, name, where)
    except Busy as error:
        print(error, file=sys.stderr)
        return 3
    except MlptuiError as error:
        print(error, file=sys.stderr)
        _tell(places, name, action, error)
        return 1
    except Cancelled:
        return 143
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
