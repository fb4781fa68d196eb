"""Write docs/keys.md from the table of keys: `python tools/keys_table.py`."""

from pathlib import Path

from mlptui.tui.keys import TABLE


def text() -> str:
    lines = ["# Keys", "", "Made by `tools/keys_table.py`. The names are for `[keys]` in settings.toml.", ""]
    for place, keys in TABLE.items():
        lines += [f"## {place}", "", "| name | keys | what it does |", "|---|---|---|"]
        lines += [f"| `{key.id}` | `{key.keys}` | {key.help} |" for key in keys]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (Path(__file__).resolve().parent.parent / "docs" / "keys.md").write_text(text())
