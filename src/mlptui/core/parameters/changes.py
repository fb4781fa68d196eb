"""Changes of tensors as one types them: `fill 0`, `clamp -1 1`, `copy 2.weight`."""

import math

from mlptui.core.architecture.syntax import short
from mlptui.core.errors import UsageError
from mlptui.core.parameters.messages import Put

EXAMPLES = "fill 0, add 1, scale 0.5, clamp -1 1, copy 2.weight, transpose, noise 0.01, dtype float16, freeze"
NUMBERED = {  # how many each takes
    "fill": 1, "add": 1, "scale": 1, "clamp": 2, "noise": 1, "transpose": 0, "freeze": 0, "thaw": 0,
}  # fmt: skip
NAMED = {"copy": "copy 2.weight", "dtype": "dtype float16"}  # take a name; how that looks


class ChangeError(UsageError):
    """Why a text is no change."""


def read(text: str, paths: tuple[str, ...] = ()) -> Put:
    """The change for these tensors. Raises ChangeError."""
    action, _, rest = text.strip().partition(" ")
    action, rest = action.lower(), rest.strip()
    if action in NAMED:
        if not rest:
            raise ChangeError(f"say what: {NAMED[action]}")
        return Put(action=action, paths=paths, source=rest)
    if action not in NUMBERED:
        raise ChangeError(f"{short(action)} is no change; one of {EXAMPLES}" if action else f"say what to do: {EXAMPLES}")
    words = rest.replace(",", " ").split()
    try:
        numbers = tuple(math.nan if word == "-" and action == "clamp" else float(word) for word in words)
    except ValueError:
        raise ChangeError(f"{action} takes numbers") from None
    if len(numbers) != NUMBERED[action]:
        wanted = {0: "no number", 1: "one number", 2: "two numbers, - for none"}[NUMBERED[action]]
        raise ChangeError(f"{action} takes {wanted}")
    return Put(action=action, paths=paths, numbers=numbers)
