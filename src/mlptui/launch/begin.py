"""Begin a new run, or go on with a dead one."""

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


def default_name(recipe: Recipe) -> str:
    """A name from data set and model: `fashion-mnist-mlp`."""
    return f"{recipe.data.name}-{label(parse(recipe.architecture)).split(',')[0].split()[0].lower()}"


def begin(paths: Paths, recipe: Recipe, environment: Mapping[str, str]) -> tuple[Run, int]:
    """Make the run's directory and start its trainer; returns both at once, without waiting for it.

    `recipe` must be settled (data set named). Raises StorageError or RunError with one sentence.
    """
    tree = parse(recipe.architecture)
    run = rundir.create(paths, recipe, recipe.name or default_name(recipe), label(tree), sources=_sources(tree))
    return run, trainer.start(run, environment)


def _sources(tree: Layer) -> dict[str, bytes]:
    """The person's own files that a network is from: the run keeps copies, so that it goes on as it began."""
    found = {}
    for file in references.files(tree):
        try:
            found[references.kept_name(file)] = atomic.read_regular(Path(references.absolute(file)), MAX_SOURCE)
        except (OSError, StorageError) as error:
            reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
            raise RunError(f"{safe(file, 300)} cannot be read: {reason}") from None
    return found


def resume(run: Run, environment: Mapping[str, str]) -> int:
    """Start a trainer that goes on from the run's newest good checkpoint, and return its pid. Raises RunError."""
    verdict = run.verdict()
    if verdict.trainer_alive or verdict.status in (Status.STARTING, Status.UNKNOWN):
        raise RunError(f"{run.id} is {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
    if not verdict.status.resumable:
        raise RunError(f"{run.id} is {verdict.status}; only stopped, failed and killed runs can be resumed")
    return trainer.start(run, environment)
