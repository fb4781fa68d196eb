"""Foreign text made safe, and the formats of numbers and times."""

import math
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core import text

bounded = settings(derandomize=True, deadline=None, max_examples=300, database=None)

PAYLOADS = {
    "escape": "\x1b[2J",
    "clipboard": "\x1b]52;c;cHduZWQ=\x07",
    "title": "\x1b]0;pwned\x1b\\",
    "hyperlink": "\x1b]8;;http://x\x1b\\x\x1b]8;;\x1b\\",
    "device control": "\x1bP+q544e\x1b\\",
    "cursor report": "\x1b[6n",
    "screen": "\x1b[?1049l",
    "8-bit CSI": "\x9b2J",
    "8-bit OSC": "\x9d52;c;QQ==\x9c",
    "C1": "".join(map(chr, range(0x80, 0xA0))),
    "C0": "".join(map(chr, range(0x20))),
    "delete": "a\x7fb",
    "backspace": "safe\x08\x08\x08\x08evil",
    "carriage return": "100 %\r0 %",
    "newline": "one\ntwo",
    "tab": "a\tb",
    "next line": "a\x85b",
    "separators": "a\u2028b\u2029c",
    "vertical tab and form feed": "a\x0bb\x0cc",
    "right to left": "\u202egpj.exe",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff",
    "combining": "e" + "\u0301" * 30,
    "enclosing": "a\u20dd",
    "variation selector": "\u2764\ufe0f",
    "surrogates": "\ud83d\ude00 \udc80",
    "private use": "\ue000\U000f0000",
    "unassigned": "\u0378\U0003fffe",
    "tags": "\U000e0041\U000e007f",
    "soft hyphen": "a\u00adb",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "non-UTF-8 name": b"caf\xe9.bin".decode("utf-8", "surrogateescape"),
    "NUL": "\x00",
}
LITERAL = [
    "[/]",
    "[/x]",
    "[bold red]x[/]",
    "[Linear]",
    "[@click=app.quit]x[/]",
    "[",
    "]",
    "\\[",
    "{x}",
    "%s",
    "$x",
    "größe",
    "日本",
]


def shows_nothing_hidden(shown: str) -> bool:
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"}
    return not any(unicodedata.category(character) in hidden for character in shown)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_becomes_visible_signs_one_for_one(name: str) -> None:
    payload = PAYLOADS[name]
    shown = text.safe(payload)
    assert shows_nothing_hidden(shown)
    assert len(shown) == len(payload)
    assert shown != payload
    kept = [(a, b) for a, b in zip(payload, shown, strict=True) if a.isascii() and a.isprintable()]
    assert all(a == b for a, b in kept)


@pytest.mark.parametrize("literal", LITERAL)
def test_markup_and_plain_text_stay_as_they_are(literal: str) -> None:
    assert text.safe(literal) == literal


def test_every_character_is_shown_as_one_that_is_not_hidden() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = text.safe(everything, limit=len(everything))
    assert len(shown) == len(everything)
    assert shows_nothing_hidden(shown)


@bounded
@given(st.text(st.characters(), max_size=200), st.integers(1, 50))
def test_safe_text_is_bounded_and_stays_the_same_when_made_safe_again(payload: str, limit: int) -> None:
    shown = text.safe(payload, limit)
    assert len(shown) == min(len(payload), limit)
    assert shows_nothing_hidden(shown)
    assert text.safe(shown, limit) == shown
    assert (len(payload) > limit) <= shown.endswith("…")


def test_control_characters_keep_their_names() -> None:
    assert text.safe("\x1b[2J\n\x00\x7f") == "␛[2J␊␀␡"


def test_every_kind_of_blank_is_a_space() -> None:
    assert text.safe("a\xa0b\u2003c\u3000d") == "a b c d"


def test_what_is_no_text_is_shown_too() -> None:
    assert text.safe(ValueError("bad\x07")) == "bad␇"
    assert len(text.safe("x" * 1_000_000)) == 4096


@bounded
@given(st.text(st.characters(), max_size=60))
def test_ascii_only_is_ascii(payload: str) -> None:
    assert text.ascii_only(text.safe(payload)).isascii()


def test_the_glyphs_of_the_program_have_their_own_letters() -> None:
    from mlptui.core.status import GLYPHS

    for unicode_glyph, ascii_glyph in GLYPHS.values():
        assert len(unicode_glyph) == len(ascii_glyph) == 1 and ascii_glyph.isascii()
    assert len({a for _, a in GLYPHS.values()}) == len({u for u, _ in GLYPHS.values()}) == len(GLYPHS)
    assert text.ascii_only("… → ± │") == "~ -> +- |"


@bounded
@given(st.text(st.characters(), max_size=80))
def test_a_slug_is_a_plain_name_of_a_folder(payload: str) -> None:
    name = text.slug(payload)
    assert 1 <= len(name) <= 32
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not name.startswith("-") and not name.endswith("-") and "--" not in name
    assert text.slug(name) == name


@pytest.mark.parametrize("payload", ["", "/", "..", "---", "\x00", "日本", "-" * 100])
def test_a_slug_of_nothing_is_a_word(payload: str) -> None:
    assert text.slug(payload) == "run"


@pytest.mark.parametrize(
    ("function", "number", "shown"),
    [
        (text.count, 203530, "203,530"),
        (text.count, None, "-"),
        (text.size, 0, "0 B"),
        (text.size, 999, "999 B"),
        (text.size, 999.6, "1.00 kB"),
        (text.size, 1000, "1.00 kB"),
        (text.size, 9994, "9.99 kB"),
        (text.size, 9996, "10.0 kB"),
        (text.size, 99_960, "100 kB"),
        (text.size, 999_499, "999 kB"),
        (text.size, 999_999, "1.00 MB"),
        (text.size, 1_200_000_000, "1.20 GB"),
        (text.size, 10**18, "1000 PB"),
        (text.size, None, "-"),
        (text.loss, 0.3124, "0.3124"),
        (text.loss, 12.41, "12.41"),
        (text.loss, 2.302585, "2.303"),
        (text.loss, 9.99996, "10.00"),
        (text.loss, 0.99999, "1.0000"),
        (text.loss, 123.45, "123.5"),
        (text.loss, 99_999, "99999"),
        (text.loss, 120_000, "1.2e+05"),
        (text.loss, 0.00001, "1.0e-05"),
        (text.loss, 0.0001, "0.0001"),
        (text.loss, 0.0, "0.0000"),
        (text.loss, -12.41, "-12.41"),
        (text.loss, math.nan, "nan"),
        (text.loss, math.inf, "inf"),
        (text.loss, -math.inf, "-inf"),
        (text.loss, None, "-"),
        (text.percent, 0.8642, "86.4 %"),
        (text.percent, 1.0, "100.0 %"),
        (text.percent, math.nan, "-"),
        (text.percent, math.inf, "-"),
        (text.percent, None, "-"),
        (text.rate, 0.1, "0.1"),
        (text.rate, 0.0003, "0.0003"),
        (text.rate, 1e-6, "1e-06"),
        (text.rate, None, "-"),
        (text.duration, 0, "0 s"),
        (text.duration, -5, "0 s"),
        (text.duration, 0.28, "0.28 s"),
        (text.duration, 9.94, "9.9 s"),
        (text.duration, 9.96, "10 s"),
        (text.duration, 41, "41 s"),
        (text.duration, 59.6, "1 min 00 s"),
        (text.duration, 200, "3 min 20 s"),
        (text.duration, 3599.7, "1 h 00 min"),
        (text.duration, 7500, "2 h 05 min"),
        (text.duration, 3 * 86400 + 4 * 3600, "3 d 4 h"),
        (text.duration, math.nan, "-"),
        (text.duration, math.inf, "-"),
        (text.duration, None, "-"),
        (text.age, 0.4, "now"),
        (text.age, -3, "now"),
        (text.age, 12, "12 s"),
        (text.age, 59.7, "59 s"),
        (text.age, 300, "5 min"),
        (text.age, 3599, "59 min"),
        (text.age, 10_800, "3 h"),
        (text.age, 9 * 86_400, "9 d"),
        (text.age, math.nan, "-"),
        (text.age, None, "-"),
    ],
)
def test_numbers_are_written_with_as_many_digits_as_they_are_worth(function, number, shown) -> None:  # type: ignore[no-untyped-def]
    assert function(number) == shown


@bounded
@given(st.floats())
def test_no_float_has_more_than_eight_characters_as_a_loss(number: float) -> None:
    assert len(text.loss(number)) <= 9
    text.size(number if math.isfinite(number) else None)
    text.duration(number)
    text.age(number)


@bounded
@given(st.text(st.characters(exclude_categories=["C", "M"]), max_size=30), st.integers(0, 30))
def test_cut_text_fits_its_cells(payload: str, cells: int) -> None:
    shown = text.cut(payload, cells)
    assert text.width(shown) <= cells
    assert shown == payload or (cells == 0 and shown == "") or (shown.endswith("…") and payload.startswith(shown[:-1]))
    assert (shown == payload) == (text.width(payload) <= cells)


def test_no_random_text_gets_a_control_character_through(counts) -> None:
    """Row 28 of the fault matrix: random code points, mostly from the ranges that harm."""
    import random

    dice = random.Random(28)
    harmful = [*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    for _ in range(counts(20_000, 1_000_000)):
        points = (dice.choice(harmful) if dice.random() < 0.5 else dice.randrange(0x110000) for _ in range(dice.randrange(24)))
        shown = text.safe("".join(map(chr, points)))
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown), ascii(shown)


@pytest.mark.parametrize(
    ("number", "name", "shown"),
    [
        (0.8643, "accuracy", "86.4 %"),
        (0.0, "accuracy", "0.0 %"),
        (1.0, "accuracy", "100.0 %"),
        (None, "accuracy", "-"),
        (float("nan"), "accuracy", "-"),
        (float("inf"), "accuracy", "-"),
        (0.86434, "R2", "0.864"),
        (1.0, "R2", "1.000"),
        (-3.5, "R2", "-3.500"),
        (-0.0001, "R2", "-0.000"),
        (None, "R2", "-"),
        (float("nan"), "R2", "-"),
        (float("-inf"), "R2", "-"),
        (0.5, "", "0.500"),
    ],
)
def test_a_score_is_written_as_its_name_asks_for(number: float | None, name: str, shown: str) -> None:
    assert text.score(number, name) == shown


@bounded
@given(st.none() | st.floats(), st.sampled_from(["accuracy", "R2", "", "\x1b[2J"]))
def test_any_score_is_printable(number: float | None, name: str) -> None:
    assert text.score(number, name).isprintable() and text.score(number, name)


@bounded
@given(st.floats())
def test_no_float_has_more_than_nine_characters_as_a_score(number: float) -> None:
    """R2 has no lower bound; a column of a table has."""
    assert len(text.score(number, "R2")) <= 9
