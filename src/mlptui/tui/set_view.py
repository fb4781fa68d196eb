"""Data sets for the screen: what is there, and what one of them holds. For background threads: all of it reads files."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlptui.core import text
from mlptui.core.errors import DataError
from mlptui.store.paths import Paths
from mlptui.tui.render.data import ColumnRow, FactSheet, Going, SetRow

SILENT = 2.0  # seconds without news after which a speed is no longer true


@dataclass(frozen=True)
class Sets:
    """One look at all sets. `usable` has what the form needs of each that can be trained on."""

    rows: list[SetRow]
    usable: dict[str, tuple[int, tuple[int, ...], int]]
    default: str
    ended: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class OneSet:
    """A set that was opened: its facts, and its arrays where it is here (`data` is a datasets.dataset.Dataset)."""

    name: str
    sheet: FactSheet
    facts: Any
    data: Any = None
    problem: str = ""


def read_sets(paths: Paths, watched: Mapping[str, int]) -> Sets:
    """`watched` has the pids of jobs by their sets; what became of those that are over is told once."""
    from mlptui.datasets import catalog, jobs, library
    from mlptui.launch import process

    going = jobs.running(paths)
    rows, usable = [], {}
    for name in catalog.names(paths):
        state = library.state(paths, name)
        entry = catalog.ENTRIES.get(name)
        rows.append(
            SetRow(
                name,
                state.kind,
                state.share,
                state.size,
                entry.title if entry else "",
                state.problem,
                _going(going.get(name)),
                own=entry is None,
                made=catalog.always_here(name),
                stamp=_stamp(paths, name),
            )
        )
        if state.usable:
            try:
                facts = library.of_entry(entry) if entry else library.facts(paths, name)
            except DataError:
                continue
            usable[name] = (facts.train_size, facts.shape, len(facts.classes))
    ended = {}
    for name, pid in watched.items():
        job = jobs.read(paths, name)
        if job and job.pid == pid and job.ended:
            ended[name] = (job.phase if not job.error else "failed", job.error)
        elif not process.lives(pid) and (job is None or job.pid != pid):
            ended[name] = ("done", "")  # its page went with the set
    return Sets(rows, usable, catalog.default(paths), ended)


def _stamp(paths: Paths, name: str) -> int:
    """Changes when the set is another one."""
    from mlptui.datasets import catalog

    try:
        return os.stat(catalog.folder(paths, name) / catalog.DESCRIPTION).st_mtime_ns
    except OSError:
        return 0


def _going(job: Any) -> Going | None:
    if job is None:
        return None
    silent = time.time() - job.said > SILENT
    left = job.left if job.phase == "downloading" and not silent else None
    speed = 0.0 if silent else job.speed
    phase = "waiting" if silent and job.phase == "downloading" else job.phase
    return Going(phase, job.file, job.done, job.total, speed, left, job.mirror, job.failures, job.error)


def open_one(paths: Paths, row: SetRow) -> OneSet:
    """Open a set without reading its arrays through; one that is not here shows what the catalog says."""
    from mlptui.datasets import catalog, library

    problem, data = row.problem, None
    facts: Any
    try:
        facts = library.facts(paths, row.name)
        if row.state == "here" and (row.made or library.decoded(catalog.folder(paths, row.name))):
            data = library.load(paths, row.name, thorough=False)
            facts = data.facts
    except DataError as error:
        problem = str(error)
        facts = library.of_entry(catalog.ENTRIES[row.name]) if row.name in catalog.ENTRIES else None
    return OneSet(row.name, _sheet(paths, row, facts), facts, data, problem)


def _sheet(paths: Paths, row: SetRow, facts: Any) -> FactSheet:
    from mlptui.datasets import catalog

    if facts is None:
        return FactSheet()
    pairs = [("", facts.title)]
    pairs.append(("samples", f"{text.count(facts.train_size)} train, {text.count(facts.test_size)} test"))
    if len(facts.shape) == 3:
        channels, height, width = facts.shape
        pairs.append(("pictures", f"{width} x {height}, {'grey' if channels == 1 else 'colour'}"))
    else:
        pairs.append(("features", text.count(facts.shape[0])))
    if facts.classes:
        pairs.append(("classes", text.count(len(facts.classes))))
    elif facts.target and facts.target.histogram:
        target = facts.target
        pairs.append(("target", f"{target.name}: {target.low:.4g} to {target.high:.4g}, mean {target.mean:.4g}"))
    if facts.kind == "images" and facts.mean:
        pairs.append(("mean", " ".join(f"{m:.4f}" for m in facts.mean)))
        pairs.append(("deviation", " ".join(f"{d:.4f}" for d in facts.deviation)))
    pairs += [("licence", facts.licence), ("origin", facts.origin)]
    entry = catalog.ENTRIES.get(row.name)
    if entry and entry.downloadable and not row.usable:
        size = text.size(entry.download_size) if entry.download_size else "of a size its origin tells"
        pairs.append(("download", f"{text.counted(len(entry.files), 'file')}, {size}"))
        pairs += [("mirror" if i == 0 else "", mirror) for i, mirror in enumerate(entry.mirrors)]
    pairs += [("note", note) for note in facts.notes]
    columns = tuple(ColumnRow(c.name, c.mean, c.deviation, c.low, c.high, c.missing, c.histogram) for c in facts.columns)
    known = columns if any(c.histogram for c in columns) else ()
    return FactSheet(tuple(pairs), facts.classes, facts.train_counts, facts.test_counts, known)
