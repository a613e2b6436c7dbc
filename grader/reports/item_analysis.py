"""How a check does its work in a class: how hard it is, and whether it tells strong from weak.

The terms of test theory: *difficulty* is the mean share of the points earned (1: everybody has
all), *discrimination* the correlation of that share with the share earned on all other settled
checks (for passed-or-not, the point-biserial coefficient). A check that weak and strong students
pass alike has a discrimination near 0; a negative one is most often a fault of the check.

Source: Ebel & Frisbie 1991, "Essentials of Educational Measurement", chapter 13.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grader.core.outcomes import Report

FEWEST = 5  # submissions, below which a correlation says nothing


@dataclass(frozen=True)
class ItemStatistics:
    """One check over a class; `n` submissions in which it is not open."""

    check: str
    n: int
    difficulty: float | None
    discrimination: float | None


def item_statistics(reports: Sequence[Report]) -> list[ItemStatistics]:
    """Every check of these reports of one assignment, in the order of the score card."""
    shares: dict[str, list[tuple[float, float | None]]] = {}
    for report in reports:
        for check in report.checks:
            rows = shares.setdefault(check.id, [])
            if check.earned is not None:
                others = report.settled - check.points
                rest = (report.score - check.earned) / others if others > 0 else None
                rows.append((check.earned / check.points, rest))
    return [
        ItemStatistics(
            check=name,
            n=len(rows),
            difficulty=sum(share for share, _ in rows) / len(rows) if rows else None,
            discrimination=_discrimination(rows),
        )
        for name, rows in shares.items()
    ]


def _discrimination(rows: Sequence[tuple[float, float | None]]) -> float | None:
    pairs = [(share, rest) for share, rest in rows if rest is not None]
    return correlation(pairs) if len(pairs) >= FEWEST else None


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's; None where one of the two is the same everywhere.

    >>> round(correlation([(0, 1), (1, 2), (1, 3)]), 3)
    0.866
    """
    n = len(pairs)
    mean_x, mean_y = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    spread_x = math.sqrt(sum((x - mean_x) ** 2 for x, _ in pairs))
    spread_y = math.sqrt(sum((y - mean_y) ** 2 for _, y in pairs))
    return covariance / (spread_x * spread_y) if spread_x and spread_y else None
