"""Hooks and fixtures for `pytest grader/`; pytest finds hooks only in a conftest."""

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
    """Stop before another folder's conftest runs, if `--submission` is not registered yet."""
    if not pluginmanager.has_plugin("grader.grading.options"):
        raise pytest.UsageError(
            "the grader's pyproject.toml is not the configuration in use: "
            "run pytest with -c and its path, or with -p grader.grading.options"
        )
