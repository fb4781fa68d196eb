"""control/: commands to a run as files. A viewer links them in, the trainer applies each once and answers with an event."""

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlptui.core.errors import RunError
from mlptui.store import atomic, host
from mlptui.store.rundir import Run
from mlptui.store.sealed import number

COMMANDS = ("pause", "resume", "stop", "checkpoint", "set", "step")
SIZE_LIMIT = 4096
EXPIRY = 600.0
LAST_STEP = "MLPTUI_LAST_STEP"  # in a trainer's environment: it ends after this step, as if it had been asked then


@dataclass(frozen=True)
class Command:
    """One request. `value`: the learning rate for `set`, the number of batches for `step`."""

    id: str
    name: str
    value: float | None
    who: str
    wall: float
    refused: str = ""


def send(run: Run, name: str, value: float | None = None) -> str:
    """Put a command before the run's trainer and return its id. Raises RunError with a sentence."""
    if name not in COMMANDS:
        raise ValueError(name)
    command = f"{time.time_ns()}-{secrets.token_hex(6)}"
    text = json.dumps({"id": command, "command": name, "value": value, "who": host.who(), "wall": time.time()})
    temporary = run.control / f".{command}"
    try:
        atomic.write_new(temporary, text.encode())
        os.link(temporary, run.control / f"{command}.json")
    except OSError as error:
        raise RunError(f"cannot reach {run.id}: {atomic.reason(error)}") from None
    finally:
        atomic.unlink_quietly(temporary)
    return command


class Inbox:
    """The trainer's side. `take` returns new commands in order, each id once; bad ones come with `refused` set.

    Only what lay there when the trainer opened its inbox can be too old; what appears later is new, whatever the clocks say.
    """

    def __init__(self, folder: Path, *, opened: float, applied: set[str], clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.opened = opened
        self.applied = applied
        self.clock = clock
        self._left_over = set(self._names())

    def take(self) -> list[Command]:
        commands = []
        for name in self._names():
            command = self._read(name)
            if command.id not in self.applied:
                self.applied.add(command.id)
                commands.append(command)
            else:
                atomic.unlink_quietly(self.folder / name)
        return commands

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(".json") and not name.startswith("."))
        except OSError:
            return []

    def done(self, command: Command) -> None:
        """Forget a command's file, after its answer is in the log."""
        atomic.unlink_quietly(self.folder / f"{command.id}.json")

    def _read(self, name: str) -> Command:
        stem = name.removesuffix(".json")
        path = self.folder / name

        def refused(why: str, who: str = "") -> Command:
            return Command(stem, "?", None, who, 0.0, why)

        try:
            if os.lstat(path).st_uid != os.getuid():
                return refused("it comes from another user")
            values = json.loads(atomic.read_regular(path, SIZE_LIMIT))
            command, value, wall = values["command"], values.get("value"), float(values["wall"])
            who = str(values.get("who", ""))[:80]
        except Exception as error:  # whatever a foreign file can cause must not stop a training run
            return refused(f"it cannot be read ({type(error).__name__})")
        if values.get("id") != stem:
            return refused("its id is not that of its file", who)
        if command not in COMMANDS:
            return refused(f"{str(command)[:40]!r} is no command", who)
        if value is not None and (number(value) is None or isinstance(value, str)):
            return refused("its value is no number", who)
        value = number(value)
        fresh = abs(self.clock() - wall) <= EXPIRY and wall >= self.opened
        if name in self._left_over and not fresh:
            return Command(stem, command, value, who, wall, "it is too old")
        return Command(stem, command, value, who, wall)
