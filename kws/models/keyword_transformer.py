"""The keyword transformer: a class token reads the spectrogram, cut into tokens by a stem.

Sources: the Speech Commands report with a cls token over a convolutional stem, strided (2,147,404
parameters for 12 classes), unstrided or with max pooling; and Berg et al. 2021, "Keyword
Transformer" (https://arxiv.org/abs/2104.00769), whose tokens are the frames: KWT-1 607,308, KWT-2
2,394,252, KWT-3 5,360,844. All are post-norm.
Deviations: weights start as torch starts them and LayerNorm has its eps of 1e-5 (KWT: normal with
deviation 0.02, and 1e-6). The report does not name its number of heads: ours is 8.

Tokens of one second (64 mel bands, 101 frames): strided 16 × 26 = 416, max-pool 16 × 25 = 400,
unstrided 64 × 101 = 6,464. Attention is quadratic in them, which is the point of the stride.

Shape letters: B batch   T frames   F features of a frame   N tokens   C token width   D model width
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.errors import UsageError
from kws.models.frontend import ConvStem, tokens_of, zero_padding
from kws.models.positional import LearnedPositions, SinusoidalPositions
from kws.models.transformer import EncoderLayer, TransformerEncoder
from kws.settings import Finite, Layers, Size

TOKEN_POSITIONS = ("none", "sinusoidal", "learned")
GRID_STEMS: dict[str, dict[str, Any]] = {
    "strided": {"strides": (2, 2)},
    "unstrided": {"strides": (1, 1)},
    "max-pool": {"strides": (1, 2), "pools": ((2, 2), (1, 1))},
}
STEMS = (*GRID_STEMS, "frames")


@dataclass(frozen=True, kw_only=True)
class KeywordTransformerConfig:
    """Settings of `KeywordTransformer`; the defaults are the report's strided transformer."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 64  # frequency bands of the input
    # "strided", "unstrided" or "max-pool" convolutions, or "frames": each frame a token
    stem: str = "strided"
    channels: tuple[Size, Size] = (32, 64)  # output channels of the two convolutions
    # positions of the tokens: "none" (the report's best), "sinusoidal" or "learned"
    positions: str = "none"
    # size of the table of learned positions, without the cls token: the longest input. 98 frames
    # are a second in KWT's own features; `kws.audio.features` makes it 101
    max_tokens: Size = 416
    d_model: Size = 256  # width of the tokens
    num_heads: Size = 8  # attention heads of a layer; must divide `d_model`
    num_layers: Layers = 4  # encoder layers
    d_ff: Size = 512  # width of the feed-forward networks
    activation: str = "relu"  # of the feed-forward networks: "relu", "gelu" or "silu"
    qkv_bias: bool = True  # queries, keys and values have a bias
    dropout: Finite = 0.1  # in four places of each layer, see `EncoderLayer`


STRIDED = KeywordTransformerConfig()
UNSTRIDED = KeywordTransformerConfig(stem="unstrided", max_tokens=6464)
MAX_POOL = KeywordTransformerConfig(stem="max-pool", max_tokens=400)


def kwt(size: int) -> KeywordTransformerConfig:
    """KWT-`size`: 12 layers of width 64 · size with heads of 64; size is 1, 2 or 3."""
    return KeywordTransformerConfig(
        num_features=40,
        stem="frames",
        positions="learned",
        max_tokens=98,
        d_model=64 * size,
        num_heads=size,
        num_layers=12,
        d_ff=256 * size,
        activation="gelu",
        qkv_bias=False,
    )


def prepend(
    token: Float[Tensor, "D"], x: Float[Tensor, "B N D"], valid: Bool[Tensor, "B N"] | None = None
) -> tuple[Float[Tensor, "B N+1 D"], Bool[Tensor, "B N+1"] | None]:
    """Put the same token in front of every sequence; it is always valid."""
    x = torch.cat([token.expand(len(x), 1, -1), x], dim=1)
    return x, None if valid is None else F.pad(valid, (1, 0), value=True)


class KeywordTransformer(nn.Module):
    """Stem → Linear → cls token in front → positions → encoder → the cls token's linear layer.

    Raises ValueError if the numbers do not fit, or a name is unknown.
    """

    def __init__(self, config: KeywordTransformerConfig):
        super().__init__()
        self.config = config
        if config.stem not in STEMS:
            raise ValueError(f"stem={config.stem!r} is none of {', '.join(STEMS)}")
        if config.positions not in TOKEN_POSITIONS:
            raise ValueError(
                f"positions={config.positions!r} is none of {', '.join(TOKEN_POSITIONS)}"
            )
        D = config.d_model
        self.stem = None
        if config.stem != "frames":
            self.stem = ConvStem(config.channels, **GRID_STEMS[config.stem])
            self.stem.out_bands(config.num_features)
        self.project = nn.Linear(
            config.num_features if self.stem is None else self.stem.out_channels, D
        )
        self.cls = nn.Parameter(torch.empty(D))
        nn.init.normal_(self.cls, std=0.02)
        self.positions = nn.Identity()
        if config.positions == "sinusoidal":
            self.positions = SinusoidalPositions(D)
        elif config.positions == "learned":
            self.positions = LearnedPositions(D, 1 + config.max_tokens)
        layer = EncoderLayer(
            D,
            config.num_heads,
            config.d_ff,
            config.dropout,
            activation=config.activation,
            qkv_bias=config.qkv_bias,
        )
        self.encoder = TransformerEncoder(layer, config.num_layers)
        self.classify = nn.Linear(D, config.num_classes)

    def tokens(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B N C"], Bool[Tensor, "B N"] | None]:
        """The tokens before their projection: features (B, T, F) -> (B, N, C) and their mask.

        Raises UsageError if there are more tokens than learned positions.
        """
        if self.stem is None:
            x = zero_padding(features.mT, valid).mT  # a token per frame
        else:
            x, valid = tokens_of(*self.stem(features, valid))
        if self.config.positions == "learned" and x.shape[1] > self.config.max_tokens:
            raise UsageError(
                f"{features.shape[1]} frames are {x.shape[1]} tokens, but positions were learned "
                f"for max_tokens={self.config.max_tokens}: shorten the clips, or build the model "
                f"with max_tokens={x.shape[1]}"
            )
        return x, valid

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x, valid = self.tokens(features, valid)
        x, valid = prepend(self.cls, self.project(x), valid)
        x = self.encoder(self.positions(x), valid)
        return self.classify(x[:, 0])
