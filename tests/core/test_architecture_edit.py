"""The builder's steps on the tree of layers: what changes, what stays the same object, and where the cursor goes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.architecture import edit, place
from mlptui.core.architecture.edit import EditError, Place, at
from mlptui.core.architecture.parse import MAX_STRING, parse
from mlptui.core.architecture.printer import to_text
from mlptui.core.architecture.tree import Layer, same
from mlptui.core.errors import ArchitectureError

bounded = settings(derandomize=True, deadline=None, max_examples=120, database=None)
Step = Callable[[Layer, Place], tuple[Layer, Place]]

PLAIN = "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))"
NAMED = "nn.Sequential(OrderedDict([('in', nn.Linear(4, 8)), ('act', nn.ReLU()), ('out', nn.Linear(8, 2))]))"
NESTED = "nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2))"
TIED = "s = nn.Linear(8, 8)\nnn.Sequential(nn.Linear(4, 8), s, nn.ReLU(), s)"
TIED_BLOCK = "b = nn.Sequential(nn.Linear(4, 4), nn.ReLU())\nnn.Sequential(b, nn.Tanh(), b, nn.Linear(4, 1))"
TANH = Layer("Tanh")


def kinds(tree: Layer) -> list[str]:
    return [f"{'.'.join(path)}:{layer.kind}" for path, layer in tree.walk()][1:]


def refused(step: Callable[[], object]) -> str:
    with pytest.raises(EditError) as caught:
        step()
    said = str(caught.value)
    assert said and "\n" not in said and len(said) < 200
    return said


# finding and replacing


def test_a_place_names_its_layer_and_a_wrong_one_is_refused_by_its_name() -> None:
    tree = parse(NESTED)
    assert at(tree, ()) is tree
    assert at(tree, ("1", "0")).kind == "Linear"
    for wrong in [("3",), ("1", "2"), ("0", "0"), ("",), ("1", "0", "weight")]:
        assert ".".join(wrong) in refused(lambda wrong=wrong: at(tree, wrong))


def test_replacing_leaves_all_that_does_not_hold_the_layer_the_same_object() -> None:
    tree = parse(NESTED)
    new = edit.replaced(tree, at(tree, ("1", "0")), TANH)
    assert at(new, ("1", "0")) is TANH
    assert all(at(new, path) is at(tree, path) for path in (("0",), ("2",), ("1", "1")))
    assert at(new, ("1",)) is not at(tree, ("1",))


def test_replacing_what_is_not_there_gives_the_tree_itself() -> None:
    tree = parse(NESTED)
    assert edit.replaced(tree, Layer("ReLU"), TANH) is tree


def test_replacing_in_a_tied_block_keeps_the_block_tied() -> None:
    tree = parse(TIED_BLOCK)
    new = edit.replaced(tree, at(tree, ("0", "1")), TANH)
    assert at(new, ("0",)) is at(new, ("2",)) and at(new, ("2", "1")) is TANH


def test_a_copy_is_the_same_network_with_no_layer_in_common_and_its_ties_kept() -> None:
    tree = parse(TIED)
    twin = edit.copied(tree)
    assert same(twin, tree)
    assert not {id(layer) for _, layer in twin.walk()} & {id(layer) for _, layer in tree.walk()}
    assert at(twin, ("1",)) is at(twin, ("3",))


# adding


@pytest.mark.parametrize(("where", "index"), [(("0",), "1"), (("1",), "2"), (("2",), "3")])
def test_a_layer_is_added_after_the_place_and_its_siblings_are_numbered_anew(where: Place, index: str) -> None:
    tree = parse(PLAIN)
    new, cursor = edit.add(tree, where, TANH)
    assert cursor == (index,) and at(new, cursor) is TANH
    assert [name for name, _ in new.children] == ["0", "1", "2", "3"]
    assert [child for _, child in new.children if child is not TANH] == [child for _, child in tree.children]


def test_adding_at_the_network_itself_adds_at_its_end() -> None:
    new, cursor = edit.add(parse(PLAIN), (), TANH)
    assert cursor == ("3",) and at(new, cursor) is TANH


def test_adding_inside_of_a_container_adds_at_its_end() -> None:
    tree = parse(NESTED)
    new, cursor = edit.add(tree, ("1",), TANH, inside=True)
    assert cursor == ("1", "2") and at(new, cursor) is TANH and at(new, ("1", "0")) is at(tree, ("1", "0"))


def test_adding_to_an_empty_container_and_to_one_of_d2l() -> None:
    new, cursor = edit.add(parse("nn.Sequential()"), (), TANH)
    assert cursor == ("0",) and kinds(new) == ["0:Tanh"]
    new, cursor = edit.add(parse("MySequential(nn.ReLU())"), (), TANH)
    assert cursor == ("1",) and new.kind == "MySequential"


def test_adding_to_a_single_layer_puts_it_into_a_sequential_first() -> None:
    single = parse("nn.Linear(4, 2)")
    for inside in (False, True):
        new, cursor = edit.add(single, (), TANH, inside=inside)
        assert kinds(new) == ["0:Linear", "1:Tanh"] and cursor == ("1",) and at(new, ("0",)) is single


def test_nothing_is_added_inside_of_a_leaf() -> None:
    assert "holds no layers" in refused(lambda: edit.add(parse(PLAIN), ("0",), TANH, inside=True))


def test_code_from_elsewhere_stands_inside_of_a_network_by_a_name_of_its_own() -> None:
    foreign = parse("nets.py:MLP(hidden=2)")
    for new, cursor in (
        edit.add(parse(PLAIN), ("0",), foreign),
        edit.add(parse(PLAIN), (), foreign),
        edit.add(parse(NESTED), ("1",), foreign, inside=True),
        edit.change(parse(PLAIN), ("1",), foreign),
    ):
        assert at(new, cursor) is foreign
        text = to_text(new)
        assert text.startswith('MLP_ = "nets.py:MLP"\n') and "MLP_(hidden=2)" in text
        assert same(parse(text), new)


def test_a_new_layer_among_named_ones_gets_a_free_number_and_the_names_stay() -> None:
    new, cursor = edit.add(parse(NAMED), ("in",), TANH)
    assert [name for name, _ in new.children] == ["in", "1", "act", "out"] and cursor == ("1",)
    again, cursor = edit.add(new, ("in",), Layer("ReLU"))
    assert [name for name, _ in again.children] == ["in", "0", "1", "act", "out"] and cursor == ("0",)
    assert at(again, cursor).kind == "ReLU"


def test_a_layer_added_inside_of_a_tied_block_shows_in_all_its_places() -> None:
    new, cursor = edit.add(parse(TIED_BLOCK), ("2", "0"), TANH)
    assert cursor == ("2", "1")
    assert at(new, ("0",)) is at(new, ("2",)) and at(new, ("0", "1")) is TANH


def test_a_layer_added_beside_a_tied_one_leaves_the_tie() -> None:
    new, _ = edit.add(parse(TIED), ("1",), TANH)
    assert kinds(new) == ["0:Linear", "1:Linear", "2:Tanh", "3:ReLU", "4:Linear"]
    assert at(new, ("1",)) is at(new, ("4",))


# deleting


@pytest.mark.parametrize(("where", "cursor"), [("0", "0"), ("1", "1"), ("2", "1")])
def test_after_deleting_the_cursor_is_on_the_next_layer_or_on_the_last(where: str, cursor: str) -> None:
    tree = parse(PLAIN)
    new, found = edit.delete(tree, (where,))
    assert found == (cursor,) and len(new.children) == 2
    kept = [child for name, child in tree.children if name != where]
    assert [child for _, child in new.children] == kept and [name for name, _ in new.children] == ["0", "1"]


def test_deleting_the_last_child_leaves_an_empty_container_and_the_cursor_on_it() -> None:
    new, cursor = edit.delete(parse("nn.Sequential(nn.Sequential(nn.ReLU()))"), ("0", "0"))
    assert cursor == ("0",) and at(new, cursor).children == ()
    new, cursor = edit.delete(new, ("0",))
    assert cursor == () and kinds(new) == []
    assert "whole network" in refused(lambda: edit.delete(new, ()))


def test_deleting_among_named_layers_keeps_the_other_names() -> None:
    new, cursor = edit.delete(parse(NAMED), ("act",))
    assert [name for name, _ in new.children] == ["in", "out"] and cursor == ("out",)


def test_deleting_one_of_two_tied_places_leaves_the_other() -> None:
    tree = parse(TIED)
    new, _ = edit.delete(tree, ("3",))
    assert at(new, ("1",)) is at(tree, ("1",))


def test_deleting_inside_of_a_tied_block_deletes_in_all_its_places() -> None:
    new, cursor = edit.delete(parse(TIED_BLOCK), ("2", "0"))
    assert kinds(new) == ["0:Sequential", "0.0:ReLU", "1:Tanh", "2:Sequential", "2.0:ReLU", "3:Linear"]
    assert cursor == ("2", "0") and at(new, ("0",)) is at(new, ("2",))


# duplicating


def test_a_duplicate_stands_after_its_original_and_has_weights_of_its_own() -> None:
    tree = parse(PLAIN)
    new, cursor = edit.duplicate(tree, ("0",))
    assert cursor == ("1",) and at(new, ("0",)) is at(tree, ("0",))
    assert at(new, cursor) is not at(new, ("0",)) and same(at(new, cursor), at(new, ("0",)))


def test_a_duplicated_container_keeps_its_inner_ties_to_itself() -> None:
    tree = parse("s = nn.Linear(2, 2)\nnn.Sequential(nn.Sequential(s, s), s)")
    new, cursor = edit.duplicate(tree, ("0",))
    assert at(new, (*cursor, "0")) is at(new, (*cursor, "1")) and at(new, (*cursor, "0")) is not at(new, ("0", "0"))
    assert at(new, ("0", "0")) is at(new, ("2",))
    assert "whole network" in refused(lambda: edit.duplicate(tree, ()))


# moving


def test_moving_down_and_up_again_gives_the_same_network_and_place() -> None:
    for text, where in ((PLAIN, ("0",)), (NAMED, ("in",)), (NESTED, ("1", "0")), (TIED, ("1",)), (TIED_BLOCK, ("2", "0"))):
        tree = parse(text)
        down, cursor = edit.move(tree, where, 1)
        assert at(down, cursor) is at(tree, where)
        back, again = edit.move(down, cursor, -1)
        assert same(back, tree) and again == where and at(back, where) is at(tree, where)


def test_numbered_layers_are_numbered_anew_when_moved_and_named_ones_take_their_names_along() -> None:
    new, cursor = edit.move(parse(PLAIN), ("0",), 1)
    assert kinds(new) == ["0:ReLU", "1:Linear", "2:Linear"] and cursor == ("1",)
    new, cursor = edit.move(parse(NAMED), ("in",), 1)
    assert kinds(new) == ["act:ReLU", "in:Linear", "out:Linear"] and cursor == ("in",)


def test_at_the_end_of_a_container_a_layer_moves_out_of_it() -> None:
    tree = parse(NESTED)
    up, cursor = edit.move(tree, ("1", "0"), -1)
    assert kinds(up) == ["0:Flatten", "1:Linear", "2:Sequential", "2.0:ReLU", "3:Linear"] and cursor == ("1",)
    down, cursor = edit.move(tree, ("1", "1"), 1)
    assert kinds(down) == ["0:Flatten", "1:Sequential", "1.0:Linear", "2:ReLU", "3:Linear"] and cursor == ("2",)
    assert at(down, cursor) is at(tree, ("1", "1"))
    for where, by in ((("0",), -1), (("2",), 1)):
        assert "end of the network" in refused(lambda where=where, by=by: edit.move(tree, where, by))
    assert "whole network" in refused(lambda: edit.move(tree, (), 1))


def test_moving_out_goes_before_or_after_the_container() -> None:
    tree = parse(NESTED)
    after, cursor = edit.move_out(tree, ("1", "0"))
    assert kinds(after)[1:5] == ["1:Sequential", "1.0:ReLU", "2:Linear", "3:Linear"] and cursor == ("2",)
    before, cursor = edit.move_out(tree, ("1", "1"), after=False)
    assert kinds(before)[1:4] == ["1:ReLU", "2:Sequential", "2.0:Linear"] and cursor == ("1",)
    refused(lambda: edit.move_out(tree, ("1",)))
    refused(lambda: edit.move_out(tree, ()))


def test_a_layer_moved_out_among_named_ones_gets_a_free_number() -> None:
    tree = parse("nn.Sequential(OrderedDict([('0', nn.ReLU()), ('b', nn.Sequential(nn.Tanh())), ('2', nn.ReLU())]))")
    new, cursor = edit.move_out(tree, ("b", "0"))
    assert at(new, cursor).kind == "Tanh" and [name for name, _ in new.children] == ["0", "b", cursor[0], "2"]
    assert len({name for name, _ in new.children}) == 4


def test_moving_in_goes_to_the_end_of_the_container_before() -> None:
    tree = parse(NESTED)
    new, cursor = edit.move_in(tree, ("2",))
    assert kinds(new) == ["0:Flatten", "1:Sequential", "1.0:Linear", "1.1:ReLU", "1.2:Linear"] and cursor == ("1", "2")
    assert at(new, cursor) is at(tree, ("2",))
    out, cursor = edit.move_out(new, cursor)
    assert same(out, tree) and cursor == ("2",)


def test_moving_in_needs_a_container_before() -> None:
    for text, where in ((NESTED, ("1",)), (NESTED, ("0",)), (PLAIN, ("1",)), (NESTED, ("1", "1"))):
        assert "wrap" in refused(lambda text=text, where=where: edit.move_in(parse(text), where))
    refused(lambda: edit.move_in(parse(NESTED), ()))


def test_a_container_does_not_move_into_itself() -> None:
    tied = parse("b = nn.Sequential(nn.ReLU())\nnn.Sequential(b, b)")
    assert "itself" in refused(lambda: edit.move_in(tied, ("1",)))
    holding = parse("b = nn.Sequential(nn.ReLU())\nnn.Sequential(b, nn.Sequential(b))")
    assert "itself" in refused(lambda: edit.move_in(holding, ("1",)))


def test_moving_into_a_tied_block_grows_it_in_all_its_places() -> None:
    new, cursor = edit.move_in(parse(TIED_BLOCK), ("1",))
    assert cursor == ("0", "2") and at(new, ("0",)) is at(new, ("1",)) and at(new, cursor).kind == "Tanh"
    new, cursor = edit.move_in(parse(TIED_BLOCK), ("3",))
    assert cursor == ("2", "2") and at(new, ("0", "2")).kind == "Linear"


# wrapping, naming


def test_wrapping_puts_a_sequential_around_the_layer_in_its_place() -> None:
    tree = parse(PLAIN)
    new, cursor = edit.wrap(tree, ("1",))
    assert kinds(new) == ["0:Linear", "1:Sequential", "1.0:ReLU", "2:Linear"] and cursor == ("1",)
    assert at(new, (*cursor, "0")) is at(tree, ("1",))
    whole, cursor = edit.wrap(tree, ())
    assert cursor == () and at(whole, ("0",)) is tree


def test_wrapping_one_place_of_a_tied_layer_leaves_it_tied() -> None:
    tree = parse(TIED)
    new, cursor = edit.wrap(tree, ("3",))
    assert cursor == ("3",) and at(new, cursor).kind == "Sequential"
    assert at(new, ("3", "0")) is at(new, ("1",)) is at(tree, ("1",))


def test_wrapping_among_named_layers_keeps_the_name() -> None:
    new, cursor = edit.wrap(parse(NAMED), ("act",))
    assert cursor == ("act",) and [name for name, _ in new.children] == ["in", "act", "out"]


def test_a_name_is_given_in_this_place_and_its_siblings_keep_theirs() -> None:
    tree = parse(PLAIN)
    new, cursor = edit.rename(tree, ("1",), "größe 1")
    assert [name for name, _ in new.children] == ["0", "größe 1", "2"] and cursor == ("größe 1",)
    assert at(new, cursor) is at(tree, ("1",))
    back, cursor = edit.rename(new, cursor, "1")
    assert same(back, tree) and cursor == ("1",)


def test_a_name_shows_in_all_places_of_a_tied_block() -> None:
    new, cursor = edit.rename(parse(TIED_BLOCK), ("2", "0"), "first")
    assert cursor == ("2", "first") and at(new, ("0", "first")) is at(new, cursor)


@pytest.mark.parametrize("name", ["", "a.b", ".", "\n", "a\x1b[2J", "\u202e", "\ud800", "\x00", "2", "a" * (MAX_STRING + 1)])
def test_names_that_a_state_dict_or_the_language_cannot_have_are_refused(name: str) -> None:
    refused(lambda: edit.rename(parse(PLAIN), ("1",), name))


def test_the_network_and_what_numbers_its_layers_are_not_named() -> None:
    refused(lambda: edit.rename(parse(PLAIN), (), "net"))
    assert "numbers its layers" in refused(lambda: edit.rename(parse("MySequential(nn.ReLU())"), ("0",), "a"))


# ties


def test_a_tied_layer_is_the_other_one_in_this_place() -> None:
    tree = parse("nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))")
    new, cursor = edit.tie(tree, ("2",), ("0",))
    assert cursor == ("2",) and at(new, ("2",)) is at(new, ("0",)) is at(tree, ("0",))
    assert to_text(new).startswith("shared = nn.Linear(8, 8)\n")


def test_ties_between_levels_and_inside_of_tied_blocks() -> None:
    new, _ = edit.tie(parse(NESTED), ("2",), ("1", "0"))
    assert at(new, ("2",)) is at(new, ("1", "0"))
    new, _ = edit.tie(parse(TIED_BLOCK), ("0", "0"), ("3",))
    assert at(new, ("2", "0")) is at(new, ("0", "0")) is at(new, ("3",)) and at(new, ("0",)) is at(new, ("2",))


def test_a_layer_is_not_tied_to_itself_or_to_what_holds_it() -> None:
    tree = parse(NESTED)
    assert "mark" in refused(lambda: edit.tie(tree, ("0",), ("0",)))
    assert "already" in refused(lambda: edit.tie(parse(TIED), ("1",), ("3",)))
    for one, other in ((("1",), ("1", "0")), (("1", "0"), ("1",)), ((), ("0",)), (("0",), ())):
        assert "holds it" in refused(lambda one=one, other=other: edit.tie(tree, one, other))


def test_untying_gives_this_place_a_layer_of_its_own_and_leaves_the_others_tied() -> None:
    tree = parse("s = nn.Linear(8, 8)\nnn.Sequential(s, s, s)")
    new, cursor = edit.untie(tree, ("1",))
    assert cursor == ("1",) and at(new, ("0",)) is at(new, ("2",)) is at(tree, ("0",))
    assert at(new, ("1",)) is not at(new, ("0",)) and same(at(new, ("1",)), at(new, ("0",)))
    for where in (("0",), ("1",), ()):
        assert "not tied" in refused(lambda where=where: edit.untie(parse(PLAIN), where))


def test_untying_a_block_unties_all_that_is_in_it() -> None:
    new, _ = edit.untie(parse(TIED_BLOCK), ("2",))
    assert at(new, ("0", "0")) is not at(new, ("2", "0"))


def test_after_untying_no_other_place_has_the_layer_or_it_is_refused() -> None:
    """The child of a tied block stands in two places by its block; the block is what is tied."""
    tree = parse(TIED_BLOCK)
    try:
        new, cursor = edit.untie(tree, ("2", "0"))
    except EditError:
        return
    assert sum(layer is at(new, cursor) for _, layer in new.walk()) == 1


# other layers instead


def test_another_layer_stands_in_all_places_of_a_tied_one() -> None:
    tree = parse(TIED)
    new, cursor = edit.change(tree, ("3",), TANH)
    assert cursor == ("3",) and at(new, ("1",)) is at(new, ("3",)) is TANH and at(new, ("0",)) is at(tree, ("0",))


def test_a_container_of_another_kind_keeps_its_children() -> None:
    tree = parse(NAMED)
    new, cursor = edit.change(tree, (), parse("MySequential()"))
    assert kinds(new) == ["0:Linear", "1:ReLU", "2:Linear"] and new.kind == "MySequential" and cursor == ()
    back, _ = edit.change(new, (), parse("nn.Sequential()"))
    assert back.kind == "Sequential" and [child for _, child in back.children] == [child for _, child in tree.children]


def test_a_container_with_other_children_is_what_was_typed() -> None:
    new, _ = edit.change(parse(PLAIN), (), parse("nn.Sequential(nn.Tanh(), nn.Sigmoid())"))
    assert kinds(new) == ["0:Tanh", "1:Sigmoid"]


def test_a_leaf_becomes_a_container_and_the_other_way_round() -> None:
    new, _ = edit.change(parse(PLAIN), ("1",), parse(PLAIN))
    assert kinds(new)[1:4] == ["1:Sequential", "1.0:Linear", "1.1:ReLU"]
    new, _ = edit.change(new, ("1",), TANH)
    assert kinds(new) == ["0:Linear", "1:Tanh", "2:Linear"]
    new, _ = edit.change(new, (), TANH)
    assert new is TANH


# places in each spelling


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rgnet[0][1][0].bias", ["rgnet", 0, 1, 0, "bias"]),
        ("0.block 1.0.bias", ["0", "block 1", "0", "bias"]),
        ('[0]["block 1"][0].bias', [0, "block 1", 0, "bias"]),
        ("[0]['block 1'][-1]", [0, "block 1", -1]),
        ("", []),
        ("  ", []),
        ("[ 3 ]", [3]),
        ('[""]', [""]),
        ("net", ["net"]),
        (".net", ["net"]),
        ("net..0", None),
        ("net[", None),
        ("net[]", None),
        ("net]", None),
        ("net[x]", None),
        ("net[1.5]", None),
        ("net[0:2]", None),
        ("net[0]0", None),
        ("net.", None),
        ("[1234567]", None),
        ("[--1]", None),
        ("größe.ä", ["größe", "ä"]),
    ],
)
def test_a_path_is_read_in_each_spelling(text: str, found: list[str | int] | None) -> None:
    assert place.steps(text) == found


def test_a_path_is_read_at_once_however_long() -> None:
    assert place.steps("[" * 50_000) is None
    assert place.steps("[0]" * 20_000) == [0] * 20_000


def children(tree: Layer) -> dict[Place, list[str]]:
    return {path: [name for name, _ in layer.children] for path, layer in tree.walk()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("rgnet", ()),
        ("rgnet[0]", ("0",)),
        ("rgnet[0][1][0]", ("0", "block 1", "0")),
        ("rgnet[0][1][0].bias", ("0", "block 1", "0")),
        ("rgnet[0][1][0].bias.data", None),
        ("rgnet[-1]", ("1",)),
        ("rgnet[-2][-1]", ("0", "block 3")),
        ("[0]['block 2']", ("0", "block 2")),
        ("0.block 2.3", ("0", "block 2", "3")),
        ("0.block 2.weight", ("0", "block 2")),
        ("rgnet.0.block 1.0", ("0", "block 1", "0")),
        ("rgnet[2]", None),
        ("rgnet[-3]", None),
        ("rgnet[0].block 9.0", None),
        ("rgnet[0]['block 1'][7]", None),
        ("rgnet[[0]]", None),
    ],
)
def test_a_path_finds_its_place_in_the_network_of_the_guide(text: str, found: Place | None) -> None:
    assert place.find(text, children(parse("nn.Sequential(block2(), nn.Linear(4, 1))"))) == found


def test_every_place_is_found_by_both_of_its_spellings() -> None:
    for text in (PLAIN, NAMED, NESTED, TIED_BLOCK, "nn.Sequential(block2(), nn.Linear(4, 1))"):
        tree = parse(text)
        below = children(tree)
        for path, _ in tree.walk():
            assert place.find(place.dotted(path), below) == path
            assert place.find(place.indexed(path, below), below) == path
            assert place.find(f"net{place.indexed(path, below)}", below) == path


def test_a_name_with_quotes_or_brackets_is_found_by_its_index() -> None:
    odd = ['say "hi"', "it's", "a]b", "[", "-1", "٣", "²", "0"]
    pairs = ", ".join(f"({name!r}, nn.ReLU())" for name in odd)
    tree = parse(f"nn.Sequential(OrderedDict([{pairs}]))")
    below = children(tree)
    for i, name in enumerate(odd):
        assert place.find(f"net[{i}]", below) == (name,)


@pytest.mark.parametrize("name", ['say "hi"', "it's", "a]b", "٣", "²", "1", "-1", " a ", "a b"])
def test_the_index_of_a_name_finds_it_again_or_says_that_it_cannot(name: str) -> None:
    """Never another layer than the one that is meant."""
    tree = Layer("Sequential", (), ((name, Layer("ReLU")), ("x", Layer("Tanh")), ("y", Layer("ReLU"))))
    below = children(tree)
    assert place.find(place.indexed((name,), below), below) in ((name,), None)


# any steps on any network

LEAVES = ("nn.Linear(4, 4)", "nn.ReLU()", "nn.BatchNorm1d(4)", "MyLinear(4, 4)", "nn.Dropout(0.1)", "CenteredLayer()")


@st.composite
def networks(draw: st.DrawFn) -> Layer:
    """Small trees with ties of layers and of blocks, numbered, named, and of both containers."""
    pool = [parse(draw(st.sampled_from(LEAVES))) for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(st.lists(st.sampled_from(pool), max_size=4))
        kind = draw(st.sampled_from(["Sequential", "Sequential", "MySequential"]))
        names = [str(i) for i in range(len(chosen))]
        if kind == "Sequential" and draw(st.booleans()):
            names = draw(st.permutations(["0", "1", "2", "3", "a", "b c", "größe"]))[: len(chosen)]
        pool.append(Layer(kind, (), tuple(zip(names, chosen, strict=True))))
    return pool[-1]


def step(tree: Layer, rng: random.Random) -> tuple[Layer, Place, Callable[[Layer], bool]]:
    """One step at a random place: the new tree, the cursor, and whether the layer there is the one meant."""
    places = [path for path, _ in tree.walk()]
    where, to = rng.choice(places), rng.choice(places)
    here = at(tree, where)
    leaf = parse(rng.choice(LEAVES))
    name = rng.choice(["0", "1", "a", "b", "x y", "", "a.b", "\n"])
    kind = rng.choice([*edit.ACTIONS, "add", "inside", "rename", "tie", "change", "moves"])
    match kind:
        case "add" | "inside":
            return *edit.add(tree, where, leaf, kind == "inside"), lambda layer: layer is leaf
        case "rename":
            return *edit.rename(tree, where, name), lambda layer: layer is here
        case "tie":
            other = at(tree, to)
            return *edit.tie(tree, where, to), lambda layer: layer is other
        case "change":
            return *edit.change(tree, where, leaf), lambda layer: layer is leaf
        case "moves":
            return *edit.move(tree, where, rng.choice([-1, 1])), lambda layer: layer is here
        case "delete":
            return *edit.delete(tree, where), lambda layer: True
        case "wrap":
            return *edit.wrap(tree, where), lambda layer: dict(layer.children)["0"] is here
        case "duplicate" | "untie":
            return *edit.ACTIONS[kind](tree, where), lambda layer: layer is not here and same(layer, here)
    return *edit.ACTIONS[kind](tree, where), lambda layer: layer is here


@bounded
@given(networks(), st.randoms(use_true_random=False))
def test_any_steps_give_a_refusal_or_a_network_that_is_read_back_the_same(tree: Layer, rng: random.Random) -> None:
    for _ in range(12):
        text = to_text(tree)
        try:
            new, cursor, meant = step(tree, rng)
        except EditError as error:
            assert str(error) and "\n" not in str(error)
            continue
        assert to_text(tree) == text, "the old tree is a value"
        try:
            again = parse(to_text(new))
        except ArchitectureError as error:
            assert "nesting" in error.message or "layers" in error.message, to_text(new)
            continue
        assert same(again, new), to_text(new)
        assert meant(at(new, cursor)), (text, to_text(new), cursor)
        tree = new


@bounded
@given(networks(), st.randoms(use_true_random=False))
def test_any_steps_give_a_network_that_can_be_built_with_untouched_modules_kept(tree: Layer, rng: random.Random) -> None:
    from torch import nn

    from mlptui.engine.build import build

    made: dict[int, nn.Module] = {}
    build(tree, made)
    for _ in range(5):
        try:
            new, _, _ = step(tree, rng)
        except EditError:
            continue
        here = {id(layer) for _, layer in new.walk()}
        kept = {key: module for key, module in made.items() if key in here}
        known = dict(kept)
        model = build(new, kept)
        assert [name for name, _ in model.named_modules(remove_duplicate=False)] == [".".join(path) for path, _ in new.walk()]
        for path, layer in new.walk():
            assert model.get_submodule(".".join(path)) is kept[id(layer)]
            assert id(layer) not in known or known[id(layer)] is kept[id(layer)]
        tree, made = new, kept
