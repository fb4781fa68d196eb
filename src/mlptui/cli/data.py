"""`mlptui data`"""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = """\
examples:
  mlptui data list
  mlptui data import fashion-mnist ~/Downloads/fashion    the four IDX files, gz or not
"""
    actions = parser.add_subparsers(title="actions", metavar="", required=True)
    list_ = actions.add_parser("list", help="what is known and what is here")
    list_.add_argument("--json", action="store_true", help="machine-readable")
    list_.set_defaults(act=_list)
    import_ = actions.add_parser("import", help="take a data set's files from a folder")
    import_.add_argument("name", help="name in the list")
    import_.add_argument("folder", type=Path, help="where the files lie")
    import_.add_argument("--json", action="store_true", help="machine-readable")
    import_.set_defaults(act=_import)


def _list(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.datasets import catalog
    from mlptui.store import paths

    places = paths.find()
    chosen = catalog.default(places)
    rows = []
    for entry in catalog.ENTRIES.values():
        rows.append(
            {
                "name": entry.name,
                "here": catalog.is_here(places, entry),
                "default": entry.name == chosen,
                "train": entry.train_size,
                "test": entry.test_size,
                "classes": list(entry.classes),
                "licence": entry.licence,
                "origin": entry.origin,
                "title": entry.title,
                "folder": str(catalog.folder(places, entry)),
            }
        )
    if options.json:
        output.as_json(rows)
    else:
        states = [("here, default" if r["default"] else "here") if r["here"] else "not here" for r in rows]
        output.table(
            ("name", "state", "train", "test", "what"),
            [(r["name"], s, f"{r['train']:,}", f"{r['test']:,}", r["title"]) for r, s in zip(rows, states, strict=True)],
            right=(2, 3),
        )
    return 0


def _import(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.datasets.importing import import_folder
    from mlptui.store import paths

    target = import_folder(paths.find(), options.name, options.folder.expanduser(), output.narrate)
    if options.json:
        output.as_json({"name": options.name, "folder": str(target)})
    else:
        output.narrate(f"{options.name} is in {target}")
    return 0
