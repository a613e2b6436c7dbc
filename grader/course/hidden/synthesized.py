"""Inputs of a trained text-to-speech model, and the evaluation of its output.

The model returns mels from its own process; Griffin-Lim and the recognizer run in the grader. Mels
fitted to a recognizer of the same recipe are not detected (gain: docs/teaching.md). The 35 keywords
are in no training phrase. Phrases follow from the secret seed, and durations are compared with the
engine's, which detects a model that only memorized the keywords.

Shape letters: B texts   U phonemes   T frames   F mel bands   N samples
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grader.core.seed import MadeOnce, Seed
from grader.grading.feedback import Failure, expect_finite, expect_shape
from kws.audio.griffin_lim import vocode
from kws.data.embedded.phrases import SYMBOLS, phrase_texts
from kws.data.protocols import V2_WORDS
from kws.inference.listener import listener, recognize
from kws.metrics import Proportion
from kws.models.fastspeech import pad_phonemes
from kws.training.synthesis import N_MELS, SpokenTexts, spoken_texts

NUM_SYMBOLS = len(SYMBOLS) + 1
PACES = (1.0, 1.3, 0.8)
PHRASES = 100
MOST_FRAMES = 400  # of a keyword: a model that talks on is not listened to
LOUDEST = 20.0  # of a log-mel; the voice's are below 6

Model = Callable[..., Any]


def prepare(secret: Seed) -> None:
    """Make the texts and train the recognizer, once, so that forks inherit them."""
    secret_phrases(secret)
    keywords()
    listener(progress=False)


def secret_phrases(secret: Seed) -> SpokenTexts:
    return phrases_of(secret.number("hidden phrases"))


@MadeOnce
def phrases_of(seed: int) -> SpokenTexts:
    return spoken_texts(phrase_texts(PHRASES, "testing", seed=f"hidden phrases {seed}"))


@MadeOnce
def keywords() -> SpokenTexts:
    return spoken_texts(V2_WORDS)


def answered(model: Model, *inputs: Tensor, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Validated log-mels (B, T, F), valid frames (B, T) and ln(d + 1) (B, U)."""
    answer = model(*inputs, **options)
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise Failure(
            "model(phonemes, valid) does not return three tensors",
            "log-mels, valid frames and ln(d + 1): is there a comma in the return?",
        )
    texts, phonemes = inputs[1].shape
    mel, frames, logs = answer
    logs = expect_shape("ln(d + 1)", logs, texts, phonemes, letters="B, U")
    expect_finite("ln(d + 1)", logs)
    length = frames.shape[-1] if isinstance(frames, Tensor) and frames.ndim == 2 else -1
    frames = expect_shape("the valid frames", frames, texts, length, letters="B, T")
    mel = expect_shape("the log-mels", mel, texts, length, N_MELS, letters="B, T, F")
    return expect_finite("the log-mels", mel), frames.bool(), logs


def duration_error(model: Model, texts: SpokenTexts) -> float:
    """Mean absolute error of the durations, in frames per phoneme."""
    off = []
    for row in range(len(texts)):  # one by one: no information from other texts
        phonemes, valid, durations, _ = texts.batch([row])
        _, _, logs = answered(model, phonemes, valid)
        predicted = (logs.detach().double().exp() - 1).round().clamp(1, MOST_FRAMES)
        off.append((predicted - durations).abs().flatten())
    return float(torch.cat(off).mean())


def recognized_words(model: Model) -> tuple[Proportion, list[str]]:
    """How many keywords are recognized at each pace, and which are not."""
    texts, right, wrong = keywords(), 0, []
    for pace in PACES:
        waveforms = []
        for row in range(len(texts)):
            phonemes, valid = pad_phonemes([texts.phonemes[row]])
            mel, frames, _ = answered(model, phonemes, valid, pace=pace)
            predicted = mel[0, frames[0]][:MOST_FRAMES].detach().float().clamp(max=LOUDEST)
            waveforms.append(vocode(predicted) if len(predicted) > 1 else torch.zeros(1))
        for word, guess in zip(
            V2_WORDS, recognize(listener(progress=False), waveforms), strict=True
        ):
            right += word == guess
            if word != guess:
                wrong.append(f"{word} as {guess}")
    return Proportion(correct=right, n=len(V2_WORDS) * len(PACES)), wrong
