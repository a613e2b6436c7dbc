"""Recordings get the length that was asked for."""

import pytest
import torch

from kws.audio.length import pad_or_trim


@pytest.mark.parametrize(("given", "wanted"), [(5, 7), (7, 5), (7, 7)])
def test_pad_or_trim_keeps_the_left_end(given, wanted):
    x = torch.arange(1.0, 2 * given + 1).view(2, given)
    y = pad_or_trim(x, wanted)
    kept = min(given, wanted)
    assert y.shape == (2, wanted)
    assert torch.equal(y[:, :kept], x[:, :kept])
    assert not y[:, kept:].any()


def test_pad_or_trim_refuses_nothing_at_all():
    assert pad_or_trim(torch.zeros(3)).shape == (16_000,)  # one second by default
    with pytest.raises(ValueError, match="num_samples=0"):
        pad_or_trim(torch.zeros(3), 0)
