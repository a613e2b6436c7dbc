"""Objectives that are small, on little or meaningless data: to train within a test."""

from functools import lru_cache

import torch

from kws.data.embedded.phrases import SYMBOLS
from kws.data.protocols import V2_WORDS
from kws.data.transcripts import TranscribedSplit, TranscriptRow
from kws.training.codec_run import CodecObjective, level_of, new_codec
from kws.training.objective import Objective, fresh_weights
from kws.training.prior_run import PriorObjective, WordSplit, new_prior
from kws.training.recipe import Recipe, load_recipe
from kws.training.recognizer_run import transcription_objective
from kws.training.synthesis import SpokenTexts, spoken_texts
from kws.training.voice_run import VoiceObjective, new_voice

CPU = torch.device("cpu")
TEXTS = ("on", "no", "noon", "on no")  # of the utterances
STEPS = ["train.total_steps=4", "train.validate_every=2", "train.batch_size=3"]
GENERATORS = {
    "text-to-speech": ["features.n_mels=7", "model.d_model=6", "model.d_ff=5"],
    "codec": ["features.n_mels=5", "model.width=7", "model.code_width=3", "model.num_codes=11"],
    "code-prior": ["model.d_model=6", "model.num_heads=2", "model.d_ff=5", "model.num_layers=1"],
}
SMALL = GENERATORS | {
    "speech-to-text": [
        "features.n_mels=8",
        "model.d_model=12",
        "model.num_heads=2",
        "model.channels=3",
    ]
}


def small_recipe(name: str, *more: str) -> Recipe:
    """The recipe of the package with small sizes, and few steps."""
    return load_recipe(name, [*SMALL[name], *STEPS, *more])


@lru_cache
def phrases() -> tuple[SpokenTexts, SpokenTexts]:
    """Five phrases, and two others."""
    some = ["happy garden", "yellow", "a warm house", "good morning", "water"]
    return spoken_texts(some, n_mels=7), spoken_texts(["garden", "warm water"], n_mels=7)


def utterances(split: str, count: int = 7, frames: int = 61) -> TranscribedSplit:
    """Noise of several lengths, with texts."""
    draws = torch.Generator().manual_seed(count)
    texts = [TEXTS[i % len(TEXTS)] for i in range(count)]
    rows = [
        TranscriptRow(file=f"{i}", speaker="", split=split, text=t) for i, t in enumerate(texts)
    ]
    mels = [torch.randn(frames + i, 8, generator=draws) for i in range(count)]
    return TranscribedSplit(mels=mels, rows=rows, split=split)


def small_objective(name: str, *more: str, device: torch.device = CPU) -> Objective:
    """What the recipe `name` learns."""
    chosen, draws = small_recipe(name, *more), torch.Generator().manual_seed(3)
    if name == "speech-to-text":
        return transcription_objective(
            chosen, utterances("training", 7), utterances("validation", 3), device
        )
    if name == "text-to-speech":
        train, validation = phrases()
        with fresh_weights(chosen):
            voice = new_voice(chosen, mean=-3.0, deviation=4.0)
        return VoiceObjective(
            recipe=chosen,
            model=voice.to(device),
            labels=list(SYMBOLS),
            protocol="speech",
            normalizer=level_of(7),
            data="phrases",
            train=train,
            validation=validation,
        )
    with fresh_weights(chosen):
        codec = new_codec(small_recipe("codec"))
    if name == "codec":
        mels = [torch.randn(n, 12, 5, generator=draws) for n in (7, 3)]
        return CodecObjective(
            recipe=chosen,
            model=codec.to(device),
            labels=[],
            protocol="codec",
            normalizer=level_of(5),
            data="noise",
            train=mels[0],
            validation=mels[1],
        )
    with fresh_weights(chosen):
        prior = new_prior(chosen, codec, length=4)
    return PriorObjective(
        recipe=chosen,
        model=prior.to(device),
        labels=list(V2_WORDS),
        protocol="codes",
        normalizer=level_of(5),
        data="drawn",
        train=drawn(7, draws),
        validation=drawn(3, draws),
    )


def drawn(count: int, draws: torch.Generator) -> WordSplit:
    """Any words with any codes."""
    words = torch.randint(35, (count,), generator=draws)
    return WordSplit(words=words, codes=torch.randint(11, (count, 4), generator=draws))
