"""What a viewer asks of its bench and what that answers: plain values, JSON lines between the two processes.

Shapes are of the tensors as they are, batch included, where nothing else is said. A place is the tuple of child names from the
network down; () is the network itself.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from mlptui.core.parameters import messages as parameters
from mlptui.core.wire import Input as Input  # noqa: PLC0414
from mlptui.core.wire import Place as Place  # noqa: PLC0414
from mlptui.core.wire import Value

MAX_LINE = 1 << 28  # bytes of one message


# requests


class Open(Value):
    """Another network. With `keep`, weights whose names and shapes still fit stay; `weights` is a file to take them from
    that the bench kept of it, `source` a checkpoint or file whose tensors are loaded as far as they fit."""

    kind: Literal["open"] = "open"
    text: str
    seed: int = 0
    keep: bool = False
    weights: str = ""
    source: str = ""


class Change(Value):
    """One step of the builder at a place. `text` is a layer or a name, `to` another place, as the action needs them."""

    kind: Literal["change"] = "change"
    action: str
    place: Place
    text: str = ""
    to: Place = ()


class History(Value):
    """Undo (-1) or redo (1)."""

    kind: Literal["history"] = "history"
    by: int


class Materialise(Value):
    """Give lazy layers their sizes."""

    kind: Literal["materialise"] = "materialise"
    input: Input


class Probe(Value):
    """Shapes and costs of all layers for an input."""

    kind: Literal["probe"] = "probe"
    input: Input


class Look(Value):
    """All about one layer; with `measure` its time and memory too."""

    kind: Literal["look"] = "look"
    place: Place
    input: Input
    measure: bool = False


class Flow(Value):
    """One sample through the network: typed numbers, or a sample of the data set, or random ones. `place` is shown in full."""

    kind: Literal["flow"] = "flow"
    input: Input
    typed: str = ""
    sample: int = 0
    place: Place = ()


class Check(Value):
    """The doctor. `outputs` numbers are wanted a sample (0: not known), for `classes` or a number to predict."""

    kind: Literal["check"] = "check"
    input: Input
    outputs: int = 0
    classes: bool = True


class Compare(Value):
    """The network beside another one."""

    kind: Literal["compare"] = "compare"
    text: str


class Names(Value):
    """The names of torchvision's models."""

    kind: Literal["names"] = "names"


class Save(Value):
    """Keep the network as a checkpoint by a name. `recipe` is that of the form, as JSON, for a judgement later."""

    kind: Literal["save"] = "save"
    name: str
    note: str = ""
    recipe: str = ""


class Evaluate(Value):
    """Judge a checkpoint's network (a folder) on a part of a data set; "" is the one that it was trained on."""

    kind: Literal["evaluate"] = "evaluate"
    folder: str
    part: str = "test"
    data: str = ""


Request = (
    Open
    | Save
    | Evaluate
    | Change
    | History
    | Materialise
    | Probe
    | Look
    | Flow
    | Check
    | Compare
    | Names
    | parameters.List
    | parameters.Measure
    | parameters.View
    | parameters.Console
    | parameters.Put
    | parameters.Initialise
    | parameters.Preview
    | parameters.Tie
    | parameters.Train
    | parameters.Export
    | parameters.Plan
    | parameters.Load
    | parameters.Clone
)

# answers


class Row(Value):
    """One place of the tree. `total` counts all parameters below it once; `own` those that it holds and no place above it in
    the list; sizes are bytes of parameters and buffers. `marks` are words: tied, lazy, frozen, plain tensor x, ..."""

    place: Place
    layer: str
    arguments: str = ""
    children: int = 0
    own: int = 0
    total: int = 0
    unknown: int = 0
    buffers: int = 0
    size: int = 0
    device: str = ""
    dtype: str = ""
    trainable: str = ""
    tied_to: Place | None = None
    marks: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """`Linear(784, 256)`: the class with what it was built from, as short as it is clear."""
        words = self.arguments.replace("in_features=", "").replace("out_features=", "").replace(", bias=True", "")
        return f"{self.layer}({words})" if words else self.layer

    @property
    def amount(self) -> str:
        """All parameters below; with a question mark where lazy ones are not counted yet."""
        if self.unknown:
            return f"{self.total:,}+?" if self.total else "?"
        return f"{self.total:,}"


class Sheet(Value):
    """The network as it is now; `at` is where the cursor belongs after a change, `undo` and `redo` name steps."""

    kind: Literal["sheet"] = "sheet"
    text: str
    label: str
    rows: tuple[Row, ...]
    parameters: int = 0
    trainable: int = 0
    unknown: int = 0
    buffers: int = 0
    size: int = 0
    at: Place = ()
    undo: str = ""
    redo: str = ""
    note: str = ""
    output: tuple[str, ...] = ()
    watched: tuple[tuple[str, int], ...] = ()
    edited: bool = False  # a person set values, or trained them here
    drawn: int | None = None  # the seed that these weights are drawn from, as a run would draw them; None: they are a person's


class Step(Value):
    """A call of the builder that would mend something."""

    says: str
    change: Change


class Fault(Value):
    """Where a sample could not go on, and why."""

    place: Place
    message: str
    fixes: tuple[Step, ...] = ()


class Passed(Value):
    """What passed through one place: shapes as texts, multiply-adds, how often it was called."""

    input: str = ""
    output: str = ""
    multiply_adds: int = 0
    calls: int = 0


class Shapes(Value):
    """The probe's answer; `passed` runs beside the sheet's rows. `why` says what could not be probed."""

    kind: Literal["shapes"] = "shapes"
    input: Input
    passed: tuple[Passed, ...] = ()
    multiply_adds: int = 0
    fault: Fault | None = None
    why: str = ""


class Tensor(Value):
    """One tensor of a layer."""

    name: str
    kind: str
    shape: str
    count: int | None = None
    dtype: str = ""
    trainable: bool = False


class Measured(Value):
    """Seconds of a forward and a backward (medians), bytes of the output and of what is kept for the backward."""

    forward: float
    backward: float | None
    output_bytes: int
    kept_bytes: int
    repeats: int


class Detail(Value):
    kind: Literal["detail"] = "detail"
    place: Place
    repr: tuple[str, ...] = ()
    documentation: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    origin: str = ""
    tensors: tuple[Tensor, ...] = ()
    measured: Measured | None = None
    why: str = ""


class Passage(Value):
    """One call of one layer: statistics of its output (None where it has no numbers)."""

    place: Place
    layer: str
    shape: str
    mean: float | None = None
    deviation: float | None = None
    lowest: float | None = None
    highest: float | None = None
    zeros: float | None = None
    bad: int = 0


class FlowSheet(Value):
    """All calls in their order; of the chosen place's last call at most 4,096 numbers, row by row, `columns` a row."""

    kind: Literal["flow-sheet"] = "flow-sheet"
    what: str
    calls: tuple[Passage, ...] = ()
    place: Place = ()
    values: tuple[float, ...] = ()
    columns: int = 0
    count: int = 0
    fault: Fault | None = None


class Finding(Value):
    """What is wrong at a place: a sentence, its cause, what to do, and where possible the step that mends it."""

    code: str
    place: Place
    says: str
    cause: str
    remedy: str
    fix: Step | None = None


class Report(Value):
    """The doctor's answer; `checked` says what was looked at, `why` what could not be."""

    kind: Literal["report"] = "report"
    findings: tuple[Finding, ...] = ()
    checked: str = ""
    why: str = ""


class Compared(Value):
    """Two networks side by side: (left place, left, right place, right, same) with "" where one has nothing."""

    kind: Literal["compared"] = "compared"
    label: str
    parameters: int = 0
    rows: tuple[tuple[str, str, str, str, bool], ...] = ()


class NameList(Value):
    kind: Literal["name-list"] = "name-list"
    names: tuple[str, ...] = ()


class Refused(Value):
    """What was asked cannot be done; `line` and `column` where a text is at fault, `output` the last that code printed."""

    kind: Literal["refused"] = "refused"
    message: str
    line: int = 0
    column: int = 0
    cancelled: bool = False
    output: tuple[str, ...] = ()


class Saved(Value):
    """The checkpoint's id, and its folder."""

    kind: Literal["saved"] = "saved"
    id: str
    folder: str


class Judgement(Value):
    """Mean loss and score over all samples; `same_data` where it is the set that the run was trained on."""

    kind: Literal["judgement"] = "judgement"
    data: str
    part: str
    samples: int
    loss: float
    score: float
    score_name: str
    same_data: bool


Answer = (
    Sheet
    | Saved
    | Judgement
    | Shapes
    | Detail
    | FlowSheet
    | Report
    | Compared
    | NameList
    | Refused
    | parameters.Listed
    | parameters.Measures
    | parameters.Viewed
    | parameters.Said
    | parameters.Previewed
    | parameters.Exported
    | parameters.Planned
    | parameters.Cloned
)

# Long answers come in parts, so that whoever reads them can do something else in between: lines with some of the items of a
# field, then the answer without them.
PARTS: dict[str, tuple[str, TypeAdapter[tuple[Value, ...]]]] = {
    "sheet": ("rows", TypeAdapter(tuple[Row, ...])),
    "shapes": ("passed", TypeAdapter(tuple[Passed, ...])),
    "listed": ("rows", TypeAdapter(tuple[parameters.TensorRow, ...])),
    "planned": ("rows", TypeAdapter(tuple[parameters.PlanRow, ...])),
}
PART = 500  # items of a line

REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
ANSWERS: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def shape_typed(text: str) -> tuple[int, ...] | None:
    """`(1, 28, 28)`, `1x28x28`, `784`: the shape of one sample; None where it is none."""
    words = text.strip().strip("()[]").replace("x", " ").replace("×", " ").replace(",", " ").split()
    if not words or not all(word.isdecimal() and len(word) < 8 for word in words) or len(words) > 6:
        return None
    shape = tuple(int(word) for word in words)
    return shape if all(shape) and math.prod(shape) <= 1 << 24 else None
