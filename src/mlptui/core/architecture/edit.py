"""What a builder does to a network: each function gives a new tree and the place where the cursor belongs.

Untouched layers stay the same objects, so that whoever holds their weights keeps them. A change to a tied layer shows in
all its places. Raises EditError with a sentence where something cannot be done.
"""

from collections.abc import Callable, Iterable

from mlptui.core.architecture.tree import SEQUENTIAL, Layer
from mlptui.core.errors import UsageError

MAX_NAME = 128
Place = tuple[str, ...]
Result = tuple[Layer, Place]
Children = tuple[tuple[str, Layer], ...]


class EditError(UsageError):
    """A change that has no meaning at this place."""


def at(tree: Layer, place: Place) -> Layer:
    """The layer at a place. Raises EditError."""
    layer = tree
    for name in place:
        children = dict(layer.children)
        if name not in children:
            raise EditError(f"there is no layer {'.'.join(place)}")
        layer = children[name]
    return layer


def replaced(tree: Layer, old: Layer, new: Layer) -> Layer:
    """The tree with `new` wherever `old` stands."""
    made: dict[int, Layer] = {id(old): new}

    def again(layer: Layer) -> Layer:
        if id(layer) not in made:
            children = tuple((name, again(child)) for name, child in layer.children)
            same = all(a is b for (_, a), (_, b) in zip(children, layer.children, strict=True))
            made[id(layer)] = layer if same else Layer(layer.kind, layer.arguments, children)
        return made[id(layer)]

    return again(tree)


def copied(layer: Layer) -> Layer:
    """A layer with the same description and its own identity, all below it too; ties inside of it stay."""
    made: dict[int, Layer] = {}

    def again(one: Layer) -> Layer:
        if id(one) not in made:
            made[id(one)] = Layer(one.kind, one.arguments, tuple((name, again(child)) for name, child in one.children))
        return made[id(one)]

    return again(layer)


def moved(before: Layer, after: Layer, paths: Iterable[str]) -> list[str]:
    """Where parameters stand after a change, of those whose layers are still there."""
    now: dict[int, Place] = {}
    for place, layer in after.walk():
        now.setdefault(id(layer), place)
    found = []
    for path in paths:
        place, rest = _holder(before, tuple(path.split(".")))
        layer = at(before, place)
        if id(layer) in now:
            found.append(".".join((*now[id(layer)], *rest)))
    return found


def _holder(tree: Layer, path: Place) -> tuple[Place, Place]:
    """The deepest layer of the tree that a parameter's path leads through, and the rest of the path."""
    layer, place = tree, 0
    while place < len(path) - 1 and path[place] in dict(layer.children):
        layer = dict(layer.children)[path[place]]
        place += 1
    return path[:place], path[place:]


def add(tree: Layer, place: Place, layer: Layer, inside: bool = False) -> Result:
    """`layer` after the place; inside of it, at its end, where that is asked for or it is the whole network."""
    here = at(tree, place)
    if inside or not place:
        if not here.container:
            if place:
                raise EditError(f"{here.kind} holds no layers; wrap it first")
            tree = Layer(SEQUENTIAL, (), (("0", here),))
            here = tree
        children = [*here.children, ("", layer)]
        new, index = _with(here, children), len(children) - 1
        return replaced(tree, here, new), (*place, new.children[index][0])
    parent, index = _parent(tree, place)
    children = list(parent.children)
    children.insert(index + 1, ("", layer))
    new = _with(parent, children)
    return replaced(tree, parent, new), (*place[:-1], new.children[index + 1][0])


def add_before(tree: Layer, place: Place, layer: Layer) -> Result:
    """`layer` before the place; as the first of all where that is the whole network."""
    tree, here = add(tree, place, layer)
    parent, index = _parent(tree, here)
    children = list(parent.children)
    children.insert(index - 1 if place else 0, children.pop(index))
    new = _with(parent, children)
    return replaced(tree, parent, new), (*here[:-1], new.children[index - 1 if place else 0][0])


def delete(tree: Layer, place: Place) -> Result:
    parent, index = _parent(tree, place)
    children = [child for i, child in enumerate(parent.children) if i != index]
    new = _with(parent, children)
    beside = (new.children[min(index, len(children) - 1)][0],) if children else ()
    return replaced(tree, parent, new), (*place[:-1], *beside)


def duplicate(tree: Layer, place: Place) -> Result:
    """A copy with weights of its own, after the place."""
    _parent(tree, place)
    return add(tree, place, copied(at(tree, place)))


def move(tree: Layer, place: Place, by: int) -> Result:
    """One place up (-1) or down (1) among its siblings; at the end of them out of their container."""
    parent, index = _parent(tree, place)
    target = index + by
    children = list(parent.children)
    if 0 <= target < len(children):
        children[index], children[target] = children[target], children[index]
        new = _with(parent, children)
        return replaced(tree, parent, new), (*place[:-1], new.children[target][0])
    return move_out(tree, place, after=by > 0)


def move_out(tree: Layer, place: Place, after: bool = True) -> Result:
    """Out of its container, before or after that."""
    if len(place) < 2:
        raise EditError("it stands at the end of the network already")
    layer = at(tree, place)
    parent, index = _parent(tree, place)
    above, at_index = _parent(tree, place[:-1])
    emptied = _with(parent, [child for i, child in enumerate(parent.children) if i != index])
    tree = replaced(tree, parent, emptied)
    above = at(tree, place[:-2])
    children = list(above.children)
    children.insert(at_index + (1 if after else 0), (_given(place[-1], above), layer))
    new = _with(above, children)
    return replaced(tree, above, new), (*place[:-2], new.children[at_index + (1 if after else 0)][0])


def move_in(tree: Layer, place: Place) -> Result:
    """Into the container that stands before it."""
    layer = at(tree, place)
    parent, index = _parent(tree, place)
    before = parent.children[index - 1][1] if index else None
    if before is None or not before.container:
        raise EditError("there is no Sequential before it to go into; wrap the layer before it first")
    if before is layer or any(inner is before for _, inner in layer.walk()):
        raise EditError("a layer cannot go into itself")
    grown = _with(before, [*before.children, (_given(place[-1], before), layer)])
    shrunk = _with(parent, [child for i, child in enumerate(parent.children) if i != index])
    tree = replaced(tree, parent, shrunk)
    where = (*place[:-1], shrunk.children[index - 1][0])
    return replaced(tree, before, grown), (*where, grown.children[-1][0])


def wrap(tree: Layer, place: Place) -> Result:
    """A Sequential around the layer, in this place only."""
    layer = at(tree, place)
    around = Layer(SEQUENTIAL, (), (("0", layer),))
    return (_put(tree, place, around) if place else around), place


def rename(tree: Layer, place: Place, name: str) -> Result:
    """Its name in the state_dict."""
    if not name or "." in name or not name.isprintable() or len(name) > MAX_NAME:
        raise EditError(f"a name is printable, has no dots and at most {MAX_NAME} characters")
    parent, index = _parent(tree, place)
    if parent.kind != SEQUENTIAL:
        raise EditError(f"{parent.kind} numbers its layers; only a Sequential names them")
    if any(other == name for i, (other, _) in enumerate(parent.children) if i != index):
        raise EditError(f"there is a layer {name!r} beside it already")
    children = list(parent.children)
    children[index] = (name, children[index][1])
    return replaced(tree, parent, Layer(parent.kind, parent.arguments, tuple(children))), (*place[:-1], name)


def tie(tree: Layer, place: Place, to: Place) -> Result:
    """The layer at `to` stands at `place` too: one set of weights, used twice."""
    here, other = at(tree, place), at(tree, to)
    if here is other:
        raise EditError(
            "these two are one layer already" if place != to else "a layer is tied to another one; mark that first"
        )
    if not place or not to or any(x is here for _, x in other.walk()) or any(x is other for _, x in here.walk()):
        raise EditError("a layer cannot be tied to what holds it")
    return _put(tree, place, other), place


def untie(tree: Layer, place: Place) -> Result:
    """A layer of its own at this place, with the same description."""
    here = at(tree, place)
    for i in range(1, len(place)):
        above = at(tree, place[:i])
        if sum(layer is above for _, layer in tree.walk()) > 1:
            raise EditError(f"{'.'.join(place[:i])}, which holds it, is tied; untie that first")
    if sum(layer is here for _, layer in tree.walk()) < 2:
        raise EditError("it is not tied to another one")
    return _put(tree, place, copied(here)), place


def change(tree: Layer, place: Place, new: Layer) -> Result:
    """Another layer instead, in all places where the old one stands; a Sequential keeps its children."""
    old = at(tree, place)
    if old.container and new.container and not new.children:
        new = _with(Layer(new.kind, new.arguments, old.children), list(old.children))
    return replaced(tree, old, new), place


def _put(tree: Layer, place: Place, layer: Layer) -> Layer:
    parent, index = _parent(tree, place)
    children = list(parent.children)
    children[index] = (children[index][0], layer)
    return replaced(tree, parent, Layer(parent.kind, parent.arguments, tuple(children)))


def _parent(tree: Layer, place: Place) -> tuple[Layer, int]:
    """What holds the layer at a place, and which of its children it is."""
    if not place:
        raise EditError("this is the whole network")
    at(tree, place)
    parent = at(tree, place[:-1])
    return parent, [name for name, _ in parent.children].index(place[-1])


def _given(name: str, into: Layer) -> str:
    """A name that a person gave goes along, where it is free; a number only counts."""
    return "" if name.isdecimal() or name in dict(into.children) else name


def _with(parent: Layer, children: list[tuple[str, Layer]]) -> Layer:
    """The container with other children: numbered anew where they were numbered, else new ones get a free number."""
    numbered = all(name == str(i) for i, (name, _) in enumerate(parent.children))
    if parent.kind != SEQUENTIAL or (numbered and all(not name or name.isdecimal() for name, _ in children)):
        named = [(str(i), child) for i, (_, child) in enumerate(children)]
    else:
        taken = {name for name, _ in children}
        named = []
        for i, (name, child) in enumerate(children):
            free = name or next(str(n) for n in [i, *range(len(children) + 1)] if str(n) not in taken)
            taken.add(free)
            named.append((free, child))
    return Layer(parent.kind, parent.arguments, tuple(named))


ACTIONS: dict[str, Callable[[Layer, Place], Result]] = {
    "delete": delete,
    "duplicate": duplicate,
    "up": lambda tree, place: move(tree, place, -1),
    "down": lambda tree, place: move(tree, place, 1),
    "out": move_out,
    "in": move_in,
    "wrap": wrap,
    "untie": untie,
}
