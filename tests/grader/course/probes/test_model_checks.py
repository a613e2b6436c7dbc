"""What a model must be: right models pass in any style, and each way around a rule is named.

Every model is built in a confined process, as a student's would be.
"""

import pytest
import torch

from grader.course.probes.model_checks import (
    constant_buffers,
    count_scalars,
    expect_budget,
    expect_gradients,
    expect_layers,
    expect_mask_invariant,
    expect_normalized,
    expect_same_function,
    find_layers,
)
from grader.grading.feedback import Failure
from grader.sandbox import Code, Sandbox
from grader.submission.contents import Piece

B, T, D, C = 3, 7, 8, 5
HEAD = """
import copy, math
import torch
from torch import nn
import torch.nn.functional as F

class Layer(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 11), nn.Linear(11, d)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())
"""


@pytest.fixture(scope="module")
def session():
    with Sandbox() as sandbox, sandbox.session() as session:
        yield session


@pytest.fixture
def build(session):
    """`build(source)`: the student and their `Model()`; source defines the class after HEAD."""
    opened = []

    def make(source: str, seed: int = 0):
        text = HEAD + source
        piece = Piece(source=text, where="cell 1", line=1, names=("Model",))
        student = session.check(Code(pieces=(piece,), seed=seed))
        opened.append(student)
        return student, student.Model()

    yield make
    for student in opened:
        student.close()


def model(init: str, forward: str) -> str:
    """A class Model from the bodies of its two methods, one statement a `;`."""
    lines = "".join(f"        {line.strip()}\n" for line in init.split(";"))
    return (
        "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"{lines}    def forward(self, x, valid=None):\n"
        + "".join(f"        {line.strip()}\n" for line in forward.split(";"))
    )


@pytest.fixture
def x():
    return torch.randn(B, T, D)


# Layers

STACK = "for layer in self.layers: x = layer(x)"
THREE = {
    "module list": model(
        "self.layers = nn.ModuleList([Layer() for _ in range(3)])", STACK + "; return x"
    ),
    "sequential": model(
        "self.layers = nn.Sequential(*[Layer() for _ in range(3)])", "return self.layers(x)"
    ),
    "attributes": model(
        "self.a = Layer(); self.b = Layer(); self.c = Layer()",
        "return self.c(self.b(self.a(x)))",
    ),
    "deep copies": model(
        "one = Layer(); self.layers = nn.ModuleList([copy.deepcopy(one) for _ in range(3)])",
        STACK + "; return x",
    ),
    "inside, with other layers around": model(
        "self.first = nn.Linear(8, 8); self.body = nn.Sequential(Layer(), Layer(), Layer()); "
        "self.norm = nn.LayerNorm(8); self.norm2 = nn.LayerNorm(8); self.last = nn.Linear(8, 5)",
        "return self.last(self.norm2(self.norm(self.body(self.first(x)))).mean(1))",
    ),
    "torch's own": model(
        "self.layers = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 11, batch_first=True) "
        "for _ in range(3)])",
        STACK + "; return x",
    ),
}


@pytest.mark.parametrize("style", THREE)
def test_three_layers_are_three_in_any_style(build, x, style):
    _, made = build(THREE[style])
    expect_layers("Model()", made, x, count=3)


@pytest.mark.parametrize("count", [2, 4])
def test_three_layers_are_not_another_number(build, x, count):
    _, made = build(THREE["module list"])
    with pytest.raises(Failure, match=f"passes through 3 layers, expected {count}"):
        expect_layers("Model()", made, x, count=count)


FEWER = {
    "one layer three times": (
        model("one = Layer(); self.layers = nn.ModuleList([one] * 3)", STACK + "; return x"),
        "have parameters of their own",
    ),
    "one layer in a loop": (
        model("self.layer = Layer()", "for _ in range(3): x = self.layer(x)\n        return x"),
        "have parameters of their own",
    ),
    "shared parameters": (
        model(
            "self.layers = nn.ModuleList([Layer() for _ in range(3)])\n"
            "        for layer in self.layers:\n"
            "            layer.up, layer.down = self.layers[0].up, self.layers[0].down\n"
            "            layer.norm = self.layers[0].norm",
            STACK + "; return x",
        ),
        "have parameters of their own",
    ),
    "built and not called": (
        model(
            "self.layers = nn.ModuleList([Layer() for _ in range(3)])", "return self.layers[0](x)"
        ),
        "passes through 1 layer, expected 3",
    ),
    "layers that do nothing": (
        "class Idle(Layer):\n    def forward(self, x):\n        return x\n\n"
        + model("self.layers = nn.ModuleList([Idle() for _ in range(3)])", STACK + "; return x"),
        "only 0 of them do something of their own",
    ),
    "layers that use the first one's weights": (
        "class Lazy(Layer):\n    first = None\n    def forward(self, x):\n"
        "        return Layer.forward(Lazy.first[0], x)\n\n"
        + model(
            "self.layers = nn.ModuleList([Lazy() for _ in range(3)]); "
            "Lazy.first = [self.layers[0]]",
            STACK + "; return x",
        ),
        "only 1 of them do something of their own",
    ),
}


@pytest.mark.parametrize("trick", FEWER)
def test_fewer_layers_than_it_seems(build, x, trick):
    source, words = FEWER[trick]
    _, made = build(source)
    with pytest.raises(Failure, match=words):
        expect_layers("Model()", made, x, count=3)


def test_a_single_layer_is_found_by_its_class(build, x):
    _, made = build(model("self.layer = Layer()", "return self.layer(x)"))
    expect_layers("Model()", made, x, count=1, kind="Layer")
    assert find_layers(made, x).called == ()


def test_layers_with_a_mask_get_it(build, x):
    source = (
        "class Masked(Layer):\n    def forward(self, x, valid):\n"
        "        return super().forward(x) * valid[..., None]\n\n"
        + model(
            "self.layers = nn.ModuleList([Masked() for _ in range(3)])",
            "for layer in self.layers: x = layer(x, valid)\n        return x",
        )
    )
    _, made = build(source)
    expect_layers("Model()", made, x, torch.ones(B, T, dtype=torch.bool), count=3)


# Budget

ONE = "self.a = nn.Linear(8, 5)"
PLAIN = model(ONE, "return self.a(x).mean(1)")
HIDDEN = {
    "a list": model(
        "self.a = nn.Linear(8, 5); self.w = [torch.randn(8, 8)]",
        "return self.a(x @ self.w[0]).mean(1)",
    ),
    "a global": "W = torch.randn(8, 8)\n\n" + model(ONE, "return self.a(x @ W).mean(1)"),
    "a buffer": model(
        "self.a = nn.Linear(8, 5); self.register_buffer('w', torch.randn(8, 8))",
        "return self.a(x @ self.w).mean(1)",
    ),
    "a view of more": model(
        "self.a = nn.Linear(8, 5); self.w = [torch.randn(8, 64)[:, :8]]",
        "return self.a(x @ self.w[0]).mean(1)",
    ),
}


def test_a_model_within_its_budget(build, x):
    _, made = build(PLAIN)
    assert expect_budget("Model()", made, x, most=45).declared == 45


def test_a_model_above_its_budget(build, x):
    _, made = build(PLAIN)
    with pytest.raises(Failure, match="is 45, expected at most 44"):
        expect_budget("Model()", made, x, most=44)


@pytest.mark.parametrize("place", HIDDEN)
def test_weights_hidden_from_parameters_count(build, x, place):
    _, made = build(HIDDEN[place])
    with pytest.raises(Failure, match="expected at most 100") as failure:
        expect_budget("Model()", made, x, most=100)
    assert "45 are parameters" in failure.value.hint


def test_a_shared_parameter_counts_once(build, x):
    source = model(
        "self.a = nn.Linear(8, 8); self.b = nn.Linear(8, 8); self.b.weight = self.a.weight",
        "return self.b(self.a(x))",
    )
    _, made = build(source)
    assert count_scalars(made, x).total == 64 + 8 + 8


def test_a_table_that_follows_from_the_sizes_is_free(build, x):
    source = model(
        "self.a = nn.Linear(8, 5); self.register_buffer('table', torch.arange(56.0).reshape(7, 8))",
        "return self.a(x + self.table)",
    )
    (_, first), (_, second) = build(source, 1), build(source, 2)
    assert constant_buffers(first, second) == ("table",)
    assert count_scalars(first, x, constant=("table",)).total == 45
    assert count_scalars(first, x).total == 45 + 56


def test_a_buffer_that_differs_between_models_is_no_table(build):
    pair = [build(HIDDEN["a buffer"], seed)[1] for seed in (1, 2)]
    assert constant_buffers(*pair) == ()


# Normalization ahead of the classifier

POOLED = "self.first = nn.Linear(8, 6); self.norm = {norm}; self.last = nn.Linear(6, 5)"
THROUGH = "return self.last(self.norm(self.first(x).mean(1)))"
NORMALIZED = {
    "layer": model(POOLED.format(norm="nn.LayerNorm(6)"), THROUGH),
    "batch": model(POOLED.format(norm="nn.BatchNorm1d(6)"), THROUGH),
    "by function": model(
        POOLED.format(norm="None"), "return self.last(F.layer_norm(self.first(x).mean(1), (6,)))"
    ),
    "by hand": model(
        POOLED.format(norm="None"),
        "x = self.first(x).mean(1); x = (x.mT - x.mean(-1)) / x.std(-1); return self.last(x.mT)",
    ),
    "with a hidden layer behind": model(
        POOLED.format(norm="nn.LayerNorm(6)") + "; self.deep = nn.Linear(6, 6)",
        "return self.last(torch.sigmoid(self.deep(self.norm(self.first(x).mean(1)))))",
    ),
    "with dropout": model(
        POOLED.format(norm="nn.LayerNorm(6)") + "; self.drop = nn.Dropout(0.5)",
        "return self.last(self.drop(self.norm(self.first(x).mean(1))))",
    ),
}
NOT_NORMALIZED = {
    "none": model(POOLED.format(norm="None"), "return self.last(self.first(x).mean(1))"),
    "declared, not called": model(
        POOLED.format(norm="nn.LayerNorm(6)"), "return self.last(self.first(x).mean(1))"
    ),
    "after the classifier": model(
        POOLED.format(norm="nn.LayerNorm(5)"), "return self.last(self.first(x).mean(1)) + 0"
    ),
    "only at the start": model(
        POOLED.format(norm="nn.LayerNorm(8)"), "return self.last(self.first(self.norm(x)).mean(1))"
    ),
    "a sigmoid": model(
        POOLED.format(norm="None") + "; self.deep = nn.Linear(6, 6)",
        "return self.last(torch.sigmoid(self.deep(self.first(x).mean(1))))",
    ),
}


@pytest.mark.parametrize("style", NORMALIZED)
def test_normalized_features_are_found_in_any_style(build, x, style):
    student, made = build(NORMALIZED[style])
    expect_normalized("Model()", student, made, x)


@pytest.mark.parametrize("mistake", NOT_NORMALIZED)
def test_features_that_are_not_normalized_are_found(build, x, mistake):
    student, made = build(NOT_NORMALIZED[mistake])
    with pytest.raises(Failure, match="4 times as large give other logits") as failure:
        expect_normalized("Model()", student, made, x)
    assert ("norm is there" in failure.value.hint) == ("nn.LayerNorm" in NOT_NORMALIZED[mistake])


# Masks, gradients, state

VALID = torch.arange(T) < torch.tensor([T, 4, 5])[:, None]


@pytest.mark.parametrize(
    "forward",
    [
        "return (x * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)",
        "return x * 2",
        "return x.masked_fill(~valid[..., None], 0).cumsum(1)",
    ],
)
def test_what_ignores_padding_passes(build, x, forward):
    _, made = build(model("pass", forward))
    expect_mask_invariant("Model()", made, x, VALID, noise=torch.randn(B, T, D))


@pytest.mark.parametrize(
    "forward",
    [
        "return x.mean(1)",
        "return x.flip(1)",
        "return (x * valid[..., None]).mean(1) + x[:, -1]",
        "return x - x.mean((0, 1))",
    ],
)
def test_what_looks_at_padding_is_found(build, x, forward):
    _, made = build(model("pass", forward))
    with pytest.raises(Failure) as failure:
        expect_mask_invariant("Model()", made, x, VALID, noise=torch.randn(B, T, D))
    assert "padding" in failure.value.message


def test_gradients_reach_everything_in_a_right_model(build, x):
    _, made = build(THREE["module list"])
    expect_gradients("Model()", made, x)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (model(f"{ONE}; self.b = nn.Linear(8, 5)", "return self.a(x)"), "reaches b.weight"),
        (model(ONE, "return self.a(x).detach() + x.sum()"), "reaches a.weight"),
        (model(ONE, "return self.a(x) * 0"), "reaches a.weight"),
        (
            model(
                "self.a = nn.Linear(8, 5).requires_grad_(False); self.b = nn.Linear(5, 5)",
                "return self.b(self.a(x))",
            ),
            "cannot learn",
        ),
    ],
)
def test_a_parameter_that_cannot_learn_is_named(build, x, source, words):
    _, made = build(source)
    with pytest.raises(Failure, match=words):
        expect_gradients("Model()", made, x)


@pytest.mark.parametrize("style", ["module list", "torch's own"])
def test_two_models_with_one_state_are_one_function(build, x, style):
    (_, first), (_, second) = build(THREE[style], 1), build(THREE[style], 2)
    expect_same_function("Model()", first, second, x)


@pytest.mark.parametrize("place", ["a list", "a global"])
def test_weights_outside_the_state_dict_are_found(build, x, place):
    (_, first), (_, second) = build(HIDDEN[place], 1), build(HIDDEN[place], 2)
    with pytest.raises(Failure, match="same state dict give different outputs"):
        expect_same_function("Model()", first, second, x)


def test_dropout_that_stays_on_is_found(build, x):
    source = model("self.a = nn.Linear(8, 5)", "return F.dropout(self.a(x), 0.5)")
    (_, first), (_, second) = build(source, 1), build(source, 2)
    with pytest.raises(Failure, match="different outputs"):
        expect_same_function("Model()", first, second, x)
