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

METADATA = code_beside(__file__)["metadata"]


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


def students(folder, **more) -> list[str]:
    return [entry.student for entry in find(folder, **more).entries]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["carol/02_attention.ipynb", "bob.zip", "alice.ipynb"], ["alice", "bob", "carol"]),
        (["alice_02_attention.ipynb"], ["alice"]),
        (["alice-02_attention.zip"], ["alice"]),
        (["alice 02_attention (1).ipynb"], ["alice"]),
    ],
)
def test_entries_are_called_after_their_student(tmp_path, names, found):
    assert students(make(tmp_path, *names)) == found


def test_what_lies_beside_submissions_is_passed_over_and_named_as_text_on_a_line(tmp_path):
    make(tmp_path, ".DS_Store", "__MACOSX/a", "notes.md", "roster.csv", "alice/x.ipynb", "out/a")
    make(tmp_path, "\x1b[2J\udcdc\n.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = find(tmp_path, [tmp_path / "roster.csv", tmp_path / "out"])
    assert [entry.student for entry in found.entries] == ["alice"]
    assert sorted(found.ignored) == ["loop", "notes.md", "\ufffd .csv"]


def test_files_of_canvas_and_folders_of_moodle_belong_to_the_number_of_their_user(tmp_path):
    make(
        tmp_path,
        "examplealice_4711_815_02_attention.ipynb",
        "examplealice_4711_816_model.safetensors",
        "bob_LATE_4712_900_02_attention.ipynb",
    )
    alice, bob = find(tmp_path).entries
    assert (alice.student, bob.student) == ("4711", "4712")
    assert [name for name, _ in alice.files] == ["02_attention.ipynb", "model.safetensors"]
    assert (alice.marked, bob.marked) == (False, True)
    assert "examplealice" in alice.keys
    moodle = make(tmp_path / "moodle", "Alice Example_4711_assignsubmission_file_/02_attention.py")
    (entry,) = find(moodle).entries
    assert (entry.student, entry.name) == ("4711", "Alice Example")


def test_of_several_uploads_to_canvas_the_last_counts(tmp_path):
    make(tmp_path, "a_1_815_02_attention.ipynb", "a_1_911_02_attention-10.ipynb")
    make(tmp_path, "a_1_901_02_attention-9.ipynb")
    (alice,) = find(tmp_path).entries
    ((name, path),) = alice.files
    assert (name, path.name) == ("02_attention.ipynb", "a_1_911_02_attention-10.ipynb")


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


def test_file_names_tell_the_assignment_if_they_tell_one(tmp_path):
    make(tmp_path, "a_1_815_02_attention.ipynb", "bob/02_attention.py", "carol/homework.py")
    assert [entry.guess for entry in find(tmp_path).entries] == ["02", "02", None]


@pytest.mark.parametrize(
    ("names", "path", "words"),
    [
        ([], "nowhere", "does not exist"),
        (["all.zip"], "all.zip", "unpack it first"),
        (["a.csv"], ".", "holds no submission"),
        (["02_attention.ipynb"], ".", "carries no student's name"),
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


A = "alice_05_keyword_transformer"


def counted(folder) -> tuple[dict[str, str], set[str]]:
    """What counts of the only student, as the job and the disk call it, and what does not."""
    (submission,), _ = by_student(find(folder).entries)
    assert submission.student == "alice"
    files = {name: path.name for name, path in submission.entry.files}
    return files, {name for old in submission.replaced for name in old.source.split(", ")}


@pytest.mark.parametrize("younger", [".safetensors", ".py"])
def test_flat_weights_and_code_of_a_student_are_one_submission_of_the_newest_of_a_kind(
    tmp_path, younger
):
    for suffix in (".safetensors", ".py"):
        make(tmp_path, A + suffix, when=2_000 if suffix == younger else 1_000)
    files, replaced = counted(tmp_path)
    names = [f"05_keyword_transformer{end}" for end in (".py", ".safetensors")]
    assert files == {name: f"alice_{name}" for name in names}
    assert not replaced
    (entry,) = find(tmp_path).entries
    assert (entry.when.timestamp(), entry.guess) == (2_000, "05")
    make(tmp_path, f"{A}.ipynb", f"{A} (1).safetensors", when=500)
    make(tmp_path, f"{A} (1).py", when=3_000)
    files, replaced = counted(tmp_path)
    assert sorted(files.values()) == [f"{A} (1).py", f"{A}.safetensors"]
    assert replaced == {f"{A}.ipynb", f"{A}.py", f"{A} (1).safetensors"}


@pytest.mark.parametrize("weights", ["alice.safetensors", "Alice_model.safetensors"])
def test_flat_weights_that_name_no_assignment_are_the_model(tmp_path, weights):
    make(tmp_path, f"{A}.py", weights)
    (submission,), _ = by_student(find(tmp_path).entries)
    assert dict(submission.entry.files)["model.safetensors"].name == weights


def test_flat_files_of_two_assignments_both_count_and_those_of_two_students_are_theirs(tmp_path):
    make(tmp_path, f"{A}.py", when=1_000)
    make(tmp_path, "alice_02_attention.py", when=2_000)
    files, replaced = counted(tmp_path)
    assert sorted(files) == ["02_attention.py", "05_keyword_transformer.py"]
    assert not replaced
    make(tmp_path, "bob_05_keyword_transformer.safetensors", "5_mallory.safetensors")
    assert students(tmp_path) == ["5_mallory", "alice", "bob"]


@pytest.mark.parametrize("young", ["alice.ipynb", "alice_02_attention.ipynb"])
def test_of_answers_of_which_one_names_no_assignment_the_youngest_counts(tmp_path, young):
    make(tmp_path, "alice.ipynb", "alice_02_attention.ipynb", when=1_000)
    make(tmp_path, young, when=2_000)
    files, replaced = counted(tmp_path)
    assert files == {young: young}
    assert len(replaced) == 1


@pytest.mark.parametrize("answer", ["alice/02_attention.py", "alice.zip", "alice.py"])
@pytest.mark.parametrize("young", ["alice.png", "alice.safetensors"])
def test_what_holds_no_answer_never_takes_the_place_of_one(tmp_path, answer, young):
    make(tmp_path, answer, when=1_000)
    make(tmp_path, young, when=2_000)
    assert answer.partition("/")[0] in counted(tmp_path)[0].values()


@pytest.mark.parametrize("end", ["zip", "tar", "tgz", "tar.gz", "tar.bz2", "TAR.XZ"])
@pytest.mark.parametrize("stem", ["", "_02_attention"])
def test_a_flat_archive_is_an_answer_of_whom_its_name_tells(tmp_path, end, stem):
    make(tmp_path, f"ann{stem}.{end}")
    (entry,) = find(tmp_path).entries
    assert (entry.student, entry.answers) == ("ann", True)
