"""Move pictures on the training device; where to is drawn in datasets/augment.py."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mlptui.datasets.augment import Augmentation


@dataclass(frozen=True)
class Augmenter:
    """What happens to the training pictures of one run."""

    augmentation: Augmentation
    seed: int

    def __call__(self, images: torch.Tensor, epoch: int, samples: NDArray[np.int64]) -> torch.Tensor:
        """uint8 [n, channels, height, width] of these samples, moved, as float32 from 0 to 255 on the same device."""
        drawn = self.augmentation.draw(self.seed, epoch, samples, (images.shape[2], images.shape[3]))
        theta = torch.from_numpy(drawn).to(images.device, non_blocking=True)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        mode = "bilinear" if self.augmentation.smooth else "nearest"
        return F.grid_sample(images.float(), grid, mode, self.augmentation.outside, align_corners=False)
