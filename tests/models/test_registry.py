"""The registry: gradient reaches every parameter, every setting does something, what is refused."""

import dataclasses
from functools import cache

import pytest
import torch
import torch.nn.functional as F

from kws.errors import UsageError
from kws.models.registry import MODELS, build_model, configure

# Adding a constant to every score of a softmax changes nothing: these have no gradient.
FREE = {"pool.score.bias", "gate.pool.score.bias", "words.pool.score.bias"}

# Another value of every setting, tried on the first of its models. Sizes are small throughout.
SMALL = {"d_model": 12, "num_heads": 3, "d_ff": 14, "num_layers": 2}
NARROW = {"d_model": 24, "num_heads": 2, "num_layers": 1, "dropout": 0.0}
SPEAKER = {**NARROW, "front_end": "linear", "pooling": "attention", "d_hidden": 5}
SPEAKER |= {"head_dropout": 0.0, "logit_scale": 3.0}
PLACED = {"positions": "sinusoidal", "normalization": "layer", "head_activation": "sigmoid"}
MAPS = {"channels": (4, 6), "pools": ((2, 2), (1, 1)), "hidden_size": 5}
OTHER_MAPS = {"channels": (4, 5), "pools": ((1, 2), (1, 1)), "hidden_size": 4, "dropout": 0.0}
RECURRENT = {"hidden_size": 4, "num_layers": 1, "dropout": 0.5}
OTHERS = {
    "crnn-attention": (
        {**MAPS, "d_hidden": 6},
        {
            **OTHER_MAPS,
            **{"activation": "relu", "pool_first": True, "num_layers": 1},
            **{"pooling": "mean", "d_hidden": 0},
        },
    ),
    "crnn-causal": (
        {**MAPS, "carry": 0.0},
        {"channels": (4, 5), "pools": ((1, 3), (1, 1)), "hidden_size": 4, "dropout": 0.0}
        | {"window": 2, "carry": 1.0},
    ),
    "crnn-gated": (MAPS, {**OTHER_MAPS, "num_outside": 1}),
    "gru": ({"channels": 4, "hidden_size": 5}, {**RECURRENT, "channels": 6}),
    "lstm": ({"hidden_size": 5}, {**RECURRENT, "cell": "gru"}),
    "convs2s": (
        {"d_model": 12, "num_layers": 2},
        {"d_model": 10, "num_layers": 1, "kernel_size": 3, "max_frames": 99, "dropout": 0.0},
    ),
    "strided-transformer": (
        {**SMALL, "channels": (4, 6), "positions": "learned", "max_tokens": 99},
        {
            **NARROW,
            **{"stem": "max-pool", "channels": (5, 6), "positions": "none", "max_tokens": 98},
            **{"d_ff": 15, "activation": "gelu", "qkv_bias": False},
        },
    ),
    "ast-small": (
        {**SMALL, "patch": (16, 4), "stride": (8, 4), "num_frames": 40},
        {
            **NARROW,
            **{"num_frames": 50, "patch": (15, 4), "stride": (8, 3), "positions": "split"},
            **{"distilled": True, "head_norm": True, "patchout": (1, 0), "token_patchout": 3},
            **{"d_ff": 15, "dropout": 0.5, "norm_eps": 0.1},
        },
    ),
    "bc-resnet-1": ({}, {"base_channels": 4, "sub_bands": 1, "dropout": 0.0}),
    "ds-cnn": ({"channels": 6}, {"channels": 5, "num_blocks": 2, "dropout": 0.0}),
    "tdnn": ({"channels": 4, "d_hidden": 3}, {"channels": 5, "d_hidden": 4, "dropout": 0.0}),
    "transformer": (
        {**SMALL, "d_hidden": 6},
        {
            **SPEAKER,
            **{"d_ff": 15, "positions": "relative", "normalization": "none"},
            **{"head_activation": "tanh", "activation": "relu", "norm_first": False},
            **{"qkv_bias": False, "share_weights": True},
        },
    ),
    "conformer": (
        {**SMALL, "d_hidden": 6},
        {**SPEAKER, **PLACED, "d_ff": 15, "kernel_size": 5, "norm": "layer"},
    ),
    "branchformer": (
        {**SMALL, "d_hidden": 6},
        {**SPEAKER, **PLACED, "d_ff": 16, "kernel_size": 5},
    ),
}
CHANGES = [
    pytest.param(name, base, {key: value}, id=f"{name}-{key}")
    for name, (base, others) in OTHERS.items()
    for key, value in others.items()
]


@cache
def first_output(name):
    """The output of a model in its settings to be changed."""
    return output(name, **OTHERS[name][0])


def output(name, **settings):
    """Logits of a training step, from a fixed start and fixed draws; and the parameters' shapes."""
    torch.manual_seed(0)
    model = build_model(name, num_features=40, num_classes=3, **settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    logits = model.train()(torch.randn(4, 20, 40, generator=torch.Generator().manual_seed(2)))
    return logits, [parameter.shape for parameter in model.parameters()]


@pytest.mark.parametrize(("name", "base", "change"), CHANGES)
def test_every_setting_does_something(name, base, change):
    (before, shapes), (after, new_shapes) = first_output(name), output(name, **base | change)
    # float32 rounding is below that: what moves logits near 1 by less does nothing
    assert shapes != new_shapes or not torch.allclose(before, after, atol=1e-6)


def test_every_setting_is_tested():
    for name, (_, others) in OTHERS.items():
        fields = {field.name for field in dataclasses.fields(MODELS[name].config)}
        assert fields - set(others) == {"num_classes", "num_features"}, name
    kinds = {type(MODELS[name].config) for name in OTHERS}
    assert kinds == {type(entry.config) for entry in MODELS.values()}


def test_gradient_reaches_every_parameter(model, bands):
    model.eval()  # in training a bias in front of a batch normalization has none
    loss = F.cross_entropy(
        model(torch.randn(3, 24, bands, dtype=torch.float64)), torch.tensor([0, 1, 2])
    )
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert name in FREE or parameter.grad.abs().max() > 1e-12, name


def test_published_settings_stay_unless_changed():
    assert configure("gru") == MODELS["gru"].config
    assert configure("gru", num_classes=12, dropout=0).dropout == 0.0
    assert configure("crnn", channels=[4, 5, 6]).channels == (4, 5, 6)
    assert configure("crnn", pools=[[2, 2]] * 3).pools == ((2, 2),) * 3


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("kwt1", {}, r"model 'kwt1' is unknown \(did you mean 'kwt-1'\?\): choose one of crnn, "),
        ("kwt-1", {"dmodel": 3}, r"kwt-1 has no setting 'dmodel' \(did you mean 'd_model'\?\)"),
        ("kwt-1", {"name": "x"}, "kwt-1 has no setting 'name'"),
        (
            "kwt-1",
            {"d_model": 12.0},
            r"kwt-1: d_model expects a whole number from 1 to 999999, got 12.0",
        ),
        (
            "kwt-1",
            {"num_layers": True},
            "kwt-1: num_layers expects a whole number from 1 to 1000, got true",
        ),
        (
            "kwt-1",
            {"num_layers": 0},
            "kwt-1: num_layers expects a whole number from 1 to 1000, got 0",
        ),
        (
            "kwt-1",
            {"num_layers": 1001},
            "kwt-1: num_layers expects a whole number from 1 to 1000, got 1001",
        ),
        ("kwt-1", {"qkv_bias": 1}, "kwt-1: qkv_bias expects true or false, got 1"),
        ("kwt-1", {"stem": "patch"}, "kwt-1: stem='patch' is none of strided"),
        ("kwt-1", {"dropout": "much"}, 'kwt-1: dropout expects a number, got "much"'),
        (
            "crnn",
            {"channels": 5},
            "crnn: channels expects a list of whole numbers from 1 to 999999, got 5",
        ),
        (
            "crnn",
            {"pools": (2, 2)},
            r"crnn: pools expects a list of lists of 2 whole numbers .*, got \[2, 2\]",
        ),
        (
            "crnn",
            {"pools": [[2, 2, 2]]},
            r"crnn: pools expects a list of lists of 2 .*, got \[\[2, 2, 2\]\]",
        ),
        ("crnn", {"pools": [[2, 2]]}, r"crnn: channels=\(32, 64, 128\), strides=\(1, 1, 1\) and"),
        (
            "crnn",
            {"channels": (4, 0, 2)},
            r"crnn: channels expects a list of whole numbers from 1 to 999999, got \[4, 0, 2\]",
        ),
        (
            "crnn",
            {"d_hidden": -1},
            "crnn: d_hidden expects a whole number from 0 to 999999, got -1",
        ),
        ("lstm", {"cell": "rnn"}, "lstm: cell='rnn' is none of lstm, gru"),
        ("convs2s", {"kernel_size": 4}, "convs2s: kernel_size=4 must be odd"),
        ("bc-resnet-1", {"num_features": 64}, "bc-resnet-1: num_features=64 leaves 32 bands"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(name, settings, sentence):
    with pytest.raises(UsageError, match=f"^{sentence}") as info:
        build_model(name, **{"num_features": 40, "num_classes": 3, **settings})
    assert "\n" not in str(info.value)
