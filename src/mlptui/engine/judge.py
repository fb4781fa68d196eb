"""A checkpoint's network, built anew and judged on any part of any data set that fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mlptui.core.architecture.parse import parse
from mlptui.core.bench import Input, Judgement
from mlptui.core.errors import CheckpointError, DataError, MlptuiError, UsageError
from mlptui.core.recipe import MEAN_SQUARED, Recipe, check
from mlptui.core.text import safe
from mlptui.datasets import library
from mlptui.datasets.dataset import Dataset, Facts, Split
from mlptui.datasets.split import validation_split
from mlptui.engine import batches, build, codec, device, matmul, objective
from mlptui.engine.foreign import one_line
from mlptui.engine.inspect import inputs
from mlptui.engine.loop import evaluate
from mlptui.engine.prepare import targets
from mlptui.engine.seeding import seed_weights
from mlptui.store import abouts
from mlptui.store.abouts import Judged
from mlptui.store.checkpoints import Checkpoint
from mlptui.store.paths import Paths

PARTS = ("test", "validation", "train")


def recipe_of(checkpoint: Checkpoint, data: str = "") -> Recipe:
    """How it was trained; where that is not said, as a run on `data` would be by default. Raises CheckpointError."""
    if not checkpoint.manifest.get("recipe"):
        if not data:
            raise CheckpointError(f"{checkpoint.name} does not say what it was trained on; name a data set to judge it on")
        text = str(checkpoint.manifest.get("architecture", ""))
        return check({"architecture": text, "data": {"name": data, "validation": 0.0}})
    try:
        return check(dict(checkpoint.manifest["recipe"]))
    except (KeyError, TypeError, ValueError, MlptuiError) as error:
        raise CheckpointError(f"{checkpoint.name} does not say how it was trained: {safe(error, 200)}") from None


def network_of(checkpoint: Checkpoint, first: torch.Tensor, outputs: int, kept: Path | None = None) -> nn.Module:
    """The network with the checkpoint's weights, verified.

    `first` is a batch, for which it must give `outputs` numbers a sample; `kept` is a folder with the run's copy of the
    person's own files. Raises CheckpointError, BuildError, ForeignError.
    """
    seed_weights(_seed(checkpoint))  # what no checkpoint has is drawn as the run drew it
    model = build.build(parse(str(checkpoint.manifest.get("architecture", ""))), kept=kept)
    build.probe(model, first, outputs, f"{outputs} numbers a sample")
    _fill(model, checkpoint)
    return model


def judge(
    paths: Paths, checkpoint: Checkpoint, part: str = "test", data_name: str = "", kept: Path | None = None, where: str = "cpu"
) -> Judgement:
    """Loss and score over one part of a data set (empty: the run's own), with the run's own normalisation.

    They are kept beside the checkpoint, too.
    Raises DataError where the set does not fit, and what reading and building raise.
    """
    recipe = recipe_of(checkpoint, data_name)
    name = data_name or recipe.data.name
    data = library.load(paths, name)
    if data.facts.regression and not checkpoint.manifest.get("recipe"):
        recipe = recipe.model_copy(update={"loss": MEAN_SQUARED})
    trained_on = str(checkpoint.manifest.get("data_sha256", ""))
    same = data.facts.sha256 == trained_on
    if not data_name and trained_on and not same:
        raise DataError(f"{name} is not the data that this run was trained on (its checksum differs); name the set to use it")
    facts = _as_trained(data.facts, checkpoint, recipe)
    chosen, rows = _part(data, part, recipe)
    wanted = targets(replace(data, facts=facts), chosen, recipe)[torch.from_numpy(rows)]
    samples = batches.Samples(chosen.inputs, wanted, rows)
    normalise = batches.normaliser(facts, recipe.data.normalise)
    there = device.resolve(where)
    first = normalise(torch.from_numpy(chosen.inputs[rows[:2]]))
    model = network_of(checkpoint, first, facts.outputs, kept).to(there)
    goal = objective.make(recipe.loss)
    made = batches.make(samples, there, recipe.batch_size, recipe.seed, normalise, device.free_memory(there))
    autocast = torch.autocast(there.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    try:
        if there.type == "cpu":  # the same product as the run's, so that the same numbers come
            matmul.use(str(checkpoint.manifest.get("environment", {}).get("matmul", matmul.DEFAULT)))
        loss, score = evaluate(model, made, goal, autocast)
    finally:
        matmul.use(matmul.DEFAULT)
    if checkpoint.name.startswith("step-"):  # not a copy that lies elsewhere
        abouts.keep_judgement(checkpoint.folder, Judged(part, name, loss, score, goal.score, len(rows)))
    return Judgement(data=name, part=part, samples=len(rows), loss=loss, score=score, score_name=goal.score, same_data=same)


def with_batch(
    paths: Paths, checkpoint: Checkpoint, kept: Path | None, shape: tuple[int, ...] = (), size: int = 4
) -> tuple[nn.Module, torch.Tensor]:
    """The network of a checkpoint, and a batch for it: of its data set where that is here, else random numbers of `shape`.

    Raises DataError, UsageError, and what building raises.
    """
    name = str(dict(checkpoint.manifest.get("recipe", {})).get("data", {}).get("name", ""))
    try:
        facts = library.facts(paths, name) if name and not shape else None
    except DataError:
        facts = None
    if facts is None and not shape:
        raise UsageError("its data set is not here; say what goes in with --input, as --input 1,28,28")
    text = str(checkpoint.manifest.get("architecture", ""))
    seed_weights(_seed(checkpoint))
    model = build.build(parse(text), kept=kept)
    wanted = Input(shape=shape, data=name if facts else "")
    first = inputs.batch(model, wanted, size, paths).inputs
    try:
        with torch.no_grad():
            model.eval()(first)  # gives lazy layers their sizes
    except Exception as error:
        raise build.BuildError(f"the input {list(first.shape)} does not pass: {one_line(error)}") from None
    _fill(model, checkpoint)
    return model, first


def _seed(checkpoint: Checkpoint) -> int:
    return int(dict(checkpoint.manifest.get("recipe") or {}).get("seed", 0))


def _fill(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Raises CheckpointError."""
    try:
        model.load_state_dict(codec.weights_of(checkpoint.read(codec.MODEL)))
    except RuntimeError as error:
        raise CheckpointError(f"{checkpoint.name} does not fit its own network: {safe(error, 300)}") from None


def _as_trained(facts: Facts, checkpoint: Checkpoint, recipe: Recipe) -> Facts:
    """The set's facts with the moments that the network was trained with. Raises DataError where it cannot be."""
    was = checkpoint.manifest.get("normalisation", {})
    wanted = "a number to predict" if recipe.loss == MEAN_SQUARED else "classes"
    if facts.regression != (recipe.loss == MEAN_SQUARED):
        raise DataError(f"this network was trained for {wanted}, and {facts.name} has none")
    mean, deviation = tuple(was.get("mean", facts.mean)), tuple(was.get("deviation", facts.deviation))
    if len(mean) != len(facts.mean):
        raise DataError(f"{facts.name} has {len(facts.mean)} channels or columns, and the run's data had {len(mean)}")
    columns = facts.columns
    if columns and len(was.get("low", ())) == len(columns):
        bounds = zip(columns, was["low"], was["high"], strict=True)
        columns = tuple(replace(column, low=low, high=high) for column, low, high in bounds)
    target = facts.target
    if target and was.get("target"):
        target = replace(target, mean=was["target"]["mean"], deviation=was["target"]["deviation"])
    return replace(facts, mean=mean, deviation=deviation, columns=columns, target=target)


def _part(data: Dataset, part: str, recipe: Recipe) -> tuple[Split, np.ndarray]:
    """Samples, and which rows of them. Raises DataError."""
    if part == "test":
        return data.test, np.arange(len(data.test))
    train, valid = validation_split(len(data.train), recipe.data.validation, recipe.seed)
    rows = {"train": train, "validation": valid}.get(part)
    if rows is None:
        raise DataError(f"there is no part {safe(part, 40)!r}; there are {', '.join(PARTS)}")
    if not len(rows):
        raise DataError("this run kept nothing back for validation")
    return data.train, rows
