"""FastSpeech's duration predictor: how long each phoneme lasts, from the encoder's output.

Source: Ren et al. 2019, "FastSpeech", section 3.3 (https://arxiv.org/abs/1905.09263). It predicts
ln(frames + 1), so that relative errors count and a phoneme of no frames has a logarithm.

Shape letters: B batch   U phonemes   D model width
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class DurationPredictor(nn.Module):
    """ln(frames + 1) of each phoneme: two convolutions with ReLU, norm and dropout, and a line.

    2 (k D² + D) + 4 D + D + 1 parameters for a kernel of k.

    Args:
        d_model: width of the input.
        kernel_size: of the convolutions, odd.
        dropout: probability of zeroing a feature while training.
    """

    def __init__(self, d_model: int, kernel_size: int = 3, dropout: float = 0.1):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(d_model, d_model, kernel_size, padding=kernel_size // 2) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(d_model, 1)

    def forward(
        self, x: Float[Tensor, "B U D"], valid: Bool[Tensor, "B U"]
    ) -> Float[Tensor, "B U"]:
        """x (B, U, D) -> ln(frames + 1), (B, U), zero where not valid."""
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = x.masked_fill(~valid[..., None], 0)  # a convolution reads its neighbors
            x = self.dropout(norm(F.relu(convolve(x.mT)).mT))
        return self.out(x)[..., 0].masked_fill(~valid, 0)
