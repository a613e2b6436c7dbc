"""Reading, writing, resampling and trimming."""

import math
import struct

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from kws.audio import SAMPLE_RATE, read_audio, resample, to_int16, write_audio
from kws.errors import UsageError
from tests.tolerances import ROUNDING


@pytest.fixture
def waveform():
    return torch.randint(-(1 << 15), 1 << 15, (1601,)) / 2**15


def wav_bytes(tmp_path, samples=1601):
    path = tmp_path / "whole.wav"
    write_audio(path, torch.rand(samples) - 0.5)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_writing_and_reading_16_bit_changes_nothing(tmp_path, waveform, suffix):
    write_audio(tmp_path / f"clip{suffix}", waveform)
    assert torch.equal(read_audio(tmp_path / f"clip{suffix}"), waveform)
    assert soundfile.info(tmp_path / f"clip{suffix}").format == suffix[1:].upper()


def test_read_gives_contiguous_float32(tmp_path, waveform):
    write_audio(tmp_path / "clip.wav", waveform)
    read = read_audio(str(tmp_path / "clip.wav"))
    assert read.dtype == torch.float32
    assert read.is_contiguous()


def test_write_clips_and_rounds(tmp_path):
    assert to_int16(torch.tensor([2.0, -2.0, 0.6 / 2**15, -0.4 / 2**15])).tolist() == [
        32767,
        -32768,
        1,
        0,
    ]


def test_write_refuses_nan_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="NaN"):
        write_audio(tmp_path / "clip.wav", torch.tensor([0.0, math.nan]))
    assert not list(tmp_path.iterdir())


def test_write_keeps_the_sample_rate(tmp_path):
    write_audio(tmp_path / "clip.wav", torch.zeros(80), 8_000)
    assert soundfile.info(tmp_path / "clip.wav").samplerate == 8_000


def test_floating_point_overshoot_is_clipped(tmp_path):
    soundfile.write(tmp_path / "clip.wav", np.array([1.5, -1.5, 0.25]), SAMPLE_RATE, "FLOAT")
    assert read_audio(tmp_path / "clip.wav").tolist() == [1.0, -1.0, 0.25]


def test_odd_sized_chunks_before_the_samples_are_skipped(tmp_path, waveform):
    write_audio(tmp_path / "clip.wav", waveform)
    data = (tmp_path / "clip.wav").read_bytes()
    note = b"note" + struct.pack("<I", 3) + b"abc\0"  # padded to an even size
    (tmp_path / "noted.wav").write_bytes(data[:36] + note + data[36:])
    assert torch.equal(read_audio(tmp_path / "noted.wav"), waveform)


def test_a_wav_written_to_a_pipe_is_read(tmp_path, waveform):
    write_audio(tmp_path / "clip.wav", waveform)
    data = bytearray((tmp_path / "clip.wav").read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "piped.wav").write_bytes(data)
    assert torch.equal(read_audio(tmp_path / "piped.wav"), waveform)


def broken(tmp_path, name):
    """A broken recording of the given kind, and two fragments of the sentence it deserves."""
    path = tmp_path / "clip.wav"
    whole = wav_bytes(tmp_path)
    if name == "empty":
        path.write_bytes(b"")
        return path, "empty (0 bytes)", "download it again"
    if name == "pointer":
        oid = "0" * 64
        path.write_text(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 32044\n"
        )
        return path, "git-LFS pointer", "git lfs pull"
    if name == "truncated":
        path.write_bytes(whole[:-2])
        return path, "promises 3202 bytes of samples and 3200 are there", "download it again"
    if name == "header only":
        path.write_bytes(whole[:30])
        return path, "before its first sample", "download it again"
    if name == "truncated flac":
        path = tmp_path / "clip.flac"
        write_audio(path, torch.rand(16_000) - 0.5)
        path.write_bytes(path.read_bytes()[:9_000])
        return path, "clip.flac", "download it again"
    if name == "text":
        path.write_text("this is not a recording\n" * 9)
        return path, "not audio", "wav or flac"
    if name == "no samples":
        soundfile.write(path, np.zeros(0), SAMPLE_RATE)
        return path, "holds no samples", "delete it"
    if name == "nan":
        soundfile.write(path, np.array([0.0, np.nan]), SAMPLE_RATE, "FLOAT")
        return path, "NaN", "16-bit PCM"
    if name == "missing":
        return path, "no such file", "check the path"
    path.mkdir()
    return path, "a folder", "audio file"


KINDS = "empty,pointer,truncated,header only,truncated flac,text,no samples,nan,missing,folder"


@pytest.mark.parametrize("name", KINDS.split(","))
@pytest.mark.parametrize("resampling", [False, True])
def test_broken_file_is_named_in_one_sentence_with_a_cure(tmp_path, name, resampling):
    path, fact, cure = broken(tmp_path, name)
    with pytest.raises(UsageError) as caught:
        read_audio(path, resample=resampling)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fact in message
    assert cure in message
    assert "\n" not in message


def test_another_rate_and_stereo_are_refused_with_both_numbers(tmp_path):
    soundfile.write(tmp_path / "clip.wav", np.zeros((441, 2)), 44_100)
    with pytest.raises(UsageError, match=r"44100 Hz with 2 channels.*resample=True"):
        read_audio(tmp_path / "clip.wav")


def test_resample_true_mixes_and_converts(tmp_path):
    time = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "clip.wav", np.stack([tone, tone * 0.5], 1), 44_100, "FLOAT")
    read = read_audio(tmp_path / "clip.wav", resample=True)
    expected = 0.375 * torch.sin(2 * math.pi * 440 * torch.arange(16_000) / 16_000)
    assert read.shape == (16_000,)
    # a finite filter: its ripple in the pass band stays below 60 dB
    assert (read - expected)[200:-200].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("orig", "new"),
    [(44_100, 16_000), (8_000, 16_000), (22_050, 16_000), (48_000, 16_000), (7, 5)],
)
def test_resample_equals_torchaudio(orig, new):
    x = torch.randn(1_237, dtype=torch.float64)
    theirs = torchaudio.functional.resample(x, orig, new, lowpass_filter_width=16)
    torch.testing.assert_close(resample(x, orig, new), theirs, atol=ROUNDING, rtol=0)


def test_resample_takes_ratios_without_a_common_divisor_in_blocks():
    x = torch.sin(2 * math.pi * 440 * torch.arange(44_101, dtype=torch.float64) / 44_101)
    y = resample(x, 44_101, 16_000)
    expected = torch.sin(2 * math.pi * 440 * torch.arange(16_000, dtype=torch.float64) / 16_000)
    assert y.shape == (16_000,)
    # as above: the ripple of a finite filter
    assert (y - expected)[200:-200].abs().max() < 1e-3


def test_resample_removes_what_the_new_rate_cannot_hold():
    x = torch.sin(2 * math.pi * 9_500 * torch.arange(44_100, dtype=torch.float64) / 44_100)
    # the side lobes of a Hann window: 44 dB down
    assert resample(x, 44_100, 16_000)[200:-200].abs().max() < 1e-2


def test_resample_keeps_the_same_rate_untouched():
    x = torch.randn(37)
    assert torch.equal(resample(x, 16_000, 16_000), x)


def test_resample_refuses_a_rate_of_zero():
    with pytest.raises(ValueError, match="orig=0"):
        resample(torch.zeros(3), 0, 16_000)
