"""The recipe: all that determines a run, in one frozen and checked value."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlptui.core.architecture.parse import parse
from mlptui.core.errors import ArchitectureError, Problem, RecipeError

FORMAT = 1
CROSS_ENTROPY, MEAN_SQUARED = "cross-entropy", "mse"
USUAL_RATE = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.001}


HIDDEN = 256
parsed = lru_cache(maxsize=8)(parse)  # a form asks for the same text again and again


def fitting(shape: tuple[int, ...], classes: int) -> dict[str, str]:
    """What a recipe has for samples of this shape where nothing else is said: an MLP with one hidden layer, and the loss.

    Without classes there is one number to predict.
    """
    flatten = "nn.Flatten(), " if len(shape) > 1 else ""
    first, last = f"nn.Linear({math.prod(shape)}, {HIDDEN})", f"nn.Linear({HIDDEN}, {classes or 1})"
    return {
        "architecture": f"nn.Sequential({flatten}{first}, nn.ReLU(), {last})",
        "loss": CROSS_ENTROPY if classes else MEAN_SQUARED,
    }


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=65_536)


def knob(default: Any, label: str, help_: str, option: str, **bounds: Any) -> Any:
    """A field with what the form and the command line need to know of it."""
    return Field(default, title=label, description=help_, json_schema_extra={"option": option}, **bounds)


class Data(Part):
    name: str = knob("", "data set", "name in the catalog; empty: Fashion-MNIST if it is here, else the sample", "--data")
    sha256: str = Field(default="", description="checksum of the data, filled in at the start", pattern="^([0-9a-f]{64})?$")
    validation: float = knob(
        0.1, "validation share", "part of the training set kept for validation", "--validation", ge=0, le=0.9
    )
    normalise: Literal["standard", "range", "none"] = knob(
        "standard", "normalise", "standard: mean 0, deviation 1 over the set; range: 0 to 1", "--normalise"
    )
    shift: int = knob(0, "shift", "move training pictures at random, up to so many pixels; 0: off", "--shift", ge=0, le=1024)
    flip: bool = knob(False, "flip", "mirror half of the training pictures left to right, at random", "--flip")
    crop: float = knob(0.0, "crop", "cut up to this share off the edges at random and stretch; 0: off", "--crop", ge=0, le=0.9)

    @property
    def augments(self) -> bool:
        return bool(self.shift or self.flip or self.crop)


class Optimizer(Part):
    name: Literal["sgd", "adam", "adamw", "rmsprop"] = knob("sgd", "optimizer", "how gradients become steps", "--optimizer")
    lr: float = knob(0.1, "learning rate", "step size; 0.1 for sgd, 0.001 for the others", "--lr", gt=0, le=1e4)
    momentum: float = knob(0.0, "momentum", "for sgd and rmsprop", "--momentum", ge=0, lt=1)
    nesterov: bool = knob(False, "nesterov", "look ahead; sgd with momentum only", "--nesterov")
    weight_decay: float = knob(0.0, "weight decay", "pulls weights to zero", "--weight-decay", ge=0, le=1e3)

    @model_validator(mode="before")
    @classmethod
    def _usual_rate(cls, values: Any) -> Any:
        """Without a learning rate the usual one of the optimiser holds."""
        if isinstance(values, Mapping) and "lr" not in values and values.get("name") in USUAL_RATE:
            return {**values, "lr": USUAL_RATE[values["name"]]}
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs sgd with a momentum above 0")
        if self.momentum and self.name in ("adam", "adamw"):
            raise ValueError(f"{self.name} has no momentum; it is for sgd and rmsprop")
        return self


class Schedule(Part):
    name: Literal["constant", "step", "cosine", "one-cycle"] = knob(
        "constant", "schedule", "how the learning rate changes", "--schedule"
    )
    warmup_steps: int = knob(0, "warm-up", "steps of linear rise at the start", "--warmup-steps", ge=0, le=10**9)
    step_epochs: int = knob(10, "step every", "epochs between drops; schedule step only", "--step-epochs", ge=1, le=10**6)
    gamma: float = knob(0.1, "step factor", "factor at each drop; schedule step only", "--gamma", gt=0, le=1)
    floor: float = knob(0.0, "lowest factor", "end of the cosine", "--floor", ge=0, le=1)


class Checkpoints(Part):
    every_epochs: int = knob(1, "save every epochs", "0: not by epochs", "--checkpoint-epochs", ge=0, le=10**6)
    every_steps: int = knob(0, "save every steps", "0: not by steps", "--checkpoint-steps", ge=0, le=10**9)
    every_minutes: float = knob(0.0, "save every minutes", "0: not by time", "--checkpoint-minutes", ge=0, le=10**6)
    keep: int = knob(3, "keep last", "checkpoints kept beside the best one", "--keep", ge=2, le=10_000)


class Recipe(Part):
    """What was asked of a run. Same recipe, same machine, same thread count: same weights, bit for bit."""

    format: Literal[1] = 1
    name: str = knob("", "run name", "empty: from data set and model", "--name", max_length=64)
    data: Data = Data()
    architecture: str = knob(
        fitting((1, 28, 28), 10)["architecture"], "architecture", "layers in PyTorch's own words", "--architecture"
    )
    weights: str = Field(
        default="",
        description="checksum of the weights to begin with, which lie beside the recipe; empty: drawn from the seed",
        pattern="^([0-9a-f]{64})?$",
    )
    parent: str = Field(
        default="",
        description="the checkpoint that the run goes on from, as RUN/step-0000000044; it is the first of the run's own",
        pattern="^([A-Za-z0-9_.-]+/step-[0-9]+)?$",
        max_length=200,
    )
    loss: Literal["cross-entropy", "mse"] = knob(
        "cross-entropy", "loss", "cross-entropy for classes, mse for numbers", "--loss"
    )
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    batch_size: int = knob(256, "batch size", "samples a step", "--batch-size", ge=1, le=1_000_000)
    epochs: int = knob(10, "epochs", "passes over the training set", "--epochs", ge=1, le=1_000_000)
    seed: int = knob(0, "seed", "of weights, order and dropout", "--seed", ge=0, lt=2**63)
    precision: Literal["float32", "bfloat16"] = knob(
        "float32", "precision", "bfloat16: autocast over float32 weights", "--precision"
    )
    device: str = knob("auto", "device", "auto, cpu, cuda:N, a GPU's UUID or mps", "--device", max_length=64)
    clip_norm: float = knob(0.0, "clip gradients", "largest norm of all gradients; 0: off", "--clip-norm", ge=0, le=1e9)
    patience: int = knob(0, "early stopping", "epochs without a better validation loss; 0: off", "--patience", ge=0, le=10**6)
    on_divergence: Literal["stop", "continue", "skip"] = knob(
        "stop",
        "on divergence",
        "at a loss that is not finite: stop, go on, or leave that step out",
        "--on-divergence",
    )
    gradient_norm_every: int = knob(
        10,
        "gradient norm every",
        "steps between measurements; 0: never",
        "--gradient-norm-every",
        ge=0,
        le=10**6,
    )
    threads: int = knob(0, "threads", "CPU threads; 0: one a core", "--threads", ge=0, le=4096)
    checkpoints: Checkpoints = Checkpoints()

    @field_validator("architecture")
    @classmethod
    def _readable(cls, text: str) -> str:
        try:
            parsed(text)
        except ArchitectureError as error:
            raise ValueError(str(error)) from None
        return text

    @field_validator("device")
    @classmethod
    def _known(cls, device: str) -> str:
        kind, _, index = device.partition(":")
        if (
            device in ("auto", "cpu", "mps", "cuda")
            or (device.startswith(("GPU-", "MIG-")) and device.isascii() and device.isprintable())
            or (kind == "cuda" and index.isascii() and index.isdecimal())
        ):
            return device
        raise ValueError("use auto, cpu, cuda:0 (or another number), a UUID such as GPU-1a2b..., or mps")

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if name and not name.isprintable():
            raise ValueError("use printable characters")
        return name

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.patience and not self.data.validation:
            raise ValueError("early stopping needs a validation share above 0")
        return self


def check(values: Mapping[str, Any]) -> Recipe:
    """The recipe that `values` (nested as in recipe.toml) describe. Raises RecipeError with every problem at once."""
    newer = values.get("format", FORMAT)
    if isinstance(newer, int) and newer > FORMAT:
        raise RecipeError([Problem("format", f"made by a newer mlptui (format {newer}); this one reads up to {FORMAT}")])
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        raise RecipeError([_problem(dict(e)) for e in error.errors(include_url=False)]) from None


PLAIN_WORDS = {
    "missing": "is missing",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "finite_number": "should be a finite number",
}
BOUNDS = {
    "greater_than_equal": ("ge", "should be at least"),
    "greater_than": ("gt", "should be above"),
    "less_than_equal": ("le", "should be at most"),
    "less_than": ("lt", "should be below"),
}


def _problem(error: dict[str, Any]) -> Problem:
    path = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        from difflib import get_close_matches

        close = get_close_matches(path, [f.path for f in fields()], 1, 0.5)
        message = "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")
    elif error["type"] in PLAIN_WORDS:
        message = PLAIN_WORDS[error["type"]]
    elif error["type"] in BOUNDS:
        name, words = BOUNDS[error["type"]]
        message = f"{words} {error['ctx'][name]}"
    else:
        message = message.replace("Input should be", "should be").replace("Input", "it")
    return Problem(path, message)


@dataclass(frozen=True)
class FormField:
    """One knob of the recipe as the form and the command line show it."""

    path: str
    label: str
    help: str
    option: str
    kind: type
    default: Any
    choices: tuple[str, ...] = ()


def fields() -> list[FormField]:
    """Every knob that a person sets, in the order of the form."""
    return list(_fields(Recipe, ""))


def _fields(model: type[BaseModel], prefix: str) -> Iterator[FormField]:
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Part):
            yield from _fields(annotation, f"{prefix}{name}.")
        elif isinstance(info.json_schema_extra, dict):
            choices = tuple(str(a) for a in get_args(annotation)) if get_origin(annotation) is Literal else ()
            yield FormField(
                path=prefix + name,
                label=info.title or name,
                help=info.description or "",
                option=str(info.json_schema_extra["option"]),
                kind=str if choices else annotation if isinstance(annotation, type) else str,
                default=info.default,
                choices=choices,
            )


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"optimizer.lr": 0.1}` as `{"optimizer": {"lr": 0.1}}`."""
    result: dict[str, Any] = {}
    for path, value in flat.items():
        *above, name = path.split(".")
        place = result
        for part in above:
            place = place.setdefault(part, {})
        place[name] = value
    return result


def value_at(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for part in path.split("."):
        value = getattr(value, part)
    return value
