"""What comes out: its size, its meaning for the loss, and whether each sample is answered for itself."""

from collections.abc import Iterator

import torch
from torch import nn

from mlptui.core.bench import Change, Finding, Step
from mlptui.core.text import counted
from mlptui.engine.doctor.checks.common import DROPOUTS, Question, named, not_all_finite
from mlptui.engine.doctor.evidence import Evidence


def softmax(evidence: Evidence, question: Question) -> Iterator[Finding]:
    output = evidence.evaluated
    if not question.classes or not isinstance(output, torch.Tensor) or output.dim() != 2 or output.shape[1] < 2:
        return
    if not output.is_floating_point() or output.layout != torch.strided:
        return
    if bool((output >= 0).all()) and bool((output.float().sum(1) - 1).abs().max() < 1e-3):
        place = evidence.last
        module = {spot.place: spot.module for spot in evidence.spots}.get(place)
        own = isinstance(module, nn.Softmax)
        yield Finding(
            code="softmax",
            place=place if own else (),
            says="the outputs are probabilities already",
            cause="cross-entropy takes the softmax itself; twice, the gradients become small and the loss stays high",
            remedy="take the softmax away; the class with the largest number stays the same",
            fix=Step(says="delete the softmax", change=Change(action="delete", place=place)) if own else None,
        )


def output_size(evidence: Evidence, question: Question) -> Iterator[Finding]:
    n, output, k = evidence.samples, evidence.evaluated, question.outputs
    if evidence.error:
        return
    if not evidence.numbers:
        yield Finding(
            code="outputs",
            place=(),
            says=f"forward gives {evidence.raw}, which has no numbers to learn from",
            cause="a loss needs a tensor of floating point numbers",
            remedy="return the tensor itself from forward",
        )
        return
    if not k or (evidence.single and isinstance(output, torch.Tensor) and output.shape == (n, k)):
        return
    if isinstance(output, torch.Tensor) and output.dim() == 0:
        return  # mixing says it
    need = (
        f"{'1 class asks' if k == 1 else f'{k} classes ask'} for [{n}, {k}]"
        if question.classes
        else f"a number to predict asks for [{n}, 1]"
    )
    cause, remedy, fix, place = "the last layer does not have the size that the data ask for", "", None, evidence.last
    spot = next((s for s in evidence.spots if s.place == place), None)
    if not evidence.single:
        cause, remedy, place = "forward gives more than one tensor", "return the tensor of outputs alone", ()
    elif isinstance(output, torch.Tensor) and output.numel() == n * k:
        cause, remedy, place = "the numbers are right, their shape is not", f"end with .reshape(-1, {k})", ()
    elif isinstance(output, torch.Tensor) and output.dim() > 2:
        cause, remedy, place = (
            "the samples are not flat when they come to the last layer",
            "put a Flatten before the first Linear",
            (),
        )
    elif evidence.last_output is not evidence.output:
        place = ()
    elif (
        spot
        and isinstance(spot.module, nn.Linear)
        and isinstance(output, torch.Tensor)
        and spot.module.out_features == output.shape[-1]
    ):
        remedy = f"give the last layer {counted(k, 'output')}"
        change = Change(action="argument", place=place, text=f"out_features={k}")
        if sum(s.module is spot.module for s in evidence.spots) == 1:
            fix = Step(says=f"set out_features to {k}", change=change)
    yield Finding(
        code="outputs",
        place=place,
        says=f"the network gives {evidence.raw} for {n} samples; {need}",
        cause=cause,
        remedy=remedy or f"let the network give {counted(k, 'number')} a sample",
        fix=fix,
    )


def random_in_evaluation(evidence: Evidence, _: Question) -> Iterator[Finding]:
    one, two = evidence.evaluated, evidence.again
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor) and one.shape == two.shape and not _close(one, two):
        yield Finding(
            code="random",
            place=(),
            says="the same samples give other outputs each time, in evaluation mode too",
            cause="something random does not look at self.training, such as F.dropout(x)",
            remedy="use nn.Dropout, or F.dropout(x, training=self.training)",
        )


def mixing(evidence: Evidence, _: Question) -> Iterator[Finding]:
    whole, part, n = evidence.evaluated, evidence.part, evidence.samples
    if not isinstance(whole, torch.Tensor) or not isinstance(part, torch.Tensor) or n < 4 or not_all_finite(whole):
        return
    if not _close(whole, evidence.again):
        return  # random anyway
    if whole.dim() == 0 or whole.shape[0] != n:
        yield Finding(
            code="mixing",
            place=(),
            says=f"{n} samples give an output of shape {list(whole.shape)}, whose first dimension is not the samples'",
            cause="forward sums or averages over the batch",
            remedy="keep the first dimension: sum over the others, as in x.sum(-1)",
        )
    elif part.dim() and not _close(whole.flip(0)[: len(part)], part):
        yield Finding(
            code="mixing",
            place=(),
            says="a sample's output depends on which other samples are in the batch, in evaluation mode too",
            cause="something works along the first dimension: X.mean(), batch norm without running statistics, "
            "an LSTM without batch_first",
            remedy="leave the first dimension to the samples: X.mean(-1, keepdim=True), batch_first=True",
        )


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.layout != torch.strided:
        return one.shape == two.shape
    finite = one.detach()[torch.isfinite(one)]
    scale = finite.abs().max().item() if finite.numel() else 0.0
    return bool(torch.allclose(one, two, rtol=1e-4, atol=1e-5 * max(scale, 1e-6), equal_nan=True))


def outer(evidence: Evidence, _: Question) -> Iterator[Finding]:
    for place, what in dict(evidence.outer).items():
        yield Finding(
            code="broadcast",
            place=place,
            says=f"{named(place)} combines every sample with every other one",
            cause=f"{what}: the shapes only fit by broadcasting",
            remedy="give both the same shape first, with reshape, squeeze or unsqueeze",
        )


def last_dropout(evidence: Evidence, _: Question) -> Iterator[Finding]:
    spot = next((s for s in evidence.spots if s.place == evidence.last), None)
    if spot and isinstance(spot.module, DROPOUTS) and spot.module.p > 0:
        yield Finding(
            code="dropout",
            place=spot.place,
            says=f"{named(spot.place)} leaves out outputs",
            cause="it is the last layer: in training a part of the answers is 0",
            remedy="put it before the last Linear",
            fix=Step(says="delete it", change=Change(action="delete", place=spot.place)),
        )
