"""What `pytest grader/` loads: the hooks of `grader.grading.plugin`, and the checks' fixtures.

They are imported here by name, since pytest knows a folder's hooks by its conftest alone.
"""

import pytest

from grader.grading.fixtures import (
    check,
    grading,
    new_student,
    record,
    report_source,
    run_trial,
    secret,
    student,
    submission,
    weights,
)
from grader.grading.plugin import pytest_configure, pytest_ignore_collect, pytest_sessionstart

__all__ = [
    "check",
    "grading",
    "new_student",
    "pytest_addoption",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_sessionstart",
    "record",
    "report_source",
    "run_trial",
    "secret",
    "student",
    "submission",
    "weights",
]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Stop before another folder's conftest can run, where `--submission` is not known yet."""
    if not pluginmanager.has_plugin("grader.grading.options"):
        raise pytest.UsageError(
            "the grader's pyproject.toml is not the configuration in use: "
            "run pytest with -c and its path, or with -p grader.grading.options"
        )
