"""Every expectation: what passes, what fails, and the words that a student then reads."""

import math

import pytest
import torch

from grader.grading.feedback import Failure, expect_between, expect_finite, expect_shape, name_of
from grader.sandbox import Opaque

FOREIGN = [None, 3, 2.5, "text", [1], (), {}, True, object(), Opaque(kind="generator")]


def output(call, *args, **kwargs) -> tuple[str, str]:
    """Message and hint of the Failure that the call raises."""
    with pytest.raises(Failure) as failure:
        call(*args, **kwargs)
    return failure.value.message, failure.value.hint


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "expect",
    [lambda what, value: expect_shape(what, value, 2, 3), expect_finite],
    ids=["shape", "finite"],
)
def test_whatever_comes_is_a_failure_in_words(expect, value):
    message, _ = output(expect, "f(x)", value)
    assert message.startswith("f(x): got ")
    assert "0x" not in message


def test_a_forgotten_return_two_tensors_and_a_wrong_shape_are_named_and_the_right_one_comes_back():
    messages = "f(x): got None, expected a tensor", "is there a `return`?"
    assert output(expect_finite, "f(x)", None) == messages
    hint = output(expect_finite, "f(x)", (torch.zeros(1), torch.zeros(1)))[1]
    assert hint == "return the one tensor that is asked for"
    x = torch.zeros(2, 3)
    assert expect_shape("f(x)", x, 2, 3, letters="B, T") is x
    message, _ = output(expect_shape, "f(x)", torch.zeros(2, 5), 2, 3, letters="B, T")
    assert message == "f(x): got shape (2, 5), expected (B, T) = (2, 3)"


@pytest.mark.parametrize(
    ("came", "wanted", "hint"),
    [((3, 2), (2, 3), "swapped"), ((2, 1, 3), (2, 3), "size 1"), ((2, 3), (2, 1, 3), "size 1")],
)
def test_swapped_axes_and_axes_of_size_one_get_a_hint(came, wanted, hint):
    assert hint in output(expect_shape, "f(x)", torch.zeros(came), *wanted)[1]


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "NaN"), (math.inf, "an infinite number")])
def test_finite(bad, word):
    expect_finite("f(x)", torch.zeros(2))
    message, _ = output(expect_finite, "f(x)", torch.tensor([1.0, bad, 2.0]))
    assert message == f"f(x): got {word} in 1 of 3 places"


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0, (1, 2), "n: got 0, expected between 1 and 2"),
        (3, (-math.inf, 2), "n: got 3, expected at most 2"),
        (0, (1, math.inf), "n: got 0, expected at least 1"),
        (math.nan, (0, 1), "n: got nan, expected between 0 and 1"),
        (True, (0, 1), "n: got True, expected a number"),
        ("1", (0, 1), "n: got '1', expected a number"),
        (torch.zeros(2), (0, 1), "n: got a float32 tensor of shape (2,), expected a number"),
    ],
)
def test_not_between(value, bounds, message):
    assert output(expect_between, "n", value, *bounds)[0] == message


def test_a_number_between_passes_and_a_failure_as_text_is_fact_and_hint_without_long_values():
    for value in (1, 1.5, 2, torch.tensor(1.5)):
        assert 1 <= expect_between("n", value, 1, 2) <= 2
    assert output(expect_between, "it", 12, high=10, hint="slow?")[1] == "slow?"
    assert str(Failure("it is off", "why?")) == "it is off\n  hint: why?"
    assert str(Failure("it is off")) == "it is off"
    assert name_of("x" * 500) == "a str of length 500"
    assert len(name_of(list(range(1000)))) < 60
