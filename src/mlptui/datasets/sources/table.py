"""CSV: numbers, categories, missing cells; the label in one column."""

import csv
import io
import math
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlptui.core.errors import DataError
from mlptui.core.text import counted, safe
from mlptui.datasets.dataset import TABLE, Column, Facts
from mlptui.datasets.formats.compressed import content
from mlptui.datasets.prepared import Progress, Writer
from mlptui.datasets.sources.source import Options, Seen, classes_of, facts_of, hold_out, listing, memory

MOST_BYTES = 2 << 30
TEXT_COST = 15  # bytes of memory for a byte of text, cells and lists included
MOST_COLUMNS = 20_000
MOST_CATEGORIES = 100
MANY_VALUES = 20
DECIMAL_COMMA = re.compile(r"[+-]?\d*,?\d+([eE][+-]?\d+)?")
MOSTLY = 0.9  # of its cells are numbers: a column of numbers with mistakes
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}
ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".csv.bz2", ".csv.xz")

Cells = list[str]


@dataclass
class Feature:
    """A column of the source: a number, or a category that becomes one column of 0 and 1 for each value."""

    name: str
    place: int
    values: tuple[str, ...] = ()
    mean: float = 0.0
    missing: int = 0

    def encode(self, rows: list[Cells]) -> NDArray[np.float32]:
        """float32 [rows, columns]; an empty number becomes the mean of training, an empty category a value of its own."""
        cells = [row[self.place] for row in rows]
        if self.values:
            places = {value: i for i, value in enumerate(self.values)}
            found = np.zeros((len(rows), len(self.values)), np.float32)
            for i, cell in enumerate(cells):
                place = places.get(_category(cell))
                if place is not None:
                    found[i, place] = 1
            return found
        numbers = [self.mean if number is None else number for number in map(_number, cells)]
        return np.array(numbers, np.float32)[:, None]

    @property
    def names(self) -> list[str]:
        return [f"{self.name}={value}" for value in self.values] or [self.name]


@dataclass
class Table:
    features: list[Feature]
    parts: dict[str, tuple[list[Cells], NDArray[np.generic]]]
    facts: Facts
    seen: Seen = field(default_factory=Seen)

    def write(self, writer: Writer, progress: Progress) -> None:
        width = len(self.facts.columns)
        for part, (rows, targets) in self.parts.items():
            out = writer.array(f"{part}-inputs", (len(rows), width), np.dtype(np.float32))
            at = 0
            for number, feature in enumerate(self.features):
                columns = feature.encode(rows)
                out[:, at : at + columns.shape[1]] = columns
                at += columns.shape[1]
                progress(number + 1, len(self.features))
            writer.put(f"{part}-targets", targets)


def look(path: Path, options: Options, progress: Progress) -> Table:
    """Raises DataError that names the line where there is one."""
    where, seen = safe(path.name, 120), Seen()
    header, rows = read(path, options, seen)
    place = _label_place(header, options.label, where)
    rows, unlabelled = [r for r in rows if not _missing(r[place])], sum(_missing(r[place]) for r in rows)
    if unlabelled:
        seen.warn(f"{counted(unlabelled, 'row')} without a label left out")
    if options.test:
        other, test = read(Path(options.test), options, seen)
        if other != header:
            raise DataError(f"{safe(options.test, 120)} has other columns than {where}")
        parts = {"train": rows, "test": [r for r in test if not _missing(r[place])]}
        if not parts["test"]:
            raise DataError(f"{safe(options.test, 120)} has no row with a label")
    else:
        chosen = hold_out(len(rows), options.test_share)
        parts = {part: [rows[i] for i in c] for part, c in zip(("train", "test"), chosen, strict=True)}
        words = f"{counted(len(parts['test']), 'row')} ({options.test_share:.0%}) held out for the test, always the same"
        seen.lines.append(words)
    labels = [r[place].strip() for part in ("train", "test") for r in parts[part]]
    classes, targets = _targets(labels, options, where, seen)
    features = _features(header, place, parts["train"], seen)
    columns = tuple(Column(name, 0, 1, 0, 0, f.missing) for f in features for name in f.names)
    if not columns:
        raise DataError(f"{where} has no column to learn from")
    if len(columns) > MOST_COLUMNS:
        raise DataError(f"{where} makes {len(columns):,} columns, more than {MOST_COLUMNS:,}")
    target = None if classes else Column(header[place], 0, 1, 0, 0)
    cut = len(parts["train"])
    of_numbers = sum(not f.values for f in features)
    what = f"{len(classes)} classes: {listing(list(classes))}" if classes else "a number to predict (mean squared error, R2)"
    seen.lines.insert(
        0, f"{counted(cut, 'row')} to train on, {len(parts['test']):,} to test on; label {header[place]!r}: {what}"
    )
    categories = f"{len(features) - of_numbers} of categories"
    seen.lines.append(f"{counted(of_numbers, 'column')} of numbers, {categories}, {counted(len(columns), 'feature')} in all")
    missing = [f for f in features if f.missing]
    if missing:
        told = listing([f"{f.name} ({f.missing:,})" for f in missing])
        seen.warn(f"missing values: {told}; numbers become the mean of their column, categories a value of their own")
    made = {"train": (parts["train"], targets[:cut]), "test": (parts["test"], targets[cut:])}
    return Table(features, made, facts_of(TABLE, classes, (len(columns),), (cut, len(parts["test"])), columns, target), seen)


def read(path: Path, options: Options, seen: Seen) -> tuple[list[str], list[Cells]]:
    """Names of the columns, and the rows; decimal commas become points. Raises DataError."""
    where = safe(path.name, 120)
    data = content(path, MOST_BYTES)
    if TEXT_COST * len(data) > memory():
        raise DataError(f"{where} is too much text for the memory here; give its numbers as .npy files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{where}, line {line:,}: not UTF-8; save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{where} holds NUL bytes; it is no text")
    first = re.sub(r'"[^"]*"', "", text[: text.find("\n") if "\n" in text else len(text)])
    delimiter = max(",;\t|", key=first.count)
    rows: list[Cells] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if rows and len(row) != len(rows[0]):
                raise DataError(f"{where}, line {reader.line_num:,}: {len(row)} cells where {len(rows[0])} are right")
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{where}, line {reader.line_num:,}: {safe(error, 120)}") from None
    if not rows:
        raise DataError(f"{where} is empty")
    if len(rows[0]) < 2:
        raise DataError(f"{where} has no two columns; cells are separated by comma, semicolon, tab or bar")
    if len(rows) == 1:
        raise DataError(f"{where} has one row only")
    if _has_header(rows, options.header):
        header, rows = [safe(c.strip(), 200) or f"column {i}" for i, c in enumerate(rows[0], 1)], rows[1:]
    else:
        header = [f"column {i}" for i in range(1, len(rows[0]) + 1)]
    if not rows:
        raise DataError(f"{where} has a header and no rows")
    if delimiter != "," and (commas := [i for i in range(len(header)) if _decimal_commas(rows, i)]):
        seen.warn(f"decimal commas are read as such in {listing([header[i] for i in commas])}")
        rows = [[c.replace(",", ".") if i in commas else c for i, c in enumerate(row)] for row in rows]
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise DataError(f"{where} has several columns called {listing(doubled)}")
    return header, rows


def _has_header(rows: list[Cells], said: str) -> bool:
    """The first row holds names where none of its cells is a number, while some below are, or all differ."""
    if said:
        return said == "yes"
    if any(_number(cell) is not None for cell in rows[0]):
        return False
    below = any(_number(cell) is not None for row in rows[1:20] for cell in row)
    return below or (len(rows) > 1 and len(set(rows[0])) == len(rows[0]) and rows[0] not in rows[1:])


def _decimal_commas(rows: list[Cells], place: int) -> bool:
    """Whether a column holds numbers such as 1,5 where other programs write 1.5."""
    cells = [row[place].strip() for row in rows if not _missing(row[place])]
    return any("," in cell for cell in cells) and all(DECIMAL_COMMA.fullmatch(cell) for cell in cells)


def _label_place(header: list[str], label: str, where: str) -> int:
    if not label:
        return len(header) - 1
    if label in header:
        return header.index(label)
    if label.isascii() and label.isdecimal() and 1 <= int(label) <= len(header):
        return int(label) - 1
    close = get_close_matches(label, header, 1, 0.5)
    meant = f"did you mean {close[0]!r}?" if close else f"there are {listing(header)}"
    raise DataError(f"{where} has no column {safe(label, 60)!r}; {meant}")


def _targets(labels: list[str], options: Options, where: str, seen: Seen) -> tuple[tuple[str, ...], NDArray[np.generic]]:
    """Classes and places, or no classes and numbers: those with a fraction, and whole ones of many values."""
    numbers = [_number(label) for label in labels]
    known = [n for n in numbers if n is not None]
    all_numbers = len(known) == len(numbers)
    if options.task == "regression" and not all_numbers:
        bad = next(label for label, n in zip(labels, numbers, strict=True) if n is None)
        raise DataError(f"{where}: the label {safe(bad, 60)!r} is no number")
    whole = all_numbers and all(n == int(n) for n in known)
    many = whole and len(set(known)) > MANY_VALUES
    if options.task == "regression" or (options.task != "classes" and all_numbers and (not whole or many)):
        if many and not options.task:
            seen.warn(
                "the labels are whole numbers of many values, taken as numbers to predict (--task classes says otherwise)"
            )
        return (), np.array(known, np.float32)
    return classes_of(np.array([int(n) for n in known]) if whole else np.array(labels), where)


def _features(header: list[str], label: int, rows: list[Cells], seen: Seen) -> list[Feature]:
    features, left_out = [], []
    for place, name in enumerate(header):
        if place == label:
            continue
        cells = [row[place] for row in rows]
        present = [cell for cell in cells if not _missing(cell)]
        missing = len(cells) - len(present)
        numbers = [_number(cell) for cell in present]
        known = [n for n in numbers if n is not None]
        strange = [cell for cell, n in zip(present, numbers, strict=True) if n is None]
        if known and len(known) >= MOSTLY * len(present):
            if strange:
                seen.warn(f"column {name}: {counted(len(strange), 'cell')} no number and taken as missing: {listing(strange)}")
            features.append(Feature(name, place, mean=math.fsum(known) / len(known), missing=missing + len(strange)))
            continue
        values = sorted({_category(cell) for cell in cells})
        if not present or len(values) > MOST_CATEGORIES:
            left_out.append(f"{name} ({'empty' if not present else f'{len(values):,} different texts'})")
            continue
        features.append(Feature(name, place, tuple(values), missing=missing))
    if left_out:
        seen.warn(f"columns left out: {listing(left_out)}")
    return features


def _missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _category(cell: str) -> str:
    return "missing" if _missing(cell) else safe(cell.strip(), 60)


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e38 and "_" not in cell else None
