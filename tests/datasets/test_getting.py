"""Sets of the catalog from mirrors: in this process, and by the real worker, killed, cancelled and started twice at once."""

import gzip
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets.server import Server, cut, drip, eventually, reset, serve, stall, status, within, wrong

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, checking, fetch, getting, jobs, library, trusted
from mlptui.datasets.catalog import ENTRIES, SAMPLE, SAMPLE_FOLDER
from mlptui.datasets.entry import File
from mlptui.datasets.prepared import Writer
from mlptui.launch import data, process
from mlptui.store import atomic
from mlptui.store.paths import Paths

Counts = Callable[[int, int], int]
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12 and later


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short patience in this process, no proxies of the machine in any."""
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("mlptui.datasets.mirror.STALL", 0.4)
    monkeypatch.setattr(fetch, "PROGRESS", 1_000)
    monkeypatch.setattr(fetch, "BACKOFF", (0.0, 0.01))


# in this process


NAME = "little"
SAMPLE_FILES = [f"{f.name}.gz" for f in ENTRIES[SAMPLE].files]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A mirror of the catalog's only one; the set `little` is the sample."""
    packed = {name: (SAMPLE_FOLDER / name).read_bytes() for name in SAMPLE_FILES}
    files = tuple(
        File(n, len(d), hashlib.md5(d).hexdigest(), hashlib.sha256(d).hexdigest(), f.content)
        for (n, d), f in zip(packed.items(), ENTRIES[SAMPLE].files, strict=True)
    )
    known = replace(ENTRIES["fashion-mnist"], name=NAME, train_size=6_000, test_size=1_000, files=files)
    with Server(files={f"/a/{n}": d for n, d in packed.items()} | {f"/b/{n}": d for n, d in packed.items()}) as server:
        mirrors = (f"{server.address}a/", f"{server.address}b/")
        monkeypatch.setitem(catalog.ENTRIES, NAME, replace(known, mirrors=mirrors))
        yield server


def change(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Say of all files less than is known."""
    entry = ENTRIES[NAME]
    files = tuple(replace(f, **values) for f in entry.files)  # type: ignore[arg-type]
    monkeypatch.setitem(catalog.ENTRIES, NAME, replace(entry, files=files))


def came(paths: Paths, mirror: str = "") -> None:
    """Download the set; it is whole and nothing else is left."""
    assert within(lambda: getting.download(paths, NAME, mirror), 20) is None
    whole_set(paths)


def whole_set(paths: Paths) -> None:
    data, sample = library.load(paths, NAME), library.load(paths, SAMPLE)
    assert np.array_equal(data.train.inputs, sample.train.inputs) and np.array_equal(data.test.targets, sample.test.targets)
    assert set(os.listdir(paths.datasets)) - {"known-hashes.json"} == {NAME, ".jobs", ".downloads"}
    assert os.listdir(paths.datasets / ".downloads") == []


def refused(paths: Paths, mirror: str = "", seconds: float = 20) -> str:
    error = within(lambda: getting.download(paths, NAME, mirror), seconds)
    sentence = str(error)
    assert error is not None and sentence.isprintable()
    assert not (paths.datasets / NAME).exists()
    job = jobs.read(paths, NAME)
    assert job is not None and job.error == sentence and job.ended
    return sentence


def test_a_set_is_downloaded_and_decoded(paths: Paths, mirror: Server) -> None:
    came(paths)
    assert [r.path for r in mirror.requests] == [f"/a/{n}" for n in SAMPLE_FILES]
    job = jobs.read(paths, NAME)
    assert job is not None and (job.phase, job.error) == ("done", "") and job.ended >= job.began
    came(paths)
    assert len(mirror.requests) == 4  # it is here already


def test_a_set_comes_from_two_broken_mirrors_together(paths: Paths, mirror: Server) -> None:
    for name in SAMPLE_FILES:
        mirror.always(f"/a/{name}", status(503))
        mirror.script(f"/b/{name}", cut(200), reset(100))
    came(paths)


def test_what_a_failure_left_is_used_by_the_next_try(paths: Paths, mirror: Server) -> None:
    for place in "ab":
        mirror.script(f"/{place}/{SAMPLE_FILES[0]}", *[cut(200_000)] * 2)
        mirror.always(f"/{place}/{SAMPLE_FILES[0]}", status(404))
    assert "404" in refused(paths)
    state = library.state(paths, NAME)
    assert state.kind == library.PARTLY and 0 < state.share < 1
    kept = catalog.downloads(paths, ENTRIES[NAME]) / f"{SAMPLE_FILES[0]}.part"
    assert kept.stat().st_size == 800_000
    for place in "ab":
        mirror.always(f"/{place}/{SAMPLE_FILES[0]}", serve)
    came(paths)
    assert mirror.starts(f"/a/{SAMPLE_FILES[0]}")[-1] == 800_000


def test_wrong_bytes_from_one_mirror_and_right_ones_from_the_other(paths: Paths, mirror: Server) -> None:
    for name in SAMPLE_FILES:
        mirror.always(f"/a/{name}", wrong)
    came(paths)


def test_wrong_bytes_from_all_mirrors_name_the_difference(paths: Paths, mirror: Server) -> None:
    for place in "ab":
        mirror.always(f"/{place}/{SAMPLE_FILES[1]}", wrong)
    assert "its SHA-256 is" in refused(paths)
    folder = catalog.downloads(paths, ENTRIES[NAME])
    assert os.listdir(folder) == [SAMPLE_FILES[0]]


def test_the_same_content_packed_in_another_way_is_accepted(paths: Paths, mirror: Server) -> None:
    for name in SAMPLE_FILES:
        mirror.files[f"/a/{name}"] = gzip.compress(gzip.decompress((SAMPLE_FOLDER / name).read_bytes()), 1)
        mirror.script(f"/a/{name}", cut(100))
    came(paths)


def test_the_same_content_unpacked_is_accepted(paths: Paths, mirror: Server) -> None:
    for name in SAMPLE_FILES:
        mirror.files[f"/a/{name}"] = gzip.decompress((SAMPLE_FOLDER / name).read_bytes())
    came(paths)


def test_a_person_names_the_only_mirror_that_is_asked(paths: Paths, mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ENTRIES[NAME]
    monkeypatch.setitem(catalog.ENTRIES, NAME, replace(entry, mirrors=("http://127.0.0.1:1/",)))
    came(paths, f"{mirror.address}a")
    asked = [r.path for r in mirror.requests]
    assert asked[0] == f"/a/{entry.folder}/{SAMPLE_FILES[0]}" and asked[1] == f"/a/{SAMPLE_FILES[0]}"


def test_a_mirror_of_all_sets_has_a_folder_each(paths: Paths, mirror: Server) -> None:
    for name in SAMPLE_FILES:
        mirror.files[f"/all/{NAME}/{name}"] = mirror.files.pop(f"/a/{name}")
    came(paths, f"{mirror.address}all/")
    assert len(mirror.requests) == 4


def test_a_mirror_that_has_nothing_is_named_once(paths: Paths, mirror: Server) -> None:
    sentence = refused(paths, f"{mirror.address}nowhere")
    assert "404" in sentence and sentence.count(mirror.place) == 1


@pytest.mark.parametrize("address", ["ftp://h/", "file:///etc", "/etc", "h", "\x1b[31m", "htt p://h"])
def test_a_mirror_of_another_kind_is_refused(paths: Paths, mirror: Server, address: str) -> None:
    error = within(lambda: getting.download(paths, NAME, address))
    assert isinstance(error, DataError) and "must begin with https:// or http://" in str(error)
    assert str(error).isprintable() and not paths.datasets.exists()


@pytest.mark.parametrize("address", ["http://[bad", "http://", "https://h:x", "http://é è/"])
def test_an_impossible_mirror_is_a_sentence(paths: Paths, mirror: Server, address: str) -> None:
    refused(paths, address)


def test_a_password_in_the_mirror_is_not_shown(paths: Paths, mirror: Server) -> None:
    sentence = refused(paths, f"http://ada:s3cret@{mirror.place}/nowhere")
    job = jobs.read(paths, NAME)
    assert job is not None and "s3cret" not in sentence + job.mirror + "".join(job.failures)


def test_a_disk_too_small_for_the_set_is_said_before_any_connection(
    paths: Paths, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "free_space", lambda _: 1_000_000)
    assert "little needs 8.49 MB, 1.00 MB are free in" in refused(paths)
    assert not mirror.requests


def test_a_file_that_is_here_is_not_downloaded_again(paths: Paths, mirror: Server) -> None:
    folder = catalog.downloads(paths, ENTRIES[NAME])
    folder.mkdir(parents=True)
    for name in SAMPLE_FILES[:3]:
        (folder / name).write_bytes((SAMPLE_FOLDER / name).read_bytes())
    (folder / SAMPLE_FILES[1]).write_bytes(b"hurt")
    came(paths)
    assert [r.path for r in mirror.requests] == [f"/a/{n}" for n in (SAMPLE_FILES[1], SAMPLE_FILES[3])]


def test_a_file_whose_sha_is_not_known_is_trusted_at_its_first_sight(
    paths: Paths, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, sha256="", content="", size=0)
    came(paths)
    assert set(trusted.known(paths)) == {f"{NAME}/{n}" for n in SAMPLE_FILES}
    place = paths.datasets / "known-hashes.json"
    assert (
        checking.expected(paths, ENTRIES[NAME], ENTRIES[NAME].files[0])
        == hashlib.sha256((SAMPLE_FOLDER / SAMPLE_FILES[0]).read_bytes()).hexdigest()
    )
    library.remove(paths, NAME)
    came(paths)
    library.remove(paths, NAME)
    place.unlink()
    trusted.compare(paths, f"{NAME}/{SAMPLE_FILES[0]}", "5" * 64)
    assert "is not the file of its first download: SHA-256" in refused(paths)


def test_hashes_seen_first_are_compared_and_never_forgotten(paths: Paths) -> None:
    trusted.compare(paths, "a/b", "1" * 64)
    trusted.compare(paths, "a/b", "1" * 64)
    trusted.compare(paths, "a/c", "2" * 64)
    with pytest.raises(DataError, match=r"SHA-256 2{16}\.\.\. where 1{16}\.\.\. was seen then"):
        trusted.compare(paths, "a/b", "2" * 64)
    assert trusted.known(paths) == {"a/b": "1" * 64, "a/c": "2" * 64}
    place = paths.datasets / "known-hashes.json"
    place.write_bytes(place.read_bytes().replace(b"1111", b"3333"))
    with pytest.raises(DataError, match="Delete it to trust the next download anew"):
        trusted.compare(paths, "a/b", "1" * 64)


def test_a_wrong_md5_is_refused(paths: Paths, mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, sha256="", content="", size=0)
    for place in "ab":
        mirror.always(f"/{place}/{SAMPLE_FILES[0]}", wrong)
    assert "its MD5 is not" in refused(paths)
    assert not (paths.datasets / "known-hashes.json").exists()


@forks
def test_two_at_once_in_one_process_do_not_tread_on_each_other(paths: Paths, mirror: Server) -> None:
    """POSIX locks do not hold within a process; the program never does this, each job is a process of its own."""
    with jobs.Work(paths, NAME, "download"):
        pid = os.fork()
        if not pid:
            try:
                getting.download(paths, NAME)
            except jobs.Busy:
                os._exit(3)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert not mirror.requests


def test_progress_never_goes_back(paths: Paths, mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[jobs.Job] = []
    monkeypatch.setattr(jobs, "SAY_INTERVAL", 0)
    monkeypatch.setattr(jobs.Work, "_write", lambda work: pages.append(work.job))
    for name in SAMPLE_FILES:
        mirror.script(f"/a/{name}", cut(200))
    assert within(lambda: getting.download(paths, NAME), 20) is None
    downloading = [j for j in pages if j.phase in ("downloading", "checking")]
    assert len(downloading) > 20 and {j.mirror for j in downloading} >= {mirror.place}
    assert [j.done for j in downloading] == sorted(j.done for j in downloading)
    assert {j.total for j in downloading[1:]} == {ENTRIES[NAME].download_size}


@pytest.fixture
def twins(mirror: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two sets from the same files."""
    for name in ("twin-a", "twin-b"):
        monkeypatch.setitem(catalog.ENTRIES, name, replace(ENTRIES[NAME], name=name, key="twins"))
    return "twin-a", "twin-b"


def test_sets_of_one_archive_share_its_download(paths: Paths, mirror: Server, twins: tuple[str, str]) -> None:
    files = paths.datasets / ".downloads" / "twins"
    for name in twins:
        assert within(lambda: getting.download(paths, name), 20) is None  # noqa: B023
        assert library.load(paths, name).facts.name == name
    assert len(mirror.requests) == 4 and sorted(os.listdir(files)) == sorted(SAMPLE_FILES)
    library.remove(paths, "twin-a")
    assert sorted(os.listdir(files)) == sorted(SAMPLE_FILES)
    library.remove(paths, "twin-b")
    assert not files.exists()


@forks
def test_the_second_set_of_an_archive_waits_for_the_first(paths: Paths, mirror: Server, twins: tuple[str, str]) -> None:
    mirror.script(f"/a/{SAMPLE_FILES[0]}", stall(1_000_000))
    pids = []
    for name in twins:
        pid = os.fork()
        if not pid:
            try:
                with monkeypatched_stall(30):
                    getting.download(paths, name)
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    job = eventually(lambda: next((j for n in twins if (j := jobs.read(paths, n)) and j.phase == "waiting"), None))
    assert "works on twins" in job.file
    mirror.release()
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    assert len(mirror.requests) == 4
    for name in twins:
        assert library.load(paths, name).facts.name == name


@contextmanager
def monkeypatched_stall(seconds: float) -> Iterator[None]:
    """In a forked process, which never comes back."""
    import mlptui.datasets.mirror

    mlptui.datasets.mirror.STALL = seconds
    yield


def test_an_archive_is_not_shown_as_a_set(paths: Paths, mirror: Server, twins: tuple[str, str]) -> None:
    mirror.always("*", status(404))
    assert within(lambda: getting.download(paths, "twin-a"), 20) is not None
    assert list(jobs.running(paths)) == ["twin-a"]


# the real worker and the real files


WHOLE = "fashion-mnist"
IMAGES = f"/{WHOLE}/train-images-idx3-ubyte.gz"
real = pytest.mark.process


@pytest.fixture
def origin(fashion_mnist: Path) -> Iterator[Server]:
    """A mirror with the files of Fashion-MNIST."""
    with Server(fashion_mnist.parent) as server:
        yield server


def begin(paths: Paths, server: Server) -> int:
    return data.start(paths, "download", WHOLE, server.address)


def end(pid: int, how: int = 0, seconds: float = 30) -> float:
    """Signal a worker (or just wait for it); seconds until it was gone."""
    started = time.monotonic()
    if how and process.lives(pid):
        os.kill(pid, how)
    eventually(lambda: not process.lives(pid), f"the end of process {pid}", seconds)
    return time.monotonic() - started


def reached(paths: Paths) -> int:
    """Bytes of the large file that are here."""
    place = catalog.downloads(paths, ENTRIES[WHOLE]) / f"{Path(IMAGES).name}.part"
    return place.stat().st_size if place.exists() else 0


def is_right(paths: Paths) -> None:
    assert library.verify(paths, WHOLE) == "the SHA-256 of its origin"
    job = jobs.read(paths, WHOLE)
    assert job is not None and job.error == "" and job.ended
    assert os.listdir(paths.datasets / ".downloads") == []


@real
def test_a_worker_downloads_and_says_how_far_it_is(paths: Paths, origin: Server) -> None:
    origin.script(IMAGES, drip(1 << 20, 0.1))
    pid = begin(paths, origin)
    job = eventually(lambda: (j := jobs.read(paths, WHOLE)) and j.done and j)
    assert (job.name, job.action, job.phase, job.pid) == (WHOLE, "download", "downloading", pid)
    assert job.total == ENTRIES[WHOLE].download_size and job.mirror == origin.place and not job.ended
    assert jobs.working(paths, WHOLE) == pid and list(jobs.running(paths)) == [WHOLE]
    state = library.state(paths, WHOLE)
    assert state.kind == library.PARTLY and 0 < state.share < 1
    origin.release()
    end(pid)
    is_right(paths)
    assert jobs.running(paths) == {} and jobs.working(paths, WHOLE) == 0


@real
def test_killed_at_any_byte_it_goes_on_there(paths: Paths, origin: Server, counts: Counts) -> None:
    rng, whole, kills = random.Random(1), len(origin.content(IMAGES)), counts(8, 250)
    for kill in range(kills):
        room = (whole - reached(paths)) // (kills - kill + 1)
        origin.script(IMAGES, stall(after := rng.randrange(1, max(2, 2 * room))))
        before = reached(paths)
        pid = begin(paths, origin)
        eventually(lambda: reached(paths) == min(whole, before + after))  # noqa: B023
        end(pid, signal.SIGKILL)
        job = jobs.read(paths, WHOLE)
        assert job is not None and job.ended and job.error == "it was ended in the middle; what it had is kept"
        assert jobs.working(paths, WHOLE) == 0 and not (paths.datasets / WHOLE).exists()
        assert library.state(paths, WHOLE).kind == library.PARTLY
    end(begin(paths, origin))
    is_right(paths)
    assert sum(r.sent for r in origin.asked(IMAGES)) == whole
    assert len(origin.requests) == kills + 4


@real
def test_killed_at_any_time_it_ends_in_the_right_set(paths: Paths, origin: Server, counts: Counts) -> None:
    """In start-up, in each file, in checks, renames and decoding; a set that is there is whole."""
    rng = random.Random(2)
    origin.always("*", drip(1 << 20, 0.005))
    for _ in range(counts(7, 250)):
        pid = begin(paths, origin)
        try:
            end(pid, seconds=rng.uniform(0.0, 0.6))
        except AssertionError:
            end(pid, signal.SIGKILL)
        state = library.state(paths, WHOLE)
        assert state.kind in (library.HERE, library.PARTLY, library.ABSENT)
        if state.kind == library.HERE:
            assert library.verify(paths, WHOLE) == "the SHA-256 of its origin"
            library.remove(paths, WHOLE)
    origin.always("*", serve)
    end(begin(paths, origin))
    is_right(paths)


@real
@pytest.mark.parametrize("moment", ["no answer", "no byte", "in the middle", "in a later file", "refused for now"])
def test_a_cancel_takes_less_than_a_second_and_keeps_the_part(paths: Paths, origin: Server, moment: str) -> None:
    labels = IMAGES.replace("images-idx3", "labels-idx1")
    if moment == "refused for now":
        origin.always("*", status(503))
    elif moment == "in a later file":
        origin.script(labels, stall(5))
    else:
        origin.script(IMAGES, stall(5_000_000 if moment == "in the middle" else 0, head=moment != "no answer"))
    pid = begin(paths, origin)
    origin.until_requests(2 if moment in ("in a later file", "refused for now") else 1)
    if moment == "in the middle":
        eventually(lambda: reached(paths) == 5_000_000)
    assert data.cancel(paths, WHOLE)
    assert end(pid) < 1
    job = jobs.read(paths, WHOLE)
    assert job is not None and (job.phase, job.error) == ("cancelled", "") and job.ended
    assert jobs.running(paths) == {} and not data.cancel(paths, WHOLE)
    if moment == "in the middle":
        assert reached(paths) == 5_000_000
        origin.always("*", serve)
        end(begin(paths, origin))
        is_right(paths)
        assert origin.starts(IMAGES)[-1] == 5_000_000


@real
def test_two_started_at_once_do_not_tread_on_each_other(paths: Paths, origin: Server, counts: Counts) -> None:
    def started(_: int) -> int:
        try:
            return begin(paths, origin)
        except DataError as error:
            assert "another process works on" in str(error)
            return 0

    for _ in range(counts(2, 200)):
        origin.requests.clear()
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(started, range(2)))
        assert len(set(both)) == 2
        for pid in filter(None, both):
            end(pid)
        is_right(paths)
        assert [r.start for r in origin.requests] == [0] * 4
        library.remove(paths, WHOLE)


@real
def test_two_commands_at_once_both_end_well(paths: Paths, origin: Server) -> None:
    words = [sys.executable, "-P", "-m", "mlptui", "data", "download", WHOLE, "--mirror", origin.address]
    origin.script(IMAGES, stall(1_000_000))
    first = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    eventually(lambda: reached(paths) == 1_000_000)
    second = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert f"another process ({first.pid}) works on {WHOLE}; waiting for it" in second.stderr.readline()
    origin.release()
    for command in (first, second):
        _, said = command.communicate(timeout=30)
        assert command.returncode == 0 and f"{WHOLE} is here: 60,000 samples to train on" in said
    is_right(paths)
    assert len(origin.requests) == 4


@real
def test_ctrl_c_ends_the_command_and_says_how_to_go_on(paths: Paths, origin: Server) -> None:
    words = [sys.executable, "-P", "-m", "mlptui", "data", "download", WHOLE, "--mirror", origin.address]
    origin.script(IMAGES, stall(1_000_000))
    command = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    eventually(lambda: reached(paths) == 1_000_000)
    started = time.monotonic()
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=10)
    assert time.monotonic() - started < 1 and command.returncode == 130
    assert said.endswith(f"cancelled; 'mlptui data download {WHOLE}' goes on from here\n") and "Traceback" not in said
    assert reached(paths) == 1_000_000


@real
def test_the_page_can_be_read_at_every_moment(paths: Paths, origin: Server) -> None:
    origin.always("*", drip(1 << 19, 0.02))
    pid = begin(paths, origin)
    seen: list[jobs.Job] = []
    eventually(lambda: jobs.read(paths, WHOLE))
    while process.lives(pid):
        job = jobs.read(paths, WHOLE)
        assert job is not None and 0 <= job.done <= max(job.done, job.total) and job.speed >= 0
        seen.append(job)
    phases = list(dict.fromkeys(j.phase for j in seen))
    assert phases[0] in ("starting", "downloading") and "downloading" in phases and len(seen) > 50
    assert any(j.speed for j in seen)
    is_right(paths)


@real
def test_a_viewer_that_ends_does_not_end_the_download(paths: Paths, origin: Server) -> None:
    origin.script(IMAGES, stall(1_000_000))
    code = "import sys; from mlptui.launch import data; from mlptui.store import paths; " + (
        f"print(data.start(paths.find(), 'download', '{WHOLE}', sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, origin.address], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    eventually(lambda: reached(paths) == 1_000_000)
    os.kill(pid, signal.SIGHUP)
    origin.release()
    eventually(lambda: jobs.working(paths, WHOLE) == 0)
    is_right(paths)


@real
def test_a_worker_that_fails_leaves_the_reason_on_the_page_and_in_its_log(paths: Paths, origin: Server) -> None:
    origin.always("*", status(404))
    pid = begin(paths, origin)
    end(pid)
    job = jobs.read(paths, WHOLE)
    assert job is not None and "404" in job.error and job.phase == "failed" and job.failures
    assert "404" in (paths.datasets / ".jobs" / f"{WHOLE}.log").read_text()
    origin.always("*", serve)
    end(begin(paths, origin))
    is_right(paths)


@real
@forks
def test_what_a_killed_decoder_left_is_swept(paths: Paths) -> None:
    pid = os.fork()
    if not pid:
        with Writer(paths.datasets, "little") as writer:
            writer.put("train-inputs", np.zeros((1000, 10), np.float32))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    left = [n for n in os.listdir(paths.datasets) if n.startswith(".tmp-")]
    assert left
    with jobs.Work(paths, "little-one", "decode"):
        assert (paths.datasets / left[0]).exists()  # not its own
    with jobs.Work(paths, "little", "decode"):
        assert not (paths.datasets / left[0]).exists()
