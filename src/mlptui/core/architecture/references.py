"""Networks and layers that are made by code outside of the language: where that code is."""

import hashlib
import os

from mlptui.core.architecture.tree import Layer

TORCHVISION = "torchvision"
MAX_BYTES = 4 << 20  # of a Python file


def split(kind: str) -> tuple[str, str]:
    """`nets.py:MLP` as (file, name); `torchvision:resnet18` as (torchvision, name)."""
    where, _, name = kind.rpartition(":")
    return where, name


def files(tree: Layer) -> list[str]:
    """The Python files that a network is made by, each once, as they are written in it."""
    found = (split(layer.kind)[0] for _, layer in tree.walk() if layer.reference)
    return [where for where in dict.fromkeys(found) if where != TORCHVISION]


def absolute(file: str) -> str:
    return os.path.abspath(os.path.expanduser(file))


def resolved(text: str, tree: Layer) -> str:
    """The text of a network with the whole paths of all files in it, so that it means the same in every folder.

    `tree` is what the text says.
    """
    for file in files(tree):
        if file == absolute(file):
            continue
        if tree.reference:
            return absolute(file) + text.strip()[len(file) :]
        for quote in ('"', "'"):
            text = text.replace(f"{quote}{file}:", f"{quote}{absolute(file)}:")
    return text


def kept_name(file: str) -> str:
    """What a run calls its copy of a file: two files of one name in two folders stay apart."""
    return f"{hashlib.sha256(absolute(file).encode()).hexdigest()[:8]}-{os.path.basename(file)}"
