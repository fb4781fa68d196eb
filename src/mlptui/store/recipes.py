"""recipe.toml: the recipe as a file."""

import tomllib
from pathlib import Path
from typing import Any

from mlptui.core.errors import Problem, RecipeError, StorageError, UsageError
from mlptui.core.recipe import Recipe, check
from mlptui.store.atomic import read_regular, reason

SIZE_LIMIT = 1 << 20


def to_toml(recipe: Recipe) -> str:
    import tomli_w

    # tomli_w turns \r\n into \n where it writes over several lines
    return tomli_w.dumps(recipe.model_dump(), multiline_strings="\r" not in recipe.architecture)


def read_values(path: Path) -> dict[str, Any]:
    """The file's values, unchecked. Raises UsageError with a sentence."""
    try:
        return tomllib.loads(read_regular(path, SIZE_LIMIT).decode())
    except OSError as error:
        raise UsageError(f"{path}: {reason(error)}") from None
    except StorageError as error:
        raise UsageError(str(error)) from None
    except RecursionError:
        raise RecipeError([Problem(str(path), "not valid TOML: it is too deeply nested")]) from None
    except ValueError as error:
        raise RecipeError([Problem(str(path), f"not valid TOML: {error}")]) from None


def read(path: Path) -> Recipe:
    """Raises RecipeError with every problem, or UsageError."""
    return check(read_values(path))
