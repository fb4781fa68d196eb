"""Two networks side by side."""

from difflib import SequenceMatcher

from torch import nn

from mlptui.core.bench import Compared, Row
from mlptui.engine.inspect.places import parameter_total, rows

MAX_ROWS = 4000


def compare(left: nn.Module, right: nn.Module, label: str) -> Compared:
    """Layers in the order of the tree, aligned where class and arguments agree; the rest stands opposite or alone."""
    one, two = rows(left)[:MAX_ROWS], rows(right)[:MAX_ROWS]
    found: list[tuple[str, str, str, str, bool]] = []
    matcher = SequenceMatcher(None, [_key(r) for r in one], [_key(r) for r in two], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for i in range(max(b - a, d - c)):
            x = one[a + i] if a + i < b else None
            y = two[c + i] if c + i < d else None
            found.append((_place(x), _words(x), _place(y), _words(y), kind == "equal"))
    rest = max(len(rows(left)), len(rows(right))) - MAX_ROWS
    if rest > 0:
        found.append(("", f"{rest:,} more places are not compared", "", "", False))
    return Compared(label=label, parameters=parameter_total(right)[0], rows=tuple(found))


def _key(row: Row) -> tuple[int, str, str]:
    return len(row.place), row.layer, row.arguments


def _place(row: Row | None) -> str:
    return ".".join(row.place) if row else ""


def _words(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.layer}({row.arguments})" if row.arguments or not row.children else row.layer
