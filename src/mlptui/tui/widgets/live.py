"""The live view of one run."""

from mlptui.core.errors import RunError
from mlptui.core.status import Status
from mlptui.core.text import rate
from mlptui.store import control
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.messages import Noticed, ResumeAsked
from mlptui.tui.render import live
from mlptui.tui.render.cells import Line, panel
from mlptui.tui.run_view import RunView
from mlptui.tui.widgets.canvas import Canvas


class LiveCanvas(Canvas, can_focus=True):
    BINDINGS = keys.bindings(keys.LIVE)
    DEFAULT_CSS = "LiveCanvas { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="live")
        self.view: RunView | None = None
        self._log = False

    def watch_run(self, view: RunView) -> None:
        self.view = view
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        if self.view is None:
            return panel(
                "no run",
                [],
                [[("no run is watched; n opens the form, 5 lists the runs", "dim")]],
                (width, height),
                self.glyphs,
            )
        desk = host(self).desk
        names = {"resume": desk.key_of(keys.LIVE[6])}
        picture = self.view.picture(desk.run_name(self.view.run), desk.load, names, self._log)
        return live.draw(picture, width, height, self.glyphs, self.has_focus)

    # keys

    def _takes_commands(self) -> bool:
        """Whether a command would be answered: a trainer that has written its end lives on for a moment, deaf."""
        return self.view is not None and self.view.verdict.trainer_alive and self.view.status.live

    def _send(self, command: str, value: float | None, said: str) -> None:
        """Put a command before the run; its answer comes as an event."""
        view = self.view
        if view is None:
            return
        if not self._takes_commands():
            self.post_message(Noticed(f"the run is {view.status}; {said} needs a live one", bad=True))
            return
        run = view.run

        def done(_: object, error: Exception | None) -> None:
            text = str(error) if isinstance(error, RunError) else f"{said} failed: {error}" if error else f"{said} asked for"
            self.post_message(Noticed(text, bad=error is not None))

        if not host(self).background["commands"].submit(lambda: control.send(run, command, value), done):
            self.post_message(Noticed("the command before is still on its way", bad=True))

    def action_pause(self) -> None:
        if self.view and self.view.status is Status.PAUSED:
            self._send("resume", None, "going on")
        else:
            self._send("pause", None, "pause")

    def action_step(self) -> None:
        if self.view and self.view.status is not Status.PAUSED:
            self.post_message(Noticed("pause first; then each step trains one batch", bad=True))
            return
        self._send("step", 1, "one step")

    def action_rate(self, factor: float) -> None:
        present = self.view.base_rate if self.view else None
        if self.view is None or present is None:
            self.post_message(Noticed("the learning rate is not known yet", bad=True))
            return
        if self._takes_commands():
            self.view.asked_rate = present * factor
        self._send("set", present * factor, f"learning rate {rate(present)} -> {rate(present * factor)}")

    def action_log(self) -> None:
        self._log = not self._log
        self.redraw()

    def action_checkpoint(self) -> None:
        self._send("checkpoint", None, "a checkpoint")

    def action_stop(self) -> None:
        if self.view is None or not self._takes_commands():
            self._send("stop", None, "stop")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._send("stop", None, "stop")

        name = host(self).desk.run_name(self.view.run)
        text = f"Stop {name} at step {self.view.loss.last_step:,}?\nA checkpoint is saved first; r can go on later."
        self.app.push_screen(Question("stop this run", text, "stop it", "let it run"), answered)

    def action_resume(self) -> None:
        view = self.view
        if view is None:
            return
        if view.status is Status.PAUSED:
            self._send("resume", None, "going on")
        elif view.status.resumable:
            self.post_message(ResumeAsked(view.run))
        else:
            why = "it is live" if view.status.live else "only stopped, failed and killed runs can go on"
            self.post_message(Noticed(f"the run is {view.status}; {why}", bad=True))
