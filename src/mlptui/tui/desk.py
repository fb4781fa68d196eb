"""What stands around every screen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from mlptui.core import text
from mlptui.core.errors import MlptuiError
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.store.settings import Settings
from mlptui.tui import keys
from mlptui.tui.background import Background
from mlptui.tui.keys import Key
from mlptui.tui.messages import Noticed
from mlptui.tui.render.cells import Glyphs
from mlptui.tui.workbench import Workbench


@dataclass
class Desk:
    """What the next run will use, the notice in the last row, and the names of keys."""

    device: str = "auto"
    facts: tuple[str, ...] = ()
    state: str = ""
    notice: str = ""
    notice_bad: bool = False
    load: str = ""
    removed: list[Path] = field(default_factory=list)
    removed_checkpoints: list[Path] = field(default_factory=list)
    keymap: dict[str, str] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None

    def key_of(self, key: Key) -> str:
        """The key of an action as this person has it."""
        return keys.readable(self.keymap[key.id]) if key.id in self.keymap else key.key

    def run_name(self, run: Run) -> str:
        return text.safe(run.id.split("-", 2)[-1], 80)

    def tell(self, notice: str, bad: bool = False) -> None:
        self.notice, self.notice_bad = text.safe(notice, 1000), bad  # the last rows show its beginning and its end
        self.changed()


class Host(Protocol):
    """What screens and widgets may ask of the app they live in."""

    glyphs: Glyphs
    desk: Desk
    background: dict[str, Background]
    paths: Paths
    preferences: Settings
    bytes_sent: int
    workbench: Workbench


def host(widget: Any) -> Host:
    return cast(Host, widget.app)


def while_running(widget: Any, act: Callable[[], Any]) -> Callable[[], None]:
    """For timers, which still fire when the viewer ends and its widgets are gone."""

    def tick() -> None:
        if widget.app.is_running:
            act()

    return tick


def work(widget: Any, act: Callable[[], Any], then: Callable[[Any], object]) -> bool:
    """Do something on the disk in the thread of commands, then `then` with its result; what goes wrong is said.

    False where the work before is not done yet, which is said, too.
    """

    def done(result: Any, error: Exception | None) -> None:
        if error:
            widget.post_message(Noticed(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True))
        else:
            then(result)

    began: bool = host(widget).background["commands"].submit(act, done)
    if not began:
        widget.post_message(Noticed("the work before is not done yet", bad=True))
    return began
