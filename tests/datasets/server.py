"""A mirror on this machine that misbehaves as it is told: `with Server(folder) as server: server.script("/a.gz", cut(100))`.

Every request to a path takes the next answer of its script; without one the file is served as a good mirror does, with
Range, ETag and If-Range. A request for an absolute address is answered as a proxy would. All requests are recorded.
"""

import hashlib
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from mlptui.core.errors import MlptuiError

Found = TypeVar("Found")

CHUNK = 1 << 16
WORDS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "Range Not Satisfiable"}


@dataclass
class Request:
    """What a client sent. Header names are in lower case; `start` is where its Range begins, 0 without one."""

    method: str
    target: str
    headers: dict[str, str]
    sent: int = 0  # bytes of the body that went out

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def start(self) -> int:
        unit, _, rest = self.headers.get("range", "").partition("=")
        first = rest.partition("-")[0]
        return int(first) if unit == "bytes" and first.isdecimal() else 0


Answer = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request and the means to answer it."""

    server: "Server"
    connection: socket.socket
    request: Request

    @property
    def content(self) -> bytes:
        return self.server.content(self.request.path)

    @property
    def etag(self) -> str:
        return '"' + hashlib.sha256(self.content).hexdigest()[:16] + '"'

    def head(self, code: int, headers: Mapping[str, object]) -> None:
        lines = [f"HTTP/1.1 {code} {WORDS.get(code, 'So So')}", *(f"{k}: {v}" for k, v in headers.items())]
        self.send("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"), body=False)

    def send(self, data: bytes, body: bool = True) -> None:
        view = memoryview(data)
        while view:
            piece = view[:CHUNK]
            self.connection.sendall(piece)
            self.request.sent += len(piece) if body else 0
            view = view[len(piece) :]

    def wait(self, seconds: float | None = None) -> bool:
        """Until the client is gone or the server closes (False), or the time is over or all are released (True)."""
        server = self.server
        if server.released.is_set():
            return True
        found, _, _ = select.select([self.connection, server.wake], [], [], seconds)
        return server.released.is_set() or not found

    def ranged(self) -> tuple[int, dict[str, object], bytes]:
        """What a good mirror answers: status, headers and body."""
        content, request = self.content, self.request
        headers: dict[str, object] = {"ETag": self.etag, "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        start = request.start
        if "range" not in request.headers or request.headers.get("if-range", self.etag) != self.etag:
            return 200, headers | {"Content-Length": len(content)}, content
        if start >= len(content):
            return 416, headers | {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0}, b""
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return 206, headers | {"Content-Range": place, "Content-Length": len(content) - start}, content[start:]

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Server:
    """Serves the files below `folder`, or `files` by path, from 127.0.0.1 in threads of this process."""

    def __init__(self, folder: Path | None = None, files: Mapping[str, bytes] | None = None, certificate: str = "") -> None:
        self.folder, self.files = folder, dict(files or {})
        self.requests: list[Request] = []
        self.scripts: dict[str, list[Answer]] = {}
        self.standing: dict[str, Answer] = {}
        self.released = threading.Event()
        self.wake, self._waker = os.pipe()
        self._guard = threading.Lock()
        self._arrived = threading.Condition(self._guard)
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True, name="mirror")
        self._accepting.start()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def address(self) -> str:
        return f"{'https' if self._context else 'http'}://{self.place}/"

    def script(self, path: str, *answers: Answer) -> None:
        """Answers to the next requests for `path` (`*`: for any), one each; afterwards it is served well again."""
        with self._guard:
            self.scripts.setdefault(path, []).extend(answers)

    def always(self, path: str, answer: Answer) -> None:
        """The answer to all requests for `path` (`*`: for any) that no script has an answer to."""
        with self._guard:
            self.standing[path] = answer

    def content(self, path: str) -> bytes:
        """Raises KeyError."""
        if path not in self.files:
            if self.folder is None or not (file := self.folder / path.lstrip("/")).is_file():
                raise KeyError(path)
            self.files[path] = file.read_bytes()
        return self.files[path]

    def asked(self, path: str) -> list[Request]:
        """The requests for a path so far."""
        with self._guard:
            return [r for r in self.requests if r.path == path]

    def starts(self, path: str) -> list[int]:
        """Where each request for a path began."""
        return [r.start for r in self.asked(path)]

    def until_requests(self, count: int, seconds: float = 20) -> None:
        """Wait for so many requests in all."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, seconds):
                raise AssertionError(f"{len(self.requests)} requests came, not {count}")

    def release(self) -> None:
        """Let all that stall or drip end now."""
        self.released.set()
        os.write(self._waker, b".")

    def close(self) -> None:
        self.release()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)
        os.close(self.wake)
        os.close(self._waker)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._threads = [t for t in self._threads if t.is_alive()]
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True, name="connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(30)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                request = _read(connection)
                if request:
                    self._answer(request)(Exchange(self, connection, request))
        except OSError:
            connection.close()  # the client is gone, or the answer was to go

    def _answer(self, request: Request) -> Answer:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            for path in (request.path, "*"):
                if self.scripts.get(path):
                    return self.scripts[path].pop(0)
            return self.standing.get(request.path) or self.standing.get("*") or serve


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(CHUNK)
        if not piece:
            return None
        data += piece
    first, *lines = data.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers)


# answers


def serve(to: Exchange) -> None:
    """As a good mirror does."""
    try:
        code, headers, body = to.ranged()
    except KeyError:
        status(404)(to)
        return
    to.head(code, headers)
    to.send(body)


def status(code: int, body: bytes = b"no", **headers: object) -> Answer:
    def answer(to: Exchange) -> None:
        to.head(code, {"Content-Length": len(body), **headers})
        to.send(body)

    return answer


def cut(after: int) -> Answer:
    """A good head, then only so many bytes and a clean end."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        to.head(code, headers)
        to.send(body[:after])

    return answer


def reset(after: int) -> Answer:
    def answer(to: Exchange) -> None:
        cut(after)(to)
        to.reset()

    return answer


def stall(after: int = 0, head: bool = True) -> Answer:
    """So many bytes of the body (or not even a head), and then nothing until the client goes or all are released."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        if head:
            to.head(code, headers)
            to.send(body[:after])
        if to.wait():
            to.send(body[after:])

    return answer


def drip(size: int, seconds: float) -> Answer:
    """So many bytes at a time, at once again when all are released."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        to.head(code, headers)
        for begin in range(0, len(body), size):
            to.send(body[begin : begin + size])
            if not to.wait(seconds):
                return

    return answer


def headed(**changes: object) -> Answer:
    """A good answer with headers changed (`Content_Length=5`); None leaves one out. `body_`, `code_`: those changed."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        for name, value in changes.items():
            if not name.endswith("_"):
                headers[name.replace("_", "-")] = value
        to.head(int(str(changes.get("code_", code))), {k: v for k, v in headers.items() if v is not None})
        given = changes.get("body_", body)
        assert isinstance(given, bytes)
        to.send(given)

    return answer


def chunked(size: int = 7_000, cut_after: int = 0, end: bytes = b"0\r\n\r\n") -> Answer:
    """Transfer-Encoding: chunked without a length, perhaps cut after so many bytes."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        headers.pop("Content-Length")
        to.head(code, headers | {"Transfer-Encoding": "chunked"})
        for begin in range(0, cut_after or len(body), size):
            piece = body[begin : begin + size]
            to.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        if not cut_after:
            to.send(end)

    return answer


def whole(to: Exchange) -> None:
    """200 and all of it, whatever range was asked for."""
    to.head(200, {"Content-Length": len(to.content)})
    to.send(to.content)


def cut_whole(after: int) -> Answer:
    """200 and the beginning of it, whatever range was asked for."""

    def answer(to: Exchange) -> None:
        to.head(200, {"Content-Length": len(to.content)})
        to.send(to.content[:after])

    return answer


def wrong(to: Exchange) -> None:
    """As a good mirror does, but with other bytes."""
    code, headers, body = to.ranged()
    to.head(code, headers | {"ETag": '"other"'})
    to.send(bytes(b ^ 0x5A for b in body))


def endless(to: Exchange) -> None:
    """Bytes without an end and without a length."""
    to.head(200, {})
    while to.wait(0) and not to.server.released.is_set():
        to.send(bytes(CHUNK))


def redirect(address: str | None, code: int = 302, body: bytes = b"over there") -> Answer:
    place = {} if address is None else {"Location": address}
    return status(code, body, **place)


def redirect_without_end(address: str, seconds: float = 0.05) -> Answer:
    """A redirect whose body drips for ever."""

    def answer(to: Exchange) -> None:
        to.head(302, {"Location": address})
        while to.wait(seconds) and not to.server.released.is_set():
            to.send(b".")

    return answer


def raw(data: bytes) -> Answer:
    """These very bytes, and the end."""
    return lambda to: to.send(data)


def slow_head(seconds: float) -> Answer:
    """The head of a good answer byte by byte."""

    def answer(to: Exchange) -> None:
        code, headers, body = to.ranged()
        text = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        for byte in f"HTTP/1.1 {code} Slow\r\n{text}\r\n".encode():
            to.send(bytes([byte]), body=False)
            if not to.wait(seconds):
                return
        to.send(body)

    return answer


def early_words(seconds: float) -> Answer:
    """`100 Continue` again and again, never an answer."""

    def answer(to: Exchange) -> None:
        while to.wait(seconds) and not to.server.released.is_set():
            to.send(b"HTTP/1.1 100 Continue\r\n\r\n", body=False)

    return answer


def endless_trailers(
    seconds: float, begin: bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", then: bytes = b"X: y\r\n"
) -> Answer:
    """A good beginning, and then the same again and again."""

    def answer(to: Exchange) -> None:
        to.send(begin, body=False)
        while to.wait(seconds) and not to.server.released.is_set():
            to.send(then, body=False)

    return answer


def close(to: Exchange) -> None:
    """Nothing at all."""


# what tests of downloads share


def defect(reason: str) -> pytest.MarkDecorator:
    """A fault of the program that is known; the test says so as soon as it is mended."""
    return pytest.mark.xfail(strict=True, reason=reason)


def within(act: Callable[[], object], seconds: float = 8.0) -> MlptuiError | None:
    """The error of `act`, which must end in this time. Any other error than a sentence is a failure here."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            act()
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"no end within {seconds:g} s"
    error = outcome[0]
    assert error is None or isinstance(error, MlptuiError), repr(error)
    return error


def eventually(condition: Callable[[], Found], what: str = "it", seconds: float = 30.0) -> Found:
    """What `condition` gives as soon as that is true; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


# certificates


@dataclass
class Certificate:
    """A certificate for 127.0.0.1 that nobody trusts but who is told to (`SSL_CERT_FILE`)."""

    folder: Path
    file: str = field(init=False)

    def __post_init__(self) -> None:
        key, made = self.folder / "key.pem", self.folder / "cert.pem"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
        subprocess.run(["openssl", *words.split(), *names], check=True, capture_output=True)
        made.write_bytes(made.read_bytes() + key.read_bytes())
        self.file = str(made)

    @staticmethod
    def possible() -> bool:
        return shutil.which("openssl") is not None
