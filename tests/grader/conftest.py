"""Reports made up for tests of what is made of them."""

from dataclasses import replace

import pytest

from grader.core.outcomes import Report
from tests.grader.batch.made_up import check


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
