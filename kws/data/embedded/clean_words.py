"""Words of four voices in a quiet room, many clips of each: data for a small generative model.

The voices are the engine's, without microphone or room, with faint noise; repetitions differ in
rate, pitch, melody and start of the word. `kws.data.embedded.corpus`, with 120 voices and as many
rooms, is far harder to generate.

Shape letters: n clips   S = 16,000 samples
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.audio.recordings import CLIP_SAMPLES
from kws.data.embedded.espeak import SAMPLE_RATE as ENGINE_RATE
from kws.data.embedded.espeak import Utterance, speak, stock_variants
from kws.data.embedded.recording import record, trim
from kws.data.embedded.voices import generator
from kws.data.protocols import V2_WORDS
from kws.errors import UsageError
from kws.parallel import thread_map

ACCENT, VARIANTS = "gmw/en-US", ("f2", "f4", "m3", "m5")
RATES, PITCHES = (120, 170), (40, 60)  # words a minute; pitch and its range, of 99
LOUDNESS, NOISE = 0.7, 1e-3  # the highest sample, and the deviation of the noise
LATEST = 3_200  # samples before a word begins


def clean_words(
    repetitions: int = 30,
    *,
    seed: int | str = 0,
    words: Sequence[str] = V2_WORDS,
    progress: bool = True,
) -> tuple[Float[Tensor, "n S"], Int[Tensor, "n"]]:
    """Clips at 16 kHz, `repetitions` of each word by each of four voices, and places in `words`."""
    if repetitions < 1 or not words:
        raise UsageError(
            f"repetitions={repetitions} of {len(words)} words give no clips: choose 1 or more"
        )
    with tempfile.TemporaryDirectory() as scratch:

        def say_all(variant: str) -> list[np.ndarray]:
            rng = generator(seed, "clean words", variant)
            folder = Path(scratch) / variant
            folder.mkdir()
            requests = [
                Utterance(
                    text=f"{word}.",
                    rate=int(rng.integers(*RATES)),
                    pitch=int(rng.integers(*PITCHES)),
                    range=int(rng.integers(*PITCHES)),
                )
                for word in words
                for _ in range(repetitions)
            ]
            engine_seed = int(rng.integers(1 << 31))
            spoken = speak(
                ACCENT, stock_variants()[variant], requests, seed=engine_seed, scratch=folder
            )
            recorded = record([trim(samples)[:ENGINE_RATE] for samples in spoken], None)
            return [_clip(wave, rng) for wave in recorded]

        voices = thread_map(
            say_all, list(VARIANTS), workers=None, title="speaking clean words", progress=progress
        )
    clips = torch.from_numpy(np.stack([clip for voice in voices for clip in voice]))
    labels = torch.arange(len(words)).repeat_interleave(repetitions).repeat(len(VARIANTS))
    return clips, labels


def _clip(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wave = wave[:CLIP_SAMPLES] * (LOUDNESS / np.abs(wave).max())
    start = int(rng.integers(min(LATEST, CLIP_SAMPLES - len(wave)) + 1))
    clip = NOISE * rng.standard_normal(CLIP_SAMPLES)
    clip[start : start + len(wave)] += wave
    return clip.astype(np.float32)
