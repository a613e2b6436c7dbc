"""What a batch says at its end: one line for one fact, and nothing that a terminal obeys."""

from dataclasses import replace

from grader.batch.client import EvaluatorInfo
from grader.batch.grade_class import ClassResult
from grader.batch.regrade import compare, table
from grader.batch.roster import RosterStudent, StudentSubmission
from grader.batch.summary import summary
from grader.core.outcomes import Reason, Report
from grader.reports.scorecard import points
from tests.grader.batch.made_up import entry, outcome

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
