"""`nn.Dropout` that spends fewer random bits on a CPU.

Source: Srivastava et al. 2014, "Dropout" (https://jmlr.org/papers/v15/srivastava14a.html).

On a CPU torch draws a random number per element for dropout, one after the other: a fifth of the
training step of a small Conformer. Sixteen bits decide as well, and a 64-bit draw holds four times
sixteen, so here the same step needs a quarter of the draws. The probability is rounded down to a
multiple of 1/65536, and what stays is scaled for exactly that probability: the mean is kept.
Everywhere else (GPU, torch.compile, ONNX export) this is `F.dropout` itself.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kws.models.fast.linear import is_plain_cpu

LEVELS = 1 << 16  # what sixteen bits can tell apart


def drop(x: Float[Tensor, "*shape"], probability: float) -> Float[Tensor, "*shape"]:
    """Zero each element with this probability, and scale the others by 1 / (1 - probability)."""
    level = int(probability * LEVELS)
    if not 0 < level < LEVELS or not is_plain_cpu(x):
        return F.dropout(x, probability)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    sixteen = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-32768, 32767]
    keep = sixteen >= level - LEVELS // 2
    return x * keep.to(x.dtype).mul_(LEVELS / (LEVELS - level))


class Dropout(nn.Dropout):
    """`nn.Dropout` by another route: `drop` while training, nothing in evaluation."""

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return drop(input, self.p) if self.training else input
