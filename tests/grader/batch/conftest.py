"""Reports made up for tests of what is made of them; a class to grade."""

from dataclasses import replace
from pathlib import Path

import pytest

from grader import ROOT
from grader.core.outcomes import Report
from tests.grader.batch.made_up import check

SOLUTION = ROOT / "solutions" / "02_attention.py"


@pytest.fixture
def report() -> Report:
    """4 of 5 points."""
    return Report(
        student="alice",
        assignment="02",
        title="Attention",
        digest="d1",
        checks_digest="c1",
        seed_id="development",
        tier="sealed",
        checks=(check("2.1-values", 3, 2, "off by 0.5"), check("2.1-shape", 2, 2)),
    )


@pytest.fixture
def open_report(report) -> Report:
    return replace(report, student="bob", checks=(check("2.1-values", 3, None, "stopped"),))


@pytest.fixture
def hand_in(tmp_path):
    """`hand_in("alice", text)` puts an answer to assignment 2 into a class; returns the class."""

    def put(student: str, text: str | None = None, name: str = "02_attention.py") -> Path:
        folder = tmp_path / "class"
        (folder / student).mkdir(parents=True, exist_ok=True)
        source = SOLUTION.read_text(encoding="utf-8") if text is None else text
        (folder / student / name).write_text(source, encoding="utf-8")
        return folder

    return put
