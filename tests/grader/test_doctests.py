"""The examples in the grader's docstrings, which pytest does not collect: its tests are checks."""

import doctest
import importlib

import pytest

MODULES = [
    *("adapters", "core.outcomes", "core.seed", "grading.checks", "grading.feedback"),
    *("grading.grading_run", "reports.figures", "reports.gradebook", "reports.html"),
    "reports.scorecard",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"grader.{name}")).failed == 0
