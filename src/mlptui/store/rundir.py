"""A run's directory: where its parts lie, how it is made, found, removed and brought back."""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlptui.core.errors import RunError, StorageError
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status, Verdict
from mlptui.core.text import safe, short_name, slug
from mlptui.store import atomic, host, liveness, lock, recipes, trash
from mlptui.store import state as states
from mlptui.store.paths import Paths
from mlptui.store.state import State


@dataclass(frozen=True)
class Run:
    """A run by its directory. Nothing is read until it is asked for."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.toml"

    @property
    def state_file(self) -> Path:
        return self.folder / "state.json"

    @property
    def events_file(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def steps_file(self) -> Path:
        return self.folder / "steps.bin"

    @property
    def lock_file(self) -> Path:
        return self.folder / "lock"

    @property
    def control(self) -> Path:
        return self.folder / "control"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def source(self) -> Path:
        """Where copies of the person's own files lie, if the network is from such."""
        return self.folder / "source"

    @property
    def weights_file(self) -> Path:
        """What the run begins with, if that is not drawn from its seed."""
        return self.folder / "initial.safetensors"

    @property
    def log_file(self) -> Path:
        return self.folder / "logs" / "rank-0.log"

    def state(self) -> State:
        """Raises StorageError."""
        return states.read(self.state_file)

    @property
    def short(self) -> str:
        """What it is called in a list or a sentence."""
        try:
            state = self.state()
        except StorageError:  # what was saved by hand has none
            return self.id
        return short_name(state.name, state.data, self.id)

    def recipe(self) -> Recipe:
        """Raises RecipeError or UsageError."""
        return recipes.read(self.recipe_file)

    def verdict(self, state: State | None = None, quiet: float = 0.0) -> Verdict:
        """What the run is now; `quiet` as in liveness.judge. Raises StorageError where there is no readable state.

        Reads the state anew after the lock was found free: a trainer that ends in between has written its end by then.
        """
        seen = state or self.state()
        holding = lock.holder(self.lock_file)
        if holding == 0 and seen.status in (Status.STARTING, Status.RUNNING, Status.PAUSED):
            seen = self.state()
        return liveness.judge(seen, holding, quiet=quiet)

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the trainer's own output, safe to show."""
        try:
            with atomic.open_regular(self.log_file) as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - 16_384))
                text = stream.read(16_384).decode(errors="replace")
        except (OSError, StorageError):
            return []
        return [safe(line, 400) for line in text.splitlines()[-lines:]]


def create(
    paths: Paths,
    recipe: Recipe,
    name: str,
    model: str,
    now: float | None = None,
    sources: dict[str, bytes] | None = None,
    weights: bytes = b"",
    checkpoint: tuple[str, dict[str, bytes]] | None = None,
) -> Run:
    """A new run's directory with its recipe and first state; it appears whole and durable by one rename.

    `sources` are the person's own files that make the network, by the name that each gets; `weights` what it begins with;
    `checkpoint` the name and files of another run's that it goes on from.

    Raises StorageError with a sentence.
    """
    now = time.time() if now is None else now
    atomic.make_folder(paths.runs)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    run = Run(paths.runs / f"{stamp}-{slug(name)}-{secrets.token_hex(2)}")
    first = State(
        run=run.id, name=name, created=now, wall=now, data=recipe.data.name, model=model, epochs=recipe.epochs,
        batch_size=recipe.batch_size, precision=recipe.precision, doing="starting the trainer",
    )  # fmt: skip
    made = Run(paths.runs / f".new-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        for part in (made.folder, made.control, made.checkpoints, made.log_file.parent):
            part.mkdir(mode=0o700)
        atomic.write_new(made.recipe_file, recipes.to_toml(recipe).encode())
        if sources:
            made.source.mkdir(mode=0o700)
            for file, content in sources.items():
                atomic.write_new(made.source / file, content)
            atomic.fsync_folder(made.source)
        if weights:
            atomic.write_new(made.weights_file, weights)
        if checkpoint:
            atomic.commit_folder(made.checkpoints, *checkpoint)
        states.write(made.state_file, first)
        atomic.fsync_folder(made.folder)
        os.rename(made.folder, run.folder)
        atomic.fsync_folder(paths.runs)
    except OSError as error:
        atomic.remove_folder_quietly(made.folder)
        raise StorageError(f"cannot make a run in {paths.runs}: {atomic.reason(error)}") from None
    return run


def all_runs(paths: Paths) -> list[Run]:
    """Every run, newest first by its id."""
    return sorted(_folders(paths.runs), key=lambda run: run.id, reverse=True)


def using(paths: Paths, data: str) -> list[str]:
    """The runs that were trained on a data set, newest first, as far as they can be read."""
    found = []
    for run in all_runs(paths):
        try:
            if run.state().data == data:
                found.append(run.id)
        except StorageError:
            continue
    return found


def _folders(root: Path) -> Iterator[Run]:
    try:
        entries = list(os.scandir(root))
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield Run(Path(entry.path))


def find(paths: Paths, wanted: str) -> Run:
    """The run with this id, this unique part of an id, or `last`. Raises RunError."""
    runs = all_runs(paths)
    if not runs:
        raise RunError(f"there are no runs in {paths.runs}; 'mlptui train' starts one")
    if wanted == "last":
        return runs[0]
    found = [run for run in runs if run.id == wanted] or [run for run in runs if wanted and wanted in run.id]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunError(f"no run is called {safe(wanted, 80)!r}; 'mlptui runs list' shows all")
    raise RunError(
        f"{len(found)} runs match {safe(wanted, 80)!r}: {', '.join(run.id for run in found[:3])}; give more of the id"
    )


def remove(paths: Paths, run: Run) -> Path:
    """Move a run to the trash and return where it is now.

    Raises RunError while its trainer lives or may live, or if the disk refuses. A run without a readable state can be removed.
    """
    holding = lock.holder(run.lock_file)
    if holding is None:
        raise RunError(f"{run.id} may still be being trained: its lock cannot be read")
    try:
        verdict = run.verdict()
    except StorageError:
        verdict = Verdict(Status.FAILED)
    if holding or verdict.status.live:
        raise RunError(f"{run.id} is still being trained; stop it first")
    if verdict.status is Status.UNKNOWN:
        raise RunError(f"{run.id} may still be being trained: {verdict.reason}")
    try:
        place = trash.place(paths, run.id)
        atomic.move(run.folder, place)
        return place
    except OSError as error:
        raise RunError(f"cannot remove {run.id}: {atomic.reason(error)}") from None


def restore(paths: Paths, place: Path) -> Run:
    """Undo `remove`. Raises RunError."""
    run = Run(paths.runs / trash.name_of(place))
    try:
        if run.folder.exists():
            raise RunError(f"{run.id} exists again; it was not replaced")
        atomic.move(place, run.folder)
    except OSError as error:
        raise RunError(f"cannot bring back {run.id}: {atomic.reason(error)}") from None
    return run


def storage_warning(paths: Paths) -> str:
    """One sentence if runs lie on network storage, else empty."""
    if host.on_network_storage(paths.data):
        return f"{paths.data} is on network storage; locks and commands may be slower there (MLPTUI_HOME moves it)"
    return ""
