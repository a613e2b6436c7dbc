"""BC-ResNet: a keyword model of 9,232 parameters whose residuals are broadcast over frequency.

Source: Kim et al. 2021, "Broadcasted Residual Learning for Efficient Keyword Spotting",
figure 2 and table 1 (https://arxiv.org/abs/2106.04140); sub-spectral normalization: Chang et al.
2021 (https://arxiv.org/abs/2103.13620). Sizes agree with the authors' release: BC-ResNet-1 has
9,232 parameters, BC-ResNet-8 321,068, for 12 classes.
Deviation: normalization, convolutions and pooling leave padded frames out.

Shape letters: B batch   C channels   F frequency bands   T frames   S sub-bands
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.classifier import mean_pool
from kws.models.frontend import convolve
from kws.settings import Finite, Size

STEM_WIDTH = 2.0  # widths in units of base_channels: 2c, then the stages, then 4c
STAGE_WIDTHS = (1.0, 1.5, 2.0, 2.5)
STAGE_BLOCKS = (2, 2, 4, 4)
STAGE_STRIDES = (1, 2, 2, 1)  # along frequency, in the first block of the stage
HEAD_WIDTH = 4.0
HEAD_KERNEL = 5


@dataclass(frozen=True, kw_only=True)
class BcResNetConfig:
    """Settings of `BcResNet`; the defaults are BC-ResNet-1."""

    num_classes: Size = 12  # number of logits
    # frequency bands of the input. Halved three times, they must stay divisible by `sub_bands`:
    # any multiple of 40 goes with 5, any multiple of 32 with 4
    num_features: Size = 40
    base_channels: Size = 8  # c of the paper's table: 8 · τ for BC-ResNet-τ
    sub_bands: Size = 5  # parts of the spectrum that are normalized on their own
    dropout: Finite = 0.1  # probability of zeroing a whole channel of a block's temporal branch


class SubSpectralNorm(nn.Module):
    """Batch normalization of each sub-band by itself: 2 · C · S parameters."""

    def __init__(self, num_features: int, *, sub_bands: int):
        super().__init__()
        self.sub_bands = sub_bands
        self.norm = MaskedBatchNorm(num_features * sub_bands)

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C F T"]:
        """Normalize every (channel, sub-band) over its bands, the frames and the batch."""
        groups = x.unflatten(2, (self.sub_bands, -1)).flatten(1, 2)  # (B, C * S, F / S, T)
        return self.norm(groups, valid).reshape(x.shape)


class BcBlock(nn.Module):
    """A residual block in two branches: frequency in two dimensions, time in one, broadcast back.

    y = relu(x + f2(x) + f1(mean over frequency of f2(x))), without the first x in a transition,
    a block whose number of channels changes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        sub_bands: int = 5,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.is_transition = in_channels != out_channels
        if self.is_transition:
            self.widen = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.widen_norm = MaskedBatchNorm(out_channels)
        self.over_bands = nn.Conv2d(
            out_channels,
            out_channels,
            (3, 1),
            stride=(stride, 1),
            padding=(1, 0),
            groups=out_channels,
            bias=False,
        )
        self.band_norm = SubSpectralNorm(out_channels, sub_bands=sub_bands)
        self.over_time = nn.Conv2d(
            out_channels,
            out_channels,
            (1, 3),
            padding=(0, dilation),
            dilation=(1, dilation),
            groups=out_channels,
            bias=False,
        )
        self.time_norm = MaskedBatchNorm(out_channels)
        self.mix = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C2 F2 T"]:
        """x (B, C, F, T) -> (B, out_channels, F / stride, T)."""
        wide = F.relu(self.widen_norm(self.widen(x), valid)) if self.is_transition else x
        bands = self.band_norm(self.over_bands(wide), valid)  # f2
        times, _ = convolve(self.over_time, bands.mean(dim=2, keepdim=True), valid)
        times = self.dropout(self.mix(F.silu(self.time_norm(times, valid))))  # f1: (B, C2, 1, T)
        return F.relu(bands + times if self.is_transition else x + bands + times)


class BcResNet(nn.Module):
    """The keyword model: features (B, T, F) -> logits (B, num_classes).

    Raises ValueError if the bands of a stage are not divisible by `sub_bands`.
    """

    def __init__(self, config: BcResNetConfig):
        super().__init__()
        self.config = config
        self._check_bands()
        stem, *widths, head = widths_of(config.base_channels)
        self.stem = nn.Conv2d(1, stem, 5, stride=(2, 1), padding=2, bias=False)
        self.stem_norm = MaskedBatchNorm(stem)
        self.blocks = nn.ModuleList()
        channels = stem
        stages = zip(widths, STAGE_BLOCKS, STAGE_STRIDES, strict=True)
        for stage, (width, num_blocks, stride) in enumerate(stages):
            for block in range(num_blocks):
                self.blocks.append(
                    BcBlock(
                        channels,
                        width,
                        stride=stride if block == 0 else 1,
                        dilation=2**stage,
                        sub_bands=config.sub_bands,
                        dropout=config.dropout,
                    )
                )
                channels = width
        self.head = nn.Conv2d(
            channels,
            channels,
            HEAD_KERNEL,
            padding=(0, HEAD_KERNEL // 2),
            groups=channels,
            bias=False,
        )
        self.head_mix = nn.Conv2d(channels, head, 1, bias=False)
        self.head_norm = MaskedBatchNorm(head)
        self.classify = nn.Linear(head, config.num_classes)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x, _ = convolve(self.stem, features.mT[:, None].contiguous(), valid)  # (B, 2c, F / 2, T)
        x = F.relu(self.stem_norm(x, valid))
        for block in self.blocks:
            x = block(x, valid)  # in the end (B, 2.5c, F / 8, T)
        x, _ = convolve(self.head, x, valid)
        x = F.relu(self.head_norm(self.head_mix(x), valid))  # (B, 4c, F / 8 - 4, T)
        # the release applies this layer as a 1 × 1 convolution after pooling: the same thing
        return self.classify(mean_pool(x.mean(dim=2).mT, valid))

    def _check_bands(self) -> None:
        bands, sub_bands = halve(self.config.num_features), self.config.sub_bands
        for stride in STAGE_STRIDES:
            bands = halve(bands) if stride == 2 else bands
            if bands % sub_bands or bands < HEAD_KERNEL:
                raise ValueError(
                    f"num_features={self.config.num_features} leaves {bands} bands after a stride, "
                    f"which must be divisible by sub_bands={sub_bands} and at least {HEAD_KERNEL}: "
                    "multiples of 40 are for sub_bands=5, larger multiples of 32 for 4"
                )


def halve(bands: int) -> int:
    """Bands after a stride of 2 with "same" padding."""
    return (bands + 1) // 2


def widths_of(base_channels: int) -> list[int]:
    """Channels of the stem, the four stages and the head.

    >>> widths_of(8)
    [16, 8, 12, 16, 20, 32]
    """
    return [int(base_channels * width) for width in (STEM_WIDTH, *STAGE_WIDTHS, HEAD_WIDTH)]
