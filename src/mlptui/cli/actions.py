"""Commands with actions below them: `mlptui data list`, `mlptui model show`."""

import argparse
from collections.abc import Callable

Add = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def actions_of(parser: argparse.ArgumentParser) -> Add:
    """A function that adds an action by its name, its help and what it does; each has --json."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(name: str, help_: str, act: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
        made.add_argument("--json", action="store_true", help="machine-readable")
        made.set_defaults(act=act, command=name)
        return made

    return add
