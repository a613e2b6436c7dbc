"""What a regrading changed: who, by how much, on which check, why."""

import csv
import io
from dataclasses import replace

import pytest

from grader.batch.regrade import as_csv, compare, table
from tests.grader.batch.made_up import check


@pytest.fixture
def better(report):
    first, second = report.checks
    full = replace(first, earned=3.0, reason=None, message="")
    return replace(report, checks_digest="c2", checks=(full, second))


def test_a_change_names_student_points_check_and_cause_and_the_table_has_no_formula(report, better):
    change, back = compare(report, better), compare(better, report)
    assert table([change]) == [
        "points of 1 changed:",
        "  alice 02: 4 → 5 (+1): other checks",
        "    2.1-values: 2/3 → 3/3: no longer “off by 0.5”",
    ]
    assert table([back])[-1] == "    2.1-values: 3/3 → 2/3: off by 0.5"
    assert len(table([back], every_check=False)) == 2
    assert "(−1)" in table([back])[1]
    assert compare(report, replace(report, checks_digest="c2")) is None
    assert table([]) == ["nobody's points changed"]
    evil = replace(better, student="=cmd()")
    rows = list(csv.reader(io.StringIO(as_csv([compare(report, evil)]).decode())))
    assert len(rows) == 2
    assert rows[1][:7] == ["'=cmd()", "02", "2.1-values", "2", "3", "3", "other checks"]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("digest", "another submission"),
        ("checks_digest", "other checks"),
        ("seed_id", "another secret seed"),
        ("tier", "another tier of isolation"),
    ],
)
def test_the_cause_is_what_differs_in_what_was_graded(report, better, field, words):
    after = replace(better, **{"checks_digest": report.checks_digest, field: "new"})
    assert compare(report, after).why == (words,)


def test_checks_that_came_and_went_another_worth_and_open_points_are_changes(report, open_report):
    after = replace(report, checks=(report.checks[0], check("2.1-new", 2, 2)))
    messages = table([compare(report, after)])
    assert "    2.1-new: no such check → 2/2" in messages
    assert "    2.1-shape: 2/2 → no such check" in messages
    after = replace(report, checks=(report.checks[0], check("2.1-shape", 4, 4)))
    assert compare(report, after).after == 6
    before = replace(report, checks=open_report.checks)
    assert "    2.1-values: –/3 → 2/3: off by 0.5" in table([compare(before, report)])
