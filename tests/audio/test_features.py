"""Log-mel spectrograms and MFCC against torchaudio and by their own properties."""

import math

import pytest
import torch
import torchaudio

from kws.audio.features import (
    HOP,
    NUM_FREQS,
    WINDOW,
    deltas,
    filtered_power,
    log_mel,
    mel_db,
    mel_filterbank,
    mel_spectrogram,
    mfcc,
    pad_or_trim,
    speaker_log_mel,
    with_deltas,
)
from kws.audio.features_fast import FilteredPower
from kws.audio.silence import trim_silence
from kws.errors import UsageError
from tests.tolerances import ROUNDING


@pytest.fixture
def waveform(float64):
    return torch.randn(3, 4_001)


def their_mel(**kwargs):
    return torchaudio.transforms.MelSpectrogram(16_000, n_fft=WINDOW, hop_length=HOP, **kwargs)


@pytest.mark.parametrize(
    ("n_mels", "f_min", "f_max"), [(40, 20.0, 8000.0), (64, 0.0, 7600.0), (13, 50.0, 3800.0)]
)
def test_filterbank_equals_torchaudio(float64, n_mels, f_min, f_max):
    theirs = torchaudio.functional.melscale_fbanks(NUM_FREQS, f_min, f_max, n_mels, 16_000)
    ours = mel_filterbank(NUM_FREQS, n_mels, f_min, f_max)
    torch.testing.assert_close(ours, theirs, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(("n_mels", "f_min", "f_max"), [(40, 20.0, None), (23, 50.0, 7600.0)])
def test_log_mel_equals_torchaudio(waveform, n_mels, f_min, f_max):
    mel = their_mel(n_mels=n_mels, f_min=f_min, f_max=f_max)(waveform)
    ours = log_mel(waveform, n_mels=n_mels, f_min=f_min, f_max=f_max)
    torch.testing.assert_close(ours, (mel + 1e-6).log().mT, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("amin", [1e-10, 1e-2])
def test_mel_db_equals_torchaudio(waveform, amin):
    to_db = torchaudio.transforms.AmplitudeToDB("power")
    to_db.amin = amin
    theirs = to_db(their_mel(n_mels=23, f_min=20.0)(waveform)).mT
    torch.testing.assert_close(
        mel_db(waveform, n_mels=23, floor=amin), theirs, atol=ROUNDING, rtol=0
    )


@pytest.mark.parametrize(("window", "hop"), [(WINDOW, HOP), (512, 160), (400, 200), (801, 77)])
def test_other_windows_and_hops_equal_torchaudio(waveform, window, hop):
    melkwargs = {"n_fft": window, "hop_length": hop, "n_mels": 23, "f_min": 20.0}
    theirs = torchaudio.transforms.MelSpectrogram(16_000, **melkwargs)(waveform).mT
    ours = mel_spectrogram(waveform, n_mels=23, window=window, hop=hop)
    torch.testing.assert_close(ours, theirs, atol=ROUNDING, rtol=0)
    their_mfcc = torchaudio.transforms.MFCC(16_000, 13, log_mels=True, melkwargs=melkwargs)
    ours = mfcc(waveform, n_mfcc=13, n_mels=23, window=window, hop=hop)
    torch.testing.assert_close(ours, their_mfcc(waveform).mT, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(3, 4_001), (13, 16_000), (1, 16_000 * 12 + 77)])
def test_the_fast_twin_equals_the_formula(dtype, tolerance, shape):
    """Tolerances are relative to each frame's loudest band: sums in another order."""
    window = torch.hann_window(WINDOW, dtype=dtype)
    filterbank = mel_filterbank(NUM_FREQS, 23, 20.0, 7600.0).to(dtype)
    waveform = torch.randn(shape, dtype=dtype)
    fast = FilteredPower(window, filterbank, HOP)(waveform)
    formula = filtered_power(waveform, window, filterbank, HOP)
    assert ((fast - formula).abs() / formula.amax(2, keepdim=True)).max() < tolerance


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_deltas_equal_torchaudio(reach):
    features = torch.randn(2, 7, 3, dtype=torch.float64)
    theirs = torchaudio.functional.compute_deltas(features.mT, 2 * reach + 1).mT
    torch.testing.assert_close(deltas(features, reach), theirs, atol=ROUNDING, rtol=0)


def test_the_deltas_of_a_line_are_its_slope_and_then_zero():
    line = 3.0 * torch.arange(11.0)[None, :, None] + torch.tensor([1.0, 5.0])
    found = with_deltas(line, 2)
    assert found.shape == (1, 11, 6)
    torch.testing.assert_close(found[:, :, :2], line)
    torch.testing.assert_close(found[:, 2:-2, 2:4], torch.full((1, 7, 2), 3.0))
    torch.testing.assert_close(found[:, 4:-4, 4:], torch.zeros(1, 3, 2))


def test_float32_is_close_to_float64_and_autocast_leaves_the_features_alone():
    x = torch.randn(3, 16_000) / 10
    # the power is right to 1e-5 of itself after sums of 400 products in float32, and so its log
    torch.testing.assert_close(log_mel(x), log_mel(x.double()).float(), atol=1e-4, rtol=0)
    x = torch.randn(2, 1_000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_mel(x), log_mel(x.clone()))
        inside = mfcc(x)
    assert torch.equal(inside, mfcc(x))


def test_speaker_features_equal_the_homework_definition_at_any_level():
    x = torch.cat([torch.zeros(4_000), torch.randn(9_001) / 20, torch.zeros(8_000)])
    loud = trim_silence(x * 10 ** (-3 / 20) / x.abs().max())
    mel = their_mel(n_mels=40, f_min=50.0).double()(loud.double()).mT
    ours = speaker_log_mel(x)
    assert ours.dtype == torch.float32
    # float32 against float64, where the log enlarges the rounding of quiet frames
    torch.testing.assert_close(ours.double(), (mel + 1e-9).log(), atol=1e-3, rtol=0)
    assert len(ours) < 1 + len(x) // HOP
    x = torch.randn(9_001, dtype=torch.float64)
    torch.testing.assert_close(speaker_log_mel(x), speaker_log_mel(x / 500))


@pytest.mark.parametrize("samples", [201, 16_000, 16_159, 16_160])
def test_frames_are_centered_every_hop(samples):
    assert log_mel(torch.randn(2, samples)).shape == (2, 1 + samples // HOP, 40)


def test_a_tone_is_loudest_in_its_filter_and_silence_the_logarithm_of_the_floor(float64):
    n = torch.arange(16_000)
    filters = mel_filterbank(NUM_FREQS, 40, 20.0, 8000.0)
    for band in (7, 23, 37):
        hz = 40.0 * filters[:, band].argmax()
        mel = log_mel(torch.sin(2 * math.pi * hz * n / 16_000)[None])
        assert mel[0, 50].argmax() == band
    floor = log_mel(torch.zeros(2, 1_000), floor=1e-4)
    torch.testing.assert_close(floor, torch.full_like(floor, math.log(1e-4)))


def test_batches_and_recordings_longer_than_a_block_are_the_same(float64):
    many, long = torch.randn(13, 16_000), torch.randn(1, 16_000 * 12 + 77)
    torch.testing.assert_close(
        log_mel(many), torch.cat([log_mel(row[None]) for row in many]), atol=ROUNDING, rtol=0
    )
    theirs = their_mel(n_mels=40, f_min=20.0)(long)
    torch.testing.assert_close(log_mel(long), (theirs + 1e-6).log().mT, atol=ROUNDING, rtol=0)


def test_gradient_reaches_the_waveform(float64):
    x = torch.randn(1, 201, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: mfcc(w, n_mfcc=3, n_mels=5, floor=1e-2), (x,))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees(waveform):
    torch.testing.assert_close(mfcc(waveform.cuda()).cpu(), mfcc(waveform), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_mel(torch.zeros(1, 200)), "200 samples, at least 201"),
        (lambda: log_mel(torch.zeros(1, 201), floor=0.0), "floor=0"),
        (lambda: mfcc(torch.zeros(1, 201), n_mfcc=41), "n_mfcc=41"),
        (lambda: speaker_log_mel(torch.zeros(16_000)), "no audible passage"),
    ],
)
def test_what_has_no_features_is_refused(call, message):
    with pytest.raises((ValueError, UsageError), match=message):
        call()


@pytest.mark.parametrize(("given", "wanted"), [(5, 7), (7, 5), (7, 7)])
def test_pad_or_trim_keeps_the_left_end(given, wanted):
    x = torch.arange(1.0, 2 * given + 1).view(2, given)
    y = pad_or_trim(x, wanted)
    kept = min(given, wanted)
    assert y.shape == (2, wanted)
    assert torch.equal(y[:, :kept], x[:, :kept])
    assert not y[:, kept:].any()


def test_pad_or_trim_makes_one_second_by_default():
    assert pad_or_trim(torch.zeros(3)).shape == (16_000,)


def test_pad_or_trim_refuses_nothing_at_all():
    with pytest.raises(ValueError, match="num_samples=0"):
        pad_or_trim(torch.zeros(3), 0)
