"""Homework, laboratory and our own models: published sizes, structure, statistics pooling."""

import dataclasses

import pytest
import torch
from torch import nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.classifier import Classifier, ConvFrontEnd
from kws.models.counts import count_parameters
from kws.models.registry import build_model
from kws.models.speaker import (
    ConformerConfig,
    TransformerConfig,
    build_conformer,
    build_transformer,
)
from kws.models.tdnn import Tdnn, TdnnConfig, TdnnLayer, statistics_pool
from tests.tolerances import ROUNDING

B, T, D = 2, 7, 5


def build(name, **overrides):
    return build_model(name, num_features=40, num_classes=600, **overrides)


def test_the_homework_head_is_a_sigmoid_and_the_modified_one_a_relu():
    def activations(name):
        return [type(m) for m in build(name).classify.modules() if type(m) in (nn.Sigmoid, nn.ReLU)]

    assert activations("homework-baseline") == [nn.Sigmoid]
    assert activations("homework-modified") == [nn.ReLU]
    layers = build("homework-modified").encoder.layers
    assert [layer.attention.num_heads for layer in layers] == [16] * 6
    for name in ("transformer", "conformer"):  # ours keep to the laboratory's budget
        assert count_parameters(build(name)) < 500_000
        assert len(build(name).encoder.layers) < 4


def test_normalizations_are_knobs_and_only_a_prenorm_stack_ends_in_one():
    def norm(**options):
        return build("lab-conformer", **options).classify.norm

    assert isinstance(norm(), MaskedBatchNorm)
    assert isinstance(norm(normalization="none"), nn.Identity)
    assert isinstance(norm(normalization="layer"), nn.LayerNorm)
    config = TransformerConfig(d_model=12, d_ff=14, num_layers=1)
    assert isinstance(build_transformer(config).encoder.norm, nn.LayerNorm)
    post = build_transformer(dataclasses.replace(config, norm_first=False))
    assert post.encoder.norm is None


def test_the_convolutional_front_end_quarters_the_frames():
    x, valid = ConvFrontEnd(40, D)(torch.randn(B, 101, 40), torch.ones(B, 101, dtype=torch.bool))
    assert x.shape == (B, 26, D)
    assert valid is not None
    assert valid.shape == (B, 26)


@pytest.mark.parametrize("build_one", [build_transformer, build_conformer])
@pytest.mark.parametrize("positions", ["none", "sinusoidal", "relative"])
def test_positions_tell_the_order_of_frames(float64, build_one, positions):
    config = {build_transformer: TransformerConfig, build_conformer: ConformerConfig}[build_one](
        front_end="linear", positions=positions, d_model=12, num_heads=3, d_ff=14, dropout=0.0
    )
    if build_one is build_conformer:  # its convolution knows the order, unless it sees one frame
        config = dataclasses.replace(config, kernel_size=1)
    model, features, shuffle = build_one(config).eval(), torch.randn(2, 9, 40), torch.randperm(9)
    difference = (model(features) - model(features[:, shuffle])).abs().max()
    assert (difference > 1e-8) == (positions != "none")


def test_statistics_are_mean_and_deviation_of_the_valid_frames(float64):
    x, valid = torch.randn(B, T, D), torch.arange(T) < torch.tensor([[7], [4]])
    pooled = statistics_pool(x, valid)
    for b, length in enumerate((7, 4)):
        mean, deviation = x[b, :length].mean(dim=0), x[b, :length].std(dim=0, correction=0)
        torch.testing.assert_close(pooled[b, :D], mean, rtol=0, atol=ROUNDING)
        # VARIANCE_FLOOR adds 1e-5 below the square root: 5e-6 / deviation
        torch.testing.assert_close(pooled[b, D:], deviation, rtol=0, atol=1e-4)
    x = torch.ones(B, T, D, requires_grad=True)
    statistics_pool(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_time_delay_network_sees_fifteen_frames_and_keeps_the_length():
    model = Tdnn(TdnnConfig(channels=4, d_hidden=3)).eval()
    x = torch.randn(1, 40, 31, requires_grad=True)
    y = x
    for layer in model.layers:
        y = layer(y)
    assert y.shape == (1, 12, 31)
    y[0, :, 15].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum(dim=(0, 1)).nonzero().flatten().tolist()
    assert reached == list(range(8, 23))  # 2 + 2 + 3 frames to either side


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="front_end='patch' is none of linear, conv"):
        build_transformer(TransformerConfig(front_end="patch"))
    with pytest.raises(ValueError, match="positions='learned' is none of none, sinusoidal"):
        build_conformer(ConformerConfig(positions="learned"))
    with pytest.raises(ValueError, match="kernel_size=4 must be odd"):
        TdnnLayer(D, D, 4)
    assert isinstance(build("tdnn").classify, Classifier)
