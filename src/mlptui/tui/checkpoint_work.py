"""What is done with a checkpoint or a file beside the list that names it: onto the bench, through a plan, judged, saved."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlptui.core.architecture import references
from mlptui.core.bench import Answer, Evaluate, Judgement, Refused, Save, Saved, Sheet
from mlptui.core.errors import ArchitectureError, StorageError
from mlptui.core.recipe import parsed
from mlptui.core.text import counted, loss, safe, score
from mlptui.store import atomic
from mlptui.tui.dialogs.choosing import Choice, ChoiceScreen
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.dialogs.plan import PlanScreen
from mlptui.tui.messages import CodeAsked, EvaluateAsked, LoadAsked, Noticed, PlanAsked, SaveAsked
from mlptui.tui.render.cells import end_of

if TYPE_CHECKING:
    from mlptui.tui.app import MlptuiApp

PARTS = {"test": "the test set", "validation": "what the run kept back", "train": "what it was trained on"}


class CheckpointWork:
    """Speaks to the bench for the app; outcomes are told in the last row."""

    def __init__(self, app: "MlptuiApp") -> None:
        self._app = app

    def _tell(self, text: str, bad: bool = False) -> None:
        self._app.post_message(Noticed(text, bad))

    def plan(self, asked: PlanAsked) -> None:
        self._app.session.sync()  # the form's network goes there first, where it is not yet
        self._app.push_screen(PlanScreen(asked.source, self._app.session), lambda loaded: self._seen() if loaded else None)

    def _seen(self) -> None:
        """Area 3 shows what came onto the bench, not the file that it is from."""
        if self._app.params_screen.state.source:
            self._app.params_screen.look_into("")

    def load(self, asked: LoadAsked) -> None:
        """A checkpoint with its own network."""
        session = self._app.session

        def refused(answer: Refused) -> None:
            asked.refused(f"{asked.what} is not loaded: {answer.message}")

        def loaded(sheet: Sheet) -> None:
            session.kept = sheet
            self._seen()
            self._tell(f"{asked.what} is on the bench; 2 network, 3 tensors, 4 train")

        def load() -> None:
            self._tell(f"loading {asked.what} ...")
            session.settled(lambda: session.open(asked.architecture, failed=refused, source=asked.source, loaded=loaded))

        self._agreed(asked.architecture, asked.what, load)

    def _agreed(self, architecture: str, what: str, act: Callable[[], None], kept: Path | None = None) -> None:
        """Code that is not mlptui's or PyTorch's is shown with its hash before it is run; `kept` has the run's copy of it."""
        try:
            files = references.files(parsed(architecture))
        except ArchitectureError as error:
            self._tell(f"the network of {what} cannot be read: {error.message}", bad=True)
            return
        if not files:
            act()
            return
        found = [references.absolute(file) for file in files]
        if kept:  # it is run in place of the person's own file
            copies = [str(kept / references.kept_name(file)) for file in files]
            found = [copy if Path(copy).is_file() else file for copy, file in zip(copies, found, strict=True)]

        def ask(sums: list[str] | None, error: Exception | None) -> None:
            pairs = zip(found, sums or ["?" * 64] * len(found), strict=True)
            told = "\n".join(f"{end_of(safe(f, 1000), 58)}\nsha256 {s[:32]}\n       {s[32:]}" for f, s in pairs)
            question = Question("run this code?", f"The network of this checkpoint is from\n{told}", "run it", "leave it")
            self._app.push_screen(question, lambda yes: act() if yes else None)

        if not self._app.background["verify"].submit(lambda: [_sum(file) for file in found], ask):
            self._tell("the work before is not done yet", bad=True)

    def allow(self, asked: CodeAsked) -> None:
        self._agreed(asked.architecture, asked.what, asked.then, Path(asked.source).parent.parent / "source")

    def evaluate(self, asked: EvaluateAsked) -> None:
        """Ask on which data, then judge."""
        own = [Choice(part, told, part) for part, told in PARTS.items()] if asked.data else []
        sets = self._app.form.data_sets
        its = sets.get(asked.data)
        fit = [
            name
            for name, one in sets.items()
            if name != asked.data and (its is None or (one.shape, one.classes) == (its.shape, its.classes))
        ]
        others = [Choice(f"test of {name}", "another data set", f"test of {name}") for name in fit]

        def chosen(value: str | None) -> None:
            if not value:
                return
            part, _, data = value.partition(" of ")
            self._agreed(
                asked.architecture,
                asked.what,
                lambda: self._judge(asked, part, data),
                Path(asked.source).parent.parent / "source",
            )

        def check(typed: str) -> str:
            part, _, data = typed.partition(" of ")
            known = part in PARTS and (data in sets or (not data and asked.data))
            return "" if known else "one of these, or test, validation or train, as: test of fashion-mnist"

        title = f"judge {asked.what} on"
        self._app.push_screen(
            ChoiceScreen(title, "a part of its data, or another set", [*own, *others], check, paths=False), chosen
        )

    def _judge(self, asked: EvaluateAsked, part: str, data: str) -> None:
        self._tell(f"judging {asked.what} on {part}{' of ' + data if data else ''} ...")

        def done(answer: Answer) -> None:
            if isinstance(answer, Judgement):
                of = "" if answer.same_data else f" of {answer.data}"
                reached = f"{answer.score_name} {score(answer.score, answer.score_name)}"
                samples = counted(answer.samples, "sample")
                self._tell(f"{asked.what} on {samples} of {answer.part}{of}: loss {loss(answer.loss)}, {reached}")
                asked.then()
            elif isinstance(answer, Refused):
                if answer.cancelled:
                    self._tell("cancelled")
                else:
                    asked.refused(answer.message)

        self._app.workbench.ask(Evaluate(folder=asked.source, part=part, data=data), done)

    def save(self, asked: SaveAsked) -> None:
        """What is on the bench, as a checkpoint by a name."""
        session = self._app.session
        session.sync()

        def done(answer: Answer) -> None:
            if isinstance(answer, Saved):
                session.kept = session.sheet
                self._tell(f"saved as {answer.id}")
                asked.then(answer.id)
            elif isinstance(answer, Refused):
                self._tell(f"not saved: {answer.message}", bad=True)

        recipe, _, _ = self._app.form.check()
        text = recipe.model_dump_json() if recipe else ""
        request = Save(name=asked.name, note=asked.note, recipe=text)
        session.settled(lambda: self._app.workbench.ask(request, done))


def _sum(file: str) -> str:
    """SHA-256 of a person's Python file, for a question."""
    try:
        return hashlib.sha256(atomic.read_regular(Path(file), references.MAX_BYTES)).hexdigest()
    except (OSError, StorageError) as error:
        return f"(cannot be read: {error})"
