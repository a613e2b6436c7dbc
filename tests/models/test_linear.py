"""Our linear layer is `nn.Linear`: values, gradients, state, and in every place where it runs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kws.models import fast as module
from kws.models.fast import Linear, linear

ROWS = pytest.mark.parametrize("rows", [(5,), (2, 7), (2, 3, 7)])


def inputs(rows, dtype=torch.float32):
    shapes = ((*rows, 13), (11, 13), (11,))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@ROWS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_match_pytorch(rows, dtype):
    x, weight, bias = inputs(rows, dtype)
    dy = torch.randn(*rows, 11, dtype=dtype)
    ours, theirs = linear(x, weight, bias), F.linear(x, weight, bias)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(ours, (x, weight, bias), dy),
        torch.autograd.grad(theirs, (x, weight, bias), dy),
        strict=True,
    ):
        # float32 sums over rows in another order
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight))


def test_the_fast_route_is_taken_where_there_is_one(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "multiply", lambda *args: calls.append(args) or F.linear(*args))
    x, weight, bias = inputs((2, 7))
    linear(x, weight, bias)
    assert bool(calls) == module.HAS_ONEDNN
    calls.clear()
    linear(x.double(), weight.double(), bias.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    assert linear(x[:, :0], weight, bias).shape == (2, 0, 11)
    assert not calls


def test_second_derivatives():
    def penalty(function):
        x, weight, bias = leaves
        gradients = torch.autograd.grad(
            function(x, weight, bias).sin().sum(), leaves, create_graph=True
        )
        return torch.autograd.grad(sum(g.square().sum() for g in gradients), leaves)

    leaves = inputs((5,))
    for mine, other in zip(penalty(linear), penalty(F.linear), strict=True):
        # second derivatives in float32: sums of sums in another order
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_per_example_gradients_and_none_of_frozen_parts():
    x, weight, bias = (tensor.detach() for tensor in inputs((5,)))
    per_example = torch.func.vmap(
        torch.func.grad(lambda w, row: linear(row[None], w, bias).square().sum()), (None, 0)
    )(weight, x)
    whole = torch.func.grad(lambda w: linear(x, w, bias).square().sum())(weight)
    torch.testing.assert_close(per_example.sum(0), whole)
    x, weight, bias = inputs((2, 7))
    linear(x.detach(), weight, bias.detach()).sum().backward()
    assert x.grad is None
    assert bias.grad is None
    assert weight.grad is not None


def test_state_and_start_are_those_of_pytorch():
    torch.manual_seed(1)
    ours = Linear(13, 11)
    torch.manual_seed(1)
    theirs = nn.Linear(13, 11)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
