"""Make the embedded sample from the four original Fashion-MNIST files, deterministically.

Run as `python tools/make_sample.py FOLDER`, with zopfli installed (`pip install zopfli`); takes a minute or two and writes
src/mlptui/datasets/sample/. Of each class it takes 600 training and 100 test images in the original order, from the block
(of ten equal ones) named in SPLITS: all blocks are alike, these compress best, and the whole must stay under 3 MB.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import zopfli.gzip

TARGET = Path(__file__).resolve().parent.parent / "src" / "mlptui" / "datasets" / "sample"
SPLITS = {"train": (7, 600), "t10k": (4, 100)}


def block_of_each_class(labels: np.ndarray, block: int, count: int) -> np.ndarray:
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[block * count : (block + 1) * count] for c in range(10)]))


def idx(array: np.ndarray) -> bytes:
    extents = b"".join(int(extent).to_bytes(4, "big") for extent in array.shape)
    return bytes([0, 0, 8, array.ndim]) + extents + array.tobytes()


def main(folder: Path) -> None:
    for split, (block, count) in SPLITS.items():
        images = np.frombuffer(gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
        labels = np.frombuffer(gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
        chosen = block_of_each_class(labels, block, count)
        for kind, array in (("images-idx3", images.reshape(-1, 28, 28)[chosen]), ("labels-idx1", labels[chosen])):
            (TARGET / f"{split}-{kind}-ubyte.gz").write_bytes(zopfli.gzip.compress(idx(array), numiterations=10))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
