"""Run directories: made whole, found by a part of their name, removed and brought back."""

import errno
import os
import threading
from pathlib import Path

import pytest
from budget import in_time
from forks import exit_code, fork

from mlptui.core.errors import RunError, StorageError
from mlptui.core.recipe import Recipe, check
from mlptui.core.status import Status
from mlptui.store import rundir, trash
from mlptui.store import state as states
from mlptui.store.lock import RunLock
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run, all_runs, create, find, remove, restore

NAMES = [
    "fashion mlp", "", ".", "..", "../../etc", "/etc/passwd", "a" * 5000, "\x1b[2J", "a\nb", "[/]", "日本", "\ud800",
    "-rf", "a\0b", "CON", "~", "%s", "last",
]  # fmt: skip


def ended(run: Run) -> Run:
    """The run as a trainer leaves it."""
    if run.state_file.exists():
        states.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1))
    return run


@pytest.mark.parametrize("name", NAMES)
def test_any_name_makes_a_run_inside_the_folder_of_runs(paths: Paths, name: str) -> None:
    run = create(paths, Recipe(), name, "mlp 784-256-10")
    assert run.folder.parent == paths.runs and run.folder.is_dir()
    assert set(run.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert all_runs(paths) == [run] and find(paths, run.id) == run
    assert run.state().name == name and run.recipe() == Recipe()
    assert oct(run.folder.stat().st_mode & 0o777) == "0o700"


def test_a_new_run_waits_for_its_trainer(paths: Paths) -> None:
    recipe = check({"epochs": 3, "batch_size": 7, "data": {"name": "fashion-mnist"}})
    run = create(paths, recipe, "x", "mlp")
    state = run.state()
    assert (state.status, state.epochs, state.batch_size, state.data) == (Status.STARTING, 3, 7, "fashion-mnist")
    assert run.verdict().status is Status.STARTING
    assert run.log_tail() == []
    assert sorted(os.listdir(run.folder)) == ["checkpoints", "control", "logs", "recipe.toml", "state.json"]


def test_runs_are_listed_newest_first_and_nothing_else_is(paths: Paths) -> None:
    assert all_runs(paths) == []
    made = [create(paths, Recipe(), f"run {i}", "m", now=1_700_000_000 + 60 * i) for i in range(5)]
    (paths.runs / ".hidden").mkdir()
    (paths.runs / "file").write_text("x")
    (paths.runs / "zz-link").symlink_to(made[0].folder)
    assert all_runs(paths) == made[::-1]
    assert find(paths, "last") == made[-1]


def test_a_run_is_found_by_a_part_that_only_it_has(paths: Paths) -> None:
    first = create(paths, Recipe(), "alpha one", "m")
    second = create(paths, Recipe(), "alpha two", "m")
    assert find(paths, "two") == second and find(paths, first.id[-8:]) in (first, second)
    with pytest.raises(RunError, match="2 runs match 'alpha'"):
        find(paths, "alpha")
    for wanted in ("gamma", "", "\x1b[2J", "../..", "x" * 9999):
        with pytest.raises(RunError) as caught:
            find(paths, wanted)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_without_runs_the_way_to_start_one_is_said(paths: Paths) -> None:
    with pytest.raises(RunError, match="'mlptui train' starts one"):
        find(paths, "last")


def test_a_run_that_cannot_be_made_leaves_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "")

    for place in ("write_new", "fsync_folder", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(rundir.atomic, place, full)
            with pytest.raises(StorageError, match=r"cannot make a run in .*: the disk is full"):
                create(paths, Recipe(), "x", "m")
        assert os.listdir(paths.runs) == []
    paths.runs.rmdir()
    paths.runs.write_text("a file")
    with pytest.raises(StorageError, match="cannot make"):
        create(paths, Recipe(), "x", "m")


def test_a_run_of_the_same_name_and_second_is_never_harmed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir.secrets, "token_hex", lambda n=2: "ab" * n)
    first = create(paths, Recipe(), "x", "m", now=1_700_000_000)
    (first.checkpoints / "precious").write_text("weights")
    with pytest.raises(StorageError):
        create(paths, Recipe(), "x", "m", now=1_700_000_000)
    assert (first.checkpoints / "precious").read_text() == "weights"
    assert first.state().name == "x"


def test_a_removed_run_comes_back_as_it_was(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    (run.checkpoints / "file").write_text("weights")
    place = remove(paths, ended(run))
    assert all_runs(paths) == [] and not run.folder.exists()
    assert restore(paths, place) == run
    assert all_runs(paths) == [run] and (run.checkpoints / "file").read_text() == "weights"
    place = remove(paths, ended(run))
    trash.discard(place)
    assert not place.exists()
    with pytest.raises(RunError, match=f"cannot bring back {run.id}: it is not there"):
        restore(paths, place)


def test_a_run_that_is_there_again_is_not_replaced(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    place = remove(paths, ended(run))
    run.folder.mkdir()
    (run.folder / "new").write_text("x")
    with pytest.raises(RunError, match="exists again; it was not replaced"):
        restore(paths, place)
    assert (run.folder / "new").exists() and place.is_dir()


def test_a_run_that_is_trained_is_not_removed(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    told, tell = os.pipe()
    wait, leave = os.pipe()

    def work() -> None:
        os.close(leave)
        RunLock(run.lock_file, 0.0)
        os.write(tell, b"x")
        os.read(wait, 1)

    pid = fork(work)
    os.read(told, 1)
    with pytest.raises(RunError, match="is still being trained; stop it first"):
        remove(paths, ended(run))
    assert run.folder.is_dir()
    os.close(leave)
    assert exit_code(pid) == 0
    for fd in (told, tell, wait):
        os.close(fd)
    assert remove(paths, ended(run)).is_dir()


def test_a_run_whose_lock_cannot_be_asked_is_not_removed(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    run.lock_file.symlink_to("/nowhere")
    with pytest.raises(RunError, match="its lock cannot be read"):
        remove(paths, ended(run))
    assert run.folder.is_dir()


def test_the_same_run_can_be_removed_twice(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    first = remove(paths, ended(run))
    run.folder.mkdir()
    second = remove(paths, ended(run))
    assert first != second and first.is_dir() and second.is_dir()
    with pytest.raises(RunError, match="it is not there"):
        remove(paths, ended(run))


def test_the_tail_of_the_log_is_safe_and_short(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    run.log_file.write_bytes(b"old\n" * 100_000 + b"\x1b[2J\xff\n" + b"y" * 9000 + b"\n")
    tail = run.log_tail(2)
    assert tail[0] == "␛[2J�" and len(tail[1]) == 400
    assert len(run.log_tail(10_000)) < 5000


def test_a_log_that_is_a_pipe_does_not_block(paths: Paths) -> None:
    run = create(paths, Recipe(), "x", "m")
    os.mkfifo(run.log_file)
    answered = threading.Event()
    threading.Thread(target=lambda: (run.log_tail(), answered.set()), daemon=True).start()
    assert answered.wait(5)


def test_storage_on_the_network_is_said(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rundir.storage_warning(paths) == ""
    monkeypatch.setattr(rundir.host, "on_network_storage", lambda path: True)
    assert "network storage" in rundir.storage_warning(paths)


@pytest.mark.parametrize("count", [1000])
def test_a_thousand_runs_are_listed_at_once(fast: Path, count: int) -> None:
    for i in range(count):
        (fast / "runs" / f"2026-{i:04}").mkdir(parents=True)
    assert len(in_time(0.5, lambda: all_runs(Paths(fast, fast, fast)))) == count


def test_a_folder_that_is_no_run_is_stated(paths: Paths) -> None:
    run = Run(paths.runs / "nothing")
    with pytest.raises(StorageError, match=r"state\.json: its folder is not there"):
        run.verdict()
