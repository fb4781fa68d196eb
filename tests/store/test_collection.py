"""All checkpoints of all runs: found, pinned, annotated, verified, copied out, removed and brought back."""

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from forks import exit_code, fork
from tensors import tensor_file

from mlptui.core.errors import CheckpointError, RunError
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.store import abouts, checkpoints, collection, rundir, sealed, trash
from mlptui.store import state as states
from mlptui.store.abouts import About
from mlptui.store.lock import RunLock
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run
from mlptui.tui.checkpoint_rows import arranged, rows_of
from mlptui.tui.render.files import text_of

FOUR = {1: 0.5, 2: 0.8, 3: 0.7, 10: 0.6}


def trained(paths: Paths, name: str = "mlp", accuracies: dict[int, float] = FOUR) -> Run:
    run = rundir.create(paths, Recipe(), name, "mlp 784-256-10")
    for step, accuracy in accuracies.items():
        files = {"model.safetensors": tensor_file(a=step, b=3), "training.safetensors": tensor_file(m=2 * step)}
        checkpoints.commit(run.checkpoints, step, files, {"metrics": {"valid_accuracy": accuracy}, "epoch": step})
    states.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1))
    return run


def steps(entries: list[collection.Entry]) -> list[int]:
    return [entry.step for entry in entries]


def flip(file: Path, place: int = -1) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_all_are_listed_newest_first_with_the_best_of_each_run(paths: Paths) -> None:
    assert collection.everything(paths) == []
    one, two = trained(paths, "one"), trained(paths, "two", {5: 0.1, 6: 0.1})
    found = collection.everything(paths)
    runs = [entry.run.id for entry in found]
    assert set(runs) == {one.id, two.id} and runs == sorted(runs, reverse=True)
    assert steps([e for e in found if e.run == one]) == [10, 3, 2, 1] and [e.step for e in found if e.best].count(2) == 1
    assert [e.step for e in found if e.best and e.run == two] == [5], "of equals the earliest"
    assert all(e.size == e.checkpoint.size > 0 and not e.problem and e.about == About() for e in found)  # type: ignore[union-attr]


def test_a_damaged_manifest_is_listed_as_that(paths: Paths) -> None:
    run = trained(paths)
    flip(run.checkpoints / "step-0000000002" / checkpoints.MANIFEST)
    found = {entry.step: entry for entry in collection.of_run(run)}
    assert found[2].checkpoint is None and "damaged" in found[2].problem and found[2].size == 0
    assert collection.verify(found[2]) == found[2].problem and found[3].best


@pytest.mark.parametrize(
    ("which", "step"),
    [("", 10), ("/last", 10), ("/best", 2), ("/3", 3), ("/step-3", 3), ("/step-0000000003", 3), ("/0003", 3)],
)
def test_one_is_found_by_its_run_and_a_word(paths: Paths, which: str, step: int) -> None:
    run = trained(paths)
    for name in (run.id, "last", run.id[-4:]):
        assert collection.find(paths, name + which).folder == run.checkpoints / checkpoints.name_of(step)


@pytest.mark.parametrize(
    "which", ["4", "step-", "step--1", "../1", "-1", "٣", "1e1", "\x1b[2J", "best/1", "worst", "x" * 5000]
)
def test_what_is_not_there_is_one_sentence(paths: Paths, which: str) -> None:
    trained(paths)
    with pytest.raises(CheckpointError) as caught:
        collection.find(paths, f"last/{which}")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300 and "it has 10, 3, 2, 1" in str(caught.value)


def test_a_run_without_any_says_so(paths: Paths) -> None:
    rundir.create(paths, Recipe(), "x", "mlp")
    with pytest.raises(CheckpointError, match="has no checkpoints"):
        collection.find(paths, "last/best")
    with pytest.raises(RunError):
        collection.find(paths, "nowhere/best")


def test_where_there_are_only_saved_ones_they_are_named(paths: Paths) -> None:
    collection.save(paths, "mine", {"model.safetensors": tensor_file(a=5)}, {})
    with pytest.raises(RunError, match="'nowhere', and there are no runs; saved are mine"):
        collection.find(paths, "nowhere/best")


def test_what_a_person_says_stays_beside_the_folder_and_changes_nothing_in_it(paths: Paths) -> None:
    run = trained(paths)
    entry = collection.find(paths, "last/3")
    before = {file.name: file.read_bytes() for file in entry.folder.iterdir()}
    assert collection.tell(entry, pinned=True) == About(True)
    assert collection.tell(entry, note=" good \x1b[2J [/] \n日本 ") == About(True, "good \x1b[2J [/] \n日本")
    assert collection.find(paths, "last/3").about == About(True, "good \x1b[2J [/] \n日本")
    assert {file.name: file.read_bytes() for file in entry.folder.iterdir()} == before
    assert steps(collection.of_run(run)) == [10, 3, 2, 1] and checkpoints.newest_verified(run.checkpoints)[0].step == 10
    assert collection.tell(entry, pinned=False, note="") == About()
    assert not abouts.file_of(entry.folder).exists(), "nothing to say leaves nothing"
    with pytest.raises(CheckpointError, match="at most 2,000"):
        collection.tell(entry, note="x" * 2001)


def test_a_pinned_one_outlives_the_retention_and_the_note_of_one_that_goes_goes_too(paths: Paths) -> None:
    run = trained(paths, accuracies={step: 0.9 if step == 1 else 0.1 for step in range(1, 21)})
    collection.tell(collection.find(paths, "last/7"), pinned=True)
    collection.tell(collection.find(paths, "last/8"), note="not pinned")
    gone = checkpoints.prune(run.checkpoints, 2)
    assert steps(collection.of_run(run)) == [20, 19, 7, 1] and len(gone) == 16
    assert {file.name for file in run.checkpoints.glob("*.about")} == {"step-0000000007.about"}


def test_a_damaged_pin_is_taken_for_a_pin(paths: Paths) -> None:
    run = trained(paths, accuracies=dict.fromkeys(range(1, 11), 0.1))
    collection.tell(collection.find(paths, "last/5"), pinned=True, note="mine")
    file = run.checkpoints / "step-0000000005.about"
    whole = file.read_bytes()
    for place in range(len(whole)):
        flip(file, place)
        assert abouts.known(file.with_suffix("")) == About(pinned=True), place
        file.write_bytes(whole)
    file.write_bytes(b"")
    checkpoints.prune(run.checkpoints, 1)
    assert 5 in steps(collection.of_run(run))


def test_500_flipped_bits_are_noticed_and_the_newest_good_one_is_named(paths: Paths) -> None:
    run = trained(paths)
    entry, chance = collection.find(paths, "last"), random.Random(6)
    files = list(entry.folder.iterdir())
    for _ in range(500):
        file = chance.choice(files)
        whole = file.read_bytes()
        hurt = bytearray(whole)
        hurt[chance.randrange(len(hurt))] ^= 1 << chance.randrange(8)
        file.write_bytes(hurt)
        seen = collection.of_run(run)[0]
        assert "damaged" in collection.verify(seen)
        good = collection.newest_good(collection.of_run(run), seen)
        assert good is not None and good.step == 3
        file.write_bytes(whole)
    assert collection.verify(collection.find(paths, "last")) == ""


def test_removed_and_brought_back_it_is_the_same_with_what_was_said(paths: Paths) -> None:
    run = trained(paths)
    entry = collection.find(paths, "last/3")
    before = {file.name: file.read_bytes() for file in entry.folder.iterdir()}
    collection.tell(entry, note="mine")
    place = collection.remove(paths, entry)
    assert steps(collection.of_run(run)) == [10, 2, 1]
    assert collection.restore(paths, place) == entry.id
    again = collection.find(paths, "last/3")
    assert {file.name: file.read_bytes() for file in again.folder.iterdir()} == before and again.about.note == "mine"
    place = collection.remove(paths, again)
    again.folder.mkdir()
    with pytest.raises(CheckpointError, match="exists again"):
        collection.restore(paths, place)
    again.folder.rmdir()
    trash.discard(place)
    assert not place.exists() and not list(run.checkpoints.glob("*.about")) and steps(collection.of_run(run)) == [10, 2, 1]
    with pytest.raises(CheckpointError, match="is gone"):
        collection.tell(again, pinned=True)


def test_one_that_is_brought_back_is_never_there_without_what_was_said(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(paths)
    entry = collection.find(paths, "last/3")
    collection.tell(entry, note="mine")
    place, rename = collection.remove(paths, entry), os.rename

    class Killed(BaseException):
        pass

    def second(*names: Any) -> None:
        monkeypatch.setattr(os, "rename", killed)
        rename(*names)

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(os, "rename", second)
    with pytest.raises(Killed):
        collection.restore(paths, place)
    assert steps(collection.of_run(run)) == [10, 2, 1]
    monkeypatch.setattr(os, "rename", rename)
    assert collection.restore(paths, place) == entry.id
    assert collection.find(paths, "last/3").about.note == "mine"


def test_what_another_viewer_renamed_is_brought_back_by_who_removed_it(paths: Paths) -> None:
    entries = [
        collection.save(paths, "one", {"model.safetensors": tensor_file(a=1)}, {"architecture": "nn.ReLU()"}) for _ in range(2)
    ]
    place = collection.remove(paths, entries[0])
    made = collection.rename(paths, entries[0].run, "other")
    assert not place.exists()
    assert collection.restore(paths, place) == "other/step-0000000001"
    assert steps(collection.of_run(made)) == [2, 1]


def test_the_trash_of_living_and_of_foreign_processes_stays(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = trash.place(paths, "run@step-0000000001")
    boot = ours.name.split("-")[-2]
    names = [ours.name, f"a~999999999-{boot}-aaaaaa", "b~999999999-anotherboot-aaaaaa", "c~999999999-aaaaaa"]
    for name in names:
        (paths.trash / name).mkdir()
    empty, now = trash.empty, time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * trash.DAY)
    empty(paths)
    assert {entry.name for entry in paths.trash.iterdir()} == {names[0], names[2], names[3]}
    monkeypatch.setattr(time, "time", lambda: now + trash.ELSEWHERE + trash.DAY)
    empty(paths)
    assert {entry.name for entry in paths.trash.iterdir()} == {names[0]}


ODD_MANIFESTS = [
    {"metrics": None}, {"metrics": {"valid_accuracy": [1]}}, {"metrics": {"valid_accuracy": 10**400}}, {"recipe": "abc"},
    {"recipe": [1]}, {"recipe": {"seed": "x"}}, {"recipe": {"data": 5}}, {"environment": 5}, {"normalisation": [1]},
    {"recipe": {"data": {"name": [1]}, "optimizer": {"name": {}, "lr": 10**400}, "parent": [1]}}, {"created": 1e300},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_MANIFESTS)
def test_one_odd_manifest_takes_no_list_away(paths: Paths, odd: dict[str, Any]) -> None:
    run = trained(paths)
    file = run.checkpoints / checkpoints.name_of(3) / checkpoints.MANIFEST
    values = {**sealed.read_document(file.read_bytes(), ""), **odd}
    file.write_bytes(sealed.document({name: value for name, value in values.items() if name != "seal"}))
    listed = rows_of(run)
    assert [row.step for row in listed] == [10, 3, 2, 1]
    for row in arranged(listed, "valid", True):
        assert row.title.isprintable() and text_of(row)
    entry = collection.of_run(run)[1]
    assert "damaged" in entry.problem or collection.trained(entry.checkpoint.manifest).isprintable()
    assert collection.find(paths, "last/3").step == 3


def test_nothing_of_a_run_that_trains_and_nothing_pinned_is_removed(paths: Paths) -> None:
    run = trained(paths)
    entry = collection.find(paths, "last/1")
    told, tell = os.pipe()
    wait, leave = os.pipe()

    def train() -> None:
        os.close(leave)
        RunLock(run.lock_file, 0.0)
        os.write(tell, b"x")
        os.read(wait, 1)

    pid = fork(train)
    os.read(told, 1)
    with pytest.raises(CheckpointError, match="is being trained"):
        collection.remove(paths, entry)
    os.close(leave)
    assert exit_code(pid) == 0
    collection.tell(entry, pinned=True)
    with pytest.raises(CheckpointError, match="is pinned"):
        collection.remove(paths, entry)
    assert steps(collection.of_run(run)) == [10, 3, 2, 1]


def test_a_copy_is_whole_or_not_there(paths: Paths, tmp_path: Path) -> None:
    run = trained(paths)
    entry = collection.find(paths, "last/best")
    copy = collection.copy_out(entry, tmp_path / "new" / "models")
    assert copy.name == f"{run.id}-step-0000000002"
    assert {f.name: f.read_bytes() for f in copy.iterdir()} == {f.name: f.read_bytes() for f in entry.folder.iterdir()}
    assert checkpoints.load(copy).read("model.safetensors") == tensor_file(a=2, b=3)
    with pytest.raises(CheckpointError, match="exists already"):
        collection.copy_out(entry, tmp_path / "new" / "models")
    flip(entry.folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        collection.copy_out(entry, tmp_path / "other")
    assert not (tmp_path / "other").exists() or not list((tmp_path / "other").iterdir())
