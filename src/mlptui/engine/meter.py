"""What a step measured, kept on the device until somebody looks."""

import time

import torch

RING = 512
FETCH_INTERVAL = 0.1


class Meter:
    """A ring of (loss, hits, gradient norm) on the device, fetched at most ten times a second or when it is full."""

    def __init__(self, device: torch.device) -> None:
        self._ring = torch.full((RING, 3), torch.nan, device=device)
        self._used = 0
        self._next = time.monotonic() + FETCH_INTERVAL

    def record(self, loss: torch.Tensor, hits: torch.Tensor, norm: torch.Tensor | None) -> None:
        row = self._ring[self._used]
        row[0] = loss
        row[1] = hits
        if norm is not None:
            row[2] = norm
        self._used += 1

    @property
    def due(self) -> bool:
        return self._used == RING or (self._used > 0 and time.monotonic() >= self._next)

    def fetch(self) -> list[list[float]]:
        """The rows since the last fetch, one copy from the device for all of them."""
        if not self._used:
            return []
        rows: list[list[float]] = self._ring[: self._used].tolist()
        self._ring[: self._used, 2] = torch.nan
        self._used = 0
        self._next = time.monotonic() + FETCH_INTERVAL
        return rows
