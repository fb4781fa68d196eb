"""The proof that a run's resume is exact: what was compared, what came of it, kept beside the run."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from mlptui.core.errors import StorageError
from mlptui.core.text import counted, safe
from mlptui.store import atomic, sealed
from mlptui.store.checkpoints import Checkpoint, check_tensor_header
from mlptui.store.rundir import Run
from mlptui.store.steps import Row

FILE = "proof.json"
LIMIT = 1 << 20
TIMES = ("trained_seconds", "epoch_seconds")  # how long it took is no part of what was computed


@dataclass(frozen=True)
class Proof:
    """`steps` straight against as many with a kill after the checkpoint at `killed`. `differs` is "" or the first that does.

    `when` is Unix time; `sums` are SHA-256 of the weights and of what else was compared, where nothing differs.
    """

    steps: int
    killed: int
    differs: str
    when: float
    environment: str = ""
    sums: tuple[str, str] = ("", "")

    @property
    def exact(self) -> bool:
        return not self.differs


def words(proof: Proof) -> str:
    """The badge in a sentence."""
    how = f"{counted(proof.steps, 'step')} straight, and with a kill after step {proof.killed:,}"
    return f"resume exact: {how}, bit for bit" if proof.exact else f"resume not exact: {proof.differs} ({how})"


def badge(proof: Proof) -> str:
    """In a list: `resume exact`, or the first thing that differs."""
    return f"resume exact ({counted(proof.steps, 'step')})" if proof.exact else f"resume not exact: {proof.differs}"


def keep(run: Run, proof: Proof) -> None:
    """Raises StorageError."""
    try:
        atomic.replace(run.folder / FILE, sealed.document(asdict(proof)))
    except OSError as error:
        raise StorageError(f"the proof cannot be kept beside {run.id}: {atomic.reason(error)}") from None


def read(run: Run) -> Proof | None:
    """None where there is none, or none that can be read."""
    try:
        found = sealed.read_document(atomic.read_regular(run.folder / FILE, LIMIT), FILE)
        sums = tuple(map(str, found["sums"]))
        return Proof(
            int(found["steps"]), int(found["killed"]), str(found["differs"]), float(found["when"]),
            str(found["environment"]), (sums[0], sums[1]),
        )  # fmt: skip
    except (OSError, StorageError, KeyError, TypeError, ValueError, IndexError):
        return None


def difference(one: Checkpoint, other: Checkpoint) -> tuple[str, tuple[str, str]]:
    """The first that differs between two checkpoints of the same step, "" for nothing; and the sums where nothing does.

    Raises CheckpointError.
    """
    sums = []
    for name in sorted(one.manifest["files"]):
        left, right = _parts(one.read(name), name), _parts(other.read(name), name)
        for part in dict.fromkeys((*left, *right)):
            if left.get(part) != right.get(part):
                return f"{safe(part, 100)} in {name}", ("", "")
        sums.append(hashlib.sha256(repr(sorted(left.items())).encode()).hexdigest())
    return "", (sums[0], sums[-1])


def _parts(data: bytes, name: str) -> dict[str, str]:
    """SHA-256 of each tensor of a safetensors file, and what its metadata say, without times."""
    header = check_tensor_header(data, name)
    begins = 8 + int.from_bytes(data[:8], "little")
    about: dict[str, Any] = header.pop("__metadata__", {})
    parts = {}
    for tensor, entry in header.items():
        start, stop = entry["data_offsets"]
        kind = f"{entry['dtype']} {entry['shape']} "
        parts[tensor] = kind + hashlib.sha256(data[begins + start : begins + stop]).hexdigest()
    for key, value in about.items():
        parts[f"what it says of {key}"] = value
        if key == "mlptui":
            facts = json.loads(value)
            facts["progress"] = {k: v for k, v in facts["progress"].items() if k not in TIMES}
            parts |= {f"what it says of {part}": json.dumps(facts[part], sort_keys=True) for part in facts}
            del parts["what it says of mlptui"]
    return parts


def first_row(one: list[Row], other: list[Row], steps: int) -> str:
    """The first logged step whose loss, accuracy, gradient norm or rate differs; "" for none. NaN equals NaN."""
    for a, b in zip(one, other, strict=False):
        if a.step > steps:
            break
        if repr(a._replace(wall=0.0)) != repr(b._replace(wall=0.0)):
            return f"the log of step {a.step:,}"
    short = min(len(one), len(other))
    return "" if short >= steps else f"the log ends after step {short:,}"
