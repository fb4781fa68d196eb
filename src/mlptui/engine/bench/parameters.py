"""The bench's answers about parameters, and what it does to them."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlptui.core.bench import Answer, Sheet
from mlptui.core.errors import StorageError
from mlptui.core.parameters import messages, schemes
from mlptui.core.parameters.messages import (
    Console,
    Drawn,
    Exported,
    Listed,
    Measures,
    Moment,
    Numbers,
    Previewed,
    Put,
    Said,
    View,
    Viewed,
)
from mlptui.core.text import counted, safe
from mlptui.engine import weights
from mlptui.engine.export import tensors as exported
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect.copies import same_randomness
from mlptui.engine.parameters import clone, contents, evaluate, files, initialise, passes, plans, shown, tensors, views
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.statistics import histogram, measure
from mlptui.engine.parameters.tensors import Named
from mlptui.engine.seeding import NOISE, mix
from mlptui.store import atomic

if TYPE_CHECKING:
    from mlptui.engine.bench.workbench import Workbench

PREVIEWED = 12  # tensors that a preview shows with their histograms
OTHER_FORMATS = (*exported.PICKLED, exported.NPY, exported.NPZ)
BATCH = 64  # samples that a preview sends through
NUMBERED = ("fill", "add", "scale", "noise")
DTYPES = {
    name: getattr(torch, name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
}


class Parameters:
    """Works on the present network of a workbench; every change is one step of its history."""

    def __init__(self, workbench: "Workbench") -> None:
        self.workbench = workbench
        self._source, self._of = "", ""
        self._version: tuple[object, ...] = ()
        self._mapped = False
        self._folder: nn.Module | None = None
        self._updates: dict[int, float] = {}  # by stamp: what the last step changed, as a share of the norm before
        self.actions: dict[type, Callable[[Any], Answer]] = {
            messages.List: self.listed,
            messages.Measure: self.measure,
            View: self.view,
            Console: self.console,
            Put: self.put,
            messages.Initialise: self.initialise,
            messages.Preview: self.preview,
            messages.Tie: self.tie,
            messages.Train: self.train,
            messages.Export: self.export,
            messages.Plan: self.plan,
            messages.Load: self.load,
            messages.Clone: self.clone,
        }

    @property
    def model(self) -> nn.Module:
        return self.workbench.now.model

    # looking

    def _seen(self, source: str) -> nn.Module:
        """What is looked at: the network, or the tensors of a file, as they were when they were last listed."""
        if not source:
            return self.model
        if self._source != source:
            self._open(source)
        elif self._mapped and files.version(self.workbench.paths, source) != self._version:
            # to read where it was cut off would end this process
            raise ParameterError(f"{safe(source, 200)} was changed while it was looked at; o in area 3 opens it again")
        assert self._folder is not None
        return self._folder

    def _open(self, source: str) -> None:
        if not files.is_there(self.workbench.paths, source):
            raise ParameterError(f"{safe(source, 200)} is no checkpoint, run or file of tensors that is there")
        version = files.version(self.workbench.paths, source)
        if version and (source, version) == (self._source, self._version):
            return
        self._folder, self._of = files.opened(self.workbench.paths, source)
        self._source, self._version, self._mapped = source, version, files.is_mapped(self.workbench.paths, source)

    def listed(self, request: messages.List) -> Listed:
        if request.source:
            self._open(request.source)
        model = self._seen(request.source)
        rows = tuple(tensors.row(named) for named in tensors.tensors(model).values())
        digest = "" if Path(request.source).expanduser().is_file() else tensors.digest(model)  # a file is not read through
        compared = isinstance(model, files.TensorFile) and model.facts.compare is not None
        return Listed(rows=rows, digest=digest, of=self._of if request.source else "", compared=compared)

    def measure(self, request: messages.Measure) -> Measures:
        model = self._seen(request.source)
        known = tensors.tensors(model)
        compare = model.facts.compare if isinstance(model, files.TensorFile) else None

        def measured(path: str, named: Named) -> Numbers:
            found = views.numbers(named, self._updates.get(contents.stamp(named.tensor)))
            return found.model_copy(update=compare(path)._asdict()) if compare else found

        wanted = [path for path in request.paths if path in known and not known[path].lazy]
        return Measures(numbers=tuple((path, measured(path, known[path])) for path in wanted))

    def view(self, request: View) -> Viewed:
        if request.show == "uses":
            if request.source:
                return Viewed(path=request.path, show="uses", why="a file has no network through which a batch could pass")
            tensors.sized(tensors.tensors(self.model), request.path)
            step = self.workbench.now.training.steps  # the batch of which `Train` without an update takes the gradients
            return passes.uses(self.model, request, self.workbench.paths, self.workbench.seed, step)
        if request.show == "optimizer":
            return self._kept(request)
        return views.view(self._seen(request.source), request)

    def _kept(self, request: View) -> Viewed:
        """The optimiser's state of a parameter, as the last steps on the bench left it."""
        base = Viewed(path=request.path, show="optimizer")
        if request.source:
            return base.model_copy(update={"why": "the bench's own steps left nothing of what lies in a file"})
        named = tensors.sized(tensors.tensors(self.model), request.path)
        training = self.workbench.now.training
        kept = training.state.get(named.alias_of or named.path, {})
        if not kept:
            steps = f"{counted(training.steps, 'step')} of {training.optimizer} left nothing of this tensor"
            plain = "; sgd without momentum keeps nothing" if training.optimizer == "sgd" else ""
            why = steps + plain if training.steps else "no step was done on the bench; n does one"
            return base.model_copy(update={"why": why})
        moments = tuple(_moment(name, value) for name, value in kept.items() if value is not None)
        return base.model_copy(
            update={"drawn": f"{training.optimizer}, {counted(training.steps, 'step')}", "moments": moments}
        )

    # changing

    def console(self, request: Console) -> Said | Sheet:
        meaning = evaluate.evaluate(self._seen(request.source), request.text)
        if request.source and not isinstance(meaning, evaluate.Shown):
            raise ParameterError("what lies in a file is not changed here; o and an empty line go back to the network")
        line = safe(" ".join(request.text.split()), 80)
        match meaning:
            case evaluate.Shown(value, path):
                return Said(lines=shown.lines(value), path=path)
            case evaluate.Written(named, data):
                return self._edit(line, lambda: contents.put(named.tensor, data))
            case evaluate.Flagged(named, trainable):
                return self._edit(line, lambda: self._flag(named, trainable))
            case evaluate.Forgotten(named):
                return self._edit(line, lambda: contents.put(named.tensor, forget=True))
            case evaluate.Tied(first, second):
                return self._tie([first, second])
            case evaluate.Drawn(named, scheme):
                rule = messages.Rule(select=named.path, scheme=scheme)
                return self.initialise(messages.Initialise(rules=(rule,), seed=self.workbench.seed))

    def _edit(self, says: str, act: Callable[[], None], note: str = "", **changed: Any) -> Sheet:
        self.workbench.states.edit(says, act, note, **changed)
        return self.workbench.sheet()

    @staticmethod
    def _flag(named: Named, trainable: bool) -> None:
        if named.kind != "parameter":
            raise ParameterError(f"{safe(named.path, 80)} is a {named.kind}; only parameters learn")
        if trainable and not named.tensor.is_floating_point():
            raise ParameterError(f"{safe(named.path, 80)} holds whole numbers, which cannot learn")
        contents.put(named.tensor, trainable=trainable)

    def put(self, request: Put) -> Sheet:
        """One step for all the paths together. Raises ParameterError."""
        known = tensors.tensors(self.model)
        if not request.paths:
            raise ParameterError("no tensor is chosen")
        chosen = {id(n.tensor): n for n in (tensors.sized(known, path) for path in request.paths)}
        if listed := next((n for n in chosen.values() if "[" in n.name), None):
            raise ParameterError(f"{safe(listed.path, 80)} stands in a list of its layer; it can be read only")
        what = safe(request.paths[0], 60) if len(chosen) == 1 else counted(len(chosen), "tensor")
        words = ", ".join(f"{n:g}" for n in request.numbers)
        if request.action in NUMBERED and not request.numbers:
            raise ParameterError(f"{request.action} needs a number")
        try:
            places = {path: i for i, path in enumerate(known)}
            new = [(named, self._new(places[named.path], named, request, known)) for named in chosen.values()]
        except (RuntimeError, OverflowError, TypeError) as error:
            raise ParameterError(f"{request.action} cannot be done: {one_line(error)}") from None

        def act() -> None:
            for named, data in new:
                if request.action in ("freeze", "thaw"):
                    self._flag(named, request.action == "thaw")
                elif request.action == "forget":
                    contents.put(named.tensor, forget=True)
                else:
                    contents.put(named.tensor, data)

        says = {"forget": "reset the gradient of", "thaw": "unfreeze", "dtype": f"{safe(request.source, 20)} for"}.get(
            request.action, request.action
        )
        return self._edit(f"{says} {what}" + (f", {words}" if words else ""), act)

    def _new(self, place: int, named: Named, request: Put, known: dict[str, Named]) -> torch.Tensor | None:
        old = named.tensor.detach()
        first = request.numbers[0] if request.numbers else math.nan
        if not old.is_floating_point() and request.action in ("fill", "add") and not (abs(first) < 1 << 53 and first % 1 == 0):
            raise ParameterError(
                f"{safe(named.path, 80)} holds {str(old.dtype).removeprefix('torch.')}; {first:g} is no such number"
            )
        match request.action:
            case "freeze" | "thaw" | "forget":
                return None
            case "fill":
                return torch.full_like(old, first)
            case "add":
                return (old + (int(first) if not old.is_floating_point() else first)).to(old.dtype)
            case "scale":
                return (old * first).to(old.dtype)
            case "clamp":
                low, high = (None if math.isnan(n) else n for n in (*request.numbers, math.nan, math.nan)[:2])
                if low is None and high is None:
                    raise ParameterError("clamp needs a lowest or a highest number")
                return old.clamp(low, high).to(old.dtype)
            case "transpose":
                if old.dim() != 2 or old.shape[0] != old.shape[1]:
                    raise ParameterError(
                        f"{safe(named.path, 80)} is {list(old.shape)}; only square matrices can be transposed in place"
                    )
                return old.T.contiguous()
            case "noise":
                states = self.workbench.states
                earlier = sum(state.says.startswith("noise ") for state in (*states.past, self.workbench.now))
                found = measure(old)
                spread = found.deviation or abs(found.mean or 0.0) or 1.0
                with same_randomness():
                    # the same noise again would only be more of it
                    torch.manual_seed(mix(request.seed, NOISE, earlier, place))
                    return old + (torch.randn(old.shape) * first * spread).to(old.dtype)
            case "copy":
                data = self._source_of_copy(request.source, known)
                if data.shape != old.shape:
                    if data.dim() != 2 or data.T.shape != old.shape:
                        shapes = f"is {list(data.shape)}, {safe(named.path, 60)} is {list(old.shape)}"
                        raise ParameterError(f"{safe(request.source, 60)} {shapes}")
                    data = data.T
                return data.to(old.dtype).clone(memory_format=torch.contiguous_format)
            case "dtype":
                if request.source not in DTYPES:
                    raise ParameterError(f"there is no type {safe(request.source, 40)}; there are {', '.join(DTYPES)}")
                if named.kind == "parameter" and not DTYPES[request.source].is_floating_point:
                    raise ParameterError("a parameter holds floating point numbers: float64, float32, float16 or bfloat16")
                return old.to(DTYPES[request.source])
        raise ParameterError(f"there is no change {safe(request.action, 40)}")

    def _source_of_copy(self, source: str, known: dict[str, Named]) -> torch.Tensor:
        if source in known and not known[source].lazy:
            return known[source].tensor.detach()
        if ":" in source:
            return files.one(self.workbench.paths, source)
        raise ParameterError(f"there is no tensor {safe(source, 80)} to copy from; of a file: w.safetensors:1.weight")

    def initialise(self, request: messages.Initialise) -> Sheet:
        found = initialise.draw(self.model, request.rules, request.seed)
        drawn = found.drawn
        if not drawn:
            raise ParameterError("say which parameters are drawn, and how")

        def act() -> None:
            for named, scheme, data in drawn:
                contents.put(named.tensor, data, how=str(scheme))

        rules = "; ".join(f"{rule.select}: {schemes.read(rule.scheme)}" for rule in request.rules)
        note = f"{counted(len(drawn), 'tensor')} drawn with seed {request.seed}"
        if found.passed:
            note += f", {len(found.passed)} passed by, as {safe(found.passed[0].path, 60)}"
        return self._edit(f"draw {safe(rules, 100)}", act, note)

    def preview(self, request: messages.Preview) -> Previewed:
        drawn = initialise.draw(self.model, request.rules, request.seed).drawn
        shown_ = tuple(self._previewed(*one) for one in drawn[:PREVIEWED])
        some = Previewed(tensors=shown_, count=len(drawn))
        if not request.input.shape and not request.input.data:
            return some.model_copy(update={"why": "the depth needs an input; give the network one (i in area 2)"})
        new = {named.path: data for named, _, data in drawn}

        def change(twin: nn.Module) -> None:
            for path, named in tensors.tensors(twin).items():
                if path in new:
                    contents.put(named.tensor, new[path])

        try:
            batch = passes.batch_of(self.model, request.input, BATCH, self.workbench.paths)
            return some.model_copy(update={"depth": tuple(passes.depth(self.model, batch, change))})
        except Exception as error:
            return some.model_copy(update={"why": str(error)})

    def _previewed(self, named: Named, scheme: schemes.Scheme, data: torch.Tensor) -> Drawn:
        found = measure(data)
        expected = views.theory(named, str(scheme))
        low, high = found.low or 0.0, found.high or 0.0
        if low == high:
            low, high = low - 0.5, high + 0.5
        width = (high - low) / views.BINS
        edges = [low + i * width for i in range(views.BINS + 1)]
        edges[-1] += width * 1e-9
        return Drawn(
            path=named.path,
            scheme=str(scheme),
            mean=found.mean or 0.0,
            deviation=found.deviation or 0.0,
            expected_mean=expected.mean if expected else None,
            expected_deviation=expected.deviation if expected else None,
            bins=histogram(data, low, high, views.BINS),
            theory=tuple(expected.share(a, b) for a, b in pairwise(edges)) if expected else (),
            low=low,
            high=high,
        )

    def tie(self, request: messages.Tie) -> Sheet:
        if not request.paths:
            raise ParameterError("no parameter is chosen")
        known = tensors.tensors(self.model)
        found = [tensors.sized(known, path) for path in dict.fromkeys(request.paths)]
        return self._untie(found) if request.apart else self._tie(found)

    def _tie(self, found: list[Named]) -> Sheet:
        first, *others = found
        for one in found:
            if one.kind != "parameter":
                raise ParameterError(f"{safe(one.path, 80)} is a {one.kind}; only parameters can be tied")
            if one.tensor.dtype != first.tensor.dtype:
                one_, other = (str(t.dtype).removeprefix("torch.") for t in (first.tensor, one.tensor))
                raise ParameterError(f"{safe(one.path, 60)} is {other}, {safe(first.path, 60)} {one_}; give them one type")
            if one.tensor.shape != first.tensor.shape:
                raise ParameterError(
                    f"{safe(first.path, 60)} is {list(first.tensor.shape)}, {safe(one.path, 60)} is {list(one.tensor.shape)}; "
                    "only parameters of one shape can be tied"
                )
        if not others or all(one.tensor is first.tensor for one in others):
            raise ParameterError(
                "mark two or more parameters with space; they are one already"
                if others
                else "mark another parameter with space first"
            )
        return self.workbench.tied(first, [one for one in others if one.tensor is not first.tensor])

    def _untie(self, found: list[Named]) -> Sheet:
        return self.workbench.untied(found)

    # training

    def train(self, request: messages.Train) -> Sheet:
        state = self.workbench.now
        done = passes.train(self.model, request, state.training, self.workbench.paths, self.workbench.seed)
        mine, theirs = tensors.tensors(self.model), tensors.tensors(done.twin)
        both = [path for path in mine if path in theirs]  # what a forward leaves behind is no state
        before = {path: named.tensor.detach() for path, named in mine.items()}

        def act() -> None:
            for path in both:
                named, other = mine[path], theirs[path].tensor
                if named.alias_of or "[" in named.name:
                    continue
                gradient = other.grad if named.kind == "parameter" else None
                changed = request.steps > 0 or named.kind != "parameter"
                stale = gradient is None and named.tensor.requires_grad and named.tensor.grad is not None
                same = not changed or _equal(before[path], other)
                if gradient is not None or stale or not same:
                    contents.put(named.tensor, None if same else other.detach(), gradient=gradient, forget=stale)

        if request.steps:
            moved = f"{counted(request.steps, 'step')} of {request.optimizer}"
            losses = f"loss {done.losses[0]:.4g}" + (f" to {done.losses[-1]:.4g}" if len(done.losses) > 1 else "")
            note = f"{moved}: {losses}, {done.goal}"
        else:
            moved, note = "one batch, no update", f"gradients of one batch: loss {done.losses[0]:.4g}, {done.goal}"
        as_drawn = not request.steps and all(_equal(before[path], theirs[path].tensor) for path in both)
        same = {"drawn": state.drawn, "edited": state.edited} if as_drawn else {}
        sheet = self._edit(moved, act, note, training=done.training, **same)
        self._updates = {contents.stamp(mine[path].tensor): share for path, share in done.moved.items()}
        return sheet

    def plan(self, request: messages.Plan) -> messages.Planned:
        return plans.told(plans.draw(self.workbench.paths, self.model, request))

    def clone(self, request: messages.Clone) -> messages.Cloned:
        state = self.workbench.now
        batch = passes.batch_of(state.model, request.input, 2, self.workbench.paths)
        return clone.clone(state.model, state.text, self.workbench.seed, batch.inputs)

    def load(self, request: messages.Load) -> Sheet:
        drawn = plans.draw(self.workbench.paths, self.model, request.plan)
        note = ""

        def act() -> None:
            nonlocal note
            note = plans.put(drawn)

        self.workbench.states.edit(f"load {safe(drawn.of, 100)}", act)
        self.workbench.now.note = note
        return self.workbench.sheet()

    def _written(self, file: Path, request: messages.Export) -> Exported:
        """Some tensors, or another format; read back and compared."""
        known, paths = tensors.tensors(self._seen(request.source)), request.paths
        saved, left_out = exported.saved(known)
        named = {path: tensors.sized(known, path).tensor for path in paths or saved}
        given = exported.shaped(named, request.form or ("tensor" if len(paths) == 1 else exported.usual(file, len(named))))
        written = exported.write(file, given)
        return Exported(file=str(file), size=written.size, compared=written.words + ("" if paths else left_out))

    def export(self, request: messages.Export) -> Exported:
        file = Path(request.file)
        files.check(self._seen(request.source))
        if request.paths or request.form or request.source or file.suffix.lower() in OTHER_FORMATS:
            return self._written(file, request)
        data = weights.packed(self.model, self.workbench.now.text)
        try:
            weights.write(file, data)
        except (OSError, StorageError, ValueError) as error:
            reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
            raise ParameterError(f"{safe(request.file, 200) or 'no file'} cannot be written: {reason}") from None
        return Exported(file=request.file, size=len(data))


def _moment(name: str, value: Any) -> Moment:
    if isinstance(value, torch.Tensor) and value.dim():
        return Moment(name=safe(name, 60), numbers=views.measured(value))
    return Moment(name=safe(name, 60), value=float(value))


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit, nan too."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return tensors.same_bytes(one, other)
