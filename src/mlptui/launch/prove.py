"""Prove that a run's resume is exact: the same recipe trained straight, and with a kill in between, then compared."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from mlptui.core.errors import RunError
from mlptui.core.recipe import Recipe
from mlptui.core.text import counted
from mlptui.launch import process, trainer
from mlptui.store import atomic, checkpoints, host, proof, rundir
from mlptui.store.checkpoints import name_of
from mlptui.store.control import LAST_STEP
from mlptui.store.paths import Paths
from mlptui.store.proof import Proof
from mlptui.store.rundir import Run
from mlptui.store.steps import read_rows

POLL = 0.002
TRIES = 4
KEEP = 10_000
LIMIT = 600.0  # seconds for one part of it

Tell = Callable[[str], None]


def prove(paths: Paths, run: Run, steps: int, environment: Mapping[str, str], tell: Tell, stop: Callable[[], bool]) -> Proof:
    """Train `steps` steps straight and with a kill in the middle, compare, and keep the outcome beside the run.

    Everything happens in a folder of its own that is removed afterwards. `stop` is asked now and then.
    Raises RunError, StorageError, CheckpointError.
    """
    recipe = run.recipe()
    total = run.state().steps or steps
    if total < 2:
        raise RunError(f"{run.id} has one step, and nothing can be killed in the middle of that")
    half = max(1, min(-(-steps // 2), total // 2))
    steps = half * 2
    recipe = _often(recipe, half)
    environment = {**environment, LAST_STEP: str(steps)}  # it ends there, also where nobody is left to end it
    scratch = paths.state / "proofs" / f"{os.getpid()}-{secrets.token_hex(4)}"
    places = Paths(data=scratch, config=paths.config, state=paths.state)
    sweep(paths)
    try:
        tell(f"training {counted(steps, 'step')} straight")
        straight = _copy(places, run, recipe)
        _until(straight, steps, environment, stop, kill=False)
        for _ in range(TRIES):
            tell(f"training to step {half:,}, and killing it")
            broken = _copy(places, run, recipe)
            _until(broken, half, environment, stop, kill=True)
            newest = checkpoints.newest(broken.checkpoints)
            if newest is not None and newest.name < name_of(steps):
                break
            atomic.remove_folder_quietly(broken.folder)  # it was there before the kill came
        else:
            raise RunError(f"training was too fast to be killed before step {steps:,}; ask for more with --steps")
        tell("resuming it")
        _until(broken, steps, environment, stop, kill=False)
        tell("comparing")
        one, other = (checkpoints.load(made.checkpoints / name_of(steps)) for made in (straight, broken))
        differs, sums = proof.difference(one, other)
        rows = proof.first_row(read_rows(straight.steps_file), read_rows(broken.steps_file), steps)
        told = one.manifest.get("environment", {})
        made = Proof(
            steps,
            int(newest.name.removeprefix("step-")),
            rows or differs,
            time.time(),
            ", ".join(f"{k} {v}" for k, v in told.items())[:1000],
            sums if not rows else ("", ""),
        )
        proof.keep(run, made)
        return made
    finally:
        atomic.remove_folder_quietly(scratch)


def sweep(paths: Paths) -> None:
    """Remove what is left of proofs whose process was killed; a trainer that still runs there ends without its folder."""
    try:
        found = list(os.scandir(paths.state / "proofs"))
    except OSError:
        return
    for entry in found:
        pid = entry.name.partition("-")[0]
        if pid.isdecimal() and host.process_start(int(pid)) is None:
            atomic.remove_folder_quietly(Path(entry.path))


def _often(recipe: Recipe, every: int) -> Recipe:
    """The same training with a checkpoint every so many steps, and none thrown away. Saving changes nothing of a training."""
    rules = recipe.checkpoints.model_copy(update={"every_steps": every, "every_epochs": 0, "every_minutes": 0.0, "keep": KEEP})
    return recipe.model_copy(update={"checkpoints": rules, "parent": ""})


def _copy(places: Paths, run: Run, recipe: Recipe) -> Run:
    """A run of its own with this recipe, and with what the first one began with."""
    try:
        sources = {file.name: file.read_bytes() for file in run.source.glob("*.py")}
        weights = run.weights_file.read_bytes() if recipe.weights else b""
    except OSError as error:
        raise RunError(f"what {run.id} began with cannot be read: {atomic.reason(error)}") from None
    return rundir.create(places, recipe, "proof", "proof", sources=sources, weights=weights)


def _until(run: Run, step: int, environment: Mapping[str, str], stop: Callable[[], bool], kill: bool) -> None:
    """Train until this checkpoint is there, then end the trainer. Raises RunError."""
    pid = trainer.start(run, environment)
    wanted: Path = run.checkpoints / name_of(step)
    deadline = time.monotonic() + LIMIT
    try:
        while not wanted.is_dir():
            if not process.lives(pid):
                if wanted.is_dir():
                    break
                raise RunError(f"the training ended before step {step:,}: {run.state().reason or ' '.join(run.log_tail(1))}")
            if stop():
                raise RunError("stopped; nothing was proved")
            if time.monotonic() > deadline:
                raise RunError(f"step {step:,} was not reached within {LIMIT:.0f} s; ask for fewer with --steps")
            time.sleep(POLL)
    finally:
        if process.lives(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if kill or not wanted.is_dir() else signal.SIGTERM)
    while process.lives(pid):
        time.sleep(POLL)
