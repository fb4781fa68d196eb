"""The data set, read while torch is still being imported."""

import threading

from mlptui.core.errors import DataError, MlptuiError
from mlptui.core.recipe import Recipe
from mlptui.datasets import library
from mlptui.datasets.dataset import Dataset
from mlptui.store import paths


class Loading(threading.Thread):
    """Reads and verifies the data set while the main thread imports torch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(daemon=True, name="data")
        self.recipe = recipe
        self.data: Dataset | None = None
        self.error: MlptuiError | None = None

    def run(self) -> None:
        try:
            self.data = library.load(paths.find(), self.recipe.data.name)
        except MlptuiError as error:
            self.error = error
        except Exception as error:
            self.error = DataError(f"{self.recipe.data.name} cannot be read: {type(error).__name__}: {error}")

    def result(self) -> Dataset:
        """Raises DataError."""
        self.join()
        if self.error:
            raise self.error
        assert self.data is not None
        self.same(self.data, self.recipe.data.sha256)
        return self.data

    @staticmethod
    def same(data: Dataset, sha256: str) -> None:
        """Raises DataError where the data has another checksum than the run's (empty: none is known)."""
        if sha256 and sha256 != data.facts.sha256:
            raise DataError(f"{data.name} is not the data that this run began with (its checksum differs)")
