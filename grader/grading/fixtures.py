"""What a hidden check has at hand.

student         the student's definitions, in a process of their own: `student.attend(q, k, v)`
new_student     the same as a function, for a second process: `new_student(seed=2)`
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
from grader.core.seed import Seed
from grader.course.probes.trained_weights import read_weights
from grader.grading.checks import Check
from grader.grading.grading_run import Record, Run

RUN = pytest.StashKey[Run]()
CHECK = pytest.StashKey[Check]()
RECORD = pytest.StashKey[Record]()


def _run(request: pytest.FixtureRequest) -> Run:
    return request.config.stash[RUN]


@pytest.fixture
def new_student(request: pytest.FixtureRequest) -> Iterator[Callable]:
    """`new_student(seed=None)`: the student's definitions in a process of their own."""
    run, check = _run(request), request.node.stash[CHECK]
    with ExitStack() as stack:

        def open_one(seed: int | None = None) -> Any:
            session, code = run.session(check.assignment), run.code(check, seed)
            return stack.enter_context(session.check(code, seconds=check.timeout))

        yield open_one


@pytest.fixture
def student(new_student: Callable) -> Any:
    """The student's definitions, as this check's task sees them."""
    return new_student()


@pytest.fixture
def weights(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    """The submitted state dict; a check that asks for it stops where there is none."""
    check = request.node.stash[CHECK]
    data = _run(request).submissions[check.assignment].weights
    return read_weights(data, f"{ASSIGNMENTS[check.assignment].stem}.safetensors")


@pytest.fixture
def secret(request: pytest.FixtureRequest) -> Seed:
    """The instructor's seed."""
    return _run(request).seed


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Facts, pictures and partial points of this check."""
    return request.node.stash[RECORD]


@pytest.fixture
def report_source(request: pytest.FixtureRequest) -> str:
    """All code as submitted."""
    return _run(request).submissions[request.node.stash[CHECK].assignment].text
