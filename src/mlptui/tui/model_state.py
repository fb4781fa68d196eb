"""What the Model screen shows: the bench's last answers, what is folded and filtered, where the cursor is."""

from dataclasses import dataclass, field

from mlptui.core.architecture import place as places
from mlptui.core.architecture.tree import Layer
from mlptui.core.bench import Compared, Detail, FlowSheet, Input, Passed, Place, Report, Row, Shapes, Sheet
from mlptui.core.errors import ArchitectureError
from mlptui.core.recipe import parsed
from mlptui.tui.render.model import TreeRow, Widths, widths

ROOM = 40  # rows that a network shows at first


@dataclass
class ModelState:
    """`folded` holds the places whose children are hidden; `typed` an input shape that stands for the data set's;
    it is `borrowed` where it came with a network and goes with it."""

    sheet: Sheet | None = None
    shapes: Shapes | None = None
    detail: Detail | None = None
    flow: FlowSheet | None = None
    report: Report | None = None
    compared: Compared | None = None
    folded: set[Place] = field(default_factory=set)
    filter: str = ""
    place: Place = ()
    marked: Place | None = None
    typed: tuple[int, ...] | None = None
    borrowed: bool = False
    numbers: str = ""
    sample: int = 0
    error: str = ""
    widths: Widths = field(default_factory=Widths)
    _rows: list[TreeRow] = field(default_factory=list)
    _by_place: dict[Place, int] = field(default_factory=dict)

    def show(self, sheet: Sheet) -> None:
        """Another network, or the same one changed: folds, mark and cursor stay where their places still are."""
        before = self.sheet
        self.sheet, self.shapes, self.detail, self.flow, self.report, self.error = sheet, None, None, None, None, ""
        self.compared = None
        if before is not None and sheet.undo.startswith("open ") and sheet.undo != before.undo:  # another network altogether
            self.marked, self.place, self.numbers, self.filter = None, (), "", ""
        self.index = {row.place: i for i, row in enumerate(sheet.rows)}
        self.children: dict[Place, list[str]] = {}
        for row in sheet.rows:
            if row.place:
                self.children.setdefault(row.place[:-1], []).append(row.place[-1])
        self.folded &= self.index.keys()
        if before is None or before.rows[0].layer != sheet.rows[0].layer or abs(len(before.rows) - len(sheet.rows)) > ROOM:
            self.fold_to(self._roomy())
        if self.marked not in self.index:
            self.marked = None
        if sheet.at:
            self.go(sheet.at)
        while self.place not in self.index:
            self.place = self.place[:-1]
        self.arrange()

    def _roomy(self) -> int:
        """The depth to which a network is open at first: all of it, or as deep as fits."""
        assert self.sheet
        deepest = max(len(row.place) for row in self.sheet.rows)
        for depth in range(deepest, 1, -1):
            if sum(len(row.place) <= depth for row in self.sheet.rows) <= ROOM:
                return depth
        return 1

    def fold_to(self, depth: int) -> None:
        """Open down to this depth, closed below."""
        assert self.sheet
        self.folded = {row.place for row in self.sheet.rows if row.children and len(row.place) >= depth}

    def turn_depth(self) -> int:
        """The next depth: 1, 2, ... all, and 1 again."""
        assert self.sheet
        inner = [len(row.place) for row in self.sheet.rows if row.children]
        now = min((len(place) for place in self.folded), default=max(inner, default=0) + 1)
        depth = now + 1 if now <= max(inner, default=0) else 1
        self.fold_to(depth)
        self.arrange()
        return depth

    def fold(self, place: Place, closed: bool) -> None:
        if closed:
            self.folded.add(place)
        else:
            self.folded.discard(place)
        self.arrange()

    def arrange(self) -> None:
        """Work out which rows are visible."""
        if self.sheet is None:
            self._rows = []
            return
        wanted = self.filter.lower()
        kept: set[Place] = set()
        if wanted:
            for row in self.sheet.rows:
                if wanted in f"{places.dotted(row.place)} {row.called} {' '.join(row.marks)}".lower():
                    kept.update(row.place[:i] for i in range(len(row.place) + 1))
        fault = self.shapes.fault.place if self.shapes and self.shapes.fault else None
        found: dict[Place, int] = {}
        for finding in self.report.findings if self.report else ():
            found[finding.place] = found.get(finding.place, 0) + 1
        passed = self.shapes.passed if self.shapes else ()
        whole = self.shapes is not None and self.shapes.fault is None and not self.shapes.why
        rows: list[TreeRow] = []
        hidden: Place | None = None
        for i, row in enumerate(self.sheet.rows):
            if wanted:
                if row.place not in kept:
                    continue
            elif hidden is not None and row.place[: len(hidden)] == hidden and len(row.place) > len(hidden):
                continue
            hidden = row.place if row.place in self.folded and row.children else None
            rows.append(
                TreeRow(
                    row,
                    passed[i] if i < len(passed) else None,
                    None if not row.children else bool(wanted) or hidden is None,
                    row.place == self.marked,
                    row.place == fault,
                    found.get(row.place, 0),
                    whole and i < len(passed) and not passed[i].calls and not row.children,
                )
            )
        self._rows, self.widths = rows, widths(rows)
        self._by_place = {item.row.place: i for i, item in enumerate(rows)}

    @property
    def rows(self) -> list[TreeRow]:
        return self._rows

    @property
    def cursor(self) -> int:
        """The visible row of the present place, or of what hides it."""
        place = self.place
        while place not in self._by_place and place:
            place = place[:-1]
        return self._by_place.get(place, 0)

    def go(self, place: Place) -> None:
        """To a place, opening what hides it."""
        self.place = place
        for i in range(len(place)):
            self.folded.discard(place[:i])
        self.arrange()

    def find(self, path: str) -> Place | None:
        return places.find(path, self.children) if self.sheet else None

    @property
    def path(self) -> str:
        """The present place in brackets, as PyTorch takes it."""
        return places.indexed(self.place, self.children) if self.sheet else ""

    @property
    def row(self) -> Row | None:
        return self.sheet.rows[self.index[self.place]] if self.sheet else None

    @property
    def passed(self) -> Passed | None:
        if self.shapes is None or self.sheet is None:
            return None
        i = self.index[self.place]
        return self.shapes.passed[i] if i < len(self.shapes.passed) else None

    def tree(self) -> Layer | None:
        """The network as the language has it."""
        if self.sheet is None:
            return None
        try:
            return parsed(self.sheet.text)
        except ArchitectureError:
            return None


def input_of(state: ModelState, shape: tuple[int, ...], data: str) -> Input:
    """What goes in: what was typed, else samples of the data set."""
    if state.typed is not None and state.typed != shape:
        return Input(shape=state.typed)
    return Input(shape=shape, data=data)
