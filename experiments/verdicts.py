"""The questions of the source documents, answered by comparing runs example by example.

Runs of two recipes with the same seed are a pair: they saw the same examples in the same order, and
are tested on the same ones. `compare` averages the difference over pairs and examples. Its interval
allows for both, for other seeds and for other examples: the variances of the two means are added,
and Student's t has the degrees of freedom of Welch and Satterthwaite. The noise that belongs to
neither alone counts twice, so the interval is rather too wide. A verdict follows from the interval,
and from nothing else: `verdict`.

Shape letters: S seeds   n test examples
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from kws.metrics import Z95
from kws.settings import NonNegative, from_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("questions.toml")
FEWEST_SEEDS = 3  # that a verdict may rest on
RISING = 0.03  # of validation accuracy in the last quarter: a run that has not settled
T95 = (12.706, 4.303, 3.182, 2.776)  # Student's t at 97.5 % for 1 to 4 degrees of freedom
HOLDS, DOES_NOT, CANNOT_SAY = "holds", "does not hold", "cannot say"


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
    claim: Literal["more", "no gain"] = "more"
    matters: NonNegative = 2.0
    length: bool = False
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
    """A mean difference of accuracies, shares of 1, with its 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the runs on one data set say to a question."""

    question: Question
    where: Where
    seeds: tuple[int, ...]
    means: Mapping[str, float]  # recipe -> accuracy
    seconds: Mapping[str, float]  # recipe -> of CPU time, a run
    difference: Difference
    rising: tuple[str, ...]  # recipes whose runs have not settled

    @property
    def verdict(self) -> str:
        """One of three, from the interval; runs too few or not settled say nothing."""
        if self._unsettled or len(self.seeds) < FEWEST_SEEDS:
            return CANNOT_SAY
        return verdict(self.question, self.difference)

    @property
    def reason(self) -> str:
        """Why it does not hold or cannot be said, in a few words; "" where it holds.

        A difference that cannot be worth having either way is a finding too, and is told from one
        the other way round.
        """
        if self.verdict == HOLDS:
            return ""
        if self.verdict == DOES_NOT:
            return against(self.question, self.difference)
        if self._unsettled:
            return "not settled"
        return "too few seeds" if len(self.seeds) < FEWEST_SEEDS else "the interval is too wide"

    @property
    def _unsettled(self) -> bool:
        return bool(self.rising) and not self.question.length


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
    """Mean of `more - less` and its 95 % interval; with one seed it is that of the examples alone.

    >>> one, other = torch.tensor([[1.0, 1, 1, 0]]), torch.tensor([[1.0, 0, 1, 0]])
    >>> found = compare(one.repeat(3, 1), other.repeat(3, 1))
    >>> f"{found.value:.2f} {found.low:.2f} {found.high:.2f}"
    '0.25 -0.55 1.05'
    """
    difference = (more - less).double()
    seeds, n = difference.shape
    parts = [(float(difference.mean(0).var()) / n, n - 1)]
    if seeds > 1:
        parts.append((float(difference.mean(1).var()) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    half = 0.0
    if variance:
        freedom = variance**2 / sum(part**2 / k for part, k in parts)
        half = student_t(freedom) * math.sqrt(variance)
    value = float(difference.mean())
    return Difference(value=value, low=value - half, high=value + half, seeds=seeds, n=n)


def student_t(freedom: float) -> float:
    """Student's t at 97.5 %; degrees of freedom are rounded down, which makes it larger.

    From 5 on by the expansion of Cornish and Fisher (Abramowitz & Stegun 26.7.5), right to 0.003.

    >>> [round(student_t(k), 2) for k in (2.0, 5.0, 10.0, 1e9)]
    [4.3, 2.57, 2.23, 1.96]
    """
    k, z = max(1, math.floor(freedom)), Z95
    if k <= len(T95):
        return T95[k - 1]
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / k + second / k**2 + third / k**3


def verdict(question: Question, found: Difference) -> str:
    """Whether the report's finding holds, by the interval alone.

    `more`: it holds where all of the interval is above 0, and does not where it is below what
    matters. `no gain`: it holds where the interval is below what matters, and does not where all of
    it is above 0. What fits neither cannot be said.
    """
    ahead, behind = found.low > 0, found.high < question.matters / 100
    if question.claim == "no gain":
        ahead, behind = behind, ahead
    return HOLDS if ahead else DOES_NOT if behind else CANNOT_SAY


def against(question: Question, found: Difference) -> str:
    """What a difference is that contradicts the report, from its interval alone."""
    if question.claim == "no gain":
        return "there is a gain" if question.level is None else "it is above it"
    if found.high < 0:
        return "the other way round"
    either = " either way" if found.low > -question.matters / 100 else ""
    return f"less than {question.matters:g} points{either}"


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
    return found


def _finding(
    question: Question,
    where: Where,
    runs: Mapping[str, Mapping[int, Result]],
    seeds: tuple[int, ...],
) -> Finding:
    def hits(name: str) -> Tensor:
        rows = [[int(digit) for digit in runs[name][seed]["right"]] for seed in seeds]
        return torch.tensor(rows, dtype=torch.float64)

    right = {name: hits(name) for name in question.recipes}
    more = torch.stack([right[name] for name in question.more.split()]).mean(0)
    if question.level is None:
        less = torch.stack([right[name] for name in question.less.split()]).mean(0)
    else:
        less = torch.full_like(more, question.level / 100)
    climbs = {name: fmean(climb(runs[name][seed]) for seed in seeds) for name in question.recipes}
    return Finding(
        question=question,
        where=where,
        seeds=seeds,
        means={name: float(hit.mean()) for name, hit in right.items()},
        seconds={
            name: seconds_of([runs[name][seed] for seed in seeds]) for name in question.recipes
        },
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
