"""Residual blocks over maps, and the LSTM in one of them: nn.LSTM's values, no frame ahead."""

import torch
from torch import nn

from kws.models.counts import count_parameters
from kws.models.residual_maps import ConvLstm, ResCnn, ResCnnLstm


def test_on_one_band_the_convolutional_lstm_is_torchs(float64):
    C, T = 5, 7
    ours, theirs = ConvLstm(C), nn.LSTM(C, C, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.of_input.weight[:, :, 1, 0])
        theirs.weight_hh_l0.copy_(ours.of_state.weight[:, :, 1])
        theirs.bias_ih_l0.copy_(ours.of_input.bias)
        theirs.bias_hh_l0.zero_()
    x = torch.randn(2, C, 1, T)
    expected = theirs(x[:, :, 0].mT)[0].mT
    # sums of five products in another order: a few units of float64's last digit
    torch.testing.assert_close(ours(x)[:, :, 0], expected, rtol=0, atol=1e-14)


def test_the_convolutional_lstm_hears_three_bands_and_no_frame_ahead(float64):
    lstm = ConvLstm(3).eval()
    x = torch.randn(1, 3, 9, 6, requires_grad=True)
    lstm(x)[0, :, 4, 2].sum().backward()
    assert x.grad is not None
    received = x.grad[0].abs().sum(0) > 0  # (bands, frames)
    assert not received[:, 3:].any()
    for frames_ago in range(3):  # a step further back, a band further to either side
        bands = received[:, 2 - frames_ago].nonzero()[:, 0].tolist()
        assert bands == list(range(4 - 1 - frames_ago, 4 + 2 + frames_ago))


def test_without_its_last_norm_a_residual_block_is_the_relu_of_its_input_and_padding_is_zero(
    float64,
):
    for block in (ResCnn(4), ResCnnLstm(4)):
        nn.init.zeros_(block.second_norm.weight)
        nn.init.zeros_(block.second_norm.bias)
        x = torch.randn(2, 4, 5, 6)
        assert torch.equal(block(x), x.relu())
    valid = torch.arange(6) < torch.tensor([[6], [4]])
    for block in (ResCnn(4), ResCnnLstm(4)):
        y = block(torch.randn(2, 4, 5, 6), valid)
        assert not y[1, ..., 4:].any()
        assert y[0].any(dim=(0, 1)).all()


def test_residual_blocks_have_as_many_parameters_as_they_say():
    for C in (1, 4, 16):
        assert count_parameters(ResCnn(C)) == 18 * C**2 + 6 * C
        assert count_parameters(ResCnnLstm(C)) == 33 * C**2 + 9 * C
