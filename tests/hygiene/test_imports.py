"""What each room imports, seen from a clean interpreter: the design's directions hold at run time too."""

import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import mlptui

ROOT = Path(mlptui.__file__).parent
FACES = {"textual", "rich", "mlptui.tui", "mlptui.cli"}
TORCH = {"torch", "torchvision", "torch._dynamo"}
LIBRARIES = {"numpy", "safetensors", "platformdirs", "pynvml", "tomli_w", "PIL"}
MAY_NOT: dict[str, set[str]] = {
    "core": FACES | TORCH | LIBRARIES | {f"mlptui.{room}" for room in ("store", "datasets", "devices", "engine", "launch")},
    "store": FACES | TORCH | {"PIL", "mlptui.datasets", "mlptui.devices", "mlptui.engine", "mlptui.launch"},
    "datasets": FACES | TORCH | {"PIL", "mlptui.devices", "mlptui.engine", "mlptui.launch"},
    "devices": FACES | TORCH | {"numpy", "pynvml", "PIL", "mlptui.store", "mlptui.datasets", "mlptui.engine", "mlptui.launch"},
    "launch": FACES | TORCH | {"numpy", "PIL", "mlptui.engine", "mlptui.datasets", "mlptui.devices"},
    "cli": {"textual", "rich", "numpy", "mlptui.tui", "mlptui.engine"} | TORCH,
    "tui": TORCH | {"mlptui.engine", "PIL"},
    "tui.render": TORCH | {"textual", "rich", "numpy", "PIL", "mlptui.store", "mlptui.datasets", "mlptui.devices"},
    "engine": FACES | {"torchvision", "PIL", "mlptui.launch"},
}


def modules(room: str) -> list[str]:
    folder = ROOT / room.replace(".", "/")
    name = f"mlptui.{room}"
    return [name, *(found.name for found in pkgutil.walk_packages([str(folder)], f"{name}."))]


@cache
def loaded_by(room: str) -> set[str]:
    """Every module that is there after all of a room's were imported in a clean interpreter."""
    code = f"import sys\nfor name in {modules(room)!r}:\n    __import__(name)\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("room", MAY_NOT)
def test_a_room_loads_nothing_that_it_may_not(room: str) -> None:
    loaded = loaded_by(room)

    assert f"mlptui.{room}" in loaded
    assert not loaded & MAY_NOT[room]


def test_every_room_of_the_design_is_here_and_is_looked_at() -> None:
    rooms = {found.name for found in pkgutil.iter_modules([str(ROOT)]) if found.ispkg}

    assert rooms == {room for room in MAY_NOT if "." not in room}


def test_no_module_imports_torchvision_at_its_top() -> None:
    found = [
        path
        for path in ROOT.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("import torchvision", "from torchvision"))
    ]

    assert found == []


def test_a_trainer_says_that_it_starts_before_it_loads_anything_heavy() -> None:
    code = "import sys\nimport mlptui.engine.trainer\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert not set(done.stdout.split()) & {"torch", "torchvision", "numpy", "textual"}


def test_the_program_itself_is_found_without_the_network_or_a_home(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlptui", "paths", "--json"], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert str(tmp_path) in done.stdout
    assert list(tmp_path.iterdir()) == []
