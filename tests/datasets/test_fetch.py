"""Downloads from mirrors that misbehave: the right file, or one clear sentence; never a hang, never half a file."""

import errno
import gzip
import hashlib
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from datasets.server import (
    Answer,
    Certificate,
    Server,
    chunked,
    close,
    cut,
    cut_whole,
    drip,
    early_words,
    endless,
    endless_trailers,
    headed,
    raw,
    redirect,
    redirect_without_end,
    reset,
    serve,
    slow_head,
    stall,
    status,
    whole,
    within,
    wrong,
)

from mlptui.core.errors import DataError, MlptuiError, StorageError
from mlptui.datasets import fetch, mirror
from mlptui.datasets.catalog import ENTRIES
from mlptui.store import atomic

CONTENT = random.Random(7).randbytes(200_000)
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short patience, no proxies of the machine."""
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(mirror, "STALL", 0.4)
    monkeypatch.setattr(fetch, "PROGRESS", 1_000)
    monkeypatch.setattr(fetch, "BACKOFF", (0.0, 0.01))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(files={"/one/file": CONTENT, "/two/file": CONTENT}) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "downloads"
    made.mkdir()
    return made


def accept(path: Path, sha256: str) -> None:
    """What getting.py does: by the hash that came along, or by reading."""
    assert sha256 in ("", hashlib.sha256(path.read_bytes()).hexdigest())
    if path.read_bytes() != CONTENT:
        raise DataError("it is not the file")


@dataclass
class Bringing:
    """One download and what came of it."""

    server: Server
    folder: Path
    progress: fetch.Progress | None = None

    @property
    def target(self) -> Path:
        return self.folder / "file"

    @property
    def part(self) -> Path:
        return self.folder / "file.part"

    def has(self, data: bytes, **state: object) -> None:
        """An earlier process left this."""
        self.part.write_bytes(data)
        if state:
            self.part.with_name("file.part.json").write_text(json.dumps(state))

    def __call__(self, *paths: str, expected: int = SIZE, most: int = 2 * SIZE, seconds: float = 8.0) -> str:
        """The sentence of its failure, or nothing."""
        base = self.server.address
        addresses = [p if "://" in p else base + p for p in paths or ("one/file",)]

        def told(progress: fetch.Progress) -> None:
            self.progress = progress

        try:
            error = within(lambda: fetch.fetch(addresses, self.target, expected, most, accept, told), seconds)
        finally:
            self.server.release()
        sentence = "" if error is None else str(error)
        assert sentence.isprintable() and len(sentence) < 700
        left = set(os.listdir(self.folder))
        if error is None:
            assert left == {"file"} and self.target.read_bytes() == CONTENT
        else:
            assert sentence and left <= {"file.part", "file.part.json"}
        return sentence


@pytest.fixture
def bring(server: Server, folder: Path) -> Bringing:
    return Bringing(server, folder)


FOLDED = 'ETag: "a\r\n b"\r\n'
GOOD = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n"

# answers in turn, then a good mirror: all of these end in the right file
MENDED: dict[str, list[Answer]] = {
    "good": [],
    "cut in the middle": [cut(100_000)],
    "cut again and again": [cut(30_000)] * 6,
    "cut after the head": [cut(0)],
    "reset in the middle": [reset(100_000)],
    "reset after the head": [reset(0)],
    "stalls in the middle": [stall(50_000)],
    "stalls after the head": [stall(0)],
    "never answers": [stall(head=False)],
    "ends at once": [close],
    "500": [status(500)],
    "503 and 429": [status(503), status(429, Retry_After="1")],
    "408 and 425": [status(408), status(425)],
    "garbage instead of HTTP": [raw(b"\x00\xff\x1b[31m" * 100)],
    "an empty line": [raw(b"\r\n\r\n")],
    "half a status line": [raw(b"HTTP/1.")],
    "half a head": [raw(b"HTTP/1.1 200 OK\r\nContent-Len")],
    "an impossible status": [raw(b"HTTP/1.1 abc OK\r\n\r\n")],
    "headers without an end": [raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n")],
    "a header of a megabyte": [raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n")],
    "early words first": [raw(b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD.encode() + b"\r\n" + CONTENT)],
    "without a length": [headed(Content_Length=None)],
    "with a length that is none": [headed(Content_Length="many")],
    "with a negative length": [headed(Content_Length=-1)],
    "chunked": [chunked()],
    "chunked and cut": [chunked(cut_after=70_000)],
    "chunked with a wrong end": [chunked(end=b"zz\r\n")],
    "ignores the range": [cut(100_000), whole],
    "ignores the range and cuts": [cut(100_000), cut_whole(50_000), cut_whole(150_000), whole],
    "another range than asked for": [cut(100_000), headed(Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")],
    "a later range than asked for": [cut(100_000), headed(Content_Range=f"bytes 150000-{SIZE - 1}/{SIZE}")],
    "a smaller total": [cut(100_000), headed(Content_Range="bytes 100000-149999/150000", Content_Length=50_000)],
    "no range told": [cut(100_000), headed(Content_Range=None)],
    "no total told": [cut(100_000), headed(Content_Range=f"bytes 100000-{SIZE - 1}/*")],
    "a range in another unit": [cut(100_000), headed(Content_Range=f"rows 100000-{SIZE - 1}/{SIZE}")],
    "a range of nonsense": [cut(100_000), headed(Content_Range="\x1b[31m")],
    "416 where there is more": [cut(100_000), status(416)],
    "wrong bytes in the second half": [cut(100_000), wrong],
    "wrong bytes in the first half": [headed(Content_Length=SIZE, body_=bytes(100_000)), serve],
    "redirects elsewhere": [redirect("/two/file")],
    "redirects by a relative address": [redirect("../two/file")],
    "redirects by an address without a scheme": [lambda to: redirect(f"//{to.server.place}/two/file")(to)],
    "redirects three times": [redirect("/a"), redirect("/one/file"), redirect("/two/file")],
    "301, 303, 307 and 308": [redirect("/one/file", 301), redirect("/one/file", 303), redirect("/one/file", 307)],
    "with a length beyond counting": [headed(Content_Length="9" * 100)],
    "chunked with long trailers": [chunked(end=b"0\r\n" + b"X: y\r\n" * 500 + b"\r\n")],
    "a slow head": [slow_head(0.001)],
}

# answers to all requests: none of these gives the file
REFUSED: dict[str, tuple[Answer, str]] = {
    "401": (status(401, WWW_Authenticate="Basic realm=x"), "401"),
    "403": (status(403), "403"),
    "404": (status(404), "404"),
    "407": (status(407, Proxy_Authenticate="Basic realm=x"), "407"),
    "410": (status(410), "410"),
    "429": (status(429), "429"),
    "451 in colour": (raw(b"HTTP/1.1 451 \x1b[31mred\r\n\r\n"), "451 ␛"),
    "500": (status(500), "500"),
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "204 No Content"),
    "304": (raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "304"),
    "wrong bytes": (wrong, "it is not the file"),
    "a larger file": (headed(Content_Length=SIZE + 5), "it offers 200,005 bytes where 200,000 are right"),
    "a smaller file": (headed(Content_Length=SIZE - 5), "it offers 199,995 bytes where 200,000 are right"),
    "recoded": (headed(Content_Encoding="gzip", body_=gzip.compress(CONTENT)), "recoded"),
    "recoded doubly": (headed(Content_Encoding="br, gzip"), "recoded"),
    "without an end": (endless, "more than the 200,000 bytes"),
    "chunked without an end": (chunked(end=b"5\r\nabcde\r\n" * 9), "more than the 200,000 bytes"),
    "always cut at the head": (cut(0), "the connection ended at 0 of 200,000 bytes"),
    "always reset": (reset(0), "reset"),
    "always stalls": (stall(0), "no byte came"),
    "never answers": (stall(head=False), "no answer within"),
    "ends at once": (close, "no connection"),
    "garbage": (raw(b"\x1b]0;title\x07\xff\xfe\r\n\r\n"), "no connection"),
    "redirects in a circle": (redirect("/one/file"), "in a circle, or too often"),
    "redirects on and on": (
        lambda to: redirect(f"/one/file?{len(to.server.requests)}")(to),
        "in a circle, or too often",
    ),
    "redirects to ftp": (redirect("ftp://127.0.0.1/file"), "redirects to ftp://127.0.0.1/file, which is neither http nor"),
    "redirects to an impossible address": (redirect("http://[bad/"), "redirects to what is no address"),
    "redirects to an impossible port": (redirect("http://127.0.0.1:99999999/"), "this is no address"),
    "redirects to a space": (redirect("/a b\x7f"), "no connection|404"),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_goes_wrong_for_a_while_ends_in_the_right_file(bring: Bringing, case: str) -> None:
    bring.server.script("/one/file", *MENDED[case])
    bring.server.always("/a", redirect("/one/file"))
    assert bring("one/file", *(["two/file"] if case == "a smaller total" else [])) == ""


@pytest.mark.parametrize("case", MENDED)
def test_it_does_so_where_the_size_is_not_known(bring: Bringing, case: str) -> None:
    """Half a head is then the head of an empty file; this mirror is left out, and the next one has it."""
    bring.server.script("/one/file", *MENDED[case])
    bring.server.always("/a", redirect("/one/file"))
    assert bring("one/file", *(["two/file"] if case == "half a head" else []), expected=0) == ""


@pytest.mark.parametrize("case", REFUSED)
def test_what_stays_wrong_ends_in_one_sentence(bring: Bringing, case: str) -> None:
    answer, reason = REFUSED[case]
    bring.server.always("/one/file", answer)
    sentence = bring()
    assert sentence.startswith("file could not be downloaded. 127.0.0.1:")
    assert any(word in sentence for word in reason.split("|")), sentence


@pytest.mark.parametrize("case", REFUSED)
def test_the_next_mirror_has_it(bring: Bringing, case: str) -> None:
    bring.server.always("/one/file", REFUSED[case][0])
    assert bring("one/file", "two/file") == ""
    assert len(bring.server.asked("/two/file")) <= 2
    assert bring.progress is not None and bring.progress.failures


@pytest.mark.parametrize("case", REFUSED)
def test_the_next_mirror_has_it_where_the_size_is_not_known(bring: Bringing, case: str) -> None:
    bring.server.always("/one/file", REFUSED[case][0])
    assert bring("one/file", "two/file", expected=0) == ""


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("data:text/plain,hello", "data:text/plain,hello"),
        ("javascript:alert(1)", "javascript"),
        ("gopher://127.0.0.1/", "gopher"),
    ],
)
def test_a_redirect_to_another_scheme_is_refused(bring: Bringing, place: str, shown: str) -> None:
    bring.server.always("/one/file", redirect(place))
    assert "redirects" in bring()
    assert len(bring.server.requests) == 1


@pytest.mark.parametrize("place", ["file:///etc/passwd", "data:text/plain,hello"])
def test_the_sentence_names_the_scheme_that_was_refused(bring: Bringing, place: str) -> None:
    bring.server.always("/one/file", redirect(place))
    assert "neither http nor https" in bring()


def test_a_redirect_without_an_address_is_refused(bring: Bringing) -> None:
    bring.server.always("/one/file", redirect(None))
    assert "302 without saying where to" in bring()


def test_a_redirect_keeps_the_range(bring: Bringing) -> None:
    bring.has(CONTENT[:60_000])
    bring.server.always("/one/file", redirect("/two/file"))
    assert bring() == ""
    assert bring.server.starts("/two/file") == [60_000]


# what never ends by itself


def test_a_redirect_whose_page_never_ends_is_a_failure(bring: Bringing) -> None:
    bring.server.always("/one/file", redirect_without_end("/two/file"))
    assert bring("one/file", "two/file", seconds=3) == ""


def test_early_words_for_ever_are_a_failure(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DRIP_SECONDS", 0.5)
    bring.server.always("/one/file", early_words(0.05))
    assert bring("one/file", "two/file", seconds=3) == ""


def test_a_head_byte_by_byte_is_a_failure(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DRIP_SECONDS", 0.5)
    bring.server.always("/one/file", slow_head(0.1))
    assert bring("one/file", "two/file", seconds=3) == ""


def test_trailers_for_ever_are_a_failure(bring: Bringing) -> None:
    bring.server.always("/one/file", endless_trailers(0.05))
    assert bring("one/file", "two/file", seconds=3) == ""


def test_the_size_of_a_chunk_byte_by_byte_is_a_failure(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DRIP_SECONDS", 0.5)
    bring.server.always("/one/file", endless_trailers(0.05, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"))
    assert bring("one/file", "two/file", seconds=3) == ""


def test_a_proxy_that_never_ends_its_head_is_a_failure(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel for https is asked for before anything is said to the mirror."""
    bring.server.always("*", endless_trailers(0.05, b"HTTP/1.1 200 OK\r\n", b"x"))
    monkeypatch.setenv("https_proxy", bring.server.address)
    assert "no whole answer within" in bring("https://mirror.invalid/one/file", seconds=10)


def test_a_dripping_mirror_is_left_for_a_better_one(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DRIP_SECONDS", 0.3)
    bring.server.always("/one/file", drip(100, 0.05))
    assert bring("one/file", "two/file") == ""
    assert 100 <= bring.server.starts("/two/file")[0] <= 5_000
    assert bring.progress is not None and "too slow" in bring.progress.failures[0]


def test_a_slow_mirror_is_endured_where_it_is_the_only_one(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DRIP_SECONDS", 0.1)
    bring.server.script("/one/file", drip(20_000, 0.05))
    assert bring() == ""
    assert bring.server.starts("/one/file") == [0]


def test_a_mirror_that_never_gets_further_is_given_up(bring: Bringing) -> None:
    """It ignores the range and is cut now here, now there: never more than ROUNDS times in a row without progress."""
    cuts = [cut_whole(n) for n in (100_000, 120_000)]
    bring.server.script("/one/file", *cuts * 40)
    assert "the connection ended at" in bring()
    assert len(bring.server.requests) < 20


def test_a_wrong_file_that_always_comes_in_two_pieces_is_given_up(bring: Bringing) -> None:
    def half(to: object) -> None:
        code, headers, body = to.ranged()  # type: ignore[attr-defined]
        to.head(code, headers)  # type: ignore[attr-defined]
        to.send(bytes(min(len(body), 100_000)))  # type: ignore[attr-defined]

    bring.server.script("/one/file", *[half] * 60)
    assert "it is not the file" in bring()
    assert len(bring.server.requests) < 30


def test_a_mirror_that_gives_little_at_a_time_is_not_asked_at_full_speed(bring: Bringing) -> None:
    """One byte a connection would be 200,000 connections, as fast as the machine can."""
    bring.server.script("/one/file", *[cut(1)] * 300)
    bring()
    assert len(bring.server.requests) < 300


# resuming


def test_it_goes_on_at_the_byte_reached_on_the_next_mirror(bring: Bringing) -> None:
    bring.server.script("/one/file", cut(70_000))
    assert bring("one/file", "two/file") == ""
    assert bring.server.starts("/one/file") == [0] and bring.server.starts("/two/file") == [70_000]
    assert "if-range" not in bring.server.asked("/two/file")[0].headers  # another mirror's ETag means nothing there


def test_it_goes_from_mirror_to_mirror_for_as_long_as_there_is_progress(bring: Bringing) -> None:
    for path in ("/one/file", "/two/file"):
        bring.server.script(path, *[cut(20_000)] * 5)
    assert bring("one/file", "two/file") == ""
    starts = [r.start for r in bring.server.requests]
    assert starts == list(range(0, SIZE, 20_000))[: len(starts)]


def test_a_reset_keeps_the_bytes_that_came(bring: Bringing) -> None:
    bring.server.script("/one/file", stall(80_000))
    bring.server.always("/one/file", status(404))
    assert "404" in bring()
    assert bring.part.read_bytes() == CONTENT[:80_000]


def test_the_part_of_an_earlier_process_is_used(bring: Bringing) -> None:
    bring.has(CONTENT[:120_000])
    assert bring() == ""
    assert bring.server.starts("/one/file") == [120_000]
    assert bring.server.requests[0].sent == SIZE - 120_000


def test_a_part_is_resumed_under_the_etag_that_it_came_with(bring: Bringing) -> None:
    bring.server.script("/one/file", cut(70_000))
    bring.server.script("/one/file", status(404))
    assert "404" in bring()
    bring.server.released.clear()
    assert bring() == ""
    last = bring.server.requests[-1]
    assert last.start == 70_000 and last.headers["if-range"].startswith('"')


def test_the_file_changed_at_the_mirror_so_nothing_of_the_old_one_stays(bring: Bringing) -> None:
    bring.has(bytes(70_000), total=SIZE, address=bring.server.address + "one/file", etag='"old"')
    assert bring() == ""
    assert bring.server.requests[0].start == 70_000 and bring.server.requests[-1].sent == SIZE


@pytest.mark.parametrize("length", [1, SIZE // 2, SIZE - 1])
def test_a_corrupt_part_leads_to_one_fresh_download(bring: Bringing, length: int) -> None:
    bring.has(bytes(length))
    assert bring() == ""
    assert bring.server.starts("/one/file") == [length, 0]


@pytest.mark.parametrize("length", [SIZE + 1, 2 * SIZE + 1])
def test_a_part_that_is_too_long_leads_to_a_fresh_download(bring: Bringing, length: int) -> None:
    bring.has(bytes(length))
    assert bring() == ""
    assert bring("one/file", "two/file", expected=0) == "" if not bring.target.exists() else True


@pytest.mark.parametrize("length", [SIZE + 1, 2 * SIZE + 1])
def test_a_part_that_is_too_long_is_noticed_where_the_size_is_not_known(bring: Bringing, length: int) -> None:
    bring.has(bytes(length))
    assert bring("one/file", "two/file", expected=0) == ""


def test_a_whole_part_needs_no_connection(bring: Bringing) -> None:
    bring.has(CONTENT)
    assert bring() == ""
    assert not bring.server.requests


@pytest.mark.parametrize("paths", [("one/file",), ("one/file", "two/file")])
def test_a_whole_part_is_not_thrown_away_where_the_size_is_told_by_the_mirror_only(
    bring: Bringing, paths: tuple[str, ...]
) -> None:
    """Fashion-MNIST: killed between the last byte and the rename."""
    bring.has(CONTENT, total=SIZE, address=bring.server.address + "one/file", etag="")
    assert bring(*paths, expected=0) == ""
    assert sum(r.sent for r in bring.server.requests) == 0


def test_a_whole_part_of_wrong_bytes_is_replaced(bring: Bringing) -> None:
    bring.has(bytes(SIZE))
    assert bring() == ""
    assert bring.server.starts("/one/file") == [0]


@pytest.mark.parametrize("state", ["", "[]", "{", "null", '{"total": "x", "etag": 5}', "[" * 50_000, '{"total": -1}'])
def test_notes_beside_the_part_that_are_nonsense_do_no_harm(bring: Bringing, state: str) -> None:
    bring.has(CONTENT[:50_000])
    bring.part.with_name("file.part.json").write_text(state)
    assert bring() == ""


def test_an_etag_on_two_lines_does_not_end_all_resuming(bring: Bringing) -> None:
    bring.server.script("/one/file", raw((GOOD + FOLDED + "\r\n").encode() + CONTENT[:90_000]))
    assert bring() == ""
    assert bring.server.starts("/one/file")[:2] == [0, 90_000]


def test_a_part_of_unknown_size_is_resumed(bring: Bringing) -> None:
    """A mirror that gives no length and still knows ranges."""
    bring.server.script("/one/file", chunked(cut_after=70_000))
    assert bring(expected=0) == ""
    assert bring.server.starts("/one/file") == [0, 70_000]


@pytest.mark.parametrize("head", ["HTTP/1.1 206 Partial Content\r\nContent-Ra", "HTTP/1.1 416 No\r\n\r\n", "HTTP/1.1 2"])
def test_the_part_stays_until_something_better_begins(bring: Bringing, head: str) -> None:
    bring.has(CONTENT[:150_000], total=SIZE, address=bring.server.address + "one/file", etag="")
    bring.server.script("/one/file", raw(head.encode()))
    bring.server.always("/one/file", status(503))
    assert "503" in bring()
    assert bring.part.read_bytes() == CONTENT[:150_000]


def test_a_mirror_that_cannot_go_on_waits_for_one_that_can(bring: Bringing) -> None:
    bring.has(CONTENT[:150_000])
    bring.server.always("/one/file", whole)
    assert bring("one/file", "two/file") == ""
    assert bring.server.starts("/two/file") == [150_000]


def test_mirrors_that_cannot_go_on_give_the_file_anew(bring: Bringing) -> None:
    bring.has(CONTENT[:150_000])
    for path in ("/one/file", "/two/file"):
        bring.server.always(path, whole)
    assert bring("one/file", "two/file") == ""


@pytest.mark.parametrize("digits", [100, 5_000])
@pytest.mark.parametrize("header", ["Content_Length", "Content_Range"])
def test_numbers_beyond_counting_are_a_reason(bring: Bringing, header: str, digits: int) -> None:
    bring.has(CONTENT[:50_000])
    value = "9" * digits if header == "Content_Length" else f"bytes 50000-199999/{'9' * digits}"
    bring.server.always("/one/file", headed(**{header: value, "code_": 200 if header == "Content_Length" else 206}))
    assert bring("one/file", "two/file") == ""


# mirrors


def test_wrong_bytes_from_the_first_and_right_ones_from_the_second(bring: Bringing) -> None:
    bring.server.always("/one/file", wrong)
    assert bring("one/file", "two/file") == ""
    assert bring.server.starts("/two/file") == [0]


def test_each_mirror_that_failed_has_its_reason(folder: Path) -> None:
    with Server() as first, Server() as second, Server() as third:
        first.always("*", status(404))
        second.always("*", close)
        third.always("*", status(503))
        addresses = [s.address + "file" for s in (first, second, third)]
        error = within(lambda: fetch.fetch(addresses, folder / "file", SIZE, SIZE, accept, lambda _: None))
        sentence = str(error)
        assert sentence.isprintable()
        for server, reason in ((first, "404 So So|404 Not Found"), (second, "no connection"), (third, "503")):
            found = next(r for r in sentence.split(". ", 1)[1].split("; ") if r.startswith(server.place))
            assert any(word in found for word in reason.split("|"))
        assert len(first.requests) == 1 and len(third.requests) == fetch.ROUNDS
    assert os.listdir(folder) == []


def test_nobody_listens(bring: Bringing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "no connection (Connection refused)" in bring(f"http://127.0.0.1:{port}/file")


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/file", "file:///etc/passwd", "/etc/passwd", "data:,x", "gopher://x/"])
def test_other_addresses_than_http_are_refused(folder: Path, address: str) -> None:
    error = within(lambda: fetch.fetch([address], folder / "file", 0, SIZE, accept, lambda _: None))
    assert "the address is neither http nor https" in str(error)


@pytest.mark.parametrize(
    "address",
    [
        "http://[bad/file",
        "http://\x1b[31mred\x00/",
        "http://",
        "http://127.0.0.1:x/",
        "http://h st/",
        "http://é/ü",
    ],
)
def test_impossible_addresses_are_a_reason(folder: Path, address: str) -> None:
    error = within(lambda: fetch.fetch([address], folder / "file", 0, SIZE, accept, lambda _: None))
    assert isinstance(error, DataError) and str(error).isprintable()


def test_no_address_at_all(folder: Path) -> None:
    assert isinstance(within(lambda: fetch.fetch([], folder / "file", 0, SIZE, accept, lambda _: None)), DataError)


def test_https_comes_first(bring: Bringing) -> None:
    tried: list[str] = []

    def told(progress: fetch.Progress) -> None:
        tried.append(progress.mirror)

    with Server() as second:
        second.always("*", close)
        addresses = [bring.server.address + "one/file", f"https://{second.place}/file"]
        assert within(lambda: fetch.fetch(addresses, bring.target, SIZE, SIZE, accept, told)) is None
        assert tried[0] == second.place and tried[-1] == bring.server.place


def test_no_mirror_of_the_catalog_stands_before_an_https_one_of_its_set() -> None:
    for entry in ENTRIES.values():
        schemes = [urlsplit(m).scheme for m in entry.mirrors]
        assert schemes == sorted(schemes, reverse=True), entry.name


@pytest.mark.skipif(not Certificate.possible(), reason="no openssl here")
def test_https_works_and_an_unknown_certificate_is_a_reason(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    certificate = Certificate(tmp_path)

    def act(path: str) -> MlptuiError | None:
        return within(lambda: fetch.fetch([secure.address + path], folder / "file", SIZE, SIZE, accept, lambda _: None))

    with Server(files={"/file": CONTENT}, certificate=certificate.file) as secure:
        assert "its certificate is not trusted" in str(act("file"))
        monkeypatch.setenv("SSL_CERT_FILE", certificate.file)
        secure.always("/down", redirect(server.address + "one/file"))
        assert "it redirects from https to http" in str(act("down"))
        assert not server.requests
        secure.script("/file", cut(50_000))
        assert act("file") is None
        assert (folder / "file").read_bytes() == CONTENT and secure.starts("/file") == [0, 50_000]


# what is asked for


@pytest.mark.parametrize("case", ["good", "cut again and again", "redirects three times", "chunked"])
def test_no_recoding_is_asked_for_ever(bring: Bringing, case: str) -> None:
    bring.server.script("/one/file", *MENDED[case])
    bring.server.always("/a", redirect("/one/file"))
    assert bring() == ""
    for request in bring.server.requests:
        assert request.method == "GET" and request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"].startswith("mlptui/")
        assert not {"cookie", "authorization", "referer"} & set(request.headers)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_of_the_environment_is_used(bring: Bringing, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, bring.server.address)
    assert bring("http://mirror.invalid/one/file") == ""
    assert [r.target for r in bring.server.requests] == ["http://mirror.invalid/one/file"]


def test_a_proxy_is_used_for_resuming_too(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", bring.server.address)
    bring.server.script("/one/file", cut(50_000))
    assert bring("http://mirror.invalid/one/file") == ""
    assert bring.server.starts("/one/file") == [0, 50_000]


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_a_host_without_a_proxy_is_asked_itself(bring: Bringing, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with Server() as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv(name, "example.org,127.0.0.1")
        assert bring() == ""
        assert not proxy.requests and bring.server.requests[0].target == "/one/file"


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/", "http://[bad", "nonsense", "socks5://127.0.0.1:1/"])
def test_a_proxy_that_cannot_be_reached_is_a_reason(bring: Bringing, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("http_proxy", place)
    assert "could not be downloaded" in bring()


# the disk


def test_a_disk_without_room_is_said_before_the_first_byte(bring: Bringing, monkeypatch: pytest.MonkeyPatch) -> None:
    bring.has(CONTENT[:50_000])
    monkeypatch.setattr(atomic, "free_space", lambda _: 149_999)
    assert "the download needs 150 kB more, 150 kB are free in" in bring()
    assert bring.part.read_bytes() == CONTENT[:50_000]
    monkeypatch.setattr(atomic, "free_space", lambda _: 150_000)
    bring.server.released.clear()
    assert bring() == ""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_refuses_in_the_middle_keeps_the_part(bring: Bringing, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    original, room = atomic.write_all, [100_000]

    def write_all(fd: int, data: bytes) -> None:
        if len(data) > 1_000:  # not the notes beside the part
            original(fd, data[: max(0, room[0])])
            room[0] -= len(data)
            if room[0] < 0:
                raise OSError(code, os.strerror(code))
            return
        original(fd, data)

    monkeypatch.setattr(atomic, "write_all", write_all)
    sentence = bring("one/file", "two/file")
    assert f"cannot write {bring.part}: " in sentence and len(bring.server.requests) == 1
    kept = bring.part.read_bytes()
    assert 0 < len(kept) <= 100_000 and CONTENT.startswith(kept)
    monkeypatch.setattr(atomic, "write_all", original)
    bring.server.released.clear()
    assert bring() == ""
    assert bring.server.starts("/one/file") == [0, len(kept)]


@pytest.mark.parametrize("kind", ["symlink", "symlink to nothing", "fifo", "directory", "socket"])
def test_a_part_that_is_no_file_is_refused(folder: Path, tmp_path: Path, server: Server, kind: str) -> None:
    part, other = folder / "file.part", tmp_path / "precious"
    other.write_bytes(b"precious")
    if kind == "symlink":
        part.symlink_to(other)
    elif kind == "symlink to nothing":
        part.symlink_to(tmp_path / "nothing")
    elif kind == "fifo":
        os.mkfifo(part)
    elif kind == "directory":
        part.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(part))
    try:
        error = within(
            lambda: fetch.fetch([server.address + "one/file"], folder / "file", SIZE, SIZE, accept, lambda _: None), 3
        )
    finally:
        if kind == "fifo":
            os.close(os.open(part, os.O_RDONLY | os.O_NONBLOCK))  # lets a waiting writer go
    assert isinstance(error, StorageError) and str(error).isprintable()
    assert other.read_bytes() == b"precious" and not (tmp_path / "nothing").exists() and not (folder / "file").exists()


def test_a_folder_under_the_final_name_is_refused(bring: Bringing) -> None:
    bring.target.mkdir()
    error = within(lambda: fetch.fetch([bring.server.address + "one/file"], bring.target, SIZE, SIZE, accept, lambda _: None))
    assert isinstance(error, StorageError)


def test_a_folder_that_is_gone_is_a_sentence(bring: Bringing, tmp_path: Path) -> None:
    place = tmp_path / "gone" / "file"
    error = within(lambda: fetch.fetch([bring.server.address + "one/file"], place, SIZE, SIZE, accept, lambda _: None))
    assert isinstance(error, StorageError) and "it is not there" in str(error)


# a cancel


def test_a_cancel_while_a_long_part_is_hashed_ends_within_a_second(bring: Bringing) -> None:
    """2.6 GB of STL-10 are hashed from the beginning when their download goes on; a cancel does not wait for that."""
    total, reached = 2 << 30, (2 << 30) - 100
    with bring.part.open("wb") as stream:
        os.truncate(stream.fileno(), reached)
    answer = headed(code_=206, Content_Length=100, Content_Range=f"bytes {reached}-{total - 1}/{total}", body_=b"x" * 10)
    bring.server.script("/one/file", answer)
    begun: list[float] = []

    class Cancelled(BaseException):
        pass

    def told(progress: fetch.Progress) -> None:
        if progress.done > reached:
            begun.append(time.monotonic())
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch.fetch([bring.server.address + "one/file"], bring.target, total, total, accept, told)
    assert time.monotonic() - begun[0] < 1
