"""JSON that carries its own checksum as its last member, so that it stays plain JSON for every other tool."""

import hashlib
import json
import math
import zlib
from typing import Any

from mlptui.core.errors import StorageError


def line(values: dict[str, Any]) -> bytes:
    """One log line: compact JSON whose last member `crc` is the CRC-32 of the text before it, and a newline.

    NaN and infinities become the strings "nan", "inf" and "-inf".
    """
    text = json.dumps(finite(values), ensure_ascii=True, separators=(",", ":"), allow_nan=False)[:-1]
    return f'{text},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def read_line(data: bytes) -> dict[str, Any] | None:
    """The values of one line without its newline; None where it is damaged."""
    text, mark, check = data.rpartition(b',"crc":"')
    if not mark or len(check) != 10 or check[8:] != b'"}':
        return None
    if f"{zlib.crc32(text):08x}".encode() != check[:8]:
        return None
    try:
        values = json.loads(text + b"}")
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def document(values: dict[str, Any]) -> bytes:
    """A readable document whose last member `seal` is the SHA-256 of the text before it."""
    text = json.dumps(finite(values), ensure_ascii=True, indent=1, allow_nan=False)[:-2]
    return f'{text},\n "seal": "{hashlib.sha256(text.encode()).hexdigest()}"\n}}\n'.encode()


def read_document(data: bytes, what: str) -> dict[str, Any]:
    """The values of a sealed document. Raises StorageError where one byte of it changed."""
    text, mark, check = data.rpartition(b',\n "seal": "')
    if not mark or check != hashlib.sha256(text).hexdigest().encode() + b'"\n}\n':
        raise StorageError(f"{what} is damaged: its checksum does not match")
    try:
        values = json.loads(text + b"\n}")
    except (ValueError, RecursionError):
        raise StorageError(f"{what} is damaged: it cannot be read") from None
    if not isinstance(values, dict):
        raise StorageError(f"{what} is damaged: it is no object")
    return values


def finite(value: Any) -> Any:
    """The same values with NaN and infinities as strings, as JSON wants it."""
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return value
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def number(value: Any) -> float | None:
    """A float back from the log, where "nan" and "inf" are strings; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e308 or isinstance(value, float) else None
    return float(value) if value in ("nan", "inf", "-inf") else None
