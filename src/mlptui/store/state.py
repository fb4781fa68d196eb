"""state.json: what a run is doing, replaced as a whole by its trainer alone."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.core.status import Status
from mlptui.store import atomic
from mlptui.store.sealed import number

FORMAT = 1
SIZE_LIMIT = 65_536


@dataclass(frozen=True)
class State:
    """One look at a run. Times are Unix seconds; `beat` counts heartbeats; None is "not known yet"."""

    format: int = FORMAT
    run: str = ""
    name: str = ""
    status: str = Status.STARTING
    doing: str = ""
    reason: str = ""
    exit_code: int | None = None
    host: str = ""
    boot_id: str = ""
    pid: int = 0
    pid_start: int | None = None
    oom_kills: int | None = None
    beat: int = 0
    wall: float = 0.0
    created: float = 0.0
    started: float = 0.0
    ended: float | None = None
    trained_seconds: float = 0.0
    data: str = ""
    model: str = ""
    parameters: int | None = None
    device: str = ""
    threads: int | None = None
    matmul: str = ""
    precision: str = ""
    step: int = 0
    steps: int | None = None
    steps_per_epoch: int | None = None
    epoch: int = 0
    epochs: int = 0
    batch_size: int = 0
    samples_per_second: float | None = None
    lr: float | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    best_accuracy: float | None = None
    best_step: int | None = None
    test_accuracy: float | None = None
    score: str = "accuracy"
    checkpoint: str = ""
    checkpoint_step: int | None = None
    waiting: int = 0
    trouble: str = ""
    exact: bool | None = None

    def but(self, **changes: Any) -> "State":
        return replace(self, **changes)


_FLOATS = frozenset(f.name for f in fields(State) if "float" in str(f.type))
_TYPES: dict[str, Any] = {f.name: f.type for f in fields(State)}


def write(path: Path, state: State) -> None:
    """Raises OSError and leaves the old state."""
    values = {k: repr(v) if isinstance(v, float) and not abs(v) < 1e308 else v for k, v in asdict(state).items()}
    atomic.replace(path, json.dumps(values, indent=1).encode(), durable=False)


def read(path: Path) -> State:
    """Raises StorageError with a sentence where there is no readable state."""
    try:
        values = json.loads(atomic.read_regular(path, SIZE_LIMIT))
        if values.get("format", 0) > FORMAT:
            raise StorageError(f"made by a newer mlptui (format {values['format']}); this one reads up to {FORMAT}")
        known: dict[str, Any] = {k: number(v) if k in _FLOATS else v for k, v in values.items() if k in _TYPES}
        for needed in ("wall", "created", "started", "trained_seconds"):
            known[needed] = known.get(needed) or 0.0
        for counted in ("step", "epoch", "epochs", "beat", "pid", "waiting", "batch_size"):
            known[counted] = int(known.get(counted) or 0)
        Status(known.get("status", ""))
        if not all(isinstance(value, _TYPES[name]) for name, value in known.items()):
            raise TypeError
        return State(**known)
    except OSError as error:
        raise StorageError(f"{path.name}: {atomic.reason(error)}") from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise StorageError(f"{path.name} cannot be read") from None
