"""Commands to a run: each once, in order, and nothing that a stranger leaves there stops the trainer."""

import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mlptui.core.errors import RunError
from mlptui.store import control
from mlptui.store.control import COMMANDS, EXPIRY, SIZE_LIMIT, Command, Inbox, send
from mlptui.store.rundir import Run

NOW = time.time()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.control.mkdir(parents=True)
    return made


def inbox(run: Run, **changes: Any) -> Inbox:
    return Inbox(run.control, **{"opened": 0.0, "applied": set(), **changes})


def put(run: Run, name: str, content: object) -> None:
    if isinstance(content, dict) and "id" not in content:
        content = {**content, "id": name}
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (run.control / f"{name}.json").write_bytes(data)


def command(**changes: Any) -> dict[str, Any]:
    return {"command": "pause", "value": None, "who": "ada", "wall": time.time(), **changes}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_arrives_once_with_its_value_and_sender(run: Run, name: str) -> None:
    before = time.time()
    sent = send(run, name, 0.25)
    box = inbox(run, opened=before)
    (taken,) = box.take()
    assert (taken.id, taken.name, taken.value, taken.refused) == (sent, name, 0.25, "")
    assert "@" in taken.who and before <= taken.wall <= time.time()
    assert box.take() == []
    box.done(taken)
    assert os.listdir(run.control) == []


def test_an_unknown_command_cannot_be_sent(run: Run) -> None:
    with pytest.raises(ValueError, match="explode"):
        send(run, "explode")


def test_a_command_to_a_run_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot reach run: its folder is not there"):
        send(Run(tmp_path / "run"), "pause")


def test_a_thousand_commands_of_two_senders_are_each_applied_once_and_in_order(run: Run) -> None:
    """Row 8 of the fault matrix, with a trainer that forgets its memory of ids now and then, as a restart does."""
    sent: dict[str, list[str]] = {"a": [], "b": []}

    def work(sender: str) -> None:
        for i in range(500):
            sent[sender].append(send(run, "set", float(i)))

    threads = [threading.Thread(target=work, args=(sender,)) for sender in sent]
    rng = random.Random(8)
    applied: list[Command] = []
    logged: set[str] = set()
    box = inbox(run, applied=logged)
    for thread in threads:
        thread.start()
    while len(applied) < 1000:
        taken = box.take()
        applied += taken
        for one in taken:
            if rng.random() < 0.8:
                box.done(one)
        if rng.random() < 0.1:
            box = inbox(run, applied={c.id for c in applied})
    for thread in threads:
        thread.join()
    assert box.take() == []
    ids = [c.id for c in applied]
    assert len(set(ids)) == 1000
    for own in sent.values():
        assert [i for i in ids if i in set(own)] == own
    assert {c.refused for c in applied} == {""}
    inbox(run, applied=set(ids)).take()
    assert os.listdir(run.control) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (command(wall=NOW, command="explode"), "'explode' is no command"),
        (command(wall=NOW, command="\x1b]52;c;QQ==\x07"), "is no command"),
        (command(wall=NOW, command=["pause"]), "is no command"),
        (command(wall=NOW, command=None), "is no command"),
        (command(wall=NOW, command="x" * 3000), "is no command"),
        (command(wall=NOW, value="fast"), "its value is no number"),
        (command(wall=NOW, value=True), "its value is no number"),
        (command(wall=NOW, value=[1]), "its value is no number"),
        (command(wall=NOW, value={}), "its value is no number"),
        (command(wall=NOW, value="nan"), "its value is no number"),
        (command(wall=NOW, value=10**400), "its value is no number"),
        (command(wall=NOW - EXPIRY - 1), "it is too old"),
        (command(wall=NOW + EXPIRY + 1), "it is too old"),
        (command(wall=float("nan")), "it is too old"),
        (command(wall=float("inf")), "it is too old"),
        (command(wall=10**400), "it cannot be read"),
        (command(wall=None), "it cannot be read"),
        ({"command": "pause"}, "it cannot be read"),
        ([], "it cannot be read"),
        (None, "it cannot be read"),
        (b"", "it cannot be read"),
        (b"\0" * 100, "it cannot be read"),
        (b"\xff\xfe", "it cannot be read"),
        (b"[" * SIZE_LIMIT, "it cannot be read"),
        (b"9" * SIZE_LIMIT, "it cannot be read"),
        (b"x" * (SIZE_LIMIT + 1), "it cannot be read"),
        (command(wall=NOW, who="x" * SIZE_LIMIT), "it cannot be read"),
    ],
    ids=range(27),
)
def test_a_bad_command_is_refused_with_a_reason_and_the_next_is_taken(run: Run, content: object, said: str) -> None:
    put(run, "0-bad", content)
    put(run, "1-good", command(wall=NOW))
    box = inbox(run, clock=lambda: NOW)
    bad, good = box.take()
    assert said in bad.refused and len(bad.refused) < 100 and bad.refused.isprintable()
    assert (good.id, good.name, good.refused) == ("1-good", "pause", "")
    box.done(bad)
    assert box.take() == []


def test_a_command_from_before_the_trainer_opened_is_too_old(run: Run) -> None:
    put(run, "0", command())
    assert inbox(run, opened=time.time() + 1).take()[0].refused == "it is too old"


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_jump_of_the_clock_refuses_but_does_not_raise(run: Run, jump: float) -> None:
    put(run, "0", command())
    assert inbox(run, clock=lambda: time.time() + jump).take()[0].refused == "it is too old"


def test_what_is_no_file_is_refused_at_once(run: Run) -> None:
    os.mkfifo(run.control / "0-pipe.json")
    (run.control / "1-folder.json").mkdir()
    (run.control / "2-link.json").symlink_to("/etc/passwd")
    (run.control / "3-loop.json").symlink_to("3-loop.json")
    with (run.control / "4-sparse.json").open("wb") as stream:
        stream.truncate(1 << 40)
    (run.control / "5-zero.json").symlink_to("/dev/zero")
    put(run, "6-good", command())
    (run.control / ".7-hidden.json").write_text("half")
    (run.control / "8-other.txt").write_text("half")
    started = time.monotonic()
    box = inbox(run)
    taken = box.take()
    assert time.monotonic() - started < 1
    assert [bool(c.refused) for c in taken] == [True] * 6 + [False]
    for one in taken:
        box.done(one)
    assert box.take() == []
    assert Path("/etc/passwd").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_command_of_another_user_is_refused(run: Run) -> None:
    put(run, "0", command())
    os.chown(run.control / "0.json", 12_345, -1)
    assert inbox(run).take()[0].refused == "it comes from another user"


def test_a_name_that_is_no_utf8_is_no_trap(run: Run) -> None:
    name = os.fsencode(run.control) + b"/0-\xff\x1b.json"
    with open(name, "wb") as stream:
        stream.write(json.dumps(command()).encode())
    box = inbox(run)
    (taken,) = box.take()
    box.done(taken)
    assert os.listdir(run.control) == []


def test_a_folder_that_is_gone_has_no_commands(tmp_path: Path) -> None:
    assert inbox(Run(tmp_path / "gone")).take() == []


def test_a_reader_never_sees_half_a_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file appears by a link, after its content is whole."""
    seen: list[list[Command]] = []
    real = control.atomic.write_new

    def slow(path: Path, data: bytes, **named: Any) -> None:
        path.touch()
        seen.append(inbox(run).take())
        path.unlink()
        real(path, data, **named)
        seen.append(inbox(run).take())

    monkeypatch.setattr(control.atomic, "write_new", slow)
    send(run, "stop")
    assert seen == [[], []]
    assert [c.name for c in inbox(run).take()] == ["stop"]


def test_a_command_file_copied_under_another_name_is_not_applied_again(run: Run) -> None:
    put(run, "1-first", command(wall=NOW))
    put(run, "2-copy", command(wall=NOW, id="1-first"))
    first, copy = inbox(run, clock=lambda: NOW).take()
    assert (first.name, first.refused) == ("pause", "")
    assert "its id" in copy.refused
