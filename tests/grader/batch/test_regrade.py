"""What a batch says at its end, and what a regrading changed: nothing that a terminal obeys."""

import csv
import io
from dataclasses import replace

import pytest

from grader.batch.client import EvaluatorInfo
from grader.batch.grade_class import ClassResult
from grader.batch.grade_commands import summary
from grader.batch.regrade import changes_table, compare, table
from grader.batch.roster import RosterStudent, StudentSubmission
from grader.core.outcomes import Reason, Report
from grader.reports.scorecard import points
from tests.grader.batch.made_up import check, entry, outcome


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
    assert table([]) == ["no points changed"]
    evil = replace(better, student="=cmd()")
    rows = list(csv.reader(io.StringIO(changes_table([compare(report, evil)]).decode())))
    assert len(rows) == 2
    assert rows[1][:7] == ["'=cmd()", "02", "2.1-values", "2", "3", "3", "other checks"]


CAUSES = {"digest": "submission", "checks_digest": "", "seed_id": "secret seed", "tier": "tier of"}


@pytest.mark.parametrize(("field", "words"), CAUSES.items())
def test_the_cause_is_what_differs_in_what_was_graded(report, better, field, words):
    after = replace(better, **{"checks_digest": report.checks_digest, field: "new"})
    (why,) = compare(report, after).why
    assert why.startswith(f"another {words}" if words else "other checks")


def test_checks_that_came_and_went_another_worth_and_open_points_are_changes(report, open_report):
    after = replace(report, checks=(report.checks[0], check("2.1-new", 2, 2)))
    messages = table([compare(report, after)])
    assert "    2.1-new: no such check → 2/2" in messages
    assert "    2.1-shape: 2/2 → no such check" in messages
    after = replace(report, checks=(report.checks[0], check("2.1-shape", 4, 4)))
    assert compare(report, after).after == 6
    before = replace(report, checks=open_report.checks)
    assert "    2.1-values: –/3 → 2/3: off by 0.5" in table([compare(before, report)])


EVIL = "a\x1b[2J\x1b]0;owned\x07\r\ngraded 2 of 2\x9b\u202e\udcff"


def result_of(*reports: Report, **more) -> ClassResult:
    nothing = {"before": {}, "unread": (), "missing": (), "ignored": (), "leftover": ()}
    nothing |= {"remarks": {}, "pageless": {}, "files": [], "notes": []}
    graded, info = tuple(map(outcome, reports)), EvaluatorInfo("sealed", (), "5eed")
    return ClassResult(**{"graded": graded, "whole": reports, "info": info, **nothing, **more})


def test_nothing_that_a_student_a_roster_or_a_change_says_acts_on_the_terminal(
    open_report, tmp_path, report
):
    check = replace(open_report.checks[0], message=EVIL)
    submission = StudentSubmission(student=EVIL, name=EVIL, entry=entry(EVIL))
    batch = result_of(
        replace(open_report, student=EVIL, checks=(check,)),
        unread=((submission, EVIL),),
        missing=(RosterStudent(id=EVIL, name=EVIL),),
        ignored=(EVIL,),
        leftover=(EVIL,),
        remarks={(EVIL, "02"): (EVIL,)},
        pageless={EVIL: EVIL},
        files=[tmp_path / "gradebook.csv"],
    )
    output = summary(batch)
    assert all(line.isprintable() for line in output)
    assert sum("graded 2 of 2" in line for line in output) == 7
    first = replace(report.checks[0], earned=0.0, message=EVIL)
    after = replace(report, student=EVIL, checks=(first, *report.checks[1:]))
    change = compare(report, after)
    assert change is not None
    assert all(line.isprintable() for line in table([change]))


def test_a_line_says_what_is_open_and_counts_what_waits_for_marks(report):
    written = replace(report.checks[0], id="2.A-written", earned=None, reason=Reason.UNMARKED)
    whole = [replace(report, student=name, checks=(*report.checks, written)) for name in "ab"]
    output = summary(
        result_of(*(replace(report, student=name) for name in "ab"), whole=tuple(whole))
    )
    assert f"{len(whole)} submissions: 2 wait for marks; mean" in output[0]
    assert output[0].endswith(f"{points(written.points)} more are open")
    assert "written answers to mark: 2 (python -m grader written)" in output
