"""What a viewer asks of its bench about parameters, and what that answers.

A path is a tensor's name as in the state_dict: `0.block 1.0.bias`. Numbers travel as float64; None is "there is none". Where
`source` names a file, a checkpoint's folder or a run, that is looked at, and cannot be changed; else the network on the bench.
"""

from typing import Literal

from mlptui.core.wire import Input, Value

# requests


class List(Value):
    """All tensors of the network, without their statistics."""

    kind: Literal["list"] = "list"
    source: str = ""


class Measure(Value):
    """Statistics of these tensors."""

    kind: Literal["measure"] = "measure"
    paths: tuple[str, ...]
    source: str = ""


class View(Value):
    """One tensor, or its gradient, seen in one way. `index` fixes the dimensions before the last two; `row` and `column` are
    the upper left corner of `rows` x `columns` values; `input` is what the pictures of a first layer are shaped by."""

    kind: Literal["view"] = "view"
    path: str
    part: Literal["values", "gradient"] = "values"
    show: Literal["values", "heat", "histogram", "spectrum", "pictures", "uses", "optimizer"] = "values"
    index: tuple[int, ...] = ()
    row: int = 0
    column: int = 0
    rows: int = 32
    columns: int = 16
    input: Input = Input()
    batch_size: int = 32
    source: str = ""


class Console(Value):
    """A line of the path console: shows something, or changes something."""

    kind: Literal["console"] = "console"
    text: str
    source: str = ""


class Put(Value):
    """Set the values of some tensors: fill, add, scale with numbers[0], clamp between the two of `numbers` (nan: open), copy
    from the tensor `source`, transpose, noise (deviation numbers[0] times that of the tensor); or freeze, thaw, forget (the
    gradient), dtype `source`."""

    kind: Literal["put"] = "put"
    action: str
    paths: tuple[str, ...]
    numbers: tuple[float, ...] = ()
    source: str = ""
    seed: int = 0


class Rule(Value):
    """Which tensors are drawn, and how: `*.weight`, `Linear`, `Linear.bias`, `0.block 1`; and `normal(0, 0.01)`."""

    select: str
    scheme: str


class Initialise(Value):
    kind: Literal["initialise"] = "initialise"
    rules: tuple[Rule, ...]
    seed: int = 0


class Preview(Value):
    """What an initialisation would give, without doing it."""

    kind: Literal["preview"] = "preview"
    rules: tuple[Rule, ...]
    seed: int = 0
    input: Input = Input()


class Tie(Value):
    """Make parameters one (the first one's values stay), or make each of `paths` its own again."""

    kind: Literal["tie"] = "tie"
    paths: tuple[str, ...]
    apart: bool = False


class Train(Value):
    """Forward and backward on one batch; with `steps` above 0 so many updates by the optimiser, each on the next batch."""

    kind: Literal["train"] = "train"
    input: Input
    steps: int = 0
    batch_size: int = 32
    optimizer: str = "sgd"
    rate: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0


Form = Literal["", "tensor", "list", "dict"]


class Export(Value):
    """Write the weights to a file, for a run to begin with; with another ending than .safetensors in that format, and with
    `paths` only these tensors: one alone, or several as a dictionary, or as `form` says. `source` as for `List`."""

    kind: Literal["export"] = "export"
    file: str
    paths: tuple[str, ...] = ()
    form: Form = ""
    source: str = ""


class Plan(Value):
    """How the tensors of `source` would go into the network: `mapped` are (the network's name, the file's name).

    With the `version` of a plan that was drawn, the source must be as it was then.
    """

    kind: Literal["plan"] = "plan"
    source: str
    version: str = ""
    mapped: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()
    sliced: tuple[str, ...] = ()


class Clone(Value):
    """Build the network anew, load its state_dict, and compare the outputs for one batch of this input."""

    kind: Literal["clone"] = "clone"
    input: Input


class Load(Value):
    """Do what a plan says."""

    kind: Literal["load"] = "load"
    plan: Plan


# answers


class TensorRow(Value):
    """One name of one tensor. `alias_of` is the first name of a tensor with several; `stamp` changes with what it holds.

    `listed` says who lists it: "both", "state_dict" only, "parameters" only (a buffer that is not saved, an alias, ...), "".
    """

    path: str
    spelled: str
    tensor: str
    layer: str
    shape: tuple[int, ...] | None
    dtype: str = ""
    device: str = ""
    count: int = 0
    trainable: bool = False
    gradient: bool = False
    alias_of: str = ""
    listed: str = "both"
    drawn: str = ""
    stamp: int = 0


class Listed(Value):
    """`digest` is the SHA-256 of all tensors under all their names, "" for what is too large to be read through in passing.

    `of` says what a source turned out to be; `compared`: its tensors are what changed between two others.
    """

    kind: Literal["listed"] = "listed"
    rows: tuple[TensorRow, ...] = ()
    digest: str = ""
    of: str = ""
    compared: bool = False


class Numbers(Value):
    """Statistics over the finite values, in float64.

    `deviation` is the population's, `norm` the Euclidean, `zeros` a share, `bad` counts nan and infinities, `bins` are counts
    from `low` to `high`. `gradient` is the gradient's norm, `update` what the last step of the bench changed, as a share of
    the norm before. Of what changed between two tensors: `largest` in absolute value, `relative` that over the largest of the
    tensor before, their `cosine`, and the share of numbers that `changed`.
    """

    stamp: int
    mean: float | None = None
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    norm: float | None = None
    zeros: float | None = None
    bad: int = 0
    bins: tuple[int, ...] = ()
    gradient: float | None = None
    update: float | None = None
    largest: float | None = None
    relative: float | None = None
    cosine: float | None = None
    changed: float | None = None


class Measures(Value):
    kind: Literal["measures"] = "measures"
    numbers: tuple[tuple[str, Numbers], ...] = ()


class Use(Value):
    """One use of a tensor in a forward pass: where, and the norm of the gradient that came from there."""

    place: str
    call: int
    norm: float


class Moment(Value):
    """What an optimiser keeps of a tensor between steps, under its name in the state_dict of that: a number or a tensor."""

    name: str
    value: float | None = None
    numbers: Numbers | None = None


class Viewed(Value):
    """One view of a tensor; which fields are filled goes by `show`. `why` says what cannot be shown.

    values: `values` row by row, `columns` a row, beginning at (`row`, `column`) of a matrix of `height` x `width`.
    heat: the same, each number the mean of a block. histogram: `bins` from `low` to `high`, `theory` the shares that `drawn`
    predicts. spectrum: `values` are singular values, `rank` their number above torch's tolerance. pictures: `values` are
    `pictures` of `height` x `width` one after the other. uses: `uses`, and `norm` of the whole gradient, `difference` the
    largest difference between the sum of the parts and the whole. optimizer: `drawn` names it, `moments` are what it keeps.
    """

    kind: Literal["viewed"] = "viewed"
    path: str
    show: str
    shape: tuple[int, ...] = ()
    stamp: int = 0
    values: tuple[float, ...] = ()
    row: int = 0
    column: int = 0
    columns: int = 0
    height: int = 0
    width: int = 0
    bins: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 0.0
    theory: tuple[float, ...] = ()
    drawn: str = ""
    rank: int = 0
    pictures: int = 0
    moments: tuple[Moment, ...] = ()
    uses: tuple[Use, ...] = ()
    norm: float = 0.0
    difference: float = 0.0
    whole: bool = False
    why: str = ""


class Said(Value):
    """What a line of the console shows: words, and the tensor's path where it is one."""

    kind: Literal["said"] = "said"
    lines: tuple[str, ...] = ()
    path: str = ""


class Drawn(Value):
    """A tensor in a preview: what would be drawn, and what theory says of it (None: it says nothing)."""

    path: str
    scheme: str
    mean: float
    deviation: float
    expected_mean: float | None = None
    expected_deviation: float | None = None
    bins: tuple[int, ...] = ()
    theory: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0


class Depth(Value):
    """A layer in a preview: the deviation of its outputs and of the gradients that come back to them, now and then."""

    place: str
    layer: str
    forward: tuple[float | None, float | None] = (None, None)
    backward: tuple[float | None, float | None] = (None, None)


class Previewed(Value):
    """The first of the tensors that would be drawn, and how many that are in all."""

    kind: Literal["previewed"] = "previewed"
    tensors: tuple[Drawn, ...] = ()
    count: int = 0
    depth: tuple[Depth, ...] = ()
    why: str = ""


class Exported(Value):
    """`size` of the file in bytes; `compared` says how it came back where it was read back."""

    kind: Literal["exported"] = "exported"
    file: str
    size: int
    compared: str = ""


class PlanRow(Value):
    """A row of a plan, as `core.parameters.plan.Match`. `difference` is the largest between what is there and what would come:
    0 is equal bit for bit, None where nothing comes. Types are given where they differ."""

    target: str
    source: str
    state: str
    action: str
    target_shape: tuple[int, ...] = ()
    source_shape: tuple[int, ...] = ()
    types: str = ""
    difference: float | None = None


class Planned(Value):
    """`of` says what the source is, `names` are the file's."""

    kind: Literal["planned"] = "planned"
    of: str
    version: str = ""
    rows: tuple[PlanRow, ...] = ()

    @property
    def coming(self) -> int:
        """Tensors that would get other numbers."""
        return sum(1 for row in self.rows if row.difference is not None and row.difference != 0)

    @property
    def equal(self) -> int:
        return sum(1 for row in self.rows if row.difference == 0)

    def count(self, state: str) -> int:
        return sum(1 for row in self.rows if row.state == state)


class Cloned(Value):
    """Of `count` outputs in evaluation mode `equal` are equal bit for bit, and while training `training_equal`.

    `reasons` say why some are not; `first` and `second` are the first numbers of the network and of its clone.
    """

    kind: Literal["cloned"] = "cloned"
    count: int
    equal: int
    largest: float
    training_equal: int
    training_count: int
    reasons: tuple[str, ...] = ()
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The comparison in sentences."""
        whole = self.equal == self.count
        told = [f"evaluation mode: {self.equal:,} of {self.count:,} outputs equal" + (", bit for bit" if whole else "")]
        if not whole:
            told.append(f"largest difference {self.largest:.4g}")
        whole = self.training_equal == self.training_count
        told.append(
            f"training mode: {self.training_equal:,} of {self.training_count:,} equal" + (", bit for bit" if whole else "")
        )
        return (*told, *self.reasons)
