"""Pictures moved, mirrored and cut at random, where the chance is counted: a function of (seed, epoch, sample).

The numbers are drawn here, for the trainer and for the viewer's preview alike; the pixels are moved by the training device
(engine/augment.py) or, for a few pictures on a screen, by `apply`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Theta = NDArray[np.float32]
PLACE = 4  # marks these draws among all that a seed is used for


@dataclass(frozen=True)
class Augmentation:
    """`shift`: up to so many pixels to each side; `flip`: mirrored left to right, half of the time; `crop`: up to this
    share of the edges cut off, and what is left stretched to full size."""

    shift: int = 0
    flip: bool = False
    crop: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.shift or self.flip or self.crop)

    @property
    def smooth(self) -> bool:
        """Whether pixels come to lie between pixels, so that they must be interpolated."""
        return self.crop > 0

    @property
    def outside(self) -> str:
        """What lies around a picture, as torch's grid_sample calls it: black, or its own rim where nothing is shifted."""
        return "zeros" if self.shift else "border"

    def draw(self, seed: int, epoch: int, samples: NDArray[np.int64], size: tuple[int, int]) -> Theta:
        """float32 [n, 2, 3]: for each sample the matrix from places in the new picture to places in the old one.

        Places are (x, y, 1) with both edges of the picture at -1 and 1, as in torch's affine_grid without aligned
        corners. Pictures have the `size` (height, width).
        """
        height, width = size
        random = [_uniform(seed, epoch, samples, number) for number in range(6)]
        scale = 1 - self.crop * random[0]
        theta = np.zeros((len(samples), 2, 3))
        for axis, extent in ((0, width), (1, height)):
            pixels = np.floor(random[1 + axis] * (2 * self.shift + 1)) - self.shift
            theta[:, axis, axis] = scale
            theta[:, axis, 2] = (2 * random[3 + axis] - 1) * (1 - scale) + 2 * pixels / extent
        if self.flip:
            theta[:, 0, 0] *= np.where(random[5] < 0.5, -1, 1)
        return theta.astype(np.float32)


def _uniform(seed: int, epoch: int, samples: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), one a sample (SplitMix64's finaliser, Steele, Lea & Flood 2014, over all that counts)."""
    state = np.full(len(samples), seed & (1 << 64) - 1, np.uint64)
    for part in (np.uint64(PLACE), np.uint64(epoch), samples.astype(np.uint64), np.uint64(number)):
        with np.errstate(over="ignore"):
            state = (state ^ (part * np.uint64(0x9E3779B97F4A7C15))) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def apply(images: NDArray[np.uint8], theta: Theta, augmentation: Augmentation) -> NDArray[np.float32]:
    """The moved pictures as float32 [n, channels, height, width] in the pixels' own range."""
    height, width = images.shape[2:]
    x = (2 * np.arange(width) + 1) / width - 1
    y = (2 * np.arange(height) + 1) / height - 1
    result = np.zeros(images.shape, np.float32)
    for i in range(len(images)):
        a = theta[i].astype(np.float64)
        u = ((a[0, 0] * x[None, :] + a[0, 1] * y[:, None] + a[0, 2] + 1) * width - 1) / 2
        v = ((a[1, 0] * x[None, :] + a[1, 1] * y[:, None] + a[1, 2] + 1) * height - 1) / 2
        if not augmentation.smooth:
            u, v = np.round(u, 3), np.round(v, 3)
            corners = [(np.rint(u).astype(int), np.rint(v).astype(int), 1.0)]
        else:
            left, top = np.floor(u).astype(int), np.floor(v).astype(int)
            right, below = u - left, v - top
            corners = [
                (left, top, (1 - right) * (1 - below)),
                (left + 1, top, right * (1 - below)),
                (left, top + 1, (1 - right) * below),
                (left + 1, top + 1, right * below),
            ]
        for column, row, weight in corners:
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) | (augmentation.outside == "border")
            picked = images[i][:, row.clip(0, height - 1), column.clip(0, width - 1)]
            result[i] += np.where(inside, picked * weight, 0).astype(np.float32)
    return result
