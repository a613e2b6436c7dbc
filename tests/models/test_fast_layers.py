"""Fast layers are torch's: values, gradients, parameters; and chosen in one place."""

import copy

import pytest
import torch
from torch import nn

from kws.models.conformer import Conformer
from kws.models.fast import TWINS, DepthwiseConv, use_fast_layers
from kws.models.registry import build_model
from tests.tolerances import SAME_SUMS

B, D, T = 2, 6, 11
FLOAT32_SUMS = 1e-5  # the same few products, summed in another order


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_depthwise_convolution_is_that_of_pytorch(kernel_size, dtype):
    theirs = nn.Conv1d(D, D, kernel_size, padding=kernel_size // 2, groups=D).to(dtype)
    ours = use_fast_layers(copy.deepcopy(theirs))
    assert type(ours) is DepthwiseConv
    x = torch.randn(B, T, D, dtype=dtype, requires_grad=True)
    expected, actual = theirs(x.mT), ours(x.mT)
    torch.testing.assert_close(actual, expected)
    dy = torch.randn_like(actual)
    for mine, other in zip(
        torch.autograd.grad(actual, (x, *ours.parameters()), dy),
        torch.autograd.grad(expected, (x, *theirs.parameters()), dy),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=FLOAT32_SUMS, atol=FLOAT32_SUMS)


@pytest.mark.parametrize(
    "settings",
    [
        {"groups": 1},
        {"groups": D, "stride": 2},
        {"groups": D, "dilation": 3},
        {"groups": D, "padding": "same"},
        {"groups": D, "padding": 1, "padding_mode": "circular"},
        {"groups": 3},
    ],
)
def test_other_convolutions_stay_what_they_are(settings):
    theirs = nn.Conv1d(D, D, 3, **settings)
    ours = use_fast_layers(copy.deepcopy(theirs))
    x = torch.randn(B, D, T)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours(x[0]), theirs(x[0]))


def test_a_model_computes_the_same_with_fast_layers_which_every_model_by_name_has():
    plain = Conformer(D, 2, 7, 2, 3).double().eval()
    fast = use_fast_layers(copy.deepcopy(plain))
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert {type(module) for module in fast.modules()} >= set(TWINS.values())
    x = torch.randn(B, T, D, dtype=torch.float64)
    torch.testing.assert_close(fast(x), plain(x), atol=SAME_SUMS, rtol=0)
    model = build_model("conformer", num_features=40, num_classes=3)
    assert not {type(module) for module in model.modules()} & set(TWINS)
