"""Randomness that is counted, not carried: every random choice is a function of the seed and of where it is made."""

import random

import numpy as np
import torch

_MASK = (1 << 64) - 1


def mix(seed: int, *place: int) -> int:
    """A 63-bit seed for one place of a run (SplitMix64's finaliser, Steele, Lea & Flood 2014, over seed and place)."""
    state = seed & _MASK
    for number in place:
        state = (state ^ (number * 0x9E3779B97F4A7C15)) & _MASK
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


WEIGHTS, ORDER, STEP, INITIAL, BENCH, NOISE = 1, 2, 3, 4, 5, 6


def seed_weights(seed: int) -> None:
    """torch's generator, and for a person's own code Python's and numpy's."""
    number = mix(seed, WEIGHTS)
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number & 0xFFFFFFFF)


def epoch_order(seed: int, epoch: int, size: int) -> torch.Tensor:
    """The order of the training samples in an epoch (counted from 0): int64 [size] on the CPU, the same for every device."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(mix(seed, ORDER, epoch)))


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seed dropout and its like for one step (counted from 0)."""
    number = mix(seed, STEP, step)
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)
