"""Checkpoints on disk: committed by one rename, verified by SHA-256, pruned only after a newer one is durable.

This room deals in bytes; what the tensors mean is the engine's business.
"""

import errno
import hashlib
import math
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mlptui.core import text
from mlptui.core.errors import CheckpointError, StorageError
from mlptui.store import abouts, atomic, blocks, sealed
from mlptui.store.formats import opening, safetensors
from mlptui.store.formats.contents import FormatError
from mlptui.store.host import process_start

FORMAT = 1
WHOLE_KEPT = 2
MANIFEST = "checkpoint.json"
MODEL = "model.safetensors"
MANIFEST_LIMIT = 16 << 20


class NewerError(StorageError):
    """Made by a later version: not damaged, and not to be touched."""


# what a process that is gone has begun: a folder, its way out, or what it wanted to say of one, for which it had no lock
BEGUN = re.compile(r"\.(?:tmp-|del-|(?P<about>step-[0-9]+\.about\.))(?P<pid>[0-9]+)-[^.]*(?:\.about)?")
ABOUT_STAYS = 3600.0  # seconds, for it may be another host's
PASSING = (errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def _raise_if_passing(error: OSError, name: str) -> None:
    """A disk that does not answer now says nothing about the checkpoint: StorageError instead of CheckpointError."""
    if error.errno in PASSING:
        raise StorageError(f"{name} cannot be read now: {atomic.reason(error)}") from None


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint by its manifest. Its files are not yet verified."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def step(self) -> int:
        return int(self.manifest["step"])

    @property
    def valid_accuracy(self) -> float | None:
        return sealed.number(self.manifest.get("metrics", {}).get("valid_accuracy"))

    @property
    def valid_loss(self) -> float | None:
        return sealed.number(self.manifest.get("metrics", {}).get("valid_loss"))

    @property
    def size(self) -> int:
        return sum(int(entry["size"]) for entry in self.manifest["files"].values())

    def read(self, name: str) -> bytes:
        """One file's verified bytes. Raises CheckpointError with file and reason."""
        try:
            entry = self.manifest["files"][name]
            data = atomic.read_regular(self.folder / name, int(entry["size"]))
        except KeyError:
            raise CheckpointError(f"{self.name} has no {name}") from None
        except OSError as error:
            _raise_if_passing(error, self.name)
            raise CheckpointError(f"{self.name} is damaged: {name}: {atomic.reason(error)}") from None
        except (StorageError, MemoryError) as error:
            raise CheckpointError(f"{self.name} is damaged: {error or name + ' is larger than the memory'}") from None
        if len(data) != entry["size"]:
            raise CheckpointError(f"{self.name} is damaged: {name} has {len(data):,} of {entry['size']:,} bytes")
        if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
            raise CheckpointError(f"{self.name} is damaged: {name}: {blocks.told(data, entry) or 'its checksum is another'}")
        try:
            check_tensor_header(data, name)
        except CheckpointError as error:
            raise CheckpointError(f"{self.name} is damaged: {error}") from None
        return data


def name_of(step: int) -> str:
    return f"step-{step:010d}"


def commit(parent: Path, step: int, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> Checkpoint:
    """Write a checkpoint so that it is there whole or not at all, and durable when this returns.

    Raises StorageError with a sentence; then the earlier checkpoints are untouched and no part of this one is left.
    An error only in the last fsync of the parent folder counts as saved if everything reads back verified.
    """
    manifest = {
        "format": FORMAT,
        "step": step,
        **facts,
        "files": {name: _facts_of(data) for name, data in files.items()},
    }
    content = sealed.document(manifest)
    needed = sum(map(len, files.values())) + len(content)
    try:
        free = atomic.free_space(parent)
        if free < needed:
            raise StorageError(f"needs {text.size(needed)}, {text.size(free)} free")
        for name, data in files.items():
            check_tensor_header(data, name)
        if not (parent / name_of(step)).exists():
            abouts.forget(parent / name_of(step))  # it was said of one that is gone
        atomic.commit_folder(parent, name_of(step), {**files, MANIFEST: content})
    except FileExistsError:
        raise StorageError(f"{name_of(step)} exists already") from None
    except CheckpointError as error:
        raise StorageError(f"it could not be read back: {error}") from None
    except OSError as error:
        if not _reads_back(parent / name_of(step), list(files), content):
            raise StorageError(atomic.reason(error)) from None
    return Checkpoint(parent / name_of(step), manifest)


def _facts_of(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **blocks.sums(data)}


def _reads_back(folder: Path, names: list[str], manifest: bytes) -> bool:
    try:
        checkpoint = load(folder)
        for name in names:
            checkpoint.read(name)
        return atomic.read_regular(folder / MANIFEST, len(manifest)) == manifest
    except (CheckpointError, StorageError, OSError):
        return False


def load(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, its manifest verified. Raises CheckpointError."""
    try:
        data = atomic.read_regular(folder / MANIFEST, MANIFEST_LIMIT)
        manifest = sealed.read_document(data, MANIFEST)
        if int(manifest["format"]) > FORMAT:
            raise NewerError(f"{folder.name} was made by a newer mlptui (format {manifest['format']})")
        files = manifest["files"]
        if not all(name.isprintable() and "/" not in name and not name.startswith(".") for name in files):
            raise CheckpointError(f"{folder.name} is damaged: a file name is not plain")
        _check_types(manifest)
        step = int(manifest["step"])
        if folder.name.startswith("step-") and folder.name != name_of(step):
            raise CheckpointError(f"{folder.name} is damaged: it has the content of step {step:,}")
    except OSError as error:
        _raise_if_passing(error, folder.name)
        raise CheckpointError(f"{folder.name} is damaged: {MANIFEST}: {atomic.reason(error)}") from None
    except (NewerError, CheckpointError):
        raise
    except StorageError as error:
        raise CheckpointError(f"{folder.name} is damaged: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise CheckpointError(f"{folder.name} is damaged: {MANIFEST} is incomplete") from None
    return Checkpoint(folder, manifest)


def _check_types(manifest: dict[str, Any]) -> None:
    """Raises TypeError for what readers would stumble over; nan and infinities are strings in a manifest."""
    for name, kinds in (("created", int | float), ("epoch", int), ("architecture", str), ("run", str)):
        if not isinstance(manifest.get(name), kinds | None):
            raise TypeError(name)
    recipe = manifest.get("recipe", {})
    tables = [manifest.get(name, {}) for name in ("metrics", "environment", "normalisation")]
    if not all(isinstance(one, dict) for one in (recipe, *tables)):
        raise TypeError("a table")
    if (
        not all(isinstance(recipe.get(name, {}), dict) for name in ("data", "optimizer"))
        or type(recipe.get("seed", 0)) is not int
    ):
        raise TypeError("recipe")
    for entry in manifest["files"].values():
        if type(entry["size"]) is not int or not isinstance(entry["sha256"], str):
            raise TypeError("files")


def weights_in(path: Path) -> Path:
    """The file of weights where `path` is a checkpoint's folder, else `path` itself."""
    try:
        return path / MODEL if (path / MANIFEST).is_file() else path
    except OSError:
        return path


def of_file(path: Path) -> Checkpoint | None:
    """The checkpoint whose folder a file lies in, where its manifest names the file.

    Raises CheckpointError, StorageError where that folder is called like a checkpoint and its manifest is damaged.
    """
    try:
        if not (path.parent / MANIFEST).is_file():
            return None
    except OSError:
        return None
    folder = path.absolute().parent
    try:
        found = load(folder)
    except (CheckpointError, StorageError):
        if re.search(r"step-[0-9]{10}$", folder.name):
            raise
        return None  # another program's manifest
    return found if path.name in found.manifest["files"] else None


def verify_file(path: Path) -> str:
    """Compare a file with what its checkpoint's manifest says of it, else with the checksums in it; the result in words.

    Raises CheckpointError, StorageError, FormatError where it is damaged or cannot be read.
    """
    owner = of_file(path)
    if owner is None:
        return opening.verify(path)
    owner.read(path.name)
    return "every byte is as it was written: its SHA-256 is that of the manifest beside it"


def listed(parent: Path) -> tuple[list[Checkpoint], list[str]]:
    """Committed checkpoints by step, and a sentence for each whose manifest is damaged."""
    good, bad = [], []
    for folder in folders(parent):
        try:
            good.append(load(folder))
        except (CheckpointError, StorageError) as error:
            bad.append(str(error))
    return sorted(good, key=lambda c: c.step), bad


def folders(parent: Path) -> list[Path]:
    """Those of committed checkpoints, by step."""
    try:
        return sorted(
            Path(e.path)
            for e in os.scandir(parent)
            if e.name.startswith("step-") and e.name[5:].isdecimal() and e.is_dir(follow_symlinks=False)
        )
    except OSError:
        return []


def newest(parent: Path) -> Path | None:
    """The folder of the newest committed checkpoint, as it is."""
    return next(reversed(folders(parent)), None)


def newest_verified(parent: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint of which every byte is as it was written, and a sentence for each damaged one passed over.

    A sentence begins with the folder's name. Raises StorageError where one cannot be read now or is from a newer version.
    """
    passed: list[str] = []
    for folder in reversed(folders(parent)):
        try:
            checkpoint = load(folder)
            for name in checkpoint.manifest["files"]:
                checkpoint.read(name)
        except CheckpointError as error:
            passed.append(str(error))
        else:
            return checkpoint, passed
    return None, passed


def best(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """Highest validation accuracy, then lowest validation loss, then earliest; None if none was validated."""

    def rank(c: Checkpoint) -> tuple[float, float, int]:
        accuracy, loss = c.valid_accuracy, c.valid_loss
        return (
            math.inf if accuracy is None or math.isnan(accuracy) else -accuracy,
            math.inf if loss is None or math.isnan(loss) else loss,
            c.step,
        )

    return min((c for c in checkpoints if c.valid_accuracy is not None), key=rank, default=None)


def prune(parent: Path, keep: int) -> list[str]:
    """Remove what `kept` does not name. Returns the names that went; never raises."""
    checkpoints, _ = listed(parent)
    staying = kept(checkpoints, keep)
    gone = []
    for checkpoint in checkpoints:
        if checkpoint.name in staying:
            continue
        away = parent / f".del-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with abouts.locked(parent):  # a person may have pinned it since
                if holds(checkpoint.folder):
                    continue
                abouts.move(checkpoint.folder, away)
        except (OSError, StorageError):
            continue
        atomic.remove_folder_quietly(away)
        atomic.unlink_quietly(abouts.file_of(away))
        gone.append(checkpoint.name)
    return gone


def holds(folder: Path) -> str:
    """Why retention leaves a checkpoint whatever its numbers are; "" where nothing speaks for it."""
    if abouts.known(folder).pinned:
        return "pinned"
    return "a run went on from it" if abouts.children(folder) else ""


def kept(checkpoints: list[Checkpoint], keep: int) -> dict[str, str]:
    """Names of those that retention leaves, of all of a run by step, each with the reason.

    The first, the best, the newest `keep`, two that are whole byte for byte and finite, those pinned, and those that another
    run went on from.
    """
    staying = {c.name: "new" for c in checkpoints[-keep:]} | {c.name: "the first" for c in checkpoints[:1]}
    top = best(checkpoints)
    if top:
        staying[top.name] = "the best"
    whole = (c for c in reversed(checkpoints) if c.manifest.get("finite", True) and _is_whole(c))
    for checkpoint in islice(whole, WHOLE_KEPT):
        staying.setdefault(checkpoint.name, "whole and finite")
    for checkpoint in checkpoints:
        if why := holds(checkpoint.folder):
            staying[checkpoint.name] = why
    return staying


def _is_whole(checkpoint: Checkpoint) -> bool:
    try:
        for name in checkpoint.manifest["files"]:
            checkpoint.read(name)
    except (CheckpointError, StorageError):
        return False
    return True


def set_aside(parent: Path, name: str) -> None:
    """Rename a damaged checkpoint so that it is kept but never chosen again."""
    try:
        abouts.move(parent / name, parent / f"damaged-{name}-{int(time.time())}-{secrets.token_hex(2)}")
    except OSError:
        pass


def sweep(parent: Path, older_than: float = 0.0) -> None:
    """Remove temporary and half-removed folders of processes that are gone, and what is said of such ones.

    Where no lock keeps others from writing there, only what is `older_than` so many seconds: on another host they may live.
    """
    try:
        entries = list(os.scandir(parent))
    except OSError:
        return
    for entry in entries:
        begun = BEGUN.fullmatch(entry.name)
        if not begun:
            continue
        pid = begun["pid"]
        stays = max(older_than, ABOUT_STAYS if begun["about"] else 0.0)
        if int(pid) != os.getpid() and process_start(int(pid)) is not None:
            continue
        try:
            if time.time() - entry.stat(follow_symlinks=False).st_mtime < stays:
                continue
        except OSError:
            continue
        if entry.is_dir(follow_symlinks=False):
            atomic.remove_folder_quietly(Path(entry.path))
        else:
            atomic.unlink_quietly(Path(entry.path))


def check_tensor_header(data: bytes, name: str) -> dict[str, Any]:
    """The header of a safetensors file, bounded and consistent. Raises CheckpointError."""
    try:
        return safetensors.header_of(data, len(data))
    except FormatError as error:
        raise CheckpointError(f"{name} is refused: {error}") from None
