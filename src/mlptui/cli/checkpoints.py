"""`mlptui checkpoints`"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui checkpoints list                     of all runs, newest first; the best of each marked
  mlptui checkpoints list last                of the newest run
  mlptui checkpoints list --sort valid        the best of all runs first
  mlptui checkpoints show last/best           by its run, and best, last or the step
  mlptui checkpoints verify                   read every byte of all of them; exit code 1 where one is damaged
  mlptui checkpoints pin 7f3a/1200            never removed by the run's retention
  mlptui checkpoints note last/best "before the learning rate fell"
  mlptui checkpoints copy last/best ~/models  a folder that can be taken elsewhere
  mlptui checkpoints save my-net lenet --note "as drawn"
  mlptui checkpoints evaluate last/best --part validation
  mlptui params diff RUN RUN2                 compares tensors of two, area 3 of the viewer looks into them
"""

SORTS = {  # what `list` can be sorted by: the fact, and whether the largest is first
    "run": ("run", False),
    "date": ("created", True),
    "step": ("step", True),
    "valid": ("valid_accuracy", True),
    "loss": ("valid_loss", False),
    "size": ("size", True),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    from mlptui.cli.actions import actions_of

    action = actions_of(parser)
    which = "RUN/best, RUN/last, RUN/STEP, or RUN for its newest; RUN is an id, a unique part of it, or last"
    anywhere = which.replace(" RUN/STEP,", " RUN/STEP, a folder,")
    listing = action("list", "checkpoints, newest first", _list)
    listing.add_argument("run", nargs="?", help="of this run only")
    listing.add_argument("--sort", choices=SORTS, help="best, largest or newest first")
    listing.add_argument("--reverse", action="store_true", help="the other way round")
    action("show", "one checkpoint: what its manifest says", _show).add_argument("checkpoint", help=anywhere)
    verify = action("verify", "read every byte and compare with what was written", _verify)
    verify.add_argument("checkpoint", nargs="*", help="these only, also folders elsewhere; otherwise all")
    for name, help_ in (("pin", "keep a checkpoint whatever the retention says"), ("unpin", "take a pin away")):
        action(name, help_, _pin).add_argument("checkpoint", help=which)
    note = action("note", "say something of a checkpoint", _note)
    note.add_argument("checkpoint", help=which)
    note.add_argument("text", help="empty takes the note away")
    save = action("save", "keep a network with its weights as a checkpoint by a name", _save)
    save.add_argument("name", help="the same name again is its next version")
    save.add_argument("network", help="a network, as 'mlptui params' takes it; or a file or checkpoint of tensors")
    save.add_argument("--weights", default="", metavar="SOURCE", help="load these into it first: a file, run or checkpoint")
    save.add_argument("--note", default="")
    save.add_argument("--seed", type=int, default=0, help="what the network's weights are drawn from (0)")
    rename = action("rename", "another name for what was saved by hand", _rename)
    rename.add_argument("name")
    rename.add_argument("new")
    copy = action("copy", "copy a checkpoint out, verified", _copy)
    copy.add_argument("checkpoint", help=anywhere)
    copy.add_argument("folder", type=Path, help="where its folder goes")
    prune = action("prune", "what retention leaves of a run, and what it frees", _prune)
    prune.add_argument("run")
    prune.add_argument("--keep", type=int, help="the newest so many (as the run's recipe says)")
    prune.add_argument("--dry-run", action="store_true", help="only say it")
    prune.add_argument("--yes", action="store_true", help="do not ask (needed where there is no terminal)")
    evaluate = action("evaluate", "loss and score on a part of its data set, or of another one", _evaluate)
    evaluate.add_argument("checkpoint", help=anywhere)
    evaluate.add_argument("--part", choices=("test", "validation", "train"), default="test")
    evaluate.add_argument("--data", default="", help="another data set of the same shape and classes")
    evaluate.add_argument("--device", default="cpu", help="cpu (default), auto, cuda:0")
    evaluate.add_argument("--yes", action="store_true", help="run the code that its network is made by without asking")
    remove = action("remove", "remove a checkpoint of a run that is not training", _remove)
    remove.add_argument("checkpoint", help=which)
    remove.add_argument("--yes", action="store_true", help="do not ask (needed where there is no terminal)")


def find(wanted: str, folders: bool = False) -> Any:
    """The checkpoint that is named so; with `folders` also one that lies anywhere.

    Raises RunError, CheckpointError, UsageError.
    """
    from mlptui.core.errors import UsageError
    from mlptui.store import checkpoints, collection, paths
    from mlptui.store.formats import opening

    path = Path(wanted).expanduser()
    if folders and (path / checkpoints.MANIFEST).is_file():
        return collection.at(path)
    if path.is_file() or wanted.lower().endswith(opening.SUFFIXES):
        raise UsageError(f"{wanted} is a file; a checkpoint is named by its run, as last/best ('mlptui files' looks at files)")
    return collection.find(paths.find(), wanted)


def _facts(entry: Any, scores: dict[Any, str]) -> dict[str, Any]:
    """`scores` remembers what the runs are judged by."""
    from mlptui.core.errors import StorageError

    if entry.run not in scores:
        try:
            scores[entry.run] = entry.run.state().score
        except StorageError:
            scores[entry.run] = "accuracy"
    known = entry.checkpoint
    manifest = known.manifest if known else {}
    return {
        "id": entry.id,
        "run": entry.run.id,
        "step": entry.step,
        "epoch": manifest.get("epoch"),
        "created": manifest.get("created"),
        "score": scores[entry.run],
        "architecture": str(manifest.get("architecture", "")),
        "valid_accuracy": known.valid_accuracy if known else None,
        "valid_loss": known.valid_loss if known else None,
        "size": entry.size,
        "best": entry.best,
        "pinned": entry.about.pinned,
        "note": entry.about.note,
        "damaged": entry.problem,
        "folder": str(entry.folder),
    }


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.store import collection, paths

    places = paths.find()
    entries = collection.of_run(collection.owner(places, options.run)) if options.run else collection.everything(places)
    scores: dict[Any, str] = {}
    rows = [_facts(entry, scores) for entry in entries]
    if options.sort:
        fact, largest_first = SORTS[options.sort]
        unknown = [row for row in rows if row[fact] is None]
        rows = [row for row in rows if row[fact] is not None]
        rows.sort(key=lambda row: row[fact], reverse=largest_first)
        rows = (rows[::-1] if options.reverse else rows) + unknown
    elif options.reverse:
        rows.reverse()
    if options.json:
        output.as_json(rows)
        return 0
    if not rows:
        output.narrate("no checkpoints yet; 'mlptui train' makes them")
        return 0
    now = time.time()

    def marks(row: dict[str, Any]) -> str:
        return "damaged" if row["damaged"] else " ".join(name for name in ("best", "pinned") if row[name])

    output.table(
        ("checkpoint", "epoch", "valid", "loss", "size", "age", "", "note"),
        [
            (
                r["id"],
                "-" if r["epoch"] is None else r["epoch"],
                text.score(r["valid_accuracy"], r["score"]),
                text.loss(r["valid_loss"]),
                text.size(r["size"]),
                text.age(now - r["created"]) if r["created"] else "-",
                marks(r),
                r["note"].partition("\n")[0],
            )
            for r in rows
        ],
        right=(1, 2, 3, 4, 5),
    )
    total = sum(row["size"] for row in rows)
    output.narrate(f"{text.counted(len(rows), 'checkpoint')}, {text.size(total)}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text

    entry = find(options.checkpoint, folders=True)
    facts = _facts(entry, {})
    if options.json:
        output.as_json({**facts, "manifest": dict(entry.checkpoint.manifest) if entry.checkpoint else None})
        return 0
    for name, value in facts.items():
        if value not in (None, "", False):
            match name:
                case "size":
                    shown = text.size(value)
                case "created":
                    shown = text.moment(value)
                case "valid_accuracy":
                    shown = text.score(value, facts["score"])
                case "valid_loss":
                    shown = text.loss(value)
                case _:
                    shown = value
            output.data(f"{name:<16} {text.safe(shown, 400)}")
    for name, file in (entry.checkpoint.manifest["files"] if entry.checkpoint else {}).items():
        output.data(f"{text.safe(name, 40):<24} {text.size(file['size']):>8}  sha256 {text.safe(file['sha256'], 64)}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.store import collection, paths

    places = paths.find()
    entries = collection.everything(places)
    chosen = [find(name, folders=True) for name in options.checkpoint] or entries
    damaged = 0
    for entry in chosen:
        problem = collection.why_not(entry)
        damaged += bool(problem)
        good = collection.newest_good(entries, entry) if problem else None
        if options.json:
            output.as_json({"id": entry.id, "damaged": problem, "newest_good": good.id if good else ""})
        elif problem:
            instead = f"; the newest good one is {good.id}" if good else "; this run has no good one"
            output.data(f"{text.safe(entry.id)}  {text.safe(problem)}{instead}")
    if not options.json:
        output.narrate(f"{text.counted(len(chosen), 'checkpoint')} read, {damaged} damaged")
    return 1 if damaged else 0


def _pin(options: argparse.Namespace) -> int:
    return _tell(options, pinned=options.command == "pin")


def _note(options: argparse.Namespace) -> int:
    return _tell(options, note=options.text)


def _tell(options: argparse.Namespace, **said: Any) -> int:
    from mlptui.cli import output
    from mlptui.store import collection

    entry = find(options.checkpoint)
    now = collection.tell(entry, **said)
    if options.json:
        output.as_json({"id": entry.id, "pinned": now.pinned, "note": now.note})
    else:
        told = f"its note is: {now.note}" if now.note else "it has no note"
        output.narrate(f"{entry.id}: {'pinned' if now.pinned else 'not pinned'}; {told}")
    return 0


def _save(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.cli.params import done, opened
    from mlptui.core.bench import Save
    from mlptui.core.parameters.messages import Load, Plan

    workbench = opened(options.network, options.seed)
    if options.weights:
        output.narrate(done(workbench, Load(plan=Plan(source=options.weights))).note)
    saved = done(workbench, Save(name=options.name, note=options.note))
    if options.json:
        output.as_json({"id": saved.id, "folder": saved.folder})
    else:
        output.narrate(f"saved as {saved.id}")
    return 0


def _rename(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.store import collection, paths

    places = paths.find()
    made = collection.rename(places, collection.owner(places, options.name), options.new)
    if options.json:
        output.as_json({"name": made.id})
    else:
        output.narrate(f"{options.name} is called {made.id} now")
    return 0


def _copy(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.store import collection

    entry = find(options.checkpoint, folders=True)
    place = collection.copy_out(entry, options.folder.expanduser())
    if options.json:
        output.as_json({"id": entry.id, "copied": str(place)})
    else:
        output.narrate(f"{entry.id} is copied to {place}")
    return 0


def _prune(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.errors import UsageError
    from mlptui.store import collection, paths, trash

    places = paths.find()
    run = collection.owner(places, options.run)
    if collection.is_saved(run):
        raise UsageError("what was saved by hand is never removed by itself; 'mlptui checkpoints remove' does")
    keep = run.recipe().checkpoints.keep if options.keep is None else options.keep
    if keep < 1:
        raise UsageError(f"--keep says how many of the newest stay, at least 1, not {keep}")
    found = collection.retention(run, keep)
    spare = [entry for entry, why in found if not why]
    frees = sum(entry.size for entry in spare)
    if options.json:
        keeps = {entry.folder.name: why for entry, why in found if why}
        output.as_json({"run": run.id, "keeps": keeps, "removes": [entry.folder.name for entry in spare], "frees": frees})
    else:
        output.table(
            ("checkpoint", "size", ""),
            [(entry.folder.name, text.size(entry.size), why or "goes") for entry, why in found],
            right=(1,),
        )
    if options.dry_run or not spare:
        output.narrate(f"{text.counted(len(spare), 'checkpoint')} would go, {text.size(frees)}")
        return 0
    if not output.agreed(f"remove {text.counted(len(spare), 'checkpoint')}, {text.size(frees)}, for good?", options.yes):
        return 1
    for entry in spare:
        trash.discard(collection.remove(places, entry))
    output.narrate(f"{text.counted(len(spare), 'checkpoint')} removed, {text.size(frees)}")
    return 0


def may_run(entry: Any, yes: bool) -> bool:
    """Name a person's own code that would be run because the checkpoint's network is made by it, and ask whether it may.

    Raises UsageError where nobody can be asked and `yes` was not said.
    """
    import hashlib

    from mlptui.cli import output
    from mlptui.core.architecture import references
    from mlptui.core.architecture.parse import parse
    from mlptui.core.errors import StorageError
    from mlptui.store import atomic

    files = references.files(parse(str(entry.checkpoint.manifest.get("architecture", ""))))
    for file in files:
        kept = entry.run.source / references.kept_name(file)
        place = kept if kept.is_file() else Path(references.absolute(file))
        try:
            found = f"sha256 {hashlib.sha256(atomic.read_regular(place, references.MAX_BYTES)).hexdigest()}"
        except (OSError, StorageError):
            found = "which cannot be read"
        output.narrate(f"its network is made by the code in {place}, {found}")
    return not files or output.agreed("run that code?", yes, "no code was run")


def _evaluate(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.errors import CheckpointError
    from mlptui.devices.choice import environment
    from mlptui.store import collection, paths

    entry = find(options.checkpoint, folders=True)
    with collection.offering(entry):
        if entry.checkpoint is None:
            raise CheckpointError(entry.problem)
        if not may_run(entry, options.yes):
            return 1
        os.environ.update(environment(options.device))  # before torch looks for GPUs
        from mlptui.engine.judge import judge

        found = judge(paths.find(), entry.checkpoint, options.part, options.data, entry.run.source, options.device)
    if options.json:
        output.as_json({"id": entry.id, **found.model_dump(exclude={"kind"})})
    else:
        score = text.score(found.score, found.score_name)
        samples = text.counted(found.samples, "sample")
        output.data(f"{found.data}, {found.part}, {samples}: loss {text.loss(found.loss)}, {found.score_name} {score}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.store import collection, paths, trash

    entry = find(options.checkpoint)
    if not output.agreed(f"remove {entry.id} for good?", options.yes):
        return 1
    places = paths.find()
    trash.discard(collection.remove(places, entry))
    if options.json:
        output.as_json({"removed": entry.id})
    else:
        output.narrate(f"{entry.id} is removed")
    return 0
