"""What runs in a model is found by its operators, whatever its layers are called."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.course.operators import size_beyond, trained_numbers, undeclared, watch
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
def test_layers_are_counted_in_any_style_and_those_used_again_are_found(style, x):
    for count in (1, 3):
        found = seen(chain, x, layers=nn.ModuleList(LAYERS[style]() for _ in range(count)))
        assert (found.attentions, found.repeated) == (count, 0)
    found = seen(chain, x, layers=nn.ModuleList([LAYERS[style]()] * 3))
    assert (found.attentions, found.repeated) == (3, 2)


def test_layers_that_share_weights_are_told_and_those_in_a_plain_list_are_not_declared(x):
    layers = nn.ModuleList(Mix(own=True) for _ in range(3))
    for layer in layers:
        layer.maps = layers[0].maps
    assert seen(chain, x, layers=layers).repeated == 2
    listed = [nn.Linear(D, D), nn.Linear(D, D)]
    model = Model(lambda m, x: m.last(m.layers[1](m.layers[0](x))), last=nn.Linear(D, D))
    model.layers = listed
    assert undeclared(model, x) == 2 * (D * D + D)
    model.layers = nn.ModuleList(listed)
    assert undeclared(model, x) == 0


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
    "by the root of a mean square": lambda m, x: m.last(m.rms(x.mean(1))),
    "with a time axis of one": lambda m, x: m.last(m.layer(x.mean(1, keepdim=True))),
    "with a hidden layer behind": lambda m, x: m.last(m.deep(m.layer(x.mean(1))).sigmoid()),
}
NOT_NORMALIZED = {
    "none": lambda m, x: m.last(x.mean(1)),
    "after the classifier": lambda m, x: m.layer(m.last(x.mean(1))),
    "only at the start": lambda m, x: m.last(m.layer(x).mean(1)),
    "frames alone": lambda m, x: m.last(m.rms(x).mean(1)),
    "a sigmoid": lambda m, x: m.last(m.deep(x.mean(1)).sigmoid()),
}


@pytest.mark.parametrize("name", [*NORMALIZED, *NOT_NORMALIZED])
def test_a_norm_of_the_pooled_vector_is_found_in_any_style(name, x):
    parts = {"layer": nn.LayerNorm(D), "batch": nn.BatchNorm1d(D), "rms": nn.RMSNorm(D)}
    forward = (NORMALIZED | NOT_NORMALIZED)[name]
    found = seen(forward, x, last=nn.Linear(D, D), deep=nn.Linear(D, D), **parts)
    assert found.normalizes_pooled == (name in NORMALIZED)


class Kept(nn.Module):
    """A linear layer, D * D + D numbers, and others that are kept in some other way."""

    def __init__(self, how: str):
        super().__init__()
        self.how, self.linear = how, nn.Linear(D, D)
        table = torch.arange(5000.0)[:, None] / 10_000 ** (torch.arange(D) / D)
        if how == "a frozen table":
            self.table = nn.Parameter(table.sin(), requires_grad=False)
        if how == "a table of positions":  # the Annotated Transformer's
            self.register_buffer("table", table.sin())
        if how == "a table in an attribute":
            self.table = table.sin()
        if how == "a buffer":
            self.register_buffer("table", torch.randn(T, D))
        if how == "a view of more in an attribute":
            self.table = torch.randn(T, 8 * D)[:, :D]
        if how == "frozen random numbers":
            self.table = nn.Parameter(torch.randn(T, D), requires_grad=False)
        if how == "only in evaluation":
            self.late = torch.randn(T, D)
        self.norm = nn.BatchNorm1d(D, affine=False) if how == "running statistics" else None
        self.again = self.linear if how == "a shared layer" else None
        self.made = None
        hidden = torch.randn(T, D)
        self.add = lambda x: x + hidden if how == "a closure" else x

    def forward(self, x):
        if self.how == "made in the first call" and self.made is None:
            self.made = torch.ones(T, D)
        if self.how == "only in evaluation" and not self.training:
            x = x + self.late
        if self.how == "a global name":
            x = x + GLOBAL
        for table in (getattr(self, "table", None), self.made):
            x = x if table is None else x + table[:T]
        x = x if self.norm is None else self.norm(x.mT).mT
        x = x if self.again is None else self.again(x)
        return self.linear(self.add(x)) + torch.ones(D)


GLOBAL = torch.zeros(T, D, requires_grad=True)
FIXED = ("nothing else", "a frozen table", "a table of positions", "a table in an attribute")
FIXED += ("made in the first call", "a shared layer")
TRAINED = {
    "a buffer": T * D,
    "a view of more in an attribute": 8 * T * D,
    "frozen random numbers": T * D,
    "running statistics": 2 * D,
    "a closure": T * D,
    "a global name": T * D,
    "only in evaluation": T * D,
}


@pytest.mark.parametrize("how", [*FIXED, *TRAINED])
def test_what_training_changes_counts_wherever_it_is_kept_and_a_fixed_table_does_not(how, x):
    numbers = D * D + D + TRAINED.get(how, 0)
    assert trained_numbers(lambda: Kept(how), x) == numbers
    assert size_beyond(numbers, lambda: Kept(how), x)[1] == 0
    assert size_beyond(numbers - 1, lambda: Kept(how), x)[1] == 1
