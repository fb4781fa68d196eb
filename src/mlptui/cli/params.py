"""`mlptui params`"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui params list mlp                                   the tensors of a network
  mlptui params diff last/best last                        two checkpoints of a run
  mlptui params stats last --filter "*.weight"             of a run's newest checkpoint, with statistics
  mlptui params show last "net[1].weight[0, :5]"           any path of the console, in PyTorch's spelling
  mlptui params show w.safetensors 1.weight --npy w.npy    the numbers to a file; --csv as text
  mlptui params init mlp --rule "*.weight: normal(0, 0.01)" --rule "*.bias: zeros" --out w.safetensors
  mlptui params set last "net[1].bias += 1" "net[3].weight.data[0, 0] = 100" --out w.safetensors
  mlptui params change last "clamp -0.1 0.1" "*.weight" --out w.safetensors
  mlptui params tie "nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))" 2.weight 0.weight --out w.safetensors
  mlptui params diff w.safetensors last                    tensor by tensor
  mlptui params load theirs.pt mlp --dry-run               which tensor goes where; prefixes and moved nesting are found
  mlptui params load theirs.pt mlp --slice 3.weight --out w.safetensors
  mlptui train --architecture mlp --weights w.safetensors  begin a run with them

what is named first is a checkpoint's folder, a run (its newest checkpoint), a file of tensors, or a network: a name from
'mlptui model list', an architecture, your own file as nets.py:MLP, torchvision:NAME
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    from mlptui.cli.actions import actions_of

    action = actions_of(parser)
    for name, help_, act in (
        ("list", "every tensor, with what is known before a number is read", _list),
        ("stats", "every tensor with its statistics", _list),
    ):
        made = action(name, help_, act)
        _source(made)
        made.add_argument("--filter", default="", help='as in the viewer: "*.weight", frozen, buffer, "std > 0.1"')
    show = action("show", "what a line of the path console gives", _show)
    _source(show)
    show.add_argument("path", help='0.weight, net[0].weight[0], "net[0].weight.std()", "net.state_dict()"')
    show.add_argument("--csv", action="store_true", help="the numbers as comma-separated rows")
    show.add_argument("--npy", type=Path, metavar="FILE", help="write the numbers to a NumPy file")
    init = action("init", "draw parameters by rules", _init)
    _source(init)
    init.add_argument(
        "--rule", action="append", required=True, metavar="WHICH: HOW", help='"*.weight: xavier_uniform"; repeat'
    )
    init.add_argument("--preview", action="store_true", help="say what would be drawn, and draw nothing")
    set_ = action("set", "do lines of the path console, one after the other", _set)
    _source(set_)
    set_.add_argument("line", nargs="+", help='"net[0].bias += 1"')
    tie = action("tie", "make parameters one; the first keeps its values; prints the architecture", _tie)
    _source(tie)
    tie.add_argument("path", nargs="+", help="2.weight 0.weight")
    tie.add_argument("--apart", action="store_true", help="the other way round: give each its own values again")
    change = action("change", "fill, add, scale, clamp, copy, transpose, noise, dtype, freeze or thaw tensors", _change)
    _source(change)
    change.add_argument(
        "how", help='"fill 0", "clamp -1 1", "clamp - 1", "copy w.safetensors:1.weight", "dtype float64", freeze'
    )
    change.add_argument("tensor", nargs="+", help='which: 1.weight, "*.bias", Linear, Linear.weight')
    load = action("load", "put the tensors of a file into a network: a plan, then the weights", _load)
    _source(load)
    load.add_argument("network", help="where they go: a network, or another checkpoint")
    load.add_argument("--map", action="append", default=[], metavar="NAME=FILES_NAME", help="the file's name for one tensor")
    load.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave this tensor as it is")
    load.add_argument("--slice", action="append", default=[], metavar="NAME", help="take the part that both shapes have")
    load.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    for one in (init, set_, tie, change, load):
        one.add_argument("--out", type=Path, metavar="FILE", help="where the weights go, as safetensors")
    diff = action("diff", "how two sources differ, tensor by tensor", _diff)
    _source(diff)
    diff.add_argument("other", help="the other source")


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a checkpoint, run, file of tensors, or a network")
    parser.add_argument("--seed", type=int, default=0, help="what a network's weights are drawn from (0)")


def opened(where: str, seed: int) -> Any:
    from mlptui.cli.model import network
    from mlptui.core.errors import UsageError
    from mlptui.engine.parameters import files, sources
    from mlptui.store import paths

    places = paths.find()
    is_there = files.is_there(places, where)
    if not is_there and called_like_a_file(where):
        raise UsageError(f"{where} is no checkpoint, and no file of tensors that is there")
    return sources.opened(places, where, "" if is_there else network(where, "network, run or file")[0], seed)


def called_like_a_file(where: str) -> bool:
    """Whether nobody can have meant a network by this."""
    from mlptui.store.formats import opening

    return where.lower().endswith(opening.SUFFIXES) or ("/" in where and not any(sign in where for sign in ":("))


def done(workbench: Any, request: Any) -> Any:
    """The answer to a request. Raises UsageError where it is refused."""
    from mlptui.core.bench import Refused
    from mlptui.core.errors import UsageError

    answer = workbench.answer(request)
    if isinstance(answer, Refused):
        raise UsageError(answer.message)
    return answer


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.parameters import filters
    from mlptui.core.parameters.messages import List, Measure
    from mlptui.core.text import counted

    workbench = opened(options.source, options.seed)
    test = filters.read(options.filter)
    listed = done(workbench, List())
    known: dict[str, Any] = {}
    if options.command == "stats" or filters.needs_numbers(options.filter):
        known = dict(done(workbench, Measure(paths=tuple(row.path for row in listed.rows))).numbers)
    rows = [row for row in listed.rows if test(row, known.get(row.path))]
    if options.json:
        for row in rows:
            numbers = known[row.path].model_dump(exclude={"stamp"}) if row.path in known else {}
            output.as_json({**row.model_dump(exclude={"stamp"}), **numbers})
        return 0
    _table(rows, known, options.command == "stats", listed.compared)
    left_out = getattr(workbench.now.model, "left_out", 0)
    more = f"; {counted(left_out, 'tensor')} of types that are not shown" if left_out else ""
    digest = f", sha256 {listed.digest}" if listed.digest else ""
    output.narrate(f"{len(rows)} of {len(listed.rows)} tensors{digest}{more}")
    return 0


def _table(rows: Any, known: dict[str, Any], stats: bool, compared: bool) -> None:
    from mlptui.cli import output
    from mlptui.core.text import number, percent

    found = []
    for row in rows:
        kind = f"= {row.alias_of}" if row.alias_of else row.tensor
        line = [row.path, "?" if row.shape is None else str(list(row.shape)), row.dtype, kind]
        if stats:
            n = known.get(row.path)
            values = [number(v) for v in (n.mean, n.deviation, n.low, n.high, n.norm)] if n else ["-"] * 5
            line += [*values, percent(n.zeros) if n else "-", str(n.bad) if n else "-"]
            if compared:
                line += [number(v) for v in (n.largest, n.relative, n.cosine, n.changed)] if n else ["-"] * 4
        else:
            learns = "" if row.tensor != "parameter" else "yes" if row.trainable else "frozen"
            line += [f"{row.count:,}", learns, row.drawn]
        found.append(line)
    if stats:
        header = ["path", "shape", "dtype", "kind", "mean", "std", "min", "max", "norm", "zeros", "nan inf"]
        header += ["largest", "relative", "cosine", "changed"] if compared else []
        output.table(header, found, right=tuple(range(4, len(header))))
    else:
        output.table(["path", "shape", "dtype", "kind", "count", "learns", "drawn"], found, right=(4,))


def _show(options: argparse.Namespace) -> int:
    import torch
    from torch.nn.parameter import is_lazy

    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.engine.parameters import shown
    from mlptui.engine.parameters.evaluate import Shown, evaluate

    found = evaluate(opened(options.source, options.seed).now.model, options.path)
    if not isinstance(found, Shown):
        raise UsageError("this changes something; 'mlptui params set' does that")
    value = found.value
    if not (options.csv or options.npy or options.json):
        for line in shown.lines(value, 10_000):
            output.data(line)
        return 0
    if isinstance(value, torch.Tensor) and is_lazy(value):
        raise UsageError("this tensor has no size yet, so it has no numbers")
    if not isinstance(value, torch.Tensor):
        if options.json and isinstance(value, bool | int | float | str | None):
            output.as_json({"path": options.path, "value": value})
            return 0
        raise UsageError("only the numbers of a tensor can be written so")
    value = value.detach().cpu()
    if options.npy:
        _write_array(options.npy, value)
        output.narrate(f"{list(value.shape)} written to {options.npy}")
    if options.json:
        dtype = str(value.dtype).removeprefix("torch.")
        output.as_json({"path": options.path, "shape": list(value.shape), "dtype": dtype, "values": value.tolist()})
    elif options.csv:
        rows = value.reshape(1, -1) if value.dim() < 2 else value.reshape(-1, value.shape[-1])
        for row in rows.tolist():
            output.data(",".join(repr(number) for number in row))
    return 0


def _write_array(file: Path, value: Any) -> None:
    import io

    import numpy as np
    import torch

    from mlptui.core.errors import UsageError
    from mlptui.store import atomic

    buffer = io.BytesIO()
    np.save(buffer, (value.float() if value.dtype == torch.bfloat16 else value).numpy(), allow_pickle=False)
    try:
        atomic.replace(file, buffer.getvalue(), shared=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {atomic.reason(error)}") from None


def _init(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.core.parameters.messages import Initialise, Preview, Rule
    from mlptui.core.text import number

    rules = []
    for text in options.rule:
        which, colon, how = text.partition(":")
        if not colon:
            raise UsageError(f'write "which: how", as "*.weight: xavier_uniform", not {text!r}')
        rules.append(Rule(select=which.strip(), scheme=how.strip()))
    workbench = opened(options.source, options.seed)
    if not options.preview:
        sheet = done(workbench, Initialise(rules=tuple(rules), seed=options.seed))
        return _finish(options, workbench, sheet.note)
    found = done(workbench, Preview(rules=tuple(rules), seed=options.seed))
    if options.json:
        for one in found.tensors:
            output.as_json(one.model_dump())
        return 0
    output.table(
        ["path", "how", "mean", "theory", "std", "theory"],
        [
            [t.path, t.scheme, number(t.mean), number(t.expected_mean), number(t.deviation), number(t.expected_deviation)]
            for t in found.tensors
        ],
        right=(2, 3, 4, 5),
    )
    if found.count > len(found.tensors):
        output.narrate(f"and {found.count - len(found.tensors)} more tensors")
    return 0


def _set(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.parameters.messages import Console, Said

    workbench = opened(options.source, options.seed)
    for line in options.line:
        answer = done(workbench, Console(text=line))
        if isinstance(answer, Said):
            for text in answer.lines:
                output.data(text)
    return _finish(options, workbench, f"{len(options.line)} lines done" if len(options.line) > 1 else "done")


def _change(options: argparse.Namespace) -> int:
    from mlptui.core.parameters import changes
    from mlptui.engine.parameters import initialise, tensors

    workbench = opened(options.source, options.seed)
    model = workbench.now.model
    known = tensors.tensors(model)
    paths = dict.fromkeys(named.path for which in options.tensor for named in initialise.select(model, which, known))
    sheet = done(workbench, changes.read(options.how, tuple(paths)))
    return _finish(options, workbench, sheet.undo)


def _tie(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.core.parameters.messages import Tie
    from mlptui.engine.parameters.files import TensorFile

    workbench = opened(options.source, options.seed)
    if isinstance(workbench.now.model, TensorFile):
        raise UsageError("a file of tensors has no network in which they could be one; name the network")
    sheet = done(workbench, Tie(paths=tuple(options.path), apart=options.apart))
    if not options.json:
        output.data(sheet.text.rstrip())
    return _finish(options, workbench, f"{sheet.parameters:,} parameters", sheet.text)


def _load(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.core.parameters.messages import Load, Plan
    from mlptui.core.text import counted, number

    mapped = []
    for text in options.map:
        name, equals, files_name = text.partition("=")
        if not equals:
            raise UsageError(f"write the network's name=the file's name, not {text!r}")
        mapped.append((name.strip(), files_name.strip()))
    workbench = opened(options.network, options.seed)
    plan = Plan(source=options.source, mapped=tuple(mapped), skipped=tuple(options.skip), sliced=tuple(options.slice))
    planned = done(workbench, plan)
    if options.json and options.dry_run:
        for row in planned.rows:
            output.as_json(row.model_dump())
        return 0
    if not options.json:
        header = ["network", "shape", "", "file", "shape", "does", "changes by"]
        rows = [
            [
                row.target or "-",
                str(list(row.target_shape)) if row.target else "",
                row.state,
                row.source if row.state != "same name" else "",
                str(list(row.source_shape)) if row.source and row.source_shape != row.target_shape else "",
                row.action if row.target else "",
                "" if row.difference is None else "equal, bit for bit" if row.difference == 0 else number(row.difference),
            ]
            for row in planned.rows
        ]
        output.table(header, rows, right=(6,))
    if options.dry_run:
        output.narrate(
            f"would change {counted(planned.coming, 'tensor')}; {planned.equal} are equal already; nothing is changed"
        )
        return 0
    sheet = done(workbench, Load(plan=plan.model_copy(update={"version": planned.version})))
    return _finish(options, workbench, sheet.note)


def _finish(options: argparse.Namespace, workbench: Any, words: str, text: str = "") -> int:
    from mlptui.cli import output
    from mlptui.core.parameters.messages import Export, List

    if options.out:
        exported = done(workbench, Export(file=str(options.out.expanduser())))
        words += f"; {options.out}, {exported.size:,} bytes"
    else:
        words += "; nothing is written without --out FILE"
    if options.json:
        digest = done(workbench, List()).digest
        output.as_json({"out": str(options.out or ""), "digest": digest, **({"architecture": text} if text else {})})
    else:
        output.narrate(words)
    return 0


def _least_alike(row: dict[str, Any]) -> float:
    """Sorts what has no counterpart first, then what differs by nan, then by the largest difference."""
    if row["differs"] in ("", "values"):
        largest = float(row.get("largest", 0.0))
        return -sys.float_info.max if math.isnan(largest) else -largest
    return -math.inf


def _diff(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.text import counted, number
    from mlptui.engine.parameters import tensors
    from mlptui.engine.parameters.files import difference, matched

    models = [opened(where, options.seed).now.model for where in (options.source, options.other)]
    one, other = (tensors.tensors(model) for model in models)
    left_out = sum(getattr(model, "left_out", 0) for model in models)
    rows: list[dict[str, Any]] = []
    pairs = matched(*({path: n.tensor for path, n in side.items() if not n.lazy} for side in (one, other)))
    taken = {also for path, also in pairs.items() if path != also}
    for path in dict.fromkeys((*one, *(path for path in other if path not in taken))):
        a, b = one.get(path), other.get(pairs.get(path, path))
        if a is None or b is None:
            rows.append({"path": path, "differs": "only in the first" if b is None else "only in the second"})
        elif a.lazy or b.lazy or a.tensor.shape != b.tensor.shape:
            shapes = ["no size" if n.lazy else str(list(n.tensor.shape)) for n in (a, b)]
            rows.append({"path": path, "differs": " and ".join(shapes)})
        elif tensors.same_bytes(a.tensor, b.tensor) and a.tensor.dtype == b.tensor.dtype:
            rows.append({"path": path, "differs": ""})
        else:
            rows.append({"path": path, "differs": "values", **difference(a.tensor, b.tensor)._asdict()})
    rows = [{**row, "other": pairs.get(row["path"], row["path"])} for row in rows]
    rows.sort(key=_least_alike)
    if options.json:
        for row in rows:
            output.as_json(row)
    else:
        header = ["path", "difference", "largest", "relative", "cosine", "changed"]
        lines = [
            [
                r["path"] if r["other"] == r["path"] else f"{r['path']} ({r['other']})",
                r["differs"] or "none, bit for bit",
                *(number(r.get(k)) for k in ("largest", "relative", "cosine", "changed")),
            ]
            for r in rows
        ]
        output.table(header, lines, right=(2, 3, 4, 5))
    if left_out:
        output.narrate(f"{counted(left_out, 'tensor')} of types that are not shown, so not compared")
    return 1 if left_out or any(row["differs"] for row in rows) else 0
