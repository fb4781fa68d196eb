"""Every check of the doctor, in the order in which findings are told."""

from mlptui.engine.doctor.checks.built import (
    frozen,
    hidden,
    not_finite,
    nothing_to_learn,
    plain,
    switched_off,
    unfinished,
)
from mlptui.engine.doctor.checks.common import Check
from mlptui.engine.doctor.checks.learning import (
    bad_activations,
    bad_gradients,
    dead,
    failed,
    identical,
    no_gradient,
    scales,
    unused,
)
from mlptui.engine.doctor.checks.outputs import last_dropout, mixing, outer, output_size, random_in_evaluation, softmax

CHECKS: tuple[Check, ...] = (
    failed, nothing_to_learn, hidden, not_finite, bad_activations, bad_gradients, output_size, softmax, no_gradient, unused,
    frozen, plain, identical, dead, scales, switched_off, last_dropout, mixing, random_in_evaluation, outer, unfinished,
)  # fmt: skip
