"""Front ends: the mask follows torch's output length, tokens, layout, every argument, errors."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kws.models.frontend import (
    ConvBlock,
    ConvStem,
    convolve,
    frames_of,
    maps_of,
    max_pool,
    tokens_of,
    valid_after,
    zero_padding,
)
from tests.tolerances import ROUNDING

B, C, BANDS, T = 2, 3, 11, 23


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "dilation"),
    [
        (kernel, stride, padding, dilation)
        for kernel, stride, dilation in itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2))
        for padding in range(3)
        if 2 * padding <= dilation * (kernel - 1)
    ],
)
def test_as_many_outputs_are_valid_as_the_clip_alone_would_have(
    kernel_size, stride, padding, dilation
):
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    conv = nn.Conv1d(1, 1, kernel_size, **settings)
    for length in range(dilation * (kernel_size - 1) + 1, T + 1):
        valid = (torch.arange(T) < length)[None]
        y, after = convolve(conv, torch.randn(1, 1, T), valid)
        assert after is not None
        assert after.shape[1] == y.shape[2]
        assert after.sum() == conv(torch.randn(1, 1, length)).shape[2]
        assert after[0, : after.sum()].all()  # the first ones


def test_without_a_mask_there_is_none_afterwards_and_padding_fits_the_kernel():
    assert valid_after(None, kernel_size=3) is None
    with pytest.raises(ValueError, match="padding=2 is too much for kernel_size=3, dilation=1"):
        valid_after(torch.ones(B, T, dtype=torch.bool), kernel_size=3, padding=2)


def test_padding_becomes_zero_whatever_it_was():
    valid = torch.arange(T) < torch.tensor([[T], [4]])
    x = torch.ones(B, C, BANDS, T).masked_fill(~valid[:, None, None], torch.nan)
    zeroed = zero_padding(x, valid)
    assert zeroed[1, :, :, 4:].eq(0).all()
    assert zeroed[0].eq(1).all()
    assert zeroed[1, :, :, :4].eq(1).all()


def test_pooling_drops_an_incomplete_window_and_does_not_see_a_masked_frame():
    x = torch.randn(B, C, BANDS, T)
    y, _ = max_pool(x, (2, 3), None)
    assert y.shape == (B, C, 5, 7)
    torch.testing.assert_close(y[0, 0, 0, 1], x[0, 0, :2, 3:6].max())
    valid = torch.tensor([[True, True, False, True]])
    x = torch.ones(1, 1, 2, 4)
    x[..., 2] = 1e3
    y, after = max_pool(x, (2, 2), valid)
    assert after is not None
    assert after.tolist() == [[True, True]]
    assert y.flatten().tolist() == [1.0, 1.0]


def test_maps_are_the_spectrogram_with_channels_last_in_memory():
    features = torch.randn(B, T, BANDS)
    maps = maps_of(features)
    assert torch.equal(maps[:, 0], features.mT)
    y = ConvStem((4, 6))(features)[0]
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert all(p.is_contiguous() for p in ConvStem((4, 6)).parameters())


def test_frames_hold_their_bands_and_tokens_the_points_of_the_map():
    maps, valid = torch.randn(B, C, 2, T), torch.arange(T) < torch.tensor([[T], [4]])
    tokens, after = tokens_of(maps, valid)
    assert tokens.shape == (B, 2 * T, C)
    assert torch.equal(tokens[1, 2 * 5 + 1], maps[1, :, 1, 5])
    assert after is not None
    assert after.sum(dim=1).tolist() == [2 * T, 8]
    assert tokens_of(maps, None)[1] is None
    maps = torch.arange(B * C * 2 * T).view(B, C, 2, T).float()
    frames = frames_of(maps)
    assert frames.shape == (B, T, 2 * C)
    assert torch.equal(frames[1, 5, C : 2 * C], maps[1, :, 1, 5])


@pytest.mark.parametrize(
    ("stem", "bands", "frames"),
    [
        pytest.param(ConvStem((4, 5), strides=(2, 2)), 16, 26, id="strided"),
        pytest.param(ConvStem((4, 5)), 64, 101, id="unstrided"),
        pytest.param(ConvStem((4, 5), strides=(1, 2), pools=((2, 2), (1, 1))), 16, 25, id="pool"),
    ],
)
def test_a_second_of_64_bands_has_the_tokens_of_the_report(stem, bands, frames):
    maps, _ = stem(torch.randn(1, 101, 64))
    assert maps.shape == (1, 5, bands, frames)
    assert stem.out_bands(64) == bands
    for few in (7, 8, 9, 40):
        assert stem(torch.randn(1, 5, few))[0].shape[2] == stem.out_bands(few)


def test_a_block_is_what_it_says_with_its_pooling_first_or_last(float64):
    block, x = ConvBlock(C, 5, pool=(2, 2), activation="silu"), torch.randn(B, C, BANDS, T)
    y = F.conv2d(x, block.conv.weight, block.conv.bias, padding=1)
    y = F.batch_norm(y, None, None, training=True)
    torch.testing.assert_close(block(x)[0], F.max_pool2d(F.silu(y), 2), rtol=0, atol=ROUNDING)
    block, x = ConvBlock(C, 5, pool=(2, 2), pool_first=True), torch.randn(B, C, BANDS, T)
    y = F.max_pool2d(F.conv2d(x, block.conv.weight, block.conv.bias, padding=1), 2)
    y = F.relu(F.batch_norm(y, None, None, training=True))
    torch.testing.assert_close(block(x)[0], y, rtol=0, atol=ROUNDING)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="activation='tanh' is none of relu, gelu, silu"):
        ConvBlock(1, 2, activation="tanh")
    with pytest.raises(ValueError, match=r"channels=\(4, 6\), strides=\(2,\)"):
        ConvStem((4, 6), strides=(2,))
    with pytest.raises(ValueError, match="num_features=3 leaves no band"):
        ConvStem((4,), pools=((4, 1),)).out_bands(3)
