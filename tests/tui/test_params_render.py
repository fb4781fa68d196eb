"""The list of tensors and the views of one are pure: exact lines at any size, whatever the names; filters say why not."""

import itertools
import json
import math
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.bench import REQUESTS
from mlptui.core.parameters import filters
from mlptui.core.parameters.messages import Depth, Drawn, Numbers, Previewed, Put, TensorRow, Use, Viewed
from mlptui.core.text import number, safe, width
from mlptui.store.paths import Paths
from mlptui.tui.parameters_state import SHOWS, ParametersState
from mlptui.tui.render import tensor
from mlptui.tui.render.cells import Glyphs, Line, panel, plain
from mlptui.tui.render.parameters import COMPARED, SORTS, SORTS_COMPARED, Table, table
from mlptui.tui.workbench import Asked, Workbench

from .test_render import HOSTILE, exact

GLYPHS = [Glyphs(), Glyphs(ascii=True), Glyphs(colourless=True), Glyphs(True, True)]
WIDTHS, HEIGHTS = (20, 33, 40, 64, 79, 80, 81, 100, 120, 160, 200), (5, 6, 11, 24, 60)
ODD = [0.0, -0.0, 1.0, -1.0, 9.99999, -9.99999, 0.0005, -0.00049999, 99_999.0, 99_998.99, -99_998.5, 1e9, -1e-9, 1e100,
       -1e-100, 5e-324, 1.7e308, -1.7e308, math.nan, math.inf, -math.inf, 9.99999e-4, 9999.96, -12345.678, 5e-4]  # fmt: skip
LIMITED = settings(derandomize=True, deadline=None, database=None, max_examples=80)
numbers_ = st.builds(
    Numbers,
    stamp=st.just(0),
    **{name: st.none() | st.floats() for name in ("mean", "deviation", "low", "high", "norm", "gradient", "update")},
    zeros=st.none() | st.floats(0, 1),
    bad=st.integers(0, 10**12),
    bins=st.lists(st.integers(0, 10**9), max_size=12).map(tuple),
)
names_ = st.text(max_size=80) | st.sampled_from(HOSTILE)
rows_ = st.builds(
    TensorRow,
    path=names_,
    spelled=names_,
    tensor=st.sampled_from(["parameter", "buffer", "buffer, not saved", "plain tensor"]),
    layer=names_,
    shape=st.none() | st.lists(st.integers(0, 10**9), max_size=6).map(tuple),
    dtype=st.sampled_from(["float32", "int64", "bfloat16", "complex128"]),
    device=st.sampled_from(["cpu", "cuda:0", "meta"]),
    count=st.integers(0, 10**13),
    trainable=st.booleans(),
    gradient=st.booleans(),
    alias_of=st.just("") | names_,
    listed=st.sampled_from(["both", "state_dict", "parameters", ""]),
    drawn=names_,
)


def row(path: str = "0.weight", **facts: object) -> TensorRow:
    values = {"spelled": "[0].weight", "tensor": "parameter", "layer": "Linear", "shape": (8, 4), "dtype": "float32",
              "device": "cpu", "count": 32, "trainable": True, "drawn": "default"}  # fmt: skip
    return TensorRow(path=path, **{**values, **facts})  # type: ignore[arg-type]


def known(**facts: object) -> Numbers:
    values = {"stamp": 0, "mean": -0.0966, "deviation": 0.2657, "low": -0.5, "high": 0.5, "norm": 1.5, "zeros": 0.25,
              "bins": (1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1), "gradient": 0.25, "update": 0.018}  # fmt: skip
    return Numbers(**{**values, **facts})  # type: ignore[arg-type]


def view(rows: list[TensorRow], numbers: Numbers | None = None, **facts: object) -> Table:
    values = {"cursor": 0, "first": 0, "marked": [], "title": f"{len(rows)} tensors", "fact": "sha256 0123456789ab"}
    return Table(rows, lambda _: numbers, **{**values, **facts})  # type: ignore[arg-type]


def in_panel(lines: list[Line], cells: int, height: int, glyphs: Glyphs) -> list[Line]:
    """As the widget shows the lines of a tensor."""
    return panel("title", [], lines, (cells, height), glyphs, True)


def texts(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


@pytest.mark.parametrize("glyphs", GLYPHS, ids=str)
def test_the_list_fills_its_place_at_every_size(glyphs: Glyphs) -> None:
    rows = [row(f"{i}.weight", shape=(10**i, 4), trainable=i % 3 > 0, count=10**i) for i in range(9)]
    rows += [row("8.bias", alias_of="0.weight"), row("lazy", shape=None), row("buffer", tensor="buffer", dtype="int64")]
    for cells in WIDTHS:
        for height in HEIGHTS:
            for numbers in (None, known(), known(mean=None, deviation=math.nan, norm=math.inf, bad=10**9)):
                for foot, sort in (("", ""), ("filter: *.weight   marked: 3", "zeros"), ("x" * 300, "mean")):
                    shown = view(rows, numbers, foot=foot, sort=sort, cursor=3, marked=[rows[3].path], descending=bool(foot))
                    exact(table(shown, cells, height, glyphs, True), cells, height, glyphs)
            exact(table(view([], empty=("nothing here; " * 9,)), cells, height, glyphs, False), cells, height, glyphs)


@given(
    st.lists(rows_, max_size=8),
    st.none() | numbers_,
    st.integers(20, 200),
    st.integers(5, 60),
    st.sampled_from(GLYPHS),
    st.data(),
)
@LIMITED
def test_any_rows_and_numbers_can_be_listed(rows, numbers, cells, height, glyphs, data) -> None:
    first = data.draw(st.integers(0, max(0, len(rows) - 1)))
    shown = view(
        rows,
        numbers,
        cursor=first,
        first=first,
        marked=[r.path for r in rows[::2]],
        title=safe(data.draw(names_), 200),
        sort=data.draw(st.sampled_from(["", *SORTS])),
        foot=safe(data.draw(names_), 200),
        empty=() if rows else ("nothing",),
    )
    exact(table(shown, cells, height, glyphs, data.draw(st.booleans())), cells, height, glyphs)


@given(rows_, st.none() | numbers_, st.integers(20, 200), st.integers(5, 60), st.sampled_from(GLYPHS), st.data())
@LIMITED
def test_any_view_of_any_tensor_can_be_drawn(shown, numbers, cells, height, glyphs, data) -> None:
    floats = st.floats(allow_nan=True, allow_infinity=True)
    across, down = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 12))
    values = tuple(data.draw(st.lists(floats, min_size=across * down, max_size=across * down)))
    bins = tuple(data.draw(st.lists(st.integers(0, 10**9), min_size=40, max_size=40)))
    shares = data.draw(st.just(()) | st.lists(st.floats(0, 1), min_size=40, max_size=40).map(tuple))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    uses = tuple(
        Use(place=safe(p, 200), call=1, norm=abs(n)) for p, n in data.draw(st.lists(st.tuples(names_, finite), max_size=4))
    )
    for show in SHOWS:
        viewed = Viewed(
            path=shown.path, show=show, values=values, columns=across, row=data.draw(st.integers(0, 10**6)),
            column=data.draw(st.integers(0, 10**6)), height=down, width=across, bins=bins, theory=shares,
            low=data.draw(finite),
            high=data.draw(finite), drawn=data.draw(names_), rank=3, pictures=1, uses=uses, norm=1.0, difference=0.5,
            why=data.draw(st.sampled_from(["", "", "because " * 20])),
        )  # fmt: skip
        for one in (viewed, None):
            drawn = tensor.draw(shown, numbers, one, show, (0, 0), (cells - 4, height - 2), glyphs, True)
            exact(in_panel(drawn, cells, height, glyphs), cells, height, glyphs)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_in_their_cells(text: str) -> None:
    for glyphs in GLYPHS:
        rows = [row(text, layer=text, drawn=text), row("b", alias_of=text), row(f"c{text}", shape=None)]
        for cells in (20, 80, 200):
            lines = table(view(rows, known(), foot=safe(text, 60)), cells, 9, glyphs, True)
            exact(lines, cells, 9, glyphs)
            exact(in_panel(tensor.facts(rows[0], known(), cells), cells, 20, glyphs), cells, 20, glyphs)
            found = Previewed(
                tensors=(Drawn(path=text, scheme=text, mean=0, deviation=1, expected_deviation=1, bins=(1,) * 40),) * 6,
                depth=(Depth(place=text, layer=text, forward=(1.0, None), backward=(math.nan, 0.0)),) * 12,
                why=safe(text, 100),
            )
            for sentence, _ in tensor.preview(found, cells, glyphs):
                assert all(c.isprintable() for c in safe(sentence, 2000))


@given(st.floats(-9.9e9, -1e-9) | st.floats(1e-98, 9e98) | st.sampled_from([math.nan, math.inf, -math.inf, None]))
@settings(derandomize=True, deadline=None, database=None, max_examples=800)
def test_a_number_has_at_most_eight_cells_and_says_what_it_is(value: float | None) -> None:
    shown = number(value)
    assert width(shown) <= 8, shown
    if value is None:
        assert shown == "-"
    elif not math.isfinite(value):
        assert shown == str(value)
    else:
        assert math.isclose(float(shown), value, rel_tol=6e-3, abs_tol=6e-5)
        assert (float(shown) < 0) == (value < 0) and (float(shown) == 0) == (value == 0)


WIDE = [-1e10, -9.995e9, -1.7e38, -1.7e308, 1.7e308, -1e-100, 1e-100, 5e-324, 1e100, -2e-46]


@pytest.mark.parametrize("value", [*ODD, *WIDE])
def test_no_odd_number_is_wider_than_its_column(value: float) -> None:
    assert width(number(value)) <= 8, number(value)


def test_columns_stand_below_their_heads_and_numbers_end_where_they_end() -> None:
    for cells in WIDTHS[2:]:
        lines = texts(table(view([row(), row("2.bias", shape=(8,))], known()), cells, 8, Glyphs(), False))
        head, first, second = lines[1:4]
        for name in ("mean", "std", "norm", "min", "max", "grad", "update", "count", "zeros"):
            if f" {name} " in head:
                end = head.index(f" {name} ") + len(name)
                assert first[end] not in " │" and second[end] not in " │", (cells, name, lines)
                assert first[end + 1] == second[end + 1] == " "
        for name in ("shape", "kind", "learns", "dtype", "device", "drawn"):
            if f" {name} " in head:
                start = head.index(f" {name} ") + 1
                assert first[start] != " " and first[start - 1] == " ", (cells, name, lines)


@pytest.mark.parametrize("name", SORTS)
def test_the_column_that_is_sorted_by_has_an_arrow(name: str) -> None:
    numbers = known(bad=3)
    for descending, glyphs, arrow in (
        (True, Glyphs(), "▼"),
        (False, Glyphs(), "▲"),
        (True, Glyphs(True), "v"),
        (False, Glyphs(True), "^"),
    ):
        head = texts(table(view([row()], numbers, sort=name, descending=descending), 260, 6, glyphs, False))[1]
        assert f"{'nan inf' if name == 'bad' else name}{arrow} " in head, head


@pytest.mark.parametrize("name", SORTS_COMPARED)
def test_what_changed_is_sorted_by_each_of_its_columns(name: str) -> None:
    numbers = known(largest=0.5, relative=0.25, cosine=0.999, changed=0.125)
    lines = texts(table(view([row()], numbers, sort=name, columns=COMPARED), 260, 6, Glyphs(), False))
    assert f"{name}▲ " in lines[1], lines
    assert all(cell in lines[2] for cell in ("0.5000", "0.2500", "0.9990", "12 %")), lines


@pytest.mark.parametrize("cells", range(40, 200, 7))
def test_what_changed_fits_any_width_and_the_most_telling_columns_come_first(cells: int) -> None:
    lines = texts(table(view([row()], known(largest=1.0), columns=COMPARED), cells, 6, Glyphs(), True))
    assert {len(line) for line in lines} == {cells}
    heads = [name for name in ("shape", "largest", "relative", "cosine", "changed", "histogram") if name in lines[1]]
    assert heads == ["shape", "largest", "relative", "cosine", "changed", "histogram"][: len(heads)]
    assert cells < 80 or len(heads) >= 5


def lanes(rows: list[TensorRow], first: int = 0, height: int = 40, ascii_only: bool = False) -> list[str]:
    """The marks before each path."""
    lines = texts(table(view(rows, first=first, cursor=first), 80, height, Glyphs(ascii_only), False))
    found = ["".join(itertools.takewhile(lambda c: c in " │╭├╰/+|\\", line[5:])) for line in lines[2:-1]]
    return found[: len(rows) - first]


def margins(rows: list[TensorRow], first: int = 0, height: int = 40, ascii_only: bool = False) -> str:
    """The only column of marks."""
    return "".join(lanes(rows, first, height, ascii_only))


def test_one_tensors_names_are_joined_by_a_line() -> None:
    a, b, c, d, e = (row(n) for n in "abcde")
    assert margins([a, b, c]) == "   "
    assert margins([a, row("b", alias_of="a")]) == "╭╰"
    assert margins([a, b, row("c", alias_of="a"), d]) == "╭│╰ "
    assert margins([a, row("b", alias_of="a"), c, row("d", alias_of="a"), e]) == "╭├│╰ "
    assert margins([a, b, row("c", alias_of="b"), row("d", alias_of="b")], ascii_only=True) == " /+\\"
    # the first name is filtered away
    assert margins([row("c", alias_of="a"), row("d", alias_of="a")]) == "╭╰"
    assert margins([row("c", alias_of="a"), d]) == "  "
    # sorted the other way round
    assert margins([row("c", alias_of="a"), b, a]) == "╭│╰"
    # scrolled into the middle
    many = [a, *(row(str(i)) for i in range(20)), row("z", alias_of="a")]
    assert margins(many, 1) == "│" * 20 + "╰"
    assert margins(many, 0, 8) == "╭││││"
    # two groups through each other, side by side
    crossed = [a, b, row("c", alias_of="a"), row("d", alias_of="b")]
    assert lanes(crossed) == [" ╭", "╭│", "│╰", "╰ "]
    # one behind the other
    assert margins([a, row("c", alias_of="a"), b, row("d", alias_of="b")]) == "╭╰╭╰"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 29), st.integers(5, 40))
@LIMITED
def test_marks_stand_at_names_of_shared_tensors_only_and_lines_between_them(groups, first, height) -> None:
    firsts: dict[int, str] = {}
    rows = []
    for i, group in enumerate(groups):
        rows.append(row(f"t{i}", alias_of=firsts.get(group, "")))
        firsts.setdefault(group, f"t{i}")
    first = min(first, len(rows) - 1)
    marks = lanes(rows, first, height)
    places = {g: [i for i, x in enumerate(groups) if x == g] for g in groups}
    for i, mark in enumerate(marks, first):
        own = places[groups[i]]
        through = any(len(p) > 1 and p[0] < i < p[-1] for p in places.values())
        assert sum(c in "╭├╰" for c in mark) == (len(own) > 1), (groups, i)
        assert ("│" in mark) >= (through and len(own) == 1) and len(mark) == len(marks[0]) <= 3
        assert through or "│" not in mark


def test_the_cursor_and_what_is_frozen_differ_by_glyphs() -> None:
    rows = [row("a"), row("b", trainable=False), row("c", tensor="buffer", trainable=False)]
    for glyphs, tick in ((Glyphs(), "✓"), (Glyphs(True), "yes")):
        lines = texts(table(view(rows, known(), marked=["b"], cursor=2), 120, 8, glyphs, True))
        assert tick in lines[2] and "frozen" in lines[3] and tick not in lines[4] and "frozen" not in lines[4]
        assert lines[3][4:8] == "1 b " and lines[4][2:4] == glyphs.point and lines[2][4] == " "


def test_the_numbers_stand_in_a_grid_with_the_facts_beside() -> None:
    viewed = Viewed(path="0.weight", show="values", values=tuple(float(i) for i in range(32)), columns=4, height=8, width=4)
    for cells in (40, 76, 116):
        lines = texts(tensor.draw(row(), known(), viewed, "values", (1, 2), (cells, 11), Glyphs(), True))
        across = min(4, tensor.grid_size(cells, 11)[1])
        assert lines[0][: 5 + 9 * across].split() == [str(j) for j in range(across)]
        for i in range(8):
            found = lines[1 + i][: 5 + 9 * across].split()
            assert found == [str(i), *(number(float(4 * i + j)) for j in range(across))]
        assert ("parameter of Linear" in lines[0]) == (cells >= 64)
    (cursor,) = [
        text
        for line in tensor.draw(row(), known(), viewed, "values", (1, 2), (76, 11), Glyphs(), True)
        for text, r in line
        if r == "cursor"
    ]
    assert cursor.strip() == number(6.0)


def test_views_without_colours_say_so_and_a_lazy_tensor_says_what_to_do() -> None:
    values = tuple(float(i - 8) for i in range(16))
    viewed = Viewed(path="0.weight", show="heat", values=values, columns=4, whole=True)
    for glyphs in GLYPHS:
        head = texts(tensor.draw(row(), None, viewed, "heat", (0, 0), (76, 11), glyphs, False))[0]
        assert ("blue below 0" in head) == (not glyphs.ascii and not glyphs.colourless)
    lazy = texts(tensor.draw(row(shape=None), None, None, "values", (0, 0), (76, 11), Glyphs(), False))
    assert "has no size yet" in " ".join(lazy)
    why = texts(
        tensor.draw(
            row(),
            known(),
            Viewed(path="0.weight", show="heat", why="no gradient yet"),
            "heat",
            (0, 0),
            (76, 11),
            Glyphs(),
            False,
        )
    )
    assert why[0] == "no gradient yet" and "[8, 4]" in " ".join(why)


# filters

ROWS = [
    row("0.weight"),
    row("0.bias", spelled="[0].bias", shape=(8,), count=8),
    row("block 1.0.weight", spelled='["block 1"][0].weight', layer="Conv2d", trainable=False),
    row("2.running_mean", spelled="[2].running_mean", tensor="buffer", layer="BatchNorm1d", listed="state_dict",
        trainable=False),
    row("4.weight", spelled="[4].weight", alias_of="0.weight"),
    row("rand_weight", spelled=".rand_weight", tensor="plain tensor", listed="", trainable=False, dtype="float64"),
    row("6.weight", spelled="[6].weight", shape=None),
]  # fmt: skip


def passes(text: str, numbers: Numbers | None = None) -> list[str]:
    test = filters.read(text)
    return [r.path for r in ROWS if test(r, numbers)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", [r.path for r in ROWS]),
        (" , ,", [r.path for r in ROWS]),
        ("*.weight", ["0.weight", "block 1.0.weight", "4.weight", "6.weight"]),
        ("/^0\\./", ["0.weight", "0.bias"]),
        ("/^(0|4)\\.w/", ["0.weight", "4.weight"]),
        ("/a{1,2}/", ["0.bias", "2.running_mean", "rand_weight"]),
        ("[04].weight", ["0.weight", "4.weight"]),
        ("?.bias", ["0.bias"]),
        ("frozen", ["block 1.0.weight"]),
        ("buffer", ["2.running_mean"]),
        ("plain", ["rand_weight"]),
        ("alias", ["4.weight"]),
        ("tied", ["4.weight"]),
        ("lazy", ["6.weight"]),
        ("unsaved", ["rand_weight"]),
        ("learns", ["0.weight", "0.bias", "4.weight", "6.weight"]),
        ("parameter", ["0.weight", "0.bias", "block 1.0.weight", "6.weight"]),
        ("named_parameters", ["0.weight", "0.bias", "block 1.0.weight", "6.weight"]),
        ("state_dict", [r.path for r in ROWS if r.path != "rand_weight"]),
        ("conv2d", ["block 1.0.weight"]),
        ("BatchNorm1d", ["2.running_mean"]),
        ("float64", ["rand_weight"]),
        ("block 1", ["block 1.0.weight"]),
        ("BIAS", ["0.bias"]),
        ("*.weight, learns", ["0.weight", "4.weight", "6.weight"]),
        ("*.weight and frozen", ["block 1.0.weight"]),
        ("rand", ["rand_weight"]),
        ('["block 1"]', []),
    ],
)
def test_what_each_filter_leaves(text: str, wanted: list[str]) -> None:
    assert passes(text) == wanted
    assert not filters.needs_numbers(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mean > 0.1", True), ("mean>=0.5", True), ("mean < 0.5", False), ("mean <= 0.5", True), ("mean = 0.5", True),
        ("mean == 0.5", True), ("mean != 0.5", False), ("std > 1", True), ("min < 0", True), ("max > 4", False),
        ("norm < 1e3", True),
        ("zeros > 50%", False), ("zeros = 25 %", None), ("zeros = 25%", True), ("bad > 0", True), ("grad > 0.01", False),
        ("update < 1%", False), ("count > 10", None), ("mean > nan", False), ("max < inf", True),
        ("mean > 0.1, std > 1", True),
        ("mean > 0.1 and std > 9", False), ("std > -1", True),
    ],
)  # fmt: skip
def test_conditions_on_statistics(text: str, holds: bool | None) -> None:
    numbers = known(mean=0.5, deviation=2.0, low=-1.0, high=3.0, norm=9.0, zeros=0.25, bad=2, gradient=None, update=0.02)
    if "25 %" in text:  # a blank before the sign
        with pytest.raises(filters.FilterError):
            filters.read("zeros = x %")
        return
    assert filters.needs_numbers(text)
    if holds is not None:
        assert filters.read(text)(row(), numbers) is holds
        assert filters.read(text)(row(), None) is False


WRONG = [
    "/(/", "/[/", "/*/", "/a{2,1}/", "/(?P<x/", "/\\/", "/(?<=a+)b/", "/(a+)+$/", "/(a*)*b/", "/(a|b+)*c/",
    "/" + "a" * 200 + "/", "/(?P=x)/", "/+/", "/a**/", "/x{99999999999}/", "/(?i/", "/[z-a]/", "/)/", "/(?z)/",
    "stdd > 1", "sdt > 1", "mena < 2", "foo > 1", "weight > 1", "gradient > 0", "zero > 50%", "nan > 0", "shape > 3",
    "dtype = 1",
    "std > x", "std > one", "std > 1.2.3", "std > 0,5x > 1", "std > %", "std > --1", "std > 1e", "std > 0x10",
    "mean = none", "mean == None",
    "min != abc", "max <= []", "norm >= ()", "bad > y", "grad = grad", "update < fast", "count = many", "zeros > half",
    "zeros > %50", "mean>a",
    "*.weight, stdd > 1", "std > 1, mean < x", "learns and stdd > 1", "x" * 301, "*" * 400, ", " * 200,
    "/a/" * 200,
    "std > 1" + " " * 300, "mean > 1 and foo < 2",
]  # fmt: skip


def test_a_regular_expression_goes_with_other_parts() -> None:
    assert passes("/^(0|b)/, frozen") == ["block 1.0.weight"]
    with pytest.raises(filters.FilterError):
        filters.read("frozen, /(/")


def test_an_odd_regular_expression_warns_nobody() -> None:
    filters.read("/[[a]/")


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_filter_is_a_sentence(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(filters.FilterError) as caught:
        filters.read(text)
    assert time.perf_counter() - begun < 0.2
    message = str(caught.value)
    assert 8 < len(message) < 300 and message.isprintable()


NO_CONDITIONS = [
    "std >",
    "std > 0.1 mean",
    "> 0.1",
    "0.1 < std",
    "std > 0.1 or mean > 1",
    "0 < std < 1",
    "std >> 1",
    "std => 1",
]


@pytest.mark.parametrize("text", NO_CONDITIONS)
def test_a_condition_that_is_none_is_said(text: str) -> None:
    with pytest.raises(filters.FilterError):
        filters.read(text)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # C26
@given(st.text(max_size=80) | st.text("/(){}[]+*?.|\\^$a0, <>=%std", max_size=60).map(lambda t: f"/{t}/"))
@settings(derandomize=True, deadline=None, database=None, max_examples=300)
def test_whatever_is_typed_gives_a_test_or_a_sentence(text: str) -> None:
    try:
        test = filters.read(text)
    except filters.FilterError as error:
        assert str(error)
        return
    filters.needs_numbers(text)
    for one in ROWS:
        for numbers in (None, known()):
            assert test(one, numbers) in (True, False)


SLOW = ["/(a|a)*$/", "/(a|aa)+$/", "/a*a*a*a*a*a*b/", "/(.*)(.*)(.*)(.*)x$/", "/^(a|b|ab)*c$/", "/((a+))+$/"]
QUICK = [
    "/(a+)+$/",
    "/(a{1,9}){1,9}$/",
    "/(?:(?:a)*)*$/",
    "/([a-z]+)*$/",
    "/^a+b*$/",
    "/\\d+\\.\\w+$/",
    "*a*a*a*a*a*a*b",
    "[a]*[a]*[a]*[a]*x",
]


@pytest.mark.parametrize("text", [*SLOW, *QUICK])
def test_no_pattern_takes_for_ever_on_long_names(text: str) -> None:
    def ends(*_: object) -> None:
        raise AssertionError(f"{text} takes longer than 0.2 s")

    before = signal.signal(signal.SIGALRM, ends)
    try:
        test = filters.read(text)
        for name in ("a" * 28, "a" * 120 + "!", "ab" * 150):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            test(row(name), None)
    except filters.FilterError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# the state behind

LISTED = [row(f"{i}.weight", count=i) for i in (3, 0, 2, 1)]


def state_with(values: dict[str, Numbers | None]) -> ParametersState:
    from mlptui.core.parameters.messages import Listed

    state = ParametersState()
    state.take(Listed(rows=tuple(LISTED)))
    state.numbers = {path: numbers for path, numbers in values.items() if numbers}
    return state


def test_what_is_not_known_stands_last_both_ways_and_the_cursor_stays_at_its_tensor() -> None:
    state = state_with(
        {"3.weight": known(mean=5.0), "0.weight": known(mean=-1.0), "2.weight": known(mean=math.nan), "1.weight": None}
    )
    state.path = "0.weight"
    state.sort = "mean"
    for descending, begins in ((False, ["0.weight", "3.weight"]), (True, ["3.weight", "0.weight"])):
        state.descending = descending
        state.arrange()
        assert [r.path for r in state.rows][:2] == begins and state.path == "0.weight"
    state.filter = "mean > 0"
    state.arrange()
    assert [r.path for r in state.rows] == ["3.weight"] and state.path == "3.weight"


@pytest.mark.parametrize("numbers", [(math.nan, 0.25), (math.inf,), (-math.inf, 1.0)])
def test_numbers_that_are_not_finite_reach_the_bench(tmp_path: Path, numbers: tuple[float, ...]) -> None:
    sent: list[bytes] = []
    bench = Workbench(Paths(tmp_path, tmp_path, tmp_path), state="ready")
    bench._post = sent.append  # type: ignore[method-assign]
    bench._queue.append(Asked(1, Put(action="clamp", paths=("0.weight",), numbers=numbers), lambda _: None, ""))
    bench._next()
    request = REQUESTS.validate_python(json.loads(sent[0])["request"])
    assert [str(n) for n in request.numbers] == [str(n) for n in numbers]


@pytest.mark.parametrize(("cells", "rows", "small"), [(76, 12, 2), (76, 40, 1), (20, 40, 2), (10, 6, 4), (1, 1, 28)])
def test_pictures_are_made_smaller_until_one_has_room_whole(cells: int, rows: int, small: int) -> None:
    assert tensor.shrink(cells, rows, (28, 28)) == small
    assert small == 28 or ((-(-28 // small) + 1) // 2 + 1 <= rows - 1 and -(-28 // small) <= cells)


def test_a_smaller_picture_has_the_means() -> None:
    assert tensor.means(tuple(range(12)), 4, 2) == (2.5, 4.5, 8.5, 10.5)
    assert tensor.means((1.0, 2.0, 3.0), 3, 2) == (1.5, 3.0)
