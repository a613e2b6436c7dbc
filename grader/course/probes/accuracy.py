"""Accuracy on hidden data, measured here: labels never leave the evaluator, logits come in.

    built          a student's module
    load_within    the same with the weights handed in, within the bound of its size
    ask            logits of every example, in shuffled calls; what ran in them
    expect_layers  the self-attentions of the model that was asked, within their bounds
    score          logits and labels -> how many are right, with its interval; shown as a picture
    ramp           partial credit between two bounds
    expect_claim   what the notebook claims against what the checkpoint reaches
    retrain        the same model from scratch, under a budget of steps and our seed

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
from grader.grading.trained_weights import load_weights, unwrapped
from grader.sandbox import RemoteModule, Seen
from kws.metrics import Proportion, percent

BATCH = 64  # examples in one call, at most
SAME = 1e-3  # logits of float32 sums in another order differ by some 1e-6 of their size
MOST_CLASSES = 120  # of a confusion matrix that can be read
SLACK = 0.02  # that a claim may lie above the interval of what was measured


CODE = 200_000  # characters of code; what is beyond could be weights, written out


def built(student: Any, name: str, *args: Any) -> RemoteModule:
    module = getattr(student, name)(*args)
    if not isinstance(module, RemoteModule):
        shown = ", ".join(map(str, args))
        raise Failure(f"{name}({shown}) is not an nn.Module", "does it inherit from nn.Module?")
    return module


def load_within(
    record: Record, model: RemoteModule, weights: Mapping[str, Tensor], code: str, budget: int
) -> RemoteModule:
    """The model with the weights handed in, if training changed at most `budget` numbers.

    Fixed tables, which a new model has too, do not count; characters of `code` beyond CODE do.
    """
    new = model.state_dict()
    loaded = load_weights(model, weights)
    given = weights if set(weights) == set(new) else unwrapped(weights)
    changed = [
        tensor.numel()
        for name, tensor in given.items()
        if name not in new or not torch.equal(new[name].to(tensor.dtype), tensor)
    ]
    numbers = sum(changed) + max(0, len(code) - CODE)
    record.fact("numbers that training changed", f"{numbers:,}")
    expect_between("the number of numbers that training changed", numbers, high=budget)
    return loaded


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """A model's output: logits (B, C), each call as observed, and the inputs of one call."""

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
) -> Outputs:
    """Logits in evaluation mode, in calls that do not reveal the classes.

    Failure: invalid logits, or logits that depend on the other examples of a call.
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
            "the logits of an example depend on the other examples of its batch",
            "does anything mix the examples of a batch?",
        )
    return Outputs(logits=found, calls=tuple(seen), example=largest)


def _thinned(batch: Tensor) -> Tensor:
    batch = batch.clone()
    batch[1::2] = batch[0]
    return batch


def _logits(seen: Seen, size: int, num_classes: int) -> Tensor:
    return expect_logits("the output", seen.output, size, num_classes).detach().double()


def calls(labels: Tensor, generator: torch.Generator, most: int) -> Iterator[list[int]]:
    """All examples in calls of random size, each with its own mixture of classes."""
    left = torch.arange(len(labels))
    while len(left):
        size = min(int(torch.randint(1, most + 1, (), generator=generator)), len(left))
        shares = torch.rand(int(labels.max()) + 1, generator=generator) ** 4 + 1e-6
        drawn = torch.multinomial(shares[labels[left]], size, generator=generator)
        yield left[drawn].tolist()
        kept = torch.ones(len(left), dtype=torch.bool)
        kept[drawn] = False
        left = left[kept]


def expect_layers(model: RemoteModule, outputs: Outputs, most: int) -> None:
    """Fail without self-attention on which the logits depend, or with more than `most`."""
    ran = median_high(seen.attentions for seen in outputs.calls)
    expect_between("the number of self-attentions in the trained model", ran, 1, most)
    repeated = max(seen.repeated for seen in outputs.calls)
    if repeated:
        raise Failure(
            f"in the trained model, {repeated} self-attentions have the weights of an earlier one"
        )
    usual = model.observe(*outputs.example).output
    for flat in range(ran):
        other = model.observe(*outputs.example, flat=flat).output
        if isinstance(other, Tensor) and (other - usual).abs().max() > SAME:
            return
    raise Failure("no self-attention affects the logits of the trained model", "is it used?")


def score(
    record: Record, logits: Tensor, labels: Tensor, names: Sequence[str], what: str = "accuracy"
) -> Proportion:
    """Count right answers, recorded as a fact; with few classes a confusion matrix."""
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


def ramp(
    record: Record,
    what: str,
    measured: float | Proportion,
    hint: str = "",
    /,
    *,
    none: float,
    full: float,
) -> None:
    """Full points at `full`, none at `none` or beyond, linear between; recorded as a fact."""
    share = isinstance(measured, Proportion)
    if none == full or (share and not (0 <= none < full <= 1)):
        raise ValueError(f"none={none} and full={full} are not two bounds in this order")
    value = measured.value if isinstance(measured, Proportion) else measured
    record.fact(what, str(measured) if share else round(value, 2))
    if isinstance(measured, Proportion):
        record.measured = (measured.correct, measured.n)
    shown, low, high = (f"{percent(x)} %" if share else f"{x:.4g}" for x in (value, none, full))
    earned = (value - none) / (full - none)
    if not earned > 0:  # NaN is not, either
        side = "above" if full > none else "below"
        raise Failure(f"{what}: {shown}; points are awarded {side} {low}", hint)
    if earned < 1:
        bound = "more" if full > none else "less"
        record.partial(earned, f"{what}: {shown}; full points at {high} or {bound}")


def expect_claim(record: Record, claimed: Any, measured: Proportion) -> None:
    """Fail if the notebook claims (a share, or percent) more than the checkpoint reaches."""
    if isinstance(claimed, bool) or not isinstance(claimed, int | float) or math.isnan(claimed):
        raise Failure("the claimed accuracy is not a number", "such as 0.93")
    share = claimed / 100 if claimed > 1 else float(claimed)
    record.fact("claimed", f"{percent(share)} %")
    if share > measured.high + SLACK:
        raise Failure(
            f"the notebook claims {percent(share)} %, the checkpoint reaches "
            f"{percent(measured.value)} % on hidden examples",
            "is the claim from the training set, or from other weights than the submitted ones?",
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
    """A fresh model after `steps` optimizer steps on our batches; its losses as a figure."""
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
            f"training from scratch diverged at step {len(losses)} of {steps}: "
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
