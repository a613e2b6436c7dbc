"""Difficulty and discrimination of checks, against numpy and by hand."""

import numpy as np
import pytest

from grader.core.outcomes import Report
from grader.reports.item_analysis import FEWEST, item_statistics
from tests.grader.batch.made_up import report_of
from tests.grader.reports.conftest import check


def made_report(student: str, *earned: float | None) -> Report:
    checks = tuple(check(f"2.{i}-x", 2, value) for i, value in enumerate(earned, start=1))
    return report_of(*checks, student=student)


EARNED = [(0, 0, 1), (2, 0, 1), (0, 2, 0), (2, 1, 2), (2, 2, 2), (2, 2, 0)]


def test_discrimination_is_the_correlation_with_the_other_checks():
    found = item_statistics([made_report(str(i), *row) for i, row in enumerate(EARNED)])
    points = np.array(EARNED, float)
    for at, one in enumerate(found):
        rest = points.sum(axis=1) - points[:, at]
        assert one.discrimination == pytest.approx(np.corrcoef(points[:, at], rest)[0, 1])
        assert one.difficulty == pytest.approx(points[:, at].mean() / 2)
        assert one.n == len(EARNED)


def test_an_open_check_is_left_out_and_is_no_zero():
    reports = [made_report(str(i), *row) for i, row in enumerate(EARNED)]
    reports.append(made_report("open", None, 0, 0))
    first = item_statistics(reports)[0]
    assert (first.n, first.difficulty) == (len(EARNED), pytest.approx(8 / 12))


def test_few_submissions_or_equal_ones_have_no_discrimination():
    few = [made_report(str(i), *row) for i, row in enumerate(EARNED[: FEWEST - 1])]
    same = [made_report(str(i), 2, i % 3) for i in range(FEWEST)]
    assert {one.discrimination for one in item_statistics(few)} == {None}
    assert item_statistics(same)[0].discrimination is None
