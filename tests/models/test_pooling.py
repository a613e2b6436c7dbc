"""Pooling: values by hand, padding, order, empty utterances, gradients, arguments, formula."""

import pytest
import torch
from torch import nn

from kws.models.classifier import (
    AttentionPooling,
    MeanPooling,
    SelfAttentivePooling,
    make_pooling,
    mean_pool,
    softmax_over_time,
    weighted_pool,
)
from kws.models.counts import count_parameters
from tests.tolerances import ROUNDING

B, T, D, A = 3, 7, 5, 11
VALID = torch.arange(T) < torch.tensor([[7], [4], [1]])
MAKERS = {
    "mean": MeanPooling,
    "attention": lambda: AttentionPooling(D),
    "self-attentive": lambda: SelfAttentivePooling(D, A),
}

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=MAKERS)
def pooling(request) -> nn.Module:
    return MAKERS[request.param]()


def test_mean_is_the_mean_and_weights_the_softmax_of_valid_frames():
    x = torch.randn(B, T, D)
    expected = torch.stack([x[0].mean(0), x[1, :4].mean(0), x[2, 0]])
    torch.testing.assert_close(mean_pool(x, VALID), expected)
    scores = torch.randn(B, T)
    weights = softmax_over_time(scores, VALID)
    torch.testing.assert_close(weights[1, :4], scores[1, :4].softmax(0))
    assert not weights[~VALID].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(B))


def test_attention_poolings_are_their_formulas():
    layer, x = AttentionPooling(D), torch.randn(B, T, D)
    weights = torch.softmax(x @ layer.score.weight[0] + layer.score.bias, dim=1)
    torch.testing.assert_close(layer(x), (weights[..., None] * x).sum(1))
    layer, x = SelfAttentivePooling(D, A), torch.randn(B, T, D)
    hidden = torch.tanh(x @ layer.hidden.weight.T + layer.hidden.bias)
    weights = torch.softmax(hidden @ layer.context.weight[0], dim=1)
    torch.testing.assert_close(layer(x), (weights[..., None] * x).sum(1))


def test_frames_have_no_order_and_padding_may_be_nan(pooling):
    x, shuffle = torch.randn(B, T, D), torch.randperm(T)
    torch.testing.assert_close(pooling(x[:, shuffle], VALID[:, shuffle]), pooling(x, VALID))
    loud = x.masked_fill(~VALID[..., None], torch.nan)
    torch.testing.assert_close(pooling(loud, VALID), pooling(x, VALID), rtol=0, atol=ROUNDING)


def test_an_utterance_without_a_valid_frame_is_zeros_with_zero_gradient(pooling):
    x = torch.randn(B, T, D, requires_grad=True)
    valid = VALID.clone()
    valid[1] = False
    y = pooling(x, valid)
    y.sum().backward()
    assert torch.equal(y[1], torch.zeros(D))
    assert x.grad is not None
    assert torch.equal(x.grad[1], torch.zeros(T, D))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in pooling.parameters())


def test_gradients(pooling):
    x = torch.randn(B, T, D, requires_grad=True)
    assert torch.autograd.gradcheck(pooling, (x, VALID))


def test_every_argument_changes_the_result():
    x, scores = torch.randn(B, T, D), torch.randn(B, T)
    plain = weighted_pool(x, scores)
    for other in (
        weighted_pool(x.roll(1, 1), scores),
        weighted_pool(x, scores.roll(1, 1)),
        weighted_pool(x, scores, VALID),
        mean_pool(x),
    ):
        assert not torch.allclose(plain, other)


@pytest.mark.parametrize("name", ["attention", "self-attentive"])
def test_weights_are_what_forward_averages_with(name):
    layer, x = MAKERS[name](), torch.randn(B, T, D)
    weights = layer.weights(x, VALID)
    torch.testing.assert_close(layer(x, VALID), (weights[..., None] * x).sum(1))


def test_autocast_keeps_the_width_of_its_input():
    x = torch.randn(B, T, D).bfloat16()
    for make in MAKERS.values():
        layer = make().float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(x, VALID).shape == (B, D)


def test_formulas_equal_the_counts_and_poolings_go_by_name():
    assert count_parameters(AttentionPooling(256)) == 257  # the source's CRNN
    assert count_parameters(SelfAttentivePooling(D, A)) == D * A + 2 * A
    assert count_parameters(SelfAttentivePooling(D)) == D * D + 2 * D
    assert count_parameters(MeanPooling()) == 0
    assert isinstance(make_pooling("self-attentive", D), SelfAttentivePooling)
    with pytest.raises(ValueError, match="pooling='max' is none of mean, attention"):
        make_pooling("max", D)
