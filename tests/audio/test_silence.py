"""Level and silence, as the speaker homework's preprocessing had them."""

import math

import pytest
import torch

from kws.audio.silence import normalize_peak, trim_silence

SECOND = 16_000


def tone(seconds, amplitude=0.5):
    n = torch.arange(int(seconds * SECOND), dtype=torch.float64)
    return amplitude * torch.sin(2 * math.pi * 1_000 * n / SECOND)


def hush(seconds):
    return torch.zeros(int(seconds * SECOND), dtype=torch.float64)


def sox_silence(x, threshold=0.01, duration=1_600):
    """The rule sample by sample, in the words of silence.c: the oracle for the vectorized one."""
    window, out, held = [0.0] * 320, [], []
    position, total, skipping = 0, 0.0, True
    for sample in x.tolist():
        total += sample**2 - window[position]
        window[position] = sample**2
        position = (position + 1) % 320
        audible = max(total, 0) / 320 > threshold**2
        if skipping:
            held.append(sample)
            held = held if audible else []
            if len(held) >= duration:
                out, held, skipping = out + held, [], False
        elif audible:
            out += [*held, sample]
            held = []
        else:
            held.append(sample)
            if len(held) >= duration:
                held, window, position, total, skipping = [], [0.0] * 320, 0, 0.0, True
    return out if skipping else out + held


def test_the_peak_is_in_decibels_and_silence_is_not_amplified():
    assert normalize_peak(tone(0.1)).abs().max().item() == pytest.approx(10 ** (-3 / 20))
    assert not normalize_peak(hush(0.1)).any()
    assert normalize_peak(torch.zeros(0)).shape == (0,)


def test_silence_is_dropped_and_a_short_pause_kept():
    x = torch.cat([hush(0.3), tone(0.5), hush(0.4), tone(0.3), hush(0.2)])
    kept = len(trim_silence(x)) / SECOND
    assert 0.8 <= kept <= 0.85  # 20 ms of loudness outlast each passage
    x = torch.cat([tone(0.5), hush(0.08), tone(0.3)])
    assert len(trim_silence(x)) == len(x) - 1  # the sine begins with a zero
    assert not len(trim_silence(torch.cat([hush(0.3), tone(0.05), hush(0.3)])))
    assert trim_silence(torch.zeros(0)).shape == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_rule_taken_sample_by_sample(seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.rand(9, generator=generator) * 0.3
    levels = 10 ** (-3 * torch.rand(9, generator=generator))
    levels[2], levels[5] = 1.0, 1e-3
    pieces = [
        torch.randn(int(n * SECOND), generator=generator, dtype=torch.float64) * a
        for n, a in zip(lengths.tolist(), levels.tolist(), strict=True)
    ]
    n = torch.arange(2 * SECOND)
    swell = 0.01 + 0.004 * torch.sin(2 * math.pi * n / 3_650)  # silences of little over 0.1 s
    noise = torch.randn(len(n), generator=generator, dtype=torch.float64) * swell
    for x in (torch.cat(pieces) * 0.1, noise):  # after a silence, loudness starts from zero
        expected = torch.tensor(sox_silence(x), dtype=torch.float64)
        assert 0 < len(expected) < len(x)
        assert torch.equal(trim_silence(x), expected)
