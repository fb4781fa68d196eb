"""settings.toml: what a person prefers."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlptui.store import atomic

LAUNCH, NEED = BENCH = ("launch", "need")


@dataclass(frozen=True)
class Settings:
    """Preferences; `keys` maps an action's name to the key (or comma-separated keys) that a person wants for it.

    `bench` says when the process that holds the network starts: at "launch" of the viewer, or at "need".
    """

    theme: str = ""
    ascii: bool = False
    mouse: bool = False
    device: str = "auto"
    mirror: str = ""
    bench: str = LAUNCH
    keys: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    def but(self, **changes: Any) -> "Settings":
        return replace(self, **changes)


def read(path: Path) -> Settings:
    """The settings; what is wrong with the file stands in `problem` and the defaults hold for it."""
    try:
        values = tomllib.loads(atomic.read_regular(path, 1 << 20).decode())
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(problem=f"settings not read: {atomic.reason(error)}")
    except Exception as error:
        return Settings(problem=f"settings not read, {path}: {error}")
    wanted = {"theme": str, "ascii": bool, "mouse": bool, "device": str, "mirror": str, "bench": str, "keys": dict}
    problems = [f"unknown setting {name!r}" for name in values if name not in wanted]
    kept: dict[str, Any] = {}
    for name, kind in wanted.items():
        if name in values and isinstance(values[name], kind):
            kept[name] = values[name]
        elif name in values:
            problems.append(f"{name} must be {'a table' if kind is dict else 'text' if kind is str else 'true or false'}")
    if kept.get("bench", LAUNCH) not in BENCH:
        problems.append(f"bench must be {' or '.join(BENCH)}")
        del kept["bench"]
    problems += [f"keys.{k} must be text" for k, v in kept.get("keys", {}).items() if not isinstance(v, str)]
    kept["keys"] = {str(k): v for k, v in kept.get("keys", {}).items() if isinstance(v, str)}
    return Settings(**kept, problem=f"{path}: {'; '.join(problems)}" if problems else "")


def write(path: Path, settings: Settings) -> None:
    """Raises OSError or StorageError."""
    import tomli_w

    values: dict[str, Any] = {
        "theme": settings.theme,
        "ascii": settings.ascii,
        "mouse": settings.mouse,
        "device": settings.device,
    }
    if settings.mirror:
        values["mirror"] = settings.mirror
    if settings.bench != LAUNCH:
        values["bench"] = settings.bench
    if settings.keys:
        values["keys"] = settings.keys
    atomic.make_folder(path.parent)
    atomic.replace(path, tomli_w.dumps(values).encode())
