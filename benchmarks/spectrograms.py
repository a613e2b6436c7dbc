"""A picture of a dozen embedded clips beside recordings of people: docs/spectrograms.png.

    KWS_REAL_DATA=FOLDER python benchmarks/spectrograms.py [OUT]

People are the clips of speech_commands_excerpt in FOLDER. A fixed seed draws the clips, nobody
chose them. A table says what a picture shows only roughly, as medians over 700 clips of each kind;
the last line is that table as JSON.
"""

import os
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image
from report import finish, print_table

from kws.audio.features import pad_or_trim
from kws.audio.recordings import read_audio
from kws.data.embedded.corpus import make_corpus

WORDS = (
    "backward", "cat", "down", "eight", "five", "go",
    "happy", "marvin", "seven", "six", "three", "yes",
)  # fmt: skip
COLUMNS = 6
WINDOW, HOP = 400, 80  # 25 and 5 ms
COLORS = 48  # in the picture, to keep it small
RANGE = 80  # dB below the loudest point


def pick(rng: np.random.Generator, paths: list[Path], count: int) -> list[Path]:
    """`count` different ones of `paths`."""
    return [paths[i] for i in rng.permutation(len(paths))[:count]]


def power(waveform: np.ndarray) -> np.ndarray:
    """Power spectrogram (T, 201) of a waveform (N,) at 16 kHz: 40 Hz and 5 ms a step."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    return np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2


def measures(waveform: np.ndarray) -> dict[str, float]:
    """What distinguishes a clip: peak in dBFS, length of the word in s, and ratios in dB."""
    spectrum = power(waveform) + 1e-9
    level = 10 * np.log10(spectrum.sum(1))
    loud, quiet = np.percentile(level, (97, 8))
    voiced = np.flatnonzero(level > max(loud - 25, (loud + quiet) / 2))
    speech = spectrum[level > loud - 12].mean(0)
    return {
        "peak_dbfs": 20 * np.log10(np.abs(waveform).max() + 1e-9),
        "word_seconds": (voiced[-1] - voiced[0]) * HOP / 16000,
        "loud_to_quiet_db": loud - quiet,
        "above_4_khz_db": 10 * np.log10(speech[100:].sum() / speech[:100].sum()),
    }


def draw(waveforms: dict[str, list[np.ndarray]], out: Path) -> None:
    """One panel a clip, embedded above people, in dB below the loudest point of the clip."""
    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = 2 * len(WORDS) // COLUMNS
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(12, 8), sharex=True, sharey=True)
    for kind, (name, clips) in enumerate(waveforms.items()):
        for i, (word, clip) in enumerate(zip(WORDS, clips, strict=True)):
            axis = axes[2 * (i // COLUMNS) + kind, i % COLUMNS]
            decibels = 10 * np.log10(power(clip) + 1e-9)
            extent = (0, len(clip) / 16000, 0, 8)
            top = decibels.max()
            axis.imshow(
                decibels.T, origin="lower", aspect="auto", extent=extent, vmin=top - RANGE, vmax=top
            )
            axis.set_title(f"{word} · {name}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("time, s")
    for axis in axes[:, 0]:
        axis.set_ylabel("frequency, kHz")
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(72)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    Image.fromarray(pixels).quantize(COLORS).save(out, optimize=True)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/spectrograms.png")
    if "KWS_REAL_DATA" not in os.environ:
        finish({"skipped": "set KWS_REAL_DATA to a folder that holds speech_commands_excerpt"})
        return
    people = Path(os.environ["KWS_REAL_DATA"], "speech_commands_excerpt")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        embedded = make_corpus(Path(folder, "words"), size="tiny", noise_seconds=1)
        pictures, rows = {}, {}
        for name, corpus in {"embedded": embedded, "people": people}.items():
            chosen = [pick(rng, sorted(corpus.glob(f"{word}/*.wav")), 1)[0] for word in WORDS]
            pictures[name] = [pad_or_trim(read_audio(path)).numpy() for path in chosen]
            sample = pick(rng, sorted(corpus.glob("*/*_nohash_*.wav")), 700)
            found = [measures(pad_or_trim(read_audio(path)).numpy()) for path in sample]
            rows[name] = {key: float(np.median([one[key] for one in found])) for key in found[0]}
    draw(pictures, out)
    print(f"wrote {out}, {out.stat().st_size / 1000:.0f} kB")
    headers = list(rows["embedded"])
    print_table(["median of", *headers], [[name, *row.values()] for name, row in rows.items()])
    finish({f"{name}_{key}": value for name, row in rows.items() for key, value in row.items()})


if __name__ == "__main__":
    main()
