"""Whatever an answer returns, the grader says that it is wrong: no answer is a fault of ours."""

from pathlib import Path

import pytest

from grader.adapters import ASSIGNMENTS
from grader.core.seed import Seed
from grader.grading.in_process import grade_one
from grader.submission import read_submissions

HERE = Path(__file__).parent
NUMBERS = tuple(ASSIGNMENTS)
VALUES = {
    "None": "None",
    "a number": "3",
    "a scalar tensor": "torch.tensor(2.5)",
    "an empty tensor": "torch.zeros(0)",
    "NaN": "torch.full((2, 3, 7, 5), float('nan'))",
    "whole numbers": "torch.ones(2, 7, dtype=torch.int64)",
    "flags": "torch.ones(3, 12, dtype=torch.bool)",
    "complex numbers": "torch.ones(3, 12) * 1j",
    "half numbers": "torch.ones(3, 12, dtype=torch.bfloat16)",
    "a number without end": "10**400",
    "a list that is deep": "[[[[[[[[[[[[[[1]]]]]]]]]]]]]] * 3",
    "lists of other lengths": "[[1, 2], [3]]",
    "a module of complex numbers": "nn.Linear(15, 15).to(torch.complex64)",
    "text": "'right'",
    "a list of nothing": "[]",
    "a pair of nothing": "(None, None)",
    "a pair of tensors": "(torch.zeros(3, 11, 5), torch.zeros(3, 11))",
    "a dictionary": "{'steps': None}",
    "an object": "object()",
    "an empty module": "nn.Module()",
    "a module that returns what it gets": "nn.Identity()",
    "a module with one weight": "nn.Linear(15, 15)",
    "norms without a bias": "nn.Sequential(nn.LayerNorm(40, bias=False), nn.BatchNorm1d(40))",
    "a parametrized module": "nn.utils.parametrizations.spectral_norm(nn.Linear(40, 12))",
}
QUICK = ("02", "a pair of tensors")


CASES = [
    pytest.param(number, value, marks=[] if (number, value) == QUICK else pytest.mark.slow)
    for number in NUMBERS
    for value in VALUES
]


@pytest.mark.parametrize(("number", "value"), CASES)
def test_nonsense_earns_next_to_nothing_and_is_no_fault_of_ours(number, value, sandbox, tmp_path):
    assignment = ASSIGNMENTS[number]
    names = [name for task in assignment.tasks for name in task.names]
    lines = ["import torch", "from torch import nn"]
    for name in names:
        lines += [f"def {name}(*args, **kwargs):", f"    return {VALUES[value]}"]
    (tmp_path / f"{assignment.stem}.py").write_text("\n".join(lines) + "\n")
    (submission,) = read_submissions(tmp_path, number)
    report = grade_one(submission, sandbox=sandbox, seed=Seed("nonsense"))
    faults = [(c.id, c.message, dict(c.facts)) for c in report.checks if c.earned is None]
    assert faults == []
    assert report.score <= 0.1 * report.max_score, [c.id for c in report.checks if c.passed]
    assert all(check.message for check in report.checks if not check.passed)
