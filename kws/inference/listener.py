"""The listener: a keyword model of the course that judges synthetic speech.

    words = recognize(listener(), [waveform, another])

The model is the course's CRNN on the 35 words of the embedded corpus: many voices, microphones and
rooms, but no vocoder. It is trained once, in 90 seconds on the CPU, and kept beside the corpus in a
folder of `cache_dir()` whose name depends on corpus, settings and version.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.recordings import CLIP_SAMPLES
from kws.data.embedded.corpus import RECORD as CORPUS_RECORD
from kws.data.embedded.corpus import make_corpus
from kws.data.speech_commands import load_speech_commands
from kws.files import cache_dir
from kws.training.checkpoint import Trained, load_model
from kws.training.loop import fit
from kws.training.recipe import Augment, Data, Features, Model, Recipe, Train, to_toml
from kws.training.trained_once import train_once

VERSION = 1
BATCH = 128  # clips that are recognized at a time
PROTOCOL = "embedded-35"
SETTINGS = Recipe(
    description="The listener: 35 words of the embedded corpus",
    data=Data(protocol=PROTOCOL),
    features=Features(n_mels=40),
    augment=Augment(time_shift=0.1, time_masks=1, max_time=15, freq_masks=1, max_freq=6),
    model=Model(name="crnn-small"),
    train=Train(total_steps=400, batch_size=48, lr=2.5e-3, label_smoothing=0.05),
)
LOUDNESS, FLOOR = 0.7, 1e-3  # the highest sample of a clip, and the noise in its silence


@cache
def listener(*, progress: bool = True) -> Trained:
    """The judge, trained on first use. OSError or UsageError if its folder cannot be made."""
    corpus = make_corpus(cache_dir() / "course-words", size="mini", progress=progress)
    return train_listener(corpus, progress=progress)


def train_listener(corpus: Path, settings: Recipe = SETTINGS, *, progress: bool = True) -> Trained:
    """The listener of an embedded corpus, with these settings; errors as `listener`."""
    spoken = json.loads((corpus / CORPUS_RECORD).read_text())["recipe"]
    about = {"listener": VERSION, "settings": to_toml(settings), "corpus": spoken}

    def train(run: Path) -> None:
        training, validation = (
            load_speech_commands(corpus, settings.data.protocol, split)
            for split in ("training", "validation")
        )
        fit(
            settings,
            train=training,
            validation=validation,
            out=run,
            device="cpu",
            progress=progress,
        )

    return load_model(train_once("listener", about, train))


def recognize(judge: Trained, waveforms: Sequence[Float[Tensor, "_"]]) -> list[str]:
    """The word that `judge` recognizes in each waveform (16 kHz), of any loudness and length."""
    if not waveforms:
        return []
    logits = judge.logits(judge.features(as_clips(waveforms)))
    return [judge.labels[best] for best in logits.argmax(dim=1).tolist()]


def recognize_mels(judge: Trained, mels: Float[Tensor, "n T F"]) -> list[str]:
    """The word in each log-mel of `kws.audio.features.log_mel`: F = 40, T up to 101."""
    words = []
    for few in mels.split(BATCH):
        logits = judge.logits(judge.normalizer(few))
        words += [judge.labels[best] for best in logits.argmax(dim=1).tolist()]
    return words


def as_clips(waveforms: Sequence[Float[Tensor, "_"]]) -> Float[Tensor, "B S"]:
    """Waveforms as clips of S = 16,000 samples: centered, equally loud, in faint noise.

    Of a longer one the middle second is kept. The noise depends on the number of waveforms only.
    """
    clips = torch.zeros(len(waveforms), CLIP_SAMPLES)
    for clip, waveform in zip(clips, waveforms, strict=True):
        cut = max(len(waveform) - CLIP_SAMPLES, 0) // 2
        waveform = waveform[cut : cut + CLIP_SAMPLES].float()
        start = (CLIP_SAMPLES - len(waveform)) // 2
        loudest = waveform.abs().max().clamp(min=1e-9) if len(waveform) else 1.0
        clip[start : start + len(waveform)] = waveform * (LOUDNESS / loudest)
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    return clips + FLOOR * noise
