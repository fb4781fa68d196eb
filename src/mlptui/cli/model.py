"""`mlptui model`"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui model list                                     networks by name; --torchvision: its models too
  mlptui model show --model nested                      the tree with shapes, parameters and multiply-adds
  mlptui model show --model "nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))" --input 20
  mlptui model show --model ~/nets.py:MLP --data fashion-mnist
  mlptui model check --model torchvision:resnet18 --input 3,64,64
  mlptui model clone --model fixed-hidden               is all of it in its state_dict? exit code 1 where outputs differ
  mlptui model code --model lenet --epochs 5 --out train.py    a plain PyTorch script, and the data beside it

a network is a name from the list, an architecture, a class or function in your own Python file, or one of torchvision's
'check' returns 1 where something was found
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    from mlptui.cli.actions import actions_of

    action = actions_of(parser)
    action("list", "networks that have a name", _list).add_argument(
        "--torchvision", action="store_true", help="torchvision's models too (loads torchvision)"
    )
    for name, help_, act in (
        ("clone", "build a network twice, load the state_dict of one into the other, compare the outputs", _clone),
        ("show", "the tree of a network: shapes, parameters, costs", _show),
        ("check", "run one batch on a copy and say what is wrong with a network", _check),
    ):
        made = action(name, help_, act)
        made.add_argument("--model", default="mlp", metavar="NETWORK", help="which network (mlp)")
        made.add_argument("--data", default="", metavar="NAME", help="take samples of this data set")
        made.add_argument(
            "--input", default="", metavar="SHAPE", help="take random numbers, one sample of this shape: 1,28,28"
        )
        if name == "show":
            made.add_argument("--depth", type=int, default=0, metavar="N", help="only so many levels (all)")
        elif name == "check":
            made.add_argument("--outputs", type=int, default=0, metavar="N", help="numbers a sample that are wanted")
    code = action("code", "a plain PyTorch script with the network, the data and the training loop", _code)
    code.add_argument("--model", default=None, metavar="NETWORK", help="which network")
    code.add_argument(
        "--run", default="", metavar="RUN", help="the script of this run, with the threads and the product it used"
    )
    code.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="write the script there and the data set beside it"
    )
    from mlptui.cli.train import add_knobs

    add_knobs(code)


def network(text: str, what: str = "network") -> tuple[str, tuple[int, ...]]:
    """The architecture that a person means, and the shape of its input where the name brings one.

    `what` says in the refusal what else could have been meant.
    Raises ArchitectureError, or UsageError for a name that no network has.
    """
    from difflib import get_close_matches

    from mlptui.core.architecture import references
    from mlptui.core.architecture.parse import parse
    from mlptui.core.architecture.zoo import ZOO
    from mlptui.core.errors import UsageError

    if text in ZOO:
        return ZOO[text].text, ZOO[text].input
    if text.replace("-", "_").isidentifier():
        close = get_close_matches(text, ZOO, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"no {what} is called {text}{hint} (mlptui model list has all networks)")
    tree = parse(text)
    return references.resolved(text, tree), ()


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.architecture.parse import parse
    from mlptui.core.architecture.tree import label
    from mlptui.core.architecture.zoo import ZOO

    names: tuple[str, ...] = ()
    if options.torchvision:
        from mlptui.engine.foreign import torchvision_names

        names = tuple(torchvision_names())
    if options.json:
        for name, network in ZOO.items():
            output.as_json(
                {"name": name, "text": network.text, "input": network.input, "about": network.about, "flaw": network.flaw}
            )
        for name in names:
            output.as_json({"name": f"torchvision:{name}"})
        return 0
    rows = [(name, label(parse(n.text)), n.about + (f"; flaw: {n.flaw}" if n.flaw else "")) for name, n in ZOO.items()]
    output.table(("name", "network", "what it shows"), [(name, short, _cut(about)) for name, short, about in rows])
    for name in names:
        output.data(f"torchvision:{name}")
    return 0


def _cut(text: str) -> str:
    from mlptui.core.text import cut

    return cut(text, 80)


def _opened(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """A workbench with the network on it, its sheet, and what goes in. Raises MlptuiError."""
    from mlptui.core.bench import Input, Open, shape_typed
    from mlptui.core.errors import UsageError
    from mlptui.datasets import catalog, library
    from mlptui.engine.bench.workbench import Workbench
    from mlptui.store import paths

    places = paths.find()
    text, own = network(options.model)
    if options.input and options.data:
        raise UsageError("--data and --input exclude each other")
    if options.input:
        shape = shape_typed(options.input)
        if shape is None:
            raise UsageError(f"--input {options.input}: write the shape of one sample, as 1,28,28")
        wanted = Input(shape=shape)
    elif own and not options.data:
        wanted = Input(shape=own)
    else:
        name = options.data or catalog.default(places)
        wanted = Input(shape=library.facts(places, name).shape, data=name)
    bench = Workbench(places)
    return bench, _answer(bench, Open(text=text)), wanted


def _answer(bench: Any, request: Any) -> Any:
    """Raises MlptuiError where the bench refuses."""
    from mlptui.core.bench import Refused
    from mlptui.core.errors import MlptuiError

    answer = bench.answer(request)
    if isinstance(answer, Refused):
        if answer.cancelled:
            raise KeyboardInterrupt
        raise MlptuiError(answer.message)
    return answer


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.bench import Probe

    bench, sheet, wanted = _opened(options)
    shapes = _answer(bench, Probe(input=wanted))
    if options.json:
        output.as_json({**sheet.model_dump(), "shapes": shapes.model_dump()})
        return 0
    rows = []
    passed = shapes.passed or [None] * len(sheet.rows)
    for row, through in zip(sheet.rows, passed, strict=True):
        if options.depth and len(row.place) > options.depth:
            continue
        marks = ", ".join([*([f"= {'.'.join(row.tied_to)}"] if row.tied_to is not None else []), *row.marks])
        name = "  " * len(row.place) + (f"{row.place[-1]} " if row.place else "") + row.called
        costs = f"{through.multiply_adds:,}" if through and through.calls else "-"
        rows.append((name, through.output or "-" if through else "-", row.amount, costs, marks))
    output.table(("layer", "output", "parameters", "multiply-adds", ""), rows, right=(2, 3))
    more = f" and {sheet.unknown} tensors without a size" if sheet.unknown else ""
    output.narrate(f"{sheet.parameters:,} parameters{more}, {shapes.multiply_adds:,} multiply-adds for {_words(wanted)}")
    if shapes.fault:
        fix = f"; to mend it: {shapes.fault.fixes[0].says}" if shapes.fault.fixes else ""
        output.narrate(f"layer {'.'.join(shapes.fault.place) or 'network'}: {shapes.fault.message}{fix}")
    if shapes.why:
        output.narrate(shapes.why)
    return 1 if shapes.fault or shapes.why else 0


def _words(wanted: Any) -> str:
    return f"two samples of {list(wanted.shape)}" + (f" from {wanted.data}" if wanted.data else "")


def _check(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.bench import Check
    from mlptui.datasets import library
    from mlptui.store import paths

    bench, _, wanted = _opened(options)
    outputs, classes = options.outputs, True
    if wanted.data:
        facts = library.facts(paths.find(), wanted.data)
        outputs, classes = outputs or facts.outputs, not facts.regression
    report = _answer(bench, Check(input=wanted, outputs=outputs, classes=classes))
    if options.json:
        output.as_json(report.model_dump())
    else:
        for finding in report.findings:
            output.data(f"{finding.code}: {_safe(finding.says)}")
            output.data(f"  cause: {_safe(finding.cause)}")
            output.data(f"  to do: {_safe(finding.remedy)}" + (f"; {_safe(finding.fix.says)}" if finding.fix else ""))
        output.narrate(
            report.why or (f"{len(report.findings)} found" if report.findings else "nothing found") + f" ({report.checked})"
        )
    return 1 if report.findings or report.why else 0


def _safe(text: str) -> str:
    from mlptui.core.text import safe

    return safe(text, 2000)


def _clone(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.parameters.messages import Clone

    bench, _, wanted = _opened(options)
    cloned = _answer(bench, Clone(input=wanted))
    if options.json:
        output.as_json(cloned.model_dump())
    else:
        for line in cloned.words:
            output.data(line)
    return 0 if cloned.equal == cloned.count else 1


def _code(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.cli.train import recipe_from
    from mlptui.core.architecture import references
    from mlptui.core.architecture.parse import parse
    from mlptui.core.errors import UsageError
    from mlptui.datasets import library
    from mlptui.datasets.settle import settle
    from mlptui.engine.export.script import Circumstances, script, write_arrays
    from mlptui.store import paths, rundir

    places = paths.find()
    circumstances = Circumstances()
    if options.run:
        if options.model:
            raise UsageError("--run and --model exclude each other")
        run = rundir.find(places, options.run)
        recipe, circumstances = run.recipe(), _circumstances(run)
        if files := references.files(parse(recipe.architecture)):
            output.narrate(f"the script imports {', '.join(files)} as it is now; the run's own copy is in {run.source}")
    else:
        if options.model:
            options.architecture = network(options.model)[0]
        recipe = settle(places, recipe_from(options))
    name = options.out.name if options.out else "train.py"
    facts = library.facts(places, recipe.data.name)
    text = script(recipe, facts, circumstances, name)
    if options.out is None:
        print(text, end="")
        output.narrate(f"it reads {facts.name}.npz beside it; --out FILE writes both")
        return 0
    from mlptui.store import atomic

    if not options.out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {options.out.absolute().parent}")
    try:
        atomic.replace(options.out.absolute(), text.encode(), shared=True)
        write_arrays(library.load(places, recipe.data.name), options.out.absolute().parent / f"{facts.name}.npz")
    except OSError as error:
        raise UsageError(f"{options.out} cannot be written: {atomic.reason(error)}") from None
    output.narrate(f"{options.out} and {facts.name}.npz are written")
    return 0


def _circumstances(run: Any) -> Any:
    """What the run found out by itself, from its log."""
    from mlptui.engine.export.script import Circumstances
    from mlptui.store.eventlog import read_events

    for event in read_events(run.events_file):
        if event.kind == "started":
            device = "cuda" if str(event["device"]).startswith("cuda") else str(event["device"] or "cpu")
            return Circumstances(int(event["threads"] or 0), "oneDNN" in str(event["matmul"]), device)
    return Circumstances()
