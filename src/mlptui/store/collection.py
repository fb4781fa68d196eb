"""All checkpoints, of runs and saved by hand: found by a name, pinned, annotated, verified, removed and brought back.

What a person saves lies as a run's checkpoints do, in `saved/NAME/checkpoints`; its step counts how often that name was saved.

What is said of one stands in abouts.py. Pinned ones are not removed by a run's own retention.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlptui.core.architecture.zoo import ZOO
from mlptui.core.errors import CheckpointError, RunError, StorageError
from mlptui.core.text import safe
from mlptui.store import abouts, atomic, checkpoints, lock, rundir, sealed, trash
from mlptui.store.abouts import About
from mlptui.store.checkpoints import Checkpoint
from mlptui.store.formats import opening
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

MAX_NOTE = 2000
LEFT_BEHIND = 3600.0  # seconds after which what a save by hand left behind is taken for that of a dead process
MAX_NAME = 64
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Entry:
    """A checkpoint of a run, or of a name. `checkpoint` is None where its manifest is damaged, then `problem` says how.

    `best` is that of its run; `size` counts the bytes that the manifest names.
    """

    run: Run
    folder: Path
    checkpoint: Checkpoint | None
    about: About
    best: bool = False
    problem: str = ""

    @property
    def id(self) -> str:
        return f"{self.run.id}/{self.folder.name}"

    @property
    def step(self) -> int:
        """As its manifest says; of a damaged one, as its folder is called."""
        if self.checkpoint:
            return self.checkpoint.step
        number = self.folder.name.rpartition("-")[2]
        return int(number) if number.isascii() and number.isdecimal() else 0

    @property
    def size(self) -> int:
        return self.checkpoint.size if self.checkpoint else 0


def of_run(run: Run) -> list[Entry]:
    """Its checkpoints, newest first, also damaged ones."""
    found: list[tuple[Path, Checkpoint | None, str]] = []
    for folder in checkpoints.folders(run.checkpoints):
        try:
            found.append((folder, checkpoints.load(folder), ""))
        except (CheckpointError, StorageError) as error:
            found.append((folder, None, str(error)))
    best = checkpoints.best([checkpoint for _, checkpoint, _ in found if checkpoint])
    return [
        Entry(run, folder, checkpoint, abouts.known(folder), checkpoint is not None and checkpoint is best, problem)
        for folder, checkpoint, problem in reversed(found)
    ]


def owners(paths: Paths) -> list[Run]:
    """What has checkpoints: all runs, the newest first, and before them the names that a person saved under."""
    return [*_saved(paths), *rundir.all_runs(paths)]


def _saved(paths: Paths) -> list[Run]:
    try:
        folders = [Path(e.path) for e in os.scandir(paths.saved) if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [Run(folder) for folder in sorted(folders) if not folder.name.startswith(".")]


def is_saved(run: Run) -> bool:
    """Whether these checkpoints were saved by hand."""
    return not run.recipe_file.exists() and run.folder.parent.name == "saved"


def everything(paths: Paths) -> list[Entry]:
    """All checkpoints: those saved by hand, then the runs', the newest run's first."""
    return [entry for owner in owners(paths) for entry in of_run(owner)]


def owner(paths: Paths, name: str) -> Run:
    """The run by its id, a unique part of it or `last`; or what was saved by this name. Raises RunError."""
    saved = {run.id: run for run in _saved(paths)}
    if name in saved:
        return saved[name]
    if saved and not rundir.all_runs(paths):
        raise RunError(f"nothing is saved as {safe(name, 80)!r}, and there are no runs; saved are {', '.join([*saved][:8])}")
    return rundir.find(paths, name)


def save(paths: Paths, name: str, files: Mapping[str, bytes], facts: Mapping[str, Any], note: str = "") -> Entry:
    """Keep files as the next checkpoint by a name, whole or not at all. Raises CheckpointError."""
    called, said = checked_name(name), checked_note(note)
    if any(run.id == called for run in rundir.all_runs(paths)):
        raise CheckpointError(f"a run is called {called}; choose another name")
    run = Run(paths.saved / called)
    with _told(f"{called} is not saved"):
        atomic.make_folder(run.checkpoints)
        checkpoints.sweep(run.checkpoints, older_than=LEFT_BEHIND)
        made = checkpoints.commit(run.checkpoints, _next(paths, run), files, {"run": called, **facts})
    entry = Entry(run, made.folder, made, About())
    if said:
        try:
            tell(entry, note=said)
        except CheckpointError as error:
            raise CheckpointError(f"saved as {entry.id}, without its note: {error}") from None
    return replace(entry, about=abouts.known(made.folder))


def retention(run: Run, keep: int) -> list[tuple[Entry, str]]:
    """A run's checkpoints, newest first, each with the reason why its retention leaves it, or "" where that removes it."""
    entries = [entry for entry in of_run(run) if entry.checkpoint]
    staying = checkpoints.kept([entry.checkpoint for entry in reversed(entries) if entry.checkpoint], keep)
    return [(entry, staying.get(entry.folder.name, "")) for entry in entries]


def _next(paths: Paths, run: Run) -> int:
    """A number that is free: no checkpoint has it, none in the trash, and nothing is said of one."""
    names = [entry.name.removesuffix(".about") for entry in os.scandir(run.checkpoints)] + trash.steps_of(paths, run.id)
    numbers = [name.removeprefix("step-") for name in names if name.startswith("step-")]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


def checked_note(note: str) -> str:
    """The note as it is kept. Raises CheckpointError."""
    said = note.strip()
    if len(said) > MAX_NOTE:
        raise CheckpointError(f"a note has at most {MAX_NOTE:,} characters")
    return said


def checked_name(name: str) -> str:
    """The name as a folder may have it. Raises CheckpointError."""
    called = name.strip()
    if not called or len(called) > MAX_NAME or not NAME.fullmatch(called):
        raise CheckpointError(
            f"a name has letters, digits, '-', '_' and '.', at most {MAX_NAME}, and begins with a letter or digit"
        )
    if ".." in called or called.lower().endswith(opening.SUFFIXES):
        raise CheckpointError(f"{called!r} looks like a file, or like a comparison of two; choose another name")
    if called in ("last", "best") or called in ZOO:
        raise CheckpointError(f"{called!r} means another thing wherever a checkpoint or network is named; choose another name")
    return called


def rename(paths: Paths, run: Run, name: str) -> Run:
    """Another name for what was saved by hand; a run keeps its id. Its removed checkpoints go along.

    Raises CheckpointError.
    """
    called = checked_name(name)
    with _told(f"{run.id} cannot be renamed"):
        if not is_saved(run):
            raise CheckpointError(f"{run.id} is a run, which keeps its id; say something of a checkpoint by a note")
        if (paths.saved / called).exists() or any(one.id == called for one in rundir.all_runs(paths)):
            raise CheckpointError(f"{called} is there already")
        atomic.move(run.folder, paths.saved / called)
    trash.renamed(paths, run.id, called)
    return Run(paths.saved / called)


def find(paths: Paths, wanted: str) -> Entry:
    """`RUN/step-10`, `RUN/10`, `RUN/best`, `RUN/last`, or `RUN` for its newest; RUN as for `rundir.find`.

    Raises RunError, CheckpointError.
    """
    name, _, which = wanted.partition("/")
    run = owner(paths, name)
    entries = of_run(run)
    if not entries:
        raise CheckpointError(f"{run.id} has no checkpoints")
    if which == "best":
        found = [entry for entry in entries if entry.best]
        problem = "has no checkpoint with a validation accuracy"
    elif which in ("", "last"):
        return entries[0]
    else:
        number = which.removeprefix("step-")
        found = [e for e in entries if number.isascii() and number.isdecimal() and e.step == int(number)]
        problem = f"has no checkpoint {safe(which, 60)!r}; it has {', '.join(str(e.step) for e in entries[:8])}"
    if not found:
        raise CheckpointError(f"{run.id} {problem}")
    return found[0]


def at(folder: Path) -> Entry:
    """The checkpoint in this folder, wherever it lies; its run is that above it."""
    folder = folder.absolute()
    run = Run(folder.parent.parent)
    try:
        return Entry(run, folder, checkpoints.load(folder), abouts.known(folder))
    except (CheckpointError, StorageError) as error:
        return Entry(run, folder, None, abouts.known(folder), problem=str(error))


def exact(paths: Paths, wanted: str) -> Entry:
    """The checkpoint with just this id. Raises CheckpointError where it is gone, or called otherwise now."""
    name, _, step = wanted.partition("/")
    run = _exact_owner(paths, name)
    found = next((entry for entry in of_run(run) if entry.folder.name == step), None) if run else None
    if found is None:
        raise CheckpointError(f"{safe(wanted, 120)} is gone, or has another name now")
    return found


def _exact_owner(paths: Paths, name: str) -> Run | None:
    return next((Run(parent / name) for parent in (paths.saved, paths.runs) if name and (parent / name).is_dir()), None)


def trained(manifest: Mapping[str, Any]) -> str:
    """How a checkpoint's network was trained, in a line; "" where its manifest does not say that."""
    recipe = manifest.get("recipe", {})
    data, optimizer, lr = (
        recipe.get("data", {}),
        recipe.get("optimizer", {}),
        sealed.number(recipe.get("optimizer", {}).get("lr")),
    )
    parts = [
        str(data.get("name", "")),
        "" if lr is None else f"{optimizer.get('name', '')} lr {lr:g}",
        *(f"{word} {recipe[name]}" for word, name in (("batch", "batch_size"), ("seed", "seed")) if name in recipe),
        f"goes on from {recipe['parent']}" if recipe.get("parent") else "",
    ]
    return safe(" · ".join(filter(None, parts)), 300)


def tell(entry: Entry, *, pinned: bool | None = None, note: str | None = None) -> About:
    """Pin or unpin a checkpoint, or say something of it; gives what is known now. Raises CheckpointError."""
    said = None if note is None else checked_note(note)

    def change(before: About) -> About:
        return replace(before, pinned=before.pinned if pinned is None else pinned, note=before.note if said is None else said)

    return _say(entry, change)


def _say(entry: Entry, change: Callable[[About], About]) -> About:
    """Change what is said of a checkpoint. Raises CheckpointError."""
    with _told(f"{entry.id} cannot be written to"):
        if not entry.folder.is_dir():
            raise CheckpointError(f"{entry.id} is gone")
        return abouts.change(entry.folder, change)


def went_on(entry: Entry, run: Run) -> None:
    """Remember that a run goes on from a checkpoint, so that it stays as long as that run. Raises CheckpointError."""
    _say(entry, lambda before: replace(before, children=(*before.children, run.id)))


def files_of(entry: Entry) -> dict[str, bytes]:
    """All files of a checkpoint, verified, with the manifest last. Raises CheckpointError."""
    if entry.checkpoint is None:
        raise CheckpointError(entry.problem)
    files = {name: entry.checkpoint.read(name) for name in entry.checkpoint.manifest["files"]}
    with _told(f"{entry.id} cannot be read"):
        files[checkpoints.MANIFEST] = atomic.read_regular(entry.folder / checkpoints.MANIFEST, checkpoints.MANIFEST_LIMIT)
    return files


def verify(entry: Entry) -> str:
    """Read every byte; why it is damaged, "" where it is as it was written.

    Raises StorageError where it cannot be read now.
    """
    if entry.checkpoint is None:
        return entry.problem
    try:
        for name in entry.checkpoint.manifest["files"]:
            entry.checkpoint.read(name)
    except CheckpointError as error:
        return str(error)
    return ""


def newest_good(entries: list[Entry], than: Entry) -> Entry | None:
    """The newest whole checkpoint of the same run beside this one, of those that can be read now."""
    others = (entry for entry in entries if entry.run == than.run and entry.folder != than.folder)
    return next((entry for entry in others if not why_not(entry)), None)


def why_not(entry: Entry) -> str:
    """Why a checkpoint is not known to be whole: what is damaged, or why it cannot be read now; "" where it is whole."""
    try:
        return verify(entry)
    except StorageError as error:
        return str(error)


@contextmanager
def offering(entry: Entry) -> Iterator[None]:
    """Where this checkpoint turns out to be damaged, the CheckpointError names the newest whole one of its run, too."""
    try:
        yield
    except CheckpointError as error:
        good = newest_good(of_run(entry.run), entry) if why_not(entry) else None
        if good is None:
            raise
        raise CheckpointError(f"{error}; the newest whole one is {good.id}") from None


def remove(paths: Paths, entry: Entry) -> Path:
    """Move a checkpoint to the trash and return where it is now.

    Raises CheckpointError while its run is trained, where it is pinned, or if the disk refuses.
    """
    holding = lock.holder(entry.run.lock_file)
    try:
        live = entry.run.verdict().status.live
    except StorageError:
        live = False
    if holding is None or holding or live:
        raise CheckpointError(f"{entry.run.id} is being trained, or may be; stop it before its checkpoints are removed")
    with _told(f"cannot remove {entry.id}"), abouts.locked(entry.folder.parent):
        if abouts.known(entry.folder).pinned:
            raise CheckpointError(f"{entry.id} is pinned; unpin it first")
        if child := next(iter(abouts.children(entry.folder)), ""):
            raise CheckpointError(f"{safe(child, 100)} went on from {entry.id}; remove that run first")
        place = trash.place(paths, f"{entry.run.id}@{entry.folder.name}")
        abouts.move(entry.folder, place)
        return place


def restore(paths: Paths, place: Path) -> str:
    """Undo `remove`; gives the checkpoint's id. Raises CheckpointError."""
    with _told(f"cannot bring back {trash.name_of(place).replace('@', '/')}"):
        place = trash.found(place)
        run_id, _, name = trash.name_of(place).partition("@")
        run = _exact_owner(paths, run_id)
        if run is None:
            raise CheckpointError(f"{run_id} is gone, or has another name now; the checkpoint lies in {place}")
        if (run.checkpoints / name).exists():
            raise CheckpointError(f"{run_id}/{name} exists again; it was not replaced")
        abouts.bring_back(place, run.checkpoints / name)
    return f"{run_id}/{name}"


def copy_out(entry: Entry, parent: Path) -> Path:
    """A copy of the checkpoint's folder in `parent`, whole or not at all; every byte is verified on the way.

    Raises CheckpointError.
    """
    final = parent / f"{entry.run.id}-{entry.folder.name}"
    with offering(entry):
        files = files_of(entry)
    with _told(f"{entry.id} cannot be copied to {parent}"):
        atomic.make_folder(parent)
        try:
            atomic.commit_folder(parent, final.name, files, shared=True)
        except FileExistsError:
            raise CheckpointError(f"{final} exists already") from None
    return final


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What the disk refuses becomes a CheckpointError that begins with `what`."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{what}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise CheckpointError(f"{what}: {error}") from None
