"""What our own answers reached, seed by seed: the record that the bounds of accuracies follow from.

`make targets` measures it again. Full points are due from the mean minus three standard deviations
on, rounded down to whole percent, so that whoever answers as we do has them with any seed.
"""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How many of `n` hidden examples were right, for each seed from 1 on; of 07 from 0.

    Where each seed has another number of examples, as of words, `n` names them all.
    """

    what: str
    n: int | tuple[int, ...]
    right: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        """The accuracies."""
        asked = (self.n,) * len(self.right) if isinstance(self.n, int) else self.n
        return [count / n for count, n in zip(self.right, asked, strict=True)]

    @property
    def examples(self) -> str:
        """How many a seed has.

        >>> Reached(what="words", n=(90, 80, 85), right=(81, 76, 80)).examples
        '80–90'
        """
        return str(self.n) if isinstance(self.n, int) else f"{min(self.n)}–{max(self.n)}"

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
    "07": Reached(
        what="words of digit strings, new voices",
        n=(635, 627, 639, 647, 634),
        right=(586, 591, 595, 607, 593),
    ),
    "08": Reached(
        what="35 keywords at three paces, heard by the listener",
        n=105,
        right=(100, 97, 100, 99, 99),
    ),
    "09": Reached(what="samples of 35 words at T = 1", n=280, right=(224, 210, 212, 201, 223)),
}
