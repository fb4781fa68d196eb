"""The network on the bench as all areas see it: opened from the form, changed step by step, told to whoever shows it."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from mlptui.core import bench
from mlptui.core.bench import Answer, Refused, Sheet
from mlptui.core.recipe import parsed
from mlptui.tui.desk import Host
from mlptui.tui.form_state import FormState

STEPS_AHEAD = 20  # changes that may wait for the one before, as keys repeat faster than networks are built


class Shower(Protocol):
    """An area that shows the network."""

    def shows(self, sheet: Sheet, run: bool) -> None:
        """The network is another one, or changed; `run` is False where running it ended the bench before."""
        ...

    def refused(self, answer: Refused) -> None:
        """What was asked cannot be done."""
        ...


class Session:
    """`opened` is the text that the bench was last given; `chosen` hears the text of what is changed here."""

    def __init__(self, host: Host, form: FormState, chosen: Callable[[str], None]) -> None:
        self._host, self._form, self._chosen = host, form, chosen
        self.sheet: Sheet | None = None
        self.kept: Sheet | None = None  # of which a run or a file has the weights
        self.opened = ""
        self.showers: list[Shower] = []
        self._opens = 0  # networks that were asked for
        self._seen = ""  # the form's text when somebody last looked
        self._steps: deque[Callable[[], None]] = deque()
        self._waiting: list[Callable[[], None]] = []  # for the steps to be over

    def sync(self) -> bool:
        """Open the form's network where the bench has another one; False where it has it."""
        text = self._form.text("architecture")
        drawn = self.sheet.drawn if self.sheet is not None else None
        if text == self.opened and drawn is not None and drawn != self._seed and not self._steps:
            self.open(text, chosen=True)  # nobody has touched these weights, and a run would draw others
            return True
        if text == self._seen:
            return False
        self._seen = text
        if text == self.opened:
            return False
        self.open(text, chosen=True)
        return True

    @property
    def _seed(self) -> int:
        return int(self._form.text("seed")) if self._form.text("seed").isdecimal() else 0

    def open(
        self,
        text: str,
        keep: bool = False,
        chosen: bool = False,
        failed: Callable[[Refused], None] | None = None,
        source: str = "",
        loaded: Callable[[Sheet], None] | None = None,
    ) -> None:
        """Give the bench another network; `chosen` where the form has it already. `failed` hears why it was refused.

        `source` is a checkpoint whose tensors it gets; `loaded` hears of it.
        """
        before, self.opened = self.opened, text
        seed = self._seed
        self._opens += 1
        number = self._opens

        def done(answer: Answer) -> None:
            if isinstance(answer, Sheet):
                self._show(answer, tell=not chosen)
                if loaded:
                    loaded(answer)
            elif isinstance(answer, Refused) and number == self._opens:  # else another one was asked for meanwhile
                self.opened = before if not chosen else text
                if self.sheet is None:  # so that it is tried again
                    self._seen = self.opened = ""
                self._refused(answer)
                if failed and not answer.cancelled:
                    failed(answer)
                present = self._form.text("architecture")
                if self.sheet is None and text != present:  # it came before the first one was there
                    self.open(present, chosen=True)

        self._host.workbench.ask(bench.Open(text=text, seed=seed, keep=keep, source=source), done, "open")

    def reopened(self, sheet: Sheet) -> None:
        """A new bench has the network again. What ended the one before by running it is not run again by itself."""
        self._show(sheet, tell=False, run=not self._host.workbench.ended_by_look)

    def step(self, make: Callable[[], bench.Request], done: Callable[[Answer], None] | None = None) -> None:
        """A change of the network; made only when the one before is done, because it is meant for what that leaves."""
        if len(self._steps) >= STEPS_AHEAD:
            return

        def stepped(answer: Answer) -> None:
            if isinstance(answer, Sheet):
                self._show(answer)
            elif isinstance(answer, Refused) and done is None:
                self._refused(answer)
            if done is not None:
                done(answer)
            self._steps.popleft()
            if isinstance(answer, Refused):
                self._steps.clear()
            if self._steps:
                self._steps[0]()
            else:
                waiting, self._waiting = self._waiting, []
                for act in waiting:
                    act()

        def ask() -> None:
            self._host.workbench.ask(make(), stepped)

        self._steps.append(ask)
        if len(self._steps) == 1:
            ask()

    def settled(self, act: Callable[[], None]) -> None:
        """Do something when no change is under way any more; at once where none is."""
        if self._steps:
            self._waiting.append(act)
        else:
            act()

    def _show(self, sheet: Sheet, tell: bool = True, run: bool = True) -> None:
        self.sheet, self.opened = sheet, sheet.text
        if tell:
            self._seen = sheet.text
            self._tell_form(sheet.text)
        for shower in self.showers:
            shower.shows(sheet, run)

    def _refused(self, answer: Refused) -> None:
        for shower in self.showers:
            shower.refused(answer)

    def _tell_form(self, text: str) -> None:
        """The form parses the text too; of a large network that is better done in another thread first."""

        def done(_: object, error: Exception | None) -> None:
            if text == self.opened:
                self._chosen(text)

        if not self._host.background["network"].submit(lambda: parsed(text), done):
            self._chosen(text)
