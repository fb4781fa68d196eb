"""What launch decides before a process is started."""

import pytest

from mlptui.core.errors import RunError
from mlptui.core.recipe import Recipe, check
from mlptui.core.status import Status
from mlptui.launch import begin, trainer
from mlptui.store import rundir
from mlptui.store import state as states
from mlptui.store.paths import Paths


@pytest.mark.parametrize(
    ("configuration", "lingering", "killed"),
    [
        ("[Login]\nKillUserProcesses=yes\n", False, True),
        ("[Login]\nKillUserProcesses=yes\n", True, False),
        ("[Login]\nKillUserProcesses=yes\n", None, False),
        ("[Login]\nKillUserProcesses = yes\n", False, True),
        ("  KillUserProcesses=TRUE  ", False, True),
        ("KillUserProcesses=1", False, True),
        ("KillUserProcesses=on", False, True),
        ("KillUserProcesses=y", False, True),
        ("KillUserProcesses=t", False, True),
        ("KillUserProcesses=no", False, False),
        ("KillUserProcesses=", False, False),
        ("#KillUserProcesses=yes", False, False),
        ("; KillUserProcesses=yes", False, False),
        ("KillUserProcesses=yes\nKillUserProcesses=no", False, False),
        ("KillUserProcesses=no\n\n[Login]\nKillUserProcesses=yes", False, True),
        ("KillOnlyUsers=ada", False, False),
        ("", False, False),
        (None, False, False),
        ("KillUserProcesses", False, False),
        ("\x00\ufffd=yes", False, False),
    ],
)
def test_runs_that_logout_would_kill_are_foreseen(configuration: str | None, lingering: bool | None, killed: bool) -> None:
    assert trainer.may_be_killed_at_logout(configuration, lingering) is killed


def test_the_warning_of_this_host_is_one_line_or_none() -> None:
    warning = trainer.logout_warning()
    assert warning == "" or ("loginctl enable-linger" in warning and "\n" not in warning)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))", "fashion-mnist-mlp"),
        ("nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.LazyLinear(10))", "fashion-mnist-convnet"),
        ("nn.Embedding(3, 4)", "fashion-mnist-embedding"),
    ],
)
def test_a_run_is_named_after_data_and_model(architecture: str, name: str) -> None:
    recipe = check({"architecture": architecture, "data": {"name": "fashion-mnist"}})
    assert begin.default_name(recipe) == name


@pytest.mark.parametrize("status", [Status.FINISHED, Status.DIVERGED, Status.STARTING])
def test_only_stopped_failed_and_killed_runs_are_resumed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    states.write(run.state_file, run.state().but(status=status, pid=0))
    monkeypatch.setattr(trainer, "start", lambda *_: pytest.fail("a trainer was started"))
    with pytest.raises(RunError, match=f"{run.id} is {status}"):
        begin.resume(run, {})


@pytest.mark.parametrize("status", [Status.STOPPED, Status.FAILED, Status.RUNNING])
def test_a_stopped_failed_or_killed_run_is_resumed(paths: Paths, monkeypatch: pytest.MonkeyPatch, status: Status) -> None:
    from mlptui.store import host

    run = rundir.create(paths, Recipe(), "x", "m")
    states.write(run.state_file, run.state().but(status=status, pid=999_999_999, host=host.host_name()))
    monkeypatch.setattr(trainer, "start", lambda asked, environment: 4711)
    assert begin.resume(run, {}) == 4711


def test_a_run_elsewhere_is_not_resumed(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    states.write(run.state_file, run.state().but(status=Status.RUNNING, pid=5, host="elsewhere"))
    with pytest.raises(RunError, match="may be alive on elsewhere"):
        begin.resume(run, {})


def test_a_trainer_without_a_place_for_its_log_is_one_sentence(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    run.log_file.parent.rmdir()
    with pytest.raises(RunError, match="the trainer cannot be started: No such file or directory"):
        trainer.start(run)


def test_a_trainer_that_is_not_there_is_told_apart_from_a_slow_one(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    run.log_file.write_text("Traceback\n\x1b[2Jout of luck\n")
    with pytest.raises(RunError, match=r"the trainer ended at once: ␛\[2Jout of luck"):
        trainer.wait_until_ready(run, 999_999_999)


def test_a_trainer_that_failed_gives_its_own_reason(paths: Paths) -> None:
    run = rundir.create(paths, Recipe(), "x", "m")
    states.write(run.state_file, run.state().but(status=Status.FAILED, pid=77, reason="the data set is damaged"))
    with pytest.raises(RunError, match="the data set is damaged"):
        trainer.wait_until_ready(run, 77)
