"""Reading, writing, resampling and trimming."""

import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from kws.audio.recordings import SAMPLE_RATE, read_audio, to_int16, write_audio
from kws.audio.resampling import resample
from kws.errors import UsageError
from tests.tolerances import ROUNDING


@pytest.fixture
def waveform():
    return torch.randint(-(1 << 15), 1 << 15, (1601,)) / 2**15


def keep(change):
    """A recording made of the bytes of a whole one."""
    return lambda path, whole: path.write_bytes(change(whole))


def sound(samples, subtype="PCM_16"):
    """A recording made of these samples."""
    return lambda path, _: soundfile.write(path, np.array(samples), SAMPLE_RATE, subtype)


def damaged_mp3(path, _):
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 32_000), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[:2000] + bytes(range(256)) * 12 + path.read_bytes()[5000:])


LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 32044\n"
BROKEN = {  # name: how it is made, what is wrong, the cure
    "empty": (keep(lambda whole: b""), "empty (0 bytes)", "download it again"),
    "pointer": (keep(lambda whole: LFS_POINTER.encode()), "git-LFS pointer", "git lfs pull"),
    "truncated": (
        keep(lambda whole: whole[:-2]),
        "promises 3202 bytes of samples and 3200 are there",
        "download it again",
    ),
    "header": (keep(lambda whole: whole[:30]), "before its first sample", "download it again"),
    "text": (keep(lambda whole: b"not a recording\n" * 9), "not audio", "wav or flac"),
    "text.mp3": (keep(lambda whole: b"not a recording\n" * 40), "not audio", "wav or flac"),
    "damaged.mp3": (damaged_mp3, "damaged or cut short", "download it again"),
    "no samples": (sound(()), "contains no samples", "delete it"),
    "nan": (sound((0.0, math.nan), "FLOAT"), "NaN", "16-bit PCM"),
    "missing": (lambda path, _: None, "no such file", "check the path"),
    "folder": (lambda path, _: path.mkdir(), "a folder", "audio file"),
    "truncated.flac": (keep(lambda whole: whole[:9_000]), "clip.flac", "download it again"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("resampling", [False, True])
def test_broken_file_is_named_in_one_sentence_with_a_cure(tmp_path, name, resampling, capfd):
    make, fact, cure = BROKEN[name]
    path = tmp_path / f"clip{Path(name).suffix or '.wav'}"
    write_audio(path, torch.rand(16_000 if "flac" in name else 1_601) - 0.5)
    whole = path.read_bytes()
    path.unlink()
    make(path, whole)
    with pytest.raises(UsageError) as caught:
        read_audio(path, resample=resampling)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fact in message
    assert cure in message
    assert "\n" not in message
    assert capfd.readouterr().err == "", "a decoder talks as well"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_writing_and_reading_16_bit_changes_nothing(tmp_path, waveform, suffix):
    no_text = "\udcff" * (sys.platform == "linux")  # not UTF-8: others refuse it
    path = tmp_path / f"clip{no_text}{suffix}"
    write_audio(path, waveform)
    read = read_audio(str(path))
    assert torch.equal(read, waveform)
    assert read.dtype == torch.float32
    assert read.is_contiguous()
    assert path.read_bytes()[:4] == {".wav": b"RIFF", ".flac": b"fLaC"}[suffix]


def test_writing_clips_rounds_keeps_the_rate_and_refuses_nan_as_reading_clips(tmp_path):
    with pytest.raises(ValueError, match="NaN"):
        write_audio(tmp_path / "clip.wav", torch.tensor([0.0, math.nan]))
    assert not list(tmp_path.iterdir())
    write_audio(tmp_path / "clip.wav", torch.zeros(80), 8_000)
    assert soundfile.info(tmp_path / "clip.wav").samplerate == 8_000
    rounded = to_int16(torch.tensor([2.0, -2.0, 0.6 / 2**15, -0.4 / 2**15]))
    assert rounded.tolist() == [32767, -32768, 1, 0]
    soundfile.write(tmp_path / "clip.wav", np.array([1.5, -1.5, 0.25]), SAMPLE_RATE, "FLOAT")
    assert read_audio(tmp_path / "clip.wav").tolist() == [1.0, -1.0, 0.25]


def with_note(data):
    return data[:36] + b"note" + struct.pack("<I", 3) + b"abc\0" + data[36:]  # padded to be even


@pytest.mark.parametrize("change", [with_note, lambda data: data[:40] + b"\xff" * 4 + data[44:]])
def test_chunks_before_the_samples_and_the_unknown_length_of_a_pipe_are_read(
    tmp_path, waveform, change
):
    path = tmp_path / "clip.wav"
    write_audio(path, waveform)
    path.write_bytes(change(path.read_bytes()))
    assert torch.equal(read_audio(path), waveform)


def test_resample_true_mixes_and_converts(tmp_path):
    time = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "clip.wav", np.stack([tone, tone * 0.5], 1), 44_100, "FLOAT")
    with pytest.raises(UsageError, match=r"44100 Hz with 2 channels.*--resample"):
        read_audio(tmp_path / "clip.wav")
    read = read_audio(tmp_path / "clip.wav", resample=True)
    expected = 0.375 * torch.sin(2 * math.pi * 440 * torch.arange(16_000) / 16_000)
    assert read.shape == (16_000,)
    # a finite filter: its ripple in the pass band stays below 60 dB
    assert (read - expected)[200:-200].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("orig", "new"), [(44_100, 16_000), (8_000, 16_000), (22_050, 16_000), (48_000, 16_000), (7, 5)]
)
def test_resample_equals_torchaudio(orig, new):
    x = torch.randn(1_237, dtype=torch.float64)
    theirs = torchaudio.functional.resample(x, orig, new, lowpass_filter_width=16)
    torch.testing.assert_close(resample(x, orig, new), theirs, atol=ROUNDING, rtol=0)
    assert torch.equal(resample(x, orig, orig), x)
    with pytest.raises(ValueError, match="orig=0"):
        resample(x, 0, new)


def test_resample_removes_what_the_new_rate_cannot_hold_and_takes_any_ratio():
    x = torch.sin(2 * math.pi * 9_500 * torch.arange(44_100, dtype=torch.float64) / 44_100)
    # the side lobes of a Hann window: 44 dB down
    assert resample(x, 44_100, 16_000)[200:-200].abs().max() < 1e-2
    x = torch.sin(2 * math.pi * 440 * torch.arange(44_101, dtype=torch.float64) / 44_101)
    y = resample(x, 44_101, 16_000)
    expected = torch.sin(2 * math.pi * 440 * torch.arange(16_000, dtype=torch.float64) / 16_000)
    assert y.shape == (16_000,)
    # as above: the ripple of a finite filter
    assert (y - expected)[200:-200].abs().max() < 1e-3
