"""Positions with a weight that is learned: text and speech differ in scale.

Source: Li et al. 2019, "Neural Speech Synthesis with Transformer Network", section 3.2
(https://arxiv.org/abs/1809.08895).

Shape letters: B batch   T places   D model width
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws.models.positional import sinusoids


class ScaledPositions(nn.Module):
    """x plus alpha times the sinusoids of its places; alpha is learned and begins at 1.

    Args:
        d_model: width of the input and of the output; even.
        longest: places that there are.
    """

    def __init__(self, d_model: int, longest: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))
        self.table: Tensor
        places = torch.arange(longest, dtype=torch.float64)
        self.register_buffer("table", sinusoids(places, d_model).float(), persistent=False)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """x (B, T, D) with positions; ValueError where there are more than `longest`."""
        longest = len(self.table)
        if x.shape[1] > longest:
            raise ValueError(f"{x.shape[1]} places, but positions for {longest}")
        return x + self.alpha * self.table[: x.shape[1]].to(x.dtype)
