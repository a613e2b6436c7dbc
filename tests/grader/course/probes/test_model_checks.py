"""What a model must be: right models pass in any style, and each way around a rule is named.

Every model is built in a confined process, as a student's would be.
"""

import pytest
import torch

from grader.course.probes.model_checks import (
    count_scalars,
    expect_budget,
    expect_gradients,
)
from grader.grading.feedback import Failure
from grader.sandbox import Code
from grader.submission.contents import Piece

B, T, D, C = 3, 7, 8, 5
HEAD = """
import torch
from torch import nn
import torch.nn.functional as F

class Layer(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 11), nn.Linear(11, d)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())
"""


@pytest.fixture(scope="module")
def session(sandbox):
    with sandbox.session() as session:
        yield session


@pytest.fixture
def build(session):
    """`build(source)`: the student and their `Model()`; source defines the class after HEAD."""
    opened = []

    def make(source: str, seed: int = 0):
        text = HEAD + source
        piece = Piece(source=text, where="cell 1", line=1, names=("Model",))
        student = session.check(Code(pieces=(piece,), seed=seed))
        opened.append(student)
        return student, student.Model()

    yield make
    for student in opened:
        student.close()


def model(init: str, forward: str) -> str:
    """A class Model from the bodies of its two methods, one statement a `;`."""
    lines = "".join(f"        {line.strip()}\n" for line in init.split(";"))
    return (
        "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"{lines}    def forward(self, x, valid=None):\n"
        + "".join(f"        {line.strip()}\n" for line in forward.split(";"))
    )


@pytest.fixture
def x():
    return torch.randn(B, T, D)


STACK = model(
    "self.layers = nn.ModuleList([Layer() for _ in range(3)])",
    "for layer in self.layers: x = layer(x)\n        return x",
)

# Budget

ONE = "self.a = nn.Linear(8, 5)"
PLAIN = model(ONE, "return self.a(x).mean(1)")
HIDDEN = {
    "a list": model(
        "self.a = nn.Linear(8, 5); self.w = [torch.randn(8, 8)]",
        "return self.a(x @ self.w[0]).mean(1)",
    ),
    "a global": "W = torch.randn(8, 8)\n\n" + model(ONE, "return self.a(x @ W).mean(1)"),
    "a buffer": model(
        "self.a = nn.Linear(8, 5); self.register_buffer('w', torch.randn(8, 8))",
        "return self.a(x @ self.w).mean(1)",
    ),
    "a view of more": model(
        "self.a = nn.Linear(8, 5); self.w = [torch.randn(8, 64)[:, :8]]",
        "return self.a(x @ self.w[0]).mean(1)",
    ),
}


def test_a_model_within_its_budget(build, x):
    _, made = build(PLAIN)
    assert expect_budget("Model()", made, x, most=45).declared == 45


def test_a_model_above_its_budget(build, x):
    _, made = build(PLAIN)
    with pytest.raises(Failure, match="is 45, expected at most 44"):
        expect_budget("Model()", made, x, most=44)


@pytest.mark.parametrize("place", HIDDEN)
def test_weights_hidden_from_parameters_count(build, x, place):
    _, made = build(HIDDEN[place])
    with pytest.raises(Failure, match="expected at most 100") as failure:
        expect_budget("Model()", made, x, most=100)
    assert "45 are parameters" in failure.value.hint


def test_a_shared_parameter_counts_once(build, x):
    source = model(
        "self.a = nn.Linear(8, 8); self.b = nn.Linear(8, 8); self.b.weight = self.a.weight",
        "return self.b(self.a(x))",
    )
    _, made = build(source)
    assert count_scalars(made, x).total == 64 + 8 + 8


def test_gradients_reach_everything_in_a_right_model(build, x):
    _, made = build(STACK)
    expect_gradients("Model()", made, x)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (model(f"{ONE}; self.b = nn.Linear(8, 5)", "return self.a(x)"), "reaches b.weight"),
        (model(ONE, "return self.a(x).detach() + x.sum()"), "reaches a.weight"),
        (model(ONE, "return self.a(x) * 0"), "reaches a.weight"),
        (
            model(
                "self.a = nn.Linear(8, 5).requires_grad_(False); self.b = nn.Linear(5, 5)",
                "return self.b(self.a(x))",
            ),
            "cannot learn",
        ),
    ],
)
def test_a_parameter_that_cannot_learn_is_named(build, x, source, words):
    _, made = build(source)
    with pytest.raises(Failure, match=words):
        expect_gradients("Model()", made, x)
