"""`mlptui paths`"""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.epilog = "MLPTUI_HOME puts everything under one folder.\n\nexample:\n  MLPTUI_HOME=/scratch/me mlptui paths"
    parser.set_defaults(act=_show)


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.text import safe
    from mlptui.store import paths

    named = paths.find().named()
    if options.json:
        output.as_json({name.replace(" ", "_"): str(place) for name, place in named.items()})
    else:
        for name, place in named.items():  # whole, however long
            output.data(f"{name:<11} {safe(place)}")
    return 0
