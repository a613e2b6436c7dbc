"""Grade one submission inside this process, in a sandbox of the caller.

The same checks and hooks as `pytest grader/`; submission, sandbox and seed are arguments, and
nothing is printed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import Report
from grader.core.seed import Seed
from grader.grading import options
from grader.grading.grading_run import GradingRun
from grader.grading.plugin import Grading
from grader.sandbox import Sandbox
from grader.submission.contents import Submission

OPTIONS = (
    "--override-ini=addopts=",
    "--disable-plugin-autoload",
    "--import-mode=importlib",
    "--strict-markers",
    "-Werror",
    "-pno:cacheprovider",
    "-pno:doctest",
    "-pno:junitxml",
    "-pno:logging",
    "-pno:faulthandler",
    "-pno:unraisableexception",  # collects garbage at the end, which takes longer than the checks
    *(f"-pno:{name}" for name in ("legacypath", "pastebin", "setuponly", "setupplan", "stepwise")),
    *(f"-pno:{name}" for name in ("subtests", "threadexception", "unittest")),
)


def grade_one(
    submission: Submission,
    *,
    sandbox: Sandbox,
    seed: Seed,
    student: str = "",
    retrain: bool = False,
    run_checks: bool = True,
) -> Report:
    """The report on one submission; points stay open if pytest fails or without `run_checks`."""
    assignment = ASSIGNMENTS[submission.assignment]
    run = GradingRun(
        submissions={assignment.number: submission},
        sandbox=sandbox,
        seed=seed,
        student=student,
        retrain=retrain,
    )
    if not run_checks:
        _pytest(run, "--collect-only", "-qq")
        return run.report(assignment, interrupted=True)
    grading, code = _pytest(run)
    if not grading.reports:
        raise RuntimeError(f"pytest ended with {code!r} before any check of {assignment.stem}")
    return grading.reports[0]


def _pytest(run: GradingRun, *more: str) -> tuple[Grading, int]:
    (assignment,) = run.assignments
    grading = Grading(run)
    tests = ROOT / "grader" / "course" / assignment.folder / "test_checks.py"
    arguments = [f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={ROOT}", *OPTIONS]
    try:
        with _without("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            code = pytest.main([*arguments, *more, str(tests)], plugins=[options, grading])
    finally:
        run.close()
    return grading, code


@contextmanager
def _without(*names: str) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
