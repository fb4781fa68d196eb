"""A training stopped by keys, its best checkpoint judged, loaded and compared by keys, and taken to where no mlptui is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlptui.store import collection
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

from .test_main_job import only_run, wait_until

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(300)]

LONG = b'epochs = 100000\nthreads = 1\nseed = 3\n[data]\nname = "fashion-mnist-sample"\nvalidation = 0.1\n'


def start_long_run(home: Path, monkeypatch) -> Run:
    """A run that trains for minutes, started by the command line's own code."""
    from mlptui.cli.main import main

    monkeypatch.setenv("MLPTUI_HOME", str(home))
    (home / "long.toml").write_bytes(LONG)
    assert main(["train", "--recipe", str(home / "long.toml"), "--detach"]) == 0
    run = only_run(home)
    wait_until(lambda: run.state().step > 0)
    return run


def test_train_stop_load_the_best_compare_export_and_run_it_elsewhere(terminal, home, monkeypatch, capsys, tmp_path) -> None:
    from mlptui.cli.main import main

    run = start_long_run(home, monkeypatch)
    wait_until(lambda: run.state().best_step)
    viewer = terminal()
    viewer.wait_for("esc watches it")
    viewer.press("w")
    viewer.wait_for("● running")
    viewer.press("s")
    viewer.wait_for("stop")
    viewer.press("y")
    viewer.wait_for("■ stopped", 60)
    best = next(entry for entry in collection.of_run(only_run(home)) if entry.best)

    viewer.press("6")
    viewer.wait_for("best mlp-")
    viewer.press("/")
    viewer.wait_for("show only")
    viewer.press(*"best")
    viewer.press("\r")
    viewer.wait_for("filter: best")
    viewer.press("t")
    viewer.wait_for("judge")
    viewer.press("\r")
    seen = viewer.wait_for("judged   test of fashion-mnist-sample: loss", 90)
    told = re.search(r"judged +test of fashion-mnist-sample: loss ([0-9.]+), accuracy ([0-9.]+ %)", seen)
    assert told
    viewer.press("l")
    viewer.wait_for("is on the bench", 60)
    viewer.press("L")
    viewer.wait_for("4 are equal already", 60)  # the plan of what is there already
    viewer.press("\x1b")
    viewer.wait_for("checkpoints")
    viewer.press("=")
    viewer.wait_for("changes from step", 60)
    viewer.press("q")
    assert viewer.wait_end() == 0

    capsys.readouterr()
    assert main(["checkpoints", "evaluate", best.id]) == 0
    said = capsys.readouterr().out
    assert f"loss {told[1]}, accuracy {told[2]}" in said
    assert main(["export", best.id, str(tmp_path / "elsewhere"), "--as", "script"]) == 0
    ran = subprocess.run(
        [sys.executable, "-I", "run.py"], cwd=tmp_path / "elsewhere", capture_output=True, text=True, timeout=120, check=True
    )
    score = re.search(r"test loss ([0-9.]+), accuracy ([0-9.]+)", ran.stdout)
    assert score and f"{float(score[2]) * 100:.1f} %" == told[2] and abs(float(score[1]) - float(told[1])) < 6e-4
    assert sorted(p.name for p in Path(tmp_path / "elsewhere").iterdir())[-2:] == ["model.pt", "run.py"]
    assert Paths(home, home, home).runs == run.folder.parent
