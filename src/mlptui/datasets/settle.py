"""Make a recipe's data set definite: its name and the checksum of its content, and what else follows from the data."""

from typing import Any

from mlptui.core.architecture import references
from mlptui.core.errors import DataError
from mlptui.core.recipe import MEAN_SQUARED, Recipe, fitting, parsed
from mlptui.datasets import catalog, library
from mlptui.store.paths import Paths


def settle(paths: Paths, recipe: Recipe) -> Recipe:
    """The recipe with its data set named and fingerprinted, without reading the data, and its own files by their whole paths.

    Raises DataError.
    """
    name = recipe.data.name or catalog.default(paths)
    if not catalog.is_here(paths, name):
        raise DataError(library.absent(paths, name))
    facts = library.facts(paths, name)
    if facts.regression != (recipe.loss == MEAN_SQUARED):
        what = "a number to predict" if facts.regression else f"{len(facts.classes)} classes"
        raise DataError(
            f"{name} has {what}, so the loss is {fitting(facts.shape, len(facts.classes))['loss']}, not {recipe.loss}"
        )
    if recipe.data.augments and len(facts.shape) != 3:
        raise DataError(f"{name} has no pictures; shift, flip and crop are for pictures")
    architecture = references.resolved(recipe.architecture, parsed(recipe.architecture))
    data = recipe.data.model_copy(update={"name": name, "sha256": facts.sha256})
    return recipe.model_copy(update={"data": data, "architecture": architecture})


def complete(paths: Paths, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a recipe with what follows from the data where it is not said: an architecture that fits, and the loss.

    Where the data set is not known the values stay as they are; `settle` speaks of that.
    """
    data = values.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    try:
        facts = library.facts(paths, name if isinstance(name, str) and name else catalog.default(paths))
    except DataError:
        return values
    return {**fitting(facts.shape, len(facts.classes)), **values}
