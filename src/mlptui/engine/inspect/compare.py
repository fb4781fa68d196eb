"""Two networks side by side."""

from difflib import SequenceMatcher

from mlptui.core.bench import Compared, Row

MAX_ROWS = 4000


def compare(left: list[Row], right: list[Row], label: str) -> Compared:
    """Layers in the order of the tree, aligned where class and arguments agree; the rest stands opposite or alone."""
    one, two = left[:MAX_ROWS], right[:MAX_ROWS]
    found: list[tuple[str, str, str, str, bool]] = []
    matcher = SequenceMatcher(None, [_key(r) for r in one], [_key(r) for r in two], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for i in range(max(b - a, d - c)):
            x = one[a + i] if a + i < b else None
            y = two[c + i] if c + i < d else None
            found.append((_place(x), x.called if x else "", _place(y), y.called if y else "", kind == "equal"))
    rest = max(len(left), len(right)) - MAX_ROWS
    if rest > 0:
        found.append(("", f"{rest:,} more places are not compared", "", "", False))
    return Compared(label=label, parameters=right[0].total, rows=tuple(found))


def _key(row: Row) -> tuple[int, str, str]:
    return len(row.place), row.layer, row.arguments


def _place(row: Row | None) -> str:
    return ".".join(row.place) if row else ""
