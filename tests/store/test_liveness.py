"""What a run is, as a table of cases."""

from typing import Any

import pytest

from mlptui.core.status import Status
from mlptui.store.liveness import judge
from mlptui.store.state import State

NOW = 1_000_000.0
RUNNING = State(
    status=Status.RUNNING, host="here", boot_id="b1", pid=77, pid_start=5, created=NOW - 500, oom_kills=3, wall=NOW
)

CASES: list[tuple[str, dict[str, Any], int | None, dict[str, Any], Status, bool, str]] = [
    ("lock held", {}, 77, {}, Status.RUNNING, True, ""),
    ("lock held, pid not named", {}, -1, {}, Status.RUNNING, True, ""),
    ("lock held from another host", {"host": "there"}, -1, {}, Status.RUNNING, True, ""),
    ("lock held, clock set back a day", {"created": NOW + 86_400, "wall": NOW + 86_400}, 77, {}, Status.RUNNING, True, ""),
    ("lock held, clock set ahead a year", {"wall": NOW - 3e7}, 77, {}, Status.RUNNING, True, ""),
    ("lock held, paused for hours", {"status": "paused"}, 77, {"quiet": 9999.0}, Status.PAUSED, True, ""),
    ("lock held, no progress", {"doing": "saving"}, 77, {"quiet": 61.0}, Status.RUNNING, True, "last: saving"),
    ("lock held, starting", {"status": "starting", "pid": 0}, 77, {}, Status.STARTING, True, ""),
    ("lock held, just ended", {"status": "finished"}, 77, {}, Status.FINISHED, True, ""),
    ("lock held, state says killed", {"status": "killed"}, 77, {}, Status.RUNNING, True, ""),
    ("finished", {"status": "finished"}, 0, {}, Status.FINISHED, False, ""),
    ("finished, and its pid lives again", {"status": "finished", "pid": 1}, 0, {}, Status.FINISHED, False, ""),
    ("finished elsewhere", {"status": "finished", "host": "there"}, 0, {}, Status.FINISHED, False, ""),
    ("stopped", {"status": "stopped", "reason": "by ada"}, 0, {}, Status.STOPPED, False, "by ada"),
    ("failed", {"status": "failed", "reason": "no GPU"}, 0, {}, Status.FAILED, False, "no GPU"),
    ("diverged", {"status": "diverged"}, 0, {}, Status.DIVERGED, False, ""),
    ("finished, lock unreadable", {"status": "finished"}, None, {}, Status.FINISHED, False, ""),
    ("killed", {}, 0, {}, Status.KILLED, False, "out of memory?"),
    ("killed, and pid 1 has its pid now", {"pid": 1}, 0, {}, Status.KILLED, False, ""),
    ("killed while paused", {"status": "paused"}, 0, {}, Status.KILLED, False, ""),
    ("killed while starting", {"status": "starting"}, 0, {}, Status.KILLED, False, ""),
    ("killed, clock set back", {"wall": NOW + 9e9, "created": NOW + 9e9}, 0, {}, Status.KILLED, False, ""),
    ("killed for want of memory", {}, 0, {"oom_kills": 4}, Status.KILLED, False, "killed, out of memory"),
    ("killed, no new memory kill", {}, 0, {"oom_kills": 3}, Status.KILLED, False, "out of memory?"),
    ("killed, counter reset", {}, 0, {"oom_kills": 0}, Status.KILLED, False, "out of memory?"),
    ("killed, counter unknown then", {"oom_kills": None}, 0, {"oom_kills": 9}, Status.KILLED, False, "out of memory?"),
    ("machine restarted", {"boot_id": "b0"}, 0, {"oom_kills": 9}, Status.KILLED, False, "the machine restarted"),
    ("boot unknown", {"boot_id": ""}, 0, {}, Status.KILLED, False, "out of memory?"),
    ("other host, moving", {"host": "there"}, 0, {"quiet": 3.0}, Status.UNKNOWN, False, "may be alive on there"),
    ("other host, silent", {"host": "there"}, 0, {"quiet": 90.0}, Status.UNKNOWN, False, "no sign of life from there"),
    ("lock unreadable", {}, None, {}, Status.UNKNOWN, False, "lock"),
    ("state says unknown", {"status": "unknown"}, 0, {}, Status.KILLED, False, ""),
    ("not started yet", {"status": "starting", "pid": 0, "created": NOW - 3}, 0, {}, Status.STARTING, False, "waiting"),
    ("never started", {"status": "starting", "pid": 0, "created": NOW - 61}, 0, {}, Status.FAILED, False, "never started"),
]


@pytest.mark.parametrize(
    ("changes", "holder", "asked", "status", "alive", "said"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_run_is_judged(
    changes: dict[str, Any], holder: int | None, asked: dict[str, Any], status: Status, alive: bool, said: str
) -> None:
    verdict = judge(RUNNING.but(**changes), holder, **{"now": NOW, "here": "here", "boot": "b1", "oom_kills": 3, **asked})
    assert (verdict.status, verdict.trainer_alive) == (status, alive)
    assert said in verdict.reason and "\n" not in verdict.reason


def test_a_living_trainer_is_never_called_dead_or_ended_by_any_clock() -> None:
    for status in Status:
        for wall in (-1e18, 0.0, NOW, 1e18):
            for quiet in (0.0, 1e9):
                verdict = judge(
                    RUNNING.but(status=status, wall=wall, created=wall), 77, now=NOW, here="x", boot="y", quiet=quiet
                )
                assert verdict.trainer_alive and verdict.status is not Status.KILLED and verdict.status is not Status.UNKNOWN


def test_without_a_lock_nothing_is_alive() -> None:
    for status in Status:
        for holder in (0, None):
            verdict = judge(RUNNING.but(status=status), holder, now=NOW, here="here", boot="b1", oom_kills=3)
            assert not verdict.trainer_alive and verdict.status not in (Status.RUNNING, Status.PAUSED)
