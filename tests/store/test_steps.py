"""steps.bin: rows of fixed size that survive damage, cuts and being taken back."""

import json
import math
import os
import random
import threading
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.errors import StorageError
from mlptui.store.steps import (
    FIELDS,
    HEADER_SIZE,
    MAGIC,
    ROW_SIZE,
    Row,
    StepReader,
    StepWriter,
    check_header,
    cut_after,
    encode,
    header,
    read_rows,
)  # fmt: skip


def row(step: int, wall: float = 1.0) -> Row:
    return Row(step, wall + step, 0.125, 1 / 2 ** (step % 9), 0.5, math.inf if step % 5 == 0 else 0.25, 1 + step // 10)


def written(path: Path, steps: range, after: int | None = None, wall: float = 1.0) -> list[Row]:
    writer = StepWriter(path, after)
    rows = [row(step, wall) for step in steps]
    writer.write(rows)
    writer.file.close()
    return rows


def sealed_header(values: object) -> bytes:
    data = MAGIC + json.dumps(values).encode() + b"\n"
    return data.ljust(HEADER_SIZE - 4, b" ") + zlib.crc32(data).to_bytes(4, "little")


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1), st.floats(), st.floats(), st.floats(width=32), st.floats(width=32),
            st.floats(width=32), st.integers(0, 2**32 - 1),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_any_row_comes_back_bit_for_bit(values: list[tuple[int, float, float, float, float, float, int]]) -> None:
    import tempfile

    rows = [Row(*v) for v in values]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.bin"
        path.write_bytes(header() + encode(rows))
        assert repr(read_rows(path)) == repr(rows)


def test_the_header_describes_the_rows() -> None:
    text = json.loads(header()[len(MAGIC) : HEADER_SIZE - 4])
    sizes = {"u8": 8, "f8": 8, "f4": 4, "u4": 4}
    assert sum(sizes[kind] for _, kind, _ in text["fields"]) == text["row_size"] == ROW_SIZE
    assert [name for name, _, _ in text["fields"]] == [*Row._fields, "crc"] == [name for name, _, _ in FIELDS]
    assert len(header()) == HEADER_SIZE == text["header_size"]


def test_another_program_can_read_the_rows_from_the_description(tmp_path: Path) -> None:
    import numpy as np

    rows = written(tmp_path / "s", range(1, 40))
    data = (tmp_path / "s").read_bytes()
    text = json.loads(data[len(MAGIC) : data.index(b"\n", len(MAGIC))])
    table = np.frombuffer(data, np.dtype([(n, "<" + k) for n, k, _ in text["fields"]]), offset=text["header_size"])
    assert table["step"].tolist() == [r.step for r in rows]
    assert table["loss"].tolist() == [r.loss for r in rows]


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    good = header()
    check_header(good)
    for i in range(HEADER_SIZE):
        with pytest.raises(StorageError):
            check_header(good[:i] + bytes([good[i] ^ 4]) + good[i + 1 :])


def test_a_newer_version_is_said(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(sealed_header({"version": 2}) + encode([row(1)]))
    with pytest.raises(StorageError, match=r"made by a newer mlptui \(format 2\); this one reads up to 1"):
        read_rows(tmp_path / "s")


@pytest.mark.parametrize("values", [{}, [], {"version": "x"}, {"version": None}, {"version": [1]}, 3, {"version": 1e400}])
def test_a_sealed_header_without_sense_is_damaged(tmp_path: Path, values: object) -> None:
    (tmp_path / "s").write_bytes(sealed_header(values) + encode([row(1)]))
    with pytest.raises(StorageError, match="damaged"):
        read_rows(tmp_path / "s")


def test_a_damaged_row_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    rows = written(path, range(1, 11))
    data = bytearray(path.read_bytes())
    for offset in range(HEADER_SIZE + 3 * ROW_SIZE, HEADER_SIZE + 4 * ROW_SIZE):
        hurt = bytearray(data)
        hurt[offset] ^= 0x10
        path.write_bytes(hurt)
        reader = StepReader(path)
        assert reader.read_all() == rows[:3] + rows[4:]
        assert reader.damaged == 1


def test_random_damage_never_raises_and_never_invents_a_row(fast: Path) -> None:
    path = fast / "s"
    rows = written(path, range(1, 41))
    data, known = path.read_bytes(), {repr(r) for r in rows}
    rng = random.Random(27)
    for _ in range(2500):
        hurt = bytearray(data)
        place = rng.randrange(len(hurt))
        match rng.randrange(5):
            case 0:
                hurt[place] ^= 1 << rng.randrange(8)
            case 1:
                del hurt[place:]
            case 2:
                hurt[place : place + 300] = b"\0" * len(hurt[place : place + 300])
            case 3:
                hurt += rng.randbytes(rng.randint(1, 200))
            case _:
                hurt[place : place + 60] = rng.randbytes(len(hurt[place : place + 60]))
        path.write_bytes(hurt)
        try:
            found = read_rows(path)
        except StorageError:
            assert bytes(hurt[:HEADER_SIZE]) != header()
            continue
        assert {repr(r) for r in found} <= known
        cut_after(path, 20)
        assert all(r.step <= 20 for r in read_rows(path))
    path.write_bytes(data)
    assert read_rows(path) == rows


def test_rows_taken_back_make_the_reader_start_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    rows = written(path, range(1, 31))
    reader = StepReader(path)
    assert reader.read() == (rows, False)
    assert reader.read() == ([], False)
    again = written(path, range(21, 61), after=20, wall=500.0)
    assert reader.read() == (rows[:20] + again, True)
    assert reader.read() == ([], False)
    written(path, range(0), after=0)
    assert reader.read() == ([], True)
    more = written(path, range(1, 4))
    assert reader.read() == (more, False)


@pytest.mark.parametrize("kept", [0, 1, 19, 29])
@pytest.mark.parametrize("added", [0, 1, 29, 30, 31])
def test_a_reader_in_any_place_ends_with_the_rows_that_are_there(tmp_path: Path, kept: int, added: int) -> None:
    path = tmp_path / "s"
    rows = written(path, range(1, 31))
    for seen in (0, 1, 20, 30):
        path.unlink()
        written(path, range(1, 31))
        reader = StepReader(path)
        shown, _ = reader.read(limit=seen or 1)
        again = written(path, range(kept + 1, kept + added + 1), after=kept, wall=900.0)
        while True:
            more, restarted = reader.read(limit=7)
            shown = more if restarted else shown + more
            if not more and not restarted:
                break
        assert shown == rows[:kept] + again


@pytest.mark.parametrize("torn", [0, 1, ROW_SIZE - 1])
@pytest.mark.parametrize("step", [0, 4, 10, 99])
def test_cut_after_keeps_the_rows_up_to_the_step(tmp_path: Path, step: int, torn: int) -> None:
    path = tmp_path / "s"
    rows = written(path, range(1, 11))
    with path.open("ab") as stream:
        stream.write(b"x" * torn)
    assert cut_after(path, step) == max(0, 10 - step)
    assert read_rows(path) == [r for r in rows if r.step <= step]
    assert path.stat().st_size == HEADER_SIZE + ROW_SIZE * min(10, step)


def test_cut_after_takes_back_rows_that_stand_before_others(tmp_path: Path) -> None:
    path = tmp_path / "s"
    written(path, range(5, 8))
    written(path, range(1, 4))
    assert cut_after(path, 3) == 3
    assert [r.step for r in read_rows(path)] == [1, 2, 3]


def test_a_torn_row_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s"
    rows = written(path, range(1, 4))
    data = path.read_bytes()
    path.write_bytes(b"")
    reader = StepReader(path)
    seen: list[Row] = []
    for end in range(len(data) + 1):
        with path.open("ab") as stream:
            stream.write(data[end - 1 : end])
        more, restarted = reader.read()
        assert not restarted
        seen += more
    assert (seen, reader.damaged) == (rows, 0)


def test_a_reader_beside_a_writer_sees_every_row_once(tmp_path: Path) -> None:
    path = tmp_path / "s"
    writer, reader = StepWriter(path), StepReader(path)

    def write() -> None:
        for start in range(1, 20_001, 50):
            writer.write([row(step) for step in range(start, start + 50)])

    thread = threading.Thread(target=write)
    thread.start()
    seen: list[int] = []
    while thread.is_alive():
        rows, restarted = reader.read(limit=333)
        assert not restarted
        seen += [r.step for r in rows]
    thread.join()
    seen += [r.step for r in reader.read_all()]
    writer.file.close()
    assert seen == list(range(1, 20_001))
    assert reader.damaged == 0


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    started = time.monotonic()
    assert StepReader(tmp_path / "missing").read() == ([], False)
    for path in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/zero")):
        with pytest.raises(StorageError, match="is not a regular file"):
            StepReader(path).read()
    assert time.monotonic() - started < 1
