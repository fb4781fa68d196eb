"""Which tensor of a file goes where in a network: matched by name, by what is left of a name, or by order and shape."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlptui.core.errors import UsageError
from mlptui.core.text import safe

Shape = tuple[int, ...]
MANY = 40  # places with one ending above which it says nothing of where something moved
PAIRS = 200_000  # that are looked at for what moved: half a second; beyond it names of other networks are not tried

SAME, RENAMED, OTHER_SHAPE, MISSING, LEFT = "same name", "renamed", "other shape", "missing", "left over"
LOAD, SLICE, SKIP = "load", "slice", "skip"


@dataclass(frozen=True)
class Match:
    """A row of the plan. `target` is the network's name ("": the file has it alone), `source` the file's ("": missing).

    `action` is load, slice (the part that both have, from the beginning of every dimension on), or skip.
    """

    target: str
    source: str
    state: str
    action: str


def match(
    targets: Mapping[str, Shape],
    sources: Mapping[str, Shape],
    mapped: Mapping[str, str] | None = None,
    skipped: frozenset[str] = frozenset(),
    sliced: frozenset[str] = frozenset(),
) -> list[Match]:
    """The plan: a row for each target in its order, then what is left over of the file.

    `mapped` gives the file's name for some targets, `skipped` and `sliced` are targets. Raises UsageError for names that are
    not there, and for a slice of tensors with other numbers of dimensions.
    """
    mapped = mapped or {}
    for name in (*mapped, *skipped, *sliced):
        if name not in targets:
            raise UsageError(f"the network has no tensor {safe(name, 100)}")
    for name in mapped.values():
        if name not in sources:
            raise UsageError(f"the file has no tensor {safe(name, 100)}")
    found = _automatic(targets, sources)
    for target, source in mapped.items():
        before = next((one for one, name in found.items() if name == source), "")
        if before and before not in mapped:
            del found[before]
        found[target] = source
    taken = set(found.values())
    rows = []
    for target, shape in targets.items():
        source = found.get(target, "")
        if not source and target not in found:
            rows.append(Match(target, "", MISSING, SKIP))
            continue
        fits = sources[source] == shape
        state = (SAME if source == target else RENAMED) if fits else OTHER_SHAPE
        action = LOAD if fits else SKIP
        if target in skipped:
            action = SKIP
        elif target in sliced and not fits:
            if len(shape) != len(sources[source]):
                raise UsageError(
                    f"{safe(target, 60)}: {_words(shape)} cannot take a part of {_words(sources[source])}; "
                    "both need the same number of dimensions"
                )
            action = SLICE
        rows.append(Match(target, source, state, action))
    return [*rows, *(Match("", source, LEFT, SKIP) for source in sources if source not in taken)]


def _automatic(targets: Mapping[str, Shape], sources: Mapping[str, Shape]) -> dict[str, str]:
    """The file's name for each target that one is found for."""
    found = {name: name for name in targets if name in sources}
    taken = set(found)
    for pairs in (_moved, _in_order):
        left = [name for name in targets if name not in found]
        free = [name for name in sources if name not in taken]
        for target, source in pairs(left, free, targets, sources):
            if target not in found and source not in taken:
                found[target] = source
                taken.add(source)
    return found


def overlap(target: Shape, source: Shape) -> tuple[slice, ...]:
    """What two shapes have in common, from the beginning on."""
    return tuple(slice(0, min(pair)) for pair in zip(target, source, strict=True))


def _moved(
    left: list[str], free: list[str], targets: Mapping[str, Shape], sources: Mapping[str, Shape]
) -> Iterator[tuple[str, str]]:
    """The same ending behind another beginning: `module.0.weight` for `0.weight`.

    The change of beginnings that most shapes agree with goes first; under it what has another shape is matched, too.
    """
    endings: dict[str, list[str]] = {}
    for source in free:
        for ending in _endings(source):
            endings.setdefault(ending, []).append(source)
    votes: Counter[tuple[str, str]] = Counter()
    candidates: dict[tuple[str, str], list[tuple[str, str]]] = {}
    pairs = 0
    for target in left:
        for ending in _endings(target):
            found = endings.get(ending, [])
            whole = ending == target or found == [ending]
            if len(found) > MANY or pairs > PAIRS or ("." not in ending and not whole):
                continue
            pairs += len(found)
            for source in found:
                change = (target.removesuffix(ending), source.removesuffix(ending))
                votes[change] += sources[source] == targets[target]
                candidates.setdefault(change, []).append((target, source))
    agreed = [(-count, len(change[0]) + len(change[1]), change) for change, count in votes.items() if count]
    for _, _, change in sorted(agreed):
        yield from candidates[change]


def _endings(name: str) -> Iterator[str]:
    """`a.b.c`, `b.c`, `c`."""
    parts = name.split(".")
    return (".".join(parts[i:]) for i in range(len(parts)))


def _in_order(
    left: list[str], free: list[str], targets: Mapping[str, Shape], sources: Mapping[str, Shape]
) -> Iterator[tuple[str, str]]:
    """Whole networks with other names: tensors of the same kinds, one after the other, of which most have the same shape."""

    def kinds(names: list[str], shapes: Mapping[str, Shape]) -> list[tuple[str, int]]:
        return [(name.rpartition(".")[2], len(shapes[name])) for name in names]

    left, free = _by_layers(left), _by_layers(free)
    pairs = list(zip(left, free, strict=False))
    same = sum(targets[target] == sources[source] for target, source in pairs)
    if len(left) == len(free) and kinds(left, targets) == kinds(free, sources) and 2 * same >= len(pairs):
        yield from pairs


def _by_layers(names: list[str]) -> list[str]:
    """Layers in their order, the tensors of each by name: files sort them in their own ways."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    places = {layer: i for i, layer in enumerate(layers)}
    return sorted(names, key=lambda name: (places[name.rpartition(".")[0]], name.rpartition(".")[2]))


def _words(shape: Shape) -> str:
    return str(list(shape))
