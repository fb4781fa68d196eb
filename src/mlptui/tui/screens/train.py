"""Area 4: the form of a new run, and the live view of one that runs or ran."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from textual.widget import Widget

from mlptui.core.errors import MlptuiError
from mlptui.store.follow import Follower, Update
from mlptui.store.rundir import Run
from mlptui.tui import keys
from mlptui.tui.desk import host, while_running
from mlptui.tui.form_state import FormState
from mlptui.tui.keys import Key
from mlptui.tui.messages import Noticed
from mlptui.tui.run_view import RunView
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.terminal import Pace
from mlptui.tui.widgets.form import FormCanvas
from mlptui.tui.widgets.live import LiveCanvas

INTERVAL = 0.5
SLOW = 4


class TrainScreen(AreaScreen):
    NUMBER, NAME = 4, "Train"
    WORDS = (
        "The form holds the recipe of the next run; r starts it in a process of its own that outlives this\n"
        "terminal. The live view only reads the run's folder: leaving it, or this program, changes nothing."
    )

    def __init__(self, state: FormState) -> None:
        super().__init__()
        self._state = state
        self._follower: Follower | None = None
        self._ticks = 0
        self._pace = Pace()

    def body(self) -> Iterable[Widget]:
        yield FormCanvas(self._state)
        yield LiveCanvas()

    @property
    def form(self) -> FormCanvas:
        return self.query_one(FormCanvas)

    @property
    def live(self) -> LiveCanvas:
        return self.query_one(LiveCanvas)

    @property
    def watched(self) -> Run | None:
        return self.live.view.run if self.live.view else None

    def panel_keys(self) -> list[Key]:
        if not self.live.display:
            return keys.FORM
        view = self.live.view
        if view is None or view.status.live:
            return keys.LIVE
        shown = ("live.new", "live.log", "live.resume" if view.status.resumable else "")
        return [replace(key, footer=key.id in shown) for key in keys.LIVE]

    def on_mount(self) -> None:
        self.live.display = False
        super().on_mount()
        self.form.focus()
        self.set_interval(INTERVAL, while_running(self, self._tick))

    def on_screen_resume(self, event: Any) -> None:
        super().on_screen_resume(event)
        if self.is_mounted and self.live.display:  # the run went on meanwhile
            self._poll()

    def watch_run(self, run: Run) -> None:
        """Show the live view of a run."""
        if self.watched is None or self.watched.folder != run.folder:
            self._follower = Follower(run)
            self.live.watch_run(RunView(run))
        self._show(live=True)
        self._poll()

    def offer(self, run: Run) -> None:
        """Make a run ready to be watched without taking the form away."""
        if self.watched is None:
            self._follower = Follower(run)
            self.live.watch_run(RunView(run))

    def show_form(self) -> None:
        self._show(live=False)

    def _show(self, live: bool) -> None:
        if not self.is_mounted:  # not seen yet: it begins with the form
            return
        self.live.display, self.form.display = live, not live
        (self.live if live else self.form).focus()
        self.refresh_bars()

    def action_new(self) -> None:
        self.show_form()

    def action_watch(self) -> None:
        if self.watched is None:
            self.post_message(Noticed("no run is watched yet; 5 lists all runs"))
        else:
            self._show(live=True)
            self._poll()

    def _tick(self) -> None:
        """Twice a second while the run is live and on screen, less often otherwise."""
        self._ticks += 1
        if not self.is_current or not self.live.display or self.live.view is None:
            return
        if self.live.view.status.live or self._ticks % SLOW == 0:
            self._poll()

    def _poll(self) -> None:
        follower, view = self._follower, self.live.view
        if follower is None or view is None:
            return

        def done(update: Update | None, error: Exception | None) -> None:
            if error:
                self.post_message(Noticed(f"the run cannot be read: {error!r}", bad=True))
            if update is None or view is not self.live.view:
                return
            before = view.status
            view.take(update)
            if view.status is not before:
                self.refresh_bars()
            if self.is_current and (self._pace.due(host(self).bytes_sent) or not view.status.live):
                self.live.redraw()
            if update.more:
                self._poll()

        def look() -> Update:
            if view.recipe_rate is None:
                view.recipe_rate = _recipe_rate(view.run)
            return follower.poll()

        host(self).background["watch"].submit(look, done)


def _recipe_rate(run: Run) -> float | None:
    try:
        return run.recipe().optimizer.lr
    except MlptuiError:
        return None
