"""Item analysis of the checks of a class: difficulty and discrimination.

*Difficulty* is the mean share of the points earned (1: full marks for all), *discrimination* its
correlation with the share earned on all other settled checks (point-biserial for pass/fail).
Discrimination is near 0 if weak and strong students pass equally often; if it is negative, the
check is usually at fault.

Source: Ebel & Frisbie 1991, "Essentials of Educational Measurement", chapter 13.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.core.outcomes import CheckResult, Report

FEWEST = 5  # submissions, below which a correlation is meaningless
HARD, EASY = 0.25, 0.95  # difficulty below and above which a check is uninformative
CHANCE = 1.96  # standard errors of a correlation, 1 / sqrt(n), that chance makes in 95 % of cases
WEAK = 0.2  # discrimination below which Ebel & Frisbie revise or drop an item


@dataclass(frozen=True)
class ItemStatistics:
    """One item over a class; `n` submissions in which it is not open.

    Several checks of a task are one item where every submission earned the same share on each.
    """

    checks: tuple[str, ...]
    n: int
    difficulty: float | None
    discrimination: float | None

    @property
    def advice(self) -> str:
        """What to do about an item, the most urgent first; empty where none is needed."""
        if self.difficulty is None or self.n < FEWEST:
            return "too few submissions"
        if self.discrimination is not None and self.discrimination < -CHANCE / math.sqrt(self.n):
            return "strong students miss it more often than weak ones: suspect a fault in the check"
        if self.difficulty < HARD:
            return "few students earn it: read the task's text as a student, and add a hint"
        if self.difficulty > EASY:
            return "nearly all earn it: keep it as a first step, with few points"
        if self.discrimination is not None and self.discrimination < WEAK:
            return "unrelated to the rest: see what its wrong answers have in common"
        return ""


def item_statistics(reports: Sequence[Report]) -> list[ItemStatistics]:
    """Every item of these reports of one assignment, in the order of the score card."""
    columns: dict[str, dict[int, CheckResult]] = {}
    for at, report in enumerate(reports):
        for check in report.checks:
            column = columns.setdefault(check.id, {})
            if check.earned is not None:
                column[at] = check
    items: dict[object, list[str]] = {}
    for name, column in columns.items():
        shares = [(at, (check.earned or 0) / check.points) for at, check in column.items()]
        differ = len(shares) >= FEWEST and len({share for _, share in shares}) > 1
        task = name.partition("-")[0]
        items.setdefault((task, *shares) if differ else name, []).append(name)
    return [
        _statistics([columns[name] for name in names], names, reports) for names in items.values()
    ]


def _statistics(
    columns: Sequence[Mapping[int, CheckResult]], names: Sequence[str], reports: Sequence[Report]
) -> ItemStatistics:
    rows, pairs = [], []
    for at in columns[0]:
        earned = sum(column[at].earned or 0 for column in columns)
        worth = sum(column[at].points for column in columns)
        rows.append(earned / worth)
        if (others := reports[at].settled - worth) > 0:
            pairs.append((rows[-1], (reports[at].score - earned) / others))
    return ItemStatistics(
        checks=tuple(names),
        n=len(rows),
        difficulty=sum(rows) / len(rows) if rows else None,
        discrimination=correlation(pairs) if len(pairs) >= FEWEST else None,
    )


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's correlation; None if one of the two is constant.

    >>> round(correlation([(0, 1), (1, 2), (1, 3)]), 3)
    0.866
    """
    n = len(pairs)
    mean_x, mean_y = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    spread_x = math.sqrt(sum((x - mean_x) ** 2 for x, _ in pairs))
    spread_y = math.sqrt(sum((y - mean_y) ** 2 for _, y in pairs))
    return covariance / (spread_x * spread_y) if spread_x and spread_y else None
