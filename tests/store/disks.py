"""Real small and read-only file systems, where this user may mount them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder on a file system that refuses every write, also root's."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(place: Path, leaving: int) -> Path:
    """Fill the disk but for `leaving` bytes, in whole pages."""
    ballast = place / "ballast"
    stats = os.statvfs(place)
    free = stats.f_bavail * stats.f_frsize
    ballast.write_bytes(b"x" * max(0, free - leaving))
    return ballast
