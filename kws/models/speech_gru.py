"""A recognizer of recurrent layers: convolutions, a bidirectional GRU, CTC, a decoder that spells.

Sources: without its decoder it is the front half of Deep Speech 2, Amodei et al. 2016
(https://arxiv.org/abs/1512.02595), with a quarter of the frames and without batch normalization;
the decoder is that of Luong et al. 2015, section 3.1, "global attention"
(https://arxiv.org/abs/1508.04025), with the scaled dot product of several heads as its score.

Shape letters: B batch   N frames   F mel bands   T frames of the memory (a quarter)   U symbols
               D model width   H width of one GRU direction   V symbols of the alphabet
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.errors import UsageError
from kws.models.decoder import CrossAttention
from kws.models.recurrent import BidirectionalRnn
from kws.models.speech_transformer import ConvSubsampling, SpeechTransformer
from kws.settings import Finite, Size, SizeOrZero


@dataclass(frozen=True, kw_only=True)
class SpeechGruConfig:
    """Settings of `SpeechGru`; the defaults have as many parameters as `SpeechTransformer`'s."""

    num_classes: Size = 19  # symbols of the alphabet, blank, start and end among them
    num_features: Size = 40  # mel bands of the input
    channels: Size = 16  # of the two convolutions
    deltas: SizeOrZero = 0  # derivatives by time beside the bands
    d_model: Size = 128  # width D of memory and decoder
    num_heads: Size = 4  # attention heads of the decoder
    hidden_size: Size = 138  # width H of each direction of the encoder
    num_encoder_layers: Size = 2  # bidirectional GRUs on top of each other
    num_decoder_layers: SizeOrZero = 1  # GRUs that write; 0 leaves the decoder out (CTC alone)
    dropout: Finite = 0.1  # probability of zeroing a feature while training


class SpeechGru(nn.Module):
    """(mel, valid, symbols) -> logits of the next symbol at each place, and of CTC in each frame.

    The same calls as `SpeechTransformer`. The decoder reads the whole text at once in training, as
    a Transformer does: its GRU reads the symbols alone, and attention follows it.
    """

    def __init__(self, config: SpeechGruConfig):
        super().__init__()
        self.config = config
        c = config
        self.subsample = ConvSubsampling(c.num_features, c.d_model, c.channels, deltas=c.deltas)
        self.dropout = nn.Dropout(c.dropout)
        self.encoder = BidirectionalRnn(
            "gru", c.d_model, c.hidden_size, c.num_encoder_layers, c.dropout
        )
        self.narrow = nn.Linear(2 * c.hidden_size, c.d_model)
        self.ctc = nn.Linear(c.d_model, c.num_classes)
        if c.num_decoder_layers:
            self.embed = nn.Embedding(c.num_classes, c.d_model)
            self.decoder = nn.GRU(c.d_model, c.d_model, c.num_decoder_layers, batch_first=True)
            self.attention = CrossAttention(c.d_model, c.num_heads)
            self.combine = nn.Linear(2 * c.d_model, c.d_model)
            self.write = nn.Linear(c.d_model, c.num_classes)

    def encode(
        self, mel: Float[Tensor, "B N F"], valid: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"] | None]:
        """Encoder output (B, ⌈N/4⌉, D) and its padding mask."""
        x, valid = self.subsample(mel, valid)
        return self.narrow(self.dropout(self.encoder(self.dropout(x), valid))), valid

    def decode(
        self,
        symbols: Int[Tensor, "B U"],
        memory: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B U V"]:
        """Logits of the symbol after each of `symbols` (start first). UsageError: no decoder."""
        if not self.config.num_decoder_layers:
            raise UsageError("num_decoder_layers=0 leaves no decoder: read CTC's logits instead")
        state, _ = self.decoder(self.dropout(self.embed(symbols)))
        found = self.attention(state, memory, valid)
        joined = self.combine(torch.cat([state, found], dim=2)).tanh()  # Luong, equation 5
        return self.write(self.dropout(joined))

    def forward(
        self,
        mel: Float[Tensor, "B N F"],
        valid: Bool[Tensor, "B N"] | None,
        symbols: Int[Tensor, "B U"],
    ) -> tuple[Float[Tensor, "B U V"], Float[Tensor, "B T V"]]:
        """Logits of the decoder and of CTC."""
        memory, valid = self.encode(mel, valid)
        return self.decode(symbols, memory, valid), self.ctc(memory)


AnyRecognizer = SpeechTransformer | SpeechGru
