"""Python's grammar as the architecture language uses it: texts to syntax trees, places and names as people read them."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from mlptui.core.errors import ArchitectureError


def syntax_tree(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(textwrap.dedent(text))
    except SyntaxError as error:
        reason = (error.msg or "cannot be read").split(";")[0]
        line = max(1, error.lineno or 1)
        raise ArchitectureError(
            f"not valid Python: {short(reason)}", line, margin(text, line) + max(1, error.offset or 1)
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise ArchitectureError("the text is too deeply nested or holds characters that cannot be read") from None


def margin(text: str, line: int) -> int:
    """How many columns of a line `dedent` took away."""
    plain = textwrap.dedent(text).split("\n")[line - 1 : line]
    typed = text.split("\n")[line - 1 : line]
    return len(typed[0]) - len(plain[0]) if plain and plain[0] else 0


def place_of(text: str, node: ast.AST) -> tuple[int, int]:
    """Line and column of a node as a person counts them; `ast` counts the bytes of the dedented line."""
    line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    plain = "".join(textwrap.dedent(text).split("\n")[line - 1 : line])
    return line, margin(text, line) + len(plain.encode()[:offset].decode(errors="ignore")) + 1


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; long names and long lists are not worth the search."""
    if len(name) > 64:
        return None
    known = list(islice(known, 1000))
    if alike := [k for k in known if k.lower() == name.lower()]:
        return alike[0]
    return next(iter(get_close_matches(name, [k for k in known if len(k) <= 64], 1, 0.6)), None)


def short(text: str) -> str:
    """Foreign text as a part of a sentence: cut, and with nothing in it that cannot be printed."""
    cut = text if len(text) <= 80 else text[:79] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def what(node: ast.AST) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
    return f"this ({words})"
