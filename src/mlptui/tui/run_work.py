"""Starting, resuming and continuing runs for the screens that ask for it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlptui.core.bench import Answer, Refused
from mlptui.core.errors import MlptuiError
from mlptui.core.parameters.messages import Export, Exported
from mlptui.core.recipe import Recipe
from mlptui.devices.choice import environment
from mlptui.launch import begin, trainer
from mlptui.launch.bench import folder_of
from mlptui.store import atomic, collection
from mlptui.store.rundir import Run
from mlptui.tui.messages import ContinueAsked, Noticed

if TYPE_CHECKING:
    from mlptui.tui.app import MlptuiApp


class Started(NamedTuple):
    """A trainer that was started, and what its host may do to it (empty: nothing known)."""

    run: Run
    pid: int
    warning: str


class RunWork:
    """Speaks to the thread that starts trainers; outcomes are told in the last row."""

    def __init__(self, app: "MlptuiApp") -> None:
        self._app = app

    def _tell(self, text: str, bad: bool = False) -> None:
        self._app.post_message(Noticed(text, bad))

    def begin(self, recipe: Recipe) -> None:
        """Weights that a person set on the bench are what the run begins with; others are drawn from its seed anyway."""
        present = self._app.workbench.present
        if present is None or present.drawn is not None or present.text.strip() != recipe.architecture.strip():
            self._start(recipe, None)
            return
        self._tell("taking the weights from the bench ...")

        def exported(answer: Answer) -> None:
            if isinstance(answer, Exported):
                self._app.session.kept = present
                self._start(recipe, Path(answer.file))
            elif isinstance(answer, Refused):
                self._tell(f"not started, as the bench does not give its weights: {answer.message}", bad=True)

        self._app.workbench.ask(Export(file=str(folder_of(self._app.paths, os.getpid()) / "begin.safetensors")), exported)

    def _start(self, recipe: Recipe, weights: Path | None) -> None:
        self._tell("starting the trainer ...")

        def start() -> Started:
            from mlptui.datasets.settle import settle

            settled = settle(self._app.paths, recipe)
            try:
                run, pid = begin.begin(self._app.paths, settled, environment(settled.device), weights)
            finally:
                if weights:
                    atomic.unlink_quietly(weights)
            return Started(run, pid, trainer.logout_warning())

        if not self._app.background["launch"].submit(start, self._started):
            self._tell("the start before is still under way", bad=True)

    def resume(self, run: Run) -> None:
        def resume() -> Started:
            return Started(run, begin.resume(run, environment(run.recipe().device)), trainer.logout_warning())

        if not self._app.background["launch"].submit(resume, self._started):
            self._tell("the start before is still under way", bad=True)

    def go_on(self, message: ContinueAsked) -> None:
        def start() -> Started:
            entry = collection.find(self._app.paths, f"{message.run.id}/{message.which}")
            return Started(*begin.go_on(self._app.paths, entry, message.changes, environment), trainer.logout_warning())

        def done(started: Started | None, error: Exception | None) -> None:
            if started is not None:
                self._app.action_area("train")
            self._started(started, error)

        self._tell(f"a run that goes on from {self._app.desk.run_name(message.run)} begins ...")
        if not self._app.background["launch"].submit(start, done):
            self._tell("the start before is still under way", bad=True)

    def _started(self, started: Started | None, error: Exception | None) -> None:
        if started is None:
            self._tell(str(error) if isinstance(error, MlptuiError) else f"not started: {error!r}", bad=True)
            return
        run, pid, warning = started
        self._tell(warning or f"started as process {pid}; closing this viewer does not stop the run")
        self._app.train_screen.watch_run(run)
        self._app.background["launch"].submit(lambda: trainer.wait_until_ready(run, pid), self._is_ready)

    def _is_ready(self, _: None, error: Exception | None) -> None:
        if error:
            self._tell(str(error), bad=True)
