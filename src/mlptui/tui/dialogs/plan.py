"""The load plan: what of a file goes where in the network on the bench, changed row by row, then done."""

from textual.app import ComposeResult
from textual.screen import ModalScreen

from mlptui.core.bench import Answer, Refused, Sheet
from mlptui.core.parameters.messages import Load, Plan, Planned, PlanRow
from mlptui.core.parameters.plan import LOAD, OTHER_SHAPE, SLICE
from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.dialogs.choosing import Choice, ChoiceScreen
from mlptui.tui.dialogs.modal import HelpScreen
from mlptui.tui.messages import Noticed
from mlptui.tui.render import plan as render
from mlptui.tui.render.cells import Line
from mlptui.tui.session import Session
from mlptui.tui.widgets.cursor import CursorCanvas


class PlanCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.PLAN)
    DEFAULT_CSS = "PlanCanvas { height: 100%; width: 100%; }"

    def __init__(self, screen: "PlanScreen") -> None:
        super().__init__(id="plan")
        self._plan = screen

    def row_count(self) -> int:
        return len(self._plan.planned.rows) if self._plan.planned else 0

    def visible_rows(self) -> int:
        return render.plan_rows(self.size.height)

    def draw(self, width: int, height: int) -> list[Line]:
        plan = self._plan
        view = render.PlanView(plan.planned, self.cursor, self.first, plan.problem, plan.busy)
        return render.draw(view, width, height, self.glyphs)

    def action_do(self, name: str) -> None:
        getattr(self._plan, f"do_{name}")()


class PlanScreen(ModalScreen[bool]):
    """Asks the bench for the plan after every change of it; dismissed with True once it was done."""

    CSS = "PlanScreen { background: transparent; }"
    WORDS = (
        "Which tensor of the file goes where in the network: load and renamed ones come as they are, shape is another shape,\n"
        "missing ones stay as they are, left ones have no place. changes is the largest difference that loading would make."
    )

    def __init__(self, source: str, session: Session) -> None:
        super().__init__()
        self._session = session
        self.request = Plan(source=source)
        self.planned: Planned | None = None
        self.problem, self.busy = "", False

    def compose(self) -> ComposeResult:
        yield PlanCanvas(self)

    def on_mount(self) -> None:
        self.canvas.focus()
        self._ask(self.request)

    @property
    def canvas(self) -> PlanCanvas:
        return self.query_one(PlanCanvas)

    def _ask(self, request: Plan) -> None:
        """The plan with these changes; where the bench refuses, the one before stays."""
        self.busy, self.problem = True, ""

        def done(answer: Answer) -> None:
            if not self.is_mounted:
                return
            self.busy = False
            if isinstance(answer, Planned):
                self.request, self.planned = request, answer
            elif isinstance(answer, Refused):
                self.problem = "cancelled" if answer.cancelled else answer.message
            self.canvas.place_cursor(self.canvas.cursor)

        host(self).workbench.ask(request, done)
        self.canvas.redraw()

    @property
    def _row(self) -> PlanRow | None:
        rows = self.planned.rows if self.planned else ()
        row = rows[self.canvas.cursor] if self.canvas.cursor < len(rows) else None
        return row if row is not None and row.target else None

    def _refuse(self, why: str) -> None:
        self.problem = why
        self.canvas.redraw()

    def _changed(self, name: str, target: str) -> None:
        """The target joins the ones that are skipped or sliced, or leaves them."""
        before = getattr(self.request, name)
        now = tuple(t for t in before if t != target) if target in before else (*before, target)
        self._ask(self.request.model_copy(update={name: now}))

    def do_skip(self) -> None:
        row = self._row
        if row is None:
            self._refuse("the network has no place for it; m on a tensor of the network maps it there")
        elif row.action in (LOAD, SLICE) or row.target in self.request.skipped:
            self._changed("skipped", row.target)
        else:
            self._refuse("nothing comes there as it is")

    def do_slice(self) -> None:
        row = self._row
        if row is None or row.state != OTHER_SHAPE:
            self._refuse("only tensors of another shape are sliced")
        else:
            self._changed("sliced", row.target)

    def do_map(self) -> None:
        row = self._row
        if row is None or self.planned is None:
            self._refuse("put the cursor on a tensor of the network")
            return
        target = row.target
        found = {one.source: one for one in self.planned.rows if one.source}
        names = [
            Choice(name, f"{list(one.source_shape)}" + (f", now for {one.target}" if one.target else ""), name)
            for name, one in sorted(
                found.items(), key=lambda item: (item[1].source_shape != row.target_shape, bool(item[1].target))
            )
        ]

        def chosen(name: str | None) -> None:
            if name:
                mapped = {**dict(self.request.mapped), target: name}
                self._ask(self.request.model_copy(update={"mapped": tuple(mapped.items())}))

        def check(typed: str) -> str:
            return "" if typed in found else "the file has no tensor that is called so"

        title = f"what of the file goes to {target}, {list(row.target_shape)}"
        screen = ChoiceScreen(title, "a name", names, check, paths=False)
        screen.at = next((i for i, choice in enumerate(names) if choice.value == row.source), 0)
        self.app.push_screen(screen, chosen)

    def do_load(self) -> None:
        if self.planned is None or self.busy:
            return
        if not self.planned.coming + self.planned.equal:
            self._refuse("nothing of the file fits; m maps tensors by hand")
            return
        if not self.planned.coming:
            self._refuse("all that fits is equal already, bit for bit; nothing would change")
            return
        plan = self.request.model_copy(update={"version": self.planned.version})

        def done(answer: Answer) -> None:
            if isinstance(answer, Refused):
                if self.is_mounted:
                    self._refuse(answer.message)
                return
            if isinstance(answer, Sheet):
                self.app.post_message(Noticed(f"{answer.note}; u in area 3 takes it back"))
            if self.is_mounted:
                self.dismiss(True)

        self._session.step(lambda: Load(plan=plan), done)

    def do_help(self) -> None:
        self.app.push_screen(HelpScreen("load plan", keys.PLAN, self.WORDS, host(self).desk.key_of, dialog=True))

    def do_back(self) -> None:
        if self.busy:
            host(self).workbench.cancel()
        self.dismiss(False)
