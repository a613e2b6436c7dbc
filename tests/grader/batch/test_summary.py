"""What a batch says at its end: one line for one fact, and nothing that a terminal obeys."""

from dataclasses import replace

from grader.batch.client import EvaluatorInfo
from grader.batch.grade_class import ClassResult
from grader.batch.regrade import compare, table
from grader.batch.roster import RosterStudent, StudentSubmission
from grader.batch.summary import summary
from tests.grader.batch.made_up import entry, outcome

EVIL = "a\x1b[2J\x1b]0;owned\x07\r\ngraded 2 of 2\x9b\u202e\udcff"


def test_nothing_that_a_student_or_a_roster_says_acts_on_the_terminal(open_report, tmp_path):
    check = replace(open_report.checks[0], message=EVIL)
    report = replace(open_report, student=EVIL, checks=(check,))
    submission = StudentSubmission(student=EVIL, name=EVIL, entry=entry(EVIL))
    batch = ClassResult(
        graded=(outcome(report),),
        before={},
        unread=((submission, EVIL),),
        missing=(RosterStudent(id=EVIL, name=EVIL),),
        ignored=(EVIL,),
        leftover=(EVIL,),
        remarks={(EVIL, "02"): (EVIL,)},
        pageless={EVIL: EVIL},
        info=EvaluatorInfo("sealed", (), "5eed"),
        files=[tmp_path / "gradebook.csv"],
    )
    said = summary(batch)
    assert all(line.isprintable() for line in said)
    assert sum("graded 2 of 2" in line for line in said) == 7


def test_no_change_acts_on_the_terminal(report):
    first = replace(report.checks[0], earned=0.0, message=EVIL)
    after = replace(report, student=EVIL, checks=(first, *report.checks[1:]))
    change = compare(report, after)
    assert change is not None
    assert all(line.isprintable() for line in table([change]))
