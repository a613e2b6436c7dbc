"""Rosters: columns checked, entries given to their students, unknown and missing ones told."""

import contextlib

import pytest

from grader.batch.roster import RosterStudent, by_student, in_groups, read_roster, safe_id
from kws.errors import UsageError
from tests.grader.batch.made_up import entry
from tests.grader.conftest import code_beside

ROSTER = (
    RosterStudent(id="alice", keys=("alice", "Example, Alice", "4711")),
    RosterStudent(id="bob"),
)


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
