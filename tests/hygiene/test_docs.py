"""Documents that are made from the program are those of the program."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_keys_in_docs_is_that_of_the_program() -> None:
    spec = importlib.util.spec_from_file_location("keys_table", ROOT / "tools" / "keys_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "keys.md").read_text() == module.text(), "run: python tools/keys_table.py"
