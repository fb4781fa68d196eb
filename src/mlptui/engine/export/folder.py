"""A checkpoint as a folder that runs without mlptui: a plain PyTorch script, the weights, the data."""

import io
import os
import secrets
from pathlib import Path

import torch

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.errors import CheckpointError, DataError, StorageError, UsageError
from mlptui.datasets import library
from mlptui.engine import codec, judge
from mlptui.engine.script import Circumstances, script, write_arrays
from mlptui.store import atomic
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths

SCRIPT, WEIGHTS = "run.py", "model.pt"


def write(paths: Paths, entry: Entry, out: Path) -> list[str]:
    """Write the folder, whole or not at all; gives the names of its files.

    `python run.py` judges the weights on the test set, `python run.py train` trains anew.
    Raises UsageError, CheckpointError, DataError.
    """
    if entry.checkpoint is None:
        raise CheckpointError(entry.problem)
    recipe = judge.recipe_of(entry.checkpoint)
    if files := references.files(parse(recipe.architecture)):
        raise UsageError(
            f"the network is from {', '.join(files)}, which a script cannot take along; 'mlptui model code' names it"
        )
    environment = dict(entry.checkpoint.manifest.get("environment", {}))
    circumstances = Circumstances(int(environment.get("threads") or 0), environment.get("matmul") == "oneDNN")
    data = library.load(paths, recipe.data.name)
    trained_on = str(entry.checkpoint.manifest.get("data_sha256", ""))
    if trained_on and data.facts.sha256 != trained_on:
        raise DataError(f"{data.name} is not the data that this run was trained on (its checksum differs)")
    text = script(recipe, data.facts, circumstances, SCRIPT, WEIGHTS)
    weights = io.BytesIO()
    torch.save(codec.weights_of(entry.checkpoint.read(codec.MODEL)), weights)
    if out.exists() and not _is_ours(out):
        raise UsageError(f"{out} holds other things than an export; it is not replaced")
    made = out.with_name(f".{out.name}.{os.getpid()}-{secrets.token_hex(4)}")
    names = [SCRIPT, WEIGHTS, f"{data.name}.npz"]
    try:
        atomic.make_folder(made)
        atomic.write_new(made / SCRIPT, text.encode())
        atomic.write_new(made / WEIGHTS, weights.getvalue())
        write_arrays(data, made / names[2])
        old = out.with_name(f"{made.name}.old")
        if out.exists():
            out.rename(old)
        try:
            made.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
        atomic.remove_folder_quietly(old)
        atomic.fsync_folder(out.parent)
    except (OSError, StorageError) as error:
        atomic.remove_folder_quietly(made)
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise UsageError(f"{out} cannot be written: {reason}") from None
    return names


def _is_ours(folder: Path) -> bool:
    """Whether nothing but an export lies there, or nothing."""
    try:
        names = {entry.name for entry in folder.iterdir()}
        head = (folder / SCRIPT).read_bytes()[:2000] if SCRIPT in names else b""
    except OSError:
        return False
    others = names - {SCRIPT, WEIGHTS}
    return not names or (b"Written by mlptui" in head and len(others) <= 1 and all(n.endswith(".npz") for n in others))
