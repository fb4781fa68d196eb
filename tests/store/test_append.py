"""A log on a disk that refuses: records wait in order, nothing is lost, and the file always ends with a whole record."""

import errno
import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import fill

from mlptui.core.events import Kind
from mlptui.store import append
from mlptui.store.append import WAITING_LIMIT, AppendFile
from mlptui.store.eventlog import EventWriter, read_events
from mlptui.store.steps import ROW_SIZE, Row, StepWriter, read_rows

ERRNOS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EACCES, errno.EINTR, errno.EFBIG]


def records(start: int, stop: int) -> list[bytes]:
    return [f"{i:06}{'-' * (i % 40)}\n".encode() for i in range(start, stop)]


class Disk:
    """Stands before os.write, os.fsync and os.ftruncate and lets each call pass, fall short or fail as `plan` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plan: Callable[[str], int | str]) -> None:
        self.plan = plan
        self.calls: list[str] = []
        self.write, self.fsync, self.ftruncate = os.write, os.fsync, os.ftruncate
        monkeypatch.setattr(append.os, "write", self._write)
        monkeypatch.setattr(append.os, "fsync", lambda fd: self._ask("fsync") or self.fsync(fd))
        monkeypatch.setattr(append.os, "ftruncate", lambda fd, n: self._ask("ftruncate") or self.ftruncate(fd, n))

    def _ask(self, call: str) -> str:
        self.calls.append(call)
        answer = self.plan(call)
        if isinstance(answer, int) and answer:
            raise OSError(answer, os.strerror(answer))
        return answer if isinstance(answer, str) else ""

    def _write(self, fd: int, data: bytes) -> int:
        if self._ask("write") == "short":
            return self.write(fd, bytes(data)[: max(0, len(data) // 2)])
        return self.write(fd, data)


def test_what_is_appended_is_in_the_file(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f")
    for record in records(0, 100):
        assert file.append(record)
    assert file.sync() and (file.waiting, file.lost, file.trouble) == (0, 0, "")
    file.close()
    assert (tmp_path / "f").read_bytes() == b"".join(records(0, 100))


@pytest.mark.parametrize("number", ERRNOS, ids=[errno.errorcode[n] for n in ERRNOS])
def test_records_wait_in_order_while_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    file = AppendFile(tmp_path / "f")
    file.append(b"first\n")
    disk = Disk(monkeypatch, lambda call: number if call == "write" else 0)
    for i, record in enumerate(records(0, 50)):
        assert not file.append(record)
        assert file.waiting == i + 1
        assert file.trouble and "Errno" not in file.trouble
        assert not file.sync()
        assert (tmp_path / "f").read_bytes() == b"first\n"
    disk.plan = lambda call: 0
    assert file.flush() and (file.waiting, file.lost, file.trouble) == (0, 0, "")
    assert (tmp_path / "f").read_bytes() == b"first\n" + b"".join(records(0, 50))
    file.close()


def test_a_short_write_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "f")
    disk = Disk(monkeypatch, lambda call: "short" if call == "write" else 0)
    for i, record in enumerate(records(0, 20)):
        assert not file.append(record)
        assert (tmp_path / "f").read_bytes() == b""
        assert file.waiting == i + 1 and file.trouble == "the disk is full"
    disk.plan = lambda call: 0
    assert file.sync()
    assert (tmp_path / "f").read_bytes() == b"".join(records(0, 20))
    assert file.trouble == ""
    file.close()


def test_a_torn_record_that_could_not_be_cut_off_is_cut_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendFile(tmp_path / "f")
    disk = Disk(monkeypatch, lambda call: "short" if call == "write" else errno.EIO if call == "ftruncate" else 0)
    assert not file.append(b"0123456789\n")
    disk.plan = lambda call: errno.EIO if call == "ftruncate" else 0
    assert not file.append(b"second\n")
    disk.plan = lambda call: 0
    assert file.append(b"third\n")
    assert (tmp_path / "f").read_bytes() == b"0123456789\nsecond\nthird\n"
    file.close()


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_or_doubled_whatever_the_disk_does(fast: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rng = random.Random(seed)
    file = AppendFile(fast / "f")
    trouble = rng.choice([0.1, 0.5, 0.9])

    def plan(call: str) -> int | str:
        if rng.random() > trouble:
            return 0
        return "short" if call == "write" and rng.random() < 0.5 else rng.choice(ERRNOS)

    disk = Disk(monkeypatch, plan)
    everything = records(0, 120)
    for record in everything:
        file.append(record)
        if rng.random() < 0.2:
            file.sync()
    disk.plan = lambda call: 0
    assert file.sync() and (file.waiting, file.lost, file.trouble) == (0, 0, "")
    assert (fast / "f").read_bytes() == b"".join(everything)
    file.close()


def test_a_failed_fsync_is_not_repeated_on_the_same_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "f")
    descriptors: list[int] = []
    opened: list[int] = []
    real_open, fail = os.open, itertools.chain([True], itertools.repeat(False))

    def fsync(fd: int) -> None:
        descriptors.append(fd)
        if next(fail):
            raise OSError(errno.EIO, "")

    def open_(*arguments: object, **named: object) -> int:
        opened.append(real_open(*arguments, **named))  # type: ignore[arg-type]
        return opened[-1]

    monkeypatch.setattr(append.os, "fsync", fsync)
    monkeypatch.setattr(append.os, "open", open_)
    file.append(b"a\n")
    assert not file.sync() and "input/output" in file.trouble
    assert file.sync() and file.trouble == ""
    assert len(opened) == 1 and descriptors[1] == opened[0] != descriptors[0]
    assert file.append(b"b\n")
    file.close()
    assert (tmp_path / "f").read_bytes() == b"a\nb\n"


def test_beyond_the_cap_records_are_counted_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "f")
    disk = Disk(monkeypatch, lambda call: errno.ENOSPC if call == "write" else 0)
    for i in range(12):
        file.append(f"{i}\n".encode(), WAITING_LIMIT // 10)
    assert (file.waiting, file.lost) == (WAITING_LIMIT, 2 * (WAITING_LIMIT // 10))
    disk.plan = lambda call: 0
    assert file.flush()
    assert (tmp_path / "f").read_bytes() == b"".join(f"{i}\n".encode() for i in range(10))
    assert file.lost == 2 * (WAITING_LIMIT // 10)
    file.close()


def test_the_log_says_how_many_events_were_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "WAITING_LIMIT", 5)
    writer = EventWriter(tmp_path / "log")
    disk = Disk(monkeypatch, lambda call: errno.ENOSPC if call == "write" else 0)
    for i in range(8):
        writer.write(Kind.WARNING, i, message=str(i))
    disk.plan = lambda call: 0
    writer.write(Kind.WARNING, 8, message="8")
    writer.write(Kind.WARNING, 9, message="9")
    writer.file.close()
    events = read_events(tmp_path / "log")
    assert [e["message"] for e in events if e.kind == Kind.WARNING][:5] == ["0", "1", "2", "3", "4"]
    assert events[-1]["message"] == "9"
    gaps = [e for e in events if e.kind == Kind.GAP]
    assert len(gaps) == 1 and gaps[0]["records"] == 10 - sum(e.kind == Kind.WARNING for e in events)


def test_a_file_that_vanished_makes_nobody_fail(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    file = AppendFile(folder / "f")
    file.append(b"a\n")
    (folder / "f").unlink()
    folder.rmdir()
    file.append(b"b\n")
    file.sync()
    file.close()


def test_a_full_disk_loses_no_row_and_no_event_at_any_boundary(small_disk: Path, counts) -> None:
    """Row 11 of the fault matrix: every page boundary of the free space, with rows and events of many sizes."""
    refused = 0
    for pages in range(0, 512, counts(4, 1)):
        run = small_disk / f"run-{pages}"
        run.mkdir()
        steps, events = StepWriter(run / "s"), EventWriter(run / "e")
        ballast = fill(small_disk, (pages % 64) * 4096)
        expected = []
        for i in range(1, 41):
            batch = [Row(i * 100 + j, 0.0, 0.1, 0.5, 0.5, 0.5, 1) for j in range(1 + (i * pages) % 97)]
            expected += batch
            steps.write(batch)
            events.write(Kind.WARNING, i, message="m" * ((i * 37 + pages) % 900))
        if pages % 64 == 0:
            assert events.file.waiting and events.file.trouble == "the disk is full"
        refused += bool(steps.file.waiting) + bool(events.file.waiting)
        size = (run / "s").stat().st_size - 1024
        assert size % ROW_SIZE == 0 and read_rows(run / "s") == expected[: size // ROW_SIZE]
        assert [e.step for e in read_events(run / "e")] == list(range(1, len(read_events(run / "e")) + 1))
        ballast.unlink()
        assert steps.file.sync() and events.file.sync()
        assert read_rows(run / "s") == expected
        assert [e.step for e in read_events(run / "e")] == list(range(1, 41))
        assert (steps.file.lost, events.file.lost) == (0, 0)
        steps.file.close()
        events.file.close()
        for name in ("s", "e"):
            (run / name).unlink()
        run.rmdir()
    assert refused > 50
