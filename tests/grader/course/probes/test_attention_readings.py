"""What a student's tensors mean: every right way to name and pack them is found."""

import pytest
import torch
from torch import nn

from grader.course.probes.attention_readings import (
    attention_readings,
    encoder_layer,
    layer_readings,
    nearest,
    projections,
    randomized,
    self_attention,
)

B, H, T, K, E = 2, 3, 7, 5, 13
D = H * K


class Local:
    """A module of this process with the face of a remote one."""

    def __init__(self, module):
        self.module = module
        for name in ("state_dict", "load_state_dict"):
            setattr(self, name, getattr(module, name))


@pytest.fixture
def x():
    return torch.randn(B, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def torch_layer():
    """torch's own encoder layer with random weights in float64, without dropout."""
    layer = nn.TransformerEncoderLayer(D, H, E, dropout=0.0, batch_first=True).double()
    randomized(Local(layer), seed=1)
    return layer


def split_up(attention: nn.MultiheadAttention, order: str) -> dict:
    """The weights of torch's attention as four linear layers whose names sort like `order`."""
    parts = {
        **dict(zip("qkv", attention.in_proj_weight.chunk(3), strict=True)),
        "o": attention.out_proj.weight,
    }
    biases = {
        **dict(zip("qkv", attention.in_proj_bias.chunk(3), strict=True)),
        "o": attention.out_proj.bias,
    }
    state = {}
    for number, part in enumerate(order):
        state[f"{number}.weight"], state[f"{number}.bias"] = parts[part], biases[part]
    return {name: tensor.detach() for name, tensor in state.items()}


@pytest.mark.parametrize("order", ["qkvo", "okvq", "vqok"])
def test_four_maps_are_recognized_in_any_order(order, x, torch_layer):
    attention = torch_layer.self_attn
    expected, _ = attention(x, x, x, need_weights=False)
    readings = list(attention_readings(split_up(attention, order), D))
    assert len(readings) == 24
    found = nearest(expected, readings, lambda one: self_attention(x, one, H))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


def test_a_packed_map_is_recognized(x, torch_layer):
    expected, _ = torch_layer.self_attn(x, x, x, need_weights=False)
    readings = list(attention_readings(torch_layer.self_attn.state_dict(), D))
    found = nearest(expected, readings, lambda one: self_attention(x, one, H))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("state", [{}, {"a.weight": torch.zeros(D, D)}])
def test_other_matrices_have_no_reading(state):
    assert list(attention_readings(state, D)) == []


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_layer_is_recognized(norm_first, x, torch_layer):
    torch_layer.norm_first = norm_first
    expected = torch_layer(x)
    readings = list(layer_readings(torch_layer.state_dict(), D, E))
    found = nearest(expected, readings, lambda one: encoder_layer(x, one, H, norm_first=norm_first))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


def test_a_layer_with_one_norm_has_no_reading(torch_layer):
    state = torch_layer.state_dict()
    del state["norm2.weight"]
    assert list(layer_readings(state, D, E)) == []


def test_every_mistake_changes_the_output(x, torch_layer):
    (first, *_) = layer_readings(torch_layer.state_dict(), D, E)
    right, layer = self_attention(x, first.attention, H), encoder_layer(x, first, H)
    for knob in ({"scale": 0.5}, {"mix_frames": True}, {"swap_back": False}, {"out": False}):
        assert not torch.allclose(self_attention(x, first.attention, H, **knob), right)
    for knob in (
        {"norm_first": True},
        {"one_norm": True},
        {"residual": False},
        {"activation": torch.tanh},
    ):
        assert not torch.allclose(encoder_layer(x, first, H, **knob), layer)


def test_randomized_numbers_depend_on_the_seed_alone_and_leave_nothing_at_zero_or_one():
    one, other = nn.LayerNorm(5), nn.LayerNorm(5)
    state, again = randomized(Local(one), seed=3), randomized(Local(other), seed=3)
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert torch.equal(one.weight, state["weight"])
    assert not any(((tensor == 0) | (tensor == 1)).any() for tensor in state.values())


def test_a_bias_goes_with_the_weight_of_its_name():
    state = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2, bias=False)).state_dict()
    first, second = projections(state)
    assert torch.equal(first.bias, state["0.bias"])
    assert second.bias is None


def test_nearest_gives_something_for_an_answer_that_is_no_tensor():
    assert nearest(None, [1.0, 2.0], torch.tensor) == 1.0
    assert nearest(torch.tensor(1.8), [1.0, 2.0], torch.tensor) == 2.0
