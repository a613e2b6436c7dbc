"""ConvS2S: the gate, the scaled residual, the variance they keep, positions, limits."""

import math

import pytest
import torch
import torch.nn.functional as F

from kws.errors import UsageError
from kws.models.convs2s import ConvS2s, ConvS2sConfig, GatedBlock
from kws.models.counts import count_parameters
from tests.tolerances import ROUNDING

B, T, D, K = 2, 11, 7, 3


def test_a_block_is_its_formula(float64):
    block, x = GatedBlock(D, K), torch.randn(B, T, D)
    torch.nn.init.normal_(block.conv.bias)
    both = F.conv1d(x.mT, block.conv.weight, block.conv.bias, padding=1).mT
    value, gate = both[..., :D], both[..., D:]
    expected = (value * gate.sigmoid() + x) / math.sqrt(2)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=ROUNDING)
    assert count_parameters(block) == 2 * K * D * D + 2 * D
    with pytest.raises(ValueError, match="kernel_size=4 must be odd"):
        GatedBlock(D, 4)


def test_eight_fresh_blocks_neither_fade_nor_explode_for_their_weights():
    """Without √½ the variance would grow by a thousand, with torch's weights fall by thirty."""
    torch.manual_seed(1)
    x = torch.randn(5, 101, 64)
    with torch.no_grad():
        for _ in range(8):
            x = GatedBlock(64, 5)(x)
    assert 0.5 < x[:, 20:-20].var() < 10
    torch.manual_seed(1)
    stds = [GatedBlock(64, 5, p).conv.weight.detach().std().item() for p in (0.0, 0.75)]
    # five standard errors: of 40,960 normal weights 0.35 %
    assert stds == pytest.approx([math.sqrt(4 / 320), math.sqrt(1 / 320)], rel=0.02)


def test_a_frame_reaches_two_more_on_each_side_with_every_block(float64):
    model = ConvS2s(ConvS2sConfig(d_model=6, num_layers=2, dropout=0.0))
    x = torch.randn(1, 21, 6)
    y, z = x, x.clone()
    z[:, 10] += 1.0
    for block in model.blocks:
        y, z = block(y), block(z)
    moved = (y - z).abs().amax(dim=(0, 2)) > 1e-12
    assert moved.nonzero()[:, 0].tolist() == list(range(6, 15))


def test_positions_tell_equal_frames_apart(float64):
    model = ConvS2s(ConvS2sConfig(d_model=6, num_layers=1, dropout=0.0))
    features = torch.randn(1, 21, 40)
    backwards = features.flip(1)
    torch.nn.init.constant_(model.positions.table, 0.0)
    for parameter in model.blocks.parameters():  # a kernel that reads the same both ways
        if parameter.ndim == 3:
            parameter.data = parameter.data + parameter.data.flip(2)
    torch.testing.assert_close(model(features), model(backwards), rtol=0, atol=ROUNDING)
    torch.nn.init.normal_(model.positions.table)
    assert (model(features) - model(backwards)).abs().max() > 1e-3


def test_more_frames_than_positions_are_refused():
    model = ConvS2s(ConvS2sConfig(d_model=6, max_frames=20))
    model(torch.randn(1, 20, 40))
    with pytest.raises(UsageError, match="21 frames, but positions were learned for max_frames=20"):
        model(torch.randn(1, 21, 40))
