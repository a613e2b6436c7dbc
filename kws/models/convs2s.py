"""The encoder of ConvS2S as a classifier: convolutions that gate themselves, no attention.

    Linear + learned positions → [GLU(Conv1d(x)) + x] · √½, L times → mean over time → Linear

Source: Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", sections 3.1, 3.2, 3.5
(https://arxiv.org/abs/1705.03122): the gated linear unit of Dauphin et al., residual connections
whose sum is scaled by √½ to keep its variance, and weights drawn so that a block does, too.
Deviations: frames of a spectrogram in place of words, all blocks of one width, no weight
normalization. The report that tried it on keywords does not state its sizes: these are ours.

Shape letters: B batch   T frames   F features of a frame   D model width   k kernel size
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.errors import UsageError
from kws.models.classifier import MeanPooling
from kws.models.frontend import convolve, zero_padding
from kws.models.positional import LearnedPositions
from kws.settings import Finite, Layers, Size

HALF_VARIANCE = math.sqrt(0.5)  # the sum of two independent terms has twice their variance


@dataclass(frozen=True, kw_only=True)
class ConvS2sConfig:
    """Settings of `ConvS2s`."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 40  # features of a frame
    d_model: Size = 128  # width of every block
    num_layers: Layers = 4  # gated blocks
    kernel_size: Size = 5  # frames that a block sees; odd
    # size of the table of learned positions, the longest input: 101 are a second
    max_frames: Size = 101
    dropout: Finite = 0.1  # in front of every convolution


class GatedBlock(nn.Module):
    """A convolution to twice the width, one half gating the other, added to the input.

    2 k d² + 2 d parameters. Raises ValueError if `kernel_size` is even.
    """

    def __init__(self, d_model: int, kernel_size: int, dropout: float = 0.0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        self.conv = nn.Conv1d(d_model, 2 * d_model, kernel_size, padding=kernel_size // 2)
        self.dropout = nn.Dropout(dropout)
        # a gate is about ½ and squares to about ¼: four times the usual variance makes up for it
        std = math.sqrt(4 * (1 - dropout) / (kernel_size * d_model))
        nn.init.normal_(self.conv.weight, std=std)
        nn.init.zeros_(self.conv.bias)  # pyright: ignore[reportArgumentType]

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """x (B, T, D) -> (B, T, D)."""
        gated, _ = convolve(self.conv, self.dropout(x).mT, valid)
        return (F.glu(gated, dim=1).mT + x) * HALF_VARIANCE


class ConvS2s(nn.Module):
    """Project, add positions, gate, average over time, score. ValueError: numbers do not fit."""

    def __init__(self, config: ConvS2sConfig):
        super().__init__()
        self.config = config
        self.project = nn.Linear(config.num_features, config.d_model)
        self.positions = LearnedPositions(config.d_model, config.max_frames)
        self.blocks = nn.ModuleList(
            GatedBlock(config.d_model, config.kernel_size, config.dropout)
            for _ in range(config.num_layers)
        )
        self.pool = MeanPooling()
        self.classify = nn.Linear(config.d_model, config.num_classes)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """Features (B, T, F) -> logits (B, num_classes). UsageError: more frames than positions."""
        if features.shape[1] > self.config.max_frames:
            raise UsageError(
                f"{features.shape[1]} frames, but positions were learned for "
                f"max_frames={self.config.max_frames}: shorten the clips, or build the model with "
                f"max_frames={features.shape[1]}"
            )
        x = self.positions(self.project(zero_padding(features.mT, valid).mT))
        for block in self.blocks:
            x = block(x, valid)
        return self.classify(self.pool(x, valid))
