"""The run's lock: one holder among many, gone with its process, and named to whoever asks."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import exit_code, fork

from mlptui.core.errors import RunError
from mlptui.store import host
from mlptui.store.lock import PAGE, Owner, RunLock, holder, read_owner


def until(condition: Callable[[], bool], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        os.sched_yield()


class Holder:
    """A process that takes the lock, says whether it won, and holds it until it is let go or killed."""

    def __init__(self, path: Path, start: int | None = None) -> None:
        said, say = os.pipe()
        wait, self.leave = os.pipe()

        def work() -> int:
            os.close(self.leave)
            if start is not None:
                os.read(start, 1)
            try:
                RunLock(path, 7.0)
            except RunError as error:
                os.write(say, f"lost: {error}".encode())
                return 1
            os.write(say, b"won")
            os.read(wait, 1)
            return 0

        self.pid = fork(work)
        os.close(say)
        os.close(wait)
        self.said = said
        self.answer = ""

    def hear(self) -> str:
        self.answer = os.read(self.said, 4096).decode()
        return self.answer

    def end(self, *, kill: bool = False) -> int:
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.leave)
        code = exit_code(self.pid)
        os.close(self.said)
        return code


def test_of_eight_processes_exactly_one_wins_each_race(fast: Path, counts: Callable[[int, int], int]) -> None:
    for race in range(counts(8, 500)):
        path = fast / f"lock-{race}"
        start, go = os.pipe()
        racers = [Holder(path, start) for _ in range(8)]
        os.write(go, b"x" * 8)
        answers = [racer.hear() for racer in racers]
        winners = [racer for racer in racers if racer.answer == "won"]
        assert len(winners) == 1, answers
        assert holder(path) == winners[0].pid
        assert all(a.startswith("lost: another trainer works on this run: process ") for a in answers if a != "won")
        for racer in racers:
            # one that holds waits for the end of its pipe, of which the later racers hold copies
            os.kill(racer.pid, signal.SIGKILL)
        for racer in racers:
            racer.end()
        os.close(start)
        os.close(go)
        assert holder(path) == 0


def test_the_lock_dies_with_its_process_before_that_is_reaped(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = Holder(path)
    assert mine.hear() == "won"
    assert holder(path) == mine.pid
    os.kill(mine.pid, signal.SIGKILL)
    until(lambda: host.process_start(mine.pid) is None)
    os.kill(mine.pid, 0)
    assert holder(path) == 0
    mine.end()
    again = Holder(path)
    assert again.hear() == "won"
    assert again.end() == 0
    assert holder(path) == 0


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = Holder(path)
    assert mine.hear() == "won"
    with pytest.raises(RunError, match=f"process {mine.pid} on {host.host_name()}"):
        RunLock(path, 0.0)
    owner = read_owner(path)
    assert (owner.host, owner.pid, owner.since) == (host.host_name(), mine.pid, 7.0)
    assert holder(path) == mine.pid
    mine.end(kill=True)


def test_asking_and_reading_from_outside_does_not_drop_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = Holder(path)
    assert mine.hear() == "won"
    for _ in range(200):
        assert holder(path) == mine.pid
        assert read_owner(path).pid == mine.pid
    mine.end(kill=True)


def test_a_child_of_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    told, tell = os.pipe()

    def work() -> int:
        RunLock(path, 0.0)
        child = fork(lambda: time.sleep(60))
        os.write(tell, child.to_bytes(4, "little"))
        return 0

    parent = fork(work)
    child = int.from_bytes(os.read(told, 4), "little")
    exit_code(parent)
    try:
        assert host.process_start(child) is not None
        assert holder(path) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(told)
        os.close(tell)


def test_the_page_is_overwritten_in_place_and_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    def work() -> int:
        lock = RunLock(path, 1.0)
        size = path.stat().st_size  # stat opens nothing
        lock.say(trouble="the disk is full", waiting=12, beat=3)
        lock.say(trouble="x" * 10_000)
        lock.say(trouble="é" * 3)
        assert path.stat().st_size == size == PAGE
        lock.release()
        return 0

    assert exit_code(fork(work)) == 0
    owner = read_owner(path)
    assert (owner.trouble, owner.waiting, owner.beat) == ("ééé", 12, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * PAGE,
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * PAGE,
        b'{"pid": "x"}',
        b'{"pid": {}, "trouble": []}',
        b"9" * PAGE,
    ],
    ids=range(10),
)
def test_a_page_without_sense_names_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    assert read_owner(tmp_path / "lock") == Owner()
    assert holder(tmp_path / "lock") == 0


def test_a_page_from_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": 4, "host": "box", "mood": "good"}))
    assert read_owner(tmp_path / "lock") == Owner(pid=4, host="box")


def test_what_is_no_file_is_answered_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    started = time.monotonic()
    for name in ("pipe", "link", "sparse", "missing"):
        assert read_owner(tmp_path / name) == Owner()
        assert holder(tmp_path / name) in (0, None)
    assert holder(tmp_path / "link") is None and holder(tmp_path / "missing") == 0
    assert time.monotonic() - started < 1
