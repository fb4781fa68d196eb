"""Download a set of the catalog: its files, checked, then decoded."""

import time
from pathlib import Path
from typing import Any

from mlptui.core.errors import DataError
from mlptui.core.text import safe
from mlptui.datasets import catalog, checking, fetch, importing, library
from mlptui.datasets.entry import Entry, File
from mlptui.datasets.jobs import TOLD, Busy, SetLock, Work
from mlptui.datasets.prepared import Told, quiet
from mlptui.store import atomic
from mlptui.store.paths import Paths

WAIT = 0.2
HTTPS = ("http://", "https://")


def download(paths: Paths, name: str, mirror: str = "", work: Work | None = None, told: Told = quiet) -> Path:
    """Bring a set into the data folder. `mirror` is an address below which the files lie, in a folder of the set's name or
    at once; only it is asked then. Empty: the catalog's mirrors.

    What was received before is used. Raises DataError with one reason a mirror, or StorageError; both keep what is here.
    """
    check(name, mirror)
    entry = catalog.entry(name)
    if work is None:
        with Work(paths, name, "download") as own:
            return download(paths, name, mirror, own, told)
    if library.state(paths, name).kind == library.HERE:
        told(f"{name} is here already")
        return catalog.folder(paths, name)
    folder = atomic.make_folder(catalog.downloads(paths, entry))
    left = max(0, entry.download_size - library.downloaded(paths, entry))
    importing.need_room(paths, name, left + entry.decoded_size)
    base = mirror.rstrip("/")
    bases = [f"{base}/{entry.folder}/", f"{base}/"] if mirror else list(entry.mirrors)
    files = {}
    with _sharing(paths, entry, work, told):
        before = 0
        for file in entry.files:
            files[file] = _one(paths, entry, file, [base + file.name for base in bases], folder, work, before)
            before += files[file].stat().st_size
        work.phase("decoding")
        place = importing.bring(paths, entry, files, told, lambda done, total: work.say(done=done, total=total), checked=True)
    if not entry.key:
        atomic.remove_folder_quietly(folder)
    return place


def check(name: str, mirror: str = "") -> None:
    """Raises DataError for what cannot be downloaded whatever the network does."""
    if not catalog.entry(name).downloadable:
        raise DataError(f"{name} is part of mlptui; there is nothing to download")
    if mirror and not mirror.startswith(HTTPS):
        raise DataError(f"the mirror must begin with https:// or http://, not {safe(mirror[:40])!r}")


def _one(paths: Paths, entry: Entry, file: File, addresses: list[str], folder: Path, work: Work, before: int) -> Path:
    """One file of the set, checked; at once where it is here already."""
    target = folder / file.name
    total = entry.download_size if all(f.size for f in entry.files) else 0

    def verify(path: Path, sha256: str = "") -> None:
        work.say(phase="checking", file=file.name)
        if not sha256 or sha256 != file.sha256:
            checking.check(paths, entry, file, path)

    if target.exists():
        try:
            verify(target)
            return target
        except DataError:
            atomic.unlink_quietly(target)
    work.say(phase="downloading", file=file.name)

    def told(progress: fetch.Progress) -> None:
        work.say(
            phase="downloading",
            file=file.name,
            done=before + progress.done,
            total=max(total, before + progress.total),
            mirror=progress.mirror,
            failures=tuple(progress.failures[-TOLD:]),
        )

    limit = checking.content_limit(entry, file)
    exact = 0 if limit else file.size  # a mirror may have packed known content in another way
    try:
        fetch.fetch(addresses, target, exact, 2 * max(limit, file.size), verify, told)
    except fetch.Failed as error:
        raise fetch.Failed(f"{error}. Files copied by hand do as well: mlptui data import {entry.name} FOLDER") from None
    return target


class _sharing:
    """Sets that come from one archive share its download: the second one waits for the first."""

    def __init__(self, paths: Paths, entry: Entry, work: Work, told: Told) -> None:
        self.shared = SetLock(paths, entry.key) if entry.key else None
        self.work, self.told = work, told

    def __enter__(self) -> None:
        if self.shared is None:
            return
        waiting = False
        while True:
            try:
                self.shared.__enter__()
                return
            except Busy as error:
                if not waiting:
                    self.told(f"waiting: {error}")
                waiting = True
                self.work.say(phase="waiting", file=str(error))
                time.sleep(WAIT)

    def __exit__(self, *error: Any) -> None:
        if self.shared is not None:
            self.shared.__exit__(*error)
