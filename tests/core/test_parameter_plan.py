"""Which tensor of a file goes where: by name, moved, in order; mapped, skipped, sliced; and what holds of every plan."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.errors import UsageError
from mlptui.core.parameters.plan import (
    LEFT,
    LOAD,
    MISSING,
    OTHER_SHAPE,
    RENAMED,
    SAME,
    SKIP,
    SLICE,
    Match,
    Shape,
    match,
    overlap,
)

MLP: dict[str, Shape] = {"1.weight": (256, 784), "1.bias": (256,), "3.weight": (10, 256), "3.bias": (10,)}


def pairs(rows: list[Match]) -> dict[str, str]:
    return {row.target: row.source for row in rows if row.target}


def states(rows: list[Match]) -> list[tuple[str, str]]:
    return [(row.target or row.source, row.state) for row in rows]


def test_the_same_names_are_loaded_in_the_networks_order() -> None:
    rows = match(MLP, dict(reversed(MLP.items())))
    assert rows == [Match(name, name, SAME, LOAD) for name in MLP]


@pytest.mark.parametrize(
    ("targets", "sources"),
    [
        pytest.param(MLP, {f"module.{name}": shape for name, shape in MLP.items()}, id="prefix"),
        pytest.param(MLP, {f"state_dict.net.model.{n}": shape for n, shape in MLP.items()}, id="nested deeper"),
        pytest.param({f"net.{name}": shape for name, shape in MLP.items()}, MLP, id="prefix of the network"),
        pytest.param({f"a.b.{n}": s for n, s in MLP.items()}, {f"c.{n}": s for n, s in MLP.items()}, id="another prefix"),
        pytest.param(
            MLP,
            {"fc1.weight": (256, 784), "fc1.bias": (256,), "fc2.weight": (10, 256), "fc2.bias": (10,)},
            id="other names, in order",
        ),
        pytest.param(
            MLP,
            {"fc1.bias": (256,), "fc1.weight": (256, 784), "out.bias": (10,), "out.weight": (10, 256)},
            id="other names, each layer sorted",
        ),
        pytest.param({"w": (2,)}, {"model.w": (2,)}, id="a name without layers"),
    ],
)
def test_what_moved_is_found_as_a_whole(targets: dict[str, Shape], sources: dict[str, Shape]) -> None:
    rows = match(targets, sources)
    assert [(row.state, row.action) for row in rows] == [(RENAMED, LOAD)] * len(targets)
    assert all(targets[target] == sources[source] for target, source in pairs(rows).items())


def test_a_head_of_another_size_is_found_under_its_prefix_and_not_loaded() -> None:
    sources = {f"module.{name}": shape for name, shape in MLP.items()} | {
        "module.3.weight": (100, 256),
        "module.3.bias": (100,),
    }
    rows = match(MLP, sources)
    assert pairs(rows) == {name: f"module.{name}" for name in MLP}
    assert [(row.state, row.action) for row in rows] == [(RENAMED, LOAD)] * 2 + [(OTHER_SHAPE, SKIP)] * 2


def test_what_one_side_lacks_is_missing_or_left_over() -> None:
    sources = {"1.weight": (256, 784), "1.bias": (256,), "other.deep.running_mean": (9,), "epoch": ()}
    rows = match(MLP, sources)
    assert states(rows) == [
        ("1.weight", SAME), ("1.bias", SAME), ("3.weight", MISSING), ("3.bias", MISSING),
        ("other.deep.running_mean", LEFT), ("epoch", LEFT),
    ]  # fmt: skip
    assert (
        match({}, {}) == []
        and states(match({}, {"a": ()})) == [("a", LEFT)]
        and states(match({"a": ()}, {})) == [("a", MISSING)]
    )


def test_layers_of_other_kinds_are_not_guessed_by_their_order() -> None:
    rows = match({"a.weight": (2, 2), "a.bias": (2,)}, {"x.gamma": (2, 2), "x.beta": (2,)})
    assert [row.state for row in rows] == [MISSING, MISSING, LEFT, LEFT]
    assert [row.state for row in match({"a.weight": (2, 2)}, {"x.gamma": (2,)})] == [MISSING, LEFT]


def test_a_map_goes_before_what_is_found_and_takes_it_from_there() -> None:
    targets: dict[str, Shape] = {"a": (2,), "b": (2,)}
    assert pairs(match(targets, targets, {"a": "b", "b": "a"})) == {"a": "b", "b": "a"}
    rows = match(targets, targets, {"a": "b"})
    assert states(rows) == [("a", RENAMED), ("b", MISSING), ("a", LEFT)] and rows[0] == Match("a", "b", RENAMED, LOAD)
    assert match(targets, {"x": (3,)}, {"a": "x"})[0] == Match("a", "x", OTHER_SHAPE, SKIP)


def test_skipped_stays_and_sliced_takes_the_common_part() -> None:
    sources = {**MLP, "3.weight": (4, 300), "3.bias": (20,)}
    rows = match(MLP, sources, skipped=frozenset({"1.bias"}), sliced=frozenset({"3.weight", "1.weight"}))
    assert [row.action for row in rows] == [LOAD, SKIP, SLICE, SKIP], "what has the same shape is loaded whole"
    assert [row.state for row in rows] == [SAME, SAME, OTHER_SHAPE, OTHER_SHAPE]
    both = match(MLP, sources, skipped=frozenset({"3.weight"}), sliced=frozenset({"3.weight"}))
    assert both[2].action == SKIP
    assert overlap((10, 256), (4, 300)) == (slice(0, 4), slice(0, 256)) and overlap((), ()) == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mapped": {"no\x1b[2Jne": "1.bias"}}, "the network has no tensor no␛[2Jne"),
        ({"mapped": {"1.bias": "none"}}, "the file has no tensor none"),
        ({"skipped": frozenset({"none"})}, "the network has no tensor none"),
        ({"sliced": frozenset({"none"})}, "the network has no tensor none"),
        ({"mapped": {"1.bias": "1.weight"}, "sliced": frozenset({"1.bias"})}, "the same number of dimensions"),
    ],
    ids=str,
)
def test_names_that_are_not_there_and_slices_without_sense_are_one_sentence(given: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        match(MLP, MLP, **given)  # type: ignore[arg-type]
    assert says in str(caught.value) and str(caught.value).isprintable()


PART = st.sampled_from(["a", "b", "0", "1", "net", "weight", "bias"])
NAME = st.lists(PART, min_size=1, max_size=4).map(".".join)
TENSORS = st.dictionaries(NAME, st.lists(st.integers(0, 3), max_size=2).map(tuple), max_size=12)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(TENSORS, TENSORS, st.data())
def test_every_target_stands_once_every_source_at_most_once_and_only_what_fits_is_loaded(
    targets: dict[str, Shape], sources: dict[str, Shape], data: st.DataObject
) -> None:
    mapped: dict[str, str] = {}
    if targets and sources:
        some = data.draw(st.lists(st.sampled_from(sorted(targets)), unique=True, max_size=3))
        others = data.draw(st.permutations(sorted(sources)))
        mapped = dict(zip(some, others, strict=False))
    skipped = frozenset(data.draw(st.sets(st.sampled_from(sorted(targets) or ["-"]), max_size=2))) & targets.keys()
    rows = match(targets, sources, mapped, skipped)
    assert [row.target for row in rows if row.target] == list(targets)
    used = [row.source for row in rows if row.source]
    assert sorted(used) == sorted(sources), "each is used once, or left over"
    for row in rows:
        if row.action == LOAD:
            assert targets[row.target] == sources[row.source] and row.target not in skipped
        assert row.action in (LOAD, SKIP) and (row.state == MISSING) == (row.source == "")
        assert (row.state == SAME) == (row.target == row.source and targets.get(row.target) == sources.get(row.source))
        assert row.target not in mapped or row.source == mapped[row.target]


@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(TENSORS, st.sampled_from(["module.", "x.y.z.", "_orig_mod."]))
def test_a_prefix_before_every_name_is_always_seen(targets: dict[str, Shape], prefix: str) -> None:
    moved = {prefix + name: shape for name, shape in targets.items()}
    assert pairs(match(targets, moved)) == {name: prefix + name for name in targets}
    assert pairs(match(moved, targets)) == {prefix + name: name for name in targets}


def test_names_deep_in_one_another_are_compared_in_time() -> None:
    def names(begin: str) -> dict[str, tuple[int, ...]]:
        return {f"{begin}{i}." + "p." * 58 + str(k): (1,) for i in range(400) for k in range(10)}

    begun = time.process_time()
    assert len(match(names("x"), names("y"))) == 4_000
    assert time.process_time() - begun < 10, "1.5 s where this was written, minutes before"
