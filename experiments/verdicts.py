"""The questions of the source documents, answered by comparing runs example by example.

Runs of two recipes with the same seed are a pair: they saw the same examples in the same order, and
are tested on the same ones. `compare` averages the difference over pairs and examples. Its interval
allows for both, for other seeds and for other examples: the variances of the two means are added,
and Student's t has the degrees of freedom of Welch and Satterthwaite. The noise that belongs to
neither alone counts twice, so the interval is rather too wide.

Many questions are asked at once, so each verdict follows from a wider interval, Holm's: the
chance that any of them is wrong stays at 5 % (Holm 1979, "A Simple Sequentially Rejective Multiple
Test Procedure"). Runs that have not settled, or too few of them, give no verdict.

Shape letters: S seeds   n test examples
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.plan import QUESTIONS
from experiments.results import Result
from experiments.rows import Where, where_of
from kws.errors import UsageError
from kws.settings import NonNegative, from_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("questions.toml")
FEWEST_SEEDS = 3  # that a verdict may rest on
RISING = 0.03  # of validation accuracy in the last quarter: a run that has not settled
ALPHA = 0.05  # chance of a wrong verdict: of one interval, and with Holm's correction of all
HOLDS, DOES_NOT, CANNOT_SAY = "holds", "does not hold", "cannot say"
YES, NO = "yes", "no"  # where no report claims anything


@dataclass(frozen=True, kw_only=True)
class Question:
    """A table of questions.toml, which says what the keys mean."""

    id: str
    question: str
    report: str
    source: str
    more: str
    less: str = ""
    level: NonNegative | None = None
    claim: Literal["more", "no gain", "no gain in some cases", "none"] = "more"
    matters: NonNegative = 2.0
    differs: str

    def __post_init__(self) -> None:
        """Refuse a comparison with nothing, or with two things."""
        if bool(self.less) == (self.level is not None):
            raise UsageError(f"question {self.id}: give it either less or level")

    @property
    def recipes(self) -> list[str]:
        """Those that it compares."""
        return [*self.more.split(), *self.less.split()]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean difference of accuracies, shares of 1, with its standard error."""

    value: float
    error: float
    freedom: float  # degrees of freedom of the error
    seeds: int
    n: int

    def interval(self, level: float = ALPHA) -> tuple[float, float]:
        """Lower and upper end of its interval with confidence 1 - level."""
        half = student_t(self.freedom, level) * self.error
        return self.value - half, self.value + half

    def p_value(self, bound: float) -> float:
        """How probable so large a distance from `bound` is, on either side, were it the truth."""
        if self.value == bound:
            return 1.0
        return tail(abs(self.value - bound) / self.error, self.freedom) if self.error else 0.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the runs on one data set say to a question; `level` is the share of `ALPHA` it gets."""

    question: Question
    where: Where
    seeds: tuple[int, ...]
    means: Mapping[str, float]  # recipe -> accuracy
    seconds: Mapping[str, float]  # recipe -> of CPU time, a run
    difference: Difference
    rising: tuple[str, ...]  # recipes whose runs have not settled
    level: float = ALPHA

    @cached_property
    def corrected(self) -> tuple[float, float]:
        """Holm's interval of the difference."""
        return self.difference.interval(self.level)

    @property
    def verdict(self) -> str:
        """One of three, or of yes, no and cannot say where the report claims nothing."""
        if self.rising or len(self.seeds) < FEWEST_SEEDS:
            return CANNOT_SAY
        return verdict(self.question, *self.corrected)

    @property
    def reason(self) -> str:
        """Why it does not hold or cannot be said, in a few words; "" where it holds."""
        if self.verdict in (HOLDS, YES):
            return ""
        if self.verdict in (DOES_NOT, NO):
            return contradiction(self.question, *self.corrected)
        if self.rising:
            return f"still rising: {', '.join(self.rising)}"
        if len(self.seeds) < FEWEST_SEEDS:
            return "too few seeds"
        some = self.question.claim == "no gain in some cases" and self.corrected[0] > 0
        return "ours is none of those cases" if some else "the interval is too wide"


def read_questions(path: Path = FILE) -> list[Question]:
    """The questions in the order of the file.

    Raises:
        UsageError: a key that is unknown or missing, or an id that is there twice.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    questions = [from_table(Question, table, f"{path.name}: {table.get('id')}") for table in tables]
    ids = [question.id for question in questions]
    if len(set(ids)) < len(ids):
        raise UsageError(f"{path.name}: an id is there twice: choose another")
    return questions


def compare(more: Float[Tensor, "S n"], less: Float[Tensor, "S n"]) -> Difference:
    """Mean of `more - less` and its error; with one seed it is that of the examples alone.

    >>> one, other = torch.tensor([[1.0, 1, 1, 0]]), torch.tensor([[1.0, 0, 1, 0]])
    >>> found = compare(one.repeat(3, 1), other.repeat(3, 1))
    >>> "{:.2f} {:.2f} {:.2f}".format(found.value, *found.interval())
    '0.25 -0.55 1.05'
    """
    difference = (more - less).double()
    seeds, n = difference.shape
    parts = [(float(difference.mean(0).var()) / n, n - 1)]
    if seeds > 1:
        parts.append((float(difference.mean(1).var()) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / k for part, k in parts) if variance else n - 1
    return Difference(
        value=float(difference.mean()), error=math.sqrt(variance), freedom=freedom, seeds=seeds, n=n
    )


def tail(t: float, freedom: float) -> float:
    """P(|T| > t) of Student's t, by the trapezoidal rule over the angle arctan(t / sqrt(freedom)).

    >>> round(tail(4.303, 2), 4), round(tail(1.96, 1e9), 4)
    (0.05, 0.05)
    """
    freedom = min(freedom, 1e4)  # from there on it is the normal distribution's

    def integrate(start: float) -> float:
        angles = torch.linspace(start, math.pi / 2, 5_001, dtype=torch.float64)
        return float(torch.trapezoid(angles.cos() ** (freedom - 1), angles))

    return integrate(math.atan(t / math.sqrt(freedom))) / integrate(0.0)


def student_t(freedom: float, level: float = ALPHA) -> float:
    """The t that |T| exceeds with probability `level`, by bisection of `tail`.

    >>> [round(student_t(k), 3) for k in (1.0, 5.0, 9.0, 30.0, 1e9)]  # as the tables have it
    [12.706, 2.571, 2.262, 2.042, 1.96]
    """
    low, high = 0.0, 1e4
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, freedom) > level else (low, middle)
    return high


def verdict(question: Question, low: float, high: float) -> str:
    """Whether the report's finding holds, by an interval of the difference alone.

    `more`: it holds where all of the interval is above 0, and does not where it is below what
    matters. `no gain`: it holds where the interval is below what matters, and does not where all of
    it is above 0; but one case of ours never contradicts "in some cases". `none`: as `more`, but
    there is no finding that could hold. What fits neither cannot be said.
    """
    gain, no_gain = low > 0, high < question.matters / 100
    if question.claim == "none":
        return YES if gain else NO if no_gain else CANNOT_SAY
    if question.claim == "more":
        return HOLDS if gain else DOES_NOT if no_gain else CANNOT_SAY
    contradicts = gain and question.claim == "no gain"
    return HOLDS if no_gain else DOES_NOT if contradicts else CANNOT_SAY


def contradiction(question: Question, low: float, high: float) -> str:
    """What a difference is that contradicts the report, from its interval alone."""
    if question.claim == "no gain":
        return "there is a gain" if question.level is None else "it is above that"
    if high < 0:
        return "it is the other way round"
    either = " either way" if low > -question.matters / 100 else ""
    return f"less than {question.matters:g} points{either}"


def correct(found: Sequence[Finding]) -> list[Finding]:
    """The findings with the level that Holm's procedure leaves each of them.

    A finding is tested against no difference and against the least one that matters, of which at
    most one is true; its p-value is the smaller.
    """

    def p_value(finding: Finding) -> float:
        d, matters = finding.difference, finding.question.matters / 100
        sides = [0.0] * (d.value > 0) + [matters] * (d.value < matters)
        return min(d.p_value(bound) for bound in sides)

    p_values = [p_value(finding) for finding in found]
    levels: dict[int, float] = {}
    level, rejected = ALPHA, True
    for rank, at in enumerate(sorted(range(len(found)), key=p_values.__getitem__)):
        level = ALPHA / (len(found) - rank) if rejected else level
        rejected = rejected and p_values[at] <= level
        levels[at] = level
    return [replace(finding, level=levels[at]) for at, finding in enumerate(found)]


def findings(results: Iterable[Result], questions: Sequence[Question]) -> list[Finding]:
    """What the results say, in the order of the questions.

    A question has one for each data set on which every recipe that it names was run with a seed
    that they share.
    """
    runs: dict[Where, dict[str, dict[int, Result]]] = {}
    for result in results:
        if result["group"] == QUESTIONS and "right" in result:
            here = runs.setdefault(where_of(result), {})
            here.setdefault(result["name"], {})[result["seed"]] = result
    found = []
    for question in questions:
        for where in sorted(runs):
            here = runs[where]
            seeds = [set(here.get(name, ())) for name in question.recipes]
            if shared := tuple(sorted(set.intersection(*seeds))):
                found.append(_finding(question, where, here, shared))
    return correct(found)


def _finding(
    question: Question,
    where: Where,
    runs: Mapping[str, Mapping[int, Result]],
    seeds: tuple[int, ...],
) -> Finding:
    def hits(made: Sequence[Result]) -> Tensor:
        rows = [[int(digit) for digit in run["right"]] for run in made]
        return torch.tensor(rows, dtype=torch.float64)

    arms = {name: [runs[name][seed] for seed in seeds] for name in question.recipes}
    right = {name: hits(made) for name, made in arms.items()}
    more = torch.stack([right[name] for name in question.more.split()]).sum(0)
    level = torch.full_like(more, (question.level or 0) / 100)
    less = sum((right[name] for name in question.less.split()), level)
    climbs = {name: fmean(map(climb, made)) for name, made in arms.items()}
    return Finding(
        question=question,
        where=where,
        seeds=seeds,
        means={name: float(hit.mean()) for name, hit in right.items()},
        seconds={name: seconds_of(made) for name, made in arms.items()},
        difference=compare(more, less),
        rising=tuple(name for name, points in climbs.items() if points > RISING),
    )


def seconds_of(runs: Sequence[Result]) -> float:
    """CPU time of a run, on average; a run that was resumed does not tell it, unless all were."""
    whole = [run["seconds"]["cpu"] for run in runs if run["seconds"]["whole"]]
    return fmean(whole or [run["seconds"]["cpu"] for run in runs])


def climb(result: Result) -> float:
    """What the last quarter of the training added to the validation accuracy."""
    history = result["history"]
    key = "validation_accuracy" if "validation_accuracy" in history[0] else "crop_accuracy"
    end = history[-1]["step"]
    before = [row[key] for row in history if row["step"] <= 0.75 * end]
    return history[-1][key] - max(before) if before else math.inf
