"""A session's tensors as files and back: bit for bit, ties kept, and readable by any tool."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine.sessions import CLASSES, NET, TIED, bits
from safetensors.torch import load_file, load_model
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.errors import CheckpointError
from mlptui.engine.build import build, probe
from mlptui.engine.codec import MODEL, TRAINING, decode, encode
from mlptui.engine.session import Progress, Session
from mlptui.store.checkpoints import check_tensor_header

Make = Callable[..., Session]
TrainTo = Callable[[Session, int], list[float]]
OPTIMISERS = {
    "sgd": {"optimizer__momentum": 0.9, "optimizer__nesterov": True},
    "plain": {},
    "adam": {"optimizer__name": "adam", "optimizer__lr": 0.01},
    "adamw": {"optimizer__name": "adamw", "optimizer__lr": 0.01, "optimizer__weight_decay": 0.1},
    "rmsprop": {"optimizer__name": "rmsprop", "optimizer__lr": 0.01, "optimizer__momentum": 0.5},
}
pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("architecture", [NET, TIED], ids=["net", "tied-lazy"])
def test_what_is_decoded_is_what_was_captured_and_trains_on_identically(
    make_session: Make, train_to: TrainTo, optimiser: str, architecture: str
) -> None:
    session = make_session(architecture=architecture, **OPTIMISERS[optimiser])
    train_to(session, 4)
    files = encode(session.capture())
    for name, data in files.items():
        check_tensor_header(data, name)
    other = make_session(architecture=architecture, seed=77, **OPTIMISERS[optimiser])
    train_to(other, 2)

    other.restore(decode(files[MODEL], files[TRAINING]))
    other.recipe, other.train = session.recipe, session.train

    assert bits(other) == bits(session)
    assert other.progress == session.progress
    groups = [json.dumps(s.optimizer.state_dict()["param_groups"]) for s in (session, other)]  # tuples come back as lists
    assert groups[0] == groups[1]
    train_to(session, 9)
    train_to(other, 9)
    assert bits(other) == bits(session)


def test_before_the_first_step_there_is_no_optimiser_state_and_it_round_trips(make_session: Make) -> None:
    session = make_session(**OPTIMISERS["adam"])
    files = encode(session.capture())

    back = decode(files[MODEL], files[TRAINING])

    assert back["optimizer"]["state"] == {}
    assert back["progress"] == Progress()


@pytest.mark.parametrize("architecture", [NET, TIED], ids=["net", "tied-lazy"])
def test_the_weights_file_opens_with_safetensors_and_loads_into_a_plain_torch_model(
    make_session: Make, train_to: TrainTo, tmp_path: Path, architecture: str
) -> None:
    session = make_session(architecture=architecture)
    train_to(session, 4)
    path = tmp_path / MODEL
    path.write_bytes(encode(session.capture())[MODEL])
    plain = build(parse(architecture))
    probe(plain, torch.zeros(2, 1, 4, 4), CLASSES)

    load_model(plain, path)

    assert {name: t.numpy().tobytes() for name, t in plain.state_dict().items()} == {
        name: t.numpy().tobytes() for name, t in session.model.state_dict().items()
    }
    assert set(load_file(path)) <= set(session.model.state_dict())


def test_the_keys_of_the_weights_file_are_those_of_a_plain_state_dict(make_session: Make, tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(encode(make_session().capture())[MODEL])
    by_hand = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 12), nn.Tanh(),
        nn.Linear(12, 3),
    )  # fmt: skip

    by_hand.load_state_dict(load_file(path), strict=True)


def test_a_tied_weight_is_stored_once_and_its_other_names_come_back(make_session: Make) -> None:
    session = make_session(architecture=TIED)
    files = encode(session.capture())

    stored = check_tensor_header(files[MODEL], MODEL)
    back = decode(files[MODEL], files[TRAINING])["model"]

    assert "4.weight" in stored
    assert "6.weight" not in stored
    assert torch.equal(back["4.weight"], back["6.weight"])
    assert set(back) == set(session.model.state_dict())


def test_equal_but_separate_weights_stay_separate(make_session: Make) -> None:
    session = make_session(architecture="nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3))")
    with torch.no_grad():
        session.model.get_parameter("2.weight").copy_(session.model.get_parameter("1.weight"))

    stored = check_tensor_header(encode(session.capture())[MODEL], MODEL)

    assert {"1.weight", "2.weight"} <= set(stored)


@pytest.mark.parametrize(
    "values",
    [
        {"best_loss": math.inf, "loss_sum": math.nan},
        {"best_loss": 0.1 + 0.2, "loss_sum": -math.inf, "best_accuracy": 1 / 3},
        {"knobs": [[3, 0.1], [10, 1e-300]], "step": 2**40, "samples": 7, "hits": 5.0},
    ],
)
def test_progress_comes_back_bit_for_bit(make_session: Make, values: dict[str, object]) -> None:
    session = make_session()
    session.progress = Progress(**values)  # type: ignore[arg-type]
    files = encode(session.capture())

    back = decode(files[MODEL], files[TRAINING])["progress"]

    assert repr(back) == repr(session.progress)


def test_bytes_that_are_no_tensors_are_one_kind_of_error(make_session: Make) -> None:
    files = encode(make_session().capture())

    for model, training in (
        (b"", files[TRAINING]),
        (files[MODEL], b"\0" * 50),
        (files[MODEL][:-4], files[TRAINING]),
        (files[MODEL], files[MODEL]),
        (files[MODEL], files[TRAINING].replace(b"param_groups", b"param_grapes")),
    ):
        with pytest.raises(CheckpointError, match="cannot be read"):
            decode(model, training)
