"""Data sets: downloading against curl, opening Fashion-MNIST, and streaming rows against plain reads; both sides take turns.

Predictions, written before the first measurement on 2 cores of a shared machine. Download: hashing runs in a thread of its own
at 1.5 GB/s or more, and curl and mlptui both wait for the same server and page cache, so 0.95 of curl's rate at the best and
0.92 at the median; required 0.90. Opening the prepared arrays thorough: 55 MB through SHA-256, 0.04 s. Raw files to arrays:
reading and hashing 55 MB, 0.05 s; required < 0.3 s. Import from .gz: checked, unpacked twice, written and synced, 0.6 s.
Streaming with a warm page cache: a batch of rows is gathered by numpy in 8 threads, 0.8 of the rate of os.pread into one
buffer or better, as no system call a row is needed; cold it is the disk that counts, 1.0 within its noise.

Measured then: 0.69 to 0.76 of curl while the sync before the rename had all its work left; 1.0 to 1.4 since the disk works
while more is received (curl reads 16 KiB at a time), but 0.83 once with neighbours on both cores, as three threads need them;
0.04 s, 0.06 s and 0.62 s; warm 1.1 to 1.3, cold 1.6 to 2.0.
"""

import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.common import originals

SIZE = 512 << 20
IMAGE = (3, 64, 64)
IMAGES = 60_000
BATCH = 256
READERS = 8
ROUNDS = 12


def serve(path: Path) -> None:
    """A file to everybody who asks, by sendfile, from a port that is printed."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    size = path.stat().st_size
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=answer, args=(connection, path, size), daemon=True).start()


def answer(connection: socket.socket, path: Path, size: int) -> None:
    with connection, path.open("rb") as stream:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(1 << 16)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode())
        at = 0
        while at < size:
            at += os.sendfile(connection.fileno(), stream.fileno(), at, size - at)


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def download(options: Namespace) -> Iterator[dict[str, str]]:
    """The time of fetch(), SHA-256 and the sync before the rename included, against `curl -s -o FILE`."""
    from mlptui.datasets import fetch

    with tempfile.TemporaryDirectory(prefix="mlptui-bench-") as name:
        folder = Path(name)
        source, target, other = folder / "source", folder / "file", folder / "curl"
        machine = hashlib.sha256()
        with source.open("wb") as stream:
            for _ in range(SIZE >> 24):
                stream.write(block := os.urandom(1 << 24))
                machine.update(block)
        wanted = machine.hexdigest()
        server = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from benchmarks.data import serve; from pathlib import Path; serve(Path({str(source)!r}))",
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}/file"
        seen: list[str] = []
        sides: dict[str, list[float]] = {"ours": [], "curl": [], "curl synced": []}
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

        def ours() -> None:
            fetch.fetch([address], target, SIZE, SIZE, lambda _, sha256: seen.append(sha256), lambda _: None)

        def curl() -> None:
            subprocess.run(["curl", "-s", "-o", str(other), address], check=True, env=environment)

        def curl_synced() -> None:
            curl()
            with other.open("rb") as stream:
                os.fsync(stream.fileno())

        try:
            turns = list(zip(sides, (ours, curl, curl_synced), strict=True))
            for turn in range(max(ROUNDS, options.rounds)):
                for side, act in turns[turn % 3 :] + turns[: turn % 3]:  # each is as often the first as the last
                    sides[side].append(seconds(act))
                    for path in (target, other):
                        path.unlink(missing_ok=True)
                    os.sync()
        finally:
            server.kill()
            server.wait()
        assert set(seen) == {wanted}
    for label, of in (("best", min), ("median", statistics.median)):
        rates = {side: SIZE / of(times) / 1e6 for side, times in sides.items()}
        yield {
            "what": f"download, {label} of {len(sides['ours'])} ({rates['ours']:.0f} MB/s, curl {rates['curl']:.0f} MB/s)",
            "measured": f"{rates['ours'] / rates['curl']:.2f} ({rates['ours'] / rates['curl synced']:.2f} of curl and fsync)",
            "required": ">= 0.90 of curl",
        }


def opening(options: Namespace) -> Iterator[dict[str, str]]:
    """Fashion-MNIST from its prepared arrays, from raw IDX files and from .gz."""
    import gzip

    from mlptui.datasets import library
    from mlptui.datasets.catalog import ENTRIES
    from mlptui.datasets.formats import idx
    from mlptui.datasets.importing import import_folder
    from mlptui.store.paths import Paths

    entry, source = ENTRIES["fashion-mnist"], originals(options)
    times: dict[str, list[float]] = {"open": [], "raw": [], "import": []}
    with tempfile.TemporaryDirectory(prefix="mlptui-bench-") as name:
        raw = Path(name) / "raw"
        raw.mkdir()
        for file in entry.files:
            (raw / file.name.removesuffix(".gz")).write_bytes(gzip.decompress((source / file.name).read_bytes()))

        def arrays() -> None:
            for file in entry.files:
                idx.read(raw / file.name.removesuffix(".gz"), sha256=file.content)

        for turn in range(max(5, options.rounds)):
            home = Path(name) / str(turn)
            places = Paths(home, home, home)
            times["import"].append(seconds(lambda: import_folder(places, entry.name, source)))  # noqa: B023
            times["open"].append(seconds(lambda: library.load(places, entry.name, thorough=True)))  # noqa: B023
            times["raw"].append(seconds(arrays))
            shutil.rmtree(home)
    for what, key, required in (
        ("Fashion-MNIST: prepared arrays opened, every byte verified", "open", "-"),
        ("Fashion-MNIST: raw IDX files to arrays, every byte verified", "raw", "< 0.3 s"),
        ("Fashion-MNIST: import from .gz, checked, decoded and synced", "import", "-"),
    ):
        best, middle = min(times[key]), statistics.median(times[key])
        yield {"what": what, "measured": f"{middle:.2f} s (best {best:.2f} s)", "required": required}


def streaming(options: Namespace) -> Iterator[dict[str, str]]:
    """An epoch of StreamedBatches, without and with its product with the scale, against os.pread in as many threads."""
    import numpy as np
    import torch

    from mlptui.engine.batches import Normaliser, Samples, StreamedBatches
    from mlptui.engine.seeding import epoch_order

    row = int(np.prod(IMAGE))
    with tempfile.TemporaryDirectory(prefix="mlptui-bench-") as name:
        path = Path(name) / "inputs.bin"
        with path.open("wb") as stream:
            for _ in range(IMAGES // 1000):
                stream.write(os.urandom(1000 * row))
            stream.flush()
            os.fsync(stream.fileno())
        mapped = np.memmap(path, np.uint8, "r", 0, (IMAGES, *IMAGE))
        samples = Samples(mapped, torch.zeros(IMAGES, dtype=torch.int64), np.arange(IMAGES))
        batches = StreamedBatches(samples, torch.device("cpu"), BATCH, 1, Normaliser())

        def gathered(epoch: int) -> None:
            for _ in batches._stream(batches._order(epoch, 0)):
                pass

        def whole(epoch: int) -> None:
            for _ in batches.epoch(epoch):
                pass

        def plain(epoch: int) -> None:
            fd = os.open(path, os.O_RDONLY)

            def read(places: list[int]) -> int:
                return sum(len(os.pread(fd, row, place * row)) for place in places)

            order = epoch_order(1, epoch, IMAGES).tolist()
            pieces = [order[i : i + BATCH // READERS] for i in range(0, IMAGES, BATCH // READERS)]
            with ThreadPoolExecutor(READERS) as pool:
                assert sum(pool.map(read, pieces)) == IMAGES * row
            os.close(fd)

        def forget() -> None:
            mapped._mmap.madvise(4)  # MADV_DONTNEED: pages in use are not dropped from the cache
            with path.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        plain(0)
        for label, before in (("warm", lambda: None), ("cold", forget)):
            sides: dict[str, list[float]] = {"gathered": [], "whole": [], "plain": []}
            for turn in range(max(3, options.rounds)):
                for side, act in (("plain", plain), ("gathered", gathered), ("whole", whole)):
                    before()
                    sides[side].append(seconds(lambda: act(turn + 1)))  # noqa: B023
            rates = {side: IMAGES / min(times) for side, times in sides.items()}
            ratio = statistics.median(p / g for p, g in zip(sides["plain"], sides["gathered"], strict=True))
            yield {
                "what": f"streaming rows of {row:,} bytes, cache {label}: plain os.pread {rates['plain']:,.0f} samples/s",
                "measured": f"{rates['gathered']:,.0f} ({ratio:.2f}); as float32 {rates['whole']:,.0f}",
                "required": "-",
            }


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    yield from download(options)
    yield from opening(options)
    yield from streaming(options)
