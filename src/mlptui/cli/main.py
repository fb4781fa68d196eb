"""The command `mlptui`. Everything heavy is imported inside the function that needs it."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mlptui.version import __version__

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "train": "start a run and follow it",
    "runs": "list, follow and command runs",
    "data": "list and import data sets",
    "model": "show and check networks, print them as PyTorch scripts",
    "params": "list, show, set, draw, tie, load and compare tensors",
    "checkpoints": "list, verify, pin, annotate, copy and remove checkpoints",
    "files": "look into any file of tensors, without running what is in it",
    "export": "take weights, networks and metrics elsewhere: .safetensors, .pt, scripts, ONNX, CSV, TensorBoard",
    "devices": "show the processor and the GPUs",
    "paths": "show where everything lies",
}

EXAMPLES = """\
examples:
  mlptui                                start the viewer
  mlptui train                          train 784-256-10 with the defaults and follow it
  mlptui train --epochs 20 --lr 0.05    with other knobs
  mlptui runs list                      all runs, newest first
  mlptui runs follow last               come back to a run

exit codes: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Foreign words in its complaints are shown, never sent to the terminal as they are."""

    def error(self, message: str) -> NoReturn:
        from mlptui.core.text import safe

        super().error(safe(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode gets `?` for a glyph
    parser = _parser(words)
    options = parser.parse_args(words)
    try:
        return int(options.act(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except Exception as error:
        from mlptui.core.errors import MlptuiError, UsageError

        if isinstance(error, RuntimeError) and "home directory" in str(error):  # of ~nobody
            return _complain(UsageError("there is no such home folder: ~ is followed by a user's name"), WRONG_USAGE)
        if isinstance(error, OSError) and isinstance(error.filename, str):  # of a path that somebody named
            from mlptui.store.atomic import reason

            return _complain(UsageError(f"{error.filename}: {reason(error)}"), WRONG_USAGE)
        if not isinstance(error, MlptuiError):
            return _unforeseen(error)
        return _complain(error, WRONG_USAGE if isinstance(error, UsageError) else FAILED)


def _unforeseen(error: Exception) -> int:
    """A mistake of ours: one line here, the traceback in a file."""
    import traceback

    from mlptui.core.text import safe
    from mlptui.store import atomic, paths

    log = paths.find().error_log
    try:
        atomic.make_folder(log.parent)
        with log.open("a") as stream:
            traceback.print_exception(error, file=stream)
        where = f"; the traceback is in {log}"
    except Exception:
        where = ""
    print(f"mlptui: internal error: {type(error).__name__}: {safe(error, 300)}{safe(where)}", file=sys.stderr)
    return FAILED


def _complain(error: Exception, code: int) -> int:
    from mlptui.core.errors import RecipeError
    from mlptui.core.text import safe

    if isinstance(error, RecipeError):
        for path, message in error.problems:
            print(f"mlptui: {safe(path)}: {safe(message)}" if path else f"mlptui: {safe(message)}", file=sys.stderr)
    else:
        print(f"mlptui: {safe(error)}", file=sys.stderr)
    return code


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """The parser; only the command that is used brings its options, so that `--help` stays fast."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        "mlptui",
        description="A workbench for PyTorch networks in one keyboard-only terminal program.",
        epilog=EXAMPLES,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mlptui {__version__}")
    parser.add_argument("--ascii", action="store_true", help="draw with 7-bit characters only")
    parser.add_argument("--mouse", action="store_true", help="let the viewer use the mouse")
    parser.set_defaults(act=_view)
    commands = parser.add_subparsers(title="commands", metavar="")
    used = next((word for word in words if not word.startswith("-")), None)
    for name, help_ in COMMANDS.items():
        command = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
        command.formatter_class = formatter
        if name == used:
            from importlib import import_module

            import_module(f"mlptui.cli.{name}").add_options(command)
    return parser


def _view(options: argparse.Namespace) -> int:
    from mlptui.cli.view import view

    return view(options)
