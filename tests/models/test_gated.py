"""Two networks by the rule of products: probabilities, whose loss is whose, what is refused."""

import pytest
import torch
import torch.nn.functional as F

from kws.models.gated import GatedCrnn, GatedCrnnConfig
from tests.tolerances import SAME_SUMS

SIZES = {"num_classes": 5, "num_features": 11, "channels": (2, 3), "hidden_size": 3}
SMALL = GatedCrnnConfig(pools=((2, 2), (2, 1)), dropout=0.0, **SIZES)
FEATURES = torch.randn(7, 13, 11, generator=torch.Generator().manual_seed(0)).double()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GatedCrnn(SMALL).double().eval()


def test_the_logits_are_logarithms_of_probabilities_that_gate_and_words_share(model):
    shares, gate = model(FEATURES).exp(), model.gate(FEATURES).softmax(1)
    assert torch.allclose(shares[:, :2], gate[:, :2], atol=SAME_SUMS)
    words = model.words(FEATURES).softmax(1)
    assert torch.allclose(shares[:, 2:], gate[:, 2:] * words, atol=SAME_SUMS)
    assert torch.allclose(model(FEATURES).logsumexp(1), torch.zeros(7).double(), atol=SAME_SUMS)
    with pytest.raises(ValueError, match="num_outside=2 leaves no word of num_classes=2"):
        GatedCrnn(GatedCrnnConfig(num_classes=2))


def test_the_loss_is_the_sum_of_both_and_what_is_no_word_teaches_words_nothing(model):
    labels = torch.tensor([0, 1, 2, 3, 4, 4, 2])
    is_word = labels >= 2
    gate = F.cross_entropy(model.gate(FEATURES), labels.clamp(max=2), reduction="sum")
    words = F.cross_entropy(model.words(FEATURES)[is_word], labels[is_word] - 2, reduction="sum")
    both = F.cross_entropy(model(FEATURES), labels, reduction="sum")
    assert torch.allclose(both, gate + words, atol=SAME_SUMS)
    F.cross_entropy(model(FEATURES), torch.tensor([0, 1, 0, 1, 1, 0, 0])).backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-12 for p in model.words.parameters())
    assert all(p.grad.abs().max() > 0 for n, p in model.gate.named_parameters() if "score" not in n)
