"""Data go to stdout, narration to stderr."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from mlptui.core.errors import UsageError
from mlptui.core.text import safe
from mlptui.store.sealed import finite


def narrate(text: str) -> None:
    print(safe(text), file=sys.stderr, flush=True)


def data(text: str) -> None:
    print(text, flush=True)


def as_json(value: Any) -> None:
    """One JSON document on a line of its own; NaN and infinities as strings."""
    print(json.dumps(finite(value), ensure_ascii=True, allow_nan=False, default=str), flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Aligned columns; those whose index is in `right` are aligned right."""
    texts = [list(header), *([safe(cell, 80) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    for row in texts:
        cells = (cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        data("  ".join(cells).rstrip())


def agreed(question: str, yes: bool, otherwise: str = "nothing was removed") -> bool:
    """Whether a person says yes, or said so before. Raises UsageError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} this needs --yes where nobody can be asked")
    print(f"{safe(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    narrate(otherwise)
    return False
