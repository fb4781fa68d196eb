"""Hashes that were seen first: of files whose origin publishes no SHA-256, the one of the first verified copy is kept."""

import contextlib
import time
from collections.abc import Iterator

from mlptui.core.errors import DataError, StorageError
from mlptui.datasets.jobs import Busy, SetLock
from mlptui.store import atomic, sealed
from mlptui.store.paths import Paths

LIMIT = 1 << 20
PATIENCE = 10.0


def known(paths: Paths) -> dict[str, str]:
    """SHA-256 by `folder/file`. Raises DataError where the record is damaged: it must not be forgotten silently."""
    place = paths.datasets / "known-hashes.json"
    try:
        return {str(k): str(v) for k, v in sealed.read_document(atomic.read_regular(place, LIMIT), place.name).items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{place}: {atomic.reason(error)}") from None
    except StorageError as error:
        raise DataError(f"{error}; {place} holds the hashes seen first. Delete it to trust the next download anew") from None


def compare(paths: Paths, name: str, sha256: str) -> None:
    """Keep the hash of a file that was never seen; compare it where it was. Raises DataError where they differ."""
    with _locked(paths):
        seen = known(paths)
        if seen.get(name, sha256) != sha256:
            raise DataError(
                f"{name} is not the file of its first download: SHA-256 {sha256[:16]}... where "
                f"{seen[name][:16]}... was seen then"
            )
        if name not in seen:
            try:
                atomic.replace(paths.datasets / "known-hashes.json", sealed.document({**seen, name: sha256}))
            except OSError as error:
                raise DataError(f"the hash of {name} cannot be kept: {atomic.reason(error)}") from None


@contextlib.contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    """One writer at a time; it holds the lock for a moment only."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with SetLock(paths, "known-hashes"):
                yield
                return
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
