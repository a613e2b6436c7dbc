"""What our own answers reached, seed by seed: the bounds of accuracies follow from it.

`make targets` measures it again. Full marks are due from the mean minus three standard deviations
on, rounded down to whole percent, so that whoever answers as we do has them with any seed.
"""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How many of `n` hidden examples were right, a pair of numbers for each seed."""

    what: str
    n: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        return [count / n for count, n in zip(self.right, self.n, strict=True)]

    @property
    def examples(self) -> str:
        """How many a seed has.

        >>> Reached(what="words", n=(90, 80, 85), right=(81, 76, 80)).examples
        '80–90'
        """
        least, most = min(self.n), max(self.n)
        return str(least) if least == most else f"{least}–{most}"

    @property
    def mean(self) -> float:
        return statistics.mean(self.shares)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.shares)

    @property
    def full(self) -> float:
        """The accuracy that all points are due from.

        >>> Reached(what="words", n=(100, 100, 100), right=(90, 92, 94)).full
        0.86
        """
        return math.floor(round(100 * (self.mean - 3 * self.deviation), 6)) / 100
