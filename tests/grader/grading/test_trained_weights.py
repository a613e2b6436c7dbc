"""Weights as handed in: what is right comes through, what is not is a sentence."""

import json
import math
import struct

import pytest
import torch
from safetensors.torch import save

from grader.core.outcomes import Reason, Stopped
from grader.grading.trained_weights import load_weights, read_weights
from grader.sandbox import Code
from grader.submission.contents import Piece
from tests.grader.conftest import code_beside

MODEL = code_beside(__file__)["model"]


def stopped(data: bytes | None) -> Stopped:
    with pytest.raises(Stopped) as found:
        read_weights(data)
    return found.value


def framed(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def written(header: dict, body: bytes = b"") -> bytes:
    return framed(json.dumps(header).encode(), body)


def tensor(shape: list, size: int) -> dict:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}


def test_a_state_dict_comes_through():
    state = {"b": torch.randn(2, 3), "a": torch.arange(4), "c": torch.ones(1).bfloat16()}
    read = read_weights(save(state))
    assert stopped(None).reason is Reason.MISSING
    assert list(read) == ["a", "b", "c"]
    assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    "state",
    [{f"t{i}": torch.zeros(1) for i in range(5001)}, {"x" * 501: torch.zeros(1)}],
    ids=["too many", "too long a name"],
)
def test_a_state_that_no_model_has_is_told_and_not_called_tampering(state):
    found = stopped(save(state))
    assert found.reason is Reason.ERROR
    assert "not the state_dict of a model of this course" in found.message
    assert len(found.message) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\xff" * 100,
        save({"a": torch.ones(9)})[:-5],
        (1 << 62).to_bytes(8, "little") + b"{}",
        b"\x02\0\0\0\0\0\0\0[]",
        written({"a": 1}),
        written({"a": tensor([0, 1 << 63], 0)}),
        written({"a": tensor([1] * 17, 4)}, bytes(4)),
        written({"a": tensor([-1], 4)}, bytes(4)),
        written({"a": tensor([0.5], 2)}, bytes(2)),
        written({"a": tensor([2], 4)}, bytes(4)),
        written({"a": [[]]}) + b"[" * 99_999,
        written({f"t{i}": tensor([0], 0) for i in range(20_001)}),
        framed(b'{"a":' + b"[" * 99_999),
        framed(b"{" + b" " * (3 << 20) + b"}"),
    ],
    ids=lambda data: repr(data[:60]),
)
def test_a_damaged_file_is_told_and_how_to_write_it(data):
    found = stopped(data)
    assert found.reason is Reason.ERROR
    assert "cannot be read" in found.message
    assert "save_file" in found.hint


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "contains no tensors"),
        ({"a": torch.ones(2), "b": torch.tensor([math.nan])}, "b in model.safetensors contains"),
        ({"b": torch.tensor([1, math.inf])}, "b in model.safetensors contains NaN or"),
        ({"a": torch.ones(2, dtype=torch.int8)}, "of type int8"),
    ],
)
def test_a_state_without_usable_numbers_is_refused_by_name(state, words):
    assert words in stopped(save(state)).message


@pytest.fixture(scope="module")
def student(best):
    piece = Piece(source=MODEL, where="cell 1", line=1, names=("Model",))
    with best.session() as session, session.check(Code(pieces=(piece,))) as made:
        yield made


def state(prefix: str = "") -> dict[str, torch.Tensor]:
    shapes = {"first.weight": (2, 3), "first.bias": 2, "module.weight": (2, 2), "module.bias": 2}
    return {prefix + name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod."])
def test_weights_fit_whatever_wrapped_the_model_when_they_were_saved(student, prefix):
    given = state(prefix)
    loaded = load_weights(student.Model(), given).state_dict()
    assert {prefix + name for name in loaded} == given.keys()
    assert all(torch.equal(loaded[name], given[prefix + name]) for name in loaded)
    given = state("module.")  # a name that the model itself has
    loaded = load_weights(student.Wrapper(), given).state_dict()
    assert all(torch.equal(loaded[name], given[name]) for name in given)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first.weight": None}, "first.weight is not there"),
        ({"first.weight": None, "first.bias": None}, "first.bias (and 1 more) is not there"),
        ({"head.weight": torch.ones(1)}, "head.weight belongs to another model"),
        ({"first.weight": torch.ones(2, 4)}, "first.weight is (2, 4) there, and (2, 3) in the"),
        ({"x" * 500: torch.ones(1)}, "xx … belongs"),
    ],
)
def test_weights_of_another_model_are_told_by_name(student, change, words):
    given = {name: one for name, one in {**state(), **change}.items() if one is not None}
    with pytest.raises(Stopped) as found:
        load_weights(student.Model(), given)
    assert found.value.reason is Reason.ERROR
    assert found.value.message.startswith("the weights handed in do not fit Model: ")
    assert words in found.value.message
    assert "save it again" in found.value.hint


def test_another_fault_keeps_its_own_words(student):
    with pytest.raises(Stopped, match="ZeroDivisionError"):
        load_weights(student.break_down(), state())
