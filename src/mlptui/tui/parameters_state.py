"""What the Params screen shows: the tensors of the network, what is known of each, and where one looks."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlptui.core.parameters import filters
from mlptui.core.parameters.messages import Listed, Numbers, TensorRow, Viewed

CHUNK = 64  # tensors whose statistics are asked for at once
CHUNK_NUMBERS = 4_000_000  # and about how many numbers those hold together
LARGEST = "largest"  # how what changed between two checkpoints is sorted
SHOWS = ("values", "heat", "histogram", "spectrum", "pictures", "uses", "optimizer")
OF_FILES = SHOWS[:5]  # the others need a network


@dataclass
class ParametersState:
    """`rows` are those that the filter leaves, in the order asked for; `path` is where the cursor is."""

    listed: Listed | None = None
    numbers: dict[str, Numbers] = field(default_factory=dict)
    rows: list[TensorRow] = field(default_factory=list)
    path: str = ""
    filter: str = ""
    sort: str = ""
    descending: bool = False
    marked: list[str] = field(default_factory=list)
    show: str = "values"
    gradient: bool = False
    viewed: Viewed | None = None
    cell: tuple[int, int] = (0, 0)
    index: tuple[int, ...] = ()
    source: str = ""  # a run, checkpoint or file that is looked at; "": the network on the bench
    of: str = ""
    first: bool = True  # nobody moved the cursor yet: it stays on the first row, whichever that is
    _at: dict[str, int] = field(default_factory=dict)
    _scanned: int = 0

    def take(self, listed: Listed) -> None:
        """Another list: what is known of tensors that hold the same as before stays known."""
        self.listed, self.of = listed, listed.of
        stamps = {row.path: row.stamp for row in listed.rows}
        self.numbers = {path: n for path, n in self.numbers.items() if stamps.get(path) == n.stamp}
        if listed.compared and not self.sort:
            self.sort, self.descending = self.usual_sort, True
        self.marked = [path for path in self.marked if path in stamps]
        self.arrange()

    def leave(self, source: str) -> None:
        """Something else is looked at."""
        if source and self.show not in OF_FILES:
            self.show = "values"
        if (source == "") != (self.source == ""):
            self.filter = ""
        if self.sort == LARGEST:
            self.sort = ""
        self.source, self.listed, self.marked, self.first = source, None, [], True
        self.numbers.clear()
        self.arrange()

    @property
    def shows(self) -> tuple[str, ...]:
        """The views that there are."""
        return OF_FILES if self.source else SHOWS

    @property
    def usual_sort(self) -> str:
        """What the rows are in the order of where nobody asked for another one; "" is the network's own."""
        return LARGEST if self.listed and self.listed.compared else ""

    def arrange(self) -> None:
        test = filters.read(self.filter)
        rows = list(self.listed.rows) if self.listed else []
        rows = [row for row in rows if test(row, self.known(row))]
        if self.sort:
            rows.sort(key=self._key, reverse=self.descending)
        self.rows, self._scanned = rows, 0
        self._at = {row.path: i for i, row in enumerate(rows)}
        if self.path not in self._at or (self.first and self.sort == LARGEST):
            self.path = rows[0].path if rows else ""

    def _key(self, row: TensorRow) -> tuple[bool, Any]:
        if self.sort == "count":
            return (False, float(row.count))
        if self.sort in filters.FIELDS:
            numbers = self.known(row)
            found = filters.FIELDS[self.sort](row, numbers) if numbers else None
            if self.sort == LARGEST and found is not None and math.isnan(found):
                found = math.inf  # numbers that became nan are the largest difference of all
            missing = found is None or math.isnan(found)
            return (missing != self.descending, 0.0 if found is None or missing else found)
        if self.sort == "shape":
            return (False, tuple(row.shape or ()))
        return (False, str(getattr(row, {"kind": "tensor", "learns": "trainable"}.get(self.sort, self.sort))))

    def known(self, row: TensorRow) -> Numbers | None:
        """The statistics of a row's tensor, also under its first name."""
        found = self.numbers.get(row.alias_of or row.path)
        return found if found and found.stamp == row.stamp else None

    @property
    def row(self) -> TensorRow | None:
        at = self._at.get(self.path)
        return None if at is None else self.rows[at]

    @property
    def place(self) -> int:
        return self._at.get(self.path, 0)

    def chosen(self) -> tuple[str, ...]:
        """The marked tensors, or the one under the cursor."""
        return tuple(self.marked) or ((self.path,) if self.path else ())

    def unknown(self, first: int, count: int) -> tuple[str, ...]:
        """The next tensors whose statistics are to be asked for: those on screen before all others."""
        found: dict[str, None] = {}
        total = 0
        for row in self._order(first, count):
            path = row.alias_of or row.path
            if row.shape is None or path in found or self.known(row) is not None:
                continue
            if found and (len(found) >= CHUNK or total + row.count > CHUNK_NUMBERS):
                break
            found[path] = None
            total += row.count
        return tuple(found)

    def _order(self, first: int, count: int) -> Iterator[TensorRow]:
        yield from self.rows[first : first + count]
        everything = self.sort in filters.FIELDS or filters.needs_numbers(self.filter)
        if self.source and not everything:  # a file may be larger than anybody wants to read through
            return
        rest = self.listed.rows if self.listed and everything else self.rows
        while self._scanned < len(rest) and (rest[self._scanned].shape is None or self.known(rest[self._scanned])):
            self._scanned += 1  # known ones are not looked at again and again
        yield from itertools.islice(rest, self._scanned, None)
