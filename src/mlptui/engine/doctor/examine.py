"""The doctor: one batch on a copy, then every check."""

import traceback

from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.bench import Finding, Input, Report
from mlptui.core.text import counted
from mlptui.engine.doctor import evidence as collected
from mlptui.engine.doctor.checks.common import Check, Question, named
from mlptui.engine.doctor.checks.every import CHECKS
from mlptui.engine.inspect import inputs, mend
from mlptui.engine.inspect.places import lazy_names, spots
from mlptui.engine.inspect.probe import PROBE_SIZE, Probed, probe
from mlptui.store.paths import Paths

WORK = 20e9  # multiply-adds that the batch may cost, forward
SIZES = (
    31,
    29,
    23,
    13,
    11,
    7,
    5,
)  # primes: a dimension of the network is rarely one of them, so that the batch's can be told from it
SHOWN = 4  # findings of one kind that are told one by one


def examine(model: nn.Module, wanted: Input, question: Question, paths: Paths) -> Report:
    """Findings for a network and what goes into it. Raises CopyError, InputError, DataError."""
    first = inputs.batch(model, wanted, PROBE_SIZE, paths)
    probed = probe(model, first.inputs)
    if probed.fault:
        return Report(findings=(_misfit(probed),), checked=first.words)
    batch = inputs.batch(model, wanted, size(model, probed, tuple(first.inputs.shape[1:])), paths)
    found = collected.gather(model, batch.inputs, batch.targets, question.classes, question.outputs)
    found.lazy = {spot.place: names for spot in spots(model) if (names := lazy_names(spot.module))}
    findings = [finding for check in CHECKS for finding in _safely(check, found, question)]
    words = f"{counted(len(batch.inputs), 'sample')} of {wanted.data}" if batch.targets is not None else batch.words
    return Report(findings=tuple(merged(findings)), checked=words)


def _safely(check: Check, evidence: collected.Evidence, question: Question) -> list[Finding]:
    """A check that stumbles over an odd network leaves the others alone."""
    try:
        return list(check(evidence, question))
    except Exception:
        traceback.print_exc()
        return []


def size(model: nn.Module, probed: Probed, shape: tuple[int, ...]) -> int:
    """How many samples: as many as WORK allows, and a number that is no size of the network's own."""
    each = max(1, probed.multiply_adds / PROBE_SIZE)
    own = {n for t in [*model.parameters(), *model.buffers()] if not is_lazy(t) for n in t.shape}.union(shape)
    fit = [n for n in SIZES if n * each <= WORK] or [SIZES[-1]]
    return next((n for n in fit if n not in own), fit[0])


def _misfit(probed: Probed) -> Finding:
    assert probed.fault and probed.faulty
    return Finding(
        code="shape",
        place=probed.fault.place,
        says=f"the input does not pass {named(probed.fault.place)}",
        cause=probed.fault.message,
        remedy="mend this layer, or look at it with another input",
        fix=next(mend.fixes(probed.faulty), None),
    )


def merged(findings: list[Finding]) -> list[Finding]:
    """Many findings of one kind and cause as one sentence."""
    result: list[Finding] = []
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.cause, finding.remedy), []).append(finding)
    for group in groups.values():
        if len(group) <= SHOWN:
            result += group
            continue
        places = ", ".join(named(f.place) for f in group[:SHOWN])
        says = f"{group[0].says}; so it is in {len(group):,} places: {places}, ..."
        result.append(group[0].model_copy(update={"says": says, "fix": None}))
    return result
