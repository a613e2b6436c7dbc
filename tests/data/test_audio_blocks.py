"""Audio block by block equals audio read whole, from a file, a microphone or a pipe."""

import io
import itertools

import numpy as np
import pytest
import soundfile
import torch

from kws.audio.recordings import read_audio, write_audio
from kws.audio.resampling import StreamResampler, resample, resample_blocks
from kws.data.audio_blocks import PcmPipe, file_blocks, live_blocks
from kws.errors import UsageError

# The same sums in another order of blocks: float32 rounding of at most 100 products below 1.
ROUNDING = 1e-6


class FileAsMicrophone:
    """A recording with the `read` of sounddevice's InputStream."""

    def __init__(self, path):
        self.file = soundfile.SoundFile(path)
        self.samplerate = float(self.file.samplerate)

    def read(self, frames, /):
        return self.file.read(frames, "float32", always_2d=True), False


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) - 0.5


def joined(blocks) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(blocks)))


def pieces(waveform: torch.Tensor, *cuts: int) -> list[torch.Tensor]:
    edges = [0, *cuts, len(waveform)]
    return [waveform[a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_a_resampled_stream_equals_the_whole_resampled(rate):
    whole = noise(rate + 77)
    blocks = resample_blocks([part.numpy() for part in pieces(whole, 0, 1, 300, 1001, 5000)], rate)
    expected = resample(whole, rate, 16_000)
    torch.testing.assert_close(joined(blocks), expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 1)])
def test_a_file_and_a_microphone_in_blocks_equal_the_file_read_whole(
    tmp_path, monkeypatch, rate, channels
):
    monkeypatch.setattr("kws.data.audio_blocks.FILE_SAMPLES", 16_000)
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(3 * rate * channels).view(-1, channels).numpy(), rate)
    blocks = list(file_blocks(path, resample=True))
    assert len(blocks) >= 3
    whole = read_audio(path, resample=True)
    torch.testing.assert_close(joined(blocks), whole, rtol=0, atol=ROUNDING)
    received = joined(live_blocks(FileAsMicrophone(path)))
    torch.testing.assert_close(received, whole, rtol=0, atol=ROUNDING)


def test_a_pipe_is_a_microphone_and_the_resampler_holds_no_more_than_it_needs():
    samples = (1000 * np.sin(np.arange(4001))).astype("<i2")
    received = joined(live_blocks(PcmPipe(io.BytesIO(samples.tobytes() + b"\0").read)))
    assert torch.equal(received, torch.from_numpy(samples.astype(np.float32) / 32_768))
    stream = StreamResampler(44_100)
    for _ in range(20):
        stream.push(noise(4410))
        assert len(stream.held) < 4410


def test_what_is_wrong_with_a_file_is_told_in_a_sentence(tmp_path):
    write_audio(tmp_path / "fast.wav", noise(900), 44_100)
    with pytest.raises(UsageError, match=r"fast\.wav: 44100 Hz with 1 channel.*--resample"):
        file_blocks(tmp_path / "fast.wav")
    with pytest.raises(UsageError, match=r"none\.wav: no such file"):
        file_blocks(tmp_path / "none.wav")
