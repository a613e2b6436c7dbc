"""Difficulty and discrimination of checks, against numpy and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from grader.core.outcomes import Report
from grader.reports.item_analysis import FEWEST, ItemStatistics, item_statistics
from tests.grader.batch.made_up import check, report_of
from tests.grader.conftest import code_beside


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


def test_an_open_check_is_left_out_and_few_submissions_or_equal_ones_have_no_discrimination():
    reports = [made_report(str(i), *row) for i, row in enumerate(EARNED)]
    reports.append(made_report("open", None, 0, 0))
    first = item_statistics(reports)[0]
    assert (first.n, first.difficulty) == (len(EARNED), pytest.approx(8 / 12))
    few = [made_report(str(i), *row) for i, row in enumerate(EARNED[: FEWEST - 1])]
    same = [made_report(str(i), 2, i % 3) for i in range(FEWEST)]
    assert {one.discrimination for one in item_statistics(few)} == {None}
    assert item_statistics(same)[0].discrimination is None


def test_checks_of_a_task_that_are_always_earned_together_are_one_item():
    rows = [(*row[:2], row[1], row[2]) for row in EARNED]
    reports = [made_report(str(i), *row) for i, row in enumerate(rows)]
    assert [one.checks for one in item_statistics(reports)] == [(f"2.{i}-x",) for i in (1, 2, 3, 4)]
    one_task = [
        replace(report, checks=tuple(replace(c, id=f"2.1-{c.id}") for c in report.checks))
        for report in reports
    ]
    found = item_statistics(one_task)
    assert [len(one.checks) for one in found] == [1, 2, 1]
    rest = [row[0] + row[3] for row in rows]
    earned = [row[1] for row in rows]
    assert found[1].discrimination == pytest.approx(np.corrcoef(earned, rest)[0, 1])
    assert [len(one.checks) for one in item_statistics(one_task[: FEWEST - 1])] == [1] * 4


@pytest.mark.parametrize("one", code_beside(__file__)["item"], ids=lambda one: one["words"])
def test_what_to_do_about_an_item(one):
    item = ItemStatistics(("2.1-x",), one["n"], one["difficulty"], one.get("discrimination"))
    assert one["words"] in item.advice
    assert bool(one["words"]) == bool(item.advice)
