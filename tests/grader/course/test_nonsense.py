"""Whatever an answer returns, the grader says that it is wrong: no answer is a fault of ours."""

from pathlib import Path

import pytest

from grader.adapters import ASSIGNMENTS
from grader.core.seed import Seed
from grader.grading.in_process import grade_one
from grader.submission import read_submissions
from tests.grader.conftest import code_beside

HERE = Path(__file__).parent
NUMBERS = tuple(ASSIGNMENTS)
VALUES = code_beside(__file__)["values"]
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
