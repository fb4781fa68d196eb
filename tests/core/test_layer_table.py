"""The table of layers against the installed torch."""

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest

from mlptui.core.architecture.layers import LAYERS

TOOL = Path(__file__).parents[2] / "tools" / "layer_table.py"


@pytest.fixture(scope="module")
def installed() -> dict[str, tuple[tuple[object, ...], ...]]:
    """The table that the tool makes from the torch that is installed here."""
    specification = importlib.util.spec_from_file_location("layer_table", TOOL)
    assert specification and specification.loader
    tool: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    return tool.leaf_layers()


def test_every_leaf_layer_of_the_installed_torch_is_known(installed: dict[str, Any]) -> None:
    assert sorted(set(installed) - set(LAYERS)) == []


def test_the_arguments_are_those_of_the_installed_torch(installed: dict[str, Any]) -> None:
    """An older torch may lack an argument at the end of a list; it may not have others, or others' defaults."""
    for name, rows in installed.items():
        known = {row[0]: row for row in LAYERS[name]}
        assert [known.get(row[0]) for row in rows] == list(rows), name
        assert [row[0] for row in LAYERS[name] if row in rows] == [row[0] for row in rows], name


def test_every_known_layer_is_a_class_of_torch_or_newer_than_it(installed: dict[str, Any]) -> None:
    from torch import nn

    for name in set(LAYERS) - set(installed):
        assert not hasattr(nn, name), name


def test_no_layer_takes_a_module_from_outside(installed: dict[str, Any]) -> None:
    from torch import nn

    for name in installed:
        for parameter in inspect.signature(getattr(nn, name).__init__).parameters.values():
            assert "Module" not in str(parameter.annotation), name
