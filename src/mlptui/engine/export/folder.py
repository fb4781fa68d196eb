"""A checkpoint as a folder that runs without mlptui: a plain PyTorch script, the weights, the data."""

import io
import os
import re
import secrets
from pathlib import Path

import torch

from mlptui.core.architecture import references
from mlptui.core.architecture.parse import parse
from mlptui.core.errors import CheckpointError, DataError, StorageError, UsageError
from mlptui.core.text import safe
from mlptui.datasets import library
from mlptui.engine import codec, judge
from mlptui.engine.export.script import Circumstances, script, write_arrays
from mlptui.store import atomic
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths

SCRIPT, WEIGHTS = "run.py", "model.pt"
OWN = "own"  # the folder of a person's own files, where their names hide none of Python's modules from the script


def write(paths: Paths, entry: Entry, out: Path) -> list[str]:
    """Write the folder, whole or not at all; gives the names of its files.

    `python run.py` judges the weights on the test set, `python run.py train` trains anew.
    Raises UsageError, CheckpointError, DataError.
    """
    if entry.checkpoint is None:
        raise CheckpointError(entry.problem)
    recipe = judge.recipe_of(entry.checkpoint)
    own = _own_files(references.files(parse(recipe.architecture)), entry.run.source)
    environment = dict(entry.checkpoint.manifest.get("environment", {}))
    circumstances = Circumstances(int(environment.get("threads") or 0), environment.get("matmul") == "oneDNN")
    data = library.load(paths, recipe.data.name)
    trained_on = str(entry.checkpoint.manifest.get("data_sha256", ""))
    if trained_on and data.facts.sha256 != trained_on:
        raise DataError(f"{data.name} is not the data that this run was trained on (its checksum differs)")
    beside = {file: name for name, (file, _) in own.items()}
    text = script(recipe, data.facts, circumstances, SCRIPT, WEIGHTS, beside)
    weights = io.BytesIO()
    torch.save(codec.weights_of(entry.checkpoint.read(codec.MODEL)), weights)
    if out.exists() and not _is_ours(out):
        raise UsageError(f"{out} holds other things than an export; it is not replaced")
    made = out.with_name(f".{out.name}.{os.getpid()}-{secrets.token_hex(4)}")
    names = [SCRIPT, WEIGHTS, f"{data.name}.npz", *own]
    try:
        made.mkdir()
        atomic.write_new(made / SCRIPT, text.encode(), shared=True)
        atomic.write_new(made / WEIGHTS, weights.getvalue(), shared=True)
        write_arrays(data, made / names[2])
        if own:
            (made / OWN).mkdir()
        for name, (_, code) in own.items():
            atomic.write_new(made / name, code, shared=True)
        old = out.with_name(f"{made.name}.old")
        if out.exists():
            out.rename(old)
        try:
            atomic.move(made, out)
        except BaseException:
            if old.exists() and not out.exists():
                old.rename(out)
            raise
        atomic.remove_folder_quietly(old)
    except BaseException as error:  # a person who stops it, too, leaves nothing behind
        atomic.remove_folder_quietly(made)
        if not isinstance(error, OSError | StorageError):
            raise
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise UsageError(f"{out} cannot be written: {reason}") from None
    return names


def _own_files(files: list[str], kept: Path) -> dict[str, tuple[str, bytes]]:
    """By the name that it has in the folder: a person's file as the network's text has it, and its code.

    The run's copy, where there is one. Raises UsageError where a file cannot be read.
    """
    found: dict[str, tuple[str, bytes]] = {}
    for file in files:
        copy = kept / references.kept_name(file)
        place = copy if copy.is_file() else Path(references.absolute(file))
        name = f"{OWN}/{os.path.basename(file)}"
        name = f"{OWN}/{references.kept_name(file)}" if name in found else name
        try:
            found[name] = file, atomic.read_regular(place, references.MAX_BYTES)
        except (OSError, StorageError) as error:
            reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
            raise UsageError(f"{safe(str(place), 300)}, which the network is from, cannot be read: {reason}") from None
    return found


def _is_ours(folder: Path) -> bool:
    """Whether nothing but an export lies there, or nothing: the script's head names all that is beside it."""
    try:
        names = {entry.name for entry in folder.iterdir()} - {OWN}
        names |= {f"{OWN}/{entry.name}" for entry in (folder / OWN).iterdir()} if (folder / OWN).is_dir() else set()
        head = (folder / SCRIPT).read_text(errors="replace")[:2000] if SCRIPT in names else ""
    except OSError:
        return False
    told = re.search(r"Written by mlptui\. Needs torch, numpy and (.+?) beside it((?:, and .+?)*); run it", head)
    written = {SCRIPT, WEIGHTS, told[1], *told[2].split(", and ")} if told else set()
    return names <= written
