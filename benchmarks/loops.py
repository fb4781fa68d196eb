"""Two loops as people write them, each in a process of its own: `python -m benchmarks.loops KIND FOLDER TRAIN EPOCHS`.

`handwritten`: torchvision's data set with ToTensor through a DataLoader of the main process. `bare`: the whole set as
float32 in memory, torch's defaults, nothing logged. Both print the seconds of each epoch; neither evaluates or saves.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH = 256


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def arrays(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    import gzip

    images = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def bare(folder: Path, size: int) -> Callable[[], None]:
    images, labels = arrays(folder)
    x = torch.from_numpy(images[:size].copy()).float().div_(255)
    y = torch.from_numpy(labels[:size].astype(np.int64))
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def epoch() -> None:
        for chosen in torch.randperm(size).split(BATCH):
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


class Pictures(torch.utils.data.Dataset):
    """As torchvision.datasets.MNIST does it: a PIL image from an array, then ToTensor, picture by picture."""

    def __init__(self, folder: Path, size: int) -> None:
        from PIL import Image
        from torchvision.transforms import ToTensor

        images, labels = arrays(folder)
        self.images, self.labels = images[:size].copy(), [int(label) for label in labels[:size]]
        self.picture, self.transform = Image.fromarray, ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.picture(self.images[index])), self.labels[index]


def handwritten(folder: Path, size: int) -> Callable[[], None]:
    loader = torch.utils.data.DataLoader(Pictures(folder, size), batch_size=BATCH, shuffle=True)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def epoch() -> None:
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


if __name__ == "__main__":
    kind, folder, size, epochs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    run = {"bare": bare, "handwritten": handwritten}[kind](folder, size)
    for _ in range(epochs):
        started = time.perf_counter()
        run()
        print(time.perf_counter() - started, flush=True)
