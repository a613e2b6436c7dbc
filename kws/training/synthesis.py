"""What FastSpeech learns from: phrases of one voice of the engine.

Shape letters: U phonemes   T frames   F mel bands
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.audio.features import log_mel
from kws.data.durations import frames_of
from kws.data.embedded.phrases import Phrase, numbers_of, speak_phrases
from kws.models.fastspeech import pad_phonemes

N_MELS = 64
POOL = 6  # batches that are sorted by length together


@dataclass(frozen=True, kw_only=True, eq=False)
class SpokenTexts:
    """Phrases as phonemes (U, 2), durations (U,) with sum T, and log-mels (T, F)."""

    phrases: list[Phrase]
    phonemes: list[Int[Tensor, "_ 2"]]
    durations: list[Int[Tensor, "_"]]
    mels: list[Float[Tensor, "_ F"]]

    def __len__(self) -> int:
        return len(self.phrases)

    @cached_property
    def mean(self) -> float:
        return float(torch.cat(self.mels).mean())

    @cached_property
    def deviation(self) -> float:
        return float(torch.cat(self.mels).std())

    def batch(
        self, rows: Sequence[int]
    ) -> tuple[
        Int[Tensor, "B U 2"], Bool[Tensor, "B U"], Int[Tensor, "B U"], Float[Tensor, "B T F"]
    ]:
        """phonemes, valid, durations, log-mels: padded with zeros."""
        phonemes, valid = pad_phonemes([self.phonemes[row] for row in rows])
        durations = nn.utils.rnn.pad_sequence([self.durations[row] for row in rows], True)
        mel = nn.utils.rnn.pad_sequence([self.mels[row] for row in rows], True)
        return phonemes, valid, durations, mel

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
        """Rows without end, phrases of like lengths together."""
        while True:
            order = torch.randperm(len(self), generator=generator).tolist()
            for at in range(0, len(order) - batch_size + 1, batch_size * POOL):
                pool = sorted(
                    order[at : at + batch_size * POOL], key=lambda row: len(self.mels[row])
                )
                for start in range(0, len(pool) - batch_size + 1, batch_size):
                    yield pool[start : start + batch_size]


def spoken_texts(texts: Sequence[str], *, seed: int = 0, n_mels: int = N_MELS) -> SpokenTexts:
    """Synthesize texts with the engine; UsageError for one that it cannot speak."""
    phrases = speak_phrases(texts, seed=seed)
    mels = [
        log_mel(torch.from_numpy(phrase.waveform)[None], n_mels=n_mels)[0] for phrase in phrases
    ]
    return SpokenTexts(
        phrases=phrases,
        phonemes=[numbers_of(phrase.phonemes, phrase.text) for phrase in phrases],
        durations=[
            frames_of(torch.tensor(phrase.starts[1:], dtype=torch.float64), len(mel))
            for phrase, mel in zip(phrases, mels, strict=True)
        ],
        mels=mels,
    )
