"""The rows of area 6: all checkpoints as the list shows them, read beside the event loop."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.core.text import loss, score
from mlptui.store import collection
from mlptui.store.abouts import Judged
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui.render.files import CheckpointRow

# what the list can be sorted by, under the names of its columns; None is not known
SORTS: dict[str, Callable[[CheckpointRow], Any]] = {
    "run": lambda row: row.run,
    "step": lambda row: row.step,
    "epoch": lambda row: row.epoch,
    "valid": lambda row: row.valid,
    "loss": lambda row: row.loss,
    "size": lambda row: row.size or None,
    "age": lambda row: -row.created if row.created else None,
}
LARGEST_FIRST = ("step", "epoch", "valid", "size")


def arranged(rows: list[CheckpointRow], sort: str, descending: bool) -> list[CheckpointRow]:
    """By one of SORTS, unknown ones at the end; "" leaves them as they are."""
    if not sort:
        return rows
    known = [row for row in rows if SORTS[sort](row) is not None]
    return sorted(known, key=SORTS[sort], reverse=descending) + [row for row in rows if SORTS[sort](row) is None]


class CheckpointReader:
    """Reads all checkpoints; those of a run whose folder of checkpoints is as it was are not read again."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[str, tuple[tuple[int, int], list[CheckpointRow]]] = {}

    def read(self) -> list[CheckpointRow]:
        known: dict[str, tuple[tuple[int, int], list[CheckpointRow]]] = {}
        for run in collection.owners(self._paths):
            mark = _mark(run.checkpoints)
            before = self._known.get(run.id)
            known[run.id] = before if before and before[0] == mark else (mark, rows_of(run))
        self._known = known
        return [row for _, rows in known.values() for row in rows]


def _mark(folder: Path) -> tuple[int, int]:
    """Changes with every checkpoint that comes or goes, and with what is said of one."""
    try:
        facts = os.stat(folder)
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_ino


def rows_of(run: Run) -> list[CheckpointRow]:
    """The checkpoints of one run as the list shows them."""
    try:
        state = run.state()
        judged_by = state.score
    except StorageError:  # what was saved by hand has none
        judged_by = "accuracy"
    short = run.short
    return [_row(entry, short, judged_by) for entry in collection.of_run(run)]


def _row(entry: Entry, run: str, judged_by: str) -> CheckpointRow:
    known = entry.checkpoint
    manifest: dict[str, Any] = dict(known.manifest) if known else {}
    written = {name: (file.get("size"), file.get("sha256")) for name, file in manifest.get("files", {}).items()}
    created, epoch = manifest.get("created"), manifest.get("epoch")
    return CheckpointRow(
        id=entry.id,
        run=run,
        step=entry.step,
        epoch=epoch if isinstance(epoch, int) else None,
        valid=known.valid_accuracy if known else None,
        loss=known.valid_loss if known else None,
        score=judged_by,
        size=entry.size,
        created=float(created) if isinstance(created, int | float) else 0.0,
        best=entry.best,
        pinned=entry.about.pinned,
        note=entry.about.note,
        problem=entry.problem,
        why=str(manifest.get("why", "")),
        architecture=str(manifest.get("architecture", "")),
        data=_data_of(manifest),
        judged=tuple(map(_judged, entry.about.judged)),
        trained=collection.trained(manifest),
        files=tuple((name, int(size or 0), str(sha)) for name, (size, sha) in written.items()),
        folder=str(entry.folder),
        saved=collection.is_saved(entry.run),
    )


def _judged(found: Judged) -> str:
    """`test of mnist: loss 0.5294, accuracy 80.6 %`."""
    return f"{found.part} of {found.data}: loss {loss(found.loss)}, {found.score_name} {score(found.score, found.score_name)}"


def _data_of(manifest: dict[str, Any]) -> str:
    """The data set that it was trained on, "" where that is not said."""
    recipe = manifest.get("recipe")
    data = recipe.get("data") if isinstance(recipe, dict) else None
    return str(data.get("name", "")) if isinstance(data, dict) else ""
