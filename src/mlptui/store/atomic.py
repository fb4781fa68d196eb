"""Writing files so that a reader, a crash or a power cut finds the old or the new content, never a part."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mlptui.core.errors import StorageError

CHUNK = 1 << 22


def write_all(fd: int, data: bytes) -> None:
    """All of `data`, over short writes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:CHUNK]) :]


def fsync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new(path: Path, data: bytes, *, durable: bool = True, shared: bool = False) -> None:
    """Create a file that must not exist, for this user alone unless it is `shared`: then others may what the umask lets them.

    Raises OSError; a part that was written stays (the caller sweeps).
    """
    mode = 0o666 if shared else 0o600
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        write_all(fd, data)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes, *, durable: bool = True, shared: bool = False) -> None:
    """Replace a file's content in one step. Raises OSError and leaves the old content and no temporary file.

    Also who is interrupted leaves no temporary file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        write_new(temporary, data, durable=durable, shared=shared)
        os.rename(temporary, path)
    except BaseException:
        unlink_quietly(temporary)
        raise
    if durable:
        fsync_folder(path.parent)


def commit_folder(parent: Path, name: str, files: Mapping[str, bytes], *, shared: bool = False) -> None:
    """Make `parent/name` appear by one rename after everything in it is durable; `files` are written in order.

    Raises OSError (FileExistsError if the name is taken) with no temporary folder left behind where that can be helped.
    """
    final = parent / name
    if final.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    temporary = parent / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    os.mkdir(temporary, 0o777 if shared else 0o700)
    try:
        for file_name, data in files.items():
            write_new(temporary / file_name, data, shared=shared)
        fsync_folder(temporary)
        os.rename(temporary, final)
    except BaseException:
        remove_folder_quietly(temporary)
        raise
    fsync_folder(parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, so that a power cut does not take it back where the disk can promise that. Raises OSError.

    What was renamed is told as such also where the folders cannot be synced: it must not be lost from sight.
    """
    os.rename(source, target)
    with contextlib.suppress(OSError):
        for folder in {source.parent, target.parent}:
            fsync_folder(folder)


def unlink_quietly(path: Path) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def remove_folder_quietly(folder: Path) -> None:
    """Remove a folder of plain files and folders; what cannot be removed stays. A link is removed, not followed."""
    try:
        if folder.is_symlink():
            os.unlink(folder)
            return
        with os.scandir(folder) as found:
            entries = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError:
        return
    for path, is_folder in entries:
        if is_folder:
            remove_folder_quietly(path)
        else:
            unlink_quietly(path)
    try:
        os.rmdir(folder)
    except OSError:
        pass


def make_folder(path: Path) -> Path:
    """The folder, made for this user alone if it is missing. Raises StorageError with a sentence."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {path}: {reason(error)}") from None
    return path


def reason(error: OSError) -> str:
    """The system's reason in plain words."""
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(os.fspath(error.filename)) if isinstance(error.filename, str | os.PathLike) else ""
        return "its folder is not there" if folder and not os.path.isdir(folder) else "it is not there"
    words = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "permission denied",
        errno.EIO: "the disk reported an input/output error",
        errno.ESTALE: "the network file system lost the file",
    }
    return words.get(error.errno or 0, error.strerror or type(error).__name__)


def free_space(path: Path) -> int:
    """Bytes free for this user on the file system of `path`. Raises OSError."""
    stats = os.statvfs(path)
    return stats.f_bavail * stats.f_frsize


def read_regular(path: Path, limit: int) -> bytes:
    """A regular file's bytes, refusing links, pipes, devices and anything over `limit`. Raises OSError or StorageError."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise StorageError(f"{path.name} has {size:,} bytes, more than the {limit:,} expected")
        data = stream.read(size + 1)
        if len(data) > size:
            raise StorageError(f"{path.name} grew while it was read")
        return data


def open_regular(path: Path) -> BinaryIO:
    """A regular file for reading, without waiting for what may be a pipe. Raises OSError or StorageError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise StorageError(f"{path.name} is not a regular file")
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise
