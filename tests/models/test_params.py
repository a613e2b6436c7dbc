"""Parameters: every named model counted two ways, shared tensors, parts that add up."""

import pytest
import torch
from torch import nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.conformer import ConformerLayer, ConvolutionModule
from kws.models.counts import (
    ATTENTION,
    CONVOLUTION_MODULE,
    FEED_FORWARD,
    Formula,
    conformer_layer,
    count_parameters,
    encoder_layer,
    formulas,
    measured_parts,
    shared_tensors,
)
from kws.models.registry import MODELS, build_from, configure
from kws.models.transformer import EncoderLayer, FeedForward
from tests.conftest import data_beside

DATA = data_beside(__file__)


def on_paper(name, config):
    """The model without memory for its weights."""
    with torch.device("meta"):
        return build_from(name, config)


@pytest.mark.parametrize(("name", "num_classes", "published"), DATA["published"])
def test_formula_measurement_and_publication_agree(name, num_classes, published):
    config = configure(name, num_classes=num_classes)
    by_formula = sum(formula.value for formula in formulas(config).values())
    assert by_formula == count_parameters(on_paper(name, config)) == published
    assert num_classes in (MODELS[name].config.num_classes, 31)


def test_ds_cnn_has_the_size_that_mlperf_tiny_states_as_keras_counts():
    buffers = build_from("ds-cnn", MODELS["ds-cnn"].config).named_buffers()
    assert 23_756 + sum(x.numel() for name, x in buffers if "running" in name) == 24_908


@pytest.mark.parametrize(("name", "part", "published"), DATA["parts"])
def test_parts_have_their_published_size(name, part, published):
    config = MODELS[name].config
    measured = measured_parts(on_paper(name, config))
    assert formulas(config)[part].value == measured[part] == published


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_formula_for_each_part(name):
    config = MODELS[name].config
    by_formula = {part: formula.value for part, formula in formulas(config).items()}
    assert list(by_formula.items()) == list(measured_parts(on_paper(name, config)).items())


@pytest.mark.parametrize(("name", "changes"), DATA["variants"], ids=lambda value: str(value)[:60])
def test_formulas_follow_the_settings(name, changes):
    config = configure(name, num_classes=5, **changes)
    by_formula = {part: formula.value for part, formula in formulas(config).items()}
    assert by_formula == measured_parts(on_paper(name, config))


def test_a_shared_tensor_counts_once_and_is_named_and_a_frozen_one_not_at_all():
    layer = nn.Linear(3, 5)
    module = nn.ModuleDict({"a": layer, "b": nn.Sequential(nn.Linear(7, 2), layer)})
    assert count_parameters(module) == (3 * 5 + 5) + (7 * 2 + 2)
    assert shared_tensors(module) == [["a.weight", "b.1.weight"], ["a.bias", "b.1.bias"]]
    assert measured_parts(module) == {"a": 20, "b": 16}
    module = nn.Sequential(nn.Linear(3, 5), nn.Linear(3, 5))
    assert shared_tensors(module) == []
    module[1].weight = module[0].weight
    assert shared_tensors(module) == [["0.weight", "1.weight"]]
    assert count_parameters(module) == 3 * 5 + 5 + 5
    module = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    module[0].requires_grad_(False)
    assert count_parameters(module) == 12
    assert measured_parts(module) == {"1": 12}


def test_parts_are_the_children_and_formulas_add_up_if_their_letters_agree():
    module = nn.Module()
    module.token = nn.Parameter(torch.zeros(7))
    module.body = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    module.act = nn.ReLU()
    assert measured_parts(module) == {"token": 7, "body": 9}
    total = Formula("a*b", {"a": 2, "b": 3}) + Formula("b**2", {"b": 3})
    assert (str(total), total.value) == ("a b + b²", 15)
    with pytest.raises(ValueError, match="b is 3 and 4"):
        Formula("b", {"b": 3}) + Formula("b", {"b": 4})

    class Unknown:
        pass

    with pytest.raises(TypeError, match="no formula for Unknown"):
        formulas(Unknown())


def test_layers_have_the_parameters_of_their_formulas():
    d, f, k = 12, 7, 5
    for expected, layer in (
        (Formula(ATTENTION, {"d": d}).value, MultiHeadSelfAttention(d, 3)),
        (Formula(FEED_FORWARD, {"d": d, "f": f}).value, FeedForward(d, f)),
        (encoder_layer(d, f).value, EncoderLayer(d, 3, f)),
        (Formula(CONVOLUTION_MODULE, {"d": d, "k": k}).value, ConvolutionModule(d, k)),
        (conformer_layer(d, f, k).value, ConformerLayer(d, 3, f, k)),
    ):
        assert count_parameters(layer) == expected, layer
