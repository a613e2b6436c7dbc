"""AST, the Audio Spectrogram Transformer, written out: patches, 2-D positions, pre-norm layers.

Sources: Gong et al. 2021 (https://arxiv.org/abs/2104.01778); patchout and split positions, Koutini
et al. 2022 (https://arxiv.org/abs/2110.05069). Parity: transformers' `ASTForAudioClassification`
with the same weights (`benchmarks.ast_weights`), float64, 1e-12; with 527 classes 86,594,063
parameters, as published.
Deviations: positions begin as 2-D sinusoids and linear layers as torch begins them, where nothing
is pretrained; a clip may be shorter than the positions, and padding is masked.

Shape letters: B batch   T frames   F mel bands   D model width   N tokens, f rows of t columns
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.patches import PatchEmbedding, count_patches
from kws.models.patchout import draw_kept
from kws.models.positions_2d import GridPositions, SplitPositions
from kws.models.transformer import EncoderLayer, TransformerEncoder
from kws.settings import Finite, Layers, Size, SizeOrZero

TABLES = {"grid": GridPositions, "split": SplitPositions}


@dataclass(frozen=True, kw_only=True)
class SpectrogramTransformerConfig:
    """Settings of `SpectrogramTransformer`; the defaults are those of the course's small model."""

    num_classes: Size = 35  # number of logits
    num_features: Size = 64  # mel bands of the input
    num_frames: Size = 101  # frames of the longest input, for which there are positions
    patch: tuple[Size, Size] = (32, 8)  # bands and frames of a patch
    stride: tuple[Size, Size] = (32, 8)  # bands and frames from one patch to the next
    # "grid", a vector for each place (AST), or "split", one for row and one for column (PaSST)
    positions: str = "grid"
    # a second token beside the class token; the classifier reads the mean of both
    distilled: bool = False
    head_norm: bool = False  # a norm of its own in front of the classifier, as AST has it
    # rows and columns of the grid that each step of training drops
    patchout: tuple[SizeOrZero, SizeOrZero] = (0, 0)
    token_patchout: SizeOrZero = 0  # single tokens that it drops besides, anywhere
    d_model: Size = 96  # width of the tokens
    num_heads: Size = 4  # attention heads of a layer; must divide `d_model`
    num_layers: Layers = 3  # encoder layers, pre-norm with GELU
    d_ff: Size = 192  # width of the feed-forward networks
    dropout: Finite = 0.0  # in four places of each layer, see `EncoderLayer`
    norm_eps: Finite = 1e-5  # what every norm adds to the variance


AST_SMALL = SpectrogramTransformerConfig()


class SpectrogramTransformer(nn.Module):
    """Patches → positions → (patchout) → cls token in front → encoder → norm → classifier.

    Raises ValueError if the numbers do not fit, or a name is unknown.
    """

    def __init__(self, config: SpectrogramTransformerConfig):
        super().__init__()
        if config.positions not in TABLES:
            raise ValueError(f"positions={config.positions!r} is none of {', '.join(TABLES)}")
        self.config, D = config, config.d_model
        grid = count_patches(config.num_features, config.num_frames, config.patch, config.stride)
        rows, columns = (size - off for size, off in zip(grid, config.patchout, strict=True))
        if min(rows, columns, rows * columns - config.token_patchout) < 1:
            raise ValueError(
                f"patchout={config.patchout} and token_patchout={config.token_patchout} leave "
                f"nothing of {grid[0]} x {grid[1]} patches: drop fewer"
            )
        self.tokens = nn.Parameter(0.02 * torch.randn(1 + config.distilled, D))
        self.token_positions = nn.Parameter(0.02 * torch.randn(1 + config.distilled, D))
        self.embed = PatchEmbedding(D, config.patch, config.stride)
        self.positions = TABLES[config.positions](D, *grid)
        layer = EncoderLayer(
            D, config.num_heads, config.d_ff, config.dropout, activation="gelu", norm_first=True
        )
        self.encoder = TransformerEncoder(layer, config.num_layers, norm=nn.LayerNorm(D))
        self.head_norm = nn.LayerNorm(D) if config.head_norm else nn.Identity()
        self.classify = nn.Linear(D, config.num_classes)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.norm_eps

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes).

        Raises ValueError if a clip is shorter than a patch, or longer than the positions.
        """
        x, columns = self.embed(features, valid)
        x, valid = self.left(self.positions(x), columns)
        own = self.tokens + self.token_positions
        x = torch.cat([own.expand(len(x), -1, -1), x], dim=1)
        if valid is not None:
            valid = torch.cat([valid.new_ones(len(x), len(own)), valid], dim=1)
        x = self.encoder(x, valid)[:, : len(own)].mean(dim=1)
        return self.classify(self.head_norm(x))

    def left(
        self, x: Float[Tensor, "B D f t"], columns: Bool[Tensor, "B t"] | None
    ) -> tuple[Float[Tensor, "B N D"], Bool[Tensor, "B N"] | None]:
        """The tokens in one row, band row after band row: in training, those that patchout left."""
        if self.training and any(self.config.patchout):
            rows_out, columns_out = self.config.patchout
            rows_kept, columns_kept = (
                draw_kept(x.shape[2], rows_out),
                draw_kept(x.shape[3], columns_out),
            )
            x = x[:, :, rows_kept][:, :, :, columns_kept]
            columns = None if columns is None else columns[:, columns_kept]
        valid = None if columns is None else columns.repeat(1, x.shape[2])
        x = x.flatten(2).mT
        if self.training and self.config.token_patchout:
            some = draw_kept(x.shape[1], self.config.token_patchout)
            x, valid = x[:, some], None if valid is None else valid[:, some]
        return x, valid
