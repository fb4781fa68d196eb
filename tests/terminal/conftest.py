"""Terminals that are closed, and trainers that are ended, after each test."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlptui.core.errors import StorageError
from mlptui.store import lock, rundir
from mlptui.store.paths import Paths

from .screen import Terminal

Open = Callable[..., Terminal]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    (place / "settings.toml").write_text('bench = "need"\n')
    return place


@pytest.fixture
def terminal(home: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*arguments: object, **options: object) -> Terminal:
        opened.append(Terminal(home, *arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for one in opened:
        one.close()
    for run in rundir.all_runs(Paths(home, home, home)):
        pid = lock.holder(run.lock_file)
        try:
            if pid:
                os.kill(run.state().pid, signal.SIGKILL)
        except (OSError, StorageError):
            pass
