"""The command line in this process, with trainers that are forked from a warm one."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from process.trainers import Zygote, make_run, recipe, until_step, zygote

from mlptui.cli.main import main
from mlptui.launch import process, trainer
from mlptui.store import host
from mlptui.store.rundir import Run


@dataclass
class Said:
    """What a command gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def mlptui(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run one command in this process."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as error:  # argparse ends this way
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zygote]:
    """Commands start their trainers by forking the warm process."""

    def start(run: Run, extra: Mapping[str, str] | None = None) -> int:
        return zygote().spawn(run)

    monkeypatch.setattr(trainer, "start", start)
    monkeypatch.setattr(process, "lives", lambda pid: host.process_start(pid) is not None)
    yield zygote()
    zygote().kill_leftovers()


@pytest.fixture
def training(trainers: Zygote) -> tuple[Run, int]:
    """A run that trains 200 steps a second for longer than any test, and its process."""
    run = make_run(recipe(epochs=10_000, checkpoints__every_epochs=0))
    pid = trainers.spawn(run, slow=0.005)
    until_step(run, 3)
    return run, pid
