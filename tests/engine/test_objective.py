"""What is made small and the score beside it; inputs as the network gets them; a training on numbers from end to end."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.sessions import CPU, Pace, bits, recipe_with
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mlptui.core.architecture.parse import parse
from mlptui.core.recipe import CROSS_ENTROPY, MEAN_SQUARED
from mlptui.datasets import prepared
from mlptui.datasets.dataset import IMAGES, TABLE, Dataset, Facts
from mlptui.datasets.prepared import Writer
from mlptui.datasets.statistics import column
from mlptui.engine import batches, build, objective, optimisers, prepare
from mlptui.engine.batches import Batch, Normaliser, ResidentBatches, Samples, StreamedBatches, gather, normaliser
from mlptui.engine.loop import evaluate, train_epoch
from mlptui.engine.objective import CrossEntropy, MeanSquared
from mlptui.engine.seeding import epoch_order, seed_weights
from mlptui.engine.session import Session

bounded = settings(derandomize=True, deadline=None, max_examples=60, database=None)
RNG = np.random.default_rng


# losses and scores


def judged(goal: objective.Objective, outputs: np.ndarray, targets: np.ndarray, batch: int) -> tuple[float, float]:
    """Loss and score over batches of this size, as `evaluate` adds them up."""
    pieces = zip(torch.from_numpy(outputs).split(batch), torch.from_numpy(targets).split(batch), strict=True)
    tallies = [goal.tally(o, t) for o, t in pieces]
    return goal.judge([sum(c) for c in zip(*torch.stack(tallies).tolist(), strict=True)], len(targets))


@bounded
@given(st.integers(2, 200), st.integers(1, 70), st.floats(-1e3, 1e3), st.floats(0.01, 100), st.integers(0, 99))
def test_squared_error_and_r2_are_those_of_numpy(count: int, batch: int, middle: float, spread: float, seed: int) -> None:
    targets = RNG(seed).normal(middle, spread, count).astype(np.float32)
    outputs = (targets + RNG(seed + 1).normal(0, spread / 2, count)).astype(np.float32)[:, None]
    loss, r2 = judged(MeanSquared(1.0), outputs, targets, batch)
    exact, known = outputs[:, 0].astype(np.float64), targets.astype(np.float64)
    residual, total = ((exact - known) ** 2).sum(), ((known - known.mean()) ** 2).sum()
    assert loss == pytest.approx(residual / count, rel=1e-6)
    assert r2 == pytest.approx(1 - residual / total, rel=1e-4, abs=1e-4)


@bounded
@given(st.integers(1, 200), st.integers(1, 70), st.integers(2, 12), st.integers(0, 99))
def test_cross_entropy_and_accuracy_are_those_of_numpy(count: int, batch: int, classes: int, seed: int) -> None:
    outputs = RNG(seed).normal(0, 3, (count, classes)).astype(np.float32)
    targets = RNG(seed + 1).integers(0, classes, count)
    loss, accuracy = judged(CrossEntropy(), outputs, targets, batch)
    exact = outputs.astype(np.float64)
    wanted = np.log(np.exp(exact).sum(1)) - exact[np.arange(count), targets]
    assert loss == pytest.approx(wanted.mean(), rel=1e-5)
    assert accuracy == (outputs.argmax(1) == targets).mean()


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e5])
def test_perfect_mean_and_worse_than_the_mean_are_one_zero_and_below(shift: float) -> None:
    targets = (RNG(1).normal(0, 1, 500) + shift).astype(np.float32)
    assert judged(MeanSquared(1), targets[:, None], targets, 64) == (0.0, 1.0)
    mean = np.full((500, 1), targets.astype(np.float64).mean(), np.float32)
    assert judged(MeanSquared(1), mean, targets, 64)[1] == pytest.approx(0, abs=1e-3)
    assert judged(MeanSquared(1), mean + 10, targets, 64)[1] < -50


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 123456.0, 0.7, -0.6, 3.3])
def test_numbers_that_are_all_alike_have_no_r2(value: float) -> None:
    targets = np.full({-0.6: 6000, 3.3: 7}.get(value, 1000), value, np.float32)
    outputs = targets[:, None] + np.float32(1)
    loss, r2 = judged(MeanSquared(0.0), outputs, targets, 300)
    assert loss == pytest.approx(1, abs=0.01) and math.isnan(r2)


def test_the_points_of_the_batches_of_an_epoch_add_up_to_its_score() -> None:
    targets = torch.from_numpy(RNG(1).normal(5, 3, 100).astype(np.float32))
    outputs = targets[:, None] + torch.from_numpy(RNG(2).normal(0, 1, (100, 1)).astype(np.float32))
    goal = MeanSquared(float(targets.double().var(correction=0)))
    pieces = list(zip(outputs.split(16), targets.split(16), strict=True))
    total = sum(float(goal.points(goal.loss(o, t), o, t)) for o, t in pieces) / 100
    assert total == pytest.approx(judged(goal, outputs.numpy(), targets.numpy(), 16)[1], rel=1e-5)
    classes = torch.arange(100) % 3
    scores = F.one_hot((torch.arange(100) + (torch.arange(100) < 25)) % 3).float()
    hits = CrossEntropy()
    added = sum(float(hits.points(hits.loss(o, t), o, t)) for o, t in zip(scores.split(16), classes.split(16), strict=True))
    assert added == 75


def test_a_training_set_of_one_number_gives_finite_points() -> None:
    goal = MeanSquared(0.0)
    targets, outputs = torch.ones(4), torch.ones(4, 1)
    assert float(goal.points(goal.loss(outputs, targets), outputs, targets)) == 4
    assert math.isfinite(float(goal.points(torch.tensor(0.5), outputs, targets)))


def test_objectives_are_made_by_the_name_of_the_loss() -> None:
    assert isinstance(objective.make(CROSS_ENTROPY), CrossEntropy) and objective.make(CROSS_ENTROPY).score == "accuracy"
    made = objective.make(MEAN_SQUARED, 4.0)
    assert isinstance(made, MeanSquared) and (made.variance, made.score) == (4.0, "R2")


def test_the_loss_looks_at_the_only_output_and_does_not_spread_over_pairs() -> None:
    outputs, targets = torch.randn(9, 1, requires_grad=True), torch.randn(9)
    loss = MeanSquared(1).loss(outputs, targets)
    assert loss.item() == pytest.approx(((outputs[:, 0] - targets) ** 2).mean().item())
    loss.backward()
    assert outputs.grad is not None
    assert torch.allclose(outputs.grad[:, 0], 2 * (outputs.detach()[:, 0] - targets) / 9)


# normalising


def picture_facts(images: np.ndarray) -> Facts:
    from mlptui.datasets.statistics import pixel_moments

    mean, deviation = pixel_moments(images)
    return Facts("p", IMAGES, "", images.shape[1:], ("a", "b"), len(images), 1, "", mean, deviation)


def table_facts(values: np.ndarray) -> Facts:
    columns = tuple(column(f"x{i}", values[:, i]) for i in range(values.shape[1]))
    mean, deviation = tuple(c.mean for c in columns), tuple(c.deviation for c in columns)
    return Facts("t", TABLE, "", values.shape[1:], ("a", "b"), len(values), 1, "", mean, deviation, columns=columns)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["standard", "range", "none"])
def test_pictures_are_normalised_by_channel_as_the_textbook_does(channels: int, kind: str) -> None:
    images = RNG(3).integers(0, 256, (40, channels, 6, 5), np.uint8)
    images[:, 0] //= 4
    found = normaliser(picture_facts(images), kind)(torch.from_numpy(images)).double().numpy()
    pixels = images.astype(np.float64)
    shares = pixels / 255
    mean, deviation = (getattr(shares, n)((0, 2, 3), keepdims=True) for n in ("mean", "std"))
    wanted = {"none": pixels, "range": shares, "standard": (shares - mean) / deviation}[kind]
    assert np.abs(found - wanted).max() < 2e-6 * max(1, np.abs(wanted).max())
    if kind == "standard":
        assert np.allclose(found.mean((0, 2, 3)), 0, atol=1e-6) and np.allclose(found.std((0, 2, 3)), 1, atol=1e-6)


@pytest.mark.parametrize("kind", ["standard", "range", "none"])
def test_tables_are_normalised_by_column_and_a_constant_one_stays_finite(kind: str) -> None:
    values = RNG(4).normal([0, 1000, -5, 3], [1, 20, 1e-3, 0], (300, 4)).astype(np.float32)
    found = normaliser(table_facts(values), kind)(torch.from_numpy(values)).double().numpy()
    exact = values.astype(np.float64)
    extent = np.ptp(exact, 0)
    deviation = np.where(exact.std(0) > 0, exact.std(0), 1)
    wanted = {
        "none": exact,
        "range": (exact - exact.min(0)) / np.where(extent > 0, extent, 1),
        "standard": (exact - exact.mean(0)) / deviation,
    }[kind]
    assert np.isfinite(found).all() and np.allclose(found, wanted, rtol=1e-5, atol=2e-3 if kind == "standard" else 1e-5)
    if kind == "range":
        assert found.min() == 0 and found.max() == pytest.approx(1, abs=1e-6)


def test_a_column_far_from_zero_keeps_its_digits() -> None:
    """Years, or seconds since 1970: the mean is taken away before anything is multiplied."""
    values = (np.float32(1e6) + np.arange(64, dtype=np.float32))[:, None]
    found = normaliser(table_facts(values), "standard")(torch.from_numpy(values)).numpy()[:, 0]
    assert np.allclose(np.diff(found), np.diff(found).mean(), rtol=0.02)


@pytest.mark.parametrize("kind", ["standard", "range", "none"])
@pytest.mark.parametrize("of", [np.uint8, np.float32])
def test_normalising_never_writes_into_its_input(kind: str, of: type) -> None:
    values = RNG(5).integers(0, 9, (20, 3)).astype(of)
    facts = table_facts(values) if of is np.float32 else picture_facts(values.reshape(20, 3, 1, 1))
    given_ = torch.from_numpy(values if of is np.float32 else values.reshape(20, 3, 1, 1))
    before = given_.clone()
    assert normaliser(facts, kind)(given_).dtype == torch.float32
    assert torch.equal(given_, before)


# batches of every kind of data


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith(("batches", "rows"))]


def both(samples: Samples, batch: int, normalise: Normaliser) -> list[Any]:
    return [kind(samples, CPU, batch, 3, normalise) for kind in (ResidentBatches, StreamedBatches)]


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    assert len(one) == len(other)
    for (inputs, targets), (others, their_targets) in zip(one, other, strict=True):
        assert torch.equal(inputs, others) and torch.equal(targets, their_targets)
        assert inputs.dtype == others.dtype == torch.float32 and targets.dtype == their_targets.dtype


def array_of(kind: str, count: int) -> np.ndarray:
    if kind == "pictures":
        return RNG(7).integers(0, 256, (count, 3, 4, 5), np.uint8)
    return RNG(7).normal(0, 3, (count, 11)).astype(np.float32)


@pytest.mark.parametrize("kind", ["pictures", "table"])
@pytest.mark.parametrize("where", ["memory", "mapped", "read-only"])
@pytest.mark.parametrize(("count", "batch"), [(1, 1), (257, 16), (257, 300), (1000, 150)])
@pytest.mark.usefixtures("no_thread_left")
def test_streamed_and_resident_batches_are_the_same_bits_wherever_the_data_lie(
    tmp_path: Path, kind: str, where: str, count: int, batch: int
) -> None:
    array = array_of(kind, count)
    if where == "mapped":
        np.save(tmp_path / "a.npy", array)
        array = np.load(tmp_path / "a.npy", mmap_mode="r")
    elif where == "read-only":
        array.flags.writeable = False
    chosen = np.sort(RNG(8).permutation(count)[: max(1, count * 2 // 3)])
    samples = Samples(array, torch.arange(len(chosen)).float(), chosen)
    facts = picture_facts(np.asarray(array)) if kind == "pictures" else table_facts(np.asarray(array))
    resident, streamed = both(samples, batch, normaliser(facts, "standard"))
    whole = math.ceil(len(chosen) / batch)
    for epoch in (0, 1, 9):
        for first in {0, 1, whole - 1, whole}:
            assert_same(list(resident.epoch(epoch, first)), list(streamed.epoch(epoch, first)))
            assert len(list(streamed.epoch(epoch, first))) == max(0, whole - first)
    assert_same(list(resident.in_order()), list(streamed.in_order()))
    rows = torch.cat([targets for _, targets in streamed.epoch(1)]).long()
    assert torch.equal(rows, epoch_order(3, 1, len(chosen)))
    inputs = torch.cat([inputs for inputs, _ in streamed.epoch(1)])
    wanted = normaliser(facts, "standard")(torch.from_numpy(np.asarray(array)[chosen][rows.numpy()]))
    assert torch.equal(inputs, wanted)


@pytest.mark.usefixtures("no_thread_left")
def test_an_evaluation_batch_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "EVALUATION_BYTES", 4 * 60 * 10)
    samples = Samples(array_of("pictures", 35), torch.arange(35), np.arange(35))
    for found in both(samples, 8, Normaliser()):
        assert [len(t) for _, t in found.in_order()] == [10, 10, 10, 5]
    monkeypatch.setattr(batches, "EVALUATION_BYTES", 1)
    assert both(samples, 8, Normaliser())[0].evaluation_batch == 1


@bounded
@given(st.lists(st.integers(0, 99), max_size=300))
def test_gathered_rows_are_those_of_numpy_in_any_order_and_number(rows: list[int]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    array = np.arange(300, dtype=np.int32).reshape(100, 3)
    chosen = np.array(rows, np.int64)
    with ThreadPoolExecutor(4) as pool:
        assert np.array_equal(gather(array, chosen, pool), array[chosen])


# from end to end


def table(tmp_path: Path, count: int = 400) -> Dataset:
    """Prices from three columns of quite different sizes, and noise."""

    def part(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        x = RNG(seed).normal([0, 500, -3], [1, 100, 0.01], (size, 3))
        y = 1000 * np.sin(x[:, 0]) + 5 * (x[:, 1] - 500) + 20_000 * (x[:, 2] + 3) + RNG(seed + 1).normal(0, 30, size)
        return x.astype(np.float32), (y + 50_000).astype(np.float32)

    with Writer(tmp_path, "prices") as writer:
        for seed, (name, size) in enumerate((("train", count), ("test", 100))):
            inputs, targets = part(10 * seed, size)
            writer.put(f"{name}-inputs", inputs)
            writer.put(f"{name}-targets", targets)
        place = writer.commit(Facts("prices", TABLE, "", (3,), (), 0, 0, "", (), ()))
    return prepared.open_set(place)


Kind = Callable[..., Any]
NET = "nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))"


def session_on(data: Dataset, kind: Kind, **knobs: Any) -> tuple[Session, Any]:
    given_ = {"architecture": NET, "loss": "mse", "optimizer__name": "adam", "optimizer__lr": 0.01, "epochs": 40, **knobs}
    recipe = recipe_with(**{"data__validation": 0.2, "batch_size": 32, **given_})
    splits = prepare.split(data, recipe)
    normalise = normaliser(data.facts, recipe.data.normalise)
    seed_weights(recipe.seed)
    model = build.build(parse(recipe.architecture))
    first = torch.from_numpy(splits.train.inputs[splits.train.chosen[:2]])
    build.probe(model, normalise(first), data.facts.outputs, "a number to predict")

    def made(part: Samples) -> Any:
        return kind(part, CPU, recipe.batch_size, recipe.seed, normalise)

    assert splits.valid
    goal = objective.make(recipe.loss, float(splits.train.targets.double().var(correction=0)))
    optimizer = optimisers.make(recipe.optimizer, model.parameters(), CPU)
    return Session(recipe, model, optimizer, made(splits.train), made(splits.valid), CPU, goal), made(splits.test)


def trained(session: Session, epochs: int) -> list[float]:
    """R2 on the validation set after each epoch."""
    pace, scores = Pace(session), []
    for epoch in range(epochs):
        assert train_epoch(session.model, session.train.epoch(epoch), session.optimizer, session.objective, pace)
        assert session.valid
        scores.append(evaluate(session.model, session.valid, session.objective, session.autocast())[1])
    assert all(math.isfinite(loss) for loss in pace.losses)
    return scores


def test_a_network_learns_to_predict_numbers(tmp_path: Path) -> None:
    data = table(tmp_path)
    session, test = session_on(data, ResidentBatches)
    scores = trained(session, 40)
    loss, r2 = evaluate(session.model, test, session.objective, nullcontext())
    assert scores[0] < scores[4] < scores[-1] and scores[-1] > 0.95 and r2 > 0.95
    target = data.facts.target
    assert target
    inputs = normaliser(data.facts, "standard")(torch.from_numpy(data.test.inputs.copy()))
    with torch.no_grad():
        predicted = session.model(inputs)[:, 0].double().numpy() * target.deviation + target.mean
    known = data.test.targets.astype(np.float64)
    exact = 1 - ((predicted - known) ** 2).sum() / ((known - known.mean()) ** 2).sum()
    assert r2 == pytest.approx(exact, abs=1e-4)  # the score does not depend on the scale of the target
    assert loss == pytest.approx(((predicted - known) ** 2).mean() / target.deviation**2, rel=1e-3)


def test_a_training_on_numbers_is_the_same_bits_streamed_and_resident(tmp_path: Path) -> None:
    data = table(tmp_path)
    sessions = [session_on(data, kind)[0] for kind in (ResidentBatches, StreamedBatches)]
    scores = [trained(session, 3) for session in sessions]
    assert scores[0] == scores[1] and bits(sessions[0]) == bits(sessions[1])


def test_a_training_on_numbers_that_is_taken_up_again_goes_on_bit_for_bit(tmp_path: Path) -> None:
    data = table(tmp_path)
    straight, stopped = (session_on(data, StreamedBatches)[0] for _ in range(2))
    trained(straight, 2)
    pace = Pace(stopped, until=7)
    assert not train_epoch(stopped.model, stopped.train.epoch(0), stopped.optimizer, stopped.objective, pace)
    captured = stopped.capture()
    fresh, _ = session_on(data, ResidentBatches)
    fresh.restore(captured)
    pace = Pace(fresh)
    for epoch, first in ((0, 7), (1, 0)):
        train_epoch(fresh.model, fresh.train.epoch(epoch, first), fresh.optimizer, fresh.objective, pace)
    assert bits(fresh) == bits(straight)


@pytest.mark.parametrize("kind", ["standard", "range", "none"])
def test_only_where_asked_for_are_the_numbers_to_predict_brought_to_mean_0_and_deviation_1(tmp_path: Path, kind: str) -> None:
    data = table(tmp_path)
    splits = prepare.split(data, recipe_with(loss="mse", architecture=NET, data__normalise=kind, data__validation=0.25))
    assert splits.valid
    parts = torch.cat([splits.train.targets, splits.valid.targets]).double().numpy()
    rows = np.concatenate([splits.train.chosen, splits.valid.chosen])
    exact = data.train.targets.astype(np.float64)
    wanted = (exact - exact.mean()) / exact.std() if kind == "standard" else exact
    assert splits.train.targets.dtype == torch.float32 and len(splits.valid.chosen) == 100
    assert np.allclose(parts, wanted[rows], rtol=1e-6, atol=1e-6)


def test_bfloat16_learns_numbers_too(tmp_path: Path) -> None:
    session, _ = session_on(table(tmp_path), ResidentBatches, precision="bfloat16")
    assert trained(session, 25)[-1] > 0.9


def test_a_network_with_more_than_one_output_is_not_for_numbers() -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(build.BuildError, match=r"gives \[2, 2\] for 2 samples; a number to predict needs \[2, 1\]"):
        build.probe(model, torch.zeros(2, 3), 1, "a number to predict")
    with pytest.raises(build.BuildError, match=r"gives \[2\] for 2 samples"):
        build.probe(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), torch.zeros(2, 3), 1, "a number to predict")
