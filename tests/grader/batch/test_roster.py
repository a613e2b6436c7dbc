"""Rosters and remarks: entries given to their students; late, twice, similar, unknown, missing."""

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from grader.batch.roster import (
    RosterStudent,
    StudentSubmission,
    by_student,
    circumstances,
    in_groups,
    lateness,
    read_deadline,
    read_roster,
    remarks,
    safe_id,
)
from grader.reports.similarity import Pair
from kws.errors import UsageError
from tests.grader.batch.made_up import entry, outcome
from tests.grader.conftest import code_beside

ALICE = RosterStudent(id="alice", keys=("alice", "Example, Alice", "4711"))
ROSTER = (ALICE, RosterStudent(id="bob"))


def write(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_roster_is_ids_names_and_words_for_entries_also_from_canvas_or_with_odd_names(tmp_path):
    text = "student,name,folder\nalice,Alice Example,alice-x\n\nbob,,\n"
    alice, bob = read_roster(write(tmp_path, text))
    assert (alice.id, alice.name) == ("alice", "Alice Example")
    assert alice.keys == ("alice", "Alice Example", "alice-x")
    assert bob.keys == ("bob",)
    head = "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
    (alice,) = read_roster(write(tmp_path, head + '"Example, Alice",4711,u1,alice@x,A\n'))
    assert (alice.id, alice.name) == ("alice@x", "Example, Alice")
    assert "4711" in alice.keys
    path = write(tmp_path, 'student,name\nalice,"A\x1b[2J\nB"\n')
    assert read_roster(path)[0].name == "A B"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(tmp_path, encoding, newline, comma):
    text = newline.join(["Student,Name", "zoé,Zoé A", ""]).replace(",", comma)
    (one,) = read_roster(write(tmp_path, text, encoding))
    assert (one.id, one.name) == ("zoé", "Zoé A")


@pytest.mark.parametrize("one", code_beside(__file__)["refused"], ids=lambda one: one["words"])
def test_a_roster_that_cannot_be_used_is_refused_by_line_or_column(tmp_path, one):
    with pytest.raises(UsageError, match=one["words"]):
        read_roster(write(tmp_path, one["text"]))


def test_a_roster_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes(b"student\n\xff\xfe\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_roster(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_roster(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("key", ["alice", "ALICE", "examplealice", "4711"])
def test_any_word_of_the_roster_finds_the_student(key):
    (submission,), _ = by_student([entry(key)], ROSTER)
    assert (submission.student, submission.known) == ("alice", True)


def test_who_has_no_entry_is_missing_unknown_entries_are_graded_and_of_two_the_younger_counts():
    found, missing = by_student([entry("alice"), entry("mallory")], ROSTER)
    assert [student.id for student in missing] == ["bob"]
    assert {one.student: one.known for one in found} == {"alice": True, "mallory": False}
    (submission,), missing = by_student([entry("mallory")])  # without a roster
    assert submission.known
    assert missing == ()
    entries = [entry("alice", 5, source="alice"), entry("Alice", 3, source="Alice.zip")]
    (submission,), _ = by_student(entries)
    assert submission.entry.source == "alice"
    assert [old.source for old in submission.replaced] == ["Alice.zip"]


def test_an_entry_of_two_students_is_refused_order_does_not_matter_nor_does_half_a_letter():
    both = (RosterStudent(id="a", keys=("example",)), RosterStudent(id="b", keys=("Example",)))
    with pytest.raises(UsageError, match="could be of a or b"):
        by_student([entry("example")], both)
    entries = [entry("bob"), entry("alice", 1), entry("alice", 2, source="alice.zip")]
    assert by_student(entries, ROSTER) == by_student(entries[::-1], ROSTER)
    roster = (RosterStudent(id="mller", keys=("mller",)),)
    (submission,), _ = by_student([entry("m\udcfcller")], roster)
    assert not submission.known


UNFIT = ["x\x9b31m", "x\x1b[2J", "x\udcff", "x\ufffe", "x\uffff", "x\u202ey", "x\ny"]
LONG = ["😀" * 60, "ü" * 120, "a" * 255, "\udcff" * 250, ". " * 90 + "x" * 75]


@pytest.mark.parametrize("name", UNFIT + LONG)
def test_an_id_holds_nothing_that_acts_or_breaks_and_leaves_room_in_a_files_name(name):
    made = safe_id(name)
    assert made.isprintable()
    assert 0 < len(made.encode()) <= 200
    assert safe_id(made) == made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("😀" * 60, "😀" * 61),
        ("a" * 200 + "b", "a" * 200 + "c"),
        ("m\udcfcller", "m\udcf6ller"),
        ("m\udcfcller", "m_ller"),
        ("alice:1", "alice*1"),
    ],
)
def test_two_names_that_look_alike_as_ids_stay_two_students(one, other):
    found, _ = by_student([entry(one, source="one"), entry(other, source="other")])
    assert len(found) == 2


@pytest.mark.parametrize("text", ["student\n" + "x" * 200_000 + "\n", "student,name\nalice,\x9b\n"])
def test_a_roster_never_ends_in_a_crash(tmp_path, text):
    with contextlib.suppress(UsageError):
        assert read_roster(write(tmp_path, text))[0].name == ""


def test_what_the_youngest_hand_in_of_a_group_is_all_of_it_handed_in():
    found, _ = by_student([entry("ada", 9), entry("bob", 12), entry("eve", 23)])
    shared = in_groups(found, {"red": ["ada", "bob", "cy"], "blue": ["dan"]})
    sources = {one.student: one.entry.source for one in shared}
    assert sources == {"ada": "bob", "bob": "bob", "cy": "bob", "eve": "eve"}
    assert in_groups(found, {}) == found


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
    assert lateness(submission(11, marked=True), NOON) == ""  # in time by an extension


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
