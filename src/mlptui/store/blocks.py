"""CRC-32 of a file's blocks, kept beside its SHA-256: the hash says that a file was damaged, the blocks say where."""

import zlib
from collections.abc import Mapping
from typing import Any

from mlptui.core.text import safe
from mlptui.store.formats import safetensors
from mlptui.store.formats.contents import FormatError

SMALLEST = 4096
MOST = 256  # blocks of a file; 2 kB of a manifest


def sums(data: bytes) -> dict[str, Any]:
    """`block` is the length of each in bytes (the last may be shorter), `crc32` has 8 hexadecimal digits for each."""
    block = SMALLEST
    while block * MOST < len(data):
        block *= 2
    return {"block": block, "crc32": "".join(f"{_sum(data, block, at):08x}" for at in range(0, len(data), block))}


def _sum(data: bytes, block: int, at: int) -> int:
    return zlib.crc32(memoryview(data)[at : at + block])


def differing(data: bytes, written: Mapping[str, Any]) -> list[range]:
    """The bytes that are in blocks which are not as they were written, neighbours as one range; [] where that is not known."""
    block, known = written.get("block"), written.get("crc32")
    if (
        not isinstance(block, int)
        or block < SMALLEST
        or not isinstance(known, str)
        or len(known) != 8 * -(-len(data) // block)
    ):
        return []
    found: list[range] = []
    for at in range(0, len(data), block):
        if f"{_sum(data, block, at):08x}" == known[at // block * 8 :][:8]:
            continue
        begin = found.pop().start if found and found[-1].stop == at else at
        found.append(range(begin, min(at + block, len(data))))
    return found


def told(data: bytes, written: Mapping[str, Any]) -> str:
    """`bytes 4,096 to 8,191 (0.weight) are not as they were written`; "" where that is not known."""
    ranges = differing(data, written)
    if not ranges:
        return ""
    shown = ", ".join(f"{r.start:,} to {r.stop - 1:,}" for r in ranges[:3]) + (" and others" if len(ranges) > 3 else "")
    names = _tensors(data, ranges)
    held = f" ({', '.join(names[:3])}{f' and {len(names) - 3:,} more' if len(names) > 3 else ''})" if names else ""
    return f"bytes {shown}{held} are not as they were written"


def _tensors(data: bytes, ranges: list[range]) -> list[str]:
    """The tensors of a safetensors file that lie in these bytes; none where its header lies there, or for other files."""
    begin = 8 + int.from_bytes(data[:8], "little")
    if ranges[0].start < begin:
        return []
    try:
        header = safetensors.header_of(data, len(data))
    except FormatError:
        return []
    places = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return [safe(n, 60) for n, (a, b) in places.items() if any(a + begin < r.stop and r.start < b + begin for r in ranges)]
