"""What a person keeps: tensors in a file, or all of the bench as a checkpoint by a name."""

import os
from pathlib import Path

from mlptui.core.errors import CheckpointError
from mlptui.core.parameters.messages import Form
from mlptui.core.text import safe
from mlptui.store import collection
from mlptui.tui.dialogs.prompt import Field, Prompt

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".params", ".npy", ".npz")
PROGRAMS, METRICS = (".onnx", ".pt2"), (".csv", ".json")
FOLDERS = ("script", "tensorboard")
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
    """`chosen` tensors are marked, 0: all of `every` are written, or as one alone that under the cursor.

    Dismissed with `to` as a whole path and `as`, one of FORMS.
    """

    title_text = "write tensors"
    FIELDS = (
        Field("to", "such as weights.safetensors", path=True),
        Field("as", "dictionary (by their names), list, or tensor: one alone"),
    )
    ROWS = 4

    def __init__(self, chosen: int, every: int, here: str, values: dict[str, str], problem: str) -> None:
        """`here` is the tensor under the cursor; `values` and `problem` are what was tried before, and why it was not done."""
        super().__init__(values)
        self._count, self._marked = chosen or every, bool(chosen)
        some = f"the {chosen} marked ones" if chosen > 1 else "the marked one" if chosen else "all of them"
        alone = f" (alone: {safe(here, 60)})" if not chosen and every > 1 else ""
        self.told = [
            (problem, "bad")
            if problem
            else (f"{some}{alone}; by the ending .safetensors, .pt, .npz or .npy; read back and compared", "dim")
        ]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "write"), ("tab", "complete, next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        file = weights_file(values["to"])
        if not values["to"] or os.path.isdir(file):  # os.path: what cannot be looked at is said when it is written
            self.tell(("the name of a file", "bad"))
        elif not os.path.isdir(file.parent):
            self.tell((f"there is no folder {file.parent}", "bad"))
        elif Path(values["to"]).suffix and file.suffix.lower() != Path(values["to"]).suffix.lower():
            self.tell((f"the ending is one of {' '.join(ENDINGS)}", "bad"))
        elif file.suffix.lower() == ".npy" and self._marked and self._count > 1:
            self.tell((f"a .npy file has one tensor, and {self._count} are marked; .npz has several", "bad"))
        elif FORMS.get(values["as"].lower()) == "tensor" and self._marked and self._count > 1:
            self.tell((f"a tensor alone, and {self._count} are marked; esc there takes the marks away", "bad"))
        elif os.path.exists(file):
            self.tell((f"{file} is there already; choose another name", "bad"))
        elif values["as"].lower() not in FORMS:
            self.tell(
                ("as: dictionary, list or tensor; empty is a dictionary, or the tensor alone where one is marked", "bad")
            )
        else:
            self.dismiss({"to": str(file), "as": values["as"].lower()})


class ExportScreen(Prompt):
    """Where a checkpoint goes, and as what; dismissed with `to` as a whole path and `as`, empty where the ending says it."""

    FIELDS = (
        Field("to", "such as ~/model.safetensors", path=True),
        Field("as", "script or tensorboard, for a folder; else by the ending"),
    )
    ROWS = 5

    def __init__(self, what: str, of_a_run: bool) -> None:
        super().__init__({})
        self.title_text = f"export {what}"
        metrics = "; .csv .json or as tensorboard: what the run measured; as script: a folder that runs without mlptui"
        self.told = [(f".safetensors .pt .npz: tensors; .onnx .pt2: a program{metrics if of_a_run else ''}", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "write"), ("tab", "complete, next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        to, form = Path(os.path.expanduser(values["to"])).absolute(), values["as"].lower()
        if not values["to"]:
            self.tell(("the name of a file, or of a folder", "bad"))
        elif form not in ("", *FOLDERS):
            self.tell(("as: script, tensorboard, or empty", "bad"))
        elif not form and to.suffix.lower() not in (*ENDINGS, *PROGRAMS, *METRICS):
            self.tell((f"the ending is one of {' '.join((*ENDINGS, *PROGRAMS, *METRICS))}", "bad"))
        elif not os.path.isdir(to.parent):
            self.tell((f"there is no folder {to.parent}", "bad"))
        else:
            self.dismiss({"to": str(to), "as": form})


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
    FIELDS = (Field("name", "such as my-net"), Field("note", "what you want to remember of it"))
    ROWS = 4

    def __init__(self) -> None:
        super().__init__({})
        self.told = [("the network with its weights, as a checkpoint; the same name again is its next version", "dim")]

    def answers(self) -> list[tuple[str, str]]:
        return [("enter", "save"), ("tab", "complete, next line"), ("esc", "not now")]

    def entered(self) -> None:
        values = self.values()
        if why := why_no_name(values["name"]):
            self.tell((why, "bad"))
        else:
            self.dismiss(values)
