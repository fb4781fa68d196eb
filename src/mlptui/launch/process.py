"""Processes that outlive whoever starts them: a session of their own, no terminal, output to a file."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def start(module: str, words: list[str], folder: Path, log: Path, environment: Mapping[str, str]) -> int:
    """Start `python -P -m module words` in `folder` and return its pid at once. Raises OSError."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            close_fds=True,
        )
    process.returncode = 0  # it outlives this object, which would warn otherwise; `reap` collects it
    _children.add(process.pid)
    return process.pid


def inherited() -> dict[str, str]:
    """This process's environment without what would lead another Python astray."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k == "PYTHONPATH"}


_children: set[int] = set()
_codes: dict[int, int] = {}


def reap() -> None:
    """Collect processes that have ended, so that none stays behind as a zombie."""
    for pid in list(_children):
        lives(pid)


def lives(pid: int) -> bool:
    """Whether a process that this one started still runs; one that has ended is collected."""
    if pid not in _children:
        return False
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # somebody else collected it, and how it ended with it
        _children.discard(pid)
        return False
    if ended:
        _children.discard(pid)
        _codes[pid] = os.waitstatus_to_exitcode(status)
    return not ended


def exit_code(pid: int) -> int | None:
    """How a process that this one started has ended; None while it lives, or where nobody knows."""
    return None if lives(pid) else _codes.get(pid)
