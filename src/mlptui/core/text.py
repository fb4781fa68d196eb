"""How numbers, times and foreign text are written everywhere in the program."""

import math
import time
import unicodedata

CONTROL_PICTURES = 0x2400
BIDI_AND_SEPARATORS = frozenset("\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def safe(text: object, limit: int = 4096) -> str:
    """Foreign text with every character that could move the cursor, hide or reorder text made visible.

    Control characters become their control pictures (U+2400 block), C1 codes, bidi controls, line and
    paragraph separators, surrogates and private-use characters become U+FFFD, one for one; combining marks
    and zero-width characters too, so that a row keeps its width; every kind of blank is a space. Longer text
    than `limit` ends in an ellipsis.
    """
    shown = str(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(map(_visible, shown))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    if character in BIDI_AND_SEPARATORS or unicodedata.category(character) in _UNSHOWABLE:
        return "\ufffd"
    return " " if unicodedata.category(character) == "Zs" else character


_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"})

_ASCII_FOR = str.maketrans(
    {
        "·": "-", "…": "~", "●": "*", "‖": "=", "✓": "+", "■": "#", "✗": "x", "†": "k", "▸": ">", "▾": "v",
        "›": ">", "→": "->", "←": "<-", "↑": "^", "↓": "v", "─": "-", "│": "|", "┌": "+", "┐": "+", "└": "+",
        "┘": "+", "├": "+", "┤": "+", "━": "=", "┃": "|", "┏": "+", "┓": "+", "┗": "+", "┛": "+", "┣": "+",
        "┫": "+", "—": "-", "\u2013": "-", "×": "x", "°": " ", "±": "+-", "µ": "u", "“": '"', "”": '"',
    }
)  # fmt: skip


def ascii_only(text: str) -> str:
    """The same text in 7-bit characters, for terminals without UTF-8; what has no substitute becomes `?`."""
    return text.translate(_ASCII_FOR).encode("ascii", "replace").decode("ascii")


def slug(text: str, limit: int = 32) -> str:
    """A name that is safe as part of a folder's name: lower case letters, digits and single hyphens."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:limit].strip("-") or "run"


def count(number: int | None) -> str:
    """`203,530`; `-` for unknown."""
    return "-" if number is None else f"{number:,}"


def counted(number: int, thing: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size(number: float | None) -> str:
    """Bytes with three digits and a decimal unit: `1.20 GB`."""
    if number is None:
        return "-"
    if abs(number) < 999.5:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        number /= 1000
        if abs(number) < 999.5 or unit == "PB":
            break
    digits = 0 if abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    return f"{number:.{digits}f} {unit}"


def loss(number: float | None) -> str:
    """Four significant digits: `0.3124`, `12.41`, `1.2e+05`; `nan` and `inf` by name, `-` for none."""
    if number is None:
        return "-"
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    magnitude = abs(number)
    if magnitude != 0 and (magnitude < 0.0001 or magnitude >= 99_999.5):
        return f"{number:.1e}"
    whole = len(str(int(float(f"{magnitude:.4g}")))) if magnitude >= 1 else 0
    return f"{number:.{max(0, 4 - whole)}f}"


def number(value: float | None) -> str:
    """Any number in at most 8 cells, four digits that matter: `0.0206`, `2.45e-6`, `-` for none."""
    if value is None:
        return "-"
    if math.isnan(value) or math.isinf(value):
        return str(value)
    size = abs(value)
    if size and (size < 0.0005 or size >= 99_999):
        short = (f"{value:.{digits}e}".replace("e-0", "e-").replace("e+0", "e+") for digits in (2, 1, 0))
        return next((text for text in short if len(text) <= 8), f"{value:.0e}")
    return f"{value:.4f}" if size < 10 else f"{value:.5g}"


def percent(share: float | None) -> str:
    """A share of one as per cent with one decimal: `86.4 %`."""
    return "-" if share is None or not math.isfinite(share) else f"{share * 100:.1f} %"


def score(number: float | None, name: str) -> str:
    """A score by its name: accuracy as per cent, R2 with three decimals."""
    if name == "accuracy":
        return percent(number)
    if number is None or not math.isfinite(number):
        return "-"
    return f"{number:.3f}" if abs(number) < 99.9995 else "< -99" if number < 0 else "> 99"


def rate(number: float | None) -> str:
    """A learning rate with as many digits as it has: `0.1`, `0.0003`, `1e-06`."""
    return "-" if number is None else f"{number:.4g}"


def duration(seconds: float | None) -> str:
    """`0.28 s`, `41 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`; negative times (a clock set back) as `0 s`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.2f} s" if 0 < seconds < 1 else f"{seconds:.1f} s" if seconds else "0 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def short_name(name: str, data: str, id: str) -> str:
    """A run's name without what its data set's says already, and the random end of its id; the id where it has no name."""
    return f"{name.removeprefix(f'{data}-')}-{id.rpartition('-')[2]}" if name else id


def moment(seconds: float) -> str:
    """Seconds since the epoch as local date and time: `2026-12-01 04:15:31`; "" where they are none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""
    except (OverflowError, OSError, ValueError):
        return ""


def age(seconds: float | None) -> str:
    """How long ago, in one unit: `now`, `12 s`, `5 min`, `3 h`, `9 d`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 1:
        return "now"
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // divisor:.0f} {unit}"
    return f"{seconds // 86_400:.0f} d"


def width(text: str) -> int:
    """Terminal cells that a text takes: two for East Asian wide and fullwidth characters (Unicode UAX 11)."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, cells: int) -> str:
    """Text cut to at most `cells` cells, with an ellipsis where something was cut."""
    if width(text) <= cells:
        return text
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > cells - 1:
            break
        kept.append(character)
    return "".join(kept) + "…" if cells > 0 else ""
