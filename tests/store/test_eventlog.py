"""events.jsonl: whatever happens to the file, readers get whole events and never an exception."""

import math
import os
import random
import threading
import time
from pathlib import Path

import pytest

from mlptui.core.events import Event, Kind, sentence
from mlptui.store import sealed
from mlptui.store.eventlog import LINE_LIMIT, EventReader, EventWriter, cut_torn_tail, last_seq, parse, read_events


def written(path: Path, number: int = 20) -> list[Event]:
    writer = EventWriter(path)
    events = [writer.write(Kind.EPOCH, i, epoch=i, train_loss=i / 7, note="x" * i) for i in range(1, number + 1)]
    writer.file.close()
    return events


def test_events_come_back_in_order_with_a_number_each(tmp_path: Path) -> None:
    events = written(tmp_path / "log")
    found = read_events(tmp_path / "log")
    assert found == events
    assert [e.seq for e in found] == list(range(1, 21))
    assert last_seq(tmp_path / "log") == 20


def test_numbering_goes_on_in_a_second_session(tmp_path: Path) -> None:
    written(tmp_path / "log", 3)
    written(tmp_path / "log", 2)
    assert [e.seq for e in read_events(tmp_path / "log")] == [1, 2, 3, 4, 5]


def test_numbers_that_are_not_finite_come_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "log")
    writer.write(Kind.EPOCH, 1, train_loss=math.nan, valid_loss=-math.inf)
    writer.file.close()
    event = read_events(tmp_path / "log")[0]
    assert math.isnan(event["train_loss"]) and event["valid_loss"] == -math.inf


def test_a_torn_tail_waits_and_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    events = written(path, 3)
    data = path.read_bytes()
    start = data.rfind(b"\n", 0, -1) + 1
    for cut in range(start, len(data)):
        path.write_bytes(data[:cut])
        reader = EventReader(path)
        assert reader.read() == events[:2]
        assert (reader.read(), reader.damaged) == ([], 0)
        path.write_bytes(data)
        assert (reader.read(), reader.damaged) == (events[2:], 0)


def test_the_next_writer_cuts_a_torn_tail_and_keeps_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq":4,"half')
    assert cut_torn_tail(path) and not cut_torn_tail(path)
    assert path.read_bytes() == whole
    assert b'{"seq":4,"half' in (tmp_path / "log.torn").read_bytes()
    path.write_bytes(whole + b'{"other"')
    written(path, 1)
    assert [e.seq for e in read_events(path)] == [1, 2, 3, 4]
    assert b'{"seq":4,"half' in (tmp_path / "log.torn").read_bytes()


@pytest.mark.parametrize(
    "rubbish",
    [b"\0" * 5000, b"{}", b"[]", b"\xff\xfe", b'{"seq":1}', b"", b"\r", b"[" * 60_000, b'{"a":1,"crc":"00000000"}'],
    ids=range(9),
)
def test_a_damaged_line_inside_is_counted_and_the_rest_is_read(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "log"
    events = written(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], rubbish + b"\n", *lines[2:]]))
    reader = EventReader(path)
    assert reader.read() == events
    assert reader.damaged == 1
    assert last_seq(path) == 4


def test_a_line_of_ten_megabytes_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    events = written(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"seq":3,"data":"' + b"x" * 10_000_000 + b'"}\n', *lines[2:]]))
    reader = EventReader(path)
    assert reader.read_all() == events
    assert reader.damaged >= 1
    assert reader.read() == []


def test_an_event_too_long_for_a_line_keeps_its_place(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "log")
    writer.write(Kind.WARNING, 7, message="x" * LINE_LIMIT)
    writer.file.close()
    (event,) = read_events(tmp_path / "log")
    assert (event.kind, event.step, dict(event.data)) == (Kind.WARNING, 7, {})
    assert sentence(event)


@pytest.mark.parametrize(
    "values",
    [
        {"seq": 1, "wall": 0, "mono": 0, "step": 1e400, "kind": "x", "data": {}},
        {"seq": 1, "wall": 10**400, "mono": 0, "step": 1, "kind": "x", "data": {}},
        {"seq": [], "wall": 0, "mono": 0, "step": 1, "kind": "x", "data": {}},
        {"seq": 1, "wall": 0, "mono": 0, "step": "many", "kind": "x", "data": {}},
        {"wall": 0, "mono": 0, "step": 1, "kind": "x", "data": {}},
        {"seq": 1},
    ],
)
def test_a_sealed_line_without_sense_is_damaged(values: dict[str, object]) -> None:
    assert parse(sealed.line(values)[:-1]) is None


def test_newer_content_is_kept(tmp_path: Path) -> None:
    line = sealed.line(
        {"seq": 1, "wall": 1.0, "mono": 1.0, "step": 2, "kind": "teleported", "data": {"to": [1]}, "colour": "blue"}
    )
    (tmp_path / "log").write_bytes(line)
    (event,) = read_events(tmp_path / "log")
    assert (event.kind, event["to"]) == ("teleported", [1])
    assert sentence(event) == "teleported at step 2"


def test_random_damage_never_raises_and_never_invents_an_event(fast: Path) -> None:
    path = fast / "log"
    events = written(path, 12)
    data, lines = path.read_bytes(), path.read_bytes().splitlines(keepends=True)
    known = set(map(repr, events))
    rng = random.Random(26)
    for _ in range(2500):
        hurt = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(hurt))
            match rng.randrange(6):
                case 0:
                    hurt[place] ^= 1 << rng.randrange(8)
                case 1:
                    del hurt[place:]
                case 2:
                    hurt[place : place + rng.randint(1, 300)] = b"\0" * rng.randint(0, 300)
                case 3:
                    hurt[place:place] = rng.randbytes(rng.randint(1, 50))
                case 4:
                    hurt[place:place] = b"\n"
                case _:
                    del hurt[place : place + rng.randint(1, 200)]
            hurt = hurt or bytearray(b"\n")
        path.write_bytes(hurt)
        reader = EventReader(path)
        found = reader.read_all()
        assert {repr(event) for event in found} <= known
        whole = sum(line in bytes(hurt) for line in lines)
        assert len(found) >= whole - 3
    path.write_bytes(data)
    assert read_events(path) == events


def test_a_reader_beside_a_writer_sees_every_event_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = EventWriter(path)
    reader = EventReader(path)
    thread = threading.Thread(target=lambda: [writer.write(Kind.WARNING, i, message="m" * (i % 500)) for i in range(1500)])
    thread.start()
    seen: list[Event] = []
    while thread.is_alive():
        seen += reader.read()
    thread.join()
    seen += reader.read_all()
    writer.file.close()
    assert [e.step for e in seen] == list(range(1500))
    assert all(len(e["message"]) == e.step % 500 for e in seen)
    assert reader.damaged == 0


def test_a_reader_sees_nothing_of_half_a_write(fast: Path) -> None:
    path = fast / "log"
    events = written(path, 6)
    data = path.read_bytes()
    reader = EventReader(path)
    seen: list[Event] = []
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        before = len(seen)
        seen += reader.read()
        assert len(seen) - before <= 1
    assert (seen, reader.damaged) == (events, 0)


def test_a_small_budget_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    events = written(path, 50)
    reader = EventReader(path)
    seen: list[Event] = []
    while more := reader.read(budget=400):
        seen += more
    assert seen == events


def test_what_is_no_file_has_no_events_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    started = time.monotonic()
    for name in ("pipe", "folder", "loop", "missing"):
        assert EventReader(tmp_path / name).read_all() == []
    assert EventReader(Path("/dev/zero")).read() == []
    assert time.monotonic() - started < 1
