"""One file over http, from several mirrors, resumed at the byte reached.

Bytes go to `NAME.part`; beside it `NAME.part.json` keeps what is needed to go on: the total size, and the mirror and ETag
that the bytes came from. How a mirror is spoken to is in mirror.py.
"""

import contextlib
import hashlib
import json
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe, size
from mlptui.datasets import mirror
from mlptui.datasets.mirror import Refused
from mlptui.store import atomic

ROUNDS = 4  # times that every mirror is tried without progress
PROGRESS = 1 << 16  # bytes beyond the most that was ever reached that count as progress
CHUNK = 1 << 20
MOST = 16 << 30
DRIP_SECONDS, DRIP_RATE = 30.0, 20 * 1024  # slower than this for so long, and another mirror is tried
FLOOR_RATE = 512  # below this even the last mirror has failed
BACKOFF = (0.0, 0.5, 1.0, 2.0)
TOLD = 20


@dataclass
class Progress:
    """How one file stands. `failures` has one sentence a failed attempt, the newest last."""

    name: str
    done: int = 0
    total: int = 0
    mirror: str = ""
    failures: list[str] = field(default_factory=list)

    def failed(self, sentence: str) -> None:
        if sentence not in self.failures:
            self.failures = [*self.failures, sentence][-TOLD:]


class Failed(DataError):
    """No mirror gave the file; the sentence has one reason a mirror. What was received stays for the next try."""


class _Unresumable(Exception):
    """The bytes that are here do not fit what the mirror has; begin anew."""


def fetch(
    addresses: Sequence[str],
    target: Path,
    expected: int,
    most: int,
    verify: Callable[[Path, str], None],
    told: Callable[[Progress], None],
) -> None:
    """Bring a file to `target`, by one rename after `verify` accepted it: it gets the path and the SHA-256 of what is there
    (empty where that is not known yet), and raises DataError for a wrong file.

    `expected` is its exact size in bytes (0: not known), `most` what it may have at most. Mirrors are taken in turn, https
    ones first, each from the byte that was reached; one that cannot go on there is left out for one round before the part
    is given up. Raises Failed with all reasons, and StorageError where the disk refuses; both leave the part.
    """
    part = target.with_name(f"{target.name}.part")
    left = sorted(dict.fromkeys(addresses), key=lambda a: not a.lower().startswith("https:"))
    progress = Progress(target.name, 0, expected)
    reasons: dict[str, str] = {}
    spoiled: set[str] = set()
    fruitless, reached = 0, _size(part)
    while left and fruitless < ROUNDS:
        time.sleep(BACKOFF[min(fruitless, len(BACKOFF) - 1)])
        for address in list(left):
            progress.mirror = mirror.host(address)
            try:
                patient = len(left) > 1 and not fruitless
                one = _Try(address, part, expected, most or MOST, progress, told, len(left) == 1, patient)
                whole, sha256 = one.receive()
                try:
                    verify(part, sha256)
                except DataError as error:
                    _discard(part)
                    final = whole or address in spoiled
                    spoiled.add(address)
                    raise Refused(str(error), final) from None
                _finish(part, target)
                return
            except Refused as error:
                reasons[address] = f"{progress.mirror}: {safe(error, 200)}"
                progress.failed(reasons[address])
                if error.final:
                    left.remove(address)
                told(progress)
        fruitless = 0 if _size(part) >= reached + PROGRESS else fruitless + 1
        reached = max(reached, _size(part))
    raise Failed(f"{target.name} could not be downloaded. {'; '.join(dict.fromkeys(reasons.values()))}")


@dataclass(frozen=True)
class _Try:
    """One try at one mirror. `alone`: there is no other; `patient`: another one may go on with the part that is here."""

    address: str
    part: Path
    expected: int
    most: int
    progress: Progress
    told: Callable[[Progress], None]
    alone: bool
    patient: bool

    def receive(self) -> tuple[bool, str]:
        """Receive what is missing of the file. Returns whether all of it came from this mirror in this try, and its hash."""
        try:
            return self._go_on(_size(self.part))
        except _Unresumable:
            if self.patient:
                raise Refused("it cannot go on in the middle of the file") from None
        return self._go_on(0)  # the part is cut when an answer begins, not before

    def _go_on(self, start: int) -> tuple[bool, str]:
        known, progress = _read_state(self.part), self.progress
        if start and start == (self.expected or known.get("total")):
            progress.done = start
            return False, ""
        if start > (self.expected or self.most):
            raise _Unresumable
        etag = str(known.get("etag", "")) if known.get("address") == self.address else ""
        answer = mirror.get(self.address, start, etag)
        if answer is None:
            raise _Unresumable
        with answer:
            total = answer.total
            if self.expected and total and total != self.expected:
                raise Refused(f"it offers {total:,} bytes where {self.expected:,} are right", final=True)
            if total > self.most:
                raise Refused(f"it offers {total:,} bytes where at most {self.most:,} are right", final=True)
            begin = answer.begin
            if start and begin != start:
                raise _Unresumable
            if start and total and known.get("total") and total != known["total"]:
                raise _Unresumable
            total = total or self.expected
            _need_room(self.part.parent, total - begin)
            progress.total, progress.done = total, begin
            self.told(progress)
            sha256 = self._copy(answer, begin, total)
        if total and progress.done < total:
            raise Refused(f"the connection ended at {progress.done:,} of {total:,} bytes")
        return not begin, sha256

    def _copy(self, answer: mirror.Answer, begin: int, total: int) -> str:
        """Append what comes to the part, and return the hash of all of it."""
        slowest, most = FLOOR_RATE if self.alone else DRIP_RATE, total or self.most
        try:
            fd = _open_part(self.part)
        except OSError as error:
            raise StorageError(f"cannot write {self.part}: {atomic.reason(error)}") from None
        watched, counted = time.monotonic(), 0
        hashing, flushing = _Hashing(self.part, begin), _Flushing(fd)
        try:
            os.ftruncate(fd, begin)
            os.lseek(fd, begin, os.SEEK_SET)
            _write_state(self.part, {"total": total, "address": self.address, "etag": answer.etag})
            while data := answer.read(CHUNK):
                if self.progress.done + len(data) > most:
                    raise Refused(f"it sends more than the {most:,} bytes that are right", final=True)
                before = time.monotonic()
                hashing.feed(data)
                watched += time.monotonic() - before  # that was not the mirror's fault
                atomic.write_all(fd, data)
                self.progress.done += len(data)
                counted += len(data)
                now = time.monotonic()
                if now - watched >= DRIP_SECONDS:
                    if counted < slowest * (now - watched):
                        raise Refused(f"too slow: {size(counted / (now - watched))} a second")
                    watched, counted = now, 0
                self.told(self.progress)
                flushing.written(len(data))
            return hashing.result()
        except OSError as error:
            raise StorageError(f"cannot write {self.part}: {atomic.reason(error)}") from None
        finally:
            hashing.stop()
            flushing.stop()
            os.close(fd)


class _Hashing:
    """SHA-256 of a file while it is received, in a thread: first of the part that is there, then of what is fed."""

    AHEAD = 64

    def __init__(self, path: Path, begin: int) -> None:
        self._machine, self._path, self._begin = hashlib.sha256(), path, begin
        self._whole, self._stopped = False, False
        self._small: list[bytes] = []
        self._waiting = 0
        self._queue: queue.Queue[bytes | None] = queue.Queue(self.AHEAD)
        self._thread = threading.Thread(target=self._run, daemon=True, name="hash")
        self._thread.start()

    def feed(self, data: bytes) -> None:
        """In pieces of about a megabyte, however small they come; waits where the hashing is far behind."""
        self._small.append(data)
        self._waiting += len(data)
        if self._waiting >= CHUNK:
            self._hand_over()

    def _hand_over(self) -> None:
        self._queue.put(b"".join(self._small))
        self._small, self._waiting = [], 0

    def stop(self) -> None:
        """End the thread at once, whatever it has left to do."""
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    pass
            self._thread.join(0.01)

    def result(self) -> str:
        """The hash of all; empty where the part that was there could not be read."""
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        return self._machine.hexdigest() if self._whole else ""

    def _run(self) -> None:
        self._whole = self._begun()
        while not self._stopped and (data := self._queue.get()) is not None:
            self._machine.update(data)

    def _begun(self) -> bool:
        left = self._begin
        try:
            with atomic.open_regular(self._path) as stream:
                while left and not self._stopped and (data := stream.read(min(CHUNK, left))):
                    self._machine.update(data)
                    left -= len(data)
        except (OSError, StorageError):
            return False
        return not left


class _Flushing:
    """Brings what was written to the disk while more is received, so that the last sync has little left to do."""

    EVERY = 32 << 20

    def __init__(self, fd: int) -> None:
        self._fd, self._waiting = fd, 0
        self._thread: threading.Thread | None = None

    def written(self, count: int) -> None:
        self._waiting += count
        if self._waiting >= self.EVERY and not (self._thread and self._thread.is_alive()):
            self._waiting = 0
            self._thread = threading.Thread(target=self._flush, daemon=True, name="flush")
            self._thread.start()

    def stop(self) -> None:
        if self._thread:
            self._thread.join()

    def _flush(self) -> None:
        with contextlib.suppress(OSError):  # the sync before the rename will tell
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)


def _open_part(path: Path) -> int:
    """The part for writing; a link, a pipe or a folder in its place is refused without waiting. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "it is no plain file")
    return fd


def _need_room(folder: Path, needed: int) -> None:
    try:
        free = atomic.free_space(folder)
    except OSError as error:
        raise StorageError(f"{folder}: {atomic.reason(error)}") from None
    if free < needed:
        raise StorageError(f"the download needs {size(needed)} more, {size(free)} are free in {folder}")


def _size(path: Path) -> int:
    try:
        facts = os.lstat(path)
    except OSError:
        return 0
    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0


def _state_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        values = json.loads(atomic.read_regular(_state_of(part), 1 << 16))
    except (OSError, StorageError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _write_state(part: Path, values: dict[str, Any]) -> None:
    atomic.replace(_state_of(part), json.dumps(values).encode(), durable=False)


def _discard(part: Path) -> None:
    atomic.unlink_quietly(part)
    atomic.unlink_quietly(_state_of(part))


def _finish(part: Path, target: Path) -> None:
    try:
        with atomic.open_regular(part) as stream:
            os.fsync(stream.fileno())
        os.rename(part, target)
        atomic.fsync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot finish {target}: {atomic.reason(error)}") from None
    atomic.unlink_quietly(_state_of(part))
