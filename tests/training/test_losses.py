"""Losses: parity with torch, what smoothing moves, what is refused."""

import pytest
import torch
import torch.nn.functional as F

from kws.models.classifier import CosineLogits
from kws.training.losses import loss_per_example
from tests.tolerances import SAME_SUMS

B, C = 7, 5


@pytest.fixture
def batch(float64):
    return torch.randn(B, C), F.one_hot(torch.arange(B) % C, C).double()


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=SAME_SUMS)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_torchs(batch, smoothing):
    logits, targets = batch
    ours = loss_per_example(logits, targets, "cross-entropy", smoothing).mean()
    close(ours, F.cross_entropy(logits, targets.argmax(1), label_smoothing=smoothing))


def test_squared_error_is_torchs_and_smoothing_moves_a_share_of_the_target(batch):
    logits, targets = batch
    close(loss_per_example(logits, targets, "mse").mean(), F.mse_loss(logits, targets))
    logits, targets = batch
    smoothed = 0.9 * targets + 0.1 / C
    close(loss_per_example(logits, targets, "mse", 0.1), loss_per_example(logits, smoothed, "mse"))
    with pytest.raises(ValueError, match="loss='mae' is none of cross-entropy, mse"):
        loss_per_example(*batch, "mae")


def test_a_margin_with_cosine_logits_is_the_additive_margin_softmax(float64):
    """Wang et al. 2018, equation 6, written out for one example at a time."""
    torch.manual_seed(0)
    scale, margin = 30.0, 0.2
    x, labels = torch.randn(5, 7), torch.tensor([0, 2, 1, 2, 0])
    layer = CosineLogits(7, 3, scale)
    targets = F.one_hot(labels, 3).double()
    ours = loss_per_example(layer(x), targets, margin=scale * margin)
    for i, label in enumerate(labels.tolist()):
        cosines = [F.cosine_similarity(x[i], w, dim=0) for w in layer.weight]
        true = torch.exp(scale * (cosines[label] - margin))
        others = sum(torch.exp(scale * c) for j, c in enumerate(cosines) if j != label)
        torch.testing.assert_close(
            ours[i], -torch.log(true / (true + others)), rtol=SAME_SUMS, atol=0
        )


def test_cosine_logits_know_no_lengths(float64):
    layer, x = CosineLogits(4, 3, 10.0), torch.randn(6, 4)
    torch.testing.assert_close(layer(5 * x), layer(x))
    assert layer(x).abs().max() <= 10
    torch.testing.assert_close(layer(layer.weight.detach()).diagonal(), torch.full((3,), 10.0))
