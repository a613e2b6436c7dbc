"""Substitutions, deletions and insertions; a rate over utterances, with its interval."""

import random

import pytest
import torchaudio.functional

from kws.errors import UsageError
from kws.text.word_errors import count_edits, word_errors


def distance(a: list[int], b: list[int]) -> int:
    return sum(count_edits(a, b))


def sequences(seed: int, count: int = 60) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(3) for _ in range(draw.randrange(8))] for _ in range(count)]


def test_the_distance_is_torchaudios_symmetric_and_obeys_the_triangle():
    for a, b, c in zip(sequences(1), sequences(2), sequences(3), strict=True):
        assert distance(a, b) == torchaudio.functional.edit_distance(a, b)
        assert distance(a, b) == distance(b, a)
        assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_the_kinds_add_up_to_the_lengths_with_most_substitutions():
    for a, b in zip(sequences(4), sequences(5), strict=True):
        substitutions, deletions, insertions = count_edits(a, b)
        assert min(substitutions, deletions, insertions) >= 0
        assert len(a) - deletions == len(b) - insertions >= substitutions
        assert count_edits(b, a) == (substitutions, insertions, deletions)
    assert count_edits("abc", "bde") == (3, 0, 0)
    assert count_edits("", "ab") == (0, 0, 2)


def test_the_rate_and_its_interval_are_over_utterances():
    """Ten words that are wrong together say less than ten that are wrong apart."""
    together = word_errors(["a a a a a a a a a a"] * 2, ["", "a a a a a a a a a a"])
    distance = word_errors(["a"] * 20, [""] * 10 + ["a"] * 10)
    assert together.rate == distance.rate == 0.5
    assert (together.low, together.high) == (0.0, 1.0)
    assert 0.2 < distance.low < 0.5 < distance.high < 0.8
    assert "95 % interval 0.0–100.0" in together.describe()
    found = word_errors(["one two three", "nine"], ["one two three", "one nine two"])
    assert (found.errors, found.words, found.rate) == (2, 4, 0.5)
    assert word_errors(["nine"], ["one two three"]).rate == 3.0


@pytest.mark.parametrize(
    ("references", "hypotheses", "words"),
    [(["a"], [], "1 references and 0"), ([], [], "no word"), ([""], ["a"], "no word")],
)
def test_what_has_no_rate_is_refused(references, hypotheses, words):
    with pytest.raises(UsageError, match=words):
        word_errors(references, hypotheses)
