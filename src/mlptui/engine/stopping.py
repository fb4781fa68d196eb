"""The one flag that signal handlers and commands set and the training loop reads."""

from dataclasses import dataclass


@dataclass
class StopRequest:
    """Who asked the run to stop, empty while nobody did, and how many signals have come: a second one ends the process.

    `after` is a step after which nobody needs to ask, 0 for none.
    """

    why: str = ""
    signals: int = 0
    after: int = 0
