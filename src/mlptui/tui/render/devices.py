"""Devices: values to lines."""

from dataclasses import dataclass

from mlptui.core import text
from mlptui.tui.render.cells import DIM, GOOD, PLAIN, STRONG, WARN, Glyphs, Line, bar, panel, rule

BAR = 24


@dataclass(frozen=True)
class Process:
    pid: int
    user: str
    name: str
    memory: int | None


@dataclass(frozen=True)
class DeviceBlock:
    """One device as shown. `key` is what a recipe calls it; shares are of one, None is "the system does not say"."""

    key: str
    name: str
    facts: str
    memory_used: int | None
    memory_total: int | None
    busy: float | None
    processes: tuple[Process, ...] = ()
    uuid: str = ""


@dataclass(frozen=True)
class DeviceList:
    blocks: tuple[DeviceBlock, ...]
    chosen: str
    cursor: int = 0
    reason: str = ""
    driver: str = ""


def is_chosen(block: DeviceBlock, chosen: str) -> bool:
    return chosen in (block.key, block.uuid) and bool(chosen)


def draw(view: DeviceList, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    body: list[Line] = []
    starts = []
    for i, block in enumerate(view.blocks):
        starts.append(len(body))
        here = glyphs.point if i == view.cursor else "  "
        mark = "  for the next run" if is_chosen(block, view.chosen) else ""
        body.append([(here, STRONG), (f"{block.key:<7}", STRONG), (text.safe(block.name, 80), PLAIN), (mark, GOOD)])
        body.append([("         " + text.safe(block.facts, 160), DIM)])
        if block.uuid:
            body.append([("         " + text.safe(block.uuid, 80), DIM)])
        body.append(_meter("busy", block.busy, "" if block.busy is None else f"{block.busy:.0%}", glyphs))
        share = block.memory_used / block.memory_total if block.memory_used is not None and block.memory_total else None
        body.append(_meter("memory", share, f"{text.size(block.memory_used)} of {text.size(block.memory_total)}", glyphs))
        body += [
            [(f"         {p.pid:>8}  {text.safe(p.user, 16):<16}  {text.size(p.memory):>8}  {text.safe(p.name, 40)}", PLAIN)]
            for p in block.processes
        ]
        body.append([])
    if view.reason:
        body += [rule("GPU"), [(text.safe(view.reason, 300), WARN)]]
    if view.cursor < len(starts):  # keep the whole block under the cursor in view
        end = starts[view.cursor + 1] if view.cursor + 1 < len(starts) else len(body)
        body = body[max(0, min(starts[view.cursor], end - (rows - 2))) :] if end > rows - 2 else body
    auto = "auto" in (view.chosen, view.chosen or "auto")
    fact: Line = [
        ("next run: " + ("auto (the GPU with most free memory, else cpu)" if auto else text.safe(view.chosen, 50)), DIM)
    ]
    return panel("devices" + (f" · driver {view.driver}" if view.driver else ""), fact, body, (cells, rows), glyphs, focused)


def _meter(name: str, share: float | None, words: str, glyphs: Glyphs) -> Line:
    if share is None:
        return [(f"         {name:<8}", DIM), ("not known", DIM)]
    role = WARN if share > 0.9 else GOOD
    side = "|" if glyphs.ascii else "▕"
    other = "|" if glyphs.ascii else "▏"
    return [(f"         {name:<8}", DIM), (side, DIM), (bar(share, BAR, glyphs), role), (other, DIM), (f" {words}", PLAIN)]
