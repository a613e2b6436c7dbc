"""The probability, by CTC, that the transcript begins with a given text.

Source: Watanabe et al. 2017, "Hybrid CTC/Attention Architecture", section III and algorithm 2
(https://doi.org/10.1109/JSTSP.2017.2763455).
Shape letters: T frames   V symbols   N texts
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

BLANK = 0


class CtcPrefixScorer:
    """log P(the text of the frames begins with g), for texts g that grow symbol by symbol.

    For each text two rows are kept: the log-probability of the paths up to each frame that stand
    for exactly it, and end in its last symbol, or in a blank.
    """

    def __init__(self, log_p: Float[Tensor, "T V"], eos: int):
        self.log_p = log_p.double()
        self.eos = eos
        blanks = self.log_p[:, BLANK].cumsum(dim=0)
        self._rows: dict[tuple[int, ...], Tensor] = {
            (): torch.stack([torch.full_like(blanks, -math.inf), blanks])
        }
        self._scores: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, text: tuple[int, ...]) -> Float[Tensor, "V"]:
        """The score of `text` followed by each symbol; with the end, of exactly `text`."""
        if text not in self._scores:
            self._scores[text] = self._extend(text)
        return self._scores[text]

    def score(self, text: tuple[int, ...]) -> float:
        """The score of `text`; 0 of the empty one, with which every text begins."""
        if not text:
            return 0.0
        return float(self(text[:-1])[text[-1]])

    def _extend(self, text: tuple[int, ...]) -> Float[Tensor, "V"]:
        last, blank = self._of(text)
        whole = torch.logaddexp(last, blank)
        first = torch.full_like(whole[:1], 0.0 if not text else -math.inf)
        # paths up to the frame before that may go on with a symbol: a repeat needs a blank
        before = torch.cat([first, whole[:-1]])[:, None].expand_as(self.log_p).clone()
        if text:
            before[:, text[-1]] = torch.cat([first, blank[:-1]])
        scores = (before + self.log_p).logsumexp(dim=0)
        scores[self.eos] = whole[-1]
        scores[BLANK] = -math.inf
        return scores

    def _of(self, text: tuple[int, ...]) -> Float[Tensor, "2 T"]:
        """The two rows of a text, from those of the text without its last symbol."""
        if text not in self._rows:
            before, symbol = text[:-1], text[-1]
            last, blank = self._of(before)
            whole = torch.logaddexp(last, blank)
            came = blank if before[-1:] == (symbol,) else whole
            first = torch.full_like(whole[:1], -math.inf if before else 0.0)
            came = torch.cat([first, came[:-1]])
            own, silence = self.log_p[:, symbol], self.log_p[:, BLANK]
            rows = torch.full((2, len(own)), -math.inf, dtype=own.dtype)
            ends, rests = -math.inf, -math.inf
            frames = zip(came.tolist(), own.tolist(), silence.tolist(), strict=True)
            for t, (enters, p_symbol, p_blank) in enumerate(frames):
                rests = _log_add(ends, rests) + p_blank  # `ends` is still that of the frame before
                ends = _log_add(ends, enters) + p_symbol
                rows[0, t], rows[1, t] = ends, rests
            self._rows[text] = rows
        return self._rows[text]


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
