"""The Speech-Transformer: two strided convolutions, an encoder, a decoder that spells.

Sources: Dong, Xu and Xu 2018 (https://doi.org/10.1109/ICASSP.2018.8462506); the CTC layer on the
encoder is that of Watanabe et al. 2017 (https://doi.org/10.1109/JSTSP.2017.2763455), as ESPnet
trains it: Karita et al. 2019 (https://arxiv.org/abs/1909.06317). Ours is pre-norm.

Shape letters: B batch   N frames   F mel bands   T frames of the memory (a quarter)   U symbols
               D model width   V symbols of the alphabet
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.audio.features import deltas as derive
from kws.models.attention_2d import Attention1d, Attention2d
from kws.models.decoder import DecoderLayer
from kws.models.frontend import convolve, maps_of, zero_padding
from kws.models.positional import SinusoidalPositions
from kws.models.residual_maps import ResCnn, ResCnnLstm
from kws.models.transformer import EncoderLayer, TransformerEncoder
from kws.settings import Finite, Size, SizeOrZero

STRIDES = 2  # convolutions that halve the frames
MODULES = {  # what the paper tries between them and the encoder
    "res-cnn": ResCnn,
    "res-cnn-lstm": ResCnnLstm,
    "attention-1d": Attention1d,
    "attention-2d": Attention2d,
}


def count_subsampled(num_frames: int) -> int:
    """How many frames a convolution of kernel 3, stride 2 and padding 1, used twice, leaves.

    >>> [count_subsampled(n) for n in (1, 4, 5, 100)]
    [1, 1, 2, 25]
    """
    for _ in range(STRIDES):
        num_frames = (num_frames + 1) // 2
    return num_frames


class ConvSubsampling(nn.Module):
    """Two 3 × 3 convolutions of stride 2 with ReLU, then a linear layer: a quarter of the frames.

    The first convolution reads the mel bands and, as further channels, their first `deltas`
    derivatives by time. (10 + 9 deltas) C + 9 C² + C + (C f + 1) D parameters,
    f = `count_subsampled(F)`, and those of the modules. Raises ValueError: another module.
    """

    def __init__(
        self,
        num_features: int,
        d_model: int,
        channels: int,
        module: str = "attention-2d",
        num_modules: int = 0,
        deltas: int = 0,
    ):
        super().__init__()
        self.deltas = deltas
        if module not in MODULES:
            raise ValueError(f"module={module!r}: choose one of {', '.join(MODULES)}")
        self.first = nn.Conv2d(1 + deltas, channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.modules_between = nn.ModuleList(MODULES[module](channels) for _ in range(num_modules))
        self.project = nn.Linear(channels * count_subsampled(num_features), d_model)

    def forward(
        self, mel: Float[Tensor, "B N F"], valid: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"] | None]:
        """Frames (B, ⌈T/4⌉, D) and mask; padding changes no real frame. ValueError: no frames."""
        if not mel.shape[1]:
            raise ValueError("0 frames: an utterance needs at least one")
        x, valid = convolve(self.first, self._channels(mel, valid), valid)
        x, valid = convolve(self.second, x.relu(), valid)
        x = x.relu()
        for layer in self.modules_between:
            x = layer(x, valid)
        x = zero_padding(x, valid)
        return self.project(x.permute(0, 3, 1, 2).flatten(2)), valid  # channel after channel

    def _channels(
        self, mel: Float[Tensor, "B N F"], valid: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B K F N"]:
        """The bands and their derivatives, for which the last frame of an utterance goes on."""
        parts = [mel]
        for _ in range(self.deltas):
            if valid is not None:
                last = (valid.cumsum(dim=1) - 1).clamp(min=0)[..., None]  # the last real frame
                parts[-1] = parts[-1].gather(1, last.expand_as(mel))
            parts.append(derive(parts[-1]))
        return torch.cat([maps_of(part) for part in parts], dim=1)


@dataclass(frozen=True, kw_only=True)
class SpeechTransformerConfig:
    """Settings of `SpeechTransformer`; the defaults learn spelled digits in minutes on a CPU."""

    num_classes: Size = 19  # symbols of the alphabet, blank, start and end among them
    num_features: Size = 40  # mel bands of the input
    channels: Size = 16  # of the two convolutions
    # the layers after them: "attention-2d", "attention-1d", "res-cnn", "res-cnn-lstm"
    module: str = "attention-2d"
    # how many of it; the paper has 2 of an attention, or 4 of the others
    num_modules: SizeOrZero = 0
    deltas: SizeOrZero = 0  # derivatives by time beside the bands; the paper has 2
    d_model: Size = 128  # width D
    num_heads: Size = 4  # attention heads
    d_ff: Size = 256  # width of the feed-forward networks
    num_encoder_layers: Size = 3  # layers of the encoder
    num_decoder_layers: SizeOrZero = 2  # layers that write; 0 leaves the decoder out (CTC alone)
    dropout: Finite = 0.1  # probability of zeroing a feature while training


class SpeechTransformer(nn.Module):
    """(mel, valid, symbols) -> logits of the next symbol at each place, and of CTC in each frame.

    `encode` and `decode` are its two halves: a text is written symbol by symbol, and the
    utterance is encoded once.
    """

    def __init__(self, config: SpeechTransformerConfig):
        super().__init__()
        self.config = config
        c = config
        self.subsample = ConvSubsampling(
            c.num_features, c.d_model, c.channels, c.module, c.num_modules, c.deltas
        )
        self.positions = SinusoidalPositions(c.d_model, c.dropout)
        layer = EncoderLayer(c.d_model, c.num_heads, c.d_ff, c.dropout, norm_first=True)
        self.encoder = TransformerEncoder(layer, c.num_encoder_layers, norm=nn.LayerNorm(c.d_model))
        self.ctc = nn.Linear(c.d_model, c.num_classes)
        self.embed = nn.Embedding(c.num_classes, c.d_model)
        self.decoder = nn.ModuleList(
            DecoderLayer(c.d_model, c.num_heads, c.d_ff, c.dropout)
            for _ in range(c.num_decoder_layers)
        )
        self.norm = nn.LayerNorm(c.d_model)
        self.write = nn.Linear(c.d_model, c.num_classes)

    def encode(
        self, mel: Float[Tensor, "B N F"], valid: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"] | None]:
        """Encoder output (B, ⌈N/4⌉, D) and its padding mask."""
        x, valid = self.subsample(mel, valid)
        return self.encoder(self.positions(x), valid), valid

    def decode(
        self,
        symbols: Int[Tensor, "B U"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B U V"]:
        """Logits of the symbol that follows each of `symbols`, which begin with the start."""
        y = self.positions(self.embed(symbols))
        for layer in self.decoder:
            y = layer(y, memory, valid)
        return self.write(self.norm(y))

    def forward(
        self,
        mel: Float[Tensor, "B N F"],
        valid: Bool[Tensor, "B N"] | None,
        symbols: Int[Tensor, "B U"],
    ) -> tuple[Float[Tensor, "B U V"], Float[Tensor, "B T V"]]:
        """Logits of the decoder and of CTC."""
        memory, valid = self.encode(mel, valid)
        return self.decode(symbols, memory, valid), self.ctc(memory)
