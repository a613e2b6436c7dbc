"""Six background recordings, like those of Speech Commands: three kinds of noise, a machine,
dishes, and babble.

Shape letters: N samples
"""

import numpy as np

from kws.data.embedded.recording import SAMPLE_RATE, noise

PEAK = 0.5  # of full scale
BABBLE_TEXT = (
    "the morning train was late again and nobody on the platform seemed to mind"
    " because the sun had come out"
)


def backgrounds(
    rng: np.random.Generator, num_samples: int, chatter: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Name to recording (N,); `chatter` are the voices (of any length, 16 kHz) in the babble."""
    t = np.arange(num_samples) / SAMPLE_RATE
    seconds = np.arange(num_samples // SAMPLE_RATE + 2)
    recordings = {
        "babble": babble(rng, num_samples, chatter),
        "doing_the_dishes": dishes(rng, num_samples),
        "exercise_bike": noise(rng, num_samples, 1.3) * (1 + 0.8 * np.sin(10 * t + np.sin(0.6 * t)))
        + 0.3 * np.sin(2 * np.pi * 97 * t),
        "pink_noise": noise(rng, num_samples, 1.0),
        "running_tap": noise(rng, num_samples, 0.4)
        * np.interp(t, seconds, 1 + 0.2 * rng.standard_normal(len(seconds))),
        "white_noise": noise(rng, num_samples, 0.0),
    }
    return {name: PEAK * wave / np.abs(wave).max() for name, wave in recordings.items()}


def dishes(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Four clinks a second, each a ringing tone that dies away, over running water."""
    wave = 0.1 * noise(rng, num_samples, 0.8)
    t = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    for _ in range(4 * num_samples // SAMPLE_RATE):
        start = rng.integers(num_samples - len(t))
        loudness, decay, frequency = rng.uniform((0.2, 30, 800), (2, 120, 5500))
        wave[start : start + len(t)] += (
            loudness * np.exp(-decay * t) * np.sin(2 * np.pi * frequency * t)
        )
    return wave


def babble(rng: np.random.Generator, num_samples: int, chatter: list[np.ndarray]) -> np.ndarray:
    """Every voice talks without end, from a place of its own and around again, over noise."""
    wave = 0.05 * noise(rng, num_samples, 1.0)
    for voice in chatter:
        wave += np.resize(np.roll(voice, rng.integers(len(voice))), num_samples)
    return wave
