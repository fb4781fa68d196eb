"""Begin a new run, or go on with a dead one."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.tree import Layer, label
from mlptui.core.errors import RunError, StorageError
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.core.text import safe
from mlptui.launch import trainer
from mlptui.store import atomic, rundir
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

MAX_SOURCE = 4 << 20  # bytes of a Python file
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
    recipe, first = with_weights(recipe, weights)
    name = recipe.name or default_name(recipe)
    run = rundir.create(paths, recipe, name, label(tree), sources=_sources(tree), weights=first)
    return run, trainer.start(run, environment)


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
        found[references.kept_name(file)] = _read(Path(references.absolute(file)), MAX_SOURCE)
    return found


def resume(run: Run, environment: Mapping[str, str]) -> int:
    """Start a trainer that goes on from the run's newest good checkpoint, and return its pid. Raises RunError."""
    verdict = run.verdict()
    if verdict.trainer_alive or verdict.status in (Status.STARTING, Status.UNKNOWN):
        raise RunError(f"{run.id} is {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
    if not verdict.status.resumable:
        raise RunError(f"{run.id} is {verdict.status}; only stopped, failed and killed runs can be resumed")
    return trainer.start(run, environment)
