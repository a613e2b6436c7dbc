"""Classifier head: what each knob does, and the counts of the homework's and the reports' heads."""

import pytest
import torch
from torch import nn

from kws.models.classifier import Classifier
from kws.models.counts import classifier, count_parameters

B, D, C, E = 7, 5, 3, 11


@pytest.mark.parametrize(
    ("normalization", "reference"),
    [("none", nn.Identity()), ("layer", nn.LayerNorm(D)), ("batch", nn.BatchNorm1d(D))],
)
def test_normalization_comes_first_then_dropout_in_training_and_one_linear_layer(
    normalization, reference
):
    head, x = Classifier(D, C, normalization=normalization), 100 * torch.randn(B, D) + 7
    torch.testing.assert_close(head(x), head.logits(reference(x)))
    head = Classifier(D, C, normalization=normalization, dropout=0.5)
    assert not torch.equal(head(x), head(x))
    assert torch.equal(head.eval()(x), head(x))


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu", torch.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh)],
)
def test_hidden_layer(activation, function):
    head, x = Classifier(D, C, d_hidden=E, activation=activation), torch.randn(B, D)
    torch.testing.assert_close(head(x), head.logits(function(head.hidden[0](x))))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
def test_gradients(normalization):
    head = Classifier(D, C, normalization=normalization, d_hidden=E, activation="tanh")
    assert torch.autograd.gradcheck(head, torch.randn(B, D, requires_grad=True))


@pytest.mark.parametrize("option", ["normalization", "activation"])
def test_unknown_names_are_refused(option):
    with pytest.raises(ValueError, match=f"{option}='group' is none of"):
        Classifier(D, C, **{option: "group"})


@pytest.mark.parametrize("normalization", ["none", "layer", "batch"])
@pytest.mark.parametrize("d_hidden", [None, E])
def test_formula_equals_the_count(normalization, d_hidden):
    head = Classifier(D, C, normalization=normalization, d_hidden=d_hidden)
    formula = classifier(D, C, d_hidden or 0, normalized=normalization != "none")
    assert count_parameters(head) == formula.value
