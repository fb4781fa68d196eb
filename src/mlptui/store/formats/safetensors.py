"""The header of a safetensors file: bounded, consistent, every byte accounted for."""

import json
from typing import Any, BinaryIO

from mlptui.core.text import safe
from mlptui.core.text import size as size_of
from mlptui.store.formats.contents import DTYPES, MAX_DIMENSIONS, Contents, FormatError, Node, Stored, dense, stored

HEADER_LIMIT = 8 << 20
TENSOR_LIMIT = 50_000  # about a second
NESTED = 1_000  # brackets that may stand in names
FORMAT = "safetensors"


def header_of(data: bytes, size: int) -> dict[str, Any]:
    """The table of a file of `size` bytes of which `data` is the beginning, with the whole header. Raises FormatError."""
    if size < 8 or len(data) < 8:
        raise FormatError("it is too short for a safetensors file")
    length = int.from_bytes(data[:8], "little")
    if length > HEADER_LIMIT:
        raise FormatError(f"its header has {size_of(length)}, more than the {size_of(HEADER_LIMIT)} that are read")
    if 8 + length > min(size, len(data)):
        raise FormatError("its header is larger than allowed")
    text = data[8 : 8 + length]
    if text.count(b"[") > 2 * TENSOR_LIMIT + NESTED or text.count(b"{") > TENSOR_LIMIT + NESTED:  # before it costs anything
        raise FormatError(f"it has more than {TENSOR_LIMIT:,} tensors, or makes no sense")
    try:
        header = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise FormatError("its header cannot be read") from None
    if not isinstance(header, dict) or len(header) > TENSOR_LIMIT:
        raise FormatError(f"it has more than {TENSOR_LIMIT:,} tensors or no table of them")
    spans = []
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            if not (isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values())):
                raise FormatError("what it says of itself is no table of texts")
            continue
        try:
            (start, stop), shape, dtype = entry["data_offsets"], entry["shape"], entry["dtype"]
            elements = 1
            if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(type(n) is int for n in (start, stop)):
                raise ValueError
            for extent in shape:
                if type(extent) is not int or extent < 0:
                    raise ValueError
                elements *= extent
            if stop - start != elements * DTYPES[dtype] or not 0 <= start <= stop:
                raise ValueError
            if stop > size - 8 - length:
                missing = f"{stop - (size - 8 - length):,} bytes of {safe(tensor, 80)!r} are not there"
                raise FormatError(f"it is cut off, or its header is wrong: {missing}")
        except (KeyError, TypeError, ValueError):
            raise FormatError(f"the entry of tensor {safe(tensor, 80)!r} makes no sense") from None
        spans.append((start, stop))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise FormatError("its tensors overlap or leave holes")
        end = stop
    if end != size - 8 - length:
        raise FormatError("its tensors overlap or leave holes")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise FormatError("a name stands twice in its header")
    return made


def read(stream: BinaryIO, size: int) -> Contents:
    """Raises FormatError, OSError."""
    head = stream.read(8)
    head += stream.read(min(int.from_bytes(head, "little"), HEADER_LIMIT))
    header = header_of(head, size)
    about = header.pop("__metadata__", {})
    children = []
    for name, entry in header.items():
        start, stop = (len(head) + offset for offset in entry["data_offsets"])
        shape = tuple(entry["shape"])
        made = Stored if stop > start else stored  # the header was checked; what is empty may still have any shape
        tensor = made(entry["dtype"], shape, dense(shape), start, (start, stop))
        children.append((name, Node("tensor", tensor=tensor)))
    return Contents(FORMAT, Node("dict", children=tuple(children)), size, about=tuple(about.items()))
