"""The examples in the grader's docstrings, which pytest does not collect: its tests are checks."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODULES = [  # with examples
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "grader").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8") and not path.stem.startswith("test_")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
