"""Lines and documents that carry their checksum: one changed byte is noticed."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.errors import StorageError
from mlptui.store import sealed

bounded = settings(derandomize=True, deadline=None, max_examples=100, database=None)
VALUES = {"seq": 7, "kind": "epoch", "data": {"loss": 0.25, "name": 'größe "x" \x1b[0m', "crc": "00000000", "seal": "x"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=5).filter(lambda k: k not in ("crc", "seal")), json_values, min_size=1, max_size=4)


def test_every_changed_byte_of_a_line_is_noticed() -> None:
    line = sealed.line(VALUES)[:-1]
    assert sealed.read_line(line) == VALUES
    for i in range(len(line)):
        for changed in {line[i] ^ (1 << bit) for bit in range(8)} | {0, 10, 255, 32}:
            if changed != line[i]:
                assert sealed.read_line(line[:i] + bytes([changed]) + line[i + 1 :]) is None, i


def test_every_cut_and_every_doubled_byte_of_a_line_is_noticed() -> None:
    line = sealed.line(VALUES)[:-1]
    for i in range(len(line)):
        assert sealed.read_line(line[:i]) is None
        assert sealed.read_line(line[i + 1 :]) is None
        assert sealed.read_line(line[:i] + line[i : i + 1] + line[i:]) is None
        assert sealed.read_line(line[:i] + line[i + 1 :]) is None


def test_every_changed_byte_of_a_document_is_noticed() -> None:
    document = sealed.document(VALUES)
    assert sealed.read_document(document, "it") == VALUES
    for i in range(len(document)):
        for changed in (document[i] ^ 1, document[i] ^ 0x80, 0, 32, 10):
            if changed != document[i]:
                with pytest.raises(StorageError, match="it is damaged"):
                    sealed.read_document(document[:i] + bytes([changed]) + document[i + 1 :], "it")


def test_a_cut_or_lengthened_document_is_noticed() -> None:
    document = sealed.document(VALUES)
    for other in [document[:i] for i in range(len(document))] + [document + b"\n", b" " + document, document + document]:
        with pytest.raises(StorageError):
            sealed.read_document(other, "it")


@bounded
@given(objects)
def test_values_come_back_and_both_forms_are_plain_json(values: dict[str, object]) -> None:
    line, document = sealed.line(values), sealed.document(values)
    assert sealed.read_line(line[:-1]) == values
    assert sealed.read_document(document, "it") == values
    assert line.count(b"\n") == 1 and line.isascii() and document.isascii()
    for text, extra in ((line, "crc"), (document, "seal")):
        plain = json.loads(text)
        assert extra in plain
        del plain[extra]
        assert plain == values


@bounded
@given(st.floats())
def test_every_float_comes_back_from_the_log(value: float) -> None:
    read = sealed.read_line(sealed.line({"x": value})[:-1])
    assert read is not None
    assert repr(sealed.number(read["x"])) == repr(value)


@pytest.mark.parametrize("value", [None, True, False, "", "x", "NaN", [], {}, [1.0], b"1"])
def test_what_is_no_number_is_none(value: object) -> None:
    assert sealed.number(value) is None


def test_a_number_beyond_floats_is_none() -> None:
    assert sealed.number(10**400) is None
    assert sealed.number(-(10**400)) is None
    assert sealed.number(math.inf) == math.inf


@pytest.mark.parametrize("text", ["[1, 2]", '"x"', "3", "null", "[" * 100_000])
def test_a_sealed_text_that_is_no_object_is_damaged(text: str) -> None:
    import hashlib
    import zlib

    line = text[:-1] + f',"crc":"{zlib.crc32(text[:-1].encode()):08x}"}}'
    assert sealed.read_line(line.encode()) is None
    seal = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(StorageError, match="it is damaged"):
        sealed.read_document(f'{text},\n "seal": "{seal}"\n}}\n'.encode(), "it")
