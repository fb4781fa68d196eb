"""`mlptui export`"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui export last/best model.safetensors        the state_dict; also .pt .pth .bin .npz
  mlptui export last/best x.npy --tensor 1.weight  one tensor; .pt takes it, too
  mlptui export last/best some.pt --tensor 1.weight --tensor 3.weight --form list
  mlptui export last/best folder --as script       a plain PyTorch script, weights and data: python folder/run.py
  mlptui export last/best net.onnx                 checked with onnxruntime; needs pip install 'mlptui[onnx]'
  mlptui export last/best net.pt2                  torch.export, checked
  mlptui export last metrics.csv                   a row a step; --epochs a row an epoch; .json has all
  mlptui export last logs --as tensorboard         event files; needs pip install 'mlptui[tensorboard]'

tensors are read back, .onnx and .pt2 are run, and compared; what differs is not written (exit code 1)
"""
FORMATS = ("script", "tensorboard")
METRICS = (".csv", ".json")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("source", help="a run, RUN/best, RUN/STEP, what was saved by a name, a file of tensors, or a network")
    parser.add_argument("out", type=Path, help="the file, whose ending says the format; for --as a folder")
    parser.add_argument("--as", dest="form_of", choices=FORMATS, help="what has no ending of its own")
    parser.add_argument("--tensor", action="append", default=[], metavar="PATH", help="only this one; repeat")
    parser.add_argument(
        "--form", choices=("dict", "list", "tensor"), help="how chosen tensors are held (one: tensor, several: dict)"
    )
    parser.add_argument("--input", default="", metavar="SHAPE", help="of one sample, for .onnx and .pt2 of a network: 1,28,28")
    parser.add_argument("--epochs", action="store_true", help=".csv: a row an epoch")
    parser.add_argument("--seed", type=int, default=0, help="what a network's weights are drawn from (0)")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument("--yes", action="store_true", help=".onnx, .pt2: run the code that the network is made by, unasked")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(act=_export)


def _export(options: argparse.Namespace) -> int:
    from mlptui.core.errors import UsageError

    out = options.out.expanduser().absolute()
    out = out.resolve() if out.name in ("", "..") else out.parent.resolve() / out.name  # no way through what is replaced
    suffix = out.suffix.lower()
    if out.exists() and not options.force and options.form_of != "tensorboard":
        raise UsageError(f"{out} is there already; --force replaces it")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.absolute().parent}")
    if options.form_of == "tensorboard" or suffix in METRICS:
        return _metrics(options, out, suffix)
    if options.form_of == "script":
        return _script(options, out)
    if suffix in (".onnx", ".pt2"):
        return _program(options, out)
    return _tensors(options, out)


def _told(options: argparse.Namespace, words: str, **facts: Any) -> None:
    from mlptui.cli import output

    if options.json:
        output.as_json(facts)
    else:
        output.narrate(words)


def _metrics(options: argparse.Namespace, out: Path, suffix: str) -> int:
    from mlptui.cli.checkpoints import find
    from mlptui.core.errors import UsageError
    from mlptui.core.text import counted
    from mlptui.store import atomic, metrics, paths, rundir

    name, _, which = options.source.partition("/")
    run = rundir.find(paths.find(), name)
    if which:
        find(options.source)  # what is named must be there, though the run's rows are written
    if options.form_of == "tensorboard":
        count = metrics.as_tensorboard(run, out)
        _told(
            options, f"{counted(count, 'number')} in {out}; tensorboard --logdir {out} shows them", out=str(out), count=count
        )
        return 0
    data = metrics.as_json(run) if suffix == ".json" else metrics.as_csv(run, options.epochs)
    try:
        atomic.replace(out, data, shared=True)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {atomic.reason(error)}") from None
    _told(options, f"{out}, {len(data):,} bytes", out=str(out), size=len(data))
    return 0


def _tensors(options: argparse.Namespace, out: Path) -> int:
    from mlptui.cli.params import opened
    from mlptui.core.text import size
    from mlptui.engine.export import tensors
    from mlptui.engine.parameters import files
    from mlptui.engine.parameters.tensors import sized
    from mlptui.engine.parameters.tensors import tensors as tensors_of

    form: tensors.Form
    left_out = ""
    model = opened(options.source, options.seed).now.model
    files.check(model)
    known = tensors_of(model)
    if options.tensor:
        chosen = {path: sized(known, path).tensor for path in options.tensor}
        form = options.form or ("tensor" if len(chosen) == 1 else "dict")
    else:
        saved, left_out = tensors.saved(known)
        chosen = {path: sized(known, path).tensor for path in saved}
        form = options.form or tensors.usual(out, len(chosen))
    written = tensors.write(out, tensors.shaped(chosen, form))
    facts = {"out": str(out), "size": written.size, "tensors": written.count, "equal": written.count}
    _told(options, f"{out}, {size(written.size)}; {written.words}{left_out}", **facts)
    return 0


def _program(options: argparse.Namespace, out: Path) -> int:
    from mlptui.core.text import size
    from mlptui.engine.export import programs

    found = _network(options)
    if found is None:
        return 1
    model, inputs = found
    checked = programs.write(out, model, inputs)
    facts = {"out": str(out), "size": checked.size, "largest_difference": checked.largest}
    _told(options, f"{out}, {size(checked.size)}; {checked.words}", **facts)
    return 0


def _network(options: argparse.Namespace) -> tuple[Any, Any] | None:
    """A network with its weights, and a batch for it; None where its code may not be run."""
    from mlptui.cli.checkpoints import find, may_run
    from mlptui.cli.model import network
    from mlptui.cli.params import called_like_a_file
    from mlptui.core.bench import Input, shape_typed
    from mlptui.core.errors import CheckpointError, UsageError
    from mlptui.engine import judge
    from mlptui.engine.inspect import inputs
    from mlptui.engine.parameters import files, sources
    from mlptui.store import collection, paths

    places = paths.find()
    shape = shape_typed(options.input) if options.input else ()
    if shape is None:
        raise UsageError(f"{options.input!r} is no shape; write 1,28,28")
    if not files.is_there(places, options.source) and not called_like_a_file(options.source):
        text, own = network(options.source)
        model = sources.opened(places, options.source, text, options.seed).now.model
        if not (shape or own):
            raise UsageError("say what goes in with --input, as --input 1,28,28")
        return model, inputs.batch(model, Input(shape=shape or own), 4, places).inputs
    entry = find(options.source, folders=True)
    with collection.offering(entry):
        if entry.checkpoint is None:
            raise CheckpointError(entry.problem)
        if not may_run(entry, options.yes):
            return None
        return judge.with_batch(places, entry.checkpoint, entry.run.source, shape)


def _script(options: argparse.Namespace, out: Path) -> int:
    from mlptui.cli.checkpoints import find
    from mlptui.engine.export import folder
    from mlptui.store import collection, paths

    places = paths.find()
    entry = find(options.source, folders=True)
    with collection.offering(entry):
        written = folder.write(places, entry, out)
    _told(
        options,
        f"{out} has {', '.join(written)}; python {out / folder.SCRIPT} judges it on the test set",
        out=str(out),
        files=written,
    )
    return 0
