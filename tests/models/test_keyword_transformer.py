"""The keyword transformer: published tokens and parameters, the cls token, positions, errors."""

import dataclasses

import pytest
import torch

from kws.errors import UsageError
from kws.models.keyword_transformer import (
    MAX_POOL,
    STRIDED,
    UNSTRIDED,
    KeywordTransformer,
    kwt,
    prepend,
)

TINY = {"d_model": 12, "num_heads": 3, "d_ff": 14, "num_layers": 1, "dropout": 0.0}
TINY_STEM = {**TINY, "channels": (4, 6)}


def tiny(config, **changes):
    return KeywordTransformer(dataclasses.replace(config, **changes))


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        pytest.param(STRIDED, 416, id="strided"),
        pytest.param(UNSTRIDED, 6464, id="unstrided"),
        pytest.param(MAX_POOL, 400, id="max-pool"),
    ],
)
def test_a_second_has_the_published_number_of_tokens(config, tokens):
    model = tiny(config, **TINY_STEM)
    x, _ = model.tokens(torch.randn(1, 101, 64))
    assert x.shape == (1, tokens, 6)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    if tokens < 1000:  # attention over 6,464 tokens is the slow thing about the unstrided one
        model(torch.randn(1, 101, 64))
        assert seen == [(1, 1 + tokens, 12)]


def test_the_cls_token_stands_in_front_and_is_always_valid():
    token, x = torch.randn(5), torch.randn(2, 3, 5)
    valid = torch.tensor([[True, False, False], [True, True, False]])
    y, after = prepend(token, x, valid)
    assert torch.equal(y[:, 0], token.expand(2, 5))
    assert torch.equal(y[:, 1:], x)
    assert after is not None
    assert torch.equal(after[:, 1:], valid)
    assert after[:, 0].all()
    assert prepend(token, x)[1] is None


def test_logits_are_read_from_the_cls_token_and_a_kwt_token_is_a_frame():
    model = tiny(kwt(1), **TINY)
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(torch.randn(2, 7, 40))
    torch.testing.assert_close(logits, model.classify(seen[0][:, 0]))
    features = torch.randn(2, 7, 40)
    assert torch.equal(tiny(kwt(1), **TINY).tokens(features)[0], features)


def test_without_positions_kwt_does_not_know_the_order_of_frames(float64):
    features, shuffle = torch.randn(2, 7, 40), torch.randperm(7)
    for positions, knows in (("none", False), ("sinusoidal", True), ("learned", True)):
        model = tiny(kwt(1), **TINY, positions=positions)
        difference = (model(features) - model(features[:, shuffle])).abs().max()
        assert (difference > 1e-8) == knows, positions


def test_the_position_table_ends_with_a_sentence_that_counts_frames_and_tokens():
    model = tiny(kwt(1), **TINY)
    model(torch.randn(1, 98, 40))
    with pytest.raises(UsageError, match="learned for max_tokens=98:") as info:
        model(torch.randn(1, 101, 40))
    assert str(info.value).startswith("101 frames are 101 tokens, but ")
    assert str(info.value).endswith("or build the model with max_tokens=101")
    tiny(kwt(1), **TINY, max_tokens=101)(torch.randn(1, 101, 40))
    model = tiny(STRIDED, **TINY_STEM, positions="learned", max_tokens=6)
    model(torch.randn(1, 8, 9))  # 2 frames × 3 bands
    with pytest.raises(UsageError, match="9 frames are 9 tokens"):
        model(torch.randn(1, 9, 9))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="stem='patch' is none of strided, unstrided, max-pool"):
        tiny(STRIDED, stem="patch")
    with pytest.raises(ValueError, match="positions='relative' is none of none, sinusoidal"):
        tiny(STRIDED, positions="relative")
    with pytest.raises(ValueError, match="d_model=256 is not divisible by num_heads=3"):
        tiny(STRIDED, num_heads=3)
    with pytest.raises(ValueError, match="num_features=1 leaves no band"):
        tiny(MAX_POOL, num_features=1)
