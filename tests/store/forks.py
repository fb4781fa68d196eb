"""Work in a child process that shares nothing but the disk and dies when it is told to."""

import os
import warnings
from collections.abc import Callable


def fork(work: Callable[[], int | None]) -> int:
    """The pid of a child that does `work` and ends with its answer as exit code (70 if it raised)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other tests of this session may have started threads
        pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = work() or 0
    finally:
        os._exit(code)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
