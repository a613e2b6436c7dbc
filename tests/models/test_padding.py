"""Padding moves no valid output and no logit: over every model, and every layer that mixes frames.

Three clips of 26, 17 and 9 frames in a batch of 26; float64, tolerance 1e-10. In training, batch
statistics are part of it. torchaudio's Conformer does not pass: shown in test_conformer.py.
"""

import copy
import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

import kws.models
from kws.models.attention import MultiHeadSelfAttention
from kws.models.attention_2d import Attention1d, Attention2d
from kws.models.batch_norm import MaskedBatchNorm
from kws.models.bc_resnet import BcBlock, SubSpectralNorm
from kws.models.causal import CausalBlock
from kws.models.classifier import (
    AttentionPooling,
    ConvFrontEnd,
    LinearFrontEnd,
    MeanPooling,
    SelfAttentivePooling,
)
from kws.models.conformer import Conformer, ConformerLayer, ConvolutionModule
from kws.models.convs2s import GatedBlock
from kws.models.ds_cnn import DsBlock, DsCnn
from kws.models.frontend import ConvBlock, ConvStem
from kws.models.patches import PatchEmbedding
from kws.models.positional import RelativeSelfAttention
from kws.models.recurrent import BidirectionalRnn
from kws.models.residual_maps import ResCnn, ResCnnLstm
from kws.models.tdnn import TdnnLayer
from kws.models.transformer import EncoderLayer, TransformerEncoder
from tests.tolerances import ROUNDING

B, T, D, C, BANDS = 3, 26, 12, 6, 11
LENGTHS = torch.tensor([26, 17, 9])
VALID = torch.arange(T) < LENGTHS[:, None]

# Each layer with the shape of its input; time is the axis of 26.
LAYERS = {
    "attention": (lambda: MultiHeadSelfAttention(D, 3), (B, T, D)),
    "relative attention": (lambda: RelativeSelfAttention(D, 3), (B, T, D)),
    "encoder layer": (lambda: EncoderLayer(D, 3, 14, 0.0), (B, T, D)),
    "pre-norm layer": (lambda: EncoderLayer(D, 3, 14, 0.0, norm_first=True), (B, T, D)),
    "encoder": (lambda: TransformerEncoder(EncoderLayer(D, 3, 14, 0.0), 2), (B, T, D)),
    "convolution module": (lambda: ConvolutionModule(D, 5), (B, T, D)),
    "with LayerNorm": (lambda: ConvolutionModule(D, 5, norm="layer"), (B, T, D)),
    "conformer layer": (lambda: ConformerLayer(D, 3, 14, 5, 0.0), (B, T, D)),
    "relative conformer": (lambda: Conformer(D, 3, 14, 2, 5, 0.0), (B, T, D)),
    "sinusoidal conformer": (
        lambda: Conformer(D, 3, 14, 2, 5, 0.0, positions="sinusoidal"),
        (B, T, D),
    ),
    "gru": (lambda: BidirectionalRnn("gru", D, 5, 2), (B, T, D)),
    "lstm": (lambda: BidirectionalRnn("lstm", D, 5, 2), (B, T, D)),
    "gated block": (lambda: GatedBlock(D, 5), (B, T, D)),
    "mean": (MeanPooling, (B, T, D)),
    "attention pooling": (lambda: AttentionPooling(D), (B, T, D)),
    "self-attentive pooling": (lambda: SelfAttentivePooling(D), (B, T, D)),
    "norm of frames": (lambda: MaskedBatchNorm(D, channels_last=True), (B, T, D)),
    "norm of maps": (lambda: MaskedBatchNorm(C), (B, C, BANDS, T)),
    "sub-spectral norm": (lambda: SubSpectralNorm(C, sub_bands=2), (B, C, 10, T)),
    "broadcasted block": (lambda: BcBlock(C, 7, dilation=2, stride=2, dropout=0.0), (B, C, 10, T)),
    "convolution block": (lambda: ConvBlock(C, 7, stride=2), (B, C, BANDS, T)),
    "pooled block": (lambda: ConvBlock(C, 7, pool=(2, 2)), (B, C, BANDS, T)),
    "pooled first": (lambda: ConvBlock(C, 7, pool=(2, 3), pool_first=True), (B, C, BANDS, T)),
    "causal block": (lambda: CausalBlock(C, 7, (2, 3)), (B, C, BANDS, T)),
    "stem": (lambda: ConvStem((4, 6), strides=(2, 2)), (B, T, BANDS)),
    "1-D attention": (lambda: Attention1d(C), (B, C, BANDS, T)),
    "2-D attention": (lambda: Attention2d(C), (B, C, BANDS, T)),
    "residual convolutions": (lambda: ResCnn(C), (B, C, BANDS, T)),
    "residual convolutional lstm": (lambda: ResCnnLstm(C), (B, C, BANDS, T)),
    "separable block": (lambda: DsBlock(C), (B, C, BANDS, T)),
    "time-delay layer": (lambda: TdnnLayer(D, 7, 3, dilation=2), (B, D, T)),
    "linear front end": (lambda: LinearFrontEnd(BANDS, D), (B, T, BANDS)),
    "patches": (lambda: PatchEmbedding(D, (4, 5), (3, 2)), (B, T, BANDS)),
    "convolutional front end": (lambda: ConvFrontEnd(BANDS, D), (B, T, BANDS)),
}
LEFT_TO_MODELS = {
    "BcResNet",
    "CausalConformer",
    "CausalConformerLayer",
    "CausalConvolution",
    "CausalCrnn",
    "CausalModel",
    "Crnn",
    "CrnnPair",
    "GatedCrnn",
    "GruClassifier",
    "KeywordTransformer",
    "SequenceClassifier",
}
LEFT_TO_MODELS |= {"ConvS2s", "DsCnn", "RnnClassifier", "SpectrogramTransformer", "Tdnn"}
REFUSE_PADDING = {"Ast", "Wav2Vec2"}  # tested where they are
# With a padding test beside their own: a memory and symbols, or a mask that is shortened twice.
ELSEWHERE = {"ConvSubsampling", "CrossAttention", "DecoderLayer"}
ELSEWHERE |= {"BranchformerLayer", "ConvolutionalGating", "SpeechGru", "SpeechTransformer"}
ELSEWHERE |= {"DurationPredictor", "FastSpeech", "FftBlock", "WeightedPooling"}


def padded(x: torch.Tensor, valid: torch.Tensor, axis: int, scale: float) -> torch.Tensor:
    """`x` with its padding replaced by noise of that scale."""
    shape = [1] * x.ndim
    shape[0], shape[axis] = valid.shape
    return torch.where(valid.view(shape), x, scale * torch.randn_like(x))


def valid_outputs(module, x, valid):
    """What is real in the output: the valid frames, or the vector of each clip."""
    y = module(x, valid)
    y, valid = y if isinstance(y, tuple) else (y, valid)
    if y.ndim == 2:
        return y
    axis = next(axis for axis in range(y.ndim - 1, 0, -1) if y.shape[axis] == valid.shape[1])
    return y.movedim(axis, 1)[valid]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=ROUNDING)


@pytest.fixture(params=["training", "evaluation"])
def training(request) -> bool:
    return request.param == "training"


@pytest.fixture
def layer(request, float64):
    build, shape = LAYERS[request.param]
    layer = build()
    for parameter in layer.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return layer, torch.randn(shape), shape.index(T)


every_layer = pytest.mark.parametrize("layer", sorted(LAYERS), indirect=True)


@every_layer
def test_content_of_the_padding_moves_no_output_of_a_layer(layer, training):
    layer, x, axis = layer
    layer.train(training)
    expected = valid_outputs(layer, padded(x, VALID, axis, 0.0), VALID)
    close(valid_outputs(layer, padded(x, VALID, axis, 1e3), VALID), expected)


@every_layer
def test_length_of_the_padding_moves_no_output_of_a_layer(layer, training):
    layer, x, axis = layer
    layer.train(training)
    more = list(x.shape)
    more[axis] = 13
    longer = torch.cat([x, torch.randn(more)], dim=axis)
    longer_valid = torch.arange(T + 13) < LENGTHS[:, None]
    close(valid_outputs(layer, longer, longer_valid), valid_outputs(layer, x, VALID))


@every_layer
def test_a_layer_without_a_mask_takes_every_frame_as_valid(layer, training):
    layer, x, _ = layer
    layer.train(training)
    every = torch.ones(B, T, dtype=torch.bool)
    alone = layer(x)
    masked = layer(x, every)
    if isinstance(alone, tuple):
        assert alone[1] is None
        assert masked[1].all()
        alone, masked = alone[0], masked[0]
    close(masked, alone)


@every_layer
def test_a_valid_frame_does_move_the_output_of_a_layer(layer):
    layer, x, axis = layer
    layer.eval()
    expected = valid_outputs(layer, x, VALID)
    x.select(axis, 8)[:, :3] += 1.0
    assert (valid_outputs(layer, x, VALID) - expected).abs().max() > 1e-4


def test_every_layer_with_a_mask_is_tested_here():
    tested = {type(module).__name__ for build, _ in LAYERS.values() for module in build().modules()}
    with_mask = set()
    for info in pkgutil.iter_modules(kws.models.__path__, "kws.models."):
        for cls_name, cls in vars(importlib.import_module(info.name)).items():
            if not inspect.isclass(cls) or cls.__module__ != info.name:
                continue
            if issubclass(cls, nn.Module) and "valid" in inspect.signature(cls.forward).parameters:
                with_mask.add(cls_name)
    assert with_mask - tested == LEFT_TO_MODELS | REFUSE_PADDING | ELSEWHERE


@pytest.fixture
def features(bands):
    return torch.randn(B, T, bands, dtype=torch.float64)


def test_content_of_the_padding_moves_no_logit_and_no_running_statistic(model, features, training):
    other = copy.deepcopy(model.train(training))
    expected = model(padded(features, VALID, 1, 0.0), VALID)
    close(other(padded(features, VALID, 1, 1e3), VALID), expected)
    for (name, ours), theirs in zip(model.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=ROUNDING, msg=name)


@pytest.mark.parametrize(("more", "training"), [(1, False), (13, True)])  # one: odd before a stride
def test_length_of_the_padding_moves_no_logit(model, features, training, more):
    model.train(training)
    longer = torch.cat(
        [features, torch.randn(B, more, features.shape[2], dtype=features.dtype)], dim=1
    )
    longer_valid = torch.arange(T + more) < LENGTHS[:, None]
    close(model(longer, longer_valid), model(features, VALID))


def test_a_clip_alone_gives_the_logits_that_it_gives_in_a_batch(model, features):
    model.eval()
    batch = model(features, VALID)
    for b, length in enumerate(LENGTHS.tolist()):
        close(model(features[b : b + 1, :length]), batch[b : b + 1])


def test_frames_masked_in_the_middle_move_no_logit(model, features):
    model.train()
    valid = VALID & (torch.arange(T) != 3) & (torch.arange(T) != 4)
    close(model(padded(features, valid, 1, 1e3), valid), model(features, valid))


def test_without_a_mask_every_frame_is_valid(model, features, training):
    model.train(training)
    masked = copy.deepcopy(model)
    close(masked(features, torch.ones(B, T, dtype=torch.bool)), model(features))
    for (name, ours), theirs in zip(model.named_buffers(), masked.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=ROUNDING, msg=name)


def test_a_valid_frame_does_move_the_logits(model, features):
    model.eval()
    expected = model(features, VALID)
    for frame in (0, 4, 6 if isinstance(model, DsCnn) else 7):  # which reads every second one
        moved = features.clone()
        moved[:, frame] += torch.randn(features.shape[2], dtype=features.dtype)
        assert ((model(moved, VALID) - expected).abs().amax(dim=1) > 1e-7).all(), frame


def test_neither_noise_nor_nan_in_the_padding_reaches_a_logit_or_a_gradient(model, features):
    model.eval()
    features.requires_grad_()
    model(features, VALID).square().sum().backward()
    assert (features.grad[~VALID] == 0).all()
    assert features.grad[VALID].abs().sum() > 0
    model.eval()
    expected = model(features, VALID)
    close(model(features.masked_fill(~VALID[..., None], torch.nan), VALID), expected)
