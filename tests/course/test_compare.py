"""A record knows its value again, tells any other one, and holds nothing that gives code away."""

import json
import math

import numpy as np
import pytest
import torch

from kws.course.compare import SHOWN, Record, difference
from kws.course.trial import plain

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # the defaults of trials
GENERATOR = torch.Generator().manual_seed(5)
LARGE = torch.randn(3, 7, 11, generator=GENERATOR)
SMALL = torch.randn(2, 3, generator=GENERATOR)
NAN = torch.tensor(float("nan"))
VALUES = {
    "large": LARGE,
    "small": SMALL,
    "integers": torch.arange(6),
    "booleans": torch.tensor([True, False]),
    "number": 0.5,
    "count": 717,
    "text": "training",
    "list": ["a", "b"],
    "none": None,
    "empty": torch.zeros(0, 5),
    "with infinity": torch.tensor([1.0, -float("inf")]),
}


def stored(value) -> Record:
    """A record as it comes out of a file."""
    return Record.from_json(json.loads(json.dumps(Record.of(value).to_json())))


@pytest.mark.parametrize("name", VALUES)
def test_a_value_agrees_with_its_record_and_with_no_other_one(name):
    for other, value in VALUES.items():
        assert stored(VALUES[name]).agrees(value, **CLOSE) == (other == name)
        assert (difference(value, VALUES[name], **CLOSE) is None) == (other == name)


@pytest.mark.parametrize("value", [LARGE, SMALL])
def test_rounding_is_no_difference_and_one_wrong_number_is(value):
    nearly = value * (1 + 1e-6)  # what another order of summing does to float32
    assert stored(value).agrees(nearly, **CLOSE)
    for position in range(0, value.numel(), 17):
        wrong = value.clone()
        wrong.view(-1)[position] += 0.1
        assert not stored(value).agrees(wrong, **CLOSE)
        assert difference(wrong, value, **CLOSE) is not None
    (wrong := LARGE.clone())[2, 5, 7] += 1
    assert "largest difference 1 at (2, 5, 7)" in difference(wrong, LARGE, **CLOSE)
    assert stored([1.0, 2.0]).agrees([1, 2], **CLOSE), "integers of Python have no dtype"


def test_axes_rows_and_signs_matter_and_a_large_value_is_recorded_as_a_few_numbers():
    square = torch.randn(7, 7, 7, generator=GENERATOR)
    others = (square.mT, square.flip(0), square.roll(1, dims=2), -square, square.transpose(0, 1))
    assert not any(stored(square).agrees(other, **CLOSE) for other in others)
    assert len(json.dumps(stored(LARGE).to_json())) < 200
    assert SMALL.numel() <= SHOWN
    fact = stored(SMALL).difference(SMALL + 1, **CLOSE)
    assert f"{float(SMALL[0, 0]):.4g}" in fact
    assert f"{float(SMALL[0, 0]) + 1:.4g}" in fact


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "got None, expected a tensor"),
        (LARGE[0], "got shape (7, 11), expected (3, 7, 11)"),
        (LARGE.long(), "got dtype torch.int64, expected a float dtype"),
        (LARGE.to(torch.complex64), "got dtype torch.complex64, expected a float dtype"),
        (LARGE > 0, "got dtype torch.bool, expected a float dtype"),
        (LARGE.masked_fill(LARGE > 2, NAN), "got NaN"),
        (LARGE / 0, "got an infinite number"),
    ],
)
def test_the_fact_says_what_is_wrong(value, words):
    assert words in stored(LARGE).difference(plain(value), **CLOSE)
    assert words in difference(plain(value), LARGE, **CLOSE)


CUBE = torch.randn(7, 7, 5, generator=GENERATOR)
LATE = torch.cat([torch.zeros(7, 1, 5), CUBE[:, :-1]], dim=1)
PADDED = torch.cat([CUBE[:, :5], CUBE[:, 5:] + 1], dim=1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (CUBE.transpose(0, 1), "axes 0 and 1 are exchanged"),
        (CUBE.mT, "axes 1 and 2 are exchanged"),
        (CUBE.movedim(0, 2), "axis 2 belongs at place 0"),
        (CUBE.mT.reshape(7, 7, 5), "a transpose of axes 1 and 2 is needed, not a reshape"),
        (CUBE.exp(), "these are the exponentials of the right values"),
        (-2 * CUBE, "all are -2 times the right ones"),
        (0 * CUBE, "all are 0"),
        (CUBE - 3, "all are 3 too small"),
        (CUBE.flip(2), "axis 2 runs backwards"),
        (LATE, "the values are one place late along axis 1"),
        (CUBE[:, [1, 2, 0, 4, 3, 5, 6]], "the order along axis 1 is another one"),
        (PADDED, "only at 5, 6 of axis 1 (0 to 6)"),
    ],
)
def test_the_fact_names_a_simple_change_and_where_values_differ(wrong, words):
    record = Record.from_json(json.loads(json.dumps(Record.of(CUBE, axes=True).to_json())))
    for fact in (record.difference(wrong, **CLOSE), difference(wrong, CUBE, **CLOSE)):
        assert fact.endswith(f": {words}")
    other = torch.randn(CUBE.shape, generator=torch.Generator().manual_seed(1))
    assert record.difference(other, **CLOSE).endswith("from the reference")
    small = torch.full((1, 2, 67), 1e-10)  # of another order nothing is known where all is near
    assert difference(0 * small, small, 0.0, 1e-12).endswith(": all are 0")


@pytest.mark.parametrize("shape", [(3, 4), (1, 99), (99,), (2, 2, 7), (5, 5, 5)])
def test_of_a_large_value_far_fewer_numbers_are_recorded_than_it_has(shape):
    axes = Record.of(torch.randn(shape, generator=GENERATOR), axes=True).content
    assert isinstance(axes, list) or 2 * sum(map(len, axes["axes"])) < math.prod(shape)


@pytest.mark.parametrize("value", [[LARGE, LARGE > 0], {"x": SMALL, "n": 3}, ["a", [0.5, LARGE]]])
def test_rounding_is_no_difference_inside_of_lists_and_tables(value):
    def changed(value, factor):
        if isinstance(value, dict):
            return {key: changed(one, factor) for key, one in value.items()}
        if isinstance(value, list):
            return [changed(one, factor) for one in value]
        is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value * factor if is_float else value

    nearly, wrong = changed(value, 1 + 1e-6), changed(value, 1.1)
    assert stored(value).agrees(nearly, **CLOSE)
    assert difference(nearly, value, **CLOSE) is None
    assert not stored(value).agrees(wrong, **CLOSE)
    assert difference(wrong, value, **CLOSE) is not None


@pytest.mark.parametrize(
    "made",
    [
        lambda n: n,
        lambda n: [n],
        lambda n: {"n": n},
        lambda n: torch.tensor([n, 3]),
        lambda n: torch.tensor([*range(50), n]),
    ],
    ids=["number", "list", "table", "small", "large"],
)
def test_of_whole_numbers_the_last_digit_counts(made):
    value, wrong = made(2_147_404), made(2_147_403)
    assert stored(value).agrees(value, **CLOSE)
    assert difference(value, value, **CLOSE) is None
    assert not stored(value).agrees(wrong, **CLOSE)
    assert difference(wrong, value, **CLOSE) is not None
    assert not stored(wrong).is_like(stored(value), **CLOSE)


def test_what_means_the_same_is_the_same():
    assert stored(717).agrees(plain(torch.tensor(717)), **CLOSE)
    assert stored(717).agrees(plain(np.int64(717)), **CLOSE)
    assert stored(0.5).agrees(plain(torch.tensor(0.5)), **CLOSE)
    assert stored(SMALL).agrees(plain(SMALL.numpy()), **CLOSE)
    assert stored(SMALL).agrees(plain(SMALL.double().tolist()), **CLOSE)
    assert stored([1, 2]).agrees(plain((torch.tensor(1), 2)), **CLOSE)
    assert not stored(1).agrees(plain(True), **CLOSE)
    assert not stored(0.5).agrees(plain(0.5 + 0j), **CLOSE)
