"""Attention: parity, symmetry, padding, gradients, arguments, errors, formula. Sizes are primes."""

import math

import pytest
import torch
from torch import nn

from benchmarks.interop import load_attention
from kws.models.attention import MultiHeadSelfAttention, attend, attend_fused, attention_weights
from kws.models.counts import count_parameters
from tests.tolerances import ROUNDING, SAME_SUMS

B, T, S, H, K = 2, 7, 11, 3, 5
D = H * K
BOTH = pytest.mark.parametrize("function", [attend, attend_fused])
LENGTHS = pytest.mark.parametrize("lengths", [[7, 7], [7, 4], [1, 6]])

pytestmark = pytest.mark.usefixtures("float64")


def qkv() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(B, H, T, K), torch.randn(B, H, S, K), torch.randn(B, H, S, K)


def mask(*lengths: int, frames: int = T) -> torch.Tensor:
    return torch.arange(frames) < torch.tensor(lengths)[:, None]


@BOTH
def test_two_keys_by_hand(function):
    """Scores 0 and ln 3 give weights 1/4 and 3/4."""
    q, k = torch.ones(1, 1, 1, 1), torch.tensor([0.0, math.log(3)]).view(1, 1, 2, 1)
    v = torch.tensor([8.0, 4.0]).view(1, 1, 2, 1)
    assert function(q, k, v).item() == pytest.approx(5.0)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_fused_equals_written_out(padded, biased):
    q, k, v = qkv()
    valid = mask(11, 4, frames=S) if padded else None
    bias = torch.randn(1, H, T, S) if biased else None
    one, two = (function(q, k, v, valid, bias) for function in (attend_fused, attend))
    torch.testing.assert_close(one, two, rtol=0, atol=SAME_SUMS)


@BOTH
@pytest.mark.no_shapes
def test_a_mask_that_would_broadcast_is_refused(function):
    with pytest.raises(ValueError, match=rf"shape \(1, {S}\), expected \({B}, {S}\)"):
        function(*qkv(), mask(S, frames=S))


@BOTH
def test_where_nothing_is_valid_both_give_zeros_and_zero_gradients(function):
    q, k, v = (tensor.requires_grad_() for tensor in qkv())
    valid, bias = mask(11, 0, frames=S), torch.randn(B, 1, T, S)
    for extra in (None, bias):
        y = function(q, k, v, valid, extra)
        gradients = torch.autograd.grad(y.sum(), (q, k, v))
        assert torch.equal(y[1], torch.zeros(H, T, K))
        assert all(torch.equal(g[1], torch.zeros_like(g[1])) for g in gradients)
        assert all(g.isfinite().all() for g in gradients)


@LENGTHS
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_module_matches_pytorch(lengths, qkv_bias):
    theirs = nn.MultiheadAttention(D, H, bias=qkv_bias, batch_first=True).eval()
    ours = MultiHeadSelfAttention(D, H, qkv_bias=qkv_bias).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.5)  # biases too: at the start they are zero
    load_attention(ours, theirs)
    x, valid = torch.randn(B, T, D), mask(*lengths)
    expected, weights = theirs(x, x, x, key_padding_mask=~valid, average_attn_weights=False)
    torch.testing.assert_close(ours(x, valid), expected, rtol=0, atol=SAME_SUMS)
    torch.testing.assert_close(ours.weights(x, valid), weights, rtol=0, atol=SAME_SUMS)


def test_module_starts_like_pytorch():
    """Xavier-uniform over the packed (3D, D), biases zero, output weights as in nn.Linear."""
    d_model = 128
    attention = MultiHeadSelfAttention(d_model, 2)
    bounds = {"qkv": math.sqrt(6 / (4 * d_model)), "out": 1 / math.sqrt(d_model)}
    for name, bound in bounds.items():
        linear = attention.get_submodule(name)
        assert not linear.bias.any()
        assert 0.99 * bound < linear.weight.abs().max() <= bound
        # five standard errors: of 16,384 uniform weights 0.35 %
        assert linear.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    theirs = nn.MultiheadAttention(d_model, 2)
    assert theirs.in_proj_weight.abs().max() <= bounds["qkv"]
    assert theirs.out_proj.weight.abs().max() <= bounds["out"]


def test_weights_are_convex_over_valid_keys_and_dropped_only_while_training():
    q, k, _ = qkv()
    valid = mask(11, 4, frames=S)
    weights = attention_weights(q, k, valid)
    assert (weights >= 0).all()
    assert not weights.masked_select(~valid[:, None, None, :]).any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T))
    layer, x = MultiHeadSelfAttention(D, H, dropout=0.5), torch.randn(B, T, D)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))
    without = MultiHeadSelfAttention(D, H)
    assert torch.equal(without(x), without(x))


@BOTH
def test_padding_reaches_no_query(function):
    q, k, v = qkv()
    valid = mask(5, 5, frames=S)
    loud = ~valid[:, None, :, None] * 1e6 * torch.randn(B, 1, S, 1)
    expected, y = function(q, k[:, :, :5], v[:, :, :5]), function(q, k + loud, v + loud, valid)
    torch.testing.assert_close(y, expected, rtol=0, atol=ROUNDING)


@BOTH
def test_gradients(function):
    q, k, v = (torch.randn(1, 2, 3, 2, requires_grad=True) for _ in range(3))
    valid, bias = mask(2, frames=3), torch.randn(1, 2, 3, 3, requires_grad=True)
    assert torch.autograd.gradcheck(function, (q, k, v, valid, bias))


@BOTH
def test_every_argument_changes_the_result(function):
    arguments = {"q": None, "k": None, "v": None, "valid": mask(11, 4, frames=S)}
    arguments |= {"bias": torch.randn(B, H, T, S), "dropout": 0.5}
    q, k, v = qkv()
    plain = function(q, k, v)
    for name, value in arguments.items():
        given = {"q": q, "k": k, "v": v}
        given[name] = given[name].roll(1, dims=-1) if value is None else value
        assert not torch.allclose(function(**given), plain), name


@BOTH
def test_dropout_keeps_the_mean(function):
    """Weights that stay are scaled up by 1 / (1 - p): the mean over many draws stays."""
    q, k, v = torch.zeros(1, 1, 2000, 1), torch.zeros(1, 1, 50, 1), torch.ones(1, 1, 50, 1)
    y = function(q, k, v, dropout=0.3)
    # 2,000 draws: five standard errors of the mean, six of the deviation
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)
    assert y.std().item() == pytest.approx(math.sqrt(0.3 / 0.7 / 50), rel=0.1)


def test_the_number_of_heads_changes_the_result_and_divides_the_width():
    one, three = MultiHeadSelfAttention(D, 1), MultiHeadSelfAttention(D, H)
    three.load_state_dict(one.state_dict())
    x = torch.randn(B, T, D)
    assert not torch.allclose(one(x), three(x))
    with pytest.raises(ValueError, match="d_model=15 is not divisible by num_heads=4"):
        MultiHeadSelfAttention(15, 4)


@pytest.mark.parametrize(("qkv_bias", "expected"), [(True, 4 * D * D + 4 * D), (False, 915)])
def test_it_has_the_parameters_of_four_linear_layers(qkv_bias, expected):
    assert count_parameters(MultiHeadSelfAttention(D, H, qkv_bias=qkv_bias)) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_both_agree_where_nothing_is_valid(dtype):
    q, k, v = (tensor.to("cuda", dtype) for tensor in qkv())
    valid = mask(11, 0, frames=S).cuda()
    fused, written = attend_fused(q, k, v, valid), attend(q, k, v, valid)
    # bfloat16 keeps 8 bits: rounding of 2^-8 in values up to 4, and in what is summed
    torch.testing.assert_close(fused, written, rtol=0, atol=3e-2)
    assert not fused[1].any()
