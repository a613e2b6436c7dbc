"""A decoder's opinion and CTC's, in one search.

Source: Watanabe et al. 2017, "Hybrid CTC/Attention Architecture", section III
(https://doi.org/10.1109/JSTSP.2017.2763455).

CTC reads the frames from left to right, and cannot leave out the end of what was said; a decoder
alone can, and with a beam often does: ending early costs it little.
"""

import torch
from torch import Tensor

from kws.decoding.ctc_prefix import CtcPrefixScorer
from kws.decoding.greedy import Step
from kws.errors import UsageError


def joint_step(step: Step, scorer: CtcPrefixScorer, weight: float) -> Step:
    """A step for `beam_search` that scores with the decoder and, by `weight`, with CTC.

    What is added for a symbol is (1 - weight) times the decoder's log-probability, and `weight`
    times what the symbol changes of the prefix score: their sums are the two scores of the text.
    Raises UsageError: unless 0 <= weight <= 1.
    """
    if not 0 <= weight <= 1:
        raise UsageError(f"a CTC weight of {weight} is not between 0 and 1: choose one that is")

    def both(symbols: Tensor) -> Tensor:
        texts = [tuple(row[1:]) for row in symbols.tolist()]
        by_ctc = torch.stack([scorer(text) - scorer.score(text) for text in texts])
        return (1 - weight) * step(symbols).double() + weight * by_ctc

    return both
