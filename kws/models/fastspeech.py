"""FastSpeech: a mel spectrogram of a text, all frames at once.

Source: Ren et al. 2019 (https://arxiv.org/abs/1905.09263). Three deviations: durations come from
the speech engine and not from the attention of a teacher; a phoneme's stress is embedded beside it;
positions have a learned weight (Transformer-TTS, https://arxiv.org/abs/1809.08895).
The duration predictor reads the encoder's output and does not train the encoder.

Shape letters: B batch   U phonemes   T frames   F mel bands   D model width
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.models.duration_predictor import DurationPredictor
from kws.models.fft_block import FftBlock, duration_loss, frames_from
from kws.models.length_regulator import regulate, scale_durations
from kws.models.scaled_positions import ScaledPositions
from kws.settings import Finite, Fraction, Size

STRESSES = 3  # none, secondary, primary


@dataclass(frozen=True, kw_only=True)
class FastSpeechConfig:
    """Sizes of a FastSpeech. `num_symbols` counts the padding, symbol 0, too."""

    num_symbols: Size
    n_mels: Size = 64
    d_model: Size = 128
    num_heads: Size = 2
    d_ff: Size = 256
    kernel_size: Size = 3
    encoder_layers: Size = 2
    decoder_layers: Size = 3
    dropout: Fraction = 0.1
    longest: Size = 2000  # frames that have a position
    mean: Finite = 0.0  # of the log-mels
    deviation: Finite = 1.0


class FastSpeech(nn.Module):
    """Phonemes to log-mels: encoder, length regulator, decoder. ValueError: sizes (`FftBlock`)."""

    def __init__(self, config: FastSpeechConfig):
        super().__init__()
        self.config = config
        d_model = config.d_model

        def blocks(count: int) -> nn.ModuleList:
            sizes = (d_model, config.num_heads, config.d_ff, config.kernel_size, config.dropout)
            return nn.ModuleList(FftBlock(*sizes) for _ in range(count))

        self.symbols = nn.Embedding(config.num_symbols, d_model, padding_idx=0)
        self.stresses = nn.Embedding(STRESSES, d_model)
        self.encoder_positions = ScaledPositions(d_model, config.longest)
        self.decoder_positions = ScaledPositions(d_model, config.longest)
        self.encoder = blocks(config.encoder_layers)
        self.durations = DurationPredictor(d_model, config.kernel_size, config.dropout)
        self.decoder = blocks(config.decoder_layers)
        self.out = nn.Linear(d_model, config.n_mels)

    def forward(
        self,
        phonemes: Int[Tensor, "B U 2"],
        valid: Bool[Tensor, "B U"],
        durations: Int[Tensor, "B U"] | None = None,
        pace: float = 1.0,
    ) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"], Float[Tensor, "B U"]]:
        """Log-mels (natural logarithm), their valid frames, and predicted ln(frames + 1).

        `phonemes` are pairs (symbol, stress). Without `durations` the predicted ones are used,
        `pace` times as long. Raises ValueError: no phonemes, or more than positions.
        """
        if not phonemes.shape[1]:
            raise ValueError("0 phonemes: a text needs at least one")
        x = self.symbols(phonemes[..., 0]) + self.stresses(phonemes[..., 1])
        x = self.encoder_positions(x)
        for block in self.encoder:
            x = block(x, valid)
        log_durations = self.durations(x.detach(), valid)
        if durations is None:
            durations = scale_durations(frames_from(log_durations, valid), pace)
        y, frames = regulate(x, durations)
        y = self.decoder_positions(y)
        for block in self.decoder:
            y = block(y, frames)
        mel = self.config.mean + self.config.deviation * self.out(y)
        return mel, frames, log_durations


def fastspeech_errors(
    model: FastSpeech,
    phonemes: Int[Tensor, "B U 2"],
    valid: Bool[Tensor, "B U"],
    durations: Int[Tensor, "B U"],
    mel: Float[Tensor, "B T F"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean absolute error of the log-mels over frames, in deviations; and `duration_loss`."""
    predicted, frames, log_durations = model(phonemes, valid, durations)
    error = (predicted - mel).abs()[frames].mean() / model.config.deviation
    return error, duration_loss(log_durations, durations, valid)


def fastspeech_loss(
    model: FastSpeech,
    phonemes: Int[Tensor, "B U 2"],
    valid: Bool[Tensor, "B U"],
    durations: Int[Tensor, "B U"],
    mel: Float[Tensor, "B T F"],
) -> Float[Tensor, ""]:
    """The sum of both `fastspeech_errors`."""
    error, durations_error = fastspeech_errors(model, phonemes, valid, durations, mel)
    return error + durations_error


def pad_phonemes(
    texts: list[Int[Tensor, "_ 2"]],
) -> tuple[Int[Tensor, "B U 2"], Bool[Tensor, "B U"]]:
    """Texts of any length as a batch, padded with zeros, and valid: True on real phonemes."""
    lengths = torch.tensor([len(text) for text in texts])
    valid = torch.arange(int(lengths.max())) < lengths[:, None]
    return nn.utils.rnn.pad_sequence(texts, batch_first=True), valid
