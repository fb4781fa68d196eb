"""Begin a new run, or go on with a dead one."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.tree import Layer, label
from mlptui.core.errors import CheckpointError, RunError, StorageError
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe, check, fields, nested, value_at
from mlptui.core.status import Status
from mlptui.core.text import safe
from mlptui.launch import trainer
from mlptui.store import atomic, collection, rundir
from mlptui.store.collection import Entry
from mlptui.store.eventlog import read_events
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

FIXED = ("data.name", "data.validation", "data.normalise", "architecture", "loss", "batch_size", "seed")
MAX_WEIGHTS = 64 << 30


def default_name(recipe: Recipe) -> str:
    """A name from data set and model: `fashion-mnist-mlp`."""
    return f"{recipe.data.name}-{label(parse(recipe.architecture)).split(',')[0].split()[0].lower()}"


def begin(paths: Paths, recipe: Recipe, environment: Mapping[str, str], weights: Path | None = None) -> tuple[Run, int]:
    """Make the run's directory and start its trainer; returns both at once, without waiting for it.

    `recipe` must be settled (data set named); `weights` is a safetensors file to begin with, of which the run keeps a copy.
    Raises StorageError or RunError with one sentence.
    """
    tree = parse(recipe.architecture)
    recipe, first = with_weights(recipe.model_copy(update={"parent": ""}), weights)
    name = recipe.name or default_name(recipe)
    run = rundir.create(paths, recipe, name, label(tree), sources=_sources(tree), weights=first)
    return run, trainer.start(run, environment)


def go_on(
    paths: Paths, entry: Entry, changes: Mapping[str, Any], environment: Callable[[str], Mapping[str, str]]
) -> tuple[Run, int]:
    """A new run that goes on from a checkpoint with other knobs (by their paths in the recipe), and names it as its parent.

    Training goes on at the checkpoint's step with its optimiser's state, so with more epochs alone the weights are those of a
    run that had them from the beginning, where the schedule does not look at how many there are (cosine and one-cycle do).
    `environment` gives a device's. Raises RunError, RecipeError, CheckpointError, StorageError.
    """
    recipe = entry.run.recipe()
    flat = {field.path: value_at(recipe, field.path) for field in fields()}
    rates = [e for e in read_events(entry.run.events_file) if e.kind == Kind.KNOB and e.step <= entry.step and e["lr"]]
    if rates:
        flat["optimizer.lr"] = float(rates[-1]["lr"])  # what a person turned it to
    if changes.get("optimizer.name", recipe.optimizer.name) != recipe.optimizer.name:
        flat = {path: value for path, value in flat.items() if not path.startswith("optimizer.")}
    if same := next((path for path in FIXED if path in changes and str(changes[path]) != str(flat[path])), ""):
        raise RunError(
            f"{same} stays as it was where a run goes on; a new run can begin with these weights instead (--weights)"
        )
    base = recipe.model_dump(include={"weights", "format"})
    data = {"sha256": recipe.data.sha256}
    values = nested({**flat, **changes})
    changed = check({**base, **values, "data": {**values["data"], **data}, "parent": entry.id})
    epoch = entry.checkpoint.manifest.get("epoch") if entry.checkpoint else None
    if isinstance(epoch, int) and changed.epochs <= epoch:
        raise RunError(f"{entry.id} has {epoch} epochs done; ask for more than that in all, as --epochs {2 * epoch or 1}")
    tree = parse(changed.architecture)
    sources = {file.name: _read(file, references.MAX_BYTES) for file in sorted(entry.run.source.glob("*.py"))}
    first = _read(entry.run.weights_file, MAX_WEIGHTS) if recipe.weights else b""  # it says also what is frozen
    with collection.offering(entry):
        files = (entry.folder.name, collection.files_of(entry))
    name = changed.name or default_name(changed)
    made = rundir.create(paths, changed, name, label(tree), sources=sources, weights=first, checkpoint=files)
    try:
        collection.went_on(entry, made)
    except CheckpointError:
        atomic.remove_folder_quietly(made.folder)
        raise
    return made, trainer.start(made, environment(changed.device))


def with_weights(recipe: Recipe, weights: Path | None) -> tuple[Recipe, bytes]:
    """The recipe that names these weights, and the file's bytes. Raises RunError."""
    first = _read(weights, MAX_WEIGHTS) if weights else b""
    found = hashlib.sha256(first).hexdigest() if weights else ""
    if recipe.weights and weights and found != recipe.weights:
        raise RunError(f"{safe(str(weights), 300)} is not the file of weights that the recipe names")
    if recipe.weights and not weights:
        raise RunError("the recipe begins with weights that are not here; name their file with --weights")
    return recipe.model_copy(update={"weights": found}), first


def _read(file: Path, most: int) -> bytes:
    try:
        return atomic.read_regular(file, most)
    except FileNotFoundError:
        raise RunError(f"there is no file {safe(str(file), 300)}") from None
    except (OSError, StorageError) as error:
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise RunError(f"{safe(str(file), 300)} cannot be read: {reason}") from None


def _sources(tree: Layer) -> dict[str, bytes]:
    """The person's own files that a network is from: the run keeps copies, so that it goes on as it began."""
    found = {}
    for file in references.files(tree):
        found[references.kept_name(file)] = _read(Path(references.absolute(file)), references.MAX_BYTES)
    return found


def resume(run: Run, environment: Mapping[str, str]) -> int:
    """Start a trainer that goes on from the run's newest good checkpoint, and return its pid. Raises RunError."""
    verdict = run.verdict()
    if verdict.trainer_alive or verdict.status in (Status.STARTING, Status.UNKNOWN):
        raise RunError(f"{run.id} is {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
    if not verdict.status.resumable:
        raise RunError(f"{run.id} is {verdict.status}; only stopped, failed and killed runs can be resumed")
    return trainer.start(run, environment)
