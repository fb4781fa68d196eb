"""The facts that a run's log holds, one a line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlptui.core import text


class Kind:
    """The kinds of event; the log's vocabulary."""

    STARTED = "started"
    RESUMED = "resumed"
    EPOCH = "epoch"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_FAILED = "checkpoint-failed"
    CHECKPOINT_DAMAGED = "checkpoint-damaged"
    COMMAND = "command"
    KNOB = "knob"
    WARNING = "warning"
    DIVERGED = "diverged"
    GAP = "gap"
    TESTED = "tested"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """One fact. `seq` counts from 1 without holes in a file; `wall` is Unix time; `mono` the trainer's monotonic seconds."""

    kind: str
    step: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
    wall: float = 0.0
    mono: float = 0.0

    def __getitem__(self, name: str) -> Any:
        return self.data.get(name)

    def number(self, name: str) -> float | None:
        """A member that should be a number; None where it is none."""
        value = self.data.get(name)
        if isinstance(value, str):
            return float(value) if value in ("nan", "inf", "-inf") else None
        return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def without_taken_back(events: Iterable[Event]) -> list[Event]:
    """The log as one history: a resume takes back the epochs that lie after the step that it went on from.

    So does a start, of a run that was killed before its first checkpoint was committed.
    """
    kept: list[Event] = []
    for event in events:
        if event.kind in (Kind.RESUMED, Kind.STARTED):
            kept = [
                e for e in kept
                if not (e.kind in (Kind.EPOCH, Kind.TESTED) and e.step > event.step)
            ]  # fmt: skip
        kept.append(event)
    return kept


def sentence(event: Event) -> str:
    """The event in one line of English, with foreign text made safe."""
    words = _WORDS.get(event.kind)
    said = f"{event.kind} at step {event.step:,}"
    try:
        said = words(event) if words else said
    except (TypeError, ValueError, OverflowError):
        pass  # a damaged or newer event lacks what the sentence needs
    return text.safe(said, 400)


def score_name(e: Event) -> str:
    """What the event's numbers called accuracy are: `accuracy`, or `R2` for regression."""
    return str(e["score"] or "accuracy")


def score_short(name: str) -> str:
    """The score in a column's header."""
    return "acc" if name == "accuracy" else name


def _score(e: Event, which: str) -> str:
    return f"{score_name(e)} {text.score(e[which], score_name(e))}"


def _epoch(e: Event) -> str:
    parts = [f"epoch {e['epoch']}: train loss {text.loss(e['train_loss'])}"]
    if e["valid_loss"] is not None:
        parts.append(f"valid loss {text.loss(e['valid_loss'])}, valid {_score(e, 'valid_accuracy')}")
    return ", ".join(parts)


def _checkpoint(e: Event) -> str:
    best = (
        f" (best so far, {text.score(e['valid_accuracy'], score_name(e))})"
        if e["best"] and e["valid_accuracy"] is not None
        else ""
    )
    return f"checkpoint {e['name']} saved{best}"


def _command(e: Event) -> str:
    who = f" by {e['who']}" if e["who"] else ""
    outcome = f"refused: {e['refused']}" if e["refused"] else (e["outcome"] or "done")
    return f"{e['command']}{who}: {outcome}"


def _resumed(e: Event) -> str:
    exact = "exact" if e["exact"] else f"not bit-exact: {e['why']}"
    parent = str(e["parent"] or "")
    if parent and parent.rpartition("/")[2] == e["name"]:
        return f"goes on from {parent} ({exact})"
    return f"resumed from step {e.step:,} ({exact})"


_WORDS: dict[str, Callable[[Event], str]] = {
    Kind.STARTED: lambda e: f"started on {e['device']}, {e['parameters']:,} parameters, {e['threads']} threads, {e['matmul']}",
    Kind.RESUMED: _resumed,
    Kind.EPOCH: _epoch,
    Kind.CHECKPOINT: _checkpoint,
    Kind.CHECKPOINT_FAILED: lambda e: f"checkpoint not saved: {e['reason']}; the previous one is kept",
    Kind.CHECKPOINT_DAMAGED: lambda e: f"checkpoint {e['name']} is damaged ({e['reason']})",
    Kind.COMMAND: _command,
    Kind.KNOB: lambda e: f"learning rate {text.rate(e['before'])} -> {text.rate(e['lr'])} at step {e.step:,}",
    Kind.WARNING: lambda e: str(e["message"]),
    Kind.DIVERGED: lambda e: f"diverged at step {e.step:,}: {e['reason']}",
    Kind.GAP: lambda e: f"{e['records']:,} records were lost while the disk was full",
    Kind.TESTED: lambda e: f"test loss {text.loss(e['test_loss'])}, test {_score(e, 'test_accuracy')}",
    Kind.FINISHED: lambda e: f"finished after {text.duration(e['seconds'])}" + (f": {e['reason']}" if e["reason"] else ""),
    Kind.STOPPED: lambda e: f"stopped at step {e.step:,}" + (f": {e['reason']}" if e["reason"] else ""),
    Kind.FAILED: lambda e: f"failed: {e['reason']}",
}
