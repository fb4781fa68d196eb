"""Pages of words: help and questions."""

from mlptui.core.text import cut
from mlptui.tui.render.cells import ACCENT, DIM, PLAIN, STRONG, Glyphs, Line, fitted, panel, wrapped


def help_page(
    title: str,
    groups: list[tuple[str, list[tuple[str, str, str]]]],
    words: str,
    size: tuple[int, int],
    glyphs: Glyphs,
    first: int = 0,
) -> tuple[list[Line], int]:
    """Keys by group as (key, label, what it does), from line `first` on; and how many lines there are beyond those shown."""
    body: list[Line] = [[(line, PLAIN)] for line in wrapped(" ".join(words.split()), size[0] - 4)]
    for name, keys in groups:
        body += [[], [(name, STRONG)]]
        for key, label, what in keys:
            said, *rest = wrapped(what, size[0] - 4 - 26)
            body.append([(f"  {key:<9}", ACCENT), (f"{label:<15}", PLAIN), (said, DIM)])
            body += [[(" " * 26 + line, DIM)] for line in rest]
    beyond = max(0, len(body) - (size[1] - 2))
    first = min(first, beyond)
    more = f"↓ {beyond - first} more lines, " if beyond > first else ""
    return panel(title, [(glyphs.text(f"{more}escape closes"), DIM)], body[first:], size, glyphs, True), beyond


def question(title: str, text: str, answers: list[tuple[str, str]], cells: int, glyphs: Glyphs) -> list[Line]:
    keys: Line = []
    for key, label in answers:
        keys += [(f"{key} ", ACCENT), (f"{label}   ", PLAIN)]
    lines: list[Line] = [[(part, PLAIN)] for line in text.splitlines() for part in fitted(line, cells - 4)]
    body = [*lines, [], keys]
    return panel(title, [], body, (cells, len(body) + 2), glyphs, True)


def prompt(
    title: str,
    names: list[str],
    told: list[tuple[str, str]],
    answers: list[tuple[str, str]],
    size: tuple[int, int],
    glyphs: Glyphs,
) -> list[Line]:
    """Names of lines to fill in (the lines themselves stand over them), sentences with their roles, and the keys."""
    cells, rows = size
    body: list[Line] = [[], *([(name, DIM)] for name in names), []]
    for sentence, role in told:
        lines = [cut(sentence[1:], cells - 4)] if sentence.startswith(" ") else wrapped(sentence, cells - 4)
        body += [[(line, role)] for line in lines]  # a blank before it: it stands in columns, and keeps them
    body = body[: rows - 4]
    body += [[]] * (rows - 4 - len(body))
    keys: Line = []
    for key, label in answers:
        keys += [(f"{key} ", ACCENT), (f"{label}   ", PLAIN)]
    return panel(title, [], [*body, [], keys], size, glyphs, True)
