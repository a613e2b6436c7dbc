"""The laboratory's Conformer layer, 225,720 parameters, as its count gives it away.

Source: lab task 2 of the speaker homework, of which only this is known: 225.72k printed, width 80,
feed-forward 80 → 500 → 80, BatchNorm in front of the classifier, accuracy 0.70. The count has more
than one reading; this one is exact: two feed-forwards (161,160), attention as in the laboratory's
encoder (no bias on queries, keys and values: 25,680), and a convolution module whose kernel of 3
mixes all channels, with BatchNorm (38,880). It leaves no LayerNorm anywhere, which agrees with
their finding that nothing converges without a normalization in front of the classifier. It is a
riddle about shared weights ("three layers" are one), not a model to copy.

Shape letters: B batch   T frames   D model width   E width of the feed-forward layers (d_ff)
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.batch_norm import MaskedBatchNorm
from kws.models.fast.linear import Linear
from kws.models.frontend import convolve
from kws.models.transformer import FeedForward


class DenseConvolution(nn.Module):
    """Pointwise, gate, convolution over all channels (not depthwise), normalize, swish, pointwise.

    (3 + k) D² + 6 D parameters, k = `kernel_size`.

    Args:
        d_model: width of the input and of the output.
        kernel_size: frames seen by the convolution; odd.
        dropout: probability of zeroing an output feature while training.

    Raises:
        ValueError: if `kernel_size` is even.
    """

    def __init__(self, d_model: int, kernel_size: int = 3, dropout: float = 0.0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        self.expand = Linear(d_model, 2 * d_model)
        self.conv = nn.Conv1d(d_model, d_model, kernel_size, padding=kernel_size // 2)
        self.norm = MaskedBatchNorm(d_model)
        self.contract = Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Mix neighboring frames."""
        y, valid = convolve(self.conv, F.glu(self.expand(x)).mT, valid)
        return self.dropout(self.contract(F.silu(self.norm(y, valid)).mT))


class LaboratoryConformerLayer(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward; nothing normalized between.

    (7 + k) D² + 9 D + 4 D E + 2 E parameters, k = `kernel_size`.

    Args:
        d_model: width of the input and of the output.
        num_heads: attention heads; must divide `d_model`.
        d_ff: width of both feed-forward networks.
        kernel_size: frames seen by the convolution; odd.
        dropout: probability of zeroing a feature while training, in every branch.
    """

    def __init__(
        self, d_model: int, num_heads: int, d_ff: int, kernel_size: int = 3, dropout: float = 0.1
    ):
        super().__init__()
        self.first_half = FeedForward(d_model, d_ff, dropout, "silu")
        self.attention = MultiHeadSelfAttention(d_model, num_heads, dropout, qkv_bias=False)
        self.convolution = DenseConvolution(d_model, kernel_size, dropout)
        self.second_half = FeedForward(d_model, d_ff, dropout, "silu")
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Four residual branches."""
        x = x + 0.5 * self.dropout(self.first_half(x))
        x = x + self.dropout(self.attention(x, valid))
        x = x + self.convolution(x, valid)
        return x + 0.5 * self.dropout(self.second_half(x))
