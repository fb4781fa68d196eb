"""A network that a person has before them, kept as a checkpoint by a name."""

import json
import time

from torch import nn

from mlptui.core.bench import Save
from mlptui.core.errors import CheckpointError
from mlptui.engine import codec
from mlptui.engine.parameters import files, tensors
from mlptui.engine.parameters.files import TensorFile
from mlptui.store import collection
from mlptui.store.collection import Entry
from mlptui.store.paths import Paths
from mlptui.version import __version__


def save(paths: Paths, model: nn.Module, text: str, request: Save, origin: str = "") -> Entry:
    """`origin` says what it came from. Raises CheckpointError, FormatError."""
    files.check(model)
    lazy = next((path for path, named in tensors.tensors(model).items() if named.lazy), "")
    if lazy:
        raise CheckpointError(f"{lazy} has no size yet; give the network an input first (! in area 2)")
    state = {name: t for name, t in model.state_dict().items() if not isinstance(t, dict)}
    facts = {
        "architecture": "" if isinstance(model, TensorFile) else text,
        "created": time.time(),
        "why": "saved by hand" + (f", from {origin}" if origin else ""),
        "metrics": {},
        "versions": {"mlptui": __version__},
    }
    if request.recipe:
        facts["recipe"] = {**json.loads(request.recipe), "architecture": text}
    return collection.save(paths, request.name, {codec.MODEL: codec.encode_weights(state)}, facts, request.note)
