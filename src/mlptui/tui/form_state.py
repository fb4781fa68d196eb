"""The values of the training form, checked as they are typed."""

import math
from dataclasses import dataclass, field

from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.tree import label, parameter_count
from mlptui.core.errors import ArchitectureError, Problem, RecipeError
from mlptui.core.recipe import USUAL_RATE, FormField, Recipe, check, fields, fitting, nested, parsed, value_at
from mlptui.core.text import count
from mlptui.tui.render.form import FormRow

ORDER = (
    "data.name", "architecture", "epochs", "batch_size", "optimizer.name", "optimizer.lr", "optimizer.momentum",
    "device", "precision", "seed", "data.validation", "schedule.name", "optimizer.weight_decay",
)  # fmt: skip
SUGGESTED = {
    "epochs": ("1", "3", "5", "10", "20", "50", "100"),
    "batch_size": ("32", "64", "128", "256", "512", "1024"),
    "optimizer.lr": ("0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1.0"),
    "optimizer.momentum": ("0.0", "0.5", "0.9", "0.99"),
    "optimizer.weight_decay": ("0.0", "0.0001", "0.001", "0.01"),
    "data.validation": ("0.0", "0.1", "0.2"),
    "data.shift": ("0", "1", "2", "4"),
    "data.crop": ("0.0", "0.1", "0.2", "0.4"),
    "seed": ("0", "1", "2", "3"),
    "clip_norm": ("0.0", "1.0", "5.0"),
    "patience": ("0", "3", "5", "10"),
    "schedule.warmup_steps": ("0", "100", "500"),
}


OF_PICTURES = ("data.shift", "data.flip", "data.crop")


@dataclass(frozen=True)
class DataSet:
    """What the form needs to know of a data set; without classes it has a number to predict."""

    train_size: int
    shape: tuple[int, ...]
    classes: int

    def architectures(self) -> tuple[str, ...]:
        """Networks that fit: one hidden layer, none, two with dropout, and for pictures LeNet's layers."""
        inputs, outputs = math.prod(self.shape), self.classes or 1
        flatten = "nn.Flatten(), " if len(self.shape) > 1 else ""
        deep = (
            f"nn.Sequential({flatten}nn.Linear({inputs}, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256), nn.ReLU(), "
            f"nn.Dropout(0.5), nn.Linear(256, {outputs}))"
        )
        found = [
            fitting(self.shape, self.classes)["architecture"],
            f"nn.Sequential({flatten}nn.Linear({inputs}, {outputs}))",
            deep,
        ]
        if len(self.shape) == 3 and min(self.shape[1:]) >= 12:
            channels, height, width = self.shape
            left = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
            found.append(
                f"nn.Sequential(nn.Conv2d({channels}, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), "
                f"nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear({left}, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), "
                f"nn.Linear(84, {outputs}))"
            )
        return tuple(found)


SAMPLE = DataSet(6_000, (1, 28, 28), 10)


@dataclass
class FormState:
    """Texts by path, only where they differ from the default. `data_sets` are those that can be used now."""

    data_sets: dict[str, DataSet]
    default_data: str
    devices: tuple[str, ...] = ("auto", "cpu")
    texts: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = {f.path: f for f in fields()}
        first = [known.pop(path) for path in ORDER]
        self.fields: list[FormField] = [*first, *(f for f in known.values() if f.path != "loss")]

    def text(self, path: str) -> str:
        return self.texts.get(path, self.default(path))

    def default(self, path: str) -> str:
        if path == "data.name":
            return self.default_data
        if path == "optimizer.lr":
            return str(USUAL_RATE.get(self.text("optimizer.name"), 0.1))
        if path in ("architecture", "loss"):
            return fitting(self.data.shape, self.data.classes)[path]
        value = next(f.default for f in self.fields if f.path == path)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def set_data_sets(self, sets: dict[str, DataSet], default: str) -> None:
        """Other sets can be used, and perhaps another one is the default; what the next run trains on stays."""
        present = self.text("data.name")
        self.data_sets, self.default_data = sets, default
        self.texts.pop("data.name", None)
        if present != default:
            self.texts["data.name"] = present

    @property
    def data(self) -> DataSet:
        """The chosen data set; one that is not here is taken for a set like the sample."""
        return self.data_sets.get(self.text("data.name"), SAMPLE)

    def set(self, path: str, text: str) -> None:
        """Change one value; it can be undone."""
        if text == self.text(path):
            return
        self.history.append(dict(self.texts))
        self.texts.pop(path, None)
        if text != self.default(path):
            self.texts[path] = text

    def undo(self) -> bool:
        if not self.history:
            return False
        self.texts = self.history.pop()
        return True

    def choices(self, path: str) -> tuple[str, ...]:
        if path == "data.name":
            return tuple(self.data_sets)
        if path == "device":
            return self.devices
        if path == "architecture":
            return self.data.architectures()
        known = next(f for f in self.fields if f.path == path)
        if known.kind is bool:
            return ("false", "true")
        return known.choices or SUGGESTED.get(path, ())

    def turned(self, path: str, by: int) -> str | None:
        """The next suggestion after the present value; None where there are none."""
        choices = self.choices(path)
        if not choices:
            return None
        present = self.text(path)
        if present not in choices:
            return choices[0]
        return choices[(choices.index(present) + by) % len(choices)]

    def check(self, trial: dict[str, str] | None = None) -> tuple[Recipe | None, dict[str, str], tuple[str, ...]]:
        """The recipe, or None with an error by path and the problems that belong to no single field."""
        try:
            follow = {path: self.default(path) for path in ("data.name", "architecture", "loss")}
            kept = {path: text for path, text in (self.texts | (trial or {})).items() if self.applies(path)}
            return check(nested(follow | kept)), {}, ()
        except RecipeError as error:
            paths = {f.path for f in self.fields}
            by_path = {p.path: p.message for p in error.problems if p.path in paths}
            return None, by_path, tuple(_sentence(p) for p in error.problems if p.path not in paths)

    def applies(self, path: str) -> bool:
        """Whether a knob means something for the chosen data; what was set stays for the next set that has pictures."""
        return path not in OF_PICTURES or len(self.data.shape) == 3

    def rows(self, errors: dict[str, str]) -> list[FormRow]:
        return [
            FormRow(
                f.label,
                self.shown(f.path) if self.applies(f.path) else "-",
                f.help if self.applies(f.path) else "for pictures; this data set has none",
                errors.get(f.path, ""),
                f.path in self.texts,
                self.choices(f.path) if f.path != "architecture" and len(self.choices(f.path)) <= 4 else (),
            )
            for f in self.fields
        ]

    def shown(self, path: str) -> str:
        text = self.text(path)
        if path == "architecture":
            try:
                return label(parsed(text))
            except ArchitectureError:
                return text
        return text or "-"

    def facts(self, recipe: Recipe | None) -> tuple[str, ...]:
        """What the next run will use, for the workbench line."""
        if recipe is None:
            return (self.text("data.name"), self.shown("architecture"), self.text("device"))
        tree = parsed(recipe.architecture)
        parameters = parameter_count(tree)
        counted = [f"{count(parameters)} parameters"] if parameters is not None else []
        return (recipe.data.name or self.default_data, label(tree), *counted, recipe.device)

    def summary(self, recipe: Recipe | None) -> tuple[str, ...]:
        """What will run, for the second column of a wide terminal."""
        if recipe is None:
            return ("mend what is marked on the left",)
        if self.text("data.name") not in self.data_sets:
            return (f"{self.text('data.name')} is not here; area 1 gets it",)
        train_size = self.data.train_size
        samples = train_size - round(train_size * recipe.data.validation)
        steps = -(-samples // recipe.batch_size)
        lines = [
            f"{count(samples)} samples to train on, {count(train_size - samples)} kept for validation",
            f"{count(steps)} steps an epoch, {count(steps * recipe.epochs)} in all",
            "",
            *to_text(parsed(recipe.architecture), 44).splitlines(),
            "",
            "the same from the command line:",
            "  mlptui train",
        ]
        for f in self.fields:
            if f.path in self.texts and f.path != "architecture" and self.applies(f.path):
                value = value_at(recipe, f.path)
                no = "--no-" + f.option[2:]
                lines.append(f"    {f.option if value else no}" if f.kind is bool else f"    {f.option} {value}")
        if "architecture" in self.texts:
            lines.append('    --architecture "..."')
        return tuple(lines)


def is_architecture(text: str) -> bool:
    try:
        parsed(text)
    except ArchitectureError:
        return False
    return True


def one_line(text: str) -> str:
    """An architecture text on one line that still parses: bindings separated by semicolons."""
    try:
        lines = to_text(parsed(text)).splitlines()
    except ArchitectureError:
        return " ".join(text.split())
    statements: list[str] = []
    for line in lines:
        if statements and (line.startswith((" ", ")", "]"))):
            statements[-1] += line.strip() if line.lstrip().startswith((")", "]")) else " " + line.strip()
        else:
            statements.append(line)
    return "; ".join(s.replace("( ", "(").replace("[ ", "[").replace(",)", ")").replace(",]", "]") for s in statements)


def _sentence(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
