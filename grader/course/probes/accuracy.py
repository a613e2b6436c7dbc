"""Accuracy on hidden data, measured here: labels never leave the evaluator, logits come in.

    score          logits and labels -> how many are right, with its interval; shown as a picture
    expect_accuracy    partial credit between two bounds
    expect_claim       what the notebook claims against what the checkpoint reaches
    retrain            the same model from scratch, under a budget of steps and our seed

Shape letters: B examples   C classes
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from grader.core.outcomes import Figure, Reason, Record, Stopped
from grader.grading.feedback import Failure, expect_finite, expect_shape
from grader.sandbox import RemoteModule
from kws.metrics import Proportion, percent

BATCH = 64  # examples in one call
SLACK = 0.02  # that a claim may lie above the interval of what was measured


def predict(module: RemoteModule, inputs: Sequence[Tensor], num_classes: int) -> Tensor:
    """Logits (B, C) in evaluation mode, some examples at a time; inputs are (B, …) each."""
    module.eval()
    parts = []
    for at in range(0, len(inputs[0]), BATCH):
        few = [one[at : at + BATCH] for one in inputs]
        logits = module(*few)
        logits = expect_shape("the output", logits, len(few[0]), num_classes, letters="B, C")
        parts.append(expect_finite("the output", logits).double())
    return torch.cat(parts)


def score(
    record: Record, logits: Tensor, labels: Tensor, names: Sequence[str], what: str = "accuracy"
) -> Proportion:
    """How many are right, noted as a fact, with a confusion matrix as the picture."""
    guessed = logits.argmax(-1)
    measured = Proportion(correct=int((guessed == labels).sum()), n=len(labels))
    size = len(names)
    counts = torch.bincount(labels * size + guessed, minlength=size * size).reshape(size, size)
    record.fact(what, str(measured))
    data = {"labels": list(names), "counts": counts}
    record.figure(Figure(kind="confusion", title=f"{what}: {measured}", data=data))
    return measured


def expect_accuracy(record: Record, measured: Proportion, *, none: float, full: float) -> None:
    """All points at `full` accuracy, none at or below `none`, and in between in proportion."""
    if not 0 <= none < full <= 1:
        raise ValueError(f"none={none} and full={full} are not two shares in this order")
    share = (measured.value - none) / (full - none)
    told = f"{percent(measured.value)} % of the hidden examples are right"
    if share <= 0 or math.isnan(share):
        raise Failure(f"{told}, points begin above {percent(none)} %")
    if share < 1:
        record.partial(share, f"{told}, all points are at {percent(full)} %")


def expect_claim(record: Record, claimed: Any, measured: Proportion) -> None:
    """Fail where the notebook claims more than its checkpoint reaches, beyond chance.

    `claimed` is a share of 1, or a percentage above 1.
    """
    if isinstance(claimed, bool) or not isinstance(claimed, int | float) or math.isnan(claimed):
        raise Failure("the claimed accuracy is not a number", "such as 0.93")
    share = claimed / 100 if claimed > 1 else float(claimed)
    record.fact("claimed", f"{percent(share)} %")
    if share > measured.high + SLACK:
        raise Failure(
            f"the notebook claims {percent(share)} %, the checkpoint reaches "
            f"{percent(measured.value)} % on hidden examples",
            "is the claim from the training set, or from other weights than those handed in?",
        )


def retrain(
    build: Callable[[], RemoteModule],
    batches: Sequence[Sequence[Tensor]],
    *,
    steps: int,
    lr: float | Sequence[float],
    seed: int,
    record: Record,
) -> RemoteModule:
    """A fresh model after `steps` optimizer steps on our batches, with its losses as a picture."""
    model = build()
    losses = model.train().fit(batches, steps=steps, lr=lr, seed=seed)
    curve = {
        "x": list(range(1, len(losses) + 1)),
        "y": list(losses),
        "x_label": "optimizer step",
        "y_label": "cross-entropy (nats)",
    }
    record.figure(Figure(kind="curve", title="Training from scratch, by the grader", data=curve))
    if len(losses) < steps or not all(map(math.isfinite, losses)):
        raise Stopped(
            Reason.WRONG,
            f"training from scratch broke off at step {len(losses)} of {steps}: "
            "the loss is not a number",
            "is the learning rate too high, or is there a division by zero?",
        )
    return model


def expect_retrained(record: Record, again: Proportion, handed_in: Proportion, gap: float) -> None:
    """Fail where training from scratch stays more than `gap` below the checkpoint handed in."""
    record.fact("accuracy from scratch", str(again))
    if again.high < handed_in.low - gap:
        raise Failure(
            f"trained from scratch, this model reaches {percent(again.value)} %; the checkpoint "
            f"handed in reaches {percent(handed_in.value)} %",
            "is the checkpoint of this very model, trained on the course's data?",
        )
