"""What this machine decided by measuring, kept so that it decides the same the next time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlptui.core.errors import StorageError
from mlptui.store import atomic

SIZE_LIMIT = 1 << 20


def recall(path: Path, key: str) -> str:
    """What was decided for `key`; empty where nothing was, or where the file cannot be read."""
    return _read(path).get(key, "")


def remember(path: Path, key: str, value: str) -> None:
    """Keep a decision; a disk that refuses costs only the memory."""
    _keep(path, key, value, first=False)


def settle(path: Path, key: str, value: str) -> str:
    """Keep a decision unless another process, which decided at the same time, was first; gives the one that holds."""
    return _keep(path, key, value, first=True)


def _keep(path: Path, key: str, value: str, first: bool) -> str:
    try:
        atomic.make_folder(path.parent)
        with _alone(path.with_name(f".{path.name}.lock")):
            known = _read(path)
            if first and known.get(key):
                return known[key]
            atomic.replace(path, json.dumps({**known, key: value}, indent=1).encode(), durable=False)
    except (OSError, StorageError):
        pass
    return value


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process at a time, where the file system gives locks; the lock ends with its process."""
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read(path: Path) -> dict[str, str]:
    try:
        values = json.loads(atomic.read_regular(path, SIZE_LIMIT))
    except (OSError, StorageError, ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {}
