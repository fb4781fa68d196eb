"""What happened, for the app to hear."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from mlptui.core.recipe import Recipe
from mlptui.store.rundir import Run


@dataclass
class StartAsked(Message):
    """A person wants a run of this recipe."""

    recipe: Recipe


@dataclass
class ResumeAsked(Message):
    """A person wants a dead run to go on."""

    run: Run


@dataclass
class LookedInto(Message):
    """A person wants to see the tensors of a checkpoint's folder or a file; the cursor goes to `tensor`."""

    source: str
    tensor: str = ""


@dataclass
class CompareAsked(Message):
    """A person wants to see what changed to this file from another one."""

    source: str


@dataclass
class PlanAsked(Message):
    """A person wants to load tensors into the network on the bench."""

    source: str


@dataclass
class LoadAsked(Message):
    """A person wants a checkpoint with its own network on the bench; `what` names it.

    `refused` is called with the reason where it does not come there.
    """

    source: str
    architecture: str
    what: str
    refused: Callable[[str], None]


@dataclass
class EvaluateAsked(Message):
    """A person wants a checkpoint's network judged; `data` is what it was trained on, `refused` as for `LoadAsked`.

    `then` is called when it was.
    """

    source: str
    architecture: str
    what: str
    data: str
    refused: Callable[[str], None]
    then: Callable[[], None]


@dataclass
class CodeAsked(Message):
    """A checkpoint's network is to be run: `then` is called, after a yes where it is made by a person's own code."""

    source: str
    architecture: str
    what: str
    then: Callable[[], None]


@dataclass
class SaveAsked(Message):
    """A person wants what is on the bench saved by a name; `then` with the checkpoint's id when it is."""

    name: str
    note: str
    then: Callable[[str], None]


@dataclass
class ContinueAsked(Message):
    """A person wants a new run that goes on from a checkpoint of this one, with these knobs (by their paths in the recipe)."""

    run: Run
    which: str
    changes: dict[str, Any]


@dataclass
class RunChosen(Message):
    """A person wants to watch this run."""

    run: Run


@dataclass
class DeviceChosen(Message):
    """A person chose the device of the next run."""

    device: str


@dataclass
class DataUseAsked(Message):
    """A person wants the next run to train on this set."""

    name: str


@dataclass
class SetRemoved(Message):
    """A data set was deleted."""

    name: str


@dataclass
class SetsFound(Message):
    """Which sets can be used, as (training samples, shape of one, number of classes) by name, and which one is the default."""

    sets: dict[str, tuple[int, tuple[int, ...], int]]
    default: str


@dataclass
class NetworkChosen(Message):
    """The network on the bench changed; it is what the next run trains."""

    text: str


@dataclass
class DataChosen(Message):
    """The form's data set or model changed."""

    facts: tuple[str, ...]


@dataclass
class Noticed(Message):
    """One sentence for the last row."""

    text: str
    bad: bool = False
