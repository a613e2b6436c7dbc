"""What the hidden checks have at hand: the hooks of `grader.grading.plugin`, and fixtures.

They are imported here by name, since pytest knows a folder's hooks by its conftest alone.
"""

import pytest

from grader.grading.fixtures import new_student, record, report_source, secret, student, weights
from grader.grading.plugin import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_ignore_collect,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_sessionstart,
    pytest_unconfigure,
)

__all__ = [
    "new_student",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_unconfigure",
    "record",
    "report_source",
    "secret",
    "student",
    "weights",
]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Stop before another folder's conftest can run, where `--submission` is not known yet."""
    if not pluginmanager.has_plugin("grader.grading.options"):
        raise pytest.UsageError(
            "the grader's pyproject.toml is not the configuration in use: "
            "run pytest with -c and its path, or with -p grader.grading.options"
        )
