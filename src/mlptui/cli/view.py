"""`mlptui` without a command: the viewer."""

import argparse
import os
import sys


def view(options: argparse.Namespace) -> int:
    """Start the viewer in this terminal. Raises UsageError where it cannot draw."""
    from mlptui.core.errors import UsageError

    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("this terminal (TERM=dumb) cannot show the viewer; use the commands, see: mlptui --help")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the viewer needs a terminal on stdin and stdout; use the commands, see: mlptui --help")
    from mlptui.store import paths, settings

    places = paths.find()
    wanted = settings.read(places.settings)
    from mlptui.tui.app import MlptuiApp

    ascii_only = options.ascii or wanted.ascii or not _speaks_utf8()
    app = MlptuiApp(places, wanted, ascii_only)
    app.run(mouse=options.mouse or wanted.mouse)
    return app.return_code or 0


def _speaks_utf8() -> bool:
    import locale

    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
