"""Griffin-Lim against torchaudio's, and mel bands to power."""

import pytest
import torch
import torchaudio

from kws.audio.features import log_mel
from kws.audio.griffin_lim import griffin_lim, mel_to_power, spectra, vocode
from tests.tolerances import SAME_SUMS


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize("iterations", [0, 1, 7])
def test_it_equals_torchaudio(float64, momentum, iterations):
    magnitude = torch.rand(2, 9, 201)
    expected = torchaudio.functional.griffinlim(
        magnitude.mT, torch.hann_window(400), 400, 160, 400, 1.0, iterations, momentum, None, False
    )
    ours = griffin_lim(magnitude, iterations, momentum)
    torch.testing.assert_close(ours, expected, atol=SAME_SUMS, rtol=0)


def test_without_momentum_the_error_never_rises_and_power_has_the_mels_it_was_made_from(float64):
    magnitude = torch.rand(1, 20, 201)
    errors = [
        float((spectra(griffin_lim(magnitude, rounds, 0.0)).abs() - magnitude).norm())
        for rounds in range(6)
    ]
    assert errors == sorted(errors, reverse=True)
    waveform = torch.randn(1, 4000)
    mel = log_mel(waveform, n_mels=40)
    power = mel_to_power(mel)
    assert power.shape == (1, 26, 201)
    assert (power > 0).all()
    again = log_mel(vocode(mel[0])[None], n_mels=40)
    assert (again - mel).abs().mean() < 1.0  # nepers: two thirds of a bel


@pytest.mark.parametrize(
    ("frames", "iterations", "momentum"), [(1, 1, 0.0), (5, -1, 0.0), (5, 1, 1.0)]
)
def test_arguments_out_of_range_are_refused(frames, iterations, momentum):
    with pytest.raises(ValueError, match=r"frames|iterations"):
        griffin_lim(torch.rand(1, frames, 201), iterations, momentum)
