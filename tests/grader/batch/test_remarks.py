"""Remarks: late, twice, similar work, unknown. They never touch points."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from grader.batch.remarks import circumstances, lateness, read_deadline, remarks
from grader.batch.roster import StudentSubmission
from grader.reports.similarity import Pair
from kws.errors import UsageError
from tests.grader.batch.made_up import entry, outcome

NOON = datetime(2025, 3, 1, 12, tzinfo=timezone.utc)


def submission(hour=0, **more) -> StudentSubmission:
    known = more.pop("known", True)
    replaced = more.pop("replaced", ())
    one = entry("alice", hour, **more)
    return StudentSubmission(student="alice", name="", entry=one, known=known, replaced=replaced)


def test_what_comes_after_the_deadline_is_late_by_the_difference_and_what_a_download_marks():
    assert lateness(submission(15), NOON) == "late by 3 h (2025-03-01 15:00 UTC)"
    assert lateness(submission(12), NOON) == lateness(submission(23), None) == ""
    assert "late" in lateness(submission(marked=True), None)


def test_a_deadline_without_an_offset_is_local_time_and_one_that_is_not_a_date_is_refused():
    assert read_deadline("2025-03-01T23:59") == datetime(2025, 3, 1, 23, 59).astimezone()
    assert read_deadline("2025-03-01T12:00Z") == NOON
    assert read_deadline("2025-03-01T13:00+01:00") == NOON
    assert read_deadline("2025-03-01").astimezone().hour == 0
    with pytest.raises(UsageError, match="write 2025-03-01T23:59"):
        read_deadline("friday")


def test_everything_is_said_of_a_submission_and_nothing_of_an_ordinary_one(report):
    one = submission(13, known=False, replaced=(entry("alice", source="alice.zip"),))
    output = remarks([outcome(report, submission=one, faults=("it died",))], lambda *_: NOON)[
        ("alice", "02")
    ]
    assert output == (
        "late by 1 h (2025-03-01 13:00 UTC)",
        "handed in more than once: alice counts, not alice.zip",
        "not on the roster",
        "attempts that failed: it died",
    )
    assert circumstances(one, NOON) == output[:3]  # of what cannot be graded
    assert remarks([outcome(report)], lambda *_: NOON + timedelta(days=1)) == {}


def test_of_many_with_similar_work_three_are_named_and_the_rest_counted(report):
    def pair(*names: str, number: str = "02") -> Pair:
        return Pair(assignment=number, students=names, share=1, places={"2.1": ()})

    ones = [outcome(replace(report, student=name)) for name in ("s00", "s01")]
    similar = [pair("s00", f"s{i:02d}") for i in range(12, 0, -1)]
    assert remarks(ones, similar=[*similar, pair("s01", "zoe", number="03")]) == {
        ("s00", "02"): ("similar to s01, s02, s03 and 9 others: see similar.html",),
        ("s01", "02"): ("similar to s00: see similar.html",),
    }
