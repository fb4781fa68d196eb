"""The one flag that signal handlers and commands set and the training loop reads."""

from dataclasses import dataclass


@dataclass
class StopRequest:
    """Who asked the run to stop, empty while nobody did, and how many signals have come: a second one ends the process."""

    why: str = ""
    signals: int = 0
