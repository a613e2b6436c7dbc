"""Accuracy on hidden data, measured here: labels never leave the evaluator, logits come in.

    ask            logits of every example, in calls that tell nothing; what ran in them
    expect_bounds  the model that was asked, within the bounds of its size and its layers
    score          logits and labels -> how many are right, with its interval; shown as a picture
    expect_accuracy    partial credit between two bounds
    expect_claim       what the notebook claims against what the checkpoint reaches
    retrain            the same model from scratch, under a budget of steps and our seed

Shape letters: B examples   C classes
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any

import torch
from torch import Tensor

from grader.core.outcomes import Figure, Reason, Record, Stopped
from grader.grading.feedback import Failure, expect_between, expect_logits
from grader.sandbox import RemoteModule, Seen
from kws.metrics import Proportion, percent

BATCH = 64  # examples in one call, at most
SAME = 1e-3  # logits of float32 sums in another order differ by some 1e-6 of their size
MOST_CLASSES = 120  # of a confusion matrix that can be read
SLACK = 0.02  # that a claim may lie above the interval of what was measured


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a model answered: logits (B, C), each call as it was observed, and inputs of one."""

    logits: Tensor
    calls: tuple[Seen, ...]
    example: tuple[Tensor, ...]


def ask(
    model: RemoteModule,
    inputs_of: Callable[[list[int]], tuple[Tensor, ...]],
    labels: Tensor,
    num_classes: int,
    generator: torch.Generator,
    most: int = BATCH,
) -> Asked:
    """Logits in evaluation mode, in calls that tell nothing of their classes.

    Raises:
        Failure: logits of another form, or logits that follow from the other examples of a call.
    """
    model.eval()
    found = torch.empty(len(labels), num_classes, dtype=torch.float64)
    seen: list[Seen] = []
    largest: tuple[Tensor, ...] = ()
    usual = found[:0]
    for rows in calls(labels, generator, most):
        inputs = inputs_of(rows)
        seen.append(model.observe(*inputs))
        found[rows] = _logits(seen[-1], len(rows), num_classes)
        if not largest or len(rows) > len(largest[0]):
            largest, usual = inputs, found[rows]
    # every second example stays, the others become the first
    seen.append(model.observe(*(_thinned(one) for one in largest)))
    gap = (_logits(seen[-1], len(usual), num_classes) - usual)[::2].abs().max()
    if gap > SAME * (1 + usual.abs().max()):
        raise Failure(
            "the logits of an example follow from the other examples of its batch",
            "does anything mix the examples of a batch?",
        )
    return Asked(logits=found, calls=tuple(seen), example=largest)


def _thinned(batch: Tensor) -> Tensor:
    batch = batch.clone()
    batch[1::2] = batch[0]
    return batch


def _logits(seen: Seen, size: int, num_classes: int) -> Tensor:
    return expect_logits("the output", seen.output, size, num_classes).detach().double()


def calls(labels: Tensor, generator: torch.Generator, most: int) -> Iterator[list[int]]:
    """All examples in calls of random size, each with a mixture of classes of its own.

    Who knows the classes to be balanced over the whole knows nothing of a call.
    """
    left = torch.arange(len(labels))
    while len(left):
        size = min(int(torch.randint(1, most + 1, (), generator=generator)), len(left))
        shares = torch.rand(int(labels.max()) + 1, generator=generator) ** 4 + 1e-6
        drawn = torch.multinomial(shares[labels[left]], size, generator=generator)
        yield left[drawn].tolist()
        kept = torch.ones(len(left), dtype=torch.bool)
        kept[drawn] = False
        left = left[kept]


def expect_bounds(
    record: Record,
    model: RemoteModule,
    asked: Asked,
    weights: Mapping[str, Tensor],
    *,
    budget: int,
    layers: int | None = None,
) -> None:
    """Fail where the model that was asked is larger, or has more self-attentions, than is asked.

    Its numbers are those of the file that was handed in, counted here, and those that it made for
    itself. With `layers`, there must be one self-attention at least without which the logits are
    others: a softmax whose result is not used is none.
    """
    expect_size(record, weights, max(seen.created for seen in asked.calls), budget=budget)
    if layers is None:
        return
    ran = median_high(seen.attentions for seen in asked.calls)
    expect_between("the number of self-attentions in the trained model", ran, 1, layers)
    repeated = max(seen.repeated for seen in asked.calls)
    if repeated:
        raise Failure(
            f"in the trained model, {repeated} self-attentions have the weights of an earlier one"
        )
    usual = model.observe(*asked.example).output
    for flat in range(ran):
        other = model.observe(*asked.example, flat=flat).output
        if isinstance(other, Tensor) and (other - usual).abs().max() > SAME:
            return
    raise Failure("no self-attention matters to the logits of the trained model", "is it used?")


def expect_size(
    record: Record, weights: Mapping[str, Tensor], created: int, *, budget: int
) -> None:
    """Fail where the file that was handed in, and what the model made for itself in the calls that
    it answered, hold more numbers than are asked."""
    numbers = sum(one.numel() for one in weights.values()) + created
    record.fact("numbers of the trained model", f"{numbers:,}")
    expect_between("the size of the trained model", numbers, high=budget, unit="numbers")


def score(
    record: Record, logits: Tensor, labels: Tensor, names: Sequence[str], what: str = "accuracy"
) -> Proportion:
    """How many are right, noted as a fact, with a confusion matrix of few classes."""
    guessed = logits.argmax(-1)
    measured = Proportion(correct=int((guessed == labels).sum()), n=len(labels))
    record.fact(what, str(measured))
    size = len(names)
    if size > MOST_CLASSES:
        return measured
    counts = torch.bincount(labels * size + guessed, minlength=size * size).reshape(size, size)
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
    device: str = "cpu",
) -> RemoteModule:
    """A fresh model after `steps` optimizer steps on our batches, with its losses as a picture."""
    model = build()
    losses = model.train().fit(batches, steps=steps, lr=lr, seed=seed, device=device)
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
