"""`mlptui runs`: what a person and a script can do with runs; data on stdout, narration on stderr."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process.trainers import Zygote, events, eventually, make_run, recipe, step_of, until_step

from mlptui.core.events import Kind
from mlptui.core.status import Status
from mlptui.store import checkpoints, paths, rundir
from mlptui.store import state as states
from mlptui.store.rundir import Run

Command = Callable[..., Any]
HOSTILE = "evil\x1b[31m\x1b]0;title\x07\u202e[/x]"


def test_without_runs_the_list_is_empty_and_says_what_to_do(mlptui: Command) -> None:
    said = mlptui("runs", "list")

    assert (said.code, said.out) == (0, "")
    assert "mlptui train" in said.err
    assert mlptui("runs", "list", "--json").json == []


@pytest.mark.parametrize("action", ["show", "follow", "pause", "resume", "stop", "checkpoint", "step", "remove"])
def test_a_run_that_does_not_exist_is_a_failure_in_one_sentence(mlptui: Command, action: str) -> None:
    said = mlptui("runs", action, f"nothing{HOSTILE}")

    assert (said.code, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1
    assert "\x1b" not in said.err


def test_several_runs_that_match_are_named(mlptui: Command) -> None:
    make_run(recipe())
    make_run(recipe())

    said = mlptui("runs", "show", "test")

    assert said.code == 1
    assert "2 runs match" in said.err


@pytest.mark.process
def test_a_live_run_obeys_each_command_and_answers_in_json(
    mlptui: Command, trainers: Zygote, training: tuple[Run, int]
) -> None:
    run, pid = training
    who = {"run": run.id, "refused": ""}

    assert mlptui("runs", "list", "--json").json[0]["status"] == "running"
    paused = mlptui("runs", "pause", "last", "--json")
    assert paused.code == 0
    assert paused.err == ""
    assert paused.json.items() >= {**who, "command": "pause"}.items()
    step = paused.json["step"]
    eventually(lambda: run.state().status == Status.PAUSED)
    assert mlptui("runs", "list", "--json").json[0]["status"] == "paused"

    assert mlptui("runs", "step", "last", "4", "--json").json["outcome"] == "4 more"
    until_step(run, step + 4)
    assert mlptui("runs", "set", "last", "0.02", "--json").json["outcome"] == "learning rate 0.1 -> 0.02"
    assert mlptui("runs", "checkpoint", run.id[-4:], "--json").json["step"] == step + 4
    eventually((run.checkpoints / checkpoints.name_of(step + 4)).is_dir)

    resumed = mlptui("runs", "resume", "last")
    assert (resumed.code, resumed.out) == (0, "")
    assert resumed.err == f"{run.id}: resume by {events(run, Kind.COMMAND)[-1]['who']}: goes on\n"
    until_step(run, step + 10)

    again = mlptui("runs", "step", "last")
    assert again.code == 1
    assert "refused: only a paused run can be stepped" in again.err
    assert mlptui("runs", "step", "last", "0").code == 1
    assert mlptui("runs", "set", "last", "0").code == 1
    assert mlptui("runs", "set", "last", "nan").code == 1
    assert mlptui("runs", "resume", "last").code == 1
    assert mlptui("runs", "remove", "last", "--yes").code == 1

    assert mlptui("runs", "stop", "last", "--json").code == 0
    assert trainers.wait(pid) == 0
    assert run.verdict().status is Status.STOPPED
    late = mlptui("runs", "pause", "last")
    assert (late.code, late.err) == (1, f"mlptui: {run.id} is stopped; only a live run takes commands\n")


@pytest.mark.process
def test_a_killed_run_is_shown_as_killed_and_resumed(mlptui: Command, trainers: Zygote, training: tuple[Run, int]) -> None:
    run, pid = training
    os.kill(pid, signal.SIGKILL)
    trainers.wait(pid)

    shown = mlptui("runs", "show", "last", "--json").json
    followed = mlptui("runs", "follow", "last")
    assert shown["status"] == "killed"
    assert shown["checkpoints"][0]["step"] == 0
    assert followed.code == 1
    assert f"last checkpoint step-0000000000. Go on with: mlptui runs resume {run.id}" in followed.err

    resumed = mlptui("runs", "resume", "last", "--json")

    assert resumed.json.keys() == {"run", "pid"}
    eventually(lambda: events(run, Kind.RESUMED))
    assert run.verdict().status.live
    assert mlptui("runs", "resume", "last").code == 1


@pytest.mark.process
def test_a_finished_run_is_shown_followed_and_removed(mlptui: Command, trainers: Zygote) -> None:
    run = make_run(recipe(epochs=2))
    assert trainers.wait(trainers.spawn(run)) == 0

    shown = mlptui("runs", "show", "last")
    assert shown.code == 0
    assert shown.err == ""
    assert run.id in shown.out.splitlines()[0]
    assert "finished" in shown.out.splitlines()[0]
    assert "step        10 of 10" in shown.out
    assert "best" in shown.out
    full = mlptui("runs", "show", "last", "--json").json
    assert [c["step"] for c in full["checkpoints"]] == [0, 5, 10]
    assert full["recipe"]["epochs"] == 2
    assert [e["kind"] for e in full["events"]][-2:] == ["tested", "finished"]

    listed = mlptui("runs", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["run", run.id]
    assert "2/2" in listed.out
    followed = mlptui("runs", "follow", "last")
    assert followed.code == 0
    assert len(followed.out.splitlines()) == 3
    assert mlptui("runs", "follow", "last", "--json").lines[-1]["status"] == "finished"
    assert mlptui("runs", "resume", "last").code == 1

    refused = mlptui("runs", "remove", "last")
    assert refused.code == 2
    assert "--yes" in refused.err
    removed = mlptui("runs", "remove", "last", "--yes", "--json")
    assert removed.json == {"removed": run.id}
    assert rundir.all_runs(paths.find()) == []


def test_removing_asks_and_only_yes_removes(mlptui: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(recipe())
    assert mlptui("runs", "remove", "last", "--yes").code == 1, "a run that is starting was removed"
    states.write(run.state_file, run.state().but(status=Status.FINISHED, pid=1))

    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Person("maybe\n"))
    said = mlptui("runs", "remove", "last")
    assert said.code == 1
    assert said.out == ""
    assert f"remove {run.id}" in said.err
    assert run.folder.exists()

    monkeypatch.setattr(sys, "stdin", Person("y\n"))
    assert mlptui("runs", "remove", "last").code == 0
    assert not run.folder.exists()


@pytest.mark.process
def test_a_real_follower_is_left_with_ctrl_c_while_the_run_goes_on(training: tuple[Run, int]) -> None:
    run, _ = training
    follower = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlptui", "runs", "follow", "last"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert follower.stdout
    assert follower.stdout.readline().startswith("epoch")

    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=30)

    assert follower.returncode == 130
    assert err.splitlines()[-1].startswith("detached; the run goes on.")
    until_step(run, step_of(run) + 10)


def hostile_run() -> Run:
    """A run whose folder, names, reason, events and log all carry escape codes."""
    run = make_run(recipe())
    bad = Run(run.folder.with_name(f"20261123-000000-{HOSTILE.replace('/', '-')}-0000"))
    run.folder.rename(bad.folder)
    state = json.loads(bad.state_file.read_text())
    bad.state_file.write_text(
        json.dumps({**state, "name": HOSTILE, "reason": HOSTILE, "data": HOSTILE, "model": HOSTILE, "device": HOSTILE,
                    "matmul": HOSTILE, "status": "failed", "pid": 1, "host": HOSTILE})
    )  # fmt: skip
    from mlptui.store.eventlog import EventWriter

    writer = EventWriter(bad.events_file)
    for kind in (Kind.WARNING, Kind.FAILED, Kind.COMMAND, Kind.CHECKPOINT, HOSTILE):
        writer.write(kind, 1, message=HOSTILE, reason=HOSTILE, who=HOSTILE, command=HOSTILE, name=HOSTILE, outcome=HOSTILE)
    writer.file.close()
    (bad.checkpoints / "step-0000000001").mkdir()
    bad.log_file.write_text(HOSTILE)
    return bad


@pytest.mark.parametrize(
    "words",
    [["list"], ["show", "last"], ["follow", "last"], ["pause", "last"], ["resume", "evil"], ["remove", "last"]],
    ids=str,
)
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=str)
def test_escape_codes_in_a_run_never_reach_the_terminal(mlptui: Command, words: list[str], flags: list[str]) -> None:
    hostile_run()

    said = mlptui("runs", *words, *flags)

    for character in "\x1b\x07\u202e":
        assert character not in said.out + said.err
    assert "evil" in said.out + said.err
    assert "Traceback" not in said.err


def test_a_folder_with_bytes_that_are_no_text_is_listed_and_shown(mlptui: Command) -> None:
    run = make_run(recipe())
    os.rename(run.folder, os.fsencode(run.folder) + b"-\xff\xfe")

    assert mlptui("runs", "list").code == 0
    assert mlptui("runs", "show", "last").code == 0
    assert mlptui("runs", "show", "last", "--json").code == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "dancing"}', b'{"format": 99}', b"\xff" * 10])
def test_a_run_with_a_damaged_state_is_listed_as_unknown_with_its_reason(mlptui: Command, content: bytes) -> None:
    good, bad = make_run(recipe()), make_run(recipe())
    bad.state_file.write_bytes(content)

    rows = {row["run"]: row for row in mlptui("runs", "list", "--json").json}

    assert rows[bad.id]["status"] == "unknown"
    assert rows[bad.id]["reason"]
    assert rows[good.id]["status"] == "starting"
    assert mlptui("runs", "list").code == 0
    for action in ("show", "pause", "resume"):
        said = mlptui("runs", action, bad.id)
        assert "Traceback" not in said.err


def test_a_list_on_a_terminal_without_unicode_has_substitutes(home: Path) -> None:
    make_run(recipe())
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlptui", "runs", "list"], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip

    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"? starting" in done.stdout
