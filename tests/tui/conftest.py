"""The app under a pilot, and runs made on disk without a trainer."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual import _wait

from mlptui.core.recipe import Recipe, check
from mlptui.core.status import Status
from mlptui.store import rundir, state
from mlptui.store.eventlog import EventWriter
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.store.settings import Settings
from mlptui.store.steps import Row, StepWriter
from mlptui.tui.app import MlptuiApp

SIZES = [(80, 24), (120, 40), (160, 45)]


@pytest.fixture(autouse=True)
def nothing_is_waited_for_in_vain(warm_bench: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Benches are forked (tests/process and tests/terminal start them), and a pilot looks more often whether the app is idle
    than 50 times a second."""
    monkeypatch.setattr(_wait, "SLEEP_GRANULARITY", 0.004)


@pytest.fixture
def make_app(paths: Paths) -> Callable[..., MlptuiApp]:
    def make(ascii_only: bool = False, **settings: object) -> MlptuiApp:
        return MlptuiApp(paths, Settings(**settings), ascii_only)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_run(paths: Paths) -> Callable[..., Run]:
    """A finished run with rows and events; `changes` go into its state."""

    def make(name: str = "fashion", steps: int = 40, recipe: Recipe | None = None, **changes: object) -> Run:
        recipe = recipe or check({"data": {"name": "fashion-mnist-sample"}})
        made = rundir.create(paths, recipe, name, "mlp 784-256-10", now=changes.pop("now", None))  # type: ignore[arg-type]
        writer = StepWriter(made.steps_file)
        writer.write([Row(i + 1, time.time(), 0.1, 2.3 / (i + 1), 0.5, float("nan"), 1) for i in range(steps)])
        writer.file.close()
        log = EventWriter(made.events_file)
        log.write("started", 0, device="cpu", parameters=203_530, threads=2, matmul="default")
        log.write("epoch", steps, epoch=1, epochs=1, train_loss=0.5, train_accuracy=0.8, valid_loss=0.6, valid_accuracy=0.79,
                  samples_per_second=90_000.0, seconds=0.25)  # fmt: skip
        log.write("finished", steps, seconds=1.0, reason="")
        log.file.close()
        given = {"status": Status.FINISHED, "pid": 1, "step": steps, "steps": steps, "steps_per_epoch": steps, "epoch": 1,
                 "epochs": 1, "valid_accuracy": 0.79, "train_loss": 0.5, "device": "cpu", "lr": 0.1}  # fmt: skip
        state.write(made.state_file, replace(made.state(), **{**given, **changes}))
        return made

    return make


def screen_text(app: MlptuiApp) -> str:
    """What is on the screen, as text."""
    width, height = app.size
    return "\n".join("".join(s.text for s in line).ljust(width) for line in app.screen._compositor.render_strips()[:height])


async def settle(pilot, holds: Callable[[], bool], seconds: float = 20) -> None:  # type: ignore[no-untyped-def]
    """Let the app work until `holds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not come true:\n{screen_text(pilot.app)}"
        await pilot.pause(0.02)


__all__ = ["SIZES", "Path", "screen_text", "settle"]
