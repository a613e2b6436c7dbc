"""BC-ResNet: published sizes, the block's equation, sub-bands, bands that fit."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kws.models.bc_resnet import BcBlock, BcResNet, BcResNetConfig, SubSpectralNorm
from tests.tolerances import ROUNDING

B, C, BANDS, T = 2, 3, 10, 7


def test_sub_spectral_norm_is_batch_norm_of_each_sub_band_with_its_own_scale_and_shift(float64):
    norm, x = SubSpectralNorm(C, sub_bands=5), torch.randn(B, C, BANDS, T)
    y = norm(x)
    for band in range(0, BANDS, 2):
        alone = nn.BatchNorm2d(C)(x[:, :, band : band + 2])
        torch.testing.assert_close(y[:, :, band : band + 2], alone, rtol=0, atol=ROUNDING)
    norm, x = SubSpectralNorm(C, sub_bands=5), torch.randn(B, C, BANDS, T)
    before = norm(x)
    with torch.no_grad():
        norm.norm.bias[1 * 5 + 2] += 1.0  # channel 1, sub-band 2
    moved = (norm(x) - before).abs().amax(dim=(0, 3)).nonzero().tolist()
    assert moved == [[1, 4], [1, 5]]


@pytest.mark.parametrize(
    ("out_channels", "stride", "dilation"),
    [(C, 1, 1), (C, 1, 2), (5, 1, 1), (5, 2, 1), (5, 1, 2)],  # a stride comes with a transition
)
def test_a_block_is_its_equation(float64, out_channels, stride, dilation):
    settings = {"stride": stride, "dilation": dilation, "dropout": 0.0}
    block = BcBlock(C, out_channels, sub_bands=5, **settings)
    x = torch.randn(B, C, BANDS, T)

    def norm(t):
        return F.batch_norm(t, None, None, training=True)

    wide = x if out_channels == C else F.relu(norm(F.conv2d(x, block.widen.weight)))
    weight = block.over_bands.weight
    f2 = F.conv2d(wide, weight, stride=(stride, 1), padding=(1, 0), groups=out_channels)
    f2 = SubSpectralNorm(out_channels, sub_bands=5)(f2)
    f1 = F.conv2d(
        f2.mean(dim=2, keepdim=True),
        block.over_time.weight,
        padding=(0, dilation),
        dilation=(1, dilation),
        groups=out_channels,
    )
    f1 = F.conv2d(F.silu(norm(f1)), block.mix.weight)
    expected = F.relu(f2 + f1 + (x if out_channels == C else 0))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=ROUNDING)


def test_strides_and_dilations_are_those_of_the_paper():
    blocks = [block for block in BcResNet(BcResNetConfig()).blocks if isinstance(block, BcBlock)]
    assert [b.over_bands.stride for b in blocks] == [
        (1, 1), (1, 1), (2, 1), (1, 1), (2, 1), *[(1, 1)] * 7
    ]  # fmt: skip
    assert [b.over_time.dilation[1] for b in blocks] == [1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8]
    assert [b.is_transition for b in blocks] == [True, False] * 2 + [True, False, False, False] * 2


def test_dropout_zeroes_whole_channels_of_the_temporal_branch():
    block, x = BcBlock(C, C, dropout=0.5), torch.randn(B, C, BANDS, T)
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), block(x))


def test_bands_that_do_not_fit_are_refused_with_the_numbers():
    for bands, sub_bands in ((40, 5), (80, 5), (64, 4)):
        model = BcResNet(BcResNetConfig(num_features=bands, sub_bands=sub_bands))
        assert model(torch.randn(2, 9, bands)).shape == (2, 12)
    for bands, sub_bands in ((64, 5), (32, 4), (20, 5), (41, 5)):
        with pytest.raises(ValueError, match=f"num_features={bands} leaves .*bands={sub_bands}"):
            BcResNet(BcResNetConfig(num_features=bands, sub_bands=sub_bands))
