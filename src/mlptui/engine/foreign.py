"""Networks that are not written in the architecture language: a person's own file, and torchvision's models."""

import copy
import importlib.util
import inspect
import os
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from mlptui.core.architecture import references
from mlptui.core.errors import MlptuiError
from mlptui.core.text import safe


class ForeignError(MlptuiError):
    """Code from outside that cannot be loaded or does not make a network; names file and line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def make(
    kind: str, arguments: dict[str, Any], kept: Path | None = None, loaded: dict[str, ModuleType] | None = None
) -> nn.Module:
    """The network that a reference names: `nets.py:MLP`, `torchvision:resnet18`. Runs the person's code.

    `kept` is a folder with a copy of the file, which then stands for it; `loaded` has the files that were run for this network
    already. Raises ForeignError.
    """
    where, name = references.split(kind)
    if where == references.TORCHVISION:
        return of_torchvision(name, arguments)
    file = Path(references.absolute(where))
    here = kept / references.kept_name(where) if kept and kept.is_dir() else file
    loaded = {} if loaded is None else loaded
    if str(file) not in loaded:
        loaded[str(file)] = load(here, file.parent, anew=not loaded)
    return of_module(loaded[str(file)], file, name, arguments)


def of_torchvision(name: str, arguments: dict[str, Any]) -> nn.Module:
    models = _torchvision_models()
    if name not in models.list_models():
        from difflib import get_close_matches

        close = get_close_matches(name, models.list_models(), 1)
        raise ForeignError(f"torchvision has no model {safe(name, 80)!r}" + (f"; did you mean {close[0]}?" if close else ""))
    if "weights" in arguments or "weights_backbone" in arguments:
        raise ForeignError("weights are never downloaded here; leave that argument out")
    backbone = {"weights_backbone": None} if "weights_backbone" in _parameters(models.get_model_builder(name)) else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own defaults
            made = models.get_model(name, weights=None, **backbone, **arguments)
    except Exception as error:
        raise ForeignError(f"torchvision:{name}: {one_line(error)}") from None
    assert isinstance(made, nn.Module)
    return made


def _parameters(builder: Any) -> set[str]:
    return set(inspect.signature(inspect.unwrap(builder)).parameters)


def torchvision_names() -> list[str]:
    """Models for pictures that a Sequential's reader would call by name. Raises ForeignError where torchvision is unusable."""
    return [name for name in _torchvision_models().list_models() if not name.startswith("quantized_")]


def _torchvision_models() -> Any:
    try:
        from torchvision import models
    except Exception as error:  # RuntimeError where its build does not match torch's
        raise ForeignError(f"torchvision cannot be used: {one_line(error)}") from None
    return models


def of_module(module: ModuleType, file: Path, name: str, arguments: dict[str, Any]) -> nn.Module:
    """What `name` in a Python file makes: a class is called, so is a function; a network is taken as it is."""
    thing = getattr(module, name, None)
    if thing is None:
        found = sorted(n for n, v in vars(module).items() if _is_candidate(module, v))
        raise ForeignError(f"{safe(file.name, 100)} has no {safe(name, 100)}; it has {', '.join(found) or 'no network'}")
    if isinstance(thing, nn.Module):
        return copy.deepcopy(thing)  # used twice it is two networks, as the text says
    if not callable(thing):
        raise ForeignError(f"{name} in {file.name} is a {type(thing).__name__}, not a class or function")
    try:
        made = thing(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code from outside raises what it likes
        raise _at_line(error, Path(module.__file__ or file), f"{name}(...)") from None
    if not isinstance(made, nn.Module):
        raise ForeignError(f"{name} in {file.name} made a {type(made).__name__}, not an nn.Module")
    return made


_before: set[str] = set()  # modules that were there before any such file; they are nobody's to forget
_folders: set[str] = set()  # of files that were loaded, in sys.path for what lies beside them


def load(file: Path, beside: Path, anew: bool) -> ModuleType:
    """The file as a module, run anew; modules in the folder `beside` can be imported.

    With `anew` it is the first file of a network: what an earlier network brought along is forgotten.
    """
    if not file.is_file():
        raise ForeignError(f"there is no file {safe(file, 300)}")
    folder = str(beside)
    if not _before:
        _before.update(sys.modules)
    spec = importlib.util.spec_from_file_location(f"_mlptui_{references.kept_name(str(file)).replace('.', '_')}", file)
    if spec is None or spec.loader is None:
        raise ForeignError(f"{file.name} is not a Python file")
    if anew:
        _forget({*_folders, folder})
        sys.path[:] = [entry for entry in sys.path if entry not in _folders]
        _folders.clear()
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    if folder not in sys.path:
        _folders.add(folder)
        sys.path.append(folder)  # last: a random.py beside it must not stand for Python's
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    except SyntaxError as error:
        same = error.filename in (str(file), None)
        where = file.name if same else safe(Path(error.filename or "").name, 100)
        raise ForeignError(f"{where}, line {error.lineno or 0}: {error.msg}", (error.lineno or 0) if same else 0) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code from outside raises what it likes
        raise _at_line(error, file, "loading it") from None
    finally:
        sys.dont_write_bytecode = before
    return module


def _forget(folders: set[str]) -> None:
    """Modules and packages in these folders are read anew, as the file itself is."""
    begun = tuple(folder.rstrip(os.sep) + os.sep for folder in folders)
    old = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if (
            not isinstance(file, str)
            or not file.startswith(begun)
            or name in _before
            or name.startswith(("mlptui", "_mlptui_"))
        ):
            continue
        top = sys.modules.get(name.partition(".")[0], module)
        places = list(getattr(top, "__path__", [])) or [getattr(top, "__file__", None) or ""]
        if any(os.path.dirname(place) + os.sep in begun for place in places):  # not what only lies below: site-packages
            old.append(name)
    for name in old:
        del sys.modules[name]


def _at_line(error: BaseException, file: Path, doing: str) -> ForeignError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    line = frames[-1].lineno or 0 if frames else 0
    where = f"{file.name}, line {line}" if line else f"{file.name}, {doing}"
    words = one_line(error)
    kind = type(error).__name__
    return ForeignError(f"{where}: {words if words.startswith(kind) else f'{kind}: {words}'}", line)


def _is_candidate(module: ModuleType, thing: object) -> bool:
    if inspect.isclass(thing):
        return issubclass(thing, nn.Module) and thing.__module__ == module.__name__
    return isinstance(thing, nn.Module)


def one_line(error: BaseException) -> str:
    """What an exception says, in one line that may be shown; with its type where it says too little alone."""
    try:
        words = safe(str(error).strip().partition("\n")[0], 300)
    except Exception:
        words = ""
    plain = isinstance(error, RuntimeError | ValueError | TypeError | MlptuiError | OSError) and words
    return words if plain else f"{type(error).__name__}: {words}" if words else type(error).__name__
