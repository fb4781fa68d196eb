"""`mlptui params load`: the plan in words and as data, and the weights that come of it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

NET = "nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    state = {
        "0.weight": torch.ones(3, 4),
        "0.bias": torch.zeros(3),
        "2.weight": torch.full((5, 3), 7.0),
        "2.bias": torch.ones(5),
    }
    torch.save(
        {"state_dict": {f"net.{n}": t for n, t in state.items()}, "extra\x1b[2J": torch.ones(1)}, tmp_path / "theirs.pt"
    )
    return tmp_path / "theirs.pt"


def test_a_dry_run_says_what_would_change_and_writes_nothing(mlptui, theirs: Path, tmp_path: Path) -> None:
    said = mlptui("params", "load", str(theirs), NET, "--dry-run", "--out", str(tmp_path / "w.safetensors"))
    assert said.code == 0 and "would change 2 tensors; 0 are equal already; nothing is changed" in said.err
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["0.weight", "0.bias", "2.weight", "2.bias", "-"]
    assert "\x1b" not in said.out and not (tmp_path / "w.safetensors").exists()
    rows = mlptui("params", "load", str(theirs), NET, "--dry-run", "--json").lines
    assert [(r["target"], r["state"], r["action"]) for r in rows][1:] == [
        ("0.bias", "renamed", "load"), ("2.weight", "other shape", "skip"), ("2.bias", "other shape", "skip"),
        ("", "left over", "skip"),
    ]  # fmt: skip
    assert rows[2]["source"] == "state_dict.net.2.weight" and (rows[2]["target_shape"], rows[2]["source_shape"]) == (
        [2, 3],
        [5, 3],
    )


def test_the_weights_are_those_of_the_file_where_the_plan_says_so(mlptui, theirs: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    words = (
        "--slice",
        "2.weight",
        "--skip",
        "0.bias",
        "--map",
        "2.bias=state_dict.net.2.bias",
        "--out",
        str(out),
        "--seed",
        "4",
    )
    said = mlptui("params", "load", str(theirs), NET, *words)
    assert said.code == 0 and "2 tensors of theirs.pt loaded, 2 kept as they were" in said.err
    assert mlptui("export", NET, str(tmp_path / "drawn.safetensors"), "--seed", "4").code == 0
    made, drawn = load_file(out), load_file(tmp_path / "drawn.safetensors")
    assert torch.equal(made["0.weight"], torch.ones(3, 4)) and torch.equal(made["2.weight"], torch.full((2, 3), 7.0))
    assert torch.equal(made["0.bias"], drawn["0.bias"]) and torch.equal(made["2.bias"], drawn["2.bias"])


@pytest.mark.parametrize(
    "words",
    [
        ("--map", "0.bias"), ("--map", "x=y"), ("--skip", "x\x1b"), ("--slice", "x"),
        ("--map", "0.bias=state_dict.net.0.weight", "--slice", "0.bias"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_words_are_one_sentence(mlptui, theirs: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = mlptui("params", "load", str(theirs), NET, *words, "--out", str(tmp_path / "w.safetensors"))
    assert (said.code, said.out) == (2, "") and said.err.count("\n") == 1 and said.err[:-1].isprintable()
    assert not (tmp_path / "w.safetensors").exists()
