"""Many speakers out of one neural voice: an optional second source of words for transfer.py.

    pip install hibari-tts==0.2.1

hibari (Apache-2.0, https://github.com/MMWilliams/hibari) was distilled from a voice of Kokoro-82M.
It lies in the wheel, nothing is downloaded. For each frame of 12.5 ms its network gives
spectral envelopes and a pitch; a speaker of ours reads them with another vocal tract (envelopes
stretched along frequency), pitch and melody, and perhaps with another language's habits.

Shape letters: K frequencies (601, in steps of 20 Hz)   T frames
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hibari import Hibari, dsp  # type: ignore[import-not-found]

from kws.data.building import in_parallel
from kws.data.corpus import as_clips, clip_name
from kws.data.recording import draw_setup, write_wav
from kws.data.voices import generator

OWN_RATE, OWN_BLOCK = 24_000, 480  # of hibari: samples in a second, and in 20 ms
RATE_BLOCK = 441  # samples in 20 ms at 22,050 Hz, which `as_clips` reads
PITCHES = {"woman": (0.85, 1.4), "man": (0.42, 0.8)}  # times the voice's own
TRACTS = {"woman": (0.95, 1.2), "man": (0.78, 0.97)}  # scale of the resonances
UNVOICED = 40  # Hz: below it there is no pitch
SPEEDS = (0.65, 0.75, 0.85, 1.0, 1.15, 1.3)
ENDINGS = ("", ".", "!", "?", ",")
HABITS = [
    "θs",
    "θf",
    "θt",
    "wv",
    "vf",
    "zs",
    "ɪi",
    "OQ",
    "ɹr",
    "ɹʁ",
    "ɾt",
    "ʌa",
    "æɛ",
]  # a phoneme, what becomes of it


def make_neural_words(
    out: Path, *, words: Sequence[str], speakers: int, takes: int, seed: int | str = 0
) -> None:
    """Write `takes` clips of each word by each of `speakers` into word folders in `out`."""
    engine = Hibari()
    phonemes = {word: engine.phonemize(f"{word}.")[0].rstrip(".") for word in words}
    spoken: dict[tuple[str, float], list[np.ndarray]] = {}  # what the network gave, by its input
    for word in words:
        (out / word).mkdir(parents=True, exist_ok=True)

    def say_all_words(number: int) -> None:
        rng = generator(seed, "neural", number)
        setup = draw_setup(rng)
        kind = "woman" if rng.random() < 0.45 else "man"
        pitch = math.exp(rng.uniform(*np.log(PITCHES[kind])))
        tract, melody = rng.uniform(*TRACTS[kind]), math.exp(rng.normal(0, 0.3))
        habits = rng.permutation(HABITS)[: rng.integers(0, 4)] if rng.random() < 0.5 else []
        takes_of_all = []
        for word in words:
            for _ in range(takes):
                text = phonemes[word]
                for habit in habits:
                    text = text.replace(habit[0], habit[1])
                text += rng.choice(ENDINGS)
                key = (text, float(rng.choice(SPEEDS)))
                if key not in spoken:
                    ids = np.asarray([engine.ids(text)], np.int64)
                    inputs = {"ids": ids, "speed": np.asarray([key[1]], np.float32)}
                    spoken[key] = [output[0] for output in engine.sess.run(None, inputs)]
                *envelopes, phase, curve = spoken[key]
                stretched = [stretch(x, tract * math.exp(rng.normal(0, 0.01))) for x in envelopes]
                curve = bend(curve, pitch * math.exp(rng.normal(0, 0.06)), melody)
                takes_of_all.append(to_engine_rate(dsp.synth(*stretched, phase, curve, rng)))
        for i, clip in enumerate(as_clips(takes_of_all, setup, rng)):
            write_wav(out / clip_name(words[i // takes], f"{number:08x}", i % takes), clip)

    in_parallel(say_all_words, range(speakers), workers=1, title="neural voice", progress=True)


def stretch(envelope: np.ndarray, factor: float) -> np.ndarray:
    """Move what is at frequency k of an envelope (K, T) to k · `factor`."""
    at = np.arange(len(envelope)) / factor
    below = np.minimum(at.astype(int), len(envelope) - 2)
    share = np.clip(at - below, 0, 1)[:, None].astype(np.float32)
    return np.ascontiguousarray(envelope[below] * (1 - share) + envelope[below + 1] * share)


def bend(curve: np.ndarray, factor: float, melody: float) -> np.ndarray:
    """Scale a pitch curve (T,) in Hz by `factor`, and its rise and fall by `melody`."""
    voiced = curve > UNVOICED
    bent = curve.astype(np.float64)
    if voiced.any():
        mean = np.exp(np.log(bent[voiced]).mean())
        bent[voiced] = np.clip(mean * factor * (bent[voiced] / mean) ** melody, 60, 500)
    return bent.astype(np.float32)


def to_engine_rate(waveform: np.ndarray) -> np.ndarray:
    """float (N,) at 24 kHz to int16 at 22,050 Hz, exactly as `kws.data.recording` goes on to 16."""
    blocks = -(-len(waveform) // OWN_BLOCK)
    padded = np.pad(waveform, (0, blocks * OWN_BLOCK - len(waveform)))
    spectrum = np.fft.rfft(padded)[: blocks * RATE_BLOCK // 2 + 1] * (RATE_BLOCK / OWN_BLOCK)
    samples = np.fft.irfft(spectrum, blocks * RATE_BLOCK)
    return np.round(samples * (23_000 / np.abs(samples).max())).astype(np.int16)
