"""GRU, LSTM, CRNN: published sizes, parity with torch, padding anywhere; two CRNNs as one."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kws.models.classifier import AttentionPooling, MeanPooling
from kws.models.counts import count_parameters
from kws.models.gated import GatedCrnn, GatedCrnnConfig
from kws.models.pair import CrnnPair, CrnnPairConfig, join
from kws.models.recurrent import (
    CELLS,
    CRNN_ATTENTION,
    CRNN_SMALL,
    BidirectionalRnn,
    Crnn,
    CrnnConfig,
    GruClassifier,
    GruConfig,
    RnnClassifier,
    RnnConfig,
)
from tests.tolerances import ROUNDING, SAME_SUMS

SIZES = {"num_classes": 5, "num_features": 11, "channels": (2, 3), "hidden_size": 3}
SMALL = GatedCrnnConfig(pools=((2, 2), (2, 1)), dropout=0.0, **SIZES)
FEATURES = torch.randn(7, 13, 11, generator=torch.Generator().manual_seed(0)).double()

B, T, D, H = 3, 7, 5, 2


@pytest.fixture(params=sorted(CELLS))
def cell(request) -> str:
    return request.param


def test_an_lstm_has_four_gates_where_a_gru_has_three():
    for cell, gates in (("gru", 3), ("lstm", 4)):
        assert count_parameters(BidirectionalRnn(cell, D, H)) == 2 * gates * H * (D + H + 2)
    assert isinstance(BidirectionalRnn("lstm", D, H).rnn, nn.LSTM)
    assert 250_000 < count_parameters(Crnn(CRNN_SMALL)) < 400_000


@pytest.mark.parametrize("num_layers", [1, 2])
def test_each_clip_is_read_as_if_it_were_alone(float64, cell, num_layers):
    ours, x = BidirectionalRnn(cell, D, H, num_layers), torch.randn(B, T, D)
    lengths = [4, 7, 1]  # not sorted
    y = ours(x, torch.arange(T) < torch.tensor(lengths)[:, None])
    for b, length in enumerate(lengths):
        alone = ours.rnn(x[b : b + 1, :length])[0][0]
        torch.testing.assert_close(y[b, :length], alone, rtol=0, atol=ROUNDING)
        assert (y[b, length:] == 0).all()


def test_frames_masked_anywhere_are_stepped_over_even_all(float64, cell):
    ours, x = BidirectionalRnn(cell, D, H, 2), torch.randn(1, T, D)
    valid = torch.tensor([[False, True, True, False, True, True, False]])
    y = ours(x, valid)
    torch.testing.assert_close(y[valid], ours(x[valid][None])[0], rtol=0, atol=ROUNDING)
    assert (y[~valid] == 0).all()
    ours = BidirectionalRnn(cell, D, H)
    valid = torch.tensor([[True] * T, [False] * T])
    y = ours(torch.randn(2, T, D).masked_fill(~valid[..., None], torch.nan), valid)
    assert y.isfinite().all()
    ours, x = BidirectionalRnn(cell, D, H, 2), torch.randn(B, T, D)
    torch.testing.assert_close(ours(x), ours.rnn(x)[0], rtol=0, atol=0)


def test_dropout_lies_between_the_layers(cell):
    x = torch.randn(B, T, D)
    one, two = (BidirectionalRnn(cell, D, H, layers, dropout=0.5) for layers in (1, 2))
    assert torch.equal(one(x), one(x))
    assert not torch.equal(two(x), two(x))
    assert torch.equal(two.eval()(x), two(x))


def test_recurrent_models_are_their_figures(float64):
    model, features = GruClassifier(GruConfig(hidden_size=2, num_layers=1)), torch.randn(2, 11, 40)
    x = F.relu(F.conv1d(features.mT, model.narrow.weight, model.narrow.bias))
    x = F.relu(F.conv1d(x, model.widen.weight, model.widen.bias, padding=1))
    expected = model.classify(model.gru.rnn(x.mT)[0].mean(dim=1))
    torch.testing.assert_close(model(features), expected, rtol=0, atol=ROUNDING)
    model = GruClassifier(GruConfig(hidden_size=2))
    seen = []
    model.gru.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    model(torch.randn(2, 11, 40))
    assert seen == [(2, 10, 40)]
    model, features = RnnClassifier(RnnConfig(hidden_size=2)), torch.randn(2, 11, 40)
    expected = model.classify(model.rnn.rnn(features)[0].mean(dim=1))
    torch.testing.assert_close(model(features), expected, rtol=0, atol=ROUNDING)


def test_settings_choose_the_layers():
    assert isinstance(Crnn(CrnnConfig()).pool, MeanPooling)
    model = Crnn(CRNN_ATTENTION)
    assert isinstance(model.pool, AttentionPooling)
    widths = [m.out_features for m in model.classify.modules() if isinstance(m, nn.Linear)]
    assert widths == [128, 12]
    maps, _ = Crnn(CRNN_ATTENTION).stem(torch.randn(1, 101, 40))
    assert maps.shape == (1, 128, 10, 25)
    with pytest.raises(ValueError, match="pooling='max' is none of mean, attention"):
        Crnn(dataclasses.replace(CRNN_SMALL, pooling="max"))
    with pytest.raises(ValueError, match="num_features=7 leaves no band"):
        Crnn(dataclasses.replace(CRNN_SMALL, num_features=7))


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


def test_the_logits_of_a_pair_are_the_mean_of_those_of_two_networks():
    config = CrnnPairConfig(wide_channels=(5, 7), pools=((2, 2), (2, 1)), **SIZES)
    torch.manual_seed(0)
    two = [Crnn(each).double().eval() for each in config.networks]
    pair = CrnnPair(config).double().eval()
    pair.load_state_dict(join(*(each.state_dict() for each in two)))
    mean = (two[0](FEATURES) + two[1](FEATURES)) / 2
    assert torch.allclose(pair(FEATURES), mean, atol=SAME_SUMS)
