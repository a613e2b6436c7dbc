"""Hooks and fixtures for `pytest grader/`; pytest finds hooks only in a conftest.

student         the student's definitions, in a process of their own: `student.attend(q, k, v)`
new_student     the same as a function, for a second process: `new_student(seed=2)`
run_trial       one trial of a contract, in a process that trials share while they pass
weights         name -> tensor, from the file of weights handed in
secret          numbers and generators that follow from the instructor's seed
record          facts, pictures, partial points
report_source   all code as submitted, one text
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from torch import Tensor

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import Record
from grader.core.seed import Seed
from grader.grading.checks import Check
from grader.grading.grading_run import student_program
from grader.grading.plugin import (
    Grading,
    pytest_configure,
    pytest_ignore_collect,
    pytest_sessionstart,
)
from grader.grading.trained_weights import read_weights
from grader.submission.contents import Submission

__all__ = ["pytest_configure", "pytest_ignore_collect", "pytest_sessionstart"]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Stop before another folder's conftest runs, if `--submission` is not registered yet."""
    if not pluginmanager.has_plugin("grader.grading.options"):
        raise pytest.UsageError(
            "the grader's pyproject.toml is not the configuration in use: "
            "run pytest with -c and its path, or with -p grader.grading.options"
        )


@pytest.fixture
def grading(pytestconfig: pytest.Config) -> Grading:
    found = Grading.of(pytestconfig)
    assert found is not None, "a hidden check runs in a grading run only"
    return found


@pytest.fixture
def check(grading: Grading, request: pytest.FixtureRequest) -> Check:
    return grading.attempt(request.node).check


@pytest.fixture
def submission(grading: Grading, check: Check) -> Submission:
    return grading.run.submissions[check.assignment]


@pytest.fixture
def new_student(grading: Grading, check: Check) -> Iterator[Callable]:
    """`new_student(seed=None, trains=False)`: definitions in a process; with GPU if it trains."""
    run = grading.run
    with ExitStack() as stack:

        def open_one(seed: int | None = None, *, trains: bool = False) -> Any:
            session = run.session(check.assignment)
            program = student_program(run, check, seed)
            opened = session.check(program, seconds=check.timeout, trains=trains)
            return stack.enter_context(opened)

        yield open_one


@pytest.fixture
def student(new_student: Callable) -> Any:
    return new_student()


@pytest.fixture
def run_trial(grading: Grading, check: Check) -> Callable:
    """`run_trial(name, seed, judge)`: what the student's answers give in a trial, to `judge`."""

    def run(name: str, seed: int, judge: Callable[[Any], None]) -> None:
        number = grading.run.seed.number(f"run {check.task}") % 2**32
        grading.run.trial(check, student_program(grading.run, check, number), name, seed, judge)

    return run


@pytest.fixture
def weights(submission: Submission, check: Check) -> dict[str, Tensor]:
    """The submitted state dict; a check that uses it stops if there is none."""
    return read_weights(submission.weights, f"{ASSIGNMENTS[check.assignment].stem}.safetensors")


@pytest.fixture
def secret(grading: Grading) -> Seed:
    return grading.run.seed


@pytest.fixture
def record(grading: Grading, request: pytest.FixtureRequest) -> Record:
    return grading.attempt(request.node).record


@pytest.fixture
def report_source(submission: Submission) -> str:
    return submission.text
