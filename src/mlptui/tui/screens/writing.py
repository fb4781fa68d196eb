"""What a person keeps: tensors in a file, or all of the bench as a checkpoint by a name."""

import os
from pathlib import Path

from mlptui.core.errors import CheckpointError
from mlptui.core.parameters.messages import Form
from mlptui.store import collection
from mlptui.tui.screens.prompt import Field, Prompt

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".params", ".npy", ".npz")
FORMS: dict[str, Form] = {
    "": "",
    "d": "dict",
    "dict": "dict",
    "dictionary": "dict",
    "l": "list",
    "list": "list",
    "t": "tensor",
    "tensor": "tensor",
}


class WriteScreen(Prompt):
    """`chosen` tensors are marked, 0: all of `every` are written.

    Dismissed with `to` as a whole path and `as`, one of FORMS.
    """

    title_text = "write tensors"
    FIELDS = (
        Field("to", "weights.safetensors", path=True),
        Field("as", "dictionary (by their names), list, or tensor: one alone"),
    )
    ROWS = 4

    def __init__(self, chosen: int, every: int) -> None:
        super().__init__({})
        self._count = chosen or every
        some = f"the {chosen} marked ones" if chosen > 1 else "the marked one" if chosen else "all of them"
        self.told = [
            (f"{some}; .safetensors, .pt, .npz or .npy by the ending; what is written is read back and compared", "dim")
        ]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "write"), ("tab", "next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        file = weights_file(values["to"])
        if not values["to"] or file.is_dir():
            self.tell(("the name of a file", "bad"))
        elif not file.parent.is_dir():
            self.tell((f"there is no folder {file.parent}", "bad"))
        elif Path(values["to"]).suffix and file.suffix.lower() != Path(values["to"]).suffix.lower():
            self.tell((f"the ending is one of {' '.join(ENDINGS)}", "bad"))
        elif file.suffix.lower() == ".npy" and self._count > 1:
            self.tell((f"a .npy file has one tensor, and {self._count} are chosen; .npz has several", "bad"))
        elif file.exists():
            self.tell((f"{file} is there already; choose another name", "bad"))
        elif values["as"].lower() not in FORMS:
            self.tell(
                ("as: dictionary, list or tensor; empty is a dictionary, or the tensor alone where one is marked", "bad")
            )
        else:
            self.dismiss({"to": str(file), "as": values["as"].lower()})


def weights_file(text: str) -> Path:
    """Where a person's answer means, with the usual ending where it has none."""
    file = Path(os.path.expanduser(text)).absolute()
    return file if file.suffix.lower() in ENDINGS else file.with_name(f"{file.name}.safetensors")


def why_no_name(name: str) -> str:
    """Why nothing can be saved by this name, or nothing."""
    try:
        collection.checked_name(name)
    except CheckpointError as error:
        return str(error)
    return ""


class SaveScreen(Prompt):
    """A name and a note for what is on the bench."""

    title_text = "save what is on the bench"
    FIELDS = (Field("name", "my-net"), Field("note", "what you want to remember of it"))
    ROWS = 4

    def __init__(self) -> None:
        super().__init__({})
        self.told = [("the network with its weights, as a checkpoint; the same name again is its next version", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "save"), ("tab", "next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        if why := why_no_name(values["name"]):
            self.tell((why, "bad"))
        else:
            self.dismiss(values)
