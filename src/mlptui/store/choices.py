"""What this machine decided by measuring, kept so that it decides the same the next time."""

import json
from pathlib import Path

from mlptui.core.errors import StorageError
from mlptui.store import atomic

SIZE_LIMIT = 1 << 20


def recall(path: Path, key: str) -> str:
    """What was decided for `key`; empty where nothing was, or where the file cannot be read."""
    return _read(path).get(key, "")


def remember(path: Path, key: str, value: str) -> None:
    """Keep a decision; a disk that refuses costs only the memory."""
    try:
        atomic.make_folder(path.parent)
        atomic.replace(path, json.dumps({**_read(path), key: value}, indent=1).encode(), durable=False)
    except (OSError, StorageError):
        pass


def _read(path: Path) -> dict[str, str]:
    try:
        values = json.loads(atomic.read_regular(path, SIZE_LIMIT))
    except (OSError, StorageError, ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {}
