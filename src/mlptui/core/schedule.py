"""Learning-rate schedules as functions of the step, so that they need no state and resume exactly."""

import math

from mlptui.core.recipe import Schedule

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1 / 250_000


def factor(schedule: Schedule, step: int, total: int, per_epoch: int) -> float:
    """What the learning rate is multiplied with at `step` (counted from 0) of `total`, with `per_epoch` steps an epoch.

    cosine: Loshchilov & Hutter 2017, SGDR, equation 5 without restarts. one-cycle: Smith & Topin 2018, with cosine
    ramps and the proportions of torch's OneCycleLR (30 % rise, from 1/25, down to 1/250,000); momentum is not cycled.
    Warm-up is linear and comes before the rest.
    """
    warmup = min(schedule.warmup_steps, max(0, total - 1))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done, length = step - warmup, max(1, total - warmup)
    match schedule.name:
        case "constant":
            return 1.0
        case "step":
            return schedule.gamma ** (done // max(1, schedule.step_epochs * per_epoch))
        case "cosine":
            return _cosine(1.0, schedule.floor, done / length)
        case "one-cycle":
            top = max(1.0, ONE_CYCLE_RISE * length - 1)
            if done <= top:
                return _cosine(ONE_CYCLE_START, 1.0, done / top)
            return _cosine(1.0, ONE_CYCLE_END, (done - top) / max(1.0, length - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
