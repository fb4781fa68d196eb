"""Any file of tensors, looked at by what it begins with. Nothing is unpickled, nothing is run, no number is read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from mlptui.core.errors import StorageError
from mlptui.core.text import safe
from mlptui.store import atomic
from mlptui.store.formats import pytorch, safetensors, zips
from mlptui.store.formats.contents import Contents, FormatError

NPY_MAGIC = b"\x93NUMPY"
PIECE = 1 << 20  # bytes that are unpacked at once
PICKLES = (".pkl", ".pickle")
SUFFIXES = (".safetensors", ".npy", ".npz", ".pt", ".pth", ".bin", ".ckpt", ".params", ".pkl", ".pickle")


def sniff(head: bytes) -> str:
    """The format of a file that begins so: safetensors, npy, zip, pickle, or "" for none of them."""
    if head.startswith(NPY_MAGIC):
        return "npy"
    if head.startswith(zips.MAGIC):
        return "zip"
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 1 << 30:  # a larger one is refused later
        return safetensors.FORMAT
    if head[:1] == b"\x80" and head[1:2] and head[1] <= 5:  # protocols 2 to 5 begin with their number
        return "pickle"
    return ""


def is_there(path: Path) -> bool:
    """Whether this is a file that `read` knows by its beginning, or that is called like one."""
    try:
        with atomic.open_regular(path.resolve()) as stream:
            return bool(sniff(stream.read(16))) or path.suffix.lower() in SUFFIXES
    except (OSError, StorageError, RuntimeError, ValueError):  # the last for a NUL in it
        return False


def read(path: Path) -> Contents:
    """What the file holds. Raises FormatError with file and reason for all that is wrong with it, or with reading it."""

    def look(stream: BinaryIO) -> Contents:
        size = os.fstat(stream.fileno()).st_size
        kind = sniff(stream.read(16))
        stream.seek(0)
        if kind == safetensors.FORMAT:
            return safetensors.read(stream, size)
        if kind == "npy":
            from mlptui.store.formats import arrays  # numpy comes only where there is something for it

            return arrays.read(stream, size)
        if kind == "pickle" or (not kind and size and path.suffix.lower() in PICKLES):  # protocols 0 and 1 have no beginning
            return pytorch.read_stream(stream, size)
        if kind == "zip":
            with zips.opened(stream) as archive:
                if any(name.endswith(".npy") for name in archive.namelist()):
                    from mlptui.store.formats import arrays

                    return arrays.read_many(stream, size, archive)
                return pytorch.read_zip(stream, size, archive)
        raise FormatError("it is neither safetensors nor of NumPy or PyTorch" if size else "it is empty")

    def named(stream: BinaryIO) -> Contents:
        found = look(stream)
        found.check_names()
        return found

    return _guarded(path, named)


def verify(path: Path) -> str:
    """Compare what has checksums with them; what was found in words. Raises FormatError where something is damaged."""

    def look(stream: BinaryIO) -> str:
        if sniff(stream.read(16)) != "zip":
            return "this format has no checksums; only its structure was looked at"
        if problem := zips.damaged(stream):
            raise FormatError(f"it is damaged: {problem}")
        return "every member is as its checksum says"

    read(path)
    return _guarded(path, look)


def unpacked(path: Path, member: str, size: int) -> bytearray:
    """A compressed member of a zip file, which has `size` bytes. Raises FormatError."""

    def look(stream: BinaryIO) -> bytearray:
        with zips.opened(stream) as archive, archive.open(member) as packed:
            data = bytearray(size)
            view, at = memoryview(data), 0
            while at < size and (got := packed.readinto(view[at : at + PIECE])):  # type: ignore[attr-defined]
                at += got
            if at < size or packed.read(1):
                raise FormatError(f"{safe(member, 80)} has another size than its table says")
        return data

    return _guarded(path, look)


T = TypeVar("T")


def _guarded(path: Path, look: Callable[[BinaryIO], T]) -> T:
    try:
        with atomic.open_regular(path.resolve()) as stream:
            return look(stream)
    except OSError as error:
        why = atomic.reason(error)
    except (FormatError, StorageError) as error:
        why = str(error)
    except (RecursionError, MemoryError):
        why = "it nests too deeply or is larger than the memory"
    except Exception as error:  # zipfile and zlib raise what they like
        why = f"{type(error).__name__}: {safe(error, 120)}"
    raise FormatError(f"{safe(path.name, 200)} is refused: {safe(why, 400)}") from None
