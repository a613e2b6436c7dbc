"""The examples in the grader's docstrings, which pytest does not collect: its tests are checks."""

import doctest
import importlib

import pytest

MODULES = [
    *("checks", "feedback", "hidden", "scorecard", "outcomes", "adapters", "grading"),
    *("results.figures", "results.html", "results.gradebook"),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"grader.{name}")).failed == 0
