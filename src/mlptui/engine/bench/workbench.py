"""The model that a person works on, and the answers to what they ask of it. Serves in a process of its own and in-process."""

import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mlptui.core import bench
from mlptui.core.architecture import edit, known, references
from mlptui.core.architecture.parse import named_arguments, parse
from mlptui.core.architecture.printer import describe, literal, to_text
from mlptui.core.architecture.tree import Layer, label, parameter_count
from mlptui.core.bench import Answer, Change, Compare, Fault, Input, Materialise, Place, Refused, Request, Sheet, Step
from mlptui.core.errors import ArchitectureError, MlptuiError, UsageError
from mlptui.core.parameters.console import ConsoleError
from mlptui.core.parameters.messages import Plan
from mlptui.core.parameters.plan import LOAD
from mlptui.core.text import safe
from mlptui.devices.cpu import CpuReader
from mlptui.engine import foreign, judge, keeping, weights
from mlptui.engine.bench.captured import captured
from mlptui.engine.bench.parameters import Parameters
from mlptui.engine.bench.states import State, States
from mlptui.engine.build import build, check_fits
from mlptui.engine.doctor.checks.common import Question
from mlptui.engine.doctor.examine import examine
from mlptui.engine.foreign import ForeignError
from mlptui.engine.inspect import detail, inputs, mend, places
from mlptui.engine.inspect.compare import compare
from mlptui.engine.inspect.copies import CopyError, copied
from mlptui.engine.inspect.flow import flow
from mlptui.engine.inspect.probe import PROBE_SIZE, Probed, in_evaluation, probe
from mlptui.engine.parameters import plans, ties
from mlptui.engine.parameters.errors import ParameterError
from mlptui.engine.parameters.tensors import Named
from mlptui.engine.seeding import WEIGHTS, mix, seed_weights
from mlptui.store import checkpoints
from mlptui.store.paths import Paths

SURELY_SMALL = 20_000_000  # parameters that any machine holds; above, memory is looked at first
TWINS = {name: f"{name}Corrected" for name in ("MyLinear", "CenteredLayer", "FixedHiddenMLP")}


class Workbench:
    """Holds one network with its history. `answer` never raises for what a person or their code did wrong."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.states = States()
        self.seed = 0
        self._steps = 0
        self._actions: dict[type, Callable[[Any], Answer]] = {
            bench.Open: self.open,
            Change: self.change,
            bench.History: self.history,
            Materialise: self.materialise,
            bench.Probe: self.probe,
            bench.Look: self.look,
            bench.Flow: self.flow,
            bench.Check: self.check,
            Compare: self.compare,
            bench.Save: self.save,
            bench.Evaluate: self.evaluate,
            bench.Names: lambda _: bench.NameList(names=tuple(foreign.torchvision_names())),
            **Parameters(self).actions,
        }

    def answer(self, request: Request) -> Answer:
        """The answer to a request; Refused with a sentence where there is none, also after KeyboardInterrupt."""
        before = self.states.copy()
        with captured() as printed:
            try:
                found = self._actions[type(request)](request)
            except ArchitectureError as error:
                found = Refused(message=error.message, line=error.line, column=error.column)
            except ForeignError as error:
                found = Refused(message=str(error), line=error.line)
            except ConsoleError as error:
                found = Refused(message=str(error), column=error.column)
            except MlptuiError as error:
                found = Refused(message=str(error))
            except KeyboardInterrupt:
                found = Refused(message="cancelled", cancelled=True)
            except RecursionError:
                found = Refused(message="the network holds itself, or nests too deeply")
            except MemoryError:
                found = Refused(message="there is not enough memory for that")
            except BaseException as error:  # code from outside raises what it likes
                traceback.print_exc()
                found = Refused(message=f"{type(error).__name__}: {safe(foreign.one_line(error), 300)}")
        if isinstance(found, Refused):  # whoever asked must not believe in another network than this one
            self.states.back_to(before)
        if printed.text and isinstance(found, Sheet | Refused):
            found = found.model_copy(update={"output": printed.lines()})
        return found

    @property
    def now(self) -> State:
        if self.states.now is None:
            raise UsageError("there is no network yet; open one first")
        return self.states.now

    # changing it

    def open(self, request: bench.Open) -> Sheet:
        tree = parse(request.text)
        check_memory(tree)
        watched = _watched(tree)
        seed_weights(request.seed)
        made: dict[int, torch.nn.Module] = {}
        model = build(tree, made)
        self.seed, note, origin = request.seed, "", ""
        before = self.states.now
        if request.weights:
            note = weights.load(model, Path(request.weights), request.text)
        elif request.source:
            note, origin = self._as_it_was(model, request.source)
        elif request.keep and before is not None:
            note = weights.transplant(before.model, model)
        if before is not None and before.text == request.text and request.weights:  # it came back as it was
            self.states.now = State(tree, model, made, request.text, before.says, note, watched, edited=True)
        else:
            drawn = None if note else request.seed
            says, edited = f"open {label(tree)}", request.keep and before is not None and before.edited
            says = f"open {origin}" if origin else says
            self.states.enter(State(tree, model, made, request.text, says, note, watched, drawn, edited, origin))
        return self.sheet()

    def _as_it_was(self, model: torch.nn.Module, source: str) -> tuple[str, str]:
        """All tensors of a checkpoint into its own network, or none; what was done, and what they are of, in words.

        Lazy layers get their sizes from the run's data set.
        """
        if any(places.lazy_names(spot.module) for spot in places.spots(model)):
            recipe = dict(checkpoints.load(Path(source)).manifest.get("recipe", {}))
            first = inputs.batch(model, Input(data=str(recipe.get("data", {}).get("name", ""))), PROBE_SIZE, self.paths)
            modes = [(spot.module, spot.module.training) for spot in places.spots(model)]
            with torch.no_grad():
                model.eval()(first.inputs)
            for module, mode in modes:
                module.training = mode
        drawn = plans.draw(self.paths, model, Plan(source=source))
        if odd := next((m for m in drawn.matches if m.action != LOAD), None):
            name = safe(odd.target or odd.source, 80)
            raise ParameterError(f"it does not fit its own network: {name} is {odd.state}; L loads what fits through a plan")
        return plans.put(drawn), drawn.of

    def change(self, request: Change) -> Sheet:
        before = self.now
        if request.place not in dict(before.tree.walk()):
            raise edit.EditError(f"{'.'.join(request.place)} is made by code; change it there, it is read again when saved")
        tree, place, says = self._changed(before.tree, request)
        here = {id(layer) for _, layer in tree.walk()}
        made = {key: module for key, module in before.made.items() if key in here}
        self._steps += 1
        torch.manual_seed(mix(self.seed, WEIGHTS, self._steps))
        parse(to_text(tree))  # the bounds of the language hold for what is built by keys
        check_memory(tree)
        model = build(tree, made)
        tree = ties.as_built(tree, model, made, edit.moved(before.tree, tree, ties.names(before.tree.ties)))
        known_times = dict(before.watched)
        watched = tuple((file, known_times.get(file, now)) for file, now in _watched(tree))
        self.states.enter(State(tree, model, made, to_text(tree), says, "", watched, edited=before.edited))
        return self.sheet(place)

    def _changed(self, tree: Layer, request: Change) -> tuple[Layer, Place, str]:
        place, text = request.place, request.text
        where = edit.at(tree, place)
        if request.action in edit.ACTIONS:
            return *edit.ACTIONS[request.action](tree, place), f"{request.action} {describe(where)}"
        match request.action:
            case "add" | "inside":
                layer = _untied(parse(text))
                return *edit.add(tree, place, layer, request.action == "inside"), f"add {describe(layer)}"
            case "insert":
                layer = _untied(parse(text))
                return *edit.add_before(tree, place, layer), f"add {describe(layer)}"
            case "replace":
                layer = parse(text) if not place else _untied(parse(text))
                return *edit.change(tree, place, layer), f"make it {describe(layer)}"
            case "arguments":
                layer = _of_kind(where, parse(f"{known.spelled(where.kind)}({text})"))
                return *edit.change(tree, place, layer), f"make it {describe(layer)}"
            case "argument":
                changed = named_arguments(text)
                if not changed:
                    raise UsageError("write name=value, as out_features=10")
                given = {**dict(where.arguments), **dict(changed)}
                words = ", ".join(f"{name}={literal(value)}" for name, value in given.items())
                layer = _of_kind(where, parse(f"{known.spelled(where.kind)}({words})"))
                return *edit.change(tree, place, layer), f"set {text}"
            case "rename":
                return *edit.rename(tree, place, text), f"rename to {text}"
            case "tie":
                return *edit.tie(tree, place, request.to), f"tie {'.'.join(place)} to {'.'.join(request.to)}"
        raise UsageError(f"the builder cannot {safe(request.action, 40)}")

    def tied(self, first: Named, others: list[Named]) -> Sheet:
        """Parameters become one, in the network and in its text; the first one's values stay."""
        says = f"tie {', '.join(one.path for one in others)} to {first.path}"
        names = [first.path, *(one.path for one in others)]
        return self._with_slots(safe(says, 120), [(one, first.tensor) for one in others], names)

    def untied(self, found: list[Named]) -> Sheet:
        """Parameters get values of their own again; where all of a group do, the first of them keeps those that it has."""
        slots = ties.apart(self.now.model, self.now.tree, found)
        return self._with_slots(safe(f"untie {', '.join(one.path for one in found)}", 120), slots, [])

    def _with_slots(self, says: str, slots: list[tuple[Named, torch.Tensor]], names: list[str]) -> Sheet:
        """Other parameters in the places of some; `names` may be tied now."""
        before = self.now

        def act() -> dict[str, Any]:
            for one, tensor in slots:
                setattr(one.module, one.name, tensor)
            made = dict(before.made)
            tree = ties.as_built(replace(before.tree, ties=()), before.model, made, [*ties.names(before.tree.ties), *names])
            made[id(tree)] = before.model
            text = to_text(tree)
            parse(text)
            here = {id(layer) for _, layer in tree.walk()}
            kept = {"tree": tree, "text": text, "edited": before.edited}
            return kept | {"made": {key: module for key, module in made.items() if key in here}}

        self.states.edit(says, act)
        return self.sheet()

    def history(self, request: bench.History) -> Sheet:
        if not self.states.go(request.by):
            raise UsageError("there is nothing to undo" if request.by < 0 else "there is nothing to redo")
        return self.sheet()

    def materialise(self, request: Materialise) -> Sheet:
        """Run a copy once, and take the layers that became sized from it; the text names their sizes from then on."""
        before = self.now
        found = places.spots(before.model)
        lazy = {spot.place for spot in found if places.lazy_names(spot.module)}
        if not lazy:
            raise UsageError("no layer waits for its size")
        self._check_lazy(request.input)
        self._steps += 1
        twin = copied(before.model)
        first = inputs.batch(before.model, request.input, PROBE_SIZE, self.paths)
        if before.drawn is not None:  # as a run draws them: after all that has its size
            seed_weights(before.drawn)
            build(before.tree)
        else:
            torch.manual_seed(mix(self.seed, WEIGHTS, self._steps))
        modes = [(spot.module, spot.module.training) for spot in places.spots(twin)]
        try:
            with torch.no_grad():
                in_evaluation(twin)(first.inputs)
        except (Exception, SystemExit) as error:
            raise CopyError(f"the input does not pass: {foreign.one_line(error)}") from None
        for module, mode in modes:
            module.training = mode
        modules = {s.place: s.module for s in places.spots(twin)}
        tree, made = before.tree, dict(before.made)
        leaves = {place: layer for place, layer in tree.walk() if not layer.container}
        for place in sorted(lazy):
            leaf = next(place[:i] for i in range(len(place) + 1) if place[:i] in leaves)
            old = new = leaves[leaf]
            if old.kind.startswith("Lazy"):  # else it is inside of a block that makes its own layers
                new = _sized(old, modules[leaf])
                tree = edit.replaced(tree, old, new)
            made[id(new)] = modules[leaf]
        here = {id(layer) for _, layer in tree.walk()}
        made = {key: module for key, module in made.items() if key in here}
        model = build(tree, made)
        tree = ties.as_built(tree, model, made, edit.moved(before.tree, tree, ties.names(before.tree.ties)))
        text = before.text if tree is before.tree else to_text(tree)
        self.states.enter(State(tree, model, made, text, "materialise", "", before.watched, edited=before.edited))
        return self.sheet()

    def sheet(self, at: Place = ()) -> Sheet:
        state = self.now
        rows = _rows(state.model, state.tree)
        total, trainable, unknown = places.parameter_total(state.model)
        return Sheet(
            text=state.text,
            label=label(state.tree),
            rows=tuple(rows),
            parameters=total,
            trainable=trainable,
            unknown=unknown,
            buffers=rows[0].buffers,
            size=rows[0].size,
            at=at,
            undo=state.says if self.states.past else "",
            redo=self.states.future[-1].says if self.states.future else "",
            note=state.note,
            watched=state.watched,
            drawn=state.drawn,
            edited=state.edited,
        )

    # looking at it

    def probe(self, request: bench.Probe) -> bench.Shapes:
        try:
            self._check_lazy(request.input)
            first = inputs.batch(self.now.model, request.input, PROBE_SIZE, self.paths)
            found = probe(self.now.model, first.inputs)
        except MlptuiError as error:
            return bench.Shapes(input=request.input, why=str(error))
        return bench.Shapes(
            input=request.input,
            passed=tuple(found.passed),
            multiply_adds=found.multiply_adds,
            fault=self._with_fixes(found),
        )

    def _check_lazy(self, wanted: Input) -> None:
        """Lazy layers get their sizes from the input, and with them their memory. Raises BuildError."""
        if any(layer.kind.startswith("Lazy") for _, layer in self.now.tree.walk()):
            check_fits(self.now.tree, CpuReader().read().memory_available, (PROBE_SIZE, *wanted.shape))

    def _with_fixes(self, found: Probed) -> Fault | None:
        if found.fault is None or found.faulty is None:
            return None
        here = dict(self.now.tree.walk())
        steps = mend.fixes(found.faulty) if found.faulty.place in here else iter(())
        return found.fault.model_copy(update={"fixes": tuple(steps)})

    def look(self, request: bench.Look) -> bench.Detail:
        spot = next((s for s in places.spots(self.now.model) if s.place == request.place), None)
        if spot is None:
            raise UsageError(f"there is no layer {'.'.join(request.place)}")
        source, origin = detail.source(spot.module)
        measured, why = None, ""
        if request.measure:
            try:
                first = inputs.batch(self.now.model, request.input, PROBE_SIZE, self.paths)
                measured = detail.measure(self.now.model, first.inputs, request.place)
            except MlptuiError as error:
                why = str(error)
        return bench.Detail(
            place=request.place,
            repr=detail.printed(spot.module),
            documentation=detail.documentation(spot.module),
            source=source,
            origin=origin,
            tensors=detail.tensors(spot.module, places.registered(self.now.model)),
            measured=measured,
            why=why,
        )

    def flow(self, request: bench.Flow) -> bench.FlowSheet:
        model = self.now.model
        if request.typed:
            numbers = inputs.typed(model, request.typed, request.input.shape)
            return flow(model, numbers, f"typed numbers {list(numbers.shape)}", request.place)
        first = inputs.batch(model, request.input, 1, self.paths, request.sample)
        return flow(model, first.inputs, first.words, request.place)

    def check(self, request: bench.Check) -> bench.Report:
        try:
            report = examine(self.now.model, request.input, Question(request.outputs, request.classes), self.paths)
        except MlptuiError as error:
            return bench.Report(why=str(error))
        return report.model_copy(update={"findings": tuple(map(self._mendable, report.findings))})

    def _mendable(self, finding: bench.Finding) -> bench.Finding:
        """The finding with a fix that this network's text allows, or without one."""
        if finding.code == "mixing":  # it shows at the output only; the one layer that is known for it is named
            known_for = [place for place, layer in self.now.tree.walk() if layer.kind in TWINS]
            if len(known_for) == 1:
                finding = finding.model_copy(update={"place": known_for[0]})
        layer = dict(self.now.tree.walk()).get(finding.place)
        if layer is None:
            return finding.model_copy(update={"fix": None})
        twin = TWINS.get(layer.kind)
        if finding.fix is None and twin and finding.code in ("no-gradient", "plain-tensor", "mixing"):
            text = describe(Layer(twin, layer.arguments))
            change = Change(action="replace", place=finding.place, text=text)
            return finding.model_copy(update={"fix": Step(says=f"make it {text}", change=change)})
        return finding

    def compare(self, request: Compare) -> bench.Compared:
        tree = parse(request.text)
        check_memory(tree)
        with torch.random.fork_rng(devices=[]):
            seed_weights(self.seed)
            other = build(tree)
        return compare(_rows(self.now.model, self.now.tree), _rows(other, tree), label(tree))

    def save(self, request: bench.Save) -> bench.Saved:
        state = self.now
        entry = keeping.save(self.paths, state.model, state.text, request, self.states.origin)
        return bench.Saved(id=entry.id, folder=str(entry.folder))

    def evaluate(self, request: bench.Evaluate) -> bench.Judgement:
        checkpoint = checkpoints.load(Path(request.folder))
        kept = Path(request.folder).parent.parent / "source"
        return judge.judge(self.paths, checkpoint, request.part, request.data, kept)


def _untied(layer: Layer) -> Layer:
    if layer.ties:
        raise UsageError("only a whole network can have ties; put the layers in first, then tie their parameters in area 3")
    return layer


def _of_kind(before: Layer, after: Layer) -> Layer:
    """Arguments are of the layer that is there; text that ends it and begins another one is refused."""
    if after.kind != before.kind:
        raise UsageError(f"these are not the arguments of {before.kind}")
    return after


def _rows(model: torch.nn.Module, tree: Layer) -> list[bench.Row]:
    """Arguments as they stand in the text are shorter than what a module prints."""
    leaves = [(place, layer) for place, layer in tree.walk() if not layer.container]
    return places.rows(model, {place: describe(layer)[len(layer.kind) + 1 : -1] for place, layer in leaves})


def check_memory(tree: Layer) -> None:
    """Refuse a network that main memory cannot hold, before any of it is allocated. Raises BuildError."""
    small = parameter_count(tree)
    if small is None or small > SURELY_SMALL:
        check_fits(tree, CpuReader().read().memory_available, (PROBE_SIZE, 1))


def _sized(lazy: Layer, module: torch.nn.Module) -> Layer:
    """`LazyLinear(256)` as `Linear(784, 256)`, by the sizes that its module has got."""
    kind = type(module).__name__
    given = dict(lazy.arguments)
    names = [str(row[0]) for row in known.signature(kind) or ()]
    required = [str(row[0]) for row in known.signature(kind) or () if len(row) == 1]
    found = {name: getattr(module, name) for name in required if name not in given}
    every = {**found, **given}
    return Layer(kind, tuple((name, every[name]) for name in names if name in every))


def _watched(tree: Layer) -> tuple[tuple[str, int], ...]:
    """The person's files that this network is from, and when each was changed."""
    found = []
    for file in map(references.absolute, references.files(tree)):
        try:
            found.append((file, os.stat(file).st_mtime_ns))
        except OSError:
            continue
    return tuple(found)
