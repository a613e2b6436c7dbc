"""Accuracy, interval, confusion matrix: values worked out by hand or by their definition."""

import math

import pytest
import torch

from kws.inference.confusion import confusion_matrix
from kws.metrics import (
    Z95,
    Proportion,
    average_precision,
    mean_average_precision,
    per_class,
    percent,
    wilson_interval,
)

LABELS = torch.tensor([0, 0, 0, 1, 1, 2])
PREDICTIONS = torch.tensor([0, 0, 2, 1, 0, 2])


@pytest.mark.parametrize(("correct", "n"), [(1, 7), (4, 7), (302, 315), (4826, 4890)])
def test_wilson_ends_solve_the_score_equation(correct, n):
    for end in wilson_interval(correct, n):
        assert abs(correct / n - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / n))


def test_wilson_is_asymmetric_and_touches_the_border_exactly():
    low, high = wilson_interval(6, 7)
    assert 6 / 7 - low > high - 6 / 7
    narrow, wide = wilson_interval(50, 97, z=1.0), wilson_interval(50, 97, z=2.0)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for n in range(1, 300):  # for some of them rounding would end at 1 ± 1e-16
        assert wilson_interval(n, n)[1] == 1.0
        assert wilson_interval(0, n)[0] == 0.0
        assert wilson_interval(n, n)[0] < 1.0
        assert wilson_interval(0, n)[1] > 0.0


def test_n_and_interval_are_printed_and_kept_where_there_are_examples():
    share, (low, high) = Proportion(correct=302, n=315), wilson_interval(302, 315)
    line = "95.9 % (n=315, 95 % interval 93.1–97.6{})"
    assert str(share) == share.describe() == line.format("")
    described = share.describe(protocol="v2-12", test_silence="noise")
    assert described == line.format(", protocol v2-12, test silence: noise")
    assert share.as_dict() == {"accuracy": 302 / 315, "n": 315, "low": low, "high": high}
    empty = Proportion(correct=0, n=0)
    assert math.isnan(empty.value)
    assert str(empty).startswith("– %")
    assert empty.as_dict()["accuracy"] is None
    for correct in (-1, 6):
        with pytest.raises(ValueError, match=f"correct={correct} is not between 0 and n=5"):
            Proportion(correct=correct, n=5)


def test_confusion_has_true_rows_and_a_place_for_every_class():
    expected = [[2, 0, 1], [1, 1, 0], [0, 0, 1]]
    assert confusion_matrix(PREDICTIONS, LABELS, 3).tolist() == expected
    matrix = confusion_matrix(PREDICTIONS, LABELS, 5)
    assert matrix.shape == (5, 5)
    assert matrix.sum() == 6
    for predicted, label in ((3, 0), (0, 3), (-1, 0)):
        with pytest.raises(ValueError, match="outside num_classes=3"):
            confusion_matrix(torch.tensor([predicted]), torch.tensor([label]), 3)


def test_recall_and_precision_of_each_class():
    *scores, never = per_class(confusion_matrix(PREDICTIONS, LABELS, 4), tuple("abcd"))
    assert [s.label for s in scores] == ["a", "b", "c"]
    assert [(s.recall.correct, s.recall.n) for s in scores] == [(2, 3), (1, 2), (1, 1)]
    assert [(s.precision.correct, s.precision.n) for s in scores] == [(2, 3), (1, 1), (1, 2)]
    assert percent(never.recall.value) == percent(never.precision.value) == "–"
    with pytest.raises(ValueError, match="2 labels for a confusion matrix of 3 classes"):
        per_class(confusion_matrix(PREDICTIONS, LABELS, 3), ("a", "b"))


def by_definition(scores: list[float], truth: list[bool]) -> float:
    """Σ (Rₖ − Rₖ₋₁) Pₖ over falling thresholds, counted again at each."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        found = [own for score, own in zip(scores, truth, strict=True) if score >= threshold]
        recall = sum(found) / sum(truth)
        total, before = total + (recall - before) * sum(found) / len(found), recall
    return total


def test_average_precision_is_its_definition_whatever_the_order_of_equal_scores():
    generator = torch.Generator().manual_seed(0)
    for n in (1, 7, 53):
        scores = torch.randint(0, 11, (n,), generator=generator).float()
        truth = torch.rand(n, generator=generator) < 0.3
        truth[0] = True
        expected = by_definition(scores.tolist(), truth.tolist())
        for order in (torch.arange(n), torch.randperm(n, generator=generator)):
            assert average_precision(scores[order], truth[order]) == pytest.approx(expected)


def test_the_mean_is_over_classes_that_have_examples():
    scores = torch.tensor([[3.0, 1, 9], [2, 2, 8], [1, 3, 7]])
    truth = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 1, 0]]).bool()
    assert mean_average_precision(scores, truth) == (pytest.approx((1 / 3 + 1) / 2), 2)
    value, classes = mean_average_precision(scores, torch.zeros(3, 3, dtype=torch.bool))
    assert math.isnan(value)
    assert classes == 0
