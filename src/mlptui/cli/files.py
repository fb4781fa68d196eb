"""`mlptui files`"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui files list ~/downloads         every file of tensors in a folder
  mlptui files show model.pt            its structure as a tree; nothing in it is run, nothing is unpickled
  mlptui files show lightning.ckpt --json
  mlptui files verify model.pt          against the checksums in it, or a checkpoint's; exit code 1 where one differs
  mlptui params stats model.pt          its tensors with their statistics; also show, diff, ...

read are .safetensors, .npy, .npz, and what torch.save wrote, whatever it is called. exit code 1: the file is refused, or
'verify' found damage. 'show' ends with 1 where a file wants to call something, and names what.
"""
SHOWN = 200


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    from mlptui.cli.actions import actions_of

    action = actions_of(parser)
    action("list", "the files of tensors in a folder", _list).add_argument("folder", type=Path, nargs="?", default=Path())
    show = action("show", "what is in a file; exit code 1 where it wants to call something", _show)
    show.add_argument("file", type=Path)
    show.add_argument("--all", action="store_true", help=f"every place, not the first {SHOWN}")
    action("verify", "compare files with the checksums in them, or with their checkpoint's manifest", _verify).add_argument(
        "file", type=Path, nargs="+"
    )


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.errors import UsageError
    from mlptui.store import atomic
    from mlptui.store.formats import opening
    from mlptui.store.formats.contents import FormatError, summary

    folder = options.folder.expanduser()
    try:
        files = sorted(path for path in folder.iterdir() if opening.is_there(path))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {atomic.reason(error)}") from None
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            found = opening.read(file)
            rows.append({**_facts(file, found), "what": summary(found), "problem": ""})
        except FormatError as error:
            rows.append({"file": str(file), "format": "-", "size": 0, "what": str(error), "calls": [], "problem": str(error)})
    if options.json:
        for row in rows:
            output.as_json(row)
        return 0
    if not rows:
        output.narrate(f"no file of tensors lies in {folder}")
        return 0
    output.table(
        ("file", "format", "size", "what"),
        [
            (
                Path(row["file"]).name,
                row["format"],
                text.size(row["size"]) if row["size"] else "-",
                row["what"] + (f"; wants to call {', '.join(row['calls'])}" if row["calls"] else ""),
            )
            for row in rows
        ],
        right=(2,),
    )
    return 0


def _facts(file: Path, found: Any) -> dict[str, Any]:
    return {"file": str(file), "format": found.format, "size": found.size, "calls": list(found.refused)}


def _show(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.store import checkpoints
    from mlptui.store.formats import opening
    from mlptui.store.formats.contents import summary

    file = checkpoints.weights_in(options.file.expanduser())
    found = opening.read(file)
    places = list(found.walk())
    if options.json:
        names = found.looked_at()
        output.as_json(
            {
                **_facts(file, found),
                "about": dict(found.about),
                "notes": list(found.notes),
                "places": [
                    {
                        "path": list(path),
                        "kind": node.kind,
                        "value": node.text,
                        **(
                            {"name": names.get(path, ""), "dtype": node.tensor.dtype, "shape": list(node.tensor.shape)}
                            if node.tensor
                            else {}
                        ),
                    }
                    for path, node in places
                ],
            }
        )
        return 1 if found.refused else 0
    output.data(f"{text.safe(file.name, 200)}: {found.format}, {text.size(found.size)}, {summary(found)}")
    for name, value in found.about:
        output.data(f"  {text.safe(name, 40)}: {text.safe(value, 100)}")
    shown = places if options.all else places[:SHOWN]
    for path, node in shown:
        indent = "  " * len(path)
        key = text.safe(path[-1], 120) if path else "the file"
        output.data(f"{indent}{key}  {text.safe(node.words, 300)}")
    if len(shown) < len(places):
        output.narrate(f"{len(places) - len(shown):,} more places; --all shows them")
    for note in found.notes:
        output.narrate(note)
    if found.refused:
        what = "it is a pickled network, and needs" if found.only_layers else "it wants to call"
        more = ". Its tensors can be read all the same" if found.looked_at() else ""
        output.narrate(f"{what} {', '.join(found.refused)}; nothing of that was called{more}")
        return 1
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.core.errors import MlptuiError
    from mlptui.store import checkpoints

    damaged = False
    for given in options.file:
        file = checkpoints.weights_in(given.expanduser())
        try:
            said, problem = checkpoints.verify_file(file), ""
        except MlptuiError as error:
            said, problem, damaged = "", str(error), True
            if len(options.file) == 1:
                raise
        if options.json:
            output.as_json({"file": str(file), "found": said, "problem": problem})
        else:
            output.data(problem or f"{text.safe(file.name, 200)}: {said}")
    return 1 if damaged else 0
