"""What comes before the work: version, help, wrong usage."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlptui.cli.main import COMMANDS
from mlptui.version import __version__

PROGRAM = Path(sys.executable).with_name("mlptui")
Command = Callable[..., Any]


@pytest.mark.parametrize("words", [["--version"], ["--help"]], ids=str)
def test_version_and_help_answer_in_under_three_tenths_of_a_second(words: list[str]) -> None:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not installed")
    took = []
    for _ in range(5):
        started = time.monotonic()
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True)
        took.append(time.monotonic() - started)
        if len(took) >= 3 and min(took) < 0.3:
            break

    assert min(took) < 0.3
    assert done.stdout.startswith("mlptui" if words == ["--version"] else "usage: mlptui")
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["devices", "--help"], ["runs", "--help"]], ids=str)
def test_version_and_help_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom mlptui.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as error:\n    assert not error.code\n"
        "print('\\n' + ' '.join(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.splitlines()[-1].split())
    assert "mlptui.cli.main" in loaded
    assert not loaded & {"torch", "torchvision", "textual", "rich", "numpy", "pydantic", "pynvml", "safetensors"}


def test_the_version_is_that_of_the_package(mlptui: Command) -> None:
    said = mlptui("--version")

    assert (said.code, said.out) == (0, f"mlptui {__version__}\n")


def test_the_help_names_every_command_and_the_exit_codes(mlptui: Command) -> None:
    said = mlptui("--help")

    assert said.code == 0
    assert all(re.search(rf"^    {name}\s", said.out, re.M) for name in COMMANDS)
    assert "exit codes: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted" in said.out


@pytest.mark.parametrize("name", ["train", "runs", "data", "devices"])
def test_the_help_of_a_command_has_examples(mlptui: Command, name: str) -> None:
    said = mlptui(name, "--help")

    assert said.code == 0
    assert "example" in said.out
    assert f"\n  mlptui {name}" in said.out or "mlptui train --device" in said.out


@pytest.mark.parametrize(
    "words",
    [
        ["dance"],
        ["runs"],
        ["runs", "dance"],
        ["runs", "show"],
        ["runs", "set", "last", "fast"],
        ["runs", "step", "last", "1.5"],
        ["train", "--epoch", "3"],
        ["train", "extra"],
        ["data", "import"],
        ["paths", "\x1b[31mred"],
        ["--\x1b]0;title\x07"],
    ],
    ids=str,
)
def test_wrong_usage_is_two_and_speaks_on_stderr_only(mlptui: Command, words: list[str]) -> None:
    said = mlptui(*words)

    assert said.code == 2
    assert said.out == ""
    assert "usage: mlptui" in said.err
    assert "\x1b" not in said.err
    assert "\x07" not in said.err
    assert "Traceback" not in said.err


def test_an_interrupt_is_one_hundred_and_thirty(mlptui: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlptui.store.paths.find", interrupted)

    assert mlptui("paths").code == 130


def test_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -P -m mlptui data list --json | true; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_terminal_without_unicode_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlptui", "devices"],
        capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
