"""Thresholds: what is silence, what is unknown, what stays a word; on any model of words."""

import dataclasses

import pytest
import torch
from torch import nn

from kws.data.protocols import PROTOCOLS, V1_WORDS, V2_WORDS, get_protocol
from kws.errors import UsageError
from kws.inference.evaluate import evaluate, load_split
from kws.inference.thresholds import Thresholds, check_labels, parse_thresholds
from tests.conftest import data_beside

DATA = data_beside(__file__)
TWELVE = get_protocol("v2-12")
KINDS = {"v1-30": V1_WORDS, "v1-31": (*V1_WORDS, "_silence_"), "v2-35": V2_WORDS}


def sure(labels, label: str, confidence: float) -> torch.Tensor:
    """Logits (1, K) whose softmax gives `label` that confidence and shares the rest evenly."""
    shares = torch.full((len(labels),), (1 - confidence) / (len(labels) - 1))
    shares[labels.index(label)] = confidence
    return shares.log()[None]


def decide(logits, labels, **thresholds) -> list[str]:
    answers = Thresholds(**thresholds).decide(logits, labels, TWELVE)
    return [TWELVE.labels[index] for index in answers.tolist()]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def labels(request) -> tuple[str, ...]:
    return request.param


@pytest.fixture
def many(labels) -> torch.Tensor:
    return 2 * torch.randn(500, len(labels))


@pytest.mark.parametrize(("label", "confidence", "answer"), DATA["answers"])
def test_confidence_decides(labels, label, confidence, answer):
    assert decide(sure(labels, label, confidence), labels) == [answer]


def test_a_confidence_that_equals_a_threshold_is_not_below_it():
    labels = (*TWELVE.words, "bed", "cat")
    logits = torch.full((1, 12), -torch.inf)
    logits[0, :2] = 0.0  # a half each, exactly
    assert decide(logits, labels, unknown=0.5, silence=0.5) == ["yes"]
    labels = KINDS["v1-31"]  # a model that knows silence may say so
    assert decide(sure(labels, "_silence_", 0.9), labels) == ["_silence_"]
    assert decide(sure(labels, "_silence_", 0.4), labels) == ["_unknown_"]


def test_words_are_the_most_likely_ones_whatever_their_order_and_higher_thresholds_take_some_away(
    labels, many
):
    answers, best = decide(many, labels), many.argmax(1).tolist()
    words = [(a, labels[b]) for a, b in zip(answers, best, strict=True) if a in TWELVE.words]
    assert words
    assert all(answer == label for answer, label in words)
    answers = decide(many, labels, unknown=0.0, silence=0.0)
    best = [labels[index] for index in many.argmax(1).tolist()]
    assert answers == [label if label in TWELVE.labels else "_unknown_" for label in best]
    low = decide(many, labels, unknown=0.3, silence=0.2)
    high = decide(many, labels, unknown=0.6, silence=0.4)
    assert low != high
    for before, after in zip(low, high, strict=True):
        assert after in (before, "_unknown_", "_silence_")
    order = torch.randperm(len(labels))
    again = tuple(labels[index] for index in order.tolist())
    assert decide(many[:, order], again) == decide(many, labels)


@pytest.mark.parametrize("numbers", [(0.3, 0.5), (1.1, 0.3), (0.5, -0.1), (float("nan"), 0.1)])
def test_numbers_that_do_not_fit_are_refused(numbers):
    with pytest.raises(UsageError, match="0 <= silence <= unknown <= 1"):
        Thresholds(unknown=numbers[0], silence=numbers[1])


@pytest.mark.parametrize(("text", "sentence"), DATA["refused"])
def test_a_mistyped_threshold_is_told(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        parse_thresholds(text)


class Sure(nn.Module):
    """Says "yes" to every clip, with the confidence that it is given."""

    def __init__(self, confidence: float):
        super().__init__()
        self.logits = sure(V1_WORDS, "yes", confidence)

    def forward(self, mel: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        return self.logits.expand(len(mel), -1)


@pytest.mark.parametrize(
    ("confidence", "answer"), [(0.9, "yes"), (0.4, "_unknown_"), (0.2, "_silence_")]
)
def test_any_model_of_words_is_counted_under_twelve_classes(
    tiny_corpus, untrained, confidence, answer
):
    trained = untrained("data.protocol=embedded-30", labels=V1_WORDS, protocol="embedded-30")
    trained = dataclasses.replace(trained, model=Sure(confidence))
    rule = Thresholds()
    data = load_split(trained, tiny_corpus, protocol="embedded-12", thresholds=rule)
    (found,) = evaluate(trained, data, thresholds=rule)
    assert found.labels == TWELVE.labels
    assert found.matrix.sum() == found.matrix[:, TWELVE.labels.index(answer)].sum() == len(data)
    assert "thresholds: unknown below 0.5, silence below 0.3" in found.describe()


def test_a_recipe_may_ask_for_it(tiny_corpus, untrained):
    knobs = ("data.count_as=embedded-12", "data.unknown_below=0.95", "data.silence_below=0.1")
    trained = untrained(*knobs, labels=V1_WORDS, protocol="embedded-30")
    trained = dataclasses.replace(trained, model=Sure(0.9))
    (found,) = evaluate(trained, load_split(trained, tiny_corpus))
    assert found.labels == TWELVE.labels
    assert found.matrix[:, 1].sum() == found.accuracy.n
    plain = load_split(trained, tiny_corpus, protocol="embedded-30")
    (found,) = evaluate(trained, plain)
    assert found.labels == V1_WORDS
    assert "thresholds" not in found.conditions


def test_thresholds_on_what_has_none_are_refused(tiny_corpus, tiny_speakers, untrained):
    with pytest.raises(UsageError, match="protocol v2-35 has no classes for unknown and silence"):
        check_labels(V2_WORDS, PROTOCOLS["v2-35"])
    with pytest.raises(UsageError, match="run: has no class for go, as protocol v2-12 asks"):
        check_labels([word for word in V1_WORDS if word != "go"], TWELVE, "run")
    with pytest.raises(UsageError, match="protocol embedded-12 has the labels of"):
        load_split(untrained(labels=TWELVE.labels), tiny_corpus, thresholds=Thresholds())
    speakers = untrained("data.task=speakers", labels=("anna",))
    with pytest.raises(UsageError, match="--thresholds does not apply to a speaker model"):
        load_split(speakers, tiny_speakers, thresholds=Thresholds())
