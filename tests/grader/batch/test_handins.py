"""Entries of a folder of submissions: whose they are, which files, from when."""

import os
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from grader.batch.grade_class import nothing_found
from grader.batch.handins import find, youngest
from grader.batch.roster import by_student
from kws.errors import UsageError
from tests.grader.batch.made_up import nested
from tests.grader.conftest import code_beside

TABLE = code_beside(__file__)
METADATA = TABLE["metadata"]


def make(folder, *names, when=1_700_000_000):
    """Files, or folders where a name ends in a slash, all of one date."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            os.utime(path, (when, when))
    return folder


@pytest.mark.parametrize("case", TABLE["folder"], ids=lambda case: case["property"])
def test_whose_entries_are_and_which_of_their_files_count(tmp_path, case):
    for age, name in enumerate(case["files"], start=1):
        make(tmp_path, name, when=1_000 * (age if "aged" in case else 1))
    ones = {one.student: one for one in by_student(find(tmp_path).entries)[0]}
    files = {student: one.entry.files for student, one in ones.items()}
    assert {who: {n: p.name for n, p in each} for who, each in files.items()} == case["counts"]
    sources = [old.source for one in ones.values() for old in one.replaced]
    assert sorted(", ".join(sources).split(", ")) == case.get("replaced", [""])
    for key in case.keys() & {"guess", "marked", "name", "answers", "when"}:
        found = {student: str(getattr(ones[student].entry, key)) for student in case[key]}
        assert found == case[key]


def test_what_lies_beside_submissions_is_passed_over_and_named_as_text_on_a_line(tmp_path):
    make(tmp_path, ".DS_Store", "__MACOSX/a", "notes.md", "roster.csv", "alice/x.ipynb", "out/a")
    make(tmp_path, "\x1b[2J\udcdc\n.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = find(tmp_path, [tmp_path / "roster.csv", tmp_path / "out"])
    assert [entry.student for entry in found.entries] == ["alice"]
    assert sorted(found.ignored) == ["loop", "notes.md", "\ufffd .csv"]


def test_gradescopes_list_tells_students_and_dates(tmp_path):
    make(tmp_path, "submission_11/a.ipynb", "submission_12/a.ipynb")
    (tmp_path / "submission_metadata.yml").write_text(METADATA)
    found = {entry.student: entry for entry in find(tmp_path).entries}
    assert sorted(found) == ["4711", "4712", "carol@example.org"]
    assert found["4711"].files == found["4712"].files
    assert found["4711"].name == "Alice Example"
    assert found["4711"].when == datetime(2025, 3, 2, 7, 12, 45, tzinfo=timezone.utc)
    assert found["carol@example.org"].when == datetime(2025, 3, 2, 1, tzinfo=timezone.utc)


def test_a_folder_is_as_young_as_its_youngest_file_and_a_link_as_itself(tmp_path):
    make(tmp_path, "elsewhere/x", when=5_000)
    make(tmp_path, "alice/a.ipynb", when=1_000)
    make(tmp_path, "alice/deep/b.ipynb", when=2_000)
    link, folder = tmp_path / "alice" / "c.ipynb", tmp_path / "alice" / "more"
    link.symlink_to(tmp_path / "elsewhere" / "x")
    folder.symlink_to(tmp_path / "elsewhere")
    for each in (link, folder):
        os.utime(each, (1_500, 1_500), follow_symlinks=False)
    assert youngest(tmp_path / "alice").timestamp() == 2_000
    os.utime(link, (3_000, 3_000), follow_symlinks=False)
    assert youngest(tmp_path / "alice").timestamp() == 3_000


@pytest.mark.parametrize(
    ("names", "path", "words"),
    [
        ([], "nowhere", "does not exist"),
        (["all.zip"], "all.zip", "unpack it first"),
        (["a.csv"], ".", "contains no submissions"),
        (["02_attention.ipynb"], ".", "does not name a student"),
    ],
)
def test_what_is_no_folder_of_submissions_is_refused(tmp_path, names, path, words):
    make(tmp_path, *names)
    with pytest.raises(UsageError, match=words):
        find(tmp_path / path)


@pytest.mark.parametrize(
    "name",
    [
        b"mallory\xff\xfe",
        b"m\xfcller_4711_815_02_attention.py",
        b"M\xfcller_4711_assignsubmission_file_",
        b"\x1b[2J\r\ngraded 2 of 2.py",
        "\x9b31m\u202e".encode(),
    ],
)
def test_whatever_an_entry_is_called_is_told_as_text_on_a_line(tmp_path, name):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    if path.suffix:
        path.write_text("x")
    else:
        path.mkdir()
    (submission,), _ = by_student(find(tmp_path).entries)
    source = submission.entry.source
    output = f"{submission.student} {submission.name} {source} {nothing_found(submission)}"
    output.encode()
    assert output.isprintable()
    assert submission.entry.files[0][1].exists()


def test_names_in_a_folder_without_an_answer_are_told_as_text_on_a_line(tmp_path):
    make(tmp_path, "alice/\x1b[2J\udcdc\r\ngraded 2 of 2.png")
    (submission,), _ = by_student(find(tmp_path).entries)
    assert nothing_found(submission).endswith(" in \ufffd graded 2 of 2.png")


@pytest.mark.parametrize(("levels", "name"), [(1_300, "d"), (800, "dddddd")])
def test_a_folder_may_be_as_deep_as_it_likes(tmp_path, levels, name):
    make(tmp_path, "alice/x.py", when=1_000)
    with nested(tmp_path / "alice", levels, name):
        (entry,) = find(tmp_path).entries
        assert (entry.guess, entry.when.timestamp()) == (None, 1_000)


@pytest.fixture
def nobody():
    """A folder where a locked one is locked, even for who runs this as root."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    own = os.geteuid()
    locked = folder / "mallory"
    locked.mkdir()
    make(folder, "alice/02_attention.py", "mallory/02_attention.py")
    (folder / "gone.py").symlink_to(locked / "02_attention.py")
    locked.chmod(0)
    if own == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(own)
    locked.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_is_locked_is_an_entry_of_which_nothing_is_known(nobody):
    found = find(nobody)
    guesses = {entry.student: entry.guess for entry in found.entries}
    assert guesses == {"alice": "02", "mallory": None}
    assert found.ignored == ("gone.py",)
    (mallory,) = (one for one in by_student(found.entries)[0] if one.student == "mallory")
    assert nothing_found(mallory)


@pytest.mark.parametrize("seconds", [-1e9, 0, 1e11, 2.0**33])
def test_a_date_may_be_any_that_a_disk_takes(tmp_path, seconds):
    make(tmp_path, "alice/x.py", when=int(seconds))
    assert 1970 <= find(tmp_path).entries[0].when.year <= 9000


@pytest.mark.parametrize("when", ["2025-99-01 23:12:45 Z", "2025-03-01 23:12:45 +99:99"])
def test_a_date_that_does_not_exist_is_none(tmp_path, when):
    make(tmp_path, "submission_11/a.ipynb", when=1_000)
    text = METADATA.replace("2025-03-01 23:12:45.123456789 -08:00", when)
    (tmp_path / "submission_metadata.yml").write_text(text)
    assert {entry.when.timestamp() for entry in find(tmp_path).entries} == {1_000}
