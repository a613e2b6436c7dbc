"""The Branchformer: each branch by itself, padding, the gate's start, and the number of weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kws.models.branchformer import BranchformerLayer, ConvolutionalGating
from kws.models.counts import count_parameters
from tests.tolerances import SAME_SUMS

D, E, K = 8, 12, 5


@pytest.fixture
def layer(float64):
    torch.manual_seed(0)
    layer = BranchformerLayer(D, 2, E, K, dropout=0.0).eval()
    nn.init.normal_(layer.gating.depthwise.weight)  # not the gate of the start, that lets all pass
    return layer


def test_the_gated_branch_is_its_formula_and_lets_all_pass_at_the_start(float64):
    branch = ConvolutionalGating(D, E, K)
    nn.init.normal_(branch.depthwise.weight)
    x = torch.randn(2, 9, D)
    signal, gate = F.gelu(branch.expand(x)).split(E // 2, dim=-1)
    gate = F.layer_norm(gate, (E // 2,))
    padded = F.pad(gate, (0, 0, K // 2, K // 2))
    kernel, bias = branch.depthwise.weight[:, 0], branch.depthwise.bias  # (E/2, K)
    mixed = sum(padded[:, i : i + 9] * kernel[:, i] for i in range(K)) + bias
    torch.testing.assert_close(branch(x), branch.contract(signal * mixed), rtol=0, atol=SAME_SUMS)
    branch = ConvolutionalGating(D, E, K)
    x = torch.randn(2, 9, D)
    signal = F.gelu(branch.expand(x))[..., : E // 2]
    # weights of 1e-6 on normalized values: a few millionths
    torch.testing.assert_close(branch(x), branch.contract(signal), rtol=0, atol=1e-4)


def test_a_layer_adds_what_it_makes_of_both_branches(layer):
    x = torch.randn(2, 9, D)
    attention = layer.attention(layer.norm_attention(x))
    gating = layer.gating(layer.norm_gating(x))
    a, b = layer.merge.weight.split(D, dim=1)
    expected = layer.norm(x + attention @ a.T + gating @ b.T + layer.merge.bias)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=SAME_SUMS)


def test_padding_moves_nothing(layer):
    x = torch.randn(2, 9, D)
    valid = torch.arange(9) < torch.tensor([[9], [6]])
    there = layer(x, valid)
    torch.testing.assert_close(layer(x[1:, :6])[0], there[1, :6], rtol=0, atol=SAME_SUMS)
    other = torch.where(valid[..., None], x, 1e3 * torch.randn_like(x))
    torch.testing.assert_close(layer(other, valid)[valid], there[valid], rtol=0, atol=SAME_SUMS)


def test_one_branch_sees_all_the_other_its_neighborhood(layer):
    x = torch.randn(1, 20, D)
    moved = x.clone()
    moved[0, 10, 0] += 1  # one feature: a shift of all would be normalized away
    near = (layer.gating(moved) - layer.gating(x)).abs().amax(2)[0] > 1e-9
    assert near.nonzero()[:, 0].tolist() == list(range(8, 13))
    assert ((layer.attention(moved) - layer.attention(x)).abs().amax(2) > 1e-9).all()


@pytest.mark.parametrize(("positions", "more"), [("none", 0), ("relative", D * D + 2 * D)])
def test_number_of_parameters(positions, more):
    layer = BranchformerLayer(D, 2, E, K, positions=positions)
    by_hand = 6 * D * D + 12 * D + 3 * D * E // 2 + E + (3 + K) * E // 2
    assert count_parameters(layer) == by_hand + more


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [((D, 3, E, K), "num_heads=3"), ((D, 2, 7, K), "d_ff=7"), ((D, 2, E, 4), "kernel_size=4")],
)
def test_sizes_that_do_not_fit_are_refused(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        BranchformerLayer(*sizes)
