"""The viewer: seven areas, and what is true for all of them."""

import asyncio
import gc
import os
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any, ClassVar, cast

from textual.app import SystemCommand
from textual.filter import Monochrome, NoColor
from textual.screen import Screen

from mlptui.datasets import catalog
from mlptui.devices import cpu, gpu
from mlptui.launch import process, prove
from mlptui.store import choices, trash
from mlptui.store import settings as preferences
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.store.settings import Settings
from mlptui.tui import keys, terminal
from mlptui.tui.background import Background
from mlptui.tui.checkpoint_work import CheckpointWork
from mlptui.tui.desk import Desk, Host, while_running
from mlptui.tui.dialogs.modal import HelpScreen, Question
from mlptui.tui.form_state import DataSet, FormState, is_architecture
from mlptui.tui.messages import (
    CodeAsked,
    ContinueAsked,
    DataChosen,
    DataUseAsked,
    DeviceChosen,
    EvaluateAsked,
    LoadAsked,
    LookedInto,
    NetworkChosen,
    Noticed,
    PlanAsked,
    ResumeAsked,
    RunChosen,
    SaveAsked,
    SetRemoved,
    SetsFound,
    StartAsked,
)
from mlptui.tui.render.cells import Glyphs
from mlptui.tui.run_work import RunWork
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.screens.data import DataScreen
from mlptui.tui.screens.devices import DevicesScreen
from mlptui.tui.screens.files import FilesScreen
from mlptui.tui.screens.model import ModelScreen
from mlptui.tui.screens.parameters import ParamsScreen
from mlptui.tui.screens.runs import RunReader, RunsScreen
from mlptui.tui.screens.train import TrainScreen
from mlptui.tui.session import Session
from mlptui.tui.typeahead import KeysInOrder
from mlptui.tui.workbench import SEEN, Workbench

NETWORK = "network"  # what the last network is remembered by
NICE = 10
SETTLED = 1.0  # seconds after which the start is over
SWITCH = 0.001  # seconds after which a background thread gives way to the one that answers keys (Python's own: 0.005)
NOTICE_SECONDS = 6.0
READ_IN_A_SECOND = 20  # characters of a long notice
SHOWN = 300  # characters of it that there is room for
LOAD_INTERVAL = 2.0
DEFAULT_THEME = "ansi-dark"


class MlptuiApp(KeysInOrder):
    """Starts nothing by itself and owns nothing on disk: it may be killed at any moment."""

    TITLE = "mlptui"
    BINDINGS = keys.bindings(keys.APP)
    MODES: ClassVar[dict[str, Any]] = {
        "data": "data",
        "model": "model",
        "params": "params",
        "train": "train",
        "runs": "runs",
        "files": "files",
        "devices": DevicesScreen,
    }
    DEFAULT_MODE = "train"
    CSS = """
    Screen { background: $background; }
    """

    def __init__(self, paths: Paths, settings: Settings, ascii_only: bool = False) -> None:
        super().__init__(driver_class=terminal.SafeDriver if sys.platform != "win32" else None)
        self.glyphs = Glyphs(ascii=ascii_only, colourless=self.no_color)
        if (
            self.no_color
        ):  # Textual takes Monochrome, which makes a terminal's own colours black on black, before it has a theme
            self._filters = [NoColor(), *(f for f in self._filters if not isinstance(f, Monochrome | NoColor))]
        self._filters.append(terminal.SafeText(ascii_only))
        self.paths = paths
        self.preferences = settings
        self.background: dict[str, Background] = {}
        keymap = {k: v for k, v in settings.keys.items() if k not in keys.unknown_ids(settings.keys)}
        self.desk = Desk(device=settings.device, keymap=keymap, changed=self._refresh_bars)
        here = {
            name: DataSet(entry.train_size, entry.shape, len(entry.classes))
            for name, entry in catalog.ENTRIES.items()
            if catalog.is_here(paths, name)
        }
        self.form = FormState(here, catalog.default(paths))
        self.form.set("device", settings.device)
        self._remembered = choices.recall(paths.choices, NETWORK)
        if self._remembered and is_architecture(self._remembered):
            self.form.set("architecture", self._remembered)
        self.form.history.clear()
        self.train_screen = TrainScreen(self.form)
        self.runs_screen = RunsScreen(paths)
        self.install_screen(DataScreen(self.form, self._form_changed), "data")
        self.session = Session(cast(Host, self), self.form, self._network_changed)
        self.workbench = Workbench(
            paths, self._bench_changed, lambda sentence: self._tell(sentence, bad=True), self.session.reopened
        )
        self.model_screen = ModelScreen(self.form, self.session)
        self.params_screen = ParamsScreen(self.form, self.session, self.model_screen.input)
        self.session.showers += [self.model_screen, self.params_screen]
        self.install_screen(self.params_screen, "params")
        self.install_screen(self.model_screen, "model")
        self.install_screen(self.train_screen, "train")
        self.install_screen(self.runs_screen, "runs")
        self.install_screen(FilesScreen(paths), "files")
        self.checkpoint_work = CheckpointWork(self)
        self.run_work = RunWork(self)
        self._notice_timer: Any = None
        self._started_up = False
        self._cpu = cpu.CpuReader()

    async def on_mount(self) -> None:
        loop = asyncio.get_running_loop()

        def wanted() -> bool:
            return self.is_running

        self.background["launch"] = Background("launch", loop, wanted)  # before this thread becomes nice: trainers inherit it
        _be_nice()
        sys.setswitchinterval(SWITCH)
        for name in (
            "watch",
            "runs",
            "commands",
            "devices",
            "load",
            "settings",
            "sets",
            "open",
            "samples",
            "jobs",
            "network",
            "edit",
            "files",
            "verify",
            "prove",
            "export",
        ):
            self.background[name] = Background(name, loop, wanted)
        if self.is_headless is False:
            terminal.end_on_signals(self)
        self.theme = self.preferences.theme if self.preferences.theme in self.available_themes else DEFAULT_THEME
        self._started_up = True
        self.set_keymap(self.desk.keymap)
        self.set_interval(1.0, while_running(self, self._look_around))
        if (
            not self.is_headless
        ):  # what is there after the start stays; a collector that looks through it costs 100 ms of a key
            self.set_timer(SETTLED, gc.freeze)
        self.set_interval(LOAD_INTERVAL, while_running(self, self._read_load))
        if self.preferences.bench == preferences.LAUNCH and not self.is_headless:
            self.workbench.start()
        self._find_live_runs()
        self._read_gpus()
        self.background["commands"].submit(self._tidy, lambda *_: None)
        unknown = keys.unknown_ids(self.preferences.keys)
        problem = self.preferences.problem or (f"settings: no action is called {', '.join(unknown)}" if unknown else "")
        if self.preferences.theme and self.theme != self.preferences.theme:
            problem = problem or f"settings: there is no theme {self.preferences.theme!r}"
        if problem:
            self._tell(problem, bad=True)

    @property
    def bytes_sent(self) -> int:
        """What the terminal was sent since the start, in bytes."""
        return getattr(self._driver, "sent", 0)

    # the frame

    def _tidy(self) -> None:
        """What viewers and proofs that were killed left."""
        trash.empty(self.paths)
        prove.sweep(self.paths)

    def _refresh_bars(self) -> None:
        screen = self.screen_stack[-1] if self.screen_stack else None  # none while the viewer ends
        if isinstance(screen, AreaScreen):
            screen.refresh_bars()

    def _tell(self, notice: str, bad: bool = False) -> None:
        """A notice in the last row for a few seconds."""
        if self._notice_timer:
            self._notice_timer.stop()
        self.desk.tell(notice, bad)
        seconds = max(NOTICE_SECONDS, min(len(self.desk.notice), SHOWN) / READ_IN_A_SECOND)
        self._notice_timer = self.set_timer(seconds, while_running(self, lambda: self.desk.tell("")))

    def _bench_changed(self) -> None:
        """The workbench line's right end: what the bench does, and for how long where that is long."""
        bench = self.workbench
        seconds = bench.busy_for
        words = {"off": "", "starting": "bench ...", "ready": "bench ready", "gone": "no bench"}.get(
            bench.state, "bench ready"
        )
        if bench.state == "busy" and seconds > SEEN:
            words = f"bench: {bench.doing} {seconds:.0f} s" + (", esc cancels" if self.current_mode == "model" else "")
        if words != self.desk.state:
            self.desk.state = words
            self._refresh_bars()

    def _look_around(self) -> None:
        process.reap()
        self.workbench.tick()
        self._bench_changed()
        if terminal.terminal_is_gone(sys.__stderr__.fileno() if sys.__stderr__ else 2) and not self.is_headless:
            self.exit(return_code=129)

    def _find_live_runs(self) -> None:
        reader = RunReader(self.paths)

        def done(rows: Any, error: Exception | None) -> None:
            live = [row for row in rows or [] if row.status.live]
            if not live or self.train_screen.watched:
                return
            run = Run(self.paths.runs / live[0].id)
            self.train_screen.offer(run)
            more = f" and {len(live) - 1} more" if len(live) > 1 else ""
            self._tell(f"{self.desk.run_name(run)} is {live[0].status}{more}; esc watches it")

        self.background["runs"].submit(reader.read, done)

    def _read_gpus(self) -> None:
        """Which devices the form may offer."""

        def done(found: gpu.Gpus | None, error: Exception | None) -> None:
            if found and found.gpus:
                self.form.devices = ("auto", "cpu", *(f"cuda:{g.index}" for g in found.gpus))

        self.background["devices"].submit(gpu.read, done)

    def _read_load(self) -> None:
        """How busy the watched run's device is; only while a live run is on screen."""
        view = self.train_screen.live.view
        if not (self.train_screen.is_current and self.train_screen.live.display and view and view.status.live):
            return

        def read() -> str:
            if view.device.startswith("cuda"):
                found = gpu.find(view.device.split()[0], gpu.read())
                return f"{found.utilisation:.0%} busy" if found and found.utilisation is not None else ""
            busy = self._cpu.read().busy
            return f"{busy:.0%} busy" if busy is not None else ""

        def done(load: str | None, error: Exception | None) -> None:
            self.desk.load = load or ""

        self.background["load"].submit(read, done)

    # what happened

    def on_noticed(self, message: Noticed) -> None:
        self._tell(message.text, message.bad)

    def on_data_chosen(self, message: DataChosen) -> None:
        self.desk.facts = message.facts
        self._remember_network()
        self.desk.device = self.form.text("device")
        self._refresh_bars()

    def _remember_network(self) -> None:
        """The network of the form is there again at the next start; "" stands for the one that fits the data."""
        text = self.form.texts.get("architecture", "")
        if text != self._remembered and self.background["commands"].submit(
            lambda: choices.remember(self.paths.choices, NETWORK, text), lambda *_: None
        ):
            self._remembered = text

    def on_data_use_asked(self, message: DataUseAsked) -> None:
        self.form.set("data.name", message.name)
        self._form_changed()
        self.train_screen.show_form()
        self._tell(f"the next run trains on {message.name}; 4 sets it up, r there starts it")

    def on_network_chosen(self, message: NetworkChosen) -> None:
        self.form.set("architecture", message.text)
        self.train_screen.form.check()
        watched = self.train_screen.live.view
        if watched is not None and not watched.status.live:  # a run that is over does not stand before what trains next
            self.train_screen.show_form()

    def on_sets_found(self, message: SetsFound) -> None:
        found = {name: DataSet(*facts) for name, facts in message.sets.items()}
        if (found, message.default) != (self.form.data_sets, self.form.default_data):
            self.form.set_data_sets(found, message.default)
            self._form_changed()

    def on_set_removed(self, message: SetRemoved) -> None:
        if self.form.text("data.name") == message.name:
            self.form.set("data.name", self.form.default("data.name"))
            self._form_changed()
            self._tell(f"{message.name} is deleted; the next run trains on {self.form.text('data.name')}")

    def _form_changed(self) -> None:
        """Something outside of the form changed what it says."""
        self.train_screen.form.check()
        for canvas in self.screen.query("CatalogCanvas") if self.screen_stack else ():
            canvas.redraw()  # type: ignore[attr-defined]

    def _network_changed(self, text: str) -> None:
        self.post_message(NetworkChosen(text))

    def on_device_chosen(self, message: DeviceChosen) -> None:
        self.train_screen.form.use_device(message.device)
        self.desk.device = message.device
        self._tell(f"the next run uses {message.device}")
        self._keep(self.preferences.but(device=message.device))
        if isinstance(self.screen, AreaScreen):
            for canvas in self.screen.query("DevicesCanvas"):
                canvas.redraw()  # type: ignore[attr-defined]

    def on_run_chosen(self, message: RunChosen) -> None:
        self.action_area("train")
        self.train_screen.watch_run(message.run)

    def on_looked_into(self, message: LookedInto) -> None:
        came_from = self.current_mode
        self.action_area("params")
        self.params_screen.look_into(message.source, message.tensor, came_from)

    def on_plan_asked(self, message: PlanAsked) -> None:
        self.checkpoint_work.plan(message)

    def on_load_asked(self, message: LoadAsked) -> None:
        self.checkpoint_work.load(message)

    def on_evaluate_asked(self, message: EvaluateAsked) -> None:
        self.checkpoint_work.evaluate(message)

    def on_code_asked(self, message: CodeAsked) -> None:
        self.checkpoint_work.allow(message)

    def on_save_asked(self, message: SaveAsked) -> None:
        self.checkpoint_work.save(message)

    def on_start_asked(self, message: StartAsked) -> None:
        self.session.settled(lambda: self.run_work.begin(message.recipe))

    def on_resume_asked(self, message: ResumeAsked) -> None:
        self.run_work.resume(message.run)

    def on_continue_asked(self, message: ContinueAsked) -> None:
        self.run_work.go_on(message)

    # keys

    def action_area(self, name: str) -> None:
        """Go to one of the seven areas, closing what lies above the present one."""
        if not isinstance(self.screen, AreaScreen):
            return
        if self.current_mode != name:
            if self.desk.notice_bad:  # it was about the area that is left
                self.desk.tell("")
            self.switch_mode(name)

    def action_help(self) -> None:
        screen = self.screen
        if isinstance(screen, AreaScreen):
            self.push_screen(HelpScreen(screen.NAME, screen.panel_keys(), screen.WORDS, self.desk.key_of))

    async def action_quit(self) -> None:
        sheet = self.session.sheet
        if sheet is None or not sheet.edited or sheet is self.session.kept:
            self.exit(return_code=0)
            return
        text = "What you set on the bench ends with this viewer; w in area 3\nwrites it to a file. Runs go on."
        self.push_screen(Question("leave?", text, "leave", "stay"), lambda yes: self.exit(return_code=0) if yes else None)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every action of the panel in focus and of the app, and the themes."""
        if isinstance(screen, AreaScreen):
            focused = screen.focused
            for key in screen.panel_keys():
                action = key.action
                yield SystemCommand(
                    f"{key.label} ({self.desk.key_of(key)})", key.help, lambda a=action, f=focused: self.run_action(a, f)
                )
        for key in keys.APP:
            if key.id != "palette":
                yield SystemCommand(
                    f"{key.label} ({self.desk.key_of(key)})", key.help, lambda a=key.action: self.run_action(a)
                )
        yield SystemCommand("Theme", "choose the colours", self.action_change_theme)

    def watch_theme(self, theme: str) -> None:
        if self._started_up and theme != self.preferences.theme and (self.preferences.theme or theme != DEFAULT_THEME):
            self._keep(self.preferences.but(theme=theme))

    def _keep(self, settings: Settings) -> None:
        """Remember a preference; a disk that refuses costs only the memory."""
        self.preferences = settings
        if settings.problem:
            self._tell("not remembered: the settings file has a mistake, and writing would lose what it says", bad=True)
            return

        def kept(_: None, error: Exception | None) -> None:
            if error:
                self._tell(f"not remembered: {error}", bad=True)
            elif settings is not self.preferences:  # changed meanwhile
                self._keep(self.preferences)

        self.background["settings"].submit(lambda: preferences.write(self.paths.settings, settings), kept)

    def _print_error_renderables(self) -> None:
        """A mistake of ours: the traceback goes into a file, one line onto the terminal (Textual would print all of it)."""
        if not self._exit_renderables:
            return
        from rich.console import Console

        log = self.paths.error_log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as stream:
                print(time.strftime("%Y-%m-%d %H:%M:%S"), file=stream)
                if self._exception:
                    traceback.print_exception(self._exception, file=stream)
                else:
                    Console(file=stream, width=120).print(*self._exit_renderables)
        except OSError:
            pass
        self._exit_renderables.clear()
        print(f"mlptui: the viewer ended on an internal error; runs go on. The traceback is in {log}", file=sys.__stderr__)

    def on_unmount(self) -> None:
        self.workbench.stop()
        for place in (*self.desk.removed, *self.desk.removed_checkpoints):
            trash.discard(trash.found(place))


def _be_nice() -> None:
    """Lower this thread's priority, so that drawing never takes time from training. On Linux this is per thread."""
    if sys.platform.startswith("linux"):
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
        except OSError:
            pass
