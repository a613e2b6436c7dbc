"""Attention weights come out of the forward pass that predicts, for every kind of model."""

from typing import Any, cast

import pytest
import torch

from kws.inference.attention_maps import attention_weights, panels
from kws.models.attention import MultiHeadSelfAttention, attend
from kws.models.classifier import weighted_pool
from kws.models.keyword_transformer import KeywordTransformer, KeywordTransformerConfig
from kws.models.recurrent import Crnn, CrnnConfig
from kws.models.transformer import EncoderLayer, TransformerEncoder
from tests.tolerances import SAME_SUMS

B, T, MELS = 2, 23, 12
SMALL: dict[str, Any] = {
    "num_features": MELS,
    "d_model": 10,
    "num_heads": 5,
    "num_layers": 4,
    "d_ff": 7,
    "num_classes": 3,
}


def keyword_transformer(**changes):
    return KeywordTransformer(KeywordTransformerConfig(**SMALL | changes)).eval()


@pytest.fixture
def mel():
    return torch.randn(B, T, MELS)


@pytest.fixture
def valid():
    return torch.arange(T) < torch.tensor([[T], [13]])


def test_weights_are_those_that_the_layer_averages_with(float64):
    layer = MultiHeadSelfAttention(10, 5).eval()
    x, valid = torch.randn(B, T, 10), torch.arange(T) < torch.tensor([[T], [13]])
    y, (found,) = attention_weights(layer, x, valid)
    _, _, v = layer.project(x)
    averaged = layer.out((found.values @ v).transpose(1, 2).flatten(2))
    assert found.values.shape == (B, 5, T, T)
    assert torch.allclose(averaged, y, atol=SAME_SUMS)
    assert torch.allclose(attend(*layer.project(x), valid), found.values @ v, atol=SAME_SUMS)


@pytest.mark.parametrize("pooling", ["attention", "self-attentive"])
def test_pooling_weights_are_those_that_the_layer_averages_with(pooling, mel, valid):
    config = CrnnConfig(num_features=MELS, channels=(3, 5, 7), hidden_size=4, pooling=pooling)
    model = Crnn(config).eval()
    inputs = []
    model.pool.register_forward_pre_hook(lambda _, args: inputs.append(args))
    _, (found,) = attention_weights(model, mel, valid)
    (x, after), pool = inputs[0], cast(Any, model.pool)
    assert found.name == "pool"
    assert torch.allclose(found.values.sum(dim=1), torch.ones(B))
    assert (found.values[1, 13:] == 0).all()
    expected = weighted_pool(x, pool.scores(x), after)
    # float32: the same weighted mean, summed in another order
    assert torch.allclose(torch.einsum("bt,btd->bd", found.values, x), expected, atol=1e-6)


def test_layers_come_in_the_order_of_their_use_and_the_model_computes_what_it_computes(mel, valid):
    model = keyword_transformer()
    logits, found = attention_weights(model, mel, valid)
    assert [layer.name for layer in found] == [f"encoder.layers.{i}.attention" for i in range(4)]
    assert torch.equal(logits, model(mel, valid))
    assert not any(layer._forward_pre_hooks for layer in model.modules())
    encoder = TransformerEncoder(EncoderLayer(10, 5, 7), 3, share_weights=True).eval()
    _, found = attention_weights(encoder, torch.randn(B, T, 10))
    assert len(found) == 3


def test_a_model_without_attention_has_no_weights_and_hooks_go_when_a_model_fails(mel):
    model = Crnn(CrnnConfig(num_features=MELS, channels=(3, 5, 7), hidden_size=4)).eval()
    _, found = attention_weights(model, mel)
    assert found == []
    assert panels(model, found, num_features=MELS, seconds=0.23) == []
    model = keyword_transformer(stem="frames")
    with pytest.raises((RuntimeError, TypeError)):
        attention_weights(model, torch.randn(B, T, MELS + 1))
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_grid_of_tokens_is_drawn_where_it_lies_on_the_spectrogram(mel):
    model = keyword_transformer()
    _, found = attention_weights(model, mel)
    drawn = panels(model, found, num_features=MELS, seconds=0.23)
    assert [panel.name[:20] for panel in drawn] == [f"class token, layer {i}" for i in (1, 3, 4)]
    last = drawn[-1]
    assert last.values.shape == (3, 6)  # 12 bands and 23 frames, both divided by 4
    assert (last.ylabel, last.height) == ("mel band", MELS)
    row = found[-1].values[0].mean(dim=0)[0]  # what the class token looks at, itself first
    assert last.values[2, 4] == row[1 + 4 * 3 + 2]  # tokens lie frame after frame
    model = keyword_transformer(stem="frames")  # whose tokens are drawn as a line
    _, found = attention_weights(model, mel)
    assert panels(model, found, num_features=MELS, seconds=0.23)[0].values.shape == (T,)


def test_other_encoders_are_drawn_as_queries_over_keys():
    encoder = TransformerEncoder(EncoderLayer(10, 5, 7), 2).eval()
    _, found = attention_weights(encoder, torch.randn(B, T, 10))
    first, last = panels(encoder, found, num_features=10, seconds=0.23)
    assert first.values.shape == last.values.shape == (T, T)
    assert torch.equal(last.values, found[1].values[0].mean(dim=0))
    assert (last.ylabel, last.height) == ("query (s)", 0.23)
