"""The recipe: every field's bounds, all problems at once, and the way to TOML and back."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.architecture.parse import parse
from mlptui.core.errors import RecipeError, UsageError
from mlptui.core.recipe import (
    CROSS_ENTROPY,
    FORMAT,
    HIDDEN,
    MEAN_SQUARED,
    Data,
    Recipe,
    check,
    fields,
    fitting,
    nested,
    value_at,
)
from mlptui.store import recipes

bounded = settings(derandomize=True, deadline=None, max_examples=100, database=None)

BOUNDS: dict[str, tuple[list[Any], list[Any]]] = {
    "name": (["", "a", "größe", "x" * 64, "[/bold] {x}"], ["x" * 65, "a\nb", "\x1b[2J", "a\u202eb", "\ud800", 5, None]),
    "data.name": (["", "fashion-mnist", "x"], [5, None, "x" * 65_537]),
    "data.sha256": (["", "0f" * 32], ["0F" * 32, "0f" * 31, "0f" * 32 + "\n", "x" * 64, 5]),
    "data.validation": ([0, 0.0, 0.1, 0.9], [-1e-9, 0.9000001, 1, float("nan"), float("inf"), "much", None]),
    "data.normalise": (["standard", "range", "none"], ["Standard", "", None, 1]),
    "data.shift": ([0, 1024], [-1, 1025, 0.5, float("nan"), None]),
    "data.flip": ([False, True], ["perhaps", None, 2]),
    "data.crop": ([0, 0.5, 0.9], [-1e-9, 0.91, float("nan"), "much", None]),
    "architecture": (["nn.ReLU()", "x = 3\nnn.Linear(x, x)"], ["", "nn.Foo()", "import os", "nn.Linear(", 5, None]),
    "loss": (["cross-entropy", "mse"], ["MSE", "", None]),
    "optimizer.name": (["sgd", "adam", "adamw", "rmsprop"], ["SGD", "lion", "", None]),
    "optimizer.lr": ([1e-300, 0.1, 1e4], [0, -0.1, 10_000.1, float("nan"), float("inf"), "fast", None]),
    "optimizer.momentum": ([0, 0.9, 0.999999], [1, -0.1, float("nan"), None]),
    "optimizer.nesterov": ([False], ["perhaps", None, 2]),
    "optimizer.weight_decay": ([0, 1e-4, 1e3], [-1e-9, 1000.1, float("inf"), None]),
    "schedule.name": (["constant", "step", "cosine", "one-cycle"], ["linear", "", None]),
    "schedule.warmup_steps": ([0, 10**9], [-1, 10**9 + 1, 0.5, None]),
    "schedule.step_epochs": ([1, 10**6], [0, 10**6 + 1, 1.5, None]),
    "schedule.gamma": ([1e-9, 1], [0, 1.01, float("nan"), None]),
    "schedule.floor": ([0, 1], [-0.1, 1.1, float("nan"), None]),
    "batch_size": ([1, 1_000_000], [0, -1, 1_000_001, 1.5, 10**400, float("inf"), None]),
    "epochs": ([1, 1_000_000], [0, 1_000_001, 2.5, None]),
    "seed": ([0, 2**63 - 1], [-1, 2**63, 0.5, None]),
    "precision": (["float32", "bfloat16"], ["float16", "", None]),
    "device": (
        ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12", "GPU-1a2b3c4d-aaaa-bbbb-cccc-0123456789ab", "MIG-1a2b"],
        ["gpu", "", "cuda:", "cuda:-1", "cuda:x", "cuda:²", "cuda:٣", "CPU", "GPU-\x1b[2J", "GPU-" + "a" * 61, 0, None],
    ),
    "clip_norm": ([0, 1.5, 1e9], [-1, 1.1e9, float("nan"), None]),
    "patience": ([0, 10**6], [-1, 10**6 + 1, 1.5, None]),
    "on_divergence": (["stop", "continue", "skip"], ["ignore", None]),
    "gradient_norm_every": ([0, 10**6], [-1, 10**6 + 1, None]),
    "threads": ([0, 4096], [-1, 4097, None]),
    "checkpoints.every_epochs": ([0, 10**6], [-1, 10**6 + 1, None]),
    "checkpoints.every_steps": ([0, 10**9], [-1, 10**9 + 1, None]),
    "checkpoints.every_minutes": ([0, 0.5, 10**6], [-0.1, 1e6 + 1, float("nan"), None]),
    "checkpoints.keep": ([2, 10_000], [0, 1, 10_001, None]),
}  # fmt: skip
REFUSED = [(path, value) for path, (_, bad) in BOUNDS.items() for value in bad]


def test_the_table_of_bounds_names_every_knob() -> None:
    assert {f.path for f in fields()} | {"data.sha256"} == set(BOUNDS)


@pytest.mark.parametrize("path", BOUNDS)
def test_values_within_the_bounds_are_kept(path: str) -> None:
    for value in BOUNDS[path][0]:
        assert value_at(check(nested({path: value})), path) == value


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=[f"{path}={str(value)[:12]!r}" for path, value in REFUSED])
def test_a_value_out_of_bounds_is_one_problem_with_its_path(path: str, value: object) -> None:
    with pytest.raises(RecipeError) as caught:
        check(nested({path: value}))
    assert [problem.path for problem in caught.value.problems] == [path]
    assert caught.value.problems[0].message
    assert str(caught.value).startswith(f"{path}: ")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        check({**nested({path: bad[0] for path, (_, bad) in BOUNDS.items()}), "extra": 1})
    assert {problem.path for problem in caught.value.problems} == {*BOUNDS, "extra"}
    assert str(caught.value).count("; ") >= len(BOUNDS) - 1


@pytest.mark.parametrize(
    ("values", "path", "said"),
    [
        ({"batchsize": 3}, "batchsize", "did you mean batch_size?"),
        ({"optimizer": {"learning_rate": 3}}, "optimizer.learning_rate", "there is no such setting"),
        ({"optimizer": {"momentun": 0.5}}, "optimizer.momentun", "did you mean optimizer.momentum?"),
        ({"checkpoints": {"keep": {"x": 1}}}, "checkpoints.keep", "should be"),
        ({"optimizer": 5}, "optimizer", "should be"),
        ({"data": []}, "data", "should be"),
    ],
)
def test_unknown_and_misplaced_settings_are_errors(values: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(values)
    assert [p.path for p in caught.value.problems] == [path]
    assert said in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("values", "path", "said"),
    [
        ({"optimizer.nesterov": True}, "optimizer", "nesterov needs sgd with a momentum above 0"),
        ({"optimizer.nesterov": True, "optimizer.name": "rmsprop", "optimizer.momentum": 0.9}, "optimizer", "nesterov"),
        ({"optimizer.name": "adam", "optimizer.momentum": 0.9}, "optimizer", "adam has no momentum"),
        ({"optimizer.name": "adamw", "optimizer.momentum": 0.9}, "optimizer", "adamw has no momentum"),
        ({"patience": 3, "data.validation": 0}, "", "early stopping needs a validation share"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(nested(values))
    assert [p.path for p in caught.value.problems] == [path]
    assert said in str(caught.value)


def test_nesterov_with_momentum_is_allowed() -> None:
    assert check(nested({"optimizer.nesterov": True, "optimizer.momentum": 0.9})).optimizer.nesterov


@pytest.mark.parametrize("newer", [FORMAT + 1, 10**30])
def test_a_newer_format_is_said_and_nothing_else(newer: int) -> None:
    with pytest.raises(RecipeError, match=f"made by a newer mlptui .format {newer}.; this one reads up to {FORMAT}"):
        check({"format": newer, "unheard": 1})


@pytest.mark.parametrize("wrong", ["1", 0, -1, None, [1], 1.5])
def test_a_format_that_is_no_known_number_is_a_problem(wrong: object) -> None:
    with pytest.raises(RecipeError) as caught:
        check({"format": wrong})
    assert caught.value.problems[0].path == "format"


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().seed = 3  # type: ignore[misc]


def test_fields_tell_kind_default_and_choices() -> None:
    by_path = {f.path: f for f in fields()}
    assert by_path["optimizer.name"].choices == ("sgd", "adam", "adamw", "rmsprop")
    assert (by_path["optimizer.lr"].kind, by_path["batch_size"].kind, by_path["optimizer.nesterov"].kind) == (float, int, bool)
    assert all(value_at(Recipe(), path) == f.default for path, f in by_path.items())
    assert len({f.option for f in by_path.values()}) == len(by_path)
    assert all(f.label and f.help and f.option.startswith("--") for f in by_path.values())


architectures = st.sampled_from(
    [
        "nn.ReLU()",
        "x = 3\nnn.Linear(x, x)\n",
        "x = 3\r\nnn.Linear(x, x)",
        "  nn.ReLU()  # größe \"\"\" ''' \\\\",
        "\nnn.ReLU()\n\n",
        'nn.Sequential(OrderedDict([("""a""", nn.ReLU())]))\n# \\',
    ]
)
recipes_ = st.fixed_dictionaries(
    {path: st.sampled_from(good) for path, (good, _) in BOUNDS.items() if path not in ("architecture", "optimizer.momentum")}
    | {"architecture": architectures}
    | {"optimizer.lr": st.floats(0, 1e4, exclude_min=True)}
    | {"name": st.text(st.characters(exclude_categories=["C", "Z"]), max_size=64).filter(str.isprintable)}
)


@bounded
@given(recipes_)
def test_a_recipe_goes_to_toml_and_back_unchanged(values: dict[str, Any]) -> None:
    values["data.validation"] = values["data.validation"] or 0.1
    recipe = check(nested(values))
    import tomllib

    assert check(tomllib.loads(recipes.to_toml(recipe))) == recipe


def test_a_recipe_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('epochs = 3\n[optimizer]\nname = "adam"\nlr = 0.001\n')
    recipe = recipes.read(file)
    assert (recipe.epochs, recipe.optimizer.name, recipe.optimizer.lr) == (3, "adam", 0.001)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"epochs = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b"epochs = 0\nseed = -1", "epochs: "),
        (b"a = " + b"[" * 5000, "recipe.toml"),
        (b"epochs = " + b"9" * 5000, "recipe.toml"),
        (b"x = 1\n" * 200_000, "bytes, more than the"),
        (b"[optimizer]\nlr = nan", "optimizer.lr: "),
        (b"seed = 2020-01-01", "seed: "),
    ],
    ids=range(8),
)
def test_a_bad_recipe_file_gets_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        recipes.read(file)
    assert said in str(caught.value)


def test_a_recipe_file_that_is_none_gets_a_sentence(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name, said in (("pipe", "regular file"), ("link", ""), ("gone", "it is not there"), (".", "")):
        with pytest.raises(UsageError) as caught:
            recipes.read(tmp_path / name)
        assert said in str(caught.value) and "\n" not in str(caught.value)


# what follows from the data


SHAPES = [(1, 28, 28), (3, 32, 32), (3, 96, 96), (1, 1, 1), (2,), (1,), (784,), (5, 7)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [0, 1, 2, 10, 1000])
def test_what_fits_a_shape_is_a_recipe_with_as_many_inputs_and_outputs(shape: tuple[int, ...], classes: int) -> None:
    values = fitting(shape, classes)
    recipe = check(values)
    assert set(values) == {"architecture", "loss"}
    assert recipe.loss == (CROSS_ENTROPY if classes else MEAN_SQUARED)
    layers = parse(recipe.architecture)
    kinds = [layer.kind for _, layer in layers.children]
    linear = [dict(layer.arguments) for _, layer in layers.children if layer.kind == "Linear"]
    assert kinds == (["Flatten"] if len(shape) > 1 else []) + ["Linear", "ReLU", "Linear"]
    assert [(a["in_features"], a["out_features"]) for a in linear] == [(math.prod(shape), HIDDEN), (HIDDEN, classes or 1)]


def test_the_default_recipe_is_what_fits_the_default_data() -> None:
    assert check(fitting((1, 28, 28), 10)) == Recipe()


def test_a_recipe_augments_where_one_of_the_three_is_asked_for() -> None:
    assert not Data().augments and not Data(shift=0, flip=False, crop=0.0).augments
    assert Data(shift=1).augments and Data(flip=True).augments and Data(crop=0.1).augments


def test_a_recipe_of_an_earlier_version_means_the_same_training(tmp_path: Path) -> None:
    """It says nothing of what came later: no augmentation, cross-entropy."""
    file = tmp_path / "recipe.toml"
    file.write_text('seed = 3\n[data]\nname = "x"\nnormalise = "standard"\n')
    recipe = recipes.read(file)
    assert not recipe.data.augments and recipe.loss == CROSS_ENTROPY
    file.write_text(recipes.to_toml(recipe))
    assert recipes.read(file) == recipe
