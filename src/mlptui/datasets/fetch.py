"""One file over http, from several mirrors, resumed at the byte reached.

urllib does proxies (from the environment), redirects and TLS; everything that decides is here. Bytes go to `NAME.part`;
beside it `NAME.part.json` keeps what is needed to go on: the total size, and the mirror and ETag that the bytes came from.
"""

import hashlib
import http.client
import json
import os
import queue
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from mlptui.core.errors import DataError, StorageError
from mlptui.core.text import safe, size
from mlptui.store import atomic
from mlptui.version import __version__

STALL = 10.0  # seconds without a byte, connecting or reading
REDIRECTS = 5
ROUNDS = 4  # times that every mirror is tried without one byte of progress
CHUNK = 1 << 20
MOST = 16 << 30
DRIP_SECONDS, DRIP_RATE = 30.0, 20 * 1024  # slower than this for so long, and another mirror is tried
FLOOR_RATE = 512  # below this even the last mirror has failed
BACKOFF = (0.0, 0.5, 1.0, 2.0)


@dataclass
class Progress:
    """How one file stands. `failures` has one sentence a failed attempt, the newest last."""

    name: str
    done: int = 0
    total: int = 0
    mirror: str = ""
    failures: list[str] = field(default_factory=list)


class Failed(DataError):
    """No mirror gave the file; the sentence has one reason a mirror. What was received stays for the next try."""


class _Attempt(Exception):
    """This try failed. `final`: this mirror will not do better; otherwise it may be tried again."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


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
    left = sorted(dict.fromkeys(addresses), key=lambda a: urlsplit(a).scheme != "https")
    progress = Progress(target.name, 0, expected)
    reasons: dict[str, str] = {}
    fruitless = 0
    while left and fruitless < ROUNDS:
        time.sleep(BACKOFF[min(fruitless, len(BACKOFF) - 1)])
        reached = _size(part)
        for address in list(left):
            progress.mirror = urlsplit(address).netloc
            try:
                patient = len(left) > 1 and not fruitless
                whole, sha256 = _Try(address, part, expected, most or MOST, progress, told, len(left) == 1, patient).receive()
                try:
                    verify(part, sha256)
                except DataError as error:
                    _discard(part)
                    raise _Attempt(str(error), final=whole) from None
                _finish(part, target)
                return
            except _Attempt as error:
                reasons[address] = safe(error, 200)
                progress.failures.append(f"{progress.mirror}: {reasons[address]}")
                if error.final:
                    left.remove(address)
                told(progress)
        fruitless = 0 if _size(part) > reached else fruitless + 1
    told_reasons = "; ".join(f"{urlsplit(a).netloc}: {r}" for a, r in reasons.items())
    raise Failed(f"{target.name} could not be downloaded. {told_reasons}")


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
            return self._go_on()
        except _Unresumable:
            if self.patient:
                raise _Attempt("it cannot go on in the middle of the file") from None
        _discard(self.part)
        try:
            return self._go_on()
        except _Unresumable:
            raise _Attempt("it contradicts itself about the size of the file", final=True) from None

    def _go_on(self) -> tuple[bool, str]:
        start, known, progress = _size(self.part), _read_state(self.part), self.progress
        if self.expected and start == self.expected:
            progress.done = start
            return False, ""
        if start > (self.expected or self.most):
            raise _Unresumable
        with _open(self.address, start, known) as response:
            fresh = bool(response.status != 206)
            total = _total(response)
            if self.expected and total and total != self.expected:
                raise _Attempt(f"it offers {total:,} bytes where {self.expected:,} are right", final=True)
            if total > self.most:
                raise _Attempt(f"it offers {total:,} bytes where at most {self.most:,} are right", final=True)
            if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
                raise _Attempt("it sends the file recoded although that was not asked for", final=True)
            if start and (self.patient if fresh else total != known.get("total", total) or not _begins_at(response, start)):
                raise _Unresumable
            begin = 0 if fresh else start
            total = total or self.expected
            _need_room(self.part.parent, total - begin)
            _write_state(self.part, {"total": total, "address": self.address, "etag": response.headers.get("ETag", "")})
            progress.total, progress.done = total, begin
            self.told(progress)
            sha256 = self._copy(response, begin, total or self.most)
        if total and progress.done < total:
            raise _Attempt(f"the connection ended at {progress.done:,} of {total:,} bytes")
        return fresh, sha256

    def _copy(self, response: Any, begin: int, most: int) -> str:
        slowest = FLOOR_RATE if self.alone else DRIP_RATE
        try:
            fd = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"cannot write {self.part}: {atomic.reason(error)}") from None
        watched, counted = time.monotonic(), 0
        hashing = _Hashing(self.part, begin)
        try:
            os.ftruncate(fd, begin)
            os.lseek(fd, begin, os.SEEK_SET)
            while data := _read(response):
                if self.progress.done + len(data) > most:
                    raise _Attempt(f"it sends more than the {most:,} bytes that are right", final=True)
                hashing.feed(data)
                atomic.write_all(fd, data)
                self.progress.done += len(data)
                counted += len(data)
                now = time.monotonic()
                if now - watched >= DRIP_SECONDS:
                    if counted < slowest * (now - watched):
                        raise _Attempt(f"too slow: {size(counted / (now - watched))} a second")
                    watched, counted = now, 0
                self.told(self.progress)
            return hashing.result()
        except OSError as error:
            raise StorageError(f"cannot write {self.part}: {atomic.reason(error)}") from None
        finally:
            hashing.end()
            os.close(fd)


class _Hashing:
    """SHA-256 of a file while it is received, in a thread: first of the part that is there, then of what is fed."""

    AHEAD = 64

    def __init__(self, path: Path, begin: int) -> None:
        self._machine, self._path, self._begin = hashlib.sha256(), path, begin
        self._whole = False
        self._queue: queue.Queue[bytes | None] = queue.Queue(self.AHEAD)
        self._thread = threading.Thread(target=self._run, daemon=True, name="hash")
        self._thread.start()

    def feed(self, data: bytes) -> None:
        self._queue.put(data)

    def end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def result(self) -> str:
        """The hash of all; empty where the part that was there could not be read."""
        self.end()
        return self._machine.hexdigest() if self._whole else ""

    def _run(self) -> None:
        self._whole = self._begun()
        while (data := self._queue.get()) is not None:
            self._machine.update(data)

    def _begun(self) -> bool:
        left = self._begin
        try:
            with atomic.open_regular(self._path) as stream:
                while left and (data := stream.read(min(CHUNK, left))):
                    self._machine.update(data)
                    left -= len(data)
        except (OSError, StorageError):
            return False
        return not left


def _read(response: Any) -> bytes:
    """Some bytes; none at the end, also at an early one. Raises _Attempt for what the network does."""
    try:
        data: bytes = response.read1(CHUNK)
        return data
    except TimeoutError:
        raise _Attempt(f"no byte came for {STALL:.0f} s") from None
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise _Attempt(f"the connection broke ({_words(error)})") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """At most a few redirects, only to http and https, and never from https back to http."""

    max_redirections = REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise _Attempt(f"it redirects to {safe(newurl, 80)}, which is neither http nor https", final=True)
        if urlsplit(req.full_url).scheme == "https" and scheme == "http":
            raise _Attempt("it redirects from https to http", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Proxies from the environment, http, https, redirects; no ftp, file or data addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _open(address: str, start: int, known: dict[str, Any]) -> Any:
    """The mirror's answer, with the range from `start` on if it has one. Raises _Attempt."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise _Attempt("the address is neither http nor https", final=True)
    headers = {"User-Agent": f"mlptui/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        etag = str(known.get("etag", ""))
        if etag and not etag.startswith("W/") and known.get("address") == address:
            headers["If-Range"] = etag
    try:
        request = urllib.request.Request(address, headers=headers)
        return _opener().open(request, timeout=STALL)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            raise _Unresumable from None
        if error.code in (301, 302, 303, 307, 308):
            raise _Attempt("it redirects in a circle, or too often", final=True) from None
        gone = 400 <= error.code < 500 and error.code not in (408, 425, 429)
        raise _Attempt(f"{error.code} {safe(error.reason, 60)}", final=gone) from None
    except urllib.error.URLError as error:
        raise _of_connection(error.reason) from None
    except (http.client.HTTPException, OSError, ValueError, UnicodeError) as error:
        raise _of_connection(error) from None


def _of_connection(error: Any) -> _Attempt:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _Attempt(f"its certificate is not trusted: {safe(error.verify_message, 100)}", final=True)
    if isinstance(error, TimeoutError):
        return _Attempt(f"no answer within {STALL:.0f} s")
    if isinstance(error, socket.gaierror):
        return _Attempt("its name is not known here (is there a network?)")
    return _Attempt(f"no connection ({_words(error)})")


def _words(error: Any) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return safe(text, 120)


def _total(response: Any) -> int:
    """The size of the whole file as the answer has it; 0 where it does not say."""
    if response.status == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = response.headers.get("Content-Length", "")
    return int(total) if total.isascii() and total.isdecimal() else 0


def _begins_at(response: Any, start: int) -> bool:
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    return bool(unit == "bytes" and rest.partition("-")[0] == str(start))


def _need_room(folder: Path, needed: int) -> None:
    try:
        free = atomic.free_space(folder)
    except OSError as error:
        raise StorageError(f"{folder}: {atomic.reason(error)}") from None
    if free < needed:
        raise StorageError(f"the download needs {size(needed)} more, {size(free)} are free in {folder}")


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _state_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        values = json.loads(atomic.read_regular(_state_of(part), 1 << 16))
    except (OSError, StorageError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _write_state(part: Path, values: dict[str, Any]) -> None:
    try:
        atomic.replace(_state_of(part), json.dumps(values).encode(), durable=False)
    except OSError as error:
        raise StorageError(f"cannot write beside {part}: {atomic.reason(error)}") from None


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
