"""Positions: values of the formula, distances, lengths, padding, gradients, errors, formula."""

import math

import pytest
import torch
from torch import nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.counts import count_parameters
from kws.models.positional import (
    LearnedPositions,
    RelativeSelfAttention,
    SinusoidalPositions,
    by_distance,
    sinusoids,
)
from tests.tolerances import ROUNDING, SAME_SUMS

B, T, H, K = 3, 7, 5, 2
D = H * K

pytestmark = pytest.mark.usefixtures("float64")


def relative(**options) -> RelativeSelfAttention:
    layer = RelativeSelfAttention(D, H, **options)
    nn.init.normal_(layer.content_bias)
    nn.init.normal_(layer.distance_bias)
    return layer


def test_sinusoids_are_the_formula_of_the_paper_and_know_distances():
    table = sinusoids(torch.arange(-T, T, dtype=torch.float64), D)
    for row, p in enumerate(range(-T, T)):
        for i in range(D // 2):
            angle = p / 10_000 ** (2 * i / D)
            assert table[row, 2 * i].item() == pytest.approx(math.sin(angle), abs=SAME_SUMS)
            assert table[row, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=SAME_SUMS)
    table = sinusoids(torch.arange(50.0), D)
    products = table @ table.T
    for distance in (0, 1, 13):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_positions_add_their_table_which_bfloat16_tells_apart():
    x = torch.randn(B, T, D)
    torch.testing.assert_close(
        SinusoidalPositions(D)(x) - x, sinusoids(torch.arange(float(T)), D).expand(B, T, D)
    )
    positions, x = LearnedPositions(D, max_frames=11), torch.randn(B, T, D)
    torch.testing.assert_close(positions(x) - x, positions.table[:T].expand(B, T, D))
    assert count_parameters(positions) == 11 * D
    # the deviation of 110 draws is known to 7 %: three times that
    assert positions.table.std().item() == pytest.approx(0.02, rel=0.2)
    x = torch.zeros(1, 400, D, dtype=torch.bfloat16)
    y = SinusoidalPositions(D)(x)[0]
    assert y.dtype == torch.bfloat16
    assert not torch.equal(y[256], y[257])


@pytest.mark.parametrize("make", [SinusoidalPositions, lambda d, p: LearnedPositions(d, 11, p)])
def test_dropout_of_positions_acts_while_training(make):
    positions, x = make(D, 0.5), torch.ones(B, T, D)
    assert (positions(x) == 0).any()
    assert not (positions.eval()(x) == 0).any()
    assert torch.equal(make(D, 0.0)(x), make(D, 0.0)(x)) or isinstance(positions, LearnedPositions)


def test_by_distance_picks_the_column_of_each_distance():
    scores = torch.randn(B, H, T, 2 * T - 1)
    picked = by_distance(scores)
    for i in range(T):
        for j in range(T):
            assert torch.equal(picked[:, :, i, j], scores[:, :, i, T - 1 - (i - j)])


def test_relative_scores_are_the_formula_of_the_paper():
    """One score at a time: ((q + u) · k + (q + v) · W r) / √K."""
    layer, x = relative(), torch.randn(B, T, D)
    q, k, v = layer.qkv(x).unflatten(-1, (3, H, K)).unbind(2)  # (B, T, H, K) each
    scores = torch.empty(B, H, T, T)
    for i in range(T):
        for j in range(T):
            r = layer.distance(sinusoids(torch.tensor([float(i - j)]), D)).view(H, K)
            content = ((q[:, i] + layer.content_bias) * k[:, j]).sum(-1)
            distance = ((q[:, i] + layer.distance_bias) * r).sum(-1)
            scores[:, :, i, j] = (content + distance) / math.sqrt(K)
    weights = scores.softmax(-1)
    torch.testing.assert_close(layer.weights(x), weights, rtol=0, atol=SAME_SUMS)
    expected = layer.out(torch.einsum("bhij,bjhk->bihk", weights, v).flatten(2))
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=SAME_SUMS)


def test_relative_attention_knows_the_order_but_not_the_place_and_no_distances_are_attention():
    """Reordered frames come out differently; shifted inside padding they come out the same."""
    layer, x = relative(), torch.randn(B, T, D)
    shuffle = torch.randperm(T)
    assert not torch.allclose(layer(x)[:, shuffle], layer(x[:, shuffle]))
    shifted = torch.cat([torch.randn(B, 4, D), x], dim=1)
    valid = (torch.arange(T + 4) >= 4).expand(B, T + 4)
    torch.testing.assert_close(layer(shifted, valid)[:, 4:], layer(x), rtol=0, atol=ROUNDING)
    layer, plain = RelativeSelfAttention(D, H), MultiHeadSelfAttention(D, H)
    nn.init.zeros_(layer.distance.weight)
    plain.load_state_dict(layer.state_dict(), strict=False)
    x, valid = torch.randn(B, T, D), torch.arange(T) < torch.tensor([[7], [3], [1]])
    torch.testing.assert_close(layer(x, valid), plain(x, valid), rtol=0, atol=SAME_SUMS)


def test_gradients_reach_input_and_every_parameter():
    layer = RelativeSelfAttention(4, 2)
    x = torch.randn(1, 3, 4, requires_grad=True)
    parameters = dict(layer.named_parameters())
    valid = torch.tensor([[True, True, False]])

    def forward(x, *values):
        return torch.func.functional_call(
            layer, dict(zip(parameters, values, strict=True)), (x, valid)
        )[:, :2]

    assert torch.autograd.gradcheck(forward, (x, *parameters.values()))


def test_dropout_and_qkv_bias_reach_the_layer():
    layer, x = relative(dropout=0.5), torch.randn(B, T, D)
    assert not torch.equal(layer(x), layer(x))
    assert RelativeSelfAttention(D, H, qkv_bias=False).qkv.bias is None


@pytest.mark.parametrize(("qkv_bias", "expected"), [(True, 5 * D * D + 6 * D), (False, 530)])
def test_distances_add_a_linear_layer_and_two_vectors(qkv_bias, expected):
    layer = RelativeSelfAttention(D, H, qkv_bias=qkv_bias)
    assert count_parameters(layer) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sinusoids(torch.arange(3.0), 15), "d_model=15 is odd"),
        (lambda: SinusoidalPositions(15), "d_model=15 is odd"),
        (lambda: LearnedPositions(D, 11)(torch.zeros(B, 12, D)), "12 frames, but .* max_frames=11"),
        (lambda: RelativeSelfAttention(15, 5), "d_model=15 is odd"),
        (lambda: RelativeSelfAttention(10, 3), "d_model=10 is not divisible by num_heads=3"),
    ],
)
def test_widths_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
