"""events.jsonl: one fact a line, appended by the trainer and tailed by anybody."""

import math
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.core.events import Event, Kind
from mlptui.store import sealed
from mlptui.store.append import AppendFile
from mlptui.store.atomic import open_regular

LINE_LIMIT = 65_536
READ_BUDGET = 1 << 20
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class EventWriter:
    """Appends events with a running number; nothing that the disk does makes it raise."""

    def __init__(self, path: Path) -> None:
        cut_torn_tail(path)
        self.seq = last_seq(path)
        self.file = AppendFile(path)
        self._lock = threading.RLock()

    def write(self, kind: str, step: int, **data: Any) -> Event:
        """Append one event and make it durable, if the disk lets; an event too long for a line loses its data."""
        with self._lock:
            if self.file.lost and not self.file.waiting:
                lost, self.file.lost = self.file.lost, 0
                self.write(Kind.GAP, step, records=lost)
            self.seq += 1
            event = Event(kind, step, data, self.seq, time.time(), time.monotonic())
            line = _line(event)
            self.file.append(line if len(line) <= LINE_LIMIT else _line(replace(event, data={})))
            self.file.sync()
            return event


def _line(event: Event) -> bytes:
    return sealed.line(
        {
            "seq": event.seq,
            "wall": event.wall,
            "mono": event.mono,
            "step": event.step,
            "kind": event.kind,
            "data": dict(event.data),
        }
    )


class EventReader:
    """Reads whole lines from where it stopped. `damaged` counts lines whose checksum is wrong; they are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.damaged = 0

    def read(self, budget: int = READ_BUDGET) -> list[Event]:
        """New events, at most about `budget` bytes of them. A missing file has none; never raises for damaged content."""
        try:
            with open_regular(self.path) as stream:
                if os.fstat(stream.fileno()).st_size < self.offset:
                    self.offset = 0
                stream.seek(self.offset)
                block = stream.read(budget)
        except (OSError, StorageError):
            return []
        whole = block.rfind(b"\n") + 1
        if not whole:
            if len(block) == budget:
                self.offset += len(block)
                self.damaged += 1
            return []
        self.offset += whole
        events = []
        for line in block[:whole].splitlines():
            event = parse(line)
            if event is None:
                self.damaged += 1
            else:
                events.append(event)
        return events

    def read_all(self) -> list[Event]:
        events: list[Event] = []
        while True:
            before = self.offset
            events += self.read()
            if self.offset == before:
                return events


def parse(line: bytes) -> Event | None:
    """One line as an event; None where it is damaged or not an event."""
    values = sealed.read_line(line) if len(line) <= LINE_LIMIT else None
    if values is None:
        return None
    try:
        data = values["data"]
        return Event(
            str(values["kind"]),
            int(values["step"]),
            {k: _NOT_FINITE.get(v, v) if isinstance(v, str) else v for k, v in data.items()} if isinstance(data, dict) else {},
            int(values["seq"]),
            float(values["wall"]),
            float(values["mono"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def read_events(path: Path) -> list[Event]:
    return EventReader(path).read_all()


def last_seq(path: Path) -> int:
    return max((event.seq for event in read_events(path)), default=0)


def cut_torn_tail(path: Path) -> bool:
    """Cut what follows the last newline, keeping a copy beside it as `*.torn`. True if something was cut."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    whole = data.rfind(b"\n") + 1
    if whole == len(data):
        return False
    with path.with_suffix(path.suffix + ".torn").open("ab") as torn:
        torn.write(data[whole:] + b"\n")
    os.truncate(path, whole)
    return True
