"""`model.safetensors`: what is right comes through, what is not is a sentence."""

import pytest
import torch
from safetensors.torch import save

from grader.outcomes import Reason, Stopped
from grader.probes.weights import read_weights


def stopped(data: bytes | None) -> Stopped:
    with pytest.raises(Stopped) as found:
        read_weights(data)
    return found.value


def test_a_state_dict_comes_through():
    state = {"b": torch.randn(2, 3), "a": torch.arange(4), "c": torch.ones(1).bfloat16()}
    read = read_weights(save(state))
    assert list(read) == ["a", "b", "c"]
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_no_file_is_missing():
    assert stopped(None).reason is Reason.MISSING


@pytest.mark.parametrize(
    "state",
    [{f"t{i}": torch.zeros(1) for i in range(5001)}, {"x" * 501: torch.zeros(1)}],
    ids=["too many", "too long a name"],
)
def test_a_state_that_no_model_has_is_told_and_not_called_tampering(state):
    found = stopped(save(state))
    assert found.reason is Reason.ERROR
    assert "no model of this course has" in found.message
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
    ],
)
def test_a_damaged_file_is_told_and_how_to_write_it(data):
    found = stopped(data)
    assert found.reason is Reason.ERROR
    assert "cannot be read" in found.message
    assert "save_file" in found.hint


def test_an_empty_model_is_told():
    assert "holds no tensor" in stopped(save({})).message


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named(bad):
    found = stopped(save({"a": torch.ones(2), "b": torch.tensor([1.0, bad])}))
    assert found.message.startswith("b in model.safetensors holds NaN or")


def test_a_kind_of_number_that_no_layer_has_is_named():
    assert "of type int8" in stopped(save({"a": torch.ones(2, dtype=torch.int8)})).message
