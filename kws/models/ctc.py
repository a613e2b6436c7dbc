"""Connectionist temporal classification: texts without an alignment.

Source: Graves et al. 2006, sections 3 and 4 (https://doi.org/10.1145/1143844.1143891).
Parity: `F.ctc_loss`, float64, 1e-12.

A path gives each frame a symbol, the blank (0) among them. It stands for the text that is left when
repeated symbols are merged, then blanks removed. The probability of a text is the sum over all of
its paths, which a recursion over frames adds up.

Shape letters: T frames   V symbols   U symbols of the text   S = 2U + 1: the text, blanks around
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLANK = 0


def collapse(path: Int[Tensor, "T"]) -> list[int]:
    """The text of a path: repeats merged first, then blanks removed.

    >>> collapse(torch.tensor([0, 3, 3, 0, 3, 4, 4]))
    [3, 3, 4]
    """
    return [symbol for symbol in torch.unique_consecutive(path).tolist() if symbol != BLANK]


def frames_needed(text: Int[Tensor, "U"]) -> int:
    """The fewest frames that a text fits in: one a symbol, and a blank between equal neighbors.

    >>> frames_needed(torch.tensor([5, 5, 7]))
    4
    """
    return len(text) + int((text[1:] == text[:-1]).sum())


def ctc_loss(log_p: Float[Tensor, "T V"], text: Int[Tensor, "U"]) -> Float[Tensor, ""]:
    """Minus the log-probability of `text`, in nats; infinity where the frames are too few.

    `log_p` are log-probabilities. The recursion stays in logarithms: probabilities of hundreds of
    frames would underflow. Raises ValueError: no frames.
    """
    if not len(log_p):
        raise ValueError("0 frames: an utterance needs at least one")
    symbols = torch.full((2 * len(text) + 1,), BLANK, device=text.device)
    symbols[1::2] = text
    # from two places before, but not over the blank between equal letters, nor over letters
    skips = torch.zeros_like(symbols, dtype=torch.bool)
    skips[3::2] = text[1:] != text[:-1]
    never = log_p.new_full((1,), -math.inf)
    start = log_p[0, symbols[:2]]
    alpha = torch.cat([start, never.expand(len(symbols) - len(start))])
    for frame in log_p[1:]:
        stay, step, skip = alpha, _shifted(alpha, 1, never), _shifted(alpha, 2, never)
        skip = torch.where(skips, skip, never)
        alpha = _log_sum_exp(torch.stack([stay, step, skip])) + frame[symbols]
    return -_log_sum_exp(alpha[-2:])


def _shifted(alpha: Float[Tensor, "S"], places: int, never: Tensor) -> Float[Tensor, "S"]:
    return torch.cat([never.expand(places), alpha[:-places]])[: len(alpha)]


def _log_sum_exp(x: Float[Tensor, "N *rest"]) -> Float[Tensor, "*rest"]:
    """logsumexp over the first axis, whose gradient is 0, not NaN, where nothing is possible."""
    highest = x.amax(dim=0).detach()
    possible = highest > -math.inf
    shift = torch.where(possible, highest, 0)
    total = (x - shift).exp().sum(dim=0)
    return torch.where(possible, torch.where(possible, total, 1).log() + shift, highest)
