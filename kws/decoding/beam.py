"""Beam search: several texts at a time, the most probable ones.

Width 1 is greedy search; a width of all texts there are is exhaustive search.

Source: as Sutskever et al. 2014 use it, section 3.2 (https://arxiv.org/abs/1409.3215); the length
term is the sum of log-probabilities plus a bonus for each symbol, as in ESPnet.
"""

import math
from dataclasses import dataclass

import torch

from kws.decoding.greedy import Step, check_longest
from kws.errors import UsageError


@dataclass(frozen=True)
class Hypothesis:
    """A text and its score: log-probability, and the bonus for its length."""

    text: list[int]
    score: float


def beam_search(
    step: Step, width: int, *, sos: int, eos: int, longest: int, length_weight: float = 0.0
) -> list[Hypothesis]:
    """The texts that were found, best first, without start and end.

    `step` gives scores that are added up: log-probabilities. A text is kept as it ends, and never
    continued; one that did not end within `longest` symbols counts where none ended. The search
    goes on while a living text could come out ahead. Raises UsageError: `width` or `longest` < 1.
    """
    if width < 1:
        raise UsageError(f"a beam of width {width} is empty: choose 1 or more")
    check_longest(longest)
    living, ended = [Hypothesis([], 0.0)], []
    for _ in range(longest):
        symbols = torch.tensor([[sos, *one.text] for one in living])
        scores = step(symbols).double()
        scores = scores + torch.tensor([one.score for one in living], dtype=torch.float64)[:, None]
        scores[:, [v for v in range(scores.shape[1]) if v != eos]] += length_weight
        best = scores.flatten().topk(min(width, scores.numel()))
        grown = []
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            one, symbol = divmod(place, scores.shape[1])
            if score == -math.inf:
                continue
            if symbol == eos:
                ended.append(Hypothesis(living[one].text, score))
            else:
                grown.append(Hypothesis([*living[one].text, symbol], score))
        living = grown
        if not living or _is_decided(living, ended, length_weight):
            break
    return sorted(ended or living, key=lambda one: -one.score)


def _is_decided(living: list[Hypothesis], ended: list[Hypothesis], length_weight: float) -> bool:
    """Whether no living text can overtake: log-probabilities only fall, but a bonus may raise."""
    if not ended or length_weight > 0:
        return False
    return max(one.score for one in ended) >= max(one.score for one in living)
