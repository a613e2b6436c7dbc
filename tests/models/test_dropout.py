"""Our dropout is `nn.Dropout`: rate, mean, independence, gradient, and in every place it runs."""

import math

import pytest
import torch
from torch import nn

from kws.models.fast import Dropout, drop
from tests.tolerances import SAME_SUMS

N = 1_000_003  # odd: the last draw of 64 bits is not used up


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rate_and_scale(probability, dtype):
    y = drop(torch.ones(N, dtype=dtype), probability)
    rate = (y == 0).double().mean().item()
    # five standard deviations of a share of N
    assert rate == pytest.approx(probability, abs=5 * math.sqrt(0.25 / N))
    kept = y[y != 0]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    # the probability is rounded to a multiple of 1 / 65,536
    assert kept[0].item() == pytest.approx(1 / (1 - probability), rel=2e-4)


def test_neighbors_are_dropped_independently():
    """Pairs of elements of one 64-bit draw, and of different ones, agree as often as chance."""
    dropped = (drop(torch.ones(N), 0.3) == 0).double()
    for distance in (1, 2, 3, 4, 5, 64):
        both = (dropped[:-distance] * dropped[distance:]).mean().item()
        # the standard deviation of the share is 0.0003
        assert both == pytest.approx(0.09, abs=0.003)


def test_the_mean_is_kept_and_the_gradient_passes_where_the_value_passes():
    x = torch.randn(7, 11, requires_grad=True)
    y = drop(x, 0.5)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, (y / x).detach())
    kept = drop(torch.ones(N, dtype=torch.float64), 1.5 / 65536).max().item()
    assert kept == pytest.approx(65536 / 65535, rel=SAME_SUMS)


def test_a_seed_fixes_what_is_dropped_while_training_alone():
    x = torch.ones(5, 7)
    torch.manual_seed(3)
    first, second = drop(x, 0.5), drop(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(drop(x, 0.5), first)
    assert not torch.equal(first, second)
    module, x = Dropout(0.5), torch.ones(5, 7)
    assert isinstance(module, nn.Dropout)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x


def test_any_shape_layout_precision_transform_and_probability():
    for shape in ((), (1,), (2, 3, 5), (0, 4)):
        assert drop(torch.ones(shape), 0.5).shape == shape
    assert set(drop(torch.ones(6, 4).T, 0.5).unique().tolist()) <= {0.0, 2.0}
    assert drop(torch.ones(5, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16
    many = torch.func.vmap(lambda x: drop(x, 0.5), randomness="different")(torch.ones(50, 3))
    assert set(many.unique().tolist()) == {0.0, 2.0}
    x = torch.ones(3, 5)
    for probability, expected in ((0.0, 1.0), (1.0, 0.0), (1e-9, 1.0)):
        torch.testing.assert_close(drop(x, probability), expected * x)
    for probability in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            drop(x, probability)
