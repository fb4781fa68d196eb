"""Make a recipe's data set definite: its name and the checksum of its content."""

from mlptui.core.errors import DataError
from mlptui.core.recipe import Recipe
from mlptui.datasets import catalog
from mlptui.store.paths import Paths


def settle(paths: Paths, recipe: Recipe) -> Recipe:
    """The recipe with its data set named and fingerprinted, without reading the data. Raises DataError."""
    entry = catalog.entry(recipe.data.name or catalog.default(paths))
    if not catalog.is_here(paths, entry):
        raise DataError(
            f"{entry.name} is not in {paths.datasets}; import it with 'mlptui data import {entry.name} FOLDER' "
            f"or use {catalog.SAMPLE}"
        )
    return recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"name": entry.name, "sha256": catalog.checksum(entry)})}
    )
