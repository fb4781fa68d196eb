"""A person's own tables: what is read is what stands there, and what cannot be read is named with its line."""

import bz2
import gzip
import lzma
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.server import within

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, library, own, prepared
from mlptui.datasets.catalog import ENTRIES
from mlptui.datasets.dataset import TABLE, Dataset
from mlptui.datasets.sources.source import Options
from mlptui.store.paths import Paths

NAME = "mine"
Write = Callable[..., Path]
HEADER = "width,colour,label\n"
ROWS = "".join(f"{i / 4},{'red' if i % 3 else 'blue'},{'yes' if i % 2 else 'no'}\n" for i in range(40))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    folder = tmp_path / "theirs"
    folder.mkdir()

    def act(text: str | bytes, name: str = "data.csv") -> Path:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / name

    return act


def added(paths: Paths, source: Path, **options: Any) -> Dataset:
    own.add(paths, NAME, source, Options(**options))
    data = library.load(paths, NAME)
    assert np.isfinite(data.train.inputs).all() and np.isfinite(data.test.inputs).all()
    return data


def refused(paths: Paths, source: Path, **options: Any) -> str:
    """One sentence, by the look and by the attempt to add; nothing is written."""
    sentences = set()
    for act in (
        lambda: own.look(source, Options(**options)),
        lambda: own.add(paths, NAME, source, Options(**options)),
        lambda: own.add(paths, NAME, source, Options(**options), copy=True),
    ):
        error = within(act)
        assert isinstance(error, DataError), error
        sentences.add(str(error))
    assert not (paths.datasets / NAME).exists() and not list(paths.data.rglob(".tmp*"))
    assert len(sentences) == 1
    sentence = sentences.pop()
    assert sentence.isprintable() and len(sentence) < 600
    return sentence


def shown(source: Path, **options: Any) -> own.Look:
    seen = own.look(source, Options(**options))
    assert all(line.isprintable() for line in (*seen.lines, *seen.warnings))
    return seen


def test_a_table_of_numbers_categories_and_classes(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    seen = shown(source)
    assert seen.lines[0] == "32 rows to train on, 8 to test on; label 'label': 2 classes: no, yes"
    assert "1 column of numbers, 1 of categories, 3 features in all" in seen.lines
    data = added(paths, source)
    assert data.facts.kind == TABLE and data.facts.classes == ("no", "yes") and not data.facts.regression
    assert [c.name for c in data.facts.columns] == ["width", "colour=blue", "colour=red"]
    assert data.train.inputs.shape == (32, 3) and data.train.inputs.dtype == np.float32
    assert data.train.targets.dtype == np.uint8 and sum(data.facts.train_counts) == 32
    rows = {tuple(r) for part in (data.train, data.test) for r in part.inputs.tolist()}
    assert rows == {(i / 4, float(i % 3 == 0), float(i % 3 != 0)) for i in range(40)}
    for part in (data.train, data.test):
        assert all(int(width * 4) % 2 == target for (width, *_), target in zip(part.inputs, part.targets, strict=True))


def test_the_same_rows_are_held_out_every_time(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    first = np.array(added(paths, source).test.inputs)
    library.remove(paths, NAME)
    assert np.array_equal(first, added(paths, source).test.inputs)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found(paths: Paths, write: Write, delimiter: str, end: str) -> None:
    data = added(paths, write((HEADER + ROWS).replace(",", delimiter).replace("\n", end)))
    assert data.train.inputs.shape == (32, 3)


def test_quoted_cells_may_hold_anything(paths: Paths, write: Write) -> None:
    rows = "".join(f'{i},"a, ""b""\n{i % 2}",{"x" if i % 2 else "y"}\n' for i in range(20))
    data = added(paths, write('n,"text, quoted",label\n' + rows))
    assert [c.name for c in data.facts.columns][1].startswith('text, quoted=a, "b"')
    assert len(data.facts.columns) == 3


def test_a_header_with_quoted_commas_and_semicolons_between(paths: Paths, write: Write) -> None:
    rows = "".join(f"{i};{i % 5};{'x' if i % 2 else 'y'}\n" for i in range(20))
    data = added(paths, write('"length, width, height";"b";"label"\n' + rows))
    assert data.train.inputs.shape == (16, 2)


@pytest.mark.parametrize(
    ("text", "header", "columns"),
    [
        ("a,b,c\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "", ["a", "b"]),
        ("1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "", ["column 1", "column 2"]),
        ("a,b,c\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "yes", ["a", "b"]),
        ("1,2,3\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "yes", ["1", "2"]),
        ("red,green\nblue,red\nred,red\nblue,green\nred,red\nblue,red\n", "no", ["column 1=blue", "column 1=red"]),
        (" a , b ,c\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "", ["a", "b"]),
        (",b,c\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,10,x\n", "", ["column 1", "b"]),
    ],
)
def test_the_header_is_found(paths: Paths, write: Write, text: str, header: str, columns: list[str]) -> None:
    assert [c.name for c in added(paths, write(text), header=header).facts.columns] == columns


def test_a_byte_order_mark_is_no_part_of_a_name(paths: Paths, write: Write) -> None:
    assert added(paths, write(b"\xef\xbb\xbf" + (HEADER + ROWS).encode())).facts.columns[0].name == "width"


@pytest.mark.parametrize(
    ("name", "pack"), [("d.csv.gz", gzip.compress), ("d.csv.bz2", bz2.compress), ("d.csv.xz", lzma.compress)]
)
def test_compressed_tables(paths: Paths, write: Write, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert len(added(paths, write(pack((HEADER + ROWS).encode()), name)).train) == 32
    library.remove(paths, NAME)
    assert "cut short" in refused(paths, write(pack((HEADER + ROWS).encode())[:-9], name))


@pytest.mark.parametrize(
    ("name", "pack"), [("d.csv.gz", gzip.compress), ("d.csv.bz2", bz2.compress), ("d.csv.xz", lzma.compress)]
)
def test_files_compressed_in_pieces_are_read_whole(
    paths: Paths, write: Write, name: str, pack: Callable[[bytes], bytes]
) -> None:
    """`cat a.gz b.gz`, bgzip, pbzip2: more than one member."""
    source = write(pack((HEADER + ROWS).encode()) + pack(ROWS.encode()), name)
    data = added(paths, source)
    assert len(data.train) + len(data.test) == 80


@pytest.mark.parametrize("name", ["d.tsv", "d.txt", "d.data", "D.CSV"])
def test_other_endings(paths: Paths, write: Write, name: str) -> None:
    assert len(added(paths, write((HEADER + ROWS).replace(",", "\t"), name)).train) == 32


# labels


@pytest.mark.parametrize(("label", "features"), [("label", 3), ("3", 3), ("colour", 3), ("2", 3), ("", 3)])
def test_the_label_by_name_or_number(paths: Paths, write: Write, label: str, features: int) -> None:
    data = added(paths, write(HEADER + ROWS), label=label)
    assert data.facts.classes == (("blue", "red") if label in ("colour", "2") else ("no", "yes"))
    assert data.train.inputs.shape[1] == features


def test_a_name_goes_before_a_number(paths: Paths, write: Write) -> None:
    rows = "".join(f"{i},{'ab'[i % 2]},{'xyz'[i % 3]}\n" for i in range(30))
    assert added(paths, write("3,1,2\n" + rows), label="1", header="yes").facts.classes == ("a", "b")


@pytest.mark.parametrize("label", ["nothing", "0", "4", "-1", "²", "\x1b[31m", "[/red]", "x" * 5000])
def test_a_label_that_is_not_there_is_named(paths: Paths, write: Write, label: str) -> None:
    assert "data.csv has no column" in refused(paths, write(HEADER + ROWS), label=label)


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        ([i / 10 for i in range(40)], "", 0),
        ([i % 2 for i in range(40)], "", 2),
        ([f"{i % 10}.0" for i in range(40)], "", 10),
        ([i % 20 for i in range(40)], "", 20),
        (list(range(40)), "", 0),
        (list(range(40)), "classes", 40),
        ([i % 2 for i in range(40)], "regression", 0),
        (["-1" if i % 2 else "1" for i in range(40)], "", 2),
        ([f"1e{i % 3}" for i in range(40)], "", 3),
        (["True" if i % 2 else "False" for i in range(40)], "", 2),
        (["" if i == 7 else i % 2 for i in range(40)], "", 2),
        ([f"{i / 10}" if i else "unknown" for i in range(40)], "classes", 40),
        ([10**30 if i % 2 else 1 for i in range(40)], "", 2),
    ],
)
def test_classes_or_a_number_to_predict(paths: Paths, write: Write, labels: list[Any], task: str, classes: int) -> None:
    source = write("a,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))
    data = added(paths, source, task=task)
    assert len(data.facts.classes) == classes and data.facts.regression == (not classes)
    if not classes:
        wanted = sorted(float(label) for label in labels)
        assert np.allclose(sorted([*data.train.targets.tolist(), *data.test.targets.tolist()]), wanted)
        target = data.facts.target
        assert target is not None and target.name == "label" and target.low <= target.mean <= target.high


def test_whole_numbers_are_classes_in_their_order(paths: Paths, write: Write) -> None:
    source = write("a,label\n" + "".join(f"{i},{(i % 12) * 5}\n" for i in range(60)))
    assert added(paths, source).facts.classes == tuple(str(5 * i) for i in range(12))


def test_numbers_of_many_values_are_said_to_be_numbers(write: Write) -> None:
    seen = shown(write("a,label\n" + "".join(f"{i},{i}\n" for i in range(40))))
    assert "taken as numbers to predict (--task classes says otherwise)" in seen.warnings[0]


def test_rows_without_a_label_are_left_out_and_told(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS + "1,red,\n2,red,NA\n3,red,?\n")
    assert "3 rows without a label left out" in shown(source).warnings
    assert len(added(paths, source).train) == 32


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "data.csv is empty"),
        ("\n\n\n", "data.csv is empty"),
        ("a,b\n", "data.csv has one row only"),
        ("a\n1\n2\n", "data.csv has no two columns"),
        ("a,b\n1,\n2,\n", "0 samples are too few"),
        ("a,b\n1,x\n2,y\n", "too few to hold some out"),
        ("a,b\n" + "1,x\n" * 20, "all labels are the same (x)"),
        ("a,b,a\n" + "1,2,3\n" * 20, "has several columns called a"),
        ("a, b ,b\n" + "1,2,3\n" * 20, "has several columns called b"),
        ("a,b\n1,x\n2\n3,y\n", "line 3: 1 cells where 2 are right"),
        ("a,b\n1,x\n\n2,y,z\n", "line 4: 3 cells where 2 are right"),
        ("a,b\n" + "".join(f",{'xy'[i % 2]}\n" for i in range(20)), "has no column to learn from"),
        ("a,b\n" + "".join(f"t{i},{'xy'[i % 2]}\n" for i in range(200)), "has no column to learn from"),
        ("a,b\n1,x\n" + "2," + "y" * 200_000 + "\n3,x\n", "line 3: field larger than field limit"),
        (b"a,b\n1,x\n2,caf\xe9\n3,x\n", "line 3: not UTF-8; save it as UTF-8"),
        (b"\xff\xfea\0,\0b\0", "line 1: not UTF-8"),
        (b"a,b\n1,x\n2,\x00\n", "NUL"),
        (b"\0" * 1000, "NUL"),
        ("a b c\n1 2 3\n", "cells are separated by comma, semicolon, tab or bar"),
    ],
)
def test_what_is_no_table_is_named(paths: Paths, write: Write, text: str | bytes, words: str) -> None:
    assert words in refused(paths, write(text))


@pytest.mark.parametrize("options", [{"task": "regression"}, {"task": "guess"}, {"test_share": 0.0}, {"test_share": 1.5},
                                     {"test_share": math.nan}, {"test": "/nowhere.csv"}, {"size": -1}])  # fmt: skip
def test_options_that_cannot_be(paths: Paths, write: Write, options: dict[str, Any]) -> None:
    refused(paths, write(HEADER + ROWS), **options)


def test_too_many_classes_are_named(paths: Paths, write: Write) -> None:
    source = write("a,label\n" + "".join(f"{i},t{i}\n" for i in range(10_001)))
    assert "10,001 different labels are too many" in refused(paths, source)


def test_a_quote_that_is_never_closed_is_named(paths: Paths, write: Write) -> None:
    rows = "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40))
    assert "line" in refused(paths, write("a,b\n" + rows + '5,"open\n' + rows))


def test_long_names_of_columns_may_begin_alike(paths: Paths, write: Write) -> None:
    long = "How much do you agree with the following, from 1 to 5, all things considered: "
    rows = "".join(f"{i},{i % 5},{'xy'[i % 2]}\n" for i in range(40))
    assert added(paths, write(f'"{long}one","{long}two",label\n' + rows)).train.inputs.shape == (32, 2)


# cells


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "NaN", "null", "None", "?", "-", "  "])
def test_missing_numbers_become_the_mean_of_training_and_are_told(paths: Paths, write: Write, cell: str) -> None:
    rows = "".join(f"{cell if i % 10 == 0 else 7},{i},{'xy'[i % 2]}\n" for i in range(50))
    source = write("a,b,label\n" + rows)
    assert any(w.startswith("missing values: a (") for w in shown(source).warnings)
    data = added(paths, source)
    column = data.facts.columns[0]
    assert np.all(data.train.inputs[:, 0] == 7) and np.all(data.test.inputs[:, 0] == 7) and 0 < column.missing <= 5


def test_missing_categories_are_a_value_of_their_own(paths: Paths, write: Write) -> None:
    rows = "".join(f"{['red', 'blue', ''][i % 3]},{'xy'[i % 2]}\n" for i in range(60))
    data = added(paths, write("colour,label\n" + rows))
    assert [c.name for c in data.facts.columns] == ["colour=blue", "colour=missing", "colour=red"]
    assert np.all(data.train.inputs.sum(1) == 1)


def test_a_category_that_training_has_not_seen_is_none_of_them(paths: Paths, write: Write) -> None:
    test = write("colour,label\npurple,x\nred,y\n", "test.csv")
    rows = "".join(f"{['red', 'blue'][i % 2]},{'xyx'[i % 3]}\n" for i in range(30))
    data = added(paths, write("colour,label\n" + rows), test=str(test))
    assert data.test.inputs.tolist() == [[0, 0], [0, 1]] and len(data.train) == 30


def test_a_test_file_with_other_columns_is_refused(paths: Paths, write: Write) -> None:
    test = write("color,label\nred,x\nred,y\n", "test.csv")
    assert "has other columns than data.csv" in refused(paths, write(HEADER + ROWS), test=str(test))


@pytest.mark.parametrize("cell", ["1e400", "-1e400", "inf", "-Infinity", "1e39"])
def test_numbers_beyond_float32_never_become_infinite(paths: Paths, write: Write, cell: str) -> None:
    rows = "".join(f"{cell if i == 3 else i % 7},{i},{'xy'[i % 2]}\n" for i in range(50))
    data = added(paths, write("a,b,label\n" + rows))
    assert "b" in [c.name for c in data.facts.columns]


def test_a_column_of_numbers_with_one_typo_is_told(write: Write) -> None:
    rows = "".join(f"{'12,5x' if i == 3 else i % 7};{i};{'xy'[i % 2]}\n" for i in range(50))
    assert any("a" in w for w in shown(write("a;b;label\n" + rows)).warnings)


@pytest.mark.parametrize("cell", ["1e-400", "1e-45", "-0.0", "3.4e37", "+5", " 5 ", "5."])
def test_small_and_odd_numbers_are_numbers(paths: Paths, write: Write, cell: str) -> None:
    rows = "".join(f"{cell if i % 2 else i},{'xy'[i % 2]}\n" for i in range(50))
    assert [c.name for c in added(paths, write("a,label\n" + rows)).facts.columns] == ["a"]


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "[/red]", "[bold]", "=cmd|' /C calc'!A0", "@SUM(1)", "\u202eevil", "\x07", "é" * 40]
)
def test_foreign_text_is_shown_and_never_obeyed(paths: Paths, write: Write, text: str) -> None:
    rows = "".join(f"{i},{text if i % 2 else 'b'},{text if i % 3 else 'c'}\n" for i in range(50))
    source = write(f"n,{text} column,{text}\n" + rows)
    seen = shown(source)
    data = added(paths, source)
    facts = (*data.facts.classes, *(c.name for c in data.facts.columns), data.facts.title, data.facts.origin)
    assert all(f.isprintable() for f in facts) and len(data.facts.classes) == 2
    assert len(seen.lines[0]) < 600


def test_texts_of_too_many_values_are_left_out_and_told(paths: Paths, write: Write) -> None:
    rows = "".join(f"name {i},{i},{'xy'[i % 2]}\n" for i in range(200))
    source = write("who,n,label\n" + rows)
    assert any("columns left out: who (" in w for w in shown(source).warnings)
    assert [c.name for c in added(paths, source).facts.columns] == ["n"]


def test_a_constant_column_keeps_its_scale(paths: Paths, write: Write) -> None:
    data = added(paths, write("a,label\n" + "".join(f"5,{'xy'[i % 2]}\n" for i in range(30))))
    assert (data.facts.columns[0].mean, data.facts.columns[0].deviation) == (5, 1)


# adding, decoding, removing


def test_a_look_and_a_dry_run_write_nothing(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    before = source.stat()
    own.look(source)
    assert not paths.data.exists() and os.listdir(source.parent) == ["data.csv"]
    assert (source.stat().st_mtime_ns, source.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_nothing_is_written_outside_of_its_folder(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    own.add(paths, NAME, source)
    assert library.state(paths, NAME).kind == library.ADDED
    assert os.listdir(paths.datasets / NAME) == ["set.json"]
    library.load(paths, NAME)
    assert library.state(paths, NAME).kind == library.HERE
    assert set(os.listdir(paths.datasets)) <= {NAME, ".jobs"} and os.listdir(source.parent) == ["data.csv"]
    assert set(os.listdir(paths.data)) == {"datasets"}
    library.remove(paths, NAME)
    assert source.read_text() == HEADER + ROWS and not (paths.datasets / NAME).exists()


def test_a_source_that_changed_is_refused_at_decoding(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    own.add(paths, NAME, source)
    write(HEADER + ROWS + "1,red,yes\n")
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and "changed since it was added; 'mlptui data remove mine', then add it again" in str(
        error
    )
    assert library.state(paths, NAME).kind == library.ADDED


@pytest.mark.parametrize("which", ["test.csv", "data.csv"])
def test_a_source_that_is_gone_is_said(paths: Paths, write: Write, which: str) -> None:
    source = write(HEADER + ROWS)
    other = write(HEADER + ROWS, "test.csv")
    own.add(paths, NAME, source, Options(test=str(other)))
    (source.parent / which).unlink()
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and str(error).isprintable()
    assert f"{which} is not there any more" in str(error)


@pytest.mark.parametrize("copy", [True, False])
def test_what_was_decoded_needs_its_source_no_more(paths: Paths, write: Write, copy: bool) -> None:
    source = write(HEADER + ROWS)
    own.add(paths, NAME, source, copy=copy)
    if not copy:
        library.load(paths, NAME)
    source.unlink()
    assert len(library.load(paths, NAME).train) == 32


def test_a_relative_source_is_found_from_anywhere(paths: Paths, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(HEADER + ROWS)
    write(HEADER + ROWS, "test.csv")
    monkeypatch.chdir(source.parent)
    own.add(paths, NAME, Path("data.csv"), Options(test="test.csv"))
    monkeypatch.chdir("/")
    assert len(library.load(paths, NAME).test) == 40


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", "", ".", "..", ".hidden", "Mine", "a b", "é", "x" * 49, "a\n", "\x1b[31m", "-x"]
)
def test_names_that_are_none(paths: Paths, write: Write, name: str) -> None:
    source = write(HEADER + ROWS)
    for copy in (False, True):
        error = within(lambda: own.add(paths, name, source, copy=copy))  # noqa: B023
        assert isinstance(error, DataError) and "is no name of a data set" in str(error) and str(error).isprintable()
    assert not paths.data.exists()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist-sample", "moons"])
def test_names_of_the_catalog(paths: Paths, write: Write, name: str) -> None:
    source = write(HEADER + ROWS)
    error = within(lambda: own.add(paths, name, source))
    assert isinstance(error, DataError) and "is a name of the catalog; choose another one" in str(error)
    assert name in ENTRIES


def test_a_name_that_is_taken(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    own.add(paths, NAME, source)
    before = (paths.datasets / NAME / catalog.DESCRIPTION).read_bytes()
    error = within(lambda: own.add(paths, NAME, source))
    assert isinstance(error, DataError) and "there is a data set mine already" in str(error)
    assert (paths.datasets / NAME / catalog.DESCRIPTION).read_bytes() == before


@pytest.mark.parametrize("kind", ["fifo", "device", "nothing", "empty name", "long name", "not readable"])
def test_a_source_that_is_no_file(paths: Paths, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "x.csv"
    match kind:
        case "fifo":
            os.mkfifo(source)
        case "device":
            source = Path("/dev/zero")
        case "long name":
            source = tmp_path / ("x" * 300 + ".csv")
        case "empty name":
            source = tmp_path / "\x1b[31m\n.csv"
        case "not readable":
            source.symlink_to(source)
    refused(paths, source)


def test_a_link_to_a_file_is_followed(paths: Paths, write: Write, tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(write(HEADER + ROWS))
    assert len(added(paths, link).train) == 32


def test_a_full_disk_at_decoding_leaves_it_added(paths: Paths, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    own.add(paths, NAME, write(HEADER + ROWS))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    error = within(lambda: library.load(paths, NAME))
    assert isinstance(error, DataError) and "the disk is full" in str(error)
    assert library.state(paths, NAME).kind == library.ADDED and not list(paths.datasets.glob(".tmp*"))
    monkeypatch.undo()
    monkeypatch.setenv("MLPTUI_HOME", str(paths.data))
    assert len(library.load(paths, NAME).train) == 32


def test_a_description_of_an_added_set_says_where_it_lies(paths: Paths, write: Write) -> None:
    source = write(HEADER + ROWS)
    own.add(paths, NAME, source, Options(label="colour"))
    found = prepared.read(paths.datasets / NAME)
    assert found.source["path"] == str(source) and found.source["options"]["label"] == "colour"
    assert library.facts(paths, NAME).origin == str(source) and library.facts(paths, NAME).licence == "your own"


def test_decimal_commas_are_read_and_told(paths: Paths, write: Write) -> None:
    rows = "".join(f"{i},5;{i % 3};{'x' if i % 2 else 'y'}\n" for i in range(30))
    seen = own.look(write("size;other;label\n" + rows))
    assert [c.name for c in seen.facts.columns] == ["size", "other"]
    assert "decimal commas are read as such in size" in seen.warnings


def test_a_label_that_is_almost_right_is_guessed(paths: Paths, write: Write) -> None:
    assert "did you mean 'label'?" in refused(paths, write(HEADER + ROWS), label="lable")
