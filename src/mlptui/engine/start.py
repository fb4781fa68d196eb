"""The order of a trainer's first seconds: data are read in a thread while torch is imported."""

import numpy as np  # noqa: F401  (before the thread starts: two threads must never import it at once)

from mlptui.core.status import Status
from mlptui.engine.loading import Loading
from mlptui.engine.recorder import Recorder
from mlptui.engine.stopping import StopRequest
from mlptui.store.rundir import Run


def conduct(run: Run, recorder: Recorder, stop: StopRequest) -> tuple[Status, str]:
    """Train the run to its end, or until somebody stops it. Raises MlptuiError for what makes it impossible."""
    recipe = run.recipe()
    recorder.show(doing="loading torch and reading the data")
    loading = Loading(recipe)
    loading.start()
    from mlptui.engine.conductor import Conductor

    return Conductor(recipe, recorder, stop, loading).run()
