"""Accuracy of our own answers over several seeds, from which the bounds of checks follow.

Measured by `make targets`. Full marks are due from the mean minus three standard deviations on,
rounded down to whole percent, so that a correct answer gets them with any seed.
"""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How many of `n` hidden examples were right: a pair of numbers per seed."""

    what: str
    n: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        return [count / n for count, n in zip(self.right, self.n, strict=True)]

    @property
    def examples(self) -> str:
        """The number of examples per seed.

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
        """The accuracy from which full marks are due.

        >>> Reached(what="words", n=(100, 100, 100), right=(90, 92, 94)).full
        0.86
        """
        return math.floor(round(100 * (self.mean - 3 * self.deviation), 6)) / 100
