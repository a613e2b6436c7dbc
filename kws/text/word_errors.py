"""Word errors: how many words were substituted, deleted and inserted.

Source: the Levenshtein distance as NIST's `sclite` counts it, with every error costing 1.
Parity: `torchaudio.functional.edit_distance`.

Of several shortest ways from the reference to the hypothesis the one with the most substitutions is
counted; their number is then unique, and so are the other two.
"""

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from kws.errors import UsageError

RESAMPLES = 1000  # of the bootstrap


@dataclass(frozen=True, kw_only=True)
class WordErrors:
    """Errors over `utterances` utterances whose references have `words` words."""

    substitutions: int
    deletions: int
    insertions: int
    words: int
    utterances: int
    low: float  # of the 95 % interval of the rate
    high: float

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors for a word of the reference; above 1 where much is inserted."""
        return self.errors / self.words

    def describe(self) -> str:
        """Rate, errors by kind, words, utterances and interval: one line to print."""
        kinds = f"{self.substitutions} S, {self.deletions} D, {self.insertions} I"
        return (
            f"WER {self.rate:.1%} ({kinds} of {self.words:,} words in {self.utterances:,} "
            f"utterances, 95 % interval {100 * self.low:.1f}–{100 * self.high:.1f})"
        )


def count_edits(
    reference: Sequence[Hashable], hypothesis: Sequence[Hashable]
) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions of the shortest way to the hypothesis.

    >>> count_edits("seven one two".split(), "seven two two three".split())
    (1, 0, 1)
    """
    # cost of the best way to each prefix of the hypothesis, and how much of it is gaps
    row = [(j, j) for j in range(len(hypothesis) + 1)]
    for i, expected in enumerate(reference):
        new = [(i + 1, i + 1)]
        for j, hypothesis_word in enumerate(hypothesis):
            wrong = expected != hypothesis_word
            kept = (row[j][0] + wrong, row[j][1])
            deleted = (row[j + 1][0] + 1, row[j + 1][1] + 1)
            inserted = (new[j][0] + 1, new[j][1] + 1)
            new.append(min(kept, deleted, inserted))  # of equal costs the one with fewer gaps
        row = new
    distance, gaps = row[-1]
    deletions = (gaps + len(reference) - len(hypothesis)) // 2
    return distance - gaps, deletions, gaps - deletions


def word_errors(
    references: Sequence[str], hypotheses: Sequence[str], *, seed: int = 0
) -> WordErrors:
    """Errors of all utterances, with an interval that draws *utterances* again (bootstrap).

    Words of one utterance are wrong together (a voice that is not understood), so drawing words
    would promise too narrow an interval. Raises UsageError: the lists differ in length, or the
    references have no word.
    """
    if len(references) != len(hypotheses):
        raise UsageError(
            f"{len(references)} references and {len(hypotheses)} hypotheses: one is needed for each"
        )
    counted = [
        (*count_edits(reference.split(), hypothesis_word.split()), len(reference.split()))
        for reference, hypothesis_word in zip(references, hypotheses, strict=True)
    ]
    if not any(words for *_, words in counted):
        raise UsageError("the references have no word: a word error rate needs at least one")
    substitutions, deletions, insertions, words = (
        sum(column) for column in zip(*counted, strict=True)
    )
    low, high = _interval([(s + d + i, n) for s, d, i, n in counted], seed)
    return WordErrors(
        substitutions=substitutions,
        deletions=deletions,
        insertions=insertions,
        words=words,
        utterances=len(counted),
        low=low,
        high=high,
    )


def _interval(counted: Sequence[tuple[int, int]], seed: int) -> tuple[float, float]:
    """2.5 % and 97.5 % of the rates of utterances drawn with replacement."""
    draw = random.Random(seed)
    rates = []
    for _ in range(RESAMPLES):
        drawn = draw.choices(counted, k=len(counted))
        words = sum(n for _, n in drawn)
        rates.append(sum(errors for errors, _ in drawn) / max(words, 1))
    rates.sort()
    return rates[round(0.025 * RESAMPLES)], rates[round(0.975 * RESAMPLES) - 1]
