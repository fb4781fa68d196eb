"""Writing a checkpoint for other programs beside the event loop: asked for, shown while it goes on, stopped by a key."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from mlptui.core.errors import MlptuiError
from mlptui.launch import export
from mlptui.tui.desk import host
from mlptui.tui.dialogs.modal import Question
from mlptui.tui.dialogs.writing import ExportScreen
from mlptui.tui.messages import Noticed
from mlptui.tui.render.files import CheckpointRow
from mlptui.tui.verifying import List

RUNS_CODE = (".onnx", ".pt2")  # what is made by running the network
Allowed = Callable[[CheckpointRow, Callable[[], None]], None]


class Exporter:
    """One export at a time. `allowed` asks before a person's own code is run, then goes on."""

    def __init__(self, rows: List, allowed: Allowed) -> None:
        self._list, self._allowed = rows, allowed
        self._name, self._began, self._stop = "", 0.0, False

    @property
    def doing(self) -> str:
        """What is written, and for how long; "" for nothing."""
        return f"writing {self._name}, {time.monotonic() - self._began:.0f} s" if self._name else ""

    def stop(self) -> bool:
        """False where nothing is written."""
        self._stop = bool(self._name)
        return self._stop

    def ask(self, row: CheckpointRow) -> None:
        """Where to and as what; then do it."""

        def given(values: dict[str, str] | None) -> None:
            if values is None:
                return
            out = Path(values["to"])
            words = [row.id, str(out), *(["--as", values["as"]] if values["as"] else [])]
            runs_code = not values["as"] and out.suffix.lower() in RUNS_CODE
            if os.path.exists(out) and values["as"] != "tensorboard":
                text = f"{out}\nis there already. It is replaced only when all of the new is written."
                self._list.app.push_screen(
                    Question("replace it?", text, "replace it", "leave it"),
                    lambda yes: write([*words, "--force"], out.name, runs_code) if yes else None,
                )
            else:
                write(words, out.name, runs_code)

        def write(words: list[str], name: str, runs_code: bool) -> None:
            if runs_code:
                self._allowed(row, lambda: self._write([*words, "--yes"], name))
            else:
                self._write(words, name)

        if self._name:
            self._tell(f"{self.doing}; esc stops it", bad=True)
        else:
            self._list.app.push_screen(ExportScreen(row.title, not row.saved), given)

    def _tell(self, text: str, bad: bool = False) -> None:
        self._list.post_message(Noticed(text, bad))

    def _write(self, words: list[str], name: str) -> None:
        def done(said: str | None, error: Exception | None) -> None:
            self._name = ""
            if said is None:
                self._tell(str(error) if isinstance(error, MlptuiError) else repr(error), bad=True)
            else:
                self._tell(said)
            self._list.refresh_rows()

        app = self._list.app
        self._stop = False
        if (
            host(self._list)
            .background["export"]
            .submit(lambda: export.export(words, lambda: self._stop or not app.is_running), done)
        ):
            self._name, self._began = name, time.monotonic()
        else:
            self._tell("the work before is not done yet", bad=True)
        self._list.refresh_rows()
