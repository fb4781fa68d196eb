"""Errors that people, files and machines cause. Each carries one sentence: what, where, what to do."""


class MlptuiError(Exception):
    """Base of every error that is shown as a sentence instead of a traceback."""


class UsageError(MlptuiError):
    """The command was wrong (exit code 2)."""


class Problem(tuple[str, str]):
    """A field's path and what is wrong with its value."""

    __slots__ = ()

    def __new__(cls, path: str, message: str) -> "Problem":
        return super().__new__(cls, (path, message))

    @property
    def path(self) -> str:
        return self[0]

    @property
    def message(self) -> str:
        return self[1]


class RecipeError(UsageError):
    """A recipe that cannot be run. `problems` holds every one of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{path}: {message}" if path else message for path, message in problems))


class ArchitectureError(UsageError):
    """An architecture text that cannot be read. Line and column count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        self.message, self.line, self.column = message, line, column
        super().__init__(f"line {line}, column {column}: {message}")


class DataError(MlptuiError):
    """A data set that is missing, damaged or not what it should be."""


class CheckpointError(MlptuiError):
    """A checkpoint that cannot be trusted; names the file and the reason."""


class StorageError(MlptuiError):
    """The disk refused: full, read-only, gone."""


class DeviceError(MlptuiError):
    """The device that was asked for cannot be used."""


class RunError(MlptuiError):
    """A run that cannot be found, started, commanded or resumed."""
