"""`mlptui data`"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui data list
  mlptui data show cifar-10
  mlptui data download mnist kmnist                       resumes where it stopped
  mlptui data import fashion-mnist ~/Downloads/fashion    files of the origin, copied by hand
  mlptui data add digits ~/digits                         a folder of pictures, one folder a class
  mlptui data add houses train.csv --label SalePrice      a table; --dry-run only looks
  mlptui data pack mnist mnist.tar                        for a machine without a network; there:
  mlptui data import mnist.tar
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    from mlptui.cli.actions import actions_of

    action = actions_of(parser)
    action("list", "what is known and what is here", _list)
    action("show", "all that is known of a set", _show).add_argument("name")
    download = action("download", "get sets of the catalog, or go on with what is partly here", _download)
    download.add_argument("name", nargs="+")
    download.add_argument("--mirror", default="", metavar="URL", help="ask only this address (setting: mirror)")
    action("cancel", "stop what is being done to a set; what it has is kept", _cancel).add_argument("name")
    action("verify", "read every byte of sets that are here and compare", _verify).add_argument("name", nargs="*")
    import_ = action("import", "take a set's files from a folder, or a packed set", _import)
    import_.add_argument("what", help="name of the set, or a packed file")
    import_.add_argument("folder", nargs="?", type=Path, help="where the files of the origin lie")
    pack = action("pack", "write a set into one file, for a machine without a network", _pack)
    pack.add_argument("name")
    pack.add_argument("file", type=Path)
    add = action("add", "give your own data a name; they stay where they are", _add)
    add.add_argument("name", help="lower case letters, digits, '.', '_' and '-'")
    add.add_argument("path", type=Path, help="folder of pictures a class, .npz, .npy, IDX files or .csv")
    add.add_argument("--label", default="", help="column of the label by name or number (the last one)")
    add.add_argument("--labels", default="", metavar="FILE", help="labels of a .npy or IDX file of inputs")
    add.add_argument("--test", default="", metavar="PATH", help="samples to test on (otherwise some are held out)")
    add.add_argument("--test-share", type=float, default=0.2, metavar="SHARE", help="part that is held out (0.2)")
    add.add_argument("--size", type=int, default=0, metavar="PIXELS", help="edge that pictures are brought to")
    add.add_argument("--task", default="", choices=["classes", "regression"], help="what the label is (found out)")
    add.add_argument("--header", default="", choices=["yes", "no"], help="whether the first row holds names (found out)")
    add.add_argument("--copy", action="store_true", help="decode at once; the originals are not needed afterwards")
    add.add_argument("--dry-run", action="store_true", help="only look and say what is there")
    remove = action("remove", "delete a set from the data folder; your own files stay", _remove)
    remove.add_argument("name")
    remove.add_argument("--yes", action="store_true", help="do not ask")


def _places() -> Any:
    from mlptui.store import paths

    return paths.find()


def _path(path: Path) -> Path:
    """A path with `~` for the home folder. Raises DataError where there is none."""
    from mlptui.core.errors import DataError

    try:
        return path.expanduser()
    except RuntimeError:
        raise DataError(f"{path}: there is no such user") from None


def _row(places: Any, name: str, chosen: str) -> dict[str, Any]:
    from mlptui.core.errors import DataError
    from mlptui.datasets import catalog, jobs, library

    state = library.state(places, name)
    job = jobs.read(places, name)
    row: dict[str, Any] = {
        "job": job.phase if job and not job.ended else "",
        "name": name,
        "state": state.kind,
        "here": state.usable,
        "default": name == chosen,
        "size": state.size,
        "share": state.share,
        "problem": state.problem,
        "folder": str(catalog.folder(places, name)),
    }
    try:
        facts = library.facts(places, name)
    except DataError:
        if name not in catalog.ENTRIES:
            return row
        facts = library.of_entry(catalog.ENTRIES[name])
    return row | {
        "train": facts.train_size,
        "test": facts.test_size,
        "kind": facts.kind,
        "shape": list(facts.shape),
        "classes": list(facts.classes),
        "licence": facts.licence,
        "origin": facts.origin,
        "title": facts.title,
    }


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.datasets import catalog

    places = _places()
    chosen = catalog.default(places)
    rows = [_row(places, name, chosen) for name in catalog.names(places)]
    if options.json:
        output.as_json(rows)
        return 0

    def state(row: dict[str, Any]) -> str:
        share = f" {row['share']:.0%}" if row["state"] == "partly here" else ""
        going = f", {row['job']}" if row["job"] else ""
        return f"{row['state']}{share}{going}" + (", default" if row["default"] else "")

    output.table(
        ("name", "state", "size", "train", "test", "what"),
        [
            (
                row["name"],
                state(row),
                text.size(row["size"] or None),
                text.count(row.get("train") or None),
                text.count(row.get("test") or None),
                row.get("title", row["problem"]),
            )
            for row in rows
        ],
        right=(2, 3, 4),
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.text import safe
    from mlptui.datasets import catalog, library

    places, name = _places(), options.name
    state = library.state(places, name)
    facts = library.facts(places, name)
    if catalog.always_here(name):
        facts = library.load(places, name).facts
    entry = catalog.ENTRIES.get(name)
    if options.json:
        files = [vars(f) for f in entry.files] if entry else []
        mirrors = list(entry.mirrors) if entry else []
        output.as_json({**_row(places, name, ""), **facts.as_json(), "files": files, "mirrors": mirrors})
        return 0

    def say(label: str, value: object) -> None:
        output.data(f"{label:<12}{safe(value, 2000)}")

    say("name", name)
    say("what", facts.title)
    say("state", state.kind + (f" {state.share:.0%}" if state.kind == library.PARTLY else ""))
    if state.problem:
        say("problem", state.problem)
    say("samples", f"{text.count(facts.train_size)} to train on, {text.count(facts.test_size)} to test on")
    say("shape", " x ".join(map(str, facts.shape)) + (" (channels, height, width)" if len(facts.shape) == 3 else " features"))
    if facts.classes:
        say("classes", f"{len(facts.classes)}: {', '.join(facts.classes)}")
        if facts.train_counts:
            say("by class", ", ".join(map(text.count, facts.train_counts)))
    elif facts.target:
        t = facts.target
        say("target", f"{t.name}: {t.low:.4g} to {t.high:.4g}, mean {t.mean:.4g}, deviation {t.deviation:.4g}")
    if facts.mean and facts.kind == "images":
        say("mean", ", ".join(f"{m:.4f}" for m in facts.mean))
        say("deviation", ", ".join(f"{d:.4f}" for d in facts.deviation))
    for column in facts.columns[:200]:
        values = f"{column.low:.4g} to {column.high:.4g}, mean {column.mean:.4g}, deviation {column.deviation:.4g}"
        say("column", f"{column.name}: {values}" + (f", {column.missing:,} missing" if column.missing else ""))
    say("licence", facts.licence)
    say("origin", facts.origin)
    for note in facts.notes:
        say("note", note)
    for file in entry.files if entry and entry.mirrors else ():
        say(
            "file",
            f"{file.name}  {text.size(file.size or None)}  {'SHA-256 ' + file.sha256 if file.sha256 else 'MD5 ' + file.md5}",
        )
    for mirror in entry.mirrors if entry else ():
        say("mirror", mirror)
    say("folder", catalog.folder(places, name))
    return 0


def _download(options: argparse.Namespace) -> int:
    import time

    from mlptui.cli import output
    from mlptui.cli.progress import Told
    from mlptui.core.errors import MlptuiError
    from mlptui.datasets import getting, jobs, library
    from mlptui.store import settings

    places = _places()
    mirror = options.mirror or settings.read(places.settings).mirror
    failed: list[MlptuiError] = []
    for name in options.name:
        getting.check(name, mirror)
    for name in options.name:
        told = Told(places, name)
        try:
            while True:
                try:
                    with jobs.Work(places, name, "download", keep_failure=False) as work, told.following(work):
                        getting.download(places, name, mirror, work, output.narrate)
                    break
                except jobs.Busy as error:
                    told.waiting(str(error))
                    time.sleep(0.3)
        except MlptuiError as error:
            if len(options.name) == 1:
                raise
            failed.append(error)
            output.narrate(f"{name}: {error}")
            continue
        except KeyboardInterrupt:
            output.narrate(f"cancelled; 'mlptui data download {name}' goes on from here")
            return 130
        if options.json:
            output.as_json(_row(places, name, ""))
        else:
            facts = library.facts(places, name)
            output.narrate(f"{name} is here: {facts.train_size:,} samples to train on, {facts.test_size:,} to test on")
    return 1 if failed else 0


def _cancel(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import DataError
    from mlptui.datasets import catalog
    from mlptui.launch import data

    places = _places()
    catalog.folder(places, options.name)
    if not data.cancel(places, options.name):
        raise DataError(f"nothing is being done to {options.name} by a process that can be cancelled from here")
    if options.json:
        output.as_json({"name": options.name, "cancelled": True})
    else:
        output.narrate(f"{options.name} is being cancelled; what it has is kept")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import DataError
    from mlptui.datasets import catalog, library
    from mlptui.datasets.jobs import Work

    places = _places()
    names = options.name or [n for n in catalog.names(places) if catalog.is_here(places, n) and not catalog.always_here(n)]
    if not names:
        output.narrate("no data set is here but those that are part of mlptui")
    bad = 0
    for name in names:
        try:
            if catalog.always_here(name) or not catalog.is_here(places, name):
                compared = library.verify(places, name)
            else:
                with Work(places, name, "verify", keep_failure=False):
                    compared = library.verify(places, name)
            outcome, good = (
                f"whole, compared with {compared}" if compared else "unchanged since it was added; not decoded yet",
                True,
            )
        except DataError as error:
            if len(names) == 1:
                raise
            outcome, good = str(error), False
            bad += 1
        if options.json:
            output.as_json({"name": name, "whole": good, "outcome": outcome})
        else:
            output.data(f"{name}: {outcome}")
    return 1 if bad else 0


def _import(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.errors import UsageError
    from mlptui.datasets import catalog, packing
    from mlptui.datasets.importing import import_folder
    from mlptui.datasets.jobs import Work

    places = _places()
    if options.folder is None and options.what in catalog.ENTRIES:
        raise UsageError(f"say where its files are: mlptui data import {options.what} FOLDER")
    if options.folder is None:
        name = packing.unpack(places, _path(Path(options.what)))
        target = catalog.folder(places, name)
    else:
        name = options.what
        catalog.entry(name)
        with Work(places, name, "import", keep_failure=False):
            target = import_folder(places, name, _path(options.folder), output.narrate)
    if options.json:
        output.as_json({"name": name, "folder": str(target)})
    else:
        output.narrate(f"{name} is in {target}")
    return 0


def _pack(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core.text import size
    from mlptui.datasets import packing

    target = packing.pack(_places(), options.name, _path(options.file))
    if options.json:
        output.as_json({"name": options.name, "file": str(target), "size": target.stat().st_size})
    else:
        output.narrate(f"{target}: {size(target.stat().st_size)}; elsewhere: mlptui data import {target.name}")
    return 0


def _add(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.datasets import own
    from mlptui.datasets.sources.source import Options

    said = Options(options.label, options.labels, options.test, options.test_share, options.size, options.task, options.header)
    path = _path(options.path)
    own.check_name(_places(), options.name)
    seen = own.look(path, said) if options.dry_run else own.add(_places(), options.name, path, said, options.copy)
    if options.json:
        output.as_json({"name": options.name, "added": not options.dry_run, "seen": seen.lines, "warnings": seen.warnings})
        return 0
    for line in seen.lines:
        output.data(line)
    for line in seen.warnings:
        output.data(f"warning: {line}")
    if not options.dry_run:
        how = "decoded into the data folder" if options.copy else f"it stays in {path} and is decoded at first use"
        output.narrate(f"{options.name} is added; {how}. Train on it: mlptui train --data {options.name}")
    return 0


def _remove(options: argparse.Namespace) -> int:

    from mlptui.cli import output
    from mlptui.datasets import library
    from mlptui.datasets.jobs import Work
    from mlptui.store import rundir

    places, name = _places(), options.name
    library.check_removable(places, name)
    used = rundir.using(places, name)
    if used:
        shown = ", ".join(used[:3]) + (f" and {len(used) - 3} more" if len(used) > 3 else "")
        output.narrate(f"{name} is what these runs were trained on; they cannot be resumed without it: {shown}")
    if not output.agreed(f"delete {name} from {places.datasets}?", options.yes):
        return 1
    with Work(places, name, "remove", keep_failure=False):
        library.remove(places, name)
    if options.json:
        output.as_json({"name": name, "removed": True, "used_by": used})
    else:
        output.narrate(f"{name} is removed")
    return 0
