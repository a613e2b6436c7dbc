"""2-D attention: two attentions, and padding that moves nothing."""

import torch

from kws.models.attention import attend
from kws.models.attention_2d import Attention1d, Attention2d, attend_2d
from kws.models.counts import count_parameters
from tests.tolerances import SAME_SUMS

B, C, F, T = 2, 3, 5, 7


def maps(frames: int = T) -> list[torch.Tensor]:
    return [torch.randn(B, C, F, frames).double() for _ in range(3)]


def test_without_padding_it_is_attention_over_each_axis_whatever_the_order_of_bands():
    q, k, v = maps()
    over_time = attend(q.mT, k.mT, v.mT).mT
    expected = torch.cat([over_time, attend(q, k, v)], dim=1)
    torch.testing.assert_close(attend_2d(q, k, v), expected, rtol=0, atol=SAME_SUMS)
    q, k, v = maps()
    order = torch.randperm(F)
    moved = attend_2d(*(x[:, :, order] for x in (q, k, v)))
    torch.testing.assert_close(moved, attend_2d(q, k, v)[:, :, order], rtol=0, atol=SAME_SUMS)


def test_a_padded_map_gives_what_it_gives_alone():
    q, k, v = maps()
    alone = attend_2d(q, k, v)
    noise = 50 * torch.randn(3, B, C, F, 4).double()
    q, k, v = (torch.cat(pair, dim=-1) for pair in zip((q, k, v), noise, strict=True))
    valid = (torch.arange(T + 4) < T).expand(B, -1)
    padded = attend_2d(q, k, v, valid)
    torch.testing.assert_close(padded[..., :T], alone, rtol=0, atol=SAME_SUMS)
    assert not padded[..., T:].any()


def test_the_module_keeps_its_shape_its_padding_and_its_count():
    module = Attention2d(C).double().eval()
    x, valid = torch.randn(B, C, F, T).double(), torch.arange(T) < torch.tensor([[T], [4]])
    y = module(x, valid)
    torch.testing.assert_close(module(x[1:, ..., :4]), y[1:, ..., :4], rtol=0, atol=SAME_SUMS)
    assert not y[1, ..., 4:].any()
    assert count_parameters(module) == 45 * C * C + 6 * C


def test_over_time_alone_no_band_hears_another():
    module = Attention1d(C).double().eval()
    assert count_parameters(module) == 36 * C * C + 6 * C
    q, k, v = maps()
    both = attend_2d(q, k, v)
    torch.testing.assert_close(module.attend(q, k, v), both[:, :C], rtol=0, atol=0)
