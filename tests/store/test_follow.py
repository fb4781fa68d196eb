"""A follower of a directory that appears, grows, is cut, is hostile, and vanishes."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.store import rundir
from mlptui.store import state as states
from mlptui.store.eventlog import EventWriter
from mlptui.store.follow import Follower, Update
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.store.state import State
from mlptui.store.steps import HEADER_SIZE, ROW_SIZE, Row, StepWriter


def row(step: int) -> Row:
    return Row(step, float(step), 0.1, 0.5, 0.5, 0.25, 1)


def test_a_run_is_followed_from_before_it_exists_until_it_is_gone(tmp_path: Path) -> None:
    run = Run(tmp_path / "runs" / "r")
    follower = Follower(run)
    update = follower.poll()
    assert (update.rows, update.events, update.verdict.status) == ([], [], Status.UNKNOWN)
    assert update.problem == "the run's folder is gone"

    run.folder.mkdir(parents=True)
    assert "state.json" in follower.poll().problem
    states.write(run.state_file, State(run="r", status=Status.FINISHED, step=3))
    assert (follower.poll().verdict.status, follower.poll().problem) == (Status.FINISHED, "")

    steps, events = StepWriter(run.steps_file), EventWriter(run.events_file)
    steps.write([row(1), row(2)])
    events.write(Kind.EPOCH, 2, epoch=1)
    update = follower.poll()
    assert ([r.step for r in update.rows], [e.step for e in update.events], update.more) == ([1, 2], [2], True)
    assert (follower.poll().more, follower.poll().rows) == (False, [])

    steps.file.close()
    steps = StepWriter(run.steps_file, after=1)
    steps.write([row(2)._replace(wall=99.0), row(3)])
    update = follower.poll()
    assert update.restarted and [(r.step, r.wall) for r in update.rows] == [(1, 1.0), (2, 99.0), (3, 3.0)]

    steps.file.close()
    events.file.close()
    shutil.rmtree(run.folder)
    update = follower.poll()
    assert update.problem == "the run's folder is gone" and update.verdict.status is Status.UNKNOWN
    assert update.state.step == 3
    assert follower.poll().rows == []


def test_cut_at_every_byte_the_rows_shown_are_those_in_the_file(fast: Path) -> None:
    run = Run(fast / "r")
    run.folder.mkdir()
    writer = StepWriter(run.steps_file)
    writer.write([row(i) for i in range(1, 6)])
    writer.file.close()
    whole = run.steps_file.read_bytes()
    for cut in range(HEADER_SIZE, len(whole) + 1):
        run.steps_file.write_bytes(whole)
        follower = Follower(run)
        shown = follower.poll().rows
        run.steps_file.write_bytes(whole[:cut])
        update = follower.poll()
        shown = update.rows if update.restarted else shown + update.rows
        assert shown[: (cut - HEADER_SIZE) // ROW_SIZE] == [row(i) for i in range(1, 1 + (cut - HEADER_SIZE) // ROW_SIZE)]
        run.steps_file.write_bytes(whole)
        update = follower.poll()
        shown = update.rows if update.restarted else shown + update.rows
        assert shown == [row(i) for i in range(1, 6)]


HOSTILE = {
    "empty": b"",
    "NULs": b"\0" * 9000,
    "deep": b"[" * 60_000,
    "numbers": b'{"status": "running", "step": 1e999, "wall": 1' + b"0" * 400 + b"}",
    "escape codes": json.dumps({"status": "running", "doing": "\x1b]52;c;QQ==\x07", "host": "\x1b[2J", "pid": 5}).encode(),
    "big": b"x" * 3_000_000,
    "lines": b'{"a":1}\n' * 1000,
}
FILES = ["state_file", "events_file", "steps_file", "lock_file"]


@pytest.mark.parametrize("name", [*HOSTILE, "pipe", "folder", "link to itself", "sparse"])
@pytest.mark.parametrize("part", FILES)
def test_nothing_in_the_directory_makes_a_poll_raise_or_wait(paths: Paths, part: str, name: str) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    StepWriter(run.steps_file).file.close()
    place = getattr(run, part)
    place.unlink(missing_ok=True)
    match name:
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
        case "link to itself":
            place.symlink_to(place)
        case "sparse":
            with place.open("wb") as stream:
                stream.truncate(1 << 40)
        case _:
            place.write_bytes(HOSTILE[name])
    follower = Follower(run)
    answers: list[Update | BaseException] = []

    def poll() -> None:
        try:
            answers.extend(follower.poll() for _ in range(3))
        except BaseException as error:
            answers.append(error)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    thread.join(3)
    assert len(answers) == 3, "it waits"
    for update in answers:
        assert isinstance(update, Update), update
        assert "\n" not in update.problem
    if part == "state_file" and name != "escape codes":
        assert answers[0].problem  # type: ignore[union-attr]


def test_silence_is_measured_by_the_followers_own_clock(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    state = State(run=run.id, status=Status.RUNNING, host="elsewhere", pid=5, step=1, wall=-1e9)
    states.write(run.state_file, state)
    now = 1000.0
    follower = Follower(run, clock=lambda: now)
    assert "may be alive on elsewhere" in follower.poll().verdict.reason
    now += 45
    assert "no sign of life from elsewhere for 45 s" in follower.poll().verdict.reason
    states.write(run.state_file, state.but(step=2))
    assert "may be alive on elsewhere" in follower.poll().verdict.reason


def test_what_is_damaged_is_counted(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    events = EventWriter(run.events_file)
    events.write(Kind.WARNING, 1, message="a")
    events.file.close()
    with run.events_file.open("ab") as stream:
        stream.write(b"rubbish\n")
    steps = StepWriter(run.steps_file)
    steps.write([row(1)])
    steps.file.append(b"x" * ROW_SIZE)
    steps.file.close()
    assert Follower(run).poll().damaged == 2


WRITER = """
import sys, time
from pathlib import Path
from mlptui.store.eventlog import EventWriter
from mlptui.store.steps import Row, StepWriter
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
steps, events = StepWriter(folder / "steps.bin"), EventWriter(folder / "events.jsonl")
end, step = time.monotonic() + seconds, 0
while time.monotonic() < end:
    batch = [Row(step + i, float(step + i), 0.1, 0.5, 0.5, 0.25, 1) for i in range(1, 21)]
    step += 20
    steps.write(batch)
    events.write("warning", step, message="x" * (step % 3000))
    time.sleep(0.01)
print(step)
"""


def test_a_reader_beside_a_writer_of_2000_rows_a_second_sees_each_record_once_and_whole(tmp_path: Path, counts) -> None:
    """Row 27 of the fault matrix."""
    run = Run(tmp_path)
    states.write(run.state_file, State(run=run.id, status=Status.RUNNING))
    words = [sys.executable, "-c", WRITER, str(tmp_path), str(counts(3, 3600))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        follower, last, told = Follower(run), 0, 0
        while True:
            ended = writer.poll() is not None
            update = follower.poll()
            assert not update.restarted and not update.damaged
            assert [r.step for r in update.rows] == list(range(last + 1, last + 1 + len(update.rows)))
            assert all(r.wall == r.step for r in update.rows)
            assert all(len(str(e["message"])) == e.step % 3000 for e in update.events)
            assert [e.step for e in update.events] == list(range(told + 20, told + 20 + 20 * len(update.events), 20))
            last, told = last + len(update.rows), told + 20 * len(update.events)
            if ended and not update.more and not update.rows and not update.events:
                break
        assert writer.stdout
        assert last == told == int(writer.stdout.read()) > 0
