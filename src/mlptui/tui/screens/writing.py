"""Tensors to a file: which, where, and how they are held."""

import os
from pathlib import Path

from mlptui.core.parameters.messages import Form
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
