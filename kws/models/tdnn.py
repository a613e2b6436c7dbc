"""A time-delay network with statistics pooling: a small x-vector network for speakers.

Source: Snyder et al. 2018, "X-Vectors", table 1
(https://www.danielpovey.com/files/2018_icassp_xvectors.pdf).
Deviations: a quarter of the width, convolutions with "same" padding (theirs lose 7 frames at each
end), normalization before the ReLU and one hidden layer after pooling, not two.

Shape letters: B batch   T frames   F features of a frame   D channels
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.classifier import Classifier, mean_pool
from kws.models.frontend import convolve
from kws.settings import Finite, Size, SizeOrZero

KERNELS = (5, 3, 3, 1, 1)  # frames that a layer reads,
DILATIONS = (1, 2, 3, 1, 1)  # and how far they lie apart: ±2, ±2, ±3, 0, 0
VARIANCE_FLOOR = 1e-5  # keeps the gradient of a square root finite where nothing varies


@dataclass(frozen=True, kw_only=True)
class TdnnConfig:
    """Settings of `Tdnn`."""

    num_classes: Size = 100  # number of logits, one per speaker
    num_features: Size = 40  # frequency bands of the input
    channels: Size = 128  # width of the frame layers; the last one has three times as many
    d_hidden: SizeOrZero = 128  # width of the layer after pooling, the speaker's embedding
    dropout: Finite = 0.1  # in front of the logits


def statistics_pool(
    x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, "B DD"]:
    """Mean and standard deviation of every feature over the valid frames, (B, 2D).

    >>> statistics_pool(torch.tensor([[[1.0], [3.0]]])).round()
    tensor([[2., 1.]])
    """
    mean = mean_pool(x, valid)
    variance = mean_pool((x - mean[:, None]).square(), valid)
    return torch.cat([mean, (variance + VARIANCE_FLOOR).sqrt()], dim=-1)


class TdnnLayer(nn.Module):
    """Conv1d over time → MaskedBatchNorm → ReLU; as many frames go out as come in.

    k · in · out + 3 · out parameters, k = `kernel_size`. Raises ValueError if it is even.
    """

    def __init__(self, d_in: int, d_out: int, kernel_size: int, dilation: int = 1):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        reach = dilation * (kernel_size // 2)
        self.conv = nn.Conv1d(d_in, d_out, kernel_size, dilation=dilation, padding=reach)
        self.norm = MaskedBatchNorm(d_out)

    def forward(
        self, x: Float[Tensor, "B D T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D2 T"]:
        """x (B, d_in, T) -> (B, d_out, T)."""
        x, valid = convolve(self.conv, x, valid)
        return F.relu(self.norm(x, valid))


class Tdnn(nn.Module):
    """Five frame layers, statistics over time, a classifier with one hidden layer."""

    def __init__(self, config: TdnnConfig):
        super().__init__()
        self.config = config
        widths = (config.num_features, *(config.channels,) * 4, 3 * config.channels)
        self.layers = nn.ModuleList(
            TdnnLayer(d_in, d_out, kernel_size, dilation)
            for d_in, d_out, kernel_size, dilation in zip(
                widths[:-1], widths[1:], KERNELS, DILATIONS, strict=True
            )
        )
        self.classify = Classifier(
            2 * widths[-1],
            config.num_classes,
            normalization="batch",
            d_hidden=config.d_hidden,
            dropout=config.dropout,
        )

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x = features.mT
        for layer in self.layers:
            x = layer(x, valid)
        return self.classify(statistics_pool(x.mT, valid))
