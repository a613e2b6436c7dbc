"""Options of `pytest grader/`, registered before pytest reads any path.

pytest takes the value of an unknown option for a folder of tests and runs the `conftest.py` in it.
`--submission PATH` is untrusted, so this module is loaded by name (`-p grader.grading.options` in
`pyproject.toml`) before any conftest, and `grader/conftest.py` stops if it was not.

pytest also reads the configuration beside the first path: write `grader/` before `--submission`, or
`--submission=PATH`.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("grading", "grading (pytest grader/)")
    group.addoption(
        "--submission",
        metavar="PATH",
        default="assignments",
        help="what was handed in: a notebook, a .py file, a folder or a zip [assignments]",
    )
    group.addoption("--assignment", metavar="NN", help="grade this one [all in PATH]")
    group.addoption("--student", metavar="ID", default="", help="id to write into the results")
    group.addoption("--marks", metavar="CSV", help="points and comments for written answers")
    group.addoption(
        "--metadata", metavar="FILE", help="Gradescope's submission_metadata.json: whose marks"
    )
    group.addoption(
        "--require-isolation",
        metavar="TIER",
        help="refuse to grade below this tier: sealed, fenced or process",
    )
    group.addoption("--retrain", action="store_true", help="train the student's recipe as well")
    group.addoption("--results", metavar="FILE", help="write results.json for Gradescope")
    group.addoption("--page", metavar="FILE", help="write the student's HTML page")
    group.addoption(
        "--staff", action="store_true", help="show tracebacks of faults in the checks themselves"
    )
