"""Every expectation: what passes, what fails, and the words that a student then reads."""

import math

import pytest
import torch

from grader.grading import feedback
from grader.grading.feedback import (
    Failure,
    expect_between,
    expect_close,
    expect_dtype,
    expect_equal,
    expect_finite,
    expect_shape,
    expect_tensor,
    name_of,
)
from grader.sandbox import Opaque

FOREIGN = [None, 3, 2.5, "text", [1], (), {}, True, object(), Opaque(kind="generator")]


def said(call, *args, **kwargs) -> tuple[str, str]:
    """Message and hint of the Failure that the call raises."""
    with pytest.raises(Failure) as failure:
        call(*args, **kwargs)
    return failure.value.message, failure.value.hint


# Whatever comes back


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "expect",
    [
        expect_tensor,
        lambda what, value: expect_shape(what, value, 2, 3),
        lambda what, value: expect_dtype(what, value, torch.float32),
        expect_finite,
        lambda what, value: expect_close(what, value, torch.zeros(2, 3)),
        lambda what, value: expect_equal(what, value, torch.zeros(2, 3)),
    ],
    ids=["tensor", "shape", "dtype", "finite", "close", "equal"],
)
def test_whatever_comes_is_a_failure_in_words(expect, value):
    message, _ = said(expect, "f(x)", value)
    assert message.startswith("f(x) ")
    assert "0x" not in message


def test_a_forgotten_return_is_asked_for():
    assert said(expect_tensor, "f(x)", None) == (
        "f(x) is None, expected a tensor",
        "is there a `return`?",
    )


def test_two_tensors_instead_of_one_are_named():
    hint = said(expect_tensor, "f(x)", (torch.zeros(1), torch.zeros(1)))[1]
    assert hint == "return the one tensor that is asked for"


# Shape, dtype, finite


def test_the_right_shape_comes_back():
    x = torch.zeros(2, 3)
    assert expect_shape("f(x)", x, 2, 3, letters="B, T") is x


def test_a_wrong_shape_is_told_with_letters():
    message, _ = said(expect_shape, "f(x)", torch.zeros(2, 5), 2, 3, letters="B, T")
    assert message == "f(x) has shape (2, 5), expected (B, T) = (2, 3)"


def test_swapped_axes_get_a_hint():
    assert "swapped" in said(expect_shape, "f(x)", torch.zeros(3, 2), 2, 3)[1]


@pytest.mark.parametrize(("came", "wanted"), [((2, 1, 3), (2, 3)), ((2, 3), (2, 1, 3))])
def test_an_axis_of_size_one_gets_a_hint(came, wanted):
    assert "size 1" in said(expect_shape, "f(x)", torch.zeros(came), *wanted)[1]


def test_dtype():
    expect_dtype("f(x)", torch.zeros(1), torch.float32)
    message, _ = said(expect_dtype, "f(x)", torch.zeros(1), torch.bool)
    assert message == "f(x) is float32, expected bool"


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "NaN"), (math.inf, "an infinite number")])
def test_finite(bad, word):
    expect_finite("f(x)", torch.zeros(2))
    message, _ = said(expect_finite, "f(x)", torch.tensor([1.0, bad, 2.0]))
    assert message == f"f(x) holds {word} in 1 of 3 places"


# Close


def test_rounding_is_no_mistake():
    expect_close("f(x)", torch.tensor([1.0 + 1e-9]).double(), torch.tensor([1.0]).double())


def test_a_distance_is_told_without_the_expected_values():
    message, _ = said(expect_close, "f(x)", torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    assert message == "f(x) is off by up to 0.5, in 1 of 2 places"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_never_equals_a_number(wrong):
    assert said(expect_close, "f(x)", torch.tensor([wrong]), torch.tensor([1.0]))


def test_nan_where_nan_is_expected_is_right():
    expect_close("f(x)", torch.tensor([math.nan]), torch.tensor([math.nan]))
    assert said(expect_close, "f(x)", torch.tensor([1.0]), torch.tensor([math.nan]))


def test_a_wider_tolerance_forgives_more():
    off = torch.tensor([1.01]), torch.tensor([1.0])
    assert said(expect_close, "f(x)", *off)
    expect_close("f(x)", *off, rtol=0.02)
    expect_close("f(x)", *off, atol=0.02)


def test_a_plain_number_is_close_to_a_number():
    expect_close("f(x)", 0.5, 0.5)
    assert said(expect_close, "f(x)", 0.6, 0.5)[0] == "f(x) is off by up to 0.1"


def test_another_dtype_is_compared_all_the_same():
    expect_close("f(x)", torch.tensor([1, 2]), torch.tensor([1.0, 2.0]))


def test_a_suspect_that_matches_becomes_the_hint():
    suspects = {"divided?": torch.tensor([4.0]), "squared?": torch.tensor([9.0])}
    right, wrong = torch.tensor([3.0]), torch.tensor([9.0])
    assert said(expect_close, "f(x)", wrong, right, suspects)[1] == "squared?"
    assert said(expect_close, "f(x)", torch.tensor([5.0]), right, suspects)[1] == ""


def test_a_suspect_that_is_right_by_accident_is_no_hint():
    """With another tolerance the two may both match: then the hint would accuse nobody."""
    right, wrong = torch.tensor([0.0]), torch.tensor([0.015])
    suspects = {"accused?": torch.tensor([0.008])}
    assert said(expect_close, "f(x)", wrong, right, suspects, atol=0.01, rtol=0.0)[1] == ""


def test_a_wrong_shape_comes_before_wrong_values():
    assert "has shape" in said(expect_close, "f(x)", torch.zeros(2, 1), torch.zeros(2))[0]


def test_nan_that_no_suspect_explains_is_told_as_nan():
    assert "holds NaN" in said(expect_close, "f(x)", torch.tensor([math.nan]), torch.ones(1))[0]


# Equal


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        (3, 3),
        ("a", "a"),
        ([1, (2,)], (1, [2])),
        (True, True),
        (None, None),
        ({"a": 1}, {"a": 1}),
        (torch.tensor([1, 2]), torch.tensor([1, 2])),
        ([torch.ones(2)], [torch.ones(2)]),
    ],
)
def test_equal(came, wanted):
    expect_equal("f(x)", came, wanted)


@pytest.mark.parametrize(
    ("came", "wanted", "message"),
    [
        (3, 4, "f(x) is 3, expected 4"),
        (True, 1, "f(x) is True, expected 1"),
        ("a", "b", "f(x) is 'a', expected 'b'"),
        ([1, 2], [1], "f(x) has 2 entries, expected 1"),
        ([1, 2], [1, 3], "f(x) has 2 at index 1, expected 3"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "f(x) differs in 1 of 2 places"),
        (1234567, 7654321, "f(x) is 1,234,567, expected 7,654,321"),
    ],
)
def test_not_equal(came, wanted, message):
    assert said(expect_equal, "f(x)", came, wanted)[0] == message


def test_a_suspect_of_an_exact_answer():
    suspects = {"bias forgotten?": 12}
    assert said(expect_equal, "f(x)", 12, 15, suspects)[1] == "bias forgotten?"
    assert said(expect_equal, "f(x)", 13, 15, suspects)[1] == ""


class EqualToEverything:
    """Says yes to any comparison."""

    def __eq__(self, other):
        return True

    __hash__ = None  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize("wanted", [3, "a", [1], None, True, {"a": 1}])
def test_an_object_that_equals_everything_equals_nothing(wanted):
    assert said(expect_equal, "f(x)", EqualToEverything(), wanted)


# Between, true


@pytest.mark.parametrize("value", [1, 1.5, 2, torch.tensor(1.5)])
def test_between_holds_its_ends(value):
    assert 1 <= expect_between("n", value, 1, 2) <= 2


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0, (1, 2), "n is 0, expected between 1 and 2"),
        (3, (-math.inf, 2), "n is 3, expected at most 2"),
        (0, (1, math.inf), "n is 0, expected at least 1"),
        (math.nan, (0, 1), "n is nan, expected between 0 and 1"),
        (True, (0, 1), "n is True, expected a number"),
        ("1", (0, 1), "n is '1', expected a number"),
        (torch.zeros(2), (0, 1), "n is a float32 tensor of shape (2,), expected a number"),
    ],
)
def test_not_between(value, bounds, message):
    assert said(expect_between, "n", value, *bounds)[0] == message


def test_a_unit_stands_behind_both_numbers():
    message, hint = said(expect_between, "it", 12, high=10, unit="s", hint="slow?")
    assert (message, hint) == ("it is 12 s, expected at most 10 s", "slow?")


def test_a_failure_as_text_is_fact_and_hint():
    assert str(Failure("it is off", "why?")) == "it is off\n  hint: why?"
    assert str(Failure("it is off")) == "it is off"


def test_a_long_value_is_not_shown():
    assert name_of("x" * 500) == "a str of length 500"
    assert len(name_of(list(range(1000)))) < 60


def test_default_tolerances_are_tight():
    assert feedback.RTOL <= 1e-5
    assert feedback.ATOL <= 1e-7
