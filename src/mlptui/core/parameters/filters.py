"""Which tensors of a list are shown: `*.weight`, `/^0\\./`, `frozen`, `std > 0.1`, several with commas."""

import fnmatch
import re
import warnings
from collections.abc import Callable

from mlptui.core.architecture.syntax import nearest, short
from mlptui.core.errors import UsageError
from mlptui.core.parameters.messages import Numbers, TensorRow

MAX_TEXT = 300
MAX_REGEX = 100
LOOKED_AT = 150  # characters of a name that a pattern sees
Test = Callable[[TensorRow, Numbers | None], bool]

FIELDS: dict[str, Callable[[TensorRow, Numbers], float | None]] = {
    "mean": lambda r, n: n.mean,
    "std": lambda r, n: n.deviation,
    "min": lambda r, n: n.low,
    "max": lambda r, n: n.high,
    "norm": lambda r, n: n.norm,
    "zeros": lambda r, n: n.zeros,
    "bad": lambda r, n: float(n.bad),
    "grad": lambda r, n: n.gradient,
    "update": lambda r, n: n.update,
    "largest": lambda r, n: n.largest,
    "relative": lambda r, n: n.relative,
    "cosine": lambda r, n: n.cosine,
    "changed": lambda r, n: n.changed,
    "count": lambda r, n: float(r.count),
}
WORDS: dict[str, Callable[[TensorRow], bool]] = {
    "parameter": lambda r: r.tensor == "parameter" and not r.alias_of,
    "buffer": lambda r: r.tensor.startswith("buffer"),
    "plain": lambda r: r.tensor == "plain tensor",
    "alias": lambda r: bool(r.alias_of),
    "tied": lambda r: bool(r.alias_of),
    "frozen": lambda r: r.tensor == "parameter" and not r.trainable,
    "learns": lambda r: r.trainable,
    "lazy": lambda r: r.shape is None,
    "named_parameters": lambda r: r.tensor == "parameter" and not r.alias_of,
    "state_dict": lambda r: r.listed in ("both", "state_dict"),
    "unsaved": lambda r: r.listed not in ("both", "state_dict"),
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_PATTERN = re.compile(r"\s*/(?:\\.|[^/\\])*/")
_CONDITION = re.compile(r"([A-Za-z_]+)\s*(>=|<=|==|!=|>|<|=)\s*([^\s]+)")


class FilterError(UsageError):
    """What was typed chooses no tensors in a way that is known."""


def read(text: str) -> Test:
    """A test for one tensor, which all parts must pass; what is not known yet passes no condition. Raises FilterError."""
    if len(text) > MAX_TEXT:
        raise FilterError("this filter is too long")
    tests = [_part(part.strip()) for part in _parts(text) if part.strip()]
    return lambda row, numbers: all(test(row, numbers) for test in tests)


def needs_numbers(text: str) -> bool:
    """Whether the filter looks at statistics, so that all of them are needed."""
    return any(_CONDITION.fullmatch(part.strip()) for part in _parts(text))


def _parts(text: str) -> list[str]:
    """At commas and the word `and`, which inside of a pattern between slashes are the pattern's."""
    found, rest = [""], text
    while rest:
        if not found[-1].strip() and (pattern := _PATTERN.match(rest)):
            found[-1] += pattern[0]
            rest = rest[pattern.end() :]
        elif split := re.match(r",|\band\b", rest):
            found.append("")
            rest = rest[split.end() :]
        else:
            word = re.match(r"\w+|.", rest, re.S)
            assert word
            found[-1] += word[0]
            rest = rest[word.end() :]
    return found


def _part(text: str) -> Test:
    if condition := _CONDITION.fullmatch(text):
        return _condition(*condition.groups())
    if text.startswith("/") and text.endswith("/") and len(text) > 1:
        return _pattern(text[1:-1])
    if any(c in text for c in "<>="):
        raise FilterError(f"{short(text)!r} is no condition; write for example std > 0.1, zeros >= 50%")
    if text in WORDS:
        return lambda row, _: WORDS[text](row)
    if any(c in text for c in "*?["):
        return lambda row, _: fnmatch.fnmatchcase(row.path, text)
    wanted = text.lower()
    return lambda row, _: (
        wanted in row.path.lower() or wanted in row.spelled.lower() or wanted == row.layer.lower() or wanted in row.dtype
    )


def _pattern(text: str) -> Test:
    """A regular expression, of those that cannot take for ever: no group is repeated, and few things are."""
    plain = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "x", text)
    endless = len(re.findall(r"[*+]|\{\d*,\d*\}", plain))
    if len(text) > MAX_REGEX:
        raise FilterError("this pattern is too long")
    if endless > 2 or endless + plain.count("?") > 4 or re.search(r"\)\s*[*+?{]", plain):
        raise FilterError("this pattern repeats too much: a group may not be, and two things may")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's own
            pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterError(f"not a regular expression: {short(str(error))}") from None
    return lambda row, _: pattern.search(row.path[:LOOKED_AT]) is not None


def _condition(name: str, operator: str, number: str) -> Test:
    if name not in FIELDS:
        close = nearest(name, FIELDS)
        raise FilterError(
            f"there is no {short(name)}; " + (f"did you mean {close}?" if close else f"there are {', '.join(FIELDS)}")
        )
    try:
        value = float(number.rstrip("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise FilterError(f"{short(number)} is no number, as in {name} > 0.1") from None
    field, compare = FIELDS[name], COMPARE[operator]

    def test(row: TensorRow, numbers: Numbers | None) -> bool:
        if numbers is None:
            return False
        found = field(row, numbers)
        return found is not None and compare(found, value)

    return test
