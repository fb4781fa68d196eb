"""steps.bin: one row of fixed size for every training step, behind a header that describes the rows."""

import json
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mlptui.core.errors import StorageError
from mlptui.store.append import AppendFile
from mlptui.store.atomic import open_regular

MAGIC = b"mlptui-steps\n"
HEADER_SIZE = 1024
VERSION = 1
BODY = struct.Struct("<QddfffI")
ROW_SIZE = BODY.size + 4
FIELDS = [
    ["step", "u8", "counted from 1"],
    ["wall", "f8", "Unix time in seconds when the row was fetched from the device"],
    ["lr", "f8", "learning rate of this step"],
    ["loss", "f4", "mean over the batch"],
    ["accuracy", "f4", "share of the batch"],
    ["gradient_norm", "f4", "before clipping; NaN where it was not measured"],
    ["epoch", "u4", "counted from 1"],
    ["crc", "u4", "CRC-32 of the bytes before it in the row"],
]
READ_ROWS = 20_000


class Row(NamedTuple):
    """One training step as logged."""

    step: int
    wall: float
    lr: float
    loss: float
    accuracy: float
    gradient_norm: float
    epoch: int


def encode(rows: Iterable[Row]) -> bytes:
    parts = []
    for row in rows:
        body = BODY.pack(*row)
        parts.append(body + zlib.crc32(body).to_bytes(4, "little"))
    return b"".join(parts)


def header() -> bytes:
    text = json.dumps(
        {
            "version": VERSION,
            "header_size": HEADER_SIZE,
            "row_size": ROW_SIZE,
            "byteorder": "little",
            "fields": FIELDS,
        }
    )
    data = MAGIC + text.encode() + b"\n"
    return data.ljust(HEADER_SIZE - 4, b" ") + zlib.crc32(data).to_bytes(4, "little")


def check_header(data: bytes) -> None:
    """Raises StorageError unless `data` begins with a header that this version reads."""
    if len(data) < HEADER_SIZE or not data.startswith(MAGIC):
        raise StorageError("steps.bin has no header")
    content, crc = data[: HEADER_SIZE - 4].rstrip(b" "), data[HEADER_SIZE - 4 : HEADER_SIZE]
    if zlib.crc32(content).to_bytes(4, "little") != crc:
        raise StorageError("the header of steps.bin is damaged")
    try:
        version = int(json.loads(content[len(MAGIC) :])["version"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise StorageError("the header of steps.bin is damaged") from None
    if version > VERSION:
        raise StorageError(f"steps.bin was made by a newer mlptui (format {version}); this one reads up to {VERSION}")


class StepWriter:
    """Appends rows; `after` (a step) cuts everything that comes later, as a resume does."""

    def __init__(self, path: Path, after: int | None = None) -> None:
        if not path.exists() or path.stat().st_size < HEADER_SIZE:
            path.write_bytes(header())
        if after is not None:
            cut_after(path, after)
        self.file = AppendFile(path)

    def write(self, rows: list[Row]) -> None:
        if rows:
            self.file.append(encode(rows), len(rows))


class StepReader:
    """Reads whole rows from where it stopped, and starts over when rows were taken back by a resume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restart()

    def restart(self) -> None:
        self.offset = HEADER_SIZE
        self.damaged = 0
        self._tail = b""

    def read(self, limit: int = READ_ROWS) -> tuple[list[Row], bool]:
        """At most `limit` new rows, and whether all read so far must be forgotten first. A missing file has no rows.

        Raises StorageError for a header that is damaged or from a newer version.
        """
        try:
            with open_regular(self.path) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size < HEADER_SIZE:
                    return [], False
                restarted = self._moved(stream, size)
                if self.offset == HEADER_SIZE:
                    check_header(stream.read(HEADER_SIZE))
                stream.seek(self.offset)
                block = stream.read(limit * ROW_SIZE)
        except OSError:
            return [], False
        block = block[: len(block) // ROW_SIZE * ROW_SIZE]
        if block:
            self._tail = block[-ROW_SIZE:]
            self.offset += len(block)
        return self._decode(block), restarted

    def read_all(self) -> list[Row]:
        rows: list[Row] = []
        while True:
            more, restarted = self.read()
            rows = more if restarted else rows + more
            if not more:
                return rows

    def _moved(self, stream: BinaryIO, size: int) -> bool:
        if self.offset == HEADER_SIZE:
            return False
        if size >= self.offset:
            stream.seek(self.offset - ROW_SIZE)
            if stream.read(ROW_SIZE) == self._tail:
                return False
        self.restart()
        stream.seek(0)
        return True

    def _decode(self, block: bytes) -> list[Row]:
        rows = []
        for start in range(0, len(block), ROW_SIZE):
            body = block[start : start + BODY.size]
            if zlib.crc32(body).to_bytes(4, "little") == block[start + BODY.size : start + ROW_SIZE]:
                rows.append(Row(*BODY.unpack(body)))
            else:
                self.damaged += 1
        return rows


def read_rows(path: Path) -> list[Row]:
    return StepReader(path).read_all()


def cut_after(path: Path, step: int) -> int:
    """Take back the rows after `step`, and a torn last one. Returns how many whole rows went."""
    with path.open("rb") as stream:
        data = stream.read()
    kept = bytearray(data[:HEADER_SIZE])
    gone = 0
    for start in range(HEADER_SIZE, len(data) - ROW_SIZE + 1, ROW_SIZE):
        row = data[start : start + ROW_SIZE]
        whole = zlib.crc32(row[: BODY.size]).to_bytes(4, "little") == row[BODY.size :]
        if whole and BODY.unpack(row[: BODY.size])[0] > step:
            gone += 1
            continue
        kept += row
    if gone or len(kept) != len(data):
        if data.startswith(bytes(kept)):
            os.truncate(path, len(kept))
        else:
            from mlptui.store.atomic import replace

            replace(path, bytes(kept))
    return gone
