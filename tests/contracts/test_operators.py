"""What runs in a model is found by its operators, whatever its layers are called."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.contracts.operators import watch
from kws.models.transformer import EncoderLayer

B, T, D = 3, 13, 8


@pytest.fixture
def x() -> Tensor:
    return torch.randn(B, T, D)


class Model(nn.Module):
    """`forward(model, x)` is called with what `parts` made."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.run(self, x)


def seen(forward, x, **parts):
    return watch(Model(forward, **parts).eval(), x)


class NoAttention(nn.Module):
    def forward(self, x):
        return x


class Mix(nn.Module):
    """Self-attention under another name, with a softmax of its own or torch's."""

    def __init__(self, own: bool):
        super().__init__()
        self.own, self.maps = own, nn.Linear(D, 3 * D)

    def forward(self, x):
        q, k, v = self.maps(x).chunk(3, dim=-1)
        if not self.own:
            return x + F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        weights = (q @ k.mT).exp()
        return x + weights / weights.sum(-1, keepdim=True) @ v


LAYERS = {
    "the course's": lambda: EncoderLayer(D, 2, 11, norm_first=True),
    "torch's": lambda: nn.TransformerEncoderLayer(D, 2, 11, batch_first=True),
    "a softmax by hand": lambda: Mix(own=True),
    "a function of torch": lambda: Mix(own=False),
}


def chain(model, x):
    for layer in model.layers:
        x = layer(x)
    return x


@pytest.mark.parametrize("style", LAYERS)
@pytest.mark.parametrize("count", [1, 3])
def test_layers_are_counted_in_any_style_and_each_has_its_own_weights(style, count, x):
    found = seen(chain, x, layers=nn.ModuleList(LAYERS[style]() for _ in range(count)))
    assert (found.attentions, found.repeated) == (count, 0)


@pytest.mark.parametrize("style", LAYERS)
def test_a_layer_used_again_is_told(style, x):
    found = seen(chain, x, layers=nn.ModuleList([LAYERS[style]()] * 3))
    assert (found.attentions, found.repeated) == (3, 2)


def test_layers_that_use_the_first_ones_weights_are_told(x):
    layers = nn.ModuleList(Mix(own=True) for _ in range(3))
    for layer in layers:
        layer.maps = layers[0].maps
    assert seen(chain, x, layers=layers).repeated == 2


POOLS = {
    "a weight for each frame": lambda m, x: (m.score(x).softmax(1).mT @ x).flatten(1),
    "one query": lambda m, x: m.pool(x.mean(1, keepdim=True), x, x)[0].flatten(1),
    "a class called attention": lambda m, x: m.no(x).mean(1),
    "the mean": lambda m, x: x.mean(1),
}


@pytest.mark.parametrize("name", POOLS)
def test_pooling_is_no_layer_whatever_it_is_called(name, x):
    pool = nn.MultiheadAttention(D, 2, batch_first=True)
    found = seen(POOLS[name], x, score=nn.Linear(D, 2), pool=pool, no=NoAttention())
    assert found.attentions == 0


def by_hand(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)


NORMALIZED = {
    "layer": lambda m, x: m.last(m.layer(x.mean(1))),
    "batch": lambda m, x: m.last(m.batch(x.mean(1))),
    "by function": lambda m, x: m.last(F.layer_norm(x.mean(1), (D,))),
    "unit length": lambda m, x: m.last(F.normalize(x.mean(1), dim=1)),
    "by hand": lambda m, x: m.last(by_hand(x.mean(1))),
    "with a time axis of one": lambda m, x: m.last(m.layer(x.mean(1, keepdim=True))),
    "with a hidden layer behind": lambda m, x: m.last(m.deep(m.layer(x.mean(1))).sigmoid()),
}
NOT_NORMALIZED = {
    "none": lambda m, x: m.last(x.mean(1)),
    "after the classifier": lambda m, x: m.layer(m.last(x.mean(1))),
    "only at the start": lambda m, x: m.last(m.layer(x).mean(1)),
    "a sigmoid": lambda m, x: m.last(m.deep(x.mean(1)).sigmoid()),
}


@pytest.mark.parametrize("name", [*NORMALIZED, *NOT_NORMALIZED])
def test_a_norm_of_the_pooled_vector_is_found_in_any_style(name, x):
    parts = {"layer": nn.LayerNorm(D), "batch": nn.BatchNorm1d(D), "deep": nn.Linear(D, D)}
    forward = (NORMALIZED | NOT_NORMALIZED)[name]
    found = seen(forward, x, last=nn.Linear(D, D), **parts)
    assert found.normalizes_pooled == (name in NORMALIZED)


def test_numbers_count_wherever_they_are_kept_and_a_storage_once(x):
    linear, hidden = nn.Linear(D, D), torch.randn(D, 8 * D)
    assert seen(lambda m, x: m.a(x), x, a=linear).numbers == D * D + D
    assert seen(lambda m, x: m.a(m.a(x)), x, a=linear).numbers == D * D + D
    assert seen(lambda m, x: x @ hidden[:, :D], x).numbers == 8 * D * D  # a view of more
    assert seen(lambda m, x: x + torch.ones(D), x).numbers == 0  # made in the call


def test_a_buffer_that_only_eval_uses_counts(x):
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.randn(T, D))

        def forward(self, x):
            return x if self.training else x + self.table

    model = Late()
    assert watch(model, x).numbers == 0
    assert watch(model.eval(), x).numbers == T * D
