"""`mlptui runs`"""

import argparse
import time
from typing import Any

EXAMPLES = """\
examples:
  mlptui runs list                  all runs, newest first
  mlptui runs show last             one run, with its recipe and events
  mlptui runs follow 7f3a           any unique part of a run's id will do
  mlptui runs set last 0.01         set the learning rate
  mlptui runs continue last --epochs 20   a new run that goes on from it, to 20 epochs in all
  mlptui runs prove last            is resuming it exact? trains, kills, resumes, compares; exit code 1 where not
  mlptui runs resume last           go on: unpause a paused run, restart a dead one from its last good checkpoint
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(title="actions", metavar="", required=True)

    def action(name: str, help_: str, act: Any, run: bool = True) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
        if run:
            made.add_argument("run", help="id, unique part of an id, or 'last'")
        made.add_argument("--json", action="store_true", help="machine-readable")
        made.set_defaults(act=act, command=name)
        return made

    action("list", "all runs, newest first", _list, run=False)
    action("show", "one run: state, recipe, checkpoints, events", _show)
    action("follow", "print an epoch a line until the run ends", _follow)
    go_on = action("continue", "a new run that goes on from a checkpoint, with more epochs or other knobs", _continue)
    go_on.add_argument(
        "--from", dest="checkpoint", default="last", metavar="CHECKPOINT", help="last (default), best, or a step"
    )
    go_on.add_argument("--detach", action="store_true", help="return at once")
    go_on.add_argument("--epochs", type=int, help="in all, with those that are done (twice as many)")
    go_on.add_argument("--lr", type=float, help="learning rate (as it was at the end)")
    go_on.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="any knob by its path in recipe.toml: optimizer.name=adam",
    )
    action("pause", "pause before the next step", _command)
    action("resume", "go on: unpause, or restart a dead run from its last good checkpoint", _resume)
    action("stop", "stop after saving a checkpoint", _command)
    action("checkpoint", "save a checkpoint now", _command)
    action("set", "set the learning rate", _command).add_argument("value", type=float, help="learning rate")
    action("step", "let a paused run train N batches", _command).add_argument(
        "value", type=int, nargs="?", default=1, metavar="N"
    )
    prove = action("prove", "prove that resuming it is exact: train straight and with a kill, and compare", _prove)
    prove.add_argument("--steps", type=int, default=100, metavar="N", help="steps to train, each way, made even (100)")
    action("remove", "remove a run that is not training", _remove).add_argument(
        "--yes", action="store_true", help="do not ask (needed where there is no terminal)"
    )


def _find(options: argparse.Namespace) -> Any:
    from mlptui.store import paths, rundir

    return rundir.find(paths.find(), options.run)


def _row(run: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from mlptui.core.errors import StorageError

    try:
        state = run.state()
        verdict = run.verdict(state)
    except StorageError as error:
        return {"run": run.id, "status": "unknown", "reason": str(error)}
    return {**asdict(state), "run": run.id, "status": str(verdict.status), "reason": verdict.reason, "folder": str(run.folder)}


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.status import GLYPHS, Status
    from mlptui.store import paths, rundir

    rows = [_row(run) for run in rundir.all_runs(paths.find())]
    if options.json:
        output.as_json(rows)
        return 0
    if not rows:
        output.narrate("no runs yet; 'mlptui train' starts one")
        return 0
    now = time.time()
    output.table(
        ("run", "status", "data", "model", "epoch", "valid", "train loss", "age"),
        [
            (
                r["run"],
                f"{GLYPHS[Status(r['status'])][0]} {r['status']}",
                r.get("data", "-"),
                r.get("model", "-"),
                f"{r.get('epoch', 0)}/{r.get('epochs', 0)}",
                text.score(r.get("valid_accuracy"), r.get("score", "accuracy")),
                text.loss(r.get("train_loss")),
                text.age(now - r["created"]) if r.get("created") else "-",
            )
            for r in rows
        ],
        right=(4, 5, 6, 7),
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.events import sentence, without_taken_back
    from mlptui.store import checkpoints, proof
    from mlptui.store.eventlog import read_events

    run = _find(options)
    row = _row(run)
    events = without_taken_back(read_events(run.events_file))
    good, bad = checkpoints.listed(run.checkpoints)
    best = checkpoints.best(good)
    if options.json:
        row["checkpoints"] = [
            {"name": c.name, "step": c.step, "valid_accuracy": c.valid_accuracy, "size": c.size, "best": c is best}
            for c in good
        ]
        row["damaged"] = bad
        row["recipe"] = run.recipe().model_dump()
        row["events"] = [{"kind": e.kind, "step": e.step, "wall": e.wall, **e.data} for e in events]
        output.as_json(row)
        return 0
    output.data(f"{text.safe(row['run'])}  {row['status']}  {text.safe(row['reason'])}".rstrip())
    output.data(f"folder      {text.safe(run.folder)}")
    for label, name in (
        ("data", "data"),
        ("model", "model"),
        ("device", "device"),
        ("matmul", "matmul"),
        ("threads", "threads"),
    ):
        output.data(f"{label:<11} {text.safe(row.get(name) or '-')}")
    output.data(f"step        {row.get('step', 0):,} of {text.count(row.get('steps'))}")
    if proved := proof.read(run):
        output.data(f"proof       {text.safe(proof.words(proved))}")
    for checkpoint in good:
        mark = "  best" if checkpoint is best else ""
        accuracy = text.score(checkpoint.valid_accuracy, row.get("score", "accuracy"))
        output.data(f"checkpoint  {checkpoint.name}  {text.size(checkpoint.size):>8}  {accuracy:>7}{mark}")
    for sentence_ in bad:
        output.data(f"damaged     {text.safe(sentence_)}")
    for event in events[-30:]:
        output.data(f"{time.strftime('%H:%M:%S', time.localtime(event.wall))}    {sentence(event)}")
    return 0


def _follow(options: argparse.Namespace) -> int:
    from mlptui.cli.following import follow, json_events

    run = _find(options)
    return json_events(run) if options.json else follow(run)


def _command(options: argparse.Namespace) -> int:
    from mlptui.core.errors import RunError

    run = _find(options)
    verdict = run.verdict()
    if not verdict.status.live:
        raise RunError(f"{run.id} is {verdict.status}; only a live run takes commands")
    value = getattr(options, "value", None)
    return _ask(run, options, options.command, None if value is None else float(value))


def _ask(run: Any, options: argparse.Namespace, name: str, value: float | None) -> int:
    """Send a command and wait for the event that answers it."""
    from mlptui.cli import output
    from mlptui.core.errors import RunError
    from mlptui.core.events import Kind, sentence
    from mlptui.store import control
    from mlptui.store.eventlog import EventReader

    reader = EventReader(run.events_file)
    reader.read_all()
    command = control.send(run, name, value)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended = not run.verdict().status.live  # before the log is read: the answer is older than the end
        for event in reader.read_all():
            if event.kind == Kind.COMMAND and event["id"] == command:
                if options.json:
                    output.as_json({"run": run.id, "step": event.step, **event.data})
                else:
                    output.narrate(f"{run.id}: {sentence(event)}")
                return 1 if event["refused"] else 0
        if ended:
            raise RunError(f"{run.id} ended before it answered")
        time.sleep(0.05)
    raise RunError(f"{run.id} has not answered within 60 s; it will see the command when it can")


def _resume(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.status import Status
    from mlptui.devices.choice import environment
    from mlptui.launch import begin, trainer

    run = _find(options)
    if run.verdict().status is Status.PAUSED:
        return _ask(run, options, "resume", None)
    pid = begin.resume(run, environment(run.recipe().device))
    trainer.wait_until_ready(run, pid)
    if options.json:
        output.as_json({"run": run.id, "pid": pid})
    else:
        output.narrate(f"{run.id} goes on in process {pid}; follow it with: mlptui runs follow {run.id}")
    return 0


def _continue(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.cli.following import detached, follow, json_events
    from mlptui.core.errors import UsageError
    from mlptui.devices.choice import environment
    from mlptui.launch import begin, trainer
    from mlptui.store import collection, paths

    places = paths.find()
    run = _find(options)
    entry = collection.find(places, f"{run.id}/{options.checkpoint}")
    changes: dict[str, Any] = {}
    for text in options.set:
        path, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"write --set PATH=VALUE, as optimizer.name=adam, not {text!r}")
        changes[path.strip()] = value.strip()
    if options.lr is not None:
        changes["optimizer.lr"] = options.lr
    if options.epochs is not None or "epochs" not in changes:
        changes["epochs"] = options.epochs if options.epochs is not None else run.recipe().epochs * 2
    made, pid = begin.go_on(places, entry, changes, environment)
    output.narrate(f"{made.id} goes on from {entry.id}, process {pid}")
    try:
        trainer.wait_until_ready(made, pid)
    except KeyboardInterrupt:
        return detached(made)
    if options.detach:
        if options.json:
            output.as_json({"run": made.id, "parent": entry.id, "pid": pid})
        else:
            output.data(made.id)
        return 0
    return json_events(made) if options.json else follow(made)


def _prove(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.devices.choice import environment
    from mlptui.launch import prove
    from mlptui.store import paths, proof

    run = _find(options)
    if options.steps < 2:
        raise UsageError("--steps needs at least 2, so that there is something before and after the kill")
    found = prove.prove(paths.find(), run, options.steps, environment(run.recipe().device), output.narrate, lambda: False)
    if options.json:
        output.as_json({"run": run.id, **vars(found), "exact": found.exact})
    else:
        output.data(f"{run.id}: {proof.words(found)}")
        if found.exact:
            output.narrate(f"weights {found.sums[0]}")
            output.narrate(f"optimiser, random state and progress {found.sums[1]}")
    return 0 if found.exact else 1


def _remove(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.store import paths, rundir, trash

    run = _find(options)
    if not output.agreed(f"remove {run.id} with its checkpoints for good?", options.yes):
        return 1
    trash.discard(rundir.remove(paths.find(), run))
    if options.json:
        output.as_json({"removed": run.id})
    else:
        output.narrate(f"{run.id} is removed")
    return 0
