"""The registry: gradient reaches every parameter, every setting does something, what is refused."""

import dataclasses
from functools import cache

import pytest
import torch
import torch.nn.functional as F

from kws.errors import UsageError
from kws.models.registry import MODELS, build_model, configure
from tests.conftest import data_beside

# Adding a constant to every score of a softmax changes nothing: these have no gradient.
FREE = {f"{part}pool.score.bias" for part in ("", "gate.", "words.", "first.", "second.")}

DATA = data_beside(__file__)
SETTINGS = DATA["settings"]
CHANGES = [
    pytest.param(name, {key: value}, id=f"{name}-{key}")
    for name, kind in SETTINGS.items()
    for key, value in kind["other"].items()
]


@cache
def first_output(name):
    """The output of a model in its settings to be changed."""
    return output(name, **SETTINGS[name]["small"])


def output(name, **settings):
    """Logits of a training step, from a fixed start and fixed draws; and the parameters' shapes."""
    torch.manual_seed(0)
    model = build_model(name, num_features=40, num_classes=3, **settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    logits = model.train()(torch.randn(4, 20, 40, generator=torch.Generator().manual_seed(2)))
    return logits, [parameter.shape for parameter in model.parameters()]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_every_setting_does_something(name, change):
    before, shapes = first_output(name)
    after, new_shapes = output(name, **SETTINGS[name]["small"] | change)
    # float32 rounding is below that: what moves logits near 1 by less does nothing
    assert shapes != new_shapes or not torch.allclose(before, after, atol=1e-6)


def test_every_setting_is_tested():
    for name, kind in SETTINGS.items():
        fields = {field.name for field in dataclasses.fields(MODELS[name].config)}
        assert fields - set(kind["other"]) == {"num_classes", "num_features"}, name
    kinds = {type(MODELS[name].config) for name in SETTINGS}
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


@pytest.mark.parametrize(("name", "settings", "sentence"), DATA["refusals"])
def test_what_does_not_fit_is_told_in_a_sentence(name, settings, sentence):
    with pytest.raises(UsageError, match=f"^{sentence}") as info:
        build_model(name, **{"num_features": 40, "num_classes": 3, **settings})
    assert "\n" not in str(info.value)
