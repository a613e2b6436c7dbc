"""Accuracy with its sample size and interval, and figures of each class of a confusion matrix.

An accuracy without n is not a measurement, so the two travel together in a `Proportion`; a rate has
its hours in an `AlarmRate`.

Interval of a share: Wilson 1927, "Probable inference, the law of succession, and statistical
inference", which stays inside 0–1 and has a width even at 100 %.

Shape letters: B examples   C classes
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Z95 = 1.959963984540054  # standard normal quantile at 97.5 %: 2.5 % in each tail


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """`correct` of `n` examples, as a share of 1, with its Wilson 95 % interval `low` … `high`.

    With n = 0 nothing was measured: `value` is NaN and the interval is 0 … 1.
    """

    correct: int
    n: int

    def __post_init__(self):
        if not 0 <= self.correct <= self.n:
            raise ValueError(f"correct={self.correct} is not between 0 and n={self.n}")

    @property
    def value(self) -> float:
        return self.correct / self.n if self.n else math.nan

    @property
    def low(self) -> float:
        return wilson_interval(self.correct, self.n)[0]

    @property
    def high(self) -> float:
        return wilson_interval(self.correct, self.n)[1]

    def __str__(self) -> str:
        """
        >>> str(Proportion(correct=302, n=315))
        '95.9 % (n=315, 95 % interval 93.1–97.6)'
        """
        return f"{percent(self.value)} % ({self._sample()})"

    def describe(self, **conditions: str) -> str:
        """The same, with what an accuracy depends on: protocol, test silence, crops or utterances.

        >>> Proportion(correct=302, n=315).describe(protocol="v2-12", test_silence="noise")
        '95.9 % (n=315, 95 % interval 93.1–97.6, protocol v2-12, test silence: noise)'
        """
        named = [f"protocol {conditions.pop('protocol')}"] if "protocol" in conditions else []
        named += [f"{name.replace('_', ' ')}: {value}" for name, value in conditions.items()]
        return f"{percent(self.value)} % ({', '.join([self._sample(), *named])})"

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON: accuracy as a share of 1 (None when n = 0), n, both ends of the interval."""
        value = self.value if self.n else None
        return {"accuracy": value, "n": self.n, "low": self.low, "high": self.high}

    def _sample(self) -> str:
        interval = f"{percent(self.low)}–{percent(self.high)}"
        return f"n={self.n:,}, 95 % interval {interval}"


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One class: of its n examples how many were found (recall), and how many hits were right."""

    label: str
    recall: Proportion  # of the examples with this label, those recognized
    precision: Proportion  # of the examples recognized as this label, those that have it


@dataclass(frozen=True, kw_only=True)
class AlarmRate:
    """`count` false alarms in `hours` of audio, with its 95 % interval `low` … `high` an hour.

    Where none was seen in h hours, the rate is below ln 20 / h with 95 % confidence (of a Poisson
    count, exp(-rate · h) = 0.05); else the interval is the exact one (Garwood 1936).
    """

    count: int
    hours: float

    @property
    def value(self) -> float:
        return self.count / self.hours if self.hours else math.nan

    @property
    def low(self) -> float:
        if not self.count or not self.hours:
            return 0.0
        return _mean_where(self.count, 0.025) / self.hours

    @property
    def high(self) -> float:
        """ln 20 / hours where none was seen: one end of an interval that begins at zero."""
        if not self.hours:
            return math.inf
        if not self.count:
            return math.log(20) / self.hours
        return _mean_where(self.count + 1, 0.975) / self.hours

    def __str__(self) -> str:
        """
        >>> str(AlarmRate(count=0, hours=3.0)), str(AlarmRate(count=4, hours=2.0))
        ('0 in 3.00 h: below 1.00 an hour', '4 in 2.00 h: 2.00 an hour, 95 % interval 0.54–5.12')
        """
        if not self.count:
            return f"0 in {self.hours:.2f} h: below {self.high:.2f} an hour"
        return (
            f"{self.count} in {self.hours:.2f} h: {self.value:.2f} an hour, 95 % interval "
            f"{self.low:.2f}–{self.high:.2f}"
        )

    def as_dict(self) -> dict[str, float | int | None]:
        rate = self.value if self.hours else None
        high = self.high if self.hours else None
        return {
            "count": self.count,
            "hours": self.hours,
            "an_hour": rate,
            "low": self.low,
            "high": high,
        }


def _mean_where(count: int, share: float) -> float:
    """The mean of a Poisson variable that is `count` or more with probability `share`; halving."""
    low, high = 0.0, 10.0 * (count + 1)
    for _ in range(80):
        middle = (low + high) / 2
        reached = float(torch.special.gammainc(*torch.tensor([count, middle]).double()))
        low, high = (middle, high) if reached < share else (low, middle)
    return high


def percent(share: float) -> str:
    """A share of 1 in percent with one decimal, a dash when there is none.

    >>> percent(0.9587), percent(math.nan)
    ('95.9', '–')
    """
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def wilson_interval(correct: float | int, n: int, z: float = Z95) -> tuple[float, float]:
    """Both ends of the Wilson score interval for `correct` of `n`, as shares of 1.

    Its ends are the two proportions p whose distance from correct/n is z·√(p(1−p)/n): the ones a
    test at this level would just not reject. n = 0 gives 0 … 1. A mean over runs may be a fraction.

    >>> low, high = wilson_interval(10, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.722 1.000'
    """
    if n == 0:
        return 0.0, 1.0
    share, shrink = correct / n, 1 + z * z / n
    center = (share + z * z / (2 * n)) / shrink
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if correct == 0 else center - half  # exact there: rounding would leave ±1e-17
    high = 1.0 if correct == n else center + half
    return low, high


def per_class(matrix: Int[Tensor, "C C"], labels: Sequence[str]) -> list[ClassScore]:
    """Recall and precision of every class of a confusion matrix, in label order."""
    counts = matrix.tolist()
    if len(counts) != len(labels):
        raise ValueError(f"{len(labels)} labels for a confusion matrix of {len(counts)} classes")
    predicted = matrix.sum(dim=0).tolist()
    return [
        ClassScore(
            label=label,
            recall=Proportion(correct=row[i], n=sum(row)),
            precision=Proportion(correct=row[i], n=predicted[i]),
        )
        for i, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]


def average_precision(scores: Float[Tensor, "B"], truth: Bool[Tensor, "B"]) -> float:
    """The area below the curve of precision over recall, in steps, for one class; NaN if empty.

    Σ (recall at a threshold − recall at the next higher one) · precision there, over all distinct
    scores: equal ones share a threshold, so the order of the examples does not matter. Parity:
    scikit-learn's `average_precision_score`.

    >>> truth = torch.tensor([False, False, True, True])
    >>> round(average_precision(torch.tensor([0.1, 0.4, 0.35, 0.8]), truth), 4)
    0.8333
    """
    order = scores.argsort(descending=True)
    scores, hits = scores[order], truth[order].double().cumsum(0)
    ends = torch.cat([scores.diff() != 0, scores.new_ones(1, dtype=torch.bool)]).nonzero()[:, 0]
    precision, gained = hits[ends] / (ends + 1), hits[ends].diff(prepend=hits.new_zeros(1))
    return float((precision * gained).sum() / hits[-1])


def mean_average_precision(
    scores: Float[Tensor, "B C"], truth: Bool[Tensor, "B C"]
) -> tuple[float, int]:
    """mAP of tags, of which an example may have several: the mean over classes, and how many.

    Classes without an example are left out. The loss that goes with tags is
    `F.binary_cross_entropy_with_logits`, a sigmoid for each class.
    """
    found = [average_precision(scores[:, c], truth[:, c]) for c in truth.any(0).nonzero()[:, 0]]
    return (math.fsum(found) / len(found) if found else math.nan), len(found)
