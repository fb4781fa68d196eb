"""A file that only grows, by whole records, and that never makes its writer wait or fail."""

import os
import threading
from collections import deque
from pathlib import Path

from mlptui.store.atomic import reason

WAITING_LIMIT = 100_000


class AppendFile:
    """Appends records; what the disk refuses waits in memory, in order, until it is taken.

    A short or failed write is cut off again, so the file always ends with a whole record. `trouble` is the sentence of
    the last failure, empty while all is well; `waiting` the number of records not yet written; `lost` those beyond the cap.
    Thread-safe; no method raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self.lost = 0
        self.waiting = 0
        self._queue: deque[tuple[bytes, int]] = deque()
        self._unsynced = False
        self._torn = False
        self._lock = threading.Lock()
        self._syncing = threading.Lock()  # taken before _lock; only its holder replaces the descriptor
        self._fd = self._open(os.O_CREAT)
        self._good = os.fstat(self._fd).st_size

    def append(self, data: bytes, records: int = 1) -> bool:
        """Queue `data`, whole records, and write what waits. True when nothing waits any more."""
        with self._lock:
            if self.waiting + records > WAITING_LIMIT:
                self.lost += records
            else:
                self._queue.append((data, records))
                self.waiting += records
            return self._drain()

    def flush(self) -> bool:
        with self._lock:
            return self._drain()

    def sync(self) -> bool:
        """Write what waits and make it durable. A failed fsync is never repeated on the same descriptor."""
        with self._syncing:
            with self._lock:
                if not self._drain():
                    return False
                if not self._unsynced:
                    return True
                self._unsynced = False
            try:
                os.fsync(self._fd)  # without the lock: whoever appends must not wait for the disk
            except OSError as error:
                with self._lock:
                    self._unsynced = True
                    self.trouble = reason(error)
                    self._reopen()
                return False
            with self._lock:
                if not self._queue:
                    self.trouble = ""
            return True

    def close(self) -> None:
        self.sync()
        with self._syncing, self._lock:
            self._close()

    def _open(self, create: int = 0) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | create, 0o600)

    def _reopen(self) -> None:
        try:
            fresh = self._open()
        except OSError:
            return
        self._close()
        self._fd = fresh

    def _close(self) -> None:
        try:
            os.close(self._fd)
        except OSError as error:  # the descriptor is gone all the same; close(2) on Linux
            self.trouble = reason(error)

    def _drain(self) -> bool:
        """Write all that waits at once, or where that does not fit batch by batch."""
        if len(self._queue) > 1 and self._write(b"".join(part for part, _ in self._queue)):
            self._queue.clear()
            self.waiting = 0
        while self._queue and self._write(self._queue[0][0]):
            self.waiting -= self._queue.popleft()[1]
        return not self._queue

    def _write(self, data: bytes) -> bool:
        """Write `data` as a whole. A part of it that went out is cut off before anything else is written."""
        try:
            if self._torn:
                os.ftruncate(self._fd, self._good)
            self._torn = True
            if os.write(self._fd, data) == len(data):
                self._torn = False
                self._good += len(data)
                self._unsynced = True
                self.trouble = ""
                return True
            self.trouble = "the disk is full"
        except OSError as error:
            self.trouble = reason(error)
        try:
            os.ftruncate(self._fd, self._good)
            self._torn = False
        except OSError:
            pass
        return False
