"""What a student reads of an exception, and what one cannot make the grader say."""

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox.messages import fill, known, templates
from grader.sandbox.vetting import HIDDEN, UNTOLD, Vetting
from grader.submission.contents import Piece
from tests.grader.sandbox.conftest import stopped

SOURCE = """
import os, linecache, sys
import torch
from torch import nn

class Odd(ValueError):
    pass

def attend(q, k):
    scores = q @ k
    if scores.ndim > 7:
        raise ValueError(f"attend got {scores.ndim} axes of shape {tuple(scores.shape)}")
    return scores

def leak(x):
    raise ValueError(str(x))

def leak_in_words(x):
    raise ValueError(f"attend got {x.flatten().tolist()} axes of shape {x.shape}")

def leak_in_many_numbers(x):
    raise ValueError(str([int(1000 * abs(one)) for one in x.flatten()]))

def leak_in_a_kind(x):
    raise type(f"x{1000 * x.flatten()[0]:.0f}", (Exception,), {})("here")

def leak_in_a_key(x):
    return {}[f"{x.flatten()[0]:.8f}"]

def leak_in_the_line(x):
    linecache.cache["cell 7"] = (1, None, [f"{x.flatten()[0]:.8f}\\n"] * 99, "cell 7")
    raise Odd

def leak_in_a_value(x):
    return type(f"x{1000 * x.flatten()[0]:.0f}", (), {})()

def leak_in_a_module(x):
    return type(f"x{1000 * x.flatten()[0]:.0f}", (nn.Module,), {})()

def leak_in_a_todo(x):
    raise NotImplementedError(f"TODO {x.flatten()[0]:.8f}")

def leak_by_itself(x):
    import json, struct
    text = f"attend raised ValueError: {x.flatten()[0]:.8f}"
    data = json.dumps({"d": [["id", 1], ["error", ["error", text, "cell 7, line 3: " + text]]]})
    os.write(3, struct.pack("<4sIQ", b"kws1", len(data), 0) + data.encode())
    os._exit(0)
"""
NAMES = ("leak", "leak_in_words", "leak_in_many_numbers", "leak_in_a_kind", "leak_in_a_key")
NAMES += ("leak_in_the_line", "leak_in_a_todo", "leak_by_itself")
X = torch.tensor([[0.28713653, -0.71905342, 0.5512], [0.9471, 0.3313, -0.6427]])


def digits(x: torch.Tensor) -> list[str]:
    """Three digits that nobody shows by chance, for each number."""
    return [f"{abs(one):.8f}"[2:5] for one in x.flatten().tolist()]


def vetting(source: str = SOURCE) -> Vetting:
    return Vetting([Piece(source=source, where="cell 7", line=1, names=("attend",))], {})


def told(words: str, kind: str = "ValueError", source: str = SOURCE) -> str:
    message = f"attend raised {kind}: {words}"
    return vetting(source).told("attend", Reason.ERROR, message, "")[0]


@pytest.mark.parametrize("name", NAMES)
def test_no_exception_carries_a_hidden_input_out(student, name):
    ended = stopped(getattr(student(SOURCE), name), X)
    said = f"{ended.message} {ended.hint}"
    assert len([some for some in digits(X) if some in said]) == 0, said


@pytest.mark.parametrize("name", ["leak_in_a_value", "leak_in_a_module"])
def test_no_class_carries_one_out_in_its_name(student, name):
    made = getattr(student(SOURCE), name)(X)
    assert made.kind == "foreign object"


def test_what_is_hidden_is_said_to_be_and_its_line_is_shown(student):
    ended = stopped(student(SOURCE).leak, X)
    assert ended.message == f"leak raised ValueError: {UNTOLD}"
    assert ended.hint.endswith(": raise ValueError(str(x))")


@pytest.mark.parametrize(
    "words",
    [
        "attend got 8 axes of shape (2, 3)",  # their own
        "mat1 and mat2 shapes cannot be multiplied (21x5 and 3x7)",
        "The size of tensor a (7) must match the size of tensor b (5) at non-singleton dimension 3",
        "shape '[2, 3, -1]' is invalid for input of size 1050",
        "name 'scores' is not defined",
        "'NoneType' object is not callable",
        "attend() missing 1 required positional argument: 'k'",
        "attend() missing 2 required positional arguments: 'q' and 'k'",
        "unsupported operand type(s) for @: 'Tensor' and 'NoneType'",
        "expected scalar type Float but found Double",
        "Dimension out of range (expected to be in range of [-3, 2], but got 3)",
        "'Odd' object has no attribute 'ndim'",
        "d_model=15 is not divisible by num_heads=4",  # of kws
        "7",
        "division by zero",
    ],
)
def test_the_usual_words_are_told_as_they_are(words):
    assert told(words) == f"attend raised ValueError: {words}"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("attend needs a28713653: it is lost", "attend raised an exception that cannot be shown"),
        (
            "attend needs scores: scores raised ValueError: tensor([0.2871, 0.7190])",
            f"attend needs scores: scores raised ValueError: {UNTOLD}",
        ),
        (
            "attend needs scores: 0.28713653",
            "attend needs scores: scores raised an exception that cannot be shown",
        ),
        (
            "attend needs scores: scores needs scores: scores needs scores: it",
            "attend needs scores: scores raised an exception that cannot be shown",
        ),
        ("a28713653 is not installed here", f"{HIDDEN} is not installed here"),
        (
            "attend stands in cell 7, which Python cannot read (line 1): 0.28713653 0.71905342",
            "attend stands in cell 7, which Python cannot read (line 1)",
        ),
        (
            "attend stands in cell 7, which Python cannot read (line 287136): invalid syntax",
            "attend raised an exception that cannot be shown",
        ),
        (
            "attend stands in 28713653, which Python cannot read (line 1): invalid syntax",
            "attend raised an exception that cannot be shown",
        ),
    ],
)
def test_a_cause_carries_nothing_out_either(sent, shown):
    source = "def attend(q):\n    return scores"
    assert vetting(source).told("attend", Reason.ERROR, sent, "")[0] == shown


def test_torchs_own_words_on_real_mistakes_are_told(student):
    lines = {
        "x.view(7, 2)": "shape '[7, 2]' is invalid for input of size 6",
        "x @ x": "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
        "x + torch.ones(5)": "The size of tensor a (3) must match the size of tensor b (5)",
        "x[:, 9]": "index 9 is out of bounds for dimension 1 with size 3",
        "torch.cat([x, x.T])": "Sizes of tensors must match except in dimension 0. Expected size 3",
        "x.softmax(dim=4)": "Dimension out of range (expected to be in range of [-2, 1], but got 4",
        "x.masked_fill(x, 0)": "masked_fill_ only supports boolean masks, but got mask with dtype",
        "nn.Linear(5, 3)(x)": "mat1 and mat2 shapes cannot be multiplied (2x3 and 5x3)",
        "nn.LayerNorm(5)(x)": "Given normalized_shape=[5], expected input with shape [*, 5]",
        "x.nothing": "'Tensor' object has no attribute 'nothing'",
        "x.item()": "a Tensor with 6 elements cannot be converted to Scalar",
        "if x: pass": "Boolean value of Tensor with more than one value is ambiguous",
        "a, b, c = x": "not enough values to unpack (expected 3, got 2)",
        "x.numpy(7)": "takes 0 positional arguments but 1 was given",
        "x.backward()": "element 0 of tensors does not require grad and does not have a grad_fn",
    }
    wrong = {}
    body = "".join(f"def f{i}(x):\n    {line}\n" for i, line in enumerate(lines))
    at_work = student("import torch\nfrom torch import nn\n" + body)
    for i, (line, words) in enumerate(lines.items()):
        said = stopped(getattr(at_work, f"f{i}"), X).message
        if words not in said:
            wrong[line] = said
    assert not wrong


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("attend got 0.2871 axes of shape (2, 3)", "attend got … axes of shape (2, 3)"),
        ("name 'x28713' is not defined", "name '…' is not defined"),
        ("index 28713653719053 is out of bounds for dimension 0 with size 3", "index …"),
        (f"shape '{list(range(40))}' is invalid for input of size 40", "shape '…' is invalid"),
    ],
)
def test_what_fills_a_gap_and_could_be_data_is_left_out(words, shown):
    assert f"ValueError: {shown}" in told(words)


def test_a_text_that_is_nothing_but_a_gap_is_no_text_of_a_student():
    assert told("7a7b7c", source='def f(x):\n    raise ValueError(f"{x}{x}-{x}")') == (
        f"attend raised ValueError: {UNTOLD}"
    )


def test_a_state_that_does_not_fit_is_told_by_name():
    words = (
        'Error(s) in loading state_dict for Odd:\n\tMissing key(s) in state_dict: "scores.0.weight"'
        ". \n\tsize mismatch for q.bias: copying a param with shape torch.Size([3]) from checkpoint"
        ", the shape in current model is torch.Size([5])."
    )
    said = told(words, "RuntimeError")
    assert '"scores.0.weight"' in said
    assert "torch.Size([3])" in said


def test_many_gaps_are_looked_for_in_linear_time():
    parts = ("a",) * 2000
    assert fill(parts, "b" + "a" * 100_000) is None
    source = "x = f'" + "{a}b" * 4000 + "'"
    assert told("b" * 300, source=source).endswith(UNTOLD)
    assert list(templates(source)) == []


def test_gaps_are_filled_in_order():
    assert fill(("shape ", " of size ", ""), "shape (2, 3) of size 7") == ["(2, 3)", "7"]
    assert fill(("shape ", "."), "shape") is None
    assert fill(("aba", "ba"), "aba") is None


def test_every_known_text_is_found_as_itself():
    for parts in known():
        assert fill(parts, "7".join(parts)) is not None


def test_a_line_that_was_never_handed_in_is_not_quoted():
    line = SOURCE.split("\n").index("    scores = q @ k") + 1
    hints = {
        f"cell 7, line {line}: lies": f"cell 7, line {line}: scores = q @ k",
        "cell 7, line 9999: lies": "",
        "cell 8, line 1: lies": "",
    }
    for hint, shown in hints.items():
        assert vetting().told("f", Reason.ERROR, "f raised ValueError", hint)[1] == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("28713 is not defined", "attend raised an exception that cannot be shown"),
        ("x28713 is not defined (did you mean 'x53719'?)", "attend is not defined"),
        ("anything at all 0.287", "attend raised an exception that cannot be shown"),
        ("0.287: TODO 2.1 is still to be done", "attend: TODO is still to be done"),
        ("kws.x28713 is the library's own answer to this task", "… is the library's own answer"),
        ("x28713 asked for more memory than a check may use", "attend asked for more memory"),
        ("attend returned too much to be looked at: 28,713 bytes", "attend returned too much"),
    ],
)
def test_a_sentence_that_is_forged_loses_what_was_put_into_it(message, shown):
    said, _ = vetting().told("attend", Reason.MISSING, message, "")
    assert said.startswith(shown)
    assert "287" not in said
