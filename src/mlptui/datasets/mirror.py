"""Asking a mirror for a file, or for the rest of one.

urllib does proxies (from the environment) and TLS. Redirects are followed here, without reading what comes with them, and a
mirror has a limited time for all of its heads, however it spends it.
"""

import base64
import contextlib
import http.client
import math
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from mlptui.core.text import safe
from mlptui.version import __version__

STALL = 10.0  # seconds without a byte, connecting or reading
HEADS = 2.0  # times STALL that all heads of one request may take, redirects and all
REDIRECTS = 5
RETRY = (408, 425, 429)  # of the 4xx, those that may pass


class Refused(Exception):
    """The mirror did not give the file. `final`: it will not do better; otherwise it may be tried again."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Answer:
    """The body from byte `begin` on, of a file of `total` bytes (0: it does not say)."""

    response: Any
    watch: "Watch"
    begin: int
    total: int

    @property
    def etag(self) -> str:
        return str(self.response.headers.get("ETag", ""))

    def read(self, most: int) -> bytes:
        """Some bytes; none at the end, also at an early one. Raises Refused for what the network does."""
        try:
            with self.watch.within(HEADS * STALL):
                data: bytes = self.response.read1(most)
            return data
        except TimeoutError:
            raise Refused(f"no byte came for {STALL:.0f} s") from None
        except (http.client.HTTPException, OSError, ValueError) as error:
            if self.watch.expired:
                raise Refused(f"nothing of the file came for {HEADS * STALL:.0f} s") from None
            raise Refused(f"the connection broke ({_words(error)})") from None

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.response.close()
        self.watch.end()


def host(address: str) -> str:
    """Who is asked, as it may be shown: without a password, and safe."""
    try:
        parts = urlsplit(address)
        return safe((parts.hostname or address) + (f":{parts.port}" if parts.port else ""), 80)
    except ValueError:
        return safe(address.rpartition("@")[2], 80)


def get(address: str, start: int = 0, etag: str = "") -> Answer | None:
    """Ask for a file, or for what follows its byte `start` if it is still the one with this ETag.

    None where the mirror has nothing from there on. Raises Refused.
    """
    headers = {"User-Agent": f"mlptui/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
    watch = Watch()
    answer = None
    try:
        with watch.within(HEADS * STALL):
            response = _followed(address, headers, watch)
        answer = _judged(response, start, watch)
        return answer
    finally:
        if answer is None:
            watch.end()


def _followed(address: str, headers: dict[str, str], watch: "Watch") -> Any:
    """The answer that is no redirect."""
    for _ in range(REDIRECTS + 1):
        response = _open(_parts(address), headers, watch)
        if response.status not in (301, 302, 303, 307, 308):
            return response
        address = _next(address, response)
    raise Refused("it redirects in a circle, or too often", final=True)


def _judged(response: Any, start: int, watch: "Watch") -> Answer | None:
    code = response.status
    if code not in (200, 206):
        response.close()
        if code == 416:
            return None
        raise Refused(f"{code} {safe(response.reason, 60)}", final=400 <= code < 500 and code not in RETRY)
    recoded = response.headers.get("Content-Encoding", "identity").lower()
    if recoded not in ("identity", ""):
        response.close()
        raise Refused("it sends the file recoded although that was not asked for", final=True)
    if code == 200:
        return Answer(response, watch, 0, _number(response.headers.get("Content-Length", "")))
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    place, _, total = rest.partition("/")
    if unit != "bytes" or place.partition("-")[0] != str(start):
        response.close()
        return None
    return Answer(response, watch, start, _number(total))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 (raises for one that is no number)
    except ValueError:
        raise Refused("this is no address", final=True) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("the address is neither http nor https", final=True)
    return parts


def _next(address: str, response: Any) -> str:
    """Where a redirect leads. Only to http and https, and never from https to http."""
    where = response.headers.get("Location", "")
    response.close()
    if not where:
        raise Refused(f"{response.status} without saying where to", final=True)
    try:
        target = str(urljoin(address, where))
        scheme = urlsplit(target).scheme
    except ValueError:
        raise Refused("it redirects to what is no address", final=True) from None
    if scheme not in ("http", "https"):
        raise Refused(f"it redirects to {safe(where, 80)}, which is neither http nor https", final=True)
    if address.lower().startswith("https:") and scheme == "http":
        raise Refused("it redirects from https to http", final=True)
    return target


class _AsIs(urllib.request.HTTPErrorProcessor):
    """Every answer is an answer, whatever its code."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


class Watch:
    """Cuts connections off when one thing takes too long: a timeout of the socket begins anew with every byte."""

    def __init__(self) -> None:
        self.expired = False
        self._deadline = math.inf
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def note(self, connected: socket.socket) -> None:
        """Keep a handle of our own: TLS takes the first one over."""
        self._sockets.append(connected.dup())

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self._deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline = math.inf

    def end(self) -> None:
        self._over.set()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while not self._over.wait(STALL / 10):
            if time.monotonic() > self._deadline:
                self.expired = True
                for one in list(self._sockets):
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)


def _opener(watch: Watch) -> urllib.request.OpenerDirector:
    """Proxies, http and https, with every connection noted; no ftp, file or data addresses."""

    def noted(kind: Any) -> Callable[..., Any]:
        def make(*words: Any, **more: Any) -> Any:
            connection = kind(*words, **more)
            connect = connection._create_connection  # a hook of http.client since 3.3, before TLS and the proxy's tunnel

            def connected(*words: Any, **more: Any) -> Any:
                made = connect(*words, **more)
                watch.note(made)
                return made

            connection._create_connection = connected
            return connection

        return make

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> Any:
            return self.do_open(noted(http.client.HTTPConnection), request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> Any:
            return self.do_open(noted(http.client.HTTPSConnection), request, context=ssl.create_default_context())

    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), Http(), Https(), _AsIs(), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _open(parts: SplitResult, headers: dict[str, str], watch: Watch) -> Any:
    """The head of an answer. Raises Refused."""
    if parts.username:
        words = f"{parts.username}:{parts.password or ''}".encode()
        headers = {**headers, "Authorization": "Basic " + base64.b64encode(words).decode()}
    place = parts.netloc.rpartition("@")[2]
    try:
        request = urllib.request.Request(urlunsplit(parts._replace(netloc=place, fragment="")), headers=headers)
        return _opener(watch).open(request, timeout=STALL)
    except urllib.error.URLError as error:
        raise _of_connection(error.reason, watch) from None
    except (http.client.HTTPException, OSError, ValueError, UnicodeError) as error:
        raise _of_connection(error, watch) from None


def _of_connection(error: Any, watch: Watch) -> Refused:
    if watch.expired:
        return Refused(f"no whole answer within {HEADS * STALL:.0f} s")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(f"its certificate is not trusted: {safe(error.verify_message, 100)}", final=True)
    if isinstance(error, TimeoutError):
        return Refused(f"no answer within {STALL:.0f} s")
    if isinstance(error, socket.gaierror):
        return Refused("its name is not known here (is there a network?)")
    return Refused(f"no connection ({_words(error)})")


def _words(error: Any) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return safe(text, 120)
