"""What our own answers reached, seed by seed: the record that the bounds of accuracies follow from.

`make targets` measures it again. Full points are due from the mean minus three standard deviations
on, rounded down to whole percent, so that whoever answers as we do has them with any seed.
"""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How many of `n` hidden examples were right, for each seed from 1 on."""

    what: str
    n: int
    right: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        """The accuracies."""
        return [count / self.n for count in self.right]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.mean(self.shares)

    @property
    def deviation(self) -> float:
        """Their standard deviation."""
        return statistics.stdev(self.shares)

    @property
    def full(self) -> float:
        """The accuracy that all points are due from.

        >>> Reached(what="words", n=100, right=(90, 92, 94)).full
        0.86
        """
        return math.floor(round(100 * (self.mean - 3 * self.deviation), 6)) / 100


REACHED = {
    "03": Reached(what="100 voices, new sentences", n=300, right=(294, 298, 290, 298, 297)),
    "04": Reached(what="100 voices, new sentences", n=300, right=(297, 296, 298, 296, 294, 295)),
    "05": Reached(what="12 classes, new voices", n=360, right=(326, 332, 339, 342, 334)),
    "06": Reached(what="20 German words, new voices", n=600, right=(526, 529, 515, 538, 522)),
}
