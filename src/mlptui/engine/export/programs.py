"""A network as a program that runs without Python code of its own: ONNX, and `torch.export`'s .pt2; each checked."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlptui.core.errors import StorageError
from mlptui.core.text import safe
from mlptui.engine.export.tensors import ExportError
from mlptui.engine.foreign import one_line
from mlptui.store import atomic

CLOSE = 1e-5  # relative and absolute
ONNX, PT2 = ".onnx", ".pt2"
SUFFIXES = (ONNX, PT2)


@dataclass(frozen=True)
class Checked:
    """A file, and how far its outputs are from the network's own for the same inputs."""

    file: Path
    size: int
    largest: float

    @property
    def words(self) -> str:
        near = (
            "equal to the network's own, bit for bit"
            if not self.largest
            else f"within {self.largest:.2g} of the network's own"
        )
        return f"run on the same inputs: outputs {near}"


def write(file: Path, model: nn.Module, inputs: torch.Tensor) -> Checked:
    """Write the network in evaluation mode, run the file on `inputs` (at least two samples) and compare.

    The number of samples is free in the file. Raises ExportError, also where the outputs differ by more than CLOSE.
    """
    was_training = model.training
    model.eval()
    onnx = file.suffix.lower() == ONNX
    try:
        with torch.no_grad(), _quiet():
            wanted = model(inputs)
            data = (_as_onnx if onnx else _as_pt2)(model, inputs)
            found = (_run_onnx if onnx else _run_pt2)(data, inputs)
        if found.shape != wanted.shape or not torch.allclose(found, wanted, rtol=CLOSE, atol=CLOSE, equal_nan=True):
            raise ExportError(f"what was written does not compute the same ({_apart(found, wanted)}); it is not kept")
        atomic.replace(file, data, shared=True)
        return Checked(file, len(data), _largest(found, wanted))
    except ImportError as error:
        raise ExportError(f"{error.name} is missing; install it with: pip install 'mlptui[onnx]'") from None
    except (OSError, StorageError) as error:
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise ExportError(f"{safe(str(file), 300)} cannot be written: {reason}") from None
    except ExportError:
        raise
    except Exception as error:  # the exporters raise what they like, around what was the matter
        while error.__cause__ is not None and isinstance(error.__cause__, Exception):
            error = error.__cause__
        raise ExportError(f"torch cannot export this network as {file.suffix}: {one_line(error)}") from None
    finally:
        model.train(was_training)


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> str:
    if found.shape != wanted.shape:
        return f"shape {list(found.shape)} instead of {list(wanted.shape)}"
    return f"largest difference {_largest(found, wanted):.3g}"


def _largest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference; the same infinity twice, or nan twice, is none."""
    same = (found == wanted) | (found.isnan() & wanted.isnan())
    return float(torch.where(same, 0.0, (found - wanted).abs()).max()) if wanted.numel() else 0.0


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters print what they do, and pages of graphs where they fail."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _as_onnx(model: nn.Module, inputs: torch.Tensor) -> bytes:
    import onnxruntime  # noqa: F401  (first, so that nothing is made that cannot be checked)
    import onnxscript  # noqa: F401

    batch = torch.export.Dim("batch", min=1)
    program: Any = torch.onnx.export(
        model, (inputs,), None, dynamo=True, external_data=False, verbose=False, dynamic_shapes=({0: batch},),
        input_names=["input"], output_names=["output"],
    )  # fmt: skip
    return bytes(program.model_proto.SerializeToString())


def _run_onnx(data: bytes, inputs: torch.Tensor) -> torch.Tensor:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0])


def _as_pt2(model: nn.Module, inputs: torch.Tensor) -> bytes:
    batch = torch.export.Dim("batch", min=1)
    stream = io.BytesIO()
    torch.export.save(torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},)), stream)
    return stream.getvalue()


def _run_pt2(data: bytes, inputs: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.export.load(io.BytesIO(data)).module()(inputs)
    return found
