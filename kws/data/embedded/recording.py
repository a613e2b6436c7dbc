"""From a voice to a recording of it: microphone, room, background noise, level, place in the clip.

All of it is filtering in the frequency domain. Going from the engine's 22,050 Hz to 16,000 Hz is
exact there: 441 samples become 320, so the first 160 of every 441/2 bins of a transform over a
multiple of 441 samples are kept and the others dropped.

Shape letters: B clips   N samples
"""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.audio import FULL_SCALE, SAMPLE_RATE

ENGINE_BLOCK, BLOCK = 441, 320  # samples in the same 20 ms at 22,050 and at 16,000 Hz
# Hz, where a microphone's gain is drawn
FREQUENCIES = (0, 125, 250, 500, 1000, 2000, 3000, 4000, 6000, 8000)
# dB: the engine is dull above 4.5 kHz, people are not
TYPICAL_GAINS = (0, 0, 0, 0, 0, -2, -4, -2, 6, -3)
ROOM_SAMPLES = SAMPLE_RATE * 4 // 10  # 0.4 s of reverberation
LOUDEST_SILENCE = 300  # of 32,768


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A microphone in a room: gains in dB, cut-offs in Hz, times in s; slope 0 is white noise."""

    gains: tuple[float, ...]
    highpass: float
    lowpass: float
    reverberation: float
    predelay: float
    direct_to_reverberant: float
    room_seed: int
    noise_slope: float
    signal_to_noise: float


def draw_setup(rng: np.random.Generator) -> Setup:
    """A microphone, a room and a noise floor, from a headset to a laptop across the table."""
    tilt = rng.normal(0, 1.5)  # dB per octave
    octaves = np.log2(np.maximum(FREQUENCIES, 100) / 1000)
    gains = rng.normal(TYPICAL_GAINS, 3) + tilt * octaves
    return Setup(
        gains=tuple(round(float(gain), 2) for gain in gains),
        highpass=rng.uniform(40, 180),
        lowpass=rng.uniform(4500, 8500),
        reverberation=rng.uniform(0.08, 0.5),
        predelay=rng.uniform(0.002, 0.012),
        direct_to_reverberant=rng.uniform(3, 25),
        room_seed=int(rng.integers(1 << 31)),
        noise_slope=rng.uniform(0.3, 2.3),
        signal_to_noise=rng.uniform(12, 72),
    )


def smooth(number: int) -> int:
    """The next product of 2, 3 and 5: a length that a fast transform is fast for.

    >>> smooth(1001)
    1024
    """
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1


def microphone(setup: Setup, num_samples: int) -> np.ndarray:
    """Real response (N // 2 + 1,) of the microphone alone to a transform of N samples."""
    f = np.arange(num_samples // 2 + 1) * (SAMPLE_RATE / num_samples)
    gain = 10 ** (np.interp(f, FREQUENCIES, setup.gains) / 20)
    return gain * f**2 / (f**2 + setup.highpass**2) / np.sqrt(1 + (f / setup.lowpass) ** 12)


def response(setup: Setup, num_samples: int) -> np.ndarray:
    """Complex response (N // 2 + 1,) of microphone and room to a transform of N samples."""
    gain = microphone(setup, num_samples)
    rng = np.random.Generator(np.random.PCG64(setup.room_seed))
    t = np.arange(ROOM_SAMPLES) / SAMPLE_RATE
    tail = rng.standard_normal(ROOM_SAMPLES) * 10 ** (
        -3 * t / setup.reverberation
    )  # -60 dB at the end
    tail[t < setup.predelay] = 0
    tail *= 10 ** (-setup.direct_to_reverberant / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1
    return (gain * np.fft.rfft(tail, num_samples)).astype(np.complex64)


def record(spoken: list[np.ndarray], setup: Setup | None) -> list[np.ndarray]:
    """Utterances of the engine, int16 (N,) at 22,050 Hz, as recorded: float32 (N,) at 16 kHz.

    The echo lasts up to 0.4 s after the last word. Without a setup only the rate changes.
    """
    lengths = [len(samples) for samples in spoken]
    longest = max(lengths) + ROOM_SAMPLES * ENGINE_BLOCK // BLOCK
    blocks = smooth(-(-longest // ENGINE_BLOCK))
    waveform = np.zeros((len(spoken), blocks * ENGINE_BLOCK), np.float32)
    for row, samples in zip(waveform, spoken, strict=True):
        row[: len(samples)] = samples / np.float32(FULL_SCALE)
    bins = blocks * BLOCK // 2 + 1
    spectrum = np.fft.rfft(waveform)[:, :bins] * np.float32(BLOCK / ENGINE_BLOCK)
    if setup is not None:
        spectrum *= response(setup, blocks * BLOCK)
    filtered = np.fft.irfft(spectrum, blocks * BLOCK)
    tail = 0 if setup is None else ROOM_SAMPLES
    return [
        row[: -(-length * BLOCK // ENGINE_BLOCK) + tail]
        for row, length in zip(filtered, lengths, strict=True)
    ]


def trim(spoken: np.ndarray) -> np.ndarray:
    """`spoken` without the silence around it, where no sample exceeds LOUDEST_SILENCE."""
    loud = np.flatnonzero(np.abs(spoken.astype(np.int32)) > LOUDEST_SILENCE)
    return spoken[loud[0] : loud[-1] + 200] if len(loud) else spoken


def noise(
    rng: np.random.Generator, num_samples: int, slope: float, setup: Setup | None = None
) -> np.ndarray:
    """Gaussian noise (N,) of power 1, as recorded; -3 dB an octave per `slope`."""
    size = smooth(num_samples)
    f = np.arange(size // 2 + 1) * (SAMPLE_RATE / size)
    gain = np.maximum(f, 40) ** (-slope / 2)
    if setup is not None:
        gain *= microphone(setup, size)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    waveform = np.fft.irfft(spectrum * gain.astype(np.float32), size)[:num_samples]
    return (waveform / rms(waveform)).astype(np.float32)


def rms(waveform: np.ndarray) -> float:
    """Root of the mean square of `waveform`, never 0."""
    return float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2))) + 1e-9


def amplitude(decibels: float) -> float:
    """The factor of amplitude for a ratio in `decibels`.

    >>> amplitude(-20.0)
    0.1
    """
    return 10 ** (decibels / 20)


def write_wav(path: Path, clip: np.ndarray) -> None:
    """Write float samples in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, len(clip), "NONE", ""))
        # 1.0 is the largest sample, one below FULL_SCALE: published digests depend on these bytes
        file.writeframes(np.round(clip * (FULL_SCALE - 1)).astype("<i2").tobytes())
