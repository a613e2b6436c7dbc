"""Short phrases by one voice of the engine, with their phonemes and where each begins.

Training data for text-to-speech: voice, rate and microphone are constant, only the text differs.
The engine reports the start of each phoneme to the sample.

    phrases = speak_phrases(["happy garden", "three"])
    phrases[1].phonemes       (Phoneme("_", 0), Phoneme("T", 0), Phoneme("r", 0), …)

A phrase begins and ends with silence, "_", which may last 0 s at the beginning.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kws.data.embedded.espeak import (
    SAMPLE_RATE,
    SpeechEvent,
    Utterance,
    speak_with_events,
    stock_variants,
)
from kws.data.embedded.lists import read_list
from kws.data.embedded.recording import BLOCK, ENGINE_BLOCK, record
from kws.data.embedded.sentences import WORDS
from kws.data.embedded.voices import generator
from kws.data.protocols import V2_WORDS
from kws.errors import UsageError

ACCENT, VARIANT = "gmw/en-US", "f4"
RATE, PITCH, RANGE = 140, 50, 50  # words a minute; of 99, of 99
TOGETHER = 100  # phrases that one engine speaks
SILENCE = "_"
LONGEST = 3  # words of a phrase
HELD_OUT = 24  # words that no training phrase has
SAYABLE = re.compile(r"[A-Za-z0-9 ,.!?'-]")
SPOKEN = re.compile("[A-Za-z0-9]")
# sounds that the sentences of `kws.data.embedded.sentences` have rarely or never
RARE = read_list("rare")
SYMBOLS = read_list("symbols")  # sounds of the engine's English, in the phrases of `phrase_texts`
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}  # 0 is padding


@dataclass(frozen=True)
class Phoneme:
    """A sound of the engine, by its own name, and its stress: 0 none, 1 secondary, 2 primary."""

    symbol: str
    stress: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Phrase:
    """A spoken phrase: `starts` are seconds from the start of `waveform`, float32 at 16 kHz."""

    text: str
    phonemes: tuple[Phoneme, ...]
    starts: tuple[float, ...]
    waveform: np.ndarray


def speak_phrases(texts: Sequence[str], *, seed: int = 0) -> list[Phrase]:
    """Speak each text; the same list gives the same samples. UsageError if it cannot be spoken."""
    for text in texts:
        check_text(text)
    phrases: list[Phrase] = []
    with tempfile.TemporaryDirectory() as scratch:
        for at in range(0, len(texts), TOGETHER):
            some = texts[at : at + TOGETHER]
            requests = [
                Utterance(text=_sentence(text), rate=RATE, pitch=PITCH, range=RANGE)
                for text in some
            ]
            spoken = speak_with_events(
                ACCENT,
                stock_variants()[VARIANT],
                requests,
                seed=seed + at + 1,
                scratch=Path(scratch),
            )
            waves = record([samples for samples, _ in spoken], None)
            for text, (samples, events), wave in zip(some, spoken, waves, strict=True):
                wave = wave[: len(samples) * BLOCK // ENGINE_BLOCK].astype(np.float32)
                phonemes, starts = phonemes_of(events)
                phrase = Phrase(text=text, phonemes=phonemes, starts=starts, waveform=wave)
                phrases.append(phrase)
    return phrases


def check_text(text: str) -> None:
    """Raise UsageError for text that the voice cannot speak, naming the part."""
    if not text.strip():
        raise UsageError("the text is empty: write what is to be said")
    for letter in text:
        if not SAYABLE.match(letter):
            raise UsageError(
                f"{letter!r} in {text!r} cannot be said: write letters a to z, digits and ,.!?'-"
            )
    if not SPOKEN.search(text):
        raise UsageError(f"{text!r} has no word in it: write what is to be said")


def _sentence(text: str) -> str:
    """The engine lowers its voice at the end of a sentence, so let every phrase be one."""
    return text if text.rstrip()[-1] in ".!?" else f"{text}."


def phonemes_of(events: Sequence[SpeechEvent]) -> tuple[tuple[Phoneme, ...], tuple[float, ...]]:
    """The phonemes of an utterance, silence in front included, and when each begins, in seconds."""
    phonemes, starts = [Phoneme(SILENCE, 0)], [0.0]
    for event in events:
        if event.kind != "phoneme":
            continue
        symbol = event.phoneme.lstrip("',")
        if symbol.startswith(SILENCE):  # "_:" and "_|" are pauses of another length
            symbol = SILENCE
            if phonemes[-1].symbol == SILENCE:
                continue
        stress = {"'": 2, ",": 1}.get(event.phoneme[:1], 0)
        phonemes.append(Phoneme(symbol, stress))
        starts.append(event.sample / SAMPLE_RATE)
    return tuple(phonemes), tuple(starts)


def numbers_of(phonemes: Sequence[Phoneme], text: str) -> Int[Tensor, "U 2"]:
    """Pairs (symbol, stress); UsageError for a sound that no training phrase has."""
    for phoneme in phonemes:
        if phoneme.symbol not in NUMBERS:
            raise UsageError(
                f"the sound {phoneme.symbol!r} in {text!r} was not in the training: use other words"
            )
    return torch.tensor([[NUMBERS[one.symbol], one.stress] for one in phonemes])


def phrase_texts(count: int, split: str, *, seed: int | str = 0) -> list[str]:
    """`count` phrases of 1 to LONGEST words, none of them a keyword or of the other split."""
    words = phrase_words()[split]
    rng = generator(seed, "phrases", split)
    return [
        " ".join(words[int(i)] for i in rng.integers(len(words), size=rng.integers(1, LONGEST + 1)))
        for _ in range(count)
    ]


def phrase_words() -> dict[str, tuple[str, ...]]:
    words = sorted({*WORDS["training"], *WORDS["testing"], *RARE} - {*V2_WORDS})
    common = [word for word in words if word not in RARE]
    held = {common[i] for i in generator("held out").permutation(len(common))[:HELD_OUT]}
    return {
        "training": tuple(word for word in words if word not in held),
        "testing": tuple(sorted(held)),
    }
