"""`mlptui train`"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  mlptui train                                        the defaults: 784-256-10, SGD 0.1, batch 256, 10 epochs
  mlptui train --optimizer adam --lr 0.001 --epochs 5
  mlptui train --architecture "nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, 10))"
  mlptui train --architecture lenet                   a network by its name; see 'mlptui model list'
  mlptui train --architecture ~/nets.py:MLP           your own class or function
  mlptui train --recipe my.toml --seed 3              a file, with one knob changed
  mlptui train --detach --json                        start only; prints the run's id
  mlptui train --dry-run                              print the recipe that would run, as TOML

ctrl+c leaves the run alone; 'mlptui runs follow last' comes back to it.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("--detach", action="store_true", help="start the run and return at once")
    parser.add_argument("--wait", action="store_true", help="say nothing until the run ends; return its exit code")
    parser.add_argument("--dry-run", action="store_true", help="print the recipe and start nothing")
    parser.add_argument("--json", action="store_true", help="machine-readable, one document a line")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="begin with these weights (safetensors) instead of drawn ones"
    )
    add_knobs(parser)
    parser.set_defaults(act=_train)


def add_knobs(parser: argparse.ArgumentParser) -> None:
    """Options for a recipe: a file, and each knob."""
    from mlptui.core.recipe import fields

    parser.add_argument("--recipe", type=Path, metavar="FILE", help="read the recipe from a TOML file")
    knobs = parser.add_argument_group("recipe")
    for field in fields():
        default = f" ({field.default})" if field.default not in ("", None) and field.path != "architecture" else ""
        text = (field.help + default).replace("%", "%%")
        if field.kind is bool:
            knobs.add_argument(field.option, dest=field.path, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            shown = "{" + ",".join(field.choices) + "}" if field.choices else field.path.rpartition(".")[2].upper()
            knobs.add_argument(field.option, dest=field.path, default=None, metavar=shown, help=text)


def recipe_from(options: argparse.Namespace) -> Any:
    """The recipe of file and options. Raises RecipeError with all problems, or UsageError."""
    from mlptui.core.errors import ArchitectureError
    from mlptui.core.recipe import check, fields, nested
    from mlptui.datasets.settle import complete
    from mlptui.store import paths
    from mlptui.store.recipes import read_values

    if options.architecture is not None:
        from mlptui.cli.model import network

        try:
            options.architecture = network(options.architecture)[0]
        except ArchitectureError:
            pass  # told with all other problems of the recipe
    values: dict[str, Any] = read_values(options.recipe) if options.recipe else {}
    given = nested({f.path: getattr(options, f.path) for f in fields() if getattr(options, f.path) is not None})
    for name, value in given.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return check(complete(paths.find(), values))


def _train(options: argparse.Namespace) -> int:
    from mlptui.cli import output
    from mlptui.cli.following import detached, follow, json_events
    from mlptui.datasets.settle import settle
    from mlptui.devices.choice import environment
    from mlptui.launch import begin, trainer
    from mlptui.store import paths
    from mlptui.store.recipes import to_toml
    from mlptui.store.rundir import storage_warning

    places = paths.find()
    recipe = settle(places, recipe_from(options))
    weights = options.weights
    if weights is None and options.recipe and recipe.weights:  # the recipe of a run, whose weights lie beside it
        weights = options.recipe.parent / "initial.safetensors"
    if options.dry_run:
        print(to_toml(begin.with_weights(recipe, weights)[0]), end="")
        return 0
    for warning in (storage_warning(places), trainer.logout_warning()):
        if warning:
            output.narrate(warning)
    run, pid = begin.begin(places, recipe, environment(recipe.device), weights)
    try:
        trainer.wait_until_ready(run, pid)
    except KeyboardInterrupt:
        return detached(run)
    if options.detach:
        if options.json:
            output.as_json({"run": run.id, "folder": str(run.folder), "pid": pid})
        else:
            output.data(run.id)
        return 0
    if options.json:
        return json_events(run)
    output.narrate(f"{run.id}: {recipe.data.name}, process {pid}")
    return follow(run, quiet=options.wait)
