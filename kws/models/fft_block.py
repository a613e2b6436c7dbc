"""FastSpeech's feed-forward Transformer block: attention, then two convolutions over time.

Source: Ren et al. 2019, "FastSpeech", section 3.1 (https://arxiv.org/abs/1905.09263). Neighboring
phonemes and frames belong together more than words of a text do, hence convolutions in place of
linear layers. Post-norm, as in the paper. Padding is cleared before every convolution, which would
carry it into real frames.

Shape letters: B batch   T frames or phonemes   D model width   E width between the convolutions
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.attention import MultiHeadSelfAttention


class FftBlock(nn.Module):
    """x + attention(x), normalized; then x + convolutions(x), normalized; padding is zero.

    4 D² + 4 D + k D E + E + E D + D + 4 D parameters for a kernel of k.

    Args: those of `EncoderLayer`; `d_ff` is the width between the two convolutions, of which the
    first has an odd `kernel_size` and the second 1.

    Raises:
        ValueError: if `num_heads` does not divide `d_model`, or the kernel is even.
    """

    def __init__(
        self, d_model: int, num_heads: int, d_ff: int, kernel_size: int = 3, dropout: float = 0.1
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} is even: it has no middle")
        self.attention = MultiHeadSelfAttention(d_model, num_heads)
        self.expand = nn.Conv1d(d_model, d_ff, kernel_size, padding=kernel_size // 2)
        self.contract = nn.Conv1d(d_ff, d_model, 1)
        self.norm_attention = nn.LayerNorm(d_model)
        self.norm_convolution = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T D"]:
        """x (B, T, D) -> (B, T, D), zero where not valid."""
        padding = ~valid[..., None]
        x = x.masked_fill(padding, 0)  # not times 0: that leaves NaN, and attention spreads it
        x = self.norm_attention(x + self.dropout(self.attention(x, valid)))
        x = x.masked_fill(padding, 0)
        y = self.contract(F.relu(self.expand(x.mT))).mT
        return self.norm_convolution(x + self.dropout(y)).masked_fill(padding, 0)


def duration_loss(
    log_durations: Float[Tensor, "B U"], durations: Tensor, valid: Bool[Tensor, "B U"]
) -> Float[Tensor, ""]:
    """Mean square error against ln(frames + 1), over real phonemes."""
    wanted = (durations + 1).to(log_durations.dtype).log()
    return F.mse_loss(log_durations[valid], wanted[valid])


def frames_from(log_durations: Float[Tensor, "B U"], valid: Bool[Tensor, "B U"]) -> Tensor:
    """Whole frames (B, U): exp(.) - 1, rounded, at least 1 where valid, 0 elsewhere."""
    frames = (log_durations.exp() - 1).round().clamp(min=1)
    return frames.masked_fill(~valid, 0).long()
