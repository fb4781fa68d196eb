"""What a run measured, for other programs: CSV, JSON, and the event files that TensorBoard reads."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from mlptui.core.errors import RunError
from mlptui.core.events import Kind, without_taken_back
from mlptui.store import atomic
from mlptui.store.eventlog import read_events
from mlptui.store.rundir import Run
from mlptui.store.sealed import finite
from mlptui.store.steps import Row, read_rows

STEP = Row._fields
EPOCH = (
    "epoch", "step", "wall", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "samples_per_second", "seconds",
    "lr",
)  # fmt: skip


def epochs(run: Run) -> list[dict[str, Any]]:
    """A row an epoch; of a run that was resumed the history as it is now."""
    events = without_taken_back(read_events(run.events_file))
    return [
        {name: {"step": e.step, "wall": e.wall}.get(name, e[name]) for name in EPOCH} for e in events if e.kind == Kind.EPOCH
    ]


def as_csv(run: Run, by_epoch: bool = False) -> bytes:
    """A row a step, or a row an epoch. What was not measured is empty; nan and infinities stand by their names."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(EPOCH if by_epoch else STEP)
    if by_epoch:
        writer.writerows(["" if row[name] is None else row[name] for name in EPOCH] for row in epochs(run))
    else:
        norms = STEP.index("gradient_norm")  # measured every few steps only
        for row in read_rows(run.steps_file):
            writer.writerow("" if i == norms and math.isnan(value) else value for i, value in enumerate(row))
    return stream.getvalue().encode()


def as_json(run: Run) -> bytes:
    """Steps, epochs and what else was noted, as one document; nan and infinities are texts."""
    events = [{"kind": str(e.kind), "step": e.step, "wall": e.wall, **e.data} for e in read_events(run.events_file)]
    steps = [row._asdict() for row in read_rows(run.steps_file)]
    document = {"run": run.id, "recipe": run.recipe().model_dump(), "epochs": epochs(run), "steps": steps, "events": events}
    return json.dumps(finite(document), indent=1, allow_nan=False).encode() + b"\n"


def as_tensorboard(run: Run, folder: Path) -> int:
    """Scalars by step and by epoch into the run's event file in `folder`; gives how many. Raises RunError."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise RunError(f"{error.name} is missing; install it with: pip install 'mlptui[tensorboard]'") from None
    rows = read_rows(run.steps_file)
    began = run.state().created  # the same for every export of the run, also when its first rows were trained anew
    stream, count = io.BytesIO(), 0
    records = RecordWriter(stream)
    records.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())

    def scalar(name: str, value: float | None, step: int, wall: float) -> None:
        nonlocal count
        if value is not None:
            summary = Summary(value=[Summary.Value(tag=name, simple_value=float(value))])
            records.write(Event(wall_time=wall, step=step, summary=summary).SerializeToString())
            count += 1

    for row in rows:
        for name, value in (("loss/train", row.loss), ("accuracy/train", row.accuracy), ("lr", row.lr)):
            scalar(name, value, row.step, row.wall)
        if row.gradient_norm == row.gradient_norm:
            scalar("gradient_norm", row.gradient_norm, row.step, row.wall)
    for epoch in epochs(run):
        for name, tag in (("valid_loss", "loss/valid"), ("valid_accuracy", "accuracy/valid"), ("train_loss", "loss/epoch")):
            scalar(tag, epoch[name], epoch["step"], epoch["wall"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.replace(folder / f"events.out.tfevents.{int(began):010}.{run.id}", stream.getvalue(), shared=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {atomic.reason(error)}") from None
    return count
