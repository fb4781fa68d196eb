"""Places in a network in each spelling: `rgnet[0][1][0].bias`, `0.block 1.0.bias`, `[0]["block 1"][0].bias`."""

import keyword
import re
import unicodedata

_STEP = re.compile(r"""\[\s*(?:(-?\d{1,6})|"([^"\]]*)"|'([^'\]]*)')\s*\]|\.([^.\[\]]+)|^([^.\[\]]+)""")


def steps(text: str) -> list[str | int] | None:
    """Names, and numbers for `[1]`, which counts children; the network's own name is a step. None where it is no path."""
    found: list[str | int] = []
    text = text.strip()
    position = 0
    while position < len(text):
        step = _STEP.match(text, position) if position else _STEP.match(text)
        if step is None or step.end() == position:
            return None
        found.append(int(step[1]) if step[1] else next(g for g in step.groups()[1:] if g is not None))
        position = step.end()
    return found


def find(text: str, children: dict[tuple[str, ...], list[str]]) -> tuple[str, ...] | None:
    """The place that a path names, by the names of each place's children; None where there is none.

    A first word that is no child is the network's own name, as `rgnet` in `rgnet[0]`; a last one may be a tensor's.
    """
    wanted = steps(text)
    if wanted is None:
        return None
    if wanted and isinstance(wanted[0], str) and wanted[0] not in children.get((), []):
        wanted = wanted[1:]
    place: tuple[str, ...] = ()
    for i, step in enumerate(wanted):
        names = children.get(place, [])
        if isinstance(step, int):
            if not -len(names) <= step < len(names):
                return None
            place = (*place, names[step])
        elif step in names:
            place = (*place, step)
        elif i == len(wanted) - 1 and place:
            return place
        else:
            return None
    return place


def dotted(place: tuple[str, ...]) -> str:
    """`0.block 1.0`, as in the state_dict."""
    return ".".join(place)


def indexed(place: tuple[str, ...], children: dict[tuple[str, ...], list[str]]) -> str:
    """`[0]["block 1"][0].hidden`: a number where it counts the children, else the name, in quotes where Python needs them."""
    shown = ""
    for i, name in enumerate(place):
        names = children.get(place[:i], [])
        counts = name.isascii() and name.isdecimal() and int(name) < len(names) and names[int(name)] == name
        plain = (
            name.isidentifier()
            and not keyword.iskeyword(name)
            and not name.startswith("__")
            and unicodedata.normalize("NFKC", name) == name
        )
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        shown += f"[{name}]" if counts else f".{name}" if plain else f'["{quoted}"]'
    return shown
