"""Every model of the registry in a size for tests."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.registry import MODELS, build_model, configure

CLASSES = 5
TINY_TRANSFORMER = {"d_model": 12, "num_heads": 3, "d_ff": 14, "num_layers": 2}
TINY_CRNN = {"channels": (4, 6, 7), "hidden_size": 5}
TINY: dict[str, dict] = {
    **dict.fromkeys(("crnn", "crnn-small", "crnn-gated"), TINY_CRNN),
    "crnn-pair": {**TINY_CRNN, "wide_channels": (5, 6, 8), "wide_hidden_size": 6},
    "crnn-attention": {**TINY_CRNN, "d_hidden": 6},
    "crnn-causal": {**TINY_CRNN, "carry": 0.0},
    "conformer-causal": {**TINY_TRANSFORMER, "channels": (4, 6, 7), "past": 5, "carry": 0.0},
    "gru": {"channels": 6, "hidden_size": 5},
    "lstm": {"hidden_size": 5},
    "convs2s": {"d_model": 12, "num_layers": 2},
    **{f"bc-resnet-{size}": {"base_channels": 4} for size in (1, 8)},
    "ds-cnn": {"channels": 6, "num_blocks": 2},
    "tdnn": {"channels": 8, "d_hidden": 6},
    **dict.fromkeys(("homework-modified", "homework-baseline"), TINY_TRANSFORMER | {"d_hidden": 6}),
    "ast-small": {**TINY_TRANSFORMER, "patch": (5, 4), "stride": (5, 4)},
} | {
    name: {**TINY_TRANSFORMER, "channels": (4, 6)}
    for name in ("strided-transformer", "unstrided-transformer", "maxpool-transformer")
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awaken(model: nn.Module, features: torch.Tensor) -> nn.Module:
    """Move every parameter a little, and set the running statistics to those of a batch.

    Normalizations start as the identity and biases at zero, where mistakes hide.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        norms = [module for module in model.modules() if isinstance(module, MaskedBatchNorm)]
        for norm in norms:
            norm.momentum = 1.0
        model.train()(features)
        for norm in norms:
            norm.momentum = 0.1
    return model


def bands_of(name: str) -> int:
    """As few mel bands as the model can have."""
    return 40 if name.startswith("bc-resnet") else 11


def tiny_settings(name: str) -> dict:
    published = vars(MODELS[name].config)
    no_dropout = {key: 0.0 for key in published if key.endswith("dropout")}
    return no_dropout | TINY.get(name, TINY_TRANSFORMER)


def distinct_models() -> list[str]:
    """One name for each model in its size for tests: there KWT-1, KWT-2 and KWT-3 are the same."""
    names = {}
    for name in sorted(MODELS):
        config = configure(name, num_features=bands_of(name), **tiny_settings(name))
        names.setdefault((type(config), repr(config)), name)
    return list(names.values())


@cache
def tiny_model(name: str) -> nn.Module:
    """The model called `name`, float64, shrunken, without dropout, awake; to be copied."""
    bands = bands_of(name)
    settings = tiny_settings(name)
    model = build_model(name, num_features=bands, num_classes=CLASSES, **settings).double()
    return awaken(model, torch.randn(5, 30, bands, dtype=torch.float64))


@pytest.fixture(params=distinct_models())
def name(request) -> str:
    """Each model's name in turn."""
    return request.param


@pytest.fixture
def model(name) -> nn.Module:
    """Each model in turn, tiny and in float64."""
    return copy.deepcopy(tiny_model(name))


@pytest.fixture
def bands(name) -> int:
    """Mel bands of that model."""
    return bands_of(name)
