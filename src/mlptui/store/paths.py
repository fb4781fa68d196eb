"""Where things lie. `MLPTUI_HOME` puts everything under one folder; otherwise the system's user folders are used."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The program's folders. None of them need exist."""

    data: Path
    config: Path
    state: Path

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def saved(self) -> Path:
        """Checkpoints that a person saved by a name."""
        return self.data / "saved"

    @property
    def datasets(self) -> Path:
        return self.data / "datasets"

    @property
    def trash(self) -> Path:
        return self.data / "trash"

    @property
    def settings(self) -> Path:
        return self.config / "settings.toml"

    @property
    def choices(self) -> Path:
        return self.state / "choices.json"

    @property
    def error_log(self) -> Path:
        return self.state / "errors.log"

    def named(self) -> dict[str, Path]:
        """Every place by name, for `mlptui paths`."""
        return {
            "runs": self.runs,
            "saved": self.saved,
            "datasets": self.datasets,
            "trash": self.trash,
            "settings": self.settings,
            "error log": self.error_log,
        }


def find() -> Paths:
    """The folders of this user, from the environment."""
    home = os.environ.get("MLPTUI_HOME")
    if home:
        root = Path(os.path.expanduser(home)).absolute()
        return Paths(data=root, config=root, state=root)
    import platformdirs

    dirs = platformdirs.PlatformDirs("mlptui", appauthor=False)
    return Paths(data=Path(dirs.user_data_dir), config=Path(dirs.user_config_dir), state=Path(dirs.user_state_dir))
