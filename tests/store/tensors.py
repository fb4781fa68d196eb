"""Small safetensors files, made by hand."""

import json
from typing import Any


def tensor_file(**floats: int) -> bytes:
    """A file of float32 vectors with so many elements each."""
    header: dict[str, Any] = {}
    data = b""
    for name, elements in floats.items():
        content = bytes((i * 7 + 1) % 256 for i in range(4 * elements))
        header[name] = {"dtype": "F32", "shape": [elements], "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return with_header(json.dumps(header).encode(), data)


def with_header(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data
