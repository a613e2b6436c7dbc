"""DS-CNN: depthwise separable convolutions, at the size of MLPerf Tiny's keyword task.

Source: Zhang et al. 2017, "Hello Edge: Keyword Spotting on Microcontrollers"
(https://arxiv.org/abs/1711.07128), section 3.5; the size is that of Banbury et al. 2021, "MLPerf
Tiny Benchmark" (https://arxiv.org/abs/2106.07597), table 2: 64 channels, four blocks, 10 MFCC,
52.5 KB in 8 bits with its runtime's tables, quality target 90 % top-1 of 12 classes.
Size: 24,908 numbers as Keras counts them, moving statistics of the normalizations included;
23,756 of them are trained.
Deviations: frames are 10 ms apart here, so every second one is read (20 ms, as there); one dropout,
before the classifier; padded frames are left out of convolutions, normalizations and pooling.

Shape letters: B batch   C channels   F features   T frames
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.classifier import mean_pool
from kws.models.frontend import convolve, zero_padding
from kws.settings import Finite, Size

EVERY = 2  # frames: one in 20 ms
STEM_KERNEL, STEM_STRIDE = (4, 10), 2  # features, frames: 200 ms
STEM_PADDING = (4, 5, 1, 2)  # frames before and after, features below and above: "same"


@dataclass(frozen=True, kw_only=True)
class DsCnnConfig:
    """Settings of `DsCnn`; the defaults are MLPerf Tiny's, "DS-CNN small" of the paper."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 10  # features of a frame; MFCC there
    channels: Size = 64  # of every layer
    num_blocks: Size = 4  # depthwise separable convolutions after the first one
    dropout: Finite = 0.2  # before the classifier


class DsBlock(nn.Module):
    """Depthwise 3 × 3, norm, ReLU, pointwise, norm, ReLU: (B, C, F, T), c² + 15 c parameters."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.depthwise_norm = MaskedBatchNorm(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.pointwise_norm = MaskedBatchNorm(channels)

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C F T"]:
        """x (B, C, F, T) -> the same shape."""
        x, _ = convolve(self.depthwise, x, valid)
        x = F.relu(self.depthwise_norm(x, valid))
        return F.relu(self.pointwise_norm(self.pointwise(x), valid))


class DsCnn(nn.Module):
    """The keyword model: features (B, T, F) -> logits (B, num_classes)."""

    def __init__(self, config: DsCnnConfig):
        super().__init__()
        self.config = config
        channels = config.channels
        self.stem = nn.Conv2d(1, channels, STEM_KERNEL, stride=STEM_STRIDE)
        self.stem_norm = MaskedBatchNorm(channels)
        self.blocks = nn.ModuleList(DsBlock(channels) for _ in range(config.num_blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(channels, config.num_classes)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x = features[:, ::EVERY].mT[:, None].contiguous()  # (B, 1, F, T / 2)
        valid = None if valid is None else valid[:, ::EVERY]
        x = self.stem(F.pad(zero_padding(x, valid), STEM_PADDING))  # (B, C, F / 2, T / 4)
        valid = None if valid is None else valid[:, ::STEM_STRIDE]
        x = F.relu(self.stem_norm(x, valid))
        for block in self.blocks:
            x = block(x, valid)
        return self.classify(self.dropout(mean_pool(x.mean(dim=2).mT, valid)))
