"""Transformer-TTS: a mel spectrogram of a text, some frames after the others.

Source: Li et al. 2019, "Neural Speech Synthesis with Transformer Network"
(https://arxiv.org/abs/1809.08895): scaled positions, pre-net, stop token. Guided attention:
Tachibana et al. 2018, section 3.1 (https://arxiv.org/abs/1710.08969). One step writes several
frames ("reduction factor", Wang et al. 2017, https://arxiv.org/abs/1703.10135).

Deviations: pre-norm; phonemes go through two convolutions where the paper has three and batch
norms; no network behind the mels.

Shape letters: B batch   U phonemes   S steps   R frames of a step   F mel bands   D model width
               H heads
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.models.attention import attention_weights
from kws.models.decoder import CrossAttention
from kws.models.positional import sinusoids
from kws.models.transformer import EncoderLayer, FeedForward

STOP_WEIGHT = 5.0  # of the one step in many that is the last
GUIDE = 0.3  # how far, as a share of the whole, attention may be off the diagonal


class ScaledPositions(nn.Module):
    """x plus alpha times the sinusoids of its places; alpha is learned and begins at 1.

    Args:
        d_model: width of the input and of the output; even.
        longest: places that there are.
    """

    def __init__(self, d_model: int, longest: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))
        self.table: Tensor
        places = torch.arange(longest, dtype=torch.float64)
        self.register_buffer("table", sinusoids(places, d_model).float(), persistent=False)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """x (B, T, D) with positions; ValueError where there are more than `longest`."""
        longest = len(self.table)
        if x.shape[1] > longest:
            raise ValueError(f"{x.shape[1]} places, but positions for {longest}")
        return x + self.alpha * self.table[: x.shape[1]].to(x.dtype)


class PreNet(nn.Module):
    """Two linear layers with ReLU and dropout, and one without: back to a center of zero.

    Dropout stays on when speech is generated (Shen et al. 2018, "Tacotron 2", section 2.2): what
    comes next shall depend on the text more than on the last frame.
    """

    def __init__(self, n_mels: int, d_model: int, dropout: float = 0.5):
        super().__init__()
        self.first = nn.Linear(n_mels, d_model)
        self.second = nn.Linear(d_model, d_model)
        self.center = nn.Linear(d_model, d_model)
        self.dropout = dropout

    def forward(self, frames: Float[Tensor, "B S F"]) -> Float[Tensor, "B S D"]:
        """frames (B, S, F) -> (B, S, D)."""
        x = F.dropout(F.relu(self.first(frames)), self.dropout)
        return self.center(F.dropout(F.relu(self.second(x)), self.dropout))


def shifted(frames: Float[Tensor, "B S F"]) -> Float[Tensor, "B S F"]:
    """What the decoder reads: a frame of zeros first, and never the frame that it is to write."""
    return F.pad(frames, (0, 0, 1, 0))[:, :-1]


def stop_targets(lengths: Int[Tensor, "B"], num_steps: int) -> Float[Tensor, "B S"]:
    """1 at the last step of each utterance, 0 elsewhere."""
    return (torch.arange(num_steps) == (lengths - 1)[:, None]).float()


def stop_loss(
    logits: Float[Tensor, "B S"],
    targets: Float[Tensor, "B S"],
    valid: Bool[Tensor, "B S"],
    weight: float = STOP_WEIGHT,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over valid steps, the one that is the last counting `weight` times.

    Equal to `F.binary_cross_entropy_with_logits` with `pos_weight`.
    """
    loss = targets * weight * F.softplus(-logits) + (1 - targets) * F.softplus(logits)
    return loss[valid].mean()


def guide_weights(
    steps: Int[Tensor, "B"], phonemes: Int[Tensor, "B"], width: float = GUIDE
) -> Float[Tensor, "B S U"]:
    """1 - exp(-(s / S - u / U)² / 2 width²): 0 on each utterance's diagonal, near 1 far off."""
    s = torch.arange(int(steps.max())) / steps[:, None]
    u = torch.arange(int(phonemes.max())) / phonemes[:, None]
    return 1 - torch.exp(-(s[:, :, None] - u[:, None]).square() / (2 * width**2))


def guided_loss(
    weights: Float[Tensor, "B H S U"],
    guide: Float[Tensor, "B S U"],
    valid: Bool[Tensor, "B S"],
) -> Float[Tensor, ""]:
    """How much attention lies off the diagonal, on average over heads and valid steps."""
    return (weights * guide[:, None]).sum(dim=-1).mean(dim=1)[valid].mean()


class SpokenLayer(nn.Module):
    """A decoder layer, pre-norm, that tells its attention to the text."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.1):
        super().__init__()
        self.self_attention = CrossAttention(d_model, num_heads)
        self.cross = CrossAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B S D"], memory: Float[Tensor, "B U D"], valid: Bool[Tensor, "B U"]
    ) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B H S U"]]:
        """x (B, S, D) -> the same shape, and the weights (B, H, S, U)."""
        z = self.norms[0](x)
        x = x + self.dropout(self.self_attention(z, z, causal=True))
        q, k, v = self.cross.project(self.norms[1](x), memory)
        weights = attention_weights(q, k, valid)
        x = x + self.dropout(self.cross.out((weights @ v).transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.norms[2](x))), weights


class TransformerTts(nn.Module):
    """Phonemes to mels, R frames a step.

    Args:
        num_symbols: with the padding, symbol 0.
        longest: phonemes and steps that have a position.
    """

    def __init__(
        self,
        num_symbols: int,
        n_mels: int = 64,
        d_model: int = 128,
        num_heads: int = 4,
        d_ff: int = 256,
        num_layers: int = 2,
        reduction: int = 4,
        longest: int = 1000,
    ):
        super().__init__()
        self.reduction, self.n_mels = reduction, n_mels
        self.symbols = nn.Embedding(num_symbols, d_model, padding_idx=0)
        self.stresses = nn.Embedding(3, d_model)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(d_model, d_model, 5, padding=2) for _ in range(2)
        )
        self.center = nn.Linear(d_model, d_model)
        self.text_positions = ScaledPositions(d_model, longest)
        self.encoder = nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, norm_first=True) for _ in range(num_layers)
        )
        self.encoded = nn.LayerNorm(d_model)
        self.prenet = PreNet(n_mels, d_model)
        self.frame_positions = ScaledPositions(d_model, longest)
        self.decoder = nn.ModuleList(
            SpokenLayer(d_model, num_heads, d_ff) for _ in range(num_layers)
        )
        self.decoded = nn.LayerNorm(d_model)
        self.mel = nn.Linear(d_model, n_mels * reduction)
        self.stop = nn.Linear(d_model, 1)

    def encode(
        self, phonemes: Int[Tensor, "B U 2"], valid: Bool[Tensor, "B U"]
    ) -> Float[Tensor, "B U D"]:
        """Phonemes, pairs (symbol, stress), as the memory of the decoder."""
        x = self.symbols(phonemes[..., 0]) + self.stresses(phonemes[..., 1])
        for convolve in self.convolutions:
            x = F.relu(convolve((x * valid[..., None]).mT).mT)
        x = self.text_positions(self.center(x))
        for layer in self.encoder:
            x = layer(x, valid)
        return self.encoded(x)

    def decode(
        self,
        read: Float[Tensor, "B S F"],
        memory: Float[Tensor, "B U D"],
        valid: Bool[Tensor, "B U"],
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B S"], list[Float[Tensor, "B H S U"]]]:
        """Mels (B, S R, F), stop logits (B, S) and the attention of each layer.

        `read` is the last frame of each step before: `shifted` frames in training.
        """
        x = self.frame_positions(self.prenet(read))
        attention = []
        for layer in self.decoder:
            x, weights = layer(x, memory, valid)
            attention.append(weights)
        x = self.decoded(x)
        mel = self.mel(x).unflatten(-1, (self.reduction, self.n_mels)).flatten(1, 2)
        return mel, self.stop(x)[..., 0], attention

    def forward(
        self,
        phonemes: Int[Tensor, "B U 2"],
        valid: Bool[Tensor, "B U"],
        mel: Float[Tensor, "B T F"],
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B S"], list[Float[Tensor, "B H S U"]]]:
        """Teacher forcing: each step reads the true frames before it; T is a multiple of R."""
        last = mel[:, self.reduction - 1 :: self.reduction]
        return self.decode(shifted(last), self.encode(phonemes, valid), valid)

    @torch.inference_mode()
    def generate(
        self, phonemes: Int[Tensor, "B U 2"], valid: Bool[Tensor, "B U"], longest: int = 100
    ) -> tuple[Float[Tensor, "B T F"], Int[Tensor, "B"]]:
        """Mels, step after step until every utterance has stopped, and the frames of each."""
        memory = self.encode(phonemes, valid)
        read = torch.zeros(len(phonemes), 1, self.n_mels)
        ends = torch.full((len(phonemes),), longest)
        mel = read
        for step in range(longest):
            mel, stop, _ = self.decode(read, memory, valid)
            now = (stop[:, -1] > 0) & (ends == longest)
            ends = torch.where(now, step + 1, ends)
            if bool((ends <= step + 1).all()):
                break
            read = torch.cat([read, mel[:, -1:]], dim=1)
        return mel, ends.clamp(max=read.shape[1]) * self.reduction


def whole_steps(
    mels: list[Float[Tensor, "_ F"]], reduction: int, silence: float = math.log(1e-6)
) -> tuple[Float[Tensor, "B T F"], Int[Tensor, "B"]]:
    """Mels (T, F) as a batch whose length is a multiple of `reduction`, and the steps of each."""
    steps = torch.tensor([-(-len(mel) // reduction) for mel in mels])
    padded = torch.full((len(mels), int(steps.max()) * reduction, mels[0].shape[1]), silence)
    for row, mel in zip(padded, mels, strict=True):
        row[: len(mel)] = mel
    return padded, steps
