"""A page for the tests in a browser, and what is spoken to it. Skips where there is no npm.

The model is made on the spot of the very recordings that are played: each class is a pattern of a
spectrogram, and its logit how well the pattern fits somewhere. What is tested is the page.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from kws.audio.features import log_mel
from kws.audio.recordings import read_audio, write_audio
from kws.audio.resampling import resample
from kws.data.protocols import COMMANDS
from kws.errors import UsageError
from kws.inference.waveform_graph import FromWaveform
from kws.inference.web_page import server_of, write_page
from kws.inference.web_runtime import runtime_files

LABELS = ("_silence_", "_unknown_", *COMMANDS)
SPOKEN = ("bed", *COMMANDS)  # in the order of the classes, after silence
PAUSE = 1.4  # seconds between words: a detection rests for 1.5
BEGIN = 2.0  # seconds before the first: opening the microphone takes a moment
FRAMES, SHARPNESS, SILENT = 36, 80, 0.8  # of the model
OTHERS = 6  # clips of another word
MEASURED = """2.00 h, n = 719 words
| 0.5 | 10.0 (7.2–11.4) | 20.0 (13.4–26.1) | 174.5 (133.2–224.7) |
| 0.9 | 30.0 (18.4–24.4) | 2.0 (1.7–7.9) | 5.8 (0.7–21.0) |
"""  # as in the card of the model that comes with kws


class Patterns(nn.Module):
    """Classes by the correlation with a pattern (frames × bands) at its best place.

    `_silence_` is what no pattern fits to a share of SILENT.
    """

    def __init__(self, patterns: list[torch.Tensor]):
        super().__init__()
        centered = [pattern - pattern.mean() for pattern in patterns]
        kernels = torch.stack([pattern.mT / pattern.norm() for pattern in centered])
        self.kernels = nn.Parameter(kernels)  # (C, F, frames)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x, width = mel.mT, self.kernels.shape[2]
        total, squares = (y.sum(1, keepdim=True).unfold(2, width, 1).sum(3) for y in (x, x * x))
        size = (squares - total.square() / self.kernels[0].numel() + 400).sqrt()
        fits = (nn.functional.conv1d(x, self.kernels) / size).amax(dim=2)
        return SHARPNESS * torch.cat([torch.full_like(fits[:, :1], SILENT), fits], dim=1)


def features(waveform):
    return log_mel(waveform, n_mels=40, floor=1e-4)


@pytest.fixture(scope="session")
def spoken(tiny_corpus) -> list[torch.Tensor]:
    """One recording of each word that is spoken."""
    return [read_audio(sorted((tiny_corpus / word).glob("*.wav"))[0]) for word in SPOKEN]


@pytest.fixture(scope="session")
def patterns(spoken) -> Patterns:
    """The loudest frames in a row of each recording."""
    found = []
    for word in spoken:
        mel = features(torch.nn.functional.pad(word, (0, 16_000 - len(word)))[None])[0]
        start = int(mel.mean(1).unfold(0, FRAMES, 1).sum(1).argmax())
        found.append(mel[start : start + FRAMES])
    return Patterns(found).eval()


def embeddings_of_bed(patterns, spoken) -> torch.Tensor:
    """What the last layer reads of the other word, at several levels."""
    bed = torch.nn.functional.pad(spoken[0], (0, 16_000 - len(spoken[0])))
    louder = torch.linspace(0.5, 1, OTHERS)[:, None] * bed
    with torch.inference_mode():
        return FromWaveform(patterns, features)(louder, torch.ones(OTHERS, 101, 40))[2]


@pytest.fixture(scope="session")
def web_page(patterns, spoken, tmp_path_factory) -> Path:
    try:
        runtime_files()
    except UsageError as error:
        pytest.skip(f"needs ONNX Runtime Web: {error}")
    folder, examples = tmp_path_factory.mktemp("web"), {}
    for word in ("up", "go", "bed"):
        write_audio(folder / f"{word}.wav", spoken[SPOKEN.index(word)])
        examples[word] = (folder / f"{word}.wav").read_bytes()
    return write_page(
        folder / "page",
        patterns,
        LABELS,
        features,
        examples=examples,
        measured=MEASURED,
        others=(["bed"] * OTHERS, embeddings_of_bed(patterns, spoken)),
    )


@pytest.fixture(scope="session")
def address(web_page) -> Iterator[str]:
    with server_of(web_page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def speech(spoken, tmp_path_factory) -> Path:
    """Every word once, in quiet noise, as a microphone of 48 kHz would record them."""
    noise = torch.Generator().manual_seed(0)

    def quiet(seconds: float) -> torch.Tensor:
        return 1e-3 * torch.randn(int(16_000 * seconds), generator=noise)

    parts = [quiet(BEGIN), *(part for word in spoken for part in (word, quiet(PAUSE)))]
    out = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_audio(out, resample(torch.cat(parts), 16_000, 48_000), 48_000)
    return out
