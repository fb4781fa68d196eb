"""A network built anew with its state_dict gives the same, whatever it gives; else the reason."""

import math
from pathlib import Path

import pytest
import torch

from mlptui.core.architecture.parse import parse
from mlptui.core.parameters.messages import Cloned
from mlptui.engine.build import build
from mlptui.engine.parameters.clone import clone
from mlptui.engine.parameters.errors import ParameterError

NETS = """
import torch
from torch import nn

class Gives(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.layer, self.what = nn.Linear(3, 4), what
        self.plain = torch.randn(4)  # in no state_dict

    def forward(self, x):
        y = self.layer(x)
        return {
            "tuple": (y, y.argmax(1)), "dict": {"a": y, "b": [y + 1]}, "bool": y > 0, "complex": torch.complex(y, -y),
            "int": y.argmax(1), "nothing": "words", "empty": y[:0], "nan": y / 0 * 0, "infinite": y + float("inf"),
            "plain": y + self.plain, "half": y.half(),
        }[self.what]
"""
BATCH = torch.linspace(-1, 1, 15).reshape(5, 3)


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    file = tmp_path / "nets.py"
    file.write_text(NETS)
    return file


def cloned(text: str) -> Cloned:
    return clone(build(parse(text)), text, 0, BATCH)


@pytest.mark.parametrize(
    ("what", "count"),
    [("tuple", 25), ("dict", 40), ("bool", 20), ("complex", 40), ("int", 5), ("empty", 0), ("nan", 20), ("infinite", 20),
     ("half", 20)],
)  # fmt: skip
def test_whatever_a_network_gives_is_compared_number_by_number(nets: Path, what: str, count: int) -> None:
    found = cloned(f"{nets}:Gives(what={what!r})")
    assert (found.count, found.equal, found.training_count, found.training_equal) == (count,) * 4
    assert found.largest == 0 and (found.first == found.second or math.isnan(found.first[0]))


def test_what_no_state_dict_has_is_the_reason(nets: Path) -> None:
    found = cloned(f"{nets}:Gives(what='plain')")
    assert found.equal == 0 and found.largest > 0 and "plain is a plain tensor" in found.reasons[0]


def test_what_cannot_be_compared_is_a_sentence(nets: Path) -> None:
    with pytest.raises(ParameterError, match="holds no tensor that could be compared"):
        cloned(f"{nets}:Gives(what='nothing')")
    with pytest.raises(ParameterError, match=r"0\.weight has no size yet"):
        cloned("nn.Sequential(nn.LazyLinear(2))")
    with pytest.raises(ParameterError, match="does not take the state_dict"):
        cloned("nn.Sequential(nn.Linear(7, 2))")
