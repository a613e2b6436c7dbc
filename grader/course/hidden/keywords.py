"""Hidden keywords: clips of voices generated from the secret seed.

Same words, protocol and recording conditions as the course's corpus, other speakers. Nothing is
stored, so without the seed no model can be trained on them. If clips of people were held out
(`grader.core.seed`), the seed draws from those. The order follows from the seed too.

Shape letters: n clips   N samples   T frames   F mel bands   C classes
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grader.core.seed import MadeOnce, Seed, held_out
from kws.audio.features import log_mel
from kws.data.clips import ClipSplit
from kws.data.embedded.corpus import make_corpus
from kws.data.protocols import SPLITS, Protocol, get_protocol
from kws.data.speech_commands import load_speech_commands

PROTOCOL, GERMAN = get_protocol("embedded-12"), get_protocol("embedded-german")
PEOPLE = get_protocol("v2-12")  # the same labels in the same order
MOST = 2000  # clips of people
GERMAN_VOICE = "gmw/de"
SPEAKERS, REPETITIONS, NOISE_SECONDS = 30, 1, 10
N_MELS = 64


def word_clips(secret: Seed) -> tuple[Tensor, Tensor]:
    """mel (n, T, F) as notebook 5 prepares it, and labels (n,) of the twelve classes."""
    return speak(secret.number("hidden words"))


def german_clips(secret: Seed) -> tuple[Tensor, Tensor]:
    """mel (n, T, F) and labels (n,) of the twenty German words of notebook 6."""
    return speak_german(secret.number("hidden German words"))


@MadeOnce
def speak(seed: int) -> tuple[Tensor, Tensor]:
    if folder := held_out("words"):
        split = load_speech_commands(folder, PEOPLE, "testing", seed=seed % 2**31)
        mels, labels = _read(split)
        drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:MOST]
        return mels[drawn], labels[drawn]
    return _spoken(PROTOCOL, f"hidden words {seed}", seed)


@MadeOnce
def speak_german(seed: int) -> tuple[Tensor, Tensor]:
    """Clips of the German words, which no voice of the course's corpora speaks."""
    options = {"words": GERMAN.words, "voice": GERMAN_VOICE}
    return _spoken(GERMAN, f"hidden German words {seed}", seed, **options)


def _spoken(protocol: Protocol, name: str, seed: int, **options: Any) -> tuple[Tensor, Tensor]:
    mels, labels = [], []
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(
            Path(folder) / "words",
            seed=name,
            speakers=SPEAKERS,
            repetitions=REPETITIONS,
            noise_seconds=NOISE_SECONDS,
            progress=False,
            **options,
        )
        for split_name in SPLITS:  # all voices are new, whatever split they would belong to
            split = load_speech_commands(corpus, protocol, split_name)
            read = _read(split)
            mels.append(read[0])
            labels.append(read[1])
    mixed = torch.randperm(sum(map(len, labels)), generator=torch.Generator().manual_seed(seed))
    return torch.cat(mels)[mixed], torch.cat(labels)[mixed]


def _read(split: ClipSplit) -> tuple[Tensor, Tensor]:
    some = torch.arange(len(split)).split(256)
    mels = [prepared(log_mel(split.waveforms(rows), n_mels=N_MELS)) for rows in some]
    return torch.cat(mels), split.labels


def prepared(mel: Tensor) -> Tensor:
    """Normalize each clip to mean 0 and deviation near 1, as `features` of the notebook."""
    mean, deviation = mel.mean((1, 2), keepdim=True), mel.std((1, 2), keepdim=True)
    return (mel - mean) / (deviation + 0.1)
