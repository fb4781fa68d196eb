"""Long work on a set: the page, the lock, and who is asked to stop."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from datasets.server import eventually

from mlptui.cli.progress import sentence
from mlptui.core.errors import DataError, StorageError
from mlptui.datasets import jobs, library
from mlptui.datasets.catalog import SAMPLE
from mlptui.datasets.jobs import Busy, Job, Work
from mlptui.launch import data, process
from mlptui.store.paths import Paths

NAME = "kmnist"
HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.lockf(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def page(paths: Paths, name: str = NAME) -> Path:
    return paths.datasets / ".jobs" / f"{name}.json"


def write_page(paths: Paths, text: str, name: str = NAME) -> None:
    page(paths).parent.mkdir(parents=True, exist_ok=True)
    page(paths, name).write_text(text)


@contextmanager
def other(paths: Paths, name: str = NAME) -> Iterator[int]:
    """Another process that holds the set."""
    place = jobs.lock_file(paths, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-S", "-c", HOLD, str(place)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder.pid
        finally:
            holder.stdin.close()
            holder.wait(10)


def job(**values: Any) -> str:
    return json.dumps({**asdict(Job(NAME, "download")), **values})


# the page


def test_what_the_holder_says_is_what_is_read(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SAY_INTERVAL", 0)
    with Work(paths, NAME, "download") as work:
        work.phase("downloading")
        work.say(done=5, total=10, mirror="example.org", file="a.gz", failures=("b: 404",))
        values = json.loads(page(paths).read_text())
        assert (values["phase"], values["done"], values["total"], values["pid"]) == ("downloading", 5, 10, os.getpid())
        assert values["failures"] == ["b: 404"] and not values["ended"]
    job = jobs.read(paths, NAME)
    assert job is not None and (job.phase, job.error, job.failures) == ("done", "", ("b: 404",))
    assert job.ended >= job.began > 0 and jobs.running(paths) == {}


@pytest.mark.parametrize("error", [DataError("it is not there\x1b[31m"), ValueError(), StorageError("x" * 5000)])
def test_a_failure_stays_on_the_page_until_it_is_put_away(paths: Paths, error: BaseException) -> None:
    with pytest.raises(type(error)), Work(paths, NAME, "verify"):
        raise error
    found = jobs.running(paths)[NAME]
    assert found.phase == "failed" and found.error and found.error.isprintable() and len(found.error) <= 1000 and found.ended
    jobs.forget(paths, NAME)
    assert jobs.read(paths, NAME) is None and jobs.running(paths) == {}
    jobs.forget(paths, NAME)


def test_what_was_cancelled_has_not_failed(paths: Paths) -> None:
    with pytest.raises(KeyboardInterrupt), Work(paths, NAME, "verify"):
        raise KeyboardInterrupt
    found = jobs.read(paths, NAME)
    assert found is not None and (found.phase, found.error) == ("cancelled", "") and found.ended
    assert jobs.running(paths) == {}


def test_a_failure_of_a_set_that_nobody_knows_leaves_no_page(paths: Paths) -> None:
    with pytest.raises(DataError), Work(paths, "nosuch", "verify"):
        raise DataError("no")
    assert jobs.read(paths, "nosuch") is None and jobs.running(paths) == {}


def test_no_job_and_no_folder(paths: Paths) -> None:
    assert jobs.read(paths, NAME) is None and jobs.running(paths) == {} and jobs.working(paths, NAME) == 0
    assert not paths.data.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "5", '"x"', "{}", "[" * 100_000, '{"a": 1}', "\0" * 50, "x" * (1 << 19)]
    + [
        job(**values)
        for values in (
            {"done": "x"},
            {"total": None},
            {"speed": "fast"},
            {"failures": 5},
            {"failures": None},
            {"failures": [5]},
            {"pid": "1"},
            {"error": None},
            {"total": -5},
            {"done": 10**400},
            {"done": 1.5},
        )
    ],
)
def test_a_page_of_nonsense_is_no_job(paths: Paths, text: str) -> None:
    write_page(paths, text)
    assert jobs.read(paths, NAME) is None and jobs.running(paths) == {}


@pytest.mark.parametrize(
    "values",
    [
        {"done": 10, "total": 1},
        {"speed": float("nan"), "total": 9},
        {"speed": float("inf"), "total": 9},
        {"speed": 1e-320, "total": 9},
        {"phase": "\x1b[31m", "file": "[/red]", "mirror": "\x07" * 999},
        {"phase": {"a": []}, "file": None, "mirror": 7, "name": ["x"]},
        {"began": "yesterday"},
        {"ended": "yes"},
        {"ended": float("nan")},
        {"failures": ["\x1b]0;t\x07"]},
        {"of a later version": [1]},
    ],
)
def test_a_page_of_strange_values_can_be_shown_or_is_none(paths: Paths, values: dict[str, Any]) -> None:
    write_page(paths, job(**values))
    found = jobs.read(paths, NAME)
    if found is not None:
        assert sentence(found).isprintable() and (found.share is None or found.share <= 1)
    jobs.running(paths)


@pytest.mark.parametrize("kind", ["fifo", "directory", "symlink"])
def test_a_page_that_is_no_file_is_no_job(paths: Paths, tmp_path: Path, kind: str) -> None:
    place = page(paths)
    place.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        (tmp_path / "other").write_text(job())
        place.symlink_to(tmp_path / "other")
    assert jobs.read(paths, NAME) is None and jobs.running(paths) == {}


def test_a_job_whose_process_is_gone_is_shown_as_ended(paths: Paths) -> None:
    write_page(paths, job(began=5.0, done=3, total=9, pid=os.getpid()))
    found = jobs.read(paths, NAME)
    assert found is not None and found.ended == 5.0 and (found.done, found.total) == (3, 9)
    assert found.error == "it was ended in the middle; what it had is kept"
    assert list(jobs.running(paths)) == [NAME]


def test_a_job_whose_process_lives_goes_on(paths: Paths) -> None:
    write_page(paths, job(began=5.0, pid=1))
    with other(paths) as pid:
        found = jobs.read(paths, NAME)
        assert found is not None and not found.ended and not found.error
        assert jobs.working(paths, NAME) == pid


def test_a_job_that_ends_while_it_is_looked_at_is_not_shown_as_broken(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    write_page(paths, job(began=5.0, phase="decoding"))

    def working(*_: object) -> int:
        write_page(paths, job(began=5.0, phase="done", ended=6.0))
        return 0

    monkeypatch.setattr(jobs, "working", working)
    found = jobs.read(paths, NAME)
    assert found is not None and found.error == ""


def test_a_disk_that_refuses_the_page_does_not_end_the_work(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with Work(paths, NAME, "verify") as work:
        monkeypatch.setattr(jobs.atomic, "replace", replace)
        work.say(done=1)
        work.phase("more")


# the lock


def test_a_second_process_is_refused_and_learns_who_works(paths: Paths) -> None:
    with other(paths) as pid:
        with pytest.raises(Busy, match=rf"another process \({pid}\) works on kmnist") as caught, Work(paths, NAME, "verify"):
            pass
        assert caught.value.pid == pid
        with Work(paths, "another", "verify"):
            pass
    with Work(paths, NAME, "verify"):
        pass


def test_a_refused_one_leaves_the_page_alone(paths: Paths) -> None:
    write_page(paths, job(began=5.0, done=7))
    with other(paths), pytest.raises(Busy), Work(paths, NAME, "verify"):
        pass
    assert json.loads(page(paths).read_text())["done"] == 7


def test_the_lock_goes_with_its_process_however_it_dies(paths: Paths) -> None:
    with other(paths) as pid:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: jobs.working(paths, NAME) == 0)
        with Work(paths, NAME, "verify"):
            pass


@pytest.mark.parametrize("kind", ["symlink", "directory"])
def test_a_lock_that_is_no_file_is_a_sentence(paths: Paths, tmp_path: Path, kind: str) -> None:
    place = jobs.lock_file(paths, NAME)
    place.parent.mkdir(parents=True)
    if kind == "symlink":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
    with pytest.raises(DataError), Work(paths, NAME, "verify"):
        pass
    assert not (tmp_path / "elsewhere").exists() and not data.cancel(paths, NAME)


def test_a_file_system_without_locks_is_a_sentence(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def lockf(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with pytest.raises(DataError, match=r"gives no locks \(No locks available\)"), Work(paths, NAME, "verify"):
        pass


@pytest.mark.parametrize("name", ["../../outside", "a/../../outside"])
def test_a_name_that_leads_elsewhere_is_refused(paths: Paths, name: str) -> None:
    (paths.datasets / ".jobs" / "a").mkdir(parents=True)
    (paths.data / "outside.json").write_text("precious")
    with pytest.raises(DataError), Work(paths, name, "remove"):
        pass
    assert sorted(os.listdir(paths.data)) == ["datasets", "outside.json"]
    assert (paths.data / "outside.json").read_text() == "precious"


# who is asked to stop


@pytest.mark.parametrize("lock", ["none", "empty", "of another set"])
def test_a_cancel_never_signals_a_stranger(paths: Paths, lock: str) -> None:
    with other(paths, "another") as stranger:
        write_page(paths, job(began=5.0, pid=stranger))
        if lock == "empty":
            jobs.lock_file(paths, NAME).touch()
        elif lock == "of another set":
            jobs.lock_file(paths, NAME).write_text(str(stranger))
        assert not data.cancel(paths, NAME)
        assert jobs.working(paths, "another") == stranger


def test_a_cancel_signals_the_holder(paths: Paths) -> None:
    with other(paths) as pid:
        assert not data.cancel(paths, NAME)  # a trainer that decodes holds the lock too, and has no page
        write_page(paths, job(began=5.0, pid=pid))
        assert data.cancel(paths, NAME)
        eventually(lambda: jobs.working(paths, NAME) == 0)
        assert not data.cancel(paths, NAME)
        assert pid


def test_a_cancel_where_nothing_is(paths: Paths) -> None:
    assert not data.cancel(paths, NAME)
    assert not paths.data.exists()


# processes


@pytest.mark.process
@pytest.mark.parametrize(
    ("action", "name", "where", "error"),
    [
        ("verify", SAMPLE, "", ""),
        ("verify", "mnist", "", "mnist is not in"),
        ("decode", "nosuch", "", "there is no data set 'nosuch'"),
        ("import", "mnist", "/nowhere", "/nowhere is not there"),
        ("import", "mnist", "/etc", "/etc lacks train-images-idx3-ubyte.gz"),
        ("download", SAMPLE, "", "there is nothing to download"),
        ("download", "nosuch", "", "there is no data set 'nosuch' in the catalog"),
        ("download", "mnist", "ftp://h/", "must begin with https://"),
        ("download", "mnist", "http://127.0.0.1:1/", "Connection refused"),
    ],
)
def test_a_worker_ends_with_its_reason_on_the_page(paths: Paths, action: str, name: str, where: str, error: str) -> None:
    if name == "nosuch":  # nobody knows this set, so it has no page
        with pytest.raises(DataError, match=error):
            data.start(paths, action, name, where)
        assert jobs.read(paths, name) is None
    else:
        pid = data.start(paths, action, name, where)
        eventually(lambda: not process.lives(pid))
        found = jobs.read(paths, name)
        assert found is not None and found.action == action and found.ended
        assert error in found.error if error else found.error == ""
    log = (paths.datasets / ".jobs" / f"{name}.log").read_text()
    assert "Traceback" not in log and (error in log if error else not log)
    assert set(os.listdir(paths.datasets)) <= {".jobs", ".downloads"}


@pytest.mark.process
def test_a_worker_of_a_set_that_is_held_ends_at_once(paths: Paths) -> None:
    with other(paths, SAMPLE) as pid:
        with pytest.raises(DataError, match="another process works on"):
            data.start(paths, "verify", SAMPLE)
        assert f"another process ({pid}) works on {SAMPLE}" in (paths.datasets / ".jobs" / f"{SAMPLE}.log").read_text()
        assert jobs.read(paths, SAMPLE) is None


def test_a_folder_that_cannot_be_written_is_a_sentence(paths: Paths) -> None:
    paths.data.mkdir()
    paths.datasets.write_text("no folder")
    with pytest.raises((DataError, StorageError), match="cannot make the folder"):
        data.start(paths, "verify", SAMPLE)
    assert jobs.running(paths) == {} and library.state(paths, SAMPLE).usable
